//! The built filing desk, filed at with OpenSSL and curl: receipts that OpenSSL proves, refusals with their check, mail through
//! the built gateway, while somebody behind the desk hangs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use certs_test::desk::{City, CODE, FilingDesk, NAME, id, vat};
use certs_test::programs::{openssl, oracle, program, run};
use serde_json::Value;

fn octets(answer: &Value, member: &str) -> Vec<u8> {
    STANDARD.decode(answer[member].as_str().unwrap_or_else(|| panic!("{answer}"))).unwrap()
}

/// `POST /verify` by curl, without a certificate: a verdict under the bureau's seal, which others prove, and with what is answered
/// anyone comes to the same verdict again.
fn third_party(desk: &FilingDesk) {
    let home = &desk.home;
    let ask = |document: &str| {
        let question = serde_json::json!({ "document": STANDARD.encode(std::fs::read(home.join(document)).unwrap()), "signature": STANDARD.encode(std::fs::read(home.join("one.json.p7s")).unwrap()) });
        std::fs::write(home.join("question"), question.to_string()).unwrap();
        let said = desk.curl("", &["--data-binary", "@question", &desk.url("verify")]).ok();
        serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    };
    let answer = ask("one.json");
    let verdict = octets(&answer, "verdict");
    let told: Value = serde_json::from_slice(&verdict).unwrap();
    assert_eq!((told["verdict"].as_str(), told["level"].as_str(), told["signer"]["uscc"].as_str()), (Some("TOTAL-PASSED"), Some("B-B"), Some(CODE)), "{told}");
    // The verdict is the bureau's: OpenSSL and pyHanko say so, and of no other octets.
    std::fs::write(home.join("verdict.json"), &verdict).unwrap();
    std::fs::write(home.join("verdict.p7s"), octets(&answer, "seal")).unwrap();
    let verify = ["cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "verdict.p7s", "-content", "verdict.json", "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "verified"];
    openssl(&verify, home).ok();
    // With the root alone, whatever becomes of the lists.
    let alone = run(program("filing"), &["verify", "verdict.json", "--signature", "verdict.p7s", "--anchor", "ca/root.pem", "--json"], home).json();
    assert_eq!((alone["verdict"].as_str(), alone["level"].as_str()), (Some("TOTAL-PASSED"), Some("B-LT")), "{alone}");
    openssl(&["x509", "-in", "ca/root.pem", "-outform", "DER", "-out", "root.der"], home).ok();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/cades.py");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let hanko = |document: &str, signature: &str| run(oracle("python"), &[script, "verify", "root.der", document, signature, &now], home);
    assert!(hanko("verdict.json", "verdict.p7s").ok().contains("intact valid trusted stamps=1"));
    assert!(hanko("receipt.json", "receipt.p7s").ok().contains("intact valid trusted stamps=1"));
    // And judged again with nothing but the root and what was answered.
    let mut again = ["verify", "one.json", "--signature", "one.json.p7s", "--anchor", "ca/root.pem", "--code", CODE, "--json"].map(str::to_owned).to_vec();
    for (member, option) in [("crls", "--crl"), ("ocsp", "--ocsp")] {
        for (place, one) in answer[member].as_array().unwrap().iter().enumerate() {
            let file = format!("{member}-{place}");
            std::fs::write(home.join(&file), STANDARD.decode(one.as_str().unwrap()).unwrap()).unwrap();
            again.extend([option.to_owned(), file]);
        }
    }
    let said = run(program("filing"), &again.iter().map(String::as_str).collect::<Vec<_>>(), home);
    let mine: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!((said.code, &mine["verdict"], &mine["revocation_answers"]), (0, &told["verdict"], &told["revocation_answers"]), "{said:?}");
    // Of a filing the desk's own checks too, with its codes, and what nobody can tell here.
    let open: Vec<u64> = mine["checks"]["not_judged"].as_array().unwrap().iter().map(|one| one["check"].as_u64().unwrap()).collect();
    assert_eq!((mine["checks"]["passed"].as_bool(), open), (Some(true), vec![7, 9, 10, 11, 12, 14]), "{mine}");
    let with = |more: &[&str]| run(program("filing"), &again.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>(), home);
    assert_eq!(with(&["--complete"]).code, 3);
    let refused = with(&["--caller", "91440101MAT000026B", "--first"]);
    let told: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((refused.code, told["verdict"].as_str(), told["checks"]["failures"][0]["code"].as_str()), (3, Some("TOTAL-PASSED"), Some("check-09-enterprise")), "{refused:?}");
    assert_eq!(with(&["--caller", "91440101MAT000026B", "--signature-only"]).code, 0);
    openssl(&["cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "one.json.p7s", "-content", "one.json", "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "verified"], home).ok();
    // Of another document: failed, and under seal as well.
    std::fs::write(home.join("other"), b"other").unwrap();
    let told: Value = serde_json::from_slice(&octets(&ask("other"), "verdict")).unwrap();
    assert_eq!((told["verdict"].as_str(), told["sub_indication"].as_str()), (Some("TOTAL-FAILED"), Some("HASH_FAILURE")));
}

