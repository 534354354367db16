//! Signatures of each level are made, and OpenSSL reads what it can of them.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
use city::{Authority, Desk, Key, NOW, POLICY};
use const_oid::ObjectIdentifier as Oid;
use pki::cades::{CadesError, Signature};
use pki::cms::{CmsError, SignerPlan};
use pki::ocsp::{self, CertId, CertStatus, HashAlgorithm, SingleResponse};
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use pki::timestamp::{Imprint, Moment, Terms, TimeStampRequest, TokenInfo, TokenPlan};
use time::{Duration, OffsetDateTime};

const DOCUMENT: &[u8] = b"{\"filing_id\":\"01K\",\"kind\":\"VAT_GENERAL\"}";
const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");

struct City {
    root: Authority,
    key: Key,
    certificate: Vec<u8>,
    tsa: Key,
    tsa_certificate: Vec<u8>,
}

impl City {
    fn new() -> Self {
        let (root, key, tsa) = (Authority::root("穗印根"), Key::p256(), Key::p256());
        let certificate = root.seal(key.public_key_info(), |_| ());
        let tsa_certificate = root.seal(tsa.public_key_info(), |plan| {
            (plan.extensions.extended_key_usage, plan.extensions.extended_key_usage_critical) = (vec![TIME_STAMPING], true);
        });
        Self { root, key, certificate, tsa, tsa_certificate }
    }

    fn signed(&self) -> Signature {
        let digest: [u8; 32] = DigestAlgorithm::Sha256.digest(DOCUMENT).try_into().unwrap();
        Signature::read(&SignerPlan::new(&self.certificate, &[]).unwrap().seal(digest, NOW, &self.key).unwrap()).unwrap()
    }

    fn token(&self, imprint: &Imprint, time: OffsetDateTime) -> Vec<u8> {
        let request = TimeStampRequest { imprint: imprint.clone(), policy: None, nonce: None, certificate: true };
        let info = TokenInfo::new(&Terms { policy: POLICY, accuracy_ms: 0, ordering: false }, &request, Moment { time, serial: city::serial() }).unwrap();
        TokenPlan::new(&self.tsa_certificate, &[]).unwrap().token(&info, &self.tsa).unwrap()
    }

    fn good(&self, certificate: &[u8]) -> Vec<u8> {
        let serial = pki::view::CertificateView::parse(certificate).unwrap().serial.to_vec();
        let id = CertId::new(HashAlgorithm::Sha256, &self.root.name, self.root.key.public_key_info(), &serial).unwrap();
        let single = SingleResponse { id: &id.der, status: CertStatus::Good, this_update: NOW, next_update: NOW + Duration::DAY, archive_cutoff: None };
        let responder = ocsp::responder_key_hash(self.root.key.public_key_info()).unwrap();
        let data = ocsp::response_data(&responder, NOW, &[single], None);
        ocsp::assemble(&data, self.root.key.algorithm(), &self.root.key.sign(&data).unwrap(), &self.root.certificate)
    }
}

#[test]
fn openssl_verifies_every_level() {
    let (city, desk) = (City::new(), Desk::new());
    desk.put("document", DOCUMENT);
    desk.pem("root.pem", "CERTIFICATE", &city.root.certificate);
    let sha256 = DigestAlgorithm::Sha256;
    let basic = city.signed();
    let stamped = basic.with_timestamp(&city.token(&basic.timestamp_imprint(sha256), NOW)).unwrap();
    let list = city.root.crl(&city.root.crl_plan(), vec![]);
    let responses = [city.good(&city.certificate), city.good(&city.tsa_certificate)];
    let evidence = stamped.with_evidence([city.tsa_certificate.as_slice()], responses.iter().map(Vec::as_slice), [list.as_slice()]).unwrap();
    let again = evidence.with_evidence([city.tsa_certificate.as_slice()], responses.iter().map(Vec::as_slice), [list.as_slice()]).unwrap();
    assert_eq!(again.der(), evidence.der());
    let covered = evidence.archive_imprint(DOCUMENT, sha256);
    let archived = evidence.with_archive_timestamp(&covered, &city.token(covered.imprint(), NOW + Duration::DAY)).unwrap();
    let at = NOW.unix_timestamp();
    for (level, signature) in [("B-B", &basic), ("B-T", &stamped), ("B-LT", &evidence), ("B-LTA", &archived)] {
        assert_eq!(signature.value(), basic.value(), "{level}");
        let proved = signature.prove(DOCUMENT, &[]).unwrap();
        assert_eq!((proved.signer_certificate(), proved.signing_time()), (city.certificate.as_slice(), Some(NOW)), "{level}");
        assert_eq!(signature.prove(b"other", &[]).unwrap_err(), CmsError::Content, "{level}");
        assert_eq!(Signature::read(signature.der()).unwrap(), *signature, "{level}");
        desk.put("signature", signature.der());
        desk.ok(&format!("openssl cms -verify -cades -binary -inform DER -in signature -content document -CAfile root.pem -purpose any -attime {at} -out out"));
        let (verified, _) = desk.run(&format!("openssl cms -verify -cades -binary -inform DER -in signature -content root.pem -CAfile root.pem -purpose any -attime {at} -out out"));
        assert!(!verified, "{level}");
    }
    // The timestamp is over the signature's value, as OpenSSL sees it.
    desk.put("value", basic.value());
    desk.put("token", stamped.signature_timestamps().next().unwrap());
    desk.ok(&format!("openssl ts -verify -token_in -in token -data value -CAfile root.pem -attime {at}"));
}

