//! Who asks: SPF, DKIM, ARC and DMARC by the library `mail-auth`, through the operator's resolver, within the policy's bounds.
//!
//! All of it runs on threads of its own: a large body takes its time to be hashed, and no other connection waits for that.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::DkimError;
use mail_auth::dmarc::{Alignment, Policy as DmarcPolicy, Report as FailureOptions};
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, Error, MessageAuthenticator, SpfOutput, SpfResult};
use policies::mailbox::Work;
use protocol::smtp::exchange::{Domain, Envelope, Host};
use protocol::smtp::trace;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::questions::Questions;
use super::results::{Arc as Forwarded, Asked, Author, Dkim, Dmarc, Outcome, Reported, Results, Spf};
use crate::record::dmarc_tally::{Destination, Published};

/// Fields a signature covers at most: for each of them the header is searched.
const MAX_COVERED: usize = 200;
/// The tree walks of the author's domain and of those that align with it. spec: rfc9989#4.10
const DMARC_QUESTIONS: u32 = 30;
/// Where reports are wanted, at most.
const MAX_DESTINATIONS: usize = 5;
/// Threads for all messages together.
const THREADS: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    #[error(transparent)]
    Resolver(#[from] NetError),
    #[error("no threads for judging mail: {0}; end other programs")]
    Threads(#[from] std::io::Error),
}

pub struct Verifier {
    authenticator: MessageAuthenticator,
    work: Work,
    /// The name of this host.
    host: String,
    runtime: Option<Runtime>,
}

/// The envelope as the checks see it.
struct Sender {
    peer: IpAddr,
    helo: String,
    /// Of the reverse path, and its domain.
    mailfrom: Option<(String, String)>,
}

impl Verifier {
    pub fn new(resolver: SocketAddr, host: &Domain, work: Work) -> Result<Self, VerifierError> {
        let authenticator = MessageAuthenticator(crate::dns::resolver(resolver)?);
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("verdicts").enable_all().build()?;
        Ok(Self { authenticator, work, host: host.as_str().to_owned(), runtime: Some(runtime) })
    }

    /// What the checks say of a message. One that takes longer than the policy gives is one of which the DNS says nothing.
    pub async fn verify(&self, envelope: &Envelope, peer: IpAddr, message: Arc<Vec<u8>>) -> Results {
        let sender = Sender::new(envelope, peer);
        let silent = || {
            let domain = sender.mailfrom.as_ref().map_or_else(String::new, |(_, domain)| domain.clone());
            Results { spf: Spf { outcome: Outcome::TempError, domain }, dmarc: Dmarc { outcome: Outcome::TempError, asked: Asked::None }, author: Author::Of(String::new()), ..Results::default() }
        };
        let Some(runtime) = &self.runtime else { return silent() };
        let (authenticator, work, host, asked) = (self.authenticator.clone(), self.work, self.host.clone(), Sender::new(envelope, peer));
        let time = Duration::from_secs(u64::from(work.seconds));
        let found = runtime.spawn(async move { timeout(time, results(&authenticator, work, &host, &asked, &message)).await });
        match found.await {
            Ok(Ok(results)) => results,
            Ok(Err(_)) => silent(),
            Err(error) => {
                tracing::error!(%error, "judging a message ended abnormally");
                silent()
            }
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        // A runtime is not waited for where others run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Sender {
    fn new(envelope: &Envelope, peer: IpAddr) -> Self {
        let mailfrom = envelope.reverse_path.as_ref().and_then(|address| match address.host() {
            Host::Name(name) => Some((format!("{}@{}", address.local(), name.as_str()), name.as_str().to_lowercase())),
            Host::Literal(_) => None,
        });
        Self { peer: peer.to_canonical(), helo: envelope.hello.name().to_ascii_lowercase(), mailfrom }
    }
}

async fn results(authenticator: &MessageAuthenticator, work: Work, host: &str, sender: &Sender, message: &[u8]) -> Results {
    // One purse for all that a stranger's records can ask for. DMARC has its own: who spends the first must not silence the author's
    // domain.
    let questions = Questions::new(work.questions);
    let (helo, helo_output) = helo(authenticator, host, sender, &questions).await;
    let (spf, spf_output) = match &sender.mailfrom {
        Some((address, domain)) => mailfrom(authenticator, host, sender, address, domain, &questions).await,
        // spec: rfc7208#2.4 the null path is known by what the host calls itself
        None => (Spf::default(), helo_output),
    };
    let Some(mut parsed) = AuthenticatedMessage::parse(message) else {
        return Results { helo, spf, ..Results::default() };
    };
    let author = author(&parsed);
    let mut dkim = bounded_signatures(&mut parsed, work);
    let parsed = parsed;
    let (verified, arc) = tokio::join!(authenticator.verify_dkim(questions.bound(&parsed)), forwarded(authenticator, work, &parsed, &questions));
    // A false signature is not worth more for standing first.
    dkim.extend(verified.iter().map(signature));
    let (dmarc, reported) = match author {
        Author::Of(_) => {
            let (domain, questions) = (sender.mailfrom.as_ref().map_or(sender.helo.as_str(), |(_, domain)| domain), Questions::new(DMARC_QUESTIONS));
            let parameters = DmarcParameters::new(&parsed, &verified, domain, &spf_output);
            let output = authenticator.verify_dmarc(questions.bound(parameters)).await;
            let asked = match output.policy() {
                DmarcPolicy::Reject => Asked::Reject,
                DmarcPolicy::Quarantine => Asked::Quarantine,
                DmarcPolicy::None | DmarcPolicy::Unspecified => Asked::None,
            };
            let outcome = match output.result() {
                _ if questions.are_exceeded() => Outcome::PermError,
                DmarcResult::Pass => Outcome::Pass,
                DmarcResult::Fail(_) => Outcome::Fail,
                DmarcResult::TempError(_) => Outcome::TempError,
                DmarcResult::PermError(_) => Outcome::PermError,
                DmarcResult::None => Outcome::None,
            };
            (Dmarc { outcome, asked }, reported(&output))
        }
        Author::Nobody | Author::Several => (Dmarc::default(), None),
    };
    Results { helo, spf, dkim, arc, dmarc, author, reported }
}

/// What is told to the domain, where it wants to be told. spec: rfc9990#3.1.1
fn reported(output: &DmarcOutput) -> Option<Reported> {
    let record = output.dmarc_record().filter(|record| !record.rua.is_empty())?;
    let policy = |policy: DmarcPolicy| match policy {
        DmarcPolicy::Reject => "reject",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::None | DmarcPolicy::Unspecified => "none",
    };
    let alignment = |alignment: Alignment| if alignment == Alignment::Strict { "s" } else { "r" };
    let options = match record.fo {
        FailureOptions::All => "0",
        FailureOptions::Any => "1",
        FailureOptions::Dkim => "d",
        FailureOptions::Spf => "s",
        FailureOptions::DkimSpf => "d:s",
    };
    let published = Published {
        p: policy(record.p).into(), sp: policy(record.sp).into(), np: policy(record.np).into(),
        adkim: alignment(record.adkim).into(), aspf: alignment(record.aspf).into(), fo: options.into(), testing: record.t,
    };
    let wanted = record.rua.iter().take(MAX_DESTINATIONS).map(|uri| Destination { address: uri.uri.clone(), most_bytes: uri.max_size as u64 });
    let passes = |result: &DmarcResult| *result == DmarcResult::Pass;
    Some(Reported { published, wanted: wanted.collect(), dkim: passes(output.dkim_result()), spf: passes(output.spf_result()) })
}

/// spec: rfc7208#2.3 a name that is none, or an address in brackets, is not checked
async fn helo(authenticator: &MessageAuthenticator, host: &str, sender: &Sender, questions: &Questions) -> (Spf, SpfOutput) {
    if !sender.helo.contains('.') || sender.helo.starts_with('[') || sender.helo.parse::<IpAddr>().is_ok() {
        return (Spf { outcome: Outcome::None, domain: sender.helo.clone() }, SpfOutput::new(sender.helo.clone()));
    }
    let output = authenticator.verify_spf(questions.bound(SpfParameters::verify_ehlo(sender.peer, &sender.helo, host))).await;
    (Spf { outcome: spf_outcome(&output, questions), domain: sender.helo.clone() }, output)
}

async fn mailfrom(authenticator: &MessageAuthenticator, host: &str, sender: &Sender, address: &str, domain: &str, questions: &Questions) -> (Spf, SpfOutput) {
    let output = authenticator.verify_spf(questions.bound(SpfParameters::verify_mail_from(sender.peer, &sender.helo, host, address))).await;
    (Spf { outcome: spf_outcome(&output, questions), domain: domain.to_owned() }, output)
}

/// spec: rfc7208#4.6.4 too many questions are an error of the domain's
fn spf_outcome(output: &SpfOutput, questions: &Questions) -> Outcome {
    match output.result() {
        _ if questions.are_exceeded() => Outcome::PermError,
        SpfResult::Pass => Outcome::Pass,
        SpfResult::Fail => Outcome::Fail,
        SpfResult::SoftFail => Outcome::SoftFail,
        SpfResult::Neutral => Outcome::Neutral,
        SpfResult::TempError => Outcome::TempError,
        SpfResult::PermError => Outcome::PermError,
        SpfResult::None => Outcome::None,
    }
}

/// spec: rfc9989#4.6 several authors of one domain are one
fn author(parsed: &AuthenticatedMessage<'_>) -> Author {
    let mut domains = parsed.froms().iter().map(|from| from.rsplit_once('@').map_or("", |(_, domain)| domain.trim_end_matches('.')));
    match domains.next() {
        None | Some("") => Author::Nobody,
        Some(first) if domains.all(|other| other == first) => Author::Of(first.to_owned()),
        Some(_) => Author::Several,
    }
}

/// Takes out of the message the signatures that are not looked at, and says why.
fn bounded_signatures(parsed: &mut AuthenticatedMessage<'_>, work: Work) -> Vec<Dkim> {
    let mut passed_over = Vec::new();
    let (mut looked_at, mut over) = (0_usize, 0_usize);
    parsed.dkim_headers.retain(|header| {
        let signature = &header.header;
        // spec: rfc8301#3.1 SHA-1 proves nothing; rfc6376#5.4 From is covered
        let why = match signature.a {
            Algorithm::RsaSha1 => Some("SHA-1"),
            _ if !signature.h.iter().any(|name| name.eq_ignore_ascii_case("From")) => Some("From is not covered"),
            _ if signature.h.len() > MAX_COVERED => Some("it covers too many fields"),
            _ => None,
        };
        let good = why.is_none() && looked_at < work.signatures;
        looked_at += usize::from(good);
        over += usize::from(!good);
        // A header full of them is not answered by a header full of findings.
        if !good && over <= work.signatures {
            let why = Some(why.unwrap_or("there are too many signatures"));
            passed_over.push(Dkim { outcome: Outcome::Policy, domain: signature.d.clone(), selector: signature.s.clone(), algorithm: algorithm(signature.a), begins: begins(&signature.b), why });
        }
        good
    });
    let mut malformed = 0;
    parsed.errors.retain(|header| {
        let dkim = matches!(header.header, Error::Dkim(_));
        malformed += usize::from(dkim);
        !dkim || malformed <= work.signatures
    });
    passed_over
}

fn signature(output: &DkimOutput<'_>) -> Dkim {
    let (outcome, error) = match output.result() {
        DkimResult::Pass => (Outcome::Pass, None),
        // spec: rfc8601#2.7.1 a signature that can be read and does not hold fails
        DkimResult::Neutral(error @ Error::Dkim(DkimError::FailedBodyHashMatch)) => (Outcome::Fail, Some(error)),
        DkimResult::Neutral(error @ Error::Dkim(DkimError::SignatureLength)) => (Outcome::Policy, Some(error)),
        DkimResult::Neutral(error) => (Outcome::Neutral, Some(error)),
        DkimResult::Fail(error) => (Outcome::Fail, Some(error)),
        DkimResult::PermError(error) => (Outcome::PermError, Some(error)),
        DkimResult::TempError(error) => (Outcome::TempError, Some(error)),
        DkimResult::None => (Outcome::None, None),
    };
    let why = error.map(|error| match error {
        Error::Dkim(DkimError::FailedBodyHashMatch) => "the body was changed",
        Error::Dkim(DkimError::SignatureLength) => "it covers a part of the body",
        Error::Dkim(DkimError::SignatureExpired) => "expired",
        Error::Dkim(DkimError::RevokedPublicKey) => "its key was withdrawn",
        Error::Dkim(DkimError::FailedAuidMatch) => "it speaks for another domain",
        Error::Crypto(_) => "signature or header was changed",
        Error::Dns(mail_auth::DnsError::Resolver(_)) => "the DNS does not answer",
        Error::Dns(_) => "there is no key",
        _ => "it cannot be read",
    });
    match output.signature() {
        Some(one) => Dkim { outcome, domain: one.d.clone(), selector: one.s.clone(), algorithm: algorithm(one.a), begins: begins(&one.b), why },
        None => Dkim { outcome, why, ..Dkim::default() },
    }
}

fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RsaSha1 => "rsa-sha1",
        Algorithm::RsaSha256 => "rsa-sha256",
        Algorithm::Ed25519Sha256 => "ed25519-sha256",
    }
}

fn begins(signature: &[u8]) -> String {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature.get(..6).unwrap_or(signature));
    encoded.trim_end_matches('=').to_owned()
}

