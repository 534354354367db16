//! Who is trusted, and by what name each other certificate is refused.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
use city::{Authority, EMAIL, Key, NOW, POLICY};
use pki::certificate::{BasicConstraints, CertificatePlan};
use pki::cms::{SignerPlan, verify};
use pki::crl::{Entry, Reason};
use pki::name::{COMMON_NAME, ORGANIZATION, Subject};
use pki::path::{Anchors, CertificateFacts, ListError, Oid, PathError, Requirements, RevocationList, Trusted, Validation};
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const CLIENT: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.2");
const OTHER_POLICY: Oid = Oid::new_unwrap("1.3.6.1.4.1.32473.9");
const SERIAL: [u8; 16] = [0x41; 16];

fn seal_wanted() -> Requirements {
    Requirements { extended_key_usage: EMAIL, key_usage: vec![0], policies: vec![POLICY] }
}

/// A root, an issuing authority and a bureau's certificate, each changed at will, with lists of both issuers.
struct City {
    root: Authority,
    issuing: Authority,
    certificate: Vec<u8>,
    lists: Vec<RevocationList>,
    at: OffsetDateTime,
    required: Requirements,
}

impl City {
    fn changed(issuing: impl FnOnce(&mut CertificatePlan), holder: impl FnOnce(&mut CertificatePlan)) -> Self {
        let root = Authority::root("穗印根");
        let issuing = root.below("穗印机构", issuing);
        let certificate = issuing.seal(Key::p256().public_key_info(), |plan| {
            plan.serial = SERIAL;
            holder(plan);
        });
        let lists = [&root, &issuing].map(|issuer| list(issuer, vec![])).into();
        Self { root, issuing, certificate, lists, at: NOW, required: seal_wanted() }
    }
    fn new() -> Self {
        Self::changed(|_| (), |_| ())
    }
    fn trust(&self) -> Result<Trusted, PathError> {
        self.trust_from(&self.root)
    }
    fn trust_from(&self, root: &Authority) -> Result<Trusted, PathError> {
        let anchors = Anchors::new(&[&root.certificate]).unwrap();
        Validation { anchors: &anchors, lists: &self.lists, required: &self.required, at: self.at }.trust(&self.certificate, &[&self.issuing.certificate])
    }
    fn refusal(&self) -> PathError {
        self.trust().unwrap_err()
    }
    fn with_lists(lists: impl FnOnce(&Self) -> Vec<Vec<u8>>) -> Result<Trusted, PathError> {
        let mut city = Self::new();
        city.lists = lists(&city).iter().map(|der| RevocationList::parse(der).unwrap()).collect();
        city.trust()
    }
}

fn list(issuer: &Authority, entries: Vec<Entry>) -> RevocationList {
    RevocationList::parse(&issuer.crl(&issuer.crl_plan(), entries)).unwrap()
}

fn revoked(serial: &[u8], reason: Reason) -> Entry {
    Entry { serial: serial.to_vec(), revoked_at: datetime!(2026-05-30 8:00 UTC), reason, invalidity_date: None }
}

fn because(reason: Reason) -> PathError {
    PathError::Revoked { at: datetime!(2026-05-30 8:00 UTC), reason }
}

#[test]
fn a_bureau_is_trusted_and_known() {
    let city = City::new();
    let trusted = city.trust().unwrap();
    assert_eq!(trusted.certificate(), city.certificate);
    let facts = trusted.facts();
    assert_eq!(*facts, CertificateFacts::parse(&city.certificate).unwrap());
    assert_eq!(facts.organization.as_deref(), Some("穗城住房公积金管理中心"));
    assert_eq!(facts.organization_identifier.as_deref(), Some("NTRCN-91440101MAT000018G"));
    assert_eq!(facts.credit_code(), Some("91440101MAT000018G"));
    assert_eq!(facts.emails, ["0123456789@mail.example.cn"]);
    assert_eq!(facts.serial, SERIAL);
    assert_eq!(facts.not_after, datetime!(2027-01-01 0:00 UTC));
    assert_eq!(facts.crl_urls, ["http://ca.example.cn/crl/2.crl"]);
    assert_eq!(facts.ocsp_urls, ["http://ca.example.cn/ocsp"]);
    assert!(!format!("{trusted:?} {facts:?}").contains("穗城"));
}

