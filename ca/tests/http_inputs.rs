//! The public side before requests that are almost right: seeded with real ones, changed a little, hundreds of them.
//! Nothing panics, nothing is an error of ours, every connection is answered, and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

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
use ca::http::{Public, log, orders, renewal, revocation, router, timestamp};
use ca::init::{Opened, init};
use ca::lists::Lists;
use ca::own_name::Asker;
use ca::record::{Status, log::STREAM, serial_text};
use ca::time_source::TimeSource;
use ca::timestamps::Timestamps;
use keys::Passphrase;
use pki::asn1;
use pki::ocsp::{CertId, HashAlgorithm};
use runtime::clock::SystemClock;
use runtime::http::{Limits, bind, serve};
use runtime::shutdown::Shutdown;

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

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_too_strange_for_an_answer() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let place = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:8440".parse().unwrap();
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let order = Order { profile: "enterprise-signing".into(), request: csr(&key, &[]), applicant, issuer: None };
    let serial = issue(&opened.authority, Authorised::by_ownership(0), order).unwrap().what().serial.clone();
    opened.evidence.advance().unwrap();
    let seeds = seeds(&opened, &key, &serial);
    let mut opened = opened;
    // Thousands from one address, each looked at.
    let any = policies::authority::Hourly { per_address: 1_000_000, all: 1_000_000 };
    opened.authority.rules.rates = policies::authority::Rates { renewal: any, revocation: any, own_name: any, unproved: any };
    (opened.authority.rules.orders.hourly, opened.authority.rules.timestamp.hourly) = (any, any);
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
        .merge(timestamp::router(timestamps));
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, Limits { header: Duration::from_secs(2), ..Limits::default() }, Shutdown::new()));
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |told| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(told);
    }));
    let asking = move || {
        let mut dice = Dice(20_261_129);
        let began = Instant::now();
        let (mut answered, mut fine) = (0, 0);
        while began.elapsed() < Duration::from_secs(5) && answered < 3_000 {
            let seed = &seeds[dice.below(seeds.len())];
            let (head, body) = match seed.in_path {
                // The method and its space stay: what follows is the path.
                true => ([&seed.head.as_bytes()[..4], &dice.changed(&seed.head.as_bytes()[4..])].concat(), Vec::new()),
                false => (seed.head.clone().into_bytes(), dice.changed(&seed.body)),
            };
            let answer = ask(address, &head, seed.kind, &body);
            let line = String::from_utf8_lossy(answer.get(..answer.len().min(16)).unwrap()).into_owned();
            let status: u16 = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0);
            let shown = || format!("{} {} {line}", head.escape_ascii(), body.escape_ascii());
            assert!((200..500).contains(&status), "{}", shown());
            assert!(answer.len() < 256 * 1024, "{}", shown());
            answered += 1;
            fine += usize::from(status == 200);
        }
        (answered, fine)
    };
    let (answered, fine) = tokio::task::spawn_blocking(asking).await.unwrap();
    assert!(answered > 100 && fine > 0, "{answered} {fine}");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    let record = ca::register::get(&*authority.store, &serial).unwrap();
    assert!(record.status == Status::Good);
    // Nothing in the log but that the one holder was told of its own name, should an unchanged question have come through.
    let entries = authority.store.read_stream(STREAM, 0, 10_000).unwrap();
    let after = entries.iter().skip_while(|entry| !(entry[1] == 70 && String::from_utf8_lossy(entry).contains(&serial_text(&serial)))).skip(1);
    // Orders that came through as they were sent, and tokens, stand beside it.
    assert!(after.clone().all(|entry| [71, 20, 22, 61].contains(&entry[1])), "{:?}", after.map(|entry| entry[1]).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_is_turned_away_before_anything_is_read() {
    let place = tempfile::tempdir().unwrap();
    let mut opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    let few = |per_address| policies::authority::Hourly { per_address, all: 1_000 };
    opened.authority.rules.rates = policies::authority::Rates { renewal: few(1), revocation: few(2), own_name: few(3), unproved: few(1_000) };
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
