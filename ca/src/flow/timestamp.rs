//! Making a timestamp. Every step consumes the proof made by the step before; no other order compiles.
//!
//!  1 parse     values that cannot be wrong
//!  2 decide    pure: what the policy stamps
//!  3 time      only while somebody vouches for the clock; later than every token before, where that is promised
//!  4 record    all that the token will say, and the log entry over it, in one commit: those who wait share it
//!  5 sign      what is recorded, and nothing else
//!  6 answer    only what is durable can be signed, so only that can be answered

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use pki::signature::DigestAlgorithm;
use pki::timestamp::{Failure, Moment, RequestError, Terms, TimeStampRequest, TokenError, TokenInfo, granted};
use policies::authority::{Digest, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use store::{Batch, CommitError, Expectation};
use time::{Duration, OffsetDateTime};

use super::issue::Recorded;
use crate::record::{BatchId, LatestTimestamp, TimestampBatch, TimestampRecord, encode, log, timestamp_serial};
use crate::time_source::Doubt;
use crate::timestamps::{Call, Signer, Ticket, Timestamps};

/// The most tokens of one batch. Each has its place in the last two octets of its serial number.
const MOST: usize = 128;

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TimestampFailure {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("digests of this kind are not stamped here; use one that the authority's policy names")]
    Digest,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Clock(#[from] Doubt),
    #[error("no key may sign timestamps now; read the service's log")]
    NoSigner,
    #[error("the disk took longer than the accuracy, so the token's time would not be that of its making; look at the disk")]
    Late,
    #[error("the system gave no randomness; nothing was stamped")]
    Randomness,
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("a record could not be written: {0}")]
    Record(String),
}

impl TimestampFailure {
    /// What the asker is told. spec: rfc3161#2.4.2
    pub fn failure(&self) -> Failure {
        match self {
            Self::Request(error) => error.failure(),
            Self::Digest => Failure::BadAlgorithm,
            Self::Token(TokenError::Policy) => Failure::UnacceptedPolicy,
            Self::Clock(_) | Self::Late | Self::Token(TokenError::Time) => Failure::TimeNotAvailable,
            Self::NoSigner | Self::Token(_) | Self::Randomness | Self::Commit(_) | Self::Record(_) => Failure::SystemFailure,
        }
    }
}

/// The whole line: the answer to a request, DER, whatever it is.
pub fn stamp(timestamps: &Timestamps, request: &[u8]) -> Vec<u8> {
    let token = parse(request).and_then(|request| decide(timestamps, request)).and_then(|asked| record(timestamps, asked)).and_then(|recorded| sign(&recorded));
    let failure = match token {
        Ok(token) => {
            timestamps.counts.granted.fetch_add(1, Ordering::Relaxed);
            return granted(&token);
        }
        Err(failure) => failure,
    };
    let told = failure.failure();
    let own = matches!(told, Failure::TimeNotAvailable | Failure::SystemFailure);
    if own {
        tracing::warn!(error = %failure, "no timestamp");
    }
    let count = if own { &timestamps.counts.unavailable } else { &timestamps.counts.refused };
    count.fetch_add(1, Ordering::Relaxed);
    told.der()
}

/// 1. A request in the one form that it may have.
fn parse(request: &[u8]) -> Result<TimeStampRequest, TimestampFailure> {
    Ok(TimeStampRequest::parse(request)?)
}

/// 2. A request that the policy stamps.
pub struct Asked(TimeStampRequest);

fn decide(timestamps: &Timestamps, request: TimeStampRequest) -> Result<Asked, TimestampFailure> {
    accepted(&timestamps.authority.rules.timestamp, &timestamps.terms, request)
}

