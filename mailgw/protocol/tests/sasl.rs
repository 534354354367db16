//! Logging in by SCRAM and by certificate, in the words of IMAP and of SMTP. What is proved is computed elsewhere: here a proof of zeros is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::imap::exchange as imap;
use protocol::imap::extension::Extensions;
use protocol::sasl::{Offer, Question, Salted, TokenRefused};
use protocol::smtp::exchange as smtp;

const BINDING: [u8; 32] = [5; 32];
const ALL: Offer = Offer { scram: true, binding: Some(BINDING), certificate: true, token: true };
const SERVER_FIRST: &str = "r=xN,s=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=,i=4096";

fn salted() -> Salted {
    Salted { nonce: "N".into(), salt: [7; 32], iterations: 4096 }
}

fn coded(text: &str) -> String {
    STANDARD.encode(text)
}

/// The last message of a client, with a proof.
fn last(bound: &[u8], proof: [u8; 32]) -> String {
    coded(&format!("c={},r=xN,p={}", STANDARD.encode(bound), STANDARD.encode(proof)))
}

fn bound() -> Vec<u8> {
    [b"p=tls-exporter,,".as_slice(), &BINDING].concat()
}

/// What each protocol's server says to the questions here: `a` has a password, and the certificate is of `a`.
enum Said {
    Salted(Salted),
    Proved,
    LoggedIn,
    Denied,
    NoToken(TokenRefused),
}

fn said(question: Question) -> Said {
    match question {
        Question::Salt { user } => {
            assert_eq!(user, "a");
            Said::Salted(salted())
        }
        Question::Proof(proof) => {
            assert!(proof.exchange.starts_with(&format!("n=a,r=x,{SERVER_FIRST},c=")), "{}", proof.exchange);
            if proof.proof == [0; 32] { Said::Proved } else { Said::Denied }
        }
        Question::Certificate { user } => if user.is_none_or(|user| user == "a") { Said::LoggedIn } else { Said::Denied },
        Question::Token(bearer) if bearer.token.expose() == "good" && bearer.user.as_deref().is_none_or(|user| user == "a") => Said::LoggedIn,
        Question::Token(_) => Said::NoToken(TokenRefused::new(Some("mail"), None).unwrap()),
    }
}

struct Imap(protocol::imap::session::Session);

impl Imap {
    fn new(offer: Offer) -> (Self, String) {
        let settings = protocol::imap::session::Settings { tls: true, starttls: true, offer, budget: protocol::budget::Budget::default(), append_limit: 1_000, arrange_limit: 1_000, off: Extensions::NONE };
        let (session, greeting) = protocol::imap::session::Session::new(settings);
        let mut imap = Self(session);
        let greeting = imap.take(greeting);
        (imap, greeting)
    }

    fn take(&mut self, mut out: Vec<imap::Output>) -> String {
        let mut text = String::new();
        while !out.is_empty() {
            let mut next = Vec::new();
            for output in out {
                match output {
                    imap::Output::Send(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                    imap::Output::Do(imap::Request::Sasl(question)) => {
                        let off = Extensions::NONE;
                        next.extend(self.0.answer(match said(question) {
                            Said::Salted(salted) => imap::Answer::Salted(salted),
                            Said::Proved => imap::Answer::Proved { off, signature: [3; 32] },
                            Said::LoggedIn => imap::Answer::LoggedIn { off },
                            Said::NoToken(told) => imap::Answer::NoToken(told),
                            Said::Denied => imap::Answer::Refused { code: imap::RefusalCode::AuthenticationFailed, text: "No".into() },
                        }));
                    }
                    imap::Output::Do(_) => next.extend(self.0.answer(imap::Answer::Done)),
                    imap::Output::StartTls | imap::Output::Compress | imap::Output::Close => {}
                }
            }
            out = next;
        }
        text
    }

    fn send(&mut self, line: &str) -> String {
        let out = self.0.receive(format!("{line}\r\n").as_bytes());
        self.take(out)
    }
}

struct Smtp(protocol::smtp::session::Session);

impl Smtp {
    fn new(offer: Offer) -> Self {
        let host = smtp::Domain::parse("mx.b.cn").unwrap();
        let settings = protocol::smtp::session::Settings { host, tls: true, starttls: true, role: protocol::smtp::session::Role::Submission, dsn: true, offer, budget: protocol::budget::Budget::default(), max_size: 1_000, max_recipients: 1, max_copies: 1_000 };
        Self(protocol::smtp::session::Session::new(settings).0)
    }

