//! Dialogues of IMAP4rev2 and of what came after it.
use protocol::imap::exchange::*;
use protocol::imap::extension::Extensions;

use super::client::Client;

#[test]
fn what_rev2_tells_otherwise() {
    let mut client = Client::new(true);
    client.send(b"a LOGIN a@b.cn pw\r\n");
    client.script(
        r#"
        C: b ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: b OK Done
        C: c SELECT INBOX
        S: * 2 EXISTS
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that last
        S: * OK [UIDVALIDITY 9] Valid
        S: * OK [UIDNEXT 6] Next
        S: * OK [HIGHESTMODSEQ 1] Highest
        S: * OK [MAILBOXID (F77)] Ever the same
        S: * LIST () "/" "INBOX"
        S: c OK [READ-WRITE] Opened
        C: d SEARCH UNSEEN
        S: * ESEARCH (TAG "d") ALL 1
        S: d OK Searched
        C: e UID SEARCH FLAGGED
        S: * ESEARCH (TAG "e") UID
        S: e OK Searched
        C: f LIST "" "台*"
        S: * LIST (\HasNoChildren) "/" "台北"
        S: f OK Done
        C: g STATUS 台北 (MESSAGES)
        S: g BAD Expected an atom or a string
        C: h STATUS "台北" (MESSAGES DELETED SIZE)
        S: * STATUS "台北" (MESSAGES 2 DELETED 1 SIZE 7000000000)
        S: h OK Done
        C: i COPY 1 "台北"
        S: i OK [COPYUID 7 4 1] Copied
        C: j CREATE "a&b"
        S: j OK [MAILBOXID (F79)] Created
        "#,
    );
    // Names of old are other names now.
    assert!(client.send(b"k COPY 1 \"&U,BTFw-\"\r\n").starts_with("k NO [TRYCREATE]"));
    // Who does not ask for it is told as of old.
    let said = Client::new(true).send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\nc SEARCH UNSEEN\r\n");
    assert!(said.contains(" IMAP4rev2 ") && said.contains("* 0 RECENT\r\n") && said.contains("* SEARCH 1\r\n") && !said.contains("* LIST"));
}

#[test]
fn rev2_is_offered_whole_or_not_at_all() {
    let mut client = Client::without(true, Extensions::named(["MOVE"]));
    let said = client.send(b"a LOGIN a@b.cn pw\r\n");
    assert!(!said.contains("IMAP4rev2") && said.contains("IMAP4rev1"));
    client.script("C: b ENABLE IMAP4rev2\nS: * ENABLED\nS: b OK Done\n");
}

#[test]
fn messages_whose_headers_are_utf8() {
    let mut client = Client::new(true);
    client.send(b"a LOGIN a@b.cn pw\r\n");
    client.script(
        r#"
        C: b APPEND inbox UTF8 (~{3+}\r\nabc)
        S: b BAD Say ENABLE UTF8=ACCEPT first
        C: c ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: c OK Done
        C: d APPEND inbox (\Seen) UTF8 (~{3+}\r\nabc)
        S: d OK [APPENDUID 9 6] Appended
        C: e APPEND inbox UTF8 (~{3+}\r\nabc
        S: e BAD Expected `)`
        C: f LIST "" "台%"
        S: * LIST (\HasNoChildren) "/" "台北"
        S: f OK Done
        "#,
    );
}

#[test]
fn several_messages_come_together_or_not_at_all() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c APPEND inbox (\Seen) {3+}\r\nabc "01-Oct-2024 10:00:00 +0800" {2+}\r\nde {1+}\r\nf
        S: c OK [APPENDUID 9 6:8] Appended
        C: d APPEND inbox {3+}\r\nabc {0+}\r\n
        S: d NO [CANNOT] Taken back by an empty message
        C: e APPEND other {3+}\r\nabc {1+}\r\nx
        S: e NO [TRYCREATE] No such mailbox
        C: f APPEND inbox {15000}
        S: + Ready
        "#,
    );
    // All of them together have the bound of one.
    assert_eq!(client.send(&[&vec![b'x'; 15_000][..], b" {5001}\r\n"].concat()), "f NO [TOOBIG] The literal is larger than this server takes\r\n");
    client.script("C: g NOOP\nS: g OK Done\n");
}

