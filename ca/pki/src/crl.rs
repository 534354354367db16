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
    /// A partition's own address: a critical issuingDistributionPoint. Only holders' certificates are put into partitions.
    pub distribution_point: Option<String>,
    /// A delta: the number of the complete list that it changes.
    pub delta_of: Option<u64>,
    /// Where the newest delta to this complete list is.
    pub freshest: Option<String>,
}

fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let crit: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    asn1::seq(&[&asn1::oid(&Oid::new_unwrap(id)), crit, &asn1::tlv(4, value)])
}

/// DistributionPointName with one full name. spec: rfc5280#4.2.1.13
fn point(url: &str) -> Vec<u8> {
    asn1::tlv(0xa0, &asn1::tlv(0xa0, &asn1::tlv(0x86, url.as_bytes())))
}

impl CrlPlan {
    fn extensions(&self) -> Vec<u8> {
        let mut all = extension("2.5.29.35", false, &asn1::seq(&[&asn1::tlv(0x80, &self.authority_key_id)]));
        all.extend(extension("2.5.29.20", false, &asn1::uint(&self.number.to_be_bytes())));
        if let Some(base) = self.delta_of {
            all.extend(extension("2.5.29.27", true, &asn1::uint(&base.to_be_bytes())));
        }
        if let Some(url) = &self.distribution_point {
            // onlyContainsUserCerts. spec: rfc5280#5.2.5
            all.extend(extension("2.5.29.28", true, &asn1::seq(&[&point(url), &[0x81, 1, 0xff]])));
        }
        if let Some(url) = &self.freshest {
            all.extend(extension("2.5.29.46", false, &asn1::seq(&[&asn1::tlv(0x30, &point(url))])));
        }
        asn1::tlv(0xa0, &asn1::tlv(0x30, &all))
    }
}

/// Room for tag and length.
const HEAD: usize = 6;

/// Writes a TBSCertList entry by entry, each byte once: a list of a million is tens of megabytes and never there twice.
pub struct Writer<'a> {
    plan: &'a CrlPlan,
    /// What stands before the entries.
    before: Vec<u8>,
    /// Room for `before` and two heads, then the entries.
    out: Vec<u8>,
    /// Of one entry: serial and date, then its extensions.
    entry: Vec<u8>,
    extensions: Vec<u8>,
    count: u64,
}

impl<'a> Writer<'a> {
    pub fn new(plan: &'a CrlPlan, alg: SignatureAlgorithm) -> Self {
        let before = [&[2, 1, 1], &algorithm_der(alg)[..], &plan.issuer, &asn1::time(plan.this_update), &asn1::time(plan.next_update)].concat();
        let out = vec![0; before.len() + 2 * HEAD];
        Self { plan, before, out, entry: Vec::new(), extensions: Vec::new(), count: 0 }
    }

    pub fn push(&mut self, e: &Entry) {
        let Self { entry, extensions, out, .. } = self;
        extensions.clear();
        if e.reason != Reason::Unspecified {
            extensions.extend_from_slice(&[0x30, 10, 6, 3, 0x55, 0x1d, 21, 4, 3, 10, 1, e.reason as u8]);
        }
        if let Some(t) = e.invalidity_date {
            extensions.extend_from_slice(&[0x30, 24, 6, 3, 0x55, 0x1d, 24, 4, 17]);
            asn1::put_generalized(extensions, t);
        }
        entry.clear();
        let zeros = e.serial.iter().take_while(|octet| **octet == 0).count();
        let digits = e.serial.get(zeros..).unwrap_or_default();
        // A number that is not negative: an octet 0 before a first one that would say so, and for nought itself.
        let sign = usize::from(digits.first().is_none_or(|first| first & 0x80 != 0));
        asn1::head(entry, 2, digits.len() + sign);
        entry.resize(entry.len() + sign, 0);
        entry.extend_from_slice(digits);
        asn1::put_time(entry, e.revoked_at);
        if !extensions.is_empty() {
            asn1::head(entry, 0x30, extensions.len());
            entry.extend_from_slice(extensions);
        }
        asn1::head(out, 0x30, entry.len());
        out.extend_from_slice(entry);
        self.count += 1;
    }

    /// Octets written so far.
    pub fn octets(&self) -> usize {
        self.out.len()
    }

    /// How many entries there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The bytes to be signed; no list of entries at all when there are none.
    pub fn finish(self) -> Vec<u8> {
        let Self { plan, before, mut out, .. } = self;
        let room = before.len() + 2 * HEAD;
        let mut heads = before;
        if out.len() > room {
            asn1::head(&mut heads, 0x30, out.len() - room);
        }
        out.extend(plan.extensions());
        let mut first = Vec::with_capacity(HEAD);
        asn1::head(&mut first, 0x30, heads.len() + out.len() - room);
        first.extend(heads);
        // The room is a few octets too large: what follows moves up.
        out.splice(..room, first);
        out
    }
}

/// TBSCertList in one step.
pub fn build_tbs(plan: &CrlPlan, alg: SignatureAlgorithm, entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
    let mut writer = Writer::new(plan, alg);
    entries.into_iter().for_each(|entry| writer.push(&entry));
    writer.finish()
}
