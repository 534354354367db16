//! What mail programs that people have are known to do otherwise than a reader of the RFCs would think, as public threads and captures tell;
//! the thread stands beside each.
use super::client::Client;

/// Outlook asks for a whole message by an item that went out of use in 1996. emersion/go-imap#657
#[test]
fn outlook_asks_as_rfc1730_had_it() {
    let mut client = Client::selected();
    let said = client.send(b"7 UID fetch 4 (UID RFC822.SIZE RFC822.peek)\r\n");
    assert!(said.starts_with("* 1 FETCH (UID 4 RFC822.SIZE ") && said.contains(" RFC822 {") && said.ends_with("\r\n7 OK Fetched\r\n"), "{said}");
    // Nothing was marked as seen by it, and what it brought is the message.
    assert!(!client.fake.mails[0].info.flags.has(protocol::imap::exchange::SystemFlag::Seen));
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
