//! Those who log in, and send as themselves.

use super::*;

/// A session for those who log in: `me` with the password `right`, who may send as `me@b.cn` and to anybody but `[…]`.
pub(super) struct Submitter {
    session: Session,
    said: Vec<u8>,
    pub delivered: Vec<Envelope>,
    closed: bool,
}

impl Submitter {
    pub fn new(tls: bool) -> Self {
        let host = Domain::parse("mx.b.cn").unwrap();
        let (session, _) = Session::new(Settings { host, tls, starttls: true, role: Role::Submission, dsn: true, offer: Offer::default(), budget: protocol::budget::Budget { failures: 5, ..protocol::budget::Budget::default() }, max_size: LIMIT, max_recipients: MAX_RECIPIENTS, max_copies: 5 * LIMIT });
        Self { session, said: Vec::new(), delivered: Vec::new(), closed: false }
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Login { user, password } => match (user.as_str(), password.expose()) {
                ("me", "right") => Answer::LoggedIn,
                ("crowd", _) => Answer::TooMany,
                ("down", _) => Answer::Failed,
                _ => Answer::Denied,
            },
            Request::Sasl(_) => panic!("nothing but passwords was offered"),
            Request::Sender { reverse_path: None } => Answer::Known,
            Request::Sender { reverse_path: Some(address) } => match address.as_str() {
                "me@b.cn" => Answer::Known,
                "often@b.cn" => Answer::TooMany,
                _ => Answer::Refused(Refusal::Sender),
            },
            Request::Recipient { recipient: Recipient::Mailbox(address), .. } if matches!(address.host(), Host::Literal(_)) => Answer::Refused(Refusal::Literal),
            Request::Recipient { .. } => Answer::Known,
            Request::Deliver { bytes, .. } if bytes.starts_with(b"From: you") => Answer::Refused(Refusal::Author),
            Request::Deliver { bytes, .. } if bytes.starts_with(b"much") => Answer::TooMany,
            Request::Deliver { envelope, .. } => {
                self.delivered.push(envelope);
                Answer::Durable { id: "1".to_owned() }
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> String {
        let mut out = self.session.receive(bytes);
        while !out.is_empty() {
            let mut next = Vec::new();
            for output in out {
                match output {
                    Output::Send(bytes) => self.said.extend(bytes),
                    Output::Do(request) => {
                        let answer = self.answer(request);
                        next.extend(self.session.answer(answer));
                    }
                    Output::StartTls => self.session.tls_started(Offer::default()),
                    Output::Close => self.closed = true,
                }
            }
            out = next;
        }
        String::from_utf8(std::mem::take(&mut self.said)).unwrap()
    }

    /// Each command with what its last reply begins with.
    pub fn script(&mut self, lines: &[(&str, &str)]) {
        for (command, expected) in lines {
            let reply = self.send(format!("{command}\r\n").as_bytes());
            assert!(reply.starts_with(expected), "{command}: {reply}");
        }
    }

    fn logged_in() -> Self {
        let mut client = Self::new(true);
        client.script(&[("EHLO x", "250-"), ("AUTH PLAIN AG1lAHJpZ2h0", "235 2.7.0 ")]);
        client
    }
}

#[test]
fn nobody_logs_in_for_others_to_read() {
    let mut client = Submitter::new(false);
    let hello = client.send(b"EHLO x\r\n");
    assert!(hello.contains("STARTTLS") && !hello.contains("AUTH"), "{hello}");
    client.script(&[
        ("AUTH PLAIN AG1lAHJpZ2h0", "538 5.7.11 "),
        ("MAIL FROM:<me@b.cn>", "530 5.7.0 "),
        ("STARTTLS", "220 "),
        ("AUTH PLAIN AG1lAHJpZ2h0", "503 5.5.1 "),
    ]);
    let hello = client.send(b"EHLO x\r\n");
    assert!(hello.contains("250-AUTH PLAIN LOGIN\r\n") && hello.contains("250-DSN\r\n") && !hello.contains("STARTTLS"), "{hello}");
    client.script(&[("MAIL FROM:<me@b.cn>", "530 5.7.0 "), ("AUTH PLAIN AG1lAHJpZ2h0", "235 2.7.0 ")]);
    let hello = client.send(b"EHLO x\r\n");
    assert!(!hello.contains("AUTH"), "{hello}");
    // Another host's mail comes in where there is no login at all.
    let mut other = Client::new(true);
    assert_eq!(other.send(b"AUTH PLAIN AG1lAHJpZ2h0\r\n"), "502 5.5.1 The command is not offered here\r\n");
}

#[test]
fn logging_in() {
    let mut client = Submitter::new(true);
    client.script(&[
        ("AUTH PLAIN AG1lAHJpZ2h0", "503 5.5.1 "),
        ("EHLO x", "250-"),
        ("AUTH", "501 5.5.4 "),
        ("AUTH CRAM-MD5", "504 5.5.4 "),
        ("AUTH PLAIN", "334 \r\n"),
        ("*", "501 5.7.0 "),
        ("AUTH PLAIN", "334 \r\n"),
        ("AG1lAHdyb25n", "535 5.7.8 "),
        ("AUTH PLAIN =", "501 5.5.2 "),
        ("AUTH PLAIN !!", "501 5.5.2 "),
        // Nobody acts for another.
        ("AUTH PLAIN eW91AG1lAHJpZ2h0", "501 5.5.2 "),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6\r\n"),
        ("bWU=", "334 UGFzc3dvcmQ6\r\n"),
        ("NOOP", "501 5.5.2 "),
        ("AUTH LOGIN Y3Jvd2Q=", "334 UGFzc3dvcmQ6\r\n"),
        ("cmlnaHQ=", "454 4.7.0 "),
        ("AUTH LOGIN ZG93bg==", "334 UGFzc3dvcmQ6\r\n"),
        ("cmlnaHQ=", "454 4.7.0 "),
        ("auth login bWU=", "334 UGFzc3dvcmQ6\r\n"),
        ("cmlnaHQ=", "235 2.7.0 "),
        ("AUTH PLAIN AG1lAHJpZ2h0", "503 5.5.1 "),
    ]);
    let long = format!("AUTH PLAIN {}", "A".repeat(12_000));
    Submitter::new(true).script(&[("EHLO x", "250-"), (&long, "501 5.5.2 "), (&format!("{long}{long}"), "500 5.5.2 "), ("NOOP", "250 ")]);
}

#[test]
fn guessing_ends_the_session() {
    let mut client = Submitter::new(true);
    client.script(&[("EHLO x", "250-")]);
    for _ in 0..4 {
        client.script(&[("AUTH PLAIN AG1lAHdyb25n", "535 5.7.8 ")]);
    }
    let last = client.send(b"AUTH PLAIN AG1lAHdyb25n\r\n");
    assert!(last.ends_with("421 4.7.0 Too many logins failed\r\n") && client.closed, "{last}");
}

#[test]
fn as_oneself_alone() {
    let mut client = Submitter::logged_in();
    client.script(&[
        ("MAIL FROM:<you@b.cn>", "550 5.7.1 "),
        ("RCPT TO:<a@c.cn>", "503 5.5.1 "),
        ("MAIL FROM:<often@b.cn>", "450 4.7.1 "),
        ("MAIL FROM:<me@b.cn>", "250 2.1.0 "),
        ("AUTH PLAIN AG1lAHJpZ2h0", "503 5.5.1 "),
        ("RCPT TO:<a@[192.0.2.1]>", "550 5.1.2 "),
        ("RCPT TO:<a@c.cn>", "250 2.1.5 "),
        ("DATA", "354 "),
        ("From: you\r\n.", "550 5.7.1 "),
        ("MAIL FROM:<>", "250 2.1.0 "),
        ("RCPT TO:<a@c.cn>", "250 2.1.5 "),
        ("DATA", "354 "),
        ("much\r\n.", "450 4.7.1 "),
    ]);
    assert!(client.delivered.is_empty());
}

#[test]
fn what_the_sender_wants_to_hear() {
    let mut client = Submitter::logged_in();
    client.script(&[
        ("MAIL FROM:<me@b.cn> RET=SOME", "501 5.5.4 "),
        ("MAIL FROM:<me@b.cn> ENVID=a b", "555 5.5.4 "),
        ("MAIL FROM:<me@b.cn> ENVID=+0A", "501 5.5.4 "),
        ("MAIL FROM:<me@b.cn> RET=HDRS RET=FULL", "501 5.5.4 "),
        ("MAIL FROM:<me@b.cn> RET=hdrs ENVID=QQ+2B1 AUTH=<> SIZE=10", "250 2.1.0 "),
        ("RCPT TO:<a@c.cn> NOTIFY=NEVER,FAILURE", "501 5.5.4 "),
        ("RCPT TO:<a@c.cn> ORCPT=a@c.cn", "501 5.5.4 "),
        ("RCPT TO:<a@c.cn> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bx@c.cn", "250 2.1.5 "),
        ("RCPT TO:<b@c.cn>", "250 2.1.5 "),
        ("DATA", "354 "),
        ("From: me\r\n.", "250 2.0.0 "),
    ]);
    let envelope = client.delivered.pop().unwrap();
    assert_eq!((envelope.ret, envelope.envelope_id.as_ref().map(Xtext::as_str)), (Some(Return::Headers), Some("QQ+1")));
    let [first, second] = envelope.recipients.as_slice() else { panic!("{envelope:?}") };
    assert_eq!(first.notify, Some(Notify { success: true, failure: true, delay: false }));
    assert_eq!(first.original.as_ref().map(Original::told).as_deref(), Some("rfc822;a+x@c.cn"));
    assert_eq!((second.notify, second.original.clone()), (None, None));
    // Where mail comes from other hosts the extension is not offered, and not taken.
    let mut other = Client::greeted();
    assert!(other.send(b"MAIL FROM:<x@y.cn> RET=HDRS\r\n").starts_with("555 5.5.4 "));
}
