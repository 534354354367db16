//! What a client may spend before it is known, and on mistakes: as much as the server says, at IMAP, POP3 and submission alike.
#![allow(clippy::unwrap_used, clippy::panic)]

use protocol::budget::Budget;
use protocol::imap::extension::Extensions;
use protocol::sasl::Offer;
use protocol::{imap, pop3, smtp};

const BUDGET: Budget = Budget { failures: 2, errors: 4, commands: 5, octets: 400 };

/// What a session says to these pieces of input, every password being wrong; and whether it closed the connection.
fn said_to(protocol: &str, pieces: &[&str]) -> (String, bool) {
    let (mut said, mut closed) = (Vec::new(), false);
    match protocol {
        "imap" => {
            use imap::exchange::{Answer, Output, RefusalCode};
            let settings = imap::session::Settings { tls: true, starttls: false, offer: Offer::default(), budget: BUDGET, append_limit: 1_000, arrange_limit: 1_000, off: Extensions::NONE };
            let (mut session, _) = imap::session::Session::new(settings);
            for piece in pieces {
                let mut out = session.receive(piece.as_bytes());
                while !out.is_empty() {
                    out = out.into_iter().flat_map(|output| match output {
                        Output::Send(bytes) => { said.extend(bytes); Vec::new() }
                        Output::Do(_) => session.answer(Answer::Refused { code: RefusalCode::AuthenticationFailed, text: "wrong".into() }),
                        Output::Close => { closed = true; Vec::new() }
                        _ => Vec::new(),
                    }).collect();
                }
            }
        }
        "pop3" => {
            use pop3::exchange::{Answer, Output};
            let (mut session, _) = pop3::session::Session::new(pop3::session::Settings { tls: true, offer: Offer::default(), budget: BUDGET });
            for piece in pieces {
                let mut out = session.receive(piece.as_bytes());
                while !out.is_empty() {
                    out = out.into_iter().flat_map(|output| match output {
                        Output::Send(bytes) => { said.extend(bytes); Vec::new() }
                        Output::Do(_) => session.answer(Answer::Denied),
                        Output::Close => { closed = true; Vec::new() }
                        _ => Vec::new(),
                    }).collect();
                }
            }
        }
        role => {
            use smtp::exchange::{Answer, Domain, Output};
            let role = if role == "submission" { smtp::session::Role::Submission } else { smtp::session::Role::Exchange };
            let host = Domain::parse("mx.b.cn").unwrap();
            let settings = smtp::session::Settings { host, tls: true, starttls: false, role, dsn: true, offer: Offer::default(), budget: BUDGET, max_size: 10_000, max_recipients: 10, max_copies: 100_000 };
            let (mut session, _) = smtp::session::Session::new(settings);
            for piece in pieces {
                let mut out = session.receive(piece.as_bytes());
                while !out.is_empty() {
                    out = out.into_iter().flat_map(|output| match output {
                        Output::Send(bytes) => { said.extend(bytes); Vec::new() }
                        Output::Do(_) => session.answer(Answer::Denied),
                        Output::Close => { closed = true; Vec::new() }
                        _ => Vec::new(),
                    }).collect();
                }
            }
        }
    }
    (String::from_utf8(said).unwrap(), closed)
}

#[test]
fn logins_that_fail_and_commands_before_one_are_counted_as_the_server_says() {
    for (protocol, wrong, last) in [
        ("imap", "a LOGIN me no\r\n", "* BYE "),
        ("pop3", "USER me\r\nPASS no\r\n", "-ERR "),
        ("submission", "AUTH PLAIN AG1lAG5v\r\n", "421 4.7.0 Too many logins failed\r\n"),
    ] {
        let begin = if protocol == "submission" { "EHLO x\r\n" } else { "" };
        let (_, closed) = said_to(protocol, &[begin, wrong]);
        assert!(!closed, "{protocol}");
        let (said, closed) = said_to(protocol, &[begin, wrong, wrong]);
        assert!(closed && said.contains(last), "{protocol}: {said}");
    }
    for (protocol, command, last) in [("imap", "a NOOP\r\n", "* BYE Too many commands before a login\r\n"), ("pop3", "CAPA\r\n", "-ERR Too many commands before a login\r\n"), ("submission", "NOOP\r\n", "421 4.7.0 Too many commands"), ("exchange", "NOOP\r\n", "421 4.7.0 Too many commands")] {
        assert!(!said_to(protocol, &[command; 5]).1, "{protocol}");
        let (said, closed) = said_to(protocol, &[command; 6]);
        assert!(closed && said.contains(last), "{protocol}: {said}");
    }
    for (protocol, last) in [("pop3", "-ERR Too many errors\r\n"), ("submission", "421 4.7.0 Too many errors\r\n"), ("exchange", "421 4.7.0 Too many errors\r\n")] {
        assert!(!said_to(protocol, &["FOO\r\n"; 3]).1, "{protocol}");
        let (said, closed) = said_to(protocol, &["FOO\r\n"; 4]);
        assert!(closed && said.ends_with(last), "{protocol}: {said}");
    }
}

#[test]
fn octets_before_a_login_are_counted_however_they_are_cut() {
    let line = format!("{}\r\n", "x".repeat(148));
    for protocol in ["imap", "pop3", "submission"] {
        // Of one line that never ends, and of many that do.
        for pieces in [vec!["y"; 401], vec![line.as_str(); 3]] {
            let (said, closed) = said_to(protocol, &pieces);
            assert!(closed && said.contains("Too much sent before a login"), "{protocol}: {said}");
            let few = if pieces.len() > 3 { 400 } else { 2 };
            assert!(!said_to(protocol, pieces.get(..few).unwrap()).0.contains("Too much"), "{protocol}");
        }
    }
    // At port 25 nobody logs in: a message has as many octets as it has.
    let (said, closed) = said_to("exchange", &["EHLO x\r\n", "MAIL FROM:<a@c.cn>\r\n", &" ".repeat(600)]);
    assert!(!closed && said.contains("250 2.1.0"), "{said}");
}
