//! Whom an officer's command believes to be the authority: a server beneath the root that shows, with its certificate, its
//! responder's answer of this day that it is good. An officer's machine asks no third place, so without that answer a
//! revoked certificate would be as good as any.
// spec: rfc6066#8; rfc7633#4 (must-staple, here as the client's own policy)

use std::sync::Arc;

use pki::ocsp::{AnswerError, CertStatus, OcspAnswer};
use pki::path::{Anchors, Oid, PathError, Requirements, Validation};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use time::OffsetDateTime;

use crate::record::serial_of;

const SERVER_AUTH: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.1");
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
    #[error("no path leads from its certificate to the root, so nobody is known whose answer about it counts: {0}; call nobody there")]
    Path(#[from] PathError),
}

#[derive(Debug)]
pub struct Stapled {
    below: Arc<WebPkiServerVerifier>,
    anchors: Anchors,
}

impl Stapled {
    /// `root` is DER.
    pub fn beneath(root: &[u8], provider: Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.to_vec()))?;
        let anchors = Anchors::new(&[root]).map_err(|error| rustls::Error::General(error.to_string()))?;
        let below = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        below.map(|below| Self { below, anchors }).map_err(|error| rustls::Error::General(error.to_string()))
    }

    /// What is shown beside the certificate is the server's word: whose answer counts is found by signatures, up to the root.
    fn judge(&self, leaf: &[u8], above: &[CertificateDer<'_>], answer: &[u8], now: OffsetDateTime) -> Result<(), Unproven> {
        let required = Requirements { extended_key_usage: SERVER_AUTH, key_usage: Vec::new(), policies: Vec::new() };
        let path = Validation { anchors: &self.anchors, lists: &[], required: &required, at: now }.path(leaf, above)?;
        good(leaf, path.get(1).ok_or(Unproven::Issuer)?, answer, now)
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
        let verified = self.below.verify_server_cert(leaf, above, name, &[], now)?;
        // 2. And good now, by the answer of the very one who issued it.
        let at = i64::try_from(now.as_secs()).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        self.judge(leaf, above, answer, at).map_err(|error| rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error)))))?;
        Ok(verified)
    }

    fn verify_tls12_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.below.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.below.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.below.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pki::ocsp::{CertId, HashAlgorithm, SingleResponse, assemble, responder_key_hash, response_data};
    use pki::signer::SignatureAlgorithm;
    use pki::view::CertificateView;
    use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SigningKey};
    use time::Duration;

    fn params(name: &str, authority: bool) -> CertificateParams {
        let names = if authority { Vec::new() } else { vec!["localhost".into()] };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (now() - Duration::DAY, now() + Duration::DAY);
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        } else {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        params
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()
    }

    /// That `leaf` has this status, in the name and by the key of `issuer`, DER.
    fn answer(status: CertStatus, leaf: &[u8], issuer: &[u8], key: &KeyPair) -> Vec<u8> {
        let view = CertificateView::parse(issuer).unwrap();
        let id = CertId::new(HashAlgorithm::Sha1, view.subject, view.spki, &serial_of(leaf).unwrap()).unwrap();
        let single = SingleResponse { id: &id.der, status, this_update: now(), next_update: now() + Duration::HOUR, archive_cutoff: None };
        let data = response_data(&responder_key_hash(&key.subject_public_key_info()).unwrap(), now(), &[single], None);
        assemble(&data, SignatureAlgorithm::EcdsaP256Sha256, &key.sign(&data).unwrap(), issuer)
    }

    #[test]
    fn only_the_answer_of_the_leafs_own_issuer_counts_in_whatever_order_the_path_is_shown() {
        let root_key = KeyPair::generate().unwrap();
        let root = params("root", true).self_signed(&root_key).unwrap().der().clone();
        let above_all = Issuer::new(params("root", true), root_key);
        let issuing_key = KeyPair::generate().unwrap();
        let issuing = params("tls-ca", true).signed_by(&issuing_key, &above_all).unwrap().der().clone();
        let tls = Issuer::new(params("tls-ca", true), issuing_key);
        let leaf = params("server", false).signed_by(&KeyPair::generate().unwrap(), &tls).unwrap().der().clone();
        // Whoever stole the leaf's key makes an issuer, under another name or under the very one.
        let thief = KeyPair::generate().unwrap();
        let made = ["thief", "tls-ca"].map(|name| params(name, true).self_signed(&thief).unwrap().der().clone());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let stapled = Stapled::beneath(&root, provider).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let shown = |above: &[CertificateDer<'_>], answer: &[u8]| stapled.verify_server_cert(&leaf, above, &name, answer, UnixTime::now()).map(drop);

        let good = answer(CertStatus::Good, &leaf, &issuing, tls.key());
        shown(&[issuing.clone()], &good).unwrap();
        for one in &made {
            let forged = answer(CertStatus::Good, &leaf, one, &thief);
            for above in [[one.clone(), issuing.clone()], [issuing.clone(), one.clone()]] {
                shown(&above, &forged).unwrap_err();
                // What else travels along takes nothing from a true answer.
                shown(&above, &good).unwrap();
            }
        }
        let revoked = CertStatus::Revoked { at: now(), reason: pki::crl::Reason::KeyCompromise, invalid_since: None };
        let ended = answer(revoked, &leaf, &issuing, tls.key());
        assert!(matches!(stapled.judge(&leaf, &[issuing.clone()], &ended, now()), Err(Unproven::Revoked)));
        shown(&[issuing], &[]).unwrap_err();
    }
}
