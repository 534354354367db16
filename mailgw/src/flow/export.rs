//! A mailbox as files, for its owner or for who may have it: mbox or Maildir, with a signed inventory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keys::DataKey;
use protocol::imap::exchange::{Flags, Keyword, MessageInfo, SystemFlag};
use ring::digest::{Context, SHA256};
use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};

use super::evidence::{EvidenceError, Ready};
use crate::archive::inventory::{Entry, FILE, Format, Head, KIND, LISTS, MAIL, SIGNATURE, moment};
use crate::archive::{lines_end_in_crlf, maildir, mbox, with_lf};
use crate::directory::DirectoryError;
use crate::gateway::Gateway;
use crate::mailbox::{Choice, MailError};
use crate::record::event::{self, Event};
use crate::record::message::Message;
use crate::record::{RecordError, body};
use crate::statement;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub mailbox: String,
    /// Made here; there must be none.
    pub directory: PathBuf,
    pub format: Format,
    /// What its owner deleted and is kept, too.
    pub deleted: bool,
    /// Statements and what else bureaus sent, and nothing more.
    #[serde(default)]
    pub statements: bool,
    /// Octet for octet as IMAP gives them, ends of lines included, which files have otherwise as files do.
    #[serde(default)]
    pub octets: bool,
    /// By whose word.
    pub request: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub directory: PathBuf,
    pub messages: u64,
    pub bytes: u64,
    /// SHA-256 of the inventory, hexadecimal.
    pub inventory: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{path} cannot be written: {reason}; name a directory that does not exist, on a disk with room", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("the export was stopped before its end and nothing of it is kept; ask again")]
    Stopped,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        let (exit, code) = match error {
            ExportError::Directory(error) => return error.into(),
            ExportError::Evidence(error) => return error.into(),
            ExportError::File { .. } => (Exit::Usage, "export-directory"),
            ExportError::Stopped => (Exit::Unavailable, "stopped"),
            ExportError::Mail(MailError::Record(_)) | ExportError::Record(_) => (Exit::Damaged, "store-damaged"),
            ExportError::Mail(_) => (Exit::Unavailable, "mail"),
            ExportError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// 1 the mailbox, open or closed, and a signer · 2 into a directory that nobody else may read, folder by folder, each message and its line ·
/// 3 the inventory's digest durable, with its leaf of the log · 4 signed, with the lists that prove the signer · 5 the directory takes its
/// name when all of it is on the disk. `on` hears how many of how many and says whether to go on.
pub fn export(gateway: &Gateway, lists: &RevocationLists, wanted: &Wanted, on: &mut dyn FnMut(u64, u64) -> bool) -> Result<Written, ExportError> {
    // 1
    let account = gateway.directory.find(&wanted.mailbox)?.ok_or(DirectoryError::NotFound)?;
    let ready = Ready::new(gateway, lists, gateway.clock.now())?;
    let mut name = wanted.directory.file_name().ok_or_else(|| failed(&wanted.directory, &"it has no name"))?.to_owned();
    if wanted.directory.symlink_metadata().is_ok() {
        return Err(failed(&wanted.directory, &"it exists already"));
    }
    name.push(".new");
    let temporary = Temporary(wanted.directory.with_file_name(name));
    let at = temporary.0.as_path();
    // What an interrupted one left.
    if at.symlink_metadata().is_ok() {
        std::fs::remove_dir_all(at).map_err(|error| failed(at, &error))?;
    }
    make(at)?;
    // 2
    let mailbox = account.mailbox();
    let count = gateway.messages.used(&mailbox)?.messages;
    let mut writing = Writing { mail: at.join(MAIL), wanted, key: &gateway.directory_key, entries: Vec::new(), bytes: 0 };
    make(&writing.mail)?;
    for folder in gateway.messages.list(&mailbox)?.into_iter().filter(|folder| folder.exists()) {
        let (view, _) = match gateway.messages.open(&mailbox, &folder.name) {
            Err(MailError::NoFolder) => continue,
            opened => opened?,
        };
        let mut box_file = writing.begin(&folder.name)?;
        for info in &view.messages {
            match gateway.messages.load(&view.folder, info.uid) {
                Ok(message) => writing.put(&folder.name, &mut box_file, info, &message, false)?,
                // Deleted meanwhile.
                Err(MailError::Gone) => {}
                Err(error) => return Err(error.into()),
            }
            if !on(writing.entries.len() as u64, count) {
                return Err(ExportError::Stopped);
            }
        }
        finish(box_file, &writing.mail)?;
    }
    if wanted.deleted {
        writing.deleted(gateway, &mailbox)?;
    }
    let digest = writing.inventory(at, &Head {
        kind: KIND.to_owned(),
        address: gateway.directory.address(account.number),
        origin: gateway.settings.log_origin.clone(),
        format: wanted.format,
        exported_at: gateway.now_unix_millis(),
        request: crate::hex(&body::digest(wanted.request.as_bytes())),
        messages: writing.entries.len() as u64,
    })?;
    // 3
    let written = Written { directory: wanted.directory.clone(), messages: writing.entries.len() as u64, bytes: writing.bytes, inventory: crate::hex(&digest) };
    let mut batch = Batch::new();
    let request = crate::hex(&body::digest(wanted.request.as_bytes()));
    Event::MailboxArchived(event::Archived { mailbox, messages: written.messages, inventory: written.inventory.clone(), request, statements: wanted.statements }).append(&mut batch, gateway.now_unix_millis())?;
    gateway.store.commit(batch)?;
    // 4
    whole(&at.join(SIGNATURE), &ready.sign_digest(digest)?)?;
    make(&at.join(LISTS))?;
    for (number, list) in ready.lists().enumerate() {
        whole(&at.join(LISTS).join(format!("{number}.crl")), list)?;
    }
    // 5
    std::fs::rename(at, &wanted.directory).map_err(|error| failed(&wanted.directory, &error))?;
    let parent = wanted.directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(parent, &error))?;
    Ok(written)
}

