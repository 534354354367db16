//! What relying parties are told while the authority is busy: a revocation that was answered is told by the very next answer
//! of OCSP, and by a delta within the minute that the statement promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, openssl};
use pki::ocsp::{CertId, CertStatus, HashAlgorithm, OcspAnswer, request};
use pki::view::CertificateView;
use serde_json::{Value, json};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

const CODE: &str = "91440101MAT000018G";
/// Certificates that are revoked, one after the other.
const REVOKED: usize = 40;
/// What the practice statement promises of deltas.
const DELTA: Duration = Duration::from_secs(60);

/// One connection to the authority, kept open: the public address, or the administrators' socket.
struct Line<S>(S);

impl<S: Read + Write> Line<S> {
    fn ask(&mut self, head: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!("{head} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut read = Vec::new();
        let mut piece = [0; 16_384];
        loop {
            let length = self.0.read(&mut piece).unwrap();
            assert!(length > 0, "cut off: {}", read.escape_ascii());
            read.extend_from_slice(&piece[..length]);
            let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.trim().parse().unwrap());
            if read.len() >= end + 4 + length {
                return (head[9..12].parse().unwrap(), read.split_off(end + 4));
            }
        }
    }
}

/// Where a test asks, from as many threads as it likes.
#[derive(Clone)]
struct Place {
    address: String,
    socket: PathBuf,
    issuer: Vec<u8>,
}

impl Place {
    fn public(&self) -> Line<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Line(stream)
    }

    fn office(&self) -> Line<UnixStream> {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Line(stream)
    }

    fn id(&self, serial: &str) -> CertId {
        let view = CertificateView::parse(&self.issuer).unwrap();
        CertId::new(HashAlgorithm::Sha1, view.subject, view.spki, &octets(serial)).unwrap()
    }

    fn status(&self, line: &mut Line<TcpStream>, serial: &str) -> CertStatus {
        let (status, body) = line.ask("POST /ocsp", "application/ocsp-request", &request(&self.id(serial), None));
        assert_eq!(status, 200);
        OcspAnswer::parse(&body).unwrap().of(&self.issuer, &octets(serial), None).unwrap().0.status.clone()
    }
}

fn octets(serial: &str) -> Vec<u8> {
    (0..serial.len()).step_by(2).map(|at| u8::from_str_radix(&serial[at..at + 2], 16).unwrap()).collect()
}

fn operation(line: &mut Line<UnixStream>, operation: &Value) -> Value {
    let (status, body) = line.ask("POST /v1/operation", "application/json", operation.to_string().as_bytes());
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{said}");
    said
}

fn new_request() -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn issued(line: &mut Line<UnixStream>, request: &[u8]) -> String {
    let order = json!({ "issue": { "profile": "enterprise-signing", "request": request, "applicant": { "name": "广州天河测试有限公司", "code": CODE }, "issuer": null } });
    operation(line, &order)["certificate"]["serial"].as_str().unwrap().to_owned()
}

