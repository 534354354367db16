//! Whom the registry of enterprises knows, and whether they are in business: a file that is imported whole; a live registry
//! answers the same question over its own protocol.
//!
//! 1 read      every row makes sense and every code stands there once, else nothing is changed
//! 2 write     the rows, below the number of this import: nobody asks for them yet
//! 3 record    that this import counts, with the leaf of the log, in one commit
//! 4 clear     the rows of the import before
//!
//! An import that ends halfway is made again: its number is not taken, and what it wrote is cleared first.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use policies::certificate::OrganizationName;
use policies::identity::CreditCode;
use ring::digest::{Context, SHA256};
use store::{Batch, CommitError, Expectation, Key, Store};

use super::Desk;
use super::grounds::Grounds;
use super::problem::DeskError;
use super::record::enterprise::{Business, EnterpriseRecord, EnterprisesHead};
use super::record::event::{Event, unix_millis};

/// The most rows, and rows of one commit.
const MOST: u64 = 20_000_000;
const PIECE: usize = 2_000;
/// Octets of a row, far above any.
const LONGEST: u64 = 1 << 20;
/// How often the registry may be replaced while one code is looked up.
const ATTEMPTS: usize = 4;

/// What was asked of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is no registry here.
    Unasked,
    /// Nobody is registered under this code.
    Nobody,
    Enterprise(EnterpriseRecord),
}

/// Where enterprises are looked up.
pub trait Registry: Send + Sync {
    /// With what a commit that relies on the answer expects of the store.
    fn find(&self, store: &dyn Store, code: &CreditCode) -> Result<(Known, Expectation), DeskError>;
}

/// The one that was imported last.
pub struct Imported;

impl Registry for Imported {
    fn find(&self, store: &dyn Store, code: &CreditCode) -> Result<(Known, Expectation), DeskError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = store.get(&EnterprisesHead::key())? else { return Ok((Known::Unasked, Expectation::Absent(EnterprisesHead::key()))) };
            let head = EnterprisesHead::decode(&stored)?;
            if let Some(found) = store.get(&EnterpriseRecord::key(head.import, code))? {
                return Ok((Known::Enterprise(EnterpriseRecord::decode(&found)?), Expectation::Equals(EnterprisesHead::key(), stored)));
            }
            // The rows of an import that counts no more are cleared: nobody there is nobody only while it still counts.
            if store.get(&EnterprisesHead::key())?.as_ref() == Some(&stored) {
                return Ok((Known::Nobody, Expectation::Equals(EnterprisesHead::key(), stored)));
            }
        }
        Err(DeskError::Busy)
    }
}

/// The whole line: CSV with the heading `code,name,state`.
pub fn import(desk: &Desk, path: &Path) -> Result<EnterprisesHead, DeskError> {
    // One at a time: two would write and clear the rows of one number.
    let Ok(_importing) = desk.importing.try_lock() else { return Err(DeskError::Request("a registry is being imported already; wait until that ends".into())) };
    import_alone(desk, path)
}

/// Where nobody else imports.
pub fn import_alone(desk: &Grounds, path: &Path) -> Result<EnterprisesHead, DeskError> {
    let before = desk.store.get(&EnterprisesHead::key())?;
    let last = before.as_deref().map(EnterprisesHead::decode).transpose()?;
    let import = last.as_ref().map_or(1, |head| head.import + 1);
    let failed = |error: &dyn std::fmt::Display| DeskError::File { path: path.to_owned(), reason: error.to_string() };
    // 1. Once over all of it before anything is written.
    let (rows, sha256) = read(path, |_, _| Ok(()))?;
    clear(desk, import)?;
    // 2.
    let (mut batch, mut codes) = (Batch::new(), BTreeSet::new());
    let (written, again) = read(path, |code, record| {
        // A code that stands there twice: in this piece, or, which the commit finds, in one before.
        if !codes.insert(code.as_str().to_owned()) {
            return Err(twice(path));
        }
        let key = EnterpriseRecord::key(import, code);
        batch = std::mem::take(&mut batch).expect(Expectation::Absent(key.clone())).put(key, record.encode()?);
        if codes.len() < PIECE {
            return Ok(());
        }
        codes.clear();
        put_piece(desk, std::mem::take(&mut batch), path)
    })?;
    put_piece(desk, batch, path)?;
    if (written, &again) != (rows, &sha256) {
        return Err(failed(&"it changed while it was read; replace a registry by renaming a new file into its place"));
    }
    // 3.
    let (now, still) = (desk.clock.now(), before.map_or(Expectation::Absent(EnterprisesHead::key()), |bytes| Expectation::Equals(EnterprisesHead::key(), bytes)));
    let head = EnterprisesHead { import, rows, sha256, imported_at: unix_millis(now) };
    let mut batch = Batch::new().expect(still).put(EnterprisesHead::key(), head.encode()?);
    Event::EnterprisesImported { sha256: &head.sha256, rows }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => {}
        Err(CommitError::Conflict { .. }) => return Err(DeskError::Busy),
        Err(error) => return Err(error.into()),
    }
    // 4.
    if let Some(last) = last {
        clear(desk, last.import)?;
    }
    Ok(head)
}

