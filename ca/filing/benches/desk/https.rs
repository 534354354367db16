//! The same over HTTPS, each caller with a certificate of its own: on connections that are kept, and all at one moment. The callers
//! are a process of their own, so that what they take is not counted as the desk's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use filing::desk::Desk;
use filing::desk::http::{Public, router};
use filing::desk::tls::{self, DeskTls};
use pki::certificate::AlternativeName;
use pki::request::Request;
use runtime::clock::Clock as _;
use runtime::http::Limits;
use runtime::metrics::Registry;
use runtime::shutdown::Shutdown;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::office::{self, Founded};
use crate::{at, credit_code, processor_seconds};

/// In the environment of the callers' process: the file of their filings. Then: at how many at one time.
pub const CALLERS: &str = "SUIYIN_BENCH_CALLERS";
const HOST: &str = "desk.example.cn";
/// What each enterprise files on one connection; of another month it files once more, with all others at one moment.
const MONTHS: [&str; 6] = ["202605", "202606", "202607", "202608", "202609", "202610"];
/// TLS asks the host's own clock.
const UNTIL: OffsetDateTime = datetime!(2045-01-01 0:00 UTC);
const SERVER_AUTH: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// `first` is the first of as many enterprises that filed nothing yet.
pub fn measure(founded: &Founded, desk: &Arc<Desk>, place: &Path, first: usize, enterprises: usize, at_once: usize) {
    let file = place.join("callers");
    std::fs::write(&file, prepare(founded, first, enterprises)).unwrap();
    install(founded, desk);
    let (metrics, shutdown) = (Registry::new(), Shutdown::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let public = Arc::new(Public::new(Arc::clone(desk), &metrics).unwrap());
    let listener = runtime.block_on(runtime::http::bind("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = listener.local_addr().unwrap();
    let tls = DeskTls::new(Arc::clone(&desk.store), Arc::clone(&desk.keys), std::slice::from_ref(&founded.world.root.certificate)).unwrap();
    let limits = Limits { body: None, request: Some(Duration::from_secs(900)), connections: 8_192, ..Limits::default() };
    runtime.spawn(runtime::http::serve_tls(listener, Arc::new(tls), router(public), limits, shutdown.clone()));
    let mut callers = Command::new(std::env::current_exe().unwrap())
        .env(CALLERS, &file)
        .args([address.to_string(), at_once.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut go, mut told) = (callers.stdin.take().unwrap(), BufReader::new(callers.stdout.take().unwrap()));
    let mut phase = || {
        let before = processor_seconds();
        go.write_all(b"\n").unwrap();
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let (seconds, latencies) = line.trim().split_once(' ').unwrap();
        let latencies: Vec<Duration> = latencies.split(' ').map(|micros| Duration::from_micros(micros.parse().unwrap())).collect();
        (seconds.parse::<f64>().unwrap(), latencies, processor_seconds() - before)
    };
    let (seconds, latencies, processor) = phase();
    let filed = latencies.len();
    println!("filings receipted over HTTPS, durable           {:>10.0}/s   {filed} of {enterprises} enterprises, {at_once} connections at one time", filed as f64 / seconds);
    println!("  {:.0} µs of processor each, handshakes among them  p50 {:?}, p99 {:?}", processor * 1e6 / filed as f64, at(&latencies, 50), at(&latencies, 99));
    let (_, latencies, _) = phase();
    let in_time = latencies.iter().filter(|took| **took <= Duration::from_secs(1)).count();
    println!("  {} at one moment, connected before          p50 {:?}, p99 {:?}, {:.1} % within a second", latencies.len(), at(&latencies, 50), at(&latencies, 99), 100.0 * in_time as f64 / latencies.len() as f64);
    assert!(callers.wait().unwrap().success());
    shutdown.begin();
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn install(founded: &Founded, desk: &Desk) {
    let request = Request::parse(tls::request(&*desk.store, &desk.keys, HOST, &[]).unwrap().as_bytes()).unwrap();
    let certificate = founded.world.issuer.seal(&request.spki, |plan| {
        plan.not_after = UNTIL;
        plan.extensions.key_usage = vec![0];
        plan.extensions.extended_key_usage = vec![SERVER_AUTH];
        plan.extensions.alternative_names = vec![AlternativeName::Dns(HOST.into())];
    });
    let chain = [certificate, founded.world.issuer.certificate.clone()].map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der))).concat();
    tls::install(&*desk.store, &desk.keys, HOST, chain.as_bytes(), desk.clock.now()).unwrap();
}

/// A line of an enterprise: what it calls with, and its bodies. None of this is measured.
fn prepare(founded: &Founded, first: usize, enterprises: usize) -> String {
    let world = &founded.world;
    let mut lines = STANDARD.encode(&world.root.certificate) + "\n";
    for index in first..first + enterprises {
        let code: &'static str = credit_code(index).leak();
        let firm = office::firm(&world.issuer, code, |plan| plan.not_after = UNTIL);
        let bodies = MONTHS.map(|month| {
            let filing = office::vat(code, |filing| nothing_carried(filing, month));
            let signature = office::stamped(world, &office::sign(world, &firm, &filing, office::NOW), office::NOW);
            format!("{{\"filing\":\"{}\",\"signature\":\"{}\"}}", STANDARD.encode(filing), STANDARD.encode(signature))
        });
        lines += &[&firm.key.pkcs8, &firm.certificate, &world.issuer.certificate].map(|octets| STANDARD.encode(octets)).join(" ");
        bodies.iter().for_each(|body| lines += &format!(" {body}"));
        lines += "\n";
    }
    lines
}

/// Of another month, and such that the month before carries nothing over.
fn nothing_carried(filing: &mut serde_json::Value, month: &str) {
    filing["period"] = month.into();
    let lines = [("l13", "0.00"), ("l17", "90000.00"), ("l18", "90000.00"), ("l19", "40000.00"), ("l24", "40000.00"), ("l34", "40000.00"), ("l39", "2800.00"), ("l40", "1200.00"), ("l41", "800.00")];
    for (line, amount) in lines {
        filing["payload"]["general_month"][line] = amount.into();
    }
}

/// One enterprise, as its own process knows it.
struct Enterprise {
    config: Arc<ClientConfig>,
    bodies: Vec<String>,
}

type Line = StreamOwned<ClientConnection, TcpStream>;

/// The callers' process: a phase begins with a line on its input and ends with one on its output.
pub fn call() {
    let mut arguments = std::env::args().skip(1);
    let (address, at_once): (SocketAddr, usize) = (arguments.next().unwrap().parse().unwrap(), arguments.next().unwrap().parse().unwrap());
    let enterprises = read(&std::fs::read_to_string(std::env::var(CALLERS).unwrap()).unwrap());
    let begin = || std::io::stdin().lines().next().unwrap().unwrap();
    // 1. Each on a connection of its own, one filing after the other.
    begin();
    let (next, began, latencies) = (AtomicUsize::new(0), Instant::now(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(one) = enterprises.get(next.fetch_add(1, Relaxed)) {
                    let mut line = connect(one, address);
                    for body in one.bodies.iter().take(MONTHS.len() - 1) {
                        let begun = Instant::now();
                        file(&mut line, body);
                        latencies.lock().unwrap().push(begun.elapsed());
                    }
                }
            });
        }
    });
    tell(began.elapsed(), latencies.into_inner().unwrap());
    // 2. All at one moment.
    let (all, latencies) = (Barrier::new(enterprises.len() + 1), Mutex::new(Vec::new()));
    let mut began = Instant::now();
    std::thread::scope(|scope| {
        for one in &enterprises {
            let (all, latencies) = (&all, &latencies);
            let work = move || {
                let mut line = connect(one, address);
                all.wait();
                all.wait();
                let begun = Instant::now();
                file(&mut line, one.bodies.last().unwrap());
                latencies.lock().unwrap().push(begun.elapsed());
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, work).unwrap();
        }
        all.wait();
        begin();
        began = Instant::now();
        all.wait();
    });
    tell(began.elapsed(), latencies.into_inner().unwrap());
}

