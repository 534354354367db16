//! Dialogues of NOTIFY: what is told of, when, and of what not. spec: rfc5465
use protocol::imap::exchange::*;
use protocol::imap::extension::Extensions;

use super::client::{Client, mailbox};

fn arrived(folder: u64) -> impl FnOnce(&mut AccountChanges) {
    move |all| all.message(folder, &Change::New(message(1)))
}

fn message(uid: u32) -> MessageInfo {
    let when = time::macros::datetime!(2024-10-01 10:00 +8);
    MessageInfo { uid, flags: Flags::new(), modseq: 9, internal_date: when, saved: None, size: 1, content: 1 }
}

fn marked(folder: u64) -> impl FnOnce(&mut AccountChanges) {
    move |all| all.message(folder, &Change::Flags(message(1)))
}

#[test]
fn grammar_and_what_must_be_asked_for_together() {
    let mut client = Client::selected();
    client.script(
        r#"
        C: c NOTIFY
        S: c BAD Expected one space
        C: c NOTIFY SOME
        S: c BAD Expected SET or NONE
        C: c NOTIFY SET (selected (MessageNew))
        S: c BAD Expected MessageNew and MessageExpunge together, and both beside FlagChange
        C: c NOTIFY SET (selected (FlagChange))
        S: c BAD Expected MessageNew and MessageExpunge together, and both beside FlagChange
        C: c NOTIFY SET (selected (MailboxName))
        S: c BAD Expected events of messages alone for the selected mailbox
        C: c NOTIFY SET (personal (MessageNew (UID) MessageExpunge))
        S: c BAD Expected what to fetch for the selected mailbox alone
        C: c NOTIFY SET (selected NONE) (selected-delayed NONE)
        S: c BAD Expected SELECTED or SELECTED-DELAYED once
        C: c NOTIFY SET (everything (MessageNew MessageExpunge))
        S: c BAD Expected SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or MAILBOXES
        C: c NOTIFY SET (selected (MessageNew MessageExpunge ))
        S: c BAD Expected a word
        C: c NOTIFY SET (selected (MessageNew (NOTHING) MessageExpunge))
        S: c BAD Expected an item of FETCH
        C: c NOTIFY SET (selected (MessageNew MessageExpunge FlagChange AnnotationChange))
        S: c NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)] Ask for these events
        C: c NOTIFY SET STATUS (selected-delayed (messageNew (uid flags) messageExpunge)) (SubTree ("x*" "台") (messageexpunge messagenew)) (mailboxes INBOX NONE)
        S: c BAD The mailbox name is not valid modified UTF-7, or empty, too long, or with control characters
        C: c NOTIFY SET STATUS (selected-delayed (messageNew (uid flags) messageExpunge)) (SubTree ("x*" nowhere) (messageexpunge messagenew)) (mailboxes INBOX NONE)
        S: c OK Done
        C: c NOTIFY NONE
        S: c OK Done
        "#,
    );
    let many = "a ".repeat(1_001);
    assert!(client.send(format!("d NOTIFY SET (mailboxes ({}) (MailboxName))\r\n", many.trim_end()).as_bytes()).starts_with("d NO [NOTIFICATIONOVERFLOW]"));
}

