//! What felled other mail servers, by class, and the test that holds it off here. What has a test elsewhere is named; the others
//! stand below. None is timed: an input is large enough that a server which works quadratically would not come to its end.
//!
//! | class | seen in | held by |
//! |---|---|---|
//! | a message smuggled past the end of data | CVE-2023-51764, -51765, -51766; Postfix 2026-08 | `smtp::a_smuggled_message_stays_inside_the_first_and_both_are_refused` |
//! | commands sent ahead of STARTTLS | CVE-2021-33515, CVE-2021-38542 | `smtp::plaintext_sent_ahead_of_tls_is_dropped`, `imap::no_login_before_tls_and_plaintext_is_dropped`, `pop3::nobody_logs_in_for_others_to_read` |
//! | a login before TLS | Postfix, Dovecot guides | the same three, `submission::nobody_logs_in_for_others_to_read` |
//! | many tiny BDAT pieces | Postfix 20260805 | `smtp::octets_of_a_refused_piece_are_no_commands` |
//! | part of an envelope that outlives RSET | Postfix 20260812 | `smtp::nothing_of_an_envelope_outlives_it` |
//! | CR, LF, NUL in an envelope or a header we write | CVE-2024-21742, postdrop 2026-08 | `parsers` in certs-test (`smtp`): a message has our two fields whatever the client is called |
//! | endless commands that do nothing | Exim, Postfix guides | [`commands_that_lead_nowhere_end_the_session`] |
//! | literals: count times size, before login | CVE-2024-34055, CVE-2024-37358, CVE-2025-61600 | [`before_a_login_little_is_held_whatever_is_sent`], `framing::bounds` |
//! | parentheses within each other, before login | CVE-2026-27857 | [`before_a_login_little_is_held_whatever_is_sent`], [`nothing_nests_without_end`] |
//! | SEARCH within SEARCH | james-project#3007 | [`nothing_nests_without_end`] |
//! | patterns that go back and forth | CVE-2021-40110 | [`patterns_and_sets_are_read_once`] |
//! | an APPEND that never ends its thread | CVE-2021-40111 | `imap::mutated_commands_any_split` |
//! | parts within parts, parts without number, circles of parts | CVE-2026-26312, Dovecot's bounds | [`structures_are_told_within_bounds`] |
//! | header fields without number, and folds | Dovecot 2024 | [`headers_are_read_within_bounds`], `trace::headers_are_bounded_in_octets_and_lines` |
//! | addresses without number | CVE-2024-23184 | [`headers_are_read_within_bounds`] |
//! | parameters in pieces (RFC 2231) | CVE-2026-27859 | [`headers_are_read_within_bounds`] |
//! | encoded words one after another | many readers | [`headers_are_read_within_bounds`] |
//! | SORT and THREAD of many, circles of References | own review | `imap::circles_and_long_chains_are_told_once_each`, `imap::what_an_order_keeps_of_its_messages_is_bounded` |
//! | expansion: HTML to text, compressed streams, recurrences | CVE-2024-45626, CVE-2025-59045 | [`a_preview_of_html_is_bounded`], `pipe::what_is_no_deflate_is_an_error_and_a_bomb_is_opened_piece_by_piece`; calendars are not read |
//! | programs started for attachments | CVE-2025-59031 | none is started; a PDF is never opened |
//! | base64 that is none, in one session and felt in others | CVE-2025-59028 | [`a_login_that_is_no_base64_ends_nothing_but_itself`] |
//! | a login replayed | CVE-2026-27855 | `app_passwords::any_of_a_mailboxs_app_passwords_is_proved_by_scram` |
//! | comparing passwords in time that tells | CVE-2026-27856 | `app_passwords::guessing_one_costs_the_same_whoever_is_there` |
//! | a cache of logins whose key is too short | CVE-2025-30189 | `recent`: the tag covers mailbox, salt and password |
//! | names that are code to a database | CVE-2026-24031, -27860 | there is no query language: names are keys |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../ca/tests/http_inputs/counted.rs"]
mod counted;