    fn send(&mut self, line: &str) -> String {
        let (mut out, mut text) = (self.0.receive(format!("{line}\r\n").as_bytes()), String::new());
        while !out.is_empty() {
            let mut next = Vec::new();
            for output in out {
                match output {
                    smtp::Output::Send(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                    smtp::Output::Do(smtp::Request::Sasl(question)) => next.extend(self.0.answer(match said(question) {
                        Said::Salted(salted) => smtp::Answer::Salted(salted),
                        Said::Proved => smtp::Answer::Proved { signature: [3; 32] },
                        Said::LoggedIn => smtp::Answer::LoggedIn,
                        Said::NoToken(told) => smtp::Answer::NoToken(told),
                        Said::Denied => smtp::Answer::Denied,
                    })),
                    smtp::Output::Do(_) => next.extend(self.0.answer(smtp::Answer::Known)),
                    smtp::Output::StartTls | smtp::Output::Close => {}
                }
            }
            out = next;
        }
        text
    }
}

#[test]
fn imap_proves_both_ends_before_it_lets_in() {
    let (mut client, greeting) = Imap::new(ALL);
    assert!(greeting.contains(" AUTH=EXTERNAL AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER AUTH=PLAIN]"), "{greeting}");
    assert_eq!(client.send("a AUTHENTICATE SCRAM-SHA-256-PLUS"), "+ \r\n");
    assert_eq!(client.send(&coded("p=tls-exporter,,n=a,r=x")), format!("+ {}\r\n", coded(SERVER_FIRST)));
    assert_eq!(client.send(&last(&bound(), [0; 32])), format!("+ {}\r\n", coded(&format!("v={}", STANDARD.encode([3; 32])))));
    // Until our proof is taken nobody is in.
    assert_eq!(client.send("*"), "a BAD Cancelled\r\n* BYE The login was given up; connect again\r\n");
    assert_eq!(client.send("b NAMESPACE"), "");
    let (mut client, _) = Imap::new(ALL);
    assert!(client.send(&format!("c AUTHENTICATE SCRAM-SHA-256 {}", coded("n,,n=a,r=x"))).starts_with("+ "));
    assert!(client.send(&last(b"n,,", [0; 32])).starts_with("+ "));
    assert!(client.send("").starts_with("c OK [CAPABILITY IMAP4rev1 "));
    assert!(client.send("d NAMESPACE").ends_with("d OK Done\r\n"));
}

/// Some mail programs choke on it: where it is off nothing is bound, and who looked for it in vain is let in all the same.
#[test]
fn without_binding_scram_is_offered_alone() {
    let (mut client, greeting) = Imap::new(Offer { binding: None, ..ALL });
    assert!(greeting.contains(" AUTH=EXTERNAL AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER AUTH=PLAIN]"), "{greeting}");
    assert!(client.send(&format!("a AUTHENTICATE SCRAM-SHA-256-PLUS {}", coded("p=tls-exporter,,n=a,r=x"))).starts_with("a NO "));
    assert!(client.send(&format!("b AUTHENTICATE SCRAM-SHA-256 {}", coded("y,,n=a,r=x"))).starts_with("+ "));
}

#[test]
fn imap_refuses_what_proves_nothing() {
    let (mut client, _) = Imap::new(ALL);
    // Hidden from the client that binding is offered; and bound to another connection.
    assert!(client.send(&format!("a AUTHENTICATE SCRAM-SHA-256 {}", coded("y,,n=a,r=x"))).starts_with("a BAD SCRAM-SHA-256-PLUS is offered here"));
    assert!(client.send(&format!("b AUTHENTICATE SCRAM-SHA-256-PLUS {}", coded("p=tls-exporter,,n=a,r=x"))).starts_with("+ "));
    assert!(client.send(&last(&[b"p=tls-exporter,,".as_slice(), &[6; 32]].concat(), [0; 32])).starts_with("b BAD The login is bound to another connection"));
    assert!(client.send(&format!("c AUTHENTICATE SCRAM-SHA-256 {}", coded("n,,n=a,r=x"))).starts_with("+ "));
    // The third failure, whatever it failed by, ends the connection.
    assert!(client.send(&last(b"n,,", [1; 32])).ends_with("* BYE Too many failed logins\r\n"));
}

#[test]
fn what_is_not_offered_is_not_taken() {
    let (mut client, greeting) = Imap::new(Offer::default());
    assert!(greeting.contains(" AUTH=PLAIN]") && !greeting.contains("SCRAM"), "{greeting}");
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "LOGIN", "CRAM-MD5"] {
        assert!(client.send(&format!("a AUTHENTICATE {mechanism}")).starts_with("a NO "), "{mechanism}");
    }
    let mut client = Smtp::new(Offer { scram: true, ..Offer::default() });
    assert!(client.send("EHLO x").contains("250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"));
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "EXTERNAL", "OAUTHBEARER", "OAUTHBEARER YQ=="] {
        assert!(client.send(&format!("AUTH {mechanism}")).starts_with("504 "), "{mechanism}");
    }
}

