//! A month's statements, from a bureau's signed manifest and file into mailboxes: each person's statement once, sealed,
//! with an outcome for every row.
//!
//! | # | Step | Why here |
//! |---|---|---|
//! | 1 | the manifest names its bureau, which signed it with a registered, trusted, unrevoked certificate | nothing is read for strangers |
//! | 2 | the bureau may send this kind | a seal speaks for one bureau's business |
//! | 3 | the batch is new, the same as before, or refused | a batch is answered once |
//! | 4 | the whole file agrees with the manifest | a wrong file changes nothing |
//! | 5 | the sealer opens its own job | it looks at the manifest for itself |
//! | 6 | the batch is recorded | after a crash we know what was begun, and when |
//! | 7 | block by block: decided, rendered, sealed, committed with its outcomes | one commit: message, item key, outcome, evidence, log |
//! | 8 | the batch is ended, with the digest of its report | the report can be proved |
//!
//! A manifest may also say that its rows are kept-back ones of another batch, mended, that they supersede statements that were
//! wrong, or withdraw them: `mending` and `correction`. They come the same way.
//!
//! A push that was interrupted is pushed again: blocks that have their outcomes are passed over, and rendering is the
//! same to the octet, so the sealer finds the contents it recorded.

mod announced;
mod batch;
mod block;
mod correction;
mod decided;
mod delivery;
mod error;
mod evidence;
mod file;
mod final_report;
mod halves;
pub mod held;
pub mod job;
mod json_lines;
mod judge;
mod letter;
mod mending;
mod outcome;
mod pipeline;
mod proof;
mod report;
mod seen;
mod shown;
mod trial;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};

use crate::bureau;
use crate::flow::encryption::Envelopes;
use crate::flow::whole_file;
use crate::gateway::Gateway;
use crate::record::body;
use crate::record::bureau::Chain;
use crate::sealer::Seal;

use announced::{Announced, Words, announced};
use batch::{begin, end, instant, known};
use block::Work;
use file::Source;
use judge::Judge;
use mending::Mending;
use pipeline::deliver;
use proof::prove;
pub use error::PushError;
pub use file::FileError;
pub use final_report::{ReportWanted, signed, write_signed};
pub use report::{Counts, Report, write_outcomes};
pub use shown::{ShownStatement, statement};
pub use trial::{Trial, dry_run};

/// What is pushed. Manifest and signature travel with the order, the rows stay in their file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// JSON, as signed.
    pub manifest: String,
    /// Detached CMS over the manifest's bytes, PEM.
    pub signature: String,
    pub rows: PathBuf,
    /// Where the outcome of every row goes, one JSON object a line.
    pub report: Option<PathBuf>,
}

/// How far a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub rows: u64,
    pub done: u64,
    pub counts: Counts,
}

/// Pushes, or goes on with a push that was interrupted, or answers one that has ended as it was answered then.
/// `progress` is told after each block, of the proof too; it says whether to go on.
pub fn push(
    gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, order: &Order, progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Report, PushError> {
    if let Some(path) = &order.report {
        whole_file::fits(path).map_err(|error| PushError::ReportPlace { path: path.clone(), reason: error.to_string() })?;
    }
    let words = Words { manifest: &order.manifest, signature: &order.signature };
    push_from(gateway, sealer, lists, words, &Source::File(order.rows.clone()), order.report.as_deref(), progress)
}

/// As `push`, wherever the rows are.
fn push_from(
    gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, words: Words<'_>, rows: &Source, report: Option<&Path>, progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Report, PushError> {
    let now = gateway.clock.now();
    // 1, 2
    let Announced { code, record, urls, signed } = announced(gateway, lists, words, now)?;
    // 3
    let before = known(gateway, &code, &signed)?;
    if before.as_ref().is_some_and(|batch| batch.removed_unix_millis.is_some()) {
        return Err(PushError::Removed { batch: signed.manifest().batch_id().as_str().to_owned() });
    }
    if let Some(batch) = before.as_ref().filter(|batch| batch.ended_unix_millis.is_some()) {
        return report::of(gateway, &code, &signed, batch, report);
    }
    let mending = Mending::of(gateway, &code, &signed)?;
    // 4
    let proved = prove(gateway, rows, &signed, progress)?;
    tracing::info!(bureau = code, batch = signed.manifest().batch_id().as_str(), rows = signed.manifest().rows(), "pushing");
    // 5
    // Each time with lists of that hour: a sealer that is started anew asks for the manifest again.
    let open_job = || {
        let crls = lists.fetch(&urls, gateway.clock.now())?;
        sealer.open(words.manifest.as_bytes(), words.signature.as_bytes(), &crls).map_err(PushError::Sealer)
    };
    let job = open_job()?;
    // 6
    let batch = match before {
        Some(batch) => batch,
        None => begin(gateway, &code, &signed, mending.as_ref(), now)?,
    };
    // 7
    let begun = instant(batch.begun_unix_millis);
    let work = Work {
        judge: Judge::new(gateway, &code, bureau::sender(&code, &record)?, &signed, begun, mending),
        sealer,
        job: &job,
        envelopes: Envelopes::new(gateway, lists),
        open_job: &open_job,
        seal: record.seal.as_ref().map(Chain::leaf).unwrap_or_default(),
        dictionary: OnceLock::new(),
    };
    let delivered = deliver(&work, &proved, rows, batch.rows, progress)?;
    // 8
    let batch = end(gateway, &code, &signed, work.judge.mending.as_ref(), &batch)?;
    tracing::info!(bureau = code, batch = signed.manifest().batch_id().as_str(), rows = batch.rows, delivered, "pushed");
    report::of(gateway, &code, &signed, &batch, report)
}

/// SHA-256 in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    crate::hex(&body::digest(bytes))
}
