//! Path validation over NIST's cases (PKITS 2011, out of `cryptography_vectors`): where `pki`, OpenSSL or Python say
//! otherwise than NIST, it is listed with its reason, and what is listed is so.
// spec: rfc5280#6; the cases are named in https://csrc.nist.gov/projects/pki-testing
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use certs_test::programs::{openssl, oracle, run};
use pki::path::{ANY_PURPOSE, Anchors, Oid, Requirements, RevocationList, Validation};
use time::OffsetDateTime;
use time::macros::datetime;
use x509_parser::prelude::FromDer;

/// Within the life of every certificate and list that is meant to be current.
const AT: OffsetDateTime = datetime!(2020-06-01 0:00 UTC);

/// What is asked of a case: the numbers of NIST's test policies, `any` for some policy, nothing for none. The others are
/// asked for none, and their names say what they are.
const POLICIES: [(&str, &str, bool); 49] = [
    ("ValidCertificatePathTest1", "any", true),
    ("ValidCertificatePathTest1", "1", true),
    ("ValidCertificatePathTest1", "2", false),
    ("ValidCertificatePathTest1", "1,2", true),
    ("AllCertificatesNoPoliciesTest2", "", true),
    ("AllCertificatesNoPoliciesTest2", "any", false),
    ("DifferentPoliciesTest3", "", true),
    ("DifferentPoliciesTest3", "any", false),
    ("DifferentPoliciesTest3", "1,2", false),
    ("DifferentPoliciesTest4", "", false),
    ("DifferentPoliciesTest5", "", false),
    ("OverlappingPoliciesTest6", "", true),
    ("OverlappingPoliciesTest6", "1", true),
    ("OverlappingPoliciesTest6", "2", false),
    ("DifferentPoliciesTest7", "", false),
    ("DifferentPoliciesTest8", "", false),
    ("DifferentPoliciesTest9", "", false),
    ("AllCertificatesSamePoliciesTest10", "", true),
    ("AllCertificatesSamePoliciesTest10", "1", true),
    ("AllCertificatesSamePoliciesTest10", "2", true),
    ("AllCertificatesanyPolicyTest11", "", true),
    ("AllCertificatesanyPolicyTest11", "1", true),
    ("DifferentPoliciesTest12", "", false),
    ("AllCertificatesSamePoliciesTest13", "1", true),
    ("AllCertificatesSamePoliciesTest13", "2", true),
    ("AllCertificatesSamePoliciesTest13", "3", true),
    ("AnyPolicyTest14", "1", true),
    ("AnyPolicyTest14", "2", false),
    ("UserNoticeQualifierTest15", "", true),
    ("UserNoticeQualifierTest16", "", true),
    ("UserNoticeQualifierTest17", "", true),
    ("UserNoticeQualifierTest18", "1", true),
    ("UserNoticeQualifierTest18", "2", true),
    ("UserNoticeQualifierTest19", "", true),
    ("CPSPointerQualifierTest20", "any", true),
    ("ValidPolicyMappingTest1", "1", true),
    ("ValidPolicyMappingTest1", "2", false),
    ("ValidPolicyMappingTest3", "1", false),
    ("ValidPolicyMappingTest3", "2", true),
    ("ValidPolicyMappingTest5", "1", true),
    ("ValidPolicyMappingTest5", "6", false),
    ("ValidPolicyMappingTest6", "1", true),
    ("ValidPolicyMappingTest6", "6", false),
    ("ValidPolicyMappingTest12", "1", true),
    ("ValidPolicyMappingTest12", "2", true),
    ("inhibitAnyPolicyTest3", "", true),
    ("ValidinhibitAnyPolicyTest2", "any", true),
    ("ValidinhibitAnyPolicyTest2", "1", true),
    ("ValidinhibitAnyPolicyTest2", "2", false),
];

struct Case {
    name: String,
    policies: &'static str,
    valid: bool,
}

