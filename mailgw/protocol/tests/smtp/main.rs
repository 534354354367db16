//! Dialogues with a server that knows a few mailboxes: `C:` lines go in, `S:` lines must come out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod any;
mod quirks;
mod submission;

use std::net::IpAddr;

use proptest::prelude::*;
use protocol::smtp::exchange::*;
use protocol::smtp::session::{Role, Session, Settings};
use protocol::smtp::trace;
use time::macros::datetime;

const LIMIT: usize = 2_000;
const MAX_RECIPIENTS: usize = 100;

struct Client {
    session: Session,
    said: Vec<u8>,
    delivered: Vec<(Envelope, Vec<u8>)>,
    closed: bool,
    tls: bool,
}

impl Client {
    fn new(tls: bool) -> Self {
        Self::of(tls, LIMIT)
    }

    fn of(tls: bool, max_size: usize) -> Self {
        let host = Domain::parse("mx.b.cn").unwrap();
        let (session, greeting) = Session::new(Settings { host, tls, starttls: true, role: Role::Exchange, dsn: false, offer: Offer::default(), budget: protocol::budget::Budget::default(), max_size, max_recipients: MAX_RECIPIENTS, max_copies: 5 * max_size });
        let mut client = Self { session, said: Vec::new(), delivered: Vec::new(), closed: false, tls };
        client.take(greeting);
        assert_eq!(std::mem::take(&mut client.said), b"220 mx.b.cn ESMTP\r\n");
        client
    }

    fn greeted() -> Self {
        let mut client = Self::new(false);
        client.send(b"EHLO x\r\n");
        client
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Login { .. } | Request::Sasl(_) | Request::Sender { .. } => panic!("nobody was asked to log in"),
            Request::Recipient { recipient: Recipient::Postmaster, .. } => Answer::Known,
            Request::Recipient { recipient: Recipient::Mailbox(address), .. } => match (address.local(), address.host()) {
                (_, Host::Name(domain)) if domain.as_str() != "b.cn" => Answer::Refused(Refusal::Relaying),
                (_, Host::Literal(_)) => Answer::Refused(Refusal::Relaying),
                ("full", _) => Answer::Full,
                ("later", _) => Answer::Failed,
                ("closed", _) => Answer::Refused(Refusal::Closed),
                ("nobody", _) => Answer::Unknown,
                ("stranger", _) => Answer::Greylisted,
                ("guesser", _) => Answer::TooMany,
                ("confused", _) => Answer::Durable { id: String::new() },
                _ => Answer::Known,
            },
            Request::Deliver { bytes, .. } if bytes.starts_with(b"fail") => Answer::Failed,
            Request::Deliver { bytes, .. } if bytes.starts_with(b"loop") => Answer::Refused(Refusal::Loop),
            Request::Deliver { bytes, .. } if bytes.starts_with(b"silent") => Answer::Unproved,
            Request::Deliver { bytes, .. } if bytes.starts_with(b"spf") => Answer::Refused(Refusal::Spf),
            Request::Deliver { bytes, .. } if bytes.starts_with(b"dmarc") => Answer::Refused(Refusal::Dmarc),
            Request::Deliver { bytes, .. } if bytes.starts_with(b"several") => Answer::Refused(Refusal::NoAuthor),
            Request::Deliver { envelope, bytes } => {
                self.delivered.push((envelope, bytes));
                Answer::Durable { id: format!("{}\r\n250 x", self.delivered.len()) }
            }
        }
    }

    fn take(&mut self, mut out: Vec<Output>) {
        while !out.is_empty() {
            let mut next = Vec::new();
            for output in out {
                assert!(!self.closed);
                match output {
                    Output::Send(bytes) => self.said.extend(bytes),
                    Output::Do(request) => {
                        let answer = self.answer(request);
                        next.extend(self.session.answer(answer));
                    }
                    Output::StartTls => {
                        self.session.tls_started(Offer::default());
                        self.tls = true;
                    }
                    Output::Close => self.closed = true,
                }
            }
            out = next;
        }
    }

    fn send(&mut self, bytes: &[u8]) -> String {
        let out = self.session.receive(bytes);
        self.take(out);
        String::from_utf8(std::mem::take(&mut self.said)).unwrap()
    }

    /// Each `C:` with the `S:` that must be all of its reply.
    fn script(&mut self, text: &str) {
        let mut reply = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(sent) = line.strip_prefix("C: ") {
                assert_eq!(reply, "", "before {sent}");
                let sent = sent.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0");
                reply = self.send(format!("{sent}\r\n").as_bytes());
            } else {
                let expected = if line == "S:" { "" } else { line.strip_prefix("S: ").unwrap() };
                let (first, rest) = reply.split_once("\r\n").unwrap_or_else(|| panic!("no reply, expected {expected}"));
                assert_eq!(first, expected);
                reply = rest.to_owned();
            }
        }
        assert_eq!(reply, "");
    }
}

