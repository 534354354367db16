//! A root, authorities and a signer of filings, and what is asked of a signature; each test changes what it wants.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(dead_code, reason = "each test uses a part of it")]
use crate::city::{self, Authority, EMAIL, Key, POLICY};
use const_oid::ObjectIdentifier as Oid;
use pki::asn1;
use pki::cades::{Algorithm, Assessment, Constraints, Finding, Floor, Given, Indication, Signature, SubIndication as Sub, validate};
use pki::certificate::CertificatePlan;
use pki::cms::SignerPlan;
use pki::crl::{Entry, Reason};
use pki::effort::Effort;
use pki::key::KeyAlgorithm;
use pki::path::{Anchors, Requirements, RevocationAnswer};
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use pki::timestamp::{Imprint, Moment, Terms, TimeStampRequest, TokenInfo, TokenPlan};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub const DOCUMENT: &[u8] = b"{\"filing_id\":\"01K\",\"kind\":\"VAT_GENERAL\"}";
pub const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");
pub const OCSP_SIGNING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.9");
pub const OTHER: Oid = Oid::new_unwrap("1.3.6.1.4.1.32473.9");
pub const CODE: &str = "91440101MAT000018G";
pub const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;

/// A root, an authority for enterprises below it, a signer and a timestamp authority.
pub struct World {
    pub root: Authority,
    pub issuing: Authority,
    pub key: Key,
    pub certificate: Vec<u8>,
    pub tsa: Tsa,
}

pub struct Tsa {
    pub key: Key,
    pub certificate: Vec<u8>,
}

impl Tsa {
    pub fn new(root: &Authority, from: OffsetDateTime, until: OffsetDateTime) -> Self {
        let key = Key::p256();
        let certificate = root.seal(key.public_key_info(), |plan| {
            (plan.not_before, plan.not_after) = (from, until);
            (plan.extensions.extended_key_usage, plan.extensions.extended_key_usage_critical) = (vec![TIME_STAMPING], true);
        });
        Self { key, certificate }
    }

    pub fn token(&self, imprint: &Imprint, time: OffsetDateTime) -> Vec<u8> {
        let request = TimeStampRequest { imprint: imprint.clone(), policy: None, nonce: None, certificate: true };
        let info = TokenInfo::new(&Terms { policy: POLICY, accuracy_ms: 0, ordering: false }, &request, Moment { time, serial: city::serial() }).unwrap();
        TokenPlan::new(&self.certificate, &[]).unwrap().token(&info, &self.key).unwrap()
    }
}

impl World {
    pub fn new() -> Self {
        Self::changed(|_| ())
    }

    pub fn changed(holder: impl FnOnce(&mut CertificatePlan)) -> Self {
        let root = Authority::root("穗印根");
        let issuing = root.below("穗印机构", |plan| plan.not_after = datetime!(2031-01-01 0:00 UTC));
        let key = Key::p256();
        let certificate = issuing.seal(key.public_key_info(), holder);
        let tsa = Tsa::new(&root, datetime!(2026-01-01 0:00 UTC), datetime!(2029-01-01 0:00 UTC));
        Self { root, issuing, key, certificate, tsa }
    }

    /// Level B-B, claimed at `time`.
    pub fn signed(&self, time: OffsetDateTime) -> Signature {
        let digest: [u8; 32] = SHA256.digest(DOCUMENT).try_into().unwrap();
        let der = SignerPlan::new(&self.certificate, &[&self.issuing.certificate]).unwrap().seal(digest, time, &self.key).unwrap();
        Signature::read(&der).unwrap()
    }

    pub fn stamped(&self, time: OffsetDateTime) -> Signature {
        let basic = self.signed(time);
        basic.with_timestamp(&self.tsa.token(&basic.timestamp_imprint(SHA256), time)).unwrap()
    }

    /// Lists of both authorities as of `at`.
    pub fn lists(&self, at: OffsetDateTime, revoked: Vec<Entry>) -> Vec<Vec<u8>> {
        vec![list(&self.root, at, vec![]), list(&self.issuing, at, revoked)]
    }

    pub fn entry(&self, at: OffsetDateTime, reason: Reason) -> Entry {
        let serial = pki::view::CertificateView::parse(&self.certificate).unwrap().serial.to_vec();
        Entry { serial, revoked_at: at, reason, invalidity_date: None }
    }

    /// Level B-LT: with the lists of that time inside.
    pub fn long_term(&self, time: OffsetDateTime) -> Signature {
        let lists = self.lists(time + Duration::HOUR, vec![]);
        self.stamped(time).with_evidence([], [], lists.iter().map(Vec::as_slice)).unwrap()
    }
}

pub fn list(issuer: &Authority, at: OffsetDateTime, revoked: Vec<Entry>) -> Vec<u8> {
    issuer.crl(&pki::crl::CrlPlan { this_update: at, next_update: at + Duration::WEEK, ..issuer.crl_plan() }, revoked)
}

