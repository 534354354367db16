//! One id names a request in the service's log, in its answer and in the problem it ends in; over HTTP and the socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::{Authority, run};
use serde_json::Value;

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

/// Lines of the service's log that are of the request `id`.
fn of_request(authority: &Authority, id: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(authority.home.join("serve.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["span"]["id"] == id).collect()
}

#[test]
fn a_request_is_found_again_by_its_id() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found_with(place.path(), &[], vec![("SUIYIN_LOG", "info,runtime=debug".into())]);
    authority.start();
    authority.request("a", "/C=CN");
    let serial = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    // Of the flow's own lines too, on another thread than the one that answers.
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk";
    let words = format!("/CN=own name {serial}/O={key}");
    certs_test::programs::openssl(&["req", "-new", "-key", "a.key", "-subj", &words, "-out", "said.csr"], &authority.home).ok();
    let post = |path: &str, id: &str| {
        let url = format!("{}/{path}", authority.url);
        run("curl", &["-s", "-D", "-", "-H", &format!("x-request-id: {id}"), "--data-binary", "@said.csr", &url], &authority.home).ok()
    };
    let told = post("log/own-name", "incident-2026-0042");
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("x-request-id: incident-2026-0042"), "{told}");
    let lines = of_request(&authority, "incident-2026-0042");
    let has = |text: &str| lines.iter().any(|line| line["message"] == text && line["span"]["method"] == "POST");
    assert!(has("told the secret of an own name") && has("answered"), "{lines:?}");
    // What is no id is not taken: nobody writes lines of their own into the log.
    let refused = post("revoke", "x\\\",\\\"level\\\":\\\"ERROR");
    let body: Value = serde_json::from_str(refused.rsplit("\r\n\r\n").next().unwrap()).unwrap();
    let id = body["request"].as_str().unwrap();
    assert!(refused.contains(&format!("x-request-id: {id}")) && id.len() == 24 && body["code"] == "not-said", "{refused}");
    assert_eq!(of_request(&authority, id).len(), 1);
    // Over the administration socket.
    let refused = authority.ca(&["--json", "show", "40000000000000000000000000000001"]);
    let problem: Value = serde_json::from_str(&refused.err).unwrap();
    let lines = of_request(&authority, problem["request"].as_str().unwrap());
    assert!(lines.len() == 2 && lines[0]["operation"] == "show" && lines[1]["level"] == "INFO" && lines[1]["status"] == 404, "{lines:?}");
    let metrics = run("curl", &["-sf", &format!("{}/metrics", authority.url)], &authority.home).ok();
    for line in ["{route=\"/revoke\",status=\"4xx\"} 1", "{route=\"/log/own-name\",status=\"2xx\"} 1", "{route=\"/v1/operation\",status=\"4xx\"} 1"] {
        assert!(metrics.contains(&format!("suiyin_http_requests_total{line}\n")), "{metrics}");
    }
    assert!(metrics.contains("suiyin_http_request_seconds_bucket{route=\"/revoke\",le=\"+Inf\"} 1\n") && !metrics.contains(&serial), "{metrics}");
}
