//! Everything an authority signs, of every shipped profile, before every judge at hand: pkilint, OpenSSL, GnuTLS, Python, Bouncy Castle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use certs_test::programs::{Authority, openssl, oracle, run};
use policies::certificate::{Policies, SHIPPED};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
const BUREAU: [&str; 4] = ["--name", "广州住房公积金管理中心", "--code", "12440100000000123A"];
const MAILBOX: [&str; 2] = ["--mailbox", "1234567890@mail.example.cn"];
const OFFICER: [&str; 4] = ["--officer", "陈一", "--number", "GZ-0001"];
/// Issuers whose certificates are in parts, and in how many.
const PARTS: [(&str, u16); 3] = [("enterprise-ca", 16), ("officer-ca", 2), ("citizen-ca", 16)];
const ISSUERS: [&str; 4] = ["enterprise-ca", "officer-ca", "tls-ca", "citizen-ca"];
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";

/// What is issued: its name, profile, key and applicant. Those named `revoked-` are revoked.
fn orders() -> Vec<(&'static str, &'static str, &'static str, Vec<&'static str>)> {
    let with = |words: &[&'static str], more: &[&'static str]| [words, more].concat();
    vec![
        ("enterprise-p256-mail", "enterprise-signing", "P-256", with(&ENTERPRISE, &MAILBOX)),
        ("enterprise-p256", "enterprise-signing", "P-256", ENTERPRISE.to_vec()),
        ("enterprise-p384-mail", "enterprise-signing", "P-384", with(&ENTERPRISE, &MAILBOX)),
        ("enterprise-rsa2048-mail", "enterprise-signing", "2048", with(&ENTERPRISE, &MAILBOX)),
        ("enterprise-rsa2048", "enterprise-signing", "2048", ENTERPRISE.to_vec()),
        ("enterprise-rsa3072", "enterprise-signing", "3072", ENTERPRISE.to_vec()),
        ("revoked-enterprise", "enterprise-signing", "P-256", ENTERPRISE.to_vec()),
        ("seal", "bureau-seal", "P-256", with(&BUREAU, &MAILBOX)),
        ("evidence", "delivery-evidence", "P-256", BUREAU.to_vec()),
        ("client-p384", "bureau-client", "P-384", BUREAU.to_vec()),
        ("client-rsa3072", "bureau-client", "3072", BUREAU.to_vec()),
        ("officer-p256", "officer", "P-256", OFFICER.to_vec()),
        ("officer-p384", "officer", "P-384", OFFICER.to_vec()),
        ("revoked-officer", "officer", "P-256", OFFICER.to_vec()),
        ("server", "tls-server", "P-256", vec!["--dns", "mail.example.cn", "--dns", "imap.example.cn", "--ip", "127.0.0.1", "--ip", "::1"]),
        ("server-p384", "tls-server", "P-384", vec!["--dns", "mail.example.cn"]),
        ("revoked-server", "tls-server", "P-256", vec!["--ip", "127.0.0.1"]),
        ("registrar", "registrar", "P-256", vec!["--dns", "mx.mail.example.cn"]),
        // On a registrar's statement: the mailbox.
        ("citizen", "citizen", "P-256", vec!["1234567897"]),
        ("revoked-citizen", "citizen", "P-256", vec!["1234567889"]),
    ]
}

/// The authority's works in one directory, as the oracles read them.
struct Works {
    authority: Authority,
    place: PathBuf,
    certificates: usize,
    answers: usize,
}

fn der(authority: &Authority, pem: &str, to: &Path) {
    openssl(&["x509", "-in", pem, "-outform", "DER", "-out", to.to_str().unwrap()], &authority.home).ok();
}

