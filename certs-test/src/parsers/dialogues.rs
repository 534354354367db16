//! SMTP and IMAP sessions and the structure of messages: cut anyhow, the same bytes give the same answers.

use protocol::imap::extension::Extensions;
use protocol::imap::exchange::{self as imap_exchange, Flags, MessageInfo};
use protocol::imap::session as imap_session;
use protocol::smtp::exchange::{Answer, BodyKind, Domain, Envelope, Output, Recipient, Refusal, Request};
use protocol::smtp::session::{Role, Session, Settings};
use protocol::sasl::{Offer, Question, Salted, TokenRefused};
use protocol::smtp::trace;
use time::macros::datetime;

use super::stands_in;

/// Longer input is left to the test of limits.
const MAX_INPUT: usize = 64 * 1024;
const MAX_SIZE: usize = 4 * 1024;

struct Talked {
    said: Vec<u8>,
    delivered: Vec<(Envelope, Vec<u8>)>,
    upgraded: bool,
}

/// What kind of server the first octet of an input asks for; a letter stands for each in the seeds.
#[derive(Clone, Copy)]
struct Chosen {
    role: Role,
    dsn: bool,
    tls: bool,
    offer: bool,
}

impl Chosen {
    fn by(octet: u8) -> Self {
        let role = match octet & 3 {
            1 => Role::Submission,
            2 => Role::Neighbour,
            _ => Role::Exchange,
        };
        Self { role, dsn: octet & 4 != 0, tls: octet & 8 != 0, offer: octet & 16 != 0 }
    }

    fn offers(self) -> Offer {
        if self.offer { Offer { scram: true, binding: Some([1; 32]), certificate: true, token: true } } else { Offer::default() }
    }

    fn settings(self) -> Settings {
        let host = Domain::parse("mx.example.cn").expect("a domain");
        let offer = if self.tls { self.offers() } else { Offer::default() };
        Settings { host, tls: self.tls, starttls: true, role: self.role, dsn: self.dsn, offer, budget: protocol::budget::Budget::default(), max_size: MAX_SIZE, max_recipients: 4, max_copies: 2 * MAX_SIZE }
    }
}

/// Whoever logs in with `right` may send as anybody but `x`; only `a` and the postmaster are known.
fn smtp_answer(request: Request, talked: &mut Talked, role: Role, tls: bool) -> Answer {
    match request {
        Request::Recipient { recipient, .. } => {
            let known = matches!(&recipient, Recipient::Mailbox(address) if address.local() == "a") || recipient == Recipient::Postmaster;
            if known { Answer::Known } else { Answer::Unknown }
        }
        Request::Deliver { envelope, bytes } => {
            let count = envelope.recipients.len();
            talked.delivered.push((envelope, bytes));
            let durable = Answer::Durable { id: "1".to_owned() };
            if role == Role::Neighbour && count > 1 { Answer::Each((0..count).map(|at| if at == 0 { Answer::Full } else { durable.clone() }).collect()) } else { durable }
        }
        asked => {
            assert!(role == Role::Submission && tls, "asked in the clear, or where nobody logs in: {asked:?}");
            match asked {
                Request::Sender { reverse_path } if reverse_path.as_ref().is_some_and(|address| address.local() == "x") => Answer::Refused(Refusal::Sender),
                Request::Login { password, .. } if password.expose() != "right" => Answer::Denied,
                Request::Sasl(Question::Salt { .. }) => Answer::Salted(Salted { nonce: "N".to_owned(), salt: [2; 32], iterations: 4_096 }),
                Request::Sasl(Question::Proof(proof)) if proof.proof == [0; 32] => Answer::Proved { signature: [3; 32] },
                Request::Sasl(Question::Proof(_)) => Answer::Denied,
                Request::Sasl(Question::Token(bearer)) if bearer.token.expose() != "good" => Answer::NoToken(TokenRefused::new(Some("mail"), None).expect("plain words")),
                Request::Sender { .. } => Answer::Known,
                _ => Answer::LoggedIn,
            }
        }
    }
}

