//! The enterprise's side of the desk's HTTPS: whom it believes, who calls, and when to come again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;
use keys::KeyHandle;
use pki::signer::Signer as _;
use pki::view::CertificateView;
use runtime::admin::{AdminClient, Answer, CallError, Sent};
use runtime::exit::{Exit, Problem};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use super::enterprise::Place;

/// Receipts are a few thousand octets; a filing's whole history is a few dozen of them.
const MAX_ANSWER: usize = 4 << 20;
/// For one answer: an attachment of 100 MB over a slow line included.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between attempts where the desk does not say when to come again, and the longest that one wait may be.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(120);

/// What is sent; made anew for each attempt.
pub(super) enum Body<'a> {
    Nothing,
    Json(&'a [u8]),
    File(PathBuf, u64),
}

pub(super) struct Desk<'a> {
    place: &'a Place,
    client: AdminClient,
    pub runtime: Runtime,
    /// When attempts end.
    until: Instant,
}

/// The roots under which the desk is believed, and who calls; DER.
pub(super) struct Identity<'a> {
    pub anchors: &'a [Vec<u8>],
    pub caller: Option<(&'a [Vec<u8>], KeyHandle)>,
}

impl<'a> Desk<'a> {
    pub fn at(place: &'a Place, server: &str, identity: &Identity<'_>, wait: u64) -> Result<Self, Problem> {
        let unusable = |error: rustls::Error| Problem::new(Exit::Refused, "identity", error.to_string(), place.said("请核对证书、密钥与信任锚", "check certificate, key and trust anchor"));
        let mut roots = RootCertStore::empty();
        for anchor in identity.anchors {
            roots.add(CertificateDer::from(anchor.clone())).map_err(unusable)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).map_err(unusable)?.with_root_certificates(roots);
        let config = match &identity.caller {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let of_key = chain.first().and_then(|leaf| CertificateView::parse(leaf).ok()).is_some_and(|view| view.spki == key.public_key_info());
                if !of_key {
                    return Err(place.refuse(Exit::Refused, "certificate", ("证书不是本密钥的", "请使用本密钥的证书"), ("the certificate is of another key", "use the certificate of this key")));
                }
                let chain = chain.iter().map(|one| CertificateDer::from(one.clone())).collect();
                let certified = rustls::sign::CertifiedKey::new(chain, key.rustls());
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
            }
        };
        // Where no port is written, HTTPS's own.
        let bare = server.trim_end_matches('/');
        let address = if bare.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) { bare.to_owned() } else { format!("{bare}:443") };
        let client = AdminClient::remote(&address, config).map_err(Problem::from)?;
        let runtime = runtime()?;
        Ok(Self { place, client, runtime, until: Instant::now() + Duration::from_secs(wait) })
    }

    /// Every request of the desk may be sent twice, so one that was not answered is sent again, until the wait ends.
    pub fn send(&self, method: &Method, path: &str, body: &Body<'_>) -> Result<Answer, Problem> {
        loop {
            let attempt = self.runtime.block_on(async {
                let sent = match body {
                    Body::Nothing => Sent::Nothing,
                    Body::Json(octets) => Sent::Json(octets.to_vec()),
                    Body::File(path, size) => {
                        let file = tokio::fs::File::open(path).await.map_err(|error| self.place.failed(path, &error))?;
                        Sent::File { file, size: *size }
                    }
                };
                Ok::<_, Problem>(self.client.exchange(method.clone(), path, sent, MAX_ANSWER, PATIENCE).await)
            })?;
            let (wait, failed) = match attempt {
                // spec: rfc9110#10.2.3 (Retry-After)
                Ok(answer) if matches!(answer.status.as_u16(), 429 | 503) => (answer.retry_after.map_or(PAUSE, Duration::from_secs), self.refused(&answer)),
                Ok(answer) => return Ok(answer),
                Err(error @ (CallError::Unreachable { .. } | CallError::Io { .. })) => (PAUSE, self.away(&error)),
                Err(error) => return Err(error.into()),
            };
            let wait = wait.clamp(Duration::from_secs(1), LONGEST);
            if Instant::now() + wait > self.until {
                return Err(failed);
            }
            runtime::terminal::progress(&self.place.format(&format!("受理系统暂不可用，{} 秒后重试", wait.as_secs()), &format!("the desk is not available; again in {} s", wait.as_secs())), false);
            std::thread::sleep(wait);
        }
    }

    /// The JSON of an answer that is one.
    pub fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Problem> {
        if !answer.status.is_success() {
            return Err(self.refused(answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| Problem::new(Exit::Internal, "answer", error.to_string(), self.place.said("请使用同一版本的程序", "use the same version on both sides")))
    }

    /// A refusal in the desk's words.
    pub fn refused(&self, answer: &Answer) -> Problem {
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) => problem.received(answer.status),
            Err(_) => {
                let text: String = String::from_utf8_lossy(&answer.body).chars().filter(|c| !c.is_control()).take(300).collect();
                Problem::new(Exit::from_status(answer.status), "http", format!("{}: {text}", answer.status), self.place.said("请核对地址", "check the address"))
            }
        }
    }

    fn away(&self, error: &CallError) -> Problem {
        let error = error.to_string();
        let what = error.split("; ").next().unwrap_or_default();
        self.place.refuse(Exit::Unavailable, "unreachable", (&format!("连不上受理系统：{what}"), "请核对地址与网络后重新提交；重复提交不会重复申报"), (&format!("the desk is not reached: {what}"), "check address and network and submit again; nothing is filed twice"))
    }
}

pub(super) fn runtime() -> Result<Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| Problem::new(Exit::Internal, "runtime", error.to_string(), "look at the host's limits"))
}