#[test]
fn one_message_takes_the_place_of_another() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c REPLACE 2 inbox (\Draft) {3+}\r\nabc
        S: * OK [APPENDUID 9 6] Replaced
        S: * 2 EXPUNGE
        S: c OK Replaced
        C: d UID REPLACE 4 "&U,BTFw-" {3+}\r\nabc
        S: * OK [APPENDUID 9 7] Replaced
        S: * 1 EXPUNGE
        S: d OK Replaced
        ! new
        C: e UID REPLACE 99 inbox {1+}\r\nx
        S: e NO [NONEXISTENT] The message is gone, and nothing was taken; APPEND it
        C: n NOOP
        S: * 1 EXISTS
        S: n OK Done
        C: f REPLACE 1 other {1+}\r\nx
        S: f NO [TRYCREATE] No such mailbox
        C: g REPLACE 9 inbox {1+}\r\nx
        S: g BAD No message has that sequence number
        ! new
        C: h NOOP
        S: * 2 EXISTS
        S: h OK Done
        C: i REPLACE 1:2 inbox {1+}\r\nx
        S: i BAD One message is replaced, not several
        "#,
    );
    client.send(b"j EXAMINE inbox\r\n");
    assert!(client.send(b"k REPLACE 1 inbox {1+}\r\nx\r\n").starts_with("k NO [READ-ONLY]"));
}

#[test]
fn when_a_message_was_saved() {
    let mut client = Client::selected();
    client.fake.mails[1].info.saved = None;
    client.send(b"x SELECT inbox\r\n");
    client.script(
        r#"
        C: c FETCH 1:2 SAVEDATE
        S: * 1 FETCH (SAVEDATE "02-Oct-2024 09:00:00 +0800")
        S: * 2 FETCH (SAVEDATE NIL)
        S: c OK Fetched
        C: d SEARCH SAVEDON 2-Oct-2024
        S: * SEARCH 1
        S: d OK Searched
        C: e SEARCH SAVEDBEFORE 2-Oct-2024 SAVEDATESUPPORTED
        S: * SEARCH 2
        S: e OK Searched
        C: f SEARCH SAVEDSINCE 1-Oct-2024
        S: * SEARCH 1 2
        S: f OK Searched
        "#,
    );
}

#[test]
fn parts_of_results() {
    let mut client = Client::new(true);
    for n in 0..8 {
        client.fake.add(format!("Subject: {}\r\n\r\n", 9 - n).into_bytes(), Flags::new());
    }
    client.send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\n");
    client.script(
        r#"
        C: c UID SEARCH RETURN (PARTIAL 1:3 COUNT) ALL
        S: * ESEARCH (TAG "c") UID PARTIAL (1:3 4:6) COUNT 10
        S: c OK Searched
        C: d SEARCH RETURN (PARTIAL -1:-2) ALL
        S: * ESEARCH (TAG "d") PARTIAL (-1:-2 9:10)
        S: d OK Searched
        C: e SEARCH RETURN (PARTIAL 20:29 SAVE MAX) ALL
        S: * ESEARCH (TAG "e") MAX 10 PARTIAL (20:29 NIL)
        S: e OK Searched
        C: f SEARCH $
        S: * SEARCH 10
        S: f OK Searched
        C: g UID FETCH 1:* (UID) (PARTIAL -2:-1)
        S: * 9 FETCH (UID 12)
        S: * 10 FETCH (UID 13)
        S: g OK Fetched
        C: h SEARCH RETURN (ALL PARTIAL 1:2) ALL
        S: h BAD Expected ALL or PARTIAL, not both
        C: i SEARCH RETURN (PARTIAL 1:-2) ALL
        S: i BAD Expected both ends of a partial range with one sign
        C: j UID SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 3:10
        S: * ESEARCH (TAG "j") UID MIN 13 MAX 6 COUNT 8
        S: j OK Sorted
        C: k SORT RETURN (PARTIAL 1:2) (SUBJECT) UTF-8 3:10
        S: * ESEARCH (TAG "k") PARTIAL (1:2 10,9)
        S: k OK Sorted
        C: l SORT RETURN () (ARRIVAL) UTF-8 3:5
        S: * ESEARCH (TAG "l") ALL 3:5
        S: l OK Sorted
        C: m SORT RETURN (SAVE) (ARRIVAL) UTF-8 3:5
        S: m BAD Expected MIN, MAX, ALL, COUNT or PARTIAL
        "#,
    );
}

