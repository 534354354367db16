//! `filing verify` as built, offline: a hierarchy, signatures and lists that OpenSSL made, judged with nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use certs_test::programs::{Said, openssl, program, run};
use serde_json::Value;

const CONFIGURATION: &str = "[root]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
[ca]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\ncertificatePolicies=1.3.6.1.4.1.32473.1.1\n\
[root_list]\ndatabase=root.txt\ncrlnumber=root.number\ndefault_md=sha256\ndefault_crl_days=365\ncrl_extensions=list\n\
[ca_list]\ndatabase=ca.txt\ncrlnumber=ca.number\ndefault_md=sha256\ndefault_crl_days=7\ncrl_extensions=list\n\
[list]\nauthorityKeyIdentifier=keyid\n";

fn certificate(home: &Path, name: &str, issuer: &str, serial: &str) {
    let [key, csr, out] = ["key", "csr", "pem"].map(|form| format!("{name}.{form}"));
    let (above, its_key, section) = (format!("{issuer}.pem"), format!("{issuer}.key"), if issuer == "ca" { "leaf" } else { name });
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key], home).ok();
    openssl(&["req", "-new", "-key", &key, "-subj", &format!("/C=CN/O={name}"), "-out", &csr], home).ok();
    let made = ["x509", "-req", "-in", &csr, "-days", "300", "-extfile", "openssl.cnf", "-extensions", section, "-set_serial", serial, "-out", &out];
    let by: &[&str] = if name == issuer { &["-signkey", &key] } else { &["-CA", &above, "-CAkey", &its_key] };
    openssl(&[&made[..], by].concat(), home).ok();
}

fn list(home: &Path, issuer: &str, file: &str) {
    let [section, pem, key] = [format!("{issuer}_list"), format!("{issuer}.pem"), format!("{issuer}.key")];
    openssl(&["ca", "-config", "openssl.cnf", "-name", &section, "-gencrl", "-cert", &pem, "-keyfile", &key, "-out", "list.pem"], home).ok();
    openssl(&["crl", "-in", "list.pem", "-outform", "DER", "-out", file], home).ok();
}

/// Root, issuer, two signers, both lists, and a document of each signer.
fn city(home: &Path) {
    std::fs::write(home.join("openssl.cnf"), CONFIGURATION).unwrap();
    for (file, text) in [("root.txt", ""), ("ca.txt", ""), ("root.number", "01\n"), ("ca.number", "01\n"), ("one", "what was agreed"), ("two", "something else")] {
        std::fs::write(home.join(file), text).unwrap();
    }
    for (name, issuer, serial) in [("root", "root", "0x1000"), ("ca", "root", "0x1001"), ("firm", "ca", "0x2001"), ("second", "ca", "0x2002")] {
        certificate(home, name, issuer, serial);
    }
    list(home, "root", "root.crl");
    list(home, "ca", "ca.crl");
    for (file, name) in [("one", "firm"), ("two", "second")] {
        let [pem, key, out] = [format!("{name}.pem"), format!("{name}.key"), format!("{file}.p7s")];
        openssl(&["cms", "-sign", "-binary", "-cades", "-in", file, "-signer", &pem, "-inkey", &key, "-certfile", "ca.pem", "-outform", "DER", "-out", &out], home).ok();
    }
}

/// Exit code, verdict and sub-indication.
fn told(said: &Said) -> (i32, String, String) {
    let verdict: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let text = |member: &str| verdict[member].as_str().unwrap_or_default().to_owned();
    (said.code, text("verdict"), text("sub_indication"))
}

