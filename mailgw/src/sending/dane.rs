//! What a server's certificate has to be by the TLSA records of its domain.
// spec: rfc7672#3, rfc6698#2.1, rfc7671

use std::sync::Arc;

use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use ring::digest::{SHA256, SHA512, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A record that can be used for mail: usages 2 and 3 alone. spec: rfc7672#3.1.3
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    /// The server's own certificate, not an authority above it.
    own: bool,
    /// Its key, not all of it.
    key: bool,
    matching: Hash,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    None,
    Sha256,
    Sha512,
}

impl Pin {
    /// `None`: it cannot be used.
    pub fn new(record: &TLSA) -> Option<Self> {
        let own = match record.cert_usage {
            CertUsage::DaneEe => true,
            CertUsage::DaneTa => false,
            _ => return None,
        };
        let key = match record.selector {
            Selector::Spki => true,
            Selector::Full => false,
            _ => return None,
        };
        let (matching, length) = match record.matching {
            Matching::Raw => (Hash::None, None),
            Matching::Sha256 => (Hash::Sha256, Some(32)),
            Matching::Sha512 => (Hash::Sha512, Some(64)),
            _ => return None,
        };
        let fits = !record.cert_data.is_empty() && length.is_none_or(|length| record.cert_data.len() == length);
        fits.then(|| Self { own, key, matching, data: record.cert_data.clone() })
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        let Some(chosen) = self.chosen(certificate) else { return false };
        match self.matching {
            Hash::None => chosen == self.data,
            Hash::Sha256 => digest(&SHA256, &chosen).as_ref() == self.data,
            Hash::Sha512 => digest(&SHA512, &chosen).as_ref() == self.data,
        }
    }

    fn chosen(&self, certificate: &[u8]) -> Option<Vec<u8>> {
        if !self.key {
            return Some(certificate.to_vec());
        }
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(parsed.tbs_certificate.subject_pki.raw.to_vec())
    }
}

/// As it stands in a report. spec: rfc8460#4.3
impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let matching = match self.matching {
            Hash::None => 0,
            Hash::Sha256 => 1,
            Hash::Sha512 => 2,
        };
        write!(f, "{} {} {matching} {}", if self.own { 3 } else { 2 }, u8::from(self.key), crate::hex(&self.data))
    }
}

#[derive(Debug)]
struct Pinned {
    pins: Vec<Pin>,
    /// Names of the server that a certificate under an authority has to bear one of.
    names: Vec<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(&self, end: &CertificateDer<'_>, others: &[CertificateDer<'_>], _: &ServerName<'_>, _: &[u8], now: UnixTime) -> Result<ServerCertVerified, Error> {
        // spec: rfc7672#3.1.1 neither names nor times count beside the record itself
        if self.pins.iter().any(|pin| pin.own && pin.is_of(end)) {
            return Ok(ServerCertVerified::assertion());
        }
        // spec: rfc7672#3.1.2 the authority is in what the server shows
        let mut last = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        for authority in others.iter().chain([end]).filter(|shown| self.pins.iter().any(|pin| !pin.own && pin.is_of(shown))) {
            let mut roots = RootCertStore::empty();
            if roots.add(authority.clone().into_owned()).is_err() {
                continue;
            }
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
            let Ok(verifier) = builder.build() else { continue };
            for name in &self.names {
                match verifier.verify_server_cert(end, others, name, &[], now) {
                    Ok(verified) => return Ok(verified),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    fn verify_tls12_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// TLS with a server that has these pins; `names`: the server's, and the domain it takes mail for.
pub(super) fn config(pins: Vec<Pin>, names: &[&str]) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let names = names.iter().filter_map(|name| ServerName::try_from((*name).to_owned()).ok()).collect();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned { pins, names, provider })).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn certificate() -> (Vec<u8>, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(["mx.c.cn".to_owned()]).unwrap();
        let der = made.cert.der().to_vec();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let key = parsed.tbs_certificate.subject_pki.raw.to_vec();
        (der.clone(), key)
    }

    fn record(usage: CertUsage, selector: Selector, matching: Matching, data: &[u8]) -> TLSA {
        TLSA::new(usage, selector, matching, data.to_vec())
    }

    #[test]
    fn records_and_what_they_pin() {
        let ((one, key), (other, _)) = (certificate(), certificate());
        let sha = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
        for (selector, matching, data) in [
            (Selector::Spki, Matching::Sha256, sha(&key)),
            (Selector::Full, Matching::Sha256, sha(&one)),
            (Selector::Full, Matching::Raw, one.clone()),
            (Selector::Spki, Matching::Sha512, digest(&SHA512, &key).as_ref().to_vec()),
        ] {
            let pin = Pin::new(&record(CertUsage::DaneEe, selector, matching, &data)).unwrap();
            assert!(pin.is_of(&one) && !pin.is_of(&other), "{pin}");
        }
        for unusable in [
            record(CertUsage::PkixEe, Selector::Spki, Matching::Sha256, &sha(&key)),
            record(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, b"short"),
            record(CertUsage::DaneEe, Selector::Unassigned(7), Matching::Sha256, &sha(&key)),
            record(CertUsage::DaneEe, Selector::Spki, Matching::Raw, b""),
        ] {
            assert_eq!(Pin::new(&unusable), None);
        }
    }

    #[test]
    fn authorities_above() {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let end = rcgen::CertificateParams::new(vec!["mx.c.cn".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let pin = Pin::new(&record(CertUsage::DaneTa, Selector::Full, Matching::Sha256, digest(&SHA256, root.der()).as_ref())).unwrap();
        let judged = |names: &[&str], others: &[CertificateDer<'_>]| {
            let names = names.iter().map(|name| ServerName::try_from((*name).to_owned()).unwrap()).collect();
            let pinned = Pinned { pins: vec![pin.clone()], names, provider: Arc::new(rustls::crypto::ring::default_provider()) };
            pinned.verify_server_cert(end.der(), others, &ServerName::try_from("ignored.cn").unwrap(), &[], UnixTime::now()).is_ok()
        };
        let shown = [root.der().clone()];
        assert!(judged(&["mx.c.cn"], &shown) && judged(&["c.cn", "mx.c.cn"], &shown));
        assert!(!judged(&["other.cn"], &shown) && !judged(&["mx.c.cn"], &[]));
    }
}
