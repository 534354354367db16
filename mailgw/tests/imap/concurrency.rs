//! Many sessions in one folder see one state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harness::*;
use super::history::{Asked, Deed, History, Ledger, Model, Origin};
use super::letters::Dice;

/// How a session is told of what others do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// With the answers to its commands.
    OfOld,
    /// It asked for it (NOTIFY), and not before a command that lets numbers change.
    Delayed,
    /// It asked for it, and at once: it calls messages by their UIDs. spec: rfc5465#6.2
    AtOnce,
}

impl Told {
    fn asked(self) -> Option<&'static str> {
        match self {
            Self::OfOld => None,
            Self::Delayed => Some("NOTIFY SET (selected-delayed (MessageNew (UID FLAGS) MessageExpunge FlagChange))"),
            Self::AtOnce => Some("NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))"),
        }
    }
}

/// `session`: counted from 1; with `chance` 0 it does the same in every run.
async fn act(server: &Server, ledger: &Ledger, session: u64, chance: u64, told: Told) -> (Client, Model, Vec<Deed>) {
    let (mut client, mut model, mut dice) = (server.client(ONE).await, Model::default(), Dice(session ^ chance));
    let (mut deeds, modseq) = (Vec::new(), || server.messages.view(ONE, "INBOX").unwrap().highest_modseq);
    let mut seen = modseq();
    // Every manner of being told is there with MODSEQ and without.
    let (select, all) = if session <= 4 { ("SELECT INBOX (CONDSTORE)", "FETCH 1:* (UID FLAGS MODSEQ)") } else { ("SELECT INBOX", "FETCH 1:* (UID FLAGS)") };
    let mut last = BTreeMap::new();
    model.hear(&client.ok(select).await);
    if let Some(asked) = told.asked() {
        model.hear(&client.ok(asked).await);
    }
    model.hear(&client.ok(all).await);
    for step in 0..60 {
        // One of them changes its mind again and again.
        if let Some(asked) = told.asked().filter(|_| session % 2 == 0 && step % 20 == 19) {
            model.hear(&client.ok("NOTIFY NONE").await);
            model.hear(&client.ok(asked).await);
            model.hear(&client.ok(all).await);
        }
        let at = if model.messages.is_empty() { 0 } else { dice.roll(model.messages.len() as u64) };
        let text = format!("{:04}", session * 100 + step);
        // Whose UID it does not know it asks for, so that it can be told what became of its wish.
        if told != Told::AtOnce && model.messages.get(usize::try_from(at).unwrap()).is_some_and(Option::is_none) {
            model.hear(&client.ok(all).await);
        }
        let uid = model.messages.get(usize::try_from(at).unwrap()).and_then(Option::as_ref).map(|(uid, _)| *uid);
        let (by, number) = match told {
            Told::AtOnce => ("UID ", uid.map_or(0, u64::from)),
            _ => ("", if model.messages.is_empty() { 0 } else { at + 1 }),
        };
        let flag = ["\\Seen", "\\Flagged", "$Paid", "\\Deleted"][usize::try_from(dice.roll(4)).unwrap()];
        let sign = ["+", "-"][usize::try_from(dice.roll(2)).unwrap()];
        let (unseen, flagged) = (dice.roll(2) == 0, dice.roll(2) == 0);
        let range = uid.map(|uid| (uid, uid + u32::try_from(dice.roll(40)).unwrap())).filter(|_| dice.roll(2) == 0);
        let known = model.known();
        let command = match dice.roll(12) {
            0 | 1 => format!("APPEND INBOX (\\Draft) {{4+}}\r\n{text}"),
            2 => "EXPUNGE".to_owned(),
            3 if number > 0 => format!("{by}MOVE {number} Archive"),
            4 if number > 0 => format!("{by}COPY {number} INBOX"),
            5 if number > 0 => format!("{by}STORE {number} {sign}FLAGS.SILENT {flag}"),
            6 | 7 if number > 0 => format!("{by}STORE {number} {sign}FLAGS {flag}"),
            8 if number > 0 => format!("{by}REPLACE {number} INBOX (\\Draft) {{4+}}\r\n{text}"),
            9 | 10 => {
                let range = range.map_or_else(String::new, |(from, to)| format!(" UID {from}:{to}"));
                format!("{by}SEARCH{}{}{range} ALL", if unseen { " UNSEEN" } else { "" }, if flagged { " FLAGGED" } else { "" })
            }
            11 if dice.roll(3) == 0 => "CLOSE".to_owned(),
            _ => "NOOP".to_owned(),
        };
        let before = modseq();
        let (lines, answer) = client.command(&command).await;
        let after = modseq();
        // What another session removed is not replaced.
        let lost = command.contains("REPLACE") && answer.starts_with("NO [NONEXISTENT]");
        assert!(answer.starts_with("OK") || lost, "{command}: {answer}");
        ledger.hear(&command, &text, &lines, &answer, &mut last);
        // Numbers are those it knew when it asked; none is given up by the answer to a search by numbers.
        let found = lines.iter().find_map(|line| line.strip_prefix("* SEARCH")).map(|found| {
            let found = found.split(' ').filter(|number| !number.is_empty()).map(|number| number.parse::<u32>().unwrap());
            found.filter_map(|number| if by.is_empty() { model.messages.get(number as usize - 1)?.as_ref().map(|(uid, _)| *uid) } else { Some(number) }).collect::<Vec<_>>()
        });
        let heard = model.heard.len();
        model.hear(&lines);
        let taken = (command.contains("MOVE") && lines.iter().chain([&answer]).any(|line| line.contains("[COPYUID "))) || (command.contains("REPLACE") && !lost);
        let asked = match uid {
            _ if command.contains("SEARCH") => Some(Asked::Search { unseen, flagged, range, known, found: found.expect("a search is answered") }),
            _ if command == "EXPUNGE" || command == "CLOSE" => Some(Asked::Expunge { known }),
            Some(uid) if command.contains("STORE") => {
                let shown = model.heard[heard..].iter().rev().find(|(of, ..)| *of == uid).map(|(_, flags, _)| flags.clone());
                Some(Asked::Store { uid, add: sign == "+", flag, silent: command.contains("SILENT"), shown })
            }
            Some(uid) if taken => Some(Asked::Taken { uid }),
            _ => None,
        };
        deeds.extend(asked.map(|asked| Deed { seen, before, after, asked }));
        seen = before;
        if command == "CLOSE" {
            model.messages.clear();
            model.hear(&client.ok(select).await);
            model.hear(&client.ok(all).await);
        }
        // A silent change is known to whoever made it; asking settles what it became.
        if command.contains("SILENT") {
            model.hear(&client.ok(all).await);
        }
    }
    (client, model, deeds)
}