#[test]
fn the_selected_mailbox_is_told_of_between_commands() {
    let mut client = Client::selected();
    client.script("C: c NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))\nS: c OK Done");
    assert_eq!(client.arrives(b"Subject: new\r\n\r\nx\r\n"), "* 3 EXISTS\r\n* 3 FETCH (UID 6 BODY[HEADER.FIELDS (SUBJECT)] {16}\r\nSubject: new\r\n\r\n)\r\n");
    let seen = client.fake.mails[0].info.clone();
    let seen = MessageInfo { flags: Flags::new().with(SystemFlag::Seen), modseq: 5, ..seen };
    assert_eq!(client.change(Change::Flags(seen)), "* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n");
    assert_eq!(client.change(Change::Gone { uid: 4, modseq: 50 }), "* 1 EXPUNGE\r\n");
    client.script(
        r#"
        C: d APPEND inbox {3+}\r\nabc
        S: d OK [APPENDUID 9 7] Appended
        C: e STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (UID 5 FLAGS (\Flagged \Seen))
        S: e OK Stored
        "#,
    );
    // What the client brought itself exists, and is not fetched for it.
    let own = client.fake.mails.last().unwrap().info.clone();
    assert_eq!(client.change(Change::New(own)), "* 3 EXISTS\r\n");
    // A message that went before it could be told, one that is damaged, and the one after them.
    client.fake.damaged = 8;
    let gone = MessageInfo { uid: 9, ..message(9) };
    let first = client.arrives(b"x");
    assert_eq!((first.as_str(), client.change(Change::New(gone)).as_str()), ("* 4 EXISTS\r\n", "* 5 EXISTS\r\n"));
    client.fake.next = 10;
    assert!(client.arrives(b"Subject: y\r\n\r\n").starts_with("* 6 EXISTS\r\n* 6 FETCH (UID 10 "));
}

#[test]
fn reading_by_itself_marks_nothing_as_seen() {
    let mut client = Client::selected();
    client.script("C: c NOTIFY SET (selected (MessageNew (BODY[]) MessageExpunge))\nS: c OK Done");
    assert_eq!(client.arrives(b"x\r\n"), "* 3 EXISTS\r\n* 3 FETCH (BODY[] {3}\r\nx\r\n)\r\n");
    assert_eq!(client.send(b"d FETCH 3 FLAGS\r\n"), "* 3 FETCH (FLAGS ())\r\nd OK Fetched\r\n");
    // Nothing is said of flags to who did not ask.
    let seen = MessageInfo { flags: Flags::new().with(SystemFlag::Seen), modseq: 5, ..client.fake.mails[0].info.clone() };
    assert_eq!(client.change(Change::Flags(seen)), "");
    assert_eq!(client.send(b"e NOOP\r\n"), "e OK Done\r\n");
}

#[test]
fn removals_wait_where_numbers_are_counted_on() {
    let mut client = Client::selected();
    client.script("C: c NOTIFY SET (selected-delayed (MessageNew (UID) MessageExpunge))\nS: c OK Done");
    assert_eq!(client.change(Change::Gone { uid: 4, modseq: 50 }), "");
    assert_eq!(client.arrives(b"x"), "* 3 EXISTS\r\n* 3 FETCH (UID 6)\r\n");
    assert_eq!(client.send(b"d FETCH 2 UID\r\n"), "* 2 FETCH (UID 5)\r\nd OK Fetched\r\n");
    assert_eq!(client.send(b"e NOOP\r\n"), "* 1 EXPUNGE\r\ne OK Done\r\n");
    // In IDLE they are told at once. spec: rfc5465#6.1.2
    assert_eq!(client.send(b"f IDLE\r\n"), "+ idling\r\n");
    assert_eq!(client.change(Change::Gone { uid: 5, modseq: 51 }), "* 1 EXPUNGE\r\n");
    assert_eq!(client.send(b"DONE\r\n"), "f OK Done\r\n");
}

#[test]
fn who_wants_to_hear_nothing_hears_nothing() {
    let mut client = Client::selected();
    client.script("C: c NOTIFY NONE\nS: c OK Done\nC: d IDLE\nS: + idling");
    assert_eq!(client.arrives(b"x") + &client.change(Change::Gone { uid: 4, modseq: 50 }), "");
    client.script(
        r#"
        C: DONE
        S: d OK Done
        C: e NOOP
        S: e OK Done
        C: f FETCH 1:* UID
        S: * 1 FETCH (UID 4)
        S: * 2 FETCH (UID 5)
        S: f OK Fetched
        C: g STORE 2 +FLAGS (\Deleted)
        S: * 2 FETCH (UID 5 FLAGS (\Deleted \Seen))
        S: g OK Stored
        C: h EXPUNGE
        S: * 2 EXPUNGE
        S: h OK Expunged
        C: i APPEND inbox {1+}\r\nx
        S: i OK [APPENDUID 9 7] Appended
        "#,
    );
    // All that is known is told with the next NOTIFY SET, whatever it asks for. spec: rfc5465#3.1
    assert_eq!(client.send(b"j NOTIFY SET (selected NONE)\r\n"), "* 1 EXPUNGE\r\n* 1 EXISTS\r\nj OK Done\r\n");
    assert_eq!(client.arrives(b"y") + &client.send(b"k NOOP\r\n"), "k OK Done\r\n");
}

