//! The registry of enterprises: who is registered under a code, by which name, and whether they are in business.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use csv_core::{ReadRecordResult, Reader};
use policies::certificate::OrganizationName;
use policies::identity::CreditCode;
use serde::Deserialize;

/// `[registry]` of `ca.toml`.
#[derive(Clone, Debug, serde::Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfiguration {
    /// CSV with the heading `code,name,state`, replaced whole by renaming a new one into its place.
    pub file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Business {
    InBusiness,
    Suspended,
    StruckOff,
}

impl Business {
    fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"in-business" => Some(Self::InBusiness),
            b"suspended" => Some(Self::Suspended),
            b"struck-off" => Some(Self::StruckOff),
            _ => None,
        }
    }
}

/// What the registry says of one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub name: OrganizationName,
    pub business: Business,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error("{}: {reason}; put a registry there that can be read", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{}, line {line}: {reason}; correct the registry", path.display())]
    Line { path: PathBuf, line: u64, reason: &'static str },
    #[error("{} changed under the service's eyes; replace a registry by renaming a new file into its place", path.display())]
    Torn { path: PathBuf },
}

/// Where enterprises are looked up. A live registry answers the same question over its own protocol.
pub trait Registry: Send + Sync {
    /// `None`: nobody is registered under this code.
    fn find(&self, code: &CreditCode) -> Result<Option<Registered>, RegistryError>;

    /// Takes up what changed since; whether anything did.
    fn refresh(&self) -> Result<bool, RegistryError> {
        Ok(false)
    }
}

/// Knows nobody: where no registry is configured.
pub struct NoRegistry;

impl Registry for NoRegistry {
    fn find(&self, _: &CreditCode) -> Result<Option<Registered>, RegistryError> {
        Ok(None)
    }
}

/// The longest file: places in it are numbers of 32 bits.
const FILE_LIMIT: u64 = u32::MAX as u64;
/// The most rows: the index takes eight bytes each, so 160 MB at most and 40 MB for five million.
const ROWS_LIMIT: usize = 20_000_000;
/// The longest row, and the longest as it is written, with quotes and empty lines before it.
const ROW_LIMIT: usize = 1_024;
const WRITTEN_LIMIT: usize = 4_096;
const CHUNK: usize = 64 * 1024;

/// A file that was read once: the rows stay in it, in memory is where they are.
struct Index {
    file: File,
    identity: Identity,
    /// The code's checksum in the upper half, the row's place in the lower; sorted.
    places: Vec<u64>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), length: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// A registry in a file of comma-separated values.
pub struct FileRegistry {
    path: PathBuf,
    index: RwLock<Arc<Index>>,
}

impl FileRegistry {
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        let index = read(path)?;
        Ok(Self { path: path.to_owned(), index: RwLock::new(Arc::new(index)) })
    }

    pub fn rows(&self) -> usize {
        self.index.read().unwrap_or_else(PoisonError::into_inner).places.len()
    }
}

impl Registry for FileRegistry {
    fn find(&self, code: &CreditCode) -> Result<Option<Registered>, RegistryError> {
        let index = Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner));
        let failed = |error: std::io::Error| RegistryError::File { path: self.path.clone(), reason: error.to_string() };
        let torn = || RegistryError::Torn { path: self.path.clone() };
        let sum = checksum(code.as_str());
        let first = index.places.partition_point(|place| place >> 32 < u64::from(sum));
        let found = index.places.iter().skip(first).take_while(|place| **place >> 32 == u64::from(sum)).find_map(|place| {
            match row_at(&index.file, place & u64::from(u32::MAX)) {
                Ok(Some(row)) if row.code == *code => Some(Ok(Registered { name: row.name, business: row.business })),
                Ok(Some(_)) => None,
                Ok(None) => Some(Err(torn())),
                Err(error) => Some(Err(failed(error))),
            }
        });
        // Rows of a file that was written over are rows of nothing.
        if Identity::of(&index.file.metadata().map_err(failed)?) != index.identity && index.identity.inode == Identity::of(&std::fs::metadata(&self.path).map_err(failed)?).inode {
            return Err(torn());
        }
        found.transpose()
    }

    fn refresh(&self) -> Result<bool, RegistryError> {
        let found = std::fs::metadata(&self.path).map_err(|error| RegistryError::File { path: self.path.clone(), reason: error.to_string() })?;
        if Identity::of(&found) == self.index.read().unwrap_or_else(PoisonError::into_inner).identity {
            return Ok(false);
        }
        let index = Arc::new(read(&self.path)?);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        Ok(true)
    }
}

fn checksum(code: &str) -> u32 {
    crc32fast::hash(code.as_bytes())
}

/// One row in types that cannot be wrong.
struct Row {
    code: CreditCode,
    name: OrganizationName,
    business: Business,
}

