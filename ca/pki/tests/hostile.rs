//! What strangers add to a signature: it takes nothing from it, is named, and costs no more than one assessment may.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
mod world;
use city::{Authority, Key, NOW};
use const_oid::ObjectIdentifier as Oid;
use pki::asn1;
use pki::cades::{Indication, Level, MAX_REVOCATIONS, MAX_UNSIGNED, MAX_VERIFICATIONS, Signature, SubIndication as Sub};
use pki::crl::{Entry, Reason};
use pki::effort::Effort;
use pki::ocsp::{self, CertId, CertStatus, HashAlgorithm, SingleResponse};
use pki::path::RevocationAnswer;
use pki::signer::Signer as _;
use pki::view::CertificateView;
use proptest::prelude::*;
use std::sync::OnceLock;
use time::Duration;
use time::macros::datetime;
use world::{Asked, DOCUMENT, OCSP_SIGNING, SHA256, Tsa, World, list, with_unsigned};

const SIGNATURE_TIMESTAMP: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.14");
const ARCHIVE_TIMESTAMP: Oid = Oid::new_unwrap("0.4.0.1733.2.4");

/// A signature, DER, with these values of unsigned attributes and no others.
fn with_values(basic: &Signature, values: &[(&Oid, Vec<u8>)]) -> Vec<u8> {
    let attributes: Vec<Vec<u8>> = values.iter().map(|(id, value)| asn1::seq(&[&asn1::oid(id), &asn1::tlv(0x31, value)])).collect();
    with_unsigned(basic.der(), &attributes.concat())
}

#[test]
fn what_nobody_signed_takes_nothing_from_it() {
    let world = World::new();
    let later = NOW + Duration::HOUR;
    let (asked, lists) = (Asked::of(&world.root, later), world.lists(later, vec![]));
    let (basic, other) = (world.signed(NOW), world.signed(NOW));
    let imprint = basic.timestamp_imprint(SHA256);
    let good = world.tsa.token(&imprint, NOW);
    let stranger = Tsa::new(&Authority::root("他"), datetime!(2026-01-01 0:00 UTC), datetime!(2029-01-01 0:00 UTC));
    let mut turned = good.clone();
    *turned.last_mut().unwrap() ^= 1;
    let junk = [
        (&SIGNATURE_TIMESTAMP, vec![5, 0], Some(Sub::FormatFailure)),
        (&SIGNATURE_TIMESTAMP, world.tsa.token(&other.timestamp_imprint(SHA256), NOW), Some(Sub::HashFailure)),
        (&SIGNATURE_TIMESTAMP, turned, Some(Sub::SigCryptoFailure)),
        // Whole, and of nobody we trust: it proves nothing, though its time be the oldest, or tomorrow.
        (&SIGNATURE_TIMESTAMP, stranger.token(&imprint, NOW - Duration::DAY), None),
        (&SIGNATURE_TIMESTAMP, stranger.token(&imprint, NOW + Duration::WEEK), None),
        (&ARCHIVE_TIMESTAMP, good.clone(), Some(Sub::FormatFailure)),
        (&ARCHIVE_TIMESTAMP, vec![0x30, 0], Some(Sub::FormatFailure)),
        (&Oid::new_unwrap("1.2.3.4"), vec![4, 1, 0], None),
    ];
    for (id, value, sub) in &junk {
        // Before and behind the good one, and without it.
        for order in [[(*id, value.clone()), (&SIGNATURE_TIMESTAMP, good.clone())], [(&SIGNATURE_TIMESTAMP, good.clone()), (*id, value.clone())]] {
            let found = asked.passes(&with_values(&basic, &order), &lists);
            assert_eq!((found.level, found.best_signature_time), (Level::Timestamped, NOW));
            assert_eq!(found.passed_over.iter().map(|one| one.finding.sub).collect::<Vec<_>>(), sub.iter().copied().collect::<Vec<_>>(), "{value:x?}");
        }
        let alone = asked.validate(&with_values(&basic, &[(*id, value.clone())]), &lists).unwrap();
        assert_eq!(alone.verdict().0, Indication::Indeterminate, "{value:x?}");
    }
    // Answers: what cannot be read is passed over, be it a list or a response; what is left suffices or does not.
    let stamped = world.stamped(NOW);
    let unread = stamped.with_evidence([], [&[0x30, 0][..], &[4, 0][..]], [&[0x30, 0][..]]).unwrap();
    let found = asked.passes(unread.der(), &lists);
    assert_eq!(found.passed_over.iter().map(|one| (one.what, one.finding.sub)).collect::<Vec<_>>(), [("answer", Sub::FormatFailure); 3]);
    assert_eq!(asked.fails(unread.der(), &[]), Sub::TryLater);
    // Certificates that cannot be read are nobody's.
    let value = stamped.der().to_vec();
    let unread = world::reframed(&value, &mut |element| (element == world.issuing.certificate).then(|| [element, &[0x30, 0]].concat()));
    asked.passes(&unread, &lists);
}

