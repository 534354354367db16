//! kill −9 of the gateway and of the sealer at any moment, while mail comes in, a month is pushed and a mail client works:
//! nothing acknowledged is lost or doubled.
//!
//! The ordinary tests make a few rounds. `SUIYIN_KILLS=10000 cargo test -p certs-test --test kill_gateway` makes as many as
//! it is told; rounds walk over the delays in one order, so that a failure can be met again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod imap;
mod smtp;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use certs_test::disk::Disk;
use certs_test::office::{Office, bureau_of, of_another_account};
use certs_test::programs::run;
use imap::{Fetched, Imap, Selected, highest};
use smtp::{Sent, Smtp};

/// Rounds in the ordinary tests.
const ROUNDS: u64 = 50;
/// After so many rounds another office takes over: what is full of mail starts slowly, and rounds are what counts.
const TERM: u64 = 100;
const SENDERS: usize = 3;
/// Mailboxes that mail comes into; they get statements, too.
const RECEIVING: usize = 2;
const PEOPLE: u64 = 60;
/// Statements of one batch for each person: three blocks and a push that outlives several kills.
const COPIES: u64 = 25;
const KIND: &str = "housing-fund";

/// What is killed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Gateway,
    /// Started again at once, while the push goes on.
    Sealer,
    Both,
}

/// A folder as it was last seen by somebody.
#[derive(Default)]
struct Seen {
    selected: Selected,
    /// Message-IDs and the UIDs under which they stand.
    messages: HashMap<String, u64>,
    /// By UID the MODSEQ that was told.
    modseqs: BTreeMap<u64, u64>,
}

/// A message the mail client made, and what it was told of it.
#[derive(Default)]
struct Letter {
    id: String,
    appended: bool,
    flagging: bool,
    flagged: bool,
    /// Told with its flag.
    modseq: u64,
    moving: bool,
    moved: bool,
}

/// The month under way.
struct Month {
    number: u64,
    ready: bool,
    /// Batches that ended.
    ended: u64,
    tries: u64,
}

/// What was seen and told, and must therefore be so for ever.
struct Told {
    inboxes: [Seen; RECEIVING],
    sent: Vec<Sent>,
    letters: Vec<Letter>,
    folders: [Selected; 2],
    month: Month,
    mails: u64,
    changes: u64,
}

const FOLDERS: [&str; 2] = ["INBOX", "Archive"];

/// Sends mails over one connection until the server is gone.
fn sender(office: &Office, name: &str, begin: &Barrier, ended: &AtomicBool) -> Vec<Sent> {
    let (mut sent, connected) = (Vec::new(), Smtp::open(office.smtp));
    begin.wait();
    let Some(mut smtp) = connected else { return sent };
    for number in 0.. {
        // Every third goes to both: all have it or none.
        let all: Vec<(usize, &str)> = office.people.iter().take(RECEIVING).map(|account| account.address.as_str()).enumerate().collect();
        let to = match number % 3 {
            2 => all.as_slice(),
            one => &all[one..=one],
        };
        if ended.load(Ordering::Relaxed) || smtp.send(&format!("<{name}-{number}@kill.example.cn>"), to, &mut sent).is_none() {
            break;
        }
    }
    sent
}

/// Appends, flags and moves until the server is gone.
fn client(office: &Office, round: u64, begin: &Barrier, ended: &AtomicBool) -> Vec<Letter> {
    let (mut letters, mut imap) = (Vec::new(), Imap::open(office, &office.institutions[0]));
    let selected = imap.as_mut().and_then(|imap| imap.select("INBOX"));
    begin.wait();
    let (Some(mut imap), Some(_)) = (imap, selected) else { return letters };
    for number in 0.. {
        if ended.load(Ordering::Relaxed) || letter(&mut imap, format!("<i{round}-{number}@kill.example.cn>"), number % 2 == 0, &mut letters).is_none() {
            break;
        }
    }
    letters
}