#[test]
fn smtp_proves_both_ends_too() {
    let mut client = Smtp::new(ALL);
    assert!(client.send("EHLO x").contains("250-AUTH EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER PLAIN LOGIN\r\n"));
    assert_eq!(client.send("AUTH SCRAM-SHA-256"), "334 \r\n");
    assert_eq!(client.send(&coded("n,,n=a,r=x")), format!("334 {}\r\n", coded(SERVER_FIRST)));
    assert!(client.send(&last(b"n,,", [1; 32])).starts_with("535 5.7.8 "));
    assert!(client.send(&format!("AUTH SCRAM-SHA-256-PLUS {}", coded("p=tls-exporter,,n=a,r=x"))).starts_with("334 "));
    assert!(client.send(&last(&bound(), [0; 32])).starts_with("334 "));
    assert!(client.send("").starts_with("235 2.7.0 "));
    assert!(!client.send("EHLO x").contains("AUTH"));
    // Whoever gives up after the proof keeps no place of those who are logged in.
    for given_up in ["*", "YQ=="] {
        let mut client = Smtp::new(ALL);
        client.send("EHLO x");
        client.send(&format!("AUTH SCRAM-SHA-256 {}", coded("n,,n=a,r=x")));
        assert!(client.send(&last(b"n,,", [0; 32])).starts_with("334 "));
        let said = client.send(given_up);
        assert!(said.starts_with("501 ") && said.ends_with("421 4.7.0 The login was given up; connect again\r\n"), "{said}");
    }
}

#[test]
fn a_certificate_says_who_one_is() {
    for (line, expected) in [("AUTH EXTERNAL =", "235 "), ("AUTH EXTERNAL YQ==", "235 "), ("AUTH EXTERNAL Yg==", "535 "), ("AUTH EXTERNAL YQBi", "501 ")] {
        let mut client = Smtp::new(ALL);
        client.send("EHLO x");
        assert!(client.send(line).starts_with(expected), "{line}");
    }
    let (mut client, _) = Imap::new(ALL);
    assert_eq!(client.send("a AUTHENTICATE EXTERNAL"), "+ \r\n");
    assert!(client.send("").starts_with("a OK [CAPABILITY "));
}

