//! What is remembered of a batch as a whole: that it was begun, and that it has ended.

use policies::statement::Purpose;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::mending::Mending;
use super::{PushError, report};
use crate::bureau::manifest::SignedManifest;
use crate::gateway::{Gateway, unix_millis};
use crate::record::event::{self, Event};
use crate::record::push::{PushBatch, batch_key};

pub(super) fn known(gateway: &Gateway, bureau: &str, signed: &SignedManifest) -> Result<Option<PushBatch>, PushError> {
    let id = signed.manifest().batch_id().as_str();
    let Some(found) = gateway.store.get(&batch_key(bureau, id))? else { return Ok(None) };
    let batch = PushBatch::decode(&found)?;
    if batch.manifest == crate::hex(signed.digest()) { Ok(Some(batch)) } else { Err(PushError::OtherManifest { batch: id.to_owned() }) }
}

pub(super) fn begin(gateway: &Gateway, bureau: &str, signed: &SignedManifest, mending: Option<&Mending>, now: OffsetDateTime) -> Result<PushBatch, PushError> {
    let manifest = signed.manifest();
    let millis = unix_millis(now);
    let batch = PushBatch {
        manifest: crate::hex(signed.digest()),
        file: crate::hex(manifest.sha256()),
        kind: manifest.kind().to_owned(),
        period: manifest.period().to_string(),
        rows: manifest.rows(),
        begun_unix_millis: millis,
        ended_unix_millis: None,
        mends: mending.map(|mending| mending.batch().to_owned()),
        corrects: matches!(manifest.purpose(), Purpose::Supersede(_) | Purpose::Withdraw(_)),
        removed_unix_millis: None,
    };
    let id = manifest.batch_id().as_str();
    let key = batch_key(bureau, id);
    let mut write = Batch::new().expect(Expectation::Absent(key.clone())).put(key, batch.encode()?);
    if let Some(mending) = mending {
        write = mending.begin(gateway, write, bureau, id)?;
    }
    Event::BatchBegun(said(bureau, signed, None)).append(&mut write, millis)?;
    match gateway.store.commit(write) {
        // The same batch was pushed at the same moment: both go on with the one that was recorded.
        Err(CommitError::Conflict { .. }) => known(gateway, bureau, signed)?.ok_or(PushError::Stopped),
        done => Ok(done.map(|_| batch)?),
    }
}

pub(super) fn end(gateway: &Gateway, bureau: &str, signed: &SignedManifest, mending: Option<&Mending>, batch: &PushBatch) -> Result<PushBatch, PushError> {
    let key = batch_key(bureau, signed.manifest().batch_id().as_str());
    let outcome = report::tally(gateway, bureau, signed.manifest().batch_id().as_str())?.digest;
    let ended = PushBatch { ended_unix_millis: Some(gateway.now_unix_millis()), ..batch.clone() };
    let mut write = Batch::new().expect(Expectation::Equals(key.clone(), batch.encode()?)).put(key, ended.encode()?);
    Event::BatchEnded(said(bureau, signed, Some(outcome))).append(&mut write, gateway.now_unix_millis())?;
    if let Some(mending) = mending {
        write = mending.end(gateway, write, bureau, signed.manifest().batch_id().as_str(), gateway.now_unix_millis())?;
    }
    match gateway.store.commit(write) {
        Err(CommitError::Conflict { .. }) => known(gateway, bureau, signed)?.ok_or(PushError::Stopped),
        done => Ok(done.map(|_| ended)?),
    }
}

fn said(bureau: &str, signed: &SignedManifest, outcome: Option<String>) -> event::PushBatch {
    let manifest = signed.manifest();
    let batch = manifest.batch_id().as_str().to_owned();
    event::PushBatch { bureau: bureau.to_owned(), batch, manifest: crate::hex(signed.digest()), rows: manifest.rows(), outcome }
}

pub(super) fn instant(unix_millis: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
