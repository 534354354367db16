//! What is reported of one message. Pure.

use std::net::IpAddr;

use crate::record::dmarc_tally::{Row, Signature};
use crate::verdict::decide::{Reason, Verdict};
use crate::verdict::results::{Asked, Outcome, Results};

/// Signatures that are reported of one message. spec: rfc9990#3.1.1.12
const MAX_SIGNATURES: usize = 10;

/// What was done by the author's domain's word, and why where that asked for something else. spec: rfc9990#3.1.1.9
fn applied(verdict: Verdict, results: &Results, testing: bool) -> (&'static str, Option<&'static str>) {
    let done = match verdict {
        Verdict::Reject(_) => "reject",
        Verdict::Junk(_) => "quarantine",
        Verdict::Accept(Reason::Dmarc) => return ("pass", None),
        Verdict::Accept(Reason::Forwarder) => return ("none", Some("trusted_forwarder")),
        Verdict::Accept(_) | Verdict::Later(_) => "none",
    };
    let asked = match results.dmarc.asked {
        Asked::None => "none",
        Asked::Quarantine => "quarantine",
        Asked::Reject => "reject",
    };
    match (done == asked, testing) {
        (true, true) => (done, Some("policy_test_mode")),
        (true, false) => (done, None),
        (false, _) => (done, Some("local_policy")),
    }
}

/// `None`: its author's domain wants no reports, or the message comes again.
pub fn row(peer: IpAddr, results: &Results, verdict: Verdict) -> Option<Row> {
    let reported = results.reported.as_ref()?;
    if matches!(verdict, Verdict::Later(_)) || results.dmarc.outcome == Outcome::TempError {
        return None;
    }
    let (disposition, reason) = applied(verdict, results, reported.published.testing);
    let from_envelope = results.spf.outcome != Outcome::None || !results.spf.domain.is_empty();
    let (spf, scope) = if from_envelope { (&results.spf, "mfrom") } else { (&results.helo, "helo") };
    let signature = |one: &crate::verdict::results::Dkim| Signature { domain: one.domain.to_lowercase(), selector: one.selector.clone(), result: dkim(one.outcome).to_owned() };
    let mut signatures: Vec<Signature> = results.dkim.iter().filter(|one| !one.domain.is_empty()).take(MAX_SIGNATURES).map(signature).collect();
    signatures.sort();
    Some(Row {
        source: peer.to_canonical(),
        disposition: disposition.to_owned(),
        dkim: reported.dkim,
        spf: reported.spf,
        reason: reason.map(str::to_owned),
        envelope_from: spf.domain.to_lowercase(),
        signatures,
        spf_domain: spf.domain.to_lowercase(),
        spf_scope: scope.to_owned(),
        spf_result: spf_word(spf.outcome).to_owned(),
    })
}

fn dkim(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::SoftFail => "fail",
        other => other.name(),
    }
}

fn spf_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Policy => "neutral",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::dmarc_tally::Published;
    use crate::verdict::results::{Dkim, Dmarc, Reported, Spf};

    fn results(outcome: Outcome, asked: Asked, testing: bool) -> Results {
        let reported = Reported { published: Published { testing, ..Published::default() }, wanted: Vec::new(), dkim: outcome == Outcome::Pass, spf: false };
        Results { dmarc: Dmarc { outcome, asked }, reported: Some(reported), spf: Spf { outcome: Outcome::Pass, domain: "B.example".into() }, ..Results::default() }
    }

    #[test]
    fn what_was_done_and_why() {
        for (verdict, outcome, asked, testing, disposition, reason) in [
            (Verdict::Accept(Reason::Dmarc), Outcome::Pass, Asked::Reject, false, "pass", None),
            (Verdict::Reject(Reason::DmarcReject), Outcome::Fail, Asked::Reject, false, "reject", None),
            (Verdict::Junk(Reason::DmarcQuarantine), Outcome::Fail, Asked::Quarantine, false, "quarantine", None),
            (Verdict::Junk(Reason::DmarcQuarantine), Outcome::Fail, Asked::Quarantine, true, "quarantine", Some("policy_test_mode")),
            (Verdict::Junk(Reason::DmarcReject), Outcome::Fail, Asked::Reject, false, "quarantine", Some("local_policy")),
            (Verdict::Accept(Reason::Forwarder), Outcome::Fail, Asked::Reject, false, "none", Some("trusted_forwarder")),
            (Verdict::Accept(Reason::DmarcAsksNothing), Outcome::Fail, Asked::None, false, "none", None),
        ] {
            let row = row("192.0.2.1".parse().unwrap(), &results(outcome, asked, testing), verdict).unwrap();
            assert_eq!((row.disposition.as_str(), row.reason.as_deref()), (disposition, reason), "{verdict:?}");
            assert_eq!((row.spf_scope.as_str(), row.envelope_from.as_str()), ("mfrom", "b.example"));
        }
    }

    #[test]
    fn what_is_not_reported() {
        let peer = "192.0.2.1".parse().unwrap();
        let nobody_asks = Results { reported: None, ..results(Outcome::Pass, Asked::Reject, false) };
        assert_eq!(row(peer, &nobody_asks, Verdict::Accept(Reason::Dmarc)), None);
        assert_eq!(row(peer, &results(Outcome::TempError, Asked::None, false), Verdict::Later(Reason::DnsSilent)), None);
        let mut many = results(Outcome::Pass, Asked::None, false);
        many.dkim = vec![Dkim { outcome: Outcome::Pass, domain: "a.example".into(), ..Dkim::default() }; 50];
        assert_eq!(row(peer, &many, Verdict::Accept(Reason::Dmarc)).unwrap().signatures.len(), MAX_SIGNATURES);
    }
}