#[test]
fn an_answered_revocation_is_told_by_the_next_answer_and_by_a_delta_within_a_minute() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    let rules = place.path().join("ca/policies/authority/renewal.toml");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, text.replace("profile = \"enterprise-signing\"\nwindow_days = 60", "profile = \"enterprise-signing\"\nwindow_days = 366")).unwrap();
    let profile = place.path().join("ca/policies/certificates/enterprise-signing.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, text.replace("days = 730", "days = 365")).unwrap();
    authority.start();
    let issuer = pem::parse(std::fs::read(place.path().join("ca/enterprise-ca.pem")).unwrap()).unwrap().into_contents();
    let at = Place { address: authority.url.trim_start_matches("http://").to_owned(), socket: place.path().join("ca/admin.sock"), issuer };
    // Renewals as holders send them, signed beforehand.
    let renewals: Vec<Vec<u8>> = (0..8).map(|number| {
        let (old, new) = (format!("o{number}"), format!("n{number}"));
        authority.request(&old, "/C=CN");
        authority.request(&new, "/C=CN");
        authority.issue(&old, "enterprise-signing", &["--name", "广州天河测试有限公司", "--code", CODE]);
        let out = format!("{new}.der");
        openssl(&["cms", "-sign", "-nodetach", "-binary", "-in", &format!("{new}.csr"), "-signer", &format!("{old}.pem"), "-inkey", &format!("{old}.key"), "-outform", "DER", "-out", &out], &authority.home).ok();
        std::fs::read(authority.home.join(out)).unwrap()
    }).collect();
    let mut office = at.office();
    let doomed: Vec<String> = (0..REVOKED).map(|_| issued(&mut office, &new_request())).collect();
    let kept: Vec<String> = (0..20).map(|_| issued(&mut office, &new_request())).collect();
    let (busy, asked, made, renewed) = (AtomicBool::new(true), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (took, last) = std::thread::scope(|scope| {
        // Relying parties, who ask of what is good and of what is about to be revoked: all is in memory when it is.
        for of in 0..3 {
            let (at, doomed, kept, busy, asked) = (&at, &doomed, &kept, &busy, &asked);
            scope.spawn(move || {
                let (mut line, mut seen) = (at.public(), BTreeSet::new());
                for number in (of..).step_by(3) {
                    let (good, other) = (&kept[number % kept.len()], &doomed[number % doomed.len()]);
                    assert_eq!(at.status(&mut line, good), CertStatus::Good);
                    // Once it was told revoked, it is never told good again.
                    match at.status(&mut line, other) {
                        CertStatus::Revoked { .. } => drop(seen.insert(other.clone())),
                        status => assert!(!seen.contains(other), "{status:?} after it was revoked"),
                    }
                    asked.fetch_add(2, Ordering::Relaxed);
                    if !busy.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut line = at.office();
            let requests: Vec<Vec<u8>> = (0..64).map(|_| new_request()).collect();
            while busy.load(Ordering::Relaxed) {
                issued(&mut line, &requests[made.fetch_add(1, Ordering::Relaxed) as usize % requests.len()]);
            }
        });
        scope.spawn(|| {
            let mut line = at.public();
            while busy.load(Ordering::Relaxed) {
                let number = renewed.fetch_add(1, Ordering::Relaxed) as usize;
                let (status, _) = line.ask("POST /renew", "application/pkcs7-mime", &renewals[number % renewals.len()]);
                assert!([200, 429].contains(&status), "{status}");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut public = at.public();
        let mut took = Vec::new();
        for (number, serial) in doomed.iter().enumerate() {
            let began = Instant::now();
            operation(&mut office, &json!({ "revoke": { "serial": serial, "reason": "superseded", "at": null } }));
            let answered = began.elapsed();
            // On this connection and on a new one.
            assert!(matches!(at.status(&mut public, serial), CertStatus::Revoked { .. }), "{number}: told otherwise after it was answered");
            took.push((answered, began.elapsed()));
            assert!(matches!(at.status(&mut at.public(), serial), CertStatus::Revoked { .. }), "{number}");
        }
        let last = Instant::now();
        // The lists are made under the same load.
        let listed = loop {
            let (status, delta) = public.ask("GET /crl/enterprise-ca-delta.crl", "application/x", b"");
            let on = match status {
                200 => {
                    let (_, list) = CertificateRevocationList::from_der(&delta).unwrap();
                    let on: BTreeSet<&[u8]> = list.iter_revoked_certificates().map(|entry| entry.raw_serial()).collect();
                    doomed.iter().filter(|serial| on.contains(octets(serial).as_slice())).count()
                }
                _ => 0,
            };
            if on == doomed.len() {
                break last.elapsed();
            }
            assert!(last.elapsed() < DELTA, "{on} of {REVOKED} are on the delta after {:?}", last.elapsed());
            std::thread::sleep(Duration::from_millis(200));
        };
        busy.store(false, Ordering::Relaxed);
        (took, listed)
    });
    let mut told: Vec<Duration> = took.iter().map(|(_, told)| *told).collect();
    told.sort();
    let answered = took.iter().map(|(answered, _)| *answered).max().unwrap();
    println!(
        "{REVOKED} revocations beside {} answers, {} certificates and {} renewals: answered within {answered:?}, told by OCSP within {:?} (median {:?}); all on the delta {last:?} after the last",
        asked.load(Ordering::Relaxed), made.load(Ordering::Relaxed), renewed.load(Ordering::Relaxed), told[REVOKED - 1], told[REVOKED / 2]
    );
    assert!(made.load(Ordering::Relaxed) > 0 && asked.load(Ordering::Relaxed) > 100);
}
