//! CRLs as they are read: full lists of one issuer, within their scope.
// spec: rfc5280#5, rfc5280#6.3
use super::facts::{distribution_points, point_names};
use super::names::same;
use crate::asn1::{DerError, Reader};
use crate::crl::Reason;
use crate::signature::{Scheme, SignatureError};
use crate::view::{AUTHORITY_KEY_ID, CertificateView, ExtensionView, Signed, extensions};
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

/// The largest list we look at: over a million entries.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;

const REASON: Oid = Oid::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");
const DELTA: Oid = Oid::new_unwrap("2.5.29.27");
const ISSUING_POINT: Oid = Oid::new_unwrap("2.5.29.28");
const ISSUER_OF_ENTRY: Oid = Oid::new_unwrap("2.5.29.29");

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("the CRL has {0} bytes and at most {MAX_BYTES} are read; publish it in partitions")]
    TooLarge(usize),
    #[error("the CRL is damaged: {0}; fetch it again, in DER")]
    Der(#[from] DerError),
    #[error("the CRL is not of version 2 or says no next update; publish lists by RFC 5280")]
    Profile,
    #[error("the CRL is a delta, indirect, or for some reasons only; give full lists of the issuer itself")]
    Partial,
    #[error("the CRL has a critical extension that is not understood; give lists by RFC 5280")]
    Critical,
}

/// What a list says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub at: OffsetDateTime,
    pub reason: Reason,
    /// Since when the key is not to be believed, where that was before the revocation. spec: rfc5280#5.3.2
    pub invalid_since: Option<OffsetDateTime>,
}

/// Which certificates a list is about. spec: rfc5280#5.2.5
#[derive(Clone, Debug, Default)]
struct Scope {
    /// A partition: certificates that name one of these addresses.
    names: Option<Vec<String>>,
    holders_only: bool,
    authorities_only: bool,
}

/// A list, read once; who signed it is found out with the path.
pub struct RevocationList {
    tbs: Vec<u8>,
    scheme: Scheme,
    signature: Vec<u8>,
    /// Name, DER.
    issuer: Vec<u8>,
    this_update: OffsetDateTime,
    next_update: OffsetDateTime,
    scope: Scope,
    /// Sorted by the serial's octets.
    revoked: Vec<(Box<[u8]>, Revocation)>,
}

impl std::fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevocationList").field("this_update", &self.this_update).field("entries", &self.revoked.len()).finish_non_exhaustive()
    }
}

impl RevocationList {
    pub fn parse(der: &[u8]) -> Result<Self, ListError> {
        if der.len() > MAX_BYTES {
            return Err(ListError::TooLarge(der.len()));
        }
        let signed = Signed::parse(der)?;
        let mut tbs = Reader::new(Reader::only(signed.tbs, 0x30)?);
        if tbs.optional(2)? != Some(&[1]) {
            return Err(ListError::Profile);
        }
        // spec: rfc5280#5.1.2.2
        if tbs.whole(0x30)? != signed.algorithm {
            return Err(DerError::Value("two signature algorithms that differ").into());
        }
        let scheme = Scheme::read(Reader::only(signed.algorithm, 0x30)?, None).map_err(|_| DerError::Value("a signature algorithm that is not supported"))?;
        let issuer = tbs.whole(0x30)?.to_vec();
        let this_update = tbs.time()?;
        if !matches!(tbs.peek(), Some(0x17 | 0x18)) {
            return Err(ListError::Profile);
        }
        let next_update = tbs.time()?;
        let mut revoked = Vec::new();
        let mut entries = Reader::new(tbs.optional(0x30)?.unwrap_or_default());
        while !entries.is_empty() {
            revoked.push(entry(entries.take(0x30)?)?);
        }
        revoked.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if revoked.array_windows().any(|[a, b]| a.0 == b.0) {
            return Err(DerError::Value("a serial that is revoked twice").into());
        }
        let list = tbs.optional(0xa0)?.ok_or(ListError::Profile)?;
        tbs.end()?;
        let scope = scope(&extensions(list)?)?;
        Ok(Self { tbs: signed.tbs.to_vec(), scheme, signature: signed.signature.to_vec(), issuer, this_update, next_update, scope, revoked })
    }