/// What is asked, changed by each test.
pub struct Asked {
    pub anchors: Anchors,
    pub timestamp_anchors: Anchors,
    pub required: Requirements,
    pub signs_by: &'static [u8],
    pub lists_older: Duration,
    pub credit_code: &'static str,
    pub timestamped: bool,
    pub claimed_within: Option<Duration>,
    pub floor: Floor,
    pub existed_at: Option<OffsetDateTime>,
    pub not_before: Option<OffsetDateTime>,
    pub now: OffsetDateTime,
}

pub fn floor(sha256: OffsetDateTime) -> Floor {
    let long = datetime!(2100-01-01 0:00 UTC);
    let digests = [(SHA256, sha256), (DigestAlgorithm::Sha384, long), (DigestAlgorithm::Sha512, long)].map(|(digest, until)| (Algorithm::Digest(digest), until));
    let keys = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072].map(|key| (Algorithm::Key(key), long));
    Floor::new([&digests[..], &keys[..]].concat())
}

impl Asked {
    pub fn of(root: &Authority, now: OffsetDateTime) -> Self {
        let anchors = || Anchors::new(&[&root.certificate]).unwrap();
        Self {
            anchors: anchors(),
            timestamp_anchors: anchors(),
            required: Requirements { extended_key_usage: EMAIL, key_usage: vec![0], policies: vec![POLICY] },
            signs_by: &[],
            lists_older: Duration::ZERO,
            credit_code: CODE,
            timestamped: true,
            claimed_within: Some(Duration::minutes(5)),
            floor: floor(datetime!(2100-01-01 0:00 UTC)),
            existed_at: None,
            not_before: None,
            now,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn validate(&self, der: &[u8], lists: &[Vec<u8>]) -> Result<Assessment, Finding> {
        self.judge(DOCUMENT, der, &lists.iter().map(|list| RevocationAnswer::list(list).unwrap()).collect::<Vec<_>>())
    }

    pub fn judge(&self, document: &[u8], der: &[u8], answers: &[RevocationAnswer]) -> Result<Assessment, Finding> {
        self.judge_within(document, der, answers, None)
    }

    pub fn judge_within(&self, document: &[u8], der: &[u8], answers: &[RevocationAnswer], effort: Option<&Effort<'_>>) -> Result<Assessment, Finding> {
        let constraints = Constraints {
            anchors: &self.anchors,
            timestamp_anchors: &self.timestamp_anchors,
            required: &self.required,
            credit_code: Some(self.credit_code),
            timestamped: self.timestamped,
            claimed_within: self.claimed_within,
            signs_by: self.signs_by,
            answers_after: Duration::ZERO,
            lists_older: self.lists_older,
            timestamp_answers_after: Duration::ZERO,
            skew: Duration::SECOND,
            floor: &self.floor,
        };
        validate(document, der, &constraints, &Given { certificates: &[], answers, existed_at: self.existed_at, not_before: self.not_before, effort }, self.now)
    }

    pub fn passes(&self, der: &[u8], lists: &[Vec<u8>]) -> Assessment {
        let found = self.validate(der, lists).unwrap();
        assert_eq!(found.verdict(), (Indication::TotalPassed, None));
        found
    }

    pub fn fails(&self, der: &[u8], lists: &[Vec<u8>]) -> Sub {
        match self.validate(der, lists) {
            Err(finding) => finding.sub,
            Ok(found) => found.verdict().1.unwrap_or_else(|| panic!("it passed")).sub,
        }
    }
}

/// DER with other octets in the place of some that are as many.
pub fn replace(der: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    // Certificates and signatures may differ in length: the frames around are made again by way of the parts.
    let at = der.windows(old.len()).position(|window| window == old).unwrap();
    if old.len() == new.len() {
        return [&der[..at], new, &der[at + old.len()..]].concat();
    }
    reframed(der, &mut |element| (element == old).then(|| new.to_vec()))
}

/// Every element read, those that `change` answers for replaced, and the lengths made anew.
pub fn reframed(der: &[u8], change: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut reader = asn1::Reader::new(der);
    let mut out = Vec::new();
    while !reader.is_empty() {
        let (tag, value, whole) = reader.any().unwrap();
        match change(whole) {
            Some(other) => out.extend(other),
            None if tag & 0x20 != 0 => out.extend(asn1::tlv(tag, &reframed(value, change))),
            None => out.extend_from_slice(whole),
        }
    }
    out
}

/// The last signer's fields with one unsigned attribute behind them.
pub fn with_unsigned(der: &[u8], attribute: &[u8]) -> Vec<u8> {
    let value = Signature::read(der).unwrap().value().to_vec();
    let own = asn1::tlv(4, &value);
    reframed(der, &mut |element| (element == own).then(|| [own.clone(), asn1::tlv(0xa1, attribute)].concat()))
}
