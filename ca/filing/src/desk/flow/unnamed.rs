//! Files that no filing named in their days are removed. One that a filing names at this moment stays: the filing's commit and
//! this one are each made only while the other was not.
//!
//! 1 known     in a store from before: which files no filing names is found out, once
//! 2 left      files whose records a pass removed before it was cut off, or that came and were cut off before theirs
//! 3 record    the longest here first: record, place, quota and leaf of the log in one commit
//! 4 file      then the file, before anybody puts it there again

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::PoisonError;

use store::{Batch, CommitError, Expectation, Key};
use time::{Duration, OffsetDateTime};

use super::judge::city;
use super::rules;
use crate::desk::Desk;
use crate::desk::problem::DeskError;
use crate::desk::receipt::of_millis;
use crate::desk::record::attachment::{AttachmentRecord, Known};
use crate::desk::record::event::{Event, keyed, unix_millis};
use crate::desk::record::filing::FilingRecord;

/// Looked at in one pass, and removed.
const LOOKED_AT: usize = 10_000;
const MOST: u64 = 1_000;
const PAGE: usize = 500;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub files: u64,
    pub bytes: u64,
}

/// Once over what waits, and ends between two of them when `stop` says so.
pub fn pass(desk: &Desk, stop: &dyn Fn() -> bool) -> Result<Swept, DeskError> {
    let mut swept = Swept::default();
    // 1.
    if !find_out(desk, stop)? {
        return Ok(swept);
    }
    // 2.
    finish(desk)?;
    let now = desk.clock.now();
    let (mut from, to) = AttachmentRecord::waiting_before(unix_millis(now - Duration::days(desk.policies.desk.unnamed.least().into())).saturating_add(1));
    let mut looked_at = 0;
    while looked_at < LOOKED_AT && swept.files < MOST {
        let page = desk.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        (from, looked_at) = (last.successor(), looked_at + page.len());
        for (place, sha256) in &page {
            if stop() || swept.files >= MOST {
                break;
            }
            let Ok(sha256) = std::str::from_utf8(sha256) else { continue };
            if let Some(bytes) = one(desk, place, sha256, now)? {
                (swept.files, swept.bytes) = (swept.files + 1, swept.bytes + bytes);
            }
        }
        if stop() {
            break;
        }
    }
    finish(desk)?;
    Ok(swept)
}

/// When its days are over.
pub fn ends(desk: &Desk, kept_at: u64) -> OffsetDateTime {
    let came = of_millis(kept_at);
    came + Duration::days(desk.policies.desk.unnamed.days(city(came).date()).into())
}

/// 3 and 4, of one file: its size, if it went.
fn one(desk: &Desk, place: &Key, sha256: &str, now: OffsetDateTime) -> Result<Option<u64>, DeskError> {
    let key = AttachmentRecord::key(sha256);
    let Some(stored) = desk.store.get(&key)? else { return Ok(None) };
    let record = AttachmentRecord::decode(&stored)?;
    // It came anew meanwhile, or its days are more than the least.
    if AttachmentRecord::waits(record.kept_at, sha256) != *place || ends(desk, record.kept_at) > now {
        return Ok(None);
    }
    let _goes = desk.going.write().unwrap_or_else(PoisonError::into_inner);
    let mut batch = Batch::new().expect(Expectation::Equals(key.clone(), stored)).expect(Expectation::Present(place.clone()));
    batch = batch.delete(key).delete(place.clone()).put(AttachmentRecord::unrecorded(sha256), sha256.as_bytes());
    batch.add(&AttachmentRecord::sum(&record.by), -i64::try_from(record.size).unwrap_or(i64::MAX));
    record.count_waiting(false, &mut batch);
    Event::AttachmentRemoved { attachment: &keyed(&desk.data, "attachment", sha256.as_bytes()), size: record.size }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => {}
        // A filing names it, or it came anew.
        Err(CommitError::Conflict { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    unlink(desk, sha256)?;
    Ok(Some(record.size))
}

fn unlink(desk: &Desk, sha256: &str) -> Result<(), DeskError> {
    let path: PathBuf = desk.attachments.join(sha256);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DeskError::File { path, reason: error.to_string() }),
        _ => Ok(()),
    }
}

