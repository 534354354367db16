//! Whom an officer's command believes to be the authority: a server beneath the root that shows, with its certificate, its
//! responder's answer of this day that it is good. An officer's machine asks no third place, so without that answer a
//! revoked certificate would be as good as any.
// spec: rfc6066#8; rfc7633#4 (must-staple, here as the client's own policy)

use std::sync::Arc;

use pki::ocsp::{AnswerError, CertStatus, OcspAnswer};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use time::OffsetDateTime;

use crate::record::serial_of;

/// How far the two clocks may differ.
const CLOCK: i64 = 300;

#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    #[error("it shows no OCSP answer with its certificate; see on the authority's machine with `ca doctor` why there is none")]
    Missing,
    #[error("the OCSP answer that it shows does not hold: {0}")]
    Answer(#[from] AnswerError),
    #[error("the OCSP answer that it shows is not of now; set this machine's clock, or see on the authority's machine with `ca doctor`")]
    Time,
    #[error("its certificate is revoked; call nobody there, and ask whoever runs the authority")]
    Revoked,
    #[error("its responder does not know its certificate; call nobody there, and ask whoever runs the authority")]
    Unknown,
    #[error("it shows no issuer of its certificate; see that the server is an authority's own")]
    Issuer,
}

#[derive(Debug)]
pub struct Stapled(Arc<WebPkiServerVerifier>);

impl Stapled {
    pub fn beneath(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let below = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        below.map(Self).map_err(|error| rustls::Error::General(error.to_string()))
    }
}

/// Whether the answer says of this certificate of this issuer that it is good now. Pure.
fn good(certificate: &[u8], issuer: &[u8], answer: &[u8], now: OffsetDateTime) -> Result<(), Unproven> {
    if answer.is_empty() {
        return Err(Unproven::Missing);
    }
    let answer = OcspAnswer::parse(answer)?;
    let (said, _) = answer.of(issuer, &serial_of(certificate).ok_or(Unproven::Issuer)?, None)?;
    let ahead = (said.this_update - now).whole_seconds();
    // An answer without an end would be good for ever.
    if ahead > CLOCK || said.next_update.is_none_or(|until| (now - until).whole_seconds() > CLOCK) {
        return Err(Unproven::Time);
    }
    match said.status {
        CertStatus::Good => Ok(()),
        CertStatus::Revoked { .. } => Err(Unproven::Revoked),
        CertStatus::Unknown => Err(Unproven::Unknown),
    }
}

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>], name: &ServerName<'_>, answer: &[u8], now: UnixTime) -> Result<ServerCertVerified, rustls::Error> {
        // 1. The path to the root, and the name.
        let verified = self.0.verify_server_cert(leaf, above, name, &[], now)?;
        // 2. And good now, by the answer of whoever issued it.
        let at = i64::try_from(now.as_secs()).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let judged = above.first().ok_or(Unproven::Issuer).and_then(|issuer| good(leaf, issuer, answer, at));
        judged.map_err(|error| rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error)))))?;
        Ok(verified)
    }

    fn verify_tls12_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
