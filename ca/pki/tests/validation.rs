//! What a signature is worth: at once, after its certificate ended or was revoked, and ten years on with only the anchor.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
mod world;
use city::{Authority, Desk, EMAIL, Key, NOW};
use const_oid::ObjectIdentifier as Oid;
use pki::asn1;
use pki::cades::{Indication, Level, SubIndication as Sub};
use pki::crl::{Entry, Reason};
use pki::ocsp::{self, CertId, CertStatus, HashAlgorithm, SingleResponse};
use pki::path::{Anchors, RevocationAnswer};
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use world::{Asked, CODE, DOCUMENT, OCSP_SIGNING, OTHER, SHA256, Tsa, World, floor, list, replace, with_unsigned};

#[test]
fn each_level_passes_and_says_what_it_is() {
    let world = World::new();
    let later = NOW + Duration::HOUR;
    let lists = world.lists(later, vec![]);
    let stamped = world.stamped(NOW);
    let found = Asked::of(&world.root, later).passes(stamped.der(), &lists);
    assert_eq!((found.level, found.best_signature_time, found.is_proved), (Level::Timestamped, NOW, true));
    assert_eq!((found.judged.path.as_ref().unwrap().len(), found.signer.credit_code()), (3, Some(CODE)));
    assert_eq!(found.answers().iter().map(|used| (used.form, used.this_update, used.inside)).collect::<Vec<_>>(), vec![("crl", later, false); 2]);
    let found = Asked::of(&world.root, later).passes(world.long_term(NOW).der(), &[]);
    assert_eq!(found.level, Level::LongTerm);
    let lasting = world.long_term(NOW);
    let covered = lasting.archive_imprint(DOCUMENT, SHA256);
    let archived = lasting.with_archive_timestamp(&covered, &world.tsa.token(covered.imprint(), later)).unwrap();
    let fresh = list(&world.root, later, vec![]);
    assert_eq!(Asked::of(&world.root, later).passes(archived.der(), &[fresh]).level, Level::Archived);
    // Without a timestamp it is judged as of now, or of when it was received.
    let basic = world.signed(NOW);
    let now = Asked::of(&world.root, NOW).with(|asked| asked.timestamped = false);
    let found = now.passes(basic.der(), &lists);
    assert_eq!((found.level, found.is_proved), (Level::Basic, false));
    let received = Asked::of(&world.root, later).with(|asked| (asked.timestamped, asked.existed_at) = (false, Some(NOW)));
    assert!(received.passes(basic.der(), &lists).is_proved);
    assert_eq!(Asked::of(&world.root, NOW).fails(basic.der(), &lists), Sub::SigConstraintsFailure);
}