#[test]
fn who_counts_by_modseq_is_not_told_a_number_past_what_was_left_out() {
    let mut client = Client::new(true);
    client.send(b"a LOGIN a@b.cn pw\r\nb ENABLE QRESYNC\r\nc SELECT INBOX\r\nd NOTIFY SET (selected (MessageNew (UID MODSEQ) MessageExpunge))\r\n");
    assert_eq!(client.change(Change::Gone { uid: 4, modseq: 50 }), "* VANISHED 4\r\n");
    assert_eq!(client.arrives(b"x"), "* 2 EXISTS\r\n* 2 FETCH (UID 6 MODSEQ (2))\r\n");
    client.send(b"e UID STORE 5 +FLAGS.SILENT (\\Deleted)\r\n");
    assert_eq!(client.send(b"f UID EXPUNGE 5\r\n"), "* VANISHED 5\r\nf OK Expunged\r\n");
    let mut client = Client::new(true);
    client.send(b"a LOGIN a@b.cn pw\r\nb ENABLE UIDONLY\r\nc SELECT INBOX\r\nd NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))\r\n");
    assert_eq!(client.arrives(b"x"), "* 3 EXISTS\r\n* 6 UIDFETCH (FLAGS ())\r\n");
}

#[test]
fn other_mailboxes_are_told_by_their_status() {
    let mut client = Client::selected();
    client.fake.mailboxes.push(mailbox("台北/a", 79, false));
    client.script(
        r#"
        C: c NOTIFY SET STATUS (selected (MessageNew MessageExpunge)) (subtree "&U,BTFw-" (MessageNew MessageExpunge)) (mailboxes ("&U,BTFw-" INBOX nowhere) (MessageNew MessageExpunge FlagChange))
        S: * STATUS "&U,BTFw-" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9 HIGHESTMODSEQ 1)
        S: * STATUS "&U,BTFw-/a" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9)
        S: c OK Done
        "#,
    );
    assert_eq!(client.account(arrived(78)), "* STATUS \"&U,BTFw-\" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9)\r\n");
    assert_eq!(client.account(marked(78)), "* STATUS \"&U,BTFw-\" (UIDVALIDITY 9 UNSEEN 1)\r\n");
    assert_eq!(client.account(marked(79)), "");
    // The selected one is told otherwise, or not.
    assert_eq!(client.account(arrived(77)), "");
    assert_eq!(client.send(b"d UNSELECT\r\n"), "d OK Closed\r\n");
    assert_eq!(client.account(arrived(77)), "* STATUS \"INBOX\" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9)\r\n");
    // Who counts by MODSEQ is told it.
    client.send(b"e ENABLE CONDSTORE\r\n");
    assert_eq!(client.account(marked(77)), "* STATUS \"INBOX\" (UIDVALIDITY 9 UNSEEN 1 HIGHESTMODSEQ 1)\r\n");
    // In IDLE exactly the same. spec: rfc5465#4
    assert_eq!(client.send(b"f IDLE\r\n"), "+ idling\r\n");
    assert_eq!(client.account(arrived(79)), "* STATUS \"&U,BTFw-/a\" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9 HIGHESTMODSEQ 1)\r\n");
    assert_eq!(client.send(b"DONE\r\n"), "f OK Done\r\n");
    assert_eq!(client.send(b"g NOTIFY SET (selected NONE)\r\n"), "g OK Done\r\n");
    assert_eq!(client.fake.asked, ["UnwatchAccount"]);
    assert_eq!(client.account(arrived(78)), "");
}