#[test]
fn a_seal_is_verified_and_its_signer_trusted() {
    let (city, key) = (City::new(), Key::p256());
    let certificate = city.issuing.seal(key.public_key_info(), |_| ());
    let plan = SignerPlan::new(&certificate, &[&city.issuing.certificate]).unwrap();
    let digest: [u8; 32] = DigestAlgorithm::Sha256.digest(b"manifest").try_into().unwrap();
    let verified = verify(&plan.seal(digest, NOW, &key).unwrap(), b"manifest", &[]).unwrap();
    let anchors = Anchors::new(&[&city.root.certificate]).unwrap();
    let validation = Validation { anchors: &anchors, lists: &city.lists, required: &city.required, at: NOW };
    assert_eq!(validation.trust(verified.signer_certificate(), verified.certificates()).unwrap().certificate(), certificate);
}

#[test]
fn time_is_judged_on_every_certificate() {
    let mut city = City::new();
    city.at = datetime!(2027-01-01 0:00:01 UTC);
    assert_eq!(city.refusal(), PathError::Expired);
    city.at = datetime!(2025-12-31 23:59:59 UTC);
    assert_eq!(city.refusal(), PathError::NotYetValid);
    city.at = datetime!(1960-01-01 0:00 UTC);
    assert_eq!(city.refusal(), PathError::NotYetValid);
    assert_eq!(City::changed(|plan| plan.not_after = NOW - Duration::DAY, |_| ()).refusal(), PathError::Expired);
    assert_eq!(City::changed(|plan| plan.not_before = NOW + Duration::DAY, |_| ()).refusal(), PathError::NotYetValid);
    // The anchor's own time too: it ends in 2046.
    let mut city = City::changed(|plan| plan.not_after = datetime!(2049-01-01 0:00 UTC), |plan| plan.not_after = datetime!(2049-01-01 0:00 UTC));
    city.at = datetime!(2047-01-01 0:00 UTC);
    assert_eq!(city.refusal(), PathError::Expired);
}

#[test]
fn strangers_are_unknown() {
    let city = City::new();
    assert_eq!(city.trust_from(&Authority::root("别处")).unwrap_err(), PathError::UnknownIssuer);
    // The same name, another key.
    assert_eq!(city.trust_from(&Authority::root("穗印根")).unwrap_err(), PathError::UnknownIssuer);
    let anchors = Anchors::new(&[&city.root.certificate]).unwrap();
    let validation = Validation { anchors: &anchors, lists: &city.lists, required: &city.required, at: NOW };
    assert_eq!(validation.trust(&city.certificate, &[] as &[&[u8]]).unwrap_err(), PathError::UnknownIssuer);
    assert_eq!(validation.trust(&city.certificate, &[&city.issuing.certificate; 17]).unwrap_err(), PathError::TooMany);
    let nobody = Anchors::new(&[] as &[&[u8]]).unwrap();
    assert_eq!(Validation { anchors: &nobody, ..validation }.trust(&city.certificate, &[&city.issuing.certificate]).unwrap_err(), PathError::UnknownIssuer);
    // Strangers' certificates on the way do no harm.
    let (stranger, twin) = (Authority::root("别处"), city.root.below("穗印机构", |_| ()));
    let all = [&stranger.certificate, &twin.certificate, &city.root.certificate, &city.issuing.certificate];
    assert!(validation.trust(&city.certificate, &all).is_ok());
}

