//! Whether to trust a signer: the path to an anchor, usage, policy and revocation, at a time that is an argument.
//!
//! `rustls-webpki` builds and verifies the path (signatures, validity, basic and name constraints). It ignores key usage,
//! certificate policies and the start of a CRL's validity, and cannot say why something was revoked: these are judged
//! here. A name constraint on mail addresses it does not understand, and refuses.
// spec: rfc5280#6
mod facts;
mod revocation;

use crate::asn1::{DerError, Reader};
use crate::crl::Reason;
use crate::view::{BASIC_CONSTRAINTS, CertificateView, EXTENDED_KEY_USAGE, KEY_USAGE};
pub use const_oid::ObjectIdentifier as Oid;
pub use facts::CertificateFacts;
pub use revocation::{ListError, Revocation, RevocationList};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::cell::Cell;
use std::time::Duration;
use time::OffsetDateTime;
use webpki::{EndEntityCert, Error as WebpkiError, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath, ring as algorithms};

/// The most certificates in which issuers are looked for.
pub const MAX_INTERMEDIATES: usize = 16;

const ANY_POLICY: Oid = Oid::new_unwrap("2.5.29.32.0");
const POLICY_MAPPINGS: Oid = Oid::new_unwrap("2.5.29.33");
const KEY_CERT_SIGN: u8 = 5;
const CRL_SIGN: u8 = 6;

const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 10] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the certificate, or an issuer of it, expired; sign with a current one")]
    Expired,
    #[error("the certificate, or an issuer of it, is not valid yet; check the clocks")]
    NotYetValid,
    #[error("no trusted issuer of the certificate was found; send the issuing certificates along, or use a certificate of this city")]
    UnknownIssuer,
    #[error("the certificate, or an issuer of it, was revoked at {at} ({reason:?}); use another one")]
    Revoked { at: OffsetDateTime, reason: Reason },
    #[error("whether the certificate is revoked is not known: there is no current CRL of its issuer; fetch the CRL and try again")]
    RevocationUnknown,
    #[error("the certificate is not made for this use; use one of the right kind")]
    WrongUsage,
    #[error("the certificate was not issued under the policy that is asked for; use one of the right kind")]
    WrongPolicy,
    #[error("an issuer of the certificate was not allowed to issue it")]
    Constraint,
    #[error("more than 16 issuing certificates were sent; send the path only")]
    TooMany,
    #[error("a certificate of the path is malformed or uses what is not supported: {0}")]
    Malformed(String),
}

impl From<DerError> for PathError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<WebpkiError> for PathError {
    fn from(error: WebpkiError) -> Self {
        match error {
            WebpkiError::CertExpired { .. } => Self::Expired,
            WebpkiError::CertNotValidYet { .. } => Self::NotYetValid,
            // An issuer of the right name and another key is not the issuer.
            WebpkiError::UnknownIssuer | WebpkiError::InvalidSignatureForPublicKey => Self::UnknownIssuer,
            WebpkiError::CaUsedAsEndEntity => Self::WrongUsage,
            WebpkiError::EndEntityUsedAsCa | WebpkiError::PathLenConstraintViolated | WebpkiError::NameConstraintViolation => Self::Constraint,
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// The certificates that trust begins with.
#[derive(Debug)]
pub struct Anchors {
    certificates: Vec<Vec<u8>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Anchors {
    /// From certificates in DER.
    pub fn new(certificates: &[impl AsRef<[u8]>]) -> Result<Self, PathError> {
        let mut anchors = Vec::with_capacity(certificates.len());
        for certificate in certificates {
            CertificateView::parse(certificate.as_ref())?;
            anchors.push(webpki::anchor_from_trusted_cert(&CertificateDer::from(certificate.as_ref()))?.to_owned());
        }
        Ok(Self { certificates: certificates.iter().map(|one| one.as_ref().to_vec()).collect(), anchors })
    }

    fn certificate_of(&self, anchor: &TrustAnchor<'_>) -> Option<&[u8]> {
        let at = self.anchors.iter().position(|known| std::ptr::addr_eq(known, anchor))?;
        self.certificates.get(at).map(Vec::as_slice)
    }
}

/// What a signer's certificate must be made for.
#[derive(Clone, Debug)]
pub struct Requirements {
    pub extended_key_usage: Oid,
    /// Bits as in RFC 5280, each of which must be set.
    pub key_usage: Vec<u8>,
    /// One of these; none are asked for when it is empty.
    pub policies: Vec<Oid>,
}

/// All that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Validation<'a> {
    pub anchors: &'a Anchors,
    /// Every certificate of the path but the anchor must be covered by a current one.
    pub lists: &'a [RevocationList],
    pub required: &'a Requirements,
    pub at: OffsetDateTime,
}

/// A certificate that passed.
#[derive(Clone, PartialEq, Eq)]
pub struct Trusted {
    certificate: Vec<u8>,
    facts: CertificateFacts,
}

impl std::fmt::Debug for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trusted").field(&self.facts).finish()
    }
}

impl Trusted {
    /// DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

/// Accepts every purpose: which ones are wanted is judged with the rest of the path.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), WebpkiError> {
        for purpose in purposes {
            purpose?;
        }
        Ok(())
    }
}