#[test]
fn what_a_client_does_itself_it_is_not_told_of() {
    let mut client = Client::selected();
    client.send(b"c NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))\r\n");
    // The server tells what it saw before it answers.
    client.fake.happens_before_answers.message(78, &Change::New(message(1)));
    assert_eq!(client.send(b"d COPY 1 \"&U,BTFw-\"\r\n"), "d OK [COPYUID 7 4 1] Copied\r\n");
    client.fake.happens_before_answers.message(78, &Change::New(message(1)));
    client.fake.happens_before_answers.message(78, &Change::New(message(2)));
    assert!(client.send(b"e COPY 1 \"&U,BTFw-\"\r\n").ends_with("e OK [COPYUID 7 4 1] Copied\r\n* STATUS \"&U,BTFw-\" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9)\r\n"));
    client.fake.happens_before_answers.mailboxes();
    client.fake.mailboxes.extend([mailbox("a", 80, false), mailbox("a/b", 81, false), mailbox("z", 82, false)]);
    assert_eq!(client.send(b"f CREATE a/b\r\n"), "f OK [MAILBOXID (F79)] Created\r\n* LIST (\\HasNoChildren) \"/\" \"z\"\r\n");
    client.fake.happens_before_answers.annotation(Some(78), "/private/comment");
    client.fake.happens_before_answers.annotation(Some(78), "/private/x(y");
    client.fake.happens_before_answers.annotation(None, "/private/z");
    let said = client.send(b"g SETMETADATA \"&U,BTFw-\" (/private/comment NIL)\r\n");
    assert_eq!(said, "g OK Set\r\n* METADATA \"\" /private/z\r\n* METADATA \"&U,BTFw-\" \"/private/x(y\"\r\n");
}

#[test]
fn what_a_client_was_refused_is_another_ones() {
    let mut client = Client::selected();
    client.send(b"c NOTIFY SET (personal (MailboxName ServerMetadataChange))\r\n");
    client.script("C: d SETMETADATA \"\" (/private/a \"x\" /private/b \"x\" /private/c \"x\" /private/d \"x\")\nS: d NO [METADATA TOOMANY] No");
    assert_eq!(client.account(|all| all.annotation(None, "/private/d")), "* METADATA \"\" /private/d\r\n");
    // However often it is refused, nothing of it is kept.
    for number in 0..1_001 {
        assert!(client.send(format!("e SETMETADATA \"\" (/private/{number} \"x\")\r\n").as_bytes()).starts_with("e NO "));
    }
    // What succeeds and is told of by nobody is kept, but not without end.
    let mut said = String::new();
    for number in 0..1_001 {
        assert!(!said.contains("NOTIFICATIONOVERFLOW"), "{number}");
        said = client.send(format!("f CREATE n{number}\r\n").as_bytes());
        assert!(said.starts_with("f OK [MAILBOXID (F79)] Created\r\n"), "{said}");
    }
    assert_eq!(said, "f OK [MAILBOXID (F79)] Created\r\n* OK [NOTIFICATIONOVERFLOW] Too much happened to tell; say NOTIFY again\r\n");
}

