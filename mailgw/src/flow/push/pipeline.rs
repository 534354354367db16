//! The file's second reading: while one block is committed the next is sealed, and the one after that is decided.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;

use super::block::Work;
use super::file::{Reading, Source};
use super::proof::{Proved, next};
use super::{Counts, Progress, PushError};

/// Blocks whose commit may not be done while a later one is decided and sealed: nothing waits between the three stages.
const UNDER_WAY: usize = 2;

/// The statements of the blocks before: nothing is sealed that may turn out to be one of them again.
#[derive(Default)]
struct UnderWay(VecDeque<HashSet<String>>);

impl UnderWay {
    /// Whether the next block, of these statements, has none of theirs.
    fn admit(&mut self, statements: HashSet<String>) -> bool {
        let free = self.0.iter().all(|before| before.is_disjoint(&statements));
        if self.0.len() == UNDER_WAY {
            self.0.pop_front();
        }
        self.0.push_back(statements);
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
            let mut under_way = UnderWay::default();
            for (number, block) in decided {
                let block = block.and_then(|(decided, rows)| {
                    let is_free = under_way.admit(decided.as_ref().map(|decided| decided.statements()).unwrap_or_default());
                    Ok((decided.filter(|_| is_free).map(|decided| work.prepare(decided)).transpose()?, rows))
                });
                let failed = block.is_err();
                if sealed_to.send((number, block)).is_err() || failed {
                    return;
                }
            }
        });
        // What nobody takes any more ends with this, however it ends: a panic here, too, stops the push and is told like that of a thread.
        let committed = catch_unwind(AssertUnwindSafe(|| {
            sealed.into_iter().try_for_each(|(number, block)| {
                let (prepared, rows) = block?;
                let outcomes = work.commit(number, &proved.columns, &rows, prepared)?;
                so_far.done += outcomes.len() as u64;
                outcomes.iter().for_each(|outcome| so_far.counts.add(&outcome.state));
                if progress(so_far) { Ok(()) } else { Err(PushError::Stopped) }
            })
        }));
        let committed = committed.unwrap_or(Err(PushError::BrokeOff));
        // Joined here: a panic that the scope finds would go on through whoever pushes.
        let whole = [deciding.join(), sealing.join()].iter().all(Result::is_ok);
        committed?;
        // A thread that ended without a word has left blocks undone.
        if whole && so_far.done == rows { Ok(so_far.counts.delivered) } else { Err(PushError::BrokeOff) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_waits_for_those_before_it_that_name_its_statements() {
        let mut under_way = UnderWay::default();
        let blocks = [(vec!["a", "b"], true), (vec!["c"], true), (vec!["b"], false), (vec!["a"], true), (vec![], true), (vec!["a", "d"], false), (vec!["b"], true)];
        for (at, (statements, free)) in blocks.into_iter().enumerate() {
            assert_eq!(under_way.admit(statements.into_iter().map(str::to_owned).collect()), free, "block {at}");
        }
    }
}
