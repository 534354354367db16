//! Segments made one: eight of a size become one of the next, so that a search opens a few where there would be hundreds; and one that
//! knows contents which are in the mailbox no more is made anew without them. Shelf by shelf: no more is in memory than one shelf of
//! each.
//!
//! 1. the new shelves, of a number that no list names yet, marked as leaving, in case nothing comes of it
//! 2. one commit: the new list, the old lists gone, the old shelves leaving
//! 3. what leaves is deleted; whatever ends this, the next look at the mailbox goes on with it

use std::collections::BTreeMap;

use store::{Batch, CommitError, Expectation, Key};

use super::{LEAST, MailError, MessageStore, Place, SEGMENT};
use crate::record::{RecordError, VERSION};
use crate::record::words::{self, Laid, SHELVES, Segment};

/// Segments of one size that become one.
const TOGETHER: usize = 8;
/// Contents from which on a segment is joined no further.
const LARGEST: usize = SEGMENT * TOGETHER * TOGETHER * TOGETHER;
/// Shelves of one commit.
const AT_ONCE: usize = 16;

/// A segment as it stands.
pub(super) struct Stored {
    pub number: u64,
    pub segment: Segment,
    pub bytes: Vec<u8>,
}

impl MessageStore {
    /// Joins and forgets until nothing is left to do, or `go_on` says no. Held by the caller: one at a time.
    pub(super) fn tidy(&self, mailbox: &str, forget: bool, go_on: &dyn Fn() -> bool) -> Result<(), MailError> {
        self.sweep_shelves(mailbox)?;
        loop {
            if !go_on() {
                return Ok(());
            }
            let stored = self.stored(mailbox)?;
            let due = due(&stored);
            let alive = if due.is_empty() && !forget { BTreeMap::new() } else { self.contents(mailbox)? };
            let has_dead = |one: &&Stored| one.segment.contents.iter().any(|content| !alive.contains_key(content));
            let group: Vec<&Stored> = match due.as_slice() {
                [] if forget => stored.iter().find(has_dead).into_iter().collect(),
                due => due.iter().filter_map(|at| stored.get(*at)).collect(),
            };
            if group.is_empty() {
                return Ok(());
            }
            self.join(mailbox, &group, &alive)?;
            self.sweep_shelves(mailbox)?;
        }
    }

    pub(super) fn stored(&self, mailbox: &str) -> Result<Vec<Stored>, MailError> {
        let (from, to) = words::segments(mailbox);
        let stored = self.store.scan(&from, &to, usize::MAX)?.into_iter().map(|(key, bytes)| {
            let (number, segment) = (words::segment_number(mailbox, &key)?, Segment::open(&key, &bytes, &self.key)?);
            Ok(Stored { number, segment, bytes })
        });
        stored.collect()
    }

    fn join(&self, mailbox: &str, group: &[&Stored], alive: &BTreeMap<u64, Place>) -> Result<(), MailError> {
        let joined = Joined::of(group, alive);
        let mut write = Batch::new();
        for one in group {
            let key = words::segment_key(mailbox, one.number);
            write = write.expect(Expectation::Equals(key.clone(), one.bytes.clone())).delete(key).put(words::leaving_key(mailbox, one.number), vec![VERSION]);
        }
        if !joined.segment.contents.is_empty() {
            // 1
            let mut numbers = Batch::new();
            let slot = numbers.next(&words::segment_counter(mailbox));
            let number = self.store.commit(numbers)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
            self.store.commit(Batch::new().put(words::leaving_key(mailbox, number), vec![VERSION]))?;
            let all: Vec<u64> = (0..SHELVES).collect();
            for some in all.chunks(AT_ONCE) {
                let mut shelves = Batch::new();
                for &shelf in some {
                    let laid = joined.shelf(|number| self.opened_shelf(mailbox, number, shelf))?;
                    let key = words::shelf_key(mailbox, number, shelf);
                    let sealed = words::seal_shelf(&key, &laid, joined.segment.contents.len(), &self.key)?;
                    shelves = shelves.put(key, sealed);
                }
                self.store.commit(shelves)?;
            }
            let key = words::segment_key(mailbox, number);
            write = write.put(key.clone(), joined.segment.seal(&key, &self.key)?).delete(words::leaving_key(mailbox, number));
        }
        // 2
        match self.store.commit(write) {
            // The index was dropped meanwhile.
            Err(CommitError::Conflict { .. }) => Ok(()),
            done => Ok(done.map(|_| ())?),
        }
    }

    fn opened_shelf(&self, mailbox: &str, number: u64, shelf: u64) -> Result<Vec<Laid>, MailError> {
        let key = words::shelf_key(mailbox, number, shelf);
        let stored = self.store.get(&key)?.ok_or(RecordError::Damaged { kind: "search shelf", reason: "it is missing though its segment stands; make the index anew with `mailgw mailbox reindex`" })?;
        Ok(words::open_shelf(&key, &stored, &self.key)?)
    }

