//! The search index of a mailbox, in segments of some hundred messages. Each segment has a list of the contents it knows,
//! and 256 shelves on which lies, for every run of one to three characters, in which of them it stands. List and shelves are
//! compressed and sealed for their place: `1 | sealed (size u32 | zstd frame)`. Numbers within are LEB128.

use keys::DataKey;
use store::{CounterSlot, Key, Part, Template};

use super::{RecordError, VERSION, versioned};

const SEGMENT: &str = "search segment";
const LEAVING: &str = "search leaving";
const STALE: &str = "search stale";
const SHELF: &str = "search shelf";
pub const SHELVES: u64 = 256;
/// The most bytes of one record before compression; a segment is cut long before.
const MAX_BYTES: usize = 64 << 20;
/// The third level makes a little less of it and takes twice as long.
const LEVEL: i32 = 1;

pub fn segment_key(mailbox: &str, number: u64) -> Key {
    Key::numbered(SEGMENT, &[mailbox.as_bytes()], number)
}

/// What numbers the segments of a mailbox.
pub fn segment_counter(mailbox: &str) -> String {
    format!("search segment/{mailbox}")
}

pub fn segments(mailbox: &str) -> (Key, Key) {
    Key::range(SEGMENT, &[mailbox.as_bytes()])
}

pub fn segment_number(mailbox: &str, key: &Key) -> Result<u64, RecordError> {
    key.number(SEGMENT, &[mailbox.as_bytes()]).ok_or(RecordError::Damaged { kind: SEGMENT, reason: "its key holds no number" })
}

/// `number`: of the segment. Shelves of one segment stand side by side.
pub fn shelf_key(mailbox: &str, number: u64, shelf: u64) -> Key {
    Key::numbered(SHELF, &[mailbox.as_bytes()], number.saturating_mul(SHELVES).saturating_add(shelf % SHELVES))
}

pub fn shelves(mailbox: &str) -> (Key, Key) {
    Key::range(SHELF, &[mailbox.as_bytes()])
}

/// Shelves that no list names any more, or none yet.
pub fn leaving_key(mailbox: &str, number: u64) -> Key {
    Key::numbered(LEAVING, &[mailbox.as_bytes()], number)
}

pub fn leaving(mailbox: &str) -> (Key, Key) {
    Key::range(LEAVING, &[mailbox.as_bytes()])
}

pub fn leaving_number(mailbox: &str, key: &Key) -> Result<u64, RecordError> {
    key.number(LEAVING, &[mailbox.as_bytes()]).ok_or(RecordError::Damaged { kind: LEAVING, reason: "its key holds no number" })
}

/// A mailbox where messages went since its index forgot any.
pub fn stale_key(mailbox: &str) -> Key {
    Key::new(STALE, &[mailbox.as_bytes()])
}

/// Which removal was the last.
pub fn stale_template(removal: CounterSlot) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(removal)])
}

/// What numbers the removals of a mailbox.
pub fn removals_counter(mailbox: &str) -> String {
    format!("search stale/{mailbox}")
}

pub fn all_stale() -> (Key, Key) {
    Key::range(STALE, &[])
}

pub fn stale_mailbox(key: &Key) -> Result<String, RecordError> {
    let mailbox = key.last_part().and_then(|mailbox| String::from_utf8(mailbox).ok());
    mailbox.ok_or(RecordError::Damaged { kind: STALE, reason: "its key holds no mailbox" })
}

/// Contents by number, ascending. Of those in `unread`, by their place in the list, nothing is on the shelves: whatever is looked
/// for may be in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub contents: Vec<u64>,
    pub unread: Vec<u32>,
}

impl Segment {
    pub fn seal(&self, key: &Key, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
        let mut plain = Vec::new();
        write_rising(&self.contents, &mut plain);
        write_rising(&self.unread.iter().map(|place| u64::from(*place)).collect::<Vec<_>>(), &mut plain);
        seal(key, &plain, data_key)
    }

    pub fn open(key: &Key, stored: &[u8], data_key: &DataKey) -> Result<Self, RecordError> {
        let plain = open(SEGMENT, key, stored, data_key)?;
        let damaged = RecordError::Damaged { kind: SEGMENT, reason: "it is no list of contents" };
        let read = |rest: &mut &[u8]| read_rising(rest).ok_or(damaged.clone());
        let mut rest = plain.as_slice();
        let (contents, unread) = (read(&mut rest)?, read(&mut rest)?);
        let unread: Vec<u32> = unread.into_iter().filter_map(|place| u32::try_from(place).ok()).collect();
        if rest.is_empty() && unread.iter().all(|place| (*place as usize) < contents.len()) { Ok(Self { contents, unread }) } else { Err(damaged) }
    }
}