#[test]
fn a_message_for_two() {
    let mut client = Client::new(false);
    client.script(
        r"
        C: EHLO [192.0.2.7]
        S: 250-mx.b.cn
        S: 250-PIPELINING
        S: 250-SIZE 2000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250-LIMITS RCPTMAX=100
        S: 250-STARTTLS
        S: 250 ENHANCEDSTATUSCODES
        C: mail from:<x@y.cn> size=2000 body=8bitmime
        S: 250 2.1.0 Sender noted
        C: RCPT TO:<a@b.cn>
        S: 250 2.1.5 Recipient noted
        C: RCPT TO:<nobody@b.cn>
        S: 550 5.1.1 No such mailbox here
        C: RCPT TO:<full@b.cn>
        S: 452 4.2.2 The mailbox is full; try again later
        C: RCPT TO:<later@b.cn>
        S: 451 4.3.0 The server cannot take it now; try again later
        C: RCPT TO:<closed@b.cn>
        S: 550 5.2.1 The mailbox is closed
        C: RCPT TO:<a@elsewhere.cn>
        S: 550 5.7.1 That domain is not served here
        C: RCPT TO:<postmaster>
        S: 250 2.1.5 Recipient noted
        C: DATA
        S: 354 Send the message; a line with a dot alone ends it
        C: Subject: x\r\n\r\n..\r\n.
        S: 250 2.0.0 Accepted as 1250x
        C: RCPT TO:<a@b.cn>
        S: 503 5.5.1 Send MAIL first
        C: QUIT
        S: 221 2.0.0 Closing
        ",
    );
    assert!(client.closed);
    let (envelope, bytes) = client.delivered.pop().unwrap();
    assert_eq!(bytes, b"Subject: x\r\n\r\n.\r\n");
    assert_eq!(envelope.reverse_path.unwrap().as_str(), "x@y.cn");
    assert_eq!(envelope.recipients.iter().map(Addressee::as_str).collect::<Vec<_>>(), ["a@b.cn", "Postmaster"]);
    assert_eq!((envelope.hello.name(), envelope.hello.extended(), envelope.body), ("[192.0.2.7]", true, BodyKind::EightBitMime));
}

#[test]
fn what_is_not_durable_is_not_accepted() {
    let mut client = Client::greeted();
    let message = |text: &str| format!("MAIL FROM:<>\r\nRCPT TO:<a@b.cn>\r\nDATA\r\n{text}\r\n.\r\n");
    assert!(client.send(message("fail").as_bytes()).ends_with("451 4.3.0 The server cannot take it now; try again later\r\n"));
    assert!(client.send(message("loop").as_bytes()).ends_with("554 5.4.6 The message goes in circles\r\n"));
    for (text, expected) in [("silent", "451 4.4.3 "), ("spf", "550 5.7.23 "), ("dmarc", "550 5.7.26 "), ("several", "550 5.7.1 ")] {
        let said = client.send(message(text).as_bytes());
        assert!(said.lines().last().unwrap().starts_with(expected), "{said}");
    }
    // Who comes again later is let in, and who guesses later.
    client.send(b"MAIL FROM:<>\r\n");
    assert_eq!(client.send(b"RCPT TO:<stranger@b.cn>\r\n"), "451 4.7.1 Greylisted: we have not met yet; try again in some minutes\r\n");
    assert!(client.send(b"RCPT TO:<guesser@b.cn>\r\nRSET\r\n").starts_with("450 4.7.1 "));
    assert!(client.delivered.is_empty());
    assert!(client.send(message("good").as_bytes()).ends_with("250 2.0.0 Accepted as 1250x\r\n"));
    assert_eq!(client.delivered[0].0.reverse_path, None);
}

