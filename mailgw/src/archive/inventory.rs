//! The inventory of an export: a line that says what it is of, and a line for each message with the digest of its octets, signed as a whole
//! by the key for evidence. It is proved with the root certificate alone, by us or by OpenSSL.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use pki::cms::{self, CmsError};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{maildir, mbox, with_crlf};
use crate::bureau::trust::{Anchors, Purpose, TrustError};
use crate::record::body;
use crate::record::bureau::Chain;

pub const KIND: &str = "suiyin mailbox export v1";
pub const FILE: &str = "inventory.jsonl";
pub const SIGNATURE: &str = "inventory.p7s";
/// The directory of revocation lists, and that of the mail.
pub const LISTS: &str = "lists";
pub const MAIL: &str = "mail";
/// The largest inventory, and list: a million messages take some 300 MB.
const MAX_INVENTORY: u64 = 512 << 20;
const MAX_LIST: u64 = 128 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Mbox,
    Maildir,
}

/// What it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub kind: String,
    pub address: String,
    /// The gateway, as its log calls itself.
    pub origin: String,
    pub format: Format,
    /// Unix milliseconds.
    pub exported_at: u64,
    /// SHA-256 of the words by which it was asked for.
    pub request: String,
    pub messages: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub folder: String,
    pub uid: u32,
    /// Below `mail`; of a Maildir without what says its flags.
    pub file: String,
    /// Of an mbox: where the message begins and how long it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(u64, u64)>,
    /// Its lines end in CRLF, in files in LF.
    pub crlf: bool,
    /// SHA-256 of the message as it stood in the mailbox, hexadecimal, and its octets.
    pub sha256: String,
    pub size: u64,
    pub flags: Vec<String>,
    /// Unix milliseconds.
    pub internal_date: i64,
    /// Its owner had deleted it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("{path} cannot be read: {reason}; give the directory that `mailgw mailbox archive` wrote", path = path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the inventory is of another form in line {line}; ask for the export again")]
    Form { line: usize },
    #[error("the signature over the inventory does not hold: {0}; do not rely on it")]
    Signature(#[from] CmsError),
    #[error("the signature says no time, or nobody's certificate is with it; do not rely on it")]
    Signer,
    #[error("{0}; do not rely on it")]
    Trust(#[from] TrustError),
    #[error("{file} is not what the inventory says; do not rely on it")]
    Altered { file: String },
    #[error("{file} is in no line of the inventory; take it out, or do not rely on it")]
    Unlisted { file: String },
}

impl From<InventoryError> for Problem {
    fn from(error: InventoryError) -> Self {
        let (exit, code) = match &error {
            InventoryError::Unreadable { .. } => (Exit::Usage, "export-directory"),
            InventoryError::Trust(TrustError::Anchors { .. } | TrustError::Arc { .. }) => (Exit::Usage, "anchors"),
            InventoryError::Form { .. } | InventoryError::Signature(_) | InventoryError::Signer | InventoryError::Trust(_) | InventoryError::Altered { .. } | InventoryError::Unlisted { .. } => {
                (Exit::Refused, "export")
            }
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// An export that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub address: String,
    pub messages: u64,
    pub bytes: u64,
    pub signer: String,
    /// Unix seconds.
    pub signed_at: i64,
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, InventoryError> {
    let unreadable = |reason: String| InventoryError::Unreadable { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > most { Err(unreadable(format!("it has more than {most} bytes"))) } else { Ok(bytes) }
}

/// The lines of an inventory. Nothing of it is proved.
pub fn lines(directory: &Path) -> Result<(Head, Vec<Entry>), InventoryError> {
    parse(&read(&directory.join(FILE), MAX_INVENTORY)?)
}

fn parse(text: &[u8]) -> Result<(Head, Vec<Entry>), InventoryError> {
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let head: Head = lines.next().and_then(|line| serde_json::from_slice(line).ok()).ok_or(InventoryError::Form { line: 1 })?;
    let entry = |(at, line): (usize, &[u8])| serde_json::from_slice::<Entry>(line).map_err(|_| InventoryError::Form { line: at + 2 });
    let entries: Vec<Entry> = lines.enumerate().map(entry).collect::<Result<_, _>>()?;
    if head.kind != KIND || head.messages != entries.len() as u64 { Err(InventoryError::Form { line: 1 }) } else { Ok((head, entries)) }
}

/// Where a file lies below the mail; `None` for a way out of it.
fn below(directory: &Path, file: &str) -> Option<PathBuf> {
    let path = Path::new(file);
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| directory.join(MAIL).join(path))
}

/// The files of an export and the messages in them.
pub struct Files {
    directory: PathBuf,
    format: Format,
    /// Of Maildirs: where a file is that mail programs gave other flags.
    found: BTreeMap<String, PathBuf>,
}

impl Files {
    pub fn of(directory: &Path, head: &Head) -> Result<Self, InventoryError> {
        let (mail, mut found) = (directory.join(MAIL), BTreeMap::new());
        let unreadable = |error: std::io::Error| InventoryError::Unreadable { path: mail.clone(), reason: error.to_string() };
        if head.format == Format::Maildir {
            for (_, folder) in maildir::folders(&mail).map_err(unreadable)? {
                let place = folder.strip_prefix(&mail).unwrap_or(&folder).to_string_lossy().into_owned();
                for path in maildir::files(&folder).map_err(unreadable)? {
                    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    found.insert(format!("{place}/{}", maildir::parse(&name).0), path);
                }
            }
        }
        Ok(Self { directory: directory.to_owned(), format: head.format, found })
    }

    /// The message of a line as it stood in the mailbox: its digest is the line's.
    pub fn message(&self, entry: &Entry) -> Result<Vec<u8>, InventoryError> {
        let altered = || InventoryError::Altered { file: entry.file.clone() };
        let stored = match (self.format, entry.span) {
            (Format::Maildir, _) => read(self.found.get(&entry.file).ok_or_else(altered)?, mbox::MAX_MESSAGE as u64)?,
            (Format::Mbox, Some((from, length))) if length <= 2 * mbox::MAX_MESSAGE as u64 => {
                let path = below(&self.directory, &entry.file).ok_or_else(altered)?;
                let mut bytes = Vec::new();
                let done = File::open(&path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(from))?;
                    file.take(length).read_to_end(&mut bytes)
                });
                done.map_err(|error| InventoryError::Unreadable { path, reason: error.to_string() })?;
                mbox::unquote(&bytes)
            }
            (Format::Mbox, _) => return Err(altered()),
        };
        let message = if entry.crlf { with_crlf(&stored).into_owned() } else { stored };
        if message.len() as u64 == entry.size && crate::hex(&body::digest(&message)) == entry.sha256 { Ok(message) } else { Err(altered()) }
    }

    /// A message that no line names.
    fn unlisted(&self, entries: &[Entry]) -> Option<String> {
        let listed: BTreeSet<&str> = entries.iter().map(|entry| entry.file.as_str()).collect();
        self.found.keys().find(|file| !listed.contains(file.as_str())).cloned()
    }
}

/// 1 the inventory is signed · 2 by a certificate for evidence, good at that moment by the lists that came along · 3 every message is the
/// one that was listed, and no other is there.
pub fn verify(directory: &Path, anchors: &Anchors) -> Result<Verified, InventoryError> {
    // 1
    let text = read(&directory.join(FILE), MAX_INVENTORY)?;
    let signed = cms::verify(&read(&directory.join(SIGNATURE), 1 << 20)?, &text, &[])?;
    // 2
    let sealed = signed.signing_time().ok_or(InventoryError::Signer)?;
    let unreadable = |error: std::io::Error| InventoryError::Unreadable { path: directory.join(LISTS), reason: error.to_string() };
    let mut lists = Vec::new();
    for entry in std::fs::read_dir(directory.join(LISTS)).map_err(unreadable)?.take(16) {
        lists.push(read(&entry.map_err(unreadable)?.path(), MAX_LIST)?);
    }
    let others = signed.certificates().iter().filter(|one| one.as_slice() != signed.signer_certificate()).cloned();
    let chain = Chain::new(std::iter::once(signed.signer_certificate().to_vec()).chain(others).collect()).ok_or(InventoryError::Signer)?;
    let trusted = anchors.trusted(&chain, Purpose::Evidence, &lists, sealed)?;
    // 3
    let (head, entries) = parse(&text)?;
    let files = Files::of(directory, &head)?;
    let mut bytes = 0_u64;
    for entry in &entries {
        bytes += files.message(entry)?.len() as u64;
    }
    if let Some(file) = files.unlisted(&entries) {
        return Err(InventoryError::Unlisted { file });
    }
    Ok(Verified { address: head.address, messages: head.messages, bytes, signer: trusted.facts().organization.clone().unwrap_or_default(), signed_at: sealed.unix_timestamp() })
}

pub fn moment(unix_millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
