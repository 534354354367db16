#![allow(clippy::unwrap_used, clippy::panic)]
use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;

/// An engine that does as told at every write and holds nothing.
struct Told(fn() -> Result<(), StoreError>);

impl Engine for Told {
    fn limits(&self) -> Limits {
        Limits { key: 100, value: 100 }
    }
    fn get(&self, _: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    fn scan(&self, _: &Key, _: &Key, _: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
    fn write(&self, _: Vec<(Key, Option<Stored>)>) -> Result<(), StoreError> {
        (self.0)()
    }

    fn snapshot(&self) -> Result<Box<dyn crate::Snapshot>, StoreError> {
        Err(StoreError::Unavailable { reason: "nothing is kept".into() })
    }
}

fn batch() -> Batch {
    Batch::new().put(Key::new("table", &[]), b"1".as_slice())
}

#[test]
fn a_write_that_fails_or_panics_poisons_what_follows() {
    let failing: [fn() -> Result<(), StoreError>; 2] = [|| Err(StoreError::Unavailable { reason: "no space".into() }), || panic!("a bug of the engine")];
    for write in failing {
        let store = Embedded::start(Arc::new(Told(write)), Watchdog::default()).unwrap();
        for _ in 0..3 {
            assert!(matches!(store.commit(batch()), Err(CommitError::Poisoned { .. })));
        }
        assert_eq!(store.get(&Key::new("table", &[])), Ok(None));
    }
}

#[test]
fn who_does_not_wait_hears_what_it_came_to() {
    let heard = |store: &Embedded| {
        let (tell, told) = channel();
        (0..3).for_each(|_| store.commit_then(batch(), { let tell = tell.clone(); Box::new(move |outcome| tell.send(outcome).unwrap()) }));
        told.iter().take(3).collect::<Vec<_>>()
    };
    let good = Embedded::start(Arc::new(Told(|| Ok(()))), Watchdog::default()).unwrap();
    assert!(heard(&good).iter().all(Result::is_ok));
    // One that is closed takes nothing, and says so.
    good.queue.lock().unwrap().take();
    assert!(heard(&good).iter().all(|outcome| matches!(outcome, Err(CommitError::Unavailable { .. }))));
    let bad = Embedded::start(Arc::new(Told(|| Err(StoreError::Unavailable { reason: "no space".into() }))), Watchdog::default()).unwrap();
    assert!(heard(&bad).iter().all(|outcome| matches!(outcome, Err(CommitError::Poisoned { .. }))));
}

/// By whoever hears an outcome and panics against the contract: what waits behind it and what comes later is told that the store is to be
/// opened again, and nobody waits for ever.
#[test]
fn once_the_committer_died_every_commit_is_told_so_and_none_hangs() {
    let ((begun, begins), (let_go, go)) = (channel(), channel());
    let engine = Arc::new(Gated { begun, go: Mutex::new(go), wrote: Mutex::default() });
    let store = Embedded::start(Arc::clone(&engine) as Arc<dyn Engine>, Watchdog::default()).unwrap();
    let died = CommitError::Poisoned { reason: "the committer ended".into() };
    assert!(died.to_string().ends_with("open the store again"));
    std::thread::scope(|scope| {
        store.commit_then(batch(), Box::new(|_| panic!("a bug of who asked")));
        begins.recv().unwrap();
        // While it writes others come, some of them before it dies and perhaps some after.
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| store.commit(batch()))).collect();
        let_go.send(()).unwrap();
        for one in waiting {
            assert_eq!(one.join().unwrap(), Err(died.clone()));
        }
    });
    for _ in 0..3 {
        assert_eq!((store.commit(batch()), store.commit(Batch::new())), (Err(died.clone()), Err(died.clone())));
        let (tell, told) = channel();
        store.commit_then(batch(), Box::new(move |outcome| tell.send(outcome).unwrap()));
        assert_eq!(told.recv().unwrap(), Err(died.clone()));
    }
    // What is there is read all the same, and letting go of the store waits for nobody.
    assert_eq!((store.get(&Key::new("table", &[])), engine.wrote.lock().unwrap().len()), (Ok(None), 1));
    drop(store);
}

#[test]
fn a_commit_that_hangs_calls_the_watchdog() {
    let (tell, told) = channel();
    let watchdog = Watchdog::new(Duration::from_millis(50), move || tell.send(()).unwrap());
    let hang = || {
        std::thread::sleep(Duration::from_millis(300));
        Ok(())
    };
    let store = Embedded::start(Arc::new(Told(hang)), watchdog).unwrap();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| store.commit(batch()));
        told.recv_timeout(Duration::from_millis(250)).unwrap();
        assert!(!commit.is_finished());
    });
}

