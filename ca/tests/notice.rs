//! Notices through the last days of certificates, by a clock of our own: each stage once, whatever ends in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::contact;
use ca::flow::hold::suspend;
use ca::flow::issue::{Order, issue};
use ca::flow::notice::due;
use ca::flow::outbox::{Done, Outcome, collect, done, list, retry};
use ca::flow::plan::Words;
use ca::flow::replace::{Correct, correct};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Authorised, Courier, Operator};
use ca::init::init;
use ca::letter::Letter;
use ca::problem::IssueError;
use ca::record::{NoticeState, Reason, Recipient, Status, Unread, log, serial_text};
use keys::Passphrase;
use runtime::clock::{Clock, FakeClock};
use store::{Fault, Faulty, Store};
use time::Duration;
use time::macros::datetime;

/// Credit codes of nobody, each valid.
const CODES: [&str; 6] = ["91440101MAT000018G", "91440101MAT000026B", "914401069876543001", "12440100MAT9901707", "91440101MAT000018G", "91440101MAT000026B"];
/// Two years, from a founding at the beginning of a day in the city.
const LIFE: i64 = 730;

/// An authority and a gateway that takes its letters.
struct Office {
    authority: Authority,
    clock: Arc<FakeClock>,
    /// How often each letter came, and the last one.
    delivered: BTreeMap<String, (usize, Letter)>,
    _place: tempfile::TempDir,
}

fn admin() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn courier() -> Authorised<Courier> {
    Authorised::by_outbox(8)
}

impl Office {
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(datetime!(2026-11-28 16:00 UTC)));
        let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
        let listen = "127.0.0.1:8440".parse().unwrap();
        let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase, &passphrase, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let authority = opened.authority;
        Self { authority, clock, delivered: BTreeMap::new(), _place: place }
    }

    fn issue(&self, holder: usize, mailbox: Option<&str>) -> String {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let applicant = Words { name: Some(format!("广州测试{holder}有限公司")), code: Some(CODES[holder].into()), mailbox: mailbox.map(str::to_owned), ..Words::default() };
        let order = Order { profile: "enterprise-signing".into(), request, applicant, issuer: None };
        serial_text(&issue(&self.authority, admin(), order).unwrap().what().serial)
    }

    /// Until so many days before the end of a certificate that was issued at the founding.
    fn until(&self, days_left: i64) {
        self.clock.set(datetime!(2026-11-28 16:00 UTC) + Duration::days(LIFE - days_left));
    }

    /// One turn of the job.
    fn turn(&self) {
        for _ in 0..50 {
            if due(&self.authority).unwrap().looked_at == 0 {
                return;
            }
        }
        panic!("the windows are never done");
    }

    /// The gateway takes all there is.
    fn take(&mut self) {
        loop {
            let page = collect(&self.authority, &courier()).unwrap();
            if page.letters.is_empty() {
                return;
            }
            let told: Vec<Done> = page.letters.iter().map(|letter| Done { id: letter.id.clone(), outcome: Outcome::Delivered("ab".repeat(32)) }).collect();
            for letter in page.letters {
                let (times, last) = self.delivered.entry(letter.id.clone()).or_insert((0, letter.clone()));
                // The same words whenever it is handed over.
                assert_eq!(*last, letter);
                *times += 1;
            }
            done(&self.authority, &courier(), &told).unwrap();
        }
    }

    /// The stages that were delivered for a certificate.
    fn stages(&self, serial: &str) -> Vec<&str> {
        self.delivered.keys().filter_map(|id| id.strip_prefix(serial)?.strip_prefix('.')).collect()
    }

    fn in_state(&self, state: NoticeState) -> Vec<String> {
        list(&self.authority, Some(state), 1_000).unwrap().iter().map(ca::record::Notice::id).collect()
    }
}

