//! An authority whose issuing keys live in a hardware token (SoftHSM), judged by OpenSSL; the token away, and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, SOFT_TOKEN_MODULE as MODULE, SOFT_TOKEN_PIN as PIN, openssl, run, soft_token};

const ENTERPRISE: [&str; 6] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G", "--mailbox", "1234567890@mail.example.cn"];

/// What OpenSSL says of `NAME.pem` by the lists that are published.
fn verify(authority: &Authority, name: &str) -> (bool, String) {
    let mut lists = String::new();
    for id in ["root", "enterprise-ca"] {
        run("curl", &["-sf", "-o", "list.crl", &format!("{}/crl/{id}.crl", authority.url)], &authority.home).ok();
        lists += &openssl(&["crl", "-inform", "DER", "-in", "list.crl"], &authority.home).ok();
    }
    std::fs::write(authority.home.join("lists.pem"), lists).unwrap();
    let file = format!("{name}.pem");
    let said = openssl(&["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", &file], &authority.home);
    (said.code == 0, said.out + &said.err)
}

fn healthy(authority: &Authority) -> bool {
    run("curl", &["-sf", "-o", "health", &format!("{}/healthz", authority.url)], &authority.home).code == 0
}

fn until(limit: u64, what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(limit);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn files_hold(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() { files_hold(&path, text) } else { path.is_file() && std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) }
    })
}

#[test]
fn a_roots_key_is_born_in_a_token_and_vouches_from_there() {
    let place = tempfile::tempdir().unwrap();
    let configuration = soft_token(place.path(), "suiyin");
    let authority = Authority::found_with(place.path(), &[], vec![("SOFTHSM2_CONF", configuration)]);
    let at = |path: &str| authority.home.join(path);
    let sha256 = |file: &str| run("sha256sum", &[file], &authority.home).ok()[..64].to_owned();
    let policies = authority.ca(&["--json", "policy", "check"]).json()["sha256"].as_str().unwrap().to_owned();
    let date = |when: &str| run("date", &["-u", "-d", when, "+%Y-%m-%dT%H:%M:%SZ"], &authority.home).ok().trim().to_owned();
    let now = date("now");
    let dates = |days: u32| format!("not_before = \"{now}\"\nnot_after = \"{}\"\npath_length = 1\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\npresent = [\"甲\", \"乙\"]\n", date(&format!("+{days} days")));
    let held = |text: &str, out: &str, more: &[&str]| {
        std::fs::write(at("ceremony.toml"), text).unwrap();
        let sha256 = sha256("ceremony.toml");
        authority.ca(&[&["--json", "ceremony", "run", "ceremony.toml", "--sha256", &sha256, "--out", out], more].concat())
    };
    let in_token = ["--token-module", MODULE, "--token-label", "suiyin", "--token-pin-file", "pin"];
    let root = format!("kind = \"root\"\nsucceeds = {{ file = \"ca/root.pem\", sha256 = \"{}\" }}\npublished_as = \"root-2\"\nbase_url = \"{}\"\nname = \"穗印根证书机构\"\n{}", sha256("ca/root.pem"), authority.url, dates(7_000));
    // Rehearsed, no key is born; and none where one is named already.
    assert!(held(&root, "new", &[&in_token[..], &["--dry-run"]].concat()).json().get("token_key").is_none());
    assert_eq!(held(&root, "new", &[&in_token[..], &["--token-key", &"0".repeat(32)]].concat()).code, 2);
    let born = held(&root, "new", &in_token).json();
    let key = born["token_key"].as_str().unwrap().to_owned();
    let of_token = [&in_token[..], &["--token-key", &key]].concat();
    authority.ca(&["ceremony", "verify", "new", "--root", "new/certificate.pem"]).ok();
    openssl(&["verify", "-x509_strict", "-check_ss_sig", "-CAfile", "new/certificate.pem", "new/certificate.pem"], &authority.home).ok();
    let by = |root: &str| {
        let key = openssl(&["x509", "-in", root, "-noout", "-ext", "subjectKeyIdentifier"], &authority.home).ok();
        format!("root = {{ file = \"{root}\", sha256 = \"{}\" }}\nroot_key_id = \"{}\"\n", sha256(root), key.lines().nth(1).unwrap().trim())
    };
    let cross = |signing: &str, published_as: &str, certified: &str| {
        let certified = format!("certified = {{ file = \"{certified}\", sha256 = \"{}\" }}\npublished_as = \"{published_as}\"\nbase_url = \"{}\"\n", sha256(certified), authority.url);
        format!("kind = \"cross\"\n{}{certified}{}", by(signing), dates(3_000))
    };
    // The root in the token vouches for the one in the sealed store, and no key of another one signs in its place.
    let wanted = cross("new/certificate.pem", "root-2", "ca/root.pem");
    assert_eq!(held(&wanted, "old-by-new", &in_token).code, 2);
    assert_ne!(held(&wanted, "old-by-new", &[&in_token[..], &["--token-key", &"0".repeat(32)]].concat()).code, 0);
    let second = held(&root, "second", &in_token).json();
    assert_ne!(held(&wanted, "wrong", &[&in_token[..], &["--token-key", second["token_key"].as_str().unwrap()]].concat()).code, 0);
    held(&wanted, "across", &of_token).ok();
    authority.ca(&["ceremony", "verify", "across", "--root", "new/certificate.pem"]).ok();
    held(&cross("ca/root.pem", "root", "new/certificate.pem"), "new-by-old", &["--root-keys", "ca/root-keys", "--root-passphrase-file", "pass"]).ok();
    authority.ca(&["root", "install", "new/certificate.pem", "--by-present", "new-by-old/certificate.pem", "--by-new", "across/certificate.pem"]).ok();
    // Whoever trusts the token's root comes to what the old one's authorities certify.
    openssl(&["verify", "-CAfile", "new/certificate.pem", "-untrusted", "across/certificate.pem", "ca/enterprise-ca.pem"], &authority.home).ok();
    assert!(["new", "second", "across"].iter().all(|out| !files_hold(&at(out), PIN)));
}

