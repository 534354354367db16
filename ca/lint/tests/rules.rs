//! What `pki` builds passes; each thing broken is named by its rule.
#![allow(clippy::unwrap_used)]
use lint::{Issuer, ProfileFacts, lint_certificate, lint_crl};
use pki::certificate::{AlternativeName, BasicConstraints, CertificatePlan, Extensions, assemble, key_id, tbs_der};
use pki::name::{COMMON_NAME, COUNTRY, ORGANIZATION_IDENTIFIER, Subject};
use pki::signer::SignatureAlgorithm::EcdsaP256Sha256 as P256;
use time::{Duration, OffsetDateTime, macros::datetime};

const CODE: &str = "91440101MA5XXXXXXX";
const START: OffsetDateTime = datetime!(2026-11-24 00:00 UTC);

fn spki(seed: u8) -> Vec<u8> {
    let head = [0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4];
    [&head[..], &[seed; 64]].concat()
}

fn oid(text: &str) -> der::asn1::ObjectIdentifier {
    text.parse().unwrap()
}

fn root_plan() -> CertificatePlan {
    let subject = Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, "穗印根").unwrap();
    CertificatePlan {
        serial: [0x11; 16],
        issuer: subject.to_der(),
        subject,
        not_before: START - Duration::days(1),
        not_after: datetime!(2056-01-01 00:00 UTC),
        spki: spki(1),
        extensions: Extensions { key_usage: vec![5, 6], basic_constraints: Some(BasicConstraints { ca: true, path_len: Some(1) }), ..Extensions::default() },
    }
}

fn leaf_plan() -> CertificatePlan {
    let named = Subject::new().with(COUNTRY, "CN").unwrap().with(ORGANIZATION_IDENTIFIER, &format!("NTRCN-{CODE}")).unwrap();
    CertificatePlan {
        serial: [0x22; 16],
        issuer: root_plan().subject.to_der(),
        subject: named,
        not_before: START,
        not_after: START + Duration::days(365) - Duration::seconds(1),
        spki: spki(2),
        extensions: Extensions {
            key_usage: vec![0, 1],
            extended_key_usage: vec![oid("1.3.6.1.5.5.7.3.4")],
            policies: vec![oid("1.3.6.1.4.1.32473.1")],
            alternative_names: vec![AlternativeName::Email("1234567890@example.cn".into())],
            crl_urls: vec!["http://127.0.0.1/a.crl".into()],
            ocsp_urls: vec!["http://127.0.0.1/ocsp".into()],
            authority_key_id: Some(key_id(&spki(1)).unwrap()),
            credit_code: Some(CODE.into()),
            ..Extensions::default()
        },
    }
}

fn oids(list: &[&str]) -> Vec<der::asn1::ObjectIdentifier> {
    list.iter().map(|one| oid(one)).collect()
}

fn leaf_facts() -> ProfileFacts {
    ProfileFacts {
        key_usage: 3,
        extended_key_usage: oids(&["1.3.6.1.5.5.7.3.4"]),
        policies: oids(&["1.3.6.1.4.1.32473.1"]),
        extensions: oids(&["2.5.29.35", "2.5.29.14", "2.5.29.15", "2.5.29.37", "2.5.29.32", "2.5.29.17", "2.5.29.31", "1.3.6.1.5.5.7.1.1", "1.2.156.10260.4.1.4"]),
        subject: vec![(oid("2.5.4.6"), "CN".into()), (oid("2.5.4.97"), format!("NTRCN-{CODE}"))],
        validity: (START.unix_timestamp(), START.unix_timestamp() + 365 * 86_400 - 1),
        alternative_names: vec![(1, b"1234567890@example.cn".to_vec())],
        crl_urls: vec!["http://127.0.0.1/a.crl".into()],
        ocsp_urls: vec!["http://127.0.0.1/ocsp".into()],
        public_key: spki(2),
        key_id: key_id(&spki(2)).unwrap(),
        ..ProfileFacts::default()
    }
}

fn made(plan: &CertificatePlan) -> Vec<u8> {
    assemble(&tbs_der(plan, P256).unwrap(), P256, &[0x30, 6, 2, 1, 1, 2, 1, 1])
}

fn root() -> Issuer {
    Issuer::parse(&made(&root_plan())).unwrap()
}

fn broken(der: &[u8]) -> Vec<&'static str> {
    lint_certificate(der, Some(&root()), &leaf_facts()).iter().map(|found| found.rule).collect()
}

