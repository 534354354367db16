//! Mutual TLS 1.3 for bureaus, under the certificate that all listeners of the gateway show.

use std::sync::{Arc, Mutex, PoisonError};

use runtime::exit::{Exit, Problem};
use runtime::http::TlsSource;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::bureau::trust::Anchors;

pub struct BureausTls {
    served: watch::Receiver<Arc<ServerConfig>>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// What was made of which.
    made: Mutex<(Arc<ServerConfig>, Arc<ServerConfig>)>,
}

impl BureausTls {
    /// Which certificates are believed beneath the roots, and for which bureau, is asked with every request.
    pub fn new(anchors: &Anchors, served: watch::Receiver<Arc<ServerConfig>>) -> Result<Self, Problem> {
        let refused = |reason: String| Problem::new(Exit::Internal, "listener", reason, "look at anchors.pem in the gateway's directory");
        let mut roots = RootCertStore::empty();
        for root in anchors.roots() {
            roots.add(CertificateDer::from(root.to_vec())).map_err(|error| refused(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| refused(error.to_string()))?;
        let now = Arc::clone(&served.borrow());
        let made = mutual(&now, &verifier).map_err(|error| refused(error.to_string()))?;
        Ok(Self { served, verifier, made: Mutex::new((now, made)) })
    }
}

fn mutual(served: &ServerConfig, verifier: &Arc<dyn ClientCertVerifier>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_client_cert_verifier(Arc::clone(verifier)).with_cert_resolver(Arc::clone(&served.cert_resolver));
    // Whoever comes again shows their certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

impl TlsSource for BureausTls {
    fn current(&self) -> Arc<ServerConfig> {
        let served = Arc::clone(&self.served.borrow());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&made.0, &served)
            && let Ok(next) = mutual(&served, &self.verifier)
        {
            *made = (served, next);
        }
        Arc::clone(&made.1)
    }
}
