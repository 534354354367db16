//! A running authority's wind-down package, judged by sha256sum and OpenSSL, and by a `ca` that knows nothing of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use certs_test::programs::{Authority, openssl, program, run};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

#[test]
fn a_package_is_proved_without_the_authority() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    std::fs::copy(authority.home.join("ca/root.pem"), authority.home.join("root.pem")).unwrap();
    authority.start();
    let mut serials = Vec::new();
    for name in ["good", "revoked", "held", "old"] {
        authority.request(name, "/C=CN");
        serials.push(authority.issue(name, "enterprise-signing", &ENTERPRISE));
    }
    authority.ca(&["revoke", &serials[1], "--reason", "key-compromise"]).ok();
    authority.ca(&["suspend", &serials[2]]).ok();
    authority.request("new", "/C=CN");
    authority.ca(&["replace", &serials[3], "--request", "new.csr", "--reason", "superseded", "--out", "new.pem"]).ok();
    authority.request("ordered", "/C=CN");
    let order = [&["--json", "order", "place", "enterprise-signing", "--request", "ordered.csr", "--key", "counter-1"][..], &ENTERPRISE].concat();
    authority.ca(&order).ok();
    authority.ca(&["crl", "publish"]).ok();
    // How long it is kept.
    let report = authority.ca(&["--json", "retention", "report"]).json();
    assert_eq!((&report["years_after_expiry"], &report["beyond"]), (&5.into(), &0.into()));
    assert!(authority.ca(&["retention", "report"]).ok().contains("beyond their time: 0"));
    let done = authority.ca(&["--json", "wind-down", "export", "package"]).json();
    let certificates = done["certificates"].as_u64().unwrap();
    assert_eq!(report["certificates"], certificates);
    let again = authority.ca(&["--json", "wind-down", "export", "package"]);
    assert!(again.code == 5 && again.err.contains("\"backup-exists\""), "{again:?}");
    let vkey = done["vkey"].as_str().unwrap().to_owned();
    authority.kill();
    std::fs::rename(authority.home.join("ca"), authority.home.join("gone")).unwrap();

    // 1. Every file's digest, by another program.
    let package = authority.home.join("package");
    let summed = run("sha256sum", &["--check", "--strict", "--quiet", "MANIFEST"], &package);
    assert_eq!((summed.code, summed.out.as_str()), (0, ""), "{summed:?}");
    let manifest = run("sha256sum", &["MANIFEST"], &package).ok();
    assert!(manifest.starts_with(done["sha256"].as_str().unwrap()) && std::fs::read_to_string(package.join("MANIFEST.note")).unwrap().contains(done["sha256"].as_str().unwrap()));
    // 2. Every certificate beneath the root, by OpenSSL.
    let bodies = std::fs::read_to_string(package.join("certificates.pem")).unwrap();
    let lines = std::fs::read_to_string(package.join("certificates.jsonl")).unwrap();
    let (mut seen, mut states) = (0, Vec::new());
    for (body, line) in bodies.split_inclusive("-----END CERTIFICATE-----\n").zip(lines.lines()) {
        std::fs::write(authority.home.join("one.pem"), body).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let issuer = format!("package/issuers/{}.pem", line["record"]["issuer"].as_str().unwrap());
        let judged = openssl(&["verify", "-CAfile", "root.pem", "-untrusted", &issuer, "-purpose", "any", "one.pem"], &authority.home);
        assert_eq!(judged.code, 0, "{judged:?}");
        let shown = openssl(&["x509", "-in", "one.pem", "-noout", "-serial"], &authority.home).ok().to_lowercase();
        assert_eq!(shown.trim(), format!("serial={}", line["serial"].as_str().unwrap()));
        if serials.iter().any(|serial| line["serial"] == serial.as_str()) {
            states.push((line["serial"].clone(), line["record"]["status"].clone()));
        }
        seen += 1;
    }
    assert_eq!((seen, states.len()), (certificates, 4));
    let status = |number: usize| states.iter().find(|(serial, _)| *serial == serials[number].as_str()).unwrap().1.clone();
    assert!(status(0) == "good" && status(1)["revoked"]["reason"] == "key-compromise" && status(2)["held"].is_object());
    // 3. The lists, by OpenSSL: the revoked and the held stand on theirs.
    let list = openssl(&["crl", "-inform", "DER", "-in", "package/lists/enterprise-ca.crl", "-noout", "-text", "-CAfile", "package/issuers/enterprise-ca.pem"], &authority.home);
    assert!(list.code == 0 && list.err.contains("verify OK"), "{list:?}");
    let text = list.out.to_lowercase();
    assert!([1, 2].iter().all(|number| text.contains(&serials[*number])) && !text.contains(&serials[0]));
    // 4. All of it by our own verifier, with the root and the log's key alone; nothing of the authority is left here.
    let verify = |more: &[&str]| {
        let output = Command::new(program("ca")).args(["--json", "wind-down", "verify", "package"]).args(more).current_dir(&authority.home).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = verify(&["--root", "root.pem", "--vkey", &vkey]);
    assert!(code == 0 && said.contains(done["sha256"].as_str().unwrap()), "{said}");
    let whole: serde_json::Value = serde_json::from_str(&said[said.find('{').unwrap()..=said.rfind('}').unwrap()]).unwrap();
    assert_eq!((&whole["certificates"], &whole["orders"]), (&certificates.into(), &1.into()), "{said}");
    // 5. The log within is the log.
    let proved = Command::new(program("ca")).args(["log", "verify", "package/log", "--vkey", &vkey]).current_dir(&authority.home).output().unwrap();
    assert!(proved.status.success(), "{proved:?}");
    // 6. One bit, another root, no file: refused, and the file named.
    let path = package.join("lists/enterprise-ca.crl");
    let bytes = std::fs::read(&path).unwrap();
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 0x10;
    std::fs::write(&path, &changed).unwrap();
    let (code, said) = verify(&["--root", "root.pem", "--vkey", &vkey]);
    assert!(code != 0 && said.contains("lists/enterprise-ca.crl") && said.contains("\"wind-down\""), "{said}");
    std::fs::write(&path, &bytes).unwrap();
    let (code, said) = verify(&["--root", "package/issuers/enterprise-ca.pem", "--vkey", &vkey]);
    assert!(code != 0 && said.contains("the root given is no"), "{said}");
    std::fs::remove_file(package.join("policies/authority/retention.toml")).unwrap();
    let (code, said) = verify(&["--root", "root.pem", "--vkey", &vkey]);
    assert!(code != 0 && said.contains("policies/authority/retention.toml is missing"), "{said}");
}
