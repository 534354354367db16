//! A key ceremony on a machine of its own and a new generation that takes over, with the built `ca`, judged by OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, Said, openssl, program, run};
use pki::path::{ANY_PURPOSE, Anchors, PathError, Requirements, RevocationList, Validation};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

fn sha256(authority: &Authority, file: &str) -> String {
    run("sha256sum", &[file], &authority.home).ok().split(' ').next().unwrap().to_owned()
}

/// On the machine with the root's key: no state directory.
fn away(authority: &Authority, arguments: &[&str]) -> Said {
    run(program("ca"), arguments, &authority.home)
}

fn hold(authority: &Authority, file: &str, more: &[&str]) -> Said {
    let sha256 = sha256(authority, file);
    away(authority, &[&["--json", "ceremony", "run", file, "--root-keys", "root-keys", "--root-passphrase-file", "pass", "--sha256", &sha256], more].concat())
}

/// Writes the file of a ceremony; `inputs` are its own lines.
fn write(authority: &Authority, name: &str, kind: &str, inputs: &str) {
    let key = openssl(&["x509", "-in", "root.pem", "-noout", "-ext", "subjectKeyIdentifier"], &authority.home).ok();
    let key_id = key.lines().nth(1).unwrap().trim();
    let root = sha256(authority, "root.pem");
    let text = format!("kind = \"{kind}\"\nroot = {{ file = \"root.pem\", sha256 = \"{root}\" }}\nroot_key_id = \"{key_id}\"\npresent = [\"甲\", \"乙\"]\n{inputs}");
    std::fs::write(authority.home.join(name), text).unwrap();
}