fn stamp_plan() -> CertificatePlan {
    let mut plan = leaf_plan();
    plan.extensions.extended_key_usage = vec![oid("1.3.6.1.5.5.7.3.8")];
    plan.extensions.extended_key_usage_critical = true;
    plan.extensions.key_usage = vec![0];
    plan.extensions.private_key_period = Some((START, START + Duration::days(30) - Duration::seconds(1)));
    plan
}

fn stamp_facts() -> ProfileFacts {
    let mut facts = leaf_facts();
    facts.extended_key_usage = oids(&["1.3.6.1.5.5.7.3.8"]);
    facts.key_usage = 1;
    facts.private_key_until = Some(START.unix_timestamp() + 30 * 86_400 - 1);
    facts.extensions.push(oid("2.5.29.16"));
    facts
}

#[test]
fn a_timestamp_signer_does_nothing_else_and_its_key_ends_as_planned() {
    let issuer = Issuer::parse(&made(&root_plan())).unwrap();
    let found = |plan: &CertificatePlan, facts: &ProfileFacts| -> Vec<&'static str> { lint_certificate(&made(plan), Some(&issuer), facts).iter().map(|finding| finding.rule).collect() };
    assert_eq!(found(&stamp_plan(), &stamp_facts()), [""; 0]);
    let changed = |change: fn(&mut CertificatePlan, &mut ProfileFacts)| {
        let (mut plan, mut facts) = (stamp_plan(), stamp_facts());
        change(&mut plan, &mut facts);
        found(&plan, &facts)
    };
    // What a profile would be wrong to ask for is found though it is the profile's.
    assert_eq!(changed(|plan, _| plan.extensions.extended_key_usage_critical = false), ["timestamp-signer"]);
    assert_eq!(changed(|plan, facts| {
        plan.extensions.extended_key_usage.push(oid("1.3.6.1.5.5.7.3.2"));
        facts.extended_key_usage.push(oid("1.3.6.1.5.5.7.3.2"));
    }), ["timestamp-signer"]);
    assert_eq!(changed(|plan, facts| (plan.extensions.key_usage, facts.key_usage) = (vec![0, 1], 3)), ["timestamp-signer"]);
    assert_eq!(changed(|plan, facts| {
        plan.extensions.private_key_period = None;
        facts.private_key_until = None;
        facts.extensions.pop();
    }), ["timestamp-signer"]);
    // And what is not the planned period.
    for (from, days) in [(START, 31), (START + Duration::days(1), 30), (START, 400), (START - Duration::days(1), 30)] {
        let mut plan = stamp_plan();
        plan.extensions.private_key_period = Some((from, START + Duration::days(days) - Duration::seconds(1)));
        assert_eq!(found(&plan, &stamp_facts()), ["profile-key-period"], "{from} {days}");
    }
    assert!(changed(|plan, _| plan.extensions.private_key_period = None).contains(&"profile-key-period"));
    assert!(changed(|_, facts| facts.private_key_until = None).contains(&"profile-key-period"));
}

#[test]
fn what_we_build_passes() {
    assert_eq!(lint_certificate(&made(&leaf_plan()), Some(&root()), &leaf_facts()), []);
    let facts = ProfileFacts {
        ca: true,
        path_len: Some(1),
        key_usage: 0x60,
        extensions: oids(&["2.5.29.14", "2.5.29.15", "2.5.29.19"]),
        subject: vec![(oid("2.5.4.6"), "CN".into()), (oid("2.5.4.3"), "穗印根".into())],
        validity: (root_plan().not_before.unix_timestamp(), root_plan().not_after.unix_timestamp()),
        public_key: spki(1),
        key_id: key_id(&spki(1)).unwrap(),
        ..ProfileFacts::default()
    };
    assert_eq!(lint_certificate(&made(&root_plan()), None, &facts), []);
}

