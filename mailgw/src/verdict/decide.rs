//! What becomes of a message. Pure: the same results and policy give the same answer tomorrow.

use policies::mailbox::{Disposition, InboundPolicy, Silence};

use super::results::{Asked, Author, Outcome, Results};

/// Why. The name stands in metrics, in the log and in the message's own header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// There is no resolver to ask.
    NotJudged,
    /// The author's domain vouches for it.
    Dmarc,
    /// It does not, and a forwarder that is believed says that it did.
    Forwarder,
    /// It does not, and asks nothing.
    DmarcAsksNothing,
    DmarcQuarantine,
    DmarcReject,
    /// It asks for nothing and publishes nothing; a signature near it holds.
    Signed,
    /// As before without a signature; the host may send for the envelope's domain.
    Sent,
    SpfFail,
    NoAuthor,
    SeveralAuthors,
    DnsSilent,
    /// Nothing speaks for it or against it.
    Unknown,
}

impl Reason {
    pub const ALL: [Self; 13] = [
        Self::NotJudged,
        Self::Dmarc,
        Self::Forwarder,
        Self::DmarcAsksNothing,
        Self::DmarcQuarantine,
        Self::DmarcReject,
        Self::Signed,
        Self::Sent,
        Self::SpfFail,
        Self::NoAuthor,
        Self::SeveralAuthors,
        Self::DnsSilent,
        Self::Unknown,
    ];

    pub fn name(self) -> &'static str {
        self.label().first().map_or("", |(_, name)| name)
    }

    /// As a metric bears it.
    pub fn label(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::NotJudged => &[("reason", "not-judged")],
            Self::Dmarc => &[("reason", "dmarc")],
            Self::Forwarder => &[("reason", "forwarder")],
            Self::DmarcAsksNothing => &[("reason", "dmarc-asks-nothing")],
            Self::DmarcQuarantine => &[("reason", "dmarc-quarantine")],
            Self::DmarcReject => &[("reason", "dmarc-reject")],
            Self::Signed => &[("reason", "signed")],
            Self::Sent => &[("reason", "sent")],
            Self::SpfFail => &[("reason", "spf-fail")],
            Self::NoAuthor => &[("reason", "no-author")],
            Self::SeveralAuthors => &[("reason", "several-authors")],
            Self::DnsSilent => &[("reason", "dns-silent")],
            Self::Unknown => &[("reason", "unknown")],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept(Reason),
    Junk(Reason),
    Reject(Reason),
    /// The other host tries again, and then it may be known.
    Later(Reason),
}

impl Verdict {
    pub fn reason(self) -> Reason {
        match self {
            Self::Accept(reason) | Self::Junk(reason) | Self::Reject(reason) | Self::Later(reason) => reason,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Accept(_) => "accepted",
            Self::Junk(_) => "junk",
            Self::Reject(_) => "rejected",
            Self::Later(_) => "later",
        }
    }
}