/// Issues every order; the key and request are OpenSSL's.
fn issued(authority: &Authority) {
    for (name, profile, key, applicant) in orders() {
        let (curve, bits) = (format!("ec_paramgen_curve:{key}"), format!("rsa:{key}"));
        let how: &[&str] = if key.starts_with('P') { &["-newkey", "ec", "-pkeyopt", &curve] } else { &["-newkey", &bits] };
        let (file, csr) = (format!("{name}.key"), format!("{name}.csr"));
        let arguments = [&["req", "-new", "-nodes", "-subj", "/C=CN", "-keyout", &file, "-out", &csr], how].concat();
        openssl(&arguments, &authority.home).ok();
        let serial = match profile {
            "citizen" => authority.certify("registrar", name, applicant.first().unwrap()),
            _ => authority.issue(name, profile, &applicant),
        };
        if profile == "registrar" {
            authority.ca(&["registrar", "set", &serial, "--domain", "mail.example.cn"]).ok();
        }
        if name.starts_with("revoked-") {
            // One of each issuer with a date of invalidity: its own beginning.
            let begun = openssl(&["x509", "-in", &format!("{name}.pem"), "-noout", "-startdate", "-dateopt", "iso_8601"], &authority.home).ok();
            let since = begun.trim().trim_start_matches("notBefore=").replace(' ', "T");
            authority.ca(&["revoke", &serial, "--reason", "superseded", "--invalid-since", &since]).ok();
        }
        // A hold that came and went: deltas take it off.
        if name == "enterprise-p256" {
            authority.ca(&["suspend", &serial]).ok();
            authority.ca(&["resume", &serial]).ok();
        }
    }
    authority.ca(&["crl", "publish"]).ok();
}

/// Every list that an authority publishes: its address, and whether it is a part or a delta.
fn lists(authority: &Authority) -> Vec<(String, String, &'static str)> {
    let mut all = vec![("root".to_owned(), "root".to_owned(), "lists")];
    for issuer in ISSUERS {
        all.push((issuer.to_owned(), issuer.to_owned(), "lists"));
        all.push((format!("{issuer}-delta"), issuer.to_owned(), "deltas"));
    }
    for (issuer, parts) in PARTS {
        all.extend((0..parts).map(|part| (format!("{issuer}/{part}"), format!("{issuer}.{part}"), "parts")));
        let beyond = run("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code}", &format!("{}/crl/{issuer}/{parts}.crl", authority.url)], &authority.home).ok();
        assert_eq!(beyond, "404");
    }
    all
}

impl Works {
    fn gather(place: &Path) -> Self {
        let mut authority = Authority::found(place);
        PARTS.iter().for_each(|(issuer, parts)| authority.partition(issuer, *parts));
        authority.start();
        issued(&authority);
        let place = place.join("works");
        for part in ["issuers", "certificates", "lists", "parts", "deltas", "answers"] {
            std::fs::create_dir_all(place.join(part)).unwrap();
        }
        let mut this = Self { authority, place, certificates: 0, answers: 0 };
        der(&this.authority, "ca/root.pem", &this.place.join("root.der"));
        for (address, name, kind) in lists(&this.authority) {
            let list = this.place.join(format!("{kind}/{name}.crl"));
            run("curl", &["-sf", "-o", list.to_str().unwrap(), &format!("{}/crl/{address}.crl", this.authority.url)], &this.authority.home).ok();
        }
        for issuer in ISSUERS {
            der(&this.authority, &format!("ca/{issuer}.pem"), &this.place.join(format!("issuers/{issuer}.der")));
        }
        this.certificates();
        this.answers();
        this
    }

    /// Every certificate of the register, with the policies that the shipped documents promise for it.
    fn certificates(&mut self) {
        let policies = Policies::parse(SHIPPED).unwrap();
        let listed = self.authority.ca(&["--json", "list", "--limit", "1000"]).json();
        let mut profiles = BTreeSet::new();
        for (number, one) in listed.as_array().unwrap().iter().enumerate() {
            let (serial, profile) = (one["serial"].as_str().unwrap(), one["profile"].as_str().unwrap());
            let shown = self.authority.ca(&["--json", "show", serial]).json();
            std::fs::write(self.authority.home.join("one.pem"), shown["pem"].as_str().unwrap()).unwrap();
            let revoked = if one["state"] == "revoked" { "revoked-" } else { "" };
            let file = self.place.join(format!("certificates/{revoked}{profile}-{number}.der"));
            der(&self.authority, "one.pem", &file);
            let mail = openssl(&["x509", "-in", "one.pem", "-noout", "-email"], &self.authority.home).ok();
            std::fs::write(file.with_extension("policies"), promised(profile, !mail.is_empty())).unwrap();
            profiles.insert(profile.to_owned());
            self.certificates += 1;
        }
        let all: BTreeSet<String> = policies.profiles().map(|profile| profile.name().to_owned()).collect();
        assert_eq!(profiles, all, "a profile is not judged");
    }