impl Case {
    fn shown(&self) -> String {
        if self.policies.is_empty() { self.name.clone() } else { format!("{}/{}", self.name, self.policies) }
    }

    fn policies(&self) -> Vec<Oid> {
        let oid = |number: &str| match number {
            "any" => Oid::new_unwrap("2.5.29.32.0"),
            number => format!("2.16.840.1.101.3.2.1.48.{number}").parse().unwrap(),
        };
        self.policies.split(',').filter(|one| !one.is_empty()).map(oid).collect()
    }
}

struct Vectors {
    place: PathBuf,
    /// Those that are no holder's: name of subject and issuer as people read it, and DER.
    authorities: Vec<(String, String, Vec<u8>)>,
    lists: Vec<RevocationList>,
    anchors: Anchors,
    home: tempfile::TempDir,
}

fn readable(name: &x509_parser::x509::X509Name<'_>) -> String {
    name.to_string().chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}

fn files(place: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    found.sort();
    found
}

fn pem(label: &str, all: &[Vec<u8>]) -> String {
    all.iter().map(|der| pem::encode(&pem::Pem::new(label, der.clone()))).collect()
}

impl Vectors {
    fn find() -> Self {
        let home = tempfile::tempdir().unwrap();
        let place = run(oracle("python"), &["-c", "import cryptography_vectors as v; print(list(v.__path__)[0])"], home.path());
        assert_eq!(place.code, 0, "cryptography_vectors is missing, run scripts/test: {place:?}");
        let place = Path::new(place.out.trim()).join("x509/PKITS_data");
        let all: Vec<_> = files(&place.join("certs"), ".crt").into_iter().filter(|path| !path.to_string_lossy().ends_with("EE.crt")).collect();
        let mut authorities = Vec::new();
        for path in all {
            let der = std::fs::read(&path).unwrap();
            let (_, read) = x509_parser::certificate::X509Certificate::from_der(&der).unwrap();
            authorities.push((readable(read.subject()), readable(read.issuer()), der.clone()));
        }
        let anchor = std::fs::read(place.join("certs/TrustAnchorRootCertificate.crt")).unwrap();
        let lists: Vec<Vec<u8>> = files(&place.join("crls"), ".crl").iter().map(|path| std::fs::read(path).unwrap()).collect();
        let others: Vec<Vec<u8>> = authorities.iter().map(|(_, _, der)| der.clone()).collect();
        std::fs::write(home.path().join("anchor.pem"), pem("CERTIFICATE", std::slice::from_ref(&anchor))).unwrap();
        std::fs::write(home.path().join("others.pem"), pem("CERTIFICATE", &others)).unwrap();
        std::fs::write(home.path().join("lists.pem"), pem("X509 CRL", &lists)).unwrap();
        // A list of a form that is not ours is none: it covers nobody.
        let lists = lists.iter().filter_map(|der| RevocationList::parse(der).ok()).collect();
        Self { place, authorities, lists, anchors: Anchors::new(&[anchor]).unwrap(), home }
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = POLICIES.iter().map(|(name, policies, valid)| Case { name: (*name).to_owned(), policies, valid: *valid }).collect();
        let special: BTreeSet<&str> = POLICIES.iter().filter(|(name, policies, _)| policies.is_empty() || !name.starts_with("Valid")).map(|(name, ..)| *name).collect();
        for path in files(&self.place.join("certs"), "EE.crt") {
            let name = path.file_name().unwrap().to_string_lossy().trim_end_matches("EE.crt").to_owned();
            if !special.contains(name.as_str()) {
                assert!(name.starts_with("Valid") || name.starts_with("Invalid"), "what is {name}?");
                cases.push(Case { valid: name.starts_with("Valid"), policies: "", name });
            }
        }
        cases
    }

    fn holder(&self, case: &Case) -> PathBuf {
        self.place.join("certs").join(format!("{}EE.crt", case.name))
    }

