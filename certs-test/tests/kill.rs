//! kill −9 at any moment of issuing, revoking and publishing: nothing acknowledged is lost or doubled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use certs_test::programs::Authority;

/// Rounds in the ordinary tests; `SUIYIN_KILLS` asks for more.
const ROUNDS: u64 = 40;

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let rounds = std::env::var("SUIYIN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.request("a", "/C=CN");
    let csr = authority.path("a.csr");
    let mut acknowledged: HashMap<String, &str> = HashMap::new();
    let mut number = 0;
    for round in 0..rounds {
        authority.start();
        // A delay that walks over all phases of the work: deterministic, so that a failure can be met again.
        let delay = Duration::from_millis((round * 37) % 400);
        let done = std::thread::scope(|scope| {
            let (working, csr) = (&authority, &csr);
            let ended = Arc::new(AtomicBool::new(false));
            let told = Arc::clone(&ended);
            let worker = scope.spawn(move || {
                let mut done = Vec::new();
                // Without a service a command opens the store itself: the end has to be told.
                while !ended.load(Ordering::Relaxed) {
                    let said = working.ca(&["--json", "issue", "enterprise-signing", "--request", csr, "--name", "甲", "--code", "91440101MAT000018G"]);
                    if said.code != 0 {
                        return done;
                    }
                    let serial = said.json()["serial"].as_str().unwrap().to_owned();
                    done.push((serial.clone(), "good"));
                    if working.ca(&["--json", "revoke", &serial, "--reason", "superseded"]).code != 0 {
                        return done;
                    }
                    done.push((serial, "revoked"));
                    if working.ca(&["crl", "publish", "enterprise-ca"]).code != 0 {
                        return done;
                    }
                }
                done
            });
            std::thread::sleep(delay);
            authority.stop_hard();
            told.store(true, Ordering::Relaxed);
            worker.join().unwrap()
        });
        acknowledged.extend(done);
        authority.reap();
        let listed = authority.ca(&["--json", "list", "--code", "91440101MAT000018G", "--limit", "1000"]).json();
        let mut states = HashMap::new();
        for one in listed.as_array().unwrap() {
            let (serial, state) = (one["serial"].as_str().unwrap().to_owned(), one["state"].as_str().unwrap().to_owned());
            assert_eq!(states.insert(serial, state), None, "a serial twice in round {round}");
        }
        for (serial, state) in &acknowledged {
            let found = states.get(serial).unwrap_or_else(|| panic!("round {round}: {serial} is lost"));
            // A revocation may have been done and not acknowledged; never the other way round.
            assert!(found == state || (*state == "good" && found == "revoked"), "round {round}: {serial} is {found}, was {state}");
        }
        let published = authority.ca(&["--json", "crl", "publish", "enterprise-ca"]).json();
        let next = published[0]["number"].as_u64().unwrap();
        assert!(next > number, "round {round}: CRL number {next} after {number}");
        number = next;
    }
    assert!(acknowledged.len() as u64 > rounds / 4, "only {} certificates in {rounds} rounds", acknowledged.len());
    let exported = authority.ca(&["--json", "log", "export", "export"]).json();
    authority.ca(&["log", "verify", "export", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
}
