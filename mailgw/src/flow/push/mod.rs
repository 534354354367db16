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

mod block;
mod correction;
mod evidence;
mod file;
mod final_report;
pub mod held;
pub mod job;
mod json_lines;
mod letter;
mod mending;
mod report;
mod trial;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use pki::asn1::DerError;
use policies::sender::{LetterHeader, LetterHeaderError, LetterKind};
use policies::statement::{Header, HeaderError, Money, Purpose, Totals, TotalsError};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, StoreError};
use time::OffsetDateTime;

use crate::bureau::manifest::{self, ManifestError, SignedManifest};
use runtime::revocation::{RevocationError, RevocationLists};
use crate::bureau::trust::{TrustError, crl_urls};
use crate::bureau::{self, BureauError};
use crate::directory::DirectoryError;
use crate::flow::enrolment::EnrolmentError;
use crate::flow::evidence::EvidenceError;
use crate::flow::encryption::Envelopes;
use crate::flow::whole_file;
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::MailError;
use crate::record::bureau::{Bureau, Chain};
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;
use crate::record::push::{Item, PushBatch, batch_key, item_key};
use crate::record::{RecordError, body};
use crate::sealer::Seal;

use block::{Judge, Work};
use mending::Mending;
pub use file::FileError;
use file::{RawRow, Reading, Source, block_digest};
pub use final_report::{ReportWanted, signed, write_signed};
pub use trial::{Trial, dry_run};
pub use report::{Counts, Report, write_outcomes};

