//! `scripts/bench`: the authority beside what it stands on, interleaved in one run, each as a ratio.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use ca::flow::Authorised;
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::http::{Public, router};
use ca::status::Status;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use pki::signature::{DigestAlgorithm, Scheme};
use pki::signer::{SignatureAlgorithm, Signer};
use store::{Batch, Key, Store};

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;

/// Times `work` on `threads` threads for one round: calls per second.
fn rate(threads: u64, work: &(dyn Fn(u64, u64) + Sync)) -> f64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    work(thread, turn);
                    turn += 1;
                }
                count.fetch_add(turn, Ordering::Relaxed);
            });
        }
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// Processor seconds of the whole process so far: on a shared machine they say more than the clock on the wall.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, counted after the name in parentheses, in hundredths of a second.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Runs the named works in turn, `ROUNDS` times, and returns the median rate of each.
fn interleaved(works: &[(&str, &dyn Fn() -> f64)]) -> Vec<f64> {
    let mut rates = vec![Vec::new(); works.len()];
    let mut costs = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for (((_, work), rates), costs) in works.iter().zip(&mut rates).zip(&mut costs) {
            let (began, before) = (Instant::now(), processor_seconds());
            let rate = work();
            rates.push(rate);
            costs.push((processor_seconds() - before) * 1e6 / (rate * began.elapsed().as_secs_f64()));
        }
    }
    let medians: Vec<f64> = rates.into_iter().map(median).collect();
    for (((name, _), median_rate), costs) in works.iter().zip(&medians).zip(costs) {
        println!("  {name:<52} {median_rate:>10.0}/s {:>8.0} µs of processor", median(costs));
    }
    medians
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown").to_owned()
}

/// POSTs `body` again and again over one connection each on eight threads.
fn load(address: SocketAddr, path: &str, body: &[u8]) -> f64 {
    let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/ocsp-request\r\ncontent-length: {}\r\n\r\n", body.len());
    let request = [head.as_bytes(), body].concat();
    let connections: Vec<std::sync::Mutex<TcpStream>> = (0..8)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            std::sync::Mutex::new(stream)
        })
        .collect();
    rate(8, &|thread, _| {
        let mut stream = connections[thread as usize].lock().unwrap();
        stream.write_all(&request).unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the server hung up");
            seen.extend_from_slice(&buffer[..read]);
            let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            if seen.len() >= end + 4 + length {
                return;
            }
        }
    })
}

