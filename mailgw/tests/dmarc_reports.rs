//! Reports of what came in a domain's name: told once, to whom it wants them and who agreed, signed, in the commit that forgets the counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use keys::{KeyStore, Passphrase};
use mail_parser::{MessageParser, MimeHeaders as _};
use mailgw::bureau::trust::Anchors;
use mailgw::daily_report::dmarc::{DmarcReports, Tallies};
use mailgw::daily_report::{due as due_of, report as report_of};
use mailgw::gateway::Gateway;
use mailgw::policy;
use mailgw::record::body::BodyId;
use mailgw::mailbox::MailError;
use mailgw::record::dmarc_tally::{Destination, Published, Tally};
use mailgw::record::event::{Event, STREAM};
use mailgw::record::settings::Settings;
use mailgw::verdict::decide::{Reason, Verdict};
use mailgw::verdict::destinations::{Destinations, Found};
use mailgw::verdict::results::{Asked, Author, Dkim, Dmarc, Outcome, Reported, Results, Spf};
use runtime::clock::FakeClock;
use store::{Memory, Store};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-29 01:00 UTC);

/// lxml's word on the whole, by the schema.
const JUDGE: &str = "
import sys
from lxml import etree
schema = etree.XMLSchema(etree.parse(sys.argv[1]))
report = etree.parse(sys.argv[2])
schema.assertValid(report)
ns = {'d': 'urn:ietf:params:xml:ns:dmarc-2.0'}
print(sum(int(count.text) for count in report.iterfind('.//d:count', ns)), len(report.findall('d:record', ns)))
";

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
    let gateway = Gateway::open(store, settings, Arc::new(keys), anchors, policy::read(&path).unwrap(), Arc::new(FakeClock::new(NOW))).unwrap();
    gateway.dkim.make("s1", None, 0).unwrap();
    gateway.dkim.use_selector("s1", 0).unwrap();
    gateway
}

fn results(domain: &str, outcome: Outcome) -> Results {
    let published = Published { p: "reject".into(), sp: "reject".into(), np: "none".into(), adkim: "r".into(), aspf: "s".into(), fo: "0".into(), testing: false };
    let wanted = [("d@c.cn", 0), ("d@other.example", 0), ("small@c.cn", 10), ("no address", 0)].map(|(address, most_bytes)| Destination { address: address.into(), most_bytes });
    Results {
        spf: Spf { outcome: Outcome::SoftFail, domain: "bounce.c.cn".into() },
        dkim: vec![Dkim { outcome, domain: domain.into(), selector: "<s&1>".into(), ..Dkim::default() }],
        dmarc: Dmarc { outcome, asked: Asked::Reject },
        author: Author::Of(domain.to_uppercase()),
        reported: Some(Reported { published, wanted: wanted.to_vec(), dkim: outcome == Outcome::Pass, spf: false }),
        ..Results::default()
    }
}

fn due(gateway: &Gateway, now: OffsetDateTime) -> Result<Vec<Tally>, MailError> {
    due_of(gateway, now)
}

fn report(gateway: &Gateway, tally: &Tally, found: &Found, now: OffsetDateTime) -> Result<(), MailError> {
    report_of::<DmarcReports>(gateway, tally, found, now)
}