#[test]
fn a_timestamp_over_other_bytes_is_not_taken() {
    let city = City::new();
    let (basic, other) = (city.signed(), city.signed());
    let token = city.token(&other.timestamp_imprint(DigestAlgorithm::Sha256), NOW);
    assert_eq!(basic.with_timestamp(&token).unwrap_err(), CadesError::OtherImprint);
    let (covered, elsewhere) = (basic.archive_imprint(DOCUMENT, DigestAlgorithm::Sha256), basic.archive_imprint(b"other", DigestAlgorithm::Sha256));
    assert_eq!(basic.with_archive_timestamp(&covered, &city.token(elsewhere.imprint(), NOW)).unwrap_err(), CadesError::OtherImprint);
}

const JARS: &str = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar";
const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/oracles/Cades.java");

#[test]
fn bouncy_castle_and_gnutls_verify_every_level_and_recompute_the_archive_imprint() {
    let (city, desk) = (City::new(), Desk::new());
    desk.put("document", DOCUMENT);
    desk.put("other", b"other");
    desk.pem("root.pem", "CERTIFICATE", &city.root.certificate);
    let sha256 = DigestAlgorithm::Sha256;
    let basic = city.signed();
    let stamped = basic.with_timestamp(&city.token(&basic.timestamp_imprint(sha256), NOW)).unwrap();
    let list = city.root.crl(&city.root.crl_plan(), vec![]);
    let good = city.good(&city.certificate);
    let evidence = stamped.with_evidence([city.tsa_certificate.as_slice()], [good.as_slice()], [list.as_slice()]).unwrap();
    let covered = evidence.archive_imprint(DOCUMENT, sha256);
    let archived = evidence.with_archive_timestamp(&covered, &city.token(covered.imprint(), NOW + Duration::DAY)).unwrap();
    for (signature, saw) in [(&basic, "stamps=0 archived=0 crls=0"), (&stamped, "stamps=1 archived=0 crls=0"), (&evidence, "stamps=1 archived=0 crls=1"), (&archived, "stamps=1 archived=1 crls=1")] {
        desk.put("signature", signature.der());
        let told = desk.ok(&format!("java -cp {JARS} {ORACLE} verify document signature"));
        assert!(told.contains(saw), "{saw}: {told}");
        assert!(!desk.run(&format!("java -cp {JARS} {ORACLE} verify other signature")).0, "{saw}");
        // GnuTLS knows no revocation answers of other forms, and so nothing of version 5.
        if saw.ends_with("crls=0") {
            let told = desk.ok("certtool --p7-verify --inder --infile signature --load-data document --load-ca-certificate root.pem");
            assert!(told.contains("Signature status: ok"), "{saw}: {told}");
        }
    }
}

