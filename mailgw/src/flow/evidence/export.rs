//! Evidence of a push, or of one of its rows, into a file that proves itself.

use std::io::Write;
use std::path::PathBuf;

use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};

use super::EvidenceError;
use crate::erds::{Item, Line, Shown, Timestamp};
use crate::flow::whole_file::WholeFile;
use crate::gateway::Gateway;
use crate::record::{RecordError, access};
use crate::record::evidence::{self, Seal, Stamp, leaves};

/// Batches looked up at a time.
const PAGE: usize = 256;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub bureau: String,
    /// The bureau's name for its push.
    pub batch: String,
    /// One row's alone, with its path; the whole push's when absent.
    pub row: Option<u64>,
    pub file: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    pub file: PathBuf,
    pub batches: u64,
    pub items: u64,
}

/// 1 all that waits is signed · 2 batch by batch into a new file that nobody else may read · 3 which takes its name when it
/// is whole.
pub fn export(gateway: &Gateway, lists: &RevocationLists, wanted: &Wanted) -> Result<Exported, EvidenceError> {
    let failed = |error: std::io::Error| EvidenceError::File { path: wanted.file.clone(), reason: error.to_string() };
    // 1
    super::seal(gateway, lists)?;
    // 2
    let mut file = WholeFile::create(&wanted.file).map_err(failed)?;
    let mut exported = Exported { file: wanted.file.clone(), batches: 0, items: 0 };
    write(gateway, wanted, &mut exported, &mut |line| {
        serde_json::to_writer(&mut file.writer, &line).map_err(|error| failed(error.into()))?;
        file.writer.write_all(b"\n").map_err(failed)
    })?;
    // 3
    file.finish().map_err(failed)?;
    Ok(exported)
}

fn write(gateway: &Gateway, wanted: &Wanted, exported: &mut Exported, out: &mut dyn FnMut(Line) -> Result<(), EvidenceError>) -> Result<(), EvidenceError> {
    let store = &*gateway.store;
    let mut from = None;
    loop {
        let page = evidence::of_push(store, &wanted.bureau, &wanted.batch, from.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = Some(last.clone());
        for (_, number) in &page {
            let Some(line) = line(gateway, *number, wanted)? else { continue };
            exported.batches += 1;
            exported.items += line.items.len() as u64;
            out(line)?;
        }
    }
    // What was fetched of it since, said in batches that speak of other pushes too.
    let (first, end) = access::of_push(&wanted.bureau, &wanted.batch);
    let mut next = first;
    loop {
        let page = store.scan(&next, &end, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        next = last.successor();
        for (_, value) in &page {
            let Some(line) = line(gateway, access::number(value)?, wanted)? else { continue };
            exported.batches += 1;
            exported.items += line.items.len() as u64;
            out(line)?;
        }
    }
    match wanted.row {
        _ if exported.items > 0 => Ok(()),
        Some(row) if from.is_some() => Err(EvidenceError::UnknownRow { batch: wanted.batch.clone(), row }),
        _ => Err(EvidenceError::UnknownPush { bureau: wanted.bureau.clone(), batch: wanted.batch.clone() }),
    }
}

/// What is shown of a batch; `None` where nothing of it is wanted.
pub(in crate::flow) fn line(gateway: &Gateway, number: u64, wanted: &Wanted) -> Result<Option<Line>, EvidenceError> {
    let store = &*gateway.store;
    let missing = |reason| RecordError::Damaged { kind: "evidence batch", reason };
    let lines = evidence::items(store, number)?.ok_or_else(|| missing("it is not where its place says"))?;
    let is_wanted = |item: &str| match Item::read(item) {
        Ok(item) => Ok(item.sender_details == wanted.bureau && item.submission.batch == wanted.batch && wanted.row.is_none_or(|row| item.submission.row == row)),
        Err(_) => Err(missing("an item cannot be read")),
    };
    let hashes = leaves(&lines);
    let shown: Vec<bool> = lines.iter().map(|line| is_wanted(line)).collect::<Result<_, _>>()?;
    // A batch that is shown whole proves its own root.
    let whole = wanted.row.is_none() && shown.iter().all(|shown| *shown);
    let mut items = Vec::new();
    for ((index, item), _) in lines.into_iter().enumerate().zip(shown).filter(|(_, shown)| *shown) {
        let path = (!whole).then(|| merkle::inclusion(&hashes, index)).transpose().map_err(|_| missing("its tree has no such leaf"))?;
        let path = path.map(|path| path.iter().map(|hash| crate::hex(hash)).collect());
        items.push(Shown { index: index as u64, item, path });
    }
    if items.is_empty() {
        return Ok(None);
    }
    let seal = Seal::of(store, number)?.ok_or_else(|| missing("its signature is not there"))?;
    let list = |name: &String| evidence::list(store, name)?.ok_or_else(|| EvidenceError::Record(missing("a revocation list is not there")));
    let revocation_lists = seal.lists.iter().map(list).collect::<Result<_, _>>()?;
    let timestamp = match Stamp::of(store, number)? {
        Some(stamp) => Some(Timestamp { revocation_lists: stamp.lists.iter().map(list).collect::<Result<_, _>>()?, token: stamp.token }),
        None => None,
    };
    Ok(Some(Line { statement: seal.statement, signature: seal.signature, revocation_lists, timestamp, items }))
}
