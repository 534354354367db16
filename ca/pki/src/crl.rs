//! The list of the revoked: entries are streamed into the bytes to be signed.
use crate::asn1;
use crate::certificate::algorithm_der;
use crate::signer::SignatureAlgorithm;
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

/// RFC 5280 reasons; `Unspecified` is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    Unspecified = 0,
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    RemoveFromCrl = 8,
    PrivilegeWithdrawn = 9,
    AaCompromise = 10,
}

impl Reason {
    // spec: rfc5280#5.3.1
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unspecified,
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            8 => Self::RemoveFromCrl,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    /// Unsigned, big-endian.
    pub serial: Vec<u8>,
    pub revoked_at: OffsetDateTime,
    pub reason: Reason,
    pub invalidity_date: Option<OffsetDateTime>,
}

/// The head of a list.
#[derive(Clone, Debug)]
pub struct CrlPlan {
    pub issuer: Vec<u8>,
    pub this_update: OffsetDateTime,
    pub next_update: OffsetDateTime,
    pub number: u64,
    pub authority_key_id: Vec<u8>,
    /// A partition's own address: a critical issuingDistributionPoint.
    pub distribution_point: Option<String>,
}

fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let crit: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    asn1::seq(&[&asn1::oid(&Oid::new_unwrap(id)), crit, &asn1::tlv(4, value)])
}

fn entry_der(e: &Entry) -> Vec<u8> {
    let mut ext = Vec::new();
    if e.reason != Reason::Unspecified {
        ext.extend(extension("2.5.29.21", false, &[10, 1, e.reason as u8]));
    }
    if let Some(t) = e.invalidity_date {
        ext.extend(extension("2.5.29.24", false, &asn1::generalized(t)));
    }
    let ext = if ext.is_empty() { ext } else { asn1::tlv(0x30, &ext) };
    asn1::seq(&[&asn1::uint(&e.serial), &asn1::time(e.revoked_at), &ext])
}

/// TBSCertList; no list of entries at all when there are none.
pub fn build_tbs(plan: &CrlPlan, alg: SignatureAlgorithm, entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
    let mut list = Vec::new();
    for e in entries {
        list.extend(entry_der(&e));
    }
    if !list.is_empty() {
        list = asn1::tlv(0x30, &list);
    }
    let mut ext = extension("2.5.29.35", false, &asn1::seq(&[&asn1::tlv(0x80, &plan.authority_key_id)]));
    ext.extend(extension("2.5.29.20", false, &asn1::uint(&plan.number.to_be_bytes())));
    if let Some(url) = &plan.distribution_point {
        let name = asn1::tlv(0xa0, &asn1::tlv(0xa0, &asn1::tlv(0x86, url.as_bytes())));
        ext.extend(extension("2.5.29.28", true, &asn1::tlv(0x30, &name)));
    }
    asn1::seq(&[
        &[2, 1, 1],
        &algorithm_der(alg),
        &plan.issuer,
        &asn1::time(plan.this_update),
        &asn1::time(plan.next_update),
        &list,
        &asn1::tlv(0xa0, &asn1::tlv(0x30, &ext)),
    ])
}
