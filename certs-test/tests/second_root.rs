//! A root's next generation: published with its list, and taken over by new generations of issuers while the first root's go on
//! answering. With the built `ca`, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, Said, openssl, program, run};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

struct Ceremonies<'a> {
    authority: &'a Authority,
    policies: String,
}

impl Ceremonies<'_> {
    fn sha256(&self, file: &str) -> String {
        run("sha256sum", &[file], &self.authority.home).ok().split(' ').next().unwrap().to_owned()
    }

    fn input(&self, file: &str) -> String {
        format!("{{ file = \"{file}\", sha256 = \"{}\" }}", self.sha256(file))
    }

    fn date(&self, when: &str) -> String {
        run("date", &["-u", "-d", when, "+%Y-%m-%dT%H:%M:%SZ"], &self.authority.home).ok().trim().to_owned()
    }

    /// The lines that every ceremony has which certifies something.
    fn common(&self, days: u32, path_length: u8) -> String {
        format!(
            "not_before = \"{}\"\nnot_after = \"{}\"\npath_length = {path_length}\nbase_url = \"{}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{}\"\npresent = [\"甲\", \"乙\"]\n",
            self.date("now"), self.date(&format!("+{days} days")), self.authority.url, self.policies
        )
    }

    fn by(&self, root: &str, published_as: &str) -> String {
        let key = openssl(&["x509", "-in", root, "-noout", "-ext", "subjectKeyIdentifier"], &self.authority.home).ok();
        format!("root = {}\nroot_key_id = \"{}\"\npublished_as = \"{published_as}\"\n", self.input(root), key.lines().nth(1).unwrap().trim())
    }

    fn hold(&self, text: &str, keys: &str, out: &str) -> Said {
        std::fs::write(self.authority.home.join("ceremony.toml"), text).unwrap();
        let sha256 = self.sha256("ceremony.toml");
        let arguments = ["--json", "ceremony", "run", "ceremony.toml", "--root-keys", keys, "--root-passphrase-file", "pass", "--sha256", &sha256, "--out", out];
        run(program("ca"), &arguments, &self.authority.home)
    }

    /// A generation of an authority whose request waits, certified by the second root.
    fn issuing(&self, request: &str, name: &str, published_as: &str, out: &str) -> String {
        let text = format!("kind = \"issuing\"\n{}request = {}\nname = \"{name}\"\n{}", self.by("next/certificate.pem", published_as), self.input(request), self.common(3_000, 0));
        self.hold(&text, "away/next-keys", out).ok();
        format!("{out}/certificate.pem")
    }

    /// The next list of a root, prepared here, signed where its key is, published here.
    fn list(&self, root: &str, keys: &str) -> serde_json::Value {
        let place = tempfile::tempdir_in(&self.authority.home).unwrap();
        let [out, signed] = ["list", "signed"].map(|name| place.path().join(name).display().to_string());
        let prepared = self.authority.ca(&["--json", "crl", "root", "prepare", "--root", root, "--present", "甲", "--present", "乙", "--out", &out]).json();
        assert_eq!(prepared["root"], root);
        self.authority.sign_root_list(&prepared, &["--root-keys", keys, "--root-passphrase-file", "pass"], &signed).ok();
        self.authority.ca(&["--json", "crl", "root", "publish", &format!("{signed}/root.crl")]).json()
    }
}

fn fetch(authority: &Authority, path: &str, kind: &str) -> String {
    run("curl", &["-sf", "-o", "fetched.der", &format!("{}/{path}", authority.url)], &authority.home).ok();
    openssl(&[kind, "-inform", "DER", "-in", "fetched.der"], &authority.home).ok()
}

fn get(authority: &Authority, path: &str) -> String {
    run("curl", &["-s", &format!("{}/{path}", authority.url)], &authority.home).ok()
}

