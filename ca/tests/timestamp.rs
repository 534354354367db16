//! Timestamps in process: refusals, order under a crowd, the clock doubted and set, faults of the store, signers replaced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca::flow::Authorised;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::timestamp::stamp;
use ca::init::{Opened, init, open};
use ca::job::{Health, Jobs};
use ca::record::{Reason, TimestampSigner, decode, log, serial_text};
use ca::service::Service;
use ca::stamped::{StampedError, find};
use ca::status::Status;
use ca::time_source::TimeSource;
use ca::timestamps::{SignerWatch, Timestamps};
use keys::Passphrase;
use pki::asn1;
use pki::signature::DigestAlgorithm;
use pki::timestamp::{Failure, Imprint, TimeStampRequest, VerifiedTimestamp, token_of, verify};
use runtime::clock::{Clock, FakeClock};
use store::{Fault, Faulty, Store};
use time::{Duration, OffsetDateTime};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

/// An authority with its timestamp service, whose jobs run and whose source is asked when a test says so.
struct Desk {
    clock: Arc<FakeClock>,
    jobs: Jobs,
    timestamps: Arc<Timestamps>,
    home: PathBuf,
}

impl Desk {
    fn found(place: &Path, source: TimeSource) -> Self {
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc()));
        let home = place.join("ca");
        let listen = "127.0.0.1:8440".parse().unwrap();
        let opened = init(&home, "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self::of(opened, clock, home, source, |store| store)
    }

    fn again(self, source: TimeSource) -> Self {
        let Self { clock, jobs, timestamps, home } = self;
        drop((jobs, timestamps));
        let opened = open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self::of(opened, clock, home, source, |store| store)
    }

    fn of(opened: Opened, clock: Arc<FakeClock>, home: PathBuf, source: TimeSource, over: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        let mut authority = opened.authority;
        authority.store = over(authority.store);
        let status = Arc::new(Status::new(&authority).unwrap());
        let watch = Arc::new(SignerWatch::default());
        authority.watchers.push(Arc::clone(&watch) as _);
        let service = Service { authority: Arc::new(authority), evidence: opened.evidence };
        let timestamps = Arc::new(Timestamps::open(Arc::clone(&service.authority), &opened.keys, source).unwrap());
        watch.tell(&timestamps);
        let jobs = Jobs::new(service, status, opened.keys, Arc::new(Health::default())).with_timestamps(Arc::clone(&timestamps));
        let this = Self { clock, jobs, timestamps, home };
        this.timestamps.vouching.ask();
        this.turns();
        this
    }

    /// Until everything was looked at once.
    fn turns(&self) {
        for _ in 0..20 {
            self.jobs.turn();
        }
    }

    fn stamped(&self, content: &[u8]) -> Result<VerifiedTimestamp, u8> {
        granted(&stamp(&self.timestamps, &request(content).der()))
    }

    fn store(&self) -> &dyn Store {
        &*self.jobs.service.authority.store
    }

    fn faulty(&self, part: &str) -> bool {
        self.jobs.health.metrics().contains(&format!("suiyin_ca_fault{{part=\"{part}\"}} 1"))
    }
}

fn request(content: &[u8]) -> TimeStampRequest {
    TimeStampRequest { imprint: Imprint::of(DigestAlgorithm::Sha256, content), policy: None, nonce: Some(vec![9, 9]), certificate: true }
}

/// The token of an answer, or the bit of its failure.
fn granted(answer: &[u8]) -> Result<VerifiedTimestamp, u8> {
    match token_of(answer) {
        Ok(token) => Ok(verify(token, &[]).unwrap()),
        Err(_) => Err((0..=25).find(|bit| failures().iter().any(|failure| *failure as u8 == *bit && failure.der() == answer)).unwrap()),
    }
}

fn failures() -> [Failure; 8] {
    use Failure::*;
    [BadAlgorithm, BadRequest, BadDataFormat, TimeNotAvailable, UnacceptedPolicy, UnacceptedExtension, AdditionalInformationNotAvailable, SystemFailure]
}

const TIME_NOT_AVAILABLE: Result<VerifiedTimestamp, u8> = Err(14);
const SYSTEM_FAILURE: Result<VerifiedTimestamp, u8> = Err(25);

