//! Tombstones: which UIDs a commit removed from a folder, under the step of MODSEQ it took:
//! `1 | (first u32 | last u32)*`. Beside them the floor, `1 | step u64`: of removals up to it nothing is kept any more.

use store::{CounterSlot, Key, Template};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "expunged";
const FLOOR: &str = "expunged floor";

/// A key whose step the store gives.
pub fn new_key(folder: u64, step: CounterSlot) -> Template {
    Template::numbered(KIND, &[&folder.to_be_bytes()], step)
}

/// The removals of the steps after `step`.
pub fn after(folder: u64, step: u64) -> (Key, Key) {
    let parts: [&[u8]; 1] = [&folder.to_be_bytes()];
    (Key::numbered(KIND, &parts, step.saturating_add(1)), Key::range(KIND, &parts).1)
}

pub fn range(folder: u64) -> (Key, Key) {
    Key::range(KIND, &[&folder.to_be_bytes()])
}

pub fn step(folder: u64, key: &Key) -> Result<u64, RecordError> {
    key.number(KIND, &[&folder.to_be_bytes()]).ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no step" })
}

pub fn floor_key(folder: u64) -> Key {
    Key::numbered(FLOOR, &[], folder)
}

pub fn encode_floor(step: u64) -> Vec<u8> {
    [&[VERSION], step.to_be_bytes().as_slice()].concat()
}

pub fn floor(bytes: &[u8]) -> Result<u64, RecordError> {
    versioned(FLOOR, bytes)?.try_into().map(u64::from_be_bytes).map_err(|_| RecordError::Damaged { kind: FLOOR, reason: "it is no number" })
}

/// UIDs as ranges, both ends included; neighbours become one.
pub fn ranges(uids: impl IntoIterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut sorted: Vec<u32> = uids.into_iter().collect();
    sorted.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in sorted {
        match ranges.last_mut() {
            Some((_, last)) if uid <= last.saturating_add(1) => *last = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    ranges
}

pub fn encode(ranges: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (first, last) in ranges {
        bytes.extend(first.to_be_bytes());
        bytes.extend(last.to_be_bytes());
    }
    bytes
}

pub fn decode(bytes: &[u8]) -> Result<Vec<(u32, u32)>, RecordError> {
    let damaged = || RecordError::Damaged { kind: KIND, reason: "it is no list of ranges" };
    let (pairs, rest) = versioned(KIND, bytes)?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let pair = |[a, b, c, d, e, f, g, h]: &[u8; 8]| (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]));
    let ranges: Vec<(u32, u32)> = pairs.iter().map(pair).collect();
    if ranges.iter().all(|(first, last)| first <= last) { Ok(ranges) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_removed_is_read_back() {
        let found = ranges([7, 3, 1, 2, 9, 8, u32::MAX]);
        assert_eq!(found, [(1, 3), (7, 9), (u32::MAX, u32::MAX)]);
        assert_eq!(decode(&encode(&found)).unwrap(), found);
        assert_eq!(decode(&encode(&[])).unwrap(), []);
        for bad in [&[][..], &[2], &[1, 0, 0, 0], &[1, 0, 0, 0, 2, 0, 0, 0, 1]] {
            assert!(decode(bad).is_err());
        }
    }
}
