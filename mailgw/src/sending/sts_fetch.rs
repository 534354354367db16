//! Policies of MTA-STS: fetched over HTTPS when a domain's record changes, kept in the store for as long as they say, so that who
//! comes between cannot take them away.
// spec: rfc8461#3.3, rfc8461#5

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use store::{Batch, Key, Store};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::route::may_send_to;
use super::sts::{self, Kept, Policy};

const KIND: &str = "mta-sts";
/// For the whole of a fetch. spec: rfc8461#3.3
const PATIENCE: Duration = Duration::from_secs(60);
/// Milliseconds after which a fetch that failed is tried again, and domains of which that is remembered.
const AGAIN: u64 = 300_000;
const MAX_FAILED: usize = 10_000;
/// Milliseconds before its end from which a policy is fetched anew though its record is the same.
const EARLY: u64 = 86_400_000;

/// What is known of a domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has none.
    Nothing,
    Policy(Policy),
    /// It has one that could not be had, for this reason as reports give it, and none is kept. spec: rfc8460#4.3.2.2
    Failed(&'static str),
}

pub(super) struct Policies {
    pub resolver: TokioResolver,
    pub store: Arc<dyn Store>,
    /// Against the world's authorities.
    pub tls: Arc<ClientConfig>,
    /// 443, but in trials on one machine, which may also be sent to then.
    pub port: u16,
    pub loopback: bool,
    failed: Mutex<HashMap<String, (u64, &'static str)>>,
}

impl Policies {
    pub fn new(resolver: TokioResolver, store: Arc<dyn Store>, tls: Arc<ClientConfig>, port: u16, loopback: bool) -> Self {
        Self { resolver, store, tls, port, loopback, failed: Mutex::default() }
    }

    pub async fn of(&self, domain: &str, now: u64) -> Known {
        let kept = self.kept(domain).await.filter(|kept| kept.holds(now));
        let known = |kept: Option<Kept>| kept.map_or(Known::Nothing, |kept| Known::Policy(kept.policy));
        let Some(id) = self.id(domain).await else { return known(kept) };
        if let Some(kept) = &kept
            && kept.id == id
            && now.saturating_add(EARLY.min(kept.policy.max_age.saturating_mul(500))) < kept.fetched.saturating_add(kept.policy.max_age.saturating_mul(1_000))
        {
            return Known::Policy(kept.policy.clone());
        }
        if let Some(why) = self.failed_lately(domain, now) {
            return kept.map_or(Known::Failed(why), |kept| Known::Policy(kept.policy));
        }
        match timeout(PATIENCE, self.fetch(domain)).await.unwrap_or(Err("sts-policy-fetch-error")) {
            Ok(policy) => {
                self.keep(domain, Kept { id, fetched: now, policy: policy.clone() }).await;
                Known::Policy(policy)
            }
            Err(why) => {
                tracing::info!(why, "a domain's MTA-STS policy cannot be had");
                self.note_failed(domain, now, why);
                kept.map_or(Known::Failed(why), |kept| Known::Policy(kept.policy))
            }
        }
    }

    async fn id(&self, domain: &str) -> Option<String> {
        let lookup = self.resolver.txt_lookup(format!("_mta-sts.{domain}.")).await.ok()?;
        let texts = lookup.answers().iter().filter_map(|record| if let RData::TXT(text) = &record.data { Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()) } else { None });
        sts::id(&texts.collect::<Vec<_>>())
    }

    /// No redirects are followed, and nothing but 200 is an answer.
    async fn fetch(&self, domain: &str) -> Result<Policy, &'static str> {
        let failed = "sts-policy-fetch-error";
        let host = format!("mta-sts.{domain}");
        let found = self.resolver.lookup_ip(format!("{host}.")).await.map_err(|_| failed)?;
        let address = found.iter().find(|address| may_send_to(*address, self.loopback)).ok_or(failed)?;
        let stream = TcpStream::connect(SocketAddr::new(address, self.port)).await.map_err(|_| failed)?;
        let name = ServerName::try_from(host.clone()).map_err(|_| failed)?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(|_| "sts-webpki-invalid")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| failed)?;
        let request = Request::get("/.well-known/mta-sts.txt").header("host", &host).body(Empty::<Bytes>::new()).map_err(|_| failed)?;
        let asked = async move {
            let response = sender.send_request(request).await.map_err(|_| failed)?;
            if response.status() != StatusCode::OK {
                return Err(failed);
            }
            let body = Limited::new(response.into_body(), sts::MAX_POLICY).collect().await.map_err(|_| failed)?;
            Policy::parse(&String::from_utf8_lossy(&body.to_bytes())).ok_or("sts-policy-invalid")
        };
        tokio::select! {
            policy = asked => policy,
            _ = async { let _ = connection.await; std::future::pending::<()>().await } => Err(failed),
        }
    }

    async fn kept(&self, domain: &str) -> Option<Kept> {
        let (store, key) = (Arc::clone(&self.store), key(domain));
        let stored = tokio::task::spawn_blocking(move || store.get(&key)).await.ok()?.ok()??;
        serde_json::from_slice(&stored).ok()
    }

    async fn keep(&self, domain: &str, kept: Kept) {
        let (store, key) = (Arc::clone(&self.store), key(domain));
        let Ok(bytes) = serde_json::to_vec(&kept) else { return };
        let done = tokio::task::spawn_blocking(move || store.commit(Batch::new().put(key, bytes))).await;
        if !matches!(done, Ok(Ok(_))) {
            tracing::warn!("a domain's MTA-STS policy is not kept; it is fetched again for the next message");
        }
    }

    fn failed_lately(&self, domain: &str, now: u64) -> Option<&'static str> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(domain).filter(|(until, _)| now < *until).map(|(_, why)| *why)
    }

    fn note_failed(&self, domain: &str, now: u64, why: &'static str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MAX_FAILED {
            failed.retain(|_, (until, _)| now < *until);
        }
        if failed.len() < MAX_FAILED {
            failed.insert(domain.to_owned(), (now.saturating_add(AGAIN), why));
        }
    }
}

fn key(domain: &str) -> Key {
    Key::new(KIND, &[domain.as_bytes()])
}
