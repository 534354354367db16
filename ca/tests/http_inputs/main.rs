//! The public side before requests that are almost right: seeded with real ones, changed a little, hundreds of them.
//! Nothing panics, nothing is an error of ours, every connection is answered, nothing changes, and nobody makes us hold more
//! memory than the bounds of the inputs allow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod counted;
mod officers;
mod outbox;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use ca::flow::Authorised;
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::http::gate::Unproved;
use ca::flow::registrar::{self, SetRegistrar};
use ca::http::{Public, citizen, log, orders, renewal, revocation, router, timestamp};
use ca::init::{Opened, init};
use ca::lists::Lists;
use ca::own_name::Asker;
use ca::record::{Status, log::STREAM, serial_text};
use ca::time_source::TimeSource;
use ca::timestamps::Timestamps;
use counted::Above;
use keys::Passphrase;
use pki::asn1;
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use policies::certificate::{Email, Pseudonym};
use policies::registrar::{Said, Standing, Statement, StatementId};
use pki::ocsp::{CertId, HashAlgorithm};
use runtime::clock::{Clock, SystemClock};
use runtime::http::{Limits, bind, serve};
use runtime::shutdown::Shutdown;

/// One test at a time: what is held is counted for the whole process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Counts the panics of every thread from here on.
fn panics_counted() -> impl Fn() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let (began, before) = (PANICS.load(Ordering::Relaxed), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |told| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(told);
    }));
    move || PANICS.load(Ordering::Relaxed) - began
}

fn status_of(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer.get(..answer.len().min(16)).unwrap_or_default()).strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn company() -> Words {
    Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() }
}

/// A public address, what is sent to it, and whether its body or its path is changed.
struct Seed {
    head: String,
    body: Vec<u8>,
    in_path: bool,
    kind: &'static str,
}

/// The same numbers at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }

    /// One to four changes: bits, octets that matter in DER, base64 and paths, pieces lost, doubled or cut off.
    fn changed(&mut self, seed: &[u8]) -> Vec<u8> {
        const TELLING: &[u8] = b"\x00\x01\x7f\x80\x81\x82\xff\x30/%=+-.x9 \r\n";
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(3) {
            let (at, length) = (self.below(bytes.len()), self.below(40) + 1);
            let end = bytes.len().min(at + length);
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = TELLING[self.below(TELLING.len())],
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..end)),
                4 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
                _ => {
                    let again = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, again));
                }
            }
        }
        bytes
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn csr(key: &rcgen::KeyPair, words: &[(rcgen::DnType, String)]) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    words.iter().for_each(|(kind, text)| parameters.distinguished_name.push(kind.clone(), text.clone()));
    parameters.serialize_request(key).unwrap().der().to_vec()
}

/// The new request signed with the key of the certificate, by OpenSSL.
fn signed(key: &rcgen::KeyPair, certificate: &[u8], request: &[u8]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(place.path().join(name), bytes).unwrap();
    put("key.pem", key.serialize_pem().as_bytes());
    put("c.der", certificate);
    put("r.der", request);
    for words in ["x509 -inform DER -in c.der -out c.pem", "cms -sign -binary -nodetach -in r.der -signer c.pem -inkey key.pem -outform DER -out s.der"] {
        assert!(std::process::Command::new("openssl").args(words.split(' ')).current_dir(place.path()).status().unwrap().success(), "{words}");
    }
    std::fs::read(place.path().join("s.der")).unwrap()
}

