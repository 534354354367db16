//! What the store and the connection do for the newer extensions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use mailgw::wire::imap::Limits;

use super::harness::*;

#[tokio::test]
async fn one_message_replaces_another_in_every_session_and_no_sum_is_wrong() {
    let server = start(quick()).await;
    for text in ["one", "two"] {
        server.deliver(ONE, "INBOX", format!("Subject: {text}\r\n\r\n").as_bytes());
    }
    let (mut acting, mut watching, mut archive) = (server.client(ONE).await, server.client(ONE).await, server.client(ONE).await);
    acting.ok("SELECT INBOX").await;
    watching.ok("SELECT INBOX").await;
    archive.ok("SELECT Archive").await;
    let (lines, answer) = acting.command("UID REPLACE 1 INBOX (\\Draft) {15+}\r\nSubject: 1'\r\n\r\n").await;
    assert_eq!((lines, answer.as_str()), (vec!["* OK [APPENDUID 1 3] Replaced".to_owned(), "* 1 EXPUNGE".into(), "* 2 EXISTS".into()], "OK Replaced"));
    assert_eq!(watching.ok("NOOP").await, ["* 1 EXPUNGE", "* 2 EXISTS"]);
    assert_eq!(watching.ok("FETCH 1:2 (UID FLAGS)").await, ["* 1 FETCH (UID 2 FLAGS ())", "* 2 FETCH (UID 3 FLAGS (\\Draft))"]);
    // Into another folder.
    acting.ok("REPLACE 1 Archive {15+}\r\nSubject: 2'\r\n\r\n").await;
    assert_eq!(archive.ok("NOOP").await, ["* 1 EXISTS"]);
    assert_eq!(watching.ok("NOOP").await, ["* 1 EXPUNGE"]);
    let held = server.messages.used(ONE).unwrap();
    assert_eq!((held.bytes, held.messages), (30, 2));
    // Of one that is gone nothing comes.
    let (_, answer) = acting.command("UID REPLACE 2 INBOX {15+}\r\nSubject: 3'\r\n\r\n").await;
    assert!(answer.starts_with("NO [NONEXISTENT]"), "{answer}");
    assert_eq!(server.messages.used(ONE).unwrap().messages, 2);
}

#[tokio::test]
async fn times_of_saving_and_annotations_are_kept() {
    let server = start(quick()).await;
    server.deliver(ONE, "INBOX", b"Subject: one\r\n\r\n");
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    // Delivered in the first second of 1970, as this test's clock said; moved now.
    assert_eq!(client.ok("FETCH 1 SAVEDATE").await, ["* 1 FETCH (SAVEDATE \"01-Jan-1970 08:00:00 +0800\")"]);
    client.ok("MOVE 1 Archive").await;
    client.ok("SELECT Archive").await;
    assert_eq!(client.ok("SEARCH SAVEDSINCE 1-Jan-2020").await, ["* SEARCH 1"]);
    client.ok("SETMETADATA Archive (/private/comment \"kept\")").await;
    client.ok("RENAME Archive Old").await;
    let mut other = server.client(ONE).await;
    assert_eq!(other.ok("GETMETADATA Old /private/comment").await, ["* METADATA \"Old\" (/private/comment \"kept\")"]);
    let mut stranger = server.client(OTHER).await;
    assert!(stranger.command("GETMETADATA Old /private/comment").await.1.starts_with("NO [NONEXISTENT]"));
    assert_eq!(stranger.ok("GETMETADATA INBOX /private/comment").await, ["* METADATA \"INBOX\" (/private/comment NIL)"]);
}

#[tokio::test]
async fn several_messages_are_one_commit() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    let answer = client.command("APPEND INBOX (\\Seen) {3+}\r\none {3+}\r\ntwo (\\Draft) {5+}\r\nthree").await.1;
    assert_eq!(answer, "OK [APPENDUID 1 1:3] Appended");
    client.ok("SELECT INBOX").await;
    assert_eq!(client.fetch_bytes(3, "BODY.PEEK[]").await, b"three");
    let (_, answer) = client.command("APPEND nowhere {3+}\r\none {3+}\r\ntwo").await;
    assert!(answer.starts_with("NO [TRYCREATE]"), "{answer}");
    assert_eq!(server.messages.used(ONE).unwrap().messages, 3);
}