#[test]
fn order_and_grammar() {
    let mut client = Client::new(false);
    client.script(
        r"
        C: MAIL FROM:<a@b.cn>
        S: 503 5.5.1 Say EHLO first
        C: HELO x y
        S: 501 5.5.4 Give the name of your host, or its address in brackets
        C: HELO my_pc
        S: 250 mx.b.cn
        C: DATA
        S: 503 5.5.1 Send MAIL first
        C: MAIL FROM:<a@b.cn> RET=HDRS
        S: 555 5.5.4 The parameter is not known; leave it out
        C: MAIL FROM:<a@b.cn> BODY=OTHER
        S: 555 5.5.4 The parameter BODY has a value that is not known; leave it out
        C: MAIL FROM:<a@b.cn> SIZE=1 SIZE=1
        S: 501 5.5.4 A parameter stands twice
        C: MAIL FROM:<a@b.cn> SIZE
        S: 501 5.5.4 A parameter has a value too many or too few
        C: MAIL FROM:<a@b.cn>SIZE=1
        S: 501 5.5.4 A space goes between the path and its parameters
        C: MAIL FROM:<a@b.cn> SIZE=2001
        S: 552 5.3.4 The message is too large
        C: MAIL FROM:<a@b.cn> SIZE=99999999999999999999
        S: 552 5.3.4 The message is too large
        C: MAIL FROM:a@b.cn
        S: 501 5.1.7 The address is not of the form <local@domain>; write it as RFC 5321 does
        C: MAIL FROM:<张@b.cn>
        S: 553 5.6.7 The address is not in ASCII; give SMTPUTF8 with MAIL
        C: MAIL FROM: <a@b.cn>
        S: 250 2.1.0 Sender noted
        C: MAIL FROM:<a@b.cn>
        S: 503 5.5.1 A message is begun already; end it or send RSET
        C: DATA
        S: 554 5.5.1 No valid recipients
        C: RCPT TO:<>
        S: 501 5.1.3 The address is not of the form <local@domain>; write it as RFC 5321 does
        C: RCPT TO:<张@b.cn>
        S: 553 5.6.7 The address is not in ASCII; give SMTPUTF8 with MAIL
        C: RCPT TO:<a@b.cn> NOTIFY=NEVER
        S: 555 5.5.4 The parameter is not known; leave it out
        C: RSET
        S: 250 2.0.0 Forgotten
        ",
    );
    let mut client = Client::greeted();
    client.script(
        r"
        C: NOOP anything
        S: 250 2.0.0 Done
        C: VRFY a@b.cn
        S: 252 2.5.0 Not verified; send the message to learn
        C: HELP MAIL
        S: 214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS, as in RFC 5321
        C: EXPN list
        S: 502 5.5.1 The command is not offered here
        C: FOO
        S: 500 5.5.2 The command is not known
        C: RSET x
        S: 501 5.5.4 The command takes no parameter
        C: MAIL FROM:<a@b.cn>\r
        S: 500 5.5.2 A command holds no control characters, CR and NUL included
        C: MAIL FROM:<a@b.cn\0>
        S: 500 5.5.2 A command holds no control characters, CR and NUL included
        C: MAIL FROM:<张@穗.cn> SMTPUTF8
        S: 250 2.1.0 Sender noted
        C: RCPT TO:<李@b.cn>
        S: 250 2.1.5 Recipient noted
        ",
    );
    assert!(client.send(&[b"NOOP ".to_vec(), vec![b'x'; 5_000], b"\r\n".to_vec()].concat()).starts_with("500 5.5.2 The line is too long"));
    assert_eq!(client.send(b"NOOP\r\n"), "250 2.0.0 Done\r\n");
    assert_eq!(client.send(b"NOOP\nMAIL FROM:<a@b.cn>\r\n"), "500 5.5.2 A line ends with CRLF, never with LF alone\r\n");
    assert!(client.closed);
}