#[test]
fn messages_are_called_by_their_uids_alone() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c ENABLE UIDONLY
        S: * ENABLED UIDONLY
        S: c OK Done
        C: d FETCH 1 FLAGS
        S: d BAD [UIDREQUIRED] Messages are called by their UIDs here
        C: e UID SEARCH 1:2
        S: e BAD [UIDREQUIRED] Messages are called by their UIDs here
        C: f UID SEARCH NOT UID 5
        S: * SEARCH 4
        S: f OK Searched
        C: g UID FETCH 1:* (FLAGS)
        S: * 4 UIDFETCH (FLAGS ())
        S: * 5 UIDFETCH (FLAGS (\Seen))
        S: g OK Fetched
        C: h UID STORE 4 +FLAGS (\Deleted)
        S: * 4 UIDFETCH (FLAGS (\Deleted))
        S: h OK Stored
        ! gone 5
        C: i NOOP
        S: * VANISHED 5
        S: i OK Done
        C: j EXPUNGE
        S: * VANISHED 4
        S: j OK Expunged
        C: k UID SEARCH RETURN (SAVE) ALL
        S: k OK Searched
        C: l UID FETCH $ UID
        S: l OK No such messages
        "#,
    );
    for command in ["STORE 1 FLAGS ()", "COPY 1 x", "MOVE 1 x", "SEARCH ALL", "SORT (DATE) UTF-8 ALL", "UID THREAD REFERENCES UTF-8 1", "REPLACE 1 x {1+}\r\nx"] {
        assert!(client.send(format!("x {command}\r\n").as_bytes()).starts_with("x BAD [UIDREQUIRED]"), "{command}");
    }
}

#[test]
fn annotations() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c SETMETADATA INBOX (/private/comment "mine" /PRIVATE/vendor/x/y {3+}\r\na"b)
        S: c OK Set
        C: d GETMETADATA INBOX /private/Comment
        S: * METADATA "INBOX" (/private/comment "mine")
        S: d OK Done
        C: e GETMETADATA (DEPTH infinity) INBOX (/private)
        S: * METADATA "INBOX" (/private/comment "mine" /private/vendor/x/y "a\"b")
        S: e OK Done
        C: f GETMETADATA (DEPTH infinity MAXSIZE 3) INBOX (/private/vendor /private/comment /shared/comment)
        S: * METADATA "INBOX" (/private/vendor/x/y "a\"b")
        S: f OK [METADATA LONGENTRIES 4] Done
        C: g GETMETADATA (DEPTH 1) INBOX /private/vendor
        S: g OK Done
        C: h GETMETADATA "" (/private/comment)
        S: * METADATA "" (/private/comment NIL)
        S: h OK Done
        C: i SETMETADATA "" (/private/comment ~{2+}\r\n\0x)
        S: i OK Set
        C: j GETMETADATA "" /private/comment
        S: * METADATA "" (/private/comment ~{2}
        S: NULx)
        S: j OK Done
        C: k SETMETADATA "" (/shared/admin "x")
        S: k NO [NOPERM] That annotation is not taken
        C: l SETMETADATA INBOX (/private/comment NIL)
        S: l OK Set
        C: m SETMETADATA "&U,BTFw-" (/private/a "1" /private/b "2")
        S: m NO [METADATA TOOMANY] No
        C: n SETMETADATA INBOX (/other/a "1")
        S: n BAD Expected the name of an entry, below /private/ or /shared/
        "#.replace("NULx", "\0x").as_str(),
    );
}

#[test]
fn compression_and_a_login_that_is_given_back() {
    let mut client = Client::new(true);
    assert!(!String::from_utf8_lossy(&client.said).contains("COMPRESS"));
    client.said.clear();
    client.script("C: a COMPRESS DEFLATE\nS: a BAD Log in first\n");
    assert!(client.send(b"b LOGIN a@b.cn pw\r\n").contains(" COMPRESS=DEFLATE "));
    client.script("C: c COMPRESS LZ4\nS: c NO Use COMPRESS DEFLATE\n");
    // What was sent ahead would have been compressed.
    assert_eq!(client.send(b"d COMPRESS DEFLATE\r\ne NOOP\r\n"), "d OK DEFLATE from here on\r\n");
    assert!(client.compressed && !client.send(b"f CAPABILITY\r\n").contains("COMPRESS"));
    client.script("C: g COMPRESS DEFLATE\nS: g NO [COMPRESSIONACTIVE] The connection is compressed already\n");
    client.send(b"h ENABLE UIDONLY IMAP4rev2\r\ni SELECT INBOX\r\n");
    client.script(
        r#"
        C: j UNAUTHENTICATE
        S: j OK Logged out; log in again
        C: k SELECT INBOX
        S: k BAD Log in first
        C: l APPEND INBOX {9000}
        S: l NO [TOOBIG] The literal is larger than this server takes
        "#,
    );
    client.send(b"m LOGIN a@b.cn pw\r\nn SELECT INBOX\r\n");
    client.script("C: o SEARCH 1\nS: * SEARCH 1\nS: o OK Searched\n");
}

