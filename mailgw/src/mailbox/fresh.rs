//! Messages that came of late, as they came: whoever is told of one reads it within moments, and so does what lists it and what finds words in
//! it. None of them then opens what was sealed just before. What is here is held for seconds, in memory alone, and bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::body::BodyId;

/// Octets of one message that is held.
pub(super) const LARGEST: usize = 64 << 10;
/// Octets that one takes beside its own.
const ENTRY: usize = 96;
/// Octets of each of the two halves.
const MOST: usize = 32 << 20;

#[derive(Default)]
pub struct Fresh(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    new: HashMap<BodyId, Arc<Vec<u8>>>,
    octets: usize,
    /// What was the new half before.
    old: HashMap<BodyId, Arc<Vec<u8>>>,
}

impl Halves {
    /// What is forgotten goes to whoever asked, who drops it when nobody waits any more.
    #[must_use]
    fn turn(&mut self) -> HashMap<BodyId, Arc<Vec<u8>>> {
        self.octets = 0;
        let new = std::mem::take(&mut self.new);
        std::mem::replace(&mut self.old, new)
    }
}

impl Fresh {
    fn held(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that are sealed under this id, which is never another's.
    pub(super) fn note(&self, id: BodyId, bytes: Arc<Vec<u8>>) {
        if bytes.len() > LARGEST {
            return;
        }
        let mut halves = self.held();
        let gone = if halves.octets > MOST { halves.turn() } else { HashMap::new() };
        halves.octets += bytes.len() + ENTRY;
        halves.new.insert(id, bytes);
        drop(halves);
        drop(gone);
    }

    pub(super) fn get(&self, id: BodyId) -> Option<Arc<Vec<u8>>> {
        let halves = self.held();
        halves.new.get(&id).or_else(|| halves.old.get(&id)).cloned()
    }

    /// Forgets what was noted before the last time.
    pub fn turn(&self) {
        let gone = self.held().turn();
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_late_is_held_within_bounds() {
        let fresh = Fresh::default();
        fresh.note(BodyId(1), Arc::new(b"one".to_vec()));
        fresh.note(BodyId(2), Arc::new(vec![0; LARGEST + 1]));
        assert_eq!((fresh.get(BodyId(1)).as_deref(), fresh.get(BodyId(2))), (Some(&b"one".to_vec()), None));
        fresh.turn();
        fresh.note(BodyId(3), Arc::new(b"three".to_vec()));
        assert!(fresh.get(BodyId(1)).is_some());
        fresh.turn();
        assert!(fresh.get(BodyId(1)).is_none() && fresh.get(BodyId(3)).is_some());
        let message = Arc::new(vec![7; LARGEST]);
        let count = 5 * (MOST / LARGEST) as u64;
        (0..count).for_each(|at| fresh.note(BodyId(100 + at), Arc::clone(&message)));
        let held = (0..count).filter(|at| fresh.get(BodyId(100 + at)).is_some()).count();
        assert!(held * LARGEST <= 2 * (MOST + LARGEST) && fresh.get(BodyId(99 + count)).is_some(), "{held}");
    }
}
