//! The command line's side of administration: over the socket, or over mutual TLS from another machine.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::lines::{Line, MEDIA_TYPE};
use super::reader::ReaderBody;
use crate::exit::{Exit, Problem};

/// Longest answer, and longest line of an answer, that a command takes into memory.
const LIMIT: usize = 64 << 20;
/// How long a server on another machine has for the connection and for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);

#[derive(Debug, Error)]
pub enum CallError {
    #[error("no server answers on {}; start it with `serve`", path.display())]
    NotRunning { path: PathBuf },
    #[error("this user may not use {}; run as the server's user or as root", path.display())]
    Denied { path: PathBuf },
    #[error("{found:?} is no address of a server; write https://HOST[:PORT] without a path")]
    Address { found: String },
    #[error("{address} cannot be reached: {source}; check the address and that the server administers there")]
    Unreachable { address: String, source: io::Error },
    /// In TLS 1.3 a client certificate is refused after the handshake, so it may show in the first answer.
    #[error("{address} and this identity do not trust each other: {reason}; see that the certificate is good and that the root is the server's")]
    Tls { address: String, reason: String },
    /// Its certificate leads to the root, and more is asked for.
    #[error("{address} is not believed to be the server: {reason}")]
    Unproven { address: String, reason: String },
    /// What the server refused, in its words.
    #[error(transparent)]
    Problem(Problem),
    #[error("the connection to the server failed: {source}; see whether it still runs, and its log")]
    Io { source: io::Error },
    #[error("the server's answer is not understood ({reason}); see that server and command are the same version")]
    Protocol { reason: String },
}

impl CallError {
    fn protocol(reason: impl ToString) -> Self {
        Self::Protocol { reason: reason.to_string() }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let (exit, code) = match &error {
            CallError::Problem(problem) => return problem.clone(),
            CallError::NotRunning { .. } => (Exit::Unavailable, "not-running"),
            CallError::Denied { .. } => (Exit::Denied, "not-permitted"),
            CallError::Address { .. } => (Exit::Usage, "server-address"),
            CallError::Unreachable { .. } => (Exit::Unavailable, "unreachable"),
            CallError::Tls { .. } => (Exit::Denied, "tls"),
            CallError::Unproven { .. } => (Exit::Denied, "server-unproven"),
            CallError::Io { .. } => (Exit::Unavailable, "connection"),
            CallError::Protocol { .. } => (Exit::Internal, "protocol"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, code, message, next)
    }
}

impl From<hyper::Error> for CallError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::protocol(error) } else { Self::Io { source: io::Error::other(error) } }
    }
}

/// Reaches one server. Every call has its own connection, so a client may be kept and cloned freely.
#[derive(Clone, Debug)]
pub struct AdminClient {
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Socket(PathBuf),
    Tls { host: String, port: u16, name: ServerName<'static>, config: Arc<rustls::ClientConfig> },
}

/// What `exchange` sends.
#[derive(Debug)]
pub enum Sent {
    Nothing,
    Json(Vec<u8>),
    File { file: tokio::fs::File, size: u64 },
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    /// Seconds, where the server says when to come again.
    pub retry_after: Option<u64>,
    pub body: Vec<u8>,
}

/// What HTTP is spoken over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The port where none is written.
const PORT: u16 = 8441;

impl AdminClient {
    /// `path` is the socket, `DIR/admin.sock`. Errors at once when nobody answers there.
    pub async fn connect(path: &Path) -> Result<Self, CallError> {
        let client = Self { way: Way::Socket(path.to_owned()) };
        client.open().await?;
        Ok(client)
    }

    /// A server on another machine, `https://HOST[:PORT]`; `config` says whom to trust and who calls.
    pub fn remote(url: &str, config: rustls::ClientConfig) -> Result<Self, CallError> {
        let refused = || CallError::Address { found: url.chars().take(200).collect() };
        let place = url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/')).ok_or_else(refused)?;
        let (host, port) = match place.rsplit_once(':') {
            // The colons inside brackets are an address's own.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| refused())?),
            _ => (place, PORT),
        };
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| refused())?;
        Ok(Self { way: Way::Tls { host: host.to_owned(), port, name, config: Arc::new(config) } })
    }

