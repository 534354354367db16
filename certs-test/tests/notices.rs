//! Notices from the built authority through the built gateway to a mail program, while either is killed at any moment.
//! The authority lives in a time that the test sets (libfaketime); the gateway and the mail program in their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use certs_test::office::{Account, DOMAIN, Office};
use certs_test::programs::{oracle, run};
use serde_json::Value;

const CODE: &str = "91440101MAT000018G";

/// The library that shows another time to a program, where Debian puts it.
fn other_time() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("libfaketime is missing; run scripts/test")
}

struct Notices {
    office: Office,
    holder: Account,
    operator: Account,
}

impl Notices {
    fn open(place: &std::path::Path) -> Self {
        let clock = place.join("clock");
        std::fs::write(&clock, "+0d\n").unwrap();
        let environment = vec![("LD_PRELOAD", other_time()), ("FAKETIME_TIMESTAMP_FILE", clock), ("FAKETIME_NO_CACHE", "1".into()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into())];
        let office = Office::open_with(place, 1, environment);
        let opened = office.mailgw(&["--json", "mailbox", "open", "--code", "12440100MAT9901707", "--name", "穗印示范运营中心", "--alias", "postmaster", "--operator"]).json();
        let operator = Account { address: opened["address"].as_str().unwrap().into(), password: opened["password"].as_str().unwrap().into() };
        Self { holder: office.people[0].clone(), operator, office }
    }

    /// The authority's time from now on.
    fn set(&self, days: i64) {
        std::fs::write(self.office.home.join("clock.new"), format!("+{days}d\n")).unwrap();
        std::fs::rename(self.office.home.join("clock.new"), self.office.home.join("clock")).unwrap();
    }

