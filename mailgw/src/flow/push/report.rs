//! What became of a batch: counts that add up to the manifest's rows, and an outcome for each.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use store::Key;

use super::PushError;
use super::final_report::Tally;
use super::mending::mendings;
use crate::bureau::manifest::SignedManifest;
use crate::flow::whole_file::WholeFile;
use crate::gateway::Gateway;
use crate::record::job::Job;
use crate::record::push::{Mendings, PushBatch, RowOutcome, State, batch_key, decode_mended, decode_rows, mended_key, rows_range};

/// Blocks of outcomes read at a time.
const PAGE: usize = 64;
/// Rows that were not delivered, shown with the report itself.
const SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub delivered: u64,
    pub duplicate: u64,
    pub quarantined: u64,
    pub undeliverable: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub bureau: String,
    pub batch: String,
    pub kind: String,
    pub period: String,
    pub rows: u64,
    pub counts: Counts,
    pub begun_unix_millis: u64,
    pub ended_unix_millis: Option<u64>,
    /// SHA-256 of the manifest.
    pub manifest: String,
    /// SHA-256 of the outcomes, one JSON object a line, as `--report` writes them and the log holds it.
    pub outcomes: String,
    /// The first rows that were not delivered.
    pub not_delivered: Vec<RowOutcome>,
}

impl Counts {
    pub fn add(&mut self, state: &State) {
        match state {
            State::Delivered => self.delivered += 1,
            State::Duplicate => self.duplicate += 1,
            State::Quarantined => self.quarantined += 1,
            State::Undeliverable => self.undeliverable += 1,
        }
    }

    /// Rows that have an outcome.
    pub fn all(&self) -> u64 {
        self.delivered + self.duplicate + self.quarantined + self.undeliverable
    }
}

/// Of the rows that have their outcomes by now.
pub(super) fn counts(gateway: &Gateway, bureau: &str, batch: &str) -> Result<Counts, PushError> {
    let mut counts = Counts::default();
    each(gateway, bureau, batch, |outcome| {
        counts.add(&outcome.state);
        Ok(())
    })?;
    Ok(counts)
}

impl RowOutcome {
    pub fn is_delivered(&self) -> bool {
        self.state == State::Delivered
    }
}

/// The report of a batch; `path` gets the outcome of every row.
pub(super) fn of(gateway: &Gateway, bureau: &str, signed: &SignedManifest, batch: &PushBatch, path: Option<&Path>) -> Result<Report, PushError> {
    let id = signed.manifest().batch_id().as_str();
    let (mut counts, mut not_delivered) = (Counts::default(), Vec::new());
    let mut context = Context::new(&SHA256);
    let failed = |error: std::io::Error| PushError::Report { path: path.unwrap_or(Path::new("")).to_owned(), reason: error.to_string() };
    let mut file = path.map(WholeFile::create).transpose().map_err(failed)?;
    each(gateway, bureau, id, |outcome| {
        let line = line(&outcome)?;
        context.update(&line);
        if let Some(file) = &mut file {
            file.writer.write_all(&line).map_err(failed)?;
        }
        counts.add(&outcome.state);
        if !outcome.is_delivered() && not_delivered.len() < SHOWN {
            not_delivered.push(outcome);
        }
        Ok(())
    })?;
    if let Some(file) = file {
        file.finish().map_err(failed)?;
    }
    Ok(Report {
        bureau: bureau.to_owned(),
        batch: id.to_owned(),
        kind: batch.kind.clone(),
        period: batch.period.clone(),
        rows: batch.rows,
        counts,
        begun_unix_millis: batch.begun_unix_millis,
        ended_unix_millis: batch.ended_unix_millis,
        manifest: batch.manifest.clone(),
        outcomes: crate::hex(context.finish().as_ref()),
        not_delivered,
    })
}

/// What became of every row so far, one JSON object a line, into a new file.
pub fn write_outcomes(gateway: &Gateway, bureau: &str, batch: &str, path: &Path) -> Result<(), PushError> {
    let named = || batch.to_owned();
    match gateway.store.get(&batch_key(bureau, batch))?.map(|bytes| PushBatch::decode(&bytes)).transpose()? {
        Some(record) if record.removed_unix_millis.is_some() => return Err(PushError::Removed { batch: named() }),
        Some(_) => {}
        // Before the first rows have theirs there is no line, which is no error.
        None => drop(job(gateway, bureau, batch)?.ok_or_else(|| PushError::UnknownBatch { batch: named() })?),
    }
    let failed = |error: std::io::Error| PushError::Report { path: path.to_owned(), reason: error.to_string() };
    let mut file = WholeFile::create(path).map_err(failed)?;
    each(gateway, bureau, batch, |outcome| file.writer.write_all(&line(&outcome)?).map_err(failed))?;
    file.finish().map_err(failed)
}

/// The job that a bureau opened under this name.
pub(super) fn job(gateway: &Gateway, bureau: &str, batch: &str) -> Result<Option<Job>, PushError> {
    Ok(gateway.store.get(&Job::key(bureau, batch))?.map(|bytes| Job::decode(&bytes)).transpose()?)
}

/// All outcomes, counted by state and reason, and the SHA-256 of them as they are written.
pub(super) fn tally(gateway: &Gateway, bureau: &str, batch: &str) -> Result<Tally, PushError> {
    let (mut context, mut counts, mut reasons) = (Context::new(&SHA256), Counts::default(), BTreeMap::new());
    each(gateway, bureau, batch, |outcome| {
        context.update(&line(&outcome)?);
        counts.add(&outcome.state);
        if !outcome.is_delivered() {
            *reasons.entry((outcome.state.word().to_owned(), outcome.reason.unwrap_or_default())).or_insert(0_u64) += 1;
        }
        Ok(())
    })?;
    Ok(Tally { counts, reasons, digest: crate::hex(context.finish().as_ref()) })
}

pub(super) fn line(outcome: &RowOutcome) -> Result<Vec<u8>, PushError> {
    let damaged = |_| crate::record::RecordError::Damaged { kind: "push rows", reason: "an outcome cannot be written as JSON" };
    let mut line = serde_json::to_vec(outcome).map_err(damaged)?;
    line.push(b'\n');
    Ok(line)
}

/// The outcome of every row that has one, in order; what became of a mended row stands for its first outcome.
pub(super) fn each(gateway: &Gateway, bureau: &str, batch: &str, mut visit: impl FnMut(RowOutcome) -> Result<(), PushError>) -> Result<(), PushError> {
    let (mut from, to) = rows_range(bureau, batch);
    let mended = mendings(gateway, bureau, batch)?.0 != Mendings::default();
    loop {
        let page: Vec<(Key, Vec<u8>)> = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = last.successor();
        for (_, bytes) in &page {
            let mut outcomes = decode_rows(bytes)?;
            if mended && let (Some(first), Some(last)) = (outcomes.first().map(|outcome| outcome.row), outcomes.last().map(|outcome| outcome.row)) {
                let found = gateway.store.scan(&mended_key(bureau, batch, first), &mended_key(bureau, batch, last.saturating_add(1)), outcomes.len())?;
                let mut mended: HashMap<u64, RowOutcome> = found.iter().map(|(_, bytes)| decode_mended(bytes).map(|outcome| (outcome.row, outcome))).collect::<Result<_, _>>()?;
                outcomes.iter_mut().for_each(|outcome| *outcome = mended.remove(&outcome.row).unwrap_or_else(|| outcome.clone()));
            }
            outcomes.into_iter().try_for_each(&mut visit)?;
        }
    }
}
