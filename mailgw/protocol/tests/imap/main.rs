//! Dialogues with a mailbox in memory: `C:` lines go in, `S:` lines must come out, `!` lines are other sessions' changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod charsets;
mod client;
mod extensions;
mod newer;
mod notify;
mod quirks;
mod resync;
mod structures;

use client::Client;
use proptest::prelude::*;
use protocol::imap::exchange::*;
use time::macros::datetime;

#[test]
fn no_login_before_tls_and_plaintext_is_dropped() {
    let mut client = Client::new(false);
    assert!(String::from_utf8_lossy(&client.said).contains("STARTTLS LOGINDISABLED"));
    client.said.clear();
    client.script("C: a LOGIN a@b.cn pw\nS: a NO [PRIVACYREQUIRED] Use TLS before logging in");
    assert_eq!(client.send(b"b STARTTLS\r\nc NOOP\r\n"), "b OK Begin TLS\r\n");
    assert!(client.tls);
    assert!(client.send(b"d AUTHENTICATE PLAIN AGFAYi5jbgBwdw==\r\n").starts_with("d OK [CAPABILITY IMAP4rev1"));
}

#[test]
fn three_failed_logins_close() {
    let mut client = Client::new(true);
    client.said.clear();
    assert_eq!(client.send(b"a LOGIN a@b.cn no\r\n"), "a NO [AUTHENTICATIONFAILED] No\r\n");
    assert_eq!(client.send(b"b AUTHENTICATE PLAIN\r\n"), "+ \r\n");
    assert!(client.send(b"AGFAYi5jbgBubw==\r\n").starts_with("b NO [AUTHENTICATIONFAILED]"));
    assert!(client.send(b"c LOGIN a@b.cn no\r\n").ends_with("* BYE Too many failed logins\r\n"));
    assert!(client.closed);
    assert_eq!(client.send(b"d NOOP\r\n"), "");
}

#[test]
fn mailboxes() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c LIST "" *
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: * LIST (\HasNoChildren) "/" "&U,BTFw-"
        S: c OK Done
        C: d LSUB "" %
        S: * LSUB (\HasNoChildren) "/" "INBOX"
        S: d OK Done
        C: e STATUS "&U,BTFw-" (MESSAGES UNSEEN UIDNEXT)
        S: * STATUS "&U,BTFw-" (MESSAGES 2 UNSEEN 1 UIDNEXT 6)
        S: e OK Done
        C: f COPY 1:* &U,BTFw-
        S: f OK [COPYUID 7 4:5 1:2] Copied
        C: g COPY 1 other
        S: g NO [TRYCREATE] No such mailbox
        C: h CREATE "&U,BTFw"
        S: h BAD The mailbox name is not valid modified UTF-7, or empty, too long, or with control characters
        "#,
    );
}

