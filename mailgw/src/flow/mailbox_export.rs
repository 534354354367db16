//! A mailbox, or its statements alone, as a Maildir: every message octet for octet as IMAP and POP3 give it.
// spec: https://cr.yp.to/proto/maildir.html

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use protocol::imap::exchange::{Flags, SystemFlag};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};

use crate::directory::DirectoryError;
use crate::gateway::Gateway;
use crate::mailbox::MailError;
use crate::record::RecordError;
use crate::record::event::{self, Event};
use crate::statement;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{path} cannot be written: {reason}; name a new directory on a disk with room", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        let (exit, code) = match error {
            ExportError::Directory(error) => return error.into(),
            ExportError::File { .. } => (Exit::Unavailable, "file"),
            ExportError::Mail(MailError::Record(_)) | ExportError::Record(_) => (Exit::Damaged, "store-damaged"),
            ExportError::Mail(_) => (Exit::Unavailable, "mail"),
            ExportError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub mailbox: String,
    /// A new directory.
    pub directory: PathBuf,
    /// Statements and what else bureaus sent, and nothing more.
    pub statements: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    pub directory: PathBuf,
    pub folders: u64,
    pub messages: u64,
}

/// 1 the mailbox, open or closed: a closed one is handed over, too · 2 that it is handed out is in the log · 3 folder by folder, message by
/// message; one that goes meanwhile is left out.
pub fn export(gateway: &Gateway, wanted: &Wanted) -> Result<Exported, ExportError> {
    // 1
    let account = gateway.directory.find(&wanted.mailbox)?.ok_or(DirectoryError::NotFound)?;
    let mailbox = account.mailbox();
    // 2
    let mut write = Batch::new();
    Event::MailboxExported(event::MailboxExport { mailbox: mailbox.clone(), statements: wanted.statements }).append(&mut write, gateway.now_unix_millis())?;
    gateway.store.commit(write)?;
    // 3
    let mut exported = Exported { directory: wanted.directory.clone(), folders: 0, messages: 0 };
    maildir(&wanted.directory)?;
    for folder in gateway.messages.list(&mailbox)?.into_iter().filter(|folder| folder.exists()) {
        let view = match gateway.messages.view(&mailbox, &folder.name) {
            Err(MailError::NoFolder) => continue,
            view => view?,
        };
        let place = if folder.name == "INBOX" { wanted.directory.clone() } else { wanted.directory.join(format!(".{}", folder.name.replace('/', "."))) };
        if place != wanted.directory {
            maildir(&place)?;
        }
        exported.folders += 1;
        for message in &view.messages {
            let bytes = match gateway.messages.load(&view.folder, message.uid) {
                Err(MailError::Gone) => continue,
                bytes => bytes?,
            };
            if wanted.statements && statement::named_by(&bytes, &gateway.directory_key).is_none() {
                continue;
            }
            let name = format!("{}.U{}V{}.{},S={}:2,{}", message.internal_date.unix_timestamp(), message.uid, view.folder.uid_validity, gateway.settings.host, bytes.len(), info(&message.flags));
            let path = place.join("cur").join(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(&bytes)).map_err(|error| failed(&path, &error))?;
            exported.messages += 1;
        }
    }
    Ok(exported)
}

fn maildir(place: &Path) -> Result<(), ExportError> {
    for directory in [place.to_owned(), place.join("cur"), place.join("new"), place.join("tmp")] {
        DirBuilder::new().mode(0o700).create(&directory).map_err(|error| failed(&directory, &error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> ExportError {
    ExportError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Flags as a file's name bears them, in their order.
fn info(flags: &Flags) -> String {
    let known = [(SystemFlag::Draft, 'D'), (SystemFlag::Flagged, 'F'), (SystemFlag::Answered, 'R'), (SystemFlag::Seen, 'S'), (SystemFlag::Deleted, 'T')];
    known.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, letter)| *letter).collect()
}
