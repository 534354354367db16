//! The final report of a push that has ended, signed: said the same for ever, whenever it is asked for. Once kept-back rows were
//! mended there is another edition, which names the batches that mended them.
//!
//! | # | Step | Why here |
//! |---|---|---|
//! | 1 | the batch has ended | a report of what still changes is none |
//! | 2 | one that was signed before is given again | there is one report |
//! | 3 | all evidence of the push is signed | the report names its roots |
//! | 4 | what is said is durable, its digest in the log | nothing is signed that the log does not hold |
//! | 5 | signed by the evidence key, trusted at this moment | |
//! | 6 | the signature is recorded, with a leaf of the log | only then it is given |

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::mending::mendings;
use super::{PushError, report};
use crate::erds::{EvidenceRoot, FORM, FinalReport, Kept, SignedReport, Statement, VERSION};
use crate::flow::evidence::{self, Ready};
use crate::flow::whole_file::WholeFile;
use crate::gateway::{Gateway, unix_millis};
use crate::record::event::{self, Event};
use crate::record::push::{PushBatch, ReportRecord, batch_key};
use crate::record::{RecordError, body};

/// Places of evidence looked up at a time.
const PAGE: usize = 256;
/// Commits that lose a race are looked at anew, this many times.
const ATTEMPTS: usize = 8;

/// Of which push, and where its report goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportWanted {
    pub bureau: String,
    pub batch: String,
    pub file: std::path::PathBuf,
}

/// As [`signed`], into a new file.
pub fn write_signed(gateway: &Gateway, lists: &RevocationLists, bureau: &str, batch: &str, file: &Path) -> Result<(), PushError> {
    let failed = |error: std::io::Error| PushError::Report { path: file.to_owned(), reason: error.to_string() };
    let shown = signed(gateway, lists, bureau, batch)?;
    let mut whole = WholeFile::create(file).map_err(failed)?;
    serde_json::to_writer(&mut whole.writer, &shown).map_err(|error| failed(error.into()))?;
    whole.writer.write_all(b"\n").map_err(failed)?;
    whole.finish().map_err(failed)
}

/// The signed report of a push.
pub fn signed(gateway: &Gateway, lists: &RevocationLists, bureau: &str, batch: &str) -> Result<SignedReport, PushError> {
    let store = &*gateway.store;
    // 1
    let found = match store.get(&batch_key(bureau, batch))? {
        Some(found) => found,
        None => return Err(not_begun(gateway, bureau, batch)?),
    };
    let record = PushBatch::decode(&found)?;
    let ended = record.ended_unix_millis.ok_or_else(|| PushError::NotEnded { batch: batch.to_owned() })?;
    if record.removed_unix_millis.is_some() {
        return Err(PushError::Removed { batch: batch.to_owned() });
    }
    if record.file.is_empty() {
        return Err(PushError::BeforeReports { batch: batch.to_owned() });
    }
    let mendings = mendings(gateway, bureau, batch)?.0;
    if mendings.open.is_some() {
        return Err(PushError::BeingMended { batch: batch.to_owned() });
    }
    let edition = mendings.ended.len() as u64 + 1;
    let key = ReportRecord::key(bureau, batch, edition);
    for _ in 0..ATTEMPTS {
        // 2
        let kept = store.get(&key)?.map(|bytes| Ok::<_, RecordError>((ReportRecord::decode(&bytes)?, bytes))).transpose()?;
        let (mut kept, before) = match kept {
            Some((ReportRecord { report, signature: Some(signature), lists }, _)) => return shown(gateway, report, signature, &lists),
            Some(kept) => kept,
            None => {
                // 3
                evidence::seal(gateway, lists)?;
                // 4
                let report = said(gateway, bureau, batch, &record, ended, &mendings.ended)?.write()?;
                let kept = ReportRecord { report, signature: None, lists: Vec::new() };
                let mut write = Batch::new().expect(Expectation::Absent(key.clone())).put(key.clone(), kept.encode()?);
                Event::ReportIntended(told(bureau, batch, &kept.report, None)).append(&mut write, gateway.now_unix_millis())?;
                match store.commit(write) {
                    Err(CommitError::Conflict { .. }) => continue,
                    done => drop(done?),
                }
                let bytes = kept.encode()?;
                (kept, bytes)
            }
        };
        // 5
        let now = gateway.clock.now();
        let ready = Ready::new(gateway, lists, now)?;
        let signature = ready.sign(&kept.report)?;
        // 6
        let event = told(bureau, batch, &kept.report, Some(crate::hex(&body::digest(&signature))));
        (kept.signature, kept.lists) = (Some(STANDARD.encode(signature)), ready.list_names());
        let mut write = ready.put_lists(Batch::new().expect(Expectation::Equals(key.clone(), before)).put(key.clone(), kept.encode()?));
        Event::ReportSigned(event).append(&mut write, unix_millis(now))?;
        match store.commit(write) {
            // Somebody else signed it at the same moment: theirs is given, ours thrown away.
            Err(CommitError::Conflict { .. }) => {}
            done => drop(done?),
        }
    }
    Err(PushError::Stopped)
}

