//! The shipped profiles: their meaning, and what they decide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use policies::certificate::{
    Applicant, AuthorityName, Email, HostName, HostNames, Issuer, IssuerFacts, KeyAlgorithm, OfficerName, OfficerNumber, OrganizationName,
    Plan, Policies, Profile, Pseudonym, Refusal, RequestFacts, RequestedName, SHIPPED,
};
use policies::identity::CreditCode;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00.75 UTC);

fn shipped() -> Policies {
    Policies::parse(SHIPPED).unwrap()
}

fn profile(name: &str) -> Profile {
    shipped().profile(name).unwrap().clone()
}

fn issuer(issuer: Issuer) -> IssuerFacts {
    IssuerFacts { issuer, not_before: datetime!(2026-01-01 0:00 UTC), not_after: datetime!(2035-12-31 23:59:59 UTC) }
}

fn enterprise(mailbox: Option<&str>) -> Applicant {
    Applicant::Organization {
        name: OrganizationName::parse("广州某某有限公司").unwrap(),
        code: CreditCode::parse("91440101MAT000018G").unwrap(),
        mailbox: mailbox.map(|text| Email::parse(text).unwrap()),
    }
}

fn server(names: &[&str], addresses: &[[u8; 4]]) -> Applicant {
    let names = names.iter().map(|name| HostName::parse(name).unwrap()).collect();
    Applicant::Host(HostNames::new(names, addresses.iter().map(|&four| four.into()).collect()).unwrap())
}

const PLAIN: RequestFacts<'static> =
    RequestFacts { key: KeyAlgorithm::P256, subject: &[], alternative_names: &[], asks_for_ca: false };

fn subject(plan: &Plan) -> Vec<(String, &str)> {
    plan.subject.iter().map(|(oid, value)| (oid.to_string(), value.as_str())).collect()
}

fn oids(list: &[const_oid::ObjectIdentifier]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// `SUIYIN_GOLDEN=write cargo test -p policies` writes the files anew; read what changed before it is kept.
#[test]
fn the_meaning_of_every_shipped_profile_is_the_one_we_agreed_to() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names = Vec::new();
    for profile in shipped().profiles() {
        let path = directory.join(format!("{}.txt", profile.name()));
        if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
            std::fs::write(&path, profile.resolved()).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(profile.resolved(), golden, "the meaning of {} changed", profile.name());
        names.push(path);
    }
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.is_dir() || names.contains(&path), "a golden file without a profile");
    }
}

#[test]
fn every_document_of_the_directory_is_shipped() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certificates");
    let mut found: Vec<String> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, SHIPPED.map(|(file, _)| file));
}