/// `None`: nothing could be asked.
pub fn decide(results: Option<&Results>, policy: &InboundPolicy) -> Verdict {
    let Some(results) = results else { return Verdict::Accept(Reason::NotJudged) };
    let verdict = |disposition, reason| match disposition {
        Disposition::Accept => Verdict::Accept(reason),
        Disposition::Junk => Verdict::Junk(reason),
        Disposition::Reject => Verdict::Reject(reason),
    };
    let silent = || match policy.dns_silent {
        Silence::Accept => Verdict::Accept(Reason::DnsSilent),
        Silence::Later => Verdict::Later(Reason::DnsSilent),
    };
    // 1. Who it says it is from is what a reader sees: without one author's domain there is nobody to ask.
    let author = match &results.author {
        Author::Nobody => return verdict(policy.no_author, Reason::NoAuthor),
        Author::Several => return verdict(policy.no_author, Reason::SeveralAuthors),
        Author::Of(domain) => domain,
    };
    // 2. That domain's own word. spec: rfc9989#5.3
    match (results.dmarc.outcome, results.dmarc.asked) {
        (Outcome::Pass, _) => return Verdict::Accept(Reason::Dmarc),
        (Outcome::TempError, _) => return silent(),
        // 3. A forwarder may have broken what the domain vouched with; whom the operator names is believed.
        (Outcome::Fail, Asked::Quarantine | Asked::Reject) if is_vouched_by_forwarder(results, policy) => return Verdict::Accept(Reason::Forwarder),
        (Outcome::Fail, Asked::Reject) => return verdict(policy.dmarc_reject, Reason::DmarcReject),
        (Outcome::Fail, Asked::Quarantine) => return verdict(policy.dmarc_quarantine, Reason::DmarcQuarantine),
        (Outcome::Fail, Asked::None) => return Verdict::Accept(Reason::DmarcAsksNothing),
        _ => {}
    }
    // 4. It has no word: a signature that holds outweighs the host it came from, for hosts forward.
    if results.is_signed_near(author) {
        return Verdict::Accept(Reason::Signed);
    }
    // spec: rfc7208#2.4 the null path is judged by what the host calls itself
    let sender = if results.spf.outcome == Outcome::None { &results.helo } else { &results.spf };
    match sender.outcome {
        Outcome::Pass => Verdict::Accept(Reason::Sent),
        Outcome::Fail => verdict(policy.spf_fail, Reason::SpfFail),
        Outcome::TempError => silent(),
        _ => Verdict::Accept(Reason::Unknown),
    }
}

