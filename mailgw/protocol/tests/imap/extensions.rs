//! Dialogues of the extensions: lists, quota, ids, previews, decoded parts, orders and conversations.
use protocol::imap::exchange::*;
use protocol::imap::extension::Extensions;

use super::client::Client;

fn mail(client: &mut Client, header: &str, body: &str) -> u32 {
    let info = client.fake.add(format!("{}\r\n\r\n{body}", header.replace('\n', "\r\n")).into_bytes(), Flags::new());
    client.change(Change::New(info.clone()));
    info.uid
}

#[test]
fn lists_with_status_and_quota() {
    Client::selected().script(
        r#"
        C: a LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES MAILBOXID APPENDLIMIT DELETED-STORAGE))
        S: * LIST (\HasNoChildren \Subscribed) "/" "INBOX"
        S: * STATUS "INBOX" (MESSAGES 2 MAILBOXID (F77) APPENDLIMIT 20000 DELETED-STORAGE 12)
        S: a OK Done
        C: b LIST "" ("IN*" "台*") RETURN ()
        S: b BAD The mailbox name is not valid modified UTF-7, or empty, too long, or with control characters
        C: c LIST () "" ("IN*" "&U,A-*") RETURN (SUBSCRIBED CHILDREN)
        S: * LIST (\HasNoChildren \Subscribed) "/" "INBOX"
        S: * LIST (\HasNoChildren) "/" "&U,BTFw-"
        S: c OK Done
        C: d LIST (RECURSIVEMATCH) "" *
        S: d BAD Expected SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH
        C: e GETQUOTAROOT INBOX
        S: * QUOTAROOT "INBOX" account
        S: * QUOTA account (STORAGE 2 10240)
        S: e OK Done
        C: f GETQUOTA account
        S: * QUOTA account (STORAGE 2 10240)
        S: f OK Done
        C: g GETQUOTA ""
        S: g NO [NONEXISTENT] No such quota root
        C: h SETQUOTA "" (STORAGE 512)
        S: h NO [NOPERM] Quotas are set by the operator
        C: i FETCH 1:2 (EMAILID THREADID)
        S: * 1 FETCH (EMAILID (M4) THREADID (S4))
        S: * 2 FETCH (EMAILID (M5) THREADID (S5))
        S: i OK Fetched
        C: j SEARCH OR EMAILID M5 EMAILID other
        S: * SEARCH 2
        S: j OK Searched
        C: k SEARCH OLDER 3600
        S: * SEARCH 1 2
        S: k OK Searched
        C: l SEARCH NOT YOUNGER 3601
        S: * SEARCH
        S: l OK Searched
        C: m FETCH 1 (PREVIEW (LAZY))
        S: * 1 FETCH (PREVIEW {6}
        S: 你好)
        S: m OK Fetched
        C: n FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.SIZE[2])
        S: * 1 FETCH (BINARY[1] {6}
        S: 你好 BINARY.SIZE[1] 6 BINARY.SIZE[2] 20)
        S: n OK Fetched
        C: o UID FETCH 4 BINARY[1]<3.9>
        S: * 1 FETCH (UID 4 BINARY[1]<3> {3}
        S: 好 FLAGS (\Seen))
        S: o OK Fetched
        C: p FETCH 1 BINARY[1.MIME]
        S: p BAD Expected a number
        "#,
    );
}

#[test]
fn sorted() {
    let mut client = Client::selected();
    mail(&mut client, "Subject: Re: two\nFrom: 王 <c@x.cn>\nDate: Tue, 1 Oct 2024 09:00:00 +0800", "x");
    mail(&mut client, "Subject: Aa\nFrom: Zoe <a@x.cn>\nDate: Tue, 1 Oct 2024 00:30:00 +0000", "much longer than the others are");
    client.script(
        r#"
        C: a UID SORT (SUBJECT REVERSE DATE) UTF-8 ALL
        S: * SORT 5 4
        S: * 4 EXISTS
        S: a OK Sorted
        C: b SORT (DATE) US-ASCII ALL
        S: * SORT 4 3 1 2
        S: b OK Sorted
        C: c SORT (REVERSE SIZE) UTF-8 NOT 1
        S: * SORT 4 3 2
        S: c OK Sorted
        C: d UID SORT (FROM) UTF-8 UID 6:7
        S: * SORT 7 6
        S: d OK Sorted
        C: e UID SORT (REVERSE DISPLAYFROM) UTF-8 UID 6:7
        S: * SORT 6 7
        S: e OK Sorted
        C: f SORT (SUBJECT) KOI8-R ALL
        S: f NO [BADCHARSET (UTF-8 US-ASCII)] The charset is not known: use UTF-8 or US-ASCII
        C: g SORT () UTF-8 ALL
        S: g BAD Expected a word
        C: h SORT (DATE) UTF-8 KEYWORD none
        S: * SORT
        S: h OK Sorted
        "#,
    );
    client.script("C: i UID SORT (SUBJECT REVERSE DATE) UTF-8 ALL\nS: * SORT 7 5 6 4\nS: i OK Sorted\n");
}