#[test]
fn a_listing_says_the_same_whether_outlines_are_kept_or_messages_read() {
    let mut client = Client::selected();
    let message = client.fake.mails[0].bytes.clone();
    for number in 0..700 {
        let bytes = if number % 3 == 0 { message.clone() } else { format!("Subject: {number}\r\nFrom: {number}@b.cn\r\n\r\nbody\r\n").into_bytes() };
        client.fake.add(bytes, Flags::new());
    }
    client.send(b"b SELECT inbox\r\n");
    let items = "(UID FLAGS ENVELOPE RFC822.SIZE BODYSTRUCTURE)";
    client.longest = 0;
    let whole = client.send(format!("c FETCH 1:* {items}\r\n").as_bytes());
    assert!(client.longest < 80 << 10, "{} octets at once", client.longest);
    let loads = client.fake.asked.iter().filter(|asked| *asked == "Load").count();
    assert_eq!((loads, client.fake.asked.iter().filter(|asked| *asked == "Outlines").count()), (351, 3));
    assert!(client.fake.shown.iter().all(|shown| !shown));
    let single: String = (1..=702).map(|number| client.send(format!("c FETCH {number} {items}\r\n").as_bytes()).replace("c OK Fetched\r\n", "")).collect();
    assert!(whole == single + "c OK Fetched\r\n");
    // And so does one by the header, as mail programs ask for it: whole, some fields, all but some, a piece; or the conversation.
    for items in [
        "(UID FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Date)])",
        "(UID RFC822.SIZE BODY.PEEK[HEADER])",
        "(BODY.PEEK[HEADER.FIELDS.NOT (Subject X-Not-There)] ENVELOPE THREADID)",
        "(BODY.PEEK[HEADER.FIELDS (X-Not-There)] BODY.PEEK[HEADER]<5.20> BODYSTRUCTURE)",
    ] {
        let whole = client.send(format!("c FETCH 1:* {items}\r\n").as_bytes());
        assert_eq!(client.fake.asked.iter().filter(|asked| *asked == "Load").count(), 351, "{items}");
        assert!(client.fake.shown.iter().all(|shown| !shown));
        let single: String = (1..=702).map(|number| client.send(format!("c FETCH {number} {items}\r\n").as_bytes()).replace("c OK Fetched\r\n", "")).collect();
        assert!(whole == single + "c OK Fetched\r\n", "{items}");
    }
    // What else is asked for needs the messages, and so does what is marked as seen by it.
    client.send(b"d FETCH 1:* (ENVELOPE BODY)\r\n");
    assert!(!client.fake.asked.iter().any(|asked| asked == "Outlines"));
    client.send(b"d FETCH 1:* (BODY.PEEK[HEADER] BODY.PEEK[TEXT])\r\n");
    assert!(!client.fake.asked.iter().any(|asked| asked == "Outlines"));
    client.send(b"d FETCH 1:9 BODY[HEADER.FIELDS (Subject)]\r\n");
    assert!(!client.fake.asked.iter().any(|asked| asked == "Outlines"));
    // What is put in order by its header is read as a listing is.
    for arranged in ["f SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "g THREAD REFERENCES UTF-8 ALL"] {
        let told = client.send(format!("{arranged}\r\n").as_bytes());
        let asked = |kind: &str| client.fake.asked.iter().filter(|asked| *asked == kind).count();
        assert_eq!((asked("Load"), asked("Outlines"), told.lines().next().unwrap().matches(char::is_numeric).count() > 600), (351, 3, true), "{told}");
    }
    // One that went is told as gone; the others come.
    client.fake.mails.retain(|mail| mail.info.uid != 9);
    let some = client.send(b"e FETCH 1:20 (UID ENVELOPE)\r\n");
    assert!(some.matches("FETCH (UID").count() == 19 && some.ends_with("e OK [EXPUNGEISSUED] Some messages are gone\r\n"), "{some}");
}

