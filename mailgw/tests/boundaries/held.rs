//! Rows that wait for delivery are bounded over all jobs, and a job that cannot be read keeps no other from its turn.

use std::io::Cursor;

use mailgw::flow::push::held;
use mailgw::flow::push::job::{self, Act, JobError, Jobs, Opening};
use mailgw::record::job::{Format, Job};
use store::Batch;

use super::*;

#[test]
fn rows_are_bounded_over_all_jobs_and_what_is_over_is_looked_at_no_more() {
    let city = City::found();
    let mut gateway = city.gateway(Arc::clone(&city.store));
    gateway.push_limits.held_megabytes = 1;
    let (gateway, jobs) = (gateway, Jobs::default());
    let months = ["one", "two", "three"].map(|batch| month(&city, "housing-fund", batch, 300));
    let open = |month: &Month| {
        let opening = Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };
        job::open(&gateway, &city.lists, &jobs, (month.bureau, &month.batch), opening).unwrap();
    };
    months.iter().for_each(open);
    let [one, two, three] = months.each_ref().map(|month| (month.bureau, month.batch.as_str()));
    let send = |at, from: u64, count: usize| job::append(&gateway, &jobs, at, from, Cursor::new(vec![b'x'; count])).map(|shown| shown.bytes);
    let held = || city.store.sum("push rows held").unwrap();
    // 1. Begun anew, rows count once.
    assert_eq!(send(one, 0, 700_000).unwrap(), 700_000);
    assert_eq!(send(one, 0, 600_000).unwrap(), 600_000);
    assert_eq!((held(), all(&*city.store, "push piece").len()), (600_000, 1));
    // 2. Another's have no room beside them; what has come of them stays.
    assert_eq!(send(two, 0, 300_000).unwrap(), 300_000);
    assert!(matches!(send(two, 300_000, 300_000), Err(JobError::Full { durable: 300_000 })));
    // 3. What is over gives its room back, once, and is not looked at again.
    job::act(&gateway, &jobs, one, Act::Cancel).unwrap();
    for _ in 0..2 {
        assert_eq!(held::waiting(&gateway, &jobs, &gateway.push_limits).unwrap(), []);
        assert_eq!((held(), all(&*city.store, "push job held").len(), all(&*city.store, "push job").len()), (300_000, 2, 3));
    }
    assert_eq!(send(two, 300_000, 300_000).unwrap(), 600_000);
    // 4. One that cannot be read.
    job::act(&gateway, &jobs, two, Act::Close).unwrap();
    city.store.commit(Batch::new().put(Job::key(three.0, three.1), b"\x01{}".as_slice())).unwrap();
    assert_eq!(held::waiting(&gateway, &jobs, &gateway.push_limits).unwrap(), [(two.0.to_owned(), two.1.to_owned())]);
}

#[test]
fn jobs_of_before_there_were_marks_get_theirs() {
    let city = City::found();
    let (gateway, jobs) = (city.gateway(Arc::clone(&city.store)), Jobs::default());
    let month = month(&city, "housing-fund", "old", 300);
    let opening = Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };
    job::open(&gateway, &city.lists, &jobs, (month.bureau, &month.batch), opening).unwrap();
    job::append(&gateway, &jobs, (month.bureau, &month.batch), 0, Cursor::new(vec![b'x'; 1_000])).unwrap();
    let (marks, before) = (all(&*city.store, "push job held"), city.store.sum("push rows held").unwrap());
    // As it was left by a program that knew of no marks.
    let forgotten = marks.iter().fold(Batch::new().delete(Key::new("push jobs marked", &[])), |write, (key, _)| write.delete(key.clone()));
    city.store.commit(forgotten).unwrap();
    for _ in 0..2 {
        held::mark_held(&*city.store).unwrap();
        assert_eq!((all(&*city.store, "push job held"), city.store.sum("push rows held").unwrap()), (marks.clone(), 2 * before));
    }
}
