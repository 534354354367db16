//! Fetching over plain HTTP from one place: what proves itself by signatures, bounded in bytes and in time.

use std::time::Duration;

use axum::http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exit::{Exit, Problem};

/// A refusal is a few lines; more of it is not read.
const REFUSAL: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    #[error("{url} is no address that can be fetched from; give one that begins with http://")]
    Address { url: String },
    #[error("{url} cannot be fetched: {reason}; see that the address is right and the service runs, then try again")]
    Unreachable { url: String, reason: String },
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let (exit, code) = match error {
            FetchError::Address { .. } => (Exit::Usage, "address"),
            FetchError::Unreachable { .. } => (Exit::Unavailable, "unreachable"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, code, message, next)
    }
}

/// Asks one host, over one connection as long as that lasts.
pub struct Fetcher {
    authority: String,
    host: String,
    port: u16,
    /// What every path begins with; no slash at its end.
    prefix: String,
    /// For each answer, from connecting to its last octet.
    patience: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
    asked: bool,
}

impl Fetcher {
    /// `url` is where every path below begins: `http://host[:port][/prefix]`.
    pub fn new(url: &str, patience: Duration) -> Result<Self, FetchError> {
        let refused = || FetchError::Address { url: url.chars().take(200).collect() };
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| refused())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.query().is_none()).ok_or_else(refused)?;
        // An IPv6 address stands in brackets there, and nowhere else; nobody is told a password.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { authority: authority.as_str().to_owned(), host, port: authority.port_u16().unwrap_or(80), prefix, patience, sender: None, asked: false })
    }

    /// Whether anything was ever sent: where not, nobody there has heard of it.
    pub fn asked(&self) -> bool {
        self.asked
    }

    /// The address of `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}/{path}", self.authority, self.prefix)
    }

    /// The body at `path`, of at most `limit` octets; `None` when there is none.
    pub async fn get(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        match self.ask(Method::GET, path, None, limit).await? {
            (StatusCode::OK, body) => Ok(Some(body)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(FetchError::Unreachable { url: self.url(path), reason: format!("the answer is {status}") }),
        }
    }

    /// What `path` answers to a body: its status says whether it is what was asked for.
    pub async fn post(&mut self, path: &str, body: (&'static str, Vec<u8>), limit: usize) -> Result<(StatusCode, Vec<u8>), FetchError> {
        self.ask(Method::POST, path, Some(body), limit).await
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<(&'static str, Vec<u8>)>, limit: usize) -> Result<(StatusCode, Vec<u8>), FetchError> {
        let unreachable = |url: String, reason: String| FetchError::Unreachable { url, reason };
        let url = self.url(path);
        let answered = timeout(self.patience, self.talk(method, path, body, limit)).await;
        let seconds = self.patience.as_secs();
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => {
                self.sender = None;
                Err(unreachable(url, reason))
            }
            Err(_) => {
                self.sender = None;
                Err(unreachable(url, format!("no whole answer within {seconds} s")))
            }
        }
    }

    async fn talk(&mut self, method: Method, path: &str, body: Option<(&'static str, Vec<u8>)>, limit: usize) -> Result<(StatusCode, Vec<u8>), String> {
        let mut request = Request::builder().method(method).uri(format!("{}/{path}", self.prefix)).header(header::HOST, &self.authority);
        let mut sent = Vec::new();
        if let Some((kind, bytes)) = body {
            request = request.header(header::CONTENT_TYPE, kind);
            sent = bytes;
        }
        let request = request.body(Full::new(Bytes::from(sent))).map_err(|error| error.to_string())?;
        // A connection that the other end has closed since is not tried.
        let mut kept = self.sender.take();
        if let Some(sender) = &mut kept && sender.ready().await.is_err() {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        self.asked = true;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let limit = if status.is_success() { limit } else { limit.min(REFUSAL) };
        let body = Limited::new(answer.into_body(), limit).collect().await.map_err(|error| error.to_string())?;
        self.sender = Some(sender);
        Ok((status, body.to_bytes().to_vec()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| error.to_string())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // It ends with the sender; its errors reach us through the answers.
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::http::{Limits, bind, serve};
    use crate::shutdown::Shutdown;
    use axum::Router;
    use axum::routing::{get, post};

    #[test]
    fn only_plain_http_without_secrets_is_an_address() {
        let fetcher = |url| Fetcher::new(url, Duration::from_secs(1)).map(|fetcher| fetcher.url("a/b"));
        assert_eq!(fetcher("http://ca.example.cn/log/").unwrap(), "http://ca.example.cn/log/a/b");
        assert_eq!(fetcher("http://[::1]:8440").unwrap(), "http://[::1]:8440/a/b");
        for url in ["https://ca.example.cn", "ca.example.cn/log", "", "http://", "http://u:p@h/", "http://h/?q", "file:///etc", "http://a b"] {
            assert_eq!(fetcher(url).unwrap_err(), FetchError::Address { url: url.into() });
        }
    }

    #[tokio::test]
    async fn answers_are_bounded_and_a_closed_connection_is_made_anew() {
        let router = Router::new()
            .route("/log/small", get(|| async { "1234" }))
            .route("/log/echo", post(|body: Bytes| async { (StatusCode::CONFLICT, body) }))
            .route("/log/slow", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }));
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { header: Duration::from_millis(200), ..Limits::default() };
        tokio::spawn(serve(listener, router, limits, Shutdown::new()));
        let mut fetcher = Fetcher::new(&format!("http://{address}/log"), Duration::from_secs(2)).unwrap();
        assert!(!fetcher.asked());
        assert_eq!(fetcher.get("small", 4).await.unwrap().unwrap(), b"1234");
        assert!(fetcher.asked());
        // The server ends a silent connection.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(fetcher.get("small", 4).await.unwrap().unwrap(), b"1234");
        assert!(fetcher.get("small", 3).await.is_err());
        assert_eq!(fetcher.get("absent", 4).await.unwrap(), None);
        assert_eq!(fetcher.post("echo", ("text/plain", b"x".to_vec()), 9).await.unwrap(), (StatusCode::CONFLICT, b"x".to_vec()));
        let slow = fetcher.get("slow", 4).await.unwrap_err();
        assert!(slow.to_string().contains("within 2 s"), "{slow}");
        assert!(fetcher.get("a b", 4).await.is_err());
        assert_eq!(fetcher.get("small", 4).await.unwrap().unwrap(), b"1234");
    }
}
