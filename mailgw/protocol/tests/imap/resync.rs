//! Coming back after a while: QRESYNC, and marks set as bodies go out.
use protocol::imap::exchange::*;

use super::client::Client;

fn with_more(count: usize) -> Client {
    let mut client = Client::new(true);
    for n in 0..count {
        client.fake.add(format!("Subject: {n}\r\n\r\nbody {n}").into_bytes(), Flags::new());
    }
    client.send(b"a LOGIN a@b.cn pw\r\n");
    client
}

#[test]
fn who_comes_back_is_told_what_changed_and_what_is_gone() {
    let mut client = with_more(4);
    client.script(
        r#"
        C: b SELECT INBOX (QRESYNC (9 1))
        S: b BAD Say ENABLE QRESYNC first
        C: c ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: c OK Done
        C: d SELECT INBOX
        S: * 6 EXISTS
        S: * 0 RECENT
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that last
        S: * OK [UNSEEN 1] First unseen
        S: * OK [UIDVALIDITY 9] Valid
        S: * OK [UIDNEXT 10] Next
        S: * OK [HIGHESTMODSEQ 1] Highest
        S: * OK [MAILBOXID (F77)] Ever the same
        S: d OK [READ-WRITE] Opened
        C: e UID STORE 5,7:9 +FLAGS.SILENT (\Deleted)
        S: * 2 FETCH (UID 5 FLAGS (\Deleted \Seen) MODSEQ (2))
        S: * 4 FETCH (UID 7 FLAGS (\Deleted) MODSEQ (2))
        S: * 5 FETCH (UID 8 FLAGS (\Deleted) MODSEQ (2))
        S: * 6 FETCH (UID 9 FLAGS (\Deleted) MODSEQ (2))
        S: e OK Stored
        C: f UID EXPUNGE 5,8:9
        S: * VANISHED 5,8:9
        S: f OK [HIGHESTMODSEQ 1] Expunged
        ! gone 6
        C: g STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: g OK Stored
        C: h NOOP
        S: * VANISHED 6
        S: h OK Done
        C: i SELECT INBOX (QRESYNC (9 1 1:9 (1,3 4,6)))
        S: * OK [CLOSED] The mailbox before is left
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that last
        S: * OK [UNSEEN 2] First unseen
        S: * OK [UIDVALIDITY 9] Valid
        S: * OK [UIDNEXT 10] Next
        S: * OK [HIGHESTMODSEQ 5] Highest
        S: * OK [MAILBOXID (F77)] Ever the same
        S: * VANISHED (EARLIER) 5:6,8:9
        S: * 1 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: * 2 FETCH (UID 7 FLAGS (\Deleted) MODSEQ (2))
        S: i OK [READ-WRITE] Opened
        C: j UID FETCH 5:8 (FLAGS) (CHANGEDSINCE 3 VANISHED)
        S: * VANISHED (EARLIER) 6
        S: j OK Fetched
        C: k UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE 1)
        S: * VANISHED (EARLIER) 5:6,8:9
        S: * 1 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: * 2 FETCH (UID 7 FLAGS (\Deleted) MODSEQ (2))
        S: k OK Fetched
        C: l FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)
        S: l BAD Expected UID FETCH with CHANGEDSINCE beside VANISHED
        C: m CLOSE
        S: m OK [HIGHESTMODSEQ 5] Closed
        C: n EXAMINE INBOX (CONDSTORE QRESYNC (8 1))
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [PERMANENTFLAGS ()] Flags that last
        S: * OK [UIDVALIDITY 9] Valid
        S: * OK [UIDNEXT 10] Next
        S: * OK [HIGHESTMODSEQ 6] Highest
        S: * OK [MAILBOXID (F77)] Ever the same
        S: n OK [READ-ONLY] Opened
        "#,
    );
    for bad in ["(QRESYNC)", "(QRESYNC ())", "(QRESYNC (0 1))", "(QRESYNC (9 1 1:*", "(QRESYNC (9 1) QRESYNC (9 1))", "(QRESYNC (9 1 (1)))", "()"] {
        let said = client.send(format!("x SELECT INBOX {bad}\r\n").as_bytes());
        assert!(said.starts_with("x BAD ") && said.lines().count() == 1, "{bad}: {said}");
    }
}

#[test]
fn bodies_are_marked_as_they_go_out() {
    let mut client = with_more(70);
    client.send(b"b SELECT INBOX\r\n");
    let said = client.send(b"c FETCH 1:* BODY[]\r\n");
    // Two were there; one of them is seen.
    assert_eq!(client.fake.asked.iter().filter(|asked| *asked == "Store").count(), 3);
    assert_eq!(said.matches("FLAGS (\\Seen))").count(), 71);
    let first_mark = client.fake.asked.iter().position(|asked| asked == "Store").unwrap();
    assert!(first_mark > 31, "no message is marked before it went out");
    client.fake.damaged = 75;
    client.script(
        r#"
        C: d UID STORE 74:75 -FLAGS.SILENT (\Seen)
        S: d OK Stored
        C: e UID FETCH 74:75 BODY[TEXT]
        S: * 71 FETCH (UID 74 BODY[TEXT] {7}
        S: body 68)
        S: * 71 FETCH (UID 74 FLAGS (\Seen))
        S: e NO [SERVERBUG] Some messages cannot be read; the others were told
        C: f UID FETCH 75 FLAGS
        S: * 72 FETCH (UID 75 FLAGS ())
        S: f OK Fetched
        C: g UID STORE 74 -FLAGS.SILENT (\Seen)
        S: g OK Stored
        C: h EXAMINE INBOX
        "#.trim_end().trim_end_matches("C: h EXAMINE INBOX"),
    );
    client.send(b"h EXAMINE INBOX\r\n");
    assert!(!client.send(b"i UID FETCH 74 BODY[]\r\n").contains("FLAGS"));
}
