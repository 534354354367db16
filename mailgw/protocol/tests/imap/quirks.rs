//! What mail programs that people have are known to do otherwise than a reader of the RFCs would think, as public threads and captures tell;
//! the thread stands beside each. Where none is public, the dialogue is written from what is known of the program, and says so.
use protocol::imap::exchange::SystemFlag;

use super::client::{Client, mailbox};

/// Outlook asks for a whole message by an item that went out of use in 1996. emersion/go-imap#657
#[test]
fn outlook_asks_as_rfc1730_had_it() {
    let mut client = Client::selected();
    let said = client.send(b"7 UID fetch 4 (UID RFC822.SIZE RFC822.peek)\r\n");
    assert!(said.starts_with("* 1 FETCH (UID 4 RFC822.SIZE ") && said.contains(" RFC822 {") && said.ends_with("\r\n7 OK Fetched\r\n"), "{said}");
    // Nothing was marked as seen by it, and what it brought is the message.
    assert!(!client.fake.mails[0].info.flags.has(SystemFlag::Seen));
    let whole = client.send(b"8 UID FETCH 4 BODY.PEEK[]\r\n");
    let literal = |said: &str| said.split_once("}\r\n").unwrap().1.rsplit_once(")\r\n").unwrap().0.to_owned();
    assert_eq!(literal(&said), literal(&whole));
    let said = client.send(b"9 UID FETCH 4 (RFC822.TEXT.PEEK)\r\n");
    assert!(said.starts_with("* 1 FETCH (UID 4 RFC822.TEXT {") && said.ends_with("9 OK Fetched\r\n"), "{said}");
}

/// Since iOS 18 the commands that follow IDLE come in one packet with its DONE. stalwartlabs/stalwart#765
#[test]
fn apples_mail_goes_on_in_the_packet_that_ends_idle() {
    let mut client = Client::selected();
    assert_eq!(client.send(b"EX5 IDLE\r\n"), "+ idling\r\n");
    let said = client.send(b"DONE\r\nEX6 NOOP\r\nEX7 UID FETCH 1:* (UID FLAGS)\r\n");
    assert!(said.starts_with("EX5 OK Done\r\nEX6 OK Done\r\n* 1 FETCH (UID 4 FLAGS ") && said.ends_with("\r\nEX7 OK Fetched\r\n"), "{said}");
    // And so may IDLE itself with what comes before it.
    let said = client.send(b"EX8 NOOP\r\nEX9 IDLE\r\nDONE\r\nEX10 NOOP\r\n");
    assert_eq!(said, "EX8 OK Done\r\n+ idling\r\nEX9 OK Done\r\nEX10 OK Done\r\n");
}

/// It reads the first part of every message up to a size, and more when it is opened. feedback-assistant/reports#840
#[test]
fn apples_mail_reads_the_first_octets_of_a_part() {
    let mut client = Client::selected();
    let said = client.send(b"EX32 UID FETCH 4 (UID BODY.PEEK[1]<0.393216>)\r\n");
    assert!(said.starts_with("* 1 FETCH (UID 4 BODY[1]<0> {") && said.ends_with("\r\nEX32 OK Fetched\r\n"), "{said}");
}

/// eM Client names both in one list, in this order. Purelymail/purelymail-issues#452
#[test]
fn em_client_selects_with_condstore_and_qresync() {
    let mut client = Client::new(true);
    client.send(b"a LOGIN a@b.cn pw\r\nb ENABLE QRESYNC\r\n");
    let said = client.send(b"c SELECT INBOX (CONDSTORE QRESYNC (9 1))\r\n");
    assert!(said.contains("* OK [HIGHESTMODSEQ ") && said.ends_with("c OK [READ-WRITE] Opened\r\n"), "{said}");
}

/// Programs write INBOX as they like, and ask for it by name. modern-email/defects#8
#[test]
fn inbox_in_any_case_is_one() {
    let mut client = Client::selected();
    for name in ["INBOX", "Inbox", "inbox", "\"iNbOx\""] {
        let said = client.send(format!("a STATUS {name} (MESSAGES)\r\n").as_bytes());
        assert_eq!(said, "* STATUS \"INBOX\" (MESSAGES 2)\r\na OK Done\r\n", "{name}");
        let said = client.send(format!("b LIST \"\" {name}\r\n").as_bytes());
        assert_eq!(said, "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\nb OK Done\r\n", "{name}");
    }
}