impl Row {
    fn parse(fields: &[u8], ends: &[usize]) -> Result<Self, &'static str> {
        let [code, name, state] = ends else { return Err("a row has three cells: code, name, state") };
        let cell = |from: usize, to: usize| fields.get(from..to).and_then(|cell| std::str::from_utf8(cell).ok()).ok_or("a cell is no UTF-8");
        Ok(Self {
            code: CreditCode::parse(cell(0, *code)?).map_err(|_| "the code is no unified social credit code")?,
            name: OrganizationName::parse(cell(*code, *name)?).map_err(|_| "the name is none that a certificate could carry")?,
            business: Business::from_word(fields.get(*name..*state).unwrap_or_default()).ok_or("the state is none of in-business, suspended, struck-off")?,
        })
    }
}

/// The row that begins at a place; `None` when none does.
fn row_at(file: &File, place: u64) -> std::io::Result<Option<Row>> {
    let mut bytes = [0; WRITTEN_LIMIT];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, place + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (mut reader, mut fields, mut ends) = (Reader::new(), [0; ROW_LIMIT], [0; 4]);
    let mut input = bytes.get(..filled).unwrap_or_default();
    let (mut written, mut cells) = (0, 0);
    loop {
        let (result, _, wrote, ended) = reader.read_record(input, fields.get_mut(written..).unwrap_or_default(), ends.get_mut(cells..).unwrap_or_default());
        (written, cells) = (written + wrote, cells + ended);
        match result {
            // An empty input tells the reader that the file ends here.
            ReadRecordResult::InputEmpty => input = &[],
            ReadRecordResult::Record => return Ok(Row::parse(&fields, ends.get(..cells).unwrap_or_default()).ok()),
            _ => return Ok(None),
        }
    }
}

