//! Bulk acts of the built `ca`: looked at, killed on the way, gone on with, and each certificate exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use certs_test::programs::{Authority, openssl, program, run};
use serde_json::Value;

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
const COUNT: usize = 24;

fn shown(authority: &Authority) -> Value {
    authority.ca(&["--json", "bulk", "show", "INC-2026-001"]).json()[0].clone()
}

#[test]
fn a_killed_server_goes_on_where_it_was() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    let rules = "most = 20\nbatch = 2\nparallel = 2\npause_ms = 250\nreissue_overlap_days = 5\n";
    std::fs::write(place.path().join("ca/policies/authority/bulk.toml"), rules).unwrap();
    authority.start();
    authority.request("a", "/C=CN");
    let serials: BTreeSet<String> = (0..COUNT).map(|_| authority.issue("a", "enterprise-signing", &ENTERPRISE)).collect();
    assert_eq!(serials.len(), COUNT);
    std::fs::write(place.path().join("serials.txt"), serials.iter().map(|serial| format!("{serial}\n")).collect::<String>()).unwrap();
    // Looked at: nothing is changed, and exactly one kind of input is taken.
    let order = ["--json", "bulk", "revoke", "--incident", "INC-2026-001", "--reason", "superseded"];
    let preview = authority.ca(&[&order[..], &["--profile", "enterprise-signing"]].concat()).json();
    assert_eq!((preview["total"].as_u64(), preview["kinds"][0]["state"].as_str()), (Some(COUNT as u64), Some("good")));
    assert!(authority.ca(&[&order[3..]].concat()).code == 2);
    let both = authority.ca(&[&order[..], &["--file", "serials.txt", "--state", "good"]].concat());
    assert!(both.code == 2 && both.err.contains("chosen-twice"), "{both:?}");
    let much = authority.ca(&[&order[..], &["--file", "serials.txt", "--execute"]].concat());
    assert!(much.code == 3 && much.err.contains("--confirm 24"), "{much:?}");
    let unknown = authority.ca(&["--json", "bulk", "show", "INC-2026-001"]);
    assert!(unknown.code == 4 && unknown.err.contains("no-such-incident"), "{unknown:?}");
    // Done, and killed twice on the way.
    let execute = [&order[1..], &["--file", "serials.txt", "--execute", "--confirm", "24"]].concat();
    for killed in 1..=2 {
        let mut working = std::process::Command::new(program("ca"))
            .args(["--dir", "ca", "--passphrase-file", "pass"])
            .args(&execute)
            .current_dir(place.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let said = authority.ca(&["--json", "bulk", "show", "INC-2026-001"]);
            let next = if said.code == 0 { said.json()[0]["next"].as_u64().unwrap() } else { 0 };
            if next >= 4 * killed {
                break;
            }
            assert!(Instant::now() < until, "nothing is done");
            std::thread::sleep(Duration::from_millis(20));
        }
        authority.stop_hard();
        assert!(!working.wait().unwrap().success());
        authority.reap();
        authority.start();
        let state = shown(&authority);
        assert!(state["stage"] == "running" && state["next"].as_u64().unwrap() < COUNT as u64, "{state}");
    }
    // Gone on with, without saying again which; the service answers meanwhile.
    let done = authority.ca(&["--json", "bulk", "revoke", "--incident", "INC-2026-001", "--execute"]).json();
    assert_eq!((done["stage"].as_str(), done["done"].as_u64(), done["refused"].as_u64()), (Some("done"), Some(COUNT as u64), Some(0)));
    let state = shown(&authority);
    let told: BTreeSet<String> = state["items"].as_array().unwrap().iter().map(|item| item["serial"].as_str().unwrap().to_owned()).collect();
    assert!(told == serials && state["items"].as_array().unwrap().iter().all(|item| item["came"] == "revoked"), "{state}");
    assert_eq!(authority.ca(&["--json", "list", "--profile", "enterprise-signing", "--state", "revoked"]).json().as_array().unwrap().len(), COUNT);
    authority.ca(&["crl", "publish", "enterprise-ca"]).ok();
    run("curl", &["-sf", "-o", "list.crl", &format!("{}/crl/enterprise-ca.crl", authority.url)], &authority.home).ok();
    let text = openssl(&["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-text"], &authority.home).ok().to_lowercase();
    assert_eq!(text.matches("serial number:").count(), COUNT);
    assert!(serials.iter().all(|serial| text.contains(serial.as_str())));
    // Exactly once in the log, which is whole.
    let vkey = authority.ca(&["--json", "log", "export", "export"]).json()["vkey"].as_str().unwrap().to_owned();
    authority.ca(&["log", "verify", "export", "--vkey", &vkey]).ok();
    // Issued anew for the same keys: what was revoked in the incident, by nothing but its name.
    let done = authority.ca(&["--json", "bulk", "reissue", "--incident", "INC-2026-001", "--execute", "--confirm", "24"]).json();
    assert_eq!((done["total"].as_u64(), done["done"].as_u64()), (Some(COUNT as u64), Some(COUNT as u64)));
    let text = authority.ca(&["bulk", "show", "INC-2026-001"]).ok();
    assert!(text.matches("reissued as ").count() == COUNT && text.contains("INC-2026-001: reissue 24 of 24, 24 done, 0 refused, done"), "{text}");
}