fn sorted(stages: &[&'static str]) -> Vec<&'static str> {
    let mut stages = stages.to_vec();
    stages.sort_unstable();
    stages
}

#[test]
fn through_sixty_two_days_every_stage_is_told_once_to_whom_it_concerns() {
    let mut office = Office::found();
    let told = office.issue(0, Some("1234567897@mail.example.cn"));
    let (silent, revoked, renewed, held) = (office.issue(1, None), office.issue(2, Some("a@mail.example.cn")), office.issue(3, Some("b@mail.example.cn")), office.issue(2, None));
    revoke(&office.authority, &admin(), &Revoke { serial: revoked.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    office.until(70);
    let after = office.issue(3, Some("b@mail.example.cn"));
    office.until(62);
    suspend(&office.authority, &admin(), &held).unwrap();
    let mut reached = BTreeMap::new();
    for quarter in 0..62 * 4 + 2 {
        office.clock.set(datetime!(2026-11-28 16:00 UTC) + Duration::days(LIFE - 62) + Duration::hours(6 * quarter));
        office.turn();
        office.take();
        for stage in office.stages(&told) {
            reached.entry(stage.to_owned()).or_insert(62 - quarter / 4);
        }
    }
    assert_eq!(office.stages(&told), sorted(&["60-days", "30-days", "14-days", "7-days", "3-days", "1-days", "filing-2028-12-15"]));
    for (stage, day) in [("60-days", 60), ("30-days", 30), ("14-days", 14), ("7-days", 7), ("3-days", 3), ("1-days", 1)] {
        assert_eq!(reached[stage], day, "{stage}");
    }
    // The 15th of December less twenty days is the 25th of November: three days before the end, or two of the clock here.
    assert!((2..=3).contains(&reached["filing-2028-12-15"]), "{reached:?}");
    assert!(office.delivered.values().all(|(times, _)| *times == 1));
    for serial in [&revoked, &renewed, &held, &after, &silent] {
        assert_eq!(office.stages(serial), Vec::<&str>::new());
    }
    // Who has no mailbox stands in the operator's list, once for each stage.
    assert_eq!(office.in_state(NoticeState::Unaddressed).len(), 7);
    let lists: Vec<&Letter> = office.delivered.values().map(|(_, letter)| letter).filter(|letter| letter.id.starts_with("unaddressed.")).collect();
    assert_eq!(lists.iter().map(|letter| letter.text.matches(silent.as_str()).count()).sum::<usize>(), 7);
    assert!(lists.iter().all(|letter| letter.to == Recipient::Operator && !letter.text.contains(told.as_str())));
    // The log proves what was sent, and says nothing of whom.
    let entries = office.authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    let sent: Vec<_> = entries.iter().filter(|entry| entry[1] == 110).collect();
    assert_eq!(sent.len(), office.delivered.len());
    assert!(sent.iter().all(|entry| !String::from_utf8_lossy(entry).contains(told.as_str())));
    // Nor does a digest that whoever knows a name could make: the same message's is the same, under a key that they have not.
    let digests: std::collections::BTreeSet<String> = sent.iter().map(|entry| serde_json::from_slice::<serde_json::Value>(&entry[10..]).unwrap()["message"].as_str().unwrap().to_owned()).collect();
    assert!(digests.len() == 1 && digests.iter().all(|digest| digest.len() == 64 && *digest != "ab".repeat(32)), "{digests:?}");
}

#[test]
fn a_letter_says_what_ends_when_and_what_to_do() {
    let mut office = Office::found();
    let serial = office.issue(0, Some("1234567897@mail.example.cn"));
    office.until(60);
    office.turn();
    office.take();
    let letter = &office.delivered[&format!("{serial}.60-days")].1;
    assert_eq!(letter.to, Recipient::Mailbox("1234567897@mail.example.cn".into()));
    assert!(letter.subject.starts_with("企业签名证书还剩 60 天到期 / "), "{}", letter.subject);
    let chinese = letter.text.split("----------").next().unwrap();
    for word in [serial.as_str(), "广州测试0有限公司", "2028-11-27 23:59:59", "openssl req -new"] {
        assert!(chinese.contains(word), "{word}: {chinese}");
    }
    let english = letter.text.split("----------").nth(1).unwrap();
    assert!(english.contains("Ends      2028-11-27 23:59:59 (Beijing time)") && english.contains(serial.as_str()), "{english}");
    // The one address is for a command; there is none to log in at.
    assert_eq!((letter.text.matches("http").count(), letter.text.matches("http://127.0.0.1:8440/renew").count()), (1, 1));
}

#[test]
fn what_was_missed_is_told_by_the_latest_stage_alone() {
    // The service was down.
    let mut office = Office::found();
    let serial = office.issue(0, Some("a@mail.example.cn"));
    office.until(65);
    office.turn();
    office.until(5);
    office.turn();
    office.take();
    assert_eq!(office.stages(&serial), sorted(&["7-days"]));
    office.until(0);
    office.clock.advance(Duration::hours(12));
    office.turn();
    office.take();
    assert_eq!(office.stages(&serial), sorted(&["7-days"]), "it has ended");
    // The gateway was: what it finds is one letter, and not the stages before.
    let mut office = Office::found();
    let serial = office.issue(0, Some("a@mail.example.cn"));
    for day in [60, 30, 14, 10] {
        office.until(day);
        office.turn();
    }
    office.take();
    assert_eq!(office.stages(&serial), sorted(&["14-days"]));
    assert_eq!(office.in_state(NoticeState::Dropped).len(), 2);
    // What was queued and is revoked before it went out says nothing any more.
    let mut office = Office::found();
    let serial = office.issue(0, Some("a@mail.example.cn"));
    office.until(30);
    office.turn();
    revoke(&office.authority, &admin(), &Revoke { serial: serial.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    office.take();
    assert_eq!(office.stages(&serial), Vec::<&str>::new());
}

/// The new one bears another name and ends no later: only the link between the two tells that it took the other's place.
#[test]
fn a_certificate_that_was_corrected_is_told_of_no_more() {
    let mut office = Office::found();
    let serial = office.issue(0, Some("a@mail.example.cn"));
    office.until(65);
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let order = Correct { serial: serial.clone(), request, name: Some("广州新名有限公司".into()), mailbox: None, reason: Reason::AffiliationChanged, overlap_days: Some(30) };
    correct(&office.authority, &admin(), &order).unwrap();
    office.until(60);
    assert_eq!(ca::register::get(&*office.authority.store, &ca::register::serial(&serial).unwrap()).unwrap().status, Status::Good);
    office.turn();
    office.take();
    assert_eq!(office.stages(&serial), Vec::<&str>::new());
}

/// The store fails at every commit of finding, handing over and telling, once lost and once done but unheard of.
#[test]
fn no_failure_loses_or_doubles_a_notice() {
    let mut office = Office::found();
    let whole: Arc<dyn Store> = Arc::clone(&office.authority.store);
    let mut stage = 0;
    let mut serial = office.issue(0, Some("a@mail.example.cn"));
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        for commit in 0..8 {
            // Certificates that come to their next stage, one after another.
            let day = [30, 14, 7, 3][stage % 4];
            if stage.is_multiple_of(4) {
                serial = office.issue(0, Some("a@mail.example.cn"));
            }
            let born = ca::register::get(&*whole, &ca::register::serial(&serial).unwrap()).unwrap().not_after;
            office.clock.set(time::OffsetDateTime::from_unix_timestamp(born).unwrap() - Duration::days(day));
            stage += 1;
            office.authority.store = Arc::new(Faulty::new(Arc::clone(&whole)).at(commit, fault));
            // The service ends at the first error; the gateway has delivered what it was given and tells of it again later.
            let letters = due(&office.authority).and_then(|_| collect(&office.authority, &courier())).map(|page| page.letters).unwrap_or_default();
            let told: Vec<Done> = letters.iter().map(|letter| Done { id: letter.id.clone(), outcome: Outcome::Delivered("ab".repeat(32)) }).collect();
            let heard = done(&office.authority, &courier(), &told).is_ok();
            letters.iter().for_each(|letter| _ = office.delivered.entry(letter.id.clone()).or_insert((1, letter.clone())));
            office.authority.store = Arc::clone(&whole);
            if !heard {
                done(&office.authority, &courier(), &told).unwrap();
            }
            office.turn();
            office.take();
            let id = format!("{serial}.{day}-days");
            assert_eq!(office.delivered.get(&id).map(|(times, _)| *times), Some(1), "{fault:?} at {commit}: {id}");
            assert!(office.in_state(NoticeState::Queued).is_empty());
        }
    }
    assert!(office.delivered.values().all(|(times, _)| *times == 1), "{:?}", office.delivered.iter().map(|(id, (times, _))| (id, times)).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_delivered_waits_longer_each_time_and_fails_at_last() {
    let office = Office::found();
    let (full, unknown) = (office.issue(0, Some("full@mail.example.cn")), office.issue(1, Some("unknown@mail.example.cn")));
    office.until(60);
    office.turn();
    let of = |serial: &str| format!("{serial}.60-days");
    let tell = |serial: &str, outcome: Outcome| done(&office.authority, &courier(), &[Done { id: of(serial), outcome }]).unwrap();
    let waiting = || collect(&office.authority, &courier()).unwrap().letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>();
    tell(&unknown, Outcome::Refused(Unread::UnknownMailbox));
    assert_eq!(office.in_state(NoticeState::Failed), [of(&unknown)]);
    let mut tries = 0;
    while waiting().contains(&of(&full)) {
        tell(&full, Outcome::Later(Unread::MailboxFull));
        assert!(!waiting().contains(&of(&full)), "it waits");
        office.clock.advance(Duration::minutes(1) * 2_i32.pow(tries.min(10)));
        office.clock.advance(Duration::hours(if tries > 10 { 24 } else { 0 }));
        tries += 1;
        assert!(tries < 40);
    }
    assert!(tries >= 20, "{tries}");
    assert_eq!(office.in_state(NoticeState::Failed).len(), 2);
    // The operator mends it and has them go out again.
    assert_eq!(retry(&office.authority, &admin(), Some(&of(&unknown))).unwrap().len(), 1);
    for id in [of(&unknown), "nothing".into(), "a.b.c".into(), String::new()] {
        assert!(matches!(retry(&office.authority, &admin(), Some(&id)), Err(IssueError::NoNotice { .. })), "{id}");
    }
    tell(&unknown, Outcome::Delivered("cd".repeat(32)));
    // What the gateway says twice, or of what is not known here, changes nothing.
    let before = office.authority.store.stream_length(log::STREAM).unwrap();
    tell(&unknown, Outcome::Delivered("cd".repeat(32)));
    tell(&unknown, Outcome::Refused(Unread::ClosedMailbox));
    tell("feed", Outcome::Delivered("cd".repeat(32)));
    assert_eq!(office.authority.store.stream_length(log::STREAM).unwrap(), before);
    assert_eq!(office.in_state(NoticeState::Sent), [of(&unknown)]);
}

#[test]
fn the_authoritys_own_are_the_operators_business() {
    let mut office = Office::found();
    // Nobody replaces the OCSP signers here, nobody signs the root's list, and ten years pass: the days on which something ends.
    let ends = |life: i64, stages: &[i64]| -> Vec<i64> { stages.iter().flat_map(|days| [life - days - 1, life - days, life - days + 1]).collect() };
    let mut days = [ends(90, &[14, 7, 3, 1]), ends(365, &[60, 30, 14, 7, 3, 1]), ends(3_652, &[730, 365, 180, 90, 60, 30, 14, 7, 3, 1])].concat();
    days.sort_unstable();
    for day in days {
        office.clock.set(datetime!(2026-11-28 16:00 UTC) + Duration::days(day));
        office.turn();
        office.take();
    }
    let letters: Vec<&Letter> = office.delivered.values().map(|(times, letter)| {
        assert_eq!(*times, 1);
        letter
    }).collect();
    assert!(letters.iter().all(|letter| letter.to == Recipient::Operator));
    let of = |word: &str| letters.iter().filter(|letter| letter.text.contains(word)).count();
    // Four signers at four stages, four authorities at ten, the root's first list at six.
    assert_eq!((of("OCSP 签发者证书"), of("筹备新一代签发机构"), of("根机构的第 1 号吊销列表")), (16, 40, 6));
}

#[test]
fn officers_and_hosts_are_told_where_an_operator_said() {
    let office = Office::found();
    let certified = |words: Words, profile: &str| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let issued = issue(&office.authority, admin(), Order { profile: profile.into(), request, applicant: words, issuer: None }).unwrap();
        serial_text(&issued.what().serial)
    };
    let officer = |number: &str| certified(Words { officer: Some("陈一".into()), number: Some(number.into()), ..Words::default() }, "officer");
    let (told, untold) = (officer("A-1"), officer("A-2"));
    let host = certified(Words { dns: vec!["a.example.cn".into()], ..Words::default() }, "tls-server");
    let say = |serial: &str, mailbox: Option<&str>| contact::set(&office.authority, &admin(), &contact::SetContact { serial: serial.into(), mailbox: mailbox.map(str::to_owned) });
    assert!(say(&told, Some("no address")).is_err() && say("40000000000000000000000000000001", None).is_err());
    say(&told, Some("chen@mail.example.cn")).unwrap();
    say(&host, Some("first@mail.example.cn")).unwrap();
    let entries = office.authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    let logged: Vec<_> = entries.iter().filter(|entry| entry[1] == 77).map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
    assert!(logged.len() == 2 && logged.iter().all(|entry| !entry.contains("example")), "{logged:?}");
    // Both ways out: to the contact, and into the operator's list. A namesake with a later certificate is somebody else.
    office.clock.advance(Duration::days(100));
    officer("A-3");
    office.clock.advance(Duration::days(250));
    while due(&office.authority).unwrap().looked_at > 0 {}
    let notices = list(&office.authority, None, 1_000).unwrap();
    let of = |serial: &str| notices.iter().find(|notice| notice.id().starts_with(serial)).map(|notice| (notice.to.clone(), notice.state));
    assert_eq!(of(&told), Some((Recipient::Mailbox("chen@mail.example.cn".into()), NoticeState::Queued)));
    assert_eq!(of(&untold).map(|(_, state)| state), Some(NoticeState::Unaddressed));
    // The contact is the person's: it goes on with the next certificate, until it is taken away.
    let again = officer("a-1");
    let to = |serial: &str| {
        let record = ca::register::get(&*office.authority.store, &ca::register::serial(serial).unwrap()).unwrap();
        contact::of(&office.authority, &record).unwrap()
    };
    assert_eq!([&again, &untold].map(|serial| to(serial)), [Some("chen@mail.example.cn".into()), None]);
    say(&again, None).unwrap();
    assert_eq!(to(&told), None);
}
