//! Signatures of OpenSSL are read; whatever differs from an honest signature over this content is refused.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
use city::{Authority, Desk, Key, NOW};
use const_oid::ObjectIdentifier as Oid;
use pki::asn1::{self, DerError};
use pki::cms::{Attached, CmsError, SignerPlan, verify};
use pki::signature::{DigestAlgorithm, SignatureError};
use pki::signer::Signer as _;

const CONTENT: &[u8] = b"{\"batch_id\":\"GJJ-202605-1\"}\n";

/// A desk with a key, its certificate and a content. `kind` is what openssl calls the key.
fn signer(desk: &Desk, name: &str, kind: &str) -> Vec<u8> {
    desk.put("content", CONTENT);
    desk.ok(&format!("openssl req -x509 -newkey {kind} -nodes -keyout {name}.key -out {name}.pem -days 30 -subj /O=Suiyin/CN={name}"));
    desk.ok(&format!("openssl x509 -in {name}.pem -outform DER -out {name}.der"));
    desk.get(&format!("{name}.der"))
}

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

fn signed(desk: &Desk, options: &str) -> Vec<u8> {
    desk.ok(&format!("openssl cms -sign -binary -in content -out signature {options}"));
    desk.get("signature")
}

#[test]
fn openssl_signs_and_we_read() {
    let desk = Desk::new();
    for (name, kind) in [("p256", P256), ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"), ("rsa", "rsa:3072")] {
        let certificate = signer(&desk, name, kind);
        let who = format!("-signer {name}.pem -inkey {name}.key");
        let mut ways = vec!["-outform DER", "-outform PEM", "-outform DER -keyid", "-outform DER -cades", "-outform DER -md sha384"];
        if name == "rsa" {
            ways.extend(["-outform DER -md sha512", "-outform DER -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:32"]);
        }
        for way in ways {
            let signature = signed(&desk, &format!("{who} {way}"));
            let verified = verify(&signature, CONTENT, &[]).unwrap_or_else(|error| panic!("{name} {way}: {error}"));
            assert_eq!(verified.signer_certificate(), certificate);
            assert_eq!(verified.certificates(), std::slice::from_ref(&certificate));
            assert!(verified.signing_time().is_some());
            assert_eq!(verify(&signature, b"other", &[]), Err(CmsError::Content), "{name} {way}");
        }
        let bare = signed(&desk, &format!("{who} -outform DER -nocerts"));
        assert_eq!(verify(&bare, CONTENT, &[]), Err(CmsError::NoCertificate));
        assert!(verify(&bare, CONTENT, &[&certificate]).unwrap().certificates().is_empty());
        desk.ok(&format!("openssl smime -sign -binary -in content -outform PEM -out signature {who}"));
        assert!(verify(&desk.get("signature"), CONTENT, &[]).is_ok());
    }
}

#[test]
fn openssl_signs_otherwise_and_we_refuse() {
    let desk = Desk::new();
    signer(&desk, "a", P256);
    signer(&desk, "b", P256);
    signer(&desk, "rsa", "rsa:2048");
    let one = "-signer a.pem -inkey a.key -outform DER";
    for (options, error) in [
        (format!("{one} -noattr"), CmsError::NoAttributes),
        (format!("{one} -nodetach"), CmsError::Attached),
        (format!("{one} -nodetach -stream"), CmsError::Der(DerError::Indefinite)),
        (format!("{one} -signer b.pem -inkey b.key"), CmsError::Signers),
        (format!("{one} -md sha1"), CmsError::Signature(SignatureError::BrokenHash)),
        ("-signer rsa.pem -inkey rsa.key -outform DER -md md5".into(), CmsError::Signature(SignatureError::BrokenHash)),
        (format!("{one} -md sha512"), CmsError::Signature(SignatureError::Unsupported)),
        (format!("{one} -econtent_type 1.2.840.113549.1.9.16.1.4"), CmsError::ContentType),
        ("-signer rsa.pem -inkey rsa.key -outform DER -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20".into(), CmsError::Signature(SignatureError::Unsupported)),
    ] {
        assert_eq!(verify(&signed(&desk, &options), CONTENT, &[]), Err(error), "{options}");
    }
    desk.ok("openssl cms -encrypt -in content -outform DER -out signature rsa.pem");
    assert_eq!(verify(&desk.get("signature"), CONTENT, &[]), Err(CmsError::NotSignedData));
    assert_eq!(verify(&desk.get("a.pem"), CONTENT, &[]), Err(CmsError::Label("CERTIFICATE".into())));
    assert_eq!(verify(&[0x30; 70_000], CONTENT, &[]), Err(CmsError::TooLarge(70_000)));
    assert_eq!(verify(&[b'-'; 100_000], CONTENT, &[]), Err(CmsError::TooLarge(100_000)));
    assert_eq!(verify(b"", CONTENT, &[]), Err(CmsError::Pem));
}