fn tell(took: Duration, latencies: Vec<Duration>) {
    let micros: Vec<String> = latencies.iter().map(|one| one.as_micros().to_string()).collect();
    println!("{} {}", took.as_secs_f64(), micros.join(" "));
}

fn read(lines: &str) -> Vec<Enterprise> {
    let mut lines = lines.lines();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(STANDARD.decode(lines.next().unwrap()).unwrap())).unwrap();
    let roots = Arc::new(roots);
    let enterprise = |line: &str| {
        let mut parts = line.split(' ');
        let mut der = || STANDARD.decode(parts.next().unwrap()).unwrap();
        let (key, chain) = (PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der())), vec![CertificateDer::from(der()), CertificateDer::from(der())]);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let config = builder.with_root_certificates(Arc::clone(&roots)).with_client_auth_cert(chain, key).unwrap();
        Enterprise { config: Arc::new(config), bodies: parts.map(str::to_owned).collect() }
    };
    lines.map(enterprise).collect()
}

fn connect(enterprise: &Enterprise, address: SocketAddr) -> Line {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let connection = ClientConnection::new(Arc::clone(&enterprise.config), HOST.try_into().unwrap()).unwrap();
    let mut line = StreamOwned::new(connection, stream);
    while line.conn.is_handshaking() {
        line.conn.complete_io(&mut line.sock).unwrap();
    }
    line
}

/// One filing in, its receipt out.
fn file(line: &mut Line, body: &str) {
    let request = format!("POST /filings HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    line.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        let read = line.read(&mut piece).unwrap();
        assert!(read > 0, "the desk closed the connection");
        answer.extend_from_slice(&piece[..read]);
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&answer[..head]).unwrap().to_ascii_lowercase();
        let length: usize = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim().parse().unwrap();
        if answer.len() >= head + 4 + length {
            assert!(text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            return;
        }
    }
}