#[test]
fn a_filing_goes_from_openssl_to_a_receipt_that_openssl_proves_and_into_the_mailbox() {
    let place = tempfile::tempdir().unwrap();
    let city = City::open(place.path());
    let (desk, home) = (&city.desk, &city.desk.home);
    // 0. Whoever stands behind the desk, an officer's program or the gateway that fetches letters, hangs in the middle of a
    //    question, as long as this test lasts: nobody who files waits for them.
    let hanging: Vec<UnixStream> = ["admin.sock", "outbox.sock"].iter().flat_map(|door| (0..20).map(move |_| door)).map(|door| {
        let mut stream = UnixStream::connect(home.join("desk").join(door)).unwrap();
        write!(stream, "POST /v1/operation HTTP/1.1\r\nHost: desk\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{").unwrap();
        stream
    }).collect();
    // 1. Received, sealed, and proved by others with nothing but the root.
    let filing = vat(CODE, 1, "202610");
    let (status, answer) = city.file("firm", "one.json", &filing);
    assert_eq!(status, 200, "{answer}; {}", std::fs::read_to_string(home.join("desk.log")).unwrap_or_default());
    let receipt = octets(&answer, "receipt");
    std::fs::write(home.join("receipt.json"), &receipt).unwrap();
    std::fs::write(home.join("receipt.p7s"), octets(&answer, "seal")).unwrap();
    let verify = ["cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "receipt.p7s", "-content", "receipt.json", "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "verified"];
    openssl(&verify, home).ok();
    let read: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!((read["status"].as_str(), read["uscc"].as_str(), read["unit_name"].as_str()), (Some("RECEIVED"), Some(CODE), Some(NAME)));
    std::fs::write(home.join("receipt.json"), [receipt.as_slice(), b" "].concat()).unwrap();
    assert_ne!(openssl(&verify, home).code, 0);
    std::fs::write(home.join("receipt.json"), &receipt).unwrap();
    // The timestamp in the receipt is over the signature that was sent.
    std::fs::write(home.join("stamp.tst"), STANDARD.decode(read["tst"].as_str().unwrap()).unwrap()).unwrap();
    assert!(openssl(&["ts", "-reply", "-token_in", "-in", "stamp.tst", "-token_out", "-text"], home).ok().contains("Hash Algorithm: sha256"));
    // 2. Again it is the same; found by its number, as JSON, page and PDF, without a certificate.
    assert_eq!(city.file("firm", "one.json", &filing), (200, answer.clone()));
    let number = format!("{}-1", id(1));
    let got = |form: &str| desk.curl("", &[&desk.url(&format!("receipts/{number}{form}"))]).ok();
    assert_eq!(serde_json::from_str::<Value>(&got("")).unwrap(), answer);
    assert_eq!(got(".json").as_bytes(), receipt);
    assert!(got(".html").contains("已接收"));
    desk.curl("", &["-o", "receipt.pdf", &desk.url(&format!("receipts/{number}.pdf"))]).ok();
    let text = run("pdftotext", &["-layout", "receipt.pdf", "-"], home).ok();
    assert!(text.contains("申报回执") && text.contains(NAME) && text.contains(&number), "{text}");
    third_party(desk);
    // 3. Nobody files without a certificate, or with one of an office's bureau for another.
    assert_eq!(desk.send("", "filings", "one.json").0, 403);
    // 4. Signed with a revoked certificate: refused with its check, in Chinese and English.
    let serial = openssl(&["x509", "-in", "second.pem", "-noout", "-serial"], home).ok().trim().trim_start_matches("serial=").to_ascii_lowercase();
    desk.sign("second", "two.json", vat(CODE, 2, "202609").to_string().as_bytes());
    city.office.authority.ca(&["revoke", &serial, "--reason", "superseded"]).ok();
    let (status, refused) = desk.send("firm", "filings", "two.json");
    assert_eq!((status, refused["check"].as_u64(), refused["code"].as_str()), (422, Some(8), Some("check-08-revocation")), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("吊销") && refused["message"].as_str().unwrap().contains("revoked"));
    // 5. An attachment of the largest size is streamed, and takes no more memory than a small one.
    let put = |file: &str, name: &str| desk.curl("firm", &["-w", "\n%{http_code}", "-T", file, &desk.url(&format!("attachments/{name}"))]).out;
    let sha256 = |file: &str| openssl(&["dgst", "-sha256", "-r", file], home).ok().split(' ').next().unwrap().to_owned();
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", desk.id().unwrap())).unwrap();
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap()
    };
    for (file, size) in [("small.bin", 1_u32 << 20), ("large.bin", 100 << 20), ("beyond.bin", (100 << 20) + 1)] {
        std::fs::write(home.join(file), (0..size).map(|at| (at % 251) as u8).collect::<Vec<u8>>()).unwrap();
    }
    assert!(put("small.bin", &sha256("small.bin")).ends_with("200"));
    let before = peak();
    let large = sha256("large.bin");
    assert!(put("large.bin", &large).ends_with("200") && put("large.bin", &large).ends_with("200"));
    assert!(put("large.bin", &"0".repeat(64)).ends_with("400") && put("beyond.bin", &sha256("beyond.bin")).ends_with("400"));
    assert!(peak() < before + 16 * 1024, "{before} kB before, {} kB after", peak());
    for file in ["small.bin", "large.bin", "beyond.bin"] {
        std::fs::remove_file(home.join(file)).unwrap();
    }
    // 6. The officer moves it on.
    let moved = desk.desk(&["--json", "accept", &id(1)]).json();
    assert_eq!((moved[0]["status"].as_str(), moved[0]["issued"].as_array().map(Vec::len)), (Some("ACCEPTED"), Some(2)));
    assert_eq!(desk.desk(&["accept", &id(1)]).code, 5);
    assert_eq!(desk.desk(&["show", "00000000000000000000000000"]).code, 4);
    // 7. Both receipts arrive in the mailbox, each once, with receipt and seal.
    let account = &city.office.institutions[0];
    let script = "import imaplib,ssl,sys,email,email.policy\nc=imaplib.IMAP4_SSL('localhost',int(sys.argv[1]),ssl_context=ssl.create_default_context(cafile='ca/root.pem'))\nc.login(sys.argv[2],sys.argv[3])\nc.select('INBOX',readonly=True)\nfor n in c.search(None,'ALL')[1][0].split():\n    m=email.message_from_bytes(c.fetch(n,'(BODY.PEEK[])')[1][0][1],policy=email.policy.default)\n    assert not m.defects\n    print(m['Subject'],[(p.get_filename(),p.get_content_type()) for p in m.iter_attachments()])\n";
    let mail = || run(oracle("python"), &["-c", script, &city.office.imaps.to_string(), &account.address, &account.password], home).ok();
    let until = Instant::now() + Duration::from_secs(60);
    while mail().lines().filter(|line| line.starts_with("申报回执")).count() < 2 {
        assert!(Instant::now() < until, "{}\n{}", mail(), std::fs::read_to_string(home.join("mailgw.log")).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(500));
    }
    std::thread::sleep(Duration::from_secs(6));
    let arrived = mail();
    assert_eq!(arrived.lines().filter(|line| line.starts_with("申报回执")).count(), 2, "{arrived}");
    assert!(arrived.contains(&format!("receipt-{number}.p7s")) && arrived.contains(&format!("receipt-{}-2.json", id(1))), "{arrived}");
    // 8. What the log holds is proved from its export, and what was filed is nowhere in the clear.
    let exported = desk.desk(&["--json", "log", "export", "exported"]).json();
    desk.desk(&["log", "verify", "exported", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
    let clear = run("grep", &["-raoE", ".{0,80}130000[.]00.{0,40}", "desk/store"], home);
    assert_ne!(clear.code, 0, "{}", clear.out);
    let metrics = run("curl", &["-s", &format!("http://127.0.0.1:{}/metrics", desk.http)], home).ok();
    assert!(metrics.contains("suiyin_desk_filings_total{outcome=\"check-08-revocation\"} 1"), "{metrics}");
    assert!(metrics.contains("suiyin_desk_fault{part=\"seal\"} 0") && metrics.contains("suiyin_desk_fault{part=\"timestamp\"} 0"), "{metrics}");
    // 9. Nothing fails; and from the import of a registry on who was struck off files nothing.
    let examined = desk.desk(&["--json", "doctor"]).json();
    assert!(examined.as_array().unwrap().iter().all(|finding| finding["grade"] != "fail"), "{examined}");
    std::fs::write(home.join("registry.csv"), format!("code,name,state\n{CODE},{NAME},struck-off\n")).unwrap();
    assert_eq!(desk.desk(&["--json", "registry", "import", "registry.csv"]).json()["rows"], 1);
    let (status, refused) = city.file("firm", "struck.json", &vat(CODE, 77, "202605"));
    assert_eq!((status, refused["code"].as_str()), (422, Some("check-09-enterprise")), "{refused}");
    drop(hanging);
}
