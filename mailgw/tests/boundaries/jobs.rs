//! Jobs that bureaus' own systems open: what is damaged on the way is sent again, what is shown is durable, and who asks for what is not
//! done is told what to do.

use std::io::{Cursor, Read};
use std::sync::Mutex;

use mailgw::flow::push::job::{self, Act, JobError, Jobs, Opening, ShownJob, Turn};
use mailgw::flow::push::{write_outcomes, write_signed};
use mailgw::record::job::{Format, pieces_range};
use runtime::exit::{Exit, Problem};
use store::{Batch, CommitError, Receipt, Snapshot, StoreError};

use super::*;

struct Desk<'a> {
    city: &'a City,
    gateway: Gateway,
    jobs: Jobs,
}

impl<'a> Desk<'a> {
    fn new(city: &'a City) -> Self {
        Self { city, gateway: city.gateway(Arc::clone(&city.store)), jobs: Jobs::default() }
    }

    fn open(&self, month: &Month) -> ShownJob {
        let opening = Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };
        job::open(&self.gateway, &self.city.lists, &self.jobs, at(month), opening).unwrap()
    }

    fn send(&self, month: &Month, from: u64, rows: impl Read) -> Result<ShownJob, JobError> {
        job::append(&self.gateway, &self.jobs, at(month), from, rows)
    }

    fn act(&self, month: &Month, act: Act) -> Result<ShownJob, JobError> {
        job::act(&self.gateway, &self.jobs, at(month), act)
    }

    fn shown(&self, month: &Month) -> ShownJob {
        self.jobs.watch(&self.gateway, month.bureau, &month.batch).unwrap().borrow().clone()
    }

    fn run(&self, month: &Month, go_on: &dyn Fn() -> bool) -> Turn {
        let sealer = Watched::new(self.city, Arc::clone(&self.city.sealing), None);
        job::run(&self.gateway, &sealer, &self.city.lists, &self.jobs, at(month), go_on).unwrap()
    }
}

fn at(month: &Month) -> (&str, &str) {
    (month.bureau, &month.batch)
}

#[test]
fn rows_that_were_damaged_on_the_way_are_sent_again_under_the_same_manifest() {
    let city = City::found();
    let desk = Desk::new(&city);
    let month = month(&city, "housing-fund", "damaged", 5);
    let rows = std::fs::read(&month.order.rows).unwrap();
    desk.open(&month);
    // Half of another file, then the right one from there on.
    let half = rows.len() / 2;
    desk.send(&month, 0, Cursor::new(vec![b'x'; half])).unwrap();
    desk.send(&month, half as u64, Cursor::new(&rows[half..])).unwrap();
    desk.act(&month, Act::Close).unwrap();
    assert_eq!(desk.run(&month, &|| true), Turn::Done);
    let refused = desk.shown(&month);
    assert_eq!((refused.state.as_str(), refused.waiting), ("refused", refused.rows));
    // Until it is opened anew it takes nothing, and says so.
    let problem = Problem::from(desk.send(&month, 0, Cursor::new(&rows)).unwrap_err());
    assert!(problem.exit == Exit::Conflict && problem.next.contains("open it again with the same manifest"), "{problem}");
    let again = desk.open(&month);
    assert_eq!((again.state.as_str(), again.bytes, &again.trouble), ("receiving", 0, &None));
    assert_eq!((all(&*city.store, "push piece").len(), city.store.sum("push rows held").unwrap()), (0, 0));
    // What looks for work takes nothing of the new attempt away.
    desk.send(&month, 0, Cursor::new(&rows)).unwrap();
    mailgw::flow::push::held::waiting(&desk.gateway, &desk.jobs, &desk.gateway.push_limits).unwrap();
    desk.act(&month, Act::Close).unwrap();
    assert_eq!(desk.run(&month, &|| true), Turn::Done);
    let ended = desk.shown(&month);
    assert_eq!((ended.state.as_str(), ended.counts.delivered), ("ended", 5), "{ended:?}");
    let states: Vec<String> = events(&*city.store).into_iter().filter_map(|event| if let Event::PushJobSet(set) = event { Some(set.state) } else { None }).collect();
    assert_eq!(states, ["receiving", "closed", "refused", "receiving", "closed", "ended"]);
}

