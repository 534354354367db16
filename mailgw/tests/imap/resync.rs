//! Clients that come back with what they knew end with what is there, whatever happened meanwhile. spec: rfc7162#3.2.5
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::letters::Dice;
use super::harness::*;

/// What a client keeps between its visits.
#[derive(Default, Debug)]
struct Cache {
    validity: u32,
    modseq: u64,
    flags: BTreeMap<u32, String>,
}

fn number(line: &str, code: &str) -> Option<u64> {
    line.split_once(code)?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Cache {
    fn hear(&mut self, lines: &[String]) {
        for line in lines {
            if let Some(found) = number(line, "[HIGHESTMODSEQ ") {
                assert!(found >= self.modseq, "MODSEQ went back");
                self.modseq = found;
            } else if let Some(found) = number(line, "[UIDVALIDITY ") {
                self.validity = u32::try_from(found).unwrap();
            } else if let Some(set) = line.strip_prefix("* VANISHED ") {
                for range in set.trim_start_matches("(EARLIER) ").split(',') {
                    let (first, last) = range.split_once(':').unwrap_or((range, range));
                    let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
                    self.flags.retain(|uid, _| !(first..=last).contains(uid));
                }
            } else if let Some((_, told)) = line.split_once(" FETCH (UID ") {
                let (uid, flags) = told.split_once(" FLAGS (").unwrap();
                self.flags.insert(uid.parse().unwrap(), flags.split(')').next().unwrap().to_owned());
            }
        }
    }

    async fn visit(&mut self, server: &Server) {
        let mut client = server.client(ONE).await;
        client.ok("ENABLE QRESYNC").await;
        let select = if self.validity == 0 { "SELECT INBOX".to_owned() } else { format!("SELECT INBOX (QRESYNC ({} {}))", self.validity, self.modseq) };
        let first = self.validity == 0;
        let lines = client.ok(&select).await;
        self.hear(&lines);
        if first {
            let lines = client.ok("UID FETCH 1:* (FLAGS)").await;
            self.hear(&lines);
        }
        client.ok("LOGOUT").await;
    }

    async fn truth(server: &Server) -> BTreeMap<u32, String> {
        let mut client = server.client(ONE).await;
        client.ok("SELECT INBOX").await;
        let mut truth = Self::default();
        truth.hear(&client.ok("UID FETCH 1:* (FLAGS)").await);
        truth.flags
    }
}

async fn act(server: &Server, dice: &mut Dice, count: u64) {
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    for _ in 0..count {
        let flag = ["\\Seen", "\\Flagged", "$Paid", "\\Deleted"][usize::try_from(dice.roll(4)).unwrap()];
        let sign = ["+", "-"][usize::try_from(dice.roll(2)).unwrap()];
        let uid = dice.roll(60) + 1;
        let command = match dice.roll(7) {
            0 | 1 => format!("APPEND INBOX (\\Draft) {{4+}}\r\n{:04}", dice.roll(10_000)),
            2 => "EXPUNGE".to_owned(),
            3 => format!("UID MOVE {uid}:{} Archive", uid + dice.roll(3)),
            4 => format!("UID COPY {uid} INBOX"),
            _ => format!("UID STORE {uid}:{} {sign}FLAGS {flag}", uid + dice.roll(4)),
        };
        let (_, answer) = client.command(&command).await;
        assert!(answer.starts_with("OK"), "{command}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_between_changes_knows_all_of_them() {
    let server = start(quick()).await;
    for text in 0..20 {
        server.deliver(ONE, "INBOX", format!("{text}").as_bytes());
    }
    for seed in 1..=4 {
        let (mut dice, mut cache) = (Dice(seed), Cache::default());
        for _ in 0..12 {
            cache.visit(&server).await;
            assert_eq!(cache.flags, Cache::truth(&server).await);
            let count = dice.roll(12);
            act(&server, &mut dice, count).await;
        }
        cache.visit(&server).await;
        assert_eq!(cache.flags, Cache::truth(&server).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_amid_changes_misses_none() {
    let server = Arc::new(start(quick()).await);
    for text in 0..20 {
        server.deliver(ONE, "INBOX", format!("{text}").as_bytes());
    }
    let actors: Vec<_> = (11..=14).map(|seed| tokio::spawn({
        let server = Arc::clone(&server);
        async move { act(&server, &mut Dice(seed), 60).await }
    })).collect();
    let mut caches: Vec<Cache> = (0..3).map(|_| Cache::default()).collect();
    while !actors.iter().all(tokio::task::JoinHandle::is_finished) {
        for cache in &mut caches {
            cache.visit(&server).await;
        }
    }
    for actor in actors {
        actor.await.unwrap();
    }
    let truth = Cache::truth(&server).await;
    for cache in &mut caches {
        cache.visit(&server).await;
        assert_eq!(cache.flags, truth);
    }
}

#[tokio::test]
async fn all_folders_of_a_mailbox_have_one_order() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    let highest = |lines: Vec<String>| lines.iter().find_map(|line| number(line, "HIGHESTMODSEQ ")).unwrap();
    let inbox = "STATUS INBOX (HIGHESTMODSEQ)";
    let before = highest(client.ok(inbox).await);
    server.deliver(ONE, "INBOX", b"one");
    let after = highest(client.ok(inbox).await);
    assert!(after > before);
    // Another mailbox counts for itself, another folder has its own last change in the common order.
    server.deliver(OTHER, "INBOX", b"other");
    server.deliver(ONE, "Archive", b"two");
    assert_eq!(highest(client.ok(inbox).await), after);
    let archive = highest(client.ok("STATUS Archive (HIGHESTMODSEQ)").await);
    assert_eq!(archive, after + 1);
    server.deliver(ONE, "INBOX", b"three");
    assert_eq!(highest(client.ok(inbox).await), archive + 1);
}

#[tokio::test]
async fn tombstones_that_were_dropped_hide_nothing() {
    let server = start(quick()).await;
    for text in 0..6 {
        server.deliver(ONE, "INBOX", format!("{text}").as_bytes());
    }
    let folder = server.messages.folder(ONE, "INBOX").unwrap();
    let mut client = server.client(ONE).await;
    client.ok("ENABLE QRESYNC").await;
    client.ok("SELECT INBOX").await;
    client.ok("UID STORE 2,4 +FLAGS.SILENT \\Deleted").await;
    client.ok("EXPUNGE").await;
    let highest = server.messages.view(ONE, "INBOX").unwrap().highest_modseq;
    assert_eq!(server.messages.vanished(&folder, highest - 1).unwrap(), [(2, 2), (4, 4)]);
    assert_eq!(server.messages.vanished(&folder, highest).unwrap(), []);
    client.ok("UID MOVE 6 Archive").await;
    assert_eq!(server.messages.vanished(&folder, highest).unwrap(), [(6, 6)]);
    assert_eq!(server.messages.vanished(&folder, 1).unwrap(), [(2, 2), (4, 4), (6, 6)]);
}