/// Why a batch of which nothing was delivered has no report.
fn not_begun(gateway: &Gateway, bureau: &str, batch: &str) -> Result<PushError, PushError> {
    let named = || batch.to_owned();
    Ok(match report::job(gateway, bureau, batch)?.map(|job| job.state) {
        None => PushError::UnknownBatch { batch: named() },
        Some(state) if state.is_final() => PushError::NothingDelivered { batch: named(), state: state.word() },
        Some(_) => PushError::NotEnded { batch: named() },
    })
}

fn told(bureau: &str, batch: &str, report: &str, signature: Option<String>) -> event::PushReport {
    event::PushReport { bureau: bureau.to_owned(), batch: batch.to_owned(), report: super::sha256(report.as_bytes()), signature }
}

fn said(gateway: &Gateway, bureau: &str, batch: &str, record: &PushBatch, ended: u64, mended_by: &[String]) -> Result<FinalReport, PushError> {
    let tally = report::tally(gateway, bureau, batch)?;
    let settings = &gateway.settings;
    let reasons = tally.reasons.into_iter().map(|((state, reason), rows)| Kept { state, reason, rows }).collect();
    Ok(FinalReport {
        version: VERSION,
        form: FORM.to_owned(),
        issuer: settings.host.clone(),
        log: settings.log_origin.clone(),
        sender: bureau.to_owned(),
        batch: batch.to_owned(),
        kind: record.kind.clone(),
        period: record.period.clone(),
        begun: exactly(record.begun_unix_millis),
        ended: exactly(ended),
        manifest: record.manifest.clone(),
        file: record.file.clone(),
        rows: record.rows,
        delivered: tally.counts.delivered,
        duplicate: tally.counts.duplicate,
        quarantined: tally.counts.quarantined,
        undeliverable: tally.counts.undeliverable,
        reasons,
        outcomes: tally.digest,
        evidence: std::iter::once(batch).chain(mended_by.iter().map(String::as_str)).map(|batch| roots(gateway, bureau, batch)).collect::<Result<Vec<_>, _>>()?.concat(),
        mends: record.mends.clone(),
        mended_by: mended_by.to_vec(),
    })
}

fn exactly(unix_millis: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The batches of evidence of a push, each as its own signature says.
fn roots(gateway: &Gateway, bureau: &str, batch: &str) -> Result<Vec<EvidenceRoot>, PushError> {
    use crate::record::evidence::{Seal, of_push};
    let missing = || RecordError::Damaged { kind: "evidence batch", reason: "its signature is not there" };
    let (mut roots, mut from) = (Vec::new(), None);
    loop {
        let page = of_push(&*gateway.store, bureau, batch, from.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(roots) };
        from = Some(last.clone());
        for (_, number) in page {
            let seal = Seal::of(&*gateway.store, number)?.ok_or_else(missing)?;
            let statement = Statement::read(&seal.statement).ok_or_else(missing)?;
            roots.push(EvidenceRoot { batch: number, items: statement.items, root: statement.root });
        }
    }
}

fn shown(gateway: &Gateway, report: String, signature: String, lists: &[String]) -> Result<SignedReport, PushError> {
    let missing = || RecordError::Damaged { kind: "push report", reason: "a revocation list is not there" };
    let list = |name: &String| crate::record::evidence::list(&*gateway.store, name)?.ok_or_else(|| PushError::from(missing()));
    let revocation_lists = lists.iter().map(list).collect::<Result<_, _>>()?;
    Ok(SignedReport { report, signature, revocation_lists })
}

/// By state and reason, and the digest of all outcomes.
pub(super) struct Tally {
    pub counts: report::Counts,
    pub reasons: BTreeMap<(String, String), u64>,
    pub digest: String,
}