#[test]
fn fetch() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c FETCH 1:2 (UID FLAGS INTERNALDATE)
        S: * 1 FETCH (UID 4 FLAGS () INTERNALDATE "01-Oct-2024 10:00:00 +0800")
        S: * 2 FETCH (UID 5 FLAGS (\Seen) INTERNALDATE "01-Oct-2024 10:00:00 +0800")
        S: c OK Fetched
        C: d FETCH 1 BODY.PEEK[1]
        S: * 1 FETCH (BODY[1] {8}
        S: 5L2g5aW9)
        S: d OK Fetched
        C: e UID FETCH 4 BODY[2.HEADER.FIELDS (subject)]
        S: * 1 FETCH (UID 4 BODY[2.HEADER.FIELDS (subject)] {15}
        S: Subject: in
        S:
        S:  FLAGS (\Seen))
        S: e OK Fetched
        C: f FETCH 2 BODY[]<9.3>
        S: * 2 FETCH (BODY[]<9> {3}
        S: two)
        S: f OK Fetched
        C: g FETCH 3 FLAGS
        S: g BAD No message has that sequence number
        C: h FETCH 1 (ENVELOPE)
        S: * 1 FETCH (ENVELOPE ("Tue, 1 Oct 2024 10:00:00 +0800" "=?UTF-8?B?5YWs56ev6YeR?=" (("=?UTF-8?B?5Y+w5YyX?=" NIL "a" "b.cn")) (("=?UTF-8?B?5Y+w5YyX?=" NIL "a" "b.cn")) (("=?UTF-8?B?5Y+w5YyX?=" NIL "a" "b.cn")) ((NIL NIL "c" "d.cn")) NIL NIL NIL NIL))
        S: h OK Fetched
        C: i FETCH 1 BODY
        S: * 1 FETCH (BODY (("text" "plain" ("charset" "utf-8") NIL NIL "base64" 8 1)("message" "rfc822" NIL NIL NIL "7BIT" 20 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7BIT" 5 1) 3) "mixed"))
        S: i OK Fetched
        "#,
    );
}

#[test]
fn a_message_is_not_multiplied_and_a_damaged_one_hides_no_other() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c FETCH 1 (FLAGS BODY.PEEK[1] UID FLAGS BODY.PEEK[1] BODY.PEEK[1])
        S: * 1 FETCH (FLAGS () BODY[1] {8}
        S: 5L2g5aW9 UID 4)
        S: c OK Fetched
        "#,
    );
    client.fake.damaged = 4;
    client.script(
        r#"
        C: d FETCH 1:2 BODY.PEEK[TEXT]
        S: * 2 FETCH (BODY[TEXT] {6}
        S: body
        S: )
        S: d NO [SERVERBUG] Some messages cannot be read; the others were told
        "#,
    );
    let large = [&b"Subject: large\r\n\r\n"[..], &[b'x'; 1 << 20]].concat();
    let info = client.fake.add(large, Flags::new());
    client.change(Change::New(info));
    client.send(b"n NOOP\r\n");
    let many: Vec<String> = (0..100).map(|from| format!("BODY.PEEK[]<{from}.2000000>")).collect();
    let said = client.send(format!("e FETCH 3 ({})\r\nf NOOP\r\n", many.join(" ")).as_bytes());
    assert!(said.len() < 300 && said.contains("e NO [LIMIT] Ask for less") && said.contains("f OK"), "{} octets", said.len());
    let said = client.send(b"g FETCH 3 (BODY.PEEK[] BODY.PEEK[TEXT])\r\n");
    assert!(said.len() > 2 << 20 && said.contains("g OK"));
}

#[test]
fn a_large_folder_is_told_piece_by_piece() {
    let mut client = Client::new(true);
    for _ in 0..20_000 {
        client.fake.add(b"Subject: n\r\n\r\n".to_vec(), Flags::new());
    }
    client.send(b"a LOGIN a@b.cn pw\r\nb SELECT inbox\r\n");
    client.longest = 0;
    let said = client.send(b"c FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)\r\nd NOOP\r\n");
    assert_eq!(said.matches(" FETCH (FLAGS (").count(), 20_002);
    assert!(said.contains("\r\nc OK Fetched\r\nd OK "), "{}", &said[said.len() - 100..]);
    assert!(said.len() > 1 << 20 && client.longest < 65 << 10, "{} of {}", client.longest, said.len());
}

#[test]
fn search_store_expunge() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c SEARCH UNSEEN
        S: * SEARCH 1
        S: c OK Searched
        C: d UID SEARCH CHARSET UTF-8 BODY {6+}\r\n你好
        S: * SEARCH 4
        S: d OK Searched
        C: e SEARCH OR SUBJECT two SENTON 1-Oct-2024
        S: * SEARCH 1 2
        S: e OK Searched
        C: f SEARCH CHARSET KOI8-R ALL
        S: f NO [BADCHARSET (UTF-8 US-ASCII)] The charset is not known: use UTF-8 or US-ASCII
        ! gone 4
        C: g STORE 2 +FLAGS (\Deleted $Work)
        S: * 2 FETCH (UID 5 FLAGS (\Deleted \Seen $Work))
        S: g OK Stored
        C: h FETCH 1 RFC822.TEXT
        S: h OK [EXPUNGEISSUED] Some messages are gone
        ! new
        C: i NOOP
        S: * 1 EXPUNGE
        S: * 2 EXISTS
        S: i OK Done
        C: j EXPUNGE
        S: * 1 EXPUNGE
        S: j OK Expunged
        C: k UID MOVE 6 &U,BTFw-
        S: * OK [COPYUID 7 6 1] Moved
        S: * 1 EXPUNGE
        S: k OK Moved
        C: l CLOSE
        S: l OK Closed
        C: m FETCH 1 FLAGS
        S: m BAD Select a mailbox first
        "#,
    );
}

