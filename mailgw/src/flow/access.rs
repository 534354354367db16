//! Evidence that a client's program fetched a statement: access, and never that a person read it. A phone fetches at night. What would
//! be evidence of reading is an act of a person who proved to be the owner just then, and there is none such act here.
// spec: EN 319 522-1#6 (event D.6, ContentAccessTracking)

use std::collections::HashSet;

use policies::sender::Evidence as KindEvidence;
use store::{Batch, CommitError};
use time::OffsetDateTime;

use super::evidence::EvidenceError;
use crate::erds::{Event, Item as Evidence, Of, Submission};
use crate::gateway::Gateway;
use crate::mailbox::Fetch;
use crate::record::access;
use crate::record::evidence::Recorded;
use crate::record::push::{Item, PushBatch, batch_key, item_key};
use crate::statement::Named;

/// Items of one batch.
const AT_ONCE: usize = 1_000;

/// Records what was noted; how many items that came to. Whoever runs at the same time, or runs again after a commit that was not
/// heard of, finds it recorded.
pub fn record(gateway: &Gateway) -> Result<u64, EvidenceError> {
    let mut all = 0;
    loop {
        let fetches = gateway.messages.fetched().some(AT_ONCE);
        if fetches.is_empty() {
            return Ok(all);
        }
        all += record_some(gateway, &fetches)?;
    }
}

/// 1 each is of a statement that this gateway delivered to that very mailbox, first of all fetches of it · 2 all of them in one commit: items,
/// where they are found again, their root in the log.
fn record_some(gateway: &Gateway, fetches: &[Fetch]) -> Result<u64, EvidenceError> {
    // 1
    let (mut write, mut items, mut places, mut looked_at, mut seen) = (Batch::new(), Vec::new(), Vec::new(), Vec::new(), HashSet::new());
    for fetch in fetches {
        let Some(named) = Named::open(&fetch.reference, &gateway.directory_key) else {
            looked_at.push((fetch, false));
            continue;
        };
        let (known, still) = access::known(&*gateway.store, &named.bureau, &named.statement, &fetch.digest)?;
        if known {
            looked_at.push((fetch, true));
            continue;
        }
        let item = item(gateway, fetch, &named)?;
        looked_at.push((fetch, item.is_some()));
        let Some((item, push)) = item else { continue };
        // The record is for the message, whatever order its fetches came in.
        if seen.insert((named.clone(), fetch.digest)) {
            write = write.expect(still);
            items.push(item);
            places.push((fetch, named, push));
        }
    }
    // 2
    if !items.is_empty() {
        let now = gateway.now_unix_millis();
        let (mut write, slot) = Recorded::new(&items)?.put_batch(write, now)?;
        for (fetch, named, push) in &places {
            write = access::put(write, &named.bureau, &named.statement, &fetch.digest, push, slot);
        }
        match gateway.store.commit(write) {
            // Somebody else recorded one of them: the rest waits for the next look.
            Err(CommitError::Conflict { .. }) => return Ok(0),
            done => drop(done?),
        }
    }
    gateway.messages.fetched().done(looked_at.into_iter());
    Ok(items.len() as u64)
}

/// What the fetch is evidence of, and of which push. A name in a message is a claim: the message must be the one that was delivered
/// under that name, to that mailbox.
fn item(gateway: &Gateway, fetch: &Fetch, named: &Named) -> Result<Option<(Evidence, String)>, EvidenceError> {
    let Some(found) = gateway.store.get(&item_key(&named.bureau, &named.statement))? else { return Ok(None) };
    let (item, digest) = (Item::decode(&found)?, crate::hex(&fetch.digest));
    let (push, row) = match &item.ended {
        _ if item.mailbox != fetch.mailbox => return Ok(None),
        _ if item.message == digest => (item.batch, item.number),
        // The notice that it was withdrawn.
        Some(ended) if ended.superseded_by.is_none() && ended.message == digest => (ended.batch.clone(), ended.number),
        _ => return Ok(None),
    };
    let Some(batch) = gateway.store.get(&batch_key(&named.bureau, &push))? else { return Ok(None) };
    let batch = PushBatch::decode(&batch)?;
    let logged = gateway.letters.get(&batch.kind).is_some_and(|kind| kind.evidence() == KindEvidence::Logged);
    if logged || row == 0 {
        return Ok(None);
    }
    let submission = Submission { batch: push.clone(), manifest: batch.manifest, file: batch.file, row, mends: None, corrects: None };
    let recipient = format!("{}@{}", fetch.mailbox, gateway.settings.domain);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(fetch.unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let of = Of { issuer: &gateway.settings.host, sender: &named.bureau, recipient: Some(&recipient), submission: &submission, message: Some(&digest), secrecy: None, at };
    Ok(Some((Evidence::new(Event::ContentAccessTracking, &of, None), push)))
}