#[test]
fn copies_of_issuers_hide_no_refusal() {
    let root = Authority::root("穗印根");
    let (upper, mut lists) = (root.below("上级", |_| ()), vec![list(&root, vec![])]);
    let lower = upper.below("下级", |_| ());
    let certificate = lower.seal(Key::p256().public_key_info(), |plan| plan.serial = SERIAL);
    lists.extend([list(&upper, vec![]), list(&lower, vec![revoked(&SERIAL, Reason::KeyCompromise)])]);
    let (anchors, required) = (Anchors::new(&[&root.certificate]).unwrap(), seal_wanted());
    let copies: Vec<_> = [&upper.certificate, &lower.certificate].into_iter().cycle().take(16).collect();
    let refusal = Validation { anchors: &anchors, lists: &lists, required: &required, at: NOW }.trust(&certificate, &copies).unwrap_err();
    assert_eq!(refusal, because(Reason::KeyCompromise));
}

#[test]
fn usage_and_constraints() {
    let usage = |holder: fn(&mut CertificatePlan)| City::changed(|_| (), holder).refusal();
    assert_eq!(usage(|plan| plan.extensions.extended_key_usage = vec![CLIENT]), PathError::WrongUsage);
    assert_eq!(usage(|plan| plan.extensions.extended_key_usage = vec![]), PathError::WrongUsage);
    assert_eq!(usage(|plan| plan.extensions.key_usage = vec![1]), PathError::WrongUsage);
    assert_eq!(usage(|plan| plan.extensions.key_usage = vec![]), PathError::WrongUsage);
    assert_eq!(usage(|plan| plan.extensions.basic_constraints = Some(BasicConstraints { ca: true, path_len: None })), PathError::WrongUsage);
    let constraint = |issuing: fn(&mut CertificatePlan)| City::changed(issuing, |_| ()).refusal();
    assert_eq!(constraint(|plan| plan.extensions.basic_constraints = None), PathError::Constraint);
    assert_eq!(constraint(|plan| plan.extensions.basic_constraints = Some(BasicConstraints { ca: false, path_len: None })), PathError::Constraint);
    assert_eq!(constraint(|plan| plan.extensions.key_usage = vec![6]), PathError::Constraint);
    assert_eq!(constraint(|plan| plan.extensions.extended_key_usage = vec![CLIENT]), PathError::Constraint);
    assert!(City::changed(|plan| plan.extensions.extended_key_usage = vec![CLIENT, EMAIL], |_| ()).trust().is_ok());
    // A holder's certificate does not issue; a short path length does not stretch.
    let mut city = City::changed(|plan| plan.extensions.basic_constraints = Some(BasicConstraints { ca: true, path_len: Some(0) }), |_| ());
    let lower = city.issuing.below("下级", |_| ());
    city.certificate = lower.seal(Key::p256().public_key_info(), |_| ());
    city.lists.push(list(&lower, vec![]));
    let anchors = Anchors::new(&[&city.root.certificate]).unwrap();
    let validation = Validation { anchors: &anchors, lists: &city.lists, required: &city.required, at: NOW };
    assert_eq!(validation.trust(&city.certificate, &[&lower.certificate, &city.issuing.certificate]).unwrap_err(), PathError::Constraint);
}

#[test]
fn policy_holds_along_the_path() {
    assert_eq!(City::changed(|_| (), |plan| plan.extensions.policies = vec![OTHER_POLICY]).refusal(), PathError::WrongPolicy);
    assert_eq!(City::changed(|_| (), |plan| plan.extensions.policies = vec![]).refusal(), PathError::WrongPolicy);
    assert_eq!(City::changed(|_| (), |plan| plan.extensions.policies = vec![city::ANY_POLICY]).refusal(), PathError::WrongPolicy);
    assert_eq!(City::changed(|plan| plan.extensions.policies = vec![OTHER_POLICY], |_| ()).refusal(), PathError::WrongPolicy);
    assert_eq!(City::changed(|plan| plan.extensions.policies = vec![], |_| ()).refusal(), PathError::WrongPolicy);
    assert!(City::changed(|plan| plan.extensions.policies = vec![POLICY], |_| ()).trust().is_ok());
    let mut city = City::changed(|_| (), |plan| plan.extensions.policies = vec![OTHER_POLICY]);
    city.required.policies.push(OTHER_POLICY);
    assert!(city.trust().is_ok());
    let mut city = City::changed(|_| (), |plan| plan.extensions.policies = vec![]);
    city.required.policies.clear();
    assert!(city.trust().is_ok());
}