#[test]
fn a_search_tells_what_was_asked_for_and_is_kept() {
    let mut client = Client::selected();
    for n in 0..4 {
        client.fake.add(format!("Subject: {n}\r\n\r\n").into_bytes(), Flags::new());
    }
    client.script(
        r#"
        C: a SELECT INBOX
        S: * OK [CLOSED] The mailbox before is left
        S: * 6 EXISTS
        S: * 0 RECENT
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that last
        S: * OK [UNSEEN 1] First unseen
        S: * OK [UIDVALIDITY 9] Valid
        S: * OK [UIDNEXT 10] Next
        S: * OK [HIGHESTMODSEQ 1] Highest
        S: * OK [MAILBOXID (F77)] Ever the same
        S: a OK [READ-WRITE] Opened
        C: b SEARCH RETURN () UNSEEN
        S: * ESEARCH (TAG "b") ALL 1,3:6
        S: b OK Searched
        C: c UID SEARCH RETURN (MIN MAX COUNT) UNSEEN
        S: * ESEARCH (TAG "c") UID MIN 4 MAX 9 COUNT 5
        S: c OK Searched
        C: d SEARCH RETURN (MIN MAX ALL COUNT) FLAGGED
        S: * ESEARCH (TAG "d") COUNT 0
        S: d OK Searched
        C: e SEARCH RETURN (SAVE) 2:3,5:4,90
        S: e OK Searched
        C: f UID SEARCH $ UNSEEN
        S: * SEARCH 6 7 8
        S: f OK Searched
        C: g SEARCH OR NOT $ UID 1:5,99:*
        S: * SEARCH 1 2 6
        S: g OK Searched
        C: h FETCH $ UID
        S: * 2 FETCH (UID 5)
        S: * 3 FETCH (UID 6)
        S: * 4 FETCH (UID 7)
        S: * 5 FETCH (UID 8)
        S: h OK Fetched
        ! gone 6
        C: i UID STORE $ +FLAGS.SILENT (\Flagged)
        S: * 3 EXPUNGE
        S: i OK Stored
        C: j SEARCH RETURN (SAVE MIN MAX) ALL
        S: * ESEARCH (TAG "j") MIN 1 MAX 5
        S: j OK Searched
        C: k SEARCH RETURN (COUNT) $
        S: * ESEARCH (TAG "k") COUNT 2
        S: k OK Searched
        C: l SEARCH RETURN (SAVE COUNT) DRAFT
        S: * ESEARCH (TAG "l") COUNT 0
        S: l OK Searched
        C: m COPY $ &U,BTFw-
        S: m OK No such messages
        C: n SEARCH RETURN (BEST) ALL
        S: n BAD Expected MIN, MAX, ALL, COUNT, PARTIAL or SAVE
        C: o FETCH $,1 UID
        S: o BAD Expected one space
        "#,
    );
}

