//! A disk fills up while certificates are ordered, issued, replaced, revoked and lists published. What was acknowledged is there; the
//! authority says that it is not well, answers relying parties, and ends by itself once there is room.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use certs_test::disk::Disk;
use certs_test::programs::{Authority, run};

use super::left::Story;
use super::load::{self, Told};
use super::{callers, relying_parties, statuses};

const ROUNDS: u64 = 5;
/// Of the disk, in MiB.
const SIZE: u32 = 500;

/// Waits until it is so, within a minute.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn on_a_full_disk_nothing_acknowledged_is_lost_and_the_authority_ends_to_be_started_anew() {
    let disk = Disk::of(SIZE);
    if !disk.is_small() {
        return;
    }
    let mut authority = Authority::found(disk.path());
    let directory = authority.home.join("ca");
    let (mut told, mut story) = (Mutex::new(Told::default()), Story::default());
    authority.start();
    for round in 0..ROUNDS {
        let at = format!("full {round}");
        let (filler, refused) = std::thread::scope(|scope| {
            let working = scope.spawn(|| load::work(&directory, &told, round));
            std::thread::sleep(Duration::from_millis(300 + round * 37));
            let filler = disk.fill();
            // Each goes on until it is refused; who is not is ended, so that the test ends.
            let end = Instant::now() + Duration::from_secs(60);
            while !working.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
            let refused = working.is_finished();
            if !refused {
                authority.stop_hard();
            }
            (filler, refused)
        });
        assert!(refused, "{at}: certificates are issued on a full disk");
        let mut said = told.into_inner().unwrap();
        assert!(!std::mem::take(&mut said.unavailable).is_empty(), "{at}: nobody was told that the store takes nothing");
        let health = || run("curl", &["-s", "-w", " %{http_code}", &format!("{}/healthz", authority.url)], &authority.home).out;
        until(&format!("{at}: it calls itself well: {}", health()), || health().contains("\"code\":\"store\"") && health().ends_with(" 503"));
        // What is there can be asked for.
        statuses(&authority, &said, &at);
        if round == 0 {
            // Started into the full disk it says so, and takes nothing.
            authority.kill();
            let started = authority.ca(&["serve"]);
            assert!(started.code == 6 && started.err.contains("make room"), "{started:?}");
            std::fs::remove_file(filler).unwrap();
        } else {
            std::fs::remove_file(filler).unwrap();
            let mut status = None;
            until(&format!("{at}: it does not end"), || {
                status = authority.ended();
                status.is_some()
            });
            assert_eq!(status.unwrap().code(), Some(6), "{at}");
        }
        story.judge(&directory, true, &at);
        story.holds(&said, &at);
        authority.start();
        callers(&authority, &said, &at);
        relying_parties(&authority, &said, &at);
        told = Mutex::new(said);
    }
    let told = told.into_inner().unwrap();
    let exported = authority.ca(&["--json", "log", "export", "export"]).json();
    authority.ca(&["log", "verify", "export", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
    authority.kill();
    story.judge(&directory, true, "the end");
    story.holds(&told, "the end");
    assert!(!told.certificates.is_empty() && !told.orders.is_empty() && !told.listed.is_empty());
    println!("{} certificates, {} orders and list {} over {ROUNDS} full disks", told.certificates.len(), told.orders.len(), told.number);
}
