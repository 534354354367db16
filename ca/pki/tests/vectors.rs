//! Signatures that must not pass, each with its sub-indication, and beside it whether OpenSSL and Bouncy Castle take it: they
//! judge the signature itself and, OpenSSL, the path; neither knows timestamps, enterprises or what DER forbids. Where a
//! detached content is given OpenSSL and Bouncy Castle read past one that is inside; of a certificate's begin OpenSSL asks as
//! of the time it is given, an hour later.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
mod world;
use city::{Authority, Desk, Key, NOW};
use const_oid::ObjectIdentifier as Oid;
use pki::asn1;
use pki::cades::{Signature, SubIndication as Sub};
use pki::certificate::CertificatePlan;
use pki::crl::Reason;
use pki::path::RevocationAnswer;
use pki::signer::Signer as _;
use pki::view::CertificateView;
use time::{Duration, OffsetDateTime};
use world::{Asked, DOCUMENT, OTHER, SHA256, World, reframed, replace, with_unsigned};

const DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: Oid = Oid::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: Oid = Oid::new_unwrap("1.2.840.113549.1.9.5");
const SIGNING_CERTIFICATE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SIGNATURE_TIMESTAMP: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.14");
const TST_INFO: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.1.4");

fn attribute(id: &Oid, values: &[&[u8]]) -> Vec<u8> {
    asn1::seq(&[&asn1::oid(id), &asn1::tlv(0x31, &values.concat())])
}

fn named(certificate: &[u8]) -> Vec<u8> {
    attribute(&SIGNING_CERTIFICATE_V2, &[&asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&asn1::tlv(4, &SHA256.digest(certificate))])])])])
}

/// A signature by hand: every part as a test wants it.
struct Craft {
    /// As they are sent, and, unless `sorted` says otherwise, as they are signed.
    attributes: Vec<Vec<u8>>,
    /// Signed as DER orders them, whatever the order in which they are sent. spec: rfc5652#5.4
    sorted: bool,
    inside: Option<Vec<u8>>,
    content_type: Oid,
    certificates: Vec<Vec<u8>>,
    unsigned: Vec<Vec<u8>>,
}

impl Craft {
    fn new(world: &World) -> Self {
        let mut attributes = vec![
            attribute(&CONTENT_TYPE, &[&asn1::oid(&DATA)]),
            attribute(&SIGNING_TIME, &[&asn1::time(NOW)]),
            attribute(&MESSAGE_DIGEST, &[&asn1::tlv(4, &SHA256.digest(DOCUMENT))]),
            named(&world.certificate),
        ];
        attributes.sort_unstable();
        Self { attributes, sorted: true, inside: None, content_type: DATA, certificates: vec![world.certificate.clone(), world.issuing.certificate.clone()], unsigned: Vec::new() }
    }

    fn at(&mut self, id: &Oid) -> &mut Vec<u8> {
        let id = asn1::oid(id);
        self.attributes.iter_mut().find(|one| one.windows(id.len()).any(|window| window == id)).unwrap()
    }

    fn without(&mut self, id: &Oid) {
        let id = asn1::oid(id);
        self.attributes.retain(|one| !one.windows(id.len()).any(|window| window == id));
    }

    fn der(&self, key: &Key) -> Vec<u8> {
        let mut signed = self.attributes.clone();
        if self.sorted {
            signed.sort_unstable();
        }
        let value = key.sign(&asn1::tlv(0x31, &signed.concat())).unwrap();
        let view = CertificateView::parse(&self.certificates[0]).unwrap();
        let sid = asn1::seq(&[view.issuer, &asn1::tlv(2, view.serial)]);
        let unsigned = if self.unsigned.is_empty() { Vec::new() } else { asn1::tlv(0xa1, &self.unsigned.concat()) };
        let algorithm = asn1::seq(&[&asn1::oid(&Oid::new_unwrap("1.2.840.10045.4.3.2"))]);
        let info = asn1::seq(&[&[2, 1, 1], &sid, &SHA256.der(), &asn1::tlv(0xa0, &self.attributes.concat()), &algorithm, &asn1::tlv(4, &value), &unsigned]);
        let inside = self.inside.as_ref().map(|content| asn1::tlv(0xa0, &asn1::tlv(4, content))).unwrap_or_default();
        let content = asn1::seq(&[&asn1::oid(&self.content_type), &inside]);
        let mut certificates = self.certificates.clone();
        certificates.sort_unstable();
        let version = if self.content_type == DATA { 1 } else { 3 };
        let data = asn1::seq(&[&[2, 1, version], &asn1::tlv(0x31, &SHA256.der()), &content, &asn1::tlv(0xa0, &certificates.concat()), &asn1::tlv(0x31, &info)]);
        asn1::seq(&[&asn1::oid(&SIGNED_DATA), &asn1::tlv(0xa0, &data)])
    }
}