    fn sweep_shelves(&self, mailbox: &str) -> Result<(), MailError> {
        let (from, to) = words::leaving(mailbox);
        for (mark, _) in self.store.scan(&from, &to, usize::MAX)? {
            let number = words::leaving_number(mailbox, &mark)?;
            let write = (0..SHELVES).map(|shelf| words::shelf_key(mailbox, number, shelf)).fold(Batch::new().delete(mark), Batch::delete);
            self.store.commit(write)?;
        }
        Ok(())
    }
}

/// The segments to be joined next, by their places in the list: the smallest size first.
fn due(stored: &[Stored]) -> Vec<usize> {
    let mut sizes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, one) in stored.iter().enumerate() {
        let count = one.segment.contents.len();
        if count * TOGETHER <= LARGEST {
            let mut size = LEAST;
            while count > size {
                size *= TOGETHER;
            }
            sizes.entry(size).or_default().push(at);
        }
    }
    let full = sizes.into_values().find(|places| places.len() >= TOGETHER);
    full.map(|places| places.into_iter().take(TOGETHER).collect()).unwrap_or_default()
}

/// What the segments become, and where each place of theirs goes.
struct Joined {
    segment: Segment,
    places: Vec<(u64, Vec<Option<u32>>)>,
}

impl Joined {
    fn of(group: &[&Stored], alive: &BTreeMap<u64, Place>) -> Self {
        let is_alive = |content: &&u64| alive.contains_key(content);
        let mut contents: Vec<u64> = group.iter().flat_map(|one| one.segment.contents.iter()).filter(is_alive).copied().collect();
        contents.sort_unstable();
        contents.dedup();
        let place = |content: &u64| contents.binary_search(content).ok().and_then(|place| u32::try_from(place).ok());
        let places: Vec<(u64, Vec<Option<u32>>)> = group.iter().map(|one| (one.number, one.segment.contents.iter().map(place).collect())).collect();
        let unread_of = |(one, (_, places)): (&&Stored, &(u64, Vec<Option<u32>>))| {
            let new = |old: &u32| places.get(*old as usize).copied().flatten();
            one.segment.unread.iter().filter_map(new).collect::<Vec<u32>>()
        };
        let mut unread: Vec<u32> = group.iter().zip(&places).flat_map(unread_of).collect();
        unread.sort_unstable();
        Self { segment: Segment { contents, unread }, places }
    }

    /// A shelf of all of them, out of those that `open` opens.
    fn shelf(&self, open: impl Fn(u64) -> Result<Vec<Laid>, MailError>) -> Result<Vec<Laid>, MailError> {
        let mut all = Vec::new();
        for (number, places) in &self.places {
            let new = |laid: Laid| Some(Laid::new(laid.run(), places.get(laid.place() as usize).copied().flatten()?));
            all.extend(open(*number)?.into_iter().filter_map(new));
        }
        // Each of them is in order, which this sort makes use of.
        all.sort();
        all.dedup();
        Ok(all)
    }
}

/// Mailboxes where a message went since their index was last made to forget.
pub(in crate::mailbox) fn note_removal(batch: &mut Batch, mailbox: &str) {
    let slot = batch.next(&words::removals_counter(mailbox));
    *batch = std::mem::take(batch).put(words::stale_key(mailbox), words::stale_template(slot));
}

impl MessageStore {
    /// Makes every index forget what is in its mailbox no more; how many mailboxes. One that was not done with when `go_on` said no keeps
    /// its mark and is looked at again.
    pub fn forget_removed(&self, go_on: &dyn Fn() -> bool) -> Result<usize, MailError> {
        let (from, to) = words::all_stale();
        let mut done = 0;
        for (key, mark) in self.store.scan(&from, &to, usize::MAX)? {
            if !go_on() {
                break;
            }
            let mailbox = words::stale_mailbox(&key)?;
            let forgotten = {
                let _one = self.due.alone();
                self.tidy(&mailbox, true, go_on)
            };
            let whole = forgotten.and_then(|()| Ok(go_on() && self.outline(&mailbox, true, go_on)?));
            match whole.and_then(|whole| if whole { self.unmark(key, mark).map(|()| true) } else { Ok(false) }) {
                Ok(true) => done += 1,
                Ok(false) => break,
                // One that cannot be read keeps no other from forgetting.
                Err(error) => tracing::warn!(%error, mailbox, "the search index of a mailbox cannot forget what was deleted"),
            }
        }
        Ok(done)
    }

    /// Unless more was removed meanwhile.
    fn unmark(&self, key: Key, mark: Vec<u8>) -> Result<(), MailError> {
        match self.store.commit(Batch::new().expect(Expectation::Equals(key.clone(), mark)).delete(key)) {
            Err(CommitError::Conflict { .. }) => Ok(()),
            done => Ok(done.map(|_| ())?),
        }
    }
}
