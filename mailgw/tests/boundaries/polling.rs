//! Who asks again and again how far a job is costs its delivery nothing: counted, not timed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mailgw::flow::push::job::{self, Act, Jobs, Opening, Turn};
use mailgw::record::job::Format;
use store::{Batch, CommitError, Receipt, Snapshot, StoreError};

use super::*;

/// Counts what is asked of a store.
struct Counting {
    inner: Arc<dyn Store>,
    reads: AtomicU64,
    commits: AtomicU64,
}

impl Counting {
    fn over(inner: &Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), reads: AtomicU64::new(0), commits: AtomicU64::new(0) })
    }

    fn counts(&self) -> (u64, u64) {
        (self.reads.load(Relaxed), self.commits.load(Relaxed))
    }

    fn read(&self) -> &dyn Store {
        self.reads.fetch_add(1, Relaxed);
        &*self.inner
    }
}

impl Store for Counting {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.read().get(key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        self.read().scan(from, to, limit)
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read().read_stream(stream, position, limit)
    }

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        self.read().stream_length(stream)
    }

    fn counter(&self, counter: &str) -> Result<u64, StoreError> {
        self.read().counter(counter)
    }

    fn sum(&self, sum: &str) -> Result<u64, StoreError> {
        self.read().sum(sum)
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.commits.fetch_add(1, Relaxed);
        self.inner.commit(batch)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.read().snapshot()
    }
}

/// What delivering a job of three blocks asks of the store, while somebody asks so often between two blocks how far it is.
fn delivered_while_asked(city: &City, batch: &str, often: u64) -> (u64, u64) {
    let month = month(city, "housing-fund", batch, 1_200);
    let (at, jobs) = ((month.bureau, month.batch.as_str()), Jobs::default());
    let gateway = city.gateway(Arc::clone(&city.store));
    let opening = Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };
    job::open(&gateway, &city.lists, &jobs, at, opening).unwrap();
    job::append(&gateway, &jobs, at, 0, std::io::Cursor::new(std::fs::read(&month.order.rows).unwrap())).unwrap();
    job::act(&gateway, &jobs, at, Act::Close).unwrap();
    let counting = Counting::over(&city.store);
    let gateway = city.gateway(Arc::clone(&counting) as Arc<dyn Store>);
    let (begun, asked, seen) = (counting.counts(), AtomicU64::new(0), Mutex::new(Vec::new()));
    let go_on = || {
        for _ in 0..often {
            let shown = jobs.watch(&gateway, at.0, at.1).unwrap().borrow().clone();
            assert_eq!(shown.counts.all() + shown.waiting, shown.rows, "the states sum to the manifest's count at every instant");
            seen.lock().unwrap().push(shown.version);
        }
        asked.fetch_add(often, Relaxed);
        true
    };
    let sealer = Watched::new(city, Arc::clone(&city.sealing), None);
    assert_eq!(job::run(&gateway, &sealer, &city.lists, &jobs, at, &go_on).unwrap(), Turn::Done);
    assert!(asked.load(Relaxed) >= 3 * often && seen.lock().unwrap().is_sorted());
    let ended = counting.counts();
    (ended.0 - begun.0, ended.1 - begun.1)
}

use std::sync::Mutex;

#[test]
fn a_hundred_times_the_questions_ask_nothing_more_of_the_store() {
    let city = City::found();
    // The first job reserves ids of bodies; the others find them reserved.
    delivered_while_asked(&city, "warm", 1);
    let (once, often) = (delivered_while_asked(&city, "once", 1), delivered_while_asked(&city, "often", 100));
    assert_eq!(often.1, once.1, "commits");
    assert_eq!(often.0, once.0, "reads");
}
