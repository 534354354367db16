//! The first reading of a file, before anything is delivered: it is the one that its manifest speaks of.

use policies::sender::{LetterHeader, LetterKind};
use policies::statement::{Header, Purpose, Totals};

use super::file::{FileError, RawRow, Reading, Source, block_digest};
use super::{Counts, Progress, PushError};
use crate::bureau::manifest::SignedManifest;
use crate::gateway::Gateway;

/// A file that was found to agree with its manifest: the digest of every block, for the second reading.
pub(super) struct Proved {
    pub columns: Columns,
    pub blocks: Vec<[u8; 32]>,
}

/// What the rows of a file are.
pub(super) enum Columns {
    Rows(Header),
    /// Of a kind that a policy defines.
    Letters(LetterKind, LetterHeader),
    /// Numbers of statements that are withdrawn.
    Statements,
}

/// The file's first reading: columns, rows, sums and digest are those that were signed.
pub(super) fn prove(gateway: &Gateway, source: &Source, signed: &SignedManifest, progress: &mut dyn FnMut(Progress) -> bool) -> Result<Proved, PushError> {
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
                // An amount that cannot be read adds nothing: sums that were signed without it agree, and the row says why when it is judged.
                Columns::Rows(header) => match header.record(&fields) {
                    Ok(record) => drop(totals.add(&record)),
                    Err(_) => totals.add_unreadable(),
                },
                Columns::Letters(kind, header) => match kind.total() {
                    Some(column) => totals.add_close(column, header.record(&fields).ok().and_then(|record| record.total(kind))),
                    None => totals.count(),
                },
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

/// The next block of the second reading, which must be that of the first.
pub(super) fn next(reading: &mut Reading, expected: &[u8; 32]) -> Result<Vec<RawRow>, PushError> {
    let rows = reading.block()?;
    if block_digest(&rows) == *expected { Ok(rows) } else { Err(FileError::Changed.into()) }
}