    /// Good, revoked and unknown of each issuer; with a nonce and without; by SHA-1 and SHA-256.
    fn answers(&mut self) {
        let listed = self.authority.ca(&["--json", "list", "--limit", "1000"]).json();
        let url = format!("{}/ocsp", self.authority.url);
        for issuer in ISSUERS {
            let of = |state: &str| listed.as_array().unwrap().iter().find(|one| one["issuer"] == issuer && one["state"] == state).unwrap()["serial"].as_str().unwrap();
            for (serial, status) in [(of("good"), "good"), (of("revoked"), "revoked"), ("40000000000000000000000000000001", "unknown")] {
                for (nonce, flag) in [("yes", "-nonce"), ("no", "-no_nonce")] {
                    for (hash, digest) in [("-sha1", SHA1), ("-sha256", SHA256)] {
                        let name = format!("answers/{issuer}-{status}-{nonce}{hash}");
                        let (file, pem, number) = (self.place.join(format!("{name}.der")), format!("ca/{issuer}.pem"), format!("0x{serial}"));
                        let arguments = ["ocsp", hash, "-issuer", &pem, "-serial", &number, flag, "-url", &url, "-CAfile", "ca/root.pem", "-verify_other", &pem, "-respout", file.to_str().unwrap()];
                        let said = openssl(&arguments, &self.authority.home);
                        assert!(said.out.contains(&format!(": {status}")) && (said.out.clone() + &said.err).contains("Response verify OK"), "{name}: {said:?}");
                        std::fs::write(self.place.join(format!("{name}.expected")), format!("{issuer} {serial} {status} {nonce} {digest}")).unwrap();
                        self.answers += 1;
                    }
                }
            }
        }
    }

    fn told(&self) -> String {
        let parts: u16 = PARTS.iter().map(|(_, parts)| parts).sum();
        format!("{} certificates, 5 lists, {parts} parts, 4 deltas, {} answers\n", self.certificates, self.answers)
    }
}

/// The policies of a profile's certificates, an OID a line, read here from the document alone.
fn promised(profile: &str, mailbox: bool) -> String {
    let text = SHIPPED.iter().find(|(file, _)| *file == format!("{profile}.toml")).unwrap().1;
    let document: toml::Table = text.parse().unwrap();
    let of = |table: &toml::Table| table.get("policies").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let mut all = of(&document);
    if let Some(more) = document.get("with_mailbox").and_then(|more| more.as_table()).filter(|_| mailbox) {
        all.extend(of(more));
    }
    let oids = all.iter().map(|one| match one.as_str().unwrap() {
        "any" => "2.5.29.32.0\n".to_owned(),
        below => format!("1.3.6.1.4.1.32473{below}\n"),
    });
    oids.collect()
}

