//! Orders with the built `ca`: an enterprise that has only curl and OpenSSL, an operator at the counter, and those who
//! would rather have what is not theirs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, openssl, program, run};
use serde_json::{Value, json};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

/// Status and body of one call with curl.
fn curl(authority: &Authority, arguments: &[&str], path: &str) -> (String, Value) {
    let url = format!("{}{path}", authority.url);
    let said = run("curl", &[&["-s", "-w", "\n%{http_code}"], arguments, &[&url]].concat(), &authority.home).ok();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

fn application(authority: &Authority, name: &str, key: &str) -> Value {
    let request = std::fs::read_to_string(authority.home.join(format!("{name}.csr"))).unwrap();
    json!({
        "profile": "enterprise-signing",
        "request": request,
        "applicant": { "name": "广州天河测试有限公司", "code": "91440101MAT000018G" },
        "evidence": [{ "kind": "licence", "sha256": "ab".repeat(32) }],
        "key": key,
    })
}

fn send(authority: &Authority, application: &Value) -> (String, Value) {
    std::fs::write(authority.home.join("order.json"), application.to_string()).unwrap();
    curl(authority, &["-H", "content-type: application/json", "--data-binary", "@order.json"], "/orders")
}

#[test]
fn an_order_from_the_counter_is_issued_once_and_seen_at_its_address() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.request("a", "/C=CN");
    std::fs::write(authority.home.join("licence.pdf"), "a licence").unwrap();
    let words = [&["--json", "order", "place", "enterprise-signing", "--request", "a.csr", "--evidence", "licence=licence.pdf", "--key", "2026-1"][..], &ENTERPRISE].concat();
    let mut placed = authority.ca(&words).json();
    assert_eq!(placed["before"], false);
    // The service's own turn may be at it at this very moment; who asks again is told how it went.
    let begun = std::time::Instant::now();
    while placed["state"]["code"] == "issuing" && begun.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        placed = authority.ca(&words).json();
    }
    assert_eq!(placed["state"]["code"], "issued");
    let digest = run("sha256sum", &["licence.pdf"], &authority.home).ok();
    assert!(digest.starts_with(placed["evidence"][0]["sha256"].as_str().unwrap()));
    std::fs::write(authority.home.join("a.pem"), placed["certificate"].as_str().unwrap()).unwrap();
    openssl(&["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", "a.pem"], &authority.home).ok();
    let again = authority.ca(&words).json();
    assert_eq!((&again["id"], &again["serial"], &again["before"]), (&placed["id"], &placed["serial"], &true.into()));
    // The applicant sees the same, without the words of others.
    let id = placed["id"].as_str().unwrap();
    let (status, seen) = curl(&authority, &[], &format!("/orders/{id}"));
    assert_eq!((status.as_str(), &seen["serial"], &seen["state"]["zh"]), ("200", &placed["serial"], &"已签发".into()));
    assert!(seen.get("by").is_none() && seen.get("key").is_none());
    assert!(authority.ca(&["order", "show", id]).ok().contains("广州天河测试有限公司"));
    assert_eq!(authority.ca(&["--json", "order", "list", "--state", "issued"]).json().as_array().unwrap().len(), 1);
    assert_eq!(authority.ca(&["order", "cancel", id]).code, 5);
    // The same key for something else, and one certificate in all.
    authority.request("b", "/C=CN");
    let arguments = [&["order", "place", "enterprise-signing", "--request", "b.csr", "--key", "2026-1"][..], &ENTERPRISE].concat();
    assert_eq!(authority.ca(&arguments).code, 5);
    assert_eq!(authority.ca(&["--json", "list", "--profile", "enterprise-signing"]).json().as_array().unwrap().len(), 1);
    // It is as durable as everything else.
    authority.kill();
    authority.start();
    assert_eq!(authority.ca(&words).json()["serial"], placed["serial"]);
}

