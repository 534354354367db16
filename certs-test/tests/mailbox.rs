//! A mailbox from its mail to its export, with the built programs: judged by smtplib, imaplib, OpenSSL and Python's mailbox module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{Office, bureau_of};
use certs_test::programs::{openssl, oracle, run};

const KIND: &str = "housing-fund";

#[test]
fn a_mailbox_is_marked_emptied_restored_held_and_taken_along() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 6);
    let bureau = bureau_of(KIND);
    // The bureau's own key for mail; the register says as whom it may send.
    office.authority.request("notice", &format!("/C=CN/O={}", bureau.name));
    office.authority.issue("notice", "bureau-seal", &["--name", bureau.name, "--code", &bureau.credit_code, "--mailbox", "notice@gjj.example.cn"]);
    office.mailgw(&["bureau", "sender", "allow", bureau.code, "notice@gjj.example.cn"]).ok();
    assert_eq!(office.mailgw(&["--json", "bureau", "sender", "list"]).json()[0]["bureau"], bureau.code);
    office.sign(KIND);
    office.push(KIND).ok();
    let (owner, other) = (office.people[0].clone(), office.people[1].clone());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/mailbox_life.py");
    let judge = |office: &Office, phase: &str| {
        let (home, smtp, imaps) = (office.path(""), office.smtp.to_string(), office.imaps.to_string());
        let said = run(oracle("python"), &[script, phase, &home, &smtp, &imaps, &owner.address, &owner.password, &other.address], &office.home);
        assert_eq!(said.code, 0, "{phase}: {}\n{}", said.out, said.err);
    };
    judge(&office, "send");
    judge(&office, "look");
    let shown = |office: &Office| office.mailgw(&["--json", "mailbox", "show", &owner.address]).json()["holds"].clone();
    // The statement, the notice, and its copy in the archive; whom the notice was not written to has his statement alone.
    assert_eq!(shown(&office)["verified"], 3);
    assert_eq!(office.mailgw(&["--json", "mailbox", "verified", &owner.address]).json().as_array().unwrap().len(), 3);
    assert_eq!(office.mailgw(&["--json", "mailbox", "verified", &other.address]).json().as_array().unwrap().len(), 1);
    // Emptied, killed, restored.
    judge(&office, "delete");
    office.kill_gateway();
    office.start_gateway();
    assert_eq!(shown(&office)["deleted"], 10);
    assert_eq!(office.mailgw(&["--json", "mailbox", "deleted", &owner.address, "--folder", "Work"]).json().as_array().unwrap().len(), 5);
    assert_eq!(office.mailgw(&["--json", "mailbox", "undelete", &owner.address, "--request", "form 77"]).json()["restored"], 10);
    judge(&office, "back");
    // Held by a court alone, which alone ends it, by two officers' hands.
    let hold = |more: &[&str]| office.mailgw(&[&["--json", "mailbox", "hold", &owner.address], more].concat());
    assert_eq!(hold(&["--authority", "广州市中级人民法院", "--reason", "(2026)粤01执123号", "--until", "2001-01-01T00:00:00Z"]).code, 2);
    let until = (time::OffsetDateTime::now_utc() + time::Duration::days(30)).format(&time::format_description::well_known::Rfc3339).unwrap();
    assert_eq!(hold(&["--authority", "广州市中级人民法院", "--reason", "(2026)粤01执123号", "--until", &until]).json()[0]["holds"], true);
    assert_eq!(shown(&office)["legal_holds"], 1);
    office.officer("one", "A-1");
    office.officer("two", "A-2");
    let lift = |authority: &str, approvals: &[&str]| {
        let number = &owner.address;
        let request = format!(r#"{{"kind":"suiyin mailbox hold lift v1","mailbox":"{number}","hold":1,"authority":"{authority}","reason":"(2026)粤01执124号","papers":"counter 12, form 91"}}"#);
        office.write("lift.json", request.as_bytes());
        ["one", "two"].iter().for_each(|officer| office.approve("lift.json", officer));
        hold(&[&["--lift", "lift.json"], approvals].concat())
    };
    let both = ["--approval", "one.p7s", "--approval", "two.p7s"];
    let refused = |said: certs_test::programs::Said, code: &str| assert!(said.code == 3 && said.err.contains(&format!("\"{code}\"")), "{said:?}");
    refused(lift("somebody", &both), "other-authority");
    refused(lift("广州市中级人民法院", &both[..2]), "officers");
    refused(lift("广州市中级人民法院", &["--approval", "one.p7s", "--approval", "one.p7s"]), "officers");
    assert_eq!(hold(&["--lift", "lift.json"]).code, 2);
    assert_eq!(shown(&office)["legal_holds"], 1);
    let lifted = lift("广州市中级人民法院", &both).json();
    assert_eq!((&lifted[0]["holds"], &lifted[0]["lifted_by"]), (&false.into(), &serde_json::json!(["A-1", "A-2"])));
    assert_eq!(lift("广州市中级人民法院", &both).code, 4);
    // And so is what holds a push.
    let manifest: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(office.path(&format!("city/{KIND}.manifest.json"))).unwrap()).unwrap();
    let held = ["--bureau", bureau.code, "--batch", manifest["batch_id"].as_str().unwrap()];
    let order = ["--json", "retention", "hold", "--authority", "广州市中级人民法院", "--order", "(2026)粤01民初123号"];
    assert_eq!(office.mailgw(&[&order[..], &held].concat()).json().as_array().unwrap().len(), 1);
    let until = (time::OffsetDateTime::now_utc() + time::Duration::days(1)).format(&time::format_description::well_known::Rfc3339).unwrap();
    refused(office.mailgw(&[&order[..], &held, &["--until", &until]].concat()), "shorter");
    let shown = office.mailgw(&["retention", "holds"]).ok();
    assert!(shown.contains(&format!("push     {} {}  holds  since 20", held[1], held[3])) && shown.contains("until it is released"), "{shown}");
    let release = |authority: &str, of: &str, approvals: &[&str]| {
        let domain = certs_test::office::DOMAIN;
        let request = format!(r#"{{"kind":"suiyin retention release v1","domain":"{domain}","held":{{"push":{{"bureau":"{}","batch":"{}"}}}},"authority":"{authority}","of":"{of}","order":"(2026)粤01民初124号","papers":"form 91"}}"#, held[1], held[3]);
        office.write("release.json", request.as_bytes());
        ["one", "two"].iter().for_each(|officer| office.approve("release.json", officer));
        office.mailgw(&[&["--json", "retention", "release", "--request", "release.json"], approvals].concat())
    };
    let own = order[6];
    refused(release("somebody", own, &both), "other-authority");
    refused(release("广州市中级人民法院", "(2026)粤01民初122号", &both), "other-order");
    refused(release("广州市中级人民法院", own, &both[..2]), "officers");
    assert!(release("广州市中级人民法院", own, &both).json().as_array().unwrap().is_empty());
    assert_eq!(release("广州市中级人民法院", own, &both).code, 4);
    // As files: proved by us, by OpenSSL, read by others, altered, and loaded elsewhere once.
    for format in ["maildir", "mbox"] {
        let said = office.mailgw(&["--json", "mailbox", "archive", &owner.address, "--out", format, "--format", format, "--request", "form 78"]).json();
        let verified = office.mailgw(&["--json", "mailbox", "verify", format, "--anchor", "ca/root.pem"]).json();
        assert_eq!((&said["messages"], &said["bytes"]), (&verified["messages"], &verified["bytes"]));
        let (inventory, signature) = (format!("{format}/inventory.jsonl"), format!("{format}/inventory.p7s"));
        openssl(&["cms", "-verify", "-binary", "-inform", "DER", "-in", &signature, "-content", &inventory, "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "/dev/null"], &office.home).ok();
    }
    judge(&office, "files");
    let load = |from: &str, more: &[&str]| office.mailgw(&[&["--json", "mailbox", "load", &other.address, from, "--request", "form 79"], more].concat()).json();
    let first = load("maildir", &["--folder", "Old"]);
    assert_eq!(load("maildir", &["--folder", "Old"])["known"], first["new"]);
    assert_eq!(load("mbox", &["--folder", "Old"])["known"], first["new"]);
    assert!(load("mbox/mail/INBOX.mbox", &["--folder", "Once more"])["new"].as_u64().unwrap() >= 4);
    // A kept mark is one wherever its message goes.
    assert_eq!(office.mailgw(&["--json", "mailbox", "verified", &other.address]).json().as_array().unwrap().len(), 1 + 3 + 2 + 2);
}