#[test]
fn an_enterprise_gets_what_the_profile_says() {
    let facts = issuer(Issuer::Enterprise);
    let plan = profile("enterprise-signing").decide(&enterprise(None), &PLAIN, Some(&facts), NOW).unwrap();
    assert_eq!(
        subject(&plan),
        [
            ("2.5.4.6".to_owned(), "CN"),
            ("2.5.4.8".to_owned(), "广东省"),
            ("2.5.4.7".to_owned(), "广州市"),
            ("2.5.4.10".to_owned(), "广州某某有限公司"),
            ("2.5.4.97".to_owned(), "NTRCN-91440101MAT000018G"),
            ("2.5.4.3".to_owned(), "广州某某有限公司"),
        ]
    );
    assert_eq!(plan.credit_code.as_deref(), Some("91440101MAT000018G"));
    assert_eq!(oids(&plan.extended_key_usage), ["1.3.6.1.5.5.7.3.2"]);
    assert_eq!(oids(&plan.policies), ["1", "2", "3", "4", "9"].map(|last| format!("1.3.6.1.4.1.32473.1.{last}")));
    assert_eq!(plan.not_before, datetime!(2026-11-24 11:55:00 UTC));
    assert_eq!(plan.not_after - plan.not_before, Duration::days(730) - Duration::SECOND);
    assert!(plan.alternative_names.is_empty() && plan.basic_constraints.is_none());
    // With a mailbox it may sign mail too, and only then.
    let plan = profile("enterprise-signing").decide(&enterprise(Some("a@b.cn")), &PLAIN, Some(&facts), NOW).unwrap();
    assert_eq!(oids(&plan.extended_key_usage), ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"]);
    assert_eq!(oids(&plan.policies).last().map(String::as_str), Some("1.3.6.1.4.1.32473.2.1"));
    assert_eq!(plan.alternative_names.len(), 1);
}

#[test]
fn every_shipped_profile_issues_to_its_own_kind_and_to_no_other() {
    let applicants = [
        enterprise(Some("seal@mail.example.cn")),
        server(&["ca.example.cn"], &[[127, 0, 0, 1]]),
        Applicant::Officer { name: OfficerName::parse("张伟").unwrap(), number: OfficerNumber::parse("GZ-0001").unwrap() },
        Applicant::Citizen { pseudonym: Pseudonym::of([7; 10]), mailbox: Email::parse("1234567890@mail.example.cn").unwrap() },
        Applicant::Authority { name: AuthorityName::parse("穗印根").unwrap() },
    ];
    for profile in shipped().profiles() {
        let request = RequestFacts { key: profile.keys()[0], ..PLAIN };
        let long = |issuer| IssuerFacts { issuer, not_before: datetime!(2026-01-01 0:00 UTC), not_after: datetime!(2046-01-01 0:00 UTC) };
        let facts = profile.issuers().first().copied().map(long);
        for applicant in &applicants {
            let decided = profile.decide(applicant, &request, facts.as_ref(), NOW);
            assert_eq!(decided.is_ok(), applicant.kind() == profile.applicant(), "{} {decided:?}", profile.name());
        }
    }
}

#[test]
fn a_citizen_is_named_by_pseudonym_and_mailbox_and_by_nothing_else() {
    let facts = issuer(Issuer::Citizen);
    let citizen = |domain: &str| Applicant::Citizen { pseudonym: Pseudonym::of([7; 10]), mailbox: Email::parse(&format!("12345678903@{domain}")).unwrap() };
    let decide = |applicant: &Applicant, request: &RequestFacts<'_>| profile("citizen").decide(applicant, request, Some(&facts), NOW);
    let plan = decide(&citizen("mail.example.cn"), &PLAIN).unwrap();
    let pseudonym = Pseudonym::of([7; 10]).to_string();
    let named = [("2.5.4.6".to_owned(), "CN"), ("2.5.4.65".to_owned(), pseudonym.as_str()), ("2.5.4.3".to_owned(), "12345678903@mail.example.cn")];
    assert_eq!(subject(&plan), named);
    assert_eq!((oids(&plan.extended_key_usage), oids(&plan.policies)), (vec!["1.3.6.1.5.5.7.3.4".to_owned()], vec!["1.3.6.1.4.1.32473.2.2".to_owned()]));
    assert!(plan.not_after - plan.not_before <= Duration::days(825) && plan.alternative_names.len() == 1 && plan.credit_code.is_none());
    // A key that cannot agree on another is of no use for mail that is sealed to it by ECDH.
    assert_eq!(decide(&citizen("mail.example.cn"), &RequestFacts { key: KeyAlgorithm::Rsa2048, ..PLAIN }).unwrap_err().code(), "key-not-allowed");
    let other = [RequestedName::Email("12345678911@mail.example.cn".to_owned())];
    assert_eq!(decide(&citizen("mail.example.cn"), &RequestFacts { alternative_names: &other, ..PLAIN }).unwrap_err().code(), "foreign-alternative-name");
    let name = [(const_oid::ObjectIdentifier::new_unwrap("2.5.4.3"), "张伟".to_owned())];
    assert_eq!(decide(&citizen("mail.example.cn"), &RequestFacts { subject: &name, ..PLAIN }).unwrap_err().code(), "foreign-name");
    // A common name has 64 characters at most.
    assert_eq!(decide(&citizen(&format!("{}.example.cn", ["a"; 30].join("."))), &PLAIN).unwrap_err().code(), "subject-not-filled");
}

#[test]
fn a_server_is_named_by_its_first_host() {
    let facts = issuer(Issuer::Tls);
    let named = |applicant: &Applicant| profile("tls-server").decide(applicant, &PLAIN, Some(&facts), NOW).unwrap().subject.pop().unwrap().1;
    assert_eq!(named(&server(&["B.example.cn", "a.example.cn"], &[[127, 0, 0, 1]])), "b.example.cn");
    assert_eq!(named(&server(&[], &[[127, 0, 0, 1]])), "127.0.0.1");
    // Too long for a common name: the next that fits stands there, all are alternative names.
    let long = format!("{}.example.cn", ["a"; 30].join("."));
    assert_eq!(named(&server(&[&long, "a.cn"], &[])), "a.cn");
    let refused = profile("tls-server").decide(&server(&[&long], &[]), &PLAIN, Some(&facts), NOW).unwrap_err();
    assert_eq!(refused.code(), "subject-not-filled");
}

#[test]
fn what_a_request_may_not_ask_for() {
    let facts = issuer(Issuer::Enterprise);
    let decide = |request: &RequestFacts<'_>| profile("enterprise-signing").decide(&enterprise(Some("a@b.cn")), request, Some(&facts), NOW);
    assert_eq!(decide(&RequestFacts { asks_for_ca: true, ..PLAIN }), Err(Refusal::AsksForCa));
    let common_name = const_oid::ObjectIdentifier::new_unwrap("2.5.4.3");
    let own = [(common_name, "广州某某有限公司".to_owned())];
    let foreign = [(common_name, "深圳某某有限公司".to_owned())];
    // Says nothing about who it is, and is not copied.
    let unit = [(const_oid::ObjectIdentifier::new_unwrap("2.5.4.11"), "财务部".to_owned())];
    assert!(decide(&RequestFacts { subject: &own, ..PLAIN }).is_ok());
    assert_eq!(decide(&RequestFacts { subject: &unit, ..PLAIN }), decide(&PLAIN));
    assert_eq!(decide(&RequestFacts { subject: &foreign, ..PLAIN }), Err(Refusal::ForeignName { attribute: common_name }));
    let asked = |name: RequestedName| decide(&RequestFacts { alternative_names: &[name], ..PLAIN }).map(|_| ());
    assert_eq!(asked(RequestedName::Email("a@B.cn".to_owned())), Ok(()));
    assert_eq!(asked(RequestedName::Email("c@b.cn".to_owned())), Err(Refusal::ForeignAlternativeName { kind: "email" }));
    assert_eq!(asked(RequestedName::Dns("bank.cn".to_owned())), Err(Refusal::ForeignAlternativeName { kind: "dns" }));
    assert_eq!(asked(RequestedName::Other), Err(Refusal::ForeignAlternativeName { kind: "other" }));
    let key = |key| profile("bureau-seal").decide(&enterprise(Some("a@b.cn")), &RequestFacts { key, ..PLAIN }, Some(&issuer(Issuer::Officer)), NOW);
    assert_eq!(key(KeyAlgorithm::Rsa2048).unwrap_err().code(), "key-not-allowed");
    assert!(key(KeyAlgorithm::P256).is_ok());
}

#[test]
fn foreign_names_are_dropped_where_the_profile_ignores_them() {
    let (file, text) = SHIPPED.into_iter().find(|(file, _)| *file == "tls-server.toml").unwrap();
    let text = text.replace("on_foreign_names = \"refuse\"", "on_foreign_names = \"ignore\"");
    let lenient = Profile::parse(file, &text, shipped().arc()).unwrap();
    let subject = [(const_oid::ObjectIdentifier::new_unwrap("2.5.4.3"), "bank.cn".to_owned())];
    let request = RequestFacts { subject: &subject, alternative_names: &[RequestedName::Dns("bank.cn".to_owned())], ..PLAIN };
    let facts = issuer(Issuer::Tls);
    let applicant = server(&["a.cn"], &[]);
    assert_eq!(lenient.decide(&applicant, &request, Some(&facts), NOW), lenient.decide(&applicant, &PLAIN, Some(&facts), NOW));
}

#[test]
fn mailboxes_and_issuers_that_are_missing() {
    let seal = profile("bureau-seal");
    let decide = |applicant: &Applicant, facts: Option<&IssuerFacts>| seal.decide(applicant, &PLAIN, facts, NOW).map(|_| ());
    let refused = decide(&enterprise(None), Some(&issuer(Issuer::Officer))).unwrap_err();
    assert_eq!(refused.code(), "missing-name");
    assert_eq!(refused.to_string(), "profile bureau-seal needs an alternative name of kind email; give it with the application");
    let sealed = enterprise(Some("a@b.cn"));
    assert_eq!(decide(&sealed, Some(&issuer(Issuer::Tls))).unwrap_err().code(), "wrong-issuer");
    assert_eq!(decide(&sealed, None).unwrap_err().code(), "wrong-issuer");
    let root = Applicant::Authority { name: AuthorityName::parse("穗印根").unwrap() };
    let self_signed = RequestFacts { key: KeyAlgorithm::P384, ..PLAIN };
    assert!(profile("root").decide(&root, &self_signed, None, NOW).is_ok());
    assert!(profile("root").decide(&root, &self_signed, Some(&issuer(Issuer::Root)), NOW).is_err());
}

#[test]
fn never_beyond_the_issuer() {
    let decide = |name: &str, facts: IssuerFacts| {
        let applicant = match name {
            "issuing" => Applicant::Authority { name: AuthorityName::parse("穗印企业").unwrap() },
            _ => enterprise(None),
        };
        profile(name).decide(&applicant, &PLAIN, Some(&facts), NOW)
    };
    let until = |issuer, not_after| IssuerFacts { issuer, not_before: NOW - Duration::minutes(1), not_after };
    let soon = datetime!(2027-01-31 0:00 UTC);
    let plan = decide("enterprise-signing", until(Issuer::Enterprise, soon)).unwrap();
    assert_eq!((plan.not_before, plan.not_after), (NOW - Duration::minutes(1), soon));
    assert_eq!(decide("issuing", until(Issuer::Root, soon)), Err(Refusal::IssuerEndsFirst { not_after: soon }));
    let ended = decide("enterprise-signing", until(Issuer::Enterprise, NOW.replace_nanosecond(0).unwrap())).unwrap_err();
    assert_eq!(ended.code(), "issuer-ended");
    let later = IssuerFacts { issuer: Issuer::Enterprise, not_before: NOW + Duration::HOUR, not_after: soon };
    assert_eq!(decide("enterprise-signing", later).unwrap_err().code(), "issuer-not-yet-valid");
    let end_of_time = profile("root").decide(
        &Applicant::Authority { name: AuthorityName::parse("穗印根").unwrap() },
        &RequestFacts { key: KeyAlgorithm::P384, ..PLAIN },
        None,
        datetime!(9990-01-01 0:00 UTC),
    );
    assert_eq!(end_of_time, Err(Refusal::Clock));
}

/// Each change makes a document that must be refused: file, what is replaced, by what, the line, part of the reason.
#[test]
fn documents_that_make_no_sense() {
    for (file, from, to, line, reason) in [
        ("ocsp.toml", "name = \"ocsp\"", "name = \"oscp\"", 1, "must be named `ocsp`"),
        ("ocsp.toml", "bulk = false", "bulk = false\nbulky = true", 8, "unknown field `bulky`"),
        ("ocsp.toml", "bulk = false\n", "", 1, "missing field `bulk`"),
        ("ocsp.toml", "ocsp_no_check = true", "", 1, "go together"),
        ("ocsp.toml", "ocsp = false", "ocsp = true", 21, "points at no OCSP service"),
        ("ocsp.toml", "\"tls-ca\"", "\"root\"", 4, "a leaf has issuing authorities"),
        ("ocsp.toml", "[\"p256\"]", "[\"p257\"]", 8, "unknown variant `p257`"),
        ("ocsp.toml", "days = 90", "days = 0", 18, "days are 1 to 9200"),
        ("ocsp.toml", "[\"digitalSignature\"]", "[\"keyCertSign\"]", 19, "a leaf has neither"),
        ("ocsp.toml", "\"OCSPSigning\"", "\"ocspSigning\"", 20, "no extended key usage"),
        ("issuing.toml", "ca = true", "ca = false", 20, "ca is true"),
        ("issuing.toml", "basic_constraints", "# basic_constraints", 19, "need basic_constraints"),
        ("issuing.toml", "crl = true", "crl = false", 24, "points at its CRL"),
        ("issuing.toml", "\"any\"", "\"every\"", 21, "no policy"),
        ("issuing.toml", "\"/cps\"", "\"cps\"", 22, "below the public address"),
        ("root.toml", "\"CN\"", "\"China\"", 9, "1 to 2 characters"),
        ("root.toml", "\"authority-name\"", "\"host-name\"", 9, "known of host applicants"),
        ("root.toml", "from = \"authority-name\"", "fixed = \"a\", from = \"authority-name\"", 9, "either `fixed` or `from`"),
        ("officer.toml", "approvals = 0", "approvals = 3", 6, "0, 1 or 2"),
        ("officer.toml", "approvals = 0\nbulk = false", "approvals = 1\nbulk = true", 7, "not issued in bulk"),
        ("officer.toml", "cps_path", "credit_code_extension = true\ncps_path", 1, "only an organization"),
        ("bureau-seal.toml", "email = \"required\"", "email = \"optional\"", 1, "emailProtection needs"),
        ("tls-server.toml", "{ dns", "{ email = \"optional\", dns", 1, "for organization and citizen applicants"),
        ("enterprise-signing.toml", "email = \"optional\"", "email = \"required\"", 29, "with_mailbox needs"),
    ] {
        let (_, text) = SHIPPED.into_iter().find(|(name, _)| *name == file).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{file}: {from}");
        let refused = Profile::parse(file, &changed, shipped().arc()).unwrap_err();
        assert!(refused.reason.contains(reason), "{file}: {to}: {refused}");
        assert_eq!((refused.file.as_str(), refused.line), (file, line), "{to}: {refused}");
    }
}

#[test]
fn a_set_has_one_arc_and_each_profile_once() {
    let refused = |documents: Vec<(&str, &str)>| Policies::parse(documents).unwrap_err().to_string();
    assert!(refused(vec![SHIPPED[1]]).starts_with("arc.toml, line 1: it is missing"));
    assert!(refused(vec![SHIPPED[0], SHIPPED[0]]).contains("given twice"));
    assert!(refused(vec![SHIPPED[0], SHIPPED[1], SHIPPED[1]]).contains("another document"));
    assert_eq!(Policies::parse(SHIPPED).unwrap().profiles().count(), SHIPPED.len() - 1);
}