#[test]
fn an_enterprise_orders_looks_and_changes_its_mind_with_curl_and_openssl() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.request("a", "/C=CN");
    let (status, placed) = send(&authority, &application(&authority, "a", "k-1"));
    assert_eq!((status.as_str(), &placed["state"]["code"]), ("201", &"awaiting-approval".into()), "{placed}");
    let (id, path) = (placed["id"].as_str().unwrap(), format!("/orders/{}", placed["id"].as_str().unwrap()));
    assert_eq!(placed["address"], format!("{}{path}", authority.url));
    let (status, again) = send(&authority, &application(&authority, "a", "k-1"));
    assert_eq!((status.as_str(), &again["id"]), ("200", &placed["id"]));
    // What is wrong is told in both languages, and nothing of it is repeated.
    let refused = |change: &dyn Fn(&mut Value), expected: &str, code: &str| {
        let mut other = application(&authority, "a", "k-2");
        change(&mut other);
        let (status, said) = send(&authority, &other);
        assert_eq!((status.as_str(), &said["code"]), (expected, &code.into()), "{said}");
        assert!(!said.to_string().contains("天河"), "{said}");
    };
    refused(&|other| (other["key"], other["evidence"]) = ("k-1".into(), json!([])), "409", "order-key-used");
    refused(&|other| other["applicant"]["code"] = "91440101MAT000018A".into(), "422", "credit-code");
    refused(&|other| other["profile"] = "officer".into(), "422", "not-online");
    refused(&|other| other["profile"] = "ocsp".into(), "422", "not-online");
    refused(&|other| other["applicant"]["officer"] = "天河某人".into(), "400", "order");
    refused(&|other| other["request"] = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".into(), "422", "request");
    refused(&|other| other["evidence"] = json!([{ "kind": "天河", "sha256": "ab" }]), "422", "evidence");
    // Another's order is not found, not seen and not cancelled.
    let (status, said) = curl(&authority, &[], "/orders/00000000000000000000000000000000");
    assert!(status == "404" && said["message"].as_str().unwrap().starts_with("没有该申请"), "{said}");
    for wrong in ["/orders/", "/orders/x", "/orders/%00", &format!("{path}0")] {
        assert_eq!(curl(&authority, &[], wrong).0, "404", "{wrong}");
    }
    let cancel = |key: &str, words: &str| {
        openssl(&["req", "-new", "-key", key, "-subj", &format!("/CN={words}"), "-out", "said.csr"], &authority.home).ok();
        curl(&authority, &["--data-binary", "@said.csr"], &format!("{path}/cancel"))
    };
    authority.request("other", "/C=CN");
    let said = format!("cancel order {id}");
    assert_eq!(cancel("other.key", &said).0, "422");
    assert_eq!(cancel("a.key", "cancel order").0, "422");
    assert_eq!(curl(&authority, &[], &path).1["state"]["code"], "awaiting-approval");
    let (status, cancelled) = cancel("a.key", &said);
    assert_eq!((status.as_str(), &cancelled["state"]["code"]), ("200", &"cancelled".into()));
    assert!(authority.ca(&["--json", "list", "--profile", "enterprise-signing"]).json().as_array().unwrap().is_empty());
    // The number is the secret: neither the service's log nor the exported one tells it.
    authority.ca(&["log", "export", &authority.path("exported")]).ok();
    assert_eq!(run("grep", &["-raq", id, "exported", "serve.log"], &authority.home).code, 1);
}