fn accepted(rules: &Timestamp, terms: &Terms, request: TimeStampRequest) -> Result<Asked, TimestampFailure> {
    let digest = match request.imprint.algorithm() {
        DigestAlgorithm::Sha256 => Digest::Sha256,
        DigestAlgorithm::Sha384 => Digest::Sha384,
        DigestAlgorithm::Sha512 => Digest::Sha512,
    };
    if !rules.accepts(digest) {
        return Err(TimestampFailure::Digest);
    }
    if request.policy.is_some_and(|asked| asked != terms.policy) {
        return Err(TokenError::Policy.into());
    }
    Ok(Asked(request))
}

/// 3. All that a token will say, its time and serial number included, and who signs it.
#[derive(Clone)]
pub struct Timed {
    info: TokenInfo,
    signer: Arc<Signer>,
}

/// 4. Whoever comes while a batch is on its way to the disk waits, and then the first of those who waited makes one
/// batch of them all. One at a time: so times rise in the order in which they are given.
fn record(timestamps: &Timestamps, asked: Asked) -> Result<Recorded<Timed>, TimestampFailure> {
    // Room for the one call that is on its way, so that whoever calls waits for nobody.
    let (call, called) = sync_channel(1);
    let mut lead = timestamps.enter(Ticket { asked, call });
    loop {
        if let Some(mut lead) = lead.take() {
            let group = lead.next(MOST);
            let outcomes = made(timestamps, &group, &mut lead.latest);
            for (ticket, outcome) in group.iter().zip(outcomes) {
                // Whoever asked and is gone has no use for it.
                let _ = ticket.call.send(Call::Done(outcome));
            }
        }
        match called.recv() {
            Ok(Call::Done(outcome)) => return outcome,
            Ok(Call::Lead) => lead = Some(timestamps.lead()),
            Err(_) => return Err(TimestampFailure::Record("a batch of timestamps was not finished".into())),
        }
    }
}

/// The outcome of each, in their order.
fn made(timestamps: &Timestamps, group: &[Ticket], latest: &mut i64) -> Vec<Result<Recorded<Timed>, TimestampFailure>> {
    let outcome = timed(timestamps, group, latest).and_then(|batch| committed(timestamps, batch, *latest));
    match outcome {
        Ok(recorded) => recorded.into_iter().map(Ok).collect(),
        Err(failure) => group.iter().map(|_| Err(failure.clone())).collect(),
    }
}

struct TimedBatch {
    id: BatchId,
    time: OffsetDateTime,
    tokens: Vec<Timed>,
}

fn timed(timestamps: &Timestamps, group: &[Ticket], latest: &mut i64) -> Result<TimedBatch, TimestampFailure> {
    let now = timestamps.vouching.now()?;
    let accuracy = i64::from(timestamps.terms.accuracy_ms) * 1_000;
    // A clock that is wrong may be before the signer's beginning too: the clock is what is told of.
    time_after(micros(now)?, *latest, timestamps.terms.ordering, accuracy)?;
    let signer = timestamps.signer(now).ok_or(TimestampFailure::NoSigner)?;
    let id = fresh_batch()?;
    let mut tokens = Vec::with_capacity(group.len());
    for (place, ticket) in group.iter().enumerate() {
        let place = u16::try_from(place).map_err(|_| TimestampFailure::Record("too many tokens in a batch".into()))?;
        let micros = time_after(micros(now)?, *latest, timestamps.terms.ordering, accuracy)?;
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| Doubt::Unspeakable)?;
        let info = TokenInfo::new(&timestamps.terms, &ticket.asked.0, Moment { time, serial: timestamp_serial(&id, place) })?;
        *latest = micros.max(*latest);
        tokens.push(Timed { info, signer: Arc::clone(&signer) });
    }
    Ok(TimedBatch { id, time: now, tokens })
}

fn micros(now: OffsetDateTime) -> Result<i64, Doubt> {
    i64::try_from(now.unix_timestamp_nanos() / 1_000).map_err(|_| Doubt::Unspeakable)
}

