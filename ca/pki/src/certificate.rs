//! Certificates: from plan to the bytes to be signed, and from those to the certificate.
use crate::asn1::{self, DerError};
use crate::name::{Subject, is_printable};
use crate::signer::{SignError, SignatureAlgorithm, Signer};
use crate::view;
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

/// What goes into a certificate; nothing else does.
#[derive(Clone, Debug)]
pub struct CertificatePlan {
    pub serial: [u8; 16],
    /// The issuer's subject, DER, byte for byte.
    pub issuer: Vec<u8>,
    pub subject: Subject,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    pub extensions: Extensions,
}

#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// Bits as in RFC 5280: bit 0 digitalSignature … bit 8 decipherOnly.
    pub key_usage: Vec<u8>,
    pub extended_key_usage: Vec<Oid>,
    pub extended_key_usage_critical: bool,
    pub basic_constraints: Option<BasicConstraints>,
    pub policies: Vec<Oid>,
    pub cps_uri: Option<String>,
    pub alternative_names: Vec<AlternativeName>,
    pub name_constraints: Option<NameConstraints>,
    pub ocsp_urls: Vec<String>,
    pub ca_issuers_urls: Vec<String>,
    pub crl_urls: Vec<String>,
    /// The issuer's key identifier.
    pub authority_key_id: Option<Vec<u8>>,
    pub ocsp_no_check: bool,
    /// From when and until when the key signs, both included.
    pub private_key_period: Option<(OffsetDateTime, OffsetDateTime)>,
    pub credit_code: Option<String>,
}