/// Thunderbird 153.8.0esr of Debian 12. Its commands are recorded, from its own log of `certs-test/tests/thunderbird.rs` and of several of its
/// connections; folder, numbers and letter are this mailbox's. It logs in without an initial response, names folders and searches in bare UTF-8
/// once it has that, asks for what changed since 0, and appends in the form of UTF8.
#[test]
fn thunderbird_compresses_speaks_utf8_and_asks_what_changed_since_nothing() {
    let mut client = Client::new(true);
    client.send(b"");
    assert_eq!(client.send(b"45 authenticate PLAIN\r\n"), "+ \r\n");
    assert!(client.send(b"AGFAYi5jbgBwdw==\r\n").starts_with("45 OK [CAPABILITY IMAP4rev1 "));
    client.script(
        r#"
        C: 46 namespace
        S: * NAMESPACE (("" "/")) NIL NIL
        S: 46 OK Done
        C: 47 COMPRESS DEFLATE
        S: 47 OK DEFLATE from here on
        "#,
    );
    assert!(client.compressed);
    client.script(
        r#"
        C: 48 ID ("name" "Thunderbird" "version" "153.8.0")
        S: * ID ("name" "Suiyin")
        S: 48 OK Done
        C: 49 ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: 49 OK Done
        C: 65 list (subscribed) "" "*" return (special-use)
        S: * LIST (\HasNoChildren \Subscribed) "/" "INBOX"
        S: 65 OK Done
        C: 66 list "" "INBOX"
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: 66 OK Done
        C: 82 subscribe "台北"
        S: 82 OK Subscribed
        C: 8 STATUS "台北" (UIDNEXT MESSAGES UNSEEN RECENT)
        S: * STATUS "台北" (UIDNEXT 6 MESSAGES 2 UNSEEN 1 RECENT 0)
        S: 8 OK Done
        "#,
    );
    let said = client.send(b"50 select \"INBOX\"\r\n");
    assert!(said.contains("* OK [HIGHESTMODSEQ 1] ") && said.ends_with("50 OK [READ-WRITE] Opened\r\n"), "{said}");
    client.script(
        r#"
        C: 52 UID fetch 1:* (FLAGS) (CHANGEDSINCE 0)
        S: * 1 FETCH (UID 4 FLAGS () MODSEQ (1))
        S: * 2 FETCH (UID 5 FLAGS (\Seen) MODSEQ (1))
        S: 52 OK Fetched
        C: 53 UID fetch 1:* (FLAGS) (CHANGEDSINCE 1)
        S: 53 OK Fetched
        "#,
    );
    let said = client.send(b"75 UID fetch 4:5 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])\r\n");
    let asked = "BODY[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)] {";
    assert!(said.matches(asked).count() == 2 && said.contains("Subject: =?UTF-8?B?5YWs56ev6YeR?=\r\n") && said.ends_with("\r\n75 OK Fetched\r\n"), "{said}");
    client.script(
        r#"
        C: 61 UID fetch 5 (UID BODY.PEEK[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] BODY.PEEK[TEXT]<0.2048>)
        S: * 2 FETCH (UID 5 BODY[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] {2}
        S:
        S:  BODY[TEXT]<0> {6}
        S: body
        S: )
        S: 61 OK Fetched
        "#,
    );
    assert!(!client.fake.mails[0].info.flags.has(SystemFlag::Seen));
    assert_eq!(client.send("88 uid SEARCH UNDELETED SUBJECT {9}\r\n".as_bytes()), "+ Ready\r\n");
    assert_eq!(client.send("公积金\r\n".as_bytes()), "* SEARCH 4\r\n88 OK Searched\r\n");
    assert_eq!(client.send(b"89 uid store 4 +Flags (\\Seen)\r\n"), "* 1 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (2))\r\n89 OK Stored\r\n");
    assert_eq!(client.send(b"34 IDLE\r\n"), "+ idling\r\n");
    client.script("! new\nS: * 3 EXISTS\nC: DONE\nS: 34 OK Done\nC: 35 noop\nS: 35 OK Done");
    client.script("C: 74 uid move 5 \"台北\"\nS: * OK [COPYUID 7 5 1] Moved\nS: * 2 EXPUNGE\nS: 74 OK Moved");
    let sent = "Subject: =?UTF-8?B?5YWs56ev6YeR?=\r\n\r\n您好\r\n".as_bytes();
    assert_eq!(client.send(format!("103 append \"台北\" (\\Seen) UTF8 (~{{{}+}}\r\n", sent.len()).as_bytes()), "");
    assert_eq!(client.send(sent), "");
    assert_eq!(client.send(b")\r\n"), "103 OK [APPENDUID 9 7] Appended\r\n");
    assert!(client.fake.mails.last().unwrap().bytes == sent);
}