    /// Calls `method path` with `body` as JSON. `path` begins with `/` and is percent-encoded by the caller.
    pub async fn call<Req, Res>(&self, method: Method, path: &str, body: Option<&Req>) -> Result<Res, CallError>
    where
        Req: Serialize,
        Res: DeserializeOwned,
    {
        self.call_with_progress(method, path, body, |_: IgnoredAny| ()).await
    }

    /// As `call` of a route that answers with `report`; `on` sees every progress line as it comes.
    pub async fn call_with_progress<Req, P, Res>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Req>,
        on: impl FnMut(P),
    ) -> Result<Res, CallError>
    where
        Req: Serialize,
        P: DeserializeOwned,
        Res: DeserializeOwned,
    {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, self.host());
        let bytes = match body {
            None => Vec::new(),
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).map_err(CallError::protocol)?
            }
        };
        let request = request.body(Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed());
        finish(self.send(request.map_err(CallError::protocol)?).await?, on).await
    }

    /// Posts all that `reader` gives as `application/octet-stream`, piece by piece, whatever its length.
    pub async fn stream_upload<R, Res>(&self, path: &str, reader: R) -> Result<Res, CallError>
    where
        R: AsyncRead + Send + Sync + Unpin + 'static,
        Res: DeserializeOwned,
    {
        self.stream_upload_with_progress(path, reader, |_: IgnoredAny| ()).await
    }

    /// As `stream_upload` to a route that answers with `report`. Lines that come before the upload has ended are seen
    /// when the server has sent its answer's head.
    pub async fn stream_upload_with_progress<R, P, Res>(
        &self,
        path: &str,
        reader: R,
        on: impl FnMut(P),
    ) -> Result<Res, CallError>
    where
        R: AsyncRead + Send + Sync + Unpin + 'static,
        P: DeserializeOwned,
        Res: DeserializeOwned,
    {
        let request = Request::post(path)
            .header(header::HOST, self.host())
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(ReaderBody::new(reader).boxed());
        finish(self.send(request.map_err(CallError::protocol)?).await?, on).await
    }

    /// Gets `path` and hands on its body piece by piece, whatever its length.
    pub async fn fetch(&self, path: &str, mut on: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), CallError> {
        let request = Request::get(path).header(header::HOST, self.host()).body(Full::new(Bytes::new()).map_err(|never| match never {}).boxed());
        let response = self.send(request.map_err(CallError::protocol)?).await?;
        if !response.status().is_success() {
            return finish::<IgnoredAny, IgnoredAny>(response, |_| ()).await.map(|_| ());
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                on(&data).map_err(|source| CallError::Io { source })?;
            }
        }
        Ok(())
    }

    /// Sends octets, or a file piece by piece, and takes the answer whatever its status: at most `limit` octets, within
    /// `patience` from connecting to the last of them.
    pub async fn exchange(&self, method: Method, path: &str, sent: Sent, limit: usize, patience: Duration) -> Result<Answer, CallError> {
        let request = Request::builder().method(method).uri(path).header(header::HOST, self.host());
        let request = match sent {
            Sent::Nothing => request.body(Full::new(Bytes::new()).map_err(|never| match never {}).boxed()),
            Sent::Json(octets) => request.header(header::CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(octets)).map_err(|never| match never {}).boxed()),
            Sent::File { file, size } => {
                let request = request.header(header::CONTENT_TYPE, "application/octet-stream").header(header::CONTENT_LENGTH, size);
                request.body(ReaderBody::new(file).boxed())
            }
        };
        let talked = async {
            let response = self.send(request.map_err(CallError::protocol)?).await?;
            let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let status = response.status();
            let body = http_body_util::Limited::new(response.into_body(), limit).collect().await.map_err(CallError::protocol)?;
            Ok(Answer { status, retry_after, body: body.to_bytes().to_vec() })
        };
        timeout(patience, talked).await.unwrap_or_else(|_| Err(CallError::Io { source: io::ErrorKind::TimedOut.into() }))
    }

    /// Without the first knock, for tests whose server takes one connection only.
    #[cfg(test)]
    pub(super) fn unchecked(path: PathBuf) -> Self {
        Self { way: Way::Socket(path) }
    }

    fn host(&self) -> String {
        match &self.way {
            Way::Socket(_) => "localhost".to_owned(),
            Way::Tls { host, port, .. } => format!("{host}:{port}"),
        }
    }

    async fn open(&self) -> Result<Box<dyn Stream>, CallError> {
        let (host, port, name, config) = match &self.way {
            Way::Socket(path) => return open_socket(path).await.map(|stream| Box::new(stream) as Box<dyn Stream>),
            Way::Tls { host, port, name, config } => (host, *port, name, config),
        };
        let address = self.host();
        let slow = |_| io::Error::from(io::ErrorKind::TimedOut);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let opened = timeout(HANDSHAKE, TcpStream::connect((bare, port))).await.map_err(slow).and_then(|opened| opened);
        let stream = opened.map_err(|source| CallError::Unreachable { address: address.clone(), source })?;
        let greeted = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream);
        let greeted = timeout(HANDSHAKE, greeted).await.map_err(slow).and_then(|greeted| greeted);
        Ok(Box::new(greeted.map_err(|error| match unproven(&error) {
            Some(reason) => CallError::Unproven { address, reason },
            None => CallError::Tls { address, reason: error.to_string() },
        })?))
    }

    async fn send(&self, request: Request<BoxBody<Bytes, io::Error>>) -> Result<Response<Incoming>, CallError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.open().await?)).await?;
        // It ends when the answer's body does or is dropped; its errors reach us through `sender` and the body.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| match (&self.way, tls_alert(&error)) {
            (Way::Tls { .. }, Some(reason)) => CallError::Tls { address: self.host(), reason },
            _ => error.into(),
        })
    }
}