fn letter(imap: &mut Imap, id: String, move_it: bool, letters: &mut Vec<Letter>) -> Option<()> {
    let text = format!("From: <me@example.cn>\r\nMessage-ID: {id}\r\nSubject: kept\r\n\r\nText.\r\n");
    letters.push(Letter { id, ..Letter::default() });
    let letter = letters.last_mut()?;
    let uid = imap.append("INBOX", &text)?;
    (letter.appended, letter.flagging) = (true, true);
    letter.modseq = highest(&imap.ask(&format!("UID STORE {uid} +FLAGS (\\Flagged)"))?);
    letter.flagged = true;
    if move_it {
        letter.moving = true;
        imap.ask(&format!("UID MOVE {uid} Archive"))?;
        letter.moved = true;
    }
    Some(())
}

/// Pushes months until the end is told.
fn pusher(office: &Office, month: &mut Month, ended: &AtomicBool) {
    // Without a service a command opens the store itself: the end has to be told.
    while !ended.load(Ordering::Relaxed) {
        push(office, month);
    }
}

/// Pushes the month under way once; one that has ended makes room for the next.
fn push(office: &Office, month: &mut Month) {
    let name = format!("kill-{}", month.number);
    if !month.ready {
        office.amend(KIND, &name, &name, |at, fields| of_another_account(fields, &format!("{name}-{at}")));
        office.sign_file(&bureau_of(KIND), &format!("city/{name}.manifest.json"), &format!("{name}.p7s"));
        month.ready = true;
    }
    month.tries += 1;
    let files = [format!("city/{name}.csv"), format!("city/{name}.manifest.json"), format!("{name}.p7s")];
    let said = office.mailgw(&["--json", "push", &files[0], "--manifest", &files[1], "--signature", &files[2]]);
    if said.code != 0 {
        // Gateway or sealer is away. Anything else would be a push that does not go on.
        assert_eq!(said.code, 6, "{said:?}");
        std::thread::sleep(Duration::from_millis(20));
        return;
    }
    let (report, rows) = (said.json(), serde_json::Value::from(PEOPLE * COPIES));
    assert_eq!((&report["rows"], &report["counts"]["delivered"]), (&rows, &rows), "{report:#}");
    for file in files {
        std::fs::remove_file(office.home.join(file)).unwrap();
    }
    *month = Month { number: month.number + 1, ready: false, ended: month.ended + 1, tries: month.tries };
}

/// A folder never goes back, and tells of what is new in it.
fn advanced(imap: &mut Imap, folder: &str, before: Selected, at: &str) -> Selected {
    let now = imap.select(folder).unwrap();
    assert!(before.validity == 0 || before.validity == now.validity, "{at}: UIDVALIDITY {} after {}", now.validity, before.validity);
    assert!(now.next >= before.next, "{at}: UIDNEXT {} after {}", now.next, before.next);
    assert!(now.modseq >= before.modseq, "{at}: HIGHESTMODSEQ {} after {}", now.modseq, before.modseq);
    now
}

/// Mail and statements: each that was acknowledged is there once, each other one at most once, and none under a UID that was given.
fn received(office: &Office, told: &mut Told, at: &str) {
    for (place, seen) in told.inboxes.iter_mut().enumerate() {
        let mut imap = Imap::open(office, &office.people[place]).unwrap();
        let now = advanced(&mut imap, "INBOX", seen.selected, at);
        for (uid, Fetched { id, modseq, .. }) in imap.fetch(seen.selected.next.max(1)).unwrap() {
            assert!(uid < now.next, "{at}: UID {uid} is not below {}", now.next);
            // Who asks for what changed since the last time is told of it.
            assert!(modseq > seen.selected.modseq, "{at}: UID {uid} is new with MODSEQ {modseq}, {} was told before", seen.selected.modseq);
            assert_eq!(seen.messages.insert(id.clone(), uid), None, "{at}: {id} twice");
        }
        let modseqs = imap.modseqs().unwrap();
        for (uid, before) in &seen.modseqs {
            assert!(modseqs.get(uid).is_some_and(|now| now >= before), "{at}: MODSEQ {:?} of UID {uid} after {before}", modseqs.get(uid));
        }
        (seen.selected, seen.modseqs) = (now, modseqs);
        assert_eq!(now.exists, seen.messages.len() as u64, "{at}: a message that was seen is gone");
    }
    for Sent { id, recipients, taken, later } in told.sent.drain(..) {
        let have = recipients.iter().filter(|place| told.inboxes[**place].messages.contains_key(&id)).count();
        assert!((have == recipients.len() && !later) || (!taken && have == 0), "{at}: {id} is with {have} of {}, acknowledged: {taken}", recipients.len());
        told.mails += u64::from(taken);
    }
}