/// Taken away where it did not get its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone where it got its name; the next export of this name takes away what cannot be.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Writing<'a> {
    mail: PathBuf,
    wanted: &'a Wanted,
    /// By which a statement is known.
    key: &'a DataKey,
    entries: Vec<Entry>,
    bytes: u64,
}

/// An mbox that is being written, and how long it is.
struct BoxFile {
    file: BufWriter<File>,
    name: String,
    length: u64,
}

impl Writing<'_> {
    fn begin(&self, folder: &str) -> Result<Option<BoxFile>, ExportError> {
        let place = maildir::place(folder);
        if self.wanted.format == Format::Maildir {
            for part in ["cur", "new", "tmp"] {
                make(&self.mail.join(&place).join(part))?;
            }
            return Ok(None);
        }
        let name = format!("{}.mbox", place.display());
        let path = self.mail.join(&name);
        path.parent().map_or(Ok(()), make)?;
        Ok(Some(BoxFile { file: BufWriter::new(new(&path)?), name, length: 0 }))
    }

    fn put(&mut self, folder: &str, box_file: &mut Option<BoxFile>, info: &MessageInfo, message: &[u8], deleted: bool) -> Result<(), ExportError> {
        if self.wanted.statements && statement::named_by(message, self.key).is_none() {
            return Ok(());
        }
        let crlf = !self.wanted.octets && lines_end_in_crlf(message);
        let stored = if crlf { with_lf(message) } else { message.to_vec() };
        let (file, span) = match box_file {
            Some(to) => {
                let begins = mbox::from_line(info.internal_date);
                let quoted = mbox::quote(&stored);
                let from = to.length + begins.len() as u64;
                // A message without an end of line gets one: the line after it begins another.
                let end: &[u8] = if quoted.ends_with(b"\n") || quoted.is_empty() { b"\n" } else { b"\n\n" };
                let parts = [begins.as_bytes(), &quoted, end];
                for part in parts {
                    to.file.write_all(part).map_err(|error| failed(&self.mail.join(&to.name), &error))?;
                    to.length += part.len() as u64;
                }
                (to.name.clone(), Some((from, quoted.len() as u64)))
            }
            None => {
                let own = format!("{}.{}_{}.suiyin", info.internal_date.unix_timestamp().max(0), info.uid, if deleted { "deleted" } else { "kept" });
                let place = maildir::place(folder);
                let path = self.mail.join(&place).join("cur").join(format!("{own}{}", maildir::info(&info.flags)));
                whole(&path, &stored)?;
                let modified = std::time::SystemTime::from(info.internal_date);
                File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).map_err(|error| failed(&path, &error))?;
                (format!("{}/{own}", place.display()), None)
            }
        };
        self.bytes += message.len() as u64;
        self.entries.push(Entry {
            folder: folder.to_owned(),
            uid: info.uid,
            file,
            span,
            crlf,
            sha256: crate::hex(&body::digest(message)),
            size: message.len() as u64,
            flags: flags(&info.flags),
            internal_date: i64::try_from(info.internal_date.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
            deleted,
        });
        Ok(())
    }

    /// Each under a folder that says what it is.
    fn deleted(&mut self, gateway: &Gateway, mailbox: &str) -> Result<(), ExportError> {
        let kept = gateway.messages.deleted(mailbox, &Choice::default())?;
        let mut begun: Option<(u64, String, Option<BoxFile>)> = None;
        for one in &kept {
            let number = one.deleted.folder;
            if begun.as_ref().is_none_or(|(folder, ..)| *folder != number) {
                if let Some((.., before)) = begun.take() {
                    finish(before, &self.mail)?;
                }
                let name = format!("Deleted {number}");
                begun = Some((number, name.clone(), self.begin(&name)?));
            }
            let (message, modseq) = Message::decode(&one.deleted.message)?;
            let info = message.info(one.deleted.uid, modseq)?;
            if let Some((_, name, to)) = &mut begun {
                let bytes = match gateway.messages.load_deleted(one) {
                    // Put back, or gone for good, meanwhile.
                    Err(MailError::Gone) => continue,
                    loaded => loaded?,
                };
                self.put(name, to, &info, &bytes, true)?;
            }
        }
        begun.map_or(Ok(()), |(.., last)| finish(last, &self.mail))
    }

    /// SHA-256 of the inventory, which is on the disk.
    fn inventory(&self, at: &Path, head: &Head) -> Result<[u8; 32], ExportError> {
        let path = at.join(FILE);
        let (mut to, mut digest) = (BufWriter::new(new(&path)?), Context::new(&SHA256));
        let mut line = |text: Result<Vec<u8>, serde_json::Error>| {
            let mut text = text.map_err(|error| failed(&path, &error))?;
            text.push(b'\n');
            digest.update(&text);
            to.write_all(&text).map_err(|error| failed(&path, &error))
        };
        line(serde_json::to_vec(head))?;
        self.entries.iter().try_for_each(|entry| line(serde_json::to_vec(entry)))?;
        to.flush().and_then(|()| to.get_ref().sync_all()).map_err(|error| failed(&path, &error))?;
        let mut out = [0; 32];
        out.copy_from_slice(digest.finish().as_ref());
        Ok(out)
    }
}

