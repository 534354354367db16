#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Json;
use axum::http::Method;
use axum::routing::{get, post};
use axum::Extension;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

fn private() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    directory
}

async fn length(mut body: Body) -> Result<Json<Value>, Problem> {
    let mut length = 0u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Exit::Refused, "cut-short", "the upload broke off", "send it again"))?;
        length += frame.into_data().map_or(0, |data| data.len() as u64);
    }
    Ok(Json(json!({ "length": length })))
}

fn router() -> Router {
    let refused = || Problem::new(Exit::Conflict, "taken", "the name is taken", "choose another").at("name");
    Router::new()
        .route("/echo", post(|Json(value): Json<Value>| async move { Json(value) }))
        .route("/who", get(|Extension(caller): Extension<Caller>| async move { Json(caller.user) }))
        .route("/refuse", post(move || async move { refused() }))
        .route("/nothing", post(|| async {}))
        .route("/upload", post(length))
        .route("/full", post(|| async { Problem::new(Exit::Unavailable, "disk-full", "the disk is full", "make room") }))
        .route("/garbage", get(|| async { "{" }))
        .route("/work/{end}", post(move |axum::extract::Path(end): axum::extract::Path<String>| async move {
            report(move |reporter| async move {
                for done in 0..50 {
                    assert!(reporter.tell(&json!({ "done": done })).await);
                }
                match end.as_str() {
                    "well" => Ok(json!({ "total": 50 })),
                    "badly" => Err(refused()),
                    _ => panic!("as the test asks"),
                }
            })
        }))
}

