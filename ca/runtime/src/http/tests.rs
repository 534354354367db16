#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use axum::body::Bytes;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// More than the buffers of both ends hold.
const LARGE: usize = 32 << 20;

fn router() -> Router {
    Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                "finished"
            }),
        )
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .merge(health(|| Ok(())))
        .merge(metrics(|| "up 1\n".to_owned()))
}

async fn start(limits: Limits) -> (SocketAddr, Shutdown, JoinHandle<()>) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    (address, shutdown.clone(), tokio::spawn(serve(listener, router(), limits, shutdown)))
}

async fn talk(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read all.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn an_occupied_port_is_named_with_what_to_do() {
    let held = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = held.local_addr().unwrap();
    let problem = Problem::from(bind(address).await.unwrap_err());
    assert_eq!(problem.exit, Exit::Unavailable);
    assert_eq!(problem.message, format!("another program listens on {address} already"));
    assert!(problem.next.contains("configure another address"));
}

#[tokio::test]
async fn health_and_metrics_answer() {
    let (address, shutdown, server) = start(Limits::default()).await;
    let health = talk(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.ends_with(r#"{"status":"ok"}"#), "{health}");
    let metrics = talk(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(metrics.contains("text/plain; version=0.0.4") && metrics.ends_with("up 1\n"), "{metrics}");
    shutdown.begin();
    timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}

#[tokio::test]
async fn oversized_bodies_are_refused_announced_or_not() {
    let (address, ..) = start(Limits { body: Some(8), ..Limits::default() }).await;
    let close = "Host: x\r\nConnection: close\r\n";
    let fits = talk(address, format!("POST /echo HTTP/1.1\r\n{close}Content-Length: 8\r\n\r\n12345678").as_bytes()).await;
    assert!(fits.starts_with("HTTP/1.1 200") && fits.ends_with("12345678"), "{fits}");
    let announced = talk(address, format!("POST /echo HTTP/1.1\r\n{close}Content-Length: 9\r\n\r\n123456789").as_bytes()).await;
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n";
    let chunked = talk(address, format!("POST /echo HTTP/1.1\r\n{close}{chunked}").as_bytes()).await;
    for answer in [announced, chunked] {
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"code\":\"body-too-large\""), "{answer}");
    }
}

#[tokio::test]
async fn who_still_writes_what_is_refused_reads_the_refusal() {
    let (address, ..) = start(Limits { body: Some(8), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 600000\r\n\r\n").await.unwrap();
    for _ in 0..6 {
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    // So does who is refused by what reads the body, in the middle of it.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for _ in 0..6 {
        stream.write_all(b"186a0\r\n").await.unwrap();
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    // Who waits to be told to go on is told no at once.
    let waiting = talk(address, b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 600000\r\n\r\n").await;
    assert!(waiting.starts_with("HTTP/1.1 413"), "{waiting}");
}

#[tokio::test]
async fn heads_too_long_or_too_slow_end_the_connection() {
    let (address, ..) = start(Limits { header: Duration::from_millis(100), ..Limits::default() }).await;
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    let answer = talk(address, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    // `talk` returns only once the server has closed.
    let answer = talk(address, b"GET /healthz HTTP/1.1\r\nHost:").await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_a_long_one_is_cut() {
    for (grace, finished) in [(Duration::from_secs(10), true), (Duration::from_millis(50), false)] {
        let (address, shutdown, server) = start(Limits { grace, ..Limits::default() }).await;
        let asked = tokio::spawn(async move { talk(address, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        shutdown.begin();
        assert_eq!(asked.await.unwrap().ends_with("finished"), finished);
        timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn a_handler_that_hangs_is_answered_for() {
    let (address, ..) = start(Limits { request: Some(Duration::from_millis(50)), ..Limits::default() }).await;
    let answer = talk(address, b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request-timeout"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let patience = Duration::from_millis(300);
    let (address, ..) = start(Limits { write: Some(patience), ..Limits::default() }).await;
    let ask = || async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stream
    };
    let mut stream = ask().await;
    tokio::time::sleep(3 * patience).await;
    let mut taken = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut taken)).await.unwrap();
    assert!(taken.len() < LARGE, "the whole answer waited");
    // Slowly is not too slowly; and what waits between two answers is nobody's fault.
    let mut stream = ask().await;
    let mut piece = vec![0; 1 << 20];
    let mut taken = 0;
    while taken < LARGE {
        taken += stream.read(&mut piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(2 * patience).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("{\"status\":\"ok\"}"));
}

#[tokio::test]
async fn every_answer_names_its_request_and_is_counted_by_its_route() {
    let requests = crate::request::Requests::new();
    let refused = || async { Problem::new(Exit::Conflict, "taken", "the name is taken", "choose another").at("name") };
    let headed = || async { ([("x-more", "kept")], Problem::new(Exit::Internal, "internal", "no", "report this")) };
    let seen = |axum::Extension(id): axum::Extension<crate::request::RequestId>| async move { id.to_string() };
    let hang = || async { tokio::time::sleep(Duration::from_secs(60)).await };
    let router = router().route("/refuse/{name}", get(refused)).route("/headed", get(headed)).route("/seen", get(seen)).route("/hang", get(hang));
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { request: Some(Duration::from_millis(500)), body: Some(8), ..Limits::default() };
    tokio::spawn(serve(listener, requests.counted(router), limits, Shutdown::new()));
    let ask = async |path: &str, more: &str| talk(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n").as_bytes()).await;
    let id = |answer: &str| answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
    let given = ask("/seen", "X-Request-Id: abc-12345\r\n").await;
    assert!(id(&given) == "abc-12345" && given.ends_with("\r\n\r\nabc-12345"), "{given}");
    let made = ask("/seen", "X-Request-Id: <script>alert(1)</script>\r\n").await;
    assert!(id(&made).len() == 24 && made.ends_with(&id(&made)), "{made}");
    for name in ["one", "two"] {
        let problem = ask(&format!("/refuse/{name}"), "").await;
        let body: serde_json::Value = serde_json::from_str(problem.rsplit("\r\n\r\n").next().unwrap()).unwrap();
        assert!(problem.starts_with("HTTP/1.1 409") && body["request"] == id(&problem).as_str() && body["field"] == "name", "{problem}");
    }
    let headed = ask("/headed", "").await;
    assert!(headed.contains("x-more: kept\r\n") && headed.contains("application/json") && headed.contains(&format!("\"request\":\"{}\"", id(&headed))), "{headed}");
    let slow = ask("/hang", "").await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains(&format!("\"request\":\"{}\"", id(&slow))), "{slow}");
    let large = talk(address, b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n123456789").await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains(&format!("\"request\":\"{}\"", id(&large))), "{large}");
    let absent = ask("/absent/110101199003074514", "").await;
    assert!(absent.starts_with("HTTP/1.1 404") && id(&absent).len() == 24);
    let text = requests.render();
    for line in [
        "suiyin_http_requests_total{route=\"/refuse/{name}\",status=\"4xx\"} 2",
        "suiyin_http_requests_total{route=\"/headed\",status=\"5xx\"} 1",
        "suiyin_http_requests_total{route=\"/seen\",status=\"2xx\"} 2",
        "suiyin_http_requests_total{route=\"/hang\",status=\"unanswered\"} 1",
        "suiyin_http_requests_total{route=\"none\",status=\"4xx\"} 1",
        "suiyin_http_request_seconds_count{route=\"/seen\"} 2",
        "suiyin_http_request_seconds_bucket{route=\"/hang\",le=\"0.25\"} 0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }
    assert!(!text.contains("110101199003074514") && !text.contains("/one"), "{text}");
}

#[test]
fn refusals_are_told_of_and_never_fill_the_log() {
    let (refusals, began) = (Refusals::default(), Instant::now());
    let told = |seconds: u64| refusals.tell(began + Duration::from_secs(seconds));
    assert_eq!((0..1_000).filter_map(|_| told(0)).collect::<Vec<_>>(), [0; TOLD as usize]);
    assert_eq!((told(59), told(60), told(61)), (None, Some(971), Some(0)));
}

#[tokio::test]
async fn one_address_keeps_nobody_else_out() {
    let (address, shutdown, server) = start(Limits { connections: 4, of_one_address: 2, ..Limits::default() }).await;
    let health = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let from = |host: [u8; 4]| async move {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((host, 0).into()).unwrap();
        socket.connect(address).await.unwrap()
    };
    let (first, second) = (from([127, 0, 0, 1]).await, from([127, 0, 0, 1]).await);
    // A third is cut off at once, and does not wait until there is a place.
    let mut third = from([127, 0, 0, 1]).await;
    let _ = third.write_all(health).await;
    let mut said = Vec::new();
    let _ = timeout(Duration::from_secs(5), third.read_to_end(&mut said)).await.expect("it is cut off");
    assert!(said.is_empty());
    // Another's is served all the same.
    let mut other = from([127, 0, 0, 2]).await;
    other.write_all(health).await.unwrap();
    let mut said = Vec::new();
    timeout(Duration::from_secs(5), other.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with(b"HTTP/1.1 200"));
    // What is given back is there again.
    drop((first, second));
    let mut again = String::new();
    for _ in 0..50 {
        again = talk(address, health).await;
        if !again.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    shutdown.begin();
    timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}
