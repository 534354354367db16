//! Dialogues with a maildrop in memory: `C:` lines go in, `S:` lines must come out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use protocol::pop3::exchange::*;
use protocol::pop3::session::{Session, Settings};

struct Client {
    session: Session,
    said: Vec<u8>,
    mails: Vec<(u32, Vec<u8>)>,
    /// What the maildrop is said to be besides there.
    in_use: bool,
    failing: bool,
    tls: bool,
    closed: bool,
}

impl Client {
    fn new(tls: bool) -> Self {
        let (session, greeting) = Session::new(Settings { tls, offer: Offer::default(), budget: protocol::budget::Budget::default() });
        let mails = vec![(3, b"Subject: 1\r\n\r\n.\r\none\r\n".to_vec()), (5, b"Subject: 2\r\n\r\na\r\nb".to_vec()), (9, Vec::new())];
        let mut client = Self { session, said: Vec::new(), mails, in_use: false, failing: false, tls, closed: false };
        client.take(greeting);
        client
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Login { user, password } => match (user.as_str(), password.expose()) {
                ("me", "pass word") => Answer::LoggedIn,
                ("crowd", _) => Answer::TooMany,
                ("down", _) => Answer::Failed,
                _ => Answer::Denied,
            },
            Request::Sasl(_) => Answer::Denied,
            Request::Open if self.in_use => Answer::InUse,
            Request::Open => Answer::Maildrop { uid_validity: 77, entries: self.mails.iter().map(|(uid, bytes)| Entry { uid: *uid, size: bytes.len() as u64 }).collect() },
            Request::Load { .. } | Request::Remove { .. } if self.failing => Answer::Failed,
            Request::Load { uid, .. } => match self.mails.iter().find(|(known, _)| *known == uid) {
                Some((_, bytes)) => Answer::Bytes(bytes.clone().into()),
                None => Answer::Gone,
            },
            Request::Remove { uids } => {
                assert!(uids.is_sorted() && !uids.is_empty());
                self.mails.retain(|(uid, _)| !uids.contains(uid));
                Answer::Removed
            }
        }
    }

    fn take(&mut self, mut out: Vec<Output>) {
        while !out.is_empty() {
            let mut next = Vec::new();
            for output in out {
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
        let mut reply = String::from_utf8(std::mem::take(&mut self.said)).unwrap();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(sent) = line.strip_prefix("C: ") {
                assert_eq!(reply, "", "before {sent}");
                reply = self.send(format!("{sent}\r\n").as_bytes());
            } else {
                let expected = line.strip_prefix("S:").unwrap().trim();
                let (first, rest) = reply.split_once("\r\n").unwrap_or_else(|| panic!("no reply, expected {expected}"));
                assert_eq!(first.trim_end(), expected);
                reply = rest.to_owned();
            }
        }
        assert_eq!(reply, "");
    }

    fn logged_in() -> Self {
        let mut client = Self::new(true);
        client.script("S: +OK Ready\nC: USER me\nS: +OK Now PASS\nC: PASS pass word\nS: +OK 3 messages (40 octets)");
        client
    }
}

#[test]
fn nobody_logs_in_for_others_to_read() {
    let mut client = Client::new(false);
    client.script(
        "S: +OK Ready
         C: CAPA
         S: +OK What is offered
         S: TOP
         S: UIDL
         S: PIPELINING
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: EXPIRE NEVER
         S: UTF8 USER
         S: LANG
         S: STLS
         S: .
         C: USER me
         S: -ERR Say STLS first: a password is not for others to read
         C: AUTH PLAIN AG1lAHBhc3Mgd29yZA==
         S: -ERR Say STLS first: a password is not for others to read
         C: STAT
         S: -ERR Log in first",
    );
    // What comes before TLS stands counts for nothing after it.
    assert_eq!(client.send(b"USER me\r\nSTLS\r\nUSER me\r\n"), "-ERR Say STLS first: a password is not for others to read\r\n+OK Begin TLS\r\n");
    assert!(client.tls);
    client.script(
        "C: PASS pass word
         S: -ERR Say USER first
         C: STLS
         S: -ERR TLS is there already
         C: CAPA
         S: +OK What is offered
         S: TOP
         S: UIDL
         S: PIPELINING
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: EXPIRE NEVER
         S: UTF8 USER
         S: LANG
         S: USER
         S: SASL PLAIN LOGIN
         S: .",
    );
}