#[test]
fn a_signature_is_judged_offline_and_a_script_reads_the_answer_from_the_exit_code() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    city(home);
    let verify = |file: &str, signature: &str, more: &[&str]| {
        let mut all = vec!["verify", file, "--signature", signature, "--json"];
        all.extend(more);
        run(program("filing"), &all, home)
    };
    let is = |said: &Said, code: i32, verdict: &str, sub: &str| assert_eq!(told(said), (code, verdict.to_owned(), sub.to_owned()), "{said:?}");
    let known = ["--anchor", "root.pem", "--crl", "ca.crl", "--crl", "root.crl"];
    // 1. It passes, from DER and from PEM; people read it in Chinese first.
    let passed = verify("one", "one.p7s", &known);
    is(&passed, 0, "TOTAL-PASSED", "");
    let (verdict, digest) = (passed.json(), openssl(&["dgst", "-sha256", "-r", "one"], home).ok());
    assert_eq!((verdict["level"].as_str(), verdict["document_sha256"].as_str()), (Some("B-B"), digest.split(' ').next()));
    openssl(&["cms", "-cmsout", "-inform", "DER", "-in", "one.p7s", "-outform", "PEM", "-out", "one.pem"], home).ok();
    is(&verify("one", "one.pem", &known), 0, "TOTAL-PASSED", "");
    let mut shown = vec!["verify", "one", "--signature", "one.p7s"];
    shown.extend(known);
    assert!(run(program("filing"), &shown, home).ok().starts_with("签名有效  TOTAL-PASSED"));
    // 2. What cannot be told: no lists, another root, another's code, a policy that it does not bear.
    is(&verify("one", "one.p7s", &["--anchor", "root.pem"]), 3, "INDETERMINATE", "TRY_LATER");
    is(&verify("one", "one.p7s", &["--anchor", "second.pem", "--crl", "ca.crl"]), 3, "INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND");
    for (more, sub) in [(["--code", "91440101MAT000026B"], "SIG_CONSTRAINTS_FAILURE"), (["--certificate-policy", "1.3.6.1.4.1.32473.9.9"], "CHAIN_CONSTRAINTS_FAILURE")] {
        let mut all = known.to_vec();
        all.extend(more);
        is(&verify("one", "one.p7s", &all), 3, "INDETERMINATE", sub);
    }
    // 3. What failed: another document, another's signature, one bit of the signature, no signature at all.
    is(&verify("two", "one.p7s", &known), 7, "TOTAL-FAILED", "HASH_FAILURE");
    is(&verify("one", "two.p7s", &known), 7, "TOTAL-FAILED", "HASH_FAILURE");
    let mut damaged = std::fs::read(home.join("one.p7s")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(home.join("damaged"), damaged).unwrap();
    is(&verify("one", "damaged", &known), 7, "TOTAL-FAILED", "SIG_CRYPTO_FAILURE");
    for garbage in ["one", "root.txt", "root.pem", "ca.crl"] {
        is(&verify("one", garbage, &known), 7, "TOTAL-FAILED", "FORMAT_FAILURE");
    }
    // 4. What was not asked well: 2, a problem that says what to do next, and no verdict.
    let wrong: [&[&str]; 5] = [
        &["--anchor", "missing.pem"],
        &["--anchor", "one"],
        &["--anchor", "root.pem", "--crl", "one"],
        &["--anchor", "root.pem", "--ocsp", "ca.crl"],
        &["--anchor", "root.pem", "--at", "yesterday"],
    ];
    for more in wrong {
        let said = verify("one", "one.p7s", more);
        let problem: Value = serde_json::from_str(&said.err).unwrap_or_else(|_| panic!("{said:?}"));
        assert!(said.code == 2 && said.out.is_empty() && problem["next"].is_string(), "{said:?}");
    }
    // 5. Revoked: nothing proves that it was signed before. Another's signature stands, with the same list.
    openssl(&["ca", "-config", "openssl.cnf", "-name", "ca_list", "-revoke", "firm.pem", "-crl_reason", "keyCompromise", "-cert", "ca.pem", "-keyfile", "ca.key"], home).ok();
    list(home, "ca", "ca.crl");
    is(&verify("one", "one.p7s", &known), 3, "INDETERMINATE", "REVOKED_NO_POE");
    is(&verify("two", "two.p7s", &known), 0, "TOTAL-PASSED", "");
}