/// The mail client's own folders; they are emptied for the next round.
fn kept(office: &Office, told: &mut Told, at: &str) {
    let mut imap = Imap::open(office, &office.institutions[0]).unwrap();
    let mut found: BTreeMap<String, Vec<(usize, bool, u64)>> = BTreeMap::new();
    for (place, folder) in FOLDERS.into_iter().enumerate() {
        let before = told.folders[place];
        let mut now = advanced(&mut imap, folder, before, at);
        if now.exists > 0 {
            for (uid, Fetched { id, flagged, modseq }) in imap.fetch(1).unwrap() {
                assert!((before.next..now.next).contains(&uid), "{at}: UID {uid} was given before");
                assert!(modseq > before.modseq, "{at}: UID {uid} is new with MODSEQ {modseq}, {} was told before", before.modseq);
                found.entry(id).or_default().push((place, flagged, modseq));
            }
            let told = imap.ask("STORE 1:* +FLAGS.SILENT (\\Deleted)").unwrap();
            now.modseq = now.modseq.max(highest(&told)).max(highest(&imap.ask("EXPUNGE").unwrap()));
        }
        told.folders[place] = now;
    }
    for letter in told.letters.drain(..) {
        let places = found.remove(&letter.id).unwrap_or_default();
        let Some((place, flagged, modseq)) = places.first().filter(|_| places.len() == 1) else {
            assert!(places.is_empty() && !letter.appended, "{at}: {} stands {} times", letter.id, places.len());
            continue;
        };
        assert!(*flagged || !letter.flagged, "{at}: a flag of {} is lost", letter.id);
        assert!(!*flagged || letter.flagging, "{at}: {} has a flag that nobody set", letter.id);
        assert!(*place == 1 || *modseq >= letter.modseq, "{at}: MODSEQ {modseq} of {} after {}", letter.id, letter.modseq);
        assert!((*place == 1 && letter.moving) || (*place == 0 && !letter.moved), "{at}: {} stands in {}", letter.id, FOLDERS[*place]);
        told.changes += u64::from(letter.appended) + u64::from(letter.flagged) + u64::from(letter.moved);
    }
    assert!(found.is_empty(), "{at}: messages that nobody made: {found:?}");
}