#[test]
fn logging_in() {
    let mut client = Client::new(true);
    client.script(
        "S: +OK Ready
         C: AUTH
         S: +OK
         S: PLAIN
         S: LOGIN
         S: .
         C: AUTH CRAM-MD5
         S: -ERR Use one of the mechanisms that CAPA names, such as PLAIN
         C: APOP me 0123456789abcdef0123456789abcdef
         S: -ERR APOP is not offered: it needs passwords kept as they are
         C: AUTH PLAIN
         S: +
         C: *
         S: -ERR Cancelled
         C: user crowd
         S: +OK Now PASS
         C: pass x
         S: -ERR [SYS/TEMP] Too many logins failed; try again later
         C: USER down
         S: +OK Now PASS
         C: PASS x
         S: -ERR [SYS/TEMP] Logins are not possible now; try again later
         C: USER me
         S: +OK Now PASS
         C: PASS wrong
         S: -ERR [AUTH] The name or the password is wrong
         C: PASS pass word
         S: -ERR Say USER first
         C: AUTH LOGIN
         S: + VXNlcm5hbWU6
         C: bWU=
         S: + UGFzc3dvcmQ6
         C: cGFzcyB3b3Jk
         S: +OK 3 messages (40 octets)
         C: USER me
         S: -ERR You are logged in already
         C: AUTH PLAIN
         S: -ERR You are logged in already",
    );
    let mut client = Client::new(true);
    client.said.clear();
    for _ in 0..2 {
        assert!(client.send(b"AUTH PLAIN AG1lAHg=\r\n").starts_with("-ERR [AUTH] "));
    }
    assert!(client.send(b"AUTH PLAIN !\r\nSTAT\r\n").ends_with("-ERR Too many logins failed\r\n") && client.closed);
}

#[test]
fn a_maildrop() {
    let mut client = Client::logged_in();
    client.script(
        "C: STAT
         S: +OK 3 40
         C: LIST
         S: +OK Sizes
         S: 1 22
         S: 2 18
         S: 3 0
         S: .
         C: UIDL
         S: +OK Names
         S: 1 77.3
         S: 2 77.5
         S: 3 77.9
         S: .
         C: UIDL 2
         S: +OK 2 77.5
         C: LIST 2
         S: +OK 2 18
         C: LIST 4
         S: -ERR There is no such message, or it is marked
         C: LIST 0
         S: -ERR A message has a number from 1 on
         C: RETR 1
         S: +OK 22 octets
         S: Subject: 1
         S:
         S: ..
         S: one
         S: .
         C: TOP 2 1
         S: +OK Its top
         S: Subject: 2
         S:
         S: a
         S: .
         C: TOP 2 0
         S: +OK Its top
         S: Subject: 2
         S:
         S: .
         C: TOP 2
         S: -ERR Write TOP, the number of a message, and how many lines
         C: RETR 2
         S: +OK 18 octets
         S: Subject: 2
         S:
         S: a
         S: b
         S: .
         C: RETR 3
         S: +OK 0 octets
         S: .
         C: DELE 2
         S: +OK It goes when you say QUIT
         C: RETR 2
         S: -ERR There is no such message, or it is marked
         C: DELE 2
         S: -ERR There is no such message, or it is marked
         C: STAT
         S: +OK 2 22
         C: LIST
         S: +OK Sizes
         S: 1 22
         S: 3 0
         S: .
         C: RSET
         S: +OK Nothing is marked
         C: STAT
         S: +OK 3 40
         C: DELE 3
         S: +OK It goes when you say QUIT
         C: DELE 1
         S: +OK It goes when you say QUIT
         C: NOOP
         S: +OK
         C: QUIT
         S: +OK Goodbye",
    );
    assert!(client.closed);
    assert_eq!(client.mails.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [5]);
}

#[test]
fn what_is_marked_goes_in_quit_alone() {
    let mut client = Client::logged_in();
    client.send(b"DELE 1\r\n");
    let out = client.session.bye("The server goes down; connect again");
    client.take(out);
    assert!(client.closed && client.mails.len() == 3);
    // One that is gone, one that cannot be read, and a store that does not remove.
    let mut client = Client::logged_in();
    client.mails.remove(0);
    assert_eq!(client.send(b"RETR 1\r\n"), "-ERR The message was removed meanwhile\r\n");
    client.failing = true;
    assert!(client.send(b"RETR 2\r\n").starts_with("-ERR [SYS/TEMP] "));
    assert!(client.send(b"DELE 2\r\nQUIT\r\n").ends_with("-ERR [SYS/TEMP] Not all marked messages were removed; log in again\r\n"));
    assert!(client.closed);
}

