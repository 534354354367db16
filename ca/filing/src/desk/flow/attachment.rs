//! An attachment is streamed to disk, sealed piece by piece: however large it is, one piece of it is in memory.
//!
//! 1 begin     its digest is its name; what this enterprise sent already is not taken again, what another sent is, so that nobody
//!             learns by asking what others have here; a place, and room for what was announced
//! 2 pieces    each sealed for its place; no more than the limit and the quota, whatever was announced
//! 3 end       the digest is right and the last piece marked; unless it was here, it is noted that it comes, so that a crash leaves
//!             no file that nobody knows, and the file is durable under its name
//! 4 record    size, whose quota, that no filing names it yet, leaf of the log, and no longer that it comes: one commit
//! 5 named     in the commit of the filing that names it; what none names is removed in time, see `unnamed`
//!
//! Between two pieces nothing waits on a thread: who receives collects a piece, and hands it over when it is whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use store::{Batch, CommitError, Expectation};

use super::authorise::Enterprise;
use crate::desk::{Desk, hex};
use crate::desk::problem::DeskError;
use crate::desk::record::attachment::AttachmentRecord;
use crate::desk::record::event::{Event, keyed, unix_millis};
use crate::desk::uploads::Reserved;
use crate::document::{Content, Filing};

/// Octets of a piece, but for the last.
pub const PIECE: usize = 256 * 1024;
/// What others came before is decided anew, so many times.
const ATTEMPTS: usize = 8;
const A_DAY: u64 = 86_400_000;

/// An attachment that is being received. What is dropped before its end leaves nothing.
pub struct Incoming {
    by: String,
    sha256: String,
    temporary: PathBuf,
    file: File,
    content: Content,
    size: u64,
    piece: Vec<u8>,
    pieces: u64,
    kept: bool,
    reserved: Reserved,
}

pub enum Begun {
    /// It is here already.
    Known(u64),
    Take(Box<Incoming>),
}

fn place(sha256: &str, index: u64, last: bool) -> Vec<u8> {
    format!("attachment|{sha256}|{index}|{last}").into_bytes()
}

/// 64 small hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