/// What names an authority's certificates may have: mail addresses of these domains, and no host at all. Other kinds of name
/// are not bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConstraints {
    /// What stands after the `@`, each exactly.
    pub mail_domains: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    pub ca: bool,
    pub path_len: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    Email(String),
    Dns(String),
    Ip(std::net::IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("the serial's top bit must be zero and the serial positive")]
    Serial,
    #[error("the certificate ends before it begins")]
    Validity,
    #[error("{0} must be ASCII")]
    NotAscii(&'static str),
    #[error("the public key is not valid: {0}")]
    Key(DerError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

const fn o(s: &str) -> Oid {
    Oid::new_unwrap(s)
}
/// The national extension that carries a unified social credit code.
pub const CREDIT_CODE: Oid = o("1.2.156.10260.4.1.4");

const CPS: Oid = o("1.3.6.1.5.5.7.2.1");
const OCSP: Oid = o("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: Oid = o("1.3.6.1.5.5.7.48.2");
const ECDSA_SHA256: Oid = o("1.2.840.10045.4.3.2");
const ECDSA_SHA384: Oid = o("1.2.840.10045.4.3.3");
const RSA_SHA256: Oid = o("1.2.840.113549.1.1.11");

/// AlgorithmIdentifier, DER.
pub fn algorithm_der(alg: SignatureAlgorithm) -> Vec<u8> {
    match alg {
        SignatureAlgorithm::EcdsaP256Sha256 => asn1::seq(&[&asn1::oid(&ECDSA_SHA256)]),
        SignatureAlgorithm::EcdsaP384Sha384 => asn1::seq(&[&asn1::oid(&ECDSA_SHA384)]),
        SignatureAlgorithm::RsaPkcs1Sha256 => asn1::seq(&[&asn1::oid(&RSA_SHA256), &[5, 0]]),
    }
}

/// The bits of the key inside an SPKI.
pub fn key_bits(spki: &[u8]) -> Result<&[u8], DerError> {
    let mut r = asn1::Reader::new(spki);
    let mut inner = asn1::Reader::new(r.take(0x30)?);
    r.end()?;
    inner.take(0x30)?;
    let bits = inner.take(3)?;
    inner.end()?;
    match bits {
        [0, key @ ..] => Ok(key),
        _ => Err(DerError::Value("unused bits in a key")),
    }
}

/// RFC 7093 method 1: the leftmost 160 bits of SHA-256 of the key bits.
pub fn key_id(spki: &[u8]) -> Result<Vec<u8>, DerError> {
    let digest = ring::digest::digest(&ring::digest::SHA256, key_bits(spki)?);
    Ok(digest.as_ref().iter().take(20).copied().collect())
}

fn extension(id: Oid, critical: bool, value: &[u8]) -> Vec<u8> {
    let crit: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    asn1::seq(&[&asn1::oid(&id), crit, &asn1::tlv(4, value)])
}

fn ascii<'a>(s: &'a str, what: &'static str) -> Result<&'a [u8], BuildError> {
    if s.is_ascii() && !s.is_empty() { Ok(s.as_bytes()) } else { Err(BuildError::NotAscii(what)) }
}

/// A named-bit BIT STRING, trailing zeros dropped.
fn named_bits(set: &[u8]) -> Vec<u8> {
    let Some(max) = set.iter().copied().filter(|b| *b < 16).max() else { return vec![3, 1, 0] };
    let mut word = 0u16;
    for b in set.iter().filter(|b| **b < 16) {
        word |= 0x8000 >> b;
    }
    let n = usize::from(max / 8) + 1;
    let mut v = vec![7 - max % 8];
    v.extend(word.to_be_bytes().iter().take(n));
    asn1::tlv(3, &v)
}

fn extensions_der(e: &Extensions, spki: &[u8]) -> Result<Vec<u8>, BuildError> {
    // Enough for what our profiles write.
    let mut out = Vec::with_capacity(768);
    if let Some(id) = &e.authority_key_id {
        out.extend(extension(view::AUTHORITY_KEY_ID, false, &asn1::seq(&[&asn1::tlv(0x80, id)])));
    }
    out.extend(extension(view::SUBJECT_KEY_ID, false, &asn1::tlv(4, &key_id(spki).map_err(BuildError::Key)?)));
    if !e.key_usage.is_empty() {
        out.extend(extension(view::KEY_USAGE, true, &named_bits(&e.key_usage)));
    }
    if let Some((from, until)) = e.private_key_period {
        // spec: rfc3280#4.2.1.4 (RFC 5280 leaves it to its users)
        let ends = [(0x80, from), (0x81, until)].map(|(tag, at)| asn1::implicit(tag, asn1::generalized(at)));
        out.extend(extension(view::PRIVATE_KEY_USAGE_PERIOD, false, &asn1::tlv(0x30, &ends.concat())));
    }
    if let Some(b) = e.basic_constraints {
        let mut v = Vec::new();
        if b.ca {
            v.extend([1, 1, 0xff]);
            if let Some(n) = b.path_len {
                v.extend(asn1::uint(&[n]));
            }
        }
        out.extend(extension(view::BASIC_CONSTRAINTS, true, &asn1::tlv(0x30, &v)));
    }
    if let Some(constraints) = &e.name_constraints {
        out.extend(extension(view::NAME_CONSTRAINTS, true, &name_constraints_der(constraints)?));
    }
    if !e.extended_key_usage.is_empty() {
        let v: Vec<u8> = e.extended_key_usage.iter().flat_map(asn1::oid).collect();
        out.extend(extension(view::EXTENDED_KEY_USAGE, e.extended_key_usage_critical, &asn1::tlv(0x30, &v)));
    }
    if !e.policies.is_empty() {
        let mut v = Vec::new();
        for p in &e.policies {
            let q = match &e.cps_uri {
                Some(u) => {
                    let uri = asn1::tlv(0x16, ascii(u, "the CPS address")?);
                    asn1::seq(&[&asn1::seq(&[&asn1::oid(&CPS), &uri])])
                }
                None => Vec::new(),
            };
            v.extend(asn1::seq(&[&asn1::oid(p), &q]));
        }
        out.extend(extension(view::POLICIES, false, &asn1::tlv(0x30, &v)));
    }
    if !e.alternative_names.is_empty() {
        let mut v = Vec::new();
        for n in &e.alternative_names {
            v.extend(match n {
                AlternativeName::Email(s) => asn1::tlv(0x81, ascii(s, "the mail address")?),
                AlternativeName::Dns(s) => asn1::tlv(0x82, ascii(s, "the host name")?),
                AlternativeName::Ip(std::net::IpAddr::V4(a)) => asn1::tlv(0x87, &a.octets()),
                AlternativeName::Ip(std::net::IpAddr::V6(a)) => asn1::tlv(0x87, &a.octets()),
            });
        }
        out.extend(extension(view::ALTERNATIVE_NAME, false, &asn1::tlv(0x30, &v)));
    }
    if !e.crl_urls.is_empty() {
        let mut names = Vec::new();
        for u in &e.crl_urls {
            names.extend(asn1::tlv(0x86, ascii(u, "the CRL address")?));
        }
        let point = asn1::seq(&[&asn1::tlv(0xa0, &asn1::tlv(0xa0, &names))]);
        out.extend(extension(view::CRL_POINTS, false, &asn1::tlv(0x30, &point)));
    }
    let mut aia = Vec::new();
    for (id, urls) in [(OCSP, &e.ocsp_urls), (CA_ISSUERS, &e.ca_issuers_urls)] {
        for u in urls {
            aia.extend(asn1::seq(&[&asn1::oid(&id), &asn1::tlv(0x86, ascii(u, "the AIA address")?)]));
        }
    }
    if !aia.is_empty() {
        out.extend(extension(view::INFORMATION_ACCESS, false, &asn1::tlv(0x30, &aia)));
    }
    if e.ocsp_no_check {
        out.extend(extension(view::OCSP_NO_CHECK, false, &[5, 0]));
    }
    if let Some(code) = &e.credit_code {
        if !is_printable(code) {
            return Err(BuildError::NotAscii("the credit code"));
        }
        out.extend(extension(CREDIT_CODE, false, &asn1::tlv(0x13, code.as_bytes())));
    }
    Ok(asn1::tlv(0xa3, &asn1::tlv(0x30, &out)))
}

// spec: rfc5280#4.2.1.10 (a host without a dot before it: the mailboxes of that host and no other)
fn name_constraints_der(constraints: &NameConstraints) -> Result<Vec<u8>, BuildError> {
    let subtrees = |tag: u8, bases: &[Vec<u8>]| asn1::tlv(tag, &bases.iter().flat_map(|base| asn1::seq(&[base])).collect::<Vec<u8>>());
    let permitted = constraints.mail_domains.iter().map(|domain| Ok(asn1::tlv(0x81, ascii(domain, "the mail domain")?))).collect::<Result<Vec<_>, BuildError>>()?;
    // Every host name, and every address of both kinds: octets and mask.
    let excluded = [asn1::tlv(0x82, &[]), asn1::tlv(0x87, &[0; 8]), asn1::tlv(0x87, &[0; 32])];
    Ok(asn1::seq(&[&subtrees(0xa0, &permitted), &subtrees(0xa1, &excluded)]))
}

/// The exact bytes to be signed.
pub fn tbs_der(plan: &CertificatePlan, alg: SignatureAlgorithm) -> Result<Vec<u8>, BuildError> {
    if plan.serial.first().is_none_or(|b| b & 0x80 != 0) || plan.serial.iter().all(|b| *b == 0) {
        return Err(BuildError::Serial);
    }
    if plan.not_after < plan.not_before {
        return Err(BuildError::Validity);
    }
    Ok(asn1::seq(&[
        &[0xa0, 3, 2, 1, 2],
        &asn1::uint(&plan.serial),
        &algorithm_der(alg),
        &plan.issuer,
        &asn1::seq(&[&asn1::time(plan.not_before), &asn1::time(plan.not_after)]),
        &plan.subject.to_der(),
        &plan.spki,
        &extensions_der(&plan.extensions, &plan.spki)?,
    ]))
}

/// Signed bytes, algorithm and signature as one certificate (or CRL: the frame is the same).
pub fn assemble(tbs: &[u8], alg: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    asn1::seq(&[tbs, &algorithm_der(alg), &asn1::bits(signature)])
}

/// As [`assemble`], in the place of what was signed: for lists, which are large.
pub fn assemble_in_place(mut tbs: Vec<u8>, alg: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    tbs.extend(algorithm_der(alg));
    tbs.extend(asn1::bits(signature));
    let mut head = Vec::with_capacity(6);
    asn1::head(&mut head, 0x30, tbs.len());
    tbs.splice(..0, head);
    tbs
}

/// A root: signed by the key it certifies, on the same path as every other certificate.
pub fn self_signed(mut plan: CertificatePlan, signer: &dyn Signer) -> Result<Vec<u8>, BuildError> {
    plan.issuer = plan.subject.to_der();
    plan.spki = signer.public_key_info().to_vec();
    let tbs = tbs_der(&plan, signer.algorithm())?;
    let signature = signer.sign(&tbs)?;
    Ok(assemble(&tbs, signer.algorithm(), &signature))
}