#[test]
fn changes_are_counted_and_a_store_yields_to_them() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: a STORE 1 +FLAGS.SILENT (\Flagged)
        S: a OK Stored
        C: b ENABLE CONDSTORE X-UNKNOWN
        S: * ENABLED CONDSTORE
        S: b OK Done
        C: c UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)
        S: * 1 FETCH (UID 4 FLAGS (\Flagged) MODSEQ (2))
        S: c OK Fetched
        C: d STORE 1:2 (UNCHANGEDSINCE 1) FLAGS.SILENT (\Draft)
        S: * 2 FETCH (UID 5 FLAGS (\Draft) MODSEQ (3))
        S: d OK [MODIFIED 1] Stored
        C: e UID STORE 4:5 (UNCHANGEDSINCE 2) +FLAGS (\Answered)
        S: * 1 FETCH (UID 4 FLAGS (\Answered \Flagged) MODSEQ (4))
        S: e OK [MODIFIED 5] Stored
        C: f SEARCH MODSEQ 4
        S: * SEARCH 1 (MODSEQ 4)
        S: f OK Searched
        C: g SEARCH MODSEQ "/flags/\\draft" all 3
        S: * SEARCH 1 2 (MODSEQ 4)
        S: g OK Searched
        C: h UID SEARCH RETURN (MAX) MODSEQ 1
        S: * ESEARCH (TAG "h") UID MAX 5 MODSEQ 3
        S: h OK Searched
        C: i SEARCH MODSEQ 9
        S: * SEARCH
        S: i OK Searched
        C: j FETCH 1 BODY[]<0.4>
        S: * 1 FETCH (BODY[]<0> {4}
        S: From FLAGS (\Answered \Flagged \Seen) MODSEQ (5))
        S: j OK Fetched
        C: k STATUS INBOX (SIZE DELETED HIGHESTMODSEQ)
        S: * STATUS "INBOX" (SIZE 7000000000 DELETED 1 HIGHESTMODSEQ 1)
        S: k OK Done
        C: l STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()
        S: l BAD A number is zero or too large where it may not be
        C: m SELECT INBOX (QRESYNC (1 2))
        S: m BAD Say ENABLE QRESYNC first
        "#,
    );
    // Who never spoke of it is told nothing of it.
    Client::selected().script("C: a STORE 1 +FLAGS (\\Seen)\nS: * 1 FETCH (UID 4 FLAGS (\\Seen))\nS: a OK Stored\n");
}

#[test]
fn a_silent_store_tells_what_others_changed() {
    let mut client = Client::selected();
    client.fake.mails[0].info.flags.set(SystemFlag::Flagged);
    client.script(
        r#"
        C: c STORE 1:2 +FLAGS.SILENT \Seen
        S: * 1 FETCH (UID 4 FLAGS (\Flagged \Seen))
        S: c OK Stored
        C: d NOOP
        S: d OK Done
        "#,
    );
}

#[test]
fn what_a_silent_client_is_not_told_is_bounded_and_told_once() {
    let mut client = Client::selected();
    let info = |uid, modseq, flags: Flags| MessageInfo { uid, flags, modseq, internal_date: datetime!(2024-10-01 10:00 +8), saved: None, size: 1, content: u64::from(uid) };
    for round in 0..50 {
        let flagged = if round % 2 == 0 { Flags::new() } else { Flags::new().with(SystemFlag::Flagged) };
        for change in [Change::Flags(info(4, 10 + round, flagged.clone())), Change::New(info(6, 10, Flags::new())), Change::Flags(info(6, 10 + round, flagged))] {
            assert_eq!(client.change(change), "");
        }
    }
    // Of one that came and went unseen nothing is said.
    for change in [Change::New(info(7, 70, Flags::new())), Change::Gone { uid: 7, modseq: 70 }, Change::Gone { uid: 5, modseq: 70 }, Change::New(info(5, 71, Flags::new()))] {
        assert_eq!(client.change(change), "");
    }
    client.script(
        r#"
        C: c NOOP
        S: * 1 FETCH (UID 4 FLAGS (\Flagged))
        S: * 2 EXPUNGE
        S: * 2 EXISTS
        S: c OK Done
        C: d FETCH 2 (UID FLAGS)
        S: * 2 FETCH (UID 6 FLAGS (\Flagged))
        S: d OK Fetched
        "#,
    );
}