/// Chain and lists, up to a root, with what stands beside the certificate in its own file and nothing else.
fn verified(authority: &Authority, root: &str, file: &str) -> Said {
    let lists = ["root", "root-2", "enterprise-ca", "enterprise-ca-2"].map(|id| fetch(authority, &format!("crl/{id}.crl"), "crl")).concat();
    std::fs::write(authority.home.join("lists.pem"), lists).unwrap();
    openssl(&["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", root, "-untrusted", file, file], &authority.home)
}

fn status(authority: &Authority, root: &str, issuer: &str, certificate: &str) -> String {
    let url = format!("{}/ocsp", authority.url);
    let said = openssl(&["ocsp", "-issuer", issuer, "-CAfile", root, "-verify_other", issuer, "-no_nonce", "-url", &url, "-cert", certificate], &authority.home);
    assert!(said.err.contains("Response verify OK"), "{said:?}");
    said.out
}

#[test]
fn a_second_root_takes_over_and_the_first_goes_on_answering() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found_offline(place.path(), &[], Vec::new());
    authority.start();
    authority.request("old", "/C=CN");
    let old = authority.issue("old", "enterprise-signing", &ENTERPRISE);
    let policies = authority.ca(&["--json", "policy", "check"]).json()["sha256"].as_str().unwrap().to_owned();
    let held = Ceremonies { authority: &authority, policies };
    // The next root and the two certificates across, each where its key is.
    let next = format!("kind = \"root\"\nsucceeds = {}\npublished_as = \"root-2\"\nname = \"穗印根证书机构\"\n{}", held.input("ca/root.pem"), held.common(7_000, 1));
    held.hold(&next, "away/next-keys", "next").ok();
    let across = |by: &str, published_as: &str, of: &str| format!("kind = \"cross\"\n{}certified = {}\n{}", held.by(by, published_as), held.input(of), held.common(3_500, 1));
    held.hold(&across("ca/root.pem", "root", "next/certificate.pem"), "away/root-keys", "next-by-first").ok();
    held.hold(&across("next/certificate.pem", "root-2", "ca/root.pem"), "away/next-keys", "first-by-next").ok();
    authority.ca(&["root", "install", "next/certificate.pem", "--by-present", "next-by-first/certificate.pem"]).ok();
    // It vouches for nobody yet and has no list: told, and no fault. From the certificate across on it is one.
    let told = |part: &str| authority.ca(&["doctor"]).out.lines().find(|line| line.contains(part)).unwrap_or_default().to_owned();
    assert!(told("CRL of root-2").contains("nobody is asked for it yet"), "{}", told("CRL of root-2"));
    authority.ca(&["root", "install", "next/certificate.pem", "--by-present", "next-by-first/certificate.pem", "--by-new", "first-by-next/certificate.pem"]).ok();
    assert!(told("CRL of root-2").contains("there is none") && !told("CRL of root-2").contains("nobody"));
    authority.ca(&["issuer", "request", "enterprise-ca", "--out", "next.csr"]).ok();
    let issuing = held.issuing("next.csr", "穗印企业证书签发机构 2", "root-2", "issuing");
    let early = authority.ca(&["--json", "issuer", "install", &issuing]);
    assert!(early.code == 3 && early.err.contains("\"no-root-list\""), "{early:?}");
    assert_eq!(run("curl", &["-sf", &format!("{}/crl/root-2.crl", authority.url)], &authority.home).code, 22);
    // Its list: a number of its own, an address of its own, its end in the metrics; the first root's is another.
    let published = held.list("root-2", "away/next-keys");
    assert_eq!((published[0]["issuer"].as_str(), published[0]["number"].as_u64(), published[0]["address"].as_str()), (Some("root-2"), Some(1), Some(format!("{}/crl/root-2.crl", authority.url).as_str())));
    assert_eq!(held.list("root", "away/root-keys")[0]["number"], 2);
    let metrics = get(&authority, "metrics");
    for root in ["root", "root-2"] {
        assert!(metrics.lines().any(|line| line.starts_with(&format!("suiyin_ca_root_list_end_seconds{{root=\"{root}\"}} "))), "{metrics}");
    }
    assert!(told("CRL of root-2").contains("until"), "{}", told("CRL of root-2"));
    let refused = authority.ca(&["--json", "crl", "root", "prepare", "--root", "enterprise-ca", "--out", "x.tbs"]);
    assert!(refused.code != 0 && refused.err.contains("root-2"), "{refused:?}");
    // What names the first root's addresses beneath the second is refused, and then the right one takes over.
    let misnamed = held.issuing("next.csr", "穗印企业证书签发机构 2", "root", "misnamed");
    assert_eq!(authority.ca(&["issuer", "install", &misnamed]).code, 3);
    assert_eq!(authority.ca(&["--json", "issuer", "install", &issuing]).json()["id"], "enterprise-ca-2");
    authority.request("new", "/C=CN");
    let new = authority.issue("new", "enterprise-signing", &ENTERPRISE);
    // The root is self-signed: whoever trusts the old one alone, or the new one alone, comes to both.
    std::fs::write(authority.home.join("old-across.pem"), std::fs::read_to_string(authority.home.join("old.pem")).unwrap() + &fetch(&authority, "issuer/root-by-root-2.der", "x509")).unwrap();
    for (root, file) in [("ca/root.pem", "old.pem"), ("ca/root.pem", "new.pem"), ("next/certificate.pem", "new.pem"), ("next/certificate.pem", "old-across.pem")] {
        let said = verified(&authority, root, file);
        assert_eq!(said.code, 0, "{file} beneath {root}: {said:?}");
    }
    std::fs::write(authority.home.join("enterprise-ca-2.pem"), fetch(&authority, "issuer/enterprise-ca-2.der", "x509")).unwrap();
    assert!(status(&authority, "ca/root.pem", "ca/enterprise-ca.pem", "old.pem").contains("good"));
    assert!(status(&authority, "next/certificate.pem", "enterprise-ca-2.pem", "new.pem").contains("good"));
    // Both revoke, each on its own list.
    for serial in [&old, &new] {
        authority.ca(&["revoke", serial, "--reason", "superseded"]).ok();
    }
    authority.ca(&["crl", "publish"]).ok();
    for file in ["old.pem", "new.pem"] {
        assert!(verified(&authority, "ca/root.pem", file).err.contains("certificate revoked"));
    }
    assert!(status(&authority, "next/certificate.pem", "enterprise-ca-2.pem", "new.pem").contains("revoked"));
    // It is as durable as all else, and whoever takes over the records finds both roots in them.
    authority.kill();
    authority.start();
    authority.request("after", "/C=CN");
    authority.issue("after", "enterprise-signing", &ENTERPRISE);
    assert_eq!(verified(&authority, "ca/root.pem", "after.pem").code, 0);
    let key = authority.ca(&["--json", "wind-down", "export", "handover"]).json()["vkey"].as_str().unwrap().to_owned();
    run(program("ca"), &["wind-down", "verify", "handover", "--root", "ca/root.pem", "--vkey", &key], &authority.home).ok();
    // An authority of the second root is revoked on the second root's list, and the first root's stands.
    let serial = openssl(&["x509", "-in", "enterprise-ca-2.pem", "-noout", "-serial"], &authority.home).ok().trim().trim_start_matches("serial=").to_lowercase();
    authority.ca(&["revoke", &serial, "--reason", "superseded"]).ok();
    assert!(authority.ca(&["doctor"]).out.lines().any(|line| line.contains("CRL of root-2: a revoked authority is not on it")));
    authority.request("late", "/C=CN");
    let refused = authority.ca(&["--json", "issue", "enterprise-signing", "--request", "late.csr", "--name", ENTERPRISE[1], "--code", ENTERPRISE[3]]);
    assert!(refused.code != 0 && refused.err.contains("revoked"), "{refused:?}");
    let held = Ceremonies { authority: &authority, policies: String::new() };
    assert_eq!(held.list("root-2", "away/next-keys")[0]["entries"], 1);
    assert!(verified(&authority, "ca/root.pem", "after.pem").err.contains("certificate revoked"));
}
