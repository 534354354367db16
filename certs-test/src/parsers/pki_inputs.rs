//! Requests, certificates, lists, OCSP and CMS: what is read twice is read alike, by ourselves and by another parser.

use std::sync::OnceLock;

use pki::asn1::{self, DerError, Reader};
use pki::cms::{Attached, SignerPlan, verify};
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use pki::path::{CertificateFacts, RevocationList};
use pki::request::Request;
use pki::signer::{SignError, SignatureAlgorithm, Signer};
use pki::view::CertificateView;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint, DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SanType, SerialNumber, SigningKey,
};
use time::macros::datetime;
use x509_parser::prelude::FromDer;

use super::stands_in;

const CONTENT: &[u8] = b"amount=8.00\r\n";

/// A key and its certificate, once for a run.
pub(super) struct Holder {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) spki: Vec<u8>,
    linted: lint::Issuer,
}

pub(super) fn holder() -> &'static Holder {
    static HOLDER: OnceLock<Holder> = OnceLock::new();
    HOLDER.get_or_init(|| {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = parameters();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        parameters.crl_distribution_points = vec![CrlDistributionPoint { uris: vec!["http://ca.example.cn/a.crl".to_owned()] }];
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
        let spki = CertificateView::parse(issuer.der()).expect("a view").spki.to_vec();
        let linted = lint::Issuer::parse(issuer.der()).expect("an issuer");
        Holder { issuer, spki, linted }
    })
}

pub(super) fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::new(vec!["a.example.cn".to_owned()]).expect("parameters");
    parameters.distinguished_name.push(DnType::OrganizationName, "广州示范有限公司");
    parameters.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 97]), "NTRCN-91440101MAT000018G");
    parameters.subject_alt_names.push(SanType::Rfc822Name("office@example.cn".try_into().expect("a name")));
    (parameters.not_before, parameters.not_after) = (datetime!(2026-01-01 0:00 UTC), datetime!(2036-01-01 0:00 UTC));
    parameters
}

impl Signer for Holder {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }

    fn public_key_info(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.issuer.key().sign(message).map_err(|error| SignError::new(error.to_string()))
    }
}

pub(super) fn request(input: &[u8]) {
    let Ok(request) = Request::parse(input) else { return };
    let again = Request::parse(request.der()).expect("what was read is read again");
    assert_eq!((&again.subject, &again.spki, &again.requested_extensions), (&request.subject, &request.spki, &request.requested_extensions));
    assert!(stands_in(&request.spki, request.der()));
}

pub(super) fn request_seeds() -> Vec<Vec<u8>> {
    let request = parameters().serialize_request(holder().issuer.key()).expect("a request");
    vec![request.der().to_vec(), request.pem().expect("PEM").into_bytes()]
}

fn ocsp_request(id: &[u8], nonce: &[u8]) -> Vec<u8> {
    let oid = asn1::oid(&pki::path::Oid::new_unwrap("1.3.6.1.5.5.7.48.1.2"));
    let extension = asn1::seq(&[&oid, &asn1::tlv(4, &asn1::tlv(4, nonce))]);
    let extensions = asn1::tlv(0xa2, &asn1::seq(&[&extension]));
    asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&asn1::seq(&[id])]), if nonce.is_empty() { &[] } else { &extensions }])])
}

pub(super) fn ocsp(input: &[u8]) {
    let Ok(request) = OcspRequest::parse(input) else { return };
    let nonce = request.nonce.unwrap_or_default();
    for id in request.ids {
        assert!(stands_in(&id.der, input));
        let again = OcspRequest::parse(&ocsp_request(&id.der, &nonce)).expect("what was asked can be asked again");
        assert_eq!((again.ids, again.nonce.unwrap_or_default()), (vec![id], nonce.clone()));
    }
}

pub(super) fn ocsp_seeds() -> Vec<Vec<u8>> {
    let ids = [HashAlgorithm::Sha1, HashAlgorithm::Sha256].map(|hash| CertId::new(hash, b"name", &holder().spki, &[0x7f; 16]).expect("an id"));
    vec![ocsp_request(&ids[0].der, &[]), ocsp_request(&ids[1].der, &[9; 32])]
}