#[test]
fn what_bouncy_castle_and_openssl_sign_and_stamp_is_read() {
    let desk = Desk::new();
    desk.put("document", DOCUMENT);
    desk.put("tsa.ext", b"extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n");
    for name in ["signer", "tsa"] {
        desk.ok(&format!("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /O=Suiyin/CN={name}"));
        let extensions = if name == "tsa" { "-extfile tsa.ext" } else { "" };
        desk.ok(&format!("openssl x509 -req -in {name}.csr -key {name}.key -days 30 -out {name}.pem {extensions}"));
        desk.ok(&format!("openssl x509 -in {name}.pem -outform DER -out {name}.der"));
        desk.ok(&format!("openssl pkcs8 -topk8 -nocrypt -in {name}.key -outform DER -out {name}.p8"));
    }
    desk.ok(&format!("java -cp {JARS} {ORACLE} sign document signer.p8 signer.der tsa.p8 tsa.der signature"));
    let theirs = Signature::read(&desk.get("signature")).unwrap();
    assert_eq!(theirs.prove(DOCUMENT, &[]).unwrap().signer_certificate(), desk.get("signer.der"));
    let token = theirs.signature_timestamps().next().unwrap().to_vec();
    let stamp = pki::timestamp::verify(&token, &[]).unwrap();
    assert!(stamp.imprint().is_of(theirs.value()) && stamp.signer_certificate() == desk.get("tsa.der"));
    assert!(theirs.prove(b"other", &[]).is_err());
    // OpenSSL's own, and a token of its for the same.
    desk.ok("openssl cms -sign -cades -binary -in document -outform DER -out signature -signer signer.pem -inkey signer.key");
    let theirs = Signature::read(&desk.get("signature")).unwrap();
    desk.put("value", theirs.value());
    desk.put("serial", b"01");
    desk.put("tsa.cnf", b"[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_cert=tsa.pem\nsigner_key=tsa.key\nsigner_digest=sha256\ndefault_policy=1.3.6.1.4.1.32473.3.1\ndigests=sha256\naccuracy=secs:1\ness_cert_id_alg=sha256\n");
    desk.ok("openssl ts -query -data value -sha256 -cert -out query");
    desk.ok("openssl ts -reply -config tsa.cnf -queryfile query -token_out -out token");
    let stamped = theirs.with_timestamp(&desk.get("token")).unwrap();
    assert!(stamped.is_timestamped() && stamped.prove(DOCUMENT, &[]).is_ok());
}

const HANKO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/oracles/cades.py");

/// pyHanko judges path, attributes, value and timestamp; asn1crypto writes each again, octet for octet.
#[test]
fn pyhanko_verifies_every_level() {
    let (city, desk) = (City::new(), Desk::new());
    desk.put("document", DOCUMENT);
    desk.put("other", b"other");
    desk.put("root", &city.root.certificate);
    let sha256 = DigestAlgorithm::Sha256;
    let basic = city.signed();
    let stamped = basic.with_timestamp(&city.token(&basic.timestamp_imprint(sha256), NOW)).unwrap();
    let list = city.root.crl(&city.root.crl_plan(), vec![]);
    desk.put("list", &list);
    let good = city.good(&city.certificate);
    let evidence = stamped.with_evidence([city.tsa_certificate.as_slice()], [good.as_slice()], [list.as_slice()]).unwrap();
    let covered = evidence.archive_imprint(DOCUMENT, sha256);
    let archived = evidence.with_archive_timestamp(&covered, &city.token(covered.imprint(), NOW + Duration::DAY)).unwrap();
    let at = NOW.unix_timestamp();
    let levels = [("b", &basic, "stamps=0 archived=0"), ("t", &stamped, "stamps=1 archived=0"), ("lt", &evidence, "stamps=1 archived=0"), ("lta", &archived, "stamps=1 archived=1")];
    for (name, signature, _) in levels {
        desk.put(name, signature.der());
    }
    // Alone, and with the list beside it: its revocation is asked for then. One process each: Python starts slowly.
    for (document, more, passes) in [("document", "", true), ("document", "+ list", true), ("other", "", false)] {
        let told = desk.ok(&format!("python3 {HANKO} judge root {document} {at} b t lt lta {more}"));
        for (name, _, saw) in levels {
            let expected = if passes { format!("{name} yes intact valid trusted {saw}") } else { format!("{name} no AssertionError the signature") };
            assert!(told.lines().any(|line| line == expected), "{expected}: {told}");
        }
    }
}