#[test]
fn a_token_says_what_was_asked_and_is_found_again() {
    let place = tempfile::tempdir().unwrap();
    let desk = Desk::found(place.path(), TimeSource::Unchecked {});
    let token = desk.stamped(b"filing").unwrap();
    assert!(token.imprint().is_of(b"filing") && token.nonce() == Some(&[9, 9]) && token.ordering());
    assert_eq!((token.policy().to_string().as_str(), token.accuracy()), ("1.3.6.1.4.1.32473.4.1", Some(Duration::SECOND)));
    assert!((token.gen_time() - desk.clock.now()).abs() < Duration::MILLISECOND);
    let found = find(desk.store(), &serial_text(token.serial())).unwrap();
    assert_eq!((found.digest.as_str(), found.tokens, found.at), (ca_hex(token.imprint().digest()).as_str(), 1, token.gen_time().unix_timestamp()));
    assert_eq!(found.signer, ca_hex(ring_sha256(token.signer_certificate()).as_slice()));
    let leaf = desk.store().read_stream(log::STREAM, found.log_entry, 1).unwrap().remove(0);
    assert_eq!(leaf[..2], [1, 61]);
    for (text, exit) in [("zz", "usage"), ("40", "none"), (serial_text(&[0x41; 16]).as_str(), "none"), ("1234567890123456789012345678901234", "usage")] {
        let error = find(desk.store(), text).unwrap_err();
        assert!(matches!((&error, exit), (StampedError::Serial(_), "usage") | (StampedError::NotFound(_), "none")), "{text}: {error}");
    }
    // A record that is not what the log holds a digest of is not shown.
    let key = store::Key::new("timestamp", &[&token.serial()[..14], &[0, 0]]);
    let other = desk.stamped(b"another").unwrap();
    let bytes = desk.store().get(&store::Key::new("timestamp", &[&other.serial()[..14], &[0, 0]])).unwrap().unwrap();
    desk.store().commit(store::Batch::new().put(key, bytes)).unwrap();
    assert!(matches!(find(desk.store(), &serial_text(token.serial())), Err(StampedError::Damaged(_))));
    assert!(find(desk.store(), &serial_text(other.serial())).is_ok());
}

fn ca_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn ring_sha256(content: &[u8]) -> Vec<u8> {
    Imprint::of(DigestAlgorithm::Sha256, content).digest().to_vec()
}

#[test]
fn what_cannot_be_stamped_has_its_failure_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let desk = Desk::found(place.path(), TimeSource::Unchecked {});
    let before = desk.store().stream_length(log::STREAM).unwrap();
    let answer = |der: &[u8]| granted(&stamp(&desk.timestamps, der)).unwrap_err();
    let good = request(b"x").der();
    assert_eq!(answer(&[]), 5);
    assert_eq!(answer(&good[..good.len() - 1]), 5);
    assert_eq!(answer(&[0x30; 5_000]), 2);
    let other = TimeStampRequest { policy: Some("1.2.3.4".parse().unwrap()), ..request(b"x") };
    assert_eq!(answer(&other.der()), 15);
    let sha1 = asn1::seq(&[&asn1::seq(&[&asn1::oid(&"1.3.14.3.2.26".parse().unwrap())]), &asn1::tlv(4, &[7; 20])]);
    assert_eq!(answer(&asn1::seq(&[&[2, 1, 1], &sha1])), 0);
    let extended = asn1::tlv(0x30, &[asn1::Reader::only(&good, 0x30).unwrap(), &asn1::tlv(0xa0, &[])].concat());
    assert_eq!(answer(&extended), 16);
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        let _ = stamp(&desk.timestamps, &flipped);
    }
    assert!(desk.timestamps.metrics().contains("{how=\"unavailable\"} 0"), "{}", desk.timestamps.metrics());
    assert!(desk.store().stream_length(log::STREAM).unwrap() - before < good.len() as u64);
    // The policy asked for by name, and no certificate.
    let plain = TimeStampRequest { policy: Some("1.3.6.1.4.1.32473.4.1".parse().unwrap()), certificate: false, nonce: None, ..request(b"x") };
    let reply = stamp(&desk.timestamps, &plain.der());
    let signer: TimestampSigner = decode(&desk.store().get(&TimestampSigner::place()).unwrap().unwrap()).unwrap();
    assert!(verify(token_of(&reply).unwrap(), &[]).is_err());
    assert_eq!(verify(token_of(&reply).unwrap(), &[&signer.der]).unwrap().nonce(), None);
}