#[test]
fn a_server_that_lies_gets_no_signature_over_what_was_not_shown() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.request("a", "/C=CN");
    let (_, placed) = send(&authority, &application(&authority, "a", "k-1"));
    let id = placed["id"].as_str().unwrap();
    let order = authority.ca(&["--json", "order", "show", id]).json();
    // Answers whatever is asked with one order.
    let lies = |change: &dyn Fn(&mut Value)| {
        let mut told = order.clone();
        change(&mut told);
        let body = json!({ "order": told }).to_string();
        let liar = tempfile::tempdir().unwrap();
        let socket = std::os::unix::net::UnixListener::bind(liar.path().join("admin.sock")).unwrap();
        std::thread::spawn(move || {
            for connection in socket.incoming() {
                let (mut connection, mut asked) = (connection.unwrap(), [0; 4096]);
                if std::io::Read::read(&mut connection, &mut asked).unwrap_or(0) > 0 {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = std::io::Write::write_all(&mut connection, [head.as_bytes(), body.as_bytes()].concat().as_slice());
                }
            }
        });
        run(program("ca"), &["--dir", liar.path().to_str().unwrap(), "--identity", "me", "order", "approve", id], &authority.home)
    };
    let honest = lies(&|_| ());
    assert!(honest.code == 2 && honest.err.contains("nothing was signed") && honest.out.contains("signed   {"), "{honest:?}");
    // What a terminal obeys, and a line that looks like one of ours.
    let shown = lies(&|told| {
        told["state"]["zh"] = "等待\u{1b}[8m".into();
        told["profile"] = "officer\nsigned   {\"act\":\"issue\"}".into();
        told["evidence"][0]["kind"] = "\u{9b}2J".into();
    });
    assert!(shown.code == 2 && shown.out.lines().filter(|line| line.starts_with("signed ")).count() == 1, "{shown:?}");
    assert!(!shown.out.chars().any(|c| c != '\n' && c.is_control()), "{shown:?}");
    for lie in [json!({ "id": "00112233445566778899aabbccddeeff" }), json!({ "request_sha256": "ab".repeat(32) })] {
        let refused = lies(&|told| lie.as_object().unwrap().iter().for_each(|(word, said)| told[word] = said.clone()));
        assert!(refused.code == 7 && refused.out.is_empty() && refused.err.contains("another order"), "{refused:?}");
    }
}

#[test]
fn too_many_and_too_large_orders_are_turned_away() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    let rules = authority.home.join("ca/policies/authority/orders.toml");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, text.replace("per_address = 30", "per_address = 3").replace("\"when-known\"\n", "\"required\"\n")).unwrap();
    // A registry that the rules require and nobody configured.
    let said = authority.ca(&["list"]);
    assert!(said.code == 2 && said.err.contains("[registry]"), "{said:?}");
    let configuration = authority.home.join("ca/ca.toml");
    let whole = std::fs::read_to_string(&configuration).unwrap() + "\n[registry]\nfile = \"registry.csv\"\n";
    std::fs::write(&configuration, whole).unwrap();
    std::fs::write(authority.home.join("ca/registry.csv"), "code,name,state\n91440101MAT000018G,广州天河测试有限公司,struck-off\n").unwrap();
    authority.start();
    authority.request("a", "/C=CN");
    let (status, said) = send(&authority, &application(&authority, "a", "k-1"));
    assert_eq!((status.as_str(), &said["state"]["code"], &said["reasons"][0]["code"]), ("201", &"refused".into(), &"struck-off".into()), "{said}");
    assert!(said["reasons"][0]["zh"].as_str().unwrap().contains("已注销"));
    // The registry is replaced while the service runs.
    std::fs::write(authority.home.join("new.csv"), "code,name,state\n91440101MAT000018G,广州天河测试有限公司,in-business\n").unwrap();
    std::fs::rename(authority.home.join("new.csv"), authority.home.join("ca/registry.csv")).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    for number in 0.. {
        let key = format!("k-{number}");
        let arguments = [&["--json", "order", "place", "enterprise-signing", "--request", "a.csr", "--key", &key][..], &ENTERPRISE].concat();
        if authority.ca(&arguments).json()["state"]["code"] == "issued" {
            break;
        }
        assert!(std::time::Instant::now() < until, "the new registry is not taken up");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    std::fs::write(authority.home.join("large"), vec![b' '; 25 * 1024]).unwrap();
    let (status, _) = curl(&authority, &["-H", "content-type: application/json", "--data-binary", "@large"], "/orders");
    assert_eq!(status, "413");
    // The large one counts among those of this hour.
    let statuses: Vec<String> = (0..4).map(|number| send(&authority, &application(&authority, "a", &format!("n-{number}"))).0).collect();
    assert_eq!(statuses.iter().filter(|status| *status == "429").count(), 3, "{statuses:?}");
    let (_, said) = send(&authority, &application(&authority, "a", "n-9"));
    assert!(said["message"].as_str().unwrap().starts_with("目前申请过多"), "{said}");
}