fn main() {
    let place = tempfile::tempdir_in(std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into())).unwrap();
    let passphrase = keys::Passphrase::new("correct horse battery".into()).unwrap();
    let opened = ca::init::init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase, &passphrase, Arc::new(runtime::clock::SystemClock)).unwrap();
    let keystore = keys::KeyStore::create(&place.path().join("keys"), &passphrase).unwrap();
    let holder = keystore.generate("holder", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&holder).unwrap().der().to_vec();
    let authority = Arc::new(opened.authority);
    let order = Order {
        profile: "enterprise-signing".into(),
        request: request.clone(),
        applicant: Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() },
        issuer: None,
    };
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);

    println!("issuance, durable, lint and log on ({cores} cores, 32 committers)");
    let message = vec![7_u8; 900];
    let raw = || {
        rate(cores, &|_, _| {
            // The request's signature verified, the twin and the certificate signed.
            std::hint::black_box(pki::request::Request::parse(&request).unwrap());
            std::hint::black_box(Signer::sign(&holder, &message).unwrap());
            std::hint::black_box(Signer::sign(&holder, &message).unwrap());
        })
    };
    let bare: Arc<dyn Store> = store::open("fjall:bare", place.path()).unwrap();
    let runs = AtomicU64::new(0);
    let two_commits = |id: &[u8; 8]| {
        bare.commit(Batch::new().put(Key::new("intent", &[id]), vec![7; 1_200])).unwrap();
        let record = Batch::new().put(Key::new("certificate", &[id]), vec![7; 1_800]).delete(Key::new("intent", &[id]));
        bare.commit((0..4).fold(record, |batch, index: u8| batch.put(Key::new("index", &[&[index], id]), id.to_vec()))).unwrap();
    };
    let commits = || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        rate(32, &|thread, turn| two_commits(&(run << 48 | thread << 32 | turn).to_be_bytes()))
    };
    // What no issuing can do without, on the same cores: the commits, and every verification and signature that the line makes —
    // it verifies what it signed, too.
    let own_signature = Signer::sign(&holder, &message).unwrap();
    let parts = || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        rate(32, &|thread, turn| {
            std::hint::black_box(pki::request::Request::parse(&request).unwrap());
            std::hint::black_box(Signer::sign(&holder, &message).unwrap());
            std::hint::black_box(Signer::sign(&holder, &message).unwrap());
            Scheme::Ecdsa(DigestAlgorithm::Sha256).verify(Signer::public_key_info(&holder), &message, &own_signature).unwrap();
            two_commits(&(run << 48 | thread << 32 | turn).to_be_bytes());
        })
    };
    let issuing = || rate(32, &|_, _| drop(issue(&authority, Authorised::service(), order.clone()).unwrap()));
    let works: [(&str, &dyn Fn() -> f64); 4] =
        [("raw P-256: verify, sign, sign", &raw), ("the store's own two durable commits", &commits), ("both, and the verification of what was signed", &parts), ("issue", &issuing)];
    if let [raw, commits, parts, issued] = interleaved(&works)[..] {
        println!("  ratio to the slower of the first two {:.2} (aim 0.60), to all that must be done {:.2}", issued / raw.min(commits), issued / parts);
        println!("  60,000 certificates in {:.0} s (aim 20)\n", 60_000.0 / issued);
    }

    let issued = issue(&authority, Authorised::service(), order.clone()).unwrap();
    let issuer = &authority.issuers["enterprise-ca"];
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &issued.what().serial).unwrap();
    let der = pki::asn1::seq(&[&pki::asn1::seq(&[&pki::asn1::tlv(0x30, &pki::asn1::seq(&[&id.der]))])]);
    let status = Arc::new(Status::new(&authority).unwrap());
    println!("OCSP with nonce, one thread");
    let nonce = OcspRequest { nonce: Some(vec![7; 16]), ..OcspRequest::parse(&der).unwrap() };
    let sign = || rate(1, &|_, _| drop(std::hint::black_box(Signer::sign(&holder, &message).unwrap())));
    let fresh = || rate(1, &|_, _| drop(std::hint::black_box(status.make(&nonce))));
    if let [sign, fresh] = interleaved(&[("raw P-256 sign", &sign), ("answer with nonce", &fresh)])[..] {
        println!("  ratio {:.2} (aim 0.60)\n", fresh / sign);
    }

    println!("timestamps, recorded, durable and in the log ({cores} cores, 64 at a time)");
    let timestamps = {
        let keys = keys::KeyStore::open(&place.path().join("ca/keys"), &passphrase).unwrap();
        let (signer, key) = ca::flow::own::replace_timestamp_signer(&authority, &keys).unwrap().unwrap();
        let timestamps = ca::timestamps::Timestamps::open(Arc::clone(&authority), &keys, ca::time_source::TimeSource::Unchecked {}).unwrap();
        timestamps.replace(&signer, key).unwrap();
        timestamps
    };
    let asked = pki::timestamp::TimeStampRequest { imprint: pki::timestamp::Imprint::of(DigestAlgorithm::Sha256, b"filing"), policy: None, nonce: Some(vec![7; 8]), certificate: true }.der();
    let sign_all = || rate(cores, &|_, _| drop(std::hint::black_box(Signer::sign(&holder, &message).unwrap())));
    let stamping = || {
        // Its word counts for a few seconds.
        timestamps.vouching.ask();
        rate(64, &|_, _| assert!(pki::timestamp::token_of(&ca::flow::timestamp::stamp(&timestamps, &asked)).is_ok()))
    };
    let works: [(&str, &dyn Fn() -> f64); 3] = [("raw P-256 sign", &sign_all), ("the store's own two durable commits", &commits), ("timestamp", &stamping)];
    if let [sign, commits, stamped] = interleaved(&works)[..] {
        println!("  ratio to raw signing {:.2}, to the slower reference {:.2}\n", stamped / sign, stamped / sign.min(commits));
    }

    println!("OCSP from memory over HTTP, 8 connections, client in the same process");
    let body = status.make(&OcspRequest::parse(&der).unwrap()).body;
    let fixed = Bytes::copy_from_slice(&body);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let shutdown = runtime::shutdown::Shutdown::new();
    let serve = |router: Router| {
        let listener = runtime.block_on(runtime::http::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(runtime::http::serve(listener, router, runtime::http::Limits::default(), shutdown.clone()));
        address
    };
    let reference = serve(Router::new().route("/fixed", post(move |_: Bytes| async move { fixed })));
    let responder = serve(router(Arc::new(Public { authority: Arc::clone(&authority), status: Arc::clone(&status), lists: Arc::new(ca::lists::Lists::new(Arc::clone(&authority.store))) })));
    let plain = || load(reference, "/fixed", &der);
    let remembered = || load(responder, "/ocsp", &der);
    if let [plain, remembered] = interleaved(&[("the same stack, as many fixed bytes", &plain), ("answer from memory", &remembered)])[..] {
        println!("  ratio {:.2} (aim 0.90)\n", remembered / plain);
    }
    println!("{}", peak_memory());
}
