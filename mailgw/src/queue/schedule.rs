//! What is due when, in memory: so many at once for one domain, and in all. Pure; the store knows the same and more.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A message's number and one domain its recipients are at.
pub type Item = (u64, String);

#[derive(Default)]
struct Domain {
    /// By due time, then number.
    waiting: BTreeSet<(u64, u64)>,
    running: usize,
}

pub(super) struct Schedule {
    per_destination: usize,
    at_once: usize,
    domains: BTreeMap<String, Domain>,
    /// The first due time of each domain that may run one more.
    ready: BTreeSet<(u64, String)>,
    due: BTreeMap<Item, u64>,
    running: HashSet<Item>,
}

impl Schedule {
    pub fn new(per_destination: usize, at_once: usize) -> Self {
        Self { per_destination, at_once, domains: BTreeMap::new(), ready: BTreeSet::new(), due: BTreeMap::new(), running: HashSet::new() }
    }

    /// When an item is due, anew. One that is on its way is set when it is back.
    pub fn set(&mut self, item: Item, due: u64) {
        if self.running.contains(&item) {
            return;
        }
        self.remove(&item);
        let (id, name) = item.clone();
        self.changed(&name, |domain| {
            domain.waiting.insert((due, id));
        });
        self.due.insert(item, due);
    }

    pub fn remove(&mut self, item: &Item) {
        if let Some(due) = self.due.remove(item) {
            self.changed(&item.1, |domain| {
                domain.waiting.remove(&(due, item.0));
            });
        }
    }

    /// The next item that is due and may run; it runs until `done`.
    pub fn take(&mut self, now: u64) -> Option<Item> {
        if self.running.len() >= self.at_once {
            return None;
        }
        let (due, name) = self.ready.first().filter(|(due, _)| *due <= now)?.clone();
        let (_, id) = self.domains.get(&name)?.waiting.first().copied()?;
        let item = (id, name.clone());
        self.due.remove(&item);
        self.changed(&name, |domain| {
            domain.waiting.remove(&(due, id));
            domain.running += 1;
        });
        self.running.insert(item.clone());
        Some(item)
    }

    pub fn done(&mut self, item: &Item) {
        if self.running.remove(item) {
            self.changed(&item.1, |domain| domain.running = domain.running.saturating_sub(1));
        }
    }

    /// When the next item that may run is due.
    pub fn next(&self) -> Option<u64> {
        let full = self.running.len() >= self.at_once;
        if full { None } else { self.ready.first().map(|(due, _)| *due) }
    }

    /// Items that wait, and that are on their way.
    pub fn counts(&self) -> (usize, usize) {
        (self.due.len(), self.running.len())
    }

    fn changed(&mut self, name: &str, change: impl FnOnce(&mut Domain)) {
        let domain = self.domains.entry(name.to_owned()).or_default();
        if let Some((due, _)) = domain.waiting.first() {
            self.ready.remove(&(*due, name.to_owned()));
        }
        change(domain);
        match domain.waiting.first() {
            Some((due, _)) if domain.running < self.per_destination => {
                self.ready.insert((*due, name.to_owned()));
            }
            None if domain.running == 0 => {
                self.domains.remove(name);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn item(id: u64, domain: &str) -> Item {
        (id, domain.to_owned())
    }

    #[test]
    fn in_order_of_time_and_within_bounds() {
        let mut schedule = Schedule::new(1, 2);
        for (id, domain, due) in [(1, "a", 30), (2, "a", 10), (3, "b", 20), (4, "c", 5)] {
            schedule.set(item(id, domain), due);
        }
        assert_eq!((schedule.take(4), schedule.next()), (None, Some(5)));
        assert_eq!(schedule.take(100), Some(item(4, "c")));
        assert_eq!(schedule.take(100), Some(item(2, "a")));
        assert_eq!((schedule.take(100), schedule.next()), (None, None));
        schedule.done(&item(4, "c"));
        // `a` runs one already: the next is of another domain.
        assert_eq!(schedule.take(100), Some(item(3, "b")));
        schedule.done(&item(3, "b"));
        assert_eq!(schedule.take(100), None);
        schedule.set(item(2, "a"), 1);
        schedule.done(&item(2, "a"));
        assert_eq!(schedule.take(100), Some(item(1, "a")));
        schedule.done(&item(1, "a"));
        assert!(schedule.domains.is_empty() && schedule.ready.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_forgotten_and_no_bound_broken(steps in prop::collection::vec((0_u8..4, 0_u64..6, 0_usize..3, 0_u64..50), 0..200)) {
            let (mut schedule, mut model, mut running) = (Schedule::new(2, 4), BTreeMap::new(), HashSet::new());
            for (step, id, domain, time) in steps {
                let one = item(id, ["a", "b", "c"][domain]);
                match step {
                    0 => {
                        schedule.set(one.clone(), time);
                        if !running.contains(&one) {
                            model.insert(one, time);
                        }
                    }
                    1 => {
                        schedule.remove(&one);
                        model.remove(&one);
                    }
                    2 => {
                        schedule.done(&one);
                        running.remove(&one);
                    }
                    _ => match schedule.take(time) {
                        Some(taken) => {
                            prop_assert!(model.remove(&taken).unwrap() <= time);
                            running.insert(taken);
                        }
                        None => {
                            let of = |name: &str| running.iter().filter(|(_, domain)| domain == name).count();
                            let could = model.iter().any(|((_, name), due)| *due <= time && of(name) < 2);
                            prop_assert!(running.len() >= 4 || !could);
                        }
                    },
                }
                prop_assert_eq!(schedule.counts(), (model.len(), running.len()));
                prop_assert!(running.len() <= 4);
            }
        }
    }
}