/// Two authorities of one name and key, one of whose certificates was revoked: the other path stands.
#[test]
fn every_path_is_asked_whether_it_is_revoked() {
    let world = World::new();
    let later = NOW + Duration::HOUR;
    let mut plan = city::bureau_plan(world.issuing.key.public_key_info());
    plan.subject = pki::name::Subject::new().with(pki::name::COUNTRY, "CN").unwrap().with(pki::name::COMMON_NAME, "穗印机构").unwrap();
    plan.not_after = datetime!(2030-01-01 0:00 UTC);
    plan.extensions = pki::certificate::Extensions {
        key_usage: vec![5, 6],
        basic_constraints: Some(pki::certificate::BasicConstraints { ca: true, path_len: None }),
        policies: vec![city::ANY_POLICY],
        ..Default::default()
    };
    let second = world.root.sign(plan);
    let entry = |certificate: &[u8]| Entry { serial: CertificateView::parse(certificate).unwrap().serial.to_vec(), revoked_at: NOW - Duration::DAY, reason: Reason::Superseded, invalidity_date: None };
    let asked = Asked::of(&world.root, later);
    let stamped = world.stamped(NOW).with_evidence([second.as_slice()], [], []).unwrap();
    for (revoked, stands) in [(vec![&world.issuing.certificate], true), (vec![&second], true), (vec![&world.issuing.certificate, &second], false)] {
        let lists = [list(&world.root, later, revoked.iter().map(|one| entry(one)).collect()), list(&world.issuing, later, vec![])];
        if stands {
            let found = asked.passes(stamped.der(), &lists);
            assert!(!revoked.contains(&&found.judged.path.as_ref().unwrap()[1]));
        } else {
            assert_eq!(asked.fails(stamped.der(), &lists), Sub::RevokedCaNoPoe);
        }
    }
}

/// A signature that is stuffed up to every bound: timestamps of as many authorities, answers with as many charged signers.
struct Stuffed {
    world: World,
    /// The good one among them.
    der: Vec<u8>,
    answers: Vec<RevocationAnswer>,
}

fn stuffed() -> &'static Stuffed {
    static STUFFED: OnceLock<Stuffed> = OnceLock::new();
    STUFFED.get_or_init(|| {
        let world = World::new();
        let later = NOW + Duration::HOUR;
        let basic = world.signed(NOW);
        let imprint = basic.timestamp_imprint(SHA256);
        // Authorities that are all trusted, each with its own certificate.
        let (from, until) = (datetime!(2026-01-01 0:00 UTC), datetime!(2029-01-01 0:00 UTC));
        let tokens: Vec<_> = (0..MAX_UNSIGNED).map(|_| (&SIGNATURE_TIMESTAMP, Tsa::new(&world.root, from, until).token(&imprint, NOW))).collect();
        let basic = Signature::read(&with_values(&basic, &tokens)).unwrap();
        let responder = Key::p256();
        let charged = world.issuing.seal(responder.public_key_info(), |plan| (plan.extensions.extended_key_usage, plan.extensions.ocsp_no_check) = (vec![OCSP_SIGNING], true));
        let serial = CertificateView::parse(&world.certificate).unwrap().serial.to_vec();
        let id = CertId::new(HashAlgorithm::Sha256, &world.issuing.name, world.issuing.key.public_key_info(), &serial).unwrap();
        let responses: Vec<Vec<u8>> = (0..MAX_REVOCATIONS)
            .map(|place| {
                let at = later + Duration::seconds(place as i64);
                let single = SingleResponse { id: &id.der, status: CertStatus::Good, this_update: at, next_update: at + Duration::DAY, archive_cutoff: None };
                let data = ocsp::response_data(&ocsp::responder_key_hash(responder.public_key_info()).unwrap(), at, &[single], None);
                ocsp::assemble(&data, responder.algorithm(), &responder.sign(&data).unwrap(), &charged)
            })
            .collect();
        let full = basic.with_evidence([], responses.iter().map(Vec::as_slice), []).unwrap();
        let answers = world.lists(later, vec![]).iter().map(|list| RevocationAnswer::list(list).unwrap()).collect();
        Stuffed { world, der: full.der().to_vec(), answers }
    })
}