fn twice(path: &Path) -> DeskError {
    DeskError::Request(format!("{}: a code stands there twice; correct the registry", path.display()))
}

fn put_piece(desk: &Grounds, batch: Batch, path: &Path) -> Result<(), DeskError> {
    match desk.store.commit(batch) {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict { .. }) => Err(twice(path)),
        Err(error) => Err(error.into()),
    }
}

fn clear(desk: &Grounds, import: u64) -> Result<(), DeskError> {
    let (from, to) = EnterpriseRecord::all_of(import);
    loop {
        let rows: Vec<(Key, Vec<u8>)> = desk.store.scan(&from, &to, PIECE)?;
        if rows.is_empty() {
            return Ok(());
        }
        desk.store.commit(rows.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key)))?;
    }
}

/// Every row in turn; how many there are, and the digest of the whole.
fn read(path: &Path, mut each: impl FnMut(&CreditCode, &EnterpriseRecord) -> Result<(), DeskError>) -> Result<(u64, String), DeskError> {
    let failed = |error: &dyn std::fmt::Display| DeskError::File { path: path.to_owned(), reason: error.to_string().replace("; ", ", ") };
    let until = Cell::new(LONGEST);
    let mut digested = Digested { file: std::io::BufReader::with_capacity(1 << 16, std::fs::File::open(path).map_err(|error| failed(&error))?), context: Context::new(&SHA256), read: 0, until: &until };
    let mut rows = 0;
    {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&mut digested);
        let mut row = csv::StringRecord::new();
        let mut heading = true;
        loop {
            match reader.read_record(&mut row) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) => return Err(failed(&error)),
            }
            let line = row.position().map_or(0, csv::Position::line);
            until.set(reader.position().byte().saturating_add(LONGEST));
            let wrong = |reason: &str| DeskError::Request(format!("{}, line {line}: {reason}; correct the registry", path.display()));
            let cells: Vec<&str> = row.iter().collect();
            let &[code, name, state] = cells.as_slice() else { return Err(wrong("a row has three cells: code, name, state")) };
            if heading {
                // Spreadsheets put a byte order mark in front.
                if (code.trim_start_matches('\u{feff}'), name, state) != ("code", "name", "state") {
                    return Err(wrong("the heading is not code,name,state"));
                }
                heading = false;
                continue;
            }
            let code = CreditCode::parse(code).map_err(|_| wrong("the code is no unified social credit code"))?;
            let name = OrganizationName::parse(name).map_err(|_| wrong("the name is none that an enterprise can have"))?;
            let business = Business::parse(state).ok_or_else(|| wrong("the state is none of in-business, suspended, struck-off"))?;
            rows += 1;
            if rows > MOST {
                return Err(wrong("there are more than 20 million rows"));
            }
            each(&code, &EnterpriseRecord::new(&name, business))?;
        }
        if heading {
            return Err(DeskError::Request(format!("{}: the heading code,name,state is missing; correct the registry", path.display())));
        }
    }
    Ok((rows, super::hex(digested.context.finish().as_ref())))
}

/// Digests what is read through it, and no row without an end: a row is in memory whole.
struct Digested<'a, R> {
    file: R,
    context: Context,
    read: u64,
    /// So far the row that is read now may go.
    until: &'a Cell<u64>,
}

impl<R: Read> Read for Digested<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read > self.until.get() {
            return Err(std::io::Error::other(format!("a row has more than {LONGEST} bytes")));
        }
        let count = self.file.read(buffer)?;
        self.read = self.read.saturating_add(count as u64);
        self.context.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