fn talk(chosen: Chosen, bytes: &[u8], cut: usize) -> Talked {
    let (mut session, mut todo) = Session::new(chosen.settings());
    let mut talked = Talked { said: Vec::new(), delivered: Vec::new(), upgraded: false };
    let mut pieces = bytes.chunks(cut);
    loop {
        while !todo.is_empty() {
            let mut next = Vec::new();
            for output in todo {
                match output {
                    Output::Send(bytes) => talked.said.extend(bytes),
                    Output::Do(request) => {
                        let tls = chosen.tls || talked.upgraded;
                        next.extend(session.answer(smtp_answer(request, &mut talked, chosen.role, tls)));
                    }
                    Output::StartTls => {
                        session.tls_started(chosen.offers());
                        talked.upgraded = true;
                    }
                    Output::Close => {}
                }
            }
            todo = next;
        }
        assert!(session.kept() <= 2 * MAX_SIZE, "a message takes more memory than its limit");
        match pieces.next() {
            Some(piece) => todo = session.receive(piece),
            None => return talked,
        }
    }
}

pub(super) fn smtp(input: &[u8]) {
    let Some((octet, input)) = input.get(..MAX_INPUT).unwrap_or(input).split_first() else { return };
    let chosen = Chosen::by(*octet);
    let (whole, cut) = (talk(chosen, input, MAX_INPUT), talk(chosen, input, 1 + input.len() % 7));
    // What follows STARTTLS in one piece is plaintext and dropped, so that there the pieces matter.
    if !whole.upgraded && !cut.upgraded {
        assert_eq!(whole.said, cut.said);
        assert_eq!(whole.delivered, cut.delivered);
    }
    for talked in [whole, cut] {
        assert!(talked.said.ends_with(b"\r\n"));
        let text = String::from_utf8(talked.said).expect("replies are UTF-8");
        for line in text.split_terminator("\r\n") {
            // A challenge holds what the client chose of it. spec: rfc4954#4.3
            let most = if line.starts_with("334 ") { 12_286 } else { 510 };
            assert!(line.len() <= most && line.as_bytes().iter().take(3).all(u8::is_ascii_digit) && !line.contains(['\r', '\n', '\0']), "{line}");
        }
        for (envelope, message) in &talked.delivered {
            assert!(message.len() <= MAX_SIZE);
            // spec: rfc3030#3 any octets, as they came
            let binary = envelope.body == BodyKind::BinaryMime;
            assert!(binary || (message.is_empty() || message.ends_with(b"\r\n")) && !message.contains(&0));
            let (carriages, lines) = (message.iter().filter(|byte| **byte == b'\r').count(), message.windows(2).filter(|pair| pair == b"\r\n").count());
            assert!(binary || carriages == lines && message.iter().filter(|byte| **byte == b'\n').count() == lines, "a line ends otherwise than with CRLF");
            // Two fields, whatever the client called itself and its addresses.
            let by = Domain::parse("mx.example.cn").expect("a domain");
            let fields = [trace::return_path(envelope), trace::received(envelope, &by, datetime!(2026-01-01 0:00 UTC), [192, 0, 2, 1].into(), "1")].concat();
            let text = String::from_utf8(fields).expect("fields are UTF-8");
            let starts = text.split_terminator("\r\n").filter(|line| !line.starts_with('\t')).count();
            assert!(starts == 2 && text.matches(['\r', '\n', '\0']).count() == 2 * text.matches("\r\n").count(), "{text}");
        }
    }
}

