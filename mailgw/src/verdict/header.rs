//! `Authentication-Results`: what was found, for readers' programs, and what was made of it. Whatever came from outside is written
//! in characters that cannot end a field, a comment or a string.
// spec: rfc8601#2.2

use protocol::smtp::exchange::Domain;

use super::decide::Verdict;
use super::results::{Author, Outcome, Results};

/// Characters of a name that are shown.
const MAX_NAME: usize = 255;

/// The field as this host, `by`, writes it.
pub fn authentication_results(by: &Domain, results: Option<&Results>, verdict: Verdict) -> Vec<u8> {
    let found = match results {
        None => vec!["none".to_owned()],
        Some(results) => found(results),
    };
    let (made, why) = (verdict.name(), verdict.reason().name());
    format!("Authentication-Results: {} ({made}: {why});\r\n\t{}\r\n", by.as_str(), found.join(";\r\n\t")).into_bytes()
}

fn found(results: &Results) -> Vec<String> {
    let mut found = Vec::new();
    let mut checked = |method: &str, outcome: Outcome, rest: String| found.push(format!("{method}={}{rest}", outcome.name()));
    if results.spf.domain.is_empty() || results.helo.outcome != Outcome::None {
        checked("spf", results.helo.outcome, property("smtp.helo", &results.helo.domain));
    }
    if !results.spf.domain.is_empty() {
        checked("spf", results.spf.outcome, property("smtp.mailfrom", &results.spf.domain));
    }
    if results.dkim.is_empty() {
        checked("dkim", Outcome::None, String::new());
    }
    for one in &results.dkim {
        let why = one.why.map_or(String::new(), |why| format!(" ({why})"));
        let named = [("header.d", &one.domain), ("header.s", &one.selector)].map(|(name, value)| property(name, value)).concat();
        // spec: rfc6008#4
        checked("dkim", one.outcome, why + &named + &property("header.a", one.algorithm) + &property("header.b", &one.begins));
    }
    let from = if let Author::Of(domain) = &results.author { property("header.from", domain) } else { String::new() };
    let asked = if results.dmarc.outcome == Outcome::None { String::new() } else { format!(" (p={})", results.dmarc.asked.name()) };
    checked("dmarc", results.dmarc.outcome, asked + &from);
    if results.arc.outcome != Outcome::None {
        let sealer = results.arc.sealer.as_deref().map_or(String::new(), |sealer| format!(" ({})", word(sealer)));
        checked("arc", results.arc.outcome, sealer);
    }
    found
}

/// ` name=value`, where there is a value.
fn property(name: &str, value: &str) -> String {
    let value = word(value);
    if value.is_empty() { String::new() } else { format!(" {name}={value}") }
}

/// A name that stands for itself: letters, digits and `.-_+/`; everything else of a stranger's is left out.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || ".-_+/:".contains(*c)).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::verdict::decide::Reason;
    use crate::verdict::results::{Arc, Asked, Dkim, Dmarc, Spf};

    fn written(results: Option<&Results>, verdict: Verdict) -> String {
        String::from_utf8(authentication_results(&Domain::parse("mx.b.cn").unwrap(), results, verdict)).unwrap()
    }

    #[test]
    fn what_was_found_and_why() {
        assert_eq!(written(None, Verdict::Accept(Reason::NotJudged)), "Authentication-Results: mx.b.cn (accepted: not-judged);\r\n\tnone\r\n");
        let results = Results {
            helo: Spf { outcome: Outcome::Pass, domain: "mx.a.example".into() },
            spf: Spf { outcome: Outcome::Fail, domain: "a.example".into() },
            dkim: vec![
                Dkim { outcome: Outcome::Pass, domain: "a.example".into(), selector: "s1".into(), algorithm: "ed25519-sha256", begins: "abc+/".into(), why: None },
                Dkim { outcome: Outcome::Policy, why: Some("it covers a part of the body"), ..Dkim::default() },
            ],
            arc: Arc { outcome: Outcome::Pass, sealer: Some("lists.example".into()), dmarc_passed: true },
            dmarc: Dmarc { outcome: Outcome::Fail, asked: Asked::Quarantine },
            author: Author::Of("a.example".into()),
            reported: None,
        };
        assert_eq!(
            written(Some(&results), Verdict::Junk(Reason::DmarcQuarantine)),
            "Authentication-Results: mx.b.cn (junk: dmarc-quarantine);\r\n\tspf=pass smtp.helo=mx.a.example;\r\n\tspf=fail smtp.mailfrom=a.example;\r\n\t\
             dkim=pass header.d=a.example header.s=s1 header.a=ed25519-sha256 header.b=abc+/;\r\n\tdkim=policy (it covers a part of the body);\r\n\t\
             dmarc=fail (p=quarantine) header.from=a.example;\r\n\tarc=pass (lists.example)\r\n"
        );
    }

    #[test]
    fn a_strangers_words_end_no_field() {
        let evil = "a\r\nX: y;dmarc=pass (\"\\".to_owned();
        let results = Results {
            spf: Spf { outcome: Outcome::Fail, domain: evil.clone() },
            dkim: vec![Dkim { outcome: Outcome::Fail, domain: evil.clone(), selector: evil.clone(), ..Dkim::default() }],
            author: Author::Of(evil),
            ..Results::default()
        };
        let text = written(Some(&results), Verdict::Accept(Reason::Unknown));
        assert!(text.trim_end().split("\r\n").skip(1).all(|line| line.starts_with('\t')) && !text.contains("dmarc=pass") && !text.contains('"'), "{text}");
    }
}
