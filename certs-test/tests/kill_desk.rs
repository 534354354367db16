//! kill −9 in the middle of a burst: what was receipted stays so, what comes again gets the receipt that it got or would have got,
//! and nothing is there twice. `scripts/test --long` does it hundreds of times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use certs_test::desk::{City, NAME, alone, credit_code, id};
use serde_json::Value;

/// Rounds in the ordinary tests; `SUIYIN_KILLS`, which kills a lone service many thousand times, asks for a twentieth of it.
const ROUNDS: u64 = 24;
/// Filings that are on their way when the desk is killed.
const BURST: u64 = 6;
/// Months of one firm's: four years of them.
const MONTHS: u64 = 40;

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
        let burst: Vec<(u64, String)> = (round * BURST..(round + 1) * BURST)
            .map(|number| {
                let firm = format!("firm-{}", number / MONTHS);
                if !firms.contains(&firm) {
                    city.office.authority.request(&firm, "/C=CN");
                    city.office.authority.issue(&firm, "enterprise-signing", &["--name", NAME, "--code", &credit_code(number / MONTHS)]);
                    firms.push(firm.clone());
                }
                let (year, month) = (2023 + (number % MONTHS) / 10, 1 + number % 10);
                let file = format!("kill-{number}.json");
                let document = alone(&credit_code(number / MONTHS), 1_000 + number, &format!("{year}{month:02}"));
                city.desk.sign(&firm, &file, document.to_string().as_bytes());
                (number, firm)
            })
            .collect();
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
        // 3. Sent again each is receipted, whatever the kill met; what was told before is told again, to the octet.
        for (number, firm) in &burst {
            let until = Instant::now() + Duration::from_secs(60);
            let answer = loop {
                let (status, answer) = city.desk.send(firm, "filings", &format!("kill-{number}.json"));
                if status == 200 {
                    break answer;
                }
                assert!(status == 503 && Instant::now() < until, "round {round}, {number}: {status} {answer}");
                std::thread::sleep(Duration::from_millis(200));
            };
            let before = told.entry(*number).or_insert_with(|| answer.clone());
            assert_eq!(answer, *before, "round {round}, {number}");
        }
    }
    // 4. At the end all of it is there, once, and the log proves itself.
    for (number, answer) in &told {
        let got = city.desk.curl("", &[&city.desk.url(&format!("receipts/{}-1", id(1_000 + number)))]).ok();
        assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), *answer, "{number}");
    }
    let mut listed = 0;
    for firm in 0..firms.len() as u64 {
        let all = city.desk.desk(&["--json", "list", &credit_code(firm), "--limit", "1000"]).json();
        listed += all.as_array().map_or(0, Vec::len);
        assert!(all.as_array().unwrap().iter().all(|filing| filing["issued"].as_array().is_some_and(|receipts| receipts.len() == 1 && receipts[0]["sealed"] == true)), "{all}");
    }
    assert_eq!(listed as u64, rounds * BURST);
    // Kills that met nothing, or nothing but answered filings, would prove little.
    assert!(receipted_in_burst < rounds * BURST, "no kill came in time");
    let exported = city.desk.desk(&["--json", "log", "export", "exported"]).json();
    city.desk.desk(&["log", "verify", "exported", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
}