/// `{"status":"invalid_token","scope":"mail"}`
const NO_TOKEN: &str = "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJtYWlsIn0=";

fn bearer(acts_as: &str, token: &str) -> String {
    coded(&format!("n,{acts_as},\x01host=mx.b.cn\x01port=993\x01auth=Bearer {token}\x01\x01"))
}

#[test]
fn imap_takes_a_token_and_says_where_tokens_are_had() {
    for first in ["a AUTHENTICATE OAUTHBEARER", ""] {
        let (mut client, _) = Imap::new(ALL);
        let said = if first.is_empty() { client.send(&format!("a AUTHENTICATE OAUTHBEARER {}", bearer("a=a", "good"))) } else { client.send(first) + &client.send(&bearer("", "good")) };
        assert!(said.trim_start_matches("+ \r\n").starts_with("a OK [CAPABILITY IMAP4rev1 "), "{said}");
    }
    let (mut client, _) = Imap::new(ALL);
    for (at, (acts_as, answer)) in [("", "AQ=="), ("a=b", "no base64"), ("", "*")].into_iter().enumerate() {
        let token = if acts_as.is_empty() { "bad" } else { "good" };
        assert_eq!(client.send(&format!("b AUTHENTICATE OAUTHBEARER {}", bearer(acts_as, token))), format!("+ {NO_TOKEN}\r\n"));
        let said = client.send(answer);
        assert!(said.starts_with(if answer == "*" { "b BAD Cancelled\r\n" } else { "b NO [AUTHENTICATIONFAILED] The token opens nothing here\r\n" }), "{said}");
        // However the exchange ends it is a failure, and the third is the last.
        assert_eq!(said.ends_with("* BYE Too many failed logins\r\n"), at == 2, "{said}");
    }
    let (mut client, _) = Imap::new(ALL);
    assert!(client.send(&format!("a AUTHENTICATE OAUTHBEARER {}", coded("n,,\x01auth=Bearer good\x01"))).starts_with("a BAD That is no response of OAUTHBEARER\r\n"));
    assert!(client.send("b NAMESPACE").starts_with("b BAD Log in first"));
}

#[test]
fn smtp_takes_a_token_and_says_where_tokens_are_had() {
    for first in ["AUTH OAUTHBEARER", ""] {
        let mut client = Smtp::new(ALL);
        client.send("EHLO x");
        let said = if first.is_empty() { client.send(&format!("AUTH OAUTHBEARER {}", bearer("a=a", "good"))) } else { client.send(first) + &client.send(&bearer("", "good")) };
        assert!(said.trim_start_matches("334 \r\n").starts_with("235 2.7.0 "), "{said}");
    }
    let mut client = Smtp::new(ALL);
    client.send("EHLO x");
    assert_eq!(client.send(&format!("AUTH OAUTHBEARER {}", bearer("", "bad"))), format!("334 {NO_TOKEN}\r\n"));
    assert_eq!(client.send("AQ=="), "535 5.7.8 The token opens nothing here\r\n");
    assert_eq!(client.send(&format!("AUTH OAUTHBEARER {}", bearer("", "bad"))), format!("334 {NO_TOKEN}\r\n"));
    assert!(client.send("*").starts_with("501 5.7.0 Cancelled\r\n"));
    for malformed in ["n,,\x01auth=Bearer good\x01", "p=tls-exporter,,\x01auth=Bearer good\x01\x01", "\x01"] {
        assert!(client.send(&format!("AUTH OAUTHBEARER {}", coded(malformed))).starts_with("501 5.5.2 "), "{malformed:?}");
    }
    assert!(client.send(&format!("AUTH OAUTHBEARER {}", bearer("", "good"))).starts_with("235 2.7.0 "));
}
