//! What is made of mail from other hosts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use crate::certificate::HostName;
use crate::document::{PolicyError, named, read};

named! {
    /// What becomes of a message.
    Disposition {
        Accept = "accept",
        /// Into the folder Junk.
        Junk = "junk",
        Reject = "reject",
    }
}

named! {
    /// What becomes of a message of which the DNS would decide, and does not answer.
    Silence {
        Accept = "accept",
        Later = "later",
    }
}

named! {
    /// What other servers are promised of TLS here. spec: rfc8461#5
    PromiseMode {
        /// What was promised before is taken back, which has to be published as well. spec: rfc8461#8.3
        None = "none",
        Testing = "testing",
        Enforce = "enforce",
    }
}

/// MTA-STS of this very domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub mode: PromiseMode,
    pub days: u32,
}

/// What one message may cost to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub signatures: usize,
    pub seals: usize,
    pub questions: u32,
    pub seconds: u32,
}

/// Times of greylisting, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greylisting {
    pub wait: u64,
    pub return_within: u64,
    pub known: u64,
}

/// Replies that are slow from so many errors on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tarpit {
    pub after_errors: u32,
    pub seconds: u32,
}

/// What one network may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub connections_per_minute: u32,
    pub messages_per_minute: u32,
    /// Of one host of the network.
    pub messages_of_host_per_minute: u32,
    /// Of one sender in the network.
    pub messages_of_sender_per_minute: u32,
    pub unknown_recipients_per_hour: u32,
}

/// Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundPolicy {
    pub work: Work,
    pub dmarc_reject: Disposition,
    pub dmarc_quarantine: Disposition,
    pub spf_fail: Disposition,
    pub no_author: Disposition,
    pub dns_silent: Silence,
    trusted: BTreeSet<HostName>,
    pub greylisting: Option<Greylisting>,
    pub tarpit: Tarpit,
    pub rates: Rates,
    /// Whether domains are told what came in their names.
    pub dmarc_reports: bool,
    /// Where something is promised, or was once and is taken back.
    pub promise: Option<Promise>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    work: WorkWords,
    verdict: VerdictWords,
    greylisting: GreylistingWords,
    tarpit: TarpitWords,
    rates: RatesWords,
    #[serde(default)]
    reports: ReportsWords,
    /// Absent in documents of before: nothing is promised, nor was it ever.
    promise: Option<PromiseWords>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromiseWords {
    mode: PromiseMode,
    days: Spanned<u32>,
}