#[test]
fn what_pyhanko_signs_is_accepted_and_stamped() {
    use pki::cades::{Algorithm, Constraints, Floor, Given, Level, validate};
    use pki::key::KeyAlgorithm;
    use pki::path::{ANY_PURPOSE, Anchors, Requirements, RevocationAnswer};
    let desk = Desk::new();
    desk.put("document", DOCUMENT);
    desk.put("root.ext", b"basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n");
    desk.put("tsa.ext", b"extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n");
    desk.put("signer.ext", b"keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n");
    desk.put("ca.cnf", b"[ca]\ndefault_ca=c\n[c]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=7\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n");
    desk.put("index", b"");
    desk.put("number", b"01\n");
    // pyHanko's own timestamp authority has RSA keys only.
    for (name, key) in [("root", "ec -pkeyopt ec_paramgen_curve:P-256"), ("signer", "ec -pkeyopt ec_paramgen_curve:P-256"), ("tsa", "rsa:2048")] {
        desk.ok(&format!("openssl req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /O=Suiyin/CN={name}"));
        let by = if name == "root" { "-key root.key" } else { "-CA root.pem -CAkey root.key" };
        desk.ok(&format!("openssl x509 -req -in {name}.csr {by} -days 300 -extfile {name}.ext -out {name}.pem"));
        desk.ok(&format!("openssl x509 -in {name}.pem -outform DER -out {name}.der"));
        desk.ok(&format!("openssl pkcs8 -topk8 -nocrypt -in {name}.key -outform DER -out {name}.p8"));
    }
    desk.ok("openssl ca -config ca.cnf -gencrl -cert root.pem -keyfile root.key -out list.pem");
    desk.ok("openssl crl -in list.pem -outform DER -out list");
    let at = OffsetDateTime::now_utc() + Duration::SECOND;
    desk.ok(&format!("python3 {HANKO} sign document signer.p8 signer.der tsa.p8 tsa.der {} out", at.unix_timestamp()));
    let long = at + Duration::days(3_650);
    let floor = Floor::new(vec![(Algorithm::Digest(DigestAlgorithm::Sha256), long), (Algorithm::Key(KeyAlgorithm::P256), long), (Algorithm::Key(KeyAlgorithm::Rsa2048), long)]);
    let anchors = Anchors::new(&[desk.get("root.der")]).unwrap();
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
    let constraints = |timestamped| Constraints {
        anchors: &anchors,
        timestamp_anchors: &anchors,
        required: &required,
        signs_by: &[0, 1],
        credit_code: None,
        timestamped,
        claimed_within: timestamped.then_some(Duration::minutes(30)),
        answers_after: -Duration::HOUR,
        lists_older: Duration::DAY,
        timestamp_answers_after: -Duration::HOUR,
        skew: Duration::MINUTE,
        floor: &floor,
    };
    let answers = [RevocationAnswer::list(&desk.get("list")).unwrap()];
    // A timestamp of OpenSSL over pyHanko's signature.
    let basic = Signature::read(&desk.get("out.b")).unwrap();
    desk.put("value", basic.value());
    desk.put("serial", b"01");
    desk.put("tsa.cnf", b"[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_cert=tsa.pem\nsigner_key=tsa.key\nsigner_digest=sha256\ndefault_policy=1.3.6.1.4.1.32473.3.1\ndigests=sha256\naccuracy=secs:1\ness_cert_id_alg=sha256\n");
    desk.ok("openssl ts -query -data value -sha256 -cert -out query");
    desk.ok("openssl ts -reply -config tsa.cnf -queryfile query -token_out -out token");
    let stamped = basic.with_timestamp(&desk.get("token")).unwrap();
    let judged = |der: &[u8], timestamped| {
        let given = Given { answers: &answers, ..Given::default() };
        validate(DOCUMENT, der, &constraints(timestamped), &given, OffsetDateTime::now_utc() + Duration::MINUTE).unwrap()
    };
    for (der, level) in [(basic.der(), Level::Basic), (stamped.der(), Level::Timestamped)] {
        let found = judged(der, level == Level::Timestamped);
        assert_eq!((found.verdict().1, found.level), (None, level));
        assert_eq!(found.proved.signer_certificate(), desk.get("signer.der"));
    }
    // pyHanko's own test authority names its certificate by SHA-1 alone: such a timestamp proves nothing here, and is named.
    let found = judged(&desk.get("out.t"), false);
    assert_eq!((found.verdict().1, found.level), (None, Level::Basic));
    assert!(found.passed_over.len() == 1 && found.passed_over[0].finding.detail.contains("signingCertificateV2"), "{:?}", found.passed_over);
}
