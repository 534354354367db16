//! Many sessions in one folder see one state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harness::*;
use super::letters::Dice;

/// What a client has been told: for each sequence number the UID and the flags, once it knows them.
#[derive(Default)]
struct Model(Vec<Option<(u32, BTreeSet<String>)>>);

impl Model {
    fn hear(&mut self, lines: &[String]) {
        for line in lines {
            let Some((number, what)) = line.strip_prefix("* ").and_then(|rest| rest.split_once(' ')) else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if what == "EXISTS" {
                assert!(number >= self.0.len(), "EXISTS never falls");
                self.0.resize(number, None);
            } else if what == "EXPUNGE" {
                self.0.remove(number - 1);
            } else if let Some(told) = what.strip_prefix("FETCH (UID ") {
                let (uid, flags) = told.split_once(" FLAGS (").unwrap();
                let flags = flags.trim_end_matches(')').split(' ').filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
                let known = self.0.get_mut(number - 1).expect("FETCH of a number that does not exist");
                assert!(known.as_ref().is_none_or(|(known, _)| known.to_string() == uid), "a number names another message");
                *known = Some((uid.parse().unwrap(), flags));
            }
        }
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

async fn act(server: &Server, seed: u64, told: Told) -> (Client, Model) {
    let (mut client, mut model, mut dice) = (server.client(ONE).await, Model::default(), Dice(seed));
    model.hear(&client.ok("SELECT INBOX").await);
    if let Some(asked) = told.asked() {
        model.hear(&client.ok(asked).await);
    }
    model.hear(&client.ok("FETCH 1:* (UID FLAGS)").await);
    for step in 0..60 {
        let at = if model.0.is_empty() { 0 } else { dice.roll(model.0.len() as u64) };
        let (by, number) = match told {
            Told::AtOnce => ("UID ", model.0.get(usize::try_from(at).unwrap()).and_then(Option::as_ref).map_or(0, |(uid, _)| u64::from(*uid))),
            _ => ("", if model.0.is_empty() { 0 } else { at + 1 }),
        };
        // One of them changes its mind again and again.
        if let Some(asked) = told.asked().filter(|_| seed % 2 == 0 && step % 20 == 19) {
            model.hear(&client.ok("NOTIFY NONE").await);
            model.hear(&client.ok(asked).await);
            model.hear(&client.ok("FETCH 1:* (UID FLAGS)").await);
        }
        let flag = ["\\Seen", "\\Flagged", "$Paid", "\\Deleted"][usize::try_from(dice.roll(4)).unwrap()];
        let sign = ["+", "-"][usize::try_from(dice.roll(2)).unwrap()];
        let command = match dice.roll(9) {
            0 | 1 => format!("APPEND INBOX (\\Draft) {{4+}}\r\n{:04}", dice.roll(10_000)),
            2 => "EXPUNGE".to_owned(),
            3 if number > 0 => format!("{by}MOVE {number} Archive"),
            4 if number > 0 => format!("{by}COPY {number} INBOX"),
            5 if number > 0 => format!("{by}STORE {number} {sign}FLAGS.SILENT {flag}"),
            6 | 7 if number > 0 => format!("{by}STORE {number} {sign}FLAGS {flag}"),
            8 if number > 0 => format!("{by}REPLACE {number} INBOX (\\Draft) {{4+}}\r\n{:04}", dice.roll(10_000)),
            _ => "NOOP".to_owned(),
        };
        let (lines, answer) = client.command(&command).await;
        // What another session removed is not replaced.
        let lost = command.contains("REPLACE") && answer.starts_with("NO [NONEXISTENT]");
        assert!(answer.starts_with("OK") || lost, "{command}: {answer}");
        model.hear(&lines);
        // A silent change is known to whoever made it; asking settles what it became.
        if command.contains("SILENT") {
            model.hear(&client.ok("FETCH 1:* (UID FLAGS)").await);
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
    for text in 0..20 {
        server.deliver(ONE, "INBOX", format!("{text}").as_bytes());
    }
    let mut watcher = Watcher::begin(&server).await;
    let manners = [Told::OfOld, Told::AtOnce, Told::OfOld, Told::Delayed, Told::AtOnce, Told::Delayed, Told::OfOld];
    let sessions: Vec<_> = (1..).zip(manners).map(|(seed, told)| tokio::spawn({
        let server = Arc::clone(&server);
        async move { act(&server, seed, told).await }
    })).collect();
    while !sessions.iter().all(tokio::task::JoinHandle::is_finished) {
        watcher.hear().await;
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
    assert!(!truth.0.is_empty());
    let archived = server.messages.view(ONE, "Archive").unwrap().messages.len() as u64;
    let end = Instant::now() + Duration::from_secs(10);
    while watcher.archived != archived && Instant::now() < end {
        watcher.hear().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watcher.hear().await;
    assert!(archived > 0 && watcher.archived == archived, "{} of {archived}", watcher.archived);
    assert_eq!(watcher.model.0, truth.0);
    for (client, model) in &mut done {
        model.hear(&client.ok("NOOP").await);
        assert_eq!(model.0.len(), truth.0.len());
        for (told, true_one) in model.0.iter().zip(&truth.0) {
            assert!(told.is_none() || told == true_one, "{told:?} is {true_one:?}");
        }
        model.hear(&client.ok("FETCH 1:* (UID FLAGS)").await);
        assert_eq!(model.0, truth.0);
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
