//! A timestamp over each batch's signature, from an authority of its own: that the evidence stood at that time does not rest on the
//! gateway's clock alone. While the authority is away batches wait for it, signed already.
// spec: rfc3161, rfc3161#appendix-A (over a signature's value; here over the whole signature)

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::timestamp::{Imprint, TimeStampRequest};
use pki::signature::DigestAlgorithm;
use ring::rand::{SecureRandom, SystemRandom};
use runtime::fetch::Fetcher;
use runtime::revocation::RevocationLists;
use store::{Batch, CommitError, Expectation};
use time::Duration;
use tokio::runtime::Handle;

use super::EvidenceError;
use crate::bureau::trust::{self, Purpose};
use crate::erds::stamped;
use crate::gateway::{Gateway, unix_millis};
use crate::record::body;
use crate::record::bureau::Chain;
use crate::record::event::{self, Event};
use crate::record::evidence::{self, Seal, Stamp, decode_sealed, encode_sealed, sealed_key, stamped_key};

/// Batches stamped between two commits.
const AT_ONCE: u64 = 16;
const NONCE: usize = 16;
const MAX_ANSWER: usize = 64 * 1024;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Who vouches for the time.
pub trait TimestampAuthority: Send + Sync {
    /// The answer to a TimeStampReq, DER; or why there is none.
    fn stamp(&self, request: Vec<u8>) -> Result<Vec<u8>, String>;
}

/// Over plain HTTP: a token proves itself by its signature. Called from blocking threads.
pub struct RemoteTimestamps {
    handle: Handle,
    base: String,
    path: String,
}

impl RemoteTimestamps {
    /// `url` such as `http://ca.example.cn/timestamp`.
    pub fn new(handle: Handle, url: &str) -> Result<Self, runtime::fetch::FetchError> {
        let (base, path) = url.rsplit_once('/').unwrap_or((url, ""));
        Fetcher::new(base, PATIENCE)?;
        Ok(Self { handle, base: base.to_owned(), path: path.to_owned() })
    }
}

impl TimestampAuthority for RemoteTimestamps {
    fn stamp(&self, request: Vec<u8>) -> Result<Vec<u8>, String> {
        let mut fetcher = Fetcher::new(&self.base, PATIENCE).map_err(|error| error.to_string())?;
        let asked = fetcher.post(&self.path, ("application/timestamp-query", request), MAX_ANSWER);
        let (status, answer) = self.handle.block_on(asked).map_err(|error| error.to_string())?;
        if status.is_success() { Ok(answer) } else { Err(format!("the answer is {status}")) }
    }
}

/// Stamps every signed batch that waits; how many. Who runs at the same time finds it done.
pub fn stamp(gateway: &Gateway, lists: &RevocationLists, authority: &dyn TimestampAuthority) -> Result<u64, EvidenceError> {
    let mut all = 0;
    loop {
        let done = stamp_some(gateway, lists, authority)?;
        all += done;
        if done == 0 {
            return Ok(all);
        }
    }
}

/// How many signed batches wait for their timestamp.
pub fn unstamped(gateway: &Gateway) -> u64 {
    let at = |key| gateway.store.get(&key).ok().flatten().and_then(|bytes| decode_sealed(&bytes).ok()).unwrap_or(0);
    at(sealed_key()).saturating_sub(at(stamped_key()))
}