/// It once took half a minute: every answer was verified again for every timestamp and certificate.
#[test]
fn a_stuffed_signature_costs_what_it_holds_and_no_more() {
    let Stuffed { world, der, answers } = stuffed();
    let asked = Asked::of(&world.root, NOW + Duration::DAY);
    let effort = Effort::new(u32::MAX);
    let found = asked.judge_within(DOCUMENT, der, answers, Some(&effort)).unwrap();
    assert_eq!(found.verdict(), (Indication::TotalPassed, None));
    // The signature and its two certificates; 64 tokens, each with the one certificate of its authority under the root; one
    // answer each, signed by the one charged signer; and two lists.
    let most = 3 + 64 * 2 + 128 + 1 + 2;
    assert!(effort.made() <= most && most < MAX_VERIFICATIONS, "{}", effort.made());
    // One whose each answer has a signer of its own still ends, and says that it did not ask everything.
    let few = Effort::new(100);
    let found = asked.judge_within(DOCUMENT, der, answers, Some(&few)).unwrap();
    assert_eq!((found.verdict().0, found.verdict().1.map(|finding| finding.sub), few.made()), (Indication::Indeterminate, Some(Sub::CertificateChainGeneralFailure), 100));
    // Copies of what is there cost nothing more.
    let basic = world.signed(NOW);
    let token = world.tsa.token(&basic.timestamp_imprint(SHA256), NOW);
    let (once, copies) = (with_values(&basic, &[(&SIGNATURE_TIMESTAMP, token.clone())]), with_values(&basic, &vec![(&SIGNATURE_TIMESTAMP, token); MAX_UNSIGNED]));
    let counted = |der: &[u8]| {
        let effort = Effort::new(u32::MAX);
        asked.judge_within(DOCUMENT, der, answers, Some(&effort)).unwrap();
        effort.made()
    };
    assert_eq!(counted(&copies), counted(&once));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// With less effort the verdict is the same, or that the effort did not suffice.
    #[test]
    fn less_effort_never_makes_another_verdict(most in 0u32..400, broken in any::<bool>()) {
        let Stuffed { world, der, answers } = stuffed();
        let asked = Asked::of(&world.root, NOW + Duration::DAY).with(|asked| if broken { asked.credit_code = "91440101MAT000026B" });
        let whole = if broken { (Indication::Indeterminate, Some(Sub::SigConstraintsFailure)) } else { (Indication::TotalPassed, None) };
        let effort = Effort::new(most);
        let verdict = match asked.judge_within(DOCUMENT, der, answers, Some(&effort)) {
            Ok(found) => (found.verdict().0, found.verdict().1.map(|finding| finding.sub)),
            Err(finding) => (finding.indication(), Some(finding.sub)),
        };
        prop_assert!(effort.made() <= most);
        if effort.is_spent() {
            prop_assert_eq!(verdict, (Indication::Indeterminate, Some(Sub::CertificateChainGeneralFailure)));
        } else {
            prop_assert_eq!(verdict, whole);
        }
    }

    /// Whatever octet is turned, added or left out: an answer comes, and what passed is never more than it was.
    #[test]
    fn no_octet_of_it_makes_it_panic(at in 0usize..20_000, octet in any::<u8>(), cut in any::<bool>()) {
        let Stuffed { world, der, answers } = stuffed();
        let mut other = der.clone();
        let at = at * 23 % other.len();
        if cut { other.truncate(at) } else { other[at] ^= octet }
        let found = Asked::of(&world.root, NOW + Duration::DAY).judge_within(DOCUMENT, &other, answers, None);
        if let Ok(found) = found {
            prop_assert!(found.best_signature_time >= NOW);
        }
    }
}