/// The log of statements from its exported tiles: each item once.
fn statements_in_log(office: &Office) -> u64 {
    let exported = office.mailgw(&["--json", "log", "export", "export"]).json();
    office.mailgw(&["log", "verify", "export", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
    let mut items = HashSet::new();
    let mut places = vec![office.home.join("export/tile/entries")];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bundle = std::fs::read(place).unwrap();
        let mut rest = bundle.as_slice();
        while let [high, low, more @ ..] = rest {
            let (leaf, after) = more.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            rest = after;
            if leaf[1] == 5 {
                let statement: serde_json::Value = serde_json::from_slice(&leaf[10..]).unwrap();
                assert!(items.insert(statement["item"].as_str().unwrap().to_owned()), "a statement twice in the log: {statement}");
            }
        }
    }
    items.len() as u64
}

fn round(office: &mut Office, round: u64, told: &mut Told) {
    let victim = [Victim::Gateway, Victim::Gateway, Victim::Sealer, Victim::Gateway, Victim::Both][(round % 5) as usize];
    // A delay that walks over all phases of the work.
    let delay = Duration::from_millis((round * 37) % 500);
    let (begin, ended, letters) = (Barrier::new(SENDERS + 2), AtomicBool::new(false), Mutex::default());
    std::thread::scope(|scope| {
        let (working, begin, ended, month) = (&*office, &begin, &ended, &mut told.month);
        let senders: Vec<_> = (0..SENDERS).map(|number| scope.spawn(move || sender(working, &format!("m{round}-{number}"), begin, ended))).collect();
        scope.spawn(|| *letters.lock().unwrap() = client(working, round, begin, ended));
        scope.spawn(move || pusher(working, month, ended));
        begin.wait();
        std::thread::sleep(delay);
        if victim != Victim::Gateway {
            working.kill_sealer();
        }
        if victim == Victim::Sealer {
            working.start_sealer();
            std::thread::sleep(delay);
        } else {
            working.stop_gateway_hard();
        }
        ended.store(true, Ordering::Relaxed);
        for sender in senders {
            told.sent.extend(sender.join().unwrap());
        }
    });
    told.letters = letters.into_inner().unwrap();
    if victim != Victim::Sealer {
        office.reap_gateway();
    }
    if victim == Victim::Both {
        office.start_sealer();
    }
    if victim != Victim::Sealer {
        office.start_gateway();
    }
}

fn several(office: &Office) {
    let path = office.home.join(format!("city/{KIND}.csv"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    std::fs::write(&path, format!("{header}\n{}", rows.repeat(COPIES.try_into().unwrap()))).unwrap();
}

/// These rounds, in an office of their own.
fn term(rounds: std::ops::Range<u64>) {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), PEOPLE);
    several(&office);
    let month = Month { number: 0, ready: false, ended: 0, tries: 0 };
    let mut told = Told { inboxes: Default::default(), sent: Vec::new(), letters: Vec::new(), folders: Default::default(), month, mails: 0, changes: 0 };
    let begun = Instant::now();
    for number in rounds.clone() {
        let at = format!("round {number}");
        round(&mut office, number, &mut told);
        received(&office, &mut told, &at);
        kept(&office, &mut told, &at);
    }
    // What is under way is ended in peace.
    let batches = told.month.ended;
    while told.month.ended == batches {
        push(&office, &mut told.month);
    }
    received(&office, &mut told, "the end");
    assert_eq!(statements_in_log(&office), told.month.ended * PEOPLE * COPIES);
    println!(
        "rounds {rounds:?} in {:.0?}: {} mails, {} changes by IMAP, {} batches of {} statements in {} pushes",
        begun.elapsed(), told.mails, told.changes, told.month.ended, PEOPLE * COPIES, told.month.tries
    );
}

/// SIGTERM while many send: whoever waits for a commit hears what became of it, and the gateway ends by itself.
#[test]
fn an_end_in_order_loses_nothing_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 3);
    let month = Month { number: 0, ready: false, ended: 0, tries: 0 };
    let mut told = Told { inboxes: Default::default(), sent: Vec::new(), letters: Vec::new(), folders: Default::default(), month, mails: 0, changes: 0 };
    let mut unanswered = 0;
    for round in 0..6 {
        let (begin, ended) = (Barrier::new(2 * SENDERS + 1), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (working, begin, ended) = (&office, &begin, &ended);
            let senders: Vec<_> = (0..2 * SENDERS).map(|number| scope.spawn(move || sender(working, &format!("t{round}-{number}"), begin, ended))).collect();
            begin.wait();
            std::thread::sleep(Duration::from_millis(200 + round * 37));
            working.ask_gateway_to_end();
            for sender in senders {
                told.sent.extend(sender.join().unwrap());
            }
        });
        let until = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = office.gateway_ended() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
        unanswered += told.sent.iter().filter(|sent| !sent.taken && !sent.later).count();
        office.start_gateway();
        received(&office, &mut told, &format!("end {round}"));
    }
    // A message whose end was sent is answered for what it became.
    assert_eq!(unanswered, 0, "messages that nobody answered for");
    assert!(told.mails > 0);
    println!("{} mails taken over six ends", told.mails);
}

