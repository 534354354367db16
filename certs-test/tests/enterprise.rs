//! The enterprise's program as built: a key, its certificate, a draft, its check, a signature that OpenSSL proves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use certs_test::desk::FilingDesk;
use certs_test::programs::{Authority, SOFT_TOKEN_MODULE, Said, openssl, program, run, run_in, soft_token};

const NAME: &str = "广州示范有限公司";
const CODE: &str = "91440101MAT000018G";
const AGENT: &str = "91440101MAT000026B";

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
    // A deadline that is over is said to be.
    for (period, over) in [("202501", true), ("203510", false)] {
        let told = filing(&["new", "--kind", "vat-general", "--period", period, "--code", CODE, "--out", &format!("{period}.jsonc")]).ok();
        assert_eq!((told.contains("申报期限："), told.contains("已过")), (true, over), "{told}");
    }
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
    let mut authority = Authority::found(place);
    with_time_source(&mut authority);
    authority
}

fn with_time_source(authority: &mut Authority) {
    use std::io::Write as _;
    let mut file = std::fs::File::options().append(true).open(authority.home.join("ca/ca.toml")).unwrap();
    writeln!(file, "\n[timestamp]\nsource = \"unchecked\"").unwrap();
    drop(file);
    authority.start();
}

/// One operator's directory: a key, a certificate, the anchor.
fn operator(authority: &Authority, directory: &str, name: &str, code: &str) {
    run(program("filing"), &["key", "new", "--dir", directory, "--name", name, "--passphrase-file", "pass"], &authority.home).ok();
    let at = |file: &str| authority.home.join(directory).join(file);
    std::fs::copy(at("request.csr"), authority.home.join(format!("{directory}.csr"))).unwrap();
    authority.issue(directory, "enterprise-signing", &["--name", name, "--code", code]);
    std::fs::copy(authority.home.join(format!("{directory}.pem")), at("certificate.pem")).unwrap();
    std::fs::copy(authority.home.join("ca/root.pem"), at("root.pem")).unwrap();
}

