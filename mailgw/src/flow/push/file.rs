//! A bureau's rows, read block by block: once to prove them, once to deliver them, and the second reading must find what
//! the first one found. They stand in a file or in the store, as CSV or as JSON Lines.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use csv::StringRecord;
use keys::DataKey;
use ring::digest::{Context, SHA256};
use store::Store;

use super::json_lines;
use crate::record::job::{Format, piece, piece_key};

/// Rows of one block: what is sealed at once and committed at once.
pub const BLOCK: usize = 500;
/// Longer than any row of ours many times over.
pub(super) const MAX_ROW_BYTES: u64 = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{path} cannot be read: {reason}; check the path", path = path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the file begins with a byte order mark; write UTF-8 without BOM")]
    ByteOrderMark,
    #[error("line {line} is not UTF-8; write the whole file in UTF-8 (not GBK)")]
    NotUtf8 { line: u64 },
    #[error("line {line} has {found} fields and the header has {wanted}; write every column in every row")]
    Fields { line: u64, found: u64, wanted: u64 },
    #[error("the row in line {line} is longer than {MAX_ROW_BYTES} bytes; look for a quotation mark that is not closed")]
    TooLong { line: u64 },
    #[error("the file has no header row; write the names of the columns first")]
    Empty,
    #[error("line {line} is not CSV: {reason}; write it as RFC 4180 says")]
    Csv { line: u64, reason: String },
    #[error("line {line} is no row: {reason}; write one JSON object of strings a line, each with the same names")]
    Json { line: u64, reason: String },
    #[error("the file changed while it was read; leave it alone until the push has ended, and push it again")]
    Changed,
}

/// Where rows are read from, as often as it takes.
pub enum Source {
    /// By its name: JSON Lines where it ends in `.jsonl`, else CSV.
    File(PathBuf),
    Pieces(Pieces),
}

/// What a bureau's system sent.
#[derive(Clone)]
pub struct Pieces {
    pub store: Arc<dyn Store>,
    pub key: Arc<DataKey>,
    pub bureau: String,
    pub batch: String,
    pub count: u64,
    pub format: Format,
}

impl Source {
    fn open(&self) -> Result<(Box<dyn Read + Send>, Format), FileError> {
        let path = match self {
            Self::Pieces(pieces) => return Ok((Box::new(Joined { pieces: pieces.clone(), at: 0, left: Vec::new(), read: 0 }), pieces.format)),
            Self::File(path) => path,
        };
        let unreadable = |reason: String| FileError::Unreadable { path: path.clone(), reason };
        // A pipe would wait for its writer, and it cannot be read twice.
        if !std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.is_file() {
            return Err(unreadable("it is no ordinary file".into()));
        }
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let format = if path.extension().is_some_and(|extension| extension == "jsonl") { Format::JsonLines } else { Format::Csv };
        Ok((Box::new(file), format))
    }
}

/// The pieces of an upload, one after another.
struct Joined {
    pieces: Pieces,
    at: u64,
    left: Vec<u8>,
    read: usize,
}

impl Read for Joined {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.read == self.left.len() && self.at < self.pieces.count {
            let place = piece_key(&self.pieces.bureau, &self.pieces.batch, self.at);
            self.left = piece(&*self.pieces.store, &place, &self.pieces.key).map_err(std::io::Error::other)?;
            (self.read, self.at) = (0, self.at + 1);
        }
        let mut rest = self.left.get(self.read..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

/// A row as it stands in the file.
pub struct RawRow {
    /// 1 for the first row after the header.
    pub number: u64,
    pub fields: StringRecord,
    /// SHA-256 over the fields, each after its length.
    pub digest: [u8; 32],
}

/// Digests what passes through, and lets no row be endless.
struct Watched {
    inner: BufReader<Box<dyn Read + Send>>,
    context: Context,
    bytes: u64,
    since_row: u64,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since_row > MAX_ROW_BYTES {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "row"));
        }
        let count = self.inner.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        if self.bytes == 0 && read.starts_with(&[0xef, 0xbb, 0xbf]) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "byte order mark"));
        }
        self.context.update(read);
        self.bytes += count as u64;
        self.since_row += count as u64;
        Ok(count)
    }
}

/// Rows being read.
pub struct Reading {
    rows: Rows,
    header: Vec<String>,
    count: u64,
}

enum Rows {
    /// The reader takes a CR for the end of a line and counts the line at the LF, which it meets with the next row: it may
    /// be `behind`.
    Csv { reader: Box<csv::Reader<Watched>>, behind: u64 },
    /// With the first line, whose names are the header.
    Json { lines: Box<BufReader<Watched>>, first: Option<Vec<u8>> },
}

