//! A new generation takes over while others are issued for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ca::flow::take_over::{self, TakeOverError};
use ca::flow::Authorised;
use ca::job::{Health, Jobs};
use ca::record::{CrlRecord, IssuerRecord, decode, encode, log};
use ca::service::Service;
use ca::status::Status as Responder;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::Clock;
use store::Batch;
use time::Duration;

use super::place::{FIRST, Place, REPLACED, SECOND, TRY_LATER, UNAUTHORIZED, admin, certify, end, listed, ocsp, signed_by};

#[test]
fn a_generation_takes_over_without_a_gap() {
    let place = Place::new();
    let mut opened = place.found();
    let status = Arc::new(Responder::new(&opened.authority).unwrap());
    opened.authority.watchers.push(Arc::clone(&status) as _);
    // Asked twice, it is the same key.
    let key = || take_over::request(&opened.authority, &Authorised::<ca::flow::Administrator>::service(), FIRST).unwrap().key_sha256;
    let entries = || opened.authority.store.stream_length(ca::record::log::STREAM).unwrap();
    let before = entries();
    assert_eq!(key(), key());
    // And one entry of the log, which names who asked.
    let made = opened.authority.store.read_stream(ca::record::log::STREAM, before, 2).unwrap();
    assert!(made.len() == 1 && made[0][1] == 88 && String::from_utf8_lossy(&made[0]).contains("\"by\":\"service\""), "{made:?}");
    let words = place.words(&opened);
    let authority = &opened.authority;
    let (old, _) = certify(authority);
    let done = place.hold(&words, "ca/root-keys", "out", true).unwrap();
    assert!(done.output.is_none() && !place.path("out").exists());
    place.hold(&words, "ca/root-keys", "out", false).unwrap();
    let der = place.certified("out");
    // Whoever issues meanwhile is never refused, and nobody is issued for by a generation whose answers are not there.
    let (ended, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
    let issued = std::thread::scope(|scope| {
        let issuing = || {
            let (mut issued, mut after) = (Vec::new(), 0);
            while after < 5 {
                issued.push(certify(authority));
                begun.store(issued.len(), Ordering::Relaxed);
                assert_eq!(ocsp(authority, &status, &issued.last().unwrap().1.issuer, &issued.last().unwrap().0), 0x80);
                after += usize::from(ended.load(Ordering::Relaxed));
            }
            issued
        };
        let issuing = scope.spawn(issuing);
        while begun.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        let installed = take_over::install(authority, &admin::<ca::flow::Administrator>(), &der).unwrap();
        assert_eq!((installed.id(), installed.policy_name()), (SECOND, FIRST));
        ended.store(true, Ordering::Relaxed);
        issuing.join().unwrap()
    });
    let by = |id: &str| issued.iter().filter(|(_, record)| record.issuer == id).count();
    assert!(by(FIRST) > 0 && by(SECOND) >= 4 && by(FIRST) + by(SECOND) == issued.len());
    let turn = issued.iter().position(|(_, record)| record.issuer == SECOND).unwrap();
    assert!(issued[turn..].iter().all(|(_, record)| record.issuer == SECOND));
    issued.iter().for_each(|(_, record)| signed_by(record, authority));
    // Both answer, list and revoke, each for its own.
    let new = &issued.last().unwrap().0;
    end(authority, &old);
    end(authority, new);
    assert_eq!([ocsp(authority, &status, FIRST, &old), ocsp(authority, &status, SECOND, new)], [0xa1, 0xa1]);
    assert_eq!((listed(authority, FIRST), listed(authority, SECOND)), (vec![old.clone()], vec![new.clone()]));
    assert!(authority.unmatched().is_empty());
    let told = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    assert_eq!(told.iter().filter(|entry| entry[1] == 84).count(), 1);
    // Once only, and by nobody else's key.
    assert!(matches!(take_over::install(authority, &admin::<ca::flow::Administrator>(), &der), Err(TakeOverError::NotRequested)));
    assert!(matches!(take_over::request(authority, &Authorised::<ca::flow::Administrator>::service(), "nobody-ca"), Err(TakeOverError::Unknown { .. })));
    opened.evidence.advance().unwrap();
    drop((opened, status));
    // It is as durable as all else; one that was cut off before it had a signer gets it at the next start.
    let opened = place.open();
    let record: IssuerRecord = decode(&opened.authority.store.get(&IssuerRecord::key(SECOND)).unwrap().unwrap()).unwrap();
    assert_eq!(certify(&opened.authority).1.issuer, SECOND);
    opened.authority.store.commit(Batch::new().put(IssuerRecord::key(SECOND), encode(&IssuerRecord { ocsp: None, ..record }).unwrap())).unwrap();
    drop(opened);
    let opened = place.open();
    assert_eq!(certify(&opened.authority).1.issuer, SECOND);
    // The jobs see to both, signers too, years later; when the first has ended it is let rest.
    let status = Arc::new(Responder::new(&opened.authority).unwrap());
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), Arc::clone(&status), opened.keys, Arc::new(Health::default()));
    let signers = || service.authority.store.read_stream(log::STREAM, 0, 100_000).unwrap().iter().filter(|entry| entry[1] == REPLACED).count();
    let first = || {
        let issuer = &service.authority.issuers[FIRST];
        let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &old).unwrap();
        let body = status.make(&OcspRequest { ids: vec![id.clone()], nonce: None }).body;
        body.windows(id.der.len()).position(|window| *window == id.der[..]).map_or_else(|| body[4], |at| body[at + id.der.len()])
    };
    let turns = || (0..40).for_each(|_| jobs.turn());
    // Its signer ended long ago, as all its certificates did: it answers again as soon as the jobs come to it, to its own
    // last moment, and no signer is made that would not outlive the one before.
    place.clock.advance(Duration::days(3_600));
    assert_eq!(first(), TRY_LATER);
    turns();
    assert_eq!(first(), 0xa1);
    place.clock.set(service.authority.issuers[FIRST].not_after - Duration::minutes(3));
    let before = signers();
    turns();
    turns();
    assert_eq!((first(), signers() - before), (0xa1, 0));
    // After that nobody can vouch for an answer, and nobody is told to come back.
    for step in [Duration::minutes(4), Duration::days(7)] {
        place.clock.advance(step);
        turns();
        assert_eq!(first(), UNAUTHORIZED);
        assert!(!jobs.health.metrics().contains("part=\"crl\"} 1") && !jobs.health.metrics().contains("part=\"ocsp-signer\"} 1"), "{}", jobs.health.metrics());
    }
    let fresh = |issuer: &str| {
        let list: CrlRecord = decode(&service.authority.store.get(&CrlRecord::key(issuer)).unwrap().unwrap()).unwrap();
        list.next_update > place.clock.now().unix_timestamp()
    };
    assert!(fresh(SECOND) && !fresh(FIRST));
}
