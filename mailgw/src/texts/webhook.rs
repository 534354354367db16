//! Texts by HTTP: a POST of JSON to one URL at one address, under TLS but on this machine, with `Idempotency-Key` and a signature:
//! `Suiyin-Signature: t=UNIX-SECONDS,hmac-sha256=HEX` over `UNIX-SECONDS.BODY`. 2xx: taken. 408, 425, 429 and 5xx: later. Any other: refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use ring::hmac;
use runtime::exit::Problem;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Answer, BUSY, REFUSED, Text, Texts, UNREACHABLE, WebhookAt, wrong};

/// For all of one call.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is read of an answer; nobody looks at it.
const MAX_ANSWER: usize = 64 * 1024;
const SIGNATURE: &str = "suiyin-signature";

pub(super) struct Webhook {
    handle: Handle,
    address: SocketAddr,
    authority: String,
    path: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    key: hmac::Key,
}

impl Webhook {
    pub fn new(at: &WebhookAt, secret: zeroize::Zeroizing<String>, handle: Handle) -> Result<Self, Problem> {
        let refused = || wrong(format!("{} is no address for texts; write https://HOST/PATH, or http:// at an address of this machine", at.webhook.chars().take(200).collect::<String>()));
        let uri: Uri = at.webhook.parse().map_err(|_| refused())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(refused)?;
        let tls = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(authority.host().trim_matches(['[', ']']).to_owned()).map_err(|_| refused())?;
                let roots = crate::tls::authorities(&at.roots);
                if roots.is_empty() {
                    return Err(wrong(format!("{} holds no authority, and {} would never be believed", at.roots.display(), authority.host())));
                }
                let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions().map_err(|error| wrong(error.to_string()))?;
                Some((Arc::new(builder.with_root_certificates(roots).with_no_client_auth()), name))
            }
            // Numbers of phones leave this machine under TLS alone.
            Some("http") if at.address.ip().is_loopback() => None,
            _ => return Err(refused()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { handle, address: at.address, authority: authority.as_str().to_owned(), path, tls, key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) })
    }

    fn signature(&self, body: &[u8], unix_seconds: i64) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(format!("{unix_seconds}.").as_bytes());
        context.update(body);
        format!("t={unix_seconds},hmac-sha256={}", crate::hex(context.sign().as_ref()))
    }

    async fn post(&self, id: &str, body: Vec<u8>, signature: String) -> Result<StatusCode, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let request = Request::post(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", id)
            .header(SIGNATURE, signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        match &self.tls {
            Some((config, name)) => {
                let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await.map_err(|error| error.to_string())?;
                asked(stream, request).await
            }
            None => asked(stream, request).await,
        }
    }
}

/// No redirects are followed.
async fn asked(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, request: Request<Full<Bytes>>) -> Result<StatusCode, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let answered = async move {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        // An answer is whole, or none: who was cut off in it may not have taken the text.
        Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok(status)
    };
    tokio::select! {
        status = answered => status,
        _ = async { let _ = connection.await; std::future::pending::<()>().await } => Err("the connection ended".to_owned()),
    }
}

/// What a status means.
fn meaning(status: StatusCode) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Answer::Later(BUSY),
        status if status.is_server_error() => Answer::Later(BUSY),
        // Who does not know us is mended by the operator, and the number is not to blame.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Answer::Later(UNREACHABLE),
        _ => Answer::Refused(REFUSED),
    }
}

impl Texts for Webhook {
    fn send(&self, text: &Text, unix_seconds: i64) -> Answer {
        let Ok(body) = serde_json::to_vec(text) else { return Answer::Refused(REFUSED) };
        let signature = self.signature(&body, unix_seconds);
        match self.handle.block_on(async { timeout(PATIENCE, self.post(&text.id, body, signature)).await }) {
            Ok(Ok(status)) => meaning(status),
            Ok(Err(error)) => {
                tracing::debug!(error, "the gateway of texts cannot be reached");
                Answer::Later(UNREACHABLE)
            }
            Err(_) => Answer::Later(UNREACHABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::super::sample;
    use super::*;

    fn at(webhook: &str, address: SocketAddr) -> WebhookAt {
        WebhookAt { webhook: webhook.into(), address, secret: "unused".into(), roots: "/nowhere.pem".into() }
    }

    fn secret() -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new("0123456789abcdef0123456789abcdef".into())
    }

    /// Answers one call and hands on what was asked.
    fn answering(status: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (address, std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let (mut asked, mut piece) = (Vec::new(), [0; 4_096]);
            while !asked.ends_with(b"}") {
                let count = connection.read(&mut piece).unwrap();
                asked.extend_from_slice(&piece[..count]);
            }
            write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            String::from_utf8(asked).unwrap()
        }))
    }

    #[test]
    fn a_text_is_posted_with_its_name_and_a_signature() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for (status, answer) in [("200 OK", Answer::Taken), ("202 Accepted", Answer::Taken), ("429 Slow", Answer::Later(BUSY)), ("503 Away", Answer::Later(BUSY)), ("403 No", Answer::Later(UNREACHABLE)), ("400 Bad", Answer::Refused(REFUSED)), ("302 There", Answer::Refused(REFUSED))] {
            let (address, server) = answering(status);
            let webhook = Webhook::new(&at("http://texts.example.cn/v1/messages?a=b", address), secret(), runtime.handle().clone()).unwrap();
            assert_eq!(webhook.send(&sample("id-1"), 1_764_403_200), answer, "{status}");
            let asked = server.join().unwrap();
            let (head, body) = asked.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /v1/messages?a=b HTTP/1.1\r\n") && head.to_lowercase().contains("\r\nidempotency-key: id-1"), "{head}");
            // As whoever takes it computes it.
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret().as_bytes()), format!("1764403200.{body}").as_bytes());
            assert!(head.contains(&format!("t=1764403200,hmac-sha256={}", crate::hex(mac.as_ref()))), "{head}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["to"], "+8613800138000");
        }
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let webhook = Webhook::new(&at("http://texts.example.cn/", nobody), secret(), runtime.handle().clone()).unwrap();
        assert_eq!(webhook.send(&sample("id-2"), 0), Answer::Later(UNREACHABLE));
    }

    #[test]
    fn numbers_leave_the_machine_under_tls_alone_to_a_named_address() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let new = |url: &str, address: &str| Webhook::new(&at(url, address.parse().unwrap()), secret(), runtime.handle().clone()).is_ok();
        assert!(new("http://texts.example.cn/", "127.0.0.1:80") && new("http://[::1]/", "[::1]:80"));
        for (url, address) in [("http://texts.example.cn/", "192.0.2.1:80"), ("https://texts.example.cn/", "192.0.2.1:443"), ("ftp://a/", "127.0.0.1:1"), ("http://u:p@a/", "127.0.0.1:1"), ("/path", "127.0.0.1:1")] {
            assert!(!new(url, address), "{url}");
        }
    }
}
