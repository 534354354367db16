//! Signatures we make are accepted by OpenSSL, over their content only.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
use city::{Authority, Desk, Key, NOW};
use pki::cms::{SealError, SignerPlan};
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use time::macros::datetime;

const CONTENT: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xe7\xa9\x97\r\n";

fn sha256(content: &[u8]) -> [u8; 32] {
    DigestAlgorithm::Sha256.digest(content).try_into().unwrap()
}

#[test]
fn openssl_accepts_what_we_seal() {
    let desk = Desk::new();
    let root = Authority::root("穗印根");
    let issuing = root.below("穗印机构", |_| ());
    desk.pem("root.pem", "CERTIFICATE", &root.certificate);
    desk.put("content", CONTENT);
    desk.put("other", b"other");
    for key in [Key::p256(), Key::p384()] {
        let certificate = issuing.seal(key.public_key_info(), |_| ());
        let plan = SignerPlan::new(&certificate, &[&issuing.certificate]).unwrap();
        let sealed = match plan.digest_algorithm() {
            DigestAlgorithm::Sha256 => plan.seal(sha256(CONTENT), NOW, &key).unwrap(),
            hash => plan.seal(<[u8; 48]>::try_from(hash.digest(CONTENT)).unwrap(), NOW, &key).unwrap(),
        };
        desk.put("sealed", &sealed);
        let verify = "openssl cms -verify -cades -binary -inform DER -in sealed -CAfile root.pem -attime 1780315200 -purpose smimesign -out seen";
        desk.ok(&format!("{verify} -content content"));
        assert_eq!(desk.get("seen"), CONTENT);
        let (success, text) = desk.run(&format!("{verify} -content other"));
        assert!(!success && text.contains("verification failure"), "{text}");
        let text = desk.ok("openssl cms -cmsout -print -inform DER -in sealed");
        for want in ["signingTime (1.2.840.113549.1.9.5)", "UTCTIME:Jun  1 12:00:00 2026 GMT", "id-smime-aa-signingCertificateV2", "eContent: <ABSENT>"] {
            assert!(text.contains(want), "{want} not in {text}");
        }
    }
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let root = Authority::root("穗印根");
    let (key, other, large) = (Key::p256(), Key::p256(), Key::p384());
    let certificate = root.seal(key.public_key_info(), |_| ());
    let plan = SignerPlan::new(&certificate, &[]).unwrap();
    assert_eq!(plan.seal([0; 32], NOW, &other), Err(SealError::OtherKey));
    assert_eq!(plan.seal([0; 48], NOW, &key), Err(SealError::Digest));
    assert_eq!(plan.seal([0; 32], datetime!(1949-12-31 23:59:59 UTC), &key), Err(SealError::Time));
    assert_eq!(plan.seal([0; 32], datetime!(9999-12-31 23:59:59 -1:00), &key), Err(SealError::Time));
    assert!(plan.seal([0; 32], datetime!(2050-01-01 0:00 UTC), &key).is_ok());
    let plan = SignerPlan::new(&root.seal(large.public_key_info(), |_| ()), &[]).unwrap();
    assert_eq!(plan.seal([0; 32], NOW, &large), Err(SealError::Digest));
    assert!(matches!(SignerPlan::new(&certificate[1..], &[]), Err(SealError::Certificate(_))));
    assert!(matches!(SignerPlan::new(&certificate, &[&[0x30, 0]]), Err(SealError::Certificate(_))));
    let many = vec![certificate.as_slice(); 16];
    assert_eq!(SignerPlan::new(&certificate, &many).err(), Some(SealError::TooMany(17)));
}