use std::sync::{Mutex, MutexGuard, PoisonError};

use counted::Above;
use protocol::imap::exchange as imap;
use protocol::imap::extension::Extensions;
use protocol::sasl::Offer;
use protocol::{pop3, smtp};
use time::macros::datetime;

/// What one who has not logged in may make us hold.
const BEFORE_LOGIN: usize = 256 << 10;
/// What an input may make us hold beyond its size.
const BEYOND: usize = 64 << 20;
/// As an IMAP connection reads at most, and before a login; an SMTP one reads as much as that, one of POP3 a kibibyte.
const PIECE: usize = 64 << 10;
const EARLY_PIECE: usize = 16 << 10;

/// What is held is counted over the whole process, so one test measures at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was said: how much, and its end.
#[derive(Default)]
struct Said {
    octets: usize,
    last: Vec<u8>,
}

impl Said {
    fn hear(&mut self, bytes: &[u8]) {
        self.octets += bytes.len();
        self.last.extend_from_slice(bytes.get(bytes.len().saturating_sub(400)..).unwrap_or_default());
        let spare = self.last.len().saturating_sub(400);
        self.last.drain(..spare);
    }

    fn ends_with(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.last).ends_with(text)
    }
}

fn imap_session() -> protocol::imap::session::Session {
    let settings = protocol::imap::session::Settings { tls: true, starttls: false, offer: Offer::default(), budget: protocol::budget::Budget::default(), append_limit: 1 << 20, arrange_limit: 4 << 20, off: Extensions::NONE };
    protocol::imap::session::Session::new(settings).0
}

/// INBOX with one message; nobody gets in but `u`.
fn imap_answer(request: imap::Request, message: &std::sync::Arc<Vec<u8>>) -> imap::Answer {
    use imap::{Answer, Flags, MessageInfo, RefusalCode, Request};
    let refused = |code| Answer::Refused { code, text: "No".to_owned() };
    match request {
        Request::Login { user, .. } if user == "u" => Answer::LoggedIn { off: Extensions::NONE },
        Request::Login { .. } | Request::Sasl(_) => refused(RefusalCode::AuthenticationFailed),
        Request::List => Answer::Mailboxes(vec![imap::MailboxInfo { name: "a".repeat(255), id: Some(1), subscribed: true, uses: imap::SpecialUses::NONE, has_children: false }]),
        Request::Open { .. } => {
            let info = MessageInfo { uid: 7, flags: Flags::new(), modseq: 3, internal_date: datetime!(2026-01-01 0:00 UTC), saved: None, size: message.len() as u64, content: 7 };
            Answer::Opened { uid_validity: 9, uid_next: 8, highest_modseq: 3, id: 1, messages: [info].into_iter().collect() }
        }
        Request::Load { .. } => Answer::Bytes(std::sync::Arc::clone(message)),
        // Nothing is kept: every message is read.
        Request::Outlines { .. } => Answer::Outlines(imap::Outlines::default()),
        Request::Find { .. } => refused(RefusalCode::Cannot),
        _ => Answer::Done,
    }
}

fn imap_talk(session: &mut protocol::imap::session::Session, input: &[u8], message: &std::sync::Arc<Vec<u8>>, said: &mut Said) {
    imap_talk_by(PIECE, session, input, message, said);
}

fn imap_talk_by(piece: usize, session: &mut protocol::imap::session::Session, input: &[u8], message: &std::sync::Arc<Vec<u8>>, said: &mut Said) {
    for piece in input.chunks(piece) {
        let mut todo = session.receive(piece);
        while !todo.is_empty() {
            let mut next = Vec::new();
            for output in todo {
                match output {
                    imap::Output::Send(bytes) => said.hear(&bytes),
                    imap::Output::Do(request) => next.extend(session.answer(imap_answer(request, message))),
                    imap::Output::StartTls | imap::Output::Compress | imap::Output::Close => {}
                }
            }
            todo = next;
        }
    }
}