#[test]
fn issuing_keys_in_a_token() {
    let place = tempfile::tempdir().unwrap();
    let configuration = soft_token(place.path(), "suiyin");
    let more = ["--token-module", MODULE, "--token-label", "suiyin", "--token-pin-file", "pin"];
    let mut authority = Authority::found_with(place.path(), &more, vec![("SOFTHSM2_CONF", configuration)]);
    // The issuing keys are nowhere but in the token.
    for id in ["enterprise-ca", "officer-ca", "tls-ca"] {
        assert!(!place.path().join(format!("ca/keys/{id}.key")).exists());
        assert!(place.path().join(format!("ca/keys/{id}-ocsp.key")).exists());
    }
    authority.start();
    authority.request("a", "/C=CN/O=广州天河测试有限公司");
    let serial = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let (good, said) = verify(&authority, "a");
    assert!(good, "{said}");
    authority.ca(&["revoke", &serial, "--reason", "superseded"]).ok();
    authority.ca(&["crl", "publish"]).ok();
    let (good, said) = verify(&authority, "a");
    assert!(!good && said.contains("certificate revoked"), "{said}");
    until(10, "the service is not well", || healthy(&authority));

    // The token is taken away and the service begins without it: it does all but issue.
    authority.kill();
    let (tokens, away) = (place.path().join("tokens"), place.path().join("away"));
    std::fs::rename(&tokens, &away).unwrap();
    authority.start();
    authority.request("b", "/C=CN");
    let refused = authority.ca(&[&["issue", "enterprise-signing", "--request", "b.csr", "--out", "b.pem"][..], &ENTERPRISE].concat());
    assert!(refused.code != 0 && refused.err.contains("could not be signed now") && refused.err.contains("do not ask for it twice"), "{refused:?}");
    until(10, "health tells of no fault", || !healthy(&authority));
    let metrics = run("curl", &["-sf", &format!("{}/metrics", authority.url)], &authority.home).ok();
    assert!(metrics.contains("suiyin_ca_fault{part=\"token\"} 1"), "{metrics}");
    let url = format!("{}/ocsp", authority.url);
    let asked = openssl(&["ocsp", "-issuer", "ca/enterprise-ca.pem", "-CAfile", "ca/root.pem", "-serial", &format!("0x{serial}"), "-url", &url], &authority.home);
    assert!((asked.out.clone() + &asked.err).contains("Response verify OK") && asked.out.contains(": revoked"), "{asked:?}");

    // It is back: well again within seconds, and what had waited is issued, once.
    std::fs::rename(&away, &tokens).unwrap();
    until(15, "the token is not found again", || healthy(&authority));
    let issued = || {
        let listed = authority.ca(&["--json", "list"]).json();
        let mut serials: Vec<String> = listed.as_array().unwrap().iter().filter(|one| one["profile"] == "enterprise-signing").map(|one| one["serial"].as_str().unwrap().to_owned()).collect();
        serials.retain(|one| *one != serial);
        serials
    };
    until(10, "what waited is not issued", || !issued().is_empty());
    let waited = issued();
    assert_eq!(waited.len(), 1);
    assert!(refused.err.contains(&waited[0]), "{refused:?}");
    let shown = authority.ca(&["--json", "show", &waited[0]]).json();
    std::fs::write(authority.home.join("b.pem"), shown["pem"].as_str().unwrap()).unwrap();
    let (good, said) = verify(&authority, "b");
    assert!(good, "{said}");
    authority.kill();

    // The PIN is in its file and nowhere else: not in the log, not in the configuration, not in the store.
    assert!(!refused.err.contains(PIN));
    std::fs::remove_file(place.path().join("pin")).unwrap();
    assert!(!files_hold(place.path(), PIN));
}

#[test]
fn a_wrong_pin_founds_nothing_and_is_not_repeated() {
    let place = tempfile::tempdir().unwrap();
    let configuration = soft_token(place.path(), "suiyin");
    for (name, text) in [("wrong", "not-the-pin"), ("pass", "correct horse battery")] {
        std::fs::write(place.path().join(name), text).unwrap();
        std::fs::set_permissions(place.path().join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let init = |pin: &str| {
        let arguments = [
            "--dir", "ca", "--passphrase-file", "pass", "init", "--base-url", "http://127.0.0.1:8440", "--root-passphrase-file", "pass", "--token-module", MODULE,
            "--token-label", "suiyin", "--token-pin-file", pin,
        ];
        Command::new(certs_test::programs::program("ca")).args(arguments).current_dir(place.path()).env("SOFTHSM2_CONF", &configuration).output().unwrap()
    };
    let refused = init("wrong");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("refused the PIN") && !said.contains("not-the-pin"), "{said}");
    assert!(!place.path().join("ca/root.pem").exists());
    // The same directory, the right PIN.
    let founded = init("pin");
    assert!(founded.status.success(), "{founded:?}");
}