    /// When a newer list is due.
    pub fn next_update(&self) -> OffsetDateTime {
        self.next_update
    }

    /// As of when it tells.
    pub fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the list is about this certificate, at this time.
    pub(super) fn covers(&self, view: &CertificateView<'_>, is_authority: bool, at: OffsetDateTime) -> Result<bool, DerError> {
        Ok(at >= self.this_update && at < self.next_update && self.is_about(view, is_authority)?)
    }

    /// Whether the certificate is within the list's scope. spec: rfc5280#6.3.3 (b)
    pub(super) fn is_about(&self, view: &CertificateView<'_>, is_authority: bool) -> Result<bool, DerError> {
        if !same(&self.issuer, view.issuer) {
            return Ok(false);
        }
        if (self.scope.holders_only && is_authority) || (self.scope.authorities_only && !is_authority) {
            return Ok(false);
        }
        match &self.scope.names {
            None => Ok(true),
            Some(names) => Ok(distribution_points(view)?.iter().any(|url| names.contains(url))),
        }
    }

    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.this_update > other.this_update
    }

    /// Whether the holder of this key signed the list.
    pub(super) fn is_signed_by(&self, spki: &[u8]) -> bool {
        self.verify(spki).is_ok()
    }

    pub(super) fn verify(&self, spki: &[u8]) -> Result<(), SignatureError> {
        self.scheme.verify(spki, &self.tbs, &self.signature)
    }

    pub(super) fn find(&self, serial: &[u8]) -> Option<Revocation> {
        let at = self.revoked.binary_search_by(|(known, _)| known.as_ref().cmp(serial)).ok()?;
        self.revoked.get(at).map(|(_, revocation)| *revocation)
    }
}

/// Serial and what is said of it. spec: rfc5280#5.3
fn entry(der: &[u8]) -> Result<(Box<[u8]>, Revocation), ListError> {
    let mut fields = Reader::new(der);
    let serial = fields.integer()?;
    if serial.len() > 21 {
        return Err(DerError::Value("serial number").into());
    }
    let at = fields.time()?;
    let (mut reason, mut invalid_since) = (Reason::Unspecified, None);
    if fields.peek() == Some(0x30) {
        for extension in extensions(fields.whole(0x30)?)? {
            if extension.id == REASON.as_bytes() {
                reason = match Reader::only(extension.value, 10)? {
                    [code] => Reason::from_code(*code),
                    _ => None,
                }
                .ok_or(DerError::Value("revocation reason"))?;
            } else if extension.id == INVALIDITY_DATE.as_bytes() {
                invalid_since = Some(Reader::new(extension.value).time()?);
            } else if extension.id == ISSUER_OF_ENTRY.as_bytes() {
                return Err(ListError::Partial);
            } else if extension.critical {
                return Err(ListError::Critical);
            }
        }
    }
    fields.end()?;
    Ok((serial.into(), Revocation { at, reason, invalid_since }))
}

fn scope(list: &[ExtensionView<'_>]) -> Result<Scope, ListError> {
    let mut scope = Scope::default();
    for extension in list {
        if extension.id == DELTA.as_bytes() {
            return Err(ListError::Partial);
        } else if extension.id == ISSUING_POINT.as_bytes() {
            scope = issuing_point(extension.value)?;
        } else if extension.critical && extension.id != AUTHORITY_KEY_ID.as_bytes() {
            return Err(ListError::Critical);
        }
    }
    Ok(scope)
}

/// IssuingDistributionPoint; every flag is DEFAULT FALSE. spec: rfc5280#5.2.5
fn issuing_point(value: &[u8]) -> Result<Scope, ListError> {
    let mut fields = Reader::new(Reader::only(value, 0x30)?);
    let names = fields.optional(0xa0)?.map(point_names).transpose()?;
    let flag = |fields: &mut Reader<'_>, tag: u8| match fields.optional(tag)? {
        None => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(DerError::Value("a default that is written out")),
    };
    let (holders_only, authorities_only) = (flag(&mut fields, 0x81)?, flag(&mut fields, 0x82)?);
    // Some reasons, indirect, attribute certificates.
    if matches!(fields.peek(), Some(0x83..=0x85)) {
        return Err(ListError::Partial);
    }
    fields.end()?;
    Ok(Scope { names, holders_only, authorities_only })
}
