//! A dry run: every row is judged as it would be, and nothing but the log knows of it afterwards.

use std::io::Cursor;

use mailgw::flow::push::dry_run;
use mailgw::flow::push::job::{self, JobError, Jobs, Opening};
use mailgw::record::job::Format;

use super::*;

/// Everything that the store holds but its log.
fn held(store: &dyn Store) -> Vec<Vec<(Key, Vec<u8>)>> {
    ["push batch", "push rows", "push item", "push job", "push job held", "push piece", "body", "evidence batch", "evidence place", "month before", "folder"].map(|kind| all(store, kind)).to_vec()
}

#[test]
fn what_is_tried_turns_out_so_and_changes_nothing() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let month = month(&city, "housing-fund", "tried", 501);
    let (before, sealing) = (held(&*city.store), events(&*city.sealing));
    let outcomes = city.path("outcomes.jsonl");
    let order = mailgw::flow::push::Order { report: Some(outcomes.clone()), ..month.order.clone() };
    let trial = dry_run(&gateway, &city.lists, &order, &mut |_| true).unwrap();
    assert_eq!((trial.rows, trial.counts), (505, Counts { delivered: 501, duplicate: 1, quarantined: 2, undeliverable: 1 }));
    assert_eq!(std::fs::read_to_string(&outcomes).unwrap().lines().count(), 505);
    assert_eq!((held(&*city.store), events(&*city.sealing)), (before, sealing), "a dry run left something behind");
    assert!(delivered(&city, &gateway).is_empty());
    let Some(Event::PushTried(told)) = events(&*city.store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.rows, told.reachable, told.batch.as_str()), (505, 501, "tried"));
    // The real one comes out as it was told, row by row.
    let report = pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    assert_eq!(report.counts, trial.counts);
    assert_eq!(report.not_delivered, trial.not_delivered);
    whole(&city, &gateway, &month, &report, "after a dry run");
}

#[test]
fn a_dry_run_refuses_what_a_push_would_refuse() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let month = month(&city, "housing-fund", "refused", 3);
    let length = city.store.stream_length(STREAM).unwrap();
    let other = mailgw::flow::push::Order { manifest: month.order.manifest.replace("202610", "202609"), ..month.order.clone() };
    assert!(matches!(dry_run(&gateway, &city.lists, &other, &mut |_| true), Err(PushError::Manifest(_))));
    std::fs::write(&month.order.rows, "stmt_id\r\n").unwrap();
    assert!(matches!(dry_run(&gateway, &city.lists, &month.order, &mut |_| true), Err(PushError::Header(_))));
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length);
}

#[test]
fn a_job_that_was_tried_is_forgotten_and_may_be_opened_again() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let jobs = Jobs::default();
    let month = month(&city, "housing-fund", "job", 5);
    let at = (month.bureau, month.batch.as_str());
    let rows = std::fs::read(&month.order.rows).unwrap();
    let opening = || Opening { manifest: month.order.manifest.clone(), signature: month.order.signature.clone(), format: Format::Csv };
    let before = held(&*city.store);
    for _ in 0..2 {
        job::open(&gateway, &city.lists, &jobs, at, opening()).unwrap();
        job::append(&gateway, &jobs, at, 0, Cursor::new(&rows)).unwrap();
        let trial = job::dry_run(&gateway, &city.lists, &jobs, at).unwrap();
        assert_eq!((trial.counts.delivered, trial.not_delivered.len()), (5, 4));
        assert_eq!(held(&*city.store), before, "a dry run left something behind");
        assert!(matches!(job::dry_run(&gateway, &city.lists, &jobs, at), Err(JobError::Unknown { .. })));
    }
    // Only what awaits its rows is tried.
    job::open(&gateway, &city.lists, &jobs, at, opening()).unwrap();
    job::append(&gateway, &jobs, at, 0, Cursor::new(&rows)).unwrap();
    job::act(&gateway, &jobs, at, job::Act::Close).unwrap();
    assert!(matches!(job::dry_run(&gateway, &city.lists, &jobs, at), Err(JobError::State { .. })));
    // More rows than persons may be asked about in an hour.
    let many = self::month(&city, "housing-fund", "many", 2_001);
    let at = (many.bureau, many.batch.as_str());
    job::open(&gateway, &city.lists, &jobs, at, Opening { manifest: many.order.manifest.clone(), signature: many.order.signature.clone(), format: Format::Csv }).unwrap();
    assert!(matches!(job::dry_run(&gateway, &city.lists, &jobs, at), Err(JobError::Push(error)) if matches!(*error, PushError::TrialTooLong { .. })));
}