/// A client that is let in asks this of a folder whose one message this is; what was held beyond the message.
fn asked(message: Vec<u8>, commands: &str) -> (Said, usize) {
    asked_of(&message.into(), commands)
}

fn asked_of(message: &std::sync::Arc<Vec<u8>>, commands: &str) -> (Said, usize) {
    let (mut session, mut said) = (imap_session(), Said::default());
    imap_talk(&mut session, b"a LOGIN u p\r\nb SELECT INBOX\r\n", message, &mut said);
    let (mut said, above) = (Said::default(), Above::now());
    imap_talk(&mut session, commands.as_bytes(), message, &mut said);
    (said, above.at_most())
}

fn smtp_session() -> smtp::session::Session {
    let host = smtp::exchange::Domain::parse("mx.example.cn").unwrap();
    let settings = smtp::session::Settings { host, tls: true, starttls: false, role: smtp::session::Role::Submission, dsn: true, offer: Offer::default(), budget: protocol::budget::Budget::default(), max_size: 1 << 20, max_recipients: 4, max_copies: 4 << 20 };
    smtp::session::Session::new(settings).0
}

#[test]
fn before_a_login_little_is_held_whatever_is_sent() {
    let _alone = alone();
    let literal = |size: usize| format!("{{{size}+}}\r\n{}", "x".repeat(size));
    let hostile: Vec<Vec<u8>> = vec![
        format!("a ID ({}", literal(8_192).repeat(200)).into_bytes(),
        format!("a ID ({}", literal(1).repeat(200_000)).into_bytes(),
        format!("a LOGIN {} ", literal(8_192)).repeat(100).into_bytes(),
        format!("a LOGIN {}", "(".repeat(1 << 20)).into_bytes(),
        ("a LOGIN ".to_owned() + &"(".repeat(8_000) + "\r\n").repeat(100).into_bytes(),
        format!("a AUTHENTICATE PLAIN {}", "A".repeat(1 << 20)).into_bytes(),
        format!("a AUTHENTICATE PLAIN\r\n{}", "A".repeat(1 << 20)).into_bytes(),
        format!("a APPEND x {{{}+}}\r\n{}", 1 << 20, "x".repeat(1 << 20)).into_bytes(),
        "a ENABLE X X X X X X\r\n".repeat(50_000).into_bytes(),
        "a CAPABILITY\r\n".repeat(5_000).into_bytes(),
        vec![0; 1 << 20],
        b"\r\n".repeat(1 << 19),
        "EHLO x\r\n".repeat(100_000).into_bytes(),
        "AUTH PLAIN ".to_owned().into_bytes().into_iter().chain(vec![b'A'; 1 << 20]).collect(),
        "MAIL FROM:<a@b.cn>\r\nDATA\r\n".repeat(40_000).into_bytes(),
        format!("BDAT {}\r\n", 1 << 20).into_bytes().into_iter().chain(vec![b'A'; 1 << 20]).collect(),
        "USER a\r\nPASS b\r\n".repeat(50_000).into_bytes(),
        "CAPA\r\n".repeat(5_000).into_bytes(),
    ];
    let message = Vec::new().into();
    for input in hostile {
        let name = input.iter().take(40).copied().collect::<Vec<_>>().escape_ascii().to_string();
        let above = Above::now();
        imap_talk_by(EARLY_PIECE, &mut imap_session(), &input, &message, &mut Said::default());
        let held = above.at_most();
        assert!(held <= BEFORE_LOGIN, "imap {name}: {held}");
        let above = Above::now();
        let mut session = smtp_session();
        for piece in input.chunks(EARLY_PIECE) {
            let mut todo = session.receive(piece);
            while !todo.is_empty() {
                let asked = todo.iter().any(|output| matches!(output, smtp::exchange::Output::Do(_)));
                todo = if asked { session.answer(smtp::exchange::Answer::Denied) } else { Vec::new() };
            }
        }
        assert!(above.at_most() <= BEFORE_LOGIN, "smtp {name}: {}", above.at_most());
        let above = Above::now();
        let (mut session, _) = pop3::session::Session::new(pop3::session::Settings { tls: true, offer: Offer::default(), budget: protocol::budget::Budget::default() });
        for piece in input.chunks(1 << 10) {
            let mut todo = session.receive(piece);
            while todo.iter().any(|output| matches!(output, pop3::exchange::Output::Do(_))) {
                todo = session.answer(pop3::exchange::Answer::Denied);
            }
        }
        assert!(above.at_most() <= BEFORE_LOGIN, "pop3 {name}: {}", above.at_most());
    }
}

