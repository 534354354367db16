//! Mail of files into a mailbox: an export of ours, a Maildir, or an mbox. Flags and dates are kept; what the folder has already is not put
//! there again, so that it may be asked twice, and goes on where it was cut off.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use protocol::imap::exchange::{Flags, SystemFlag};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};
use time::OffsetDateTime;

use super::export::{internal_date, parse_flags};
use crate::archive::inventory::{self, Files, InventoryError};
use crate::archive::{maildir, mbox, with_crlf};
use crate::directory::{DirectoryError, still_open};
use crate::gateway::Gateway;
use crate::mailbox::{Delivery, MailError};
use crate::record::event::{self, Event};
use crate::record::{RecordError, body};

/// Messages, and octets, of one commit.
const AT_ONCE: usize = 100;
const BYTES_AT_ONCE: usize = 16 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub mailbox: String,
    pub from: PathBuf,
    /// All of it into this folder, or below it where it has folders.
    pub folder: Option<String>,
    /// By whose word.
    pub request: String,
}

/// How far it is, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    pub new: u64,
    /// There already.
    pub known: u64,
    /// Larger than a message may be.
    pub too_large: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path} cannot be read: {reason}; give an export, a Maildir or an mbox", path = path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the mailbox is full after {new} new messages, which stay; make room and ask again: it goes on there")]
    Full { new: u64 },
    #[error("it was stopped after {new} new messages, which stay; ask again and it goes on there")]
    Stopped { new: u64 },
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        let (exit, code) = match error {
            LoadError::Directory(error) => return error.into(),
            LoadError::Inventory(error) => return error.into(),
            LoadError::Unreadable { .. } => (Exit::Usage, "mail-files"),
            LoadError::Full { .. } => (Exit::Refused, "mailbox-full"),
            LoadError::Stopped { .. } => (Exit::Unavailable, "stopped"),
            LoadError::Mail(MailError::Record(_)) | LoadError::Record(_) => (Exit::Damaged, "store-damaged"),
            LoadError::Mail(_) => (Exit::Unavailable, "mail"),
            LoadError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> LoadError {
    LoadError::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}

/// 1 the mailbox is open · 2 what is there is read message by message, by its form · 3 what its folder lacks is delivered, some at a time,
/// each with its leaf of the log · 4 told of as a whole.
pub fn load(gateway: &Gateway, order: &Order, on: &mut dyn FnMut(Loaded) -> bool) -> Result<Loaded, LoadError> {
    // 1
    let account = gateway.directory.find(&order.mailbox)?.ok_or(DirectoryError::NotFound)?;
    if !account.is_open() {
        return Err(DirectoryError::Closed { mailbox: account.number }.into());
    }
    let mut taking = Taking { gateway, mailbox: account.mailbox(), number: account.number, below: order.folder.as_deref(), known: HashMap::new(), waiting: Vec::new(), bytes: 0, loaded: Loaded::default(), on };
    // 2, 3
    let from = order.from.as_path();
    let found = std::fs::metadata(from).map_err(|error| unreadable(from, &error))?;
    if found.is_dir() && from.join(inventory::FILE).is_file() {
        export(from, &mut taking)?;
    } else if found.is_dir() {
        maildirs(from, &mut taking)?;
    } else {
        mbox_file(from, &mut taking)?;
    }
    taking.flush()?;
    // 4
    let (loaded, mailbox) = (taking.loaded, account.mailbox());
    if loaded.new > 0 {
        let mut batch = Batch::new();
        let request = crate::hex(&body::digest(order.request.as_bytes()));
        Event::MailboxLoaded(event::Load { mailbox, messages: loaded.new, known: loaded.known, request }).append(&mut batch, gateway.now_unix_millis())?;
        gateway.store.commit(batch)?;
    }
    Ok(loaded)
}

fn export(from: &Path, taking: &mut Taking<'_>) -> Result<(), LoadError> {
    let (head, entries) = inventory::lines(from)?;
    let files = Files::of(from, &head)?;
    for entry in entries {
        let message = files.message(&entry)?;
        taking.take(&entry.folder, message, parse_flags(&entry.flags), Some(internal_date(&entry)))?;
    }
    Ok(())
}

fn maildirs(from: &Path, taking: &mut Taking<'_>) -> Result<(), LoadError> {
    let folders = maildir::folders(from).map_err(|error| unreadable(from, &error))?;
    if folders.is_empty() {
        return Err(unreadable(from, &"no directory in it has cur and new"));
    }
    for (name, folder) in folders {
        for path in maildir::files(&folder).map_err(|error| unreadable(&folder, &error))? {
            let failed = |error: std::io::Error| unreadable(&path, &error);
            let file = File::open(&path).map_err(failed)?;
            let modified = file.metadata().and_then(|found| found.modified()).ok().map(OffsetDateTime::from);
            let mut message = Vec::new();
            file.take(mbox::MAX_MESSAGE as u64 + 1).read_to_end(&mut message).map_err(failed)?;
            let own = path.file_name().map(|own| own.to_string_lossy().into_owned()).unwrap_or_default();
            taking.take(&name, with_crlf(&message).into_owned(), maildir::parse(&own).1, modified)?;
        }
    }
    Ok(())
}

fn mbox_file(from: &Path, taking: &mut Taking<'_>) -> Result<(), LoadError> {
    let failed = |error: std::io::Error| unreadable(from, &error);
    let opened = BufReader::new(File::open(from).map_err(failed)?);
    let mut reader = mbox::Reader::new(opened).map_err(failed)?.ok_or_else(|| unreadable(from, &"its first line does not begin with `From `"))?;
    while let Some(entry) = reader.next_entry().map_err(failed)? {
        let Some(message) = entry.message else {
            taking.loaded.too_large += 1;
            continue;
        };
        let flags = status(&message);
        taking.take("INBOX", with_crlf(&message).into_owned(), flags, entry.date)?;
    }
    Ok(())
}

/// What mail programs that keep mail in an mbox write of it: `Status: RO` and `X-Status: AF`.
fn status(message: &[u8]) -> Flags {
    const LETTERS: [(u8, SystemFlag); 5] = [(b'R', SystemFlag::Seen), (b'A', SystemFlag::Answered), (b'F', SystemFlag::Flagged), (b'T', SystemFlag::Draft), (b'D', SystemFlag::Deleted)];
    let header = message.split(|byte| *byte == b'\n').take_while(|line| !matches!(line, [] | [b'\r']));
    let mut flags = Flags::new();
    for line in header {
        let Some(value) = [b"Status:".as_slice(), b"X-Status:"].iter().find_map(|name| line.get(..name.len()).filter(|found| found.eq_ignore_ascii_case(name)).and(line.get(name.len()..))) else { continue };
        for (letter, flag) in LETTERS {
            if value.contains(&letter) {
                flags.set(flag);
            }
        }
    }
    flags
}

struct Taking<'a> {
    gateway: &'a Gateway,
    mailbox: String,
    number: policies::mailbox::MailboxNumber,
    below: Option<&'a str>,
    /// Digests of what each folder has.
    known: HashMap<String, HashSet<[u8; 32]>>,
    waiting: Vec<Delivery>,
    bytes: usize,
    loaded: Loaded,
    on: &'a mut dyn FnMut(Loaded) -> bool,
}

