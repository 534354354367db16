//! The file's second reading: while one block is committed the next is put together, the one after that is sealed, and one more is decided.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;

use super::block::{SoFar, Work};
use super::file::{Reading, Source};
use super::proof::{Proved, next};
use super::{Counts, Progress, PushError};

/// Blocks whose commit may not be done while a later one is decided, and while a later one is put together: nothing waits between the
/// stages.
const WHILE_DECIDED: usize = 3;
const WHILE_ASSEMBLED: usize = 1;

/// What the blocks before are of.
struct UnderWay<T> {
    most: usize,
    before: VecDeque<HashSet<T>>,
}

impl<T: Eq + Hash> UnderWay<T> {
    fn of(most: usize) -> Self {
        Self { most, before: VecDeque::new() }
    }

    /// Whether the next block has nothing of theirs.
    fn admit(&mut self, next: HashSet<T>) -> bool {
        let free = self.before.iter().all(|before| before.is_disjoint(&next));
        if self.before.len() == self.most {
            self.before.pop_front();
        }
        self.before.push_back(next);
        free
    }
}

/// Delivers all blocks in their order; how many statements. A block whose turn comes before what it rests on is decided anew then.
pub(super) fn deliver(work: &Work<'_>, proved: &Proved, source: &Source, rows: u64, progress: &mut dyn FnMut(Progress) -> bool) -> Result<u64, PushError> {
    let mut reading = Reading::open(source)?;
    let mut so_far = Progress { rows, done: 0, counts: Counts::default() };
    std::thread::scope(|scope| {
        let (decided_to, decided) = sync_channel(0);
        let (sealed_to, sealed) = sync_channel(0);
        let (ready_to, ready) = sync_channel(0);
        let deciding = scope.spawn(move || {
            for (number, expected) in (0_u64..).zip(&proved.blocks) {
                let block = next(&mut reading, expected).and_then(|rows| Ok((work.decide(number, &proved.columns, &rows)?, rows)));
                let failed = block.is_err();
                // Whoever goes on with it has stopped, or will at this error.
                if decided_to.send((number, block)).is_err() || failed {
                    return;
                }
            }
        });
        let sealing = scope.spawn(move || {
            // Nothing is sealed that may turn out to be one of their statements again.
            let mut under_way = UnderWay::of(WHILE_DECIDED);
            for (number, block) in decided {
                let block = block.and_then(|(decided, rows)| {
                    let is_free = under_way.admit(decided.as_ref().map(|decided| decided.statements()).unwrap_or_default());
                    let mailboxes = decided.as_ref().map(|decided| decided.mailboxes()).unwrap_or_default();
                    Ok((decided.filter(|_| is_free).map(|decided| work.prepare(decided)).transpose()?, mailboxes, rows))
                });
                let failed = block.is_err();
                if sealed_to.send((number, block)).is_err() || failed {
                    return;
                }
            }
        });
        let assembling = scope.spawn(move || {
            // The room of a mailbox is found when all that came before has come.
            let mut under_way = UnderWay::of(WHILE_ASSEMBLED);
            for (number, block) in sealed {
                let block = block.and_then(|(prepared, mailboxes, rows)| {
                    let is_free = under_way.admit(mailboxes);
                    let so_far = match prepared {
                        None => SoFar::Nothing,
                        Some(prepared) if is_free => SoFar::Ready(work.ready(number, prepared)?),
                        Some(prepared) => SoFar::Sealed(prepared),
                    };
                    Ok((so_far, rows))
                });
                let failed = block.is_err();
                if ready_to.send((number, block)).is_err() || failed {
                    return;
                }
            }
        });
        // What nobody takes any more ends with this, however it ends: a panic here, too, stops the push and is told like that of a thread.
        let committed = catch_unwind(AssertUnwindSafe(|| {
            ready.into_iter().try_for_each(|(number, block)| {
                let (block, rows) = block?;
                let outcomes = work.commit(number, &proved.columns, &rows, block)?;
                so_far.done += outcomes.len() as u64;
                outcomes.iter().for_each(|outcome| so_far.counts.add(&outcome.state));
                if progress(so_far) { Ok(()) } else { Err(PushError::Stopped) }
            })
        }));
        let committed = committed.unwrap_or(Err(PushError::BrokeOff));
        // Joined here: a panic that the scope finds would go on through whoever pushes.
        let whole = [deciding.join(), sealing.join(), assembling.join()].iter().all(Result::is_ok);
        committed?;
        // A thread that ended without a word has left blocks undone.
        if whole && so_far.done == rows { Ok(so_far.counts.delivered) } else { Err(PushError::BrokeOff) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_waits_for_those_before_it_that_name_the_same() {
        let mut under_way = UnderWay::of(2);
        let blocks = [(vec!["a", "b"], true), (vec!["c"], true), (vec!["b"], false), (vec!["a"], true), (vec![], true), (vec!["a", "d"], false), (vec!["b"], true)];
        for (at, (statements, free)) in blocks.into_iter().enumerate() {
            assert_eq!(under_way.admit(statements.into_iter().map(str::to_owned).collect()), free, "block {at}");
        }
    }

    /// A block is remembered for as long as its commit may not be done at each stage, and no longer.
    #[test]
    fn each_stage_waits_for_as_many_as_are_under_way_beside_it() {
        for (most, waits) in [(WHILE_DECIDED, [true, true, true, false]), (WHILE_ASSEMBLED, [true, false, false, false])] {
            for (between, waits) in waits.into_iter().enumerate() {
                let mut under_way = UnderWay::of(most);
                assert!(under_way.admit(HashSet::from([0])));
                assert!((1..=between).all(|other| under_way.admit(HashSet::from([other]))));
                assert_eq!(under_way.admit(HashSet::from([0])), !waits, "{between} between, of {most}");
            }
        }
    }
}