    fn pki(&self, case: &Case) -> bool {
        let holder = std::fs::read(self.holder(case)).unwrap();
        let (_, read) = x509_parser::certificate::X509Certificate::from_der(&holder).unwrap();
        let mut names = BTreeSet::from([readable(read.issuer())]);
        for _ in 0..8 {
            let above: Vec<String> = self.authorities.iter().filter(|(subject, ..)| names.contains(subject)).map(|(_, issuer, _)| issuer.clone()).collect();
            names.extend(above);
        }
        let above: Vec<&Vec<u8>> = self.authorities.iter().filter(|(subject, ..)| names.contains(subject)).map(|(_, _, der)| der).collect();
        let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: case.policies() };
        Validation { anchors: &self.anchors, lists: &self.lists, required: &required, at: AT }.trust(&holder, &above).is_ok()
    }

    fn openssl(&self, case: &Case) -> bool {
        let (at, holder) = (AT.unix_timestamp().to_string(), self.holder(case));
        let policies: Vec<String> = case.policies().iter().map(ToString::to_string).collect();
        let mut arguments = vec!["verify", "-attime", &at, "-x509_strict", "-policy_check", "-extended_crl", "-use_deltas", "-crl_check_all"];
        arguments.extend(["-CAfile", "anchor.pem", "-untrusted", "others.pem", "-CRLfile", "lists.pem"]);
        // Who asks for no policy takes any.
        arguments.extend(if policies.is_empty() { &["-policy", "2.5.29.32.0"][..] } else { &["-explicit_policy"] });
        policies.iter().for_each(|policy| arguments.extend(["-policy", policy]));
        arguments.push(holder.to_str().unwrap());
        openssl(&arguments, self.home.path()).code == 0
    }

    fn python(&self) -> BTreeMap<String, bool> {
        let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/pkits.py");
        let said = run(oracle("python"), &[judge, self.place.join("certs").to_str().unwrap(), &AT.unix_timestamp().to_string()], self.home.path()).ok();
        let line = |line: &str| line.split_once(' ').map(|(name, verdict)| (name.to_owned(), verdict == "valid")).unwrap();
        said.lines().map(line).collect()
    }
}

#[test]
fn every_difference_from_nist_is_listed_with_its_reason() {
    let vectors = Vectors::find();
    let cases = vectors.cases();
    assert!(cases.len() > 240, "{}", cases.len());
    let python = vectors.python();
    let (half, rest) = cases.split_at(cases.len() / 2);
    let ask = |cases: &[Case]| cases.iter().map(|case| vectors.openssl(case)).collect::<Vec<bool>>();
    let openssl: Vec<bool> = std::thread::scope(|scope| {
        let other = scope.spawn(|| ask(rest));
        [ask(half), other.join().unwrap()].concat()
    });
    let mut found = BTreeSet::new();
    let mut differs = |who: &str, case: &Case, said: bool| {
        if said != case.valid {
            found.insert(format!("{who} {}", case.shown()));
        }
    };
    for (case, by_openssl) in cases.iter().zip(openssl) {
        differs("pki", case, vectors.pki(case));
        differs("openssl", case, by_openssl);
        // It is asked for no policies, since it knows none.
        if case.policies.is_empty() {
            differs("python", case, python[&case.name]);
        }
    }
    let mut listed = BTreeSet::new();
    for line in include_str!("../oracles/divergences.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (case, reason) = line.match_indices(' ').nth(1).map(|(at, _)| line.split_at(at)).unwrap_or((line, ""));
        assert!(reason.trim().len() > 20, "a difference needs its reason: {line}");
        assert!(listed.insert(case.to_owned()), "listed twice: {case}");
    }
    let unlisted: Vec<_> = found.difference(&listed).collect();
    let vanished: Vec<_> = listed.difference(&found).collect();
    assert!(unlisted.is_empty() && vanished.is_empty(), "not listed: {unlisted:#?}\nlisted, and not so: {vanished:#?}");
}