impl Taking<'_> {
    fn take(&mut self, folder: &str, bytes: Vec<u8>, flags: Flags, date: Option<OffsetDateTime>) -> Result<(), LoadError> {
        let folder = match self.below {
            Some(below) if folder == "INBOX" => below.to_owned(),
            Some(below) => format!("{below}/{folder}"),
            None => folder.to_owned(),
        };
        if bytes.len() > body::MAX_BYTES {
            self.loaded.too_large += 1;
            return Ok(());
        }
        if !self.known.contains_key(&folder) {
            let known = self.folder(&folder)?;
            self.known.insert(folder.clone(), known);
        }
        // As it would stand here: without a mark that is not ours.
        let size = bytes.len();
        let body = self.gateway.messages.body(&bytes)?;
        if !self.known.get_mut(&folder).is_some_and(|known| known.insert(*body.digest())) {
            self.loaded.known += 1;
            return Ok(());
        }
        let now = i64::try_from(self.gateway.now_unix_millis()).unwrap_or(i64::MAX);
        let unix_millis = date.and_then(|date| i64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok()).unwrap_or(now);
        let content = std::sync::Arc::new(body).into();
        self.waiting.push(Delivery { mailbox: self.mailbox.clone(), folder, content, unix_millis, flags, event: None, mark: None });
        self.bytes += size;
        if self.waiting.len() >= AT_ONCE || self.bytes >= BYTES_AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn folder(&self, folder: &str) -> Result<HashSet<[u8; 32]>, LoadError> {
        match self.gateway.messages.create_folder(&self.mailbox, folder) {
            Ok(()) | Err(MailError::FolderExists) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.gateway.messages.digests(&self.mailbox, folder)?)
    }

    fn flush(&mut self) -> Result<(), LoadError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // A mailbox closed meanwhile takes nothing.
        let open = Batch::new().expect(still_open(self.number));
        match self.gateway.messages.deliver_with(&self.waiting, open, self.gateway.now_unix_millis()) {
            Ok(_) => {}
            Err(MailError::OverQuota { .. }) => return Err(LoadError::Full { new: self.loaded.new }),
            Err(MailError::Conflict { .. }) => return Err(DirectoryError::Closed { mailbox: self.number }.into()),
            Err(error) => return Err(error.into()),
        }
        self.loaded.new += self.waiting.len() as u64;
        self.waiting.clear();
        self.bytes = 0;
        if (self.on)(self.loaded) { Ok(()) } else { Err(LoadError::Stopped { new: self.loaded.new }) }
    }
}