#[test]
fn ocsp_is_evidence_like_a_list() {
    let world = World::new();
    let responder = Key::p256();
    let charged = |nocheck: bool, usage| {
        world.issuing.seal(responder.public_key_info(), |plan| {
            (plan.extensions.extended_key_usage, plan.extensions.ocsp_no_check) = (vec![usage], nocheck);
        })
    };
    let answer = |certificate: &[u8], status, at| {
        let serial = pki::view::CertificateView::parse(&world.certificate).unwrap().serial.to_vec();
        let id = CertId::new(HashAlgorithm::Sha256, &world.issuing.name, world.issuing.key.public_key_info(), &serial).unwrap();
        let single = SingleResponse { id: &id.der, status, this_update: at, next_update: at + Duration::DAY, archive_cutoff: None };
        let data = ocsp::response_data(&ocsp::responder_key_hash(responder.public_key_info()).unwrap(), at, &[single], None);
        ocsp::assemble(&data, responder.algorithm(), &responder.sign(&data).unwrap(), certificate)
    };
    let (stamped, good) = (world.stamped(NOW), charged(true, OCSP_SIGNING));
    let root_list = list(&world.root, NOW, vec![]);
    let asked = Asked::of(&world.root, NOW + Duration::HOUR);
    let verdict = |response: &[u8]| {
        let inside = stamped.with_evidence([], [response], [root_list.as_slice()]).unwrap();
        let found = asked.validate(inside.der(), &[]).unwrap();
        (found.level, found.verdict().1.map(|finding| finding.sub))
    };
    assert_eq!(verdict(&answer(&good, CertStatus::Good, NOW)), (Level::LongTerm, None));
    let revoked = |at, reason| CertStatus::Revoked { at, reason, invalid_since: None };
    assert_eq!(verdict(&answer(&good, revoked(NOW + Duration::MINUTE, Reason::KeyCompromise), NOW + Duration::HOUR)), (Level::LongTerm, None));
    assert_eq!(verdict(&answer(&good, revoked(NOW - Duration::MINUTE, Reason::Superseded), NOW)).1, Some(Sub::RevokedNoPoe));
    let backdated = CertStatus::Revoked { at: NOW + Duration::MINUTE, reason: Reason::KeyCompromise, invalid_since: Some(NOW - Duration::DAY) };
    assert_eq!(verdict(&answer(&good, backdated, NOW + Duration::HOUR)).1, Some(Sub::RevokedNoPoe));
    assert_eq!(verdict(&answer(&good, CertStatus::Unknown, NOW)).1, Some(Sub::TryLater));
    assert_eq!(verdict(&answer(&good, CertStatus::Good, NOW - Duration::SECOND)).1, Some(Sub::TryLater));
    assert_eq!(verdict(&answer(&charged(true, EMAIL), CertStatus::Good, NOW)).1, Some(Sub::TryLater));
    // One whom the issuer did not exempt is asked about too, by a list that was current when it answered.
    let asked_about = charged(false, OCSP_SIGNING);
    let beside = |response: &[u8], lists: &[Vec<u8>]| {
        let inside = stamped.with_evidence([], [response], [root_list.as_slice()]).unwrap();
        let lists = lists.iter().map(|list| RevocationAnswer::list(list).unwrap()).collect::<Vec<_>>();
        asked.judge(DOCUMENT, inside.der(), &lists).unwrap().verdict().1.map(|finding| finding.sub)
    };
    let good_answer = answer(&asked_about, CertStatus::Good, NOW);
    assert_eq!(beside(&good_answer, &[]), Some(Sub::TryLater));
    let before = NOW - Duration::HOUR;
    assert_eq!(beside(&good_answer, &[list(&world.issuing, before, vec![])]), None);
    assert_eq!(beside(&good_answer, &[list(&world.issuing, NOW - Duration::days(8), vec![])]), Some(Sub::TryLater));
    let its_end = |reason| Entry { serial: pki::view::CertificateView::parse(&asked_about).unwrap().serial.to_vec(), revoked_at: before, reason, invalidity_date: None };
    for reason in [Reason::KeyCompromise, Reason::CessationOfOperation] {
        assert_eq!(beside(&good_answer, &[list(&world.issuing, before, vec![its_end(reason)])]), Some(Sub::TryLater));
    }
}

/// Nothing proves when it was signed: it is judged as of now, and the list in force is the newest there need be.
#[test]
fn a_list_in_force_tells_where_nothing_proves_the_time() {
    let world = World::new();
    let lists = world.lists(NOW, vec![]);
    let now = NOW + Duration::days(3);
    let asked = |at, older| Asked::of(&world.root, at).with(|asked| (asked.timestamped, asked.lists_older) = (false, older));
    let basic = world.signed(now);
    asked(now, Duration::WEEK).passes(basic.der(), &lists);
    asked(now, Duration::days(3)).passes(basic.der(), &lists);
    // Older than the policy takes; out of force; and where a timestamp proves the time a newer one is to be had.
    assert_eq!(asked(now, Duration::DAY).fails(basic.der(), &lists), Sub::TryLater);
    let after = NOW + Duration::days(8);
    assert_eq!(asked(after, Duration::days(30)).fails(world.signed(after).der(), &lists), Sub::TryLater);
    let proved = asked(now + Duration::HOUR, Duration::WEEK).with(|asked| asked.existed_at = Some(now));
    assert_eq!(proved.fails(basic.der(), &lists), Sub::TryLater);
}

