//! What the checks found.

use crate::record::dmarc_tally::{Destination, Published};

/// What a check found. spec: rfc8601#2.7
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to check.
    #[default]
    None,
    Pass,
    Fail,
    SoftFail,
    Neutral,
    /// It holds, in a way that is not believed here.
    Policy,
    /// The DNS did not answer.
    TempError,
    PermError,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// Whether a host may send for a domain. spec: rfc7208#2.6
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spf {
    pub outcome: Outcome,
    pub domain: String,
}

/// One signature. spec: rfc6376#6.1
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    pub outcome: Outcome,
    pub domain: String,
    pub selector: String,
    pub algorithm: &'static str,
    /// The first characters of the signature, by which it is told from others. spec: rfc6008#4
    pub begins: String,
    /// Why it does not hold.
    pub why: Option<&'static str>,
}

/// What forwarders say. spec: rfc8617#5.2
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arc {
    pub outcome: Outcome,
    /// The domain of the last seal.
    pub sealer: Option<String>,
    /// What the last forwarder found of DMARC, as it reached it.
    pub dmarc_passed: bool,
}

/// What the author's domain asks for mail that it does not vouch for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    #[default]
    None,
    Quarantine,
    Reject,
}

impl Asked {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// spec: rfc9989
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dmarc {
    /// `None`: the domain and those above it have no record.
    pub outcome: Outcome,
    pub asked: Asked,
}

/// Who the message says it is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// Nobody, or nobody who could be read.
    #[default]
    Nobody,
    /// Several, of several domains.
    Several,
    /// By the domain.
    Of(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// What the host calls itself.
    pub helo: Spf,
    /// The sender of the envelope; the null path has none.
    pub spf: Spf,
    pub dkim: Vec<Dkim>,
    pub arc: Arc,
    pub dmarc: Dmarc,
    pub author: Author,
    /// What is reported, where the author's domain wants reports.
    pub reported: Option<Reported>,
}

/// What a report to the author's domain says beside the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    pub published: Published,
    pub wanted: Vec<Destination>,
    /// Whether a signature, and the host, vouch for the author's domain.
    pub dkim: bool,
    pub spf: bool,
}

impl Results {
    /// Whether the envelope's sender is who it says: its host may send for it, or its domain signed.
    pub fn proves_sender(&self) -> bool {
        let signed = self.dkim.iter().any(|one| one.outcome == Outcome::Pass && one.domain.eq_ignore_ascii_case(&self.spf.domain));
        !self.spf.domain.is_empty() && (self.spf.outcome == Outcome::Pass || signed)
    }

    /// Whether a signature of this domain, or of one above or below it, holds.
    pub fn is_signed_near(&self, author: &str) -> bool {
        let below = |lower: &str, upper: &str| lower == upper || lower.strip_suffix(upper).is_some_and(|rest| rest.ends_with('.'));
        // A top-level domain vouches for nobody.
        let near = |signer: &str| signer.contains('.') && (below(author, signer) || below(signer, author));
        self.dkim.iter().any(|one| one.outcome == Outcome::Pass && near(&one.domain))
    }
}