#[test]
fn a_filing_is_submitted_once_and_its_receipt_proved_with_the_anchor_alone() {
    let place = tempfile::tempdir().unwrap();
    let authority = stamping(place.path());
    let mut desk = FilingDesk::found(&authority, "mail.example.cn");
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    operator(&authority, "firm", NAME, CODE);
    // With a file that goes with it.
    std::fs::write(authority.home.join("firm/附表.pdf"), "an attachment").unwrap();
    let digest = run("sha256sum", &["firm/附表.pdf"], &authority.home).ok();
    assert_eq!(filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--attach", "none.pdf", "--out", "vat.jsonc"]).code, 4);
    filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--attach", "firm/附表.pdf", "--prepared-by", "李四", "--out", "vat.jsonc"]).ok();
    assert!(std::fs::read_to_string(authority.home.join("vat.jsonc")).unwrap().contains(&digest[..64]));
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
    // What it says of itself is in the receipt, and in the list.
    let said: serde_json::Value = serde_json::from_slice(&kept(receipt)).unwrap();
    assert_eq!((&said["region"], &said["prepared_by"]["person_ref"], said["created_at"].is_string()), (&"440100".into(), &"李四".into(), true), "{said}");
    assert_eq!(list[0]["declared"]["prepared_by"], said["prepared_by"]);
    // A correction begins with what it corrects.
    let revise = |period: &str| filing(&["new", "--kind", "vat-general", "--period", period, "--code", CODE, "--revises", document, "--out", "second.jsonc"]);
    assert_eq!(revise("202609").code, 2);
    revise("202610").ok();
    let second = std::fs::read_to_string(authority.home.join("second.jsonc")).unwrap();
    assert!(second.contains("\"revision\": 2") && second.contains(&format!("\"prev_filing_id\": \"{id}\"")), "{second}");
    filing(&["check", "second.jsonc"]).ok();
    // The desk's log as it is exported tells of both receipts, by names that only their holder finds.
    let exported = desk.desk(&["--json", "log", "export", "exported"]).json();
    let key = exported["vkey"].as_str().unwrap();
    let entries = run("sh", &["-c", "cat $(find exported/tile/entries -type f)"], &authority.home);
    assert!(!entries.out.contains(id) && !entries.out.contains(CODE) && entries.out.contains("\"timely\""), "{entries:?}");
    let accepted = format!("firm/{id}-2.receipt.json");
    let logged = |receipt: &str, key: &str| filing(&["receipt", "verify", receipt, "--anchor", "ca/root.pem", "--dir", "firm", "--log", "exported", "--log-key", key, "--json"]);
    for receipt in [receipt, accepted.as_str()] {
        let said: serde_json::Value = serde_json::from_slice(&kept(receipt)).unwrap();
        assert_eq!(logged(receipt, key).json()["logged_at"], said["log_index"]);
    }
    // What `keep` wrote is held against the log, too.
    filing(&["keep", id, "--dir", "firm", "--anchor", "ca/root.pem", "--out", "firm/kept.json"]).ok();
    let both = logged("firm/kept.json", key).json();
    assert!(both["receipts"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|one| one["logged_at"].is_u64())), "{both}");
    let other = desk.desk(&["--json", "log", "export", "other"]).json();
    assert_eq!(other["vkey"], exported["vkey"]);
    assert_ne!(logged(receipt, &key.replacen("localhost", "elsewhere", 1)).code, 0);
    run("sh", &["-c", "f=$(find exported/tile/entries -type f | head -1); sed -i 's/\"timely\":true/\"timely\":null/; s/\"timely\":false/\"timely\":nulls/' $f"], &authority.home).ok();
    assert_eq!(logged(receipt, key).code, 7);
    assert_eq!(logged("firm/kept.json", key).code, 7);
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

/// `me` decides orders.
fn officer(authority: &Authority) {
    authority.ca(&["officer", "identity", "new", "me", "--name", "陈一", "--number", "B-1"]).ok();
    let officer = authority.ca(&["--json", "issue", "officer", "--request", "me/officer.csr", "--officer", "陈一", "--number", "B-1", "--out", "me.pem"]).json();
    authority.ca(&["officer", "identity", "install", "me", "me.pem", "--root", "ca/root.pem"]).ok();
    authority.ca(&["officer", "grant", officer["serial"].as_str().unwrap(), "operator"]).ok();
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
    changed("authority/renewal.toml", "after_days = 1", "after_days = 0");
    changed("certificates/enterprise-signing.toml", "days = 730", "days = 20");
    authority.start();
    officer(&authority);
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    filing(&["key", "new", "--dir", "firm", "--name", NAME, "--passphrase-file", "pass"]).ok();
    assert_eq!(filing(&["fetch", "--dir", "firm", "--anchor", "ca/root.pem"]).code, 4);
    std::fs::write(authority.home.join("licence.pdf"), "a licence").unwrap();
    let order = |name: &str| filing(&["request", "--dir", "firm", "--authority", &authority.url, "--name", name, "--code", CODE, "--evidence", "licence=licence.pdf", "--json"]);
    // A name mistyped while the authority was away is in nobody's way: nothing was sent.
    assert_eq!(filing(&["request", "--dir", "firm", "--authority", "http://127.0.0.1:1", "--name", "打错的名称", "--code", CODE]).code, 6);
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
    // Another key, and no further day; said again it is the same certificate.
    filing(&["renew", "--rekey", "--dir", "firm", "--passphrase-file", "pass"]).ok();
    let end = |file: &str| openssl(&["x509", "-in", file, "-noout", "-enddate"], &authority.home).ok();
    assert!(key("firm/certificate-3.pem") != key("firm/certificate-2.pem") && end("firm/certificate-3.pem") == end("firm/certificate-2.pem"));
    // The order's number and key are in no log.
    assert!(!std::fs::read_to_string(authority.home.join("serve.log")).unwrap().contains(orders[0]["id"].as_str().unwrap()));
}

#[test]
fn an_enterprise_that_was_renamed_has_its_certificate_corrected_by_its_key() {
    const RENAMED: &str = "广州示范改名有限公司";
    const MAILBOX: &str = "9000000008@mail.example.cn";
    const BEGUN: &str = "firm/request-2.correct.json";
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    officer(&authority);
    operator(&authority, "firm", NAME, CODE);
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), &[arguments, &["--dir", "firm"]].concat(), &authority.home) };
    let correct = |more: &[&str]| filing(&[&["correct", "--authority", &authority.url, "--passphrase-file", "pass"], more].concat());
    let decide = |verb: &str| {
        let orders = authority.ca(&["--json", "order", "list"]).json();
        let open: Vec<&str> = orders.as_array().unwrap().iter().filter(|order| order["state"]["code"] == "awaiting-approval").map(|order| order["id"].as_str().unwrap()).collect();
        assert_eq!(open.len(), 1, "{orders}");
        authority.ca(&["--json", "--identity", "me", "order", verb, open[0], "--yes", "--reason", "核对无误"]).ok();
    };
    // Nothing to correct, told before anybody is asked; and a mailbox that is none, told by the authority, is no obstacle later.
    assert_eq!(correct(&[]).code, 2);
    let same = correct(&["--name", NAME]);
    assert!(same.code == 3 && same.err.contains("证书上已经是这样写的"), "{same:?}");
    assert_eq!(correct(&["--mailbox", "nobody"]).code, 3);
    // What never left is in nobody's way.
    let away = filing(&["correct", "--authority", "http://127.0.0.1:1", "--passphrase-file", "pass", "--name", "打错的名称有限公司"]);
    assert!(away.code == 6 && !authority.home.join(BEGUN).exists(), "{away:?}");
    // Cut off while it was sent, to a place that never had it: the authority is asked for its fate, and does not order it by that.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|came| drop(came.map(|mut came| std::io::Read::read(&mut came, &mut [0; 1024])))));
    let cut = filing(&["correct", "--authority", &elsewhere, "--passphrase-file", "pass", "--name", "打错的名称有限公司"]);
    assert!(cut.code == 6 && authority.home.join(BEGUN).exists(), "{cut:?}");
    // Another name and mailbox: an order, the same however often it is asked for, and no other beside it.
    let words = ["--name", RENAMED, "--mailbox", MAILBOX];
    assert_eq!(correct(&[&words[..], &["--json"]].concat()).json()["state"]["code"], "awaiting-approval");
    correct(&words).ok();
    assert_eq!(correct(&["--name", "又一名称有限公司"]).code, 5);
    // The answer was never heard: other words do not write over what the authority has, it is found there first.
    let unheard = || {
        let mut begun: serde_json::Value = serde_json::from_slice(&std::fs::read(authority.home.join(BEGUN)).unwrap()).unwrap();
        assert!(begun["placed"]["id"].is_string(), "{begun}");
        begun["placed"] = serde_json::Value::Null;
        std::fs::write(authority.home.join(BEGUN), begun.to_string()).unwrap();
    };
    unheard();
    assert_eq!(correct(&["--name", "又一名称有限公司"]).code, 5);
    assert_eq!(filing(&["fetch"]).code, 6);
    // Refused: told so at every fetch; then it may be asked for in other words, or the same.
    decide("refuse");
    for _ in 0..2 {
        let refused = filing(&["fetch"]);
        assert!(refused.code == 3 && refused.err.contains("filing correct"), "{refused:?}");
    }
    correct(&words).ok();
    assert_eq!(filing(&["fetch"]).code, 6);
    // Approved meanwhile, and still unheard: the same words find the certificate.
    unheard();
    decide("approve");
    assert_eq!(correct(&["--name", "又一名称有限公司"]).code, 5);
    unheard();
    correct(&words).ok();
    filing(&["fetch"]).ok();
    let said = |file: &str, what: &str| openssl(&["x509", "-in", file, "-noout", what, "-nameopt", "utf8,sep_comma_plus", "-ext", "subjectAltName"], &authority.home).ok();
    openssl(&["verify", "-CAfile", "firm/root.pem", "-untrusted", "firm/certificate-2.pem", "firm/certificate-2.pem"], &authority.home).ok();
    let subject = said("firm/certificate-2.pem", "-subject");
    assert!(subject.contains(RENAMED) && subject.contains(CODE) && subject.contains(MAILBOX) && !said("firm/certificate.pem", "-subject").contains(RENAMED), "{subject}");
    assert_ne!(said("firm/certificate.pem", "-pubkey"), said("firm/certificate-2.pem", "-pubkey"));
    // Signed from now on in the new name; the old certificate has its days.
    filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc"]).ok();
    let signed = filing(&["sign", "vat.jsonc", "--passphrase-file", "pass", "--json"]).json();
    let (document, signature) = (signed["document"].as_str().unwrap(), signed["signature"].as_str().unwrap());
    openssl(&["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signature, "-content", document, "-CAfile", "ca/root.pem", "-purpose", "any", "-signer", "signer.pem", "-out", "/dev/null"], &authority.home).ok();
    assert_eq!(said("signer.pem", "-pubkey"), said("firm/certificate-2.pem", "-pubkey"));
    let log = std::fs::read_to_string(authority.home.join("serve.log")).unwrap();
    assert!(!log.contains("改名") && !log.contains(CODE));
}

#[test]
fn an_agent_files_for_its_principal_until_the_mandate_is_withdrawn() {
    let place = tempfile::tempdir().unwrap();
    let authority = stamping(place.path());
    let mut desk = FilingDesk::found(&authority, "mail.example.cn");
    desk.start();
    operator(&authority, "firm", NAME, CODE);
    operator(&authority, "agent", "广州代理记账有限公司", AGENT);
    operator(&authority, "stranger", "广州第三有限公司", "91440101MAT0000346");
    let url = format!("https://localhost:{}", desk.https);
    let filing = |dir: &str, arguments: &[&str]| -> Said { run(program("filing"), &[arguments, &["--dir", dir, "--passphrase-file", "pass", "--server", &url, "--json"]].concat(), &authority.home) };
    let local = |dir: &str, arguments: &[&str]| -> Said { run(program("filing"), &[arguments, &["--dir", dir, "--json"]].concat(), &authority.home) };
    let today = time::OffsetDateTime::now_utc().to_offset(time::macros::offset!(+8)).date();
    let (until, before) = ((today + time::Duration::days(90)).to_string(), (today - time::Duration::days(1)).to_string());
    // What cannot be is told before anything is sent.
    let give = |more: &[&str]| filing("firm", &[&["mandate", "give"], more].concat());
    let terms = ["--agent", AGENT, "--kind", "vat-general", "--first-period", "202609", "--last-period", "202610", "--until", &until];
    for wrong in [
        ["--agent", CODE, "--kind", "vat-general", "--until", &until],
        ["--agent", "91440101MAT000026C", "--kind", "vat-general", "--until", &until],
        ["--agent", AGENT, "--kind", "vat", "--until", &until],
        ["--agent", AGENT, "--kind", "vat-general", "--until", &before],
        ["--agent", AGENT, "--kind", "vat-general", "--until", "明年"],
    ] {
        let said = give(&wrong);
        let told: serde_json::Value = serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
        assert!([2, 3].contains(&said.code) && told["field"].is_string(), "{said:?}");
    }
    assert!(!authority.home.join("firm/mandates").exists());
    // Given; the same again is the same one.
    let given = give(&terms).json();
    assert_eq!(give(&terms).json(), given);
    let id = given["mandate_id"].as_str().unwrap();
    let (document, signature) = (format!("firm/mandates/{id}.json"), format!("firm/mandates/{id}.p7s"));
    openssl(&["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", &signature, "-content", &document, "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &authority.home).ok();
    // Both see it, nobody else does.
    let held = filing("agent", &["mandate", "list"]).json();
    assert_eq!((held.as_array().unwrap().len(), &held[0]["side"], &held[0]["state"], &held[0]["principal"]), (1, &"held".into(), &"live".into(), &CODE.into()), "{held}");
    assert_eq!(filing("firm", &["mandate", "list"]).json()[0]["side"], "given");
    assert_eq!(filing("stranger", &["mandate", "list"]).json(), serde_json::json!([]));
    assert_eq!(filing("stranger", &["mandate", "show", id]).code, 4);
    // The agent files for a month that the mandate is for.
    let draft = |file: &str, kind: &str, period: &str| local("agent", &["new", "--kind", kind, "--period", period, "--code", CODE, "--mandate", id, "--out", file]).ok();
    let sign = |dir: &str, file: &str| run(program("filing"), &["sign", file, "--mandate", id, "--dir", dir, "--passphrase-file", "pass", "--json"], &authority.home);
    let submit = |dir: &str, signed: &serde_json::Value| filing(dir, &["submit", signed["document"].as_str().unwrap()]);
    draft("one.jsonc", "vat-general", "202610");
    let signed = sign("agent", "one.jsonc").json();
    let first = submit("agent", &signed).json();
    let receipt: serde_json::Value = serde_json::from_slice(&std::fs::read(authority.home.join(first[0]["receipt"].as_str().unwrap())).unwrap()).unwrap();
    assert_eq!((&receipt["signer"]["role"], &receipt["uscc"], &receipt["agent"]["uscc"]), (&"agent".into(), &CODE.into(), &AGENT.into()), "{receipt}");
    // Another month or kind: the program tells it before signing; who signs all the same is refused by the desk.
    draft("august.jsonc", "vat-general", "202608");
    let refused = sign("agent", "august.jsonc");
    assert!(refused.code == 3 && refused.err.contains("委托不包括这一所属期"), "{refused:?}");
    let text = std::fs::read_to_string(authority.home.join("august.jsonc")).unwrap();
    let kept = authority.home.join(format!("agent/mandates/{id}.json"));
    std::fs::rename(&kept, authority.home.join("aside.json")).unwrap();
    let said = submit("agent", &sign("agent", "august.jsonc").json());
    assert!(said.code == 3 && said.err.contains("check-10-signer"), "{said:?}");
    std::fs::rename(authority.home.join("aside.json"), &kept).unwrap();
    // Nobody but the agent and nobody else's filing.
    std::fs::write(authority.home.join("other.jsonc"), text.replace("202608", "202609").replace(CODE, "91440101MAT0000346")).unwrap();
    assert!(sign("agent", "other.jsonc").err.contains("委托单位不是申报的单位"));
    draft("september.jsonc", "vat-general", "202609");
    let said = submit("stranger", &sign("stranger", "september.jsonc").json());
    assert!(said.code == 3 && said.err.contains("check-10-signer"), "{said:?}");
    // Withdrawn by one command, again is no error; from then on nothing is filed under it. The agent cannot withdraw it.
    let september = sign("agent", "september.jsonc").json();
    assert_eq!(filing("agent", &["mandate", "withdraw", id]).code, 8);
    assert_eq!(filing("firm", &["mandate", "withdraw", id]).json()["state"], "withdrawn");
    filing("firm", &["mandate", "withdraw", id]).ok();
    let said = submit("agent", &september);
    assert!(said.code == 3 && said.err.contains("check-10-signer"), "{said:?}");
    assert_eq!(filing("agent", &["mandate", "show", id]).json()["state"], "withdrawn");
    draft("once-more.jsonc", "vat-general", "202609");
    assert!(sign("agent", "once-more.jsonc").err.contains("委托已经撤回"));
    // What was receipted before stays, and the same terms again are another mandate.
    assert_eq!(submit("agent", &signed).json(), first);
    assert_ne!(give(&terms).json()["mandate_id"], given["mandate_id"]);
}

/// A resident's number that names no living person: born in 1900, with its check digit.
fn resident(number: usize) -> String {
    let body = format!("440105{:04}{:02}{:02}{:03}", 1900 + number / 12_000, 1 + number / 1_000 % 12, 1 + number / 100 % 10, 10 * (number % 100));
    let sum: usize = body.bytes().zip([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    format!("{body}{}", b"10X98765432"[sum % 11] as char)
}

#[test]
fn a_table_of_staff_becomes_a_filing_and_every_bad_row_is_told() {
    let place = tempfile::tempdir().unwrap();
    let authority = stamping(place.path());
    let mut desk = FilingDesk::found(&authority, "mail.example.cn");
    desk.start();
    operator(&authority, "firm", NAME, CODE);
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    let today = time::OffsetDateTime::now_utc().to_offset(time::macros::offset!(+8)).date();
    let (period, day) = (format!("{:04}{:02}", today.year(), u8::from(today.month())), format!("{:04}/{}/{}", today.year(), u8::from(today.month()), today.day()));
    let header = "增员或减员,证件类型,证件号码,姓名,手机号码,用工日期（增员必填）,劳动合同类型,险种,月工资,变动原因\r\n";
    let row = |number: usize| format!("增员,居民身份证,'{},测试甲,13800000000,{day},固定期限,\"110,210、310 410\",\"8,000\",新招用\r\n", resident(number));
    let (rows, gb) = (header.to_owned() + &(0..200).map(row).collect::<String>(), authority.home.join("staff.csv"));
    std::fs::write(authority.home.join("utf8.csv"), &rows).unwrap();
    run("sh", &["-c", "iconv -f UTF-8 -t GB18030 utf8.csv > staff.csv"], &authority.home).ok();
    assert!(std::str::from_utf8(&std::fs::read(&gb).unwrap()).is_err());
    // Bad rows: each with its line, field and rule; no draft is written, and nobody's number is told.
    let bad = rows.replacen(&resident(1), "440105190003010053", 1).replacen(&format!("{day},固定期限"), "去年,固定期限", 1).replacen("新招用\r\n增员", "退休\r\n增员", 3).replacen("测试甲,13800000000", "=cmd|' /C calc'!A0,13800000000", 1);
    std::fs::write(authority.home.join("bad.csv"), bad).unwrap();
    let make = |table: &str, more: &[&str]| filing(&[&["new", "--kind", "si-staff-change", "--period", &period, "--code", CODE, "--from", table, "--out", "staff.jsonc", "--dir", "firm"], more].concat());
    let refused = make("bad.csv", &["--json"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let told: serde_json::Value = serde_json::from_str(&refused.out).unwrap();
    let found: Vec<(u64, &str, &str)> = told["failures"].as_array().unwrap().iter().map(|one| (one["line"].as_u64().unwrap_or(0), one["rule"].as_str().unwrap(), one["field"].as_str().unwrap())).collect();
    for expected in [(2, "SHAPE", "/payload/items/0/hire_date"), (2, "TABLE", "/payload/items/0/name"), (3, "S1", "/payload/items/1/id_no"), (2, "S7", "/payload/items/0/reason")] {
        assert!(found.contains(&expected), "{expected:?} {found:?}");
    }
    assert!(!authority.home.join("staff.jsonc").exists() && !refused.out.contains("440105190003010053"));
    let words = make("bad.csv", &[]);
    assert!(words.out.contains("第 3 行 S1 /payload/items/1/id_no 证件号码：") && words.err.contains("请按所列各行改正后重试"), "{words:?}");
    assert!(make("bad.csv", &["--lang", "en"]).out.contains("line 3: S1 /payload/items/1/id_no document number: "));
    assert_eq!(filing(&["check", "bad.csv", "--kind", "si-staff-change", "--period", &period, "--code", CODE]).code, 3);
    // A column that is none, a file that is no table.
    std::fs::write(authority.home.join("column.csv"), rows.replacen("月工资", "工资", 1)).unwrap();
    let column = make("column.csv", &[]);
    assert!(column.code == 3 && column.err.contains("第 9 栏“工资”不是本表的栏目"), "{column:?}");
    std::fs::write(authority.home.join("book.csv"), b"PK\x03\x04\0\0").unwrap();
    assert!(make("book.csv", &[]).err.contains("请另存为 CSV，而不是工作簿"));
    // Good rows, in either encoding: the same items, the totals counted, accepted by the desk.
    filing(&["check", "utf8.csv", "--kind", "si-staff-change", "--period", &period, "--code", CODE]).ok();
    make("staff.csv", &[]).ok();
    filing(&["check", "staff.jsonc"]).ok();
    let signed = filing(&["sign", "staff.jsonc", "--dir", "firm", "--passphrase-file", "pass", "--json"]).json();
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(authority.home.join(signed["document"].as_str().unwrap())).unwrap()).unwrap();
    assert_eq!((document["payload"]["items"].as_array().unwrap().len(), &document["payload"]["totals"]), (200, &serde_json::json!({ "add": 200, "remove": 0 })));
    assert_eq!(document["payload"]["items"][7]["id_no"], resident(7));
    let url = format!("https://localhost:{}", desk.https);
    let receipt = filing(&["submit", signed["document"].as_str().unwrap(), "--dir", "firm", "--passphrase-file", "pass", "--server", &url, "--json"]).json();
    assert_eq!(receipt[0]["status"], "RECEIVED");
}

#[test]
fn operators_share_a_directory_and_one_has_the_key_in_a_token() {
    let place = tempfile::tempdir().unwrap();
    let configuration = soft_token(place.path(), "企业令牌");
    // Renewable from the first day.
    let mut authority = Authority::found(place.path());
    let changed = |file: &str, from: &str, to: &str| {
        let path = place.path().join("ca/policies").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    changed("authority/renewal.toml", "profile = \"enterprise-signing\"\nwindow_days = 60", "profile = \"enterprise-signing\"\nwindow_days = 366");
    changed("certificates/enterprise-signing.toml", "days = 730", "days = 300");
    with_time_source(&mut authority);
    let mut desk = FilingDesk::found(&authority, "mail.example.cn");
    desk.start();
    let filing = |operator: &str, arguments: &[&str]| -> Said {
        run_in(program("filing"), &[arguments, &["--dir", "firm", "--operator", operator]].concat(), &authority.home, &[("SOFTHSM2_CONF", configuration.clone())])
    };
    let token = ["--token-module", SOFT_TOKEN_MODULE, "--token-label", "企业令牌", "--pin-file", "pin"];
    // What is no operator's name goes nowhere.
    assert_eq!(filing("../x", &["list"]).code, 2);
    filing("李四", &[&["key", "new", "--name", NAME], &token[..]].concat()).ok();
    filing("张三", &["key", "new", "--name", NAME, "--passphrase-file", "pass"]).ok();
    assert_eq!(filing("李四", &[&["key", "new", "--name", NAME], &token[..]].concat()).code, 3);
    let home = |operator: &str, file: &str| authority.home.join("firm/operators").join(operator).join(file);
    assert!(!home("李四", "keystore.json").exists() && !home("李四", "operator.key").exists() && home("张三", "keystore.json").exists());
    std::fs::copy(authority.home.join("ca/root.pem"), authority.home.join("firm/root.pem")).unwrap();
    for operator in ["李四", "张三"] {
        std::fs::copy(home(operator, "request.csr"), authority.home.join("one.csr")).unwrap();
        authority.issue("one", "enterprise-signing", &["--name", NAME, "--code", CODE]);
        std::fs::copy(authority.home.join("one.pem"), home(operator, "certificate.pem")).unwrap();
    }
    // Both sign and submit, each with the own key; TLS too is the token's.
    let url = format!("https://localhost:{}", desk.https);
    let draft = |file: &str, period: &str| filing("张三", &["new", "--kind", "vat-general", "--period", period, "--code", CODE, "--out", file]).ok();
    let sign = |operator: &str, file: &str, more: &[&str]| filing(operator, &[&["sign", file, "--json"], more].concat());
    let key = |file: &str| openssl(&["x509", "-in", file, "-noout", "-pubkey"], &authority.home).ok();
    let signer = |signed: &serde_json::Value| {
        let (document, signature) = (signed["document"].as_str().unwrap(), signed["signature"].as_str().unwrap());
        openssl(&["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signature, "-content", document, "-CAfile", "ca/root.pem", "-purpose", "any", "-signer", "signer.pem", "-out", "/dev/null"], &authority.home).ok();
        key("signer.pem")
    };
    draft("october.jsonc", "202610");
    draft("september.jsonc", "202609");
    let october = sign("李四", "october.jsonc", &[]).json();
    assert_eq!(signer(&october), key("firm/operators/李四/certificate.pem"));
    let september = sign("张三", "september.jsonc", &["--passphrase-file", "pass"]).json();
    assert_eq!(signer(&september), key("firm/operators/张三/certificate.pem"));
    let submit = |operator: &str, signed: &serde_json::Value, more: &[&str]| filing(operator, &[&["submit", signed["document"].as_str().unwrap(), "--server", &url, "--json"], more].concat());
    assert_eq!(submit("李四", &october, &[]).json()[0]["status"], "RECEIVED");
    assert_eq!(submit("张三", &september, &["--passphrase-file", "pass"]).json()[0]["status"], "RECEIVED");
    // Whose each is.
    let list = run(program("filing"), &["list", "--dir", "firm", "--json"], &authority.home).json();
    let whose: Vec<(&str, &str)> = list.as_array().unwrap().iter().map(|one| (one["operator"].as_str().unwrap(), one["period"].as_str().unwrap())).collect();
    assert!(whose.len() == 2 && whose.contains(&("李四", "202610")) && whose.contains(&("张三", "202609")) && list[0]["signer"]["serial"] != list[1]["signer"]["serial"], "{list}");
    // A wrong PIN and a token that is away are told as what they are, at once.
    std::fs::write(authority.home.join("wrong"), "0000-wrong\n").unwrap();
    run("chmod", &["600", "wrong"], &authority.home).ok();
    draft("august.jsonc", "202608");
    let wrong = sign("李四", "august.jsonc", &["--pin-file", "wrong"]);
    assert!(wrong.code != 0 && wrong.err.contains("PIN"), "{wrong:?}");
    std::fs::rename(authority.home.join("tokens"), authority.home.join("away")).unwrap();
    let away = sign("李四", "august.jsonc", &[]);
    assert!(away.code == 6 && away.err.contains("令牌"), "{away:?}");
    std::fs::rename(authority.home.join("away"), authority.home.join("tokens")).unwrap();
    // Renewed in one step: the next key is made in the token too, and signs from then on.
    filing("李四", &["renew", "--authority", &authority.url]).ok();
    let (first, second) = (key("firm/operators/李四/certificate.pem"), key("firm/operators/李四/certificate-2.pem"));
    assert!(first != second && home("李四", "operator-2.token.json").exists() && !home("李四", "keystore.json").exists());
    assert_eq!(signer(&sign("李四", "august.jsonc", &[]).json()), second);
}

/// The shipped timestamp keys last six years and the desk renews what they prove; here they last as long as their issuer, so that
/// one file can be asked ten years on.
#[test]
fn a_kept_file_proves_itself_ten_years_on_with_the_anchor_alone() {
    let place = tempfile::tempdir().unwrap();
    let changed = |file: &str, from: &str, to: &str| {
        let path = place.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    let mut authority = Authority::found(place.path());
    changed("ca/policies/certificates/timestamp.toml", "days = 2192", "days = 3652");
    with_time_source(&mut authority);
    let mut desk = FilingDesk::found(&authority, "mail.example.cn");
    // Archived at the next start instead of after a day.
    changed("desk/policies/filings/archive.toml", "grace_hours = 26", "grace_hours = 0");
    desk.start();
    operator(&authority, "firm", NAME, CODE);
    let filing = |arguments: &[&str]| -> Said { run(program("filing"), arguments, &authority.home) };
    let url = format!("https://localhost:{}", desk.https);
    filing(&["new", "--kind", "vat-general", "--period", "202610", "--code", CODE, "--out", "vat.jsonc"]).ok();
    let signed = filing(&["sign", "vat.jsonc", "--dir", "firm", "--passphrase-file", "pass", "--json"]).json();
    let id = signed["filing_id"].as_str().unwrap();
    let keep = |out: &str, more: &[&str]| filing(&[&["keep", id, "--dir", "firm", "--out", out, "--json"], more].concat());
    assert_eq!(keep("none.keep.json", &[]).code, 4);
    filing(&["submit", signed["document"].as_str().unwrap(), "--dir", "firm", "--passphrase-file", "pass", "--server", &url]).ok();
    assert_eq!(keep("early.keep.json", &[]).json()["archived"], false);
    // The desk archives; the seal that is kept grows, and nothing else changes.
    desk.stop_hard();
    desk.reap();
    desk.start();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(240);
    let mut round = 0;
    while keep(&format!("late-{round}.keep.json"), &["--server", &url]).json()["archived"] != true {
        assert!(std::time::Instant::now() < until, "{}", std::fs::read_to_string(authority.home.join("desk.log")).unwrap_or_default());
        std::thread::sleep(std::time::Duration::from_millis(500));
        round += 1;
    }
    let late = format!("late-{round}.keep.json");
    // From here on there is this file and the root.
    let verify = |file: &str, clock: Option<&str>| {
        let arguments = ["receipt", "verify", file, "--anchor", "ca/root.pem", "--dir", "nowhere", "--json"];
        let faked = [("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1".into()), ("FAKETIME", clock.unwrap_or_default().into())];
        run_in(program("filing"), &arguments, &authority.home, if clock.is_some() { &faked } else { &[] })
    };
    for clock in [None, Some("+3650d")] {
        let told = verify(&late, clock).json();
        assert_eq!((&told["receipts"][0]["verdict"]["verdict"], &told["receipts"][0]["verdict"]["level"], &told["filing_id"]), (&"TOTAL-PASSED".into(), &"B-LTA".into(), &id.into()), "{told}");
    }
    // What was kept before it was archived has its revocation lists with it. Once the root itself has ended, nothing is told.
    assert_eq!(verify("early.keep.json", Some("+3650d")).json()["receipts"][0]["verdict"]["level"], "B-T");
    assert_eq!(verify(&late, Some("+7400d")).code, 3);
    let text = std::fs::read_to_string(authority.home.join(&late)).unwrap();
    let at = text.find("\"filing\":\"").unwrap() + 200;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    std::fs::write(authority.home.join("damaged.keep.json"), format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    assert_eq!(verify("damaged.keep.json", None).code, 7);
}