/// What forwarders say. spec: rfc8617#5.2
async fn forwarded(authenticator: &MessageAuthenticator, work: Work, parsed: &AuthenticatedMessage<'_>, questions: &Questions) -> Forwarded {
    let sealer = parsed.as_headers.last().map(|seal| seal.header.d.to_lowercase());
    let covered = parsed.ams_headers.iter().any(|header| header.header.h.len() > MAX_COVERED);
    if parsed.as_headers.is_empty() && parsed.ams_headers.is_empty() && parsed.aar_headers.is_empty() && !parsed.has_arc_errors {
        return Forwarded::default();
    }
    if parsed.as_headers.len().max(parsed.ams_headers.len()) > work.seals || covered {
        return Forwarded { outcome: Outcome::Fail, sealer, dmarc_passed: false };
    }
    let output = authenticator.verify_arc(questions.bound(parsed)).await;
    let outcome = match output.result() {
        DkimResult::Pass => Outcome::Pass,
        DkimResult::TempError(_) => Outcome::TempError,
        DkimResult::None => Outcome::None,
        _ => Outcome::Fail,
    };
    let dmarc_passed = parsed.aar_headers.last().is_some_and(|results| says_dmarc_passed(results.value));
    Forwarded { outcome, sealer, dmarc_passed }
}