#[test]
fn what_openssl_encloses_is_read_with_the_certificate_that_is_given() {
    let desk = Desk::new();
    for (name, kind) in [("p256", P256), ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"), ("rsa", "rsa:2048")] {
        let certificate = signer(&desk, name, kind);
        let serial = pki::view::CertificateView::parse(&certificate).unwrap().serial.to_vec();
        for way in ["-outform DER", "-outform PEM", "-outform DER -nocerts", "-outform DER -cades"] {
            let enclosed = Attached::read(&signed(&desk, &format!("-nodetach -signer {name}.pem -inkey {name}.key {way}"))).unwrap();
            assert_eq!(enclosed.serial().unwrap(), serial);
            assert_eq!(enclosed.verify(&certificate).unwrap(), CONTENT, "{name} {way}");
        }
    }
    let (first, other) = (desk.get("p256.der"), desk.get("p384.der"));
    let one = "-nodetach -signer p256.pem -inkey p256.key -outform DER";
    let honest = signed(&desk, one);
    // The certificate that travels along is no help: only the one given counts.
    assert_eq!(Attached::read(&honest).unwrap().verify(&other), Err(CmsError::NoCertificate));
    for (options, error) in [
        ("-signer p256.pem -inkey p256.key -outform DER".to_owned(), CmsError::NothingInside),
        (format!("{one} -noattr"), CmsError::NoAttributes),
        (format!("{one} -stream"), CmsError::Der(DerError::Indefinite)),
        (format!("{one} -signer p384.pem -inkey p384.key"), CmsError::Signers),
        (format!("{one} -md sha1"), CmsError::Signature(SignatureError::BrokenHash)),
        (format!("{one} -econtent_type 1.2.840.113549.1.9.16.1.4"), CmsError::ContentType),
    ] {
        assert_eq!(Attached::read(&signed(&desk, &options)).map(|_| ()), Err(error), "{options}");
    }
    assert_eq!(Attached::read(&signed(&desk, &format!("{one} -keyid"))).unwrap().serial(), Err(CmsError::KeyIdentifier));
    // Not one bit of what is inside, or of who is named, may be another.
    let certificate = honest.windows(first.len()).position(|window| window == first).unwrap();
    // The head of the certificates too: with one bit flipped it is that of lists, which are ignored.
    let travels = certificate - 4..certificate + first.len();
    for at in 0..honest.len() {
        let mut damaged = honest.clone();
        damaged[at] ^= 1;
        if let Ok(enclosed) = Attached::read(&damaged)
            && let Ok(content) = enclosed.verify(&first)
        {
            assert!(travels.contains(&at) && content == CONTENT, "byte {at}");
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_sealed_is_read(content: Vec<u8>, other: Vec<u8>, seconds in -631_152_000i64..253_402_300_800) {
        static CITY: std::sync::LazyLock<(Key, Vec<u8>, SignerPlan)> = std::sync::LazyLock::new(|| {
            let key = Key::p256();
            let certificate = Authority::root("穗印根").seal(key.public_key_info(), |_| ());
            let plan = SignerPlan::new(&certificate, &[]).unwrap();
            (key, certificate, plan)
        });
        let (key, certificate, plan) = &*CITY;
        let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let digest: [u8; 32] = DigestAlgorithm::Sha256.digest(&content).try_into().unwrap();
        let sealed = plan.seal(digest, time, key).unwrap();
        let verified = verify(&sealed, &content, &[]).unwrap();
        assert_eq!((verified.signer_certificate(), verified.signing_time()), (certificate.as_slice(), Some(time)));
        assert_eq!(verify(&sealed, &other, &[]).is_ok(), content == other);
    }
}

/// Every bit of a signature of ours, all certificates but the signer's left out, is under the signature or is it.
#[test]
fn no_bit_may_flip() {
    let (root, key) = (Authority::root("穗印根"), Key::p256());
    let certificate = root.seal(key.public_key_info(), |_| ());
    let digest: [u8; 32] = DigestAlgorithm::Sha256.digest(CONTENT).try_into().unwrap();
    let good = SignerPlan::new(&certificate, &[]).unwrap().seal(digest, NOW, &key).unwrap();
    assert_eq!(verify(&good, CONTENT, &[]).unwrap().signing_time(), Some(NOW));
    for at in 0..good.len() {
        assert!(verify(&good[..at], CONTENT, &[]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            assert!(verify(&damaged, CONTENT, &[]).is_err(), "byte {at} bit {bit}");
        }
    }
    assert_eq!(verify(&[&good[..], &[0]].concat(), CONTENT, &[]), Err(CmsError::Der(DerError::Trailing)));
}

/// Without signingCertificateV2 the certificate's other fields are not under the signature: only the key, the issuer
/// and the serial bind it, and the path decides about the rest.
#[test]
fn flipped_bits_of_openssl_change_at_most_the_certificate() {
    let desk = Desk::new();
    let certificate = signer(&desk, "a", P256);
    let good = signed(&desk, "-signer a.pem -inkey a.key -outform DER");
    let from = good.windows(certificate.len()).position(|window| window == certificate).unwrap();
    let inside = from..from + certificate.len();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(verified) = verify(&damaged, CONTENT, &[]) {
                assert!(inside.contains(&at), "byte {at} bit {bit}");
                assert_ne!(verified.signer_certificate(), certificate);
            }
        }
    }
}

/// A signature made by hand, honest in everything that a test does not change.
struct Forge {
    key: Key,
    certificate: Vec<u8>,
    attributes: Vec<Vec<u8>>,
    sort: bool,
    certificates: Vec<Vec<u8>>,
    version: u8,
    digests: Vec<Vec<u8>>,
    signature_algorithm: Vec<u8>,
    unsigned: Vec<u8>,
}

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

fn oid(text: &str) -> Vec<u8> {
    asn1::oid(&Oid::new_unwrap(text))
}

fn attribute(id: &str, values: &[&[u8]]) -> Vec<u8> {
    asn1::seq(&[&oid(id), &asn1::tlv(0x31, &values.concat())])
}

fn content_type(of: &str) -> Vec<u8> {
    attribute("1.2.840.113549.1.9.3", &[&oid(of)])
}

fn message_digest(content: &[u8]) -> Vec<u8> {
    attribute("1.2.840.113549.1.9.4", &[&asn1::tlv(4, &DigestAlgorithm::Sha256.digest(content))])
}

const DATA: &str = "1.2.840.113549.1.7.1";

impl Forge {
    fn new() -> Self {
        let key = Key::p256();
        let certificate = Authority::root("穗印根").seal(key.public_key_info(), |_| ());
        Self {
            attributes: vec![content_type(DATA), message_digest(CONTENT)],
            sort: true,
            certificates: vec![certificate.clone()],
            version: 1,
            digests: vec![DigestAlgorithm::Sha256.der()],
            signature_algorithm: asn1::seq(&[&oid(ECDSA_SHA256)]),
            unsigned: vec![],
            key,
            certificate,
        }
    }

    fn make(mut self) -> Vec<u8> {
        if self.sort {
            self.attributes.sort();
        }
        let set = asn1::tlv(0x31, &self.attributes.concat());
        let signature = self.key.sign(&set).unwrap();
        let view = pki::view::CertificateView::parse(&self.certificate).unwrap();
        let id = asn1::seq(&[view.issuer, &asn1::tlv(2, view.serial)]);
        let attributes = asn1::tlv(0xa0, &self.attributes.concat());
        let signer = asn1::seq(&[&[2, 1, 1], &id, &DigestAlgorithm::Sha256.der(), &attributes, &self.signature_algorithm, &asn1::tlv(4, &signature), &self.unsigned]);
        let data = asn1::seq(&[
            &[2, 1, self.version],
            &asn1::tlv(0x31, &self.digests.concat()),
            &asn1::seq(&[&oid(DATA)]),
            &asn1::tlv(0xa0, &self.certificates.concat()),
            &asn1::tlv(0x31, &signer),
        ]);
        asn1::seq(&[&oid("1.2.840.113549.1.7.2"), &asn1::tlv(0xa0, &data)])
    }
}

fn refused(change: impl FnOnce(&mut Forge)) -> CmsError {
    let mut forge = Forge::new();
    change(&mut forge);
    verify(&forge.make(), CONTENT, &[]).unwrap_err()
}

#[test]
fn tricks_under_a_good_signature() {
    assert!(verify(&Forge::new().make(), CONTENT, &[]).is_ok());
    assert_eq!(refused(|f| f.attributes.truncate(1)), CmsError::Missing("messageDigest"));
    assert_eq!(refused(|f| drop(f.attributes.remove(0))), CmsError::Missing("contentType"));
    assert_eq!(refused(|f| f.attributes.clear()), CmsError::Missing("contentType"));
    assert_eq!(refused(|f| f.attributes[0] = content_type("1.2.840.113549.1.7.2")), CmsError::ContentType);
    assert_eq!(refused(|f| f.attributes[1] = message_digest(b"other")), CmsError::Content);
    assert_eq!(refused(|f| f.attributes.push(message_digest(b"other"))), CmsError::Duplicate);
    assert_eq!(refused(|f| f.attributes.push(message_digest(CONTENT))), CmsError::Duplicate);
    let digest = asn1::tlv(4, &DigestAlgorithm::Sha256.digest(CONTENT));
    let two = attribute("1.2.840.113549.1.9.4", &[&digest, &digest]);
    assert_eq!(refused(|f| f.attributes[1] = two), CmsError::Duplicate);
    assert_eq!(refused(|f| (f.sort, _) = (false, f.attributes.reverse())), CmsError::Order);
    assert_eq!(refused(|f| f.version = 3), CmsError::Version);
    assert_eq!(refused(|f| f.digests.push(DigestAlgorithm::Sha384.der())), CmsError::Signers);
    assert_eq!(refused(|f| f.digests = vec![DigestAlgorithm::Sha384.der()]), CmsError::Disagreement);
    assert_eq!(refused(|f| f.signature_algorithm = asn1::seq(&[&oid("1.2.840.10045.4.3.3")])), CmsError::Disagreement);
    assert_eq!(refused(|f| f.signature_algorithm = asn1::seq(&[&oid("1.2.840.10045.4.1")])), CmsError::Signature(SignatureError::BrokenHash));
    assert_eq!(refused(|f| f.signature_algorithm = asn1::seq(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]])), CmsError::Signature(SignatureError::Unsupported));
    assert_eq!(refused(|f| f.unsigned = asn1::tlv(0xa1, &message_digest(b"later"))), CmsError::UnsignedAttributes);
    assert_eq!(refused(|f| f.certificates.clear()), CmsError::NoCertificate);
    assert_eq!(refused(|f| f.certificates = vec![f.certificate.clone(); 17]), CmsError::TooManyCertificates);
    let many = (0..33u8).map(|n| attribute(&format!("1.2.3.{n}"), &[&[5, 0]])).collect();
    assert_eq!(refused(|f| f.attributes = many), CmsError::Der(DerError::Value("more than 32 attributes")));
    let protection = |hash: &DigestAlgorithm, scheme: &str| {
        let mut tagged = asn1::seq(&[&oid(scheme)]);
        tagged[0] = 0xa1;
        attribute("1.2.840.113549.1.9.52", &[&asn1::seq(&[&hash.der(), &tagged])])
    };
    assert_eq!(refused(|f| f.attributes.push(protection(&DigestAlgorithm::Sha384, ECDSA_SHA256))), CmsError::Disagreement);
    assert_eq!(refused(|f| f.attributes.push(protection(&DigestAlgorithm::Sha256, "1.2.840.10045.4.3.3"))), CmsError::Disagreement);
}