/// What a verifier of the caller's own says of the server.
fn unproven(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(said))) => Some(said.to_string()),
        _ => None,
    }
}

/// What TLS says where the connection broke.
fn tls_alert(error: &hyper::Error) -> Option<String> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = cause.downcast_ref::<rustls::Error>().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if let Some(found) = found {
            return Some(found.to_string());
        }
        source = cause.source();
    }
    None
}

async fn open_socket(path: &Path) -> Result<UnixStream, CallError> {
    UnixStream::connect(path).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => CallError::NotRunning { path: path.to_owned() },
        io::ErrorKind::PermissionDenied => CallError::Denied { path: path.to_owned() },
        _ => CallError::Io { source },
    })
}

async fn finish<P, Res>(response: Response<Incoming>, on: impl FnMut(P)) -> Result<Res, CallError>
where
    P: DeserializeOwned,
    Res: DeserializeOwned,
{
    let status = response.status();
    let lines = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == MEDIA_TYPE);
    if status.is_success() && lines {
        return follow(response.into_body(), on).await;
    }
    let body = collect(response.into_body()).await?;
    if status.is_success() {
        // An answer without content, 204 or an empty 200, is JSON's null.
        let text: &[u8] = if body.is_empty() { b"null" } else { &body };
        return serde_json::from_slice(text).map_err(CallError::protocol);
    }
    // Axum's own refusals (no such route, JSON that does not fit) are plain text.
    Err(CallError::Problem(match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => problem.received(status),
        Err(_) => {
            let text: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(300).collect();
            let message = if text.is_empty() { format!("the server answered {status}") } else { text };
            Problem::new(Exit::from_status(status), "http", message, "see that server and command are the same version")
        }
    }))
}

async fn collect(mut body: Incoming) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > LIMIT {
                return Err(CallError::protocol(format!("longer than {LIMIT} bytes")));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

async fn follow<P, Res>(mut body: Incoming, mut on: impl FnMut(P)) -> Result<Res, CallError>
where
    P: DeserializeOwned,
    Res: DeserializeOwned,
{
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            if rest.len() + piece.len() > LIMIT {
                return Err(CallError::protocol(format!("a line is longer than {LIMIT} bytes")));
            }
            rest.extend_from_slice(piece);
            if !piece.ends_with(b"\n") {
                continue;
            }
            match serde_json::from_slice::<Line<P, Res>>(&rest).map_err(CallError::protocol)? {
                Line::Progress(progress) => on(progress),
                Line::Done(done) => return Ok(done),
                Line::Failed { exit, problem } => return Err(CallError::Problem(Problem { exit, ..problem })),
            }
            rest.clear();
        }
    }
    Err(CallError::Protocol { reason: "it ended before the outcome".to_owned() })
}
