//! A bureau that did not exist, with a kind of filing that nobody heard of and a calendar of its own: files and a seal, no program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::desk::{City, CODE, NAME};
use certs_test::office::DOMAIN;
use certs_test::programs::{openssl, program, run};

const BUREAU: &str = r#"
[[bureau]]
code = "gz-planning"
name = "广州市规划和自然资源局"
name_en = "Guangzhou Municipal Planning and Natural Resources Bureau"
hotline = "12345"
late = "refuse"
anchors = ["root.pem"]
calendar = "calendar-construction.toml"
accepts = [{ kind = "CONSTRUCTION_WAGES", policies = [".1.9"] }]
"#;

/// 农民工工资专用账户: what was due on a site and what was paid out of its account.
const KIND: &str = r#"
kind = "CONSTRUCTION_WAGES"
title = "农民工工资专用账户月报"
title_en = "wages paid on a building site"
policies = [".1.9"]
roles = ["legal-representative", "operator", "agent"]
period = "month"
from = "202001"
revisions = "replace"
deadline = "wages-month"
max_attachments = 2

[[field]]
name = "site"
type = "text"
max = 40
zh = "项目编号"
en = "site"

[[field]]
name = "workers"
type = "integer"
min = 1
max = 100000
zh = "人数"
en = "workers"

[[field]]
name = "due"
type = "amount"
digits = 12
zh = "应发工资"
en = "wages due"

[[field]]
name = "paid"
type = "amount"
digits = 12
zh = "实发工资"
en = "wages paid"

[[rule]]
id = "B1"
check = "paid = due"
field = "paid"
zh = "当月工资须足额发放"
en = "what is due is paid in full"
next = "请补发后再申报"
next_en = "pay the rest and declare then"
"#;

/// The bureau's own: of one month until far in the future, of the other until long ago, whenever this runs.
const CALENDAR: &str = r#"
confirmed_years = [2036]
holidays = []
workdays = []

[[deadline]]
name = "wages-month"
title = "工资专用账户月报期限"
title_en = "monthly report of wages"
period = "month"
month = 12
day = 20
rest = "stay"
confirmed = true
source = "a test"
moved = [{ period = "202601", date = "2036-01-20" }, { period = "202602", date = "2026-03-05" }]
"#;

#[test]
fn a_new_bureau_and_kind_are_policy_and_data() {
    let place = tempfile::tempdir().unwrap();
    let mut city = City::open(place.path());
    let home = city.desk.home.clone();
    // 1. The bureau's files, in force from the desk's next start; its seal like any other.
    city.desk.stop_hard();
    city.desk.reap();
    let policies = home.join("desk/policies");
    std::fs::write(policies.join("filings/kinds/construction-wages.toml"), KIND).unwrap();
    std::fs::write(policies.join("filings/calendar-construction.toml"), CALENDAR).unwrap();
    let bureaus = policies.join("desk/bureaus.toml");
    std::fs::write(&bureaus, std::fs::read_to_string(&bureaus).unwrap() + BUREAU).unwrap();
    city.desk.start();
    city.desk.desk(&["bureau", "request", "gz-planning", "--out", "construction.csr"]).ok();
    city.office.authority.issue("construction", "bureau-seal", &["--name", "广州市规划和自然资源局", "--code", "12440100MAT9901707", "--mailbox", &format!("construction@{DOMAIN}")]);
    city.desk.desk(&["bureau", "set", "gz-planning", "--seal", "construction.pem"]).ok();
    // 2. The enterprise's program has the same files, and explains, checks, signs and submits what it never heard of.
    let pass = ["--passphrase-file", "pass"];
    let filing = |arguments: &[&str]| run(program("filing"), &[arguments, &["--dir", "builder", "--policies", "desk/policies", "--lang", "en"]].concat(), &home);
    filing(&[&["key", "new", "--name", NAME], &pass[..]].concat()).ok();
    std::fs::copy(home.join("builder/request.csr"), home.join("builder.csr")).unwrap();
    city.office.authority.issue("builder", "enterprise-signing", &["--name", NAME, "--code", CODE]);
    std::fs::copy(home.join("builder.pem"), home.join("builder/certificate.pem")).unwrap();
    std::fs::copy(home.join("ca/root.pem"), home.join("builder/root.pem")).unwrap();
    let made = filing(&["new", "--kind", "construction-wages", "--period", "202601", "--code", CODE, "--out", "wages.jsonc", "--json"]).json();
    assert_eq!((made["deadline"]["date"].as_str(), made["deadline"]["rule"].as_str()), (Some("2036-01-20"), Some("wages-month")), "{made}");
    let signed = |period: &str, file: &str, paid: &str| {
        let document = serde_json::json!({ "attachments": [], "filing_id": certs_test::desk::id(period.parse::<u64>().unwrap()), "kind": "CONSTRUCTION_WAGES", "period": period, "revision": 1,
            "signer_role": "legal-representative", "uscc": CODE, "payload": { "site": "GZ-2026-001", "workers": 3, "due": "30000.00", "paid": paid } });
        std::fs::write(home.join(file), document.to_string()).unwrap();
        filing(&[&["sign", file, "--json"], &pass[..]].concat())
    };
    // Its rule is judged before anybody signs.
    let unpaid = signed("202601", "unpaid.jsonc", "20000.00");
    assert!(unpaid.code == 3 && unpaid.out.contains("B1"), "{unpaid:?}");
    let document = signed("202601", "paid.jsonc", "30000.00").json()["document"].as_str().unwrap().to_owned();
    let url = format!("https://localhost:{}", city.desk.https);
    let submit = |document: &str| filing(&[&["submit", document, "--server", &url, "--json"], &pass[..]].concat());
    let receipt = submit(&document).json();
    assert_eq!(receipt[0]["status"], "RECEIVED", "{receipt}");
    let number = receipt[0]["receipt_no"].as_str().unwrap().to_owned();
    filing(&["receipt", "verify", &format!("builder/{number}.receipt.json")]).ok();
    // 3. The receipt is that bureau's, by its calendar; another month of the same calendar was moved, and is over: it refuses.
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(home.join(format!("builder/{number}.receipt.json"))).unwrap()).unwrap();
    assert_eq!((told["bureau"]["code"].as_str(), told["deadline"]["date"].as_str(), told["deadline"]["rule_id"].as_str(), told["timely"].as_bool()), (Some("gz-planning"), Some("2036-01-20"), Some("wages-month"), Some(true)), "{told}");
    let late = signed("202602", "late.jsonc", "30000.00").json()["document"].as_str().unwrap().to_owned();
    let refused = submit(&late);
    assert!(refused.code == 3 && refused.err.contains("check-13-deadline"), "{refused:?}");
    // 4. So does `filing verify`, by the same files; by those that were shipped there is no such kind.
    openssl(&["x509", "-in", "ca/root.pem", "-out", "root-only.pem"], &home).ok();
    let signature = document.replace(".json", ".p7s");
    let verify = |more: &[&str]| run(program("filing"), &[&["verify", &document, "--signature", &signature, "--anchor", "root-only.pem", "--json"], more].concat(), &home);
    let checked: serde_json::Value = serde_json::from_str(&verify(&["--policies", "desk/policies"]).out).unwrap();
    assert_eq!(checked["checks"]["passed"], true, "{checked}");
    let checked: serde_json::Value = serde_json::from_str(&verify(&[]).out).unwrap();
    assert_eq!(checked["checks"]["failures"][0]["code"], "check-01-form", "{checked}");
}
