//! What TLS is made with at a port where people log in: under the gateway's certificate, and where that is wanted asking for the client's.
//!
//! A certificate is asked for and not demanded, and whatever is shown is taken: TLS proves that the client has its key. Whose it is and
//! whether it is believed is asked when somebody logs in by it; a client that shows an odd one and gives a password is let in by that.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use tokio::sync::watch;

pub(super) struct Served {
    served: watch::Receiver<Arc<ServerConfig>>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// What was made of which.
    made: Mutex<Option<(Arc<ServerConfig>, Arc<ServerConfig>)>>,
}

impl Served {
    /// `roots`: under whom a client's certificate is asked for, so that programs do not offer others.
    pub fn new(served: watch::Receiver<Arc<ServerConfig>>, roots: Vec<DistinguishedName>) -> Self {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        Self { served, verifier: Arc::new(Asked { roots, algorithms }), made: Mutex::default() }
    }

    /// For the next handshake.
    pub fn current(&self, ask: bool) -> Arc<ServerConfig> {
        let served = Arc::clone(&self.served.borrow());
        if !ask {
            return served;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, asking)) = &*made
            && Arc::ptr_eq(of, &served)
        {
            return Arc::clone(asking);
        }
        match asking(&served, &self.verifier) {
            Ok(asking) => {
                *made = Some((served, Arc::clone(&asking)));
                asking
            }
            // Passwords still work.
            Err(error) => {
                tracing::error!(%error, "clients cannot be asked for certificates");
                served
            }
        }
    }
}

fn asking(served: &ServerConfig, verifier: &Arc<dyn ClientCertVerifier>) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_client_cert_verifier(Arc::clone(verifier)).with_cert_resolver(Arc::clone(&served.cert_resolver));
    // Whoever comes again shows their certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

struct Asked {
    roots: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Asked")
    }
}

impl ClientCertVerifier for Asked {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.roots
    }

    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
