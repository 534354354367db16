//! The enterprise's program as built: a key, its certificate, a draft, its check, a signature that OpenSSL proves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use certs_test::desk::FilingDesk;
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

/// An authority whose clock is its own time source, so that it stamps.
fn stamping(place: &std::path::Path) -> Authority {
    use std::io::Write as _;
    let mut authority = Authority::found(place);
    let mut file = std::fs::File::options().append(true).open(place.join("ca/ca.toml")).unwrap();
    writeln!(file, "\n[timestamp]\nsource = \"unchecked\"").unwrap();
    drop(file);
    authority.start();
    authority
}

#[test]
fn a_filing_is_submitted_once_and_its_receipt_proved_with_the_anchor_alone() {
    let place = tempfile::tempdir().unwrap();
    let authority = stamping(place.path());
    let mut desk = FilingDesk::found(&authority, "mail.example.cn");
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    filing(&["key", "new", "--dir", "firm", "--name", NAME, "--passphrase-file", "pass"]).ok();
    std::fs::copy(authority.home.join("firm/request.csr"), authority.home.join("firm.csr")).unwrap();
    authority.issue("firm", "enterprise-signing", &["--name", NAME, "--code", CODE]);
    std::fs::copy(authority.home.join("firm.pem"), authority.home.join("firm/certificate.pem")).unwrap();
    std::fs::copy(authority.home.join("ca/root.pem"), authority.home.join("firm/root.pem")).unwrap();
    // With a file that goes with it.
    filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc"]).ok();
    std::fs::write(authority.home.join("firm/附表.pdf"), "an attachment").unwrap();
    let digest = run("sha256sum", &["firm/附表.pdf"], &authority.home).ok();
    let attachment = format!("\"attachments\": [{{\"name\": \"附表.pdf\", \"size\": 13, \"media_type\": \"application/pdf\", \"sha256\": \"{}\"}}]", &digest[..64]);
    let text = std::fs::read_to_string(authority.home.join("vat.jsonc")).unwrap();
    let with = text.replacen("\"attachments\": []", &attachment, 1);
    assert_ne!(with, text);
    std::fs::write(authority.home.join("vat.jsonc"), with).unwrap();
    let signed = filing(&["sign", "vat.jsonc", "--dir", "firm", "--passphrase-file", "pass", "--json"]).json();
    let document = signed["document"].as_str().unwrap();
    // The desk is away: told, and nothing is kept.
    let url = format!("https://localhost:{}", desk.https);
    let submit = |wait: &str| filing(&["submit", document, "--dir", "firm", "--server", &url, "--passphrase-file", "pass", "--wait", wait, "--json"]);
    let away = submit("0");
    assert!(away.code == 6 || away.err.contains("unreachable"), "{away:?}");
    desk.start();
    // An attachment that was changed is not sent.
    std::fs::write(authority.home.join("firm/附表.pdf"), "AN ATTACHMENT").unwrap();
    assert_eq!(submit("0").code, 3);
    std::fs::write(authority.home.join("firm/附表.pdf"), "an attachment").unwrap();
    let first = submit("30").json();
    let (receipt, seal) = (first[0]["receipt"].as_str().unwrap(), first[0]["seal"].as_str().unwrap());
    let kept = |path: &str| std::fs::read(authority.home.join(path)).unwrap();
    let (octets, sealed) = (kept(receipt), kept(seal));
    // Submitted again: the same receipt, nothing written over.
    let again = submit("30").json();
    assert_eq!((&again, kept(receipt), kept(seal)), (&first, octets.clone(), sealed));
    let id = signed["filing_id"].as_str().unwrap();
    assert_eq!(desk.desk(&["list", CODE, "--json"]).json().as_array().unwrap().len(), 1);
    // The officer moves it on; the next receipt is proved and kept too, without a key.
    desk.desk(&["accept", id]).ok();
    let status = filing(&["status", id, "--dir", "firm", "--server", &url, "--json"]).json();
    assert_eq!((&status[0]["status"], status[0]["receipts"].as_array().unwrap().len()), (&"ACCEPTED".into(), 2), "{status}");
    let list = filing(&["list", "--dir", "firm", "--json"]).json();
    assert_eq!((&list[0]["filing_id"], &list[0]["status"], list[0]["receipts"].as_array().unwrap().len()), (&id.into(), &"ACCEPTED".into(), 2));
    // Everything is away; the anchor alone proves what was kept, OpenSSL the seal.
    desk.stop_hard();
    desk.reap();
    let verify = || filing(&["receipt", "verify", receipt, "--anchor", "ca/root.pem", "--dir", "firm", "--json"]);
    let proved = verify().json();
    assert_eq!((&proved["verdict"]["verdict"], &proved["verdict"]["level"], &proved["timely"]), (&"TOTAL-PASSED".into(), &"B-T".into(), &first[0]["timely"]), "{proved}");
    openssl(&["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", seal, "-content", receipt, "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &authority.home).ok();
    // One bit less, another root, the receipt of another signature, or no lists: each is told.
    let mut changed = octets.clone();
    let place_of = octets.windows(9).position(|part| part == b"\"hotline\"").unwrap() + 11;
    changed[place_of] = if changed[place_of] == b'0' { b'1' } else { b'0' };
    std::fs::write(authority.home.join(receipt), &changed).unwrap();
    assert_eq!(verify().code, 7);
    std::fs::write(authority.home.join(receipt), &octets).unwrap();
    assert_eq!(filing(&["receipt", "verify", receipt, "--anchor", "firm.pem", "--dir", "firm"]).code, 3);
    let lists = format!("firm/{id}-1.revocation.pem");
    std::fs::rename(authority.home.join(&lists), authority.home.join("lists.pem")).unwrap();
    assert_eq!(verify().code, 3);
    std::fs::rename(authority.home.join("lists.pem"), authority.home.join(&lists)).unwrap();
    assert_eq!(verify().code, 0);
}

#[test]
fn an_enterprise_orders_its_certificate_fetches_it_once_approved_and_renews_it() {
    let place = tempfile::tempdir().unwrap();
    // Renewable from its first day.
    let mut authority = Authority::found(place.path());
    let changed = |file: &str, from: &str, to: &str| {
        let path = place.path().join("ca/policies").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    changed("authority/renewal.toml", "profile = \"enterprise-signing\"\nwindow_days = 60", "profile = \"enterprise-signing\"\nwindow_days = 366");
    changed("certificates/enterprise-signing.toml", "days = 730", "days = 20");
    authority.start();
    authority.ca(&["officer", "identity", "new", "me", "--name", "陈一", "--number", "B-1"]).ok();
    let officer = authority.ca(&["--json", "issue", "officer", "--request", "me/officer.csr", "--officer", "陈一", "--number", "B-1", "--out", "me.pem"]).json();
    authority.ca(&["officer", "identity", "install", "me", "me.pem", "--root", "ca/root.pem"]).ok();
    authority.ca(&["officer", "grant", officer["serial"].as_str().unwrap(), "operator"]).ok();
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    filing(&["key", "new", "--dir", "firm", "--name", NAME, "--passphrase-file", "pass"]).ok();
    assert_eq!(filing(&["fetch", "--dir", "firm", "--anchor", "ca/root.pem"]).code, 4);
    std::fs::write(authority.home.join("licence.pdf"), "a licence").unwrap();
    let order = |name: &str| filing(&["request", "--dir", "firm", "--authority", &authority.url, "--name", name, "--code", CODE, "--evidence", "licence=licence.pdf", "--json"]);
    assert_eq!(order(NAME).json()["state"]["code"], "awaiting-approval");
    // Again is the same order; another one from here is refused before it is sent.
    assert_eq!(order(NAME).json()["state"]["code"], "awaiting-approval");
    assert_eq!(order("另一家公司").code, 5);
    let orders = authority.ca(&["--json", "order", "list"]).json();
    assert_eq!(orders.as_array().unwrap().len(), 1);
    let fetch = |anchor: &str| filing(&["fetch", "--dir", "firm", "--anchor", anchor]);
    assert_eq!(fetch("ca/root.pem").code, 6);
    authority.ca(&["--json", "--identity", "me", "order", "approve", orders[0]["id"].as_str().unwrap(), "--yes", "--reason", "核对无误"]).ok();
    // Under another anchor it is not kept.
    assert_eq!(fetch("me.pem").code, 7);
    assert!(!authority.home.join("firm/certificate.pem").exists());
    fetch("ca/root.pem").ok();
    fetch("ca/root.pem").ok();
    openssl(&["verify", "-CAfile", "firm/root.pem", "-untrusted", "firm/certificate.pem", "firm/certificate.pem"], &authority.home).ok();
    // It ends in twenty days: said at every command, with the command that renews it.
    let warned = filing(&["new", "--dir", "firm", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc"]);
    assert!(warned.code == 0 && warned.err.contains("filing renew --dir firm"), "{warned:?}");
    filing(&["renew", "--dir", "firm", "--passphrase-file", "pass"]).ok();
    openssl(&["verify", "-CAfile", "firm/root.pem", "-untrusted", "firm/certificate-2.pem", "firm/certificate-2.pem"], &authority.home).ok();
    let key = |file: &str| openssl(&["x509", "-in", file, "-noout", "-pubkey"], &authority.home).ok();
    assert_ne!(key("firm/certificate.pem"), key("firm/certificate-2.pem"));
    // The next signature is made with the new key.
    let signed = filing(&["sign", "vat.jsonc", "--dir", "firm", "--passphrase-file", "pass", "--json"]).json();
    let (document, signature) = (signed["document"].as_str().unwrap(), signed["signature"].as_str().unwrap());
    openssl(&["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signature, "-content", document, "-CAfile", "ca/root.pem", "-purpose", "any", "-signer", "signer.pem", "-out", "/dev/null"], &authority.home).ok();
    assert_eq!(key("signer.pem"), key("firm/certificate-2.pem"));
    // The order's number and key are in no log.
    assert!(!std::fs::read_to_string(authority.home.join("serve.log")).unwrap().contains(orders[0]["id"].as_str().unwrap()));
}