fn flags(flags: &Flags) -> Vec<String> {
    let system = SystemFlag::ALL.iter().filter(|flag| flags.has(**flag)).map(|flag| flag.name());
    system.chain(flags.keywords().map(Keyword::as_str)).map(str::to_owned).collect()
}

fn finish(box_file: Option<BoxFile>, mail: &Path) -> Result<(), ExportError> {
    let Some(mut written) = box_file else { return Ok(()) };
    written.file.flush().and_then(|()| written.file.get_ref().sync_all()).map_err(|error| failed(&mail.join(&written.name), &error))
}

fn make(directory: &Path) -> Result<(), ExportError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| failed(directory, &error))
}

fn new(path: &Path) -> Result<File, ExportError> {
    File::options().write(true).create_new(true).mode(0o600).open(path).map_err(|error| failed(path, &error))
}

fn whole(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let mut file = new(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, reason: &dyn std::fmt::Display) -> ExportError {
    ExportError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// The flags of a line of an inventory.
pub fn parse_flags(names: &[String]) -> Flags {
    let keywords = names.iter().filter(|name| !name.starts_with('\\')).filter_map(|name| Keyword::new(name));
    let system = SystemFlag::ALL.iter().filter(|flag| names.iter().any(|name| name == flag.name()));
    system.fold(Flags::from_parts(0, keywords), |flags, flag| flags.with(*flag))
}

/// When a message came, by its line.
pub fn internal_date(entry: &Entry) -> time::OffsetDateTime {
    moment(entry.internal_date)
}
