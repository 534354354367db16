//! Where officers call from other machines: TLS 1.3 that asks for an officer's certificate, under one of our own that
//! is renewed without a restart and carries its OCSP answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use keys::{KeyHandle, KeyStore};
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use runtime::http::{Limits, TlsSource};
use runtime::shutdown::Shutdown;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::authority::{Authority, Issuer};
use crate::flow::own::{self, OwnError};
use crate::http::administration::MOST;
use crate::flow::OFFICER;
use crate::flow::plan::Words;
use crate::flow::roots;
use crate::problem::IssueError;
use crate::record::serial_of;
use crate::register;
use crate::status::Status;

/// Officers are few; so many connections are not theirs.
const CONNECTIONS: usize = 256;

/// `[administration]` of `ca.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administration {
    /// Such as `127.0.0.1:8441`.
    pub listen: SocketAddr,
    /// The name or address by which officers call, which the listener's certificate is for.
    pub host: String,
}

impl Administration {
    /// The words of the listener's certificate: the host, and the address that is listened on if it is one.
    pub fn words(&self) -> Result<Words, IssueError> {
        let mut words = Words::default();
        match self.host.parse::<IpAddr>() {
            Ok(address) => words.ip.push(address),
            Err(_) => words.dns.push(self.host.clone()),
        }
        let listened = self.listen.ip();
        if !listened.is_unspecified() && !words.ip.contains(&listened) {
            words.ip.push(listened);
        }
        words.parse().map(|_| words)
    }
}

/// The listener's certificate as it is shown now.
pub struct Endpoint {
    pub configured: Administration,
    words: Words,
    shown: Arc<Shown>,
}

#[derive(Debug, Default)]
struct Shown(RwLock<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The one clock of the authority, as TLS asks for it.
struct Now(Arc<dyn Clock>);

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Now(..)")
    }
}

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        u64::try_from(self.0.now().unix_timestamp()).ok().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl Endpoint {
    pub fn new(configured: Administration) -> Result<Self, IssueError> {
        Ok(Self { words: configured.words()?, configured, shown: Arc::default() })
    }

    /// Renews the certificate when it is due and `may_issue`, and staples what its status is now.
    pub fn refresh(&self, authority: &Authority, status: &Status, keys: &KeyStore, may_issue: bool) -> Result<(), OwnError> {
        let (der, key) = own::administration(authority, keys, &self.words, may_issue)?;
        let shown = certified(authority, status, der, &key)?;
        let mut place = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        if place.as_ref().is_none_or(|before| before.cert != shown.cert || before.ocsp != shown.ocsp) {
            *place = Some(Arc::new(shown));
        }
        Ok(())
    }

    /// What TLS goes by from now on, whatever generation certifies officers next.
    pub fn tls(self: &Arc<Self>, authority: &Arc<Authority>) -> Result<Arc<OfficersTls>, Problem> {
        let anchors = anchors(authority);
        let config = config(&anchors, &self.shown, &authority.clock)?;
        Ok(Arc::new(OfficersTls { authority: Arc::clone(authority), shown: Arc::clone(&self.shown), made: Mutex::new((anchors, config)) }))
    }
}

/// The listener's TLS, made anew when another generation certifies officers.
pub struct OfficersTls {
    authority: Arc<Authority>,
    shown: Arc<Shown>,
    /// For these anchors.
    made: Mutex<(Vec<Vec<u8>>, Arc<ServerConfig>)>,
}

impl TlsSource for OfficersTls {
    fn current(&self) -> Arc<ServerConfig> {
        let anchors = anchors(&self.authority);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.0 != anchors {
            match config(&anchors, &self.shown, &self.authority.clock) {
                Ok(config) => *made = (anchors, config),
                // Those that were trusted before still are.
                Err(problem) => tracing::error!(%problem, "the officers' listener does not know the new generation yet"),
            }
        }
        Arc::clone(&made.1)
    }
}