/// 1 what is signed and not stamped, in order · 2 a token over each signature, of this question, by an authority that is trusted at the
/// token's time by lists that are kept with it · 3 recorded, with a leaf of the log.
fn stamp_some(gateway: &Gateway, fetch: &RevocationLists, authority: &dyn TimestampAuthority) -> Result<u64, EvidenceError> {
    // 1
    let store = &*gateway.store;
    let found = store.get(&stamped_key())?;
    let before = found.as_deref().map(decode_sealed).transpose()?.unwrap_or(0);
    let sealed = store.get(&sealed_key())?.as_deref().map(decode_sealed).transpose()?.unwrap_or(0);
    let upto = sealed.min(before.saturating_add(AT_ONCE));
    if upto == before {
        return Ok(0);
    }
    let expected = match found {
        Some(bytes) => Expectation::Equals(stamped_key(), bytes),
        None => Expectation::Absent(stamped_key()),
    };
    // 2
    let mut write = Batch::new().expect(expected).put(stamped_key(), encode_sealed(upto));
    let mut said = Vec::new();
    for number in before + 1..=upto {
        // What retention removed has no signature any more, and needs no time.
        let Some(seal) = Seal::of(store, number)? else { continue };
        let signature = STANDARD.decode(&seal.signature).unwrap_or_default();
        let token = token(authority, &signature)?;
        let (stamp, lists) = believed(gateway, fetch, &token, &signature)?;
        said.extend_from_slice(&body::digest(&token));
        for list in &lists {
            let name = crate::hex(&body::digest(list));
            write = write.put(evidence::list_key(&name), evidence::encode_list(list));
        }
        write = write.put(Stamp::key(number), stamp.encode()?);
    }
    // 3
    let stamps = event::EvidenceStamps { first: before + 1, count: upto - before, stamps: crate::hex(&body::digest(&said)) };
    Event::EvidenceStamped(stamps).append(&mut write, unix_millis(gateway.clock.now()))?;
    match store.commit(write) {
        // Somebody else stamped them at the same moment; ours are thrown away.
        Err(CommitError::Conflict { .. }) => Ok(0),
        done => Ok(done.map(|_| upto - before)?),
    }
}

/// A token over `signature`, that answers this very question.
fn token(authority: &dyn TimestampAuthority, signature: &[u8]) -> Result<Vec<u8>, EvidenceError> {
    let refused = |reason: String| EvidenceError::Timestamp { reason };
    let mut nonce = [0; NONCE];
    SystemRandom::new().fill(&mut nonce).map_err(|_| refused("the system gave no randomness".into()))?;
    // A positive INTEGER in its shortest form.
    nonce[0] = (nonce[0] & 0x7f) | 0x40;
    let request = TimeStampRequest { imprint: Imprint::of(DigestAlgorithm::Sha256, signature), policy: None, nonce: Some(nonce.to_vec()), certificate: true };
    let answer = authority.stamp(request.der()).map_err(refused)?;
    let token = pki::timestamp::token_of(&answer).map_err(|error| refused(error.to_string()))?.to_vec();
    let stamp = pki::timestamp::verify(&token, &[]).map_err(|error| refused(error.to_string()))?;
    if stamp.nonce() != Some(&nonce) {
        return Err(refused("its answer is to another question".into()));
    }
    Ok(token)
}

/// The record of a token that holds, and the lists by which it does.
fn believed(gateway: &Gateway, fetch: &RevocationLists, token: &[u8], signature: &[u8]) -> Result<(Stamp, Vec<Vec<u8>>), EvidenceError> {
    let refused = |reason: &str| EvidenceError::Timestamp { reason: reason.to_owned() };
    let chain = stamped::chain(token).ok_or_else(|| refused("its token has no certificate"))?;
    let now = gateway.clock.now();
    gateway.anchors.trusted_but_for_revocation(&chain, Purpose::Timestamp, now)?;
    let lists = fetch.fetch(&urls(&chain)?, now)?;
    let time = stamped::judge(token, signature, &lists, &gateway.anchors).map_err(|reason| refused(&reason))?;
    if time > now + Duration::minutes(5) || time < now - Duration::minutes(5) {
        return Err(refused("its clock and this one are more than five minutes apart; look at both"));
    }
    let names = lists.iter().map(|list| crate::hex(&body::digest(list))).collect();
    Ok((Stamp { token: STANDARD.encode(token), lists: names }, lists))
}

fn urls(chain: &Chain) -> Result<Vec<String>, EvidenceError> {
    trust::crl_urls(chain).map_err(|error| trust::unreadable(Purpose::Timestamp, &error).into())
}