/// Length octets that are longer than they must be: the outermost SEQUENCE's.
fn longer_length(der: &[u8]) -> Vec<u8> {
    let (_, value, _) = asn1::Reader::new(der).any().unwrap();
    [&[0x30, 0x84][..], &(value.len() as u32).to_be_bytes(), value].concat()
}

/// The outermost SEQUENCE of indefinite length.
fn indefinite(der: &[u8]) -> Vec<u8> {
    let (_, value, _) = asn1::Reader::new(der).any().unwrap();
    [&[0x30, 0x80][..], value, &[0, 0]].concat()
}

struct Vector {
    name: &'static str,
    der: Vec<u8>,
    sub: Sub,
    openssl: bool,
    bouncy_castle: bool,
    /// What OpenSSL is asked beyond the ordinary.
    options: String,
    lists: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
    change: Option<fn(&mut Asked)>,
}

fn all() -> Vec<Vector> {
    let world = World::new();
    let later = NOW + Duration::HOUR;
    let mut all = Vec::new();
    let of = |world: &World, name, der, sub, openssl, bouncy_castle| Vector {
        name,
        der,
        sub,
        openssl,
        bouncy_castle,
        options: String::new(),
        lists: world.lists(later, vec![]),
        roots: vec![world.root.certificate.clone()],
        change: None,
    };
    let mut form = |name, sub, openssl, bouncy_castle, change: &dyn Fn(&mut Craft)| {
        let mut craft = Craft::new(&world);
        change(&mut craft);
        all.push(of(&world, name, craft.der(&world.key), sub, openssl, bouncy_castle));
    };
    // What the signed attributes say.
    form("no contentType", Sub::FormatFailure, false, false, &|craft| craft.without(&CONTENT_TYPE));
    form("contentType of a timestamp", Sub::FormatFailure, true, false, &|craft| *craft.at(&CONTENT_TYPE) = attribute(&CONTENT_TYPE, &[&asn1::oid(&TST_INFO)]));
    form("no messageDigest", Sub::FormatFailure, false, false, &|craft| craft.without(&MESSAGE_DIGEST));
    form("messageDigest of other bytes", Sub::HashFailure, false, false, &|craft| *craft.at(&MESSAGE_DIGEST) = attribute(&MESSAGE_DIGEST, &[&asn1::tlv(4, &SHA256.digest(b"other"))]));
    form("messageDigest twice in one attribute", Sub::FormatFailure, false, false, &|craft| {
        let [other, own] = [&b"other"[..], DOCUMENT].map(|content| asn1::tlv(4, &SHA256.digest(content)));
        *craft.at(&MESSAGE_DIGEST) = attribute(&MESSAGE_DIGEST, &[&own, &other]);
    });
    form("messageDigest as two attributes", Sub::FormatFailure, false, false, &|craft| craft.attributes.push(attribute(&MESSAGE_DIGEST, &[&asn1::tlv(4, &SHA256.digest(b"other"))])));
    form("signingTime as two attributes", Sub::FormatFailure, false, false, &|craft| craft.attributes.push(attribute(&SIGNING_TIME, &[&asn1::time(NOW + Duration::DAY)])));
    form("attributes sent in another order than DER's", Sub::FormatFailure, false, true, &|craft| craft.attributes.reverse());
    form("attributes signed in another order than DER's", Sub::FormatFailure, true, false, &|craft| {
        craft.attributes.reverse();
        craft.sorted = false;
    });
    // Which certificate signed.
    form("no signingCertificateV2", Sub::SigConstraintsFailure, false, false, &|craft| craft.without(&SIGNING_CERTIFICATE_V2));
    form("signingCertificateV2 that nobody signed", Sub::SigConstraintsFailure, false, false, &|craft| {
        craft.without(&SIGNING_CERTIFICATE_V2);
        craft.unsigned = vec![named(&craft.certificates[0])];
    });
    form("signingCertificate by SHA-1", Sub::SigConstraintsFailure, true, false, &|craft| {
        craft.without(&SIGNING_CERTIFICATE_V2);
        let hash = asn1::tlv(4, ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &craft.certificates[0]).as_ref());
        craft.attributes.push(attribute(&SIGNING_CERTIFICATE, &[&asn1::seq(&[&asn1::seq(&[&asn1::seq(&[&hash])])])]));
        craft.attributes.sort_unstable();
    });
    form("signingCertificateV2 of the authority", Sub::NoSigningCertificateFound, false, false, &|craft| {
        *craft.at(&SIGNING_CERTIFICATE_V2) = named(&craft.certificates[1]);
        craft.attributes.sort_unstable();
    });
    let twin = world.issuing.seal(world.key.public_key_info(), |plan| plan.serial = CertificateView::parse(&world.certificate).unwrap().serial.try_into().unwrap());
    form("another certificate of the same name, number and key", Sub::NoSigningCertificateFound, false, false, &|craft| craft.certificates[0].clone_from(&twin));
    // What is signed.
    form("the content inside", Sub::FormatFailure, true, true, &|craft| craft.inside = Some(DOCUMENT.to_vec()));
    form("another content inside", Sub::FormatFailure, true, true, &|craft| craft.inside = Some(b"other".to_vec()));
    form("a signature around the signature", Sub::FormatFailure, true, true, &|craft| {
        craft.content_type = SIGNED_DATA;
        *craft.at(&CONTENT_TYPE) = attribute(&CONTENT_TYPE, &[&asn1::oid(&SIGNED_DATA)]);
    });
    // How it is written.
    let good = Craft::new(&world).der(&world.key);
    all.push(of(&world, "a length in more octets than it takes", longer_length(&good), Sub::FormatFailure, true, true));
    all.push(of(&world, "an indefinite length", indefinite(&good), Sub::FormatFailure, true, true));
    all.push(of(&world, "octets behind the end", [&*good, &[0]].concat(), Sub::FormatFailure, true, true));
    let value = Signature::read(&good).unwrap().value().to_vec();
    let mut turned = value.clone();
    *turned.last_mut().unwrap() ^= 1;
    all.push(of(&world, "one bit of the value", replace(&good, &value, &turned), Sub::SigCryptoFailure, false, false));
    let broken = asn1::seq(&[&asn1::oid(&Oid::new_unwrap("1.3.14.3.2.26"))]);
    all.push(of(&world, "SHA-1", reframed(&good, &mut |one| (one == SHA256.der()).then(|| broken.clone())), Sub::CryptoConstraintsFailure, false, false));
    // Timestamps: other bytes, and one in the place of an attribute of another kind. Nobody else judges them.
    let basic = Signature::read(&good).unwrap();
    let stamped = |imprint: &[u8]| with_unsigned(basic.der(), &attribute(&SIGNATURE_TIMESTAMP, &[&world.tsa.token(&pki::timestamp::Imprint::of(SHA256, imprint), NOW)]));
    for (name, imprint) in [("a timestamp over the document", DOCUMENT), ("a timestamp over other bytes", b"other"), ("a timestamp over the value with its tag", &asn1::tlv(4, basic.value()))] {
        let vector = of(&world, name, stamped(imprint), Sub::SigConstraintsFailure, true, true);
        all.push(Vector { change: Some(|asked| asked.timestamped = true), ..vector });
    }
    // Whom it is of.
    let mut trust = |name, holder: &dyn Fn(&mut CertificatePlan), sub, openssl, options: &str, change: Option<fn(&mut Asked)>| {
        let world = World::changed(|plan| holder(plan));
        let der = world.signed(NOW).der().to_vec();
        // Bouncy Castle holds the claimed time against the certificate's validity.
        let bouncy_castle = !matches!(sub, Sub::OutOfBoundsNoPoe | Sub::Expired | Sub::NotYetValid);
        all.push(Vector { options: options.into(), change, ..of(&world, name, der, sub, openssl, bouncy_castle) });
    };
    trust("expired", &|plan| plan.not_after = NOW - Duration::SECOND, Sub::OutOfBoundsNoPoe, false, "", None);
    trust("expired before it can have signed", &|plan| plan.not_after = NOW - Duration::HOUR, Sub::Expired, false, "", Some(|asked| asked.not_before = Some(NOW - Duration::MINUTE)));
    trust("not yet valid", &|plan| plan.not_before = NOW + Duration::HOUR, Sub::NotYetValid, true, "", None);
    trust("another policy", &|_| (), Sub::ChainConstraintsFailure, false, "-policy 1.3.6.1.4.1.32473.9 -explicit_policy", Some(|asked| asked.required.policies = vec![OTHER]));
    trust("a certificate for encryption", &|plan| plan.extensions.key_usage = vec![2], Sub::ChainConstraintsFailure, false, "", None);
    trust("another enterprise's", &|_| (), Sub::SigConstraintsFailure, true, "", Some(|asked| asked.credit_code = "91440101MAT000026B"));
    trust("a time that nothing bears out", &|_| (), Sub::SigConstraintsFailure, true, "", Some(|asked| {
        asked.existed_at = Some(NOW + Duration::minutes(6));
        asked.claimed_within = Some(Duration::minutes(5));
    }));
    for (name, since, reason, sub) in [("revoked before", NOW - Duration::DAY, Reason::KeyCompromise, Sub::RevokedNoPoe), ("on hold", NOW - Duration::DAY, Reason::CertificateHold, Sub::TryLater)] {
        let lists = world.lists(later, vec![world.entry(since, reason)]);
        all.push(Vector { lists, options: "-crl_check_all".into(), ..of(&world, name, good.clone(), sub, false, true) });
    }
    all.push(Vector { roots: vec![Authority::root("穗印根").certificate], ..of(&world, "of a root of the same name", good.clone(), Sub::NoCertificateChainFound, false, true) });
    all
}