#[test]
fn each_plan_that_is_wrong_is_named() {
    type Change = fn(&mut CertificatePlan);
    let cases: &[(Change, &[&str])] = &[
        (|p| p.serial = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], &["serial-positive-64-to-160-bits"]),
        (|p| p.issuer = Subject::new().to_der(), &["issuer-is-issuers-subject"]),
        (|p| p.not_before = START - Duration::days(2), &["validity-in-issuers", "profile-validity"]),
        (|p| p.not_after += Duration::seconds(1), &["profile-validity"]),
        (|p| p.extensions.authority_key_id = Some(vec![1; 20]), &["key-identifiers"]),
        (|p| p.extensions.key_usage = vec![0, 5], &["key-cert-sign-iff-ca", "profile-usage"]),
        (|p| p.extensions.key_usage = vec![0], &["profile-usage"]),
        (|p| p.extensions.extended_key_usage = vec![oid("2.5.29.37.0")], &["no-any-extended-key-usage", "profile-usage"]),
        (|p| p.extensions.extended_key_usage = vec![oid("1.3.6.1.5.5.7.3.9")], &["ocsp-signer", "profile-usage"]),
        (|p| p.extensions.policies.push(oid("1.3.6.1.4.1.32473.2")), &["profile-policies"]),
        (|p| p.extensions.crl_urls = vec!["ldap://x".into()], &["addresses-are-http", "profile-addresses"]),
        (|p| p.extensions.ocsp_urls = vec!["http:///x".into()], &["addresses-are-http", "profile-addresses"]),
        (|p| p.extensions.alternative_names = vec![AlternativeName::Dns("a.cn".into())], &["profile-names"]),
        (|p| p.extensions.alternative_names = vec![AlternativeName::Email("nobody".into())], &["alternative-names", "profile-names"]),
        (|p| p.extensions.credit_code = Some("91440101MA5YYYYYYY".into()), &["credit-code-is-organization-identifier"]),
        (|p| p.extensions.ocsp_no_check = true, &["profile-extensions"]),
        (|p| p.subject = p.subject.clone().with(COMMON_NAME, "x").unwrap(), &["profile-subject"]),
        (|p| p.spki[26] = 2, &["key-allowed", "profile-key"]),
    ];
    for (number, (change, expected)) in cases.iter().enumerate() {
        let mut plan = leaf_plan();
        change(&mut plan);
        assert_eq!(broken(&made(&plan)), *expected, "case {number}");
    }
}

/// Replaces the last occurrence of some bytes by others of the same length.
fn replaced(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = der.windows(from.len()).rposition(|window| window == from).unwrap();
    [&der[..at], to, &der[at + from.len()..]].concat()
}

#[test]
fn what_the_builder_cannot_write() {
    let good = made(&leaf_plan());
    let rules = |from: &[u8], to: &[u8]| broken(&replaced(&good, from, to));
    assert_eq!(rules(&[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1]), ["version-is-3"]);
    assert!(rules(&[1, 1, 0xff], &[1, 1, 1]).contains(&"der-canonical"));
    assert!(rules(&[1, 1, 0xff], &[1, 1, 0]).contains(&"der-canonical"));
    assert!(rules(&[0x13, 2, b'C', b'N'], &[0x13, 2, b'c', b'n']).contains(&"name-strings"));
    assert!(rules(&[0x13, 2, b'C', b'N'], &[0x16, 2, b'C', b'N']).contains(&"name-strings"));
    assert!(rules(&[6, 3, 0x55, 0x1d, 14], &[6, 3, 0x55, 0x1d, 35]).contains(&"extensions-parse-and-unique"));
    assert!(rules(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]).contains(&"signature-algorithms-equal-and-allowed"));
}

#[test]
fn damaged_bytes_never_panic() {
    let good = made(&leaf_plan());
    for at in 0..good.len() {
        assert_eq!(broken(&good[..at]), ["certificate-parses"]);
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            broken(&bad);
        }
    }
    assert_eq!(broken(&[good.as_slice(), &[0]].concat()), ["certificate-parses"]);
    assert_eq!(Issuer::parse(&good[1..]).unwrap_err().rule, "issuer-parses");
}

fn crl(change: fn(&mut pki::crl::CrlPlan), entries: Vec<pki::crl::Entry>) -> Vec<&'static str> {
    let mut plan = pki::crl::CrlPlan {
        issuer: root_plan().subject.to_der(),
        this_update: START,
        next_update: START + Duration::days(1),
        number: 7,
        authority_key_id: key_id(&spki(1)).unwrap(),
        distribution_point: Some("http://127.0.0.1/a.crl".into()),
        delta_of: None,
        freshest: None,
    };
    change(&mut plan);
    let der = assemble(&pki::crl::build_tbs(&plan, P256, entries), P256, &[0x30, 6, 2, 1, 1, 2, 1, 1]);
    lint_crl(&der, &root()).iter().map(|found| found.rule).collect()
}