#[test]
fn the_revoked_are_refused_with_the_reason() {
    let mut city = City::new();
    for reason in [Reason::KeyCompromise, Reason::CertificateHold, Reason::Unspecified] {
        city.lists = vec![list(&city.root, vec![]), list(&city.issuing, vec![revoked(&[1], Reason::Superseded), revoked(&SERIAL, reason)])];
        assert_eq!(city.refusal(), because(reason));
    }
    // The issuing authority itself; and a serial of another issuer is nobody's.
    let own = CertificateFacts::parse(&city.issuing.certificate).unwrap().serial;
    city.lists = vec![list(&city.root, vec![revoked(&own, Reason::CaCompromise)]), list(&city.issuing, vec![])];
    assert_eq!(city.refusal(), because(Reason::CaCompromise));
    city.lists = vec![list(&city.root, vec![revoked(&SERIAL, Reason::KeyCompromise)]), list(&city.issuing, vec![revoked(&own, Reason::KeyCompromise)])];
    assert!(city.trust().is_ok());
}

#[test]
fn without_a_current_list_nothing_is_known() {
    let unknown = |lists: &dyn Fn(&City) -> Vec<Vec<u8>>| City::with_lists(lists).unwrap_err();
    let fresh = |issuer: &Authority| issuer.crl(&issuer.crl_plan(), vec![]);
    assert_eq!(unknown(&|_| vec![]), PathError::RevocationUnknown);
    assert_eq!(unknown(&|city| vec![fresh(&city.issuing)]), PathError::RevocationUnknown);
    assert_eq!(unknown(&|city| vec![fresh(&city.root)]), PathError::RevocationUnknown);
    // Of the issuer's name, signed by another.
    assert_eq!(unknown(&|city| vec![fresh(&city.root), fresh(&city.root.below("穗印机构", |_| ()))]), PathError::RevocationUnknown);
    let dated = |city: &City, from: OffsetDateTime, to: OffsetDateTime| {
        let mut plan = city.issuing.crl_plan();
        (plan.this_update, plan.next_update) = (from, to);
        vec![fresh(&city.root), city.issuing.crl(&plan, vec![])]
    };
    assert_eq!(unknown(&|city| dated(city, NOW - Duration::DAY, NOW)), PathError::RevocationUnknown);
    assert_eq!(unknown(&|city| dated(city, NOW + Duration::SECOND, NOW + Duration::DAY)), PathError::RevocationUnknown);
    assert!(City::with_lists(|city| dated(city, NOW, NOW + Duration::SECOND)).is_ok());
    // An authority that may not sign lists.
    let city = City::changed(|plan| plan.extensions.key_usage = vec![5], |_| ());
    assert_eq!(city.refusal(), PathError::RevocationUnknown);
}

#[test]
fn the_newest_list_within_its_scope_decides() {
    let lists = |point: &'static str, entries: Vec<Entry>, hours: i64| {
        move |city: &City| {
            let mut plan = city.issuing.crl_plan();
            plan.this_update += Duration::hours(hours);
            plan.distribution_point = (!point.is_empty()).then(|| point.to_owned());
            city.issuing.crl(&plan, entries.clone())
        }
    };
    type Make<'a> = &'a dyn Fn(&City) -> Vec<u8>;
    let with = |all: &[Make<'_>]| {
        City::with_lists(|city| all.iter().map(|one| one(city)).chain([city.root.crl(&city.root.crl_plan(), vec![])]).collect())
    };
    let held = vec![revoked(&SERIAL, Reason::CertificateHold)];
    let own = "http://ca.example.cn/crl/2.crl";
    let (before, after) = (lists("", held.clone(), 0), lists("", vec![], 1));
    assert!(with(&[&before, &after]).is_ok());
    assert!(with(&[&after, &before]).is_ok());
    // Two of one moment, in either order.
    let same = lists("", vec![], 0);
    assert_eq!(with(&[&before, &same]).unwrap_err(), because(Reason::CertificateHold));
    assert_eq!(with(&[&same, &before]).unwrap_err(), because(Reason::CertificateHold));
    let later = lists("", held.clone(), 2);
    assert_eq!(with(&[&later, &after]).unwrap_err(), because(Reason::CertificateHold));
    // Partitions: its own counts, another is not about it.
    assert!(with(&[&lists(own, vec![], 0)]).is_ok());
    assert_eq!(with(&[&lists(own, held, 0)]).unwrap_err(), because(Reason::CertificateHold));
    assert_eq!(with(&[&lists("http://ca.example.cn/crl/3.crl", vec![], 0)]).unwrap_err(), PathError::RevocationUnknown);
}