/// Reads a registry once, row by row in bounded memory; every row must make sense and every code stand there once.
fn read(path: &Path) -> Result<Index, RegistryError> {
    let failed = |error: std::io::Error| RegistryError::File { path: path.to_owned(), reason: error.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    let identity = Identity::of(&file.metadata().map_err(failed)?);
    if identity.length > FILE_LIMIT {
        return Err(RegistryError::File { path: path.to_owned(), reason: "it has more than 4 GiB".into() });
    }
    let (mut reader, mut chunk, mut fields, mut ends) = (Reader::new(), vec![0; CHUNK], [0; ROW_LIMIT], [0; 4]);
    let (mut places, mut heading, mut written, mut cells) = (Vec::new(), true, 0, 0);
    let (mut begun, mut at, mut line) = (0_u64, 0_u64, 1_u64);
    let mut ended = false;
    while !ended {
        let filled = match file.read(&mut chunk) {
            Ok(filled) => filled,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        let mut input = chunk.get(..filled).unwrap_or_default();
        loop {
            let (result, taken, wrote, more) = reader.read_record(input, fields.get_mut(written..).unwrap_or_default(), ends.get_mut(cells..).unwrap_or_default());
            (written, cells, at) = (written + wrote, cells + more, at + taken as u64);
            input = input.get(taken..).unwrap_or_default();
            let wrong = |reason| RegistryError::Line { path: path.to_owned(), line, reason };
            match result {
                ReadRecordResult::InputEmpty => break,
                ReadRecordResult::OutputFull => return Err(wrong("a row is longer than 1024 bytes")),
                ReadRecordResult::OutputEndsFull => return Err(wrong("a row has three cells: code, name, state")),
                ReadRecordResult::End => {
                    ended = true;
                    break;
                }
                ReadRecordResult::Record if heading => {
                    let names = fields.get(..written).unwrap_or_default();
                    // Spreadsheets put a byte order mark in front.
                    if names.strip_prefix(b"\xef\xbb\xbf").unwrap_or(names) != b"codenamestate" || cells != 3 {
                        return Err(wrong("the heading is not code,name,state"));
                    }
                    heading = false;
                }
                ReadRecordResult::Record if at - begun > WRITTEN_LIMIT as u64 => return Err(wrong("a row and the empty lines before it are longer than 4096 bytes")),
                ReadRecordResult::Record => {
                    let row = Row::parse(&fields, ends.get(..cells).unwrap_or_default()).map_err(wrong)?;
                    if places.len() == ROWS_LIMIT {
                        return Err(wrong("there are more than 20 million rows"));
                    }
                    places.push(u64::from(checksum(row.code.as_str())) << 32 | begun);
                }
            }
            (written, cells, begun, line) = (0, 0, at, reader.line());
        }
    }
    if heading {
        return Err(RegistryError::Line { path: path.to_owned(), line: 1, reason: "the heading is not code,name,state" });
    }
    places.shrink_to_fit();
    places.sort_unstable();
    once_each(&file, &places, path)?;
    Ok(Index { file, identity, places })
}

/// Two rows of one checksum are of two codes.
fn once_each(file: &File, places: &[u64], path: &Path) -> Result<(), RegistryError> {
    let row = |place: u64| row_at(file, place & u64::from(u32::MAX)).map_err(|error| RegistryError::File { path: path.to_owned(), reason: error.to_string() });
    for same in places.chunk_by(|one, next| one >> 32 == next >> 32).filter(|same| same.len() > 1) {
        let mut codes = Vec::with_capacity(same.len());
        for place in same {
            codes.push(row(*place)?.ok_or_else(|| RegistryError::Torn { path: path.to_owned() })?.code.as_str().to_owned());
        }
        codes.sort_unstable();
        if codes.array_windows().any(|[one, next]| one == next) {
            return Err(RegistryError::File { path: path.to_owned(), reason: "a code stands there twice".into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CODES: [&str; 4] = ["91440101MAT000018G", "91440101MAT000026B", "92440101MAT0000A11", "12440100000000123A"];

    fn code(text: &str) -> CreditCode {
        CreditCode::parse(text).unwrap()
    }

    fn place(text: &str) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("registry.csv");
        std::fs::write(&path, text).unwrap();
        (place, path)
    }

    fn refused(text: &str) -> String {
        let (_place, path) = place(text);
        FileRegistry::open(&path).err().unwrap().to_string()
    }

    #[test]
    fn rows_are_found_by_their_code() {
        let text = format!(
            "\u{feff}code,name,state\r\n{},\"广州\"\"某某\"\"有限公司, 分公司\",in-business\r\n{},乙公司,suspended\r\n\r\n{},丙公司,struck-off",
            CODES[0], CODES[1], CODES[2]
        );
        let (_place, path) = place(&text);
        let registry = FileRegistry::open(&path).unwrap();
        let said = |text: &str| registry.find(&code(text)).unwrap().map(|found| (found.name.to_string(), found.business));
        assert_eq!(said(CODES[0]), Some(("广州\"某某\"有限公司, 分公司".into(), Business::InBusiness)));
        assert_eq!(said(CODES[1]), Some(("乙公司".into(), Business::Suspended)));
        assert_eq!(said(CODES[2]), Some(("丙公司".into(), Business::StruckOff)));
        assert_eq!((said(CODES[3]), registry.rows()), (None, 3));
    }

    #[test]
    fn a_new_file_in_its_place_is_taken_up_and_a_bad_one_changes_nothing() {
        let row = |name: &str| format!("code,name,state\n{},{name},in-business\n", CODES[0]);
        let (place, path) = place(&row("旧名称公司"));
        let registry = FileRegistry::open(&path).unwrap();
        let name = || registry.find(&code(CODES[0])).unwrap().unwrap().name.to_string();
        assert!(!registry.refresh().unwrap());
        let new = place.path().join("new");
        std::fs::write(&new, row("新名称公司")).unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert_eq!(name(), "旧名称公司");
        assert!(registry.refresh().unwrap());
        assert_eq!(name(), "新名称公司");
        std::fs::write(&new, "code,name,state\nnonsense\n").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert!(registry.refresh().is_err());
        assert_eq!(name(), "新名称公司");
        std::fs::remove_file(&path).unwrap();
        assert!(registry.refresh().is_err());
    }

    #[test]
    fn a_file_written_over_is_believed_only_after_it_was_read_anew() {
        let (_place, path) = place(&format!("code,name,state\n{},甲公司,in-business\n", CODES[0]));
        let registry = FileRegistry::open(&path).unwrap();
        std::fs::write(&path, format!("code,name,state\n{},乙公司有限公司,struck-off\n", CODES[1])).unwrap();
        assert!(matches!(registry.find(&code(CODES[0])), Err(RegistryError::Torn { .. })));
        assert!(registry.refresh().unwrap());
        assert_eq!(registry.find(&code(CODES[0])).unwrap(), None);
    }

    #[test]
    fn what_is_no_registry_is_named_with_its_line() {
        let rows = |row: &str| refused(&format!("code,name,state\n{},甲公司,in-business\n{row}\n", CODES[0]));
        assert!(refused("").contains("line 1: the heading") && refused("name,code,state\n").contains("the heading"));
        assert!(rows("1,乙公司,in-business").contains("line 3: the code is no unified"));
        assert!(rows(&format!("{},乙公司,closed", CODES[1])).contains("the state is none of"));
        assert!(rows(&format!("{},,in-business", CODES[1])).contains("the name is none"));
        assert!(rows(&format!("{},乙公司", CODES[1])).contains("three cells") && rows(&format!("{},乙公司,in-business,x,y", CODES[1])).contains("three cells"));
        assert!(rows(&format!("{},甲公司,struck-off", CODES[0])).contains("twice"));
        assert!(rows(&format!("{},\"{}", CODES[1], "字".repeat(100_000))).contains("longer than 1024"));
    }
}