#[test]
fn people_are_answered_in_their_language() {
    let mut client = Client::new(true);
    client.script(
        "S: +OK Ready
         C: UTF8
         S: +OK
         C: LANG
         S: +OK
         S: en English
         S: zh 中文
         S: .
         C: LANG fr
         S: -ERR The language is not spoken here; LANG lists those that are
         C: lang zh-CN
         S: +OK zh 中文
         C: STAT
         S: -ERR 请先登录
         C: USER 张三
         S: +OK 请发送 PASS
         C: PASS x
         S: -ERR [AUTH] 用户名或密码错误
         C: USER me
         S: +OK 请发送 PASS
         C: PASS pass word
         S: +OK 3 messages (40 octets)
         C: UTF8
         S: -ERR 请在登录之前发送 UTF8
         C: UIDL 1
         S: +OK 1 77.3
         C: LIST
         S: +OK 各邮件大小
         S: 1 22
         S: 2 18
         S: 3 0
         S: .
         C: LANG *
         S: +OK en English
         C: DELE 9
         S: -ERR There is no such message, or it is marked",
    );
}

#[test]
fn another_session_has_it() {
    let mut client = Client::new(true);
    client.in_use = true;
    client.said.clear();
    client.send(b"USER me\r\n");
    assert!(client.send(b"PASS pass word\r\nSTAT\r\n").starts_with("-ERR [IN-USE] "));
    assert!(client.closed);
}

/// With what is sent just before the end the maildrop is let go: that must not be a message which a slow client takes its time for.
#[test]
fn a_farewell_goes_out_by_itself() {
    let mut client = Client::logged_in();
    let out = client.session.receive(b"RETR 1\r\nQUIT\r\n");
    let [Output::Do(Request::Load { .. })] = out.as_slice() else { panic!("{out:?}") };
    let out = client.session.answer(Answer::Bytes(b"Subject: 1\r\n\r\none\r\n".to_vec().into()));
    let [before @ .., Output::Send(farewell), Output::Close] = out.as_slice() else { panic!("{out:?}") };
    assert!(farewell.starts_with(b"+OK") && farewell.ends_with(b"\r\n") && farewell.len() < 60, "{out:?}");
    assert!(matches!(before, [Output::Send(message)] if message.ends_with(b"one\r\n.\r\n")), "{out:?}");
}

#[test]
fn bounds() {
    let mut client = Client::logged_in();
    assert_eq!(client.send(format!("NOOP{}\r\nNOOP\r\n", " ".repeat(300)).as_bytes()), "-ERR The line is too long, or holds a control character\r\n+OK\r\n");
    assert!(client.send(b"NOOP\nNOOP\r\n").starts_with("-ERR ") && client.closed);
    // A command that is understood makes good for those that were not.
    let mut client = Client::logged_in();
    for _ in 0..19 {
        assert!(!client.send(b"WHAT\r\n").is_empty() && !client.closed);
    }
    client.send(b"STAT\r\n");
    for _ in 0..19 {
        assert!(!client.send(b"WHAT\r\n").is_empty() && !client.closed);
    }
    assert!(client.send(b"WHAT\r\n").ends_with("-ERR Too many errors\r\n") && client.closed);
    // An answer nobody asked for ends the session.
    let mut client = Client::logged_in();
    let out = client.session.answer(Answer::Removed);
    client.take(out);
    assert!(client.closed);
}

proptest! {
    /// Commands sent ahead mean what they would mean one by one, however they are cut.
    #[test]
    fn any_split_reads_the_same(cut in 1usize..40) {
        let text = b"CAPA\r\nUSER me\r\nPASS pass word\r\nSTAT\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nLIST\r\nQUIT\r\nNOOP\r\n";
        let (mut whole, mut cut_up) = (Client::new(true), Client::new(true));
        let expected = whole.send(text);
        let said: String = text.chunks(cut).map(|piece| cut_up.send(piece)).collect();
        prop_assert!(expected.ends_with(&said) && said.ends_with("+OK Goodbye\r\n"));
        prop_assert!(cut_up.closed);
    }
}