#[test]
fn nothing_of_an_envelope_outlives_it() {
    for reset in ["RSET", "EHLO y", "HELO y", "STARTTLS"] {
        let mut client = Client::greeted();
        client.send(format!("MAIL FROM:<x@y.cn> SMTPUTF8\r\nRCPT TO:<a@b.cn>\r\n{reset}\r\n").as_bytes());
        assert_eq!(client.tls, reset == "STARTTLS");
        if client.tls {
            assert_eq!(client.send(b"MAIL FROM:<>\r\n"), "503 5.5.1 Say EHLO first\r\n");
            assert!(!client.send(b"EHLO x\r\n").contains("STARTTLS"));
            assert_eq!(client.send(b"STARTTLS\r\n"), "503 5.5.1 TLS is there already\r\n");
        }
        assert_eq!(client.send(b"DATA\r\n"), "503 5.5.1 Send MAIL first\r\n", "{reset}");
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<c@b.cn>\r\nDATA\r\n.\r\n");
        let (envelope, bytes) = client.delivered.pop().unwrap();
        assert_eq!((envelope.recipients.len(), envelope.smtputf8, envelope.tls, bytes.len()), (1, false, client.tls, 0));
    }
}

#[test]
fn plaintext_sent_ahead_of_tls_is_dropped() {
    let mut client = Client::greeted();
    assert_eq!(client.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@b.cn>\r\n"), "220 2.0.0 Begin TLS\r\n");
    assert_eq!(client.send(b"MAIL FROM:<x@y.cn>\r\n"), "503 5.5.1 Say EHLO first\r\n");
}

#[test]
fn a_smuggled_message_stays_inside_the_first_and_both_are_refused() {
    for trick in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\r\n.\0\r\n", "\r\n\0.\r\n", "\r.\r\n", "\n.\r", "\r\n.\r\r\n"] {
        let mut client = Client::greeted();
        client.send(b"MAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\nDATA\r\n");
        let inner = "MAIL FROM:<ceo@b.cn>\r\nRCPT TO:<a@b.cn>\r\nDATA\r\nFrom: evil\r\n";
        let reply = client.send(format!("hello{trick}{inner}\r\n.\r\nNOOP\r\n").as_bytes());
        assert!(reply.starts_with("554 5.6.0 ") && reply.ends_with("\r\n250 2.0.0 Done\r\n") && reply.lines().count() == 2, "{trick:?}: {reply}");
        assert!(client.delivered.is_empty());
    }
}

#[test]
fn limits() {
    let mut client = Client::greeted();
    client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@b.cn>\r\nDATA\r\n");
    assert_eq!(client.send(&b"0123456789\r\n".repeat(1_000)), "");
    assert_eq!(client.session.kept(), 0);
    assert_eq!(client.send(b".\r\n"), "552 5.3.4 The message is too large\r\n");

    client.send(b"MAIL FROM:<>\r\n");
    for _ in 0..MAX_RECIPIENTS {
        assert!(client.send(b"RCPT TO:<a@b.cn>\r\n").starts_with("250"));
    }
    assert!(client.send(b"RCPT TO:<a@b.cn>\r\n").starts_with("452 4.5.3"));
    assert!(client.send(b"DATA\r\n.\r\n").contains("\r\n250 2.0.0"));
    assert_eq!(client.delivered[0].0.recipients.len(), MAX_RECIPIENTS);

    client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@b.cn>\r\nDATA\r\nabc\r\n");
    client.session.shed();
    assert_eq!(client.send(b"def\r\n.\r\n"), "452 4.3.1 The server is short of memory; try again later\r\n");

    client.send(b"MAIL FROM:<>\r\n");
    for _ in 1..protocol::budget::Budget::default().errors {
        assert_eq!(client.send(b"RCPT TO:<nobody@b.cn>\r\n"), "550 5.1.1 No such mailbox here\r\n");
    }
    assert_eq!(client.send(b"FOO\r\nNOOP\r\n"), "500 5.5.2 The command is not known\r\n421 4.7.0 Too many errors\r\n");
    assert!(client.closed);
    assert_eq!(client.send(b"NOOP\r\n"), "");
}