/// Whatever verifies over the content verifies over no other.
pub(super) fn cms(input: &[u8]) {
    let certificate: &[u8] = holder().issuer.der();
    if let Ok(attached) = Attached::read(input) {
        let _ = attached.serial();
        // The holder never signed anything else.
        assert!(attached.verify(certificate).is_ok_and(|content| content == CONTENT) || attached.verify(certificate).is_err());
        assert!(verify(input, CONTENT, &[certificate]).is_err());
    }
    let Ok(verified) = verify(input, CONTENT, &[certificate]) else { return };
    assert_eq!(CertificateView::parse(verified.signer_certificate()).expect("a view").spki, holder().spki);
    assert!(verify(input, b"amount=9.00\r\n", &[certificate]).is_err());
}

pub(super) fn cms_seeds() -> Vec<Vec<u8>> {
    let plan = SignerPlan::new(holder().issuer.der(), &[]).expect("a plan");
    let digest: [u8; 32] = HashAlgorithm::Sha256.digest(CONTENT).try_into().expect("32 octets");
    let detached = plan.seal(digest, datetime!(2026-11-25 8:00 UTC), holder()).expect("a signature");
    let attached = attached(&detached).expect("what was just made");
    let certificate: &[u8] = holder().issuer.der();
    assert_eq!(Attached::read(&attached).and_then(|attached| attached.verify(certificate)).expect("a signature"), CONTENT);
    vec![detached, attached]
}

/// The same signature with its content inside.
fn attached(detached: &[u8]) -> Result<Vec<u8>, DerError> {
    let mut info = Reader::new(Reader::only(detached, 0x30)?);
    let kind = info.whole(6)?;
    let mut data = Reader::new(Reader::only(info.take(0xa0)?, 0x30)?);
    let (version, digests) = (data.whole(2)?, data.whole(0x31)?);
    let content = Reader::new(data.take(0x30)?).whole(6)?;
    let mut parts = vec![version.to_vec(), digests.to_vec(), asn1::seq(&[content, &asn1::tlv(0xa0, &asn1::tlv(4, CONTENT))])];
    while !data.is_empty() {
        parts.push(data.any()?.2.to_vec());
    }
    Ok(asn1::seq(&[kind, &asn1::tlv(0xa0, &asn1::tlv(0x30, &parts.concat()))]))
}

/// Two parsers that both take a certificate see the same one.
pub(super) fn certificate(input: &[u8]) {
    lint::lint_certificate(input, None, &lint::ProfileFacts::default());
    let Ok(view) = CertificateView::parse(input) else { return };
    let facts = CertificateFacts::of(&view);
    assert_eq!(CertificateFacts::parse(input), facts);
    if let Ok((rest, theirs)) = x509_parser::certificate::X509Certificate::from_der(input) {
        assert!(rest.is_empty());
        let validity = theirs.validity();
        assert_eq!(view.serial, theirs.raw_serial());
        assert_eq!(view.not_before.unix_timestamp(), validity.not_before.timestamp());
        assert_eq!(view.not_after.unix_timestamp(), validity.not_after.timestamp());
        // The other parser stops without a word where a name or a key is damaged; who reads facts or takes the key is told.
        assert!(facts.is_err() || view.subject == theirs.subject().as_raw());
        assert!(pki::key::check(view.spki).is_err() || view.spki == theirs.public_key().raw);
        assert_eq!(view.extensions.len(), theirs.extensions().len());
    }
}

pub(super) fn certificate_seeds() -> Vec<Vec<u8>> {
    let leaf = parameters().signed_by(holder().issuer.key(), &holder().issuer).expect("a certificate");
    vec![holder().issuer.der().to_vec(), leaf.der().to_vec()]
}

pub(super) fn crl(input: &[u8]) {
    lint::lint_crl(input, &holder().linted);
    let Ok(list) = RevocationList::parse(input) else { return };
    if let Ok((rest, theirs)) = x509_parser::revocation_list::CertificateRevocationList::from_der(input) {
        assert!(rest.is_empty());
        assert_eq!(Some(list.next_update().unix_timestamp()), theirs.next_update().map(|time| time.timestamp()));
    }
}

pub(super) fn crl_seeds() -> Vec<Vec<u8>> {
    let one = |serial: u8, reason_code| RevokedCertParams {
        serial_number: SerialNumber::from(vec![serial; 16]),
        revocation_time: datetime!(2026-10-01 0:00 UTC),
        reason_code,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: datetime!(2026-11-25 8:00 UTC),
        next_update: datetime!(2026-12-02 8:00 UTC),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![one(1, Some(RevocationReason::KeyCompromise)), one(2, None)],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    vec![list.signed_by(&holder().issuer).expect("a list").der().to_vec()]
}