#[test]
fn names_subscriptions_and_annotations() {
    let mut client = Client::new(true);
    client.send(b"a LOGIN a@b.cn pw\r\n");
    client.script("C: c NOTIFY SET (subtree a (MailboxName)) (subscribed (SubscriptionChange MailboxMetadataChange))\nS: c OK Done");
    let before = client.fake.mailboxes.clone();
    client.fake.mailboxes.extend([MailboxInfo { has_children: true, ..mailbox("a", 80, true) }, mailbox("a/b", 81, false), mailbox("z", 82, false)]);
    let said = client.account(AccountChanges::mailboxes);
    assert_eq!(said, "* LIST (\\HasChildren \\Subscribed) \"/\" \"a\"\r\n* LIST (\\HasNoChildren) \"/\" \"a/b\"\r\n");
    client.fake.mailboxes[3].name = "a/c\"".to_owned();
    assert_eq!(client.account(AccountChanges::mailboxes), "* LIST (\\HasNoChildren) \"/\" \"a/c\\\"\" (\"OLDNAME\" (\"a/b\"))\r\n");
    client.fake.mailboxes[2].subscribed = false;
    assert_eq!(client.account(AccountChanges::mailboxes), "* LIST (\\HasChildren) \"/\" \"a\"\r\n");
    // Of those that are subscribed to alone. spec: rfc5465#6.4
    assert_eq!(client.account(|all| [77, 78].into_iter().for_each(|id| all.annotation(Some(id), "/shared/comment"))), "* METADATA \"INBOX\" /shared/comment\r\n");
    client.fake.mailboxes = before;
    let said = client.account(AccountChanges::mailboxes);
    assert_eq!(said, "* LIST (\\HasNoChildren \\NonExistent) \"/\" \"a\"\r\n* LIST (\\HasNoChildren \\NonExistent) \"/\" \"a/c\\\"\"\r\n");
    // What happened to a mailbox that nobody knows any more is told to nobody.
    assert_eq!(client.account(arrived(81)), "");
}

#[test]
fn what_was_not_told_yet_is_told_to_who_asks_anew() {
    let mut client = Client::selected();
    client.send(b"c NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))\r\n");
    client.fake.happens_before_answers.message(78, &Change::New(message(1)));
    client.fake.happens_before_answers.mailboxes();
    client.fake.mailboxes.push(mailbox("z", 82, false));
    let said = client.send(b"d NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName))\r\n");
    assert_eq!(said, "d OK Done\r\n* LIST (\\HasNoChildren) \"/\" \"z\"\r\n* STATUS \"&U,BTFw-\" (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 9)\r\n");
    client.fake.happens_before_answers.message(78, &Change::New(message(1)));
    assert_eq!(client.send(b"e NOTIFY NONE\r\n"), "e OK Done\r\n");
}

#[test]
fn too_much_is_said_to_be_too_much() {
    let mut client = Client::selected();
    client.send(b"c NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (ServerMetadataChange))\r\n");
    let said = client.account(|all| (0..2_000).for_each(|number| all.annotation(None, &format!("/private/{number}"))));
    assert_eq!(said, "* OK [NOTIFICATIONOVERFLOW] Too much happened to tell; say NOTIFY again\r\n");
    assert_eq!(client.account(|all| all.annotation(None, "/private/x")) + &client.arrives(b"x"), "");
    assert_eq!(client.send(b"d NOTIFY SET (personal (ServerMetadataChange))\r\n"), "* 3 EXISTS\r\nd OK Done\r\n");
    assert_eq!(client.account(|all| all.annotation(None, "/private/x")), "* METADATA \"\" /private/x\r\n");
    // Another login begins anew.
    client.send(b"e UNAUTHENTICATE\r\nf LOGIN a@b.cn pw\r\ng SELECT INBOX\r\n");
    assert_eq!(client.account(|all| all.annotation(None, "/private/x")) + &client.arrives(b"x"), "");
    assert_eq!(client.send(b"h NOOP\r\n"), "* 4 EXISTS\r\nh OK Done\r\n");
}

#[test]
fn it_is_switched_off_alone_and_with_what_it_needs() {
    let mut client = Client::without(true, Extensions::named(["NOTIFY"]));
    assert!(!client.send(b"a LOGIN a@b.cn pw\r\n").contains("NOTIFY"));
    client.script("C: b NOTIFY NONE\nS: b BAD NOTIFY is switched off here");
    let mut client = Client::without(true, Extensions::named(["METADATA", "PREVIEW"]));
    assert!(client.send(b"a LOGIN a@b.cn pw\r\n").contains(" NOTIFY"));
    client.script(
        r#"
        C: b NOTIFY SET (personal (MailboxMetadataChange))
        S: b NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)] Ask for these events
        C: c NOTIFY SET (selected (MessageNew (PREVIEW) MessageExpunge))
        S: c BAD PREVIEW is switched off here
        "#,
    );
}