#[test]
fn commands_that_lead_nowhere_end_the_session() {
    let _alone = alone();
    let mut session = smtp_session();
    let out = session.receive("EHLO x\r\nFOO\r\n".repeat(1_000).as_bytes());
    assert!(out.iter().any(|output| matches!(output, smtp::exchange::Output::Close)));
    for nothing in ["EHLO x\r\n", "NOOP\r\n", "RSET\r\n", "HELP\r\n", "VRFY a\r\n"] {
        let out = smtp_session().receive(nothing.repeat(101).as_bytes());
        let said: usize = out.iter().map(|output| if let smtp::exchange::Output::Send(bytes) = output { bytes.len() } else { 0 }).sum();
        assert!(matches!(out.last(), Some(smtp::exchange::Output::Close)) && said < 64 << 10, "{nothing}: {said}");
        assert!(!smtp_session().receive(nothing.repeat(100).as_bytes()).iter().any(|output| matches!(output, smtp::exchange::Output::Close)), "{nothing}");
    }
    let (mut session, message, mut said) = (imap_session(), Vec::new().into(), Said::default());
    imap_talk(&mut session, "a CAPABILITY\r\n".repeat(1_000).as_bytes(), &message, &mut said);
    assert!(said.ends_with("* BYE Too many commands before a login\r\n") && said.octets < 128 << 10);
    let (mut session, _) = pop3::session::Session::new(pop3::session::Settings { tls: true, offer: Offer::default(), budget: protocol::budget::Budget::default() });
    let out = session.receive("FOO\r\n".repeat(1_000).as_bytes());
    assert!(out.iter().any(|output| matches!(output, pop3::exchange::Output::Close)));
}

#[test]
fn a_login_that_is_no_base64_ends_nothing_but_itself() {
    let _alone = alone();
    let (mut session, message, mut said) = (imap_session(), Vec::new().into(), Said::default());
    imap_talk(&mut session, b"a AUTHENTICATE PLAIN ***\r\nb AUTHENTICATE PLAIN\r\n=A=\r\nc LOGIN u p\r\n", &message, &mut said);
    assert!(said.ends_with(" Logged in\r\n"), "{}", String::from_utf8_lossy(&said.last));
}

#[test]
fn nothing_nests_without_end() {
    let _alone = alone();
    for (open, close) in [("(", ")"), ("NOT ", ""), ("OR ALL ", ""), ("OR (", " ALL) ALL")] {
        let deep = format!("c SEARCH {}ALL{}\r\nd NOOP\r\n", open.repeat(400), close.repeat(400));
        let (said, held) = asked(b"x".to_vec(), &deep);
        assert!(said.ends_with("c BAD Too many or too deeply nested arguments: split the command\r\nd OK Done\r\n"), "{open}: {}", String::from_utf8_lossy(&said.last));
        assert!(held < 1 << 20, "{open}: {held}");
    }
    let parts = format!("c FETCH 1 BODY[{}1]\r\nd NOOP\r\n", "1.".repeat(3_000));
    assert!(asked(b"x".to_vec(), &parts).0.ends_with("d OK Done\r\n"));
}