#[test]
fn conversations() {
    let mut client = Client::new(true);
    client.fake.mails.clear();
    // 4 ← 5, 4 ← 6 ← 8; 7 and 9 refer to one that is not here; 10 says Re: of 11, which came later and has no id.
    for (header, day) in [
        ("Message-ID: <a@x>\nSubject: plan", 1),
        ("Message-ID: <b@x>\nReferences: <a@x>\nSubject: Re: plan", 3),
        ("Message-ID: <c@x>\nIn-Reply-To: <a@x>\nSubject: Re: plan", 2),
        ("Message-ID: <d@x>\nReferences: <gone@x>\nSubject: q", 4),
        ("Message-ID: <e@x>\nReferences: <a@x> <c@x>\nSubject: Re: plan", 5),
        ("Message-ID: <f@x>\nReferences: <gone@x>\nSubject: r", 6),
        ("Message-ID: <g@x>\nSubject: Re: 会议", 7),
        ("Subject: 会议", 8),
    ] {
        client.fake.add(format!("{header}\nDate: {day} Oct 2024 09:00:00 +0800\n\nx").replace('\n', "\r\n").into_bytes(), Flags::new());
    }
    client.fake.mails.iter_mut().zip(1..).for_each(|(mail, uid)| mail.info.uid = uid);
    client.send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\n");
    client.script(
        r#"
        C: a THREAD REFERENCES UTF-8 ALL
        S: * THREAD (1 (3 5)(2))((4)(6))(8 7)
        S: a OK Threaded
        C: b UID THREAD ORDEREDSUBJECT UTF-8 ALL
        S: * THREAD (1 (3)(2)(5))(4)(6)(7 8)
        S: b OK Threaded
        C: c THREAD REFERENCES UTF-8 2,5
        S: * THREAD ((2)(5))
        S: c OK Threaded
        C: d THREAD REFS UTF-8 ALL
        S: d BAD Expected ORDEREDSUBJECT or REFERENCES
        C: e THREAD REFERENCES UTF-8 FLAGGED
        S: * THREAD
        S: e OK Threaded
        "#,
    );
}

#[test]
fn a_conversation_has_one_id() {
    let mut client = Client::selected();
    mail(&mut client, "Message-ID: <1@a.cn>", "x");
    mail(&mut client, "Message-ID: <2@b.cn>\nReferences: <1@a.cn>\nIn-Reply-To: <1@a.cn>", "y");
    mail(&mut client, "Message-ID: <3@b.cn>\nSubject: 1@a.cn", "z");
    client.script(
        r#"
        C: c NOOP
        S: * 5 EXISTS
        S: c OK Done
        C: d FETCH 3:5 THREADID
        S: * 3 FETCH (THREADID (TMUBhLmNu))
        S: * 4 FETCH (THREADID (TMUBhLmNu))
        S: * 5 FETCH (THREADID (TM0BiLmNu))
        S: d OK Fetched
        C: e SEARCH THREADID TMUBhLmNu
        S: * SEARCH 3 4
        S: e OK Searched
        C: f SEARCH OR THREADID S5 THREADID TM0BiLmNu
        S: * SEARCH 2 5
        S: f OK Searched
        C: g SEARCH OR THREADID S6 OR THREADID other THREADID NIL
        S: * SEARCH
        S: g OK Searched
        "#,
    );
}

#[test]
fn circles_and_long_chains_are_told_once_each() {
    let mut client = Client::new(true);
    client.fake.mails.clear();
    for n in 0..3_000 {
        client.fake.add(format!("Message-ID: <{n}@x>\r\nReferences: <{}@x> <{}@x>\r\nSubject: s{n}\r\n\r\n", (n + 2_998) % 3_000, (n + 2_999) % 3_000).into_bytes(), Flags::new());
    }
    client.send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\n");
    let said = client.send(b"c UID THREAD REFERENCES UTF-8 ALL\r\n");
    let mut uids: Vec<u32> = said.lines().next().unwrap().split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    uids.sort_unstable();
    assert_eq!(uids, (6..3_006).collect::<Vec<u32>>());
}

