//! Search: an index beside the messages, built some hundred at a time as mail comes, and of the rest once it is some dozen that the index
//! does not know; fewer are read. So nothing is asked of a delivery, small mailboxes need no index, and a search is right at any moment:
//! what the index does not know is read, what it cannot decide is read.

mod merge;
mod runs;

pub(super) use merge::note_removal;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::imap::exchange::{Hits, Needle};
use store::{Batch, CommitError, Expectation, StoreError};

use super::messages::{MailError, MessageStore};
use crate::record::message::{self, Message};
use crate::record::words::{self, Laid, Run, SHELVES, Segment};

/// Messages of one segment.
pub const SEGMENT: usize = 512;
/// How many are read one by one before a segment is made of them: a search reads each of them, and costs as much as some thousand that are
/// in the index.
pub const LEAST: usize = 64;
/// Runs of one segment: some 50 MB while it is made.
const MAX_RUNS: usize = 2_000_000;
/// Runs that are known to have been told lately.
const SAID: usize = 1 << 12;
/// Mailboxes whose deliveries are counted.
const MOST_NOTED: usize = 50_000;
/// Looks at an index whose segments are joined meanwhile.
const LOOKS: usize = 3;
/// Records deleted in one commit.
const SWEEP: usize = 1_000;

/// Mailboxes that got mail since they were last looked at.
pub(super) struct Due {
    /// So many messages make one due.
    least: usize,
    delivered: Mutex<HashMap<String, usize>>,
    making: Mutex<()>,
}

impl Due {
    pub fn new(least: usize) -> Self {
        Self { least, delivered: Mutex::default(), making: Mutex::default() }
    }

    /// So many messages came to a mailbox.
    pub fn note(&self, mailbox: &str, messages: usize) {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        match delivered.get_mut(mailbox) {
            Some(count) => *count = count.saturating_add(messages),
            None => drop(delivered.insert(mailbox.to_owned(), messages)),
        }
        // A push reaches millions who get one message each. Who is forgotten here is found by a search.
        if delivered.len() > MOST_NOTED {
            delivered.retain(|_, count| *count > self.least / 4);
            if delivered.len() > MOST_NOTED {
                delivered.clear();
            }
        }
    }

    /// Held while what is due is made, so that none is made twice.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self) -> Vec<String> {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<String> = delivered.iter().filter(|(_, count)| **count >= self.least).map(|(mailbox, _)| mailbox.clone()).collect();
        delivered.retain(|_, count| *count < self.least);
        due
    }
}

/// What one look at the index found; not whole where a segment went meanwhile.
struct FoundOnce {
    known: Vec<u64>,
    hits: Vec<Hits>,
    is_whole: bool,
}

/// Where one message of a mailbox lies.
type Place = (u64, u32);

impl MessageStore {
    /// What the index says of each needle. What was delivered since its last segment it does not know.
    pub fn find(&self, mailbox: &str, needles: &[Needle]) -> Result<(Vec<u64>, Vec<Hits>), MailError> {
        let questions: Vec<runs::Question> = needles.iter().map(runs::question).collect();
        // Segments that were joined while they were read are read again as what they became.
        let mut found = self.find_once(mailbox, &questions)?;
        for _ in 1..LOOKS {
            if found.is_whole {
                break;
            }
            found = self.find_once(mailbox, &questions)?;
        }
        let (mut known, mut hits) = (found.known, found.hits);
        known.sort_unstable();
        for hits in &mut hits {
            hits.holds.sort_unstable();
            hits.perhaps.sort_unstable();
            hits.perhaps.dedup();
        }
        // Many it does not know, of before this program kept an index or came while it was not running.
        let held = usize::try_from(self.used(mailbox)?.messages).unwrap_or(usize::MAX);
        if held.saturating_sub(known.len()) >= LEAST {
            self.due.note(mailbox, LEAST);
        }
        Ok((known, hits))
    }

