//! Many sessions in one folder see one state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::harness::*;
use super::letters::Dice;

/// What a client has been told.
#[derive(Default)]
struct Model {
    /// For each sequence number the UID and the flags, once it knows them.
    messages: Vec<Option<(u32, BTreeSet<String>)>>,
    /// For each UID the last MODSEQ and the flags it had with it.
    changes: BTreeMap<u32, (u64, BTreeSet<String>)>,
}

impl Model {
    fn hear(&mut self, lines: &[String]) {
        for line in lines {
            let Some((number, what)) = line.strip_prefix("* ").and_then(|rest| rest.split_once(' ')) else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if what == "EXISTS" {
                assert!(number >= self.messages.len(), "EXISTS never falls");
                self.messages.resize(number, None);
            } else if what == "EXPUNGE" {
                self.messages.remove(number - 1);
            } else if let Some(told) = what.strip_prefix("FETCH (UID ") {
                let (uid, flags) = told.split_once(" FLAGS (").unwrap();
                let (flags, rest) = flags.split_once(')').unwrap();
                let flags: BTreeSet<String> = flags.split(' ').filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
                if let Some((_, modseq)) = rest.split_once("MODSEQ (") {
                    self.changed(uid.parse().unwrap(), modseq.split(')').next().unwrap().parse().unwrap(), &flags);
                }
                let known = self.messages.get_mut(number - 1).expect("FETCH of a number that does not exist");
                assert!(known.as_ref().is_none_or(|(known, _)| known.to_string() == uid), "a number names another message");
                *known = Some((uid.parse().unwrap(), flags));
            }
        }
    }

    /// A message's MODSEQ never falls, and one that is other than it was has a higher one. spec: rfc7162#3.1
    fn changed(&mut self, uid: u32, modseq: u64, flags: &BTreeSet<String>) {
        if let Some((before, known)) = self.changes.insert(uid, (modseq, flags.clone())) {
            assert!(modseq > before || modseq == before && known == *flags, "{known:?} at {before} became {flags:?} at {modseq}");
        }
    }
}

/// What a message was made of.
enum Origin {
    Text(String),
    /// The message of INBOX with this UID.
    Copy(u32),
}

/// What all sessions together were told of where their messages went, as it comes: a UID is given once, whatever becomes of it.
#[derive(Default)]
struct Ledger(Mutex<BTreeMap<(&'static str, u32), Origin>>);

impl Ledger {
    fn note(&self, folder: &'static str, uid: u32, origin: Origin) {
        assert!(self.0.lock().unwrap().insert((folder, uid), origin).is_none(), "UID {uid} of {folder} was given twice");
    }

    /// Takes down what APPENDUID or COPYUID says; the numbers of one session rise.
    fn hear(&self, command: &str, text: &str, lines: &[String], answer: &str, last: &mut BTreeMap<&'static str, u32>) {
        let code = |name: &str| lines.iter().map(String::as_str).chain([answer]).find_map(|line| Some(line.split_once(name)?.1.split_once(']')?.0.split(' ').collect::<Vec<_>>()));
        let (folder, validity, uid, origin) = match (code("OK [APPENDUID "), code("OK [COPYUID ")) {
            (Some(told), None) => ("INBOX", told[0], told[1], Origin::Text(text.to_owned())),
            (None, Some(told)) => (if command.contains("MOVE") { "Archive" } else { "INBOX" }, told[0], told[2], Origin::Copy(told[1].parse().unwrap())),
            (None, None) => {
                // What another session removed is neither copied nor replaced.
                let lost = answer.starts_with("NO [NONEXISTENT]");
                return assert!(!command.starts_with("APPEND") && (!command.contains("REPLACE") || lost), "{command} was answered without a UID: {answer}");
            }
            both => panic!("{command}: {both:?}"),
        };
        assert_eq!(validity, if folder == "INBOX" { "1" } else { "2" }, "{command}");
        let uid: u32 = uid.parse().unwrap();
        assert!(last.insert(folder, uid).is_none_or(|before| before < uid), "{command}: {uid} of {folder} came after a higher one");
        self.note(folder, uid, origin);
    }

    fn text(&self, folder: &'static str, uid: u32) -> String {
        let all = self.0.lock().unwrap();
        let (mut folder, mut uid) = (folder, uid);
        loop {
            match all.get(&(folder, uid)).unwrap_or_else(|| panic!("nobody was told of UID {uid} of {folder}")) {
                Origin::Text(text) => return text.clone(),
                Origin::Copy(of) => (folder, uid) = ("INBOX", *of),
            }
        }
    }

    /// What is there is what somebody was told to have put there.
    fn holds(&self, server: &Server, folder: &'static str) {
        let view = server.messages.view(ONE, folder).unwrap();
        for message in view.messages.iter() {
            let found = server.messages.load(&view.folder, message.uid).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), self.text(folder, message.uid), "UID {} of {folder}", message.uid);
        }
        let given = self.0.lock().unwrap().keys().filter(|(of, _)| *of == folder).map(|(_, uid)| *uid).max().unwrap();
        assert_eq!(view.uid_next, given + 1);
    }
}

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