    fn mail(&self, account: &Account) -> Vec<Value> {
        let script = format!("{}/oracles/notices.py", env!("CARGO_MANIFEST_DIR"));
        let said = run(oracle("python"), &[&script, &self.office.imaps.to_string(), &account.address, &account.password], &self.office.home).ok();
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until `enough` says so.
    fn wait(&self, what: &str, mut enough: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(120);
        while !enough() {
            assert!(Instant::now() < until, "{what}; {}", std::fs::read_to_string(self.office.home.join("mailgw.log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Messages to the holder that say so many days are left.
    fn told(&self, left: i64) -> usize {
        let word = format!("还剩 {left} 天");
        self.mail(&self.holder).iter().filter(|mail| mail["Subject"].as_str().unwrap().contains(&word)).count()
    }

    /// Ids of the notices in a state, as the authority tells them.
    fn listed(&self, state: &str) -> Vec<String> {
        let found = self.office.authority.ca(&["--json", "notice", "list", "--state", state]).json();
        found.as_array().unwrap().iter().map(|notice| notice["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn every_stage_arrives_once_whoever_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let mut notices = Notices::open(place.path());
    let (holder, operator) = (notices.holder.clone(), notices.operator.clone());
    for (name, mailbox) in [("told", vec!["--mailbox", holder.address.as_str()]), ("silent", vec![])] {
        notices.office.authority.request(name, "/C=CN");
        notices.office.authority.issue(name, "enterprise-signing", &[&["--name", &format!("广州{name}有限公司"), "--code", if name == "told" { CODE } else { "91440101MAT000026B" }], mailbox.as_slice()].concat());
    }
    let serial = |name: &str| notices.office.authority.ca(&["--json", "list", "--name", &format!("广州{name}")]).json()[0]["serial"].as_str().unwrap().to_owned();
    let (told, silent) = (serial("told"), serial("silent"));
    assert!(notices.mail(&holder).is_empty());

    // 1. The gateway finds the first stage that is reached, and the operator's list.
    notices.set(701);
    notices.wait("the first stage", || notices.told(29) == 1);
    let mail = notices.mail(&holder);
    let first = mail.iter().find(|mail| mail["Subject"].as_str().unwrap().contains("29 天")).unwrap();
    assert_eq!((first["To"].as_str(), first["Content-Language"].as_str()), (Some(holder.address.as_str()), Some("zh, en")));
    assert_eq!(first["From"].as_str(), Some(format!("穗印认证中心 <postmaster@{DOMAIN}>").as_str()));
    assert_eq!(first["Subject"].as_str(), Some("企业签名证书还剩 29 天到期 / Your enterprise signing certificate ends in 29 days"));
    let text = first["text"].as_str().unwrap();
    assert!(text.starts_with("您好：") && text.contains(&told) && text.contains("广州told有限公司") && text.contains("Ends      20"), "{text}");
    assert_eq!(notices.office.authority.ca(&["--json", "notice", "show", &format!("{told}.30-days")]).json()["text"].as_str(), Some(text));
    let in_list = || notices.mail(&operator).iter().filter(|mail| mail["text"].as_str().unwrap().contains(&silent)).count();
    notices.wait("the operator's list", || in_list() >= 1);

    // 2. Stage after stage, with one side or the other killed while it is under way.
    for (stage, days) in [718, 724, 728].into_iter().enumerate() {
        notices.set(days);
        for round in 0_u64..4 {
            std::thread::sleep(Duration::from_millis((stage as u64 * 397 + round * 211) % 900));
            if round.is_multiple_of(2) {
                notices.office.kill_gateway();
                notices.office.start_gateway();
            } else {
                notices.office.authority.kill();
                notices.office.authority.start();
            }
        }
        notices.wait("the next stage", || notices.told(730 - days) == 1);
    }
    // 3. With the gateway down nothing is lost, and the last stage alone is told of.
    notices.office.kill_gateway();
    notices.set(729);
    notices.wait("a notice in the queue", || notices.listed("queued").contains(&format!("{told}.1-days")));
    notices.office.authority.kill();
    notices.office.authority.start();
    notices.office.start_gateway();
    notices.wait("the last stage", || notices.listed("sent").contains(&format!("{told}.1-days")));
    notices.wait("an empty queue", || notices.listed("queued").is_empty());
    let mail = notices.mail(&holder);
    assert_eq!([29, 12, 6, 2, 1].map(|left| notices.told(left)), [1; 5], "{:?}", mail.iter().map(|mail| &mail["Subject"]).collect::<Vec<_>>());
    // Beside the five at most two before filing deadlines, and each message once.
    let mut ids: Vec<&str> = mail.iter().map(|mail| mail["Message-ID"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), mail.len());
    assert!(mail.len() <= 7, "{}", mail.len());
    assert_eq!(notices.listed("sent").iter().filter(|id| id.starts_with(&told)).count(), mail.len());

    // 4. What cannot be delivered is told of by the doctor, and goes out once that is mended.
    notices.office.authority.request("late", "/C=CN");
    notices.office.authority.issue("late", "enterprise-signing", &["--name", "广州late有限公司", "--code", "914401069876543001", "--mailbox", &format!("late-office@{DOMAIN}")]);
    notices.set(729 + 701);
    notices.wait("a failure", || notices.listed("failed").len() == 1);
    let doctor = notices.office.authority.ca(&["doctor"]);
    assert!(doctor.out.contains("1 failed; look at them with `ca notice list --state failed`"), "{doctor:?}");
    let metrics = run("curl", &["-sf", &format!("{}/metrics", notices.office.authority.url)], &notices.office.home).ok();
    assert!(metrics.contains("suiyin_ca_notices{state=\"failed\"} 1") && metrics.contains("suiyin_ca_fault{part=\"notice\"} 0"), "{metrics}");
    notices.office.mailgw(&["mailbox", "open", "--code", "914401069876543001", "--name", "广州late有限公司", "--alias", "late-office"]).ok();
    let failed = notices.listed("failed");
    notices.office.authority.ca(&["notice", "retry", &failed[0]]).ok();
    notices.wait("what was mended", || notices.listed("failed").is_empty() && notices.listed("sent").contains(&failed[0]));
    assert_eq!(notices.office.authority.ca(&["notice", "retry", &failed[0]]).code, 4);
}

#[test]
fn the_outbox_is_a_door_to_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = certs_test::programs::Authority::found(place.path());
    authority.start();
    let ask = |path: &str, body: &str| {
        let url = format!("http://localhost{path}");
        run("curl", &["-s", "-o", "answer", "-w", "%{http_code}", "--unix-socket", "ca/outbox.sock", "-H", "Content-Type: application/json", "-d", body, &url], &authority.home).ok()
    };
    assert_eq!(ask("/v1/outbox/collect", ""), "200");
    for path in ["/v1/operation", "/revoke", "/ocsp", "/", "/metrics"] {
        assert_eq!(ask(path, "{}"), "404", "{path}");
    }
    for body in ["", "{", "{}", "[{}]", "[{\"id\":\"a\",\"outcome\":{\"delivered\":7}}]", "[{\"id\":\"a\",\"outcome\":{\"refused\":\"because\"}}]"] {
        let code = ask("/v1/outbox/done", body);
        assert!(["400", "415", "422"].contains(&code.as_str()), "{body}: {code}");
    }
    assert_eq!(ask("/v1/outbox/done", "[{\"id\":\"a.b\",\"outcome\":{\"delivered\":\"00\"}}]"), "200");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(authority.home.join("ca/outbox.sock")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    // Nothing over the network.
    assert_eq!(run("curl", &["-s", "-o", "answer", "-w", "%{http_code}", "-d", "", &format!("{}/v1/outbox/collect", authority.url)], &authority.home).ok(), "404");
}