#[test]
fn damage_is_never_trusted() {
    let city = City::new();
    let anchors = Anchors::new(&[&city.root.certificate]).unwrap();
    let validation = Validation { anchors: &anchors, lists: &city.lists, required: &city.required, at: NOW };
    for at in 0..city.certificate.len() {
        let mut damaged = city.certificate.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(validation.trust(&damaged, &[&city.issuing.certificate]).is_err(), "{at}");
        assert!(validation.trust(&city.certificate[..at], &[&city.issuing.certificate]).is_err(), "{at}");
    }
    let good = city.issuing.crl(&city.issuing.crl_plan(), vec![revoked(&[9], Reason::Superseded)]);
    let root = || city.root.crl(&city.root.crl_plan(), vec![]);
    for at in 0..good.len() {
        assert!(RevocationList::parse(&good[..at]).is_err());
        for bit in 0..8 {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            let Ok(list) = RevocationList::parse(&damaged) else { continue };
            let lists = [list, RevocationList::parse(&root()).unwrap()];
            let refusal = Validation { lists: &lists, ..validation }.trust(&city.certificate, &[&city.issuing.certificate]);
            assert_eq!(refusal.unwrap_err(), PathError::RevocationUnknown, "{at}");
        }
    }
}

#[test]
fn facts_of_odd_certificates() {
    let issuer = Authority::root("穗印根");
    let facts = |change: fn(&mut CertificatePlan)| CertificateFacts::parse(&issuer.seal(Key::p256().public_key_info(), change));
    let bare = facts(|plan| (plan.subject, plan.extensions) = (Subject::new().with(COMMON_NAME, "x").unwrap(), Default::default())).unwrap();
    assert_eq!((bare.common_name.as_deref(), bare.organization, bare.emails.len(), bare.crl_urls.len()), (Some("x"), None, 0, 0));
    assert!(facts(|plan| plan.subject = plan.subject.clone().with(ORGANIZATION, "又一个").unwrap()).is_err());
    assert!(facts(|plan| plan.subject = Subject::new().with(COMMON_NAME, "a\nb").unwrap()).is_err());
    let contradicted = facts(|plan| plan.extensions.credit_code = Some("91440101MAT000026B".into())).unwrap();
    assert_eq!(contradicted.credit_code(), None);
    let agreed = facts(|plan| plan.extensions.credit_code = Some("91440101MAT000018G".into())).unwrap();
    assert_eq!(agreed.credit_code(), Some("91440101MAT000018G"));
}