#[test]
fn a_swapped_certificate_is_refused() {
    let root = Authority::root("穗印根");
    let stranger = Key::p256();
    // The same name and number over another key.
    let twin = |forge: &Forge| {
        let number = pki::view::CertificateView::parse(&forge.certificate).unwrap().serial.try_into().unwrap();
        root.seal(stranger.public_key_info(), |plan| plan.serial = number)
    };
    assert_eq!(refused(|f| f.certificates = vec![twin(f)]), CmsError::Signature(SignatureError::Mismatch));
    assert_eq!(refused(|f| f.certificates.push(twin(f))), CmsError::Ambiguous);
    // With the certificate's digest under the signature the right one is found, and only it.
    let named = |f: &mut Forge, of: &[u8]| {
        let hash = asn1::tlv(4, &DigestAlgorithm::Sha256.digest(of));
        let value = asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&hash])])]);
        f.attributes.push(attribute("1.2.840.113549.1.9.16.2.47", &[&value]));
    };
    let mut forge = Forge::new();
    let own = forge.certificate.clone();
    forge.certificates.insert(0, twin(&forge));
    named(&mut forge, &own);
    assert_eq!(verify(&forge.make(), CONTENT, &[]).unwrap().signer_certificate(), own);
    assert_eq!(refused(|f| named(f, &twin(f))), CmsError::OtherCertificate);
    // The same key certified again under the same name and number: bound by nothing but the digest.
    let again = |f: &Forge| {
        let number = pki::view::CertificateView::parse(&f.certificate).unwrap().serial.try_into().unwrap();
        root.seal(f.key.public_key_info(), |plan| (plan.serial, plan.extensions.policies) = (number, vec![]))
    };
    let swap = |f: &mut Forge| {
        let own = f.certificate.clone();
        named(f, &own);
        f.certificates = vec![again(f)];
    };
    assert_eq!(refused(swap), CmsError::OtherCertificate);
}
