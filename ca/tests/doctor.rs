//! What the doctor says of a founded authority, and what is refused at start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use ca::doctor::{Grade, examine};
use ca::init::{Configuration, init_bound, InitError, open};
use policies::certificate::HostName;
use ca::service::Service;
use keys::Passphrase;
use runtime::clock::{Clock, FakeClock, SystemClock};
use time::Duration;

#[test]
fn a_new_authority_is_well_and_an_old_one_is_not() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
    let clock = Arc::new(FakeClock::new(SystemClock.now()));
    let opened = init_bound(&home, "http://127.0.0.1:8440", Configuration::new("127.0.0.1:8440".parse().unwrap()), &[HostName::parse("mail.example.cn").unwrap()], &passphrase, &passphrase, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let grades = |grade: Grade| -> Vec<String> {
        let found = examine(&service).unwrap().findings;
        found.into_iter().filter(|finding| finding.grade == grade).map(|finding| finding.what).collect()
    };
    assert_eq!((grades(Grade::Warn), grades(Grade::Fail)), (vec![], vec![]));
    // Five lists, the parts of two, five issuers, four signers, what one is bound to, that of timestamps, the intents, the notices, the log, the clock.
    assert_eq!(grades(Grade::Ok).len(), 23);
    let length = service.authority.store.stream_length("log").unwrap();
    clock.advance(Duration::days(-1));
    assert!(matches!(&grades(Grade::Fail)[..], [clock] if clock.starts_with("clock: ")));
    clock.advance(Duration::days(101));
    let fails = grades(Grade::Fail);
    // Four lists, the parts of two, four signers; and no service made the deltas.
    let (missing, ended): (Vec<&String>, Vec<&String>) = fails.iter().partition(|what| what.starts_with("delta CRL of ") && what.contains("there is none"));
    assert!(missing.len() == 4 && ended.len() == 10 && ended.iter().all(|what| what.contains("ended")), "{fails:?}");
    assert_eq!(service.authority.store.stream_length("log").unwrap(), length);

    // A profile less, and an authority has nothing to sign: that is no authority to start.
    drop((service, opened.directory, opened.keys));
    for profile in ["tls-server.toml", "ocsp.toml"] {
        std::fs::remove_file(home.join("policies/certificates").join(profile)).unwrap();
    }
    let refused = open(&home, None, &passphrase, Arc::new(SystemClock)).err();
    assert!(matches!(&refused, Some(InitError::Unmatched { what }) if what.contains("tls-ca")), "{refused:?}");
}