/// Whoever certifies officers: every generation, for its officers' certificates last on beside the next one's.
fn anchors(authority: &Authority) -> Vec<Vec<u8>> {
    let officers = authority.policies.profile(OFFICER).map(|profile| profile.issuers()).unwrap_or_default();
    let certifies = |issuer: &&Arc<Issuer>| officers.iter().any(|one| one.name() == issuer.policy_name());
    authority.issuers.values().filter(certifies).map(|issuer| issuer.record.der.clone()).collect()
}

/// Nobody comes in without a certificate of an authority that certifies officers. What the certificate is worth is asked
/// of the register at each request, so nothing of a session outlives its connection.
fn config(officers: &[Vec<u8>], shown: &Arc<Shown>, clock: &Arc<dyn Clock>) -> Result<Arc<ServerConfig>, Problem> {
    let refused = |reason: String| Problem::new(Exit::Internal, "administration", format!("TLS cannot be set up: {reason}"), "report this");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut anchors = RootCertStore::empty();
    for der in officers {
        anchors.add(CertificateDer::from(der.clone())).map_err(|error| refused(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), Arc::clone(&provider)).build().map_err(|error| refused(error.to_string()))?;
    let builder = ServerConfig::builder_with_details(provider, Arc::new(Now(Arc::clone(clock))));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(|error| refused(error.to_string()))?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::clone(shown) as _);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Serves `router` to officers until `shutdown`.
pub async fn serve(listener: TcpListener, tls: Arc<OfficersTls>, router: Router, shutdown: Shutdown) {
    // A list of a million entries takes its time to be signed and read again.
    let limits = Limits { body: Some(MOST), request: Some(Duration::from_secs(600)), connections: CONNECTIONS, ..Limits::default() };
    runtime::http::serve_tls(listener, tls, router, limits, shutdown).await;
}

/// With its issuer, and with the answer that the responder gives of it at this time, if there is one.
fn certified(authority: &Authority, status: &Status, der: Vec<u8>, key: &KeyHandle) -> Result<CertifiedKey, IssueError> {
    let damaged = || IssueError::Damaged { what: "the certificate of the officers' listener" };
    let serial = serial_of(&der).ok_or_else(damaged)?;
    let record = register::get(&*authority.store, &serial)?;
    let issuer = authority.issuers.get(&record.issuer).ok_or_else(damaged)?;
    // spec: rfc6066#8; rfc8446#4.4.2.1
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &serial).map_err(|_| damaged())?;
    let request = OcspRequest { ids: vec![id], nonce: None };
    let answer = status.remembered(&request).unwrap_or_else(|| status.make(&request));
    let chain = std::iter::once(der).chain(roots::above(authority, issuer.id())).map(CertificateDer::from).collect();
    let mut certified = CertifiedKey::new(chain, key.rustls());
    // An error of the responder is no answer, and none is better than that.
    certified.ocsp = answer.fresh.map(|_| answer.body.to_vec());
    Ok(certified)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_certificate_is_for_the_host_and_the_address() {
        let words = |listen: &str, host: &str| Administration { listen: listen.parse().unwrap(), host: host.into() }.words().map(|words| (words.dns, words.ip.len()));
        assert_eq!(words("127.0.0.1:8441", "ca.example.cn").unwrap(), (vec!["ca.example.cn".to_owned()], 1));
        assert_eq!(words("0.0.0.0:8441", "ca.example.cn").unwrap(), (vec!["ca.example.cn".to_owned()], 0));
        assert_eq!(words("127.0.0.1:8441", "127.0.0.1").unwrap(), (vec![], 1));
        assert_eq!(words("[::]:8441", "10.0.0.1").unwrap(), (vec![], 1));
        for wrong in ["", "*.example.cn", "ca example", "https://ca.example.cn"] {
            assert!(words("127.0.0.1:8441", wrong).is_err(), "{wrong}");
        }
    }
}