#[test]
fn what_an_order_keeps_of_its_messages_is_bounded() {
    let mut client = Client::new(true);
    let references: String = (0..100).map(|n| format!(" <{}@{n}>\r\n", "x".repeat(480))).collect();
    for _ in 0..80 {
        client.fake.add(format!("Subject: s\r\nReferences:{references}\r\nx").into_bytes(), Flags::new());
    }
    client.send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\n");
    client.script("C: c THREAD REFERENCES UTF-8 ALL\nS: c NO [LIMIT] These are too many to be arranged; search for fewer\n");
    assert_eq!(client.session.kept(), 0);
    // What is not asked for is not kept.
    assert!(client.send(b"d SORT (SUBJECT) UTF-8 ALL\r\n").ends_with("d OK Sorted\r\n"));
    // All sessions together keep too much: this one gives up, and goes on with what it is told next.
    let mut out = client.session.receive(b"e THREAD REFERENCES UTF-8 ALL\r\nf NOOP\r\n");
    assert!(matches!(out.last(), Some(Output::Do(Request::Outlines { listing: false, header: true, .. }))));
    // The headers that are held count, until they are read.
    let (mut kept, header) = (Outlines::default(), format!("Subject: s\r\nReferences:{references}\r\n"));
    kept.push(client.fake.mails[3].info.content, Texts { header: header.as_bytes(), ..Texts::default() });
    out = client.session.answer(Answer::Outlines(kept));
    assert_eq!(client.session.kept(), header.len());
    for _ in 0..3 {
        assert!(matches!(out.last(), Some(Output::Do(Request::Load { .. }))));
        out = client.session.answer(Answer::Bytes(format!("Subject: s\r\nReferences:{references}\r\nx").into_bytes().into()));
    }
    assert!(client.session.kept() > 100_000);
    let said: Vec<u8> = client.session.shed().into_iter().flat_map(|output| if let Output::Send(bytes) = output { bytes } else { Vec::new() }).collect();
    assert_eq!(String::from_utf8(said).unwrap(), "e NO [LIMIT] Too much is being arranged at this moment; try again later\r\nf OK Done\r\n");
    assert_eq!(client.session.kept(), 0);
}

#[test]
fn what_is_switched_off_is_not_offered_and_not_taken() {
    let off = Extensions::named(["qresync", "SORT", "MOVE", "OBJECTID", "ESEARCH", "WITHIN", "LIST-STATUS", "BINARY", "unknown"]);
    let mut client = Client::without(true, off);
    let said = client.send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\n");
    assert!(!["QRESYNC", "SORT", "MOVE", "OBJECTID", "ESEARCH", "WITHIN", "LIST-STATUS", "BINARY", "MAILBOXID"].iter().any(|word| said.contains(word)), "{said}");
    assert!(said.contains(" CONDSTORE ") && said.contains(" THREAD=REFERENCES "));
    for command in [
        "UID MOVE 4 x", "SORT (DATE) UTF-8 ALL", "SELECT INBOX (QRESYNC (9 1))", "FETCH 1 EMAILID", "SEARCH RETURN () ALL", "SEARCH NOT (OLDER 5)", "LIST \"\" * RETURN (STATUS (MESSAGES))",
        "FETCH 1 BINARY[1]", "STATUS INBOX (MAILBOXID)",
    ] {
        let said = client.send(format!("x {command}\r\n").as_bytes());
        assert!(said.starts_with("x BAD ") && said.ends_with(" is switched off here\r\n"), "{command}: {said}");
    }
    client.script("C: c ENABLE QRESYNC CONDSTORE\nS: * ENABLED CONDSTORE\nS: c OK Done\nC: d SEARCH ALL\nS: * SEARCH 1 2\nS: d OK Searched\n");
}

#[test]
fn literals_of_octets() {
    Client::selected().script(
        r#"
        C: c APPEND inbox ~{3+}\r\nabc
        S: c OK [APPENDUID 9 6] Appended
        C: d APPEND inbox ~{3+}\r\na\0c
        S: d NO [UNKNOWN-CTE] The message has a NUL octet; encode it
        "#,
    );
}

