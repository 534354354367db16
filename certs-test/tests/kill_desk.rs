//! kill −9 in the middle of a burst: what was receipted stays so, what comes again gets the receipt that it got or would have got,
//! and nothing is there twice. `scripts/test --long` does it hundreds of times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::time::{Duration, Instant};

use certs_test::desk::{City, NAME, alone, credit_code, id};
use certs_test::disk::Disk;
use certs_test::programs::run;
use serde_json::Value;

/// Rounds in the ordinary tests; `SUIYIN_KILLS`, which kills a lone service many thousand times, asks for a twentieth of it.
const ROUNDS: u64 = 24;
/// Filings that are on their way when the desk is killed.
const BURST: u64 = 6;
/// Months of one firm's: four years of them.
const MONTHS: u64 = 40;
/// Full disks, who files at once, how much each files while it fills up, and how much is filed afterwards.
const FULL: u64 = 4;
const FILERS: u64 = 3;
const EACH: u64 = 12;
const LATE: u64 = 4;

/// Signs a filing of another month and firm than every other number's, and says with whose certificate it is sent.
fn sign(city: &City, firms: &mut Vec<String>, number: u64) -> String {
    let firm = format!("firm-{}", number / MONTHS);
    if !firms.contains(&firm) {
        city.office.authority.request(&firm, "/C=CN");
        city.office.authority.issue(&firm, "enterprise-signing", &["--name", NAME, "--code", &credit_code(number / MONTHS)]);
        firms.push(firm.clone());
    }
    let (year, month) = (2023 + (number % MONTHS) / 10, 1 + number % 10);
    let document = alone(&credit_code(number / MONTHS), 1_000 + number, &format!("{year}{month:02}"));
    city.desk.sign(&firm, &format!("kill-{number}.json"), document.to_string().as_bytes());
    firm
}

/// Sent again it is receipted, whatever it met; what was told before is told again, to the octet.
fn receipted_as_told(city: &City, told: &mut HashMap<u64, Value>, number: u64, firm: &str, at: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    let answer = loop {
        let (status, answer) = city.desk.send(firm, "filings", &format!("kill-{number}.json"));
        if status == 200 {
            break answer;
        }
        assert!(status == 503 && Instant::now() < until, "{at}, {number}: {status} {answer}");
        std::thread::sleep(Duration::from_millis(200));
    };
    let before = told.entry(number).or_insert_with(|| answer.clone());
    assert_eq!(answer, *before, "{at}, {number}");
}

