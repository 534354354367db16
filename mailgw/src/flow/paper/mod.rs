//! A statement on paper, made when somebody asks: of what was sealed and delivered, and sealed by the same bureau.

mod asked;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use runtime::exit::{Exit, Problem};
use runtime::revocation::{RevocationError, RevocationLists};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, StoreError};
use time::OffsetDateTime;

use crate::bureau::{self, BureauError, trust};
use crate::directory::still_open;
use crate::flow::whole_file::WholeFile;
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError};
use crate::record::RecordError;
use crate::record::body;
use crate::record::bureau::Chain;
use crate::record::event::{self, Event};
use crate::record::push::{Item, decode_rows, item_key, rows_range};
use crate::sealer::{Page, Seal};
use crate::statement::{self, PaperError as Unmade};

pub(in crate::flow) use asked::named_by;
pub use asked::{ADDRESS, Request, answer_all};

const INBOX: &str = "INBOX";
/// Blocks of a batch that are read at a time.
const PAGE: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    #[error("{statement} is no statement that this bureau delivered; look at the number in its report")]
    Unknown { statement: String },
    #[error("the statement was {state}: a page of it would mislead; ask for the one that holds")]
    Ended { state: &'static str },
    #[error("the message is in its mailbox no more, and nothing else keeps what it said; the bureau can send it again")]
    Gone,
    #[error("the mailbox is closed or full; nothing is delivered to it")]
    Mailbox,
    #[error("the sealer's seal is not the bureau's registered one; give both the same with `mailgw bureau set` and `mailgw sealer bureau`")]
    OtherSeal,
    #[error("{path} cannot be written: {reason}; name another file", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Unmade(#[from] Unmade),
    /// The sealer's own words.
    #[error("{}", .0.message)]
    Sealer(Problem),
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for PaperError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<PaperError> for Problem {
    fn from(error: PaperError) -> Self {
        let (exit, code) = match error {
            PaperError::Sealer(problem) => return problem,
            PaperError::Bureau(error) => return error.into(),
            PaperError::Revocation(error) => return error.into(),
            PaperError::Unknown { .. } => (Exit::NotFound, "unknown-statement"),
            PaperError::Gone => (Exit::NotFound, "message-gone"),
            PaperError::Ended { .. } => (Exit::Refused, "statement-ended"),
            PaperError::Mailbox => (Exit::Refused, "mailbox"),
            PaperError::OtherSeal => (Exit::Conflict, "other-seal"),
            PaperError::File { .. } => (Exit::Unavailable, "file"),
            PaperError::Unmade(Unmade::Encrypted) => (Exit::Refused, "encrypted"),
            PaperError::Unmade(Unmade::NoStatement) => (Exit::Refused, "no-statement"),
            PaperError::Mail(MailError::Record(_)) | PaperError::Record(_) => (Exit::Damaged, "store-damaged"),
            PaperError::Mail(_) => (Exit::Unavailable, "mail"),
            PaperError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub bureau: String,
    pub statement: String,
    /// Where the PDF goes, and its detached seal, DER.
    pub file: Option<PathBuf>,
    pub seal: Option<PathBuf>,
    /// Into the mailbox, in a sealed message.
    pub deliver: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Made {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<PathBuf>,
    pub delivered: bool,
    /// SHA-256 of the PDF, hexadecimal.
    pub sha256: String,
}

/// The page and what seals it.
struct Sealed {
    item: Item,
    paper: Vec<u8>,
    seal: Vec<u8>,
    letter: Vec<u8>,
}

/// 1 made and sealed · 2 that it was is in the log, and where wanted in the mailbox, in one commit · 3 handed out.
pub fn make(gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, wanted: &Wanted) -> Result<Made, PaperError> {
    let now = gateway.clock.now();
    // 1
    let made = sealed(gateway, sealer, lists, &wanted.bureau, &wanted.statement, now)?;
    // 2
    record(gateway, &wanted.bureau, &wanted.statement, &made, Batch::new(), wanted.deliver)?;
    // 3
    for (path, bytes) in wanted.file.iter().map(|path| (path, &made.paper)).chain(wanted.seal.iter().map(|path| (path, &made.seal))) {
        let failed = |error: std::io::Error| PaperError::File { path: path.clone(), reason: error.to_string() };
        let mut file = WholeFile::create(path).map_err(failed)?;
        file.writer.write_all(bytes).map_err(failed)?;
        file.finish().map_err(failed)?;
    }
    Ok(Made { file: wanted.file.clone(), seal: wanted.seal.clone(), delivered: wanted.deliver, sha256: crate::hex(&body::digest(&made.paper)) })
}

/// 1 the statement was delivered and holds · 2 its message is in the mailbox still, and not encrypted · 3 the sealer makes the page of what
/// it once signed, and so do we · 4 the seals are the registered one's.
fn sealed(gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, bureau: &str, statement: &str, at: OffsetDateTime) -> Result<Sealed, PaperError> {
    // 1
    let unknown = || PaperError::Unknown { statement: statement.chars().take(80).collect() };
    let item = Item::decode(&gateway.store.get(&item_key(bureau, statement))?.ok_or_else(unknown)?)?;
    if let Some(ended) = &item.ended {
        return Err(PaperError::Ended { state: if ended.superseded_by.is_some() { "superseded" } else { "withdrawn" } });
    }
    // 2
    let digest = crate::erds::hash(&item.message).ok_or(RecordError::Damaged { kind: "push item", reason: "its message is no digest" })?;
    let message = gateway.messages.with_digest(&item.mailbox, &digest)?.ok_or(PaperError::Gone)?;
    let (entity, _) = statement::sealed_part(&message)?;
    // 3
    let row = row(gateway, bureau, statement, &item)?.ok_or_else(unknown)?;
    let record = bureau::find(&*gateway.store, bureau)?;
    let registered = record.seal.as_ref().map(Chain::leaf).ok_or(PaperError::OtherSeal)?;
    let urls = record.seal.as_ref().map(trust::crl_urls).transpose().map_err(|_| PaperError::OtherSeal)?.unwrap_or_default();
    let seals = sealer.page(&Page { bureau, batch: &item.batch, row, entity, at }, &lists.fetch(&urls, gateway.clock.now())?).map_err(PaperError::Sealer)?;
    let paper = statement::paper(entity)?;
    let letter = statement::paper_letter(entity, &paper, at)?;
    // 4
    for (content, seal) in [(paper.as_slice(), &seals.paper), (letter.bytes(), &seals.letter)] {
        let signed = pki::cms::verify(seal, content, &[registered]).map_err(|_| PaperError::OtherSeal)?;
        if signed.signer_certificate() != registered {
            return Err(PaperError::OtherSeal);
        }
    }
    let letter = statement::message(&letter, &seals.letter);
    Ok(Sealed { item, paper, seal: seals.paper, letter })
}

/// In one commit with what `write` holds.
fn record(gateway: &Gateway, bureau: &str, statement: &str, made: &Sealed, mut write: Batch, deliver: bool) -> Result<(), PaperError> {
    let now = gateway.clock.now();
    let said = event::Papered {
        mailbox: made.item.mailbox.clone(),
        bureau: bureau.to_owned(),
        item: crate::hex(&body::digest(item_key(bureau, statement).as_bytes())),
        paper: crate::hex(&body::digest(&made.paper)),
    };
    Event::StatementPapered(said).append(&mut write, unix_millis(now))?;
    let mut deliveries = Vec::new();
    if deliver {
        let number = MailboxNumber::parse(&made.item.mailbox).map_err(|_| RecordError::Damaged { kind: "push item", reason: "its mailbox is none" })?;
        write = write.expect(still_open(number));
        let body = Arc::new(gateway.messages.body(&made.letter)?);
        let unix_millis = i64::try_from(unix_millis(now)).unwrap_or(i64::MAX);
        deliveries.push(Delivery { mailbox: made.item.mailbox.clone(), folder: INBOX.to_owned(), content: body.into(), unix_millis, flags: Flags::new(), event: None, mark: None });
    }
    match gateway.messages.deliver_with(&deliveries, write, unix_millis(now)) {
        Ok(_) => Ok(()),
        Err(MailError::OverQuota { .. } | MailError::Conflict { .. }) => Err(PaperError::Mailbox),
        Err(error) => Err(error.into()),
    }
}

/// Which row of its batch it was; looked for where items did not say so yet.
fn row(gateway: &Gateway, bureau: &str, statement: &str, item: &Item) -> Result<Option<u64>, PaperError> {
    if item.number > 0 {
        return Ok(Some(item.number));
    }
    let (mut from, to) = rows_range(bureau, &item.batch);
    loop {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        from = last.successor();
        for (_, bytes) in &page {
            let found = decode_rows(bytes)?.into_iter().find(|outcome| outcome.stmt_id.as_deref() == Some(statement) && outcome.message.as_deref() == Some(&item.message));
            if let Some(outcome) = found {
                return Ok(Some(outcome.row));
            }
        }
    }
}