/// The server is told whether a client gets content of a message: it may count that, and must not count what shows a list.
#[test]
fn what_shows_content_is_told_from_what_shows_a_list() {
    let shows = |command: &str| {
        let mut client = Client::new(true);
        client.send(b"a LOGIN a@b.cn pw\r\nb SELECT INBOX\r\n");
        assert!(client.send(format!("x {command}\r\n").as_bytes()).contains("x OK "), "{command}");
        client.fake.shown
    };
    for command in ["FETCH 1 BODY[]", "FETCH 1 BODY.PEEK[TEXT]", "FETCH 1 RFC822", "UID FETCH 4 (FLAGS BODY.PEEK[1]<0.10>)", "FETCH 1 BINARY.PEEK[1]", "FETCH 1 PREVIEW"] {
        assert_eq!(shows(command), [true], "{command}");
    }
    for command in ["FETCH 1 ALL", "FETCH 1 FULL", "FETCH 1 (BODY.PEEK[HEADER] BODYSTRUCTURE)", "FETCH 1 RFC822.HEADER", "FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "SEARCH TEXT hello"] {
        assert!(shows(command).iter().all(|shows| !shows), "{command}");
    }
    assert!(shows("FETCH 1 (FLAGS UID RFC822.SIZE)").is_empty());
}