#[test]
fn a_crowd_is_stamped_in_order_and_restarts_repeat_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut desk = Desk::found(place.path(), TimeSource::Unchecked {});
    let (mut serials, mut latest) = (BTreeSet::new(), OffsetDateTime::UNIX_EPOCH);
    for round in 0..2 {
        // The fake clock stands still: all the order there is comes from the service.
        let each: Vec<Vec<VerifiedTimestamp>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| (0..20).map(|turn: u8| desk.stamped(&[turn]).unwrap()).collect())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut times = BTreeSet::new();
        for tokens in &each {
            // Whoever has one token asks for the next: the later one is later.
            assert!(tokens.is_sorted_by(|one, next| one.gen_time() < next.gen_time()));
            times.extend(tokens.iter().map(|token| token.gen_time()));
            serials.extend(tokens.iter().map(|token| token.serial().to_vec()));
            tokens.iter().for_each(|token| assert_eq!(find(desk.store(), &serial_text(token.serial())).unwrap().nonce.as_deref(), Some("0909")));
        }
        assert_eq!((times.len(), serials.len()), (320, 320 * (round + 1)), "a time or a serial number twice");
        assert!(*times.first().unwrap() > latest);
        latest = *times.last().unwrap();
        let batches = desk.store().read_stream(log::STREAM, 0, 100_000).unwrap().iter().filter(|leaf| leaf[1] == 61).count();
        assert!(batches < 160 * (round + 1), "{batches} log entries for {} tokens", serials.len());
        // The next life begins where this one ended, by the same clock.
        desk = desk.again(TimeSource::Unchecked {});
    }
    // A clock that was set back, and vouched for all the same, is behind what was said.
    desk.clock.set(desk.clock.now() - Duration::HOUR);
    desk.timestamps.vouching.ask();
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
    desk.clock.advance(Duration::HOUR);
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE, "its source was not asked for an hour");
    desk.timestamps.vouching.ask();
    assert!(desk.stamped(b"x").unwrap().gen_time() > latest);
}

#[test]
fn nobody_is_told_a_clock_that_nobody_vouches_for() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("clock-error");
    let desk = Desk::found(place.path(), TimeSource::File { path: path.clone(), max_age_seconds: 60.try_into().unwrap() });
    let say = |error: &str, ago: i64| {
        std::fs::write(&path, error).unwrap();
        let at = std::time::SystemTime::from(desk.clock.now() - Duration::seconds(ago));
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        desk.timestamps.vouching.ask();
        desk.turns();
    };
    // Away, and there.
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
    desk.turns();
    assert!(desk.faulty("time-source") && !desk.faulty("timestamp-signer"));
    desk.jobs.health.check().unwrap();
    say("2.5\n", 0);
    assert!(desk.stamped(b"x").is_ok() && !desk.faulty("time-source"));
    // Old, wide, nonsense, away.
    for (error, ago) in [("2.5", 61), ("751", 0), ("soon", 0)] {
        say(error, ago);
        assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE, "{error}");
        assert!(desk.faulty("time-source"));
        say("2.5", 0);
        assert!(desk.stamped(b"x").is_ok());
    }
    std::fs::remove_file(&path).unwrap();
    desk.timestamps.vouching.ask();
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
    say("2.5", 0);
    // A word counts for a while: nobody asks, nobody vouches.
    desk.clock.advance(Duration::seconds(10));
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
    say("2.5", 0);
    assert!(desk.stamped(b"x").is_ok());
    // Set back by a little, within the file's age: what was written before does not count.
    desk.clock.set(desk.clock.now() - Duration::milliseconds(500));
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
    desk.timestamps.vouching.ask();
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
    say("2.5", 0);
    // It is still behind the last token, by less than the accuracy: the next is later all the same.
    let latest = desk.stamped(b"x").unwrap().gen_time();
    assert!(latest > desk.clock.now() && latest - desk.clock.now() < Duration::SECOND);
    // By more than the accuracy no source makes both right.
    desk.clock.set(desk.clock.now() - Duration::minutes(2));
    say("2.5", 0);
    assert_eq!(desk.stamped(b"x"), TIME_NOT_AVAILABLE);
}