#[test]
fn lists() {
    let entry = |serial: u8| pki::crl::Entry { serial: vec![serial; 16], revoked_at: START, reason: pki::crl::Reason::KeyCompromise, invalidity_date: None };
    assert!(crl(|_| (), vec![entry(1), entry(2)]).is_empty());
    assert!(crl(|_| (), vec![]).is_empty());
    assert_eq!(crl(|_| (), vec![entry(1), entry(1)]), ["crl-serials-unique"]);
    assert_eq!(crl(|plan| plan.next_update = plan.this_update, vec![]), ["crl-next-update"]);
    assert_eq!(crl(|plan| plan.authority_key_id = vec![0; 20], vec![]), ["crl-authority-key"]);
    assert_eq!(crl(|plan| plan.issuer = Subject::new().to_der(), vec![]), ["crl-issuer"]);
}

#[test]
fn an_empty_list_of_the_revoked_is_named() {
    let plan = pki::crl::CrlPlan {
        issuer: root_plan().subject.to_der(),
        this_update: START,
        next_update: START + Duration::days(1),
        number: 7,
        authority_key_id: key_id(&spki(1)).unwrap(),
        distribution_point: None,
        delta_of: None,
        freshest: None,
    };
    let mut tbs = pki::crl::build_tbs(&plan, P256, []);
    let at = tbs.windows(2).rposition(|window| window[0] == 0xa0 && usize::from(window[1]) == tbs.len() - window.len() - at_of(&tbs, window)).unwrap();
    tbs.splice(at..at, [0x30, 0]);
    let length = tbs.len() - 3;
    assert_eq!(tbs[1], 0x81);
    tbs[2] = u8::try_from(length).unwrap();
    let der = assemble(&tbs, P256, &[0x30, 6, 2, 1, 1, 2, 1, 1]);
    let found: Vec<_> = lint_crl(&der, &root()).iter().map(|found| found.rule).collect();
    assert_eq!(found, ["crl-no-empty-list"]);
}

/// Where a window of `bytes` begins.
fn at_of(bytes: &[u8], window: &[u8]) -> usize {
    window.as_ptr() as usize - bytes.as_ptr() as usize
}

#[test]
fn an_authority_bound_to_mail_domains_certifies_nothing_else() {
    let bound = |domains: &[&str]| {
        let mut plan = root_plan();
        plan.extensions.name_constraints = Some(pki::certificate::NameConstraints { mail_domains: domains.iter().map(|domain| (*domain).to_owned()).collect() });
        plan
    };
    let found = |domains: &[&str], plan: &CertificatePlan| {
        let issuer = Issuer::parse(&made(&bound(domains))).unwrap();
        lint_certificate(&made(plan), Some(&issuer), &leaf_facts()).iter().any(|found| found.rule == "names-within-constraints")
    };
    assert!(!found(&["other.cn", "EXAMPLE.cn"], &leaf_plan()));
    // Neither a domain above, nor one below, nor another.
    for domains in [&["cn"][..], &["mail.example.cn"], &["other.cn"]] {
        assert!(found(domains, &leaf_plan()), "{domains:?}");
    }
    for name in [AlternativeName::Dns("example.cn".into()), AlternativeName::Ip([127, 0, 0, 1].into()), AlternativeName::Ip([0u16; 8].into())] {
        let mut plan = leaf_plan();
        plan.extensions.alternative_names.push(name.clone());
        assert!(found(&["example.cn"], &plan), "{name:?}");
    }
    // What binds is what was planned, whole and in order.
    let facts = |domains: &[&str]| ProfileFacts {
        ca: true,
        path_len: Some(1),
        key_usage: 0x60,
        extensions: oids(&["2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.30"]),
        subject: vec![(oid("2.5.4.6"), "CN".into()), (oid("2.5.4.3"), "穗印根".into())],
        validity: (root_plan().not_before.unix_timestamp(), root_plan().not_after.unix_timestamp()),
        mail_domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        public_key: spki(1),
        key_id: key_id(&spki(1)).unwrap(),
        ..ProfileFacts::default()
    };
    assert_eq!(lint_certificate(&made(&bound(&["a.cn", "b.cn"])), None, &facts(&["a.cn", "b.cn"])), []);
    for wrong in [&["a.cn"][..], &["b.cn", "a.cn"], &["a.cn", "b.cn", "c.cn"], &[]] {
        let rules: Vec<_> = lint_certificate(&made(&bound(&["a.cn", "b.cn"])), None, &facts(wrong)).iter().map(|found| found.rule).collect();
        assert_eq!(rules, ["profile-constraints"], "{wrong:?}");
    }
}