/// Does nothing, and is told of everything: what it hears alone has to be what is there, in the folder that is open and how many there are
/// in the other.
struct Watcher {
    client: Client,
    model: Model,
    archived: u64,
}

impl Watcher {
    async fn begin(server: &Server) -> Self {
        let mut watcher = Self { client: server.client(ONE).await, model: Model::default(), archived: 0 };
        for command in ["SELECT INBOX", Told::AtOnce.asked().unwrap(), "FETCH 1:* (UID FLAGS)"] {
            watcher.model.hear(&watcher.client.ok(command).await);
        }
        watcher
    }

    async fn hear(&mut self) {
        let lines = self.client.ok("NOOP").await;
        let told = lines.iter().filter_map(|line| line.strip_prefix("* STATUS \"Archive\" (MESSAGES "));
        for told in told {
            self.archived = told.split(' ').next().unwrap().parse().unwrap();
        }
        self.model.hear(&lines);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_change_one_folder_come_to_see_the_same() {
    together(0).await;
}

/// What nobody thought of: other wishes in every run. What failed is seen again by `together` with the number that is printed, as far as
/// the order of the sessions is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_chance_come_to_see_the_same() {
    for _ in 0..3 {
        let mut chance = [0; 8];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut chance).unwrap();
        let chance = u64::from_ne_bytes(chance);
        println!("together({chance})");
        together(chance).await;
    }
}