#[test]
fn revocation_is_judged_at_the_proof() {
    let world = World::new();
    let stamped = world.stamped(NOW);
    let later = NOW + Duration::DAY;
    let asked = Asked::of(&world.root, later);
    let lists = |at, reason| world.lists(later, vec![world.entry(at, reason)]);
    asked.passes(stamped.der(), &lists(NOW + Duration::SECOND, Reason::KeyCompromise));
    assert_eq!(asked.fails(stamped.der(), &lists(NOW, Reason::KeyCompromise)), Sub::RevokedNoPoe);
    let known = Asked::of(&world.root, later).with(|asked| asked.not_before = Some(NOW - Duration::MINUTE));
    assert_eq!(known.fails(stamped.der(), &lists(NOW - Duration::HOUR, Reason::Superseded)), Sub::Revoked);
    // A suspension is no verdict yet, and one that came later is nothing.
    assert_eq!(asked.fails(stamped.der(), &lists(NOW - Duration::HOUR, Reason::CertificateHold)), Sub::TryLater);
    asked.passes(stamped.der(), &lists(NOW + Duration::HOUR, Reason::CertificateHold));
    // What was said before it was signed tells nothing of it.
    assert_eq!(asked.fails(stamped.der(), &world.lists(NOW - Duration::SECOND, vec![])), Sub::TryLater);
    assert_eq!(asked.fails(stamped.der(), &[]), Sub::TryLater);
    let invalid = Entry { invalidity_date: Some(NOW - Duration::DAY), ..world.entry(NOW + Duration::HOUR, Reason::KeyCompromise) };
    assert_eq!(asked.fails(stamped.der(), &world.lists(later, vec![invalid])), Sub::RevokedNoPoe);
    // The authority itself.
    let serial = pki::view::CertificateView::parse(&world.issuing.certificate).unwrap().serial.to_vec();
    let entry = Entry { serial, revoked_at: NOW - Duration::DAY, reason: Reason::CaCompromise, invalidity_date: None };
    let lists = [list(&world.root, later, vec![entry]), list(&world.issuing, later, vec![])];
    assert_eq!(asked.fails(stamped.der(), &lists), Sub::RevokedCaNoPoe);
}

#[test]
fn each_other_failure_has_its_name() {
    let later = NOW + Duration::HOUR;
    let with = |world: &World, change: &dyn Fn(&mut Asked)| Asked::of(&world.root, later).with(change).fails(world.stamped(NOW).der(), &world.lists(later, vec![]));
    let world = World::new();
    assert_eq!(with(&world, &|asked| asked.required.policies = vec![OTHER]), Sub::ChainConstraintsFailure);
    assert_eq!(with(&world, &|asked| asked.required.extended_key_usage = OCSP_SIGNING), Sub::ChainConstraintsFailure);
    assert_eq!(with(&world, &|asked| asked.required.key_usage = vec![0, 2]), Sub::ChainConstraintsFailure);
    assert_eq!(with(&world, &|asked| asked.credit_code = "91440101MAT000019H"), Sub::SigConstraintsFailure);
    assert_eq!(with(&world, &|asked| asked.anchors = Anchors::new(&[Authority::root("他").certificate]).unwrap()), Sub::NoCertificateChainFound);
    assert_eq!(with(&world, &|asked| asked.timestamp_anchors = Anchors::new(&[Authority::root("他").certificate]).unwrap()), Sub::NoCertificateChainFound);
    assert_eq!(with(&world, &|asked| asked.floor = floor(NOW - Duration::SECOND)), Sub::CryptoConstraintsFailureNoPoe);
    // The desk is told which of its checks it was.
    let found = Asked::of(&world.root, later).with(|asked| asked.required.policies = vec![OTHER]).validate(world.stamped(NOW).der(), &world.lists(later, vec![])).unwrap();
    assert!(found.judged.path.is_ok() && found.judged.usage.is_ok() && found.judged.policy.is_err() && found.judged.time.is_ok() && found.judged.revocation.is_ok());
    let found = Asked::of(&world.root, later).with(|asked| asked.required.key_usage = vec![0, 2]).validate(world.stamped(NOW).der(), &world.lists(later, vec![])).unwrap();
    assert!(found.judged.path.is_ok() && found.judged.usage.is_err() && found.judged.policy.is_ok());
    // The certificate ended before the proof, or began after it.
    let ended = World::changed(|plan| plan.not_after = NOW - Duration::SECOND);
    assert_eq!(with(&ended, &|_| ()), Sub::OutOfBoundsNoPoe);
    assert_eq!(with(&ended, &|asked| asked.not_before = Some(NOW - Duration::MILLISECOND)), Sub::Expired);
    let early = World::changed(|plan| plan.not_before = NOW + Duration::SECOND);
    assert_eq!(with(&early, &|_| ()), Sub::NotYetValid);
    // What the signer claims.
    let basic = world.signed(NOW - Duration::DAY);
    let lied = basic.with_timestamp(&world.tsa.token(&basic.timestamp_imprint(SHA256), NOW)).unwrap();
    let lists = world.lists(later, vec![]);
    assert_eq!(Asked::of(&world.root, later).fails(lied.der(), &lists), Sub::SigConstraintsFailure);
    Asked::of(&world.root, later).with(|asked| asked.claimed_within = None).passes(lied.der(), &lists);
    // A timestamp of tomorrow.
    assert_eq!(Asked::of(&world.root, NOW - Duration::MINUTE).fails(world.stamped(NOW).der(), &lists), Sub::TimestampOrderFailure);
    // Other bytes.
    let finding = Asked::of(&world.root, later).judge(b"other", world.stamped(NOW).der(), &[]).unwrap_err();
    assert_eq!((finding.sub, finding.indication()), (Sub::HashFailure, Indication::TotalFailed));
}