    fn find_once(&self, mailbox: &str, questions: &[runs::Question]) -> Result<FoundOnce, MailError> {
        let mut all = FoundOnce { known: Vec::new(), hits: vec![Hits::default(); questions.len()], is_whole: true };
        for stored in self.stored(mailbox)? {
            let segment = stored.segment;
            let content = |place: &u32| segment.contents.get(*place as usize).copied();
            let answers = questions.iter().map(|question| self.answered(mailbox, stored.number, question)).collect::<Result<Option<Vec<_>>, MailError>>()?;
            // A segment that is being dropped is one nobody knows.
            let Some(answers) = answers else {
                all.is_whole = false;
                continue;
            };
            for ((question, found), hits) in questions.iter().zip(answers).zip(&mut all.hits) {
                let to = if question.exact { &mut hits.holds } else { &mut hits.perhaps };
                to.extend(found.iter().filter_map(content));
                hits.perhaps.extend(segment.unread.iter().filter_map(content));
            }
            all.known.extend(segment.contents);
        }
        Ok(all)
    }

    /// The places in one segment that answer a question, ascending; `None` when the segment is not whole.
    fn answered(&self, mailbox: &str, number: u64, question: &runs::Question) -> Result<Option<Vec<u32>>, MailError> {
        let mut found: Vec<u32> = Vec::new();
        for way in &question.ways {
            let mut left: Option<Vec<u32>> = None;
            for run in way {
                let Some(places) = self.shelf(mailbox, number, *run)? else { return Ok(None) };
                let both = match left {
                    None => places,
                    Some(left) => left.into_iter().filter(|place| places.binary_search(place).is_ok()).collect(),
                };
                let none = both.is_empty();
                left = Some(both);
                if none {
                    break;
                }
            }
            found.extend(left.unwrap_or_default());
        }
        if question.ways.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        Ok(Some(found))
    }

    fn shelf(&self, mailbox: &str, number: u64, run: Run) -> Result<Option<Vec<u32>>, MailError> {
        let key = words::shelf_key(mailbox, number, runs::shelf(run));
        match self.store.get(&key)? {
            Some(stored) => Ok(Some(words::look_up(&key, &stored, run, &self.key)?)),
            None => Ok(None),
        }
    }

    /// So many messages came to a mailbox that are in no index yet.
    pub(super) fn note_came(&self, mailbox: &str, messages: usize) {
        self.due.note(mailbox, messages);
        self.outlines_due.note(mailbox, messages);
    }

    /// Makes the segments that deliveries of late call for; how many. One mailbox that cannot be indexed keeps no other from it. `go_on` is
    /// asked before each mailbox and after each segment.
    pub fn index_due(&self, go_on: &dyn Fn() -> bool) -> Result<usize, MailError> {
        let (mut made, mut failed) = (0, None);
        for mailbox in self.due.take().into_iter().take_while(|_| go_on()) {
            match self.index(&mailbox, LEAST, &mut |_, _| go_on()) {
                Ok(some) => made += some,
                Err(error) => {
                    // The last reason is told; at the next delivery, or search, each is tried again.
                    tracing::warn!(%error, mailbox, "the search index of a mailbox was not made");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(made), Err)
    }

    /// Drops the index of a mailbox and makes it anew, the last few messages included. `on` hears how many of how many messages
    /// are in it and says whether to go on.
    pub fn reindex(&self, mailbox: &str, on: &mut dyn FnMut(usize, usize) -> bool) -> Result<usize, MailError> {
        self.outline_anew(mailbox)?;
        let one = self.due.alone();
        for (from, to) in [words::segments(mailbox), words::shelves(mailbox), words::leaving(mailbox)] {
            loop {
                let found = self.store.scan(&from, &to, SWEEP)?;
                if found.is_empty() {
                    break;
                }
                self.store.commit(found.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key)))?;
            }
        }
        self.index_alone(&one, mailbox, 1, on)
    }

    /// Segments of what no segment knows, while that is `least` messages or more.
    fn index(&self, mailbox: &str, least: usize, on: &mut dyn FnMut(usize, usize) -> bool) -> Result<usize, MailError> {
        let one = self.due.alone();
        self.index_alone(&one, mailbox, least, on)
    }