/// Each finding is waived with a reason, and no waiver is left over.
fn pkilint(works: &Works) {
    let said = run(oracle("python"), &[concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/findings.py"), works.place.to_str().unwrap()], &works.authority.home);
    assert_eq!(said.code, 0, "{said:?}");
    let waivers: Vec<(&str, &str, &str)> = include_str!("../oracles/waivers.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            let waiver = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(words.next().is_some_and(|reason| reason.len() > 20), "a waiver needs its reason: {line}");
            waiver
        })
        .collect();
    let mut used = BTreeSet::new();
    let findings: BTreeSet<&str> = said.out.lines().collect();
    let unwaived: Vec<&&str> = findings
        .iter()
        .filter(|finding| {
            let words: Vec<&str> = finding.split(' ').collect();
            let waiver = waivers.iter().find(|(prefix, set, code)| words.first().is_some_and(|file| file.starts_with(prefix)) && words.get(1) == Some(set) && words.get(2) == Some(code));
            waiver.is_none_or(|waiver| {
                used.insert(waiver);
                false
            })
        })
        .collect();
    assert!(unwaived.is_empty(), "pkilint finds {unwaived:#?}");
    let unused: Vec<_> = waivers.iter().filter(|waiver| !used.contains(waiver)).collect();
    assert!(unused.is_empty(), "these waivers waive nothing, take them out: {unused:#?}");
}

/// OpenSSL and GnuTLS over the path of each order.
fn paths(works: &Works) {
    let home = &works.authority.home;
    let mut lists = String::new();
    for issuer in ["root"].into_iter().chain(ISSUERS) {
        lists += &openssl(&["crl", "-inform", "DER", "-in", &format!("works/lists/{issuer}.crl")], home).ok();
    }
    std::fs::write(home.join("lists.pem"), lists).unwrap();
    // The same once more for relying parties who have the part that a certificate names, and the root's list.
    let root_list = openssl(&["crl", "-inform", "DER", "-in", "works/lists/root.crl"], home).ok();
    let root = std::fs::read_to_string(home.join("ca/root.pem")).unwrap();
    for (name, profile, ..) in orders() {
        let (leaf, purpose) = (format!("{name}.pem"), match profile {
            "tls-server" => "sslserver",
            "bureau-seal" | "citizen" => "smimesign",
            "registrar" | "delivery-evidence" => "any",
            _ => "sslclient",
        });
        let revoked = name.starts_with("revoked-");
        let said = openssl(&["verify", "-x509_strict", "-policy_check", "-purpose", purpose, "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", "ca/root.pem", "-untrusted", &leaf, &leaf], home);
        assert_eq!((said.code != 0, said.err.contains("certificate revoked")), (revoked, revoked), "{name}: {said:?}");
        let named = openssl(&["x509", "-in", &leaf, "-noout", "-ext", "crlDistributionPoints"], home).ok();
        let part = named.lines().find_map(|line| line.split_once("/crl/")?.1.strip_suffix(".crl")).unwrap().split_once('/').map(|(issuer, part)| format!("works/parts/{issuer}.{part}.crl"));
        assert_eq!(part.is_some(), profile != "tls-server", "{name}: {named}");
        if let Some(part) = part {
            let own = openssl(&["crl", "-inform", "DER", "-in", &part], home).ok();
            std::fs::write(home.join("own.pem"), root_list.clone() + &own).unwrap();
            let said = openssl(&["verify", "-x509_strict", "-extended_crl", "-crl_check_all", "-CRLfile", "own.pem", "-CAfile", "ca/root.pem", "-untrusted", &leaf, &leaf], home);
            assert_eq!((said.code != 0, said.err.contains("certificate revoked")), (revoked, revoked), "{name} by its part: {said:?}");
        }
        std::fs::write(home.join("path.pem"), std::fs::read_to_string(home.join(&leaf)).unwrap() + &root).unwrap();
        let said = run("certtool", &["--verify", "--verify-profile", "medium", "--load-ca-certificate", "ca/root.pem", "--load-crl", "lists.pem", "--infile", "path.pem"], home);
        assert_eq!((said.code != 0, said.out.contains("revoked")), (revoked, revoked), "{name}: {said:?}");
    }
}

fn bouncy_castle(works: &Works) {
    let jars = ["bcprov", "bcpkix", "bcutil"].map(|jar| format!("/usr/share/java/{jar}.jar")).join(":");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/Judge.java");
    let said = run("java", &["-XX:TieredStopAtLevel=1", "-cp", &jars, source, works.place.to_str().unwrap()], &works.authority.home);
    assert_eq!((said.code, &said.out), (0, &works.told()), "{}", said.err);
}

fn python(works: &Works) {
    let said = run(oracle("python"), &[concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/read_all.py"), works.place.to_str().unwrap()], &works.authority.home);
    assert_eq!((said.code, &said.out), (0, &works.told()), "{}", said.err);
}

#[test]
fn no_judge_finds_anything() {
    let place = tempfile::tempdir().unwrap();
    let works = &Works::gather(place.path());
    std::thread::scope(|scope| {
        let judges: [fn(&Works); 4] = [pkilint, paths, bouncy_castle, python];
        let running = judges.map(|judge| scope.spawn(move || judge(works)));
        for judge in running {
            if let Err(panic) = judge.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