/// `` ` `` is another host, `d` one that is told of deliveries, `l` the same within TLS; `i` and `y` log in within TLS, `y` by any way, `m` to be told of deliveries, `e` after
/// STARTTLS; `b` is a neighbour, `f` one that asks for notifications.
pub(super) fn smtp_seeds() -> Vec<Vec<u8>> {
    [
        "`EHLO x.cn\r\nMAIL FROM:<x@y.cn> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<a@b.cn>\r\nRCPT TO:<nobody@b.cn>\r\nDATA\r\nSubject: x\r\n\r\n..x\r\n.\r\nQUIT\r\n",
        "`HELO [192.0.2.1]\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n.\r\nMAIL FROM:<@r.cn,@s.cn:\"a\\\" b\"@y.cn>\r\nRSET\r\nVRFY a\r\nHELP\r\nNOOP\r\n",
        "`EHLO [IPv6:2001:db8::1]\r\nMAIL FROM:<张三@穗印.中国> SMTPUTF8\r\nRCPT TO:<a@[192.0.2.1]>\r\nDATA\r\nhello\n.\nMAIL FROM:<e@b.cn>\r\n.\r\n",
        "`EHLO x\r\nSTARTTLS\r\nEHLO y\r\nMAIL FROM:<x@y.cn>\r\nRCPT TO:<\"a\"@b.cn>\r\nDATA\r\n.a\r\n\r\n.\r\n",
        "`EHLO x\r\nMAIL FROM:<b@y.cn> BODY=BINARYMIME\r\nRCPT TO:<a@b.cn>\r\nBDAT 24\r\nMIME-Version: 1.0\r\n\r\n\0\n\rBDAT 3 LAST\r\n\r\n.MAIL FROM:<>\r\nRCPT TO:<a@b.cn>\r\nBDAT 0 LAST\r\nQUIT\r\n",
        "dEHLO x\r\nMAIL FROM:<b@y.cn> RET=HDRS ENVID=QQ+2B314159\r\nRCPT TO:<a@b.cn> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@b.cn\r\nBDAT 14 LAST\r\nSubject: x\r\n\r\nMAIL FROM:<b@y.cn>\r\nRCPT TO:<a@b.cn> NOTIFY=NEVER\r\nDATA\r\n.\r\n",
        "lEHLO x\r\nMAIL FROM:<b@y.cn> REQUIRETLS SMTPUTF8 SIZE=9000\r\nMAIL FROM:<b@y.cn> REQUIRETLS RET=FULL\r\nRCPT TO:<a@b.cn> ORCPT=utf-8;\\x{5F20}@b.cn\r\nRCPT TO:<Postmaster>\r\nBDAT 5000 LAST\r\n",
        "iEHLO DESKTOP-1\r\nAUTH LOGIN bWU=\r\ncmlnaHQ=\r\nMAIL FROM: <me@b.cn> AUTH=<>\r\nRCPT TO: <a@b.cn>\r\nDATA\r\nFrom: me@b.cn\r\n\r\nx\r\n.\r\nMAIL FROM:<x@b.cn>\r\nQUIT\r\n",
        "mEHLO x\r\nMAIL FROM:<me@b.cn>\r\nAUTH PLAIN AG1lAHdyb25n\r\nAUTH PLAIN\r\nAG1lAHJpZ2h0\r\nAUTH PLAIN AG1lAHJpZ2h0\r\nMAIL FROM:<me@b.cn> RET=HDRS ENVID=1\r\nRCPT TO:<a@b.cn> NOTIFY=FAILURE\r\nBDAT 20 LAST\r\nFrom: me@b.cn\r\n\r\nx\r\n",
        "yEHLO x\r\nAUTH SCRAM-SHA-256\r\nbiwsbj1hLHI9eA==\r\nYz1iaXdzLHI9eE4scD1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBPQ==\r\n\r\nMAIL FROM:<me@b.cn>\r\nRSET\r\n",
        "yEHLO x\r\nAUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YSxyPXg=\r\n*\r\nAUTH OAUTHBEARER\r\nbiwsAWF1dGg9YmVhcmVyIGIuYS5kAQE=\r\nAQ==\r\nAUTH EXTERNAL =\r\nMAIL FROM:<me@b.cn>\r\n",
        "eEHLO x\r\nAUTH PLAIN AG1lAHJpZ2h0\r\nSTARTTLS\r\n",
        "bLHLO x\r\nMAIL FROM:<b@y.cn>\r\nRCPT TO:<a@b.cn>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<nobody@b.cn>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nEHLO x\r\nQUIT\r\n",
        "fLHLO x\r\nMAIL FROM:<> RET=FULL\r\nRCPT TO:<a@b.cn> NOTIFY=SUCCESS\r\nRCPT TO:<a@b.cn>\r\nBDAT 2\r\n\r\nBDAT 3 LAST\r\nx\r\nMAIL FROM:<b@y.cn>\r\nDATA\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What an INBOX with one message and one folder answers.
fn imap_answer(request: imap_exchange::Request, message: &[u8]) -> imap_exchange::Answer {
    use imap_exchange::{Answer, Hits, MailboxInfo, MailboxStatus, Quota, RefusalCode, Request, SpecialUses};
    let info = || MessageInfo { uid: 7, flags: Flags::new(), modseq: 3, internal_date: datetime!(2026-01-01 0:00 UTC), saved: None, size: message.len() as u64, content: 7 };
    match request {
        Request::Login { .. } => Answer::LoggedIn { off: Extensions::NONE },
        Request::List | Request::WatchAccount => Answer::Mailboxes(vec![MailboxInfo { name: "INBOX".to_owned(), subscribed: true, uses: SpecialUses::NONE, has_children: false, id: Some(1) }]),
        Request::Open { mailbox, .. } if mailbox == "INBOX" => Answer::Opened { uid_validity: 9, uid_next: 8, highest_modseq: 3, id: 1, messages: [info()].into_iter().collect() },
        Request::Status { .. } => Answer::Status(MailboxStatus { messages: 1, unseen: 1, deleted: 0, size: 9, uid_next: 8, uid_validity: 9, highest_modseq: 3, deleted_size: 0, id: 1 }),
        Request::Load { uid: 7, .. } => Answer::Bytes(message.to_vec().into()),
        // Nothing is kept: every message is read.
        Request::Outlines { .. } => Answer::Outlines(imap_exchange::Outlines::default()),
        Request::Find { needles } => Answer::Found { known: vec![7], hits: needles.iter().map(|_| Hits { holds: Vec::new(), perhaps: vec![7] }).collect() },
        Request::Quota => Answer::Quota(Quota::default()),
        Request::Time => Answer::Time(datetime!(2026-01-01 0:00 UTC)),
        Request::Vanished { .. } => Answer::Vanished(vec![(1, 6)]),
        Request::Store { op, flags, .. } => Answer::Stored { after: vec![MessageInfo { flags: Flags::new().after(op, &flags), modseq: 4, ..info() }], modified: Vec::new() },
        Request::Append { messages, .. } => Answer::Appended { uid_validity: 9, uids: (8..).take(messages.len()).collect() },
        Request::Replace { .. } => Answer::Appended { uid_validity: 9, uids: vec![8] },
        Request::Metadata { .. } => Answer::Metadata(vec![("/private/comment".to_owned(), message.iter().copied().take(300).collect())]),
        Request::Copy { uids, .. } => Answer::Copied { uid_validity: 5, to: (1..).take(uids.len()).collect(), from: uids },
        Request::Create { .. } => Answer::Created { id: 2 },
        Request::Expunge { .. } => Answer::Expunged(Vec::new()),
        Request::Open { .. } | Request::Load { .. } | Request::Move { .. } => Answer::Refused { code: RefusalCode::NonExistent, text: "No".to_owned() },
        _ => Answer::Done,
    }
}

fn imap_talk(commands: &[u8], cut: usize, message: &[u8]) -> Vec<u8> {
    use imap_exchange::Output;
    let (mut session, _) = imap_session::Session::new(imap_session::Settings { tls: true, starttls: false, offer: Offer::default(), budget: protocol::budget::Budget::default(), append_limit: MAX_SIZE, arrange_limit: MAX_SIZE, off: Extensions::NONE });
    let mut said = Vec::new();
    for piece in b"a LOGIN u p\r\nb SELECT INBOX\r\n".chunks(MAX_INPUT).chain(commands.chunks(cut)) {
        let mut todo = session.receive(piece);
        while !todo.is_empty() {
            let mut next = Vec::new();
            for output in todo {
                match output {
                    Output::Send(bytes) => said.extend(bytes),
                    Output::Do(request) => next.extend(session.answer(imap_answer(request, message))),
                    // What follows is compressed.
                    Output::Compress => return said,
                    Output::StartTls | Output::Close => {}
                }
            }
            todo = next;
        }
    }
    said
}

const MAIL: &[u8] = b"From: \xe5\xbc\xa0 <a@b.cn>\r\nSubject: =?GBK?B?xOO6ww==?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nin\r\n--x--\r\n";

pub(super) fn imap(input: &[u8]) {
    let input = input.get(..MAX_INPUT).unwrap_or(input);
    let whole = imap_talk(input, MAX_INPUT, MAIL);
    assert_eq!(whole, imap_talk(input, 1 + input.len() % 7, MAIL));
    assert!(whole.ends_with(b"\r\n"));
}

pub(super) fn imap_seeds() -> Vec<Vec<u8>> {
    [
        "c FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM \"TO\")]<0.9>)\r\nd NOOP\r\n",
        "c UID SEARCH CHARSET UTF-8 OR NOT SEEN (SINCE 1-Jan-2024 BODY {6}\r\n你好 UID 1:7,*)\r\n",
        "c STORE 1 +FLAGS.SILENT (\\Deleted $Work)\r\nd EXPUNGE\r\ne COPY 1 \"&U,BTFw-\"\r\nf CLOSE\r\n",
        "c APPEND INBOX (\\Seen) \" 1-Oct-2024 10:00:00 +0800\" {3+}\r\nabc\r\nd IDLE\r\nDONE\r\ne LIST \"\" (\"%\" *) RETURN (SUBSCRIBED STATUS (MESSAGES))\r\n",
        "c ENABLE IMAP4rev2 UTF8=ACCEPT\r\nd APPEND 箱 (\\Seen) {3+}\r\nabc UTF8 (~{2+}\r\nde)\r\ne UID REPLACE 7 INBOX {1+}\r\nx\r\nf COMPRESS DEFLATE\r\n",
        "c ENABLE UIDONLY\r\nd UID SORT RETURN (MIN PARTIAL -1:-9) (REVERSE DATE) UTF-8 SAVEDSINCE 1-Jan-2024\r\ne UID FETCH 1:* (SAVEDATE) (PARTIAL 1:3 CHANGEDSINCE 1)\r\n",
        "c SETMETADATA INBOX (/private/comment {3+}\r\nabc /shared/x NIL)\r\nd GETMETADATA (MAXSIZE 100 DEPTH infinity) \"\" (/private /private/comment)\r\ne UNAUTHENTICATE\r\n",
        "c NOTIFY SET STATUS (selected MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) (x NONE)\r\nd NOTIFY SET STATUS (selected-delayed (MessageNew (UID FLAGS ENVELOPE) MessageExpunge FlagChange)) (subtree (INBOX \"a\") (MessageNew MessageExpunge MailboxName)) (personal (SubscriptionChange MailboxMetadataChange ServerMetadataChange))\r\ne APPEND INBOX {1+}\r\nx\r\nf CREATE b\r\ng IDLE\r\nDONE\r\nh NOTIFY NONE\r\n",
        "c CREATE a (USE (\\Sent \\junk))\r\nd CREATE b/ (USE ())\r\ne CREATE c (USE (\\Flagged))\r\nf UNSELECT\r\n",
        "c AUTHENTICATE PLAIN\r\n*\r\nd STATUS \"a\\\"b\" (MESSAGES UIDNEXT)\r\ne RENAME a b\r\nf ID (\"name\" NIL)\r\ng LOGOUT\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A message of any form is told and searched, and its own bytes come back as they are.
pub(super) fn mime(message: &[u8]) {
    let message = message.get(..MAX_INPUT).unwrap_or(message);
    let commands = b"c FETCH 1 (ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[1.1.MIME] BODY.PEEK[2.HEADER] BODY.PEEK[TEXT])\r\nd SEARCH OR TEXT zz SUBJECT zz\r\ne FETCH 1 BODY.PEEK[]\r\n";
    let said = imap_talk(commands, MAX_INPUT, message);
    assert!(stands_in(b"c OK ", &said) && stands_in(b"d OK ", &said) && said.ends_with(b"e OK Fetched\r\n"));
    let mut literal = format!("BODY[] {{{}}}\r\n", message.len()).into_bytes();
    literal.extend_from_slice(message);
    // An empty literal may be written as an empty string.
    assert!(message.is_empty() || stands_in(&literal, &said));
}

pub(super) fn mime_seeds() -> Vec<Vec<u8>> {
    let nested: String = (0..8).map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n")).collect();
    vec![
        MAIL.to_vec(),
        nested.into_bytes(),
        b"From: g: a@b, \"c\" <c@d>;, e\r\nDate: Tue, 1 Oct 2024 10:00:00 +0800\r\nContent-Type: text/plain; charset=gb18030; name*0*=utf-8''%E4%BD; name*1*=%A0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C4=E3\r\n".to_vec(),
        b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=\"a b\"\r\n\r\n--a b\r\nContent-Type: message/rfc822\r\n\r\n\r\n--a b\r\nContent-Type: application/pkcs7-signature\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\nMII=\r\n--a b--\r\n".to_vec(),
    ]
}

/// A maildrop of two messages, whose owner may log in by anything.
fn pop3_talk(bytes: &[u8], cut: usize) -> (Vec<u8>, Vec<u32>) {
    use protocol::pop3::exchange::{Answer, Entry, Output, Request};
    use protocol::pop3::session::{Session, Settings};
    const MAILS: [&[u8]; 2] = [b"Subject: 1\r\n\r\n.\r\n", b"Subject: 2\r\n\r\nend"];
    let offer = Offer { scram: true, binding: Some([1; 32]), certificate: true, token: true };
    let (mut session, mut todo) = Session::new(Settings { tls: false, offer: Offer::default(), budget: protocol::budget::Budget::default() });
    let (mut said, mut removed, mut tls) = (Vec::new(), Vec::new(), false);
    let mut pieces = bytes.chunks(cut);
    loop {
        while !todo.is_empty() {
            let mut next = Vec::new();
            for output in todo {
                match output {
                    Output::Send(bytes) => said.extend(bytes),
                    Output::Do(request) => {
                        assert!(tls, "asked in the clear: {request:?}");
                        next.extend(session.answer(match request {
                            Request::Login { .. } | Request::Sasl(Question::Certificate { .. }) => Answer::LoggedIn,
                            Request::Sasl(Question::Salt { .. }) => Answer::Salted(Salted { nonce: "N".to_owned(), salt: [2; 32], iterations: 4_096 }),
                            Request::Sasl(Question::Proof(proof)) if proof.proof == [0; 32] => Answer::Proved { signature: [3; 32] },
                            Request::Sasl(Question::Proof(_)) => Answer::Denied,
                            Request::Sasl(Question::Token(bearer)) => {
                                // What is believed stands in a line of JSON or of a log as it is.
                                assert!(bearer.token.expose().bytes().all(|byte| byte.is_ascii_graphic()) && bearer.user.as_ref().is_none_or(|user| !user.is_empty()));
                                if bearer.token.expose() == "good" { Answer::LoggedIn } else { Answer::NoToken(TokenRefused::new(Some("mail"), None).expect("plain words")) }
                            }
                            Request::Open => Answer::Maildrop { uid_validity: 7, entries: (1..).zip(MAILS).map(|(uid, mail)| Entry { uid, size: mail.len() as u64 }).collect() },
                            Request::Load { uid, .. } => Answer::Bytes(MAILS.get(uid as usize - 1).copied().unwrap_or_default().into()),
                            Request::Remove { uids } => {
                                removed = uids;
                                Answer::Removed
                            }
                        }));
                    }
                    Output::StartTls => {
                        session.tls_started(offer);
                        tls = true;
                    }
                    Output::Close => {}
                }
            }
            todo = next;
        }
        match pieces.next() {
            Some(piece) => todo = session.receive(piece),
            None => return (said, removed),
        }
    }
}

/// However the bytes are cut the same is said and removed; every line of it ends, and no request comes in the clear.
pub(super) fn pop3(input: &[u8]) {
    let input = input.get(..input.len().min(MAX_INPUT)).unwrap_or_default();
    // What follows STLS within one piece is thrown away, so TLS stands before the rest.
    let talk = |cut: usize| {
        let bytes = [b"STLS\r\n".as_slice(), input].concat();
        pop3_talk(&bytes, cut)
    };
    let (said, removed) = talk(6);
    assert_eq!(talk(1), (said.clone(), removed), "one octet at a time means something else");
    assert!(said.ends_with(b"\r\n"), "an answer has no end");
}

pub(super) fn pop3_seeds() -> Vec<Vec<u8>> {
    [
        "CAPA\r\nUSER me\r\nPASS a b\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nRSET\r\nDELE 2\r\nNOOP\r\nQUIT\r\n",
        "AUTH PLAIN AG1lAHB3\r\nRETR 2\r\nQUIT\r\n",
        "AUTH LOGIN\r\nbWU=\r\ncHc=\r\nUIDL 1\r\nLIST 2\r\n",
        // n,,n=a,r=x and a proof of zeros
        "AUTH SCRAM-SHA-256\r\nbiwsbj1hLHI9eA==\r\nYz1iaXdzLHI9eE4scD1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBPQ==\r\n\r\nSTAT\r\n",
        "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YSxyPXg=\r\n*\r\nAUTH EXTERNAL =\r\nSTAT\r\n",
        // n,a=a=2Cb, and host, port and a token; and one that opens nothing
        "AUTH OAUTHBEARER bixhPWE9MkNiLAFob3N0PW14AXBvcnQ9OTk1AWF1dGg9QmVhcmVyIGdvb2QBAQ==\r\nSTAT\r\n",
        "AUTH OAUTHBEARER\r\nbiwsAWF1dGg9YmVhcmVyIGIuYS5kAQE=\r\nAQ==\r\nSTAT\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds come to what they are there for: mutations of a dialogue that is refused at its first word find nothing behind it.
    #[test]
    fn seeds_of_smtp_log_in_and_deliver_in_every_role() {
        let talked: Vec<_> = smtp_seeds().into_iter().filter_map(|seed| {
            let (octet, input) = seed.split_first()?;
            let chosen = Chosen::by(*octet);
            Some((chosen, input.to_vec(), talk(chosen, input, MAX_INPUT)))
        }).collect();
        for role in [Role::Exchange, Role::Submission, Role::Neighbour] {
            for command in [b"DATA\r\n".as_slice(), b" LAST\r\n"] {
                let delivers = talked.iter().any(|(chosen, input, talked)| chosen.role == role && !talked.delivered.is_empty() && stands_in(command, input));
                assert!(delivers, "{role:?} by {}", command.escape_ascii());
            }
            assert!(talked.iter().any(|(chosen, _, talked)| chosen.role == role && talked.delivered.iter().any(|(envelope, _)| envelope.recipients.iter().any(|one| one.notify.is_some()))), "{role:?} with NOTIFY");
        }
        assert!(talked.iter().any(|(_, _, talked)| talked.delivered.iter().any(|(envelope, _)| envelope.body == BodyKind::BinaryMime)));
        for way in ["AUTH PLAIN", "AUTH LOGIN", "AUTH SCRAM-SHA-256", "AUTH EXTERNAL"] {
            assert!(talked.iter().any(|(_, input, talked)| stands_in(way.as_bytes(), input) && stands_in(b"235 2.7.0 ", &talked.said)), "{way}");
        }
    }
}