/// Foxmail 7. No recording of it is public: its ID is as programs that pose as it write it, the rest is
/// written from what it is known to do, in the style that QQ Mail and 163 see. Its sent mail goes into a folder of its own, in GB18030, and the
/// day of its date is padded with a space.
#[test]
fn foxmail_lists_whole_folders_and_keeps_what_it_sent() {
    let mut client = Client::new(true);
    client.send(b"");
    client.script(
        r#"
        C: C1 ID ("name" "com.tencent.foxmail" "version" "7.2.25.375" "os" "windows" "os-version" "10.0" "vendor" "tencent limited" "contact" "foxmail@foxmail.com")
        S: * ID ("name" "Suiyin")
        S: C1 OK Done
        "#,
    );
    assert!(client.send(b"C2 LOGIN \"a@b.cn\" \"pw\"\r\n").starts_with("C2 OK [CAPABILITY IMAP4rev1 "));
    client.script(
        r#"
        C: C3 LIST "" *
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: * LIST (\HasNoChildren) "/" "&U,BTFw-"
        S: C3 OK Done
        C: C4 LSUB "" *
        S: * LSUB (\HasNoChildren) "/" "INBOX"
        S: C4 OK Done
        "#,
    );
    assert!(client.send(b"C5 SELECT \"INBOX\"\r\n").contains("* 2 EXISTS\r\n"));
    let said = client.send(b"C6 UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER])\r\n");
    let (first, second) = said.split_once("* 2 FETCH (UID 5 RFC822.SIZE 22 FLAGS (\\Seen) BODY[HEADER] {").unwrap();
    assert!(first.starts_with("* 1 FETCH (UID 4 RFC822.SIZE ") && first.contains(" FLAGS () BODY[HEADER] {") && first.contains("Subject: =?UTF-8?B?5YWs56ev6YeR?=\r\n"), "{said}");
    assert!(second.ends_with("Subject: two\r\n\r\n)\r\nC6 OK Fetched\r\n"), "{said}");
    // A listing marks nothing as read.
    assert!(!client.fake.mails[0].info.flags.has(SystemFlag::Seen));
    client.script("C: C7 APPEND \"&XfJT0ZABkK5O9g-\" (\\Seen) \" 1-Dec-2026 09:05:03 +0800\" {2}\nS: + Ready\nC: hi\nS: C7 NO [TRYCREATE] No such mailbox");
    client.script("C: C8 CREATE \"&XfJT0ZABkK5O9g-\"\nS: C8 OK [MAILBOXID (F79)] Created");
    client.fake.mailboxes.push(mailbox("已发送邮件", 79, false));
    client.script("C: C9 SUBSCRIBE \"&XfJT0ZABkK5O9g-\"\nS: C9 OK Subscribed");
    let sent = b"From: \"\xd5\xc5\xc8\xfd\" <a@b.cn>\r\nSubject: =?gb18030?B?uau7/b3w?=\r\nContent-Type: text/plain; charset=\"gb18030\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc4\xfa\xba\xc3\xa3\xac\x81\x30\x81\x30\r\n";
    assert_eq!(client.send(format!("C10 APPEND \"&XfJT0ZABkK5O9g-\" (\\Seen) \" 1-Dec-2026 09:05:03 +0800\" {{{}}}\r\n", sent.len()).as_bytes()), "+ Ready\r\n");
    assert_eq!(client.send(&[sent.as_slice(), b"\r\n"].concat()), "C10 OK [APPENDUID 9 6] Appended\r\n");
    let kept = client.fake.mails.last().unwrap();
    assert!(kept.bytes == sent && kept.info.flags.has(SystemFlag::Seen));
    assert!(client.send(b"C11 LIST \"\" *\r\n").contains("* LIST (\\HasNoChildren) \"/\" \"&XfJT0ZABkK5O9g-\"\r\n"));
    client.script("C: C12 LOGOUT\nS: * BYE Goodbye\nS: C12 OK Done");
    assert!(client.closed);
}