/// Absent in documents of before: none.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportsWords {
    dmarc: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkWords {
    signatures: Spanned<u32>,
    seals: Spanned<u32>,
    questions: Spanned<u32>,
    seconds: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictWords {
    dmarc_reject: Disposition,
    dmarc_quarantine: Disposition,
    spf_fail: Disposition,
    no_author: Disposition,
    dns_silent: Silence,
    trusted_forwarders: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GreylistingWords {
    on: bool,
    minutes: Spanned<u32>,
    hours_to_return: Spanned<u32>,
    days_known: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TarpitWords {
    after_errors: Spanned<u32>,
    seconds: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatesWords {
    connections_per_minute: Spanned<u32>,
    messages_per_minute: Spanned<u32>,
    /// Of before there were these two: as many as of the network.
    messages_of_host_per_minute: Option<Spanned<u32>>,
    messages_of_sender_per_minute: Option<Spanned<u32>>,
    unknown_recipients_per_hour: Spanned<u32>,
}

const MILLIS_PER_MINUTE: u64 = 60_000;

impl InboundPolicy {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { work, verdict, greylisting, tarpit, rates, reports, promise } = read(file, text)?;
        let within = |value: &Spanned<u32>, least: u32, most: u32, unit: &str| {
            let fits = (least..=most).contains(value.get_ref());
            if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), format!("it is {least} to {most} {unit}"))) }
        };
        let work = Work {
            signatures: within(&work.signatures, 1, 50, "signatures")? as usize,
            // spec: rfc8617#4.2.1
            seals: within(&work.seals, 1, 50, "seals")? as usize,
            // spec: rfc7208#4.6.4, rfc9989#4.10 ten and eight at the least
            questions: within(&work.questions, 20, 500, "questions")?,
            seconds: within(&work.seconds, 5, 120, "seconds")?,
        };
        let mut trusted = BTreeSet::new();
        for name in &verdict.trusted_forwarders {
            let host = HostName::parse(name.get_ref());
            trusted.insert(host.map_err(|error| PolicyError::at(file, text, Some(name.span()), error.to_string()))?);
        }
        let wait = u64::from(within(&greylisting.minutes, 1, 60, "minutes")?) * MILLIS_PER_MINUTE;
        let return_within = u64::from(within(&greylisting.hours_to_return, 4, 120, "hours")?) * 60 * MILLIS_PER_MINUTE;
        let known = u64::from(within(&greylisting.days_known, 1, 366, "days")?) * 1_440 * MILLIS_PER_MINUTE;
        // spec: rfc8461#3.2 a year and a little at the most
        let promise = match promise {
            Some(PromiseWords { mode, days }) => Some(Promise { mode, days: within(&days, 1, 365, "days")? }),
            None => None,
        };
        Ok(Self {
            work,
            dmarc_reject: verdict.dmarc_reject,
            dmarc_quarantine: verdict.dmarc_quarantine,
            spf_fail: verdict.spf_fail,
            no_author: verdict.no_author,
            dns_silent: verdict.dns_silent,
            trusted,
            greylisting: greylisting.on.then_some(Greylisting { wait, return_within, known }),
            // A client's patience for a reply is five minutes. spec: rfc5321#4.5.3.2
            tarpit: Tarpit { after_errors: within(&tarpit.after_errors, 1, 20, "errors")?, seconds: within(&tarpit.seconds, 0, 60, "seconds")? },
            rates: Rates {
                connections_per_minute: within(&rates.connections_per_minute, 10, 1_000_000, "connections")?,
                messages_per_minute: within(&rates.messages_per_minute, 10, 1_000_000, "messages")?,
                messages_of_host_per_minute: within(rates.messages_of_host_per_minute.as_ref().unwrap_or(&rates.messages_per_minute), 10, 1_000_000, "messages")?,
                messages_of_sender_per_minute: within(rates.messages_of_sender_per_minute.as_ref().unwrap_or(&rates.messages_per_minute), 10, 1_000_000, "messages")?,
                unknown_recipients_per_hour: within(&rates.unknown_recipients_per_hour, 10, 1_000_000, "recipients")?,
            },
            dmarc_reports: reports.dmarc,
            promise,
        })
    }

    /// Whether a forwarder's word is believed, by the domain of its seal.
    pub fn trusts(&self, forwarder: &str) -> bool {
        HostName::parse(forwarder).is_ok_and(|forwarder| self.trusted.contains(&forwarder))
    }

    pub(super) fn resolved(&self, text: &mut String) {
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        let Work { signatures, seals, questions, seconds } = self.work;
        line("work on a message from elsewhere", format!("{signatures} signatures, {seals} seals, {questions} questions to the DNS, {seconds} seconds"));
        line("DMARC asks to refuse", self.dmarc_reject.to_string());
        line("DMARC asks to set aside", self.dmarc_quarantine.to_string());
        line("SPF fails and nothing else vouches", self.spf_fail.to_string());
        line("no author, or several domains of authors", self.no_author.to_string());
        line("the DNS is silent", self.dns_silent.to_string());
        let trusted: Vec<String> = self.trusted.iter().map(HostName::to_string).collect();
        line("forwarders that are believed", if trusted.is_empty() { "none".to_owned() } else { trusted.join(", ") });
        line("greylisting", self.greylisting.map_or("off".to_owned(), |grey| {
            let minutes = |millis: u64| millis / MILLIS_PER_MINUTE;
            format!("{} minutes, to return within {} hours, known for {} days", minutes(grey.wait), minutes(grey.return_within) / 60, minutes(grey.known) / 1_440)
        }));
        line("tarpit", format!("{} seconds for each error from number {} on", self.tarpit.seconds, self.tarpit.after_errors));
        let Rates { connections_per_minute, messages_per_minute, messages_of_host_per_minute, messages_of_sender_per_minute, unknown_recipients_per_hour } = self.rates;
        line("one network", format!("{connections_per_minute} connections and {messages_per_minute} messages a minute, of which {messages_of_host_per_minute} of one host and {messages_of_sender_per_minute} of one sender, {unknown_recipients_per_hour} addresses that are none an hour of one host"));
        line("promised to other servers (MTA-STS)", self.promise.map_or("nothing".to_owned(), |promise| format!("{}, for {} days", promise.mode, promise.days)));
        line("reports to domains in whose names mail comes (DMARC)", if self.dmarc_reports { "daily" } else { "none" }.to_owned());
    }
}
