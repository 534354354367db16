//! The enterprise's program as built: a key, its certificate, a draft, its check, a signature that OpenSSL proves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use certs_test::programs::{Authority, Said, openssl, program, run};

const NAME: &str = "广州示范有限公司";
const CODE: &str = "91440101MAT000018G";

#[test]
fn an_enterprise_signs_what_its_rules_allow_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::found(place.path());
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    // A key of its own, certified at the counter.
    filing(&["key", "new", "--dir", "enterprise", "--name", NAME, "--passphrase-file", "pass"]).ok();
    assert_eq!(filing(&["key", "new", "--dir", "enterprise", "--name", NAME, "--passphrase-file", "pass"]).code, 3);
    std::fs::copy(authority.home.join("enterprise/request.csr"), authority.home.join("firm.csr")).unwrap();
    authority.issue("firm", "enterprise-signing", &["--name", NAME, "--code", CODE]);
    // A draft of a month in which nothing happened is a return; one with a wrong sum is refused, and says what is asked for.
    let draft = filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc", "--json"]).json();
    assert_eq!(draft["deadline"]["date"], "2026-11-16");
    filing(&["check", "vat.jsonc"]).ok();
    let text = std::fs::read_to_string(authority.home.join("vat.jsonc")).unwrap();
    assert!(text.contains("第17栏 应抵扣税额合计"));
    std::fs::write(authority.home.join("wrong.jsonc"), text.replacen("// \"l11\": \"0.00\"", "\"l11\": \"130.00\"", 1)).unwrap();
    let refused = filing(&["check", "wrong.jsonc", "--json"]);
    assert_eq!(refused.code, 3);
    let told: serde_json::Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((&told["failures"][0]["rule"], &told["failures"][0]["expected"]), (&"V19".into(), &"130.00".into()));
    let sign = |file: &str| filing(&["sign", file, "--dir", "enterprise", "--certificate", "firm.pem", "--passphrase-file", "pass", "--json"]);
    assert_eq!(sign("wrong.jsonc").code, 3);
    // What keeps its rules is signed: canonical octets, and a signature that others prove down to the root.
    let signed = sign("vat.jsonc").json();
    let (document, signature) = (signed["document"].as_str().unwrap(), signed["signature"].as_str().unwrap());
    let verify = |content: &str| openssl(&["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signature, "-content", content, "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &authority.home);
    verify(document).ok();
    assert_ne!(verify("vat.jsonc").code, 0);
    // Signed again it stays as it is; another content under its id, or another enterprise's, is refused.
    let first = std::fs::read(authority.home.join(signature)).unwrap();
    sign("vat.jsonc").ok();
    assert_eq!(std::fs::read(authority.home.join(signature)).unwrap(), first);
    std::fs::write(authority.home.join("again.jsonc"), text.replacen("\"revision\": 1,", "\"revision\": 1, \"unit_name\": \"改\",", 1)).unwrap();
    assert_eq!(sign("again.jsonc").code, 5);
    std::fs::write(authority.home.join("other.jsonc"), text.replacen(CODE, "91440101MAT000026B", 1)).unwrap();
    assert_eq!(sign("other.jsonc").code, 3);
}