async fn together(chance: u64) {
    let server = Arc::new(start(quick()).await);
    let ledger = Arc::new(Ledger::default());
    for text in 0..20 {
        let uid = server.deliver(ONE, "INBOX", format!("{text}").as_bytes());
        ledger.note("INBOX", uid, Origin::Text(text.to_string()));
    }
    let (mut inbox, mut archive) = (History::begin(&server, "INBOX"), History::begin(&server, "Archive"));
    let mut watcher = Watcher::begin(&server).await;
    let manners = [Told::OfOld, Told::AtOnce, Told::OfOld, Told::Delayed, Told::AtOnce, Told::Delayed, Told::OfOld];
    let sessions: Vec<_> = (1..).zip(manners).map(|(session, told)| tokio::spawn({
        let (server, ledger) = (Arc::clone(&server), Arc::clone(&ledger));
        async move { act(&server, &ledger, session, chance, told).await }
    })).collect();
    let mut highest = 0;
    while !sessions.iter().all(tokio::task::JoinHandle::is_finished) {
        watcher.hear().await;
        inbox.hear();
        archive.hear();
        let modseq = server.messages.view(ONE, "INBOX").unwrap().highest_modseq;
        assert!(modseq >= highest, "{highest} fell to {modseq}");
        highest = modseq;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut done, mut deeds) = (Vec::new(), Vec::new());
    for session in sessions {
        let (client, model, own) = session.await.unwrap();
        inbox.hear();
        inbox.holds(&model.heard);
        own.iter().for_each(|deed| inbox.answers(deed));
        done.push((client, model));
        deeds.extend(own);
    }
    archive.hear();
    inbox.holds(&watcher.model.heard);
    inbox.explained(&deeds, &ledger);
    // What was moved bears what it bore there last.
    for (uid, flags) in archive.end() {
        let of = ledger.copied("Archive", uid).unwrap();
        assert_eq!(flags, inbox.flags_before(of, *inbox.states[&of].keys().next_back().unwrap()), "UID {uid} of Archive");
    }
    let mut fresh = server.client(ONE).await;
    let mut truth = Model::default();
    truth.hear(&fresh.ok("SELECT INBOX").await);
    truth.hear(&fresh.ok("FETCH 1:* (UID FLAGS)").await);
    assert!(!truth.messages.is_empty());
    assert_eq!(truth.messages.iter().flatten().cloned().collect::<BTreeMap<_, _>>(), inbox.end());
    ["INBOX", "Archive"].iter().for_each(|folder| ledger.holds(&server, folder));
    let archived = server.messages.view(ONE, "Archive").unwrap().messages.len() as u64;
    let end = Instant::now() + Duration::from_secs(10);
    while watcher.archived != archived && Instant::now() < end {
        watcher.hear().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watcher.hear().await;
    assert!(archived > 0 && watcher.archived == archived, "{} of {archived}", watcher.archived);
    assert_eq!(watcher.model.messages, truth.messages);
    for (client, model) in &mut done {
        model.hear(&client.ok("NOOP").await);
        assert_eq!(model.messages.len(), truth.messages.len());
        for (told, true_one) in model.messages.iter().zip(&truth.messages) {
            assert!(told.is_none() || told == true_one, "{told:?} is {true_one:?}");
        }
        model.hear(&client.ok("FETCH 1:* (UID FLAGS)").await);
        assert_eq!(model.messages, truth.messages);
    }
}

/// spec: rfc7162#3.1
#[tokio::test]
async fn each_change_raises_what_a_folder_counts_by() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX (CONDSTORE)").await;
    let mut before = 0;
    for command in [
        "APPEND INBOX {1+}\r\na", "APPEND INBOX {1+}\r\nb", "STORE 1 +FLAGS.SILENT (\\Seen)", "STORE 1 -FLAGS (\\Seen)", "COPY 1 INBOX", "REPLACE 1 INBOX {1+}\r\nc", "UID MOVE 2 Archive",
        "UID STORE 3 FLAGS (\\Deleted)", "EXPUNGE",
    ] {
        client.ok(command).await;
        let told = client.ok("STATUS INBOX (HIGHESTMODSEQ)").await;
        let after: u64 = told.last().unwrap().split_once("HIGHESTMODSEQ ").unwrap().1.trim_end_matches(')').parse().unwrap();
        assert!(after > before, "{command}: {before}, then {after}");
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_of_many_sessions_are_all_kept() {
    let server = Arc::new(start(quick()).await);
    server.deliver(ONE, "INBOX", b"one");
    let adders: Vec<_> = (0..8).map(|session| tokio::spawn({
        let server = Arc::clone(&server);
        async move {
            let mut client = server.client(ONE).await;
            client.ok("SELECT INBOX").await;
            for flag in 0..8 {
                client.ok(&format!("STORE 1 +FLAGS.SILENT k{session}x{flag}")).await;
            }
        }
    })).collect();
    for adder in adders {
        adder.await.unwrap();
    }
    let view = server.messages.view(ONE, "INBOX").unwrap();
    assert_eq!(view.messages[0].flags.keywords().count(), 64);
    assert_eq!(view.highest_modseq, 66);
}

#[tokio::test]
async fn who_waits_is_told_at_once() {
    let server = start(quick()).await;
    let (mut waiting, mut acting) = (server.client(ONE).await, server.client(ONE).await);
    waiting.ok("SELECT INBOX").await;
    acting.ok("SELECT INBOX").await;
    waiting.send(b"i IDLE\r\n").await;
    assert_eq!(waiting.line().await, "+ idling");
    let started = Instant::now();
    server.deliver(ONE, "INBOX", b"delivered");
    assert_eq!(waiting.line().await, "* 1 EXISTS");
    assert!(acting.append("INBOX", b"appended").await.starts_with("OK"));
    assert_eq!(waiting.line().await, "* 2 EXISTS");
    acting.ok("STORE 1 FLAGS (\\Seen \\Deleted)").await;
    assert_eq!(waiting.line().await, "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen))");
    acting.ok("EXPUNGE").await;
    assert_eq!(waiting.line().await, "* 1 EXPUNGE");
    acting.ok("MOVE 1 Trash").await;
    assert_eq!(waiting.line().await, "* 1 EXPUNGE");
    assert!(started.elapsed() < Duration::from_secs(5));
    waiting.send(b"DONE\r\n").await;
    assert_eq!(waiting.answer("i").await.1, "OK Done");
}

#[tokio::test]
async fn numbers_hold_while_a_client_counts_on_them() {
    let server = start(quick()).await;
    for text in ["one", "two", "three"] {
        server.deliver(ONE, "INBOX", text.as_bytes());
    }
    let (mut reading, mut acting) = (server.client(ONE).await, server.client(ONE).await);
    reading.ok("SELECT INBOX").await;
    acting.ok("SELECT INBOX").await;
    acting.ok("STORE 1 +FLAGS.SILENT \\Deleted").await;
    acting.ok("EXPUNGE").await;
    let (lines, answer) = reading.command("FETCH 1:3 RFC822.TEXT").await;
    assert!(answer.starts_with("OK [EXPUNGEISSUED]"), "{answer}");
    assert!(!lines.iter().any(|line| line.ends_with("EXPUNGE")));
    assert_eq!(reading.ok("SEARCH UID 3").await, ["* SEARCH 3"]);
    assert_eq!(reading.ok("NOOP").await, ["* 1 EXPUNGE"]);
    assert_eq!(reading.ok("SEARCH UID 3").await, ["* SEARCH 2"]);
}