#[test]
fn nothing_leaves_that_is_not_durable() {
    let place = tempfile::tempdir().unwrap();
    let desk = Desk::found(place.path(), TimeSource::Unchecked {});
    assert!(desk.stamped(b"x").is_ok());
    let Desk { clock, jobs, timestamps, home } = desk;
    drop((jobs, timestamps));
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let opened = open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        // Each of twenty turns begins with an empty commit.
        let desk = Desk::of(opened, Arc::clone(&clock), home.clone(), TimeSource::Unchecked {}, |store| Arc::new(Faulty::new(store).at(20, fault)));
        assert_eq!(desk.stamped(b"x"), SYSTEM_FAILURE);
        assert_eq!(desk.stamped(b"x"), SYSTEM_FAILURE, "a store that must be opened again takes nothing more");
    }
    let opened = open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    assert!(Desk::of(opened, clock, home, TimeSource::Unchecked {}, |store| store).stamped(b"x").is_ok());
}

#[test]
fn signers_follow_each_other_and_a_revoked_one_signs_no_more() {
    let place = tempfile::tempdir().unwrap();
    let desk = Desk::found(place.path(), TimeSource::Unchecked {});
    let signer = || decode::<TimestampSigner>(&desk.store().get(&TimestampSigner::place()).unwrap().unwrap()).unwrap();
    let first = desk.stamped(b"x").unwrap();
    assert_eq!((signer().key.as_str(), first.signer_certificate()), ("timestamp", signer().der.as_slice()));
    let later = |days: i64| {
        desk.clock.advance(Duration::days(days));
        desk.timestamps.vouching.ask();
        desk.turns();
    };
    later(242);
    assert_eq!(signer().key, "timestamp");
    later(2);
    assert_eq!(signer().key, "timestamp-2");
    let second = desk.stamped(b"x").unwrap();
    assert_eq!(second.signer_certificate(), signer().der);
    // The one before is in the register, good: its tokens are verified for years.
    let register = |token: &VerifiedTimestamp| {
        let serial = pki::view::CertificateView::parse(token.signer_certificate()).unwrap().serial.to_vec();
        (serial_text(&serial), ca::register::get(desk.store(), &serial).unwrap())
    };
    assert_eq!(register(&first).1.status, ca::record::Status::Good);
    assert_eq!(register(&first).1.not_after - register(&first).1.not_before, 2_192 * 86_400 - 1);
    // Revoked: at once, and the next one on the next turn.
    let order = Revoke { serial: register(&second).0, reason: Reason::KeyCompromise, at: None, invalid_since: None };
    revoke(&desk.jobs.service.authority, &Authorised::<ca::flow::Operator>::by_ownership(0), &order).unwrap();
    assert_eq!(desk.stamped(b"x"), SYSTEM_FAILURE);
    desk.turns();
    assert_eq!(signer().key, "timestamp-3");
    assert!(desk.stamped(b"x").is_ok() && !desk.faulty("timestamp-signer"));
    // Nobody turned for a year: an old key signs nothing.
    desk.clock.advance(Duration::days(366));
    desk.timestamps.vouching.ask();
    assert_eq!(desk.stamped(b"x"), SYSTEM_FAILURE);
    desk.turns();
    assert!(desk.stamped(b"x").is_ok());
    let kinds: Vec<u8> = desk.store().read_stream(log::STREAM, 0, 100_000).unwrap().iter().map(|leaf| leaf[1]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == 60).count(), 4);
    // And after a restart it is the last one that signs.
    let (key, desk) = (signer().key, desk.again(TimeSource::Unchecked {}));
    assert_eq!(key, "timestamp-4");
    assert_eq!(desk.stamped(b"x").unwrap().signer_certificate(), decode::<TimestampSigner>(&desk.store().get(&TimestampSigner::place()).unwrap().unwrap()).unwrap().der);
}

#[test]
fn a_directory_of_before_gets_the_documents_and_a_profile_taken_away_stays_away() {
    let place = tempfile::tempdir().unwrap();
    let desk = Desk::found(place.path(), TimeSource::Unchecked {});
    let (matter, profile) = (desk.home.join("policies/authority/timestamp.toml"), desk.home.join("policies/certificates/timestamp.toml"));
    for path in [&matter, &profile] {
        std::fs::remove_file(path).unwrap();
    }
    let desk = desk.again(TimeSource::Unchecked {});
    assert!(matter.exists() && profile.exists() && desk.stamped(b"x").is_ok());
    std::fs::remove_file(&profile).unwrap();
    let desk = desk.again(TimeSource::Unchecked {});
    assert!(!profile.exists());
    // The key that there is signs on; the next one cannot be made, and that is told.
    assert!(desk.stamped(b"x").is_ok());
    desk.clock.advance(Duration::days(250));
    desk.turns();
    assert!(desk.faulty("timestamp-signer"));
}