/// By header where it is kept, by the message where it is not: the same is found, whatever is asked beside it.
#[test]
fn what_a_header_decides_is_found_whether_it_is_kept_or_the_message_read() {
    let mut client = Client::selected();
    client.fake.mails.clear();
    let days: Vec<usize> = (0..700).map(|number| number / 2 * 7 % 28 + 1).collect();
    for (number, day) in days.iter().enumerate() {
        client.fake.add(format!("Subject: {number}\r\nDate: {day} Nov 2026 10:00:00 +0800\r\n\r\nword{}\r\n", number % 5).into_bytes(), Flags::new());
    }
    client.send(b"b SELECT inbox\r\n");
    type Holds = fn(usize, usize) -> bool;
    let asked: [(&str, bool, Holds); 7] = [
        ("SENTSINCE 20-Nov-2026", true, |_, day| day >= 20),
        ("NOT SENTBEFORE 20-Nov-2026", true, |_, day| day >= 20),
        ("SENTON 8-Nov-2026 SUBJECT 3", true, |number, day| day == 8 && number.to_string().contains('3')),
        ("OR SENTON 8-Nov-2026 SENTON 15-Nov-2026", true, |_, day| day == 8 || day == 15),
        // A header alone says no to the most of these, and yes to some.
        ("SENTON 8-Nov-2026 BODY word3", false, |number, day| day == 8 && number % 5 == 3),
        ("OR SENTON 8-Nov-2026 BODY word3", false, |number, day| day == 8 || number % 5 == 3),
        ("OR SUBJECT 69 NOT TEXT word3", false, |number, _| number.to_string().contains("69") || number % 5 != 3),
    ];
    for (keys, by_header_alone, holds) in asked {
        let expected: String = days.iter().enumerate().filter(|(number, day)| holds(*number, **day)).map(|(number, _)| format!(" {}", number + 1)).collect();
        let told = client.send(format!("c SEARCH {keys}\r\n").as_bytes());
        assert_eq!(told, format!("* SEARCH{expected}\r\nc OK Searched\r\n"), "{keys}");
        let count = |kind: &str| client.fake.asked.iter().filter(|asked| *asked == kind).count();
        assert_eq!(count("Outlines"), 3, "{keys}");
        assert!(if by_header_alone { count("Load") == 350 } else { (350..700).contains(&count("Load")) }, "{keys}: {}", count("Load"));
    }
}

/// Long headers are told in several answers; no message is read whose header is kept.
#[test]
fn headers_that_were_not_told_at_once_are_asked_for_again() {
    let mut client = Client::selected();
    client.fake.mails.clear();
    for number in 0..400 {
        client.fake.add(format!("X-Long: {}\r\nDate: {} Nov 2026 10:00:00 +0800\r\n\r\nx\r\n", "y".repeat(9_000), number % 2 + 1).into_bytes(), Flags::new());
    }
    client.send(b"b SELECT inbox\r\n");
    let told = client.send(b"c SEARCH RETURN (COUNT) SENTON 2-Nov-2026\r\n");
    assert_eq!(told, "* ESEARCH (TAG \"c\") COUNT 200\r\nc OK Searched\r\n");
    let count = |kind: &str| client.fake.asked.iter().filter(|asked| *asked == kind).count();
    assert!(count("Load") == 200 && (2..6).contains(&count("Outlines")), "{} {}", count("Load"), count("Outlines"));
}

#[test]
fn so_many_words_are_looked_for_at_once_and_no_more() {
    let mut client = Client::selected();
    let keys = |count: usize| (0..count).map(|at| format!(" NOT BODY w{at}")).collect::<String>();
    assert_eq!(client.send(format!("c SEARCH{}\r\n", keys(32)).as_bytes()), "* SEARCH 1 2\r\nc OK Searched\r\n");
    let refused = client.send(format!("d SEARCH{} TEXT x\r\n", keys(32)).as_bytes());
    assert!(refused.starts_with("d BAD Too many"), "{refused}");
}

/// What is asked for after a message is announced once, and not where outlines may do.
#[test]
fn messages_of_a_long_fetch_are_announced_before_they_are_asked_for() {
    let mut client = Client::selected();
    (0..200).for_each(|number| drop(client.fake.add(vec![b'x'; if number == 150 { 600 << 10 } else { 100 }], Flags::new())));
    client.send(b"b SELECT inbox\r\n");
    client.send(b"c FETCH 1:* BODY.PEEK[]\r\n");
    let announced: Vec<usize> = client.fake.announced.iter().map(Vec::len).filter(|count| *count > 0).collect();
    assert_eq!(announced, [64, 64, 21, 49]);
    let mut all: Vec<u32> = client.fake.announced.concat();
    assert!(all.is_sorted());
    all.dedup();
    assert_eq!(all.len(), 198);
    for command in ["d FETCH 1:* ENVELOPE\r\n", "d FETCH 1:3 BODY.PEEK[]\r\n", "d SEARCH BODY y\r\n"] {
        client.send(command.as_bytes());
        assert!(client.fake.announced.iter().all(Vec::is_empty), "{command}");
    }
}