/// Run again in a process of its own, which the watchdog ends.
#[test]
fn a_commit_that_hangs_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    const HANGING: &str = "STORE_TRIAL_HANGING";
    if std::env::var_os(HANGING).is_some() {
        let hang = || loop {
            std::thread::park();
        };
        let watchdog = Watchdog { deadline: Duration::from_millis(50), ..Watchdog::default() };
        let store = Embedded::start(Arc::new(Told(hang)), watchdog).unwrap();
        panic!("{:?}", store.commit(batch()));
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "committer::tests::a_commit_that_hangs_ends_the_process", "--test-threads", "1"]).env(HANGING, "1");
    let ended = child.output().unwrap();
    assert_eq!(ended.status.signal(), Some(6), "{ended:?}");
}

/// An engine whose writes wait to be let go, and are remembered by their first keys.
struct Gated {
    begun: std::sync::mpsc::Sender<()>,
    go: Mutex<Receiver<()>>,
    wrote: Mutex<Vec<Vec<Key>>>,
}

impl Engine for Gated {
    fn limits(&self) -> Limits {
        Limits { key: 100, value: 1 << 20 }
    }
    fn get(&self, _: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    fn scan(&self, _: &Key, _: &Key, _: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
    fn write(&self, writes: Vec<(Key, Option<Stored>)>) -> Result<(), StoreError> {
        self.wrote.lock().unwrap().push(writes.into_iter().map(|(key, _)| key).collect());
        self.begun.send(()).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        Ok(())
    }
    fn snapshot(&self) -> Result<Box<dyn crate::Snapshot>, StoreError> {
        Err(StoreError::Unavailable { reason: "nothing is kept".into() })
    }
}

#[test]
fn a_small_batch_goes_ahead_of_large_ones_and_large_ones_come_next() {
    let ((begun, begins), (let_go, go)) = (channel(), channel());
    let engine = Arc::new(Gated { begun, go: Mutex::new(go), wrote: Mutex::default() });
    let store = Embedded::start(Arc::clone(&engine) as Arc<dyn Engine>, Watchdog::default()).unwrap();
    let key = |name: &str| Key::new("table", &[name.as_bytes()]);
    let commit = |name: &'static str, bytes: usize| {
        let (store, batch) = (&store, Batch::new().put(key(name), vec![0; bytes]));
        move || store.commit(batch).unwrap()
    };
    let settle = || std::thread::sleep(Duration::from_millis(50));
    std::thread::scope(|scope| {
        scope.spawn(commit("a large", SMALL + 1));
        begins.recv().unwrap();
        for next in ["b large", "c large"] {
            scope.spawn(commit(next, SMALL + 1));
            settle();
        }
        scope.spawn(commit("d small", 1));
        settle();
        let_go.send(()).unwrap();
        begins.recv().unwrap();
        // Another small one cannot keep the large ones waiting for ever.
        scope.spawn(commit("e small", 1));
        settle();
        let_go.send(()).unwrap();
        begins.recv().unwrap();
        let_go.send(()).unwrap();
    });
    let groups: [&[&str]; 3] = [&["a large"], &["d small"], &["b large", "c large", "e small"]];
    assert_eq!(*engine.wrote.lock().unwrap(), groups.map(|names| names.iter().map(|name| key(name)).collect::<Vec<_>>()));
}

/// Whatever is held of late and whatever is being written: nobody finds a record older than another of the same commit that was read before it,
/// nor older than what was acknowledged.
#[test]
fn readers_beside_a_writer_find_no_record_older_than_one_before() {
    const COMMITS: u64 = 300;
    let place = tempfile::tempdir().unwrap();
    let store = crate::open_fjall(place.path()).unwrap();
    let acknowledged = std::sync::atomic::AtomicU64::new(0);
    let [first, second] = ["first", "second"].map(|name| Key::new("pair", &[name.as_bytes()]));
    let number = |key: &Key| store.get(key).unwrap().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    std::thread::scope(|scope| {
        for (one, other) in [(&first, &second), (&second, &first)] {
            let (number, acknowledged) = (&number, &acknowledged);
            scope.spawn(move || {
                let mut last = 0;
                while last < COMMITS {
                    let durable = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
                    let (before, after) = (number(one), number(other));
                    assert!(durable <= before && before <= after && last <= before, "{last} {durable} {before} {after}");
                    last = after;
                }
            });
        }
        for commit in 1..=COMMITS {
            let value = commit.to_be_bytes();
            store.commit(Batch::new().put(first.clone(), value.as_slice()).put(second.clone(), value.as_slice())).unwrap();
            acknowledged.store(commit, std::sync::atomic::Ordering::SeqCst);
        }
    });
}