impl Validation<'_> {
    /// Decides about a certificate; its issuers are looked for among `intermediates`, which nobody needs to trust.
    pub fn trust(&self, certificate: &[u8], intermediates: &[impl AsRef<[u8]>]) -> Result<Trusted, PathError> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(PathError::TooMany);
        }
        let facts = CertificateFacts::parse(certificate)?;
        let der = CertificateDer::from(certificate);
        let holder = EndEntityCert::try_from(&der)?;
        let intermediates: Vec<CertificateDer<'_>> = intermediates.iter().map(|one| CertificateDer::from(one.as_ref())).collect();
        let Ok(seconds) = u64::try_from(self.at.unix_timestamp()) else { return Err(PathError::NotYetValid) };
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        // Another path may pass where one does not; if none does, our reason says more than webpki's.
        let refusal = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            self.judge(certificate, path).map_err(|error| {
                refusal.set(Some(error));
                WebpkiError::UnknownIssuer
            })
        };
        match holder.verify_for_usage(&ALGORITHMS, &self.anchors.anchors, &intermediates, time, AnyPurpose, None, Some(&judge)) {
            Ok(_) => Ok(Trusted { certificate: certificate.to_vec(), facts }),
            Err(error) => Err(refusal.take().unwrap_or_else(|| error.into())),
        }
    }

    /// A path whose signatures, times and constraints hold.
    fn judge(&self, certificate: &[u8], path: &VerifiedPath<'_>) -> Result<(), PathError> {
        let issuers: Vec<CertificateDer<'_>> = path.intermediate_certificates().map(webpki::Cert::der).collect();
        let anchor = self.anchors.certificate_of(path.anchor()).ok_or(PathError::UnknownIssuer)?;
        let chain = [certificate].into_iter().chain(issuers.iter().map(AsRef::as_ref)).chain([anchor]);
        let chain = chain.map(CertificateView::parse).collect::<Result<Vec<_>, _>>()?;
        let [holder, authorities @ ..] = chain.as_slice() else { return Err(PathError::UnknownIssuer) };
        self.judge_holder(holder)?;
        for authority in authorities {
            self.judge_authority(authority)?;
        }
        if let [between @ .., anchor] = authorities {
            self.judge_policies(holder, between)?;
            // The anchor's time is nobody else's concern. spec: rfc5280#6.1.1 (d)
            if self.at > anchor.not_after {
                return Err(PathError::Expired);
            }
            if self.at < anchor.not_before {
                return Err(PathError::NotYetValid);
            }
        }
        for (depth, pair) in chain.array_windows().enumerate() {
            let [subject, issuer] = pair;
            self.judge_revocation(subject, issuer, depth > 0)?;
        }
        Ok(())
    }

    fn judge_holder(&self, holder: &CertificateView<'_>) -> Result<(), PathError> {
        let usage = key_usage(holder)?.ok_or(PathError::WrongUsage)?;
        let purposes = purposes(holder)?.ok_or(PathError::WrongUsage)?;
        let is_authority = holder.extension(&BASIC_CONSTRAINTS).is_some_and(|value| value != [0x30, 0]);
        let fits = self.required.key_usage.iter().all(|bit| usage.has(*bit)) && purposes.contains(&self.required.extended_key_usage.as_bytes());
        if fits && !is_authority { Ok(()) } else { Err(PathError::WrongUsage) }
    }

    /// spec: rfc5280#6.1.4 (n)
    fn judge_authority(&self, authority: &CertificateView<'_>) -> Result<(), PathError> {
        if key_usage(authority)?.is_some_and(|usage| !usage.has(KEY_CERT_SIGN)) {
            return Err(PathError::Constraint);
        }
        // Where an authority says purposes, they bind those below it.
        let allowed = purposes(authority)?.is_none_or(|list| list.contains(&self.required.extended_key_usage.as_bytes()));
        if allowed { Ok(()) } else { Err(PathError::Constraint) }
    }

    /// The holder names the policy itself, and every authority between it and the anchor names it or any. Without policy
    /// mappings, which are refused, critical or not, this is the whole of the rule. spec: rfc5280#6.1.3 (d)
    fn judge_policies(&self, holder: &CertificateView<'_>, between: &[CertificateView<'_>]) -> Result<(), PathError> {
        if self.required.policies.is_empty() {
            return Ok(());
        }
        if between.iter().any(|authority| authority.extension(&POLICY_MAPPINGS).is_some()) {
            return Err(PathError::Malformed("policy mappings".to_owned()));
        }
        let held = facts::policies(holder)?;
        let allowed = between.iter().map(facts::policies).collect::<Result<Vec<_>, _>>()?;
        let valid = |policy: &Oid| {
            let id = policy.as_bytes();
            held.contains(&id) && allowed.iter().all(|list| list.contains(&id) || list.contains(&ANY_POLICY.as_bytes()))
        };
        if self.required.policies.iter().any(valid) { Ok(()) } else { Err(PathError::WrongPolicy) }
    }

    /// The newest current list that covers the certificate and is its issuer's decides. spec: rfc5280#6.3.3
    fn judge_revocation(&self, subject: &CertificateView<'_>, issuer: &CertificateView<'_>, is_authority: bool) -> Result<(), PathError> {
        if key_usage(issuer)?.is_some_and(|usage| !usage.has(CRL_SIGN)) {
            return Err(PathError::RevocationUnknown);
        }
        let mut newest: Option<&RevocationList> = None;
        for list in self.lists {
            let better = newest.is_none_or(|known| list.is_newer_than(known));
            if better && list.covers(subject, is_authority, self.at)? && list.is_signed_by(issuer.spki) {
                newest = Some(list);
            }
        }
        match newest.ok_or(PathError::RevocationUnknown)?.find(subject.serial) {
            Some(Revocation { at, reason }) => Err(PathError::Revoked { at, reason }),
            None => Ok(()),
        }
    }
}

/// The named bits of a key usage.
struct KeyUsage<'a>(&'a [u8]);

impl KeyUsage<'_> {
    fn has(&self, bit: u8) -> bool {
        self.0.get(usize::from(bit / 8)).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    }
}

/// spec: rfc5280#4.2.1.3
fn key_usage<'a>(view: &CertificateView<'a>) -> Result<Option<KeyUsage<'a>>, DerError> {
    let Some(value) = view.extension(&KEY_USAGE) else { return Ok(None) };
    match Reader::only(value, 3)? {
        [unused, bits @ ..] if *unused < 8 && (1..=2).contains(&bits.len()) => Ok(Some(KeyUsage(bits))),
        _ => Err(DerError::Value("key usage")),
    }
}

/// spec: rfc5280#4.2.1.12
fn purposes<'a>(view: &CertificateView<'a>) -> Result<Option<Vec<&'a [u8]>>, DerError> {
    let Some(value) = view.extension(&EXTENDED_KEY_USAGE) else { return Ok(None) };
    let mut list = Reader::new(Reader::only(value, 0x30)?);
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.take(6)?);
    }
    Ok(Some(found))
}