async fn start(directory: &Path) -> (AdminClient, Shutdown, JoinHandle<()>) {
    let socket = AdminSocket::bind(directory).await.unwrap();
    let shutdown = Shutdown::new();
    let server = tokio::spawn(socket.serve(router(), shutdown.clone()));
    (AdminClient::connect(&directory.join(SOCKET)).await.unwrap(), shutdown, server)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> Problem {
    match result.unwrap_err() {
        CallError::Problem(problem) => problem,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_call_returns_the_answer_or_the_servers_problem() {
    let directory = private();
    let (client, shutdown, server) = start(directory.path()).await;
    let sent = json!({ "name": "穗印", "n": [1, 2] });
    assert_eq!(client.call::<_, Value>(Method::POST, "/echo", Some(&sent)).await.unwrap(), sent);
    let user = client.call::<(), u32>(Method::GET, "/who", None).await.unwrap();
    assert_eq!(user, rustix::process::geteuid().as_raw());
    client.call::<(), ()>(Method::POST, "/nothing", None).await.unwrap();

    let problem = refusal(client.call::<(), Value>(Method::POST, "/refuse", None).await);
    let expected = Problem::new(Exit::Conflict, "taken", "the name is taken", "choose another").at("name");
    // The shell adds under which id its log has it.
    assert!(problem.request.as_ref().is_some_and(|id| id.len() == 24));
    assert_eq!(Problem { request: None, ..problem }, expected);
    assert_eq!(refusal(client.call::<(), Value>(Method::GET, "/absent", None).await).exit, Exit::NotFound);
    let large = "x".repeat(3 << 20);
    assert_eq!(refusal(client.call::<_, Value>(Method::POST, "/echo", Some(&large)).await).code, "body-too-large");
    let garbage = client.call::<(), Value>(Method::GET, "/garbage", None).await;
    assert!(matches!(garbage, Err(CallError::Protocol { .. })), "{garbage:?}");
    let path = client.call::<(), Value>(Method::GET, "/a b", None).await;
    assert!(matches!(path, Err(CallError::Protocol { .. })), "{path:?}");

    shutdown.begin();
    timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
    assert!(!directory.path().join(SOCKET).exists());
    let gone = client.call::<(), Value>(Method::GET, "/who", None).await;
    assert!(matches!(gone, Err(CallError::NotRunning { .. })), "{gone:?}");
    assert_eq!(Problem::from(gone.unwrap_err()).exit, Exit::Unavailable);
}

#[tokio::test]
async fn the_socket_is_private_and_only_a_stale_one_is_replaced() {
    let directory = private();
    let path = directory.path().join(SOCKET);
    assert!(matches!(AdminClient::connect(&path).await, Err(CallError::NotRunning { .. })));

    // A server that was killed leaves its file behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(matches!(AdminClient::connect(&path).await, Err(CallError::NotRunning { .. })));
    let (client, ..) = start(directory.path()).await;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

    let problem = Problem::from(AdminSocket::bind(directory.path()).await.unwrap_err());
    assert_eq!(problem.exit, Exit::Unavailable);
    assert!(problem.message.contains("answers on") && problem.message.contains(SOCKET), "{problem}");
    client.call::<(), ()>(Method::POST, "/nothing", None).await.unwrap();
}

#[tokio::test]
async fn a_file_or_an_open_directory_is_refused() {
    let directory = private();
    fs::write(directory.path().join(SOCKET), b"precious").unwrap();
    assert!(matches!(AdminSocket::bind(directory.path()).await, Err(AdminError::NotASocket { .. })));
    assert_eq!(fs::read(directory.path().join(SOCKET)).unwrap(), b"precious");
    fs::remove_file(directory.path().join(SOCKET)).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let exposed = AdminSocket::bind(directory.path()).await;
    assert!(matches!(exposed, Err(AdminError::State(StateError::Exposed { .. }))), "{exposed:?}");
}

#[test]
fn only_the_servers_user_and_root_are_admitted() {
    assert!(admitted(1000, 1000) && admitted(0, 1000) && admitted(0, 0));
    assert!(!admitted(1001, 1000) && !admitted(1000, 0));
}

/// Gives `left` zero bytes, then ends or fails.
struct Source {
    left: u64,
    fails: bool,
}

impl AsyncRead for Source {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == 0 && this.fails {
            return Poll::Ready(Err(io::Error::other("the file vanished")));
        }
        let count = this.left.min(buffer.remaining() as u64);
        buffer.initialize_unfilled_to(count as usize);
        buffer.advance(count as usize);
        this.left -= count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_upload_of_any_size_arrives_and_a_broken_one_is_an_error() {
    let directory = private();
    let (client, ..) = start(directory.path()).await;
    for left in [0, 1, 64 << 10, 40 << 20] {
        let answer: Value = client.stream_upload("/upload", Source { left, fails: false }).await.unwrap();
        assert_eq!(answer, json!({ "length": left }));
    }
    let broken = client.stream_upload::<_, Value>("/upload", Source { left: 1 << 20, fails: true }).await;
    assert!(matches!(broken, Err(CallError::Io { .. })), "{broken:?}");
    // The server refuses without reading on: its words arrive, not a broken pipe.
    let refused = client.stream_upload::<_, Value>("/full", Source { left: 40 << 20, fails: false }).await;
    assert_eq!(refusal(refused).code, "disk-full");
}

#[tokio::test]
async fn progress_lines_come_in_order_before_the_outcome() {
    let directory = private();
    let (client, ..) = start(directory.path()).await;
    let expected: Vec<Value> = (0..50).map(|done| json!({ "done": done })).collect();
    let mut seen: Vec<Value> = Vec::new();
    let done = client.call_with_progress::<(), _, Value>(Method::POST, "/work/well", None, |line| seen.push(line)).await;
    assert_eq!(done.unwrap(), json!({ "total": 50 }));
    assert_eq!(seen, expected);

    seen.clear();
    let failed = client.call_with_progress::<(), _, Value>(Method::POST, "/work/badly", None, |line| seen.push(line)).await;
    let problem = refusal(failed);
    assert_eq!((problem.exit, problem.field.as_deref()), (Exit::Conflict, Some("name")));
    assert_eq!(seen, expected);
    // A caller that wants no lines gets the outcome alone.
    assert_eq!(client.call::<(), Value>(Method::POST, "/work/well", None).await.unwrap(), json!({ "total": 50 }));
    let fallen = refusal(client.call::<(), Value>(Method::POST, "/work/fall", None).await);
    assert_eq!(fallen.exit, Exit::Internal);
}

/// Answers one connection with `answer`, whatever it asks.
async fn impostor(path: &Path, answer: &'static [u8]) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
    })
}

#[tokio::test]
async fn answers_cut_short_or_not_http_are_errors() {
    let answers: [(&[u8], bool); 3] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"", false),
        (b"220 mail ready\r\n", true),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"progress\":1}\n", true),
    ];
    for (answer, protocol) in answers {
        let directory = private();
        let path = directory.path().join(SOCKET);
        let server = impostor(&path, answer).await;
        let client = AdminClient::unchecked(path);
        let error = client.call::<(), Value>(Method::GET, "/", None).await.unwrap_err();
        assert_eq!(matches!(error, CallError::Protocol { .. }), protocol, "{error}");
        assert_eq!(matches!(error, CallError::Io { .. }), !protocol, "{error}");
        server.await.unwrap();
    }
}
