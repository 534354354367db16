//! Rows that were kept back and come again, mended: which they are, and what becomes of them in the batch they belong to.
//!
//! A mending is a batch of its own — manifest, file, seal, evidence, report — whose manifest names the other batch and its
//! rows. What is delivered of it stands in the other batch's report in place of the first outcome, in the commit that
//! delivers, so that each report's states are its rows at every instant. One mending of a batch runs at a time.

use std::collections::HashMap;

use policies::statement::{Purpose, RowNumbers};
use store::{Batch, Expectation};

use super::{PushError, report};
use crate::bureau::manifest::SignedManifest;
use crate::gateway::Gateway;
use crate::record::event::{self, Event};
use crate::record::push::{Mendings, PushBatch, RowOutcome, batch_key, encode_mended, mended_key};

/// More mendings of one batch than any bureau needs.
const MOST: usize = 1_000;
/// Reasons that ask for another number: what was kept back stood under one that was used before.
const USED: [&str; 3] = ["other-content", "superseded-before", "withdrawn-before"];
pub(super) const OTHER_STATEMENT: &str = "the row that was kept back is of another statement; give the mended one its stmt_id, or send this one in a batch of its own";
const OTHER_OPEN: &str = "another mending of it has not ended; push that one again";

/// A mending that may go on.
pub(super) struct Mending {
    batch: String,
    rows: RowNumbers,
    /// Those of `rows` of which nothing was delivered yet, with the statement that each is where that is known and bound. Nobody else
    /// mends meanwhile.
    kept_back: HashMap<u64, Option<String>>,
}

impl Mending {
    /// 1 the other batch is this bureau's, has ended, is of the same kind and month and no mending itself · 2 no other mending
    /// of it is under way · 3 which of its rows are kept back. `None` where nothing is mended.
    pub fn of(gateway: &Gateway, bureau: &str, signed: &SignedManifest) -> Result<Option<Self>, PushError> {
        let manifest = signed.manifest();
        let Purpose::Mend { batch, rows } = manifest.purpose() else { return Ok(None) };
        // 1
        let (batch, refused) = (batch.as_str(), |reason| PushError::NotMendable { batch: batch.as_str().to_owned(), reason });
        let found = gateway.store.get(&batch_key(bureau, batch))?.ok_or_else(|| PushError::UnknownBatch { batch: batch.to_owned() })?;
        let first = PushBatch::decode(&found)?;
        if first.ended_unix_millis.is_none() {
            return Err(PushError::NotEnded { batch: batch.to_owned() });
        }
        if first.mends.is_some() {
            return Err(refused("it mends another batch; mend that one"));
        }
        if first.corrects {
            return Err(refused("it supersedes or withdraws statements; send a new batch that does"));
        }
        if first.kind != manifest.kind() || first.period != manifest.period().to_string() {
            return Err(refused("it is of another kind or month; name the batch whose rows these are"));
        }
        if rows.runs().last().is_some_and(|(_, last)| last > first.rows) {
            return Err(refused("it has fewer rows; name rows by their numbers in its report"));
        }
        // 2
        let mendings = mendings(gateway, bureau, batch)?.0;
        if mendings.open.as_deref().is_some_and(|open| open != manifest.batch_id().as_str()) {
            return Err(refused(OTHER_OPEN));
        }
        if mendings.ended.len() >= MOST {
            return Err(refused("it was mended a thousand times; send the rest in a new batch"));
        }
        // 3
        let mut kept_back = HashMap::new();
        report::each(gateway, bureau, batch, |outcome| {
            if outcome.is_kept_back() {
                let bound = !outcome.reason.as_deref().is_some_and(|reason| USED.contains(&reason));
                kept_back.insert(outcome.row, outcome.stmt_id.clone().filter(|_| bound));
            }
            Ok(())
        })?;
        Ok(Some(Self { batch: batch.to_owned(), rows: rows.clone(), kept_back }))
    }

    pub fn batch(&self) -> &str {
        &self.batch
    }

    /// The row of the other batch that the n-th row of this file is.
    pub fn stands_for(&self, n: u64) -> Option<u64> {
        self.rows.nth(n)
    }

    pub fn is_kept_back(&self, n: u64) -> bool {
        self.stands_for(n).is_some_and(|row| self.kept_back.contains_key(&row))
    }

    /// Whether the n-th row of this file may be this statement: what was kept back of one person is not mended by anybody's.
    pub fn is_of(&self, n: u64, stmt_id: &str) -> bool {
        let bound = self.stands_for(n).and_then(|row| self.kept_back.get(&row)?.as_deref());
        bound.is_none_or(|bound| bound == stmt_id)
    }

    /// What becomes of the rows in the other batch: those that ended here have ended there.
    pub fn put(&self, mut write: Batch, bureau: &str, by: &str, outcomes: &[RowOutcome]) -> Result<Batch, PushError> {
        for outcome in outcomes.iter().filter(|outcome| !outcome.is_kept_back()) {
            let Some(row) = self.stands_for(outcome.row) else { continue };
            let key = mended_key(bureau, &self.batch, row);
            let outcome = RowOutcome { row, mended_by: Some(by.to_owned()), ..outcome.clone() };
            write = write.expect(Expectation::Absent(key.clone())).put(key, encode_mended(&outcome)?);
        }
        Ok(write)
    }

    /// Said in the commit that begins the mending: no other has begun since it was looked for.
    pub fn begin(&self, gateway: &Gateway, write: Batch, bureau: &str, by: &str) -> Result<Batch, PushError> {
        let (mendings, before) = mendings(gateway, bureau, &self.batch)?;
        if mendings.open.as_deref().is_some_and(|open| open != by) {
            return Err(PushError::NotMendable { batch: self.batch.clone(), reason: OTHER_OPEN });
        }
        Ok(write.expect(before).put(Mendings::key(bureau, &self.batch), Mendings { open: Some(by.to_owned()), ..mendings }.encode()?))
    }

    /// Said in the commit that ends it: the other batch has a new edition of its report from now on.
    pub fn end(&self, gateway: &Gateway, write: Batch, bureau: &str, by: &str, now_unix_millis: u64) -> Result<Batch, PushError> {
        let (mut mendings, before) = mendings(gateway, bureau, &self.batch)?;
        mendings.open = mendings.open.filter(|open| open != by);
        mendings.ended.push(by.to_owned());
        let mut rows = 0;
        report::each(gateway, bureau, &self.batch, |outcome| {
            rows += u64::from(outcome.mended_by.as_deref() == Some(by));
            Ok(())
        })?;
        let outcome = report::tally(gateway, bureau, &self.batch)?.digest;
        let mut write = write.expect(before).put(Mendings::key(bureau, &self.batch), mendings.encode()?);
        Event::BatchMended(event::Mended { bureau: bureau.to_owned(), batch: self.batch.clone(), by: by.to_owned(), rows, outcome }).append(&mut write, now_unix_millis)?;
        Ok(write)
    }
}

/// The mendings of a batch, and what a commit that changes them expects.
pub(super) fn mendings(gateway: &Gateway, bureau: &str, batch: &str) -> Result<(Mendings, Expectation), PushError> {
    let key = Mendings::key(bureau, batch);
    Ok(match gateway.store.get(&key)? {
        Some(bytes) => (Mendings::decode(&bytes)?, Expectation::Equals(key, bytes)),
        None => (Mendings::default(), Expectation::Absent(key)),
    })
}
