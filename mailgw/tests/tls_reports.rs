//! Reports about TLS: what was counted on a day is told once to who wants to know, signed, in the commit that forgets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use keys::{KeyStore, Passphrase};
use mailgw::bureau::trust::Anchors;
use mailgw::gateway::Gateway;
use mailgw::policy;
use mailgw::record::event::{Event, STREAM};
use mailgw::record::settings::Settings;
use mailgw::daily_report::tls::{TlsReports, Wanted};
use mailgw::daily_report::{due as due_of, report as report_of};
use mailgw::mailbox::MailError;
use mailgw::record::tally::Tally as _;
use mailgw::record::tls_tally::{PolicyTold, Tally};
use runtime::clock::FakeClock;
use store::{Batch, Memory, Store};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-29 01:00 UTC);

fn gateway(place: &tempfile::TempDir, store: Arc<Memory>) -> Gateway {
    let path = place.path().join("policies");
    for (below, shipped) in [("mailbox", &policies::mailbox::SHIPPED[..]), ("push", &policies::push::SHIPPED[..]), ("senders", &policies::sender::SHIPPED[..]), ("statements", &policies::statement::SHIPPED[..])] {
        std::fs::create_dir_all(path.join(below)).unwrap();
        shipped.iter().for_each(|(file, text)| std::fs::write(path.join(below).join(file), text).unwrap());
    }
    let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
    let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let settings = Settings { domain: "mail.gz.example".into(), host: "mx.mail.gz.example".into(), log_origin: "mx/mailgw".into(), log_key: "unused".into() };
    let anchors = Anchors::parse(root.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    Gateway::open(store, settings, Arc::new(keys), anchors, policy::read(&path).unwrap(), Arc::new(FakeClock::new(NOW))).unwrap()
}

fn count(store: &Memory, day: u64, domain: &str) -> Tally {
    let mut tally = Tally::new(day, domain);
    tally.add(&PolicyTold { policy_type: "no-policy-found".into(), policy_string: Vec::new(), mx_host: Vec::new() }, Some("mx.c.cn"), Ok(()), 3);
    store.commit(Batch::new().put(Tally::key(day, domain), tally.encode().unwrap())).unwrap();
    tally
}

fn due(gateway: &Gateway, now: OffsetDateTime) -> Result<Vec<Tally>, MailError> {
    due_of(gateway, now)
}

fn report(gateway: &Gateway, tally: &Tally, wanted: &Wanted, now: OffsetDateTime) -> Result<(), MailError> {
    report_of::<TlsReports>(gateway, tally, wanted, now)
}

#[test]
fn a_day_is_reported_once() {
    let (place, store) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new()));
    let gateway = gateway(&place, Arc::clone(&store));
    gateway.dkim.make("s1", None, 0).unwrap();
    gateway.dkim.use_selector("s1", 0).unwrap();
    let today = u64::try_from(NOW.unix_timestamp() / 86_400).unwrap();
    let (yesterday, now) = (count(&store, today - 1, "c.cn"), NOW);
    count(&store, today, "c.cn");
    assert_eq!(due(&gateway, now).unwrap(), [yesterday.clone()]);
    // The DNS does not say who wants it: for some days it is asked again.
    report(&gateway, &yesterday, &Wanted::Unknown, now).unwrap();
    assert_eq!(due(&gateway, now).unwrap().len(), 1);
    report(&gateway, &yesterday, &Wanted::By(vec!["tls@c.cn".into(), "not an address".into()]), now).unwrap();
    assert!(due(&gateway, now).unwrap().is_empty());
    // Told a second time, of what is no more, it is nothing.
    report(&gateway, &yesterday, &Wanted::By(vec!["tls@c.cn".into()]), now).unwrap();
    let item = gateway.queue.take(now).unwrap();
    assert_eq!((item.domain.as_str(), gateway.queue.take(now)), ("c.cn", None));
    let queued = gateway.queue.get(mailgw::record::body::BodyId(item.id)).unwrap().unwrap();
    let letter = String::from_utf8(gateway.queue.message(mailgw::record::body::BodyId(item.id), &queued).unwrap()).unwrap();
    assert!(letter.starts_with("DKIM-Signature: ") && letter.contains("\r\nTLS-Report-Domain: c.cn\r\n") && letter.contains("\r\nTLS-Required: No\r\n"), "{letter}");
    assert!(queued.reverse_path.is_none() && queued.recipients[0].address == "tls@c.cn");
    let last = store.stream_length(STREAM).unwrap() - 1;
    let leaf = store.read_stream(STREAM, last, 1).unwrap().remove(0);
    assert!(matches!(Event::from_leaf(&leaf).unwrap().0, Event::TlsReportQueued(told) if told.day == today - 1));
    // Nobody ever wanted to know of another, and nobody could be asked about an old one.
    let other = count(&store, today - 1, "d.cn");
    report(&gateway, &other, &Wanted::Nobody, now).unwrap();
    let today_is_over = count(&store, today, "e.cn");
    report(&gateway, &today_is_over, &Wanted::Unknown, now + Duration::days(4)).unwrap();
    assert_eq!(due(&gateway, now + Duration::days(4)).unwrap().len(), 1);
}

#[test]
fn more_domains_than_are_read_at_once_are_all_due_and_none_of_today() {
    let (place, store) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new()));
    let gateway = gateway(&place, Arc::clone(&store));
    let today = u64::try_from(NOW.unix_timestamp() / 86_400).unwrap();
    let days: [(u64, usize); 3] = [(today - 2, 201), (today - 1, 250), (today, 200)];
    let mut expected: Vec<(u64, String)> = Vec::new();
    for (day, count_of) in days {
        for number in 0..count_of {
            let domain = format!("d{number:03}.cn");
            count(&store, day, &domain);
            if day < today {
                expected.push((day, domain));
            }
        }
    }
    let found: Vec<_> = due(&gateway, NOW).unwrap().into_iter().map(|tally| (tally.day, tally.domain)).collect();
    assert_eq!(found, expected);
}