pub fn begin(desk: &Desk, caller: &Enterprise, sha256: &str, announced: Option<u64>) -> Result<Begun, DeskError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if !is_digest(sha256) {
        return Err(DeskError::Request("an attachment is named by its SHA-256 in 64 small hexadecimal digits; put it there".into()));
    }
    let by = caller.code().as_str().to_owned();
    let counted = match known(desk, &by, sha256)? {
        Shown::Wholly(size) => return Ok(Begun::Known(size)),
        Shown::WithoutSm3(size) => size,
        Shown::Never => 0,
    };
    let mut reserved = desk.uploads.place(&by, counted, &desk.policies.desk.limits)?;
    fits(desk, announced.unwrap_or(0))?;
    reserved.grow_to(desk, announced.unwrap_or(0))?;
    let temporary = desk.attachments.join(format!(".{}-{}.new", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(|error| failed(&temporary, &error))?;
    let incoming = Incoming { by, sha256: sha256.to_owned(), temporary, file, content: Content::default(), size: 0, piece: Vec::new(), pieces: 0, kept: false, reserved };
    Ok(Begun::Take(Box::new(incoming)))
}

/// What this enterprise has shown before that it has, with its size.
enum Shown {
    Never,
    /// Taken once more, so that its SM3 is known; it is in the quota already.
    WithoutSm3(u64),
    Wholly(u64),
}

/// Whoever asks now for what it has shown before has its days anew to file it.
fn known(desk: &Desk, by: &str, sha256: &str) -> Result<Shown, DeskError> {
    for _ in 0..ATTEMPTS {
        let Some(stored) = desk.store.get(&AttachmentRecord::key(sha256))? else { return Ok(Shown::Never) };
        let record = AttachmentRecord::decode(&stored)?;
        if record.by != by && desk.store.get(&AttachmentRecord::also(by, sha256))?.is_none() {
            return Ok(Shown::Never);
        }
        if record.sm3.is_none() {
            return Ok(Shown::WithoutSm3(record.size));
        }
        // Not written at every question: days are counted, and of what no filing names.
        let young = unix_millis(desk.clock.now()).saturating_sub(record.kept_at) < A_DAY;
        if young || desk.store.get(&AttachmentRecord::waits(record.kept_at, sha256))?.is_none() {
            return Ok(Shown::Wholly(record.size));
        }
        match desk.store.commit(anew(desk, sha256, &record, stored, Batch::new())?) {
            Ok(_) => return Ok(Shown::Wholly(record.size)),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeskError::Busy)
}

/// Its days begin again, where no filing names it; what the record says that is not stored yet is learnt of it.
fn anew(desk: &Desk, sha256: &str, record: &AttachmentRecord, stored: Vec<u8>, batch: Batch) -> Result<Batch, DeskError> {
    let (key, place) = (AttachmentRecord::key(sha256), AttachmentRecord::waits(record.kept_at, sha256));
    let learnt = AttachmentRecord::decode(&stored)? != *record;
    let batch = batch.expect(Expectation::Equals(key.clone(), stored));
    if desk.store.get(&place)?.is_none() {
        return Ok(if learnt { batch.put(key, record.encode()?) } else { batch });
    }
    let later = AttachmentRecord { kept_at: unix_millis(desk.clock.now()), ..record.clone() };
    let next = AttachmentRecord::waits(later.kept_at, sha256);
    let batch = batch.expect(Expectation::Present(place.clone())).put(key, later.encode()?);
    // Where a key is put and deleted, the delete wins.
    let batch = if next == place { batch } else { batch.delete(place) };
    Ok(batch.put(next, sha256.as_bytes()))
}

/// The filing names these: they wait no longer. `None` where one of them is here no more.
pub(super) fn named(desk: &Desk, filing: &Filing, mut batch: Batch) -> Result<Option<Batch>, DeskError> {
    // Two names may stand for one content.
    let contents: BTreeSet<String> = filing.attachments().iter().map(|one| one.digest_text()).collect();
    for sha256 in contents {
        let key = AttachmentRecord::key(&sha256);
        let Some(stored) = desk.store.get(&key)? else { return Ok(None) };
        let record = AttachmentRecord::decode(&stored)?;
        let place = AttachmentRecord::waits(record.kept_at, &sha256);
        // One that is removed at this moment is in neither place any more.
        batch = batch.expect(Expectation::Equals(key, stored));
        if desk.store.get(&place)?.is_some() {
            batch = batch.expect(Expectation::Present(place.clone())).delete(place);
            record.count_waiting(false, &mut batch);
        } else {
            batch = batch.expect(Expectation::Absent(place));
        }
    }
    Ok(Some(batch))
}

fn failed(path: &std::path::Path, error: &std::io::Error) -> DeskError {
    DeskError::File { path: path.to_owned(), reason: error.to_string() }
}

fn fits(desk: &Desk, size: u64) -> Result<(), DeskError> {
    let most = desk.policies.desk.limits.attachment_bytes;
    if size > most { Err(DeskError::Request(format!("an attachment has at most {most} bytes; split it"))) } else { Ok(()) }
}

impl Incoming {
    pub fn write(&mut self, desk: &Desk, mut bytes: &[u8]) -> Result<(), DeskError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        fits(desk, self.size)?;
        self.reserved.grow_to(desk, self.size)?;
        self.content.update(bytes);
        while !bytes.is_empty() {
            if self.piece.len() == PIECE {
                self.flush(desk, false)?;
            }
            let (now, later) = bytes.split_at_checked(PIECE - self.piece.len()).unwrap_or((bytes, &[]));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self, desk: &Desk, last: bool) -> Result<(), DeskError> {
        let sealed = desk.data.seal(&place(&self.sha256, self.pieces, last), &self.piece)?;
        let length = u32::try_from(sealed.len()).map_err(|_| DeskError::Request("a piece is too long; report this".into()))?;
        self.file.write_all(&length.to_be_bytes()).and_then(|()| self.file.write_all(&sealed)).map_err(|error| failed(&self.temporary, &error))?;
        self.pieces += 1;
        self.piece.clear();
        Ok(())
    }

    /// Its size, once it is what its name says.
    pub fn end(mut self, desk: &Desk) -> Result<u64, DeskError> {
        self.flush(desk, true)?;
        let content = self.content.clone().end();
        if hex(&content.sha256) != self.sha256 {
            return Err(DeskError::Request("what was sent has another SHA-256 than its name says; send the file again".into()));
        }
        // From here until it is recorded nobody removes what stands under its name.
        let _comes = desk.going.read().unwrap_or_else(PoisonError::into_inner);
        let sm3 = hex(&content.sm3);
        if self.is_here(desk, &sm3)? {
            return Ok(self.size);
        }
        let comes = AttachmentRecord::unrecorded(&self.sha256);
        desk.store.commit(Batch::new().put(comes.clone(), self.sha256.as_bytes()))?;
        let path = desk.attachments.join(&self.sha256);
        let durable = || -> std::io::Result<()> {
            self.file.sync_all()?;
            std::fs::rename(&self.temporary, &path)?;
            File::open(&desk.attachments)?.sync_all()
        };
        durable().map_err(|error| failed(&path, &error))?;
        self.kept = true;
        let now = desk.clock.now();
        let key = AttachmentRecord::key(&self.sha256);
        let record = AttachmentRecord { size: self.size, kept_at: unix_millis(now), by: self.by.clone(), sm3: Some(sm3) };
        let waits = AttachmentRecord::waits(record.kept_at, &self.sha256);
        let mut batch = Batch::new().expect(Expectation::Absent(key.clone())).put(key, record.encode()?).put(waits, self.sha256.as_bytes()).delete(comes);
        record.count_waiting(true, &mut batch);
        batch.add(&AttachmentRecord::sum(&self.by), i64::try_from(self.size).unwrap_or(i64::MAX));
        Event::AttachmentKept { attachment: &keyed(&desk.data, "attachment", self.sha256.as_bytes()), size: self.size }.append(&mut batch, now)?;
        match desk.store.commit(batch) {
            // The same file came over two ways at once: it is here.
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(self.size),
            Err(error) => Err(error.into()),
        }
    }
}

impl Incoming {
    /// Another enterprise's, or sent twice at one time: this one has shown that it has it.
    fn is_here(&self, desk: &Desk, sm3: &str) -> Result<bool, DeskError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = desk.store.get(&AttachmentRecord::key(&self.sha256))? else { return Ok(false) };
            let record = AttachmentRecord { sm3: Some(sm3.to_owned()), ..AttachmentRecord::decode(&stored)? };
            let batch = Batch::new().put(AttachmentRecord::also(&self.by, &self.sha256), Vec::new());
            match desk.store.commit(anew(desk, &self.sha256, &record, stored, batch)?) {
                Ok(_) => return Ok(true),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DeskError::Busy)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is, with all that was left so, at the next start.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes an attachment's content to `out`, piece by piece; every piece and the whole digest are proved.
pub fn read(desk: &Desk, sha256: &str, out: &mut dyn Write) -> Result<u64, DeskError> {
    use std::io::Read as _;
    let missing = || DeskError::NotFound { what: "attachment", id: sha256.chars().take(64).collect() };
    if !is_digest(sha256) {
        return Err(missing());
    }
    let record = AttachmentRecord::decode(&desk.store.get(&AttachmentRecord::key(sha256))?.ok_or_else(missing)?)?;
    let path = desk.attachments.join(sha256);
    let mut file = std::io::BufReader::new(File::open(&path).map_err(|error| failed(&path, &error))?);
    let (mut digest, mut size, mut index) = (Context::new(&SHA256), 0_u64, 0_u64);
    loop {
        let mut length = [0; 4];
        file.read_exact(&mut length).map_err(|error| failed(&path, &error))?;
        let length = u64::from(u32::from_be_bytes(length));
        let mut sealed = Vec::new();
        (&mut file).take(length.min(2 * PIECE as u64)).read_to_end(&mut sealed).map_err(|error| failed(&path, &error))?;
        let last = size + (PIECE as u64) >= record.size;
        let piece = desk.data.open(&place(sha256, index, last), &sealed)?;
        digest.update(&piece);
        out.write_all(&piece).map_err(|error| failed(&path, &error))?;
        size += piece.len() as u64;
        index += 1;
        if last {
            break;
        }
    }
    let whole = hex(digest.finish().as_ref()) == sha256 && size == record.size;
    if whole { Ok(size) } else { Err(DeskError::Data(keys::DataKeyError::Open)) }
}

/// What was being received when the desk ended is nobody's.
pub fn sweep(attachments: &std::path::Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(attachments)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
