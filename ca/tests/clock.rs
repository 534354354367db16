//! A host's clock that steps back: nothing is signed or recorded until it is right, and the reason is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use ca::flow::hold;
use ca::flow::{Administrator, Authorised, Operator, publish};
use ca::init::{Opened, init, open, open_at};
use ca::record::{CrlHead, decode, log};
use keys::Passphrase;
use runtime::clock::{Clock, FakeClock};
use store::Batch;
use time::{Duration, OffsetDateTime};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn published(opened: &Opened) -> Result<CrlHead, ca::problem::IssueError> {
    let issuer = &opened.authority.issuers["tls-ca"];
    publish::publish(&opened.authority, &Authorised::<Administrator>::service(), issuer)
}

#[test]
fn nothing_is_recorded_before_what_is_recorded() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("ca");
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
    let handed: Arc<dyn Clock> = clock.clone();
    drop(init(&directory, "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::clone(&handed)).unwrap());
    let opened = open(&directory, None, &passphrase(), Arc::clone(&handed)).unwrap();
    clock.advance(Duration::hours(2));
    let first = published(&opened).unwrap();
    let entries = || opened.authority.store.stream_length(log::STREAM).unwrap();
    let before = entries();

    // A little is nothing: time services do that.
    clock.advance(Duration::seconds(-2));
    assert!(opened.authority.store.commit(Batch::new()).is_ok());
    // An hour is not: no list, no hold, no head, and the health check hears why.
    clock.advance(Duration::hours(-1));
    let refused = published(&opened).unwrap_err().to_string();
    assert!(refused.contains("the host's clock stands before 20"), "{refused}");
    let serial = ca::record::serial_text(&opened.authority.issuers["tls-ca"].serial);
    assert!(hold::suspend(&opened.authority, &Authorised::<Operator>::service(), &serial).is_err());
    assert!(opened.authority.store.commit(Batch::new()).is_err());
    assert_eq!(entries(), before);
    let kept: CrlHead = decode(&opened.authority.store.get(&CrlHead::of("tls-ca", ca::record::Scope::Whole)).unwrap().unwrap()).unwrap();
    assert_eq!(kept, first);
    drop(opened);

    // A restart forgets nothing: the log tells.
    let opened = open(&directory, None, &passphrase(), Arc::clone(&handed)).unwrap();
    assert!(published(&opened).unwrap_err().to_string().contains("the host's clock stands before"));
    drop(opened);
    // Right again, all goes on; the number rises.
    clock.advance(Duration::hours(1) + Duration::seconds(30));
    let opened = open(&directory, None, &passphrase(), Arc::clone(&handed)).unwrap();
    assert!(published(&opened).unwrap().number > first.number);
    drop(opened);

    // Or it had been ahead, and a person says so once: recorded, and the next start needs no word.
    clock.advance(Duration::hours(-1));
    let opened = open_at(&directory, None, &passphrase(), Arc::clone(&handed), true).unwrap();
    let last = opened.authority.store.stream_length(log::STREAM).unwrap() - 1;
    let leaf = opened.authority.store.read_stream(log::STREAM, last, 1).unwrap().remove(0);
    assert_eq!((leaf[1], log::at(&leaf).unwrap() / 1_000), (9, clock.now().unix_timestamp()));
    let list = published(&opened).unwrap();
    assert!(list.number > first.number + 1);
    drop(opened);
    let opened = open(&directory, None, &passphrase(), handed).unwrap();
    assert!(published(&opened).unwrap().number > list.number);
}