/// A mailbox is made for what it is for, and each is told what it is whatever it is called. spec: rfc6154#3 rfc8474#4.1
#[test]
fn mailboxes_are_made_for_a_use() {
    let mut client = Client::without(true, Extensions::named(["STATUS=SIZE"]));
    assert!(client.send(b"a LOGIN a@b.cn pw\r\n").contains(" SPECIAL-USE CREATE-SPECIAL-USE "));
    client.script(
        r#"
        C: b CREATE "&V4NXPpCuTvY-" (USE (\junk \Trash))
        S: b OK [MAILBOXID (F79)] Created
        C: c LIST (SPECIAL-USE) "" *
        S: * LIST (\HasNoChildren \Junk \Trash) "/" "&V4NXPpCuTvY-"
        S: c OK Done
        C: d CREATE taken (USE (\Sent))
        S: d NO [USEATTR] No
        C: e CREATE other (USE (\Sent \Flagged))
        S: e NO [USEATTR] No mailbox is kept for that use here
        C: f CREATE other/ (USE ())
        S: f OK [MAILBOXID (F79)] Created
        C: g CREATE other (USE \Sent)
        S: g BAD Expected `(`
        C: h CREATE other (USE (Sent))
        S: h BAD Expected a use, such as \Sent
        C: i CREATE other (KEEP (\Sent))
        S: i BAD Expected USE
        C: j CREATE other (USE (\Sent)
        S: j BAD Expected `)`
        C: k CREATE other
        S: k OK [MAILBOXID (F79)] Created
        "#,
    );
    assert_eq!(client.fake.asked, ["Create"]);
    for off in ["CREATE-SPECIAL-USE", "SPECIAL-USE"] {
        let mut client = Client::without(true, Extensions::named([off, "OBJECTID"]));
        assert!(!client.send(b"a LOGIN a@b.cn pw\r\n").contains("CREATE-SPECIAL-USE"));
        client.script("C: b CREATE x (USE (\\Sent))\nS: b BAD CREATE-SPECIAL-USE is switched off here\nC: c CREATE x\nS: c OK Created");
    }
}

#[test]
fn what_every_server_has_can_be_switched_off_too() {
    let mut client = Client::without(true, Extensions::named(["SASL-IR", "UNSELECT", "ENABLE"]));
    let said = client.send(b"a CAPABILITY\r\n");
    for word in ["SASL-IR", "UNSELECT", "ENABLE", "IMAP4rev2", "UTF8=ACCEPT", "UIDONLY", "QRESYNC"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    client.script("C: b AUTHENTICATE PLAIN AGFAYi5jbgBwdw==\nS: b BAD SASL-IR is switched off here");
    assert_eq!(client.send(b"c AUTHENTICATE PLAIN\r\n"), "+ \r\n");
    assert!(client.send(b"AGFAYi5jbgBwdw==\r\n").starts_with("c OK [CAPABILITY IMAP4rev1 CHILDREN LITERAL+ "));
    client.script("C: d ENABLE CONDSTORE\nS: d BAD ENABLE is switched off here\nC: e UNSELECT\nS: e BAD UNSELECT is switched off here");
    assert!(client.send(b"f SELECT INBOX (CONDSTORE)\r\n").contains("f OK "));
}

/// spec: rfc7888#5
#[test]
fn small_literals_come_unasked_where_large_ones_may_not() {
    let mut client = Client::without(true, Extensions::named(["LITERAL+"]));
    let said = client.send(b"a LOGIN {6+}\r\na@b.cn pw\r\n");
    assert!(said.contains(" LITERAL- ") && !said.contains("LITERAL+") && said.contains(" IMAP4rev2 "), "{said}");
    let message = "x".repeat(4_097);
    assert_eq!(client.send(format!("b APPEND inbox {{4096+}}\r\n{}\r\n", &message[1..]).as_bytes()), "b OK [APPENDUID 9 6] Appended\r\n");
    assert_eq!(client.send(format!("c APPEND inbox {{4097}}\r\n{message}\r\n").as_bytes()), "+ Ready\r\nc OK [APPENDUID 9 7] Appended\r\n");
    assert_eq!(
        client.send(b"d APPEND inbox {4097+}\r\nd DELETE inbox\r\n"),
        "d BAD [TOOBIG] Wait for leave before a literal of more than 4096 octets is sent\r\n* BYE [TOOBIG] The stream is out of step\r\n"
    );
    assert!(client.closed);
    let mut client = Client::without(true, Extensions::named(["LITERAL+", "LITERAL-"]));
    let said = client.send(b"a LOGIN a@b.cn {2}\r\npw\r\n");
    assert!(said.contains("] Ready\r\n+ Ready\r\na OK ") && !said.contains("LITERAL") && !said.contains("IMAP4rev2"), "{said}");
    // What would be its octets is not taken for a command.
    assert_eq!(client.send(b"b APPEND inbox {16+}\r\nc DELETE inbox\r\n"), "b BAD Wait for leave before a literal is sent\r\n* BYE The stream is out of step\r\n");
    assert!(client.closed && client.fake.asked.is_empty());
    let said = Client::new(true).send(b"a LOGIN a@b.cn pw\r\n");
    assert!(said.contains(" LITERAL+ ") && !said.contains("LITERAL-"), "{said}");
}

/// Octets outside the alphabet of base64 are passed over: the third is empty. spec: rfc3516#4.3 rfc2045#6.8
#[test]
fn what_cannot_be_decoded_is_refused_and_hides_no_other() {
    let mut client = Client::selected();
    let with = |coding: &str| format!("Content-Transfer-Encoding: {coding}\r\n\r\nZm9v\r\n").into_bytes();
    for message in [with("x-uuencode"), with("base64"), b"Content-Transfer-Encoding: base64\r\n\r\n\xff*".to_vec(), with("x-none"), with("base64")] {
        client.arrives(&message);
    }
    client.send(b"x NOOP\r\n");
    client.script(
        r#"
        C: a UID FETCH 6 (FLAGS BINARY[1])
        S: a NO [UNKNOWN-CTE] The encoding of some parts cannot be undone; fetch them as they are
        C: b UID FETCH 6 FLAGS
        S: * 3 FETCH (UID 6 FLAGS ())
        S: b OK Fetched
        C: c UID FETCH 6:9 (BINARY.SIZE[1])
        S: * 4 FETCH (UID 7 BINARY.SIZE[1] 3)
        S: * 5 FETCH (UID 8 BINARY.SIZE[1] 0)
        S: c NO [UNKNOWN-CTE] The encoding of some parts cannot be undone; fetch them as they are
        C: d UID FETCH 9:10 (BINARY[1])
        S: * 7 FETCH (UID 10 BINARY[1] {3}
        S: foo FLAGS (\Seen))
        S: d NO [UNKNOWN-CTE] The encoding of some parts cannot be undone; fetch them as they are
        C: e UID FETCH 9 FLAGS
        S: * 6 FETCH (UID 9 FLAGS ())
        S: e OK Fetched
        C: f UID FETCH 6 (BINARY.PEEK[2] BINARY.SIZE[2])
        S: * 3 FETCH (UID 6 BINARY[2] NIL BINARY.SIZE[2] 0)
        S: f OK Fetched
        C: g UID FETCH 6 BODY.PEEK[1]
        S: * 3 FETCH (UID 6 BODY[1] {6}
        S: Zm9v
        S: )
        S: g OK Fetched
        "#,
    );
}
