//! A gateway that is asked to end while a month is pushed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use certs_test::office::Office;

/// Waits at most half a minute.
fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The push ends at a commit and says so, the gateway waits for it and ends well, and the same push goes on afterwards.
#[test]
fn a_push_stops_at_a_commit_and_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 8);
    office.sign("pension");
    // Nothing is sealed while the gateway is asked to end.
    office.signal_sealer("-STOP");
    let log = place.path().join("mailgw.log");
    let said = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| office.push_signed("pension"));
        until("the push", || std::fs::read_to_string(&log).unwrap().contains("\"pushing\"").then_some(()));
        office.ask_gateway_to_end();
        until("the end", || std::fs::read_to_string(&log).unwrap().contains("shutting down").then_some(()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!std::fs::read_to_string(&log).unwrap().contains("\"ended\""), "it ended before its work");
        office.signal_sealer("-CONT");
        pushing.join().unwrap()
    });
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.contains("\"stopped\"") && said.err.contains("push again"), "{said:?}");
    let ended = until("the gateway's end", || office.gateway_ended());
    assert!(ended.success(), "{ended}: {}", std::fs::read_to_string(&log).unwrap());
    office.start_gateway();
    let report = office.push_signed("pension").json();
    assert_eq!((&report["counts"]["delivered"], &report["counts"]["duplicate"]), (&8.into(), &0.into()), "{report:#}");
}