impl Reading {
    pub fn open(source: &Source) -> Result<Self, FileError> {
        let (bytes, format) = source.open()?;
        let watched = Watched { inner: BufReader::with_capacity(1 << 16, bytes), context: Context::new(&SHA256), bytes: 0, since_row: 0 };
        if format == Format::JsonLines {
            let mut lines = BufReader::new(watched);
            let first = json_lines::line(&mut lines, 1)?.ok_or(FileError::Empty)?;
            let header = json_lines::names(&first)?;
            return Ok(Self { rows: Rows::Json { lines: Box::new(lines), first: Some(first) }, header, count: 0 });
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(watched);
        let mut record = StringRecord::new();
        if !reader.read_record(&mut record).map_err(|error| told(&error, 1))? {
            return Err(FileError::Empty);
        }
        let behind = u64::from(reader.position().line() == 1);
        Ok(Self { rows: Rows::Csv { reader: Box::new(reader), behind }, header: record.iter().map(str::to_owned).collect(), count: 0 })
    }

    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next rows, at most [`BLOCK`]; none at the end.
    pub fn block(&mut self) -> Result<Vec<RawRow>, FileError> {
        let mut rows = Vec::with_capacity(BLOCK);
        while rows.len() < BLOCK {
            let Some(fields) = self.next()? else { break };
            self.count += 1;
            rows.push(RawRow { number: self.count, digest: row_digest(&fields), fields });
        }
        Ok(rows)
    }

    fn next(&mut self) -> Result<Option<StringRecord>, FileError> {
        match &mut self.rows {
            Rows::Csv { reader, behind } => {
                reader.get_mut().since_row = 0;
                let (mut fields, line) = (StringRecord::new(), reader.position().line() + *behind);
                let found = reader.read_record(&mut fields).map_err(|error| told(&error, line))?;
                Ok(found.then_some(fields))
            }
            Rows::Json { lines, first } => {
                let number = self.count + 1;
                let text = match first.take() {
                    Some(first) => Some(first),
                    None => {
                        lines.get_mut().since_row = 0;
                        json_lines::line(&mut **lines, number)?
                    }
                };
                text.map(|text| json_lines::row(&text, &self.header, number)).transpose()
            }
        }
    }

    /// Once [`Reading::block`] has given no more: the number of rows and the SHA-256 of the file's bytes.
    pub fn ended(self) -> (u64, [u8; 32]) {
        let watched = match self.rows {
            Rows::Csv { reader, .. } => reader.into_inner(),
            Rows::Json { lines, .. } => lines.into_inner(),
        };
        let mut digest = [0; 32];
        digest.copy_from_slice(watched.context.finish().as_ref());
        (self.count, digest)
    }
}

/// What a second reading must find again.
pub fn block_digest(rows: &[RawRow]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    rows.iter().for_each(|row| context.update(&row.digest));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn row_digest(fields: &StringRecord) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// `line` is where the row begins.
fn told(error: &csv::Error, line: u64) -> FileError {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => FileError::NotUtf8 { line },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => FileError::Fields { line, found: *len, wanted: *expected_len },
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::InvalidInput => FileError::ByteOrderMark,
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => FileError::TooLong { line },
        other => FileError::Csv { line, reason: format!("{other:?}").chars().take(120).collect() },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        std::fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    fn read(bytes: &[u8]) -> Result<(u64, [u8; 32]), FileError> {
        let (_directory, path) = written(bytes);
        let mut reading = Reading::open(&Source::File(path.clone()))?;
        while !reading.block()?.is_empty() {}
        Ok(reading.ended())
    }

    #[test]
    fn a_file_is_read_to_its_end_and_digested_whole() {
        let text: String = std::iter::once("a,b\r\n".to_owned()).chain((0..1_234).map(|row| format!("{row},\"x,\"\"y\"\"\"\r\n"))).collect();
        let (rows, digest) = read(text.as_bytes()).unwrap();
        assert_eq!((rows, digest.as_slice()), (1_234, ring::digest::digest(&SHA256, text.as_bytes()).as_ref()));
        let (_directory, path) = written(text.as_bytes());
        let mut reading = Reading::open(&Source::File(path.clone())).unwrap();
        assert_eq!(reading.header(), ["a", "b"]);
        let sizes: Vec<usize> = std::iter::from_fn(|| Some(reading.block().unwrap().len()).filter(|count| *count > 0)).collect();
        assert_eq!(sizes, [500, 500, 234]);
    }

    #[test]
    fn a_row_is_digested_by_its_fields_not_by_their_join() {
        let digest = |text: &str| {
            let (_directory, path) = written(text.as_bytes());
            Reading::open(&Source::File(path.clone())).unwrap().block().unwrap().first().unwrap().digest
        };
        assert_eq!(digest("a,b\n1,2\n"), digest("a,b\r\n\"1\",2\r\n"));
        assert_ne!(digest("a,b\n12,3\n"), digest("a,b\n1,23\n"));
    }

    #[test]
    fn what_is_no_file_of_ours_is_told_with_its_line() {
        assert!(matches!(read(b""), Err(FileError::Empty)));
        assert!(matches!(read(b"\xef\xbb\xbfa,b\n1,2\n"), Err(FileError::ByteOrderMark)));
        assert!(matches!(read(b"a,b\n1,2\n\xc4\xe3,2\n"), Err(FileError::NotUtf8 { line: 3 })));
        assert!(matches!(read(b"a,b\n1,2\n1\n"), Err(FileError::Fields { line: 3, found: 1, wanted: 2 })));
        assert!(matches!(read(b"a,b\r\n1,2\r\n\xc4\xe3,2\r\n"), Err(FileError::NotUtf8 { line: 3 })));
        assert!(matches!(read(b"a,b\r\n1,\"2\r\n\"\r\n1\r\n"), Err(FileError::Fields { line: 4, found: 1, wanted: 2 })));
        for end in ["\n", "\r\n"] {
            let endless = [format!("a,b{end}1,2{end}\"").as_bytes(), &vec![b'x'; 1 << 20]].concat();
            assert!(matches!(read(&endless), Err(FileError::TooLong { line: 3 })));
        }
        for path in ["/nonexistent/rows.csv", "/dev/zero", "/"] {
            assert!(matches!(Reading::open(&Source::File(path.into())), Err(FileError::Unreadable { .. })), "{path}");
        }
    }
}