/// A disk fills up while mail comes in by SMTP and IMAP. What was acknowledged is there once; the gateway says that it is not well, lets
/// everybody read, and ends by itself once there is room.
#[test]
fn on_a_full_disk_nothing_acknowledged_is_lost_and_the_gateway_ends_to_be_started_anew() {
    let disk = Disk::of(700);
    if !disk.is_small() {
        return;
    }
    let mut office = Office::open(disk.path(), 3);
    let month = Month { number: 0, ready: false, ended: 0, tries: 0 };
    let mut told = Told { inboxes: Default::default(), sent: Vec::new(), letters: Vec::new(), folders: Default::default(), month, mails: 0, changes: 0 };
    for round in 0..5 {
        let at = format!("full {round}");
        let (begin, ended, letters) = (Barrier::new(SENDERS + 2), AtomicBool::new(false), Mutex::default());
        let filler = std::thread::scope(|scope| {
            let (working, begin, ended) = (&office, &begin, &ended);
            let senders: Vec<_> = (0..SENDERS).map(|number| scope.spawn(move || sender(working, &format!("f{round}-{number}"), begin, ended))).collect();
            let client = scope.spawn(|| *letters.lock().unwrap() = client(working, round, begin, ended));
            begin.wait();
            std::thread::sleep(Duration::from_millis(300 + round * 37));
            let filler = disk.fill();
            // Each goes on until it is refused; who is in the way of nobody's refusal is ended.
            let until = Instant::now() + Duration::from_secs(60);
            while Instant::now() < until && !(client.is_finished() && senders.iter().all(|sender| sender.is_finished())) {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(!ended.swap(true, Ordering::Relaxed) && Instant::now() < until, "{at}: mail is taken in on a full disk");
            for sender in senders {
                // A refusal says that nobody knows: it is with all or with none.
                told.sent.extend(sender.join().unwrap().into_iter().map(|sent| Sent { later: false, ..sent }));
            }
            filler
        });
        told.letters = letters.into_inner().unwrap();
        let health = || run("curl", &["-s", &format!("http://127.0.0.1:{}/healthz", office.http)], &office.home).out;
        let until = Instant::now() + Duration::from_secs(10);
        while !health().contains("\"code\":\"store\"") {
            assert!(Instant::now() < until, "{at}: it calls itself well: {}", health());
            std::thread::sleep(Duration::from_millis(50));
        }
        // What is there can be read.
        let mut imap = Imap::open(&office, &office.people[0]).unwrap();
        imap.select("INBOX").unwrap();
        imap.fetch(1).unwrap();
        drop(imap);
        if round == 0 {
            // Started into the full disk it says so, and takes nothing.
            office.kill_gateway();
            let said = office.mailgw(&["serve"]);
            assert!(said.code == 6 && said.err.contains("make room"), "{said:?}");
            std::fs::remove_file(filler).unwrap();
        } else {
            std::fs::remove_file(filler).unwrap();
            let until = Instant::now() + Duration::from_secs(60);
            let status = loop {
                if let Some(status) = office.gateway_ended() {
                    break status;
                }
                assert!(Instant::now() < until, "{at}: it does not end");
                std::thread::sleep(Duration::from_millis(20));
            };
            assert_eq!(status.code(), Some(6), "{at}");
        }
        office.start_gateway();
        received(&office, &mut told, &at);
        kept(&office, &mut told, &at);
    }
    assert!(told.mails > 0 && told.changes > 0);
    println!("{} mails and {} changes by IMAP over five full disks", told.mails, told.changes);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let rounds = std::env::var("SUIYIN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let mut done = 0;
    while done < rounds {
        let next = rounds.min(done + TERM);
        term(done..next);
        done = next;
    }
}