/// The most bytes of a manifest's signature, in PEM.
const MAX_SIGNATURE: usize = 128 * 1024;

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

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    #[error("the registered certificate of the bureau cannot be read: {0}; register the bureau again")]
    Certificate(#[from] DerError),
    #[error("{bureau} may not send messages of kind {kind}; have the kind added with `mailgw bureau set --kind {kind}`, and its policy name the bureau")]
    Kind { bureau: String, kind: String },
    #[error("nothing was delivered, the file does not fit its kind: {0}")]
    LetterHeader(#[from] LetterHeaderError),
    #[error("batch {batch} was pushed before with another manifest; give a corrected file a new batch_id")]
    OtherManifest { batch: String },
    #[error("the signature has more than {MAX_SIGNATURE} bytes; send the detached signature without CRLs")]
    Signature,
    #[error("rows of batch {batch} cannot be mended by this one: {reason}")]
    NotMendable { batch: String, reason: &'static str },
    #[error("rows of batch {batch} are being mended; ask for its report when that has ended")]
    BeingMended { batch: String },
    #[error("nothing was delivered, a file of withdrawals has one column, stmt_id; write a statement's number in each row")]
    Withdrawals,
    #[error("nothing was delivered, the file does not fit its kind: {0}")]
    Header(#[from] HeaderError),
    #[error("nothing was delivered, the file is not the one the manifest speaks of: {0}")]
    Totals(#[from] TotalsError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the report cannot go to {path}: {reason}; name another file: nothing was pushed", path = path.display())]
    ReportPlace { path: PathBuf, reason: String },
    #[error("the report cannot be written to {path}: {reason}; the push itself has ended: ask for the report again", path = path.display())]
    Report { path: PathBuf, reason: String },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the sealer seals for {bureau} with another certificate than the registered one; give both the same with `mailgw bureau set` and `mailgw sealer bureau`")]
    OtherSeal { bureau: String },
    /// The sealer's own words.
    #[error("{}", .0.message)]
    Sealer(Problem),
    #[error("{rows} rows are more than a bureau may have tried at once, which is {limit}; try a part of them, or ask the gateway's operator for `mailgw push --dry-run`")]
    TrialTooLong { rows: u64, limit: u32 },
    #[error("{batch} is no batch that was begun; look at the name in its manifest")]
    UnknownBatch { batch: String },
    #[error("{statement} is no statement that this bureau delivered; look at the number in its report")]
    UnknownStatement { statement: String },
    #[error("batch {batch} was pushed before final reports were made; its evidence tells of each row")]
    BeforeReports { batch: String },
    #[error("batch {batch} was delivered, and what was remembered of it has ended with its days; nothing is delivered twice")]
    Removed { batch: String },
    #[error("the mail signature of a statement was not made: {0}; look at `mailgw dkim show`, and push again")]
    Dkim(#[from] keys::DkimFailure),
    #[error("batch {batch} has not ended; ask for its report when every row has its outcome")]
    NotEnded { batch: String },
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error("the push was stopped because the service is ending; push again to go on")]
    Stopped,
}

impl From<ReadError> for PushError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<StoreError> for PushError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Self {
        let (exit, code) = match error {
            PushError::Manifest(error) => return error.into(),
            PushError::Bureau(error) => return error.into(),
            PushError::Trust(error) => return error.into(),
            PushError::Revocation(error) => return error.into(),
            PushError::Sealer(problem) => return problem,
            PushError::Evidence(error) => return error.into(),
            PushError::Enrolment(error) => return error.into(),
            PushError::TrialTooLong { .. } => (Exit::Refused, "dry-run-too-long"),
            PushError::Dkim(_) => (Exit::Unavailable, "dkim"),
            PushError::Removed { .. } => (Exit::NotFound, "removed"),
            PushError::BeforeReports { .. } => (Exit::NotFound, "no-report"),
            PushError::UnknownStatement { .. } => (Exit::NotFound, "unknown-statement"),
            PushError::UnknownBatch { .. } => (Exit::NotFound, "unknown-batch"),
            PushError::NotEnded { .. } => (Exit::Conflict, "not-ended"),
            PushError::Certificate(_) => (Exit::Damaged, "bureau-certificate"),
            PushError::Kind { .. } => (Exit::Refused, "kind-not-allowed"),
            PushError::OtherManifest { .. } => (Exit::Conflict, "other-manifest"),
            PushError::NotMendable { .. } => (Exit::Refused, "not-mendable"),
            PushError::BeingMended { .. } => (Exit::Conflict, "being-mended"),
            PushError::Withdrawals => (Exit::Refused, "header"),
            PushError::Signature => (Exit::Usage, "manifest-signature"),
            PushError::LetterHeader(_) => (Exit::Refused, "header"),
            PushError::Header(_) => (Exit::Refused, "header"),
            PushError::Totals(_) => (Exit::Refused, "manifest-disagrees"),
            PushError::File(FileError::Unreadable { .. }) => (Exit::Usage, "file"),
            PushError::File(FileError::Changed) => (Exit::Conflict, "file-changed"),
            PushError::File(_) => (Exit::Refused, "file"),
            PushError::ReportPlace { .. } => (Exit::Usage, "report"),
            PushError::Report { .. } => (Exit::Unavailable, "report"),
            PushError::Directory(error) => return error.into(),
            PushError::Mail(MailError::Record(_)) | PushError::Record(_) => (Exit::Damaged, "store-damaged"),
            PushError::Mail(_) => (Exit::Unavailable, "delivery"),
            PushError::Commit(ref error) => crate::problem::store_class(error),
            PushError::OtherSeal { .. } => (Exit::Conflict, "other-seal"),
            PushError::Stopped => (Exit::Unavailable, "stopped"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// A file that was found to agree with its manifest: the digest of every block, for the second reading.
struct Proved {
    columns: Columns,
    blocks: Vec<[u8; 32]>,
}

/// What the rows of a file are.
enum Columns {
    Rows(Header),
    /// Of a kind that a policy defines.
    Letters(LetterKind, LetterHeader),
    /// Numbers of statements that are withdrawn.
    Statements,
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

/// What a bureau says of its rows: the manifest's JSON, and the detached CMS signature over it.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub manifest: &'a str,
    pub signature: &'a str,
}

/// A manifest that its bureau signed and may send.
struct Announced {
    code: String,
    record: Bureau,
    /// The addresses of the lists that cover the bureau's certificates.
    urls: Vec<String>,
    signed: SignedManifest,
}

/// Steps 1 and 2.
fn announced(gateway: &Gateway, lists: &RevocationLists, words: Words<'_>, now: OffsetDateTime) -> Result<Announced, PushError> {
    // 1
    if words.signature.len() > MAX_SIGNATURE {
        return Err(PushError::Signature);
    }
    let claimed = manifest::parse(words.manifest.as_bytes())?;
    let code = claimed.sender().as_str().to_owned();
    let record = bureau::find(&*gateway.store, &code)?;
    let urls = crls(&record)?;
    let crls = lists.fetch(&urls, now)?;
    let signed = manifest::verify(claimed, words.manifest.as_bytes(), words.signature.as_bytes(), &record.clients, &gateway.anchors, &crls, now)?;
    // 2
    let kind = signed.manifest().kind();
    let defined = signed.manifest().statement().is_some() || gateway.letters.get(kind).is_some_and(|letters| letters.may_be_sent_by(&code));
    if !defined || !record.kinds.iter().any(|allowed| allowed == kind) {
        return Err(PushError::Kind { bureau: code, kind: kind.to_owned() });
    }
    Ok(Announced { code, record, urls, signed })
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
        judge: Judge { gateway, bureau: &code, sender: bureau::sender(&code, &record)?, manifest: &signed, parameters: &gateway.statements, begun, mending },
        sealer,
        job: &job,
        envelopes: Envelopes::new(gateway, lists),
        open_job: &open_job,
        seal: record.seal.as_ref().map(Chain::leaf).unwrap_or_default(),
    };
    let delivered = deliver(&work, &proved, rows, batch.rows, progress)?;
    // 8
    let batch = end(gateway, &code, &signed, work.judge.mending.as_ref(), &batch)?;
    tracing::info!(bureau = code, batch = signed.manifest().batch_id().as_str(), rows = batch.rows, delivered, "pushed");
    report::of(gateway, &code, &signed, &batch, report)
}

/// The file's second reading. While one block is committed the next is decided, rendered and sealed.
fn deliver(work: &Work<'_>, proved: &Proved, source: &Source, rows: u64, progress: &mut dyn FnMut(Progress) -> bool) -> Result<u64, PushError> {
    let mut reading = Reading::open(source)?;
    let mut so_far = Progress { rows, done: 0, counts: Counts::default() };
    std::thread::scope(|scope| {
        // Nothing waits in between: while a block is prepared, only the one before it is on its way.
        let (ahead, ready) = sync_channel(0);
        scope.spawn(move || {
            let mut on_their_way = HashSet::new();
            for (number, expected) in (0_u64..).zip(&proved.blocks) {
                let block = next(&mut reading, expected).and_then(|rows| Ok((work.prepare(number, &proved.columns, &rows, &mut on_their_way)?, rows)));
                let failed = block.is_err();
                // Whoever commits has stopped, or will at this error.
                if ahead.send((number, block)).is_err() || failed {
                    return;
                }
            }
        });
        for (number, block) in ready {
            let (prepared, rows) = block?;
            let outcomes = work.commit(number, &proved.columns, &rows, prepared)?;
            so_far.done += outcomes.len() as u64;
            outcomes.iter().for_each(|outcome| so_far.counts.add(&outcome.state));
            if !progress(so_far) {
                return Err(PushError::Stopped);
            }
        }
        // A thread that ended without a word has left blocks undone.
        if so_far.done == rows { Ok(so_far.counts.delivered) } else { Err(PushError::Stopped) }
    })
}

fn next(reading: &mut Reading, expected: &[u8; 32]) -> Result<Vec<RawRow>, PushError> {
    let rows = reading.block()?;
    if block_digest(&rows) == *expected { Ok(rows) } else { Err(FileError::Changed.into()) }
}

/// The addresses of all lists that cover the bureau's certificates.
fn crls(record: &Bureau) -> Result<Vec<String>, DerError> {
    let mut urls = Vec::new();
    for chain in record.clients.iter().chain(&record.seal) {
        for url in crl_urls(chain)? {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
    Ok(urls)
}

fn known(gateway: &Gateway, bureau: &str, signed: &SignedManifest) -> Result<Option<PushBatch>, PushError> {
    let id = signed.manifest().batch_id().as_str();
    let Some(found) = gateway.store.get(&batch_key(bureau, id))? else { return Ok(None) };
    let batch = PushBatch::decode(&found)?;
    if batch.manifest == crate::hex(signed.digest()) { Ok(Some(batch)) } else { Err(PushError::OtherManifest { batch: id.to_owned() }) }
}

/// The file's first reading: columns, rows, sums and digest are those that were signed.
fn prove(gateway: &Gateway, source: &Source, signed: &SignedManifest, progress: &mut dyn FnMut(Progress) -> bool) -> Result<Proved, PushError> {
    let manifest = signed.manifest();
    let mut reading = Reading::open(source)?;
    let names: Vec<&str> = reading.header().iter().map(String::as_str).collect();
    let correcting = matches!(manifest.purpose(), Purpose::Supersede(_));
    let letters = || gateway.letters.get(manifest.kind()).ok_or_else(|| PushError::Kind { bureau: manifest.sender().as_str().to_owned(), kind: manifest.kind().to_owned() });
    let columns = match (manifest.purpose(), manifest.statement()) {
        (Purpose::Withdraw(_), _) if names == ["stmt_id"] => Columns::Statements,
        (Purpose::Withdraw(_), _) => return Err(PushError::Withdrawals),
        (_, Some(kind)) if correcting => Columns::Rows(Header::correcting(kind, &names)?),
        (_, Some(kind)) => Columns::Rows(Header::parse(kind, &names)?),
        (_, None) => Columns::Letters(letters()?.clone(), LetterHeader::parse(letters()?, &names, correcting)?),
    };
    let (mut totals, mut blocks) = (manifest.statement().map_or_else(|| Totals::of(manifest.kind()), Totals::new), Vec::new());
    loop {
        let rows = reading.block()?;
        if rows.is_empty() {
            break;
        }
        if !progress(Progress { rows: manifest.rows(), done: 0, counts: Counts::default() }) {
            return Err(PushError::Stopped);
        }
        blocks.push(block_digest(&rows));
        for row in &rows {
            let fields: Vec<&str> = row.fields.iter().collect();
            match &columns {
                // An amount that cannot be read adds nothing: the sums will not agree, and the row says why when it is judged.
                Columns::Rows(header) => match header.record(&fields) {
                    Ok(record) => drop(totals.add(&record)),
                    Err(_) => totals.count(),
                },
                Columns::Letters(kind, header) => totals.add_close(header.record(&fields).ok().and_then(|record| record.total(kind)).unwrap_or(Money::ZERO)),
                // It has no amounts: its manifest states sums of 0.00.
                Columns::Statements => totals.count(),
            }
        }
    }
    let (_, digest) = reading.ended();
    totals.agrees_with(manifest)?;
    manifest.agrees_with_digest(&digest)?;
    Ok(Proved { columns, blocks })
}

fn begin(gateway: &Gateway, bureau: &str, signed: &SignedManifest, mending: Option<&Mending>, now: OffsetDateTime) -> Result<PushBatch, PushError> {
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

fn end(gateway: &Gateway, bureau: &str, signed: &SignedManifest, mending: Option<&Mending>, batch: &PushBatch) -> Result<PushBatch, PushError> {
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

fn instant(unix_millis: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A statement as this gateway remembers it: where it went, and whether it holds still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownStatement {
    pub bureau: String,
    pub statement: String,
    /// `holds`, `superseded` or `withdrawn`.
    pub state: String,
    #[serde(flatten)]
    pub item: Item,
}

/// A statement by its bureau's own number.
pub fn statement(gateway: &Gateway, bureau: &str, statement: &str) -> Result<ShownStatement, PushError> {
    let unknown = || PushError::UnknownStatement { statement: statement.chars().take(80).collect() };
    let item = Item::decode(&gateway.store.get(&item_key(bureau, statement))?.ok_or_else(unknown)?)?;
    let state = match &item.ended {
        None => "holds",
        Some(ended) if ended.superseded_by.is_some() => "superseded",
        Some(_) => "withdrawn",
    };
    Ok(ShownStatement { bureau: bureau.to_owned(), statement: statement.to_owned(), state: state.to_owned(), item })
}

/// SHA-256 in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    crate::hex(&body::digest(bytes))
}