#[test]
fn an_officer_approves_with_the_own_key_and_openssl_agrees() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    authority.ca(&["officer", "identity", "new", "me", "--name", "陈一", "--number", "B-1"]).ok();
    let officer = authority.ca(&["--json", "issue", "officer", "--request", "me/officer.csr", "--officer", "陈一", "--number", "B-1", "--out", "me.pem"]).json();
    authority.ca(&["officer", "identity", "install", "me", "me.pem", "--root", "ca/root.pem"]).ok();
    authority.request("a", "/C=CN");
    let (_, placed) = send(&authority, &application(&authority, "a", "k-1"));
    let id = placed["id"].as_str().unwrap();
    let approve = |arguments: &[&str]| authority.ca(&[&["--json", "--identity", "me", "order", "approve", id][..], arguments].concat());
    // Nothing is signed unseen, and a certificate alone makes nobody an officer.
    assert_eq!(approve(&[]).code, 2);
    assert!(approve(&["--yes"]).err.contains("no-powers"));
    let serial = officer["serial"].as_str().unwrap();
    authority.ca(&["officer", "grant", serial, "operator"]).ok();
    let approved = approve(&["--yes", "--reason", "核对无误"]).json();
    assert_eq!((&approved["state"]["code"], &approved["decisions"][0]["officer"]), (&"issued".into(), &serial.into()), "{approved}");
    let (_, seen) = curl(&authority, &[], &format!("/orders/{id}"));
    std::fs::write(authority.home.join("a.pem"), seen["certificate"].as_str().unwrap()).unwrap();
    openssl(&["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem", "a.pem"], &authority.home).ok();
    // The proof stands alone: OpenSSL verifies the signature over the very text, and ours the whole.
    authority.ca(&["order", "export", id, "--out", "proof.json"]).ok();
    let proof: Value = serde_json::from_str(&std::fs::read_to_string(authority.home.join("proof.json")).unwrap()).unwrap();
    std::fs::write(authority.home.join("decision"), proof["decisions"][0]["decision"].as_str().unwrap()).unwrap();
    std::fs::write(authority.home.join("decision.p7s"), proof["decisions"][0]["signature"].as_str().unwrap()).unwrap();
    let judged = |content: &str| openssl(&["cms", "-verify", "-binary", "-inform", "PEM", "-in", "decision.p7s", "-content", content, "-CAfile", "ca/root.pem", "-purpose", "any", "-out", "said"], &authority.home);
    judged("decision").ok();
    let changed = std::fs::read_to_string(authority.home.join("decision")).unwrap().replace("核对无误", "核对有误");
    std::fs::write(authority.home.join("changed"), changed).unwrap();
    assert_ne!(judged("changed").code, 0);
    let vkey = authority.ca(&["--json", "log", "export", &authority.path("exported")]).json()["vkey"].as_str().unwrap().to_owned();
    let verify = |file: &str, root: &str| authority.ca(&["--json", "order", "verify", file, "--root", root, "--vkey", &vkey]);
    let proven = verify("proof.json", "ca/root.pem").json();
    assert_eq!((&proven["approved_by"][0], &proven["serial"]), (&serial.into(), &seen["serial"]));
    assert_eq!(verify("proof.json", "ca/tls-ca.pem").code, 7);
    let mut turned = std::fs::read(authority.home.join("proof.json")).unwrap();
    let middle = turned.len() / 2;
    turned[middle] ^= 1;
    std::fs::write(authority.home.join("turned.json"), turned).unwrap();
    assert_eq!(verify("turned.json", "ca/root.pem").code, 7);
}
