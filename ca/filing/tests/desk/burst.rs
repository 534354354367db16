//! The deadline's burst: who finds no place is told when to come again before a byte is read, who comes too fast waits, and
//! whoever comes again is receipted, once.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use filing::desk::Desk;
use filing::desk::http::{Public, router};
use filing::desk::record::filing::FilingRecord;
use runtime::clock::Clock as _;
use runtime::http::{Caller, Limits};
use runtime::metrics::Registry;
use runtime::shutdown::Shutdown;
use rustls::pki_types::CertificateDer;

use crate::office::{CODE, Firm, Founded, OTHER, firm, json, sign, vat};

/// A desk that is called over loopback; the test says in a header whose certificate TLS would have proved.
struct Open {
    founded: Founded,
    desk: Arc<Desk>,
    metrics: Registry,
    address: SocketAddr,
    shutdown: Shutdown,
    runtime: tokio::runtime::Runtime,
}

impl Open {
    fn new(firms: &[(&'static str, &Firm)], founded: Founded, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Self {
        let desk = Arc::new(founded.desk(crate::office::founded_store(), change));
        founded.seal(&desk);
        let (metrics, shutdown, runtime) = (Registry::new(), Shutdown::new(), tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
        let public = Arc::new(Public::new(Arc::clone(&desk), &metrics).unwrap());
        let chains: HashMap<&'static str, Arc<[CertificateDer<'static>]>> =
            firms.iter().map(|(code, firm)| (*code, Arc::from([firm.certificate.clone(), founded.world.issuer.certificate.clone()].map(CertificateDer::from)))).collect();
        let chains = Arc::new(chains);
        let called = from_fn(move |mut request: Request, next: Next| {
            let chains = Arc::clone(&chains);
            async move {
                let chain = request.headers().get("x-firm").and_then(|code| chains.get(code.to_str().ok()?)).cloned().unwrap_or_else(|| Arc::from([]));
                request.extensions_mut().insert(Caller { address: None, certificates: chain, user: None });
                next.run(request).await
            }
        });
        let listener = runtime.block_on(runtime::http::bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(runtime::http::serve(listener, router(public).layer(called), Limits { body: None, ..Limits::default() }, shutdown.clone()));
        Self { founded, desk, metrics, address, shutdown, runtime }
    }

    fn body(&self, firm: &Firm, filing: &[u8]) -> String {
        let signature = sign(&self.founded.world, firm, filing, self.founded.clock.now());
        serde_json::json!({"filing": STANDARD.encode(filing), "signature": STANDARD.encode(signature)}).to_string()
    }

    fn filings(&self) -> usize {
        let (from, to) = FilingRecord::all();
        self.desk.store.scan(&from, &to, 1_000).unwrap().len()
    }

    fn end(self) {
        self.shutdown.begin();
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

/// Status and Retry-After.
fn post(address: SocketAddr, firm: &str, body: &str) -> (u16, Option<u64>) {
    ask(address, firm, "POST /filings", body)
}

fn ask(address: SocketAddr, firm: &str, what: &str, body: &str) -> (u16, Option<u64>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // Refused before it is read, the rest of the body may find nobody.
    let _ = write!(stream, "{what} HTTP/1.1\r\nHost: desk\r\nX-Firm: {firm}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let again = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("retry-after:").and_then(|seconds| seconds.trim().parse().ok()));
    (status, again)
}

/// A head, and nothing of the body.
fn slow(address: SocketAddr, firm: &str, what: &str, length: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "{what} HTTP/1.1\r\nHost: desk\r\nX-Firm: {firm}\r\n{length}\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

fn status(mut stream: TcpStream) -> u16 {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).get(9..12).and_then(|status| status.parse::<u16>().ok()).unwrap_or(0)
}

/// One enterprise that sends heads without bodies shuts nobody out but itself, and itself only until it lets go.
#[test]
fn who_sends_slowly_takes_its_own_places_alone() {
    let founded = Founded::new();
    let (ours, theirs) = (firm(&founded.world.issuer, CODE, |_| {}), firm(&founded.world.issuer, OTHER, |_| {}));
    let open = Open::new(&[(CODE, &ours), (OTHER, &theirs)], founded, |_| {});
    let waiting = |wanted: &str| {
        let began = Instant::now();
        while !open.metrics.render().contains(&format!("suiyin_desk_waiting {wanted}\n")) {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", open.metrics.render());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let held: Vec<TcpStream> = (0..4).map(|_| slow(open.address, CODE, "POST /filings", "Transfer-Encoding: chunked")).collect();
    waiting("4");
    let body = open.body(&ours, &vat(CODE, |_| {}));
    for door in ["POST /filings", "POST /mandates", "POST /operators/withdraw"] {
        assert_eq!(ask(open.address, CODE, door, &body), (429, Some(5)), "{door}");
    }
    assert_eq!(post(open.address, OTHER, &open.body(&theirs, &vat(OTHER, |_| {}))).0, 200);
    drop(held);
    waiting("0");
    assert_eq!(post(open.address, CODE, &body).0, 200);
    open.end();
}

#[test]
fn who_finds_no_place_comes_again_and_nothing_is_lost() {
    const CALLERS: usize = 40;
    let founded = Founded::new();
    let ours = firm(&founded.world.issuer, CODE, |_| {});
    let open = Open::new(&[(CODE, &ours)], founded, |documents| {
        documents[1].1 = documents[1].1.replacen("at_once = 64", "at_once = 2", 1).replacen("places = 4096", "places = 4", 1).replacen("bodies_per_enterprise = 4", "bodies_per_enterprise = 40", 1);
    });
    let periods: Vec<String> = (2023..=2026).flat_map(|year| (1..=10).map(move |month| format!("{year}{month:02}"))).collect();
    // Nothing is brought forward from one month to the next.
    let month = |period: &str| {
        vat(CODE, |filing| {
            filing["period"] = period.into();
            filing["payload"]["general_month"]["l12"] = "96000.00".into();
            filing["payload"]["general_month"]["l13"] = "0.00".into();
        })
    };
    let bodies: Vec<String> = periods.iter().map(|period| open.body(&ours, &month(period))).collect();
    assert_eq!(bodies.len(), CALLERS);
    // 1. The responder answers nobody: two are judged, four wait, the others are told at once.
    *open.founded.world.responder_waits.0.lock().unwrap() = true;
    let began = Instant::now();
    let first: Vec<_> = bodies.iter().cloned().map(|body| std::thread::spawn({ let address = open.address; move || (post(address, CODE, &body), began.elapsed()) })).collect();
    while open.metrics.render().lines().all(|line| line != format!("suiyin_desk_filings_total{{outcome=\"no-place\"}} {}", CALLERS - 6)) {
        assert!(began.elapsed() < Duration::from_secs(50), "{}", open.metrics.render());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(open.filings(), 0);
    assert!(open.metrics.render().contains("suiyin_desk_waiting 6"), "{}", open.metrics.render());
    // 2. It answers again: those that had a place are receipted.
    *open.founded.world.responder_waits.0.lock().unwrap() = false;
    open.founded.world.responder_waits.1.notify_all();
    let answers: Vec<((u16, Option<u64>), Duration)> = first.into_iter().map(|one| one.join().unwrap()).collect();
    let of = |wanted: u16| answers.iter().filter(|((status, _), _)| *status == wanted).count();
    assert_eq!((of(200), of(503)), (6, CALLERS - 6), "{answers:?}");
    assert!(answers.iter().all(|((status, again), _)| *status == 200 || *again == Some(5)), "{answers:?}");
    assert_eq!(open.filings(), 6);
    // 3. Everybody comes again, also who was receipted: all are, each once.
    for body in &bodies {
        assert_eq!(post(open.address, CODE, body).0, 200);
    }
    assert_eq!(open.filings(), CALLERS);
    assert!(open.metrics.render().contains("suiyin_desk_waiting 0"));
    open.end();
}

#[test]
fn one_that_comes_too_fast_waits_and_is_in_nobodys_way() {
    let founded = Founded::new();
    let (ours, theirs) = (firm(&founded.world.issuer, CODE, |_| {}), firm(&founded.world.issuer, OTHER, |_| {}));
    let open = Open::new(&[(CODE, &ours), (OTHER, &theirs)], founded, |documents| {
        documents[1].1 = documents[1].1.replacen("per_enterprise = 600", "per_enterprise = 3", 1);
    });
    let month = |code: &str, period: &str| vat(code, |filing| filing["period"] = period.into());
    for period in ["202601", "202602", "202603"] {
        let body = open.body(&ours, &month(CODE, period));
        // Refused by a rule or receipted: it counts.
        assert!([200, 422].contains(&post(open.address, CODE, &body).0));
    }
    let late = month(CODE, "202605");
    let body = open.body(&ours, &late);
    let (status, again) = post(open.address, CODE, &body);
    let wait = again.unwrap();
    assert!(status == 429 && (1..=1_201).contains(&wait), "{status} {wait}");
    // So it is at each door of an enterprise's.
    for what in ["GET /filings", "GET /mandates", "GET /mandates/01ARZ3NDEKTSV4RRFFQ69G5FAV", "POST /mandates", "POST /mandates/withdraw", "GET /operators", "POST /operators", "POST /operators/withdraw"] {
        let (status, again) = ask(open.address, CODE, what, "");
        assert!(status == 429 && again.is_some(), "{what}: {status} {again:?}");
    }
    // Others are not kept waiting for it.
    assert_eq!(post(open.address, OTHER, &open.body(&theirs, &month(OTHER, "202605"))).0, 200);
    assert_eq!(post(open.address, "nobody", &body).0, 403);
    // After what it was told it is taken, signed anew: what was signed so long before its timestamp is check 7's.
    open.founded.clock.advance(time::Duration::seconds(wait as i64));
    assert_eq!(post(open.address, CODE, &open.body(&ours, &late)).0, 200);
    assert!(open.desk.store.get(&FilingRecord::key(json(&late)["filing_id"].as_str().unwrap())).unwrap().is_some());
    open.end();
}

/// What the bodies take is bounded, by what they announce, before one octet of them is read; and who sends slowly gives its room
/// back after what the city grants.
#[test]
fn bodies_find_room_or_come_again_and_slow_ones_give_it_back() {
    const ANNOUNCED: usize = 370_000;
    let founded = Founded::new();
    let ours = firm(&founded.world.issuer, CODE, |_| {});
    let open = Open::new(&[(CODE, &ours)], founded, |documents| {
        let limits = documents[1].1.replacen("waiting_bytes = 1073741824", "waiting_bytes = 1100000", 1).replacen("body_seconds = 30", "body_seconds = 3", 1);
        documents[1].1 = limits.replacen("max_bytes = 8388608", "max_bytes = 16384", 1);
    });
    let body = open.body(&ours, &vat(CODE, |_| {}));
    let slow = |length: &str| slow(open.address, CODE, "POST /filings", length);
    let other = |door: &str| crate::burst::slow(open.address, CODE, door, "Transfer-Encoding: chunked");
    // Two that announce nearly the most, and one that announces nothing and counts as the largest.
    let began = Instant::now();
    let held: Vec<TcpStream> = (0..2).map(|_| slow(&format!("Content-Length: {ANNOUNCED}"))).collect();
    while !open.metrics.render().contains("suiyin_desk_waiting 2") {
        assert!(began.elapsed() < Duration::from_secs(2), "{}", open.metrics.render());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(status(slow("Transfer-Encoding: chunked")), 503);
    for door in ["POST /mandates", "POST /mandates/withdraw", "POST /operators", "POST /operators/withdraw"] {
        assert_eq!(status(other(door)), 503, "{door}");
    }
    // One that is small finds room beside them.
    assert!(body.len() < 300_000);
    assert_eq!(post(open.address, CODE, &body).0, 200);
    // They are let go, and the whole of it is free again.
    assert_eq!(held.into_iter().map(status).collect::<Vec<_>>(), [400, 400]);
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert!(open.metrics.render().contains("suiyin_desk_waiting 0"));
    assert_eq!(status(slow("Transfer-Encoding: chunked")), 400);
    let held = ["POST /mandates", "POST /operators"].map(other);
    assert_eq!(held.map(status), [400, 400]);
    open.end();
}

/// Uploads that are on their way take their places; whoever comes beside them is told at once, without a byte of its body read.
#[test]
fn an_upload_that_finds_no_place_is_told_at_once() {
    let founded = Founded::new();
    let (ours, theirs) = (firm(&founded.world.issuer, CODE, |_| {}), firm(&founded.world.issuer, OTHER, |_| {}));
    let open = Open::new(&[(CODE, &ours), (OTHER, &theirs)], founded, |documents| {
        documents[1].1 = documents[1].1.replacen("at_once = 256", "at_once = 2", 1).replacen("at_once_per_enterprise = 16", "at_once_per_enterprise = 1", 1);
    });
    let door = |digit: &str| format!("PUT /attachments/{}", digit.repeat(64));
    let began = Instant::now();
    let coming = |many: usize| {
        while std::fs::read_dir(&open.desk.attachments).unwrap().count() != many {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let first = slow(open.address, CODE, &door("a"), "Transfer-Encoding: chunked");
    coming(1);
    // Another of the same enterprise; then the last place is another's, and there is none for anybody.
    assert_eq!(status(slow(open.address, CODE, &door("b"), "Transfer-Encoding: chunked")), 429);
    let second = slow(open.address, OTHER, &door("c"), "Transfer-Encoding: chunked");
    coming(2);
    assert_eq!(status(slow(open.address, OTHER, &door("d"), "Content-Length: 5")), 503);
    // Whoever lets go makes room.
    drop((first, second));
    coming(0);
    let digest: String = ring::digest::digest(&ring::digest::SHA256, b"x").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(ask(open.address, CODE, &format!("PUT /attachments/{digest}"), "x").0, 200);
    open.end();
}

/// A file that is refused while it still comes, by who never ends: what is left is let pass as long as the city grants and no longer.
#[test]
fn the_rest_of_a_file_that_nobody_takes_is_let_pass_within_its_time() {
    let founded = Founded::new();
    let ours = firm(&founded.world.issuer, CODE, |_| {});
    let open = Open::new(&[(CODE, &ours)], founded, |documents| documents[1].1 = documents[1].1.replacen("rest_seconds = 120", "rest_seconds = 2", 1));
    let began = Instant::now();
    let stream = slow(open.address, CODE, "PUT /attachments/no-digest", "Transfer-Encoding: chunked");
    let mut sender = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let mut pieces = 0;
        while sender.write_all(b"1\r\nx\r\n").is_ok() && began.elapsed() < Duration::from_secs(30) {
            pieces += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        pieces
    });
    // It reads its answer, after the time that is granted, though it never ended; then nobody reads it any more.
    assert_eq!(status(stream), 400);
    assert!((2..25).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!((5..280).contains(&sending.join().unwrap()));
    open.end();
}