/// The time of the next token: the clock's, or the very next after the latest where times rise. A clock so far behind the
/// latest token that both cannot be right is not told.
fn time_after(now: i64, latest: i64, ordering: bool, accuracy: i64) -> Result<i64, Doubt> {
    if latest.saturating_sub(now) >= accuracy {
        return Err(Doubt::Behind);
    }
    Ok(if ordering { now.max(latest.saturating_add(1)) } else { now })
}

/// Fourteen random octets, the top bit zero and the next one set, so that every serial number is positive and of one length.
/// Random, since a counter that came out of a backup would count again what it counted before.
fn fresh_batch() -> Result<BatchId, TimestampFailure> {
    let mut id: BatchId = [0; 14];
    SystemRandom::new().fill(&mut id).map_err(|_| TimestampFailure::Randomness)?;
    let [first, ..] = &mut id;
    *first = (*first & 0x7f) | 0x40;
    Ok(id)
}

fn committed(timestamps: &Timestamps, batch: TimedBatch, latest: i64) -> Result<Vec<Recorded<Timed>>, TimestampFailure> {
    let TimedBatch { id, time, tokens } = batch;
    let written = |error: serde_json::Error| TimestampFailure::Record(error.to_string());
    let signer = tokens.first().map_or("", |timed| timed.signer.sha256.as_str());
    let count = u16::try_from(tokens.len()).map_err(|_| TimestampFailure::Record("too many tokens in a batch".into()))?;
    let leaves: Vec<_> = tokens.iter().map(|timed| merkle::leaf_hash(timed.info.der())).collect();
    let root = crate::hex(merkle::root(&leaves).as_ref());
    let mut writes = Batch::new().expect(Expectation::Absent(TimestampBatch::key(&id)));
    let entry = log::Entry::TimestampsMade { batch: &crate::hex(&id), tokens: count, root: &root, signer };
    let slot = writes.append(log::STREAM, entry.leaf(time).map_err(written)?);
    writes = writes.put(TimestampBatch::key(&id), TimestampBatch::stored(count, signer, slot).map_err(written)?);
    writes = writes.put(LatestTimestamp::place(), encode(&LatestTimestamp { micros: latest }).map_err(written)?);
    for (timed, place) in tokens.iter().zip(0..) {
        let record = TimestampRecord { info: timed.info.der().to_vec() };
        writes = writes.put(TimestampRecord::key(&id, place), encode(&record).map_err(written)?);
    }
    timestamps.authority.store.commit(writes)?;
    // The time said is that of the making, as far as the accuracy goes; and the clock was not set meanwhile.
    if timestamps.vouching.now()? - time > Duration::milliseconds(timestamps.terms.accuracy_ms.into()) {
        return Err(TimestampFailure::Late);
    }
    Ok(tokens.into_iter().map(Recorded::new).collect())
}

/// 5. The token over what is recorded.
fn sign(recorded: &Recorded<Timed>) -> Result<Vec<u8>, TimestampFailure> {
    let Timed { info, signer } = recorded.what();
    // A signer whose certificate was revoked meanwhile signs no more.
    if !signer.may_sign(info.time()) {
        return Err(TimestampFailure::NoSigner);
    }
    Ok(signer.plan.token(info, &signer.key)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_rise_where_that_is_promised_and_never_leave_the_accuracy() {
        assert_eq!(time_after(100, 50, true, 10), Ok(100));
        assert_eq!(time_after(100, 100, true, 10), Ok(101));
        assert_eq!(time_after(100, 109, true, 10), Ok(110));
        assert_eq!(time_after(100, 110, true, 10), Err(Doubt::Behind));
        assert_eq!(time_after(100, 109, false, 10), Ok(100));
        assert_eq!(time_after(100, 110, false, 10), Err(Doubt::Behind));
        assert_eq!(time_after(100, i64::MIN, true, 10), Ok(100));
        assert_eq!(time_after(100, i64::MAX, true, 10), Err(Doubt::Behind));
    }
}
