//! Signing what waits: batches of evidence that are durable, in order, many of them in one commit.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::cms::SignerPlan;
use runtime::revocation::RevocationLists;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::EvidenceError;
use crate::bureau::trust::{self, Purpose};
use crate::erds::{Item, Statement, has_happened};
use crate::gateway::{Gateway, unix_millis};
use crate::record::{RecordError, body};
use crate::record::event::{self, Event};
use crate::record::evidence::{self, BATCHES, Seal, Signer, decode_sealed, encode_sealed, leaves, sealed_key};

/// Batches signed between two commits.
const AT_ONCE: u64 = 64;

/// How far the signatures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Batches signed by this call.
    pub now: u64,
    /// Batches signed ever, which is the number of the last.
    pub all: u64,
}

/// The key for evidence, trusted at this moment by lists that are kept with what it signs.
pub(in crate::flow) struct Ready {
    plan: SignerPlan,
    key: keys::KeyHandle,
    lists: BTreeMap<String, Vec<u8>>,
    now: OffsetDateTime,
}

impl Ready {
    pub fn new(gateway: &Gateway, fetch: &RevocationLists, now: OffsetDateTime) -> Result<Self, EvidenceError> {
        let signer = Signer::current(&*gateway.store)?.ok_or(EvidenceError::NoSigner)?;
        let urls = trust::crl_urls(&signer.chain).map_err(|error| trust::unreadable(Purpose::Evidence, &error))?;
        let lists = fetch.fetch(&urls, now)?;
        gateway.anchors.trusted(&signer.chain, Purpose::Evidence, &lists, now)?;
        let lists = lists.into_iter().map(|list| (crate::hex(&body::digest(&list)), list)).collect();
        let others: Vec<&[u8]> = signer.chain.issuers().collect();
        Ok(Self { plan: SignerPlan::new(signer.chain.leaf(), &others)?, key: gateway.keys.load(&signer.key)?, lists, now })
    }

    /// Detached CMS over a text, DER.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, EvidenceError> {
        Ok(self.plan.seal(body::digest(text.as_bytes()), self.now, &self.key)?)
    }

    /// The same over what has this SHA-256.
    pub fn sign_digest(&self, digest: [u8; 32]) -> Result<Vec<u8>, EvidenceError> {
        Ok(self.plan.seal(digest, self.now, &self.key)?)
    }

    /// The lists themselves, DER.
    pub fn lists(&self) -> impl Iterator<Item = &[u8]> {
        self.lists.values().map(Vec::as_slice)
    }

    /// The lists, by their SHA-256.
    pub fn list_names(&self) -> Vec<String> {
        self.lists.keys().cloned().collect()
    }

    /// The lists themselves, as files have them.
    pub fn lists_in_base64(&self) -> Vec<String> {
        self.lists.values().map(|der| STANDARD.encode(der)).collect()
    }

    pub fn put_lists(&self, write: Batch) -> Batch {
        self.lists.iter().fold(write, |write, (name, der)| write.put(evidence::list_key(name), evidence::encode_list(der)))
    }
}

/// Signs every batch that waits. Who runs at the same time finds it done.
pub fn seal(gateway: &Gateway, lists: &RevocationLists) -> Result<Sealed, EvidenceError> {
    let mut now = 0;
    loop {
        let (done, all) = seal_some(gateway, lists)?;
        now += done;
        if done == 0 {
            return Ok(Sealed { now, all });
        }
    }
}

/// How many batches wait for their signature; none where the store does not say.
pub fn unsigned(gateway: &Gateway) -> u64 {
    let sealed = gateway.store.get(&sealed_key()).ok().flatten().and_then(|bytes| decode_sealed(&bytes).ok()).unwrap_or(0);
    gateway.store.counter(BATCHES).unwrap_or(0).saturating_sub(sealed)
}

/// 1 something waits that has happened by this clock · 2 the signer is trusted at this moment, by lists that are kept with what it signs · 3 signed: what is
/// said is durable, in the commit of the deliveries and in the log · 4 the signatures recorded, with a leaf of the log.
fn seal_some(gateway: &Gateway, fetch: &RevocationLists) -> Result<(u64, u64), EvidenceError> {
    // 1
    let store = &*gateway.store;
    let found = store.get(&sealed_key())?;
    let sealed = found.as_deref().map(decode_sealed).transpose()?.unwrap_or(0);
    let upto = store.counter(BATCHES)?.min(sealed.saturating_add(AT_ONCE));
    let mut waiting = Vec::new();
    for number in sealed + 1..=upto {
        let missing = RecordError::Damaged { kind: "evidence batch", reason: "one that was numbered is not there" };
        let lines = evidence::items(store, number)?.ok_or(missing)?;
        let mut latest = OffsetDateTime::UNIX_EPOCH;
        for line in &lines {
            let item = Item::read(line).map_err(|_| RecordError::Damaged { kind: "evidence batch", reason: "an item is of another form" })?;
            latest = latest.max(item.event_time);
        }
        waiting.push((latest, Statement::new(&gateway.settings.log_origin, number, lines.len() as u64, &merkle::root(&leaves(&lines)))));
    }
    // Looked at when all is read, and cut as the signature cuts it. What is later than this clock, which was set back, waits: a
    // signature over it would never be believed.
    let now = gateway.clock.now();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    waiting.truncate(waiting.iter().take_while(|(latest, _)| has_happened(*latest, now)).count());
    let upto = sealed + waiting.len() as u64;
    if upto == sealed {
        return Ok((0, sealed));
    }
    // 2
    let ready = Ready::new(gateway, fetch, now)?;
    // 3
    let expected = match found {
        Some(bytes) => Expectation::Equals(sealed_key(), bytes),
        None => Expectation::Absent(sealed_key()),
    };
    let mut write = Batch::new().expect(expected).put(sealed_key(), encode_sealed(upto));
    write = ready.put_lists(write);
    let mut said = Vec::new();
    for (number, (_, statement)) in (sealed + 1..=upto).zip(&waiting) {
        let statement = statement.write()?;
        let signature = ready.sign(&statement)?;
        said.extend_from_slice(&body::digest(&signature));
        write = write.put(Seal::key(number), Seal { statement, signature: STANDARD.encode(signature), lists: ready.list_names() }.encode()?);
    }
    // 4
    let seals = crate::hex(&body::digest(&said));
    Event::EvidenceSealed(event::EvidenceSeals { first: sealed + 1, count: upto - sealed, seals }).append(&mut write, unix_millis(now))?;
    match store.commit(write) {
        // Somebody else signed them at the same moment; ours are thrown away.
        Err(CommitError::Conflict { .. }) => Ok((0, upto)),
        done => Ok(done.map(|_| (upto - sealed, upto))?),
    }
}