#[test]
fn a_large_message_for_many_comes_in_several_transactions() {
    let mut client = Client::greeted();
    client.send(format!("MAIL FROM:<> SIZE={LIMIT}\r\n").as_bytes());
    for _ in 0..5 {
        assert!(client.send(b"RCPT TO:<a@b.cn>\r\n").starts_with("250"));
    }
    assert!(client.send(b"RCPT TO:<a@b.cn>\r\nRSET\r\n").starts_with("452 4.5.3"));
    // Without SIZE, or against it, the end of the message decides.
    client.send(&[b"MAIL FROM:<>\r\n".to_vec(), b"RCPT TO:<a@b.cn>\r\n".repeat(10), b"DATA\r\n".to_vec()].concat());
    assert!(client.send(&[b"0123456789\r\n".repeat(LIMIT / 2 / 12 + 1), b".\r\n".to_vec()].concat()).starts_with("552 5.3.4"));
}

#[test]
fn strangers_and_lost_steps_end_the_session() {
    for line in ["GET / HTTP/1.1", "Host: x", "Subject: x"] {
        let mut client = Client::greeted();
        assert!(client.send(format!("{line}\r\nNOOP\r\n").as_bytes()).starts_with("421 4.7.0 This is a mail server"));
        assert!(client.closed);
    }
    let mut client = Client::greeted();
    client.send(b"MAIL FROM:<>\r\n");
    assert_eq!(client.send(b"RCPT TO:<confused@b.cn>\r\n"), "421 4.3.0 The server lost step; connect again\r\n");
    let mut client = Client::greeted();
    let out = client.session.bye("4.4.2", "Idle for too long");
    client.take(out);
    assert_eq!(client.said, b"421 4.4.2 Idle for too long\r\n");
    assert!(client.closed && !client.session.wants_input());
}