fn ask(address: SocketAddr, head: &[u8], kind: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may answer before it has read all.
    let _ = stream.write_all(&[head, format!(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: {kind}\r\n\r\n", body.len()).as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn seeds(opened: &Opened, key: &rcgen::KeyPair, serial: &[u8]) -> Vec<Seed> {
    let issuer = &opened.authority.issuers["enterprise-ca"];
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, serial).unwrap();
    let ocsp = asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&id.der])])])]);
    let name = |words: String| (rcgen::DnType::CommonName, words);
    // For a serial that was never issued: no change of it revokes what was.
    let revoke = csr(key, &[name("revoke 40000000000000000000000000000001 superseded".into())]);
    let own_name = csr(key, &[name(format!("own name {}", serial_text(serial))), (rcgen::DnType::OrganizationName, Asker::new().unwrap().text())]);
    let certificate = ca::register::get(&*opened.authority.store, serial).unwrap().der;
    let renew = signed(key, &certificate, &csr(&rcgen::KeyPair::generate().unwrap(), &[]));
    // Too young to change its key; what is corrected is an order at the most.
    let meant = |words: String, more: &[(rcgen::DnType, String)]| signed(key, &certificate, &csr(&rcgen::KeyPair::generate().unwrap(), &[&[name(words)], more].concat()));
    let rekey = meant(format!("rekey {}", serial_text(serial)), &[]);
    let correct = meant(format!("correct {}", serial_text(serial)), &[(rcgen::DnType::OrganizationName, "广州天河改名测试有限公司".into())]);
    let body = |head: &str, body: Vec<u8>| Seed { head: format!("POST {head}"), body, in_path: false, kind: "application/ocsp-request" };
    let path = |path: String| Seed { head: format!("GET {path}"), body: Vec::new(), in_path: true, kind: "application/ocsp-request" };
    let order = serde_json::json!({ "profile": "enterprise-signing", "request": ca::service::pem("CERTIFICATE REQUEST", &csr(&rcgen::KeyPair::generate().unwrap(), &[])),
        "applicant": { "name": "广州天河测试有限公司", "code": "91440101MAT000018G" }, "evidence": [{ "kind": "licence", "sha256": "ab".repeat(32) }], "key": "k-1" });
    // What is cancelled is an order that nobody placed.
    let cancel = csr(&rcgen::KeyPair::generate().unwrap(), &[name("cancel order 00112233445566778899aabbccddeeff".into())]);
    // spec: rfc3161#2.4.1
    let imprint = asn1::seq(&[&asn1::seq(&[&asn1::oid(&const_oid::ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1")), &[5, 0]]), &asn1::tlv(4, &[7; 32])]);
    let query = asn1::seq(&[&asn1::uint(&[1]), &imprint, &asn1::uint(&[9]), &[1, 1, 0xff]]);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&ocsp).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    vec![
        body("/ocsp", ocsp),
        body("/revoke", revoke),
        body("/log/own-name", own_name),
        body("/renew", renew),
        body("/rekey", rekey),
        body("/correct/order", correct.clone()),
        body("/correct", correct),
        Seed { kind: "application/json", ..body("/citizen", stated(opened, true)) },
        Seed { kind: "application/json", ..body("/citizen/withdraw", stated(opened, false)) },
        Seed { kind: "application/json", ..body("/orders", order.to_string().into_bytes()) },
        body("/orders/00112233445566778899aabbccddeeff/cancel", cancel),
        path("/orders/00112233445566778899aabbccddeeff".into()),
        Seed { kind: "application/timestamp-query", ..body("/timestamp", query) },
        path(format!("/ocsp/{encoded}")),
        path("/log/tile/0/000.p/9".into()),
        path("/log/tile/entries/000.p/9".into()),
        path("/crl/enterprise-ca.crl".into()),
        path("/issuer/tls-ca.der".into()),
    ]
}

/// A registrar's statement, rightly signed: about another request than the one beside it, or for a mailbox that has nothing.
fn stated(opened: &Opened, certifies: bool) -> Vec<u8> {
    let authority = &opened.authority;
    let of = if certifies { "a" } else { "b" };
    let key = opened.keys.generate(&format!("registrar-{of}"), SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let applicant = Words { dns: vec![format!("{of}.example.cn")], ..Words::default() };
    let issued = issue(authority, Authorised::by_ownership(0), Order { profile: "registrar".into(), request, applicant, issuer: None }).unwrap();
    let order = SetRegistrar { serial: serial_text(&issued.what().serial), domain: "mail.example.cn".into() };
    registrar::set(authority, &Authorised::by_ownership(0), &order).unwrap();
    let said = match certifies {
        true => Said::Certify { pseudonym: Pseudonym::of([7; 10]), request_sha256: [7; 32] },
        false => Said::Withdraw { reason: policies::registrar::Ending::Superseded },
    };
    let at = authority.clock.now();
    let text = Statement { id: StatementId::new([9; 16]), mailbox: Email::parse("1234567897@mail.example.cn").unwrap(), standing: Standing::Open, at, said }.text().unwrap();
    let digest: [u8; 32] = ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().try_into().unwrap();
    let signature = SignerPlan::new(&issued.what().record.der, &[]).unwrap().seal(digest, at, &key).unwrap();
    let mut sent = serde_json::json!({ "statement": text, "signature": base64::engine::general_purpose::STANDARD.encode(signature) });
    if certifies {
        sent["request"] = ca::service::pem("CERTIFICATE REQUEST", &csr(&rcgen::KeyPair::generate().unwrap(), &[])).into();
    }
    sent.to_string().into_bytes()
}

/// Everything that answers the public, with doors as wide as they get.
struct Town {
    authority: Arc<ca::authority::Authority>,
    address: SocketAddr,
    serial: Vec<u8>,
    seeds: Vec<Seed>,
    _place: tempfile::TempDir,
}

async fn town() -> Town {
    let place = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let order = Order { profile: "enterprise-signing".into(), request: csr(&key, &[]), applicant: company(), issuer: None };
    let serial = issue(&opened.authority, Authorised::by_ownership(0), order).unwrap().what().serial.clone();
    opened.evidence.advance().unwrap();
    let seeds = seeds(&opened, &key, &serial);
    let mut opened = opened;
    // Thousands from one address, each looked at.
    let any = policies::authority::Hourly { per_address: 1_000_000, all: 1_000_000 };
    opened.authority.rules.rates = policies::authority::Rates { renewal: any, revocation: any, own_name: any, reported: any, unproved: any };
    (opened.authority.rules.orders.hourly, opened.authority.rules.timestamp.hourly, opened.authority.rules.citizens.hourly) = (any, any, any);
    let keys = opened.keys;
    let (authority, evidence) = (Arc::new(opened.authority), opened.evidence);
    let timestamps = Arc::new(Timestamps::open(Arc::clone(&authority), &keys, TimeSource::Unchecked {}).unwrap());
    let public = Public { status: Arc::new(ca::status::Status::new(&authority).unwrap()), lists: Arc::new(Lists::new(Arc::clone(&authority.store))), authority: Arc::clone(&authority) };
    let unproved = Unproved::new(any, &authority.clock);
    let router = router(Arc::new(public))
        .merge(log::router(evidence, Arc::clone(&authority), &unproved))
        .merge(revocation::router(Arc::clone(&authority), &unproved))
        .merge(renewal::router(Arc::clone(&authority), &unproved))
        .merge(orders::router(Arc::clone(&authority), &unproved))
        .merge(citizen::router(Arc::clone(&authority), &unproved))
        .merge(timestamp::router(timestamps));
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, Limits { header: Duration::from_secs(2), ..Limits::default() }, Shutdown::new()));
    Town { authority, address, serial, seeds, _place: place }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_too_strange_for_an_answer() {
    let _alone = ALONE.lock().await;
    let Town { authority, address, serial, seeds, _place } = town().await;
    let panics = panics_counted();
    let length = authority.store.stream_length(STREAM).unwrap();
    let asking = move || {
        let mut dice = Dice(20_261_129);
        let began = Instant::now();
        let (mut answered, mut fine, above) = (0, 0, Above::now());
        while began.elapsed() < Duration::from_secs(6) && answered < 4_000 {
            let seed = &seeds[dice.below(seeds.len())];
            let (head, body) = match seed.in_path {
                // The method and its space stay: what follows is the path.
                true => ([&seed.head.as_bytes()[..4], &dice.changed(&seed.head.as_bytes()[4..])].concat(), Vec::new()),
                false => (seed.head.clone().into_bytes(), dice.changed(&seed.body)),
            };
            let answer = ask(address, &head, seed.kind, &body);
            let status = status_of(&answer);
            let shown = || format!("{} {} {}", head.escape_ascii(), body.escape_ascii(), answer.escape_ascii());
            assert!((200..500).contains(&status), "{}", shown());
            assert!(answer.len() < 256 * 1024, "{}", shown());
            answered += 1;
            fine += usize::from(status == 200);
        }
        (answered, fine, above.at_most())
    };
    let (answered, fine, most) = tokio::task::spawn_blocking(asking).await.unwrap();
    println!("{answered} requests, {fine} answered with 200, {} KiB held at most", most >> 10);
    assert!(answered > 100 && fine > 0, "{answered} {fine}");
    assert!(most < 32 << 20, "{most}");
    assert_eq!(panics(), 0);
    let record = ca::register::get(&*authority.store, &serial).unwrap();
    assert!(record.status == Status::Good);
    // Nothing in the log but that the one holder was told of its own name, should an unchanged question have come through.
    let entries = authority.store.read_stream(STREAM, length, 10_000).unwrap();
    // Orders that came through as they were sent, and tokens, stand beside it.
    assert!(entries.iter().all(|entry| [71, 20, 22, 61].contains(&entry[1])), "{:?}", entries.iter().map(|entry| entry[1]).collect::<Vec<_>>());
}

/// Whoever sends without end is cut off, and all together make us hold what the bodies of all connections may have.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end_are_not_held() {
    const AT_ONCE: usize = 16;
    let _alone = ALONE.lock().await;
    let Town { address, seeds, _place, .. } = town().await;
    for seed in seeds.into_iter().filter(|seed| !seed.in_path) {
        let above = Above::now();
        let head = format!("{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: {}\r\n\r\n", seed.head, 1_u64 << 30, seed.kind);
        let sending = (0..AT_ONCE).map(|_| {
            let (head, begins) = (head.clone(), seed.body.clone());
            tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&begins));
                let (piece, mut written) = ([b' '; 8 << 10], 0);
                while written < 16 << 20 && stream.write_all(&piece).is_ok() {
                    written += piece.len();
                }
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
                (written, status_of(&answer))
            })
        });
        let sending: Vec<_> = sending.collect();
        for one in sending {
            let (written, status) = one.await.unwrap();
            // Some are cut off before they read their answer.
            assert!(written < 16 << 20 && [0, 413].contains(&status), "{}: {written} {status}", seed.head);
        }
        let most = above.at_most();
        println!("{}: {} KiB held for {AT_ONCE} at most", seed.head, most >> 10);
        assert!(most < AT_ONCE * (4 * 40 << 10) + (4 << 20), "{}: {most}", seed.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_is_turned_away_before_anything_is_read() {
    let _alone = ALONE.lock().await;
    let place = tempfile::tempdir().unwrap();
    let mut opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    let few = |per_address| policies::authority::Hourly { per_address, all: 1_000 };
    opened.authority.rules.rates = policies::authority::Rates { renewal: few(1), revocation: few(2), own_name: few(3), reported: few(3), unproved: few(1_000) };
    let (authority, evidence) = (Arc::new(opened.authority), opened.evidence);
    let unproved = Unproved::new(few(1_000), &authority.clock);
    let router = log::router(evidence, Arc::clone(&authority), &unproved).merge(revocation::router(Arc::clone(&authority), &unproved)).merge(renewal::router(authority, &unproved));
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, Limits::default(), Shutdown::new()));
    let told = |path: &'static str, count: usize| {
        let ask = move || (0..count).map(|_| String::from_utf8_lossy(&ask(address, format!("POST {path}").as_bytes(), "application/octet-stream", b"x")).into_owned()).collect::<Vec<_>>();
        tokio::task::spawn_blocking(ask)
    };
    // Nonsense counts too: it costs as much to look at.
    for (path, most) in [("/renew", 1), ("/revoke", 2), ("/log/own-name", 3)] {
        let answers = told(path, most + 1).await.unwrap();
        assert!(answers[..most].iter().all(|answer| answer.starts_with("HTTP/1.1 422")), "{answers:?}");
        let last = &answers[most];
        assert!(last.starts_with("HTTP/1.1 429") && last.contains("retry-after: ") && last.contains("\"rate\""), "{last}");
    }
}