#[test]
fn a_refusal_that_was_cut_off_leaves_nothing_behind_in_the_next_attempt() {
    let city = City::found();
    let month = month(&city, "housing-fund", "cut", 5);
    let rows = std::fs::read(&month.order.rows).unwrap();
    let desk = Desk::new(&city);
    desk.open(&month);
    desk.send(&month, 0, Cursor::new(vec![b'x'; rows.len()])).unwrap();
    desk.act(&month, Act::Close).unwrap();
    // The refusal is durable, and the process ends before the rows are thrown away.
    let faulty = faulty(&city.store, Some((1, Fault::Lost)));
    let falling = Desk { city: &city, gateway: city.gateway(faulty as Arc<dyn Store>), jobs: Jobs::default() };
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    assert!(job::run(&falling.gateway, &sealer, &city.lists, &falling.jobs, at(&month), &|| true).is_err());
    let desk = Desk::new(&city);
    assert_eq!((desk.shown(&month).state.as_str(), all(&*city.store, "push piece").len()), ("refused", 1));
    assert_eq!(desk.open(&month).bytes, 0);
    assert_eq!((all(&*city.store, "push piece").len(), city.store.sum("push rows held").unwrap()), (0, 0));
    desk.send(&month, 0, Cursor::new(&rows)).unwrap();
    desk.act(&month, Act::Close).unwrap();
    desk.run(&month, &|| true);
    assert_eq!(desk.shown(&month).counts.delivered, 5);
}

/// A store in which somebody else does something, once, when these keys are first looked through.
struct Meanwhile {
    inner: Arc<dyn Store>,
    at: Key,
    other: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Store for Meanwhile {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        if *from == self.at
            && let Some(other) = self.other.lock().unwrap().take()
        {
            other();
        }
        self.inner.scan(from, to, limit)
    }

    fn read_stream(&self, stream: &str, position: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.read_stream(stream, position, limit)
    }

    fn stream_length(&self, stream: &str) -> Result<u64, StoreError> {
        self.inner.stream_length(stream)
    }

    fn counter(&self, counter: &str) -> Result<u64, StoreError> {
        self.inner.counter(counter)
    }

    fn sum(&self, sum: &str) -> Result<u64, StoreError> {
        self.inner.sum(sum)
    }

    fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.inner.commit(batch)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.inner.snapshot()
    }
}

#[test]
fn a_refused_job_that_two_open_at_one_moment_is_begun_once() {
    let city = City::found();
    let month = month(&city, "housing-fund", "twice", 5);
    let rows = std::fs::read(&month.order.rows).unwrap();
    let first = Desk::new(&city);
    first.open(&month);
    first.send(&month, 0, Cursor::new(vec![b'x'; rows.len()])).unwrap();
    first.act(&month, Act::Close).unwrap();
    first.run(&month, &|| true);
    assert_eq!(first.shown(&month).state, "refused");
    // The second found it refused, too; before it goes on the first has opened it and sent half of its rows.
    let half = rows.len() / 2;
    let (gateway, jobs) = (city.gateway(Arc::clone(&city.store)), Jobs::default());
    let others = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let opening = Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };
    let (bureau, batch, begun) = (month.bureau.to_owned(), month.batch.clone(), rows[..half].to_vec());
    let other = move || {
        let lists = runtime::revocation::RevocationLists::new(others.handle().clone());
        job::open(&gateway, &lists, &jobs, (&bureau, &batch), opening).unwrap();
        job::append(&gateway, &jobs, (&bureau, &batch), 0, Cursor::new(begun)).unwrap();
    };
    let store = Meanwhile { inner: Arc::clone(&city.store), at: pieces_range(month.bureau, &month.batch).0, other: Mutex::new(Some(Box::new(other))) };
    let second = Desk { city: &city, gateway: city.gateway(Arc::new(store)), jobs: Jobs::default() };
    let shown = second.open(&month);
    assert_eq!((shown.state.as_str(), shown.bytes), ("receiving", half as u64), "what had come is still there");
    assert_eq!((all(&*city.store, "push piece").len(), city.store.sum("push rows held").unwrap()), (1, half as u64));
    second.send(&month, half as u64, Cursor::new(&rows[half..])).unwrap();
    second.act(&month, Act::Close).unwrap();
    second.run(&month, &|| true);
    assert_eq!((second.shown(&month).counts.delivered, city.store.sum("push rows held").unwrap()), (5, 0));
}