#[test]
fn patterns_and_sets_are_read_once() {
    let _alone = alone();
    let (said, _) = asked(b"x".to_vec(), &format!("c LIST \"\" \"{}b\"\r\nd LIST \"\" \"{}b\"\r\n", "a*".repeat(120), "%a".repeat(120)));
    assert!(said.ends_with("d OK Done\r\n"));
    let all: Vec<String> = (1..1_500).map(|number| format!("{}:{}", number, 4_000_000_000_u32 - number)).collect();
    let (said, held) = asked(b"x".to_vec(), &format!("c UID SEARCH UID {}\r\n", all.join(",").get(..8_000).unwrap().trim_end_matches([',', ':'])));
    assert!(said.octets > 0 && held < 4 << 20, "{held}");
}

const TOLD: &str = "c FETCH 1 (ENVELOPE BODY BODYSTRUCTURE PREVIEW BINARY.SIZE[1])\r\nd SORT (SUBJECT FROM) UTF-8 SUBJECT zz\r\ne THREAD REFERENCES UTF-8 ALL\r\nf SEARCH OR TEXT zz HEADER X-A zz\r\n";

/// Whatever it is made of, it is told or refused, and the next command is answered.
fn told_within_bounds(name: &str, message: Vec<u8>) {
    let size = message.len();
    let (said, held) = asked(message, TOLD);
    assert!(said.ends_with("f OK Searched\r\n"), "{name}: {}", String::from_utf8_lossy(&said.last));
    assert!(held <= BEYOND + 2 * size, "{name}: {held} for {size}");
    assert!(said.octets <= 6 * size + (4 << 20), "{name}: {} said of {size}", said.octets);
}