/// 2. What came anew under its name meanwhile stays.
fn finish(desk: &Desk) -> Result<(), DeskError> {
    let (from, to) = AttachmentRecord::all_unrecorded();
    loop {
        let page = desk.store.scan(&from, &to, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        let _goes = desk.going.write().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::new();
        for (key, sha256) in page {
            if let Ok(sha256) = std::str::from_utf8(&sha256)
                && desk.store.get(&AttachmentRecord::key(sha256))?.is_none()
            {
                unlink(desk, sha256)?;
            }
            batch = batch.delete(key);
        }
        desk.store.commit(batch)?;
    }
}

/// 1. First every file waits, then none that a filing names: whatever is filed meanwhile takes its own files out. False where it
/// was cut off. A filing that cannot be read stops it: what that names is not known.
fn find_out(desk: &Desk, stop: &dyn Fn() -> bool) -> Result<bool, DeskError> {
    let known = || Ok::<_, DeskError>(desk.store.get(&Known::key())?.map(|stored| Known::decode(&stored)).transpose()?);
    if known()? == Some(Known::Wholly) {
        return Ok(true);
    }
    if known()?.is_none() {
        let whole = pages(desk, AttachmentRecord::all(), stop, &|key, stored, batch| {
            let (Some(sha256), record) = (text(key), AttachmentRecord::decode(stored)?) else { return Ok(()) };
            let place = AttachmentRecord::waits(record.kept_at, &sha256);
            if desk.store.get(&place)?.is_none() {
                record.count_waiting(true, batch);
                // One that comes anew, is named or goes meanwhile is looked at once more.
                let unchanged = std::mem::take(batch).expect(Expectation::Equals(key.clone(), stored.to_vec())).expect(Expectation::Absent(place.clone()));
                *batch = unchanged.put(place, sha256.as_bytes());
            }
            Ok(())
        })?;
        if !whole {
            return Ok(false);
        }
        desk.store.commit(Batch::new().put(Known::key(), Known::AllWait.encode()))?;
    }
    let whole = pages(desk, FilingRecord::all(), stop, &|key, _, _| {
        let Some(id) = text(key) else { return Ok(()) };
        let contents: BTreeSet<String> = rules::filed(desk, &id)?.attachments().iter().map(|one| one.digest_text()).collect();
        contents.iter().try_for_each(|sha256| taken(desk, sha256))
    })?;
    if whole {
        desk.store.commit(Batch::new().put(Known::key(), Known::Wholly.encode()))?;
    }
    Ok(whole)
}

fn text(key: &Key) -> Option<String> {
    key.last_part().and_then(|part| String::from_utf8(part).ok())
}

/// A filing of before names it.
fn taken(desk: &Desk, sha256: &str) -> Result<(), DeskError> {
    let Some(stored) = desk.store.get(&AttachmentRecord::key(sha256))? else { return Ok(()) };
    let record = AttachmentRecord::decode(&stored)?;
    let place = AttachmentRecord::waits(record.kept_at, sha256);
    if desk.store.get(&place)?.is_none() {
        return Ok(());
    }
    let mut batch = Batch::new().expect(Expectation::Equals(AttachmentRecord::key(sha256), stored)).expect(Expectation::Present(place.clone())).delete(place);
    record.count_waiting(false, &mut batch);
    match desk.store.commit(batch) {
        Ok(_) => Ok(()),
        // It came anew or was named between: looked at once more.
        Err(CommitError::Conflict { .. }) => taken(desk, sha256),
        Err(error) => Err(error.into()),
    }
}

type Look<'a> = dyn Fn(&Key, &[u8], &mut Batch) -> Result<(), DeskError> + 'a;

/// Each record of a range, with one commit for each page where there is something to change; a page in which something changed
/// meanwhile is looked at anew. False where it was cut off.
fn pages(desk: &Desk, (mut from, to): (Key, Key), stop: &dyn Fn() -> bool, look: &Look<'_>) -> Result<bool, DeskError> {
    loop {
        let page = desk.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(true) };
        let mut batch = Batch::new();
        for (key, stored) in &page {
            look(key, stored, &mut batch)?;
        }
        let done = if batch == Batch::new() { true } else { committed(desk, batch)? };
        if done {
            from = last.successor();
        }
        if stop() {
            return Ok(false);
        }
    }
}

/// False where others came first.
fn committed(desk: &Desk, batch: Batch) -> Result<bool, DeskError> {
    match desk.store.commit(batch) {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