fn issuing(authority: &Authority, request: &str, until: &str) -> String {
    let from = run("date", &["-u", "-d", "-1 minute", "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok();
    let until = run("date", &["-u", "-d", until, "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok();
    let policies = authority.ca(&["--json", "policy", "check"]).json()["sha256"].as_str().unwrap().to_owned();
    format!(
        "request = {{ file = \"{request}\", sha256 = \"{}\" }}\nname = \"穗印企业证书签发机构 2\"\nnot_before = \"{}\"\nnot_after = \"{}\"\npath_length = 0\nbase_url = \"{}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\n",
        sha256(authority, request), from.trim(), until.trim(), authority.url
    )
}

fn verified(authority: &Authority, issuer: &str, certificate: &str, crls: &str) -> Said {
    openssl(&["verify", "-x509_strict", "-crl_check_all", "-CRLfile", crls, "-CAfile", "root.pem", "-untrusted", issuer, certificate], &authority.home)
}

fn fetch(authority: &Authority, path: &str, kind: &str) -> String {
    run("curl", &["-sf", "-o", "fetched.der", &format!("{}/{path}", authority.url)], &authority.home).ok();
    openssl(&[kind, "-inform", "DER", "-in", "fetched.der"], &authority.home).ok()
}

#[test]
fn a_generation_is_certified_away_from_the_network_and_takes_over() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    std::fs::rename(authority.home.join("ca/root-keys"), authority.home.join("root-keys")).unwrap();
    std::fs::copy(authority.home.join("ca/root.pem"), authority.home.join("root.pem")).unwrap();
    // The root has a minute more behind it than a ceremony's first day may have.
    authority.start();
    authority.request("old", "/C=CN");
    let old = authority.issue("old", "enterprise-signing", &ENTERPRISE);
    authority.ca(&["issuer", "request", "enterprise-ca", "--out", "next.csr"]).ok();
    assert_eq!(authority.ca(&["issuer", "request", "enterprise-ca", "--out", "next.csr"]).code, 5);
    assert!(openssl(&["req", "-in", "next.csr", "-noout", "-verify"], &authority.home).err.contains("verify OK"));
    // Rehearsed and refused before anything is made: dates before the root's, a weak key, a file that is not the reviewed one.
    let later = issuing(&authority, "next.csr", "+3600 days");
    let now = run("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok();
    let from = later.lines().find(|line| line.starts_with("not_before")).unwrap().to_owned();
    let good = later.replace(&from, &format!("not_before = \"{}\"", now.trim()));
    write(&authority, "early.toml", "issuing", &later);
    assert_eq!(hold(&authority, "early.toml", &["--out", "out"]).code, 3);
    openssl(&["req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/", "-keyout", "weak.key", "-out", "weak.csr"], &authority.home).ok();
    let weak = good.replace(&sha256(&authority, "next.csr"), &sha256(&authority, "weak.csr")).replace("next.csr", "weak.csr");
    write(&authority, "weak.toml", "issuing", &weak);
    let refused = hold(&authority, "weak.toml", &["--out", "out"]);
    assert!(refused.code == 3 && refused.err.contains("\"weak-key\""), "{refused:?}");
    write(&authority, "good.toml", "issuing", &good);
    let refused = away(&authority, &["--json", "ceremony", "run", "good.toml", "--root-keys", "root-keys", "--root-passphrase-file", "pass", "--sha256", &"0".repeat(64), "--out", "out"]);
    assert!(refused.code == 3 && refused.err.contains("\"not-reviewed\""), "{refused:?}");
    hold(&authority, "good.toml", &["--out", "out", "--dry-run"]).ok();
    assert!(!authority.home.join("out").exists());
    hold(&authority, "good.toml", &["--out", "out"]).ok();
    assert_eq!(hold(&authority, "good.toml", &["--out", "out"]).code, 5);
    assert!(away(&authority, &["ceremony", "verify", "out", "--root", "root.pem"]).ok().contains("2 people"));
    // It takes over in the running service.
    let installed = authority.ca(&["--json", "issuer", "install", "out/certificate.pem"]).json();
    assert_eq!(installed["id"], "enterprise-ca-2");
    authority.request("new", "/C=CN");
    let new = authority.issue("new", "enterprise-signing", &ENTERPRISE);
    let lists = ["crl/root.crl", "crl/enterprise-ca.crl", "crl/enterprise-ca-2.crl"].map(|path| fetch(&authority, path, "crl")).concat();
    std::fs::write(authority.home.join("lists.pem"), lists).unwrap();
    for (id, name) in [("enterprise-ca", "old"), ("enterprise-ca-2", "new")] {
        let file = format!("{id}.pem");
        std::fs::write(authority.home.join(&file), fetch(&authority, &format!("issuer/{id}.der"), "x509")).unwrap();
        let said = verified(&authority, &file, &format!("{name}.pem"), "lists.pem");
        assert_eq!(said.code, 0, "{said:?}");
        let url = format!("{}/ocsp", authority.url);
        let said = openssl(&["ocsp", "-issuer", &file, "-CAfile", "root.pem", "-verify_other", &file, "-url", &url, "-cert", &format!("{name}.pem")], &authority.home);
        assert!(said.err.contains("Response verify OK") && said.out.contains(": good"), "{said:?}");
    }
    // The old one still revokes, on its own list.
    authority.ca(&["revoke", &old, "--reason", "superseded"]).ok();
    authority.ca(&["crl", "publish"]).ok();
    let lists = ["crl/root.crl", "crl/enterprise-ca.crl", "crl/enterprise-ca-2.crl"].map(|path| fetch(&authority, path, "crl")).concat();
    std::fs::write(authority.home.join("lists.pem"), lists).unwrap();
    assert!(verified(&authority, "enterprise-ca.pem", "old.pem", "lists.pem").err.contains("certificate revoked"));
    assert_eq!(verified(&authority, "enterprise-ca-2.pem", "new.pem", "lists.pem").code, 0);
    authority.kill();
    authority.start();
    assert_eq!(authority.ca(&["--json", "show", &new]).json()["issuer"], "enterprise-ca-2");
    authority.ca(&["doctor"]).ok();
    // The first generation is revoked in the end: the root's list is a ceremony too.
    let first = openssl(&["x509", "-in", "enterprise-ca.pem", "-noout", "-serial"], &authority.home).ok();
    authority.ca(&["revoke", first.trim().trim_start_matches("serial="), "--reason", "superseded"]).ok();
    let prepared = authority.ca(&["--json", "crl", "root", "prepare", "--out", "prepared"]).json();
    std::fs::copy(authority.home.join("prepared/root-crl.tbs"), authority.home.join("root.tbs")).unwrap();
    let number = prepared["number"].as_u64().unwrap();
    let inputs = |number: u64| format!("prepared = {{ file = \"root.tbs\", sha256 = \"{}\" }}\nnumber = {number}\n", sha256(&authority, "root.tbs"));
    write(&authority, "wrong.toml", "root-crl", &inputs(number + 1));
    assert_eq!(hold(&authority, "wrong.toml", &["--out", "list"]).code, 3);
    write(&authority, "list.toml", "root-crl", &inputs(number));
    hold(&authority, "list.toml", &["--out", "list"]).ok();
    away(&authority, &["ceremony", "verify", "list", "--root", "root.pem"]).ok();
    authority.ca(&["crl", "root", "publish", "list/root.crl"]).ok();
    let told = openssl(&["crl", "-inform", "DER", "-in", "list/root.crl", "-CAfile", "root.pem", "-noout", "-text"], &authority.home);
    assert!(told.err.contains("verify OK") && told.out.contains("Superseded"), "{told:?}");
    authority.request("last", "/C=CN");
    authority.issue("last", "enterprise-signing", &ENTERPRISE);
}

/// A certificate's DER.
fn der(authority: &Authority, file: &str) -> Vec<u8> {
    pem::parse(std::fs::read(authority.home.join(file)).unwrap()).unwrap().into_contents()
}

/// The lines that name the root whose key signs.
fn by(authority: &Authority, root: &str) -> String {
    let key = openssl(&["x509", "-in", root, "-noout", "-ext", "subjectKeyIdentifier"], &authority.home).ok();
    format!("root = {{ file = \"{root}\", sha256 = \"{}\" }}\nroot_key_id = \"{}\"\npresent = [\"甲\", \"乙\"]\n", sha256(authority, root), key.lines().nth(1).unwrap().trim())
}

fn held_with(authority: &Authority, keys: &str, text: &str, out: &str, more: &[&str]) -> Said {
    std::fs::write(authority.home.join("roots.toml"), text).unwrap();
    let sha256 = sha256(authority, "roots.toml");
    away(authority, &[&["--json", "ceremony", "run", "roots.toml", "--root-keys", keys, "--root-passphrase-file", "pass", "--sha256", &sha256, "--out", out], more].concat())
}

/// An empty list by a root, signed in a ceremony.
fn empty_list(authority: &Authority, keys: &str, root: &str, out: &str) -> Vec<u8> {
    let certificate = der(authority, root);
    let (_, read) = x509_parser::parse_x509_certificate(&certificate).unwrap();
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let plan = pki::crl::CrlPlan {
        issuer: read.subject().as_raw().to_vec(),
        this_update: now,
        next_update: now + time::Duration::days(1),
        number: 1,
        authority_key_id: pki::certificate::key_id(read.public_key().raw).unwrap(),
        distribution_point: None,
        delta_of: None,
        freshest: None,
    };
    std::fs::write(authority.home.join("list.tbs"), pki::crl::build_tbs(&plan, pki::signer::SignatureAlgorithm::EcdsaP384Sha384, [])).unwrap();
    let text = format!("kind = \"root-crl\"\n{}prepared = {{ file = \"list.tbs\", sha256 = \"{}\" }}\nnumber = 1\n", by(authority, root), sha256(authority, "list.tbs"));
    held_with(authority, keys, &text, out, &[]).ok();
    std::fs::read(authority.home.join(out).join("root.crl")).unwrap()
}

#[test]
fn a_new_root_is_made_and_the_two_vouch_for_each_other() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    std::fs::rename(authority.home.join("ca/root-keys"), authority.home.join("root-keys")).unwrap();
    std::fs::copy(authority.home.join("ca/root.pem"), authority.home.join("root.pem")).unwrap();
    authority.start();
    authority.request("old", "/C=CN");
    authority.issue("old", "enterprise-signing", &ENTERPRISE);
    let policies = authority.ca(&["--json", "policy", "check"]).json()["sha256"].as_str().unwrap().to_owned();
    let date = |when: &str| run("date", &["-u", "-d", when, "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok().trim().to_owned();
    // Certificates tell seconds: of two roots of one second nobody could say which is the newer.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let now = date("now");
    let dates = |days: u32| format!("not_before = \"{now}\"\nnot_after = \"{}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\n", date(&format!("+{days} days")));
    // The new root: rehearsed without a key, made with one that is born, and never over another.
    let succeeds = format!("succeeds = {{ file = \"root.pem\", sha256 = \"{}\" }}\npublished_as = \"root-2\"\nbase_url = \"{}\"\n", sha256(&authority, "root.pem"), authority.url);
    let text = |name: &str, days, length| format!("kind = \"root\"\n{succeeds}name = \"{name}\"\npath_length = {length}\npresent = [\"甲\", \"乙\"]\n{}", dates(days));
    let good = text("穗印根证书机构", 7_000, 1);
    // Two that could not vouch for each other are told before there is a key: another name, no day in common.
    let past = text("穗印根证书机构", 7_000, 1).replace(&format!("not_before = \"{now}\""), &format!("not_before = \"{}\"", date("+7310 days"))).replace(&date("+7000 days"), &date("+7400 days"));
    for wrong in [text("另一个根", 7_000, 1), past, good.replace("root-2", "root")] {
        let said = held_with(&authority, "new-keys", &wrong, "new", &[]);
        assert!(said.code == 3 && said.err.contains("\"ceremony\""), "{said:?}");
    }
    assert!(!authority.home.join("new-keys").exists());
    let rehearsed = held_with(&authority, "new-keys", &good, "new", &["--dry-run"]).json();
    assert!(rehearsed["root_key_id"].is_null() && !authority.home.join("new-keys").exists() && !authority.home.join("new").exists());
    for wrong in [text("穗印根证书机构", 7_400, 1), text("穗印根证书机构", 7_000, 2), good.replace(&policies, &"0".repeat(64))] {
        assert_eq!(held_with(&authority, "new-keys", &wrong, "new", &[]).code, 3);
    }
    assert_eq!(held_with(&authority, "root-keys", &good, "new", &[]).code, 5);
    assert!(!authority.home.join("new-keys").exists());
    held_with(&authority, "new-keys", &good, "new", &[]).ok();
    assert_eq!(held_with(&authority, "new-keys", &good, "again", &[]).code, 5);
    away(&authority, &["ceremony", "verify", "new", "--root", "new/certificate.pem"]).ok();
    assert_ne!(away(&authority, &["ceremony", "verify", "new", "--root", "root.pem"]).code, 0);
    openssl(&["verify", "-x509_strict", "-check_ss_sig", "-CAfile", "new/certificate.pem", "new/certificate.pem"], &authority.home).ok();
    // The two vouch for each other, and nobody for what is no root with this subject.
    let cross = |signing: &str, certified: &str| {
        let published_as = if signing == "root.pem" { "root" } else { "root-2" };
        let certified = format!("certified = {{ file = \"{certified}\", sha256 = \"{}\" }}\npublished_as = \"{published_as}\"\npath_length = 1\nbase_url = \"{}\"\n", sha256(&authority, certified), authority.url);
        format!("kind = \"cross\"\n{}{certified}{}", by(&authority, signing), dates(3_000))
    };
    held_with(&authority, "root-keys", &cross("root.pem", "new/certificate.pem"), "new-by-old", &[]).ok();
    held_with(&authority, "new-keys", &cross("new/certificate.pem", "root.pem"), "old-by-new", &[]).ok();
    away(&authority, &["ceremony", "verify", "old-by-new", "--root", "new/certificate.pem"]).ok();
    for wrong in ["root.pem", "ca/tls-ca.pem"] {
        assert_eq!(held_with(&authority, "root-keys", &cross("root.pem", wrong), "wrong", &[]).code, 3, "{wrong}");
    }
    openssl(&["req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384", "-nodes", "-subj", "/CN=other", "-days", "3650", "-keyout", "other.key", "-out", "other.pem"], &authority.home).ok();
    assert_eq!(held_with(&authority, "root-keys", &cross("root.pem", "other.pem"), "wrong", &[]).code, 3);
    // The newer root's certificates would name the older one's list.
    let misnamed = cross("new/certificate.pem", "root.pem").replace("\"root-2\"", "\"root\"");
    assert_eq!(held_with(&authority, "new-keys", &misnamed, "wrong", &[]).code, 3);
    assert_eq!(held_with(&authority, "new-keys", &cross("root.pem", "new/certificate.pem"), "wrong", &[]).code, 3);
    // An authority by the new root, and a certificate by that one.
    openssl(&["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/", "-keyout", "next.key", "-out", "next.csr"], &authority.home).ok();
    let issuing = format!("kind = \"issuing\"\n{}request = {{ file = \"next.csr\", sha256 = \"{}\" }}\nname = \"下一代\"\npath_length = 0\nbase_url = \"{}\"\n{}", by(&authority, "new/certificate.pem"), sha256(&authority, "next.csr"), authority.url, dates(3_000));
    held_with(&authority, "new-keys", &issuing, "next", &[]).ok();
    openssl(&["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=leaf", "-keyout", "leaf.key", "-out", "leaf.csr"], &authority.home).ok();
    openssl(&["x509", "-req", "-in", "leaf.csr", "-CA", "next/certificate.pem", "-CAkey", "next.key", "-days", "10", "-out", "leaf.pem"], &authority.home).ok();
    // Whoever trusts the old root alone, or the new one alone, comes to both.
    std::fs::write(authority.home.join("enterprise-ca.pem"), fetch(&authority, "issuer/enterprise-ca.der", "x509")).unwrap();
    let verify = |anchor: &str, above: &[&str], leaf: &str| {
        let untrusted: Vec<&str> = above.iter().flat_map(|one| ["-untrusted", one]).collect();
        openssl(&[&["verify", "-CAfile", anchor][..], &untrusted, &[leaf]].concat(), &authority.home).code
    };
    assert_eq!(verify("root.pem", &["next/certificate.pem", "new-by-old/certificate.pem"], "leaf.pem"), 0);
    assert_ne!(verify("root.pem", &["next/certificate.pem"], "leaf.pem"), 0);
    assert_eq!(verify("new/certificate.pem", &["enterprise-ca.pem", "old-by-new/certificate.pem"], "old.pem"), 0);
    assert_ne!(verify("new/certificate.pem", &["enterprise-ca.pem"], "old.pem"), 0);
    // And with what the authority publishes, once it is told of the new root.
    authority.ca(&["root", "install", "new/certificate.pem", "--by-present", "new-by-old/certificate.pem"]).ok();
    let published = run("curl", &["-s", "--fail", "-o", "roots.pem", &format!("{}/roots", authority.url)], &authority.home);
    assert_eq!(published.code, 0, "{published:?}");
    assert_eq!(std::fs::read_to_string(authority.home.join("roots.pem")).unwrap().matches("BEGIN CERTIFICATE").count(), 3);
    // OpenSSL tries one path alone, and a self-signed root among the untrusted ends it: it gets what leads across.
    std::fs::write(authority.home.join("across.pem"), fetch(&authority, "issuer/root-2-by-root.der", "x509")).unwrap();
    assert_eq!(verify("root.pem", &["next/certificate.pem", "across.pem"], "leaf.pem"), 0);
    assert_eq!(fetch(&authority, "issuer/root-2.der", "x509"), openssl(&["x509", "-in", "new/certificate.pem"], &authority.home).ok());
    assert_ne!(authority.ca(&["root", "install", "root.pem", "--by-present", "new-by-old/certificate.pem"]).code, 0);
    // The same by our own path building, with the lists of all three.
    let fetched = ["crl/enterprise-ca.crl", "crl/root.crl"].map(|path| {
        fetch(&authority, path, "crl");
        std::fs::read(authority.home.join("fetched.der")).unwrap()
    });
    let new_list = empty_list(&authority, "new-keys", "new/certificate.pem", "new-list");
    let lists: Vec<_> = fetched.iter().chain([&new_list]).map(|list| RevocationList::parse(list).unwrap()).collect();
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
    let anchors = Anchors::new(&[der(&authority, "new/certificate.pem")]).unwrap();
    let trust = |lists: &[RevocationList], above: &[&str]| {
        let above: Vec<Vec<u8>> = above.iter().map(|one| der(&authority, one)).collect();
        Validation { anchors: &anchors, lists, required: &required, at: time::OffsetDateTime::now_utc() }.trust(&der(&authority, "old.pem"), &above).map(|_| ())
    };
    assert_eq!(trust(&lists, &["enterprise-ca.pem", "old-by-new/certificate.pem"]), Ok(()));
    assert_eq!(trust(&lists, &["enterprise-ca.pem", "new-by-old/certificate.pem"]), Err(PathError::UnknownIssuer));
    // Without the new root's list nobody knows whether it still vouches.
    assert_eq!(trust(&lists[..2], &["enterprise-ca.pem", "old-by-new/certificate.pem"]), Err(PathError::RevocationUnknown));
}