const JARS: &str = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar";
const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/oracles/Cades.java");

#[test]
fn each_is_refused_by_its_name_and_others_judge_as_is_written_beside() {
    let desk = Desk::new();
    desk.put("document", DOCUMENT);
    let mut wrong = Vec::new();
    let vectors = all();
    for (number, vector) in vectors.iter().enumerate() {
        let mut asked = asked(&vector.roots, NOW + Duration::HOUR);
        if let Some(change) = vector.change {
            change(&mut asked);
        }
        let answers: Vec<_> = vector.lists.iter().map(|list| RevocationAnswer::list(list).unwrap()).collect();
        let told = match asked.judge(DOCUMENT, &vector.der, &answers) {
            Err(finding) => Some(finding.sub),
            Ok(found) => found.verdict().1.map(|finding| finding.sub),
        };
        let signature = format!("{number}.p7s");
        desk.put(&signature, &vector.der);
        let trusted = vector.roots.iter().map(|one| desk.pem("one.pem", "CERTIFICATE", one)).chain(vector.lists.iter().map(|one| desk.pem("one.pem", "X509 CRL", one)));
        let trusted: Vec<u8> = trusted.flat_map(|_| desk.get("one.pem")).collect();
        desk.put("trusted.pem", &trusted);
        let at = (NOW + Duration::HOUR).unix_timestamp();
        let (openssl, text) = desk.run(&format!("openssl cms -verify -cades -binary -inform DER -in {signature} -content document -CAfile trusted.pem -attime {at} -out out {}", vector.options));
        if (told, openssl) != (Some(vector.sub), vector.openssl) {
            wrong.push(format!("{}: {told:?}, OpenSSL {openssl}: {}", vector.name, text.lines().last().unwrap_or_default()));
        }
    }
    let files: Vec<String> = (0..vectors.len()).map(|number| format!("{number}.p7s")).collect();
    let told = desk.ok(&format!("java -cp {JARS} {ORACLE} judge document {}", files.join(" ")));
    for (vector, file) in vectors.iter().zip(&files) {
        let line = told.lines().find(|line| line.starts_with(&format!("{file} "))).unwrap();
        if line.starts_with(&format!("{file} yes")) != vector.bouncy_castle {
            wrong.push(format!("{}: Bouncy Castle: {line}", vector.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn asked(roots: &[Vec<u8>], now: OffsetDateTime) -> Asked {
    let anchors = || pki::path::Anchors::new(roots).unwrap();
    let root = Authority { key: Key::p256(), certificate: roots[0].clone(), name: Vec::new() };
    Asked::of(&root, now).with(|asked| {
        (asked.anchors, asked.timestamp_anchors) = (anchors(), anchors());
        // It was here at the hour it claims, by our own word.
        (asked.timestamped, asked.existed_at, asked.claimed_within) = (false, Some(NOW), None);
        asked.signs_by = &[0, 1];
        asked.required.key_usage = Vec::new();
    })
}

/// The one that all of them are made from does pass.
#[test]
fn what_they_are_made_from_passes() {
    let world = World::new();
    let (der, lists) = (Craft::new(&world).der(&world.key), world.lists(NOW + Duration::HOUR, vec![]));
    asked(&[world.root.certificate.clone()], NOW + Duration::HOUR).passes(&der, &lists);
}