async fn act(server: &Server, ledger: &Ledger, seed: u64, told: Told) -> (Client, Model) {
    let (mut client, mut model, mut dice) = (server.client(ONE).await, Model::default(), Dice(seed));
    // Every manner of being told is there with MODSEQ and without.
    let (select, all) = if seed <= 4 { ("SELECT INBOX (CONDSTORE)", "FETCH 1:* (UID FLAGS MODSEQ)") } else { ("SELECT INBOX", "FETCH 1:* (UID FLAGS)") };
    let mut last = BTreeMap::new();
    model.hear(&client.ok(select).await);
    if let Some(asked) = told.asked() {
        model.hear(&client.ok(asked).await);
    }
    model.hear(&client.ok(all).await);
    for step in 0..60 {
        let at = if model.messages.is_empty() { 0 } else { dice.roll(model.messages.len() as u64) };
        let text = format!("{:04}", seed * 100 + step);
        let (by, number) = match told {
            Told::AtOnce => ("UID ", model.messages.get(usize::try_from(at).unwrap()).and_then(Option::as_ref).map_or(0, |(uid, _)| u64::from(*uid))),
            _ => ("", if model.messages.is_empty() { 0 } else { at + 1 }),
        };
        // One of them changes its mind again and again.
        if let Some(asked) = told.asked().filter(|_| seed % 2 == 0 && step % 20 == 19) {
            model.hear(&client.ok("NOTIFY NONE").await);
            model.hear(&client.ok(asked).await);
            model.hear(&client.ok(all).await);
        }
        let flag = ["\\Seen", "\\Flagged", "$Paid", "\\Deleted"][usize::try_from(dice.roll(4)).unwrap()];
        let sign = ["+", "-"][usize::try_from(dice.roll(2)).unwrap()];
        let command = match dice.roll(9) {
            0 | 1 => format!("APPEND INBOX (\\Draft) {{4+}}\r\n{text}"),
            2 => "EXPUNGE".to_owned(),
            3 if number > 0 => format!("{by}MOVE {number} Archive"),
            4 if number > 0 => format!("{by}COPY {number} INBOX"),
            5 if number > 0 => format!("{by}STORE {number} {sign}FLAGS.SILENT {flag}"),
            6 | 7 if number > 0 => format!("{by}STORE {number} {sign}FLAGS {flag}"),
            8 if number > 0 => format!("{by}REPLACE {number} INBOX (\\Draft) {{4+}}\r\n{text}"),
            _ => "NOOP".to_owned(),
        };
        let (lines, answer) = client.command(&command).await;
        // What another session removed is not replaced.
        let lost = command.contains("REPLACE") && answer.starts_with("NO [NONEXISTENT]");
        assert!(answer.starts_with("OK") || lost, "{command}: {answer}");
        ledger.hear(&command, &text, &lines, &answer, &mut last);
        model.hear(&lines);
        // A silent change is known to whoever made it; asking settles what it became.
        if command.contains("SILENT") {
            model.hear(&client.ok(all).await);
        }
    }
    (client, model)
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
    let server = Arc::new(start(quick()).await);
    let ledger = Arc::new(Ledger::default());
    for text in 0..20 {
        let uid = server.deliver(ONE, "INBOX", format!("{text}").as_bytes());
        ledger.note("INBOX", uid, Origin::Text(text.to_string()));
    }
    let mut watcher = Watcher::begin(&server).await;
    let manners = [Told::OfOld, Told::AtOnce, Told::OfOld, Told::Delayed, Told::AtOnce, Told::Delayed, Told::OfOld];
    let sessions: Vec<_> = (1..).zip(manners).map(|(seed, told)| tokio::spawn({
        let (server, ledger) = (Arc::clone(&server), Arc::clone(&ledger));
        async move { act(&server, &ledger, seed, told).await }
    })).collect();
    let mut highest = 0;
    while !sessions.iter().all(tokio::task::JoinHandle::is_finished) {
        watcher.hear().await;
        let modseq = server.messages.view(ONE, "INBOX").unwrap().highest_modseq;
        assert!(modseq >= highest, "{highest} fell to {modseq}");
        highest = modseq;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut done = Vec::new();
    for session in sessions {
        done.push(session.await.unwrap());
    }
    let mut fresh = server.client(ONE).await;
    let mut truth = Model::default();
    truth.hear(&fresh.ok("SELECT INBOX").await);
    truth.hear(&fresh.ok("FETCH 1:* (UID FLAGS)").await);
    assert!(!truth.messages.is_empty());
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