/// Whether a forwarder's results have `dmarc=pass`, comments left out. spec: rfc8617#4.1.1
fn says_dmarc_passed(value: &[u8]) -> bool {
    let value = trace::without_comments(&String::from_utf8_lossy(value)).to_ascii_lowercase();
    // What stands in quotes says nothing; a quote within one ends nothing.
    let (mut quoted, mut escaped, mut bare) = (false, false, String::new());
    for c in value.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted => bare.push(c),
            _ => {}
        }
    }
    bare.split(';').filter_map(|part| part.split_once('=')).any(|(method, rest)| method.trim() == "dmarc" && rest.split_whitespace().next() == Some("pass"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const WORK: Work = Work { signatures: 2, seals: 2, questions: 20, seconds: 5 };

    fn signed(names: &str, algorithm: &str, rest: &str) -> String {
        format!("DKIM-Signature: v=1; a={algorithm}; d=a.example; s=s; h={names}; bh=YWJj; b=YWJjZGVm{rest}\r\n")
    }

    #[test]
    fn signatures_that_are_not_looked_at() {
        let good = signed("From:To", "rsa-sha256", "");
        let header = [signed("To", "rsa-sha256", ""), signed("From", "rsa-sha1", ""), signed(&format!("From{}", ":a".repeat(MAX_COVERED)), "rsa-sha256", ""), good.repeat(5)].concat();
        let message = format!("{header}From: x@a.example\r\n\r\nbody\r\n");
        let mut parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
        let passed_over = bounded_signatures(&mut parsed, WORK);
        assert_eq!(parsed.dkim_headers.len(), 2);
        let why: Vec<&str> = passed_over.iter().filter_map(|one| one.why).collect();
        assert_eq!(why, ["From is not covered", "SHA-1"]);
        assert_eq!((passed_over[0].begins.as_str(), passed_over[0].outcome), ("YWJjZGVm", Outcome::Policy));
    }

    #[test]
    fn authors() {
        for (from, expected) in [
            ("From: A <x@A.example>\r\n", Author::Of("a.example".into())),
            ("From: x@a.example, y@a.example\r\n", Author::Of("a.example".into())),
            ("From: x@a.example, y@b.example\r\n", Author::Several),
            ("From: x@a.example\r\nFrom: y@b.example\r\n", Author::Several),
            ("From: nobody\r\n", Author::Nobody),
            ("To: x@a.example\r\n", Author::Nobody),
        ] {
            let message = format!("{from}\r\nbody\r\n");
            assert_eq!(author(&AuthenticatedMessage::parse(message.as_bytes()).unwrap()), expected, "{from}");
        }
    }

    #[test]
    fn what_a_forwarder_says() {
        for (value, said) in [
            (" i=1; lists.example; spf=fail; dmarc=pass (p=reject) header.from=a.example", true),
            (" i=1; lists.example; dmarc = pass", true),
            (" i=1; lists.example; spf=pass; dmarc=fail", false),
            (" i=1; lists.example (dmarc=pass); spf=pass (; dmarc=pass)", false),
            (" i=1; lists.example; x-dmarc=pass", false),
            (" i=1; lists.example (\\(); dmarc=pass", true),
            (" i=1; lists.example; spf=fail reason=\"; dmarc=pass\"", false),
            (" i=1; lists.example; spf=fail reason=\"a\\\"; dmarc=pass\"", false),
            (" i=1; lists.example (a\\); dmarc=pass)", false),
        ] {
            assert_eq!(says_dmarc_passed(value.as_bytes()), said, "{value}");
        }
    }
}