/// A hierarchy of other software: another encoder, P-384 at the root, its own lists.
mod foreign {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
        KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    };

    fn params(name: &str, authority: bool, policy: &Oid) -> CertificateParams {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (datetime!(2026-01-01 0:00 UTC), datetime!(2027-01-01 0:00 UTC));
        params.serial_number = Some(SerialNumber::from(vec![0x17]));
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        } else {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        }
        let policies = pki::asn1::seq(&[&pki::asn1::seq(&[&pki::asn1::oid(policy)])]);
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], policies));
        params
    }

    fn list_of(issuer: &Issuer<'_, KeyPair>, revoked: Vec<RevokedCertParams>) -> Vec<u8> {
        let params = CertificateRevocationListParams {
            this_update: NOW - Duration::HOUR,
            next_update: NOW + Duration::HOUR,
            crl_number: SerialNumber::from(vec![1]),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap().der().to_vec()
    }

    /// Decides about a holder whose issuing certificate has `extension` too and whose issuer revoked `entries`.
    fn trust(extension: Option<CustomExtension>, entries: Vec<RevokedCertParams>) -> Result<Trusted, PathError> {
        trust_named(extension, entries, &[])
    }

    /// And whose holder has these mail addresses.
    fn trust_named(extension: Option<CustomExtension>, entries: Vec<RevokedCertParams>, mail: &[&str]) -> Result<Trusted, PathError> {
        let root_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let root_params = params("Foreign Root", true, &city::ANY_POLICY);
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let issuing_key = KeyPair::generate().unwrap();
        let mut issuing_params = params("Foreign Issuing", true, &POLICY);
        issuing_params.custom_extensions.extend(extension);
        let issuing = issuing_params.signed_by(&issuing_key, &root_issuer).unwrap();
        let issuer = Issuer::new(issuing_params, issuing_key);
        let mut holder_params = params("Foreign Holder", false, &POLICY);
        holder_params.subject_alt_names = mail.iter().map(|one| SanType::Rfc822Name((*one).try_into().unwrap())).collect();
        let holder = holder_params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let anchors = Anchors::new(&[root.der()]).unwrap();
        let lists = [list_of(&root_issuer, vec![]), list_of(&issuer, entries)].map(|der| RevocationList::parse(&der).unwrap());
        Validation { anchors: &anchors, lists: &lists, required: &seal_wanted(), at: NOW }.trust(holder.der(), &[issuing.der()])
    }

    #[test]
    fn is_judged_alike() {
        assert_eq!(trust(None, vec![]).unwrap().facts().common_name.as_deref(), Some("Foreign Holder"));
        let entry = RevokedCertParams {
            serial_number: SerialNumber::from(vec![0x17]),
            revocation_time: datetime!(2026-05-30 8:00 UTC),
            reason_code: Some(rcgen::RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        assert_eq!(trust(None, vec![entry]).unwrap_err(), because(Reason::KeyCompromise));
    }

    fn critical(id: u64, content: Vec<u8>) -> CustomExtension {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, id], content);
        extension.set_criticality(true);
        extension
    }

    #[test]
    fn an_authority_for_some_mail_addresses_names_no_others() {
        let bases = |tag: u8, kind: u8, bases: &[&str]| {
            let all: Vec<u8> = bases.iter().flat_map(|base| pki::asn1::seq(&[&pki::asn1::tlv(kind, base.as_bytes())])).collect();
            pki::asn1::tlv(tag, &all)
        };
        let named = |constraints: &[Vec<u8>], mail: &[&str]| trust_named(Some(critical(30, pki::asn1::tlv(0x30, &constraints.concat()))), vec![], mail).map(drop);
        let permitted = [bases(0xa0, 0x81, &["mail.example.cn", ".gov.example.cn", "post@example.cn"])];
        for good in [&["a@mail.example.cn"][..], &["a@x.gov.example.cn", "post@EXAMPLE.cn"], &[]] {
            assert_eq!(named(&permitted, good), Ok(()), "{good:?}");
        }
        for bad in [&["a@example.cn"][..], &["a@mail.example.cn", "a@elsewhere.cn"], &["a@x.mail.example.cn"], &["a@gov.example.cn"], &["a"], &["\"a@mail.example.cn\"@elsewhere.cn"]] {
            assert_eq!(named(&permitted, bad), Err(PathError::Constraint), "{bad:?}");
        }
        let both = [permitted[0].clone(), bases(0xa1, 0x81, &["root@mail.example.cn"])];
        assert_eq!(named(&both, &["a@mail.example.cn"]), Ok(()));
        assert_eq!(named(&both, &["root@mail.example.cn"]), Err(PathError::Constraint));
        // On hosts alone: mail addresses are free. Of kinds that are not compared: a name of that kind is refused.
        assert_eq!(named(&[bases(0xa0, 0x82, &["example.cn"])], &["a@elsewhere.cn"]), Ok(()));
        assert_eq!(named(&[bases(0xa0, 0x81, &["a b"])], &["a@elsewhere.cn"]), Err(PathError::Constraint));
        let minimum = pki::asn1::tlv(0xa0, &pki::asn1::seq(&[&pki::asn1::tlv(0x81, b"mail.example.cn"), &pki::asn1::tlv(0x80, &[1])]));
        assert!(matches!(named(&[minimum], &["a@mail.example.cn"]), Err(PathError::Malformed(_))));
    }

    #[test]
    fn what_is_critical_is_understood_or_refused() {
        let with = |id: u64, content: Vec<u8>| trust(Some(critical(id, content)), vec![]).map(drop);
        assert_eq!(with(99, vec![5, 0]), Err(PathError::Malformed("a critical extension that is not understood".into())));
        // Policies are asked for anyway; that any policy shall count no more changes nothing here.
        assert_eq!((with(36, vec![0x30, 3, 0x80, 1, 0]), with(54, vec![2, 1, 0])), (Ok(()), Ok(())));
        assert!(matches!(with(36, vec![0x30, 3, 0x80, 1, 0xff]), Err(PathError::Malformed(_))));
    }

    #[test]
    fn a_heap_of_certificates_of_one_name_keeps_nobody_busy() {
        let key = KeyPair::generate().unwrap();
        let heap: Vec<Vec<u8>> = (0..16_u8)
            .map(|serial| {
                let mut one = params("Heap", true, &POLICY);
                one.serial_number = Some(SerialNumber::from(vec![serial + 1]));
                one.self_signed(&key).unwrap().der().to_vec()
            })
            .collect();
        let issuer = Issuer::new(params("Heap", true, &POLICY), key);
        let holder = params("Holder", false, &POLICY).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let anchors = Anchors::new(&[Authority::root("穗印根").certificate]).unwrap();
        let began = std::time::Instant::now();
        let refused = Validation { anchors: &anchors, lists: &[], required: &seal_wanted(), at: NOW }.trust(holder.der(), &heap);
        assert_eq!(refused.unwrap_err(), PathError::Malformed("too many certificates of one name".into()));
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn policies_are_not_mapped() {
        let mapping = pki::asn1::seq(&[&pki::asn1::seq(&[&pki::asn1::oid(&POLICY), &pki::asn1::oid(&OTHER_POLICY)])]);
        // Not critical, so that nobody but us need look at it.
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, 33], mapping);
        assert_eq!(trust(Some(extension), vec![]).unwrap_err(), PathError::Malformed("policy mappings".into()));
    }
}