/// A body that breaks off at once.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn the_bytes_that_are_shown_are_durable() {
    let city = City::found();
    let desk = Desk::new(&city);
    let month = month(&city, "pension", "bytes", 5);
    desk.open(&month);
    desk.send(&month, 0, Cursor::new(vec![b'x'; 1_000])).unwrap();
    // An attempt to begin anew that brings nothing leaves what was there.
    assert!(matches!(desk.send(&month, 0, Broken), Err(JobError::Broken { .. })));
    assert_eq!(desk.shown(&month).bytes, 1_000);
    assert_eq!(desk.send(&month, 0, std::io::empty()).unwrap().bytes, 1_000);
    assert_eq!(desk.send(&month, 1_000, Cursor::new(vec![b'x'; 500])).unwrap().bytes, 1_500);
}

#[test]
fn a_job_is_pausing_while_the_rows_under_way_are_delivered() {
    let city = City::found();
    let desk = Desk::new(&city);
    let month = month(&city, "pension", "paused", 1_200);
    desk.open(&month);
    desk.send(&month, 0, std::fs::File::open(&month.order.rows).unwrap()).unwrap();
    desk.act(&month, Act::Close).unwrap();
    let told = Mutex::new(Vec::new());
    let go_on = || {
        let mut told = told.lock().unwrap();
        if told.is_empty() {
            told.push(desk.act(&month, Act::Pause).unwrap().state);
            let busy = Problem::from(desk.act(&month, Act::Cancel).unwrap_err());
            told.push(busy.code);
        }
        true
    };
    assert_eq!(desk.run(&month, &go_on), Turn::Done);
    assert_eq!(*told.lock().unwrap(), ["pausing", "job-busy"]);
    assert_eq!(desk.shown(&month).state, "paused");
    assert_eq!(desk.act(&month, Act::Pause).unwrap().state, "paused");
}

#[test]
fn who_asks_for_what_is_not_done_is_told_what_to_do() {
    let city = City::found();
    let desk = Desk::new(&city);
    let month = month(&city, "pension", "asked", 5);
    let out = city.path("out.jsonl");
    let outcomes = |batch: &str| write_outcomes(&desk.gateway, month.bureau, batch, &out);
    let report = |batch: &str| Problem::from(write_signed(&desk.gateway, &city.lists, month.bureau, batch, &out).unwrap_err());
    assert!(matches!(outcomes("never"), Err(PushError::UnknownBatch { .. })));
    assert_eq!(report("never").code, "unknown-batch");
    desk.open(&month);
    outcomes("asked").unwrap();
    assert_eq!(report("asked").code, "not-ended");
    desk.send(&month, 0, std::fs::File::open(&month.order.rows).unwrap()).unwrap();
    desk.act(&month, Act::Close).unwrap();
    desk.run(&month, &|| true);
    let said = |error: JobError| Problem::from(error);
    let cancelled = said(desk.act(&month, Act::Cancel).unwrap_err());
    assert!(cancelled.message == "job asked is ended and cannot be cancelled" && cancelled.next.starts_with("ask for its outcomes"), "{cancelled}");
    let tried = said(job::dry_run(&desk.gateway, &city.lists, &desk.jobs, at(&month)).unwrap_err());
    assert_eq!(tried.message, "job asked is ended and cannot be tried");
    let other = self::month(&city, "pension", "given-up", 5);
    desk.open(&other);
    desk.act(&other, Act::Cancel).unwrap();
    assert_eq!(report("given-up").message, "batch given-up is cancelled and nothing of it was delivered, so there is no report");
}