#[test]
fn structures_are_told_within_bounds() {
    let _alone = alone();
    let nested = |depth: usize, kind: fn(usize) -> String| (0..depth).map(kind).collect::<String>().into_bytes();
    told_within_bounds("multiparts within each other", nested(10_000, |at| format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n")));
    told_within_bounds("one boundary for all", nested(10_000, |_| "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_owned()));
    told_within_bounds("messages within each other", nested(30_000, |_| "Content-Type: message/rfc822\r\n\r\n".to_owned()));
    let many = |part: &str| format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(100_000)).into_bytes();
    told_within_bounds("parts without number", many("--b\r\n\r\nx\r\n"));
    told_within_bounds("empty parts without number", many("--b\r\n"));
    told_within_bounds("a boundary that is almost there", many("--a\r\n--"));
}

#[test]
fn headers_are_read_within_bounds() {
    let _alone = alone();
    let header = |begin: &str, again: &str, count: usize| format!("Subject: x\r\n{begin}{}\r\n\r\nbody\r\n", again.repeat(count)).into_bytes();
    told_within_bounds("fields", header("", "X-A: b\r\n", 200_000));
    told_within_bounds("fields of one name", header("", "To: a@b.cn\r\n", 150_000));
    told_within_bounds("folds", header("X-A: ", "\r\n x", 200_000));
    told_within_bounds("addresses", header("To: ", "a@b.cn, ", 200_000));
    told_within_bounds("groups", header("To: ", "g: a@b.cn;, ", 150_000));
    told_within_bounds("comments within each other", header("To: ", "(", 1_000_000));
    told_within_bounds("quotes", header("From: ", "\"\\", 500_000));
    told_within_bounds("encoded words", header("Subject: ", "=?gbk?B?xOO6ww==?= ", 200_000));
    told_within_bounds("encoded words that do not end", header("Subject: ", "=?utf-8?Q?", 200_000));
    told_within_bounds("references", header("References: ", "<a@b.cn> ", 200_000));
    told_within_bounds("languages", header("Content-Language: ", "zh, ", 200_000));
    let pieces: String = (0..60_000).map(|at| format!("; name*{at}*=%E4%BD%A0")).collect();
    told_within_bounds("parameters in pieces", header(&format!("Content-Type: text/plain{pieces}"), "", 0));
    told_within_bounds("one piece again and again", header("Content-Type: text/plain", "; name*0*=utf-8''x", 200_000));
    told_within_bounds("parameters", header("Content-Type: text/plain", "; a=b", 200_000));
}

/// As large as a message may be by the policy that is shipped.
const LARGE: usize = 25 << 20;

#[test]
fn a_message_of_many_megabytes_takes_little_beside_itself() {
    let _alone = alone();
    let again = |header: &str, line: &[u8]| {
        let mut message = format!("Subject: x\r\n{header}\r\n").into_bytes();
        let lines = (LARGE - message.len()) / line.len();
        message.extend(line.repeat(lines));
        message
    };
    // 公积金 in GBK.
    let gbk = [&[0xb9, 0xab, 0xbb, 0xfd, 0xbd, 0xf0].repeat(12), b"\r\n".as_slice()].concat();
    let base64 = "uau7/b3w".repeat(9) + "\r\n";
    let kinds = [
        ("GBK", again("Content-Type: text/plain; charset=gbk\r\n", &gbk)),
        ("GBK of no name", again("", &gbk)),
        ("neither GBK nor UTF-8", again("", b"\xff\xff\xff\xb9\r\n")),
        ("Latin letters", again("Content-Type: text/html; charset=iso-8859-2\r\n", &[&[0xe1; 74][..], b"\r\n"].concat())),
        ("base64", again("Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: base64\r\n", base64.as_bytes())),
        ("quoted-printable", again("Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: quoted-printable\r\n", b"a line of letters, =B9=AB=BB=FD=BD=F0\r\n")),
        ("one line", again("", b"x")),
    ];
    let message_of_two = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_owned() + &base64.repeat(LARGE / base64.len() / 2 - 10) + "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let two = ("two in base64", (message_of_two + &base64.repeat(LARGE / base64.len() / 2 - 10) + "--b--\r\n").into_bytes());
    let alternating = (0..20).map(|at| format!("BINARY[{}]<{at}.1> ", at % 2 + 1)).collect::<String>();
    let commands = [
        "c FETCH 1 (ENVELOPE BODYSTRUCTURE PREVIEW)\r\n".to_owned(),
        // All are looked for: none is there.
        format!("c SEARCH {}TEXT \"no such\"\r\n", "NOT BODY \"not there\" ".repeat(31)),
        "c FETCH 1 BODY[]\r\n".to_owned(),
        "c FETCH 1 BINARY[1]\r\n".to_owned(),
        "c FETCH 1 (BODY[] BODY[TEXT] BINARY[1] BODY[1])\r\n".to_owned(),
        format!("c FETCH 1 ({})\r\n", alternating.trim_end()),
    ];
    for (name, message) in kinds.into_iter().chain([two]) {
        assert!(message.len() > LARGE - 10_000 && message.len() <= LARGE, "{name}: {}", message.len());
        let message = std::sync::Arc::new(message);
        for command in &commands {
            let (said, held) = asked_of(&message, command);
            let last = String::from_utf8_lossy(&said.last);
            let much = command.contains("BODY[TEXT]");
            assert!(last.contains("c OK") || (much && last.contains("c NO [LIMIT]")), "{name}, {command:.40}: {last}");
            assert!(held <= BEYOND, "{name}, {command:.40}: {held}");
        }
    }
}

#[test]
fn a_preview_of_html_is_bounded() {
    let _alone = alone();
    for text in ["<div>", "&amp", "<", "<!--", "<a href=\"", "&#x1F600;", "<style>", "\u{3000}"] {
        told_within_bounds(text, format!("Content-Type: text/html; charset=utf-8\r\n\r\n{}", text.repeat(200_000)).into_bytes());
    }
}