/// What others may do to a signature, and how each is named.
#[test]
fn tricks_are_named() {
    let world = World::new();
    let later = NOW + Duration::HOUR;
    let (asked, lists) = (Asked::of(&world.root, later), world.lists(later, vec![]));
    let stamped = world.stamped(NOW);
    let token = stamped.signature_timestamps().next().unwrap().to_vec();
    // A timestamp over another signature, put in by hand.
    let other = world.signed(NOW);
    let moved = [asn1::oid(&Oid::new_unwrap("1.2.840.113549.1.9.16.2.14")), asn1::tlv(0x31, &token)].concat();
    let grafted = with_unsigned(other.der(), &asn1::tlv(0x30, &moved));
    // It proves nothing, and takes nothing: the signature has no proof.
    assert_eq!(asked.fails(&grafted, &lists), Sub::SigConstraintsFailure);
    let named: Vec<_> = asked.validate(&grafted, &lists).unwrap().passed_over.iter().map(|one| (one.what, one.finding.sub)).collect();
    assert_eq!(named, [("signature", Sub::HashFailure)]);
    // The certificate of another key in the place of the signer's own.
    let twin = World::new();
    let swapped = replace(stamped.der(), &world.certificate, &twin.certificate);
    assert_eq!(asked.fails(&swapped, &lists), Sub::NoSigningCertificateFound);
    // One bit of the value.
    let value = stamped.value().to_vec();
    let mut damaged = value.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(asked.fails(&replace(stamped.der(), &value, &damaged), &lists), Sub::SigCryptoFailure);
    assert_eq!(asked.fails(&stamped.der()[..100], &lists), Sub::FormatFailure);
    assert_eq!(asked.fails(&[stamped.der(), &[0]].concat(), &lists), Sub::FormatFailure);
    // Signatures of OpenSSL.
    let desk = Desk::new();
    desk.put("document", DOCUMENT);
    desk.ok("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -out a.pem -days 3650 -subj /CN=a");
    desk.ok("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout b.key -out b.pem -days 3650 -subj /CN=b");
    for (options, sub) in [
        ("-cades -signer b.pem -inkey b.key", Sub::FormatFailure),
        ("-cades -nodetach", Sub::FormatFailure),
        ("-cades -nodetach -stream", Sub::FormatFailure),
        ("-cades -md sha1", Sub::CryptoConstraintsFailure),
        ("-noattr", Sub::SigConstraintsFailure),
        ("", Sub::SigConstraintsFailure),
        ("-cades -nocerts", Sub::NoSigningCertificateFound),
        ("-cades", Sub::NoCertificateChainFound),
    ] {
        desk.ok(&format!("openssl cms -sign -binary -in document -outform DER -out signature -signer a.pem -inkey a.key {options}"));
        assert_eq!(asked.fails(&desk.get("signature"), &lists), sub, "{options}");
    }
}