/// All that was receipted is there, once, and the log proves itself.
fn all_is_there(city: &City, told: &HashMap<u64, Value>, firms: &[String]) {
    for (number, answer) in told {
        let got = city.desk.curl("", &[&city.desk.url(&format!("receipts/{}-1", id(1_000 + number)))]).ok();
        assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), *answer, "{number}");
    }
    let mut listed = 0;
    for firm in 0..firms.len() as u64 {
        let all = city.desk.desk(&["--json", "list", &credit_code(firm), "--limit", "1000"]).json();
        listed += all.as_array().map_or(0, Vec::len);
        assert!(all.as_array().unwrap().iter().all(|filing| filing["issued"].as_array().is_some_and(|receipts| receipts.len() == 1 && receipts[0]["sealed"] == true)), "{all}");
    }
    assert_eq!(listed, told.len());
    let exported = city.desk.desk(&["--json", "log", "export", "exported"]).json();
    city.desk.desk(&["log", "verify", "exported", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
}

#[test]
fn what_was_receipted_outlives_every_kill_and_nothing_is_there_twice() {
    let rounds = std::env::var("SUIYIN_KILLS").ok().and_then(|text| text.parse::<u64>().ok()).map_or(ROUNDS, |kills| (kills / 20).max(ROUNDS));
    let place = tempfile::tempdir().unwrap();
    let mut city = City::open(place.path());
    assert_eq!(city.file("firm", "first.json", &alone(certs_test::desk::CODE, 1, "202610")).0, 200);
    let mut told: HashMap<u64, Value> = HashMap::new();
    let mut firms: Vec<String> = Vec::new();
    let mut receipted_in_burst = 0;
    for round in 0..rounds {
        // 1. A burst, each filing of another month.
        let burst: Vec<(u64, String)> = (round * BURST..(round + 1) * BURST).map(|number| (number, sign(&city, &mut firms, number))).collect();
        // 2. Killed while they come in: a delay that walks over all phases of the work, so that a failure can be met again.
        let desk = &city.desk;
        let answers: Vec<(u64, (u16, Value))> = std::thread::scope(|scope| {
            let sent: Vec<_> = burst.iter().map(|(number, firm)| (*number, scope.spawn(move || desk.send(firm, "filings", &format!("kill-{number}.json"))))).collect();
            std::thread::sleep(Duration::from_millis(20 + (round * 37) % 700));
            desk.stop_hard();
            sent.into_iter().map(|(number, answer)| (number, answer.join().unwrap())).collect()
        });
        for (number, (status, answer)) in answers {
            if status == 200 {
                receipted_in_burst += 1;
                told.insert(number, answer);
            }
        }
        city.desk.reap();
        city.desk.start();
        // 3. What was told stays so, and what was not is there once.
        for (number, firm) in &burst {
            receipted_as_told(&city, &mut told, *number, firm, &format!("round {round}"));
        }
    }
    // 4. At the end, too.
    assert_eq!(told.len() as u64, rounds * BURST);
    all_is_there(&city, &told, &firms);
    // Kills that met nothing, or nothing but answered filings, would prove little.
    assert!(receipted_in_burst < rounds * BURST, "no kill came in time");
}

/// The disk of the desk's state fills up while filings come in. What was receipted is there; the desk says that it is not well, shows what
/// it has, and ends by itself once there is room.
#[test]
fn on_a_full_disk_nothing_receipted_is_lost_and_the_desk_ends_to_be_started_anew() {
    let disk = Disk::of(500);
    if !disk.is_small() {
        return;
    }
    // All else stands beside it: the authority whose timestamps it asks for goes on.
    let (place, state) = (tempfile::tempdir().unwrap(), disk.path().join("desk"));
    std::fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    std::os::unix::fs::symlink(&state, place.path().join("desk")).unwrap();
    let mut city = City::open(place.path());
    assert_eq!(city.file("firm", "first.json", &alone(certs_test::desk::CODE, 1, "202610")).0, 200);
    let (mut told, mut firms, mut receipted) = (HashMap::new(), Vec::new(), 0);
    for round in 0..FULL {
        let at = format!("full {round}");
        let (early, all) = (FILERS * EACH, FILERS * EACH + LATE);
        let all: Vec<(u64, String)> = (round * all..(round + 1) * all).map(|number| (number, sign(&city, &mut firms, number))).collect();
        let (early, late) = all.split_at(early as usize);
        // 1. Each files until it is refused, and somebody files afterwards.
        let desk = &city.desk;
        let file = |own: &[(u64, String)]| {
            let mut receipts = Vec::new();
            for (number, firm) in own {
                match desk.send(firm, "filings", &format!("kill-{number}.json")) {
                    (200, receipt) => receipts.push((*number, receipt)),
                    (status, _) => return (receipts, Some(status)),
                }
            }
            (receipts, None)
        };
        let (filed, filler) = std::thread::scope(|scope| {
            let filers: Vec<_> = early.chunks(EACH as usize).map(|own| scope.spawn(move || file(own))).collect();
            std::thread::sleep(Duration::from_millis(100 + round * 37));
            let filler = disk.fill();
            (filers.into_iter().map(|filer| filer.join().unwrap()).collect::<Vec<_>>(), filler)
        });
        let afterwards = file(late);
        assert_eq!(afterwards.1, Some(503), "{at}: filings are taken in on a full disk");
        for (receipts, status) in filed.into_iter().chain([afterwards]) {
            assert!(matches!(status, None | Some(503)), "{at}: {status:?}");
            receipted += receipts.len();
            told.extend(receipts);
        }
        // 2. It says so, and shows what it has.
        let health = || run("curl", &["-s", "-w", " %{http_code}", &format!("http://127.0.0.1:{}/healthz", city.desk.http)], &city.desk.home).out;
        let until = Instant::now() + Duration::from_secs(60);
        while !(health().contains("\"code\":\"store\"") && health().ends_with(" 503")) {
            assert!(Instant::now() < until, "{at}: it calls itself well: {}", health());
            std::thread::sleep(Duration::from_millis(50));
        }
        for (number, answer) in told.iter().take(2) {
            let got = city.desk.curl("", &[&city.desk.url(&format!("receipts/{}-1", id(1_000 + number)))]).ok();
            assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), *answer, "{at}, {number}");
        }
        // 3. It ends, and goes on where it was.
        if round == 0 {
            city.desk.stop_hard();
            city.desk.reap();
            let started = city.desk.desk(&["serve"]);
            assert!(started.code == 6 && started.err.contains("make room"), "{started:?}");
            std::fs::remove_file(filler).unwrap();
        } else {
            std::fs::remove_file(filler).unwrap();
            let until = Instant::now() + Duration::from_secs(60);
            let status = loop {
                if let Some(status) = city.desk.ended() {
                    break status;
                }
                assert!(Instant::now() < until, "{at}: it does not end");
                std::thread::sleep(Duration::from_millis(20));
            };
            assert_eq!(status.code(), Some(6), "{at}");
        }
        city.desk.start();
        for (number, firm) in &all {
            receipted_as_told(&city, &mut told, *number, firm, &at);
        }
    }
    assert!(receipted > 0, "every disk was full before anything came in");
    all_is_there(&city, &told, &firms);
    println!("{} filings, {receipted} of them receipted before one of {FULL} full disks", told.len());
}
