//! Checks an exported log from nothing but its files and the log's public key.

use crate::checkpoint::{Checkpoint, NoteError, VerifierKey};
use crate::hash::Hash;
use crate::tile::{Kind, Tile, TileError};
use crate::writer::{TileWriter, fetch};

/// What is wrong with one file of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault<E> {
    #[error("could not be read or written: {0}")]
    Io(E),
    #[error("is missing; export the log again")]
    Missing,
    #[error("{0}")]
    Content(TileError),
    #[error("does not hold the hashes of the entries: one or the other was changed")]
    Differs,
    #[error("{0}")]
    Note(NoteError),
    #[error("signs another root than the entries have: entries were changed, exchanged or left out")]
    WrongRoot,
    #[error("signs a log that does not continue the earlier checkpoint of {size} entries: the log was rewritten or shown differently to others; keep both checkpoints as proof")]
    SplitView { size: u64 },
    #[error("signs {found} entries, fewer than the {known} of an earlier checkpoint: the log was cut")]
    Shorter { found: u64, known: u64 },
}

/// The first file found wrong, by its path in the export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ExportError<E> {
    pub path: String,
    pub reason: Fault<E>,
}

impl<E> ExportError<E> {
    pub(crate) fn new(path: impl Into<String>, reason: Fault<E>) -> Self {
        Self { path: path.into(), reason }
    }
}

/// What an export was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    pub size: u64,
    pub root: Hash,
}

/// Checks every file of an export: the checkpoint's signature, every entry bundle, every hash tile, the root.
///
/// `read` gives the content of a file by its path in the export, `None` when there is none; it bounds what it reads.
/// One bundle and at most eight tiles are in memory. Files that no log of this size has are not looked at: compare
/// with [`Tile::all`].
pub fn verify_export<E>(
    read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    vkey: &VerifierKey,
) -> Result<Verified, ExportError<E>> {
    read_export(read, vkey, None, |_, _| ())
}

/// The same, and that the log continues the one that `older` signed: nothing before was changed or cut.
pub fn verify_growth<E>(
    read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    vkey: &VerifierKey,
    older: &Checkpoint,
) -> Result<Verified, ExportError<E>> {
    read_export(read, vkey, Some(older), |_, _| ())
}

/// The same, handing each entry with its index to `visit`. Believe what was visited only when all of it verified.
pub fn read_export<E>(
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    vkey: &VerifierKey,
    older: Option<&Checkpoint>,
    mut visit: impl FnMut(u64, &[u8]),
) -> Result<Verified, ExportError<E>> {
    let note = fetch("checkpoint", &mut read)?;
    let fault = |reason| ExportError::new("checkpoint", reason);
    let head = Checkpoint::open(&note, vkey).map_err(|why| fault(Fault::Note(why)))?;
    if let Some(older) = older {
        if older.origin() != head.origin() {
            let (found, expected) = (head.origin().to_owned(), older.origin().to_owned());
            return Err(fault(Fault::Note(NoteError::OtherLog { found, expected })));
        }
        if older.size() > head.size() {
            return Err(fault(Fault::Shorter { found: head.size(), known: older.size() }));
        }
    }
    let mut writer = TileWriter::new();
    let continues = |writer: &TileWriter| match older {
        Some(older) if older.size() == writer.size() && writer.tree().root() != *older.root() => {
            Err(fault(Fault::SplitView { size: older.size() }))
        }
        _ => Ok(()),
    };
    continues(&writer)?;
    for bundle in Tile::all(head.size()).take_while(|tile| tile.kind() == Kind::Entries) {
        let bytes = fetch(&bundle.path(), &mut read)?;
        let entries = bundle.entries(&bytes).map_err(|why| ExportError::new(bundle.path(), Fault::Content(why)))?;
        for entry in entries {
            visit(writer.size(), entry);
            // Tiles are written again from the entries and must come out as they were exported.
            writer.push(entry, |tile, made| same(tile, made, &mut read)).map_err(flatten)?;
            continues(&writer)?;
        }
    }
    writer.partials(|tile, made| same(tile, made, &mut read)).map_err(flatten)?;
    let root = writer.tree().root();
    if root != *head.root() {
        return Err(fault(Fault::WrongRoot));
    }
    Ok(Verified { size: head.size(), root })
}

fn same<E>(tile: Tile, made: &[u8], read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>, E>) -> Result<(), ExportError<E>> {
    if tile.kind() == Kind::Entries {
        return Ok(());
    }
    let found = fetch(&tile.path(), read)?;
    tile.hashes(&found).map_err(|why| ExportError::new(tile.path(), Fault::Content(why)))?;
    if found == made { Ok(()) } else { Err(ExportError::new(tile.path(), Fault::Differs)) }
}

/// The writer wraps what `same` said; give the inner error, which names the file.
fn flatten<E>(error: ExportError<ExportError<E>>) -> ExportError<E> {
    let path = error.path;
    let reason = match error.reason {
        Fault::Io(inner) => return inner,
        Fault::Missing => Fault::Missing,
        Fault::Content(why) => Fault::Content(why),
        Fault::Differs => Fault::Differs,
        Fault::Note(why) => Fault::Note(why),
        Fault::WrongRoot => Fault::WrongRoot,
        Fault::SplitView { size } => Fault::SplitView { size },
        Fault::Shorter { found, known } => Fault::Shorter { found, known },
    };
    ExportError { path, reason }
}