#[test]
fn lists_that_do_not_count() {
    let issuer = Authority::root("穗印根");
    let mut plan = issuer.crl_plan();
    plan.distribution_point = Some("http://ca.example.cn/crl/2.crl".into());
    let good = issuer.crl(&plan, vec![revoked(&[7], Reason::Superseded)]);
    assert!(RevocationList::parse(&good).is_ok());
    let replaced = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        RevocationList::parse(&[&good[..at], to, &good[at + from.len()..]].concat()).unwrap_err()
    };
    // The issuingDistributionPoint becomes a delta indicator, or an extension nobody knows.
    assert_eq!(replaced(&[0x55, 0x1d, 28], &[0x55, 0x1d, 27]), ListError::Partial);
    assert_eq!(replaced(&[0x55, 0x1d, 28], &[0x55, 0x1d, 99]), ListError::Critical);
    // Version 1.
    assert_eq!(replaced(&[2, 1, 1], &[2, 1, 0]), ListError::Profile);
    let twice = issuer.crl(&plan, vec![revoked(&[7], Reason::Superseded), revoked(&[7], Reason::KeyCompromise)]);
    assert_eq!(RevocationList::parse(&twice).unwrap_err().to_string(), "the CRL is damaged: a DER value is not valid: a serial that is revoked twice; fetch it again, in DER");
}