/// While the server works, input is held within a bound and nothing is answered.
#[test]
fn input_ahead_is_bounded() {
    let (mut session, _) = Session::new(Settings { host: Domain::parse("b.cn").unwrap(), tls: true, starttls: false, role: Role::Exchange, dsn: false, offer: Offer::default(), budget: protocol::budget::Budget::default(), max_size: 10, max_recipients: 1, max_copies: 10 });
    assert!(matches!(session.receive(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.cn>\r\nNOOP\r\n").as_slice(), [Output::Send(_), Output::Do(_)]));
    assert!(!session.wants_input() && session.receive(&vec![b'x'; 1024 * 1024 - 100]).is_empty());
    assert!(matches!(session.receive(&[b'x'; 200]).as_slice(), [Output::Send(bytes), Output::Close] if bytes.starts_with(b"421")));
    assert!(session.answer(Answer::Known).is_empty());
}

#[test]
fn a_message_in_pieces() {
    let mut client = Client::greeted();
    client.send(b"MAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\n");
    // Nothing within a piece ends it, and nothing is unstuffed; commands follow where its octets end.
    assert_eq!(client.send(b"BDAT 13\r\n\r\n.\r\n..QUIT\r\nNOOP\r\n"), "250 2.0.0 13 octets taken\r\n250 2.0.0 Done\r\n");
    assert_eq!(client.send(b"DATA\r\nRCPT TO:<a@b.cn>\r\n"), "503 5.5.1 The message is begun already; end it with BDAT LAST or send RSET\r\n".repeat(2));
    assert_eq!(client.send(b"BDAT 0\r\n"), "250 2.0.0 0 octets taken\r\n");
    assert_eq!(client.send(b"bdat 4 last\r\nend\r"), "554 5.6.0 The message has a CR or LF alone; end its lines with CRLF\r\n");
    client.send(b"MAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\n");
    assert_eq!(client.send(b"BDAT 3\r\na\r\nBDAT 2 LAST\r\n\r\n"), "250 2.0.0 3 octets taken\r\n250 2.0.0 Accepted as 1250x\r\n");
    assert_eq!(client.delivered.pop().unwrap().1, b"a\r\n\r\n");
    client.send(b"MAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\nBDAT 3\r\nabcRSET\r\n");
    assert_eq!(client.send(b"DATA\r\n"), "503 5.5.1 Send MAIL first\r\n");
}

#[test]
fn a_line_beyond_the_bound_is_told_as_that() {
    let long = vec![b'x'; (1 << 20) + 1];
    let bdat = [format!("BDAT {} LAST\r\n", long.len()).as_bytes(), &long].concat();
    for text in [[b"DATA\r\n".as_slice(), &long, b"\r\n.\r\n"].concat(), bdat] {
        let mut client = Client::of(false, 4 << 20);
        client.send(b"EHLO x\r\nMAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\n");
        let said = client.send(&text);
        assert!(said.ends_with("554 5.6.0 The message has a line of more than 1 MiB; encode it\r\n"), "{said}");
    }
}

#[test]
fn octets_of_a_refused_piece_are_no_commands() {
    let mut client = Client::greeted();
    let evil = "MAIL FROM:<evil@b.cn>\r\n";
    let refused = client.send(format!("BDAT {}\r\n{evil}NOOP\r\n", evil.len()).as_bytes());
    assert_eq!(refused, "503 5.5.1 Send MAIL first\r\n250 2.0.0 Done\r\n");
    client.send(b"MAIL FROM:<x@y.cn>\r\n");
    assert_eq!(client.send(format!("BDAT {} LAST\r\n{evil}NOOP\r\n", evil.len()).as_bytes()), "554 5.5.1 No valid recipients\r\n250 2.0.0 Done\r\n");
    // After a piece that fails, the rest that was sent ahead is thrown away as well.
    client.send(b"RCPT TO:<a@b.cn>\r\n");
    let said = client.send(format!("BDAT 2\r\na\nBDAT {} LAST\r\n{evil}NOOP\r\n", evil.len()).as_bytes());
    assert_eq!(said, "554 5.6.0 The message has a CR or LF alone; end its lines with CRLF\r\n503 5.5.1 Send MAIL first\r\n250 2.0.0 Done\r\n");
    // A piece larger than a message may be is read and refused; one beyond all bounds ends the session, as one of no length does.
    client.send(b"MAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\n");
    assert_eq!(client.send(&[b"BDAT 2001\r\n".as_slice(), &[b'x'; 2_001], b"NOOP\r\n"].concat()), "552 5.3.4 The message is too large\r\n250 2.0.0 Done\r\n");
    for wrong in ["BDAT 99999999999 LAST", "BDAT", "BDAT x", "BDAT 1 FIRST", "BDAT -1"] {
        let mut client = Client::greeted();
        assert!(client.send(format!("{wrong}\r\n{evil}").as_bytes()).starts_with("5"), "{wrong}");
        assert!(client.closed, "{wrong}");
    }
    let mut client = Client::greeted();
    client.send(b"MAIL FROM:<x@y.cn>\r\nRCPT TO:<a@b.cn>\r\n");
    for _ in 0..10_000 {
        assert!(client.send(b"BDAT 0\r\n").starts_with("250"));
    }
    assert!(client.send(b"BDAT 0\r\n").starts_with("552 5.5.1") && client.closed);
}

#[test]
fn binary_messages_come_in_pieces_alone() {
    let mut client = Client::greeted();
    client.send(b"MAIL FROM:<x@y.cn> BODY=BINARYMIME\r\nRCPT TO:<a@b.cn>\r\n");
    assert_eq!(client.send(b"DATA\r\n"), "503 5.5.1 Send a message of BODY=BINARYMIME with BDAT\r\n");
    assert!(client.send(b"BDAT 14 LAST\r\nA: b\r\n\r\n\0\n\r\xff\r\n").starts_with("250 2.0.0 Accepted"));
    let (envelope, bytes) = client.delivered.pop().unwrap();
    assert_eq!((envelope.body, bytes), (BodyKind::BinaryMime, b"A: b\r\n\r\n\0\n\r\xff\r\n".to_vec()));
}

#[test]
fn tls_may_be_asked_for_to_the_end() {
    let mut client = Client::greeted();
    assert_eq!(client.send(b"MAIL FROM:<x@y.cn> REQUIRETLS\r\n"), "530 5.7.0 REQUIRETLS needs TLS; say STARTTLS first\r\n");
    client.send(b"STARTTLS\r\n");
    assert!(client.send(b"EHLO x\r\n").contains("250-REQUIRETLS\r\n"));
    client.send(b"MAIL FROM:<x@y.cn> REQUIRETLS\r\nRCPT TO:<a@b.cn>\r\nDATA\r\n.\r\n");
    assert!(client.delivered.pop().unwrap().0.require_tls);
    assert_eq!(client.send(b"MAIL FROM:<x@y.cn> REQUIRETLS=1\r\n"), "555 5.5.4 The parameter is not known; leave it out\r\n");
}

fn envelope(commands: &str) -> Envelope {
    let mut client = Client::new(false);
    for line in commands.split_inclusive('\n') {
        client.send(line.as_bytes());
    }
    client.send(b"DATA\r\n.\r\n");
    client.delivered.pop().unwrap().0
}

#[test]
fn trace_fields() {
    let (by, time) = (Domain::parse("mx.b.cn").unwrap(), datetime!(2026-03-01 07:08:09 +8));
    let line = |envelope: &Envelope, peer: &str| String::from_utf8(trace::received(envelope, &by, time, peer.parse::<IpAddr>().unwrap(), "i\r\nd.1")).unwrap();
    let one = envelope("HELO x.cn\r\nMAIL FROM:<\"a b\"@y.cn>\r\nRCPT TO:<c@b.cn>\r\n");
    assert_eq!(
        line(&one, "::ffff:192.0.2.1"),
        "Received: from x.cn ([192.0.2.1])\r\n\tby mx.b.cn with SMTP id id.1\r\n\tfor <c@b.cn>;\r\n\tSat, 28 Feb 2026 23:08:09 +0000\r\n"
    );
    assert_eq!(trace::return_path(&one), b"Return-Path: <\"a b\"@y.cn>\r\n");
    let two = "RCPT TO:<c@b.cn>\r\nRCPT TO:<d@b.cn>\r\n";
    for (hello, mail, with) in [
        ("EHLO [192.0.2.1]\r\n", "MAIL FROM:<>\r\n", "ESMTP"),
        ("STARTTLS\r\nEHLO x\r\n", "MAIL FROM:<>\r\n", "ESMTPS"),
        ("EHLO x\r\n", "MAIL FROM:<张@y.cn> SMTPUTF8\r\n", "UTF8SMTP"),
        ("STARTTLS\r\nEHLO x\r\n", "MAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTPS"),
    ] {
        let envelope = envelope(&[hello, mail, two].concat());
        let field = line(&envelope, "2001:db8::1");
        assert!(field.contains(" ([IPv6:2001:db8::1])\r\n") && field.contains(&format!(" with {with} id id.1;\r\n")), "{field}");
        assert!(!field.contains("@b.cn") && !format!("{envelope:?}").contains("b.cn"));
    }
}

#[test]
fn hops_are_fields_of_the_header_only() {
    assert_eq!(trace::hops(b"Received: a\r\n\tReceived: b\r\nreceived: c\r\nX-Received: d\r\n\r\nReceived: e\r\n"), 2);
    assert_eq!(trace::hops(&b"Received: a\r\n".repeat(1_000)), trace::MAX_HOPS + 1);
}
