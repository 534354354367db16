//! What of a message goes on the shelves: every run of one, two and three characters of its folded texts. A string of up to
//! three characters is then answered without opening a message, in any script and within words; a longer one is looked for
//! where all its runs are. What is asked and what is kept are read by the same code of `protocol`.

use std::collections::BTreeSet;

use protocol::imap::content::Searchable;
use protocol::imap::exchange::{Needle, Place};

use crate::record::words::{Run, SHELVES};

/// The longest run.
const LONGEST: usize = 3;
/// Bytes of folded text from which on a message is not read for the index: it is opened by every search instead.
const MAX_TEXT: usize = 512 << 10;
/// Runs of one long string that are looked up: enough to leave few messages.
const LOOKED_UP: usize = 12;

const BODY: u8 = 0;
const HEADER: u8 = 1;
/// Fields with shelves of their own; others are looked for among all.
const FIELDS: [(&str, u8); 4] = [("SUBJECT", 2), ("FROM", 3), ("TO", 4), ("CC", 5)];

/// What to look up for a needle.
pub(super) struct Question {
    /// Each is a way to be found: all runs of one of them.
    pub ways: Vec<Vec<Run>>,
    /// Whether having the runs is holding the needle.
    pub exact: bool,
}

pub(super) fn question(needle: &Needle) -> Question {
    let chars: Vec<char> = needle.text.chars().collect();
    let short = chars.len() <= LONGEST;
    let runs = if short { vec![run(&chars)] } else { spread(chars.windows(LONGEST).map(run).collect()) };
    let on = |kind: u8| runs.iter().map(|run| (kind, *run)).collect::<Vec<Run>>();
    match &needle.place {
        Place::Body => Question { ways: vec![on(BODY)], exact: short },
        Place::Text => Question { ways: vec![on(BODY), on(HEADER)], exact: short },
        Place::Field(name) => match FIELDS.iter().find(|(known, _)| known == name) {
            Some((_, kind)) => Question { ways: vec![on(*kind)], exact: short },
            None => Question { ways: vec![on(HEADER)], exact: false },
        },
    }
}

/// At most so many of them, from the first to the last.
fn spread(runs: Vec<u64>) -> Vec<u64> {
    let distinct: Vec<u64> = runs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let step = distinct.len().div_ceil(LOOKED_UP).max(1);
    distinct.into_iter().step_by(step).collect()
}

/// Tells the runs of a message, in no order and some more than once; `None` when it has too much text.
pub(super) fn of(bytes: &[u8], mut on: impl FnMut(Run)) -> Option<()> {
    let message = Searchable::new(bytes, &[]);
    let fields = message.fields();
    let header: usize = fields.iter().map(|(_, value)| value.len()).sum();
    let texts = message.texts(MAX_TEXT.checked_sub(header)?)?;
    texts.iter().for_each(|text| each(text, |run| on((BODY, run))));
    for (name, value) in fields {
        each(value, |run| on((HEADER, run)));
        if let Some((_, kind)) = FIELDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            each(value, |run| on((*kind, run)));
        }
    }
    Some(())
}

fn each(text: &str, mut on: impl FnMut(u64)) {
    // The two characters before, with the run's bits for what is not there.
    let (mut second, mut first) = (0, 0);
    for ch in text.chars() {
        let one = bits(ch);
        on(one);
        if first != 0 {
            on(first << 21 | one);
        }
        if second != 0 {
            on(second << 42 | first << 21 | one);
        }
        (second, first) = (first, one);
    }
}

/// Not 0, below 2^21.
fn bits(ch: char) -> u64 {
    u64::from(u32::from(ch)) + 1
}

fn run(chars: &[char]) -> u64 {
    chars.iter().fold(0, |run, ch| run << 21 | bits(*ch))
}

/// The shelf a run lies on.
pub(super) fn shelf(run: Run) -> u64 {
    spread_of(run) % SHELVES
}

/// 24 bits in which runs that are alike differ.
pub(super) fn spread_of((kind, run): Run) -> u64 {
    run.wrapping_add(u64::from(kind) << 58).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}