    fn index_alone(&self, _one: &MutexGuard<'_, ()>, mailbox: &str, least: usize, on: &mut dyn FnMut(usize, usize) -> bool) -> Result<usize, MailError> {
        let known: BTreeSet<u64> = self.stored(mailbox)?.into_iter().flat_map(|stored| stored.segment.contents).collect();
        let mut left: Vec<(u64, Place)> = self.contents(mailbox)?.into_iter().filter(|(content, _)| !known.contains(content)).collect();
        let (all, mut made) = (left.len(), 0);
        // The oldest first: what is left over is what came last.
        let mut goes_on = true;
        while !left.is_empty() && left.len() >= least {
            let taken = self.segment(mailbox, &left)?;
            left.drain(..taken);
            made += 1;
            goes_on = on(all - left.len(), all);
            if !goes_on {
                break;
            }
        }
        if left.len() < least {
            // With as many more they are enough.
            self.due.note(mailbox, left.len());
        }
        self.tidy(mailbox, false, &|| goes_on)?;
        Ok(made)
    }

    /// One segment of the first of these; how many it took.
    fn segment(&self, mailbox: &str, left: &[(u64, Place)]) -> Result<usize, MailError> {
        // A number is never given twice: who reads an old list beside new shelves would read nonsense.
        let mut numbers = Batch::new();
        let slot = numbers.next(&words::segment_counter(mailbox));
        let number = self.store.commit(numbers)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
        let mut segment = Segment::default();
        let mut said: Vec<Option<Laid>> = vec![None; SAID];
        let mut shelves: Vec<Vec<Laid>> = vec![Vec::new(); usize::try_from(SHELVES).unwrap_or(0)];
        let (mut taken, mut written) = (0, 0);
        for (content, (folder, uid)) in left.iter().take(SEGMENT) {
            if written > MAX_RUNS {
                // A message tells what it has twice, twice.
                written = shelves.iter_mut().map(once_each).sum();
                if written > MAX_RUNS / 4 * 3 {
                    break;
                }
            }
            taken += 1;
            let place = u32::try_from(segment.contents.len()).unwrap_or(u32::MAX);
            let mut lay = |run| {
                // What a message said a moment ago it says again and again. Of the bits, those that choose no shelf.
                let laid = Laid::new(run, place);
                let spot = usize::try_from(runs::spread_of(run)).ok().and_then(|at| said.get_mut((at >> 8) % SAID));
                if spot.is_some_and(|spot| std::mem::replace(spot, Some(laid)) == Some(laid)) {
                    return;
                }
                if let Some(shelf) = usize::try_from(runs::shelf(run)).ok().and_then(|at| shelves.get_mut(at)) {
                    written += 1;
                    shelf.push(laid);
                }
            };
            let laid = match self.load_from(*folder, *uid) {
                Ok(bytes) => runs::of(&bytes, &mut lay),
                Err(MailError::Gone) => continue,
                // Whoever searches is told that it cannot be read.
                Err(MailError::Record(_) | MailError::Store(StoreError::Corrupt { .. })) => None,
                Err(error) => return Err(error),
            };
            segment.contents.push(*content);
            if laid.is_none() {
                segment.unread.push(place);
            }
        }
        let key = words::segment_key(mailbox, number);
        let mut batch = Batch::new().expect(Expectation::Absent(key.clone())).put(key.clone(), segment.seal(&key, &self.key)?);
        for (shelf, mut laid) in (0..).zip(shelves) {
            once_each(&mut laid);
            // An empty shelf is one, too: where a shelf is missing the segment is not whole.
            let key = words::shelf_key(mailbox, number, shelf);
            let sealed = words::seal_shelf(&key, &laid, segment.contents.len(), &self.key)?;
            batch = batch.put(key, sealed);
        }
        self.store.commit(batch)?;
        Ok(taken)
    }

    /// Every content of a mailbox and one place where it lies, by number.
    fn contents(&self, mailbox: &str) -> Result<BTreeMap<u64, Place>, MailError> {
        let mut contents = BTreeMap::new();
        for folder in self.folder_ids(mailbox)? {
            let (from, to) = message::range(folder);
            for (key, value) in self.store.scan(&from, &to, usize::MAX)? {
                let (message, _) = Message::decode(&value)?;
                contents.insert(message.body.0, (folder, message::uid(folder, &key)?));
            }
        }
        Ok(contents)
    }
}

/// In order; how many.
fn once_each(laid: &mut Vec<Laid>) -> usize {
    laid.sort_unstable();
    laid.dedup();
    laid.len()
}

#[cfg(test)]
mod tests;
