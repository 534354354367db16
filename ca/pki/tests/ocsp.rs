//! Answers of our own writer and of OpenSSL's responder, read and believed only from whom the issuer charged.
#![allow(clippy::unwrap_used)]
mod city;

use city::{Authority, Desk, Key, NOW, bureau_plan};
use pki::crl::Reason;
use pki::ocsp::{AnswerError, CertId, CertStatus, HashAlgorithm, OcspAnswer, SingleResponse, assemble, request, responder_key_hash, response_data};
use pki::signer::Signer;
use pki::view::CertificateView;
use time::Duration;

const OCSP_SIGNING: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

fn responder(authority: &Authority, key: &Key, purpose: const_oid::ObjectIdentifier) -> Vec<u8> {
    authority.seal(key.public_key_info(), |plan| plan.extensions.extended_key_usage = vec![purpose])
}

struct Case {
    authority: Authority,
    holder: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let authority = Authority::root("企业签发机构");
        let mut plan = bureau_plan(Key::p256().public_key_info());
        plan.extensions.extended_key_usage = vec![city::EMAIL];
        Self { holder: authority.sign(plan), authority }
    }

    fn serial(&self) -> Vec<u8> {
        CertificateView::parse(&self.holder).unwrap().serial.to_vec()
    }

    fn answer(&self, status: CertStatus, nonce: Option<&[u8]>, key: &Key, certificate: &[u8]) -> Vec<u8> {
        let issuer = CertificateView::parse(&self.authority.certificate).unwrap();
        let id = CertId::new(HashAlgorithm::Sha256, issuer.subject, issuer.spki, &self.serial()).unwrap();
        let single = SingleResponse { id: &id.der, status, this_update: NOW, next_update: NOW + Duration::hours(1), archive_cutoff: Some(NOW) };
        let data = response_data(&responder_key_hash(key.public_key_info()).unwrap(), NOW, &[single], nonce);
        assemble(&data, key.algorithm(), &key.sign(&data).unwrap(), certificate)
    }
}

#[test]
fn what_was_said_is_read_and_only_a_charged_signer_is_believed() {
    let case = Case::new();
    let key = Key::p256();
    let charged = responder(&case.authority, &key, OCSP_SIGNING);
    let invalid_since = Some(NOW - Duration::days(2));
    for status in [CertStatus::Good, CertStatus::Unknown, CertStatus::Revoked { at: NOW - Duration::days(1), reason: Reason::KeyCompromise, invalid_since }] {
        let answer = OcspAnswer::parse(&case.answer(status, Some(&[7; 16]), &key, &charged)).unwrap();
        assert_eq!((answer.nonce(), answer.produced_at()), (Some(&[7; 16][..]), NOW));
        let (said, signer) = answer.of(&case.authority.certificate, &case.serial(), None).unwrap();
        assert_eq!((said.status, said.this_update, said.next_update), (status, NOW, Some(NOW + Duration::hours(1))));
        assert_eq!(signer, charged);
        // One that was proved before is not proved again, and no other passes for it.
        assert!(answer.of(&case.authority.certificate, &case.serial(), Some(&charged)).is_ok());
        assert_eq!(answer.of(&case.authority.certificate, &[0x40, 9], None).unwrap_err(), AnswerError::Silent);
    }
    // One that was proved before is believed no longer than its certificate lives.
    let ended = case.authority.seal(key.public_key_info(), |plan| {
        plan.extensions.extended_key_usage = vec![OCSP_SIGNING];
        (plan.not_before, plan.not_after) = (NOW - Duration::days(2), NOW - Duration::seconds(1));
    });
    let late = OcspAnswer::parse(&case.answer(CertStatus::Good, None, &key, &ended)).unwrap();
    for known in [None, Some(ended.as_slice())] {
        assert_eq!(late.of(&case.authority.certificate, &case.serial(), known).unwrap_err(), AnswerError::Signer);
    }
    // Of another purpose, of another issuer, by another key.
    let wrong = responder(&case.authority, &key, city::EMAIL);
    let stranger = Authority::root("企业签发机构");
    let foreign = responder(&stranger, &key, OCSP_SIGNING);
    for certificate in [&wrong, &foreign] {
        let answer = OcspAnswer::parse(&case.answer(CertStatus::Good, None, &key, certificate)).unwrap();
        assert_eq!(answer.of(&case.authority.certificate, &case.serial(), None).unwrap_err(), AnswerError::Signer);
        assert_eq!(answer.of(&case.authority.certificate, &case.serial(), Some(&charged)).unwrap_err(), AnswerError::Signer);
    }
    // The issuer itself signs too.
    let own = OcspAnswer::parse(&case.answer(CertStatus::Good, None, &case.authority.key, &charged)).unwrap();
    assert!(own.of(&case.authority.certificate, &case.serial(), None).is_ok());
}

#[test]
fn damage_is_an_error_and_never_another_answer() {
    let case = Case::new();
    let key = Key::p256();
    let charged = responder(&case.authority, &key, OCSP_SIGNING);
    let der = case.answer(CertStatus::Good, Some(&[7; 16]), &key, &charged);
    for at in 0..der.len() {
        assert!(OcspAnswer::parse(&der[..at]).is_err());
        let mut damaged = der.clone();
        damaged[at] ^= 1;
        if let Ok(answer) = OcspAnswer::parse(&damaged)
            && let Ok((said, _)) = answer.of(&case.authority.certificate, &case.serial(), None)
        {
            assert_eq!((said.status, said.this_update), (CertStatus::Good, NOW), "{at}");
        }
    }
    assert_eq!(OcspAnswer::parse(&pki::ocsp::Failure::TryLater.der()).err(), Some(AnswerError::Failed(3)));
}

#[test]
fn openssl_answers_what_we_ask() {
    let (case, desk) = (Case::new(), Desk::new());
    // OpenSSL makes a responder of its own below its own root.
    desk.ok("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=R -keyout root.key -out root.pem -days 30");
    desk.ok("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=H -keyout h.key -out h.csr");
    desk.ok("openssl x509 -req -in h.csr -CA root.pem -CAkey root.key -set_serial 4660 -days 9 -out h.pem");
    desk.put("index.txt", b"R\t300101000000Z\t260101000000Z,keyCompromise\t1234\tunknown\t/CN=H\n");
    desk.ok("openssl x509 -in root.pem -outform DER -out root.der");
    let root = desk.get("root.der");
    let view = CertificateView::parse(&root).unwrap();
    let id = CertId::new(HashAlgorithm::Sha1, view.subject, view.spki, &[0x12, 0x34]).unwrap();
    desk.put("q.der", &request(&id, Some(&[9; 20])));
    desk.ok("openssl ocsp -index index.txt -CA root.pem -rsigner root.pem -rkey root.key -reqin q.der -respout a.der -ndays 1");
    let answer = OcspAnswer::parse(&desk.get("a.der")).unwrap();
    assert_eq!(answer.nonce(), Some(&[9; 20][..]));
    let (said, _) = answer.of(&root, &[0x12, 0x34], None).unwrap();
    assert!(matches!(said.status, CertStatus::Revoked { reason: Reason::KeyCompromise, .. }), "{said:?}");
    assert_eq!(answer.of(&case.authority.certificate, &[0x12, 0x34], None).unwrap_err(), AnswerError::Silent);
}
