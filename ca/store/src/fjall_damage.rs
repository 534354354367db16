//! What fjall 3.1 does not look at when it opens: two kinds of damage it would take for truth.

use std::fs;
use std::path::Path;

use fjall::{AbstractTree, Keyspace};
use xxhash_rust::xxh3::xxh3_128;

use crate::contract::StoreError;
use crate::fjall_engine::failed;
use crate::plan::decode;
use crate::{Key, record};

fn corrupt(reason: &str) -> StoreError {
    StoreError::Corrupt { reason: reason.to_owned() }
}

/// Each tree's list of tables against the checksum in its `current`: fjall writes it and never compares it. Under a
/// damaged list tables would be left out, or the process would end in a second panic.
pub(crate) fn lists_of_tables(directory: &Path) -> Result<(), StoreError> {
    let keyspaces = directory.join("keyspaces");
    if !keyspaces.exists() {
        return Ok(());
    }
    let disk = |error: std::io::Error| failed(error.into());
    for keyspace in fs::read_dir(keyspaces).map_err(disk)? {
        let place = keyspace.map_err(disk)?.path();
        let current = place.join("current");
        // A tree whose making was cut short has none; fjall makes it anew.
        if !current.exists() {
            continue;
        }
        let current = fs::read(current).map_err(disk)?;
        let Some((id, [checksum @ .., 0])) = current.split_first_chunk::<8>().map(|(id, rest)| (u64::from_le_bytes(*id), rest)) else {
            return Err(corrupt("a tree's current version is not told as it should be"));
        };
        let list = fs::read(place.join(format!("v{id}"))).map_err(disk)?;
        if checksum != xxh3_128(&list).to_le_bytes() {
            return Err(corrupt("a list of tables does not fit its checksum"));
        }
    }
    Ok(())
}

/// The record that counts the groups: every group writes the next number.
pub(crate) fn group_key() -> Key {
    Key::new("\u{1}group", &[])
}

pub(crate) fn group(stored: &[u8]) -> Result<u64, StoreError> {
    decode(Some(record::open(&group_key(), stored.to_vec())?))
}

/// The groups replayed from the journal follow each other without a gap, in the order they were written, and the first
/// of them follows the last one in a table. The journal's checksum leaves out a group's place in that order: under a
/// flipped bit an old value would stand over a newer one. Gives the last number.
pub(crate) fn order_of_groups(records: &Keyspace) -> Result<u64, StoreError> {
    let key = group_key();
    let mut replayed = Vec::new();
    for item in records.tree.active_memtable().iter() {
        if *item.key.user_key == *key.as_bytes() {
            replayed.push((item.key.seqno, group(&item.value)?));
        }
    }
    replayed.sort_unstable();
    let earliest = replayed.first().map_or(u64::MAX >> 1, |(place, _)| *place);
    let mut last = records.tree.get(key.as_bytes(), earliest).map_err(|error| failed(error.into()))?.map_or(Ok(0), |stored| group(&stored))?;
    for (_, number) in replayed {
        if Some(number) != last.checked_add(1) {
            return Err(corrupt("the journal's groups are not in the order they were written"));
        }
        last = number;
    }
    Ok(last)
}