/// What comes and goes is squeezed: the client's end of it.
struct Squeezed {
    client: Client,
    packing: Compress,
    unpacking: Decompress,
    plain: Vec<u8>,
}

impl Squeezed {
    async fn ask(&mut self, text: &str, until: &str) -> String {
        let mut packed = Vec::with_capacity(text.len() + 1_024);
        self.packing.compress_vec(text.as_bytes(), &mut packed, FlushCompress::Sync).unwrap();
        self.client.send(&packed).await;
        while !String::from_utf8_lossy(&self.plain).contains(until) {
            let some = self.client.some().await;
            let (mut from, mut out) = (0, Vec::with_capacity(64 << 10));
            loop {
                let (taken, made) = (self.unpacking.total_in(), self.unpacking.total_out());
                out.reserve(64 << 10);
                self.unpacking.decompress_vec(&some[from..], &mut out, FlushDecompress::Sync).unwrap();
                from += usize::try_from(self.unpacking.total_in() - taken).unwrap();
                // All is taken, and nothing more comes of it.
                if from == some.len() && self.unpacking.total_out() == made {
                    break;
                }
            }
            self.plain.extend(out);
        }
        String::from_utf8(std::mem::take(&mut self.plain)).unwrap()
    }
}

#[tokio::test]
async fn a_compressed_connection_says_the_same_and_only_so_many_are() {
    let server = start(Limits { compressed: 1, ..quick() }).await;
    server.deliver(ONE, "INBOX", format!("Subject: one\r\n\r\n{}", "公积金".repeat(50_000)).as_bytes());
    let (mut client, mut other) = (server.client(ONE).await, server.client(ONE).await);
    client.ok("COMPRESS DEFLATE").await;
    assert!(other.command("COMPRESS DEFLATE").await.1.starts_with("NO [LIMIT]"));
    let mut squeezed = Squeezed { client, packing: Compress::new(Compression::best(), false), unpacking: Decompress::new(false), plain: Vec::new() };
    assert!(squeezed.ask("a SELECT INBOX\r\n", "a OK").await.contains("* 1 EXISTS"));
    let said = squeezed.ask("b FETCH 1 BODY.PEEK[]\r\n", "b OK").await;
    assert!(said.contains(&"公积金".repeat(50_000)));
    // Told while it idles, too.
    squeezed.ask("c IDLE\r\n", "+ idling").await;
    server.deliver(ONE, "INBOX", b"Subject: two\r\n\r\n");
    squeezed.ask("", "* 2 EXISTS\r\n").await;
    squeezed.ask("DONE\r\n", "c OK").await;
    // Its place is given back.
    drop(squeezed);
    for attempt in 0.. {
        if other.command("COMPRESS DEFLATE").await.1.starts_with("OK") {
            return;
        }
        assert!(attempt < 100, "the place of a connection that ended is not free");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_login_is_given_back_and_another_taken() {
    let server = start(quick()).await;
    server.deliver(OTHER, "INBOX", b"Subject: other\r\n\r\n");
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    client.ok("UNAUTHENTICATE").await;
    assert!(client.command("SELECT INBOX").await.1.starts_with("BAD Log in first"));
    // What ends logins of the first one is no matter any more.
    server.end_logins(ONE);
    client.ok(&format!("LOGIN {OTHER}@mail.example.cn {{{}+}}\r\n{PASSWORD}", PASSWORD.len())).await;
    assert!(client.ok("SELECT INBOX").await.contains(&"* 1 EXISTS".to_owned()));
    server.deliver(ONE, "INBOX", b"Subject: not mine\r\n\r\n");
    assert!(client.ok("NOOP").await.is_empty());
}