#[test]
fn a_day_of_a_domain_is_reported_once() {
    let (place, store) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new()));
    let (gateway, tallies) = (gateway(&place, Arc::clone(&store)), Tallies::default());
    let yesterday = u64::try_from((NOW - Duration::days(1)).unix_timestamp()).unwrap() * 1_000;
    for (peer, outcome, verdict) in [
        ("192.0.2.1", Outcome::Pass, Verdict::Accept(Reason::Dmarc)),
        ("192.0.2.1", Outcome::Pass, Verdict::Accept(Reason::Dmarc)),
        ("2001:db8::7", Outcome::Fail, Verdict::Reject(Reason::DmarcReject)),
        ("192.0.2.9", Outcome::Fail, Verdict::Junk(Reason::DmarcReject)),
        ("192.0.2.9", Outcome::Fail, Verdict::Accept(Reason::Forwarder)),
        // It comes again.
        ("192.0.2.9", Outcome::Fail, Verdict::Later(Reason::DnsSilent)),
    ] {
        tallies.note(peer.parse().unwrap(), &results("c.cn", outcome), verdict, yesterday);
        // Durable after each: what is counted adds up.
        tallies.flush(&*store).unwrap();
    }
    tallies.note("192.0.2.1".parse().unwrap(), &results("c.cn", Outcome::Pass), Verdict::Accept(Reason::Dmarc), gateway.now_unix_millis());
    tallies.flush(&*store).unwrap();
    let found = due(&gateway, NOW).unwrap();
    let [tally] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((tally.domain.as_str(), tally.rows.len(), tally.rows.iter().map(|(_, count)| count).sum::<u64>()), ("c.cn", 4, 5));
    // The DNS does not say whether it goes there: for some days it is asked again.
    report(&gateway, tally, &Found::Unknown, NOW).unwrap();
    assert_eq!(due(&gateway, NOW).unwrap().len(), 1);
    // One has agreed; another has not, and a third takes nothing of this size.
    let agreed = Found::At { policy: "c.cn".into(), addresses: vec!["d@c.cn".into(), "small@c.cn".into()] };
    report(&gateway, tally, &agreed, NOW).unwrap();
    report(&gateway, tally, &agreed, NOW).unwrap();
    assert!(due(&gateway, NOW).unwrap().is_empty());
    let item = gateway.queue.take(NOW).unwrap();
    assert_eq!((item.domain.as_str(), gateway.queue.take(NOW)), ("c.cn", None));
    let queued = gateway.queue.get(BodyId(item.id)).unwrap().unwrap();
    let letter = gateway.queue.message(BodyId(item.id), &queued).unwrap();
    assert!(queued.reverse_path.is_none() && queued.recipients[0].address == "d@c.cn" && letter.starts_with(b"DKIM-Signature: "));
    let last = store.stream_length(STREAM).unwrap() - 1;
    assert!(matches!(Event::from_leaf(&store.read_stream(STREAM, last, 1).unwrap()[0]).unwrap().0, Event::DmarcReportQueued(told) if told.domain == "c.cn"));
    // As programs read it.
    let parsed = MessageParser::new().parse(&letter).unwrap();
    assert_eq!(parsed.attachment(0).unwrap().content_type().map(|kind| kind.ctype().to_owned() + "/" + kind.subtype().unwrap_or_default()), Some("application/gzip".into()));
    let mut xml = Vec::new();
    flate2::read::GzDecoder::new(parsed.attachment(0).unwrap().contents()).read_to_end(&mut xml).unwrap();
    std::fs::write(place.path().join("report.xml"), &xml).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../certs-test/oracles/dmarc_report.xsd");
    let python = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).map(|place| place.join("python")).find(|path| path.is_file()).unwrap();
    let judged = Command::new(python).args(["-c", JUDGE, schema]).arg(place.path().join("report.xml")).output().unwrap();
    assert!(judged.status.success(), "{}\n{}", String::from_utf8_lossy(&judged.stderr), String::from_utf8_lossy(&xml));
    assert_eq!(String::from_utf8_lossy(&judged.stdout).trim(), "5 4");
    // Who could not be asked for days is not told, and nobody is told of nothing.
    tallies.note("192.0.2.1".parse().unwrap(), &results("d.cn", Outcome::Pass), Verdict::Accept(Reason::Dmarc), yesterday);
    tallies.note("192.0.2.1".parse().unwrap(), &Results { reported: None, ..results("e.cn", Outcome::Pass) }, Verdict::Accept(Reason::Dmarc), yesterday);
    tallies.note("192.0.2.1".parse().unwrap(), &results("a.cn\r\nbcc: x", Outcome::Pass), Verdict::Accept(Reason::Dmarc), yesterday);
    tallies.flush(&*store).unwrap();
    let later = NOW + Duration::days(4);
    let left = due(&gateway, later).unwrap();
    assert_eq!(left.iter().map(|tally| tally.domain.as_str()).collect::<Vec<_>>(), ["d.cn", "c.cn"]);
    left.iter().for_each(|tally| report(&gateway, tally, &Found::Unknown, later).unwrap());
    assert!(due(&gateway, later).unwrap().is_empty() && gateway.queue.take(later).is_none());
}

/// Answers TXT questions from a list, and everything else with nothing.
fn names(records: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            let (mut name, mut at) = (String::new(), 12);
            while question[at] != 0 {
                let label = usize::from(question[at]);
                name.push_str(&String::from_utf8_lossy(&question[at + 1..=at + label]));
                name.push('.');
                at += label + 1;
            }
            let found = records.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).filter(|_| question[at + 2] == 16);
            // Header and question come back; extensions do not.
            let mut answer = question[..at + 5].to_vec();
            answer[2..12].copy_from_slice(&[0x81, if found.is_some() { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
            if let Some((_, text)) = found {
                let length = u8::try_from(text.len()).unwrap();
                answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, length + 1, length]);
                answer.extend(text.as_bytes());
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    address
}

#[test]
fn another_domain_has_to_have_agreed() {
    let resolver = names(&[
        ("_dmarc.c.example.", "v=DMARC1; p=reject; rua=mailto:a@c.example"),
        ("c.example._report._dmarc.agreed.example.", "v=DMARC1"),
        ("_dmarc.own.b.example.", "v=DMARC1; p=none"),
        ("_dmarc.b.example.", "v=DMARC1; p=none"),
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = |author: &str, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        runtime.block_on(async { Destinations::new(resolver).unwrap().of(author, &addresses).await })
    };
    let at = |policy: &str, addresses: &[&str]| Found::At { policy: policy.into(), addresses: addresses.iter().map(|address| (*address).to_owned()).collect() };
    assert_eq!(found("c.example", &["a@c.example", "b@sub.c.example", "x@agreed.example", "x@refused.example"]), at("c.example", &["a@c.example", "b@sub.c.example", "x@agreed.example"]));
    // The policy of the domain above holds for who has none; it is that domain that wants the reports.
    assert_eq!(found("deep.sub.c.example", &["a@c.example", "x@agreed.example"]), at("c.example", &["a@c.example", "x@agreed.example"]));
    assert_eq!(found("own.b.example", &["a@b.example", "a@xb.example"]), at("own.b.example", &["a@b.example"]));
    assert_eq!(found("else.b.example", &["a@b.example"]), at("b.example", &["a@b.example"]));
}