fn is_vouched_by_forwarder(results: &Results, policy: &InboundPolicy) -> bool {
    let arc = &results.arc;
    arc.outcome == Outcome::Pass && arc.dmarc_passed && arc.sealer.as_ref().is_some_and(|sealer| policy.trusts(sealer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::MailboxPolicy;

    use super::*;
    use crate::verdict::results::{Arc, Dkim, Dmarc, Spf};

    fn policy(from: &str, to: &str) -> InboundPolicy {
        let documents: Vec<(&str, String)> = policies::mailbox::SHIPPED.iter().map(|(file, text)| (*file, if *file == "inbound.toml" { text.replace(from, to) } else { (*text).to_owned() })).collect();
        MailboxPolicy::parse(documents.iter().map(|(file, text)| (*file, text.as_str()))).unwrap().inbound().clone()
    }

    fn shipped() -> InboundPolicy {
        policy("", "")
    }

    fn from_author() -> Results {
        Results { author: Author::Of("a.example".into()), ..Results::default() }
    }

    fn dmarc(outcome: Outcome, asked: Asked) -> Results {
        Results { dmarc: Dmarc { outcome, asked }, ..from_author() }
    }

    fn spf(outcome: Outcome) -> Spf {
        Spf { outcome, domain: "a.example".into() }
    }

    fn signed(outcome: Outcome, domain: &str) -> Dkim {
        Dkim { outcome, domain: domain.into(), ..Dkim::default() }
    }

    #[test]
    fn the_authors_domain_decides() {
        use Verdict::{Accept, Junk, Later, Reject};
        for (results, expected) in [
            (dmarc(Outcome::Pass, Asked::Reject), Accept(Reason::Dmarc)),
            (dmarc(Outcome::Fail, Asked::Reject), Reject(Reason::DmarcReject)),
            (dmarc(Outcome::Fail, Asked::Quarantine), Junk(Reason::DmarcQuarantine)),
            (dmarc(Outcome::Fail, Asked::None), Accept(Reason::DmarcAsksNothing)),
            (dmarc(Outcome::TempError, Asked::None), Later(Reason::DnsSilent)),
            // A wrong record is as none.
            (dmarc(Outcome::PermError, Asked::None), Accept(Reason::Unknown)),
            // What it asks counts for more than that the host may send, or may not.
            (Results { spf: spf(Outcome::Pass), ..dmarc(Outcome::Fail, Asked::Reject) }, Reject(Reason::DmarcReject)),
            (Results { spf: spf(Outcome::Fail), ..dmarc(Outcome::Fail, Asked::None) }, Accept(Reason::DmarcAsksNothing)),
            (Results { spf: spf(Outcome::TempError), ..dmarc(Outcome::Pass, Asked::Reject) }, Accept(Reason::Dmarc)),
            (Results { author: Author::Nobody, ..dmarc(Outcome::None, Asked::None) }, Junk(Reason::NoAuthor)),
            (Results { author: Author::Several, ..Results::default() }, Junk(Reason::SeveralAuthors)),
        ] {
            assert_eq!(decide(Some(&results), &shipped()), expected, "{results:?}");
        }
        assert_eq!(decide(None, &shipped()), Accept(Reason::NotJudged));
        assert_eq!(decide(Some(&dmarc(Outcome::Fail, Asked::Reject)), &policy("dmarc_reject = \"reject\"", "dmarc_reject = \"junk\"")), Junk(Reason::DmarcReject));
        assert_eq!(decide(Some(&dmarc(Outcome::TempError, Asked::None)), &policy("dns_silent = \"later\"", "dns_silent = \"accept\"")), Accept(Reason::DnsSilent));
    }

    #[test]
    fn without_its_word_signature_and_host_do() {
        use Verdict::{Accept, Junk, Later};
        for (results, expected) in [
            (Results { spf: spf(Outcome::Fail), ..from_author() }, Junk(Reason::SpfFail)),
            (Results { spf: spf(Outcome::SoftFail), ..from_author() }, Accept(Reason::Unknown)),
            (Results { spf: spf(Outcome::Pass), ..from_author() }, Accept(Reason::Sent)),
            (Results { spf: spf(Outcome::TempError), ..from_author() }, Later(Reason::DnsSilent)),
            // The null path is the host's own.
            (Results { helo: spf(Outcome::Fail), ..from_author() }, Junk(Reason::SpfFail)),
            (Results { helo: spf(Outcome::Fail), spf: spf(Outcome::Pass), ..from_author() }, Accept(Reason::Sent)),
            (Results { spf: spf(Outcome::Fail), dkim: vec![signed(Outcome::Pass, "mail.a.example")], ..from_author() }, Accept(Reason::Signed)),
            (Results { spf: spf(Outcome::Fail), dkim: vec![signed(Outcome::Pass, "elsewhere.example")], ..from_author() }, Junk(Reason::SpfFail)),
            (Results { spf: spf(Outcome::Fail), dkim: vec![signed(Outcome::Pass, "example")], ..from_author() }, Junk(Reason::SpfFail)),
            (Results { spf: spf(Outcome::Fail), dkim: vec![signed(Outcome::Pass, "xa.example")], ..from_author() }, Junk(Reason::SpfFail)),
            (Results { spf: spf(Outcome::Fail), dkim: vec![signed(Outcome::Fail, "a.example")], ..from_author() }, Junk(Reason::SpfFail)),
        ] {
            assert_eq!(decide(Some(&results), &shipped()), expected, "{results:?}");
        }
    }

    #[test]
    fn only_a_named_forwarder_is_believed() {
        let forwarded = |outcome, dmarc_passed| {
            let arc = Arc { outcome, sealer: Some("lists.example".into()), dmarc_passed };
            Results { arc, ..dmarc(Outcome::Fail, Asked::Reject) }
        };
        let trusting = policy("trusted_forwarders = []", "trusted_forwarders = [\"lists.example\"]");
        assert_eq!(decide(Some(&forwarded(Outcome::Pass, true)), &trusting), Verdict::Accept(Reason::Forwarder));
        assert_eq!(decide(Some(&forwarded(Outcome::Pass, true)), &shipped()), Verdict::Reject(Reason::DmarcReject));
        assert_eq!(decide(Some(&forwarded(Outcome::Fail, true)), &trusting), Verdict::Reject(Reason::DmarcReject));
        assert_eq!(decide(Some(&forwarded(Outcome::Pass, false)), &trusting), Verdict::Reject(Reason::DmarcReject));
    }
}