/// A run of characters in a kind of text: `(kind of text, run)`.
pub type Run = (u8, u64);

/// A run and the place of a message that has it. One number, which sorts quickly: the run's kind, the run, the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Laid(u128);

impl Laid {
    pub fn new((kind, run): Run, place: u32) -> Self {
        Self(u128::from(kind) << 96 | u128::from(run) << 32 | u128::from(place))
    }

    pub fn run(self) -> Run {
        ((self.0 >> 96) as u8, (self.0 >> 32) as u64)
    }

    pub fn place(self) -> u32 {
        self.0 as u32
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.0 >> 32 == other.0 >> 32
    }
}

/// One shelf, of what lies on it ascending and none of it twice.
pub fn seal_shelf(key: &Key, laid: &[Laid], documents: usize, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let (mut plain, mut list) = (Vec::with_capacity(laid.len() * 4), Vec::new());
    let mut before: Run = (0, 0);
    for places in laid.chunk_by(Laid::is_beside) {
        let Some((kind, run)) = places.first().map(|first| first.run()) else { continue };
        let from = if before.0 == kind { before.1 } else { 0 };
        plain.push(kind);
        write_number(run.wrapping_sub(from), &mut plain);
        before = (kind, run);
        list.clear();
        // One bit each where that is shorter: what stands in most messages costs next to nothing once compressed.
        if places.len() > documents / 8 {
            list.resize(1 + documents.div_ceil(8), 0);
            for place in places {
                if let Some(byte) = list.get_mut(1 + place.place() as usize / 8) {
                    *byte |= 1 << (place.place() % 8);
                }
            }
        } else {
            list.push(1);
            let mut last = 0;
            for place in places {
                write_number(u64::from(place.place().wrapping_sub(last)), &mut list);
                last = place.place();
            }
        }
        write_number(list.len() as u64, &mut plain);
        plain.extend_from_slice(&list);
    }
    seal(key, &plain, data_key)
}

/// The places of one run, ascending.
pub fn look_up(key: &Key, stored: &[u8], wanted: Run, data_key: &DataKey) -> Result<Vec<u32>, RecordError> {
    let plain = open(SHELF, key, stored, data_key)?;
    let found = places(&plain, wanted).ok_or(RecordError::Damaged { kind: SHELF, reason: "it is no list of runs" })?;
    Ok(found)
}

/// What lies on a shelf, as it was sealed.
pub fn open_shelf(key: &Key, stored: &[u8], data_key: &DataKey) -> Result<Vec<Laid>, RecordError> {
    let plain = open(SHELF, key, stored, data_key)?;
    all_laid(&plain).ok_or(RecordError::Damaged { kind: SHELF, reason: "it is no list of runs" })
}

fn all_laid(plain: &[u8]) -> Option<Vec<Laid>> {
    let (mut rest, mut before, mut all): (&[u8], Run, _) = (plain, (0, 0), Vec::with_capacity(plain.len() / 4));
    while !rest.is_empty() {
        let (run, list) = next_run(&mut rest, before)?;
        before = run;
        listed(list, |place| all.push(Laid::new(run, place)))?;
    }
    Some(all)
}

