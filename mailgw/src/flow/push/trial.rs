//! A dry run: what would become of a push's rows now, with nothing sealed, delivered or remembered but that it was tried.

use std::io::Write;
use std::path::Path;

use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::Batch;

use super::judge::Judge;
use super::file::{Reading, Source};
use super::mending::Mending;
use super::report::{Counts, line};
use super::seen::Seen;
use super::announced::{Announced, Words, announced};
use super::proof::{next, prove};
use super::{Order, Progress, PushError};
use crate::bureau;
use crate::flow::whole_file::{self, WholeFile};
use crate::gateway::Gateway;
use crate::record::event::{self, Event};
use crate::record::push::RowOutcome;

/// Rows that would not be delivered, shown with an operator's dry run.
const SHOWN: usize = 100;

/// What would become of the rows. The counts are the manifest's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub bureau: String,
    pub batch: String,
    pub rows: u64,
    pub counts: Counts,
    /// Rows that would not be delivered: the first, or all.
    pub not_delivered: Vec<RowOutcome>,
}

/// What is tried, and how much of it is told.
pub(super) struct Tried<'a> {
    pub words: Words<'a>,
    pub rows: &'a Source,
    pub shown: usize,
}

/// Judges an order's rows; `order.report` gets what would become of each.
pub fn dry_run(gateway: &Gateway, lists: &RevocationLists, order: &Order, progress: &mut dyn FnMut(Progress) -> bool) -> Result<Trial, PushError> {
    let place = |path: &Path, error: std::io::Error| PushError::ReportPlace { path: path.to_owned(), reason: error.to_string() };
    if let Some(path) = &order.report {
        whole_file::fits(path).map_err(|error| place(path, error))?;
    }
    let mut file = match &order.report {
        Some(path) => Some((WholeFile::create(path).map_err(|error| place(path, error))?, path)),
        None => None,
    };
    let tried = Tried { words: Words { manifest: &order.manifest, signature: &order.signature }, rows: &Source::File(order.rows.clone()), shown: SHOWN };
    let (trial, said) = judge(gateway, lists, &tried, progress, &mut |outcome| {
        let Some((file, path)) = &mut file else { return Ok(()) };
        file.writer.write_all(&line(outcome)?).map_err(|error| place(path, error))
    })?;
    // In the log before anything is told.
    let mut write = Batch::new();
    said.append(&mut write, gateway.now_unix_millis())?;
    gateway.store.commit(write)?;
    if let Some((file, path)) = file {
        file.finish().map_err(|error| place(path, error))?;
    }
    Ok(trial)
}

/// 1 the manifest is its bureau's, of a kind it may send · 2 the whole file agrees with it · 3 every row is judged as a push would judge
/// it now. With it comes what the log is to hold before anything is told.
pub(super) fn judge(
    gateway: &Gateway, lists: &RevocationLists, tried: &Tried<'_>, progress: &mut dyn FnMut(Progress) -> bool, visit: &mut dyn FnMut(&RowOutcome) -> Result<(), PushError>,
) -> Result<(Trial, Event), PushError> {
    let now = gateway.clock.now();
    // 1
    let Announced { code, record, signed, .. } = announced(gateway, lists, tried.words, now)?;
    let manifest = signed.manifest();
    super::known(gateway, &code, &signed)?;
    let mending = Mending::of(gateway, &code, &signed)?;
    // 2
    let proved = prove(gateway, tried.rows, &signed, progress)?;
    // 3
    let judge = Judge::new(gateway, &code, bureau::sender(&code, &record)?, &signed, now, mending);
    let (mut reading, mut seen) = (Reading::open(tried.rows)?, Seen::default());
    let mut trial = Trial { bureau: code.clone(), batch: manifest.batch_id().as_str().to_owned(), rows: manifest.rows(), counts: Counts::default(), not_delivered: Vec::new() };
    for expected in &proved.blocks {
        let rows = next(&mut reading, expected)?;
        for outcome in judge.foretell(&proved.columns, &rows, &mut seen)? {
            trial.counts.add(&outcome.state);
            visit(&outcome)?;
            if !outcome.is_delivered() && trial.not_delivered.len() < tried.shown {
                trial.not_delivered.push(outcome);
            }
        }
        if !progress(Progress { rows: trial.rows, done: trial.counts.all(), counts: trial.counts }) {
            return Err(PushError::Stopped);
        }
    }
    let event = event::PushTrial { bureau: code.clone(), batch: trial.batch.clone(), manifest: crate::hex(signed.digest()), rows: trial.rows, reachable: trial.counts.delivered };
    Ok((trial, Event::PushTried(event)))
}