/// Ten years: a timestamp authority every three, the signer's and the issuing authority's certificates ended, the last proof
/// renewed each time before it aged; judged with the root alone.
fn ten_years(world: &World) -> (Vec<u8>, Vec<(OffsetDateTime, Vec<u8>)>) {
    let mut stages = Vec::new();
    let mut signature = world.long_term(NOW);
    stages.push((NOW + Duration::DAY, signature.der().to_vec()));
    let mut from = datetime!(2026-01-01 0:00 UTC);
    let mut tsa = Tsa { key: Key::p256(), certificate: Vec::new() };
    for round in 0..5 {
        let at = if round == 0 { NOW + Duration::DAY } else { from + Duration::days(30) };
        if round > 0 {
            // What is known of the last authority, told while its certificate still stands, goes under the next timestamp.
            let last = list(&world.root, at - Duration::HOUR, vec![]);
            signature = signature.with_evidence([tsa.certificate.as_slice()], [], [last.as_slice()]).unwrap();
        }
        let until = from + Duration::days(3 * 365);
        tsa = Tsa::new(&world.root, from, until);
        let algorithm = if round < 2 { SHA256 } else { DigestAlgorithm::Sha512 };
        let covered = signature.archive_imprint(DOCUMENT, algorithm);
        signature = signature.with_archive_timestamp(&covered, &tsa.token(covered.imprint(), at)).unwrap();
        let after = list(&world.root, at + Duration::HOUR, vec![]);
        signature = signature.with_evidence([], [], [after.as_slice()]).unwrap();
        stages.push((at + Duration::DAY, signature.der().to_vec()));
        from = until - Duration::days(90);
    }
    (signature.der().to_vec(), stages)
}

#[test]
fn ten_years_on_it_passes_with_the_anchor_alone() {
    let world = World::new();
    let (last, stages) = ten_years(&world);
    for (at, der) in &stages {
        let found = Asked::of(&world.root, *at).passes(der, &[]);
        assert_eq!(found.best_signature_time, NOW, "{at}");
    }
    let on = datetime!(2037-06-01 12:00 UTC);
    let found = Asked::of(&world.root, on).passes(&last, &[]);
    assert_eq!((found.level, found.timestamps.len(), found.timestamps.last().unwrap().over), (Level::Archived, 6, "signature"));
    // Each of the earlier stages stood only as long as its last authority did.
    for (_, der) in stages.iter().take(4) {
        assert_eq!(Asked::of(&world.root, on).fails(der, &[]), Sub::OutOfBoundsNoPoe);
    }
    // Had SHA-256 fallen while the root still certified with it, nothing newer would vouch for the last authority.
    let fell = |at| Asked::of(&world.root, on).with(|asked| asked.floor = floor(at)).validate(&last, &[]).unwrap().verdict().0;
    assert_eq!(fell(datetime!(2032-01-01 0:00 UTC)), Indication::Indeterminate);
}

#[test]
fn no_bit_of_it_may_flip_in_ten_years() {
    let world = World::new();
    let (last, _) = ten_years(&world);
    let asked = Asked::of(&world.root, datetime!(2037-06-01 12:00 UTC));
    asked.passes(&last, &[]);
    for at in 0..last.len() {
        let mut damaged = last.clone();
        damaged[at] ^= 1 << (at % 8);
        let passed = asked.validate(&damaged, &[]).is_ok_and(|found| found.verdict().0 == Indication::TotalPassed);
        assert!(!passed, "byte {at}");
    }
}