fn next_run<'a>(rest: &mut &'a [u8], before: Run) -> Option<(Run, &'a [u8])> {
    let (kind, after) = rest.split_first()?;
    *rest = after;
    let from = if before.0 == *kind { before.1 } else { 0 };
    let run = (*kind, from.wrapping_add(read_number(rest)?));
    let length = usize::try_from(read_number(rest)?).ok()?;
    let (list, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((run, list))
}

fn places(plain: &[u8], wanted: Run) -> Option<Vec<u32>> {
    let (mut rest, mut before): (&[u8], Run) = (plain, (0, 0));
    while !rest.is_empty() {
        let (run, list) = next_run(&mut rest, before)?;
        before = run;
        if run > wanted {
            return Some(Vec::new());
        }
        if run == wanted {
            let mut all = Vec::new();
            return listed(list, |place| all.push(place)).map(|()| all);
        }
    }
    Some(Vec::new())
}

fn listed(list: &[u8], mut on: impl FnMut(u32)) -> Option<()> {
    let (form, mut rest) = list.split_first()?;
    if *form == 0 {
        for (at, byte) in (0_u32..).zip(rest) {
            (0..8).filter(|bit| byte & (1 << bit) != 0).for_each(|bit| on(at * 8 + bit));
        }
        return Some(());
    }
    let mut last = 0_u32;
    while !rest.is_empty() {
        last = last.checked_add(u32::try_from(read_number(&mut rest)?).ok()?)?;
        on(last);
    }
    Some(())
}

fn seal(key: &Key, plain: &[u8], data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let too_long = RecordError::Damaged { kind: SHELF, reason: "it would be too long" };
    let size = u32::try_from(plain.len()).ok().filter(|_| plain.len() <= MAX_BYTES).ok_or(too_long)?;
    let packed = zstd::bulk::compress(plain, LEVEL).map_err(|_| RecordError::Damaged { kind: SHELF, reason: "it cannot be compressed" })?;
    let sealed = data_key.seal(key.as_bytes(), &[size.to_be_bytes().as_slice(), &packed].concat())?;
    Ok([&[VERSION], sealed.as_slice()].concat())
}

fn open(kind: &'static str, key: &Key, stored: &[u8], data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let damaged = |reason| RecordError::Damaged { kind, reason };
    let packed = data_key.open(key.as_bytes(), versioned(kind, stored)?)?;
    let (size, packed) = packed.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok().filter(|size| *size <= MAX_BYTES).ok_or_else(|| damaged("it would be too long"))?;
    let plain = zstd::bulk::decompress(packed, size).map_err(|_| damaged("it does not decompress to its size"))?;
    if plain.len() == size { Ok(plain) } else { Err(damaged("it does not decompress to its size")) }
}

pub(super) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        // The lowest seven bits.
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

pub(super) fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_rising(numbers: &[u64], out: &mut Vec<u8>) {
    write_number(numbers.len() as u64, out);
    let mut last = 0;
    for number in numbers {
        write_number(number.wrapping_sub(last), out);
        last = *number;
    }
}

fn read_rising(rest: &mut &[u8]) -> Option<Vec<u64>> {
    let count = usize::try_from(read_number(rest)?).ok()?;
    // Each takes a byte at least.
    let mut numbers = Vec::with_capacity(count.min(rest.len()));
    let mut last = 0_u64;
    for _ in 0..count {
        last = last.checked_add(read_number(rest)?)?;
        numbers.push(last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::mailbox::test_keys::{data_key, other_data_key};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn sealed_for_their_place() {
        let segment = Segment { contents: vec![3, 9, 1 << 40], unread: vec![1] };
        let (key, elsewhere) = (segment_key("1234567897", 1), segment_key("1234567897", 2));
        let sealed = segment.seal(&key, &data_key()).unwrap();
        assert_eq!(Segment::open(&key, &sealed, &data_key()).unwrap(), segment);
        assert!(Segment::open(&elsewhere, &sealed, &data_key()).is_err());
        assert!(Segment::open(&key, &sealed, &other_data_key()).is_err());
        assert_eq!(segment_number("1234567897", &elsewhere).unwrap(), 2);
    }

    proptest! {
        #[test]
        fn what_is_put_on_a_shelf_is_found(runs in prop::collection::btree_map((0_u8..3, any::<u64>()), prop::collection::btree_set(0_u32..300, 1..200), 0..20)) {
            let runs: BTreeMap<Run, BTreeSet<u32>> = runs;
            let laid: Vec<Laid> = runs.iter().flat_map(|(run, places)| places.iter().map(|place| Laid::new(*run, *place))).collect();
            prop_assert!(laid.is_sorted());
            let key = shelf_key("1234567897", 7, 255);
            let sealed = seal_shelf(&key, &laid, 300, &data_key()).unwrap();
            prop_assert_eq!(&open_shelf(&key, &sealed, &data_key()).unwrap(), &laid);
            for (run, places) in &runs {
                prop_assert_eq!(&look_up(&key, &sealed, *run, &data_key()).unwrap(), &places.iter().copied().collect::<Vec<_>>());
                let next = (run.0, run.1.wrapping_add(1));
                prop_assert_eq!(look_up(&key, &sealed, next, &data_key()).unwrap().is_empty(), !runs.contains_key(&next));
            }
        }

        #[test]
        fn damaged_lists_end_in_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (places(&bytes, (1, 5)), all_laid(&bytes));
            let _ = listed(&bytes, |_| ());
            let _ = read_rising(&mut bytes.as_slice());
        }
    }
}