#[test]
fn append_and_idle() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c APPEND inbox (\Seen) "01-Oct-2024 10:00:00 +0800" {3}
        S: + Ready
        C: abc
        S: c OK [APPENDUID 9 6] Appended
        C: d APPEND inbox {2+}\r\nhi
        S: d OK [APPENDUID 9 7] Appended
        C: n APPEND inbox {2+}\r\nh\0
        S: n NO [UNKNOWN-CTE] The message has a NUL octet; encode it
        C: e APPEND inbox {20001}
        S: e NO [TOOBIG] The literal is larger than this server takes
        C: f IDLE
        S: + idling
        ! gone 4
        S: * 1 EXPUNGE
        ! new
        S: * 2 EXISTS
        C: DONE
        S: f OK Done
        "#,
    );
}

#[test]
fn bad_syntax_is_refused_and_the_session_goes_on() {
    let mut client = Client::selected();
    for bad in [
        "x", "x ", "x FOO", "x FETCH", "x FETCH 1", "x FETCH 0 FLAGS", "x FETCH 1 (FLAGS", "x FETCH 1 BODY[MIME]", "x FETCH 1 BODY[1.]", "x FETCH 1 BODY[]<1.0>",
        "x SELECT", "x SELECT \"a", "x STORE 1 FLAGS \\Foo", "x STORE 1 ++FLAGS ()", "x SEARCH", "x SEARCH FOO", "x SEARCH NOT", "x SEARCH SENTON 32-Jan-2024",
        "x NOOP x", "x UID NOOP", "x LIST \"\"", "x STATUS INBOX ()", "x COPY 1", "x  NOOP", "x ID (1)", "x AUTHENTICATE PLAIN !",
    ] {
        let reply = client.send(format!("{bad}\r\n").as_bytes());
        assert!(reply.starts_with("x BAD ") && reply.ends_with("\r\n") && reply.lines().count() == 1, "{bad}: {reply}");
    }
    let deep = format!("x SEARCH {}ALL\r\n", "NOT ".repeat(21));
    assert!(client.send(deep.as_bytes()).starts_with("x BAD Too many"));
    assert_eq!(client.send(b"x NOOP\r\n"), "x OK Done\r\n");
    assert!(client.send(b"x LOGIN {99999+}\r\n").starts_with("x BAD "));
    assert!(client.closed);
}

const COMMANDS: &str = "b NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (MailboxName))\r\nc FETCH 1:* (FLAGS BODY[1] ENVELOPE BODYSTRUCTURE)\r\nd APPEND inbox {3+}\r\nabc\r\ne SEARCH TEXT hello\r\nf IDLE\r\nDONE\r\ng STORE 1 +FLAGS \\Deleted\r\nh EXPUNGE\r\n";

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut client = Client::selected();
        client.send(&bytes);
    }

    #[test]
    fn mutated_commands_any_split(at in 0usize..290, byte in any::<u8>(), cuts in proptest::collection::vec(1usize..40, 1..20)) {
        let mut bytes = COMMANDS.as_bytes().to_vec();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        let whole = Client::selected().send(&bytes);
        let mut client = Client::selected();
        let (mut pieces, mut rest) = (String::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push_str(&client.send(piece));
            rest = after;
        }
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn any_message(bytes in "(Content-Type: (multipart/mixed; boundary=a|message/rfc822|text/html)\r\n|\r\n|--a\r\n|--a--\r\n|From: <a@b>, c:;\r\n|[a-z:;\"<>\\\\ ]{0,9}\r\n){0,30}") {
        let mut client = Client::selected();
        client.send(format!("x APPEND inbox {{{}+}}\r\n{bytes}\r\n", bytes.len()).as_bytes());
        let reply = client.send(b"c NOOP\r\nb SELECT inbox\r\nd FETCH 3 (ENVELOPE BODY BODYSTRUCTURE BODY[1.1.TEXT] BODY[TEXT])\r\ne SEARCH TEXT zzzzz\r\n");
        prop_assert!(reply.contains("d OK Fetched\r\n") && reply.ends_with("e OK Searched\r\n"));
    }
}
