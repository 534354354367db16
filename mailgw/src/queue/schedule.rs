//! What is due when, in memory: so many at once for one domain, for one sender, and in all. Pure; the store knows the same and more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A message's number, one domain its recipients are at, and the mailbox that sends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    pub id: u64,
    pub domain: String,
    pub sender: String,
}

#[derive(Default)]
struct Domain {
    /// By sender, then due time, then number.
    waiting: BTreeMap<String, BTreeSet<(u64, u64)>>,
    /// The first due time of each sender that waits.
    first: BTreeSet<(u64, String)>,
    running: usize,
}

pub(super) struct Schedule {
    per_destination: usize,
    per_sender: usize,
    at_once: usize,
    domains: BTreeMap<String, Domain>,
    /// The first due time of each domain that may run one more.
    ready: BTreeSet<(u64, String)>,
    due: BTreeMap<Item, u64>,
    running: HashSet<Item>,
    /// How many of each sender run; none is zero.
    senders: HashMap<String, usize>,
}

impl Schedule {
    pub fn new(per_destination: usize, per_sender: usize, at_once: usize) -> Self {
        let (domains, ready, due) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { per_destination, per_sender, at_once, domains, ready, due, running: HashSet::new(), senders: HashMap::new() }
    }

    /// When an item is due, anew. One that is on its way is set when it is back.
    pub fn set(&mut self, item: Item, due: u64) {
        if self.running.contains(&item) {
            return;
        }
        self.remove(&item);
        self.changed(&item, |waiting| {
            waiting.insert((due, item.id));
        }, 0);
        self.due.insert(item, due);
    }

    pub fn remove(&mut self, item: &Item) {
        if let Some(due) = self.due.remove(item) {
            self.changed(item, |waiting| {
                waiting.remove(&(due, item.id));
            }, 0);
        }
    }

    /// Removes all of a message, unless some of it is on its way; whether it was so.
    pub fn withdraw(&mut self, id: u64) -> bool {
        if self.running.iter().any(|item| item.id == id) {
            return false;
        }
        let from = Item { id, domain: String::new(), sender: String::new() };
        let all: Vec<Item> = self.due.range(from..).map(|(item, _)| item).take_while(|item| item.id == id).cloned().collect();
        all.iter().for_each(|item| self.remove(item));
        true
    }

    /// The next item that is due and may run; it runs until `done`.
    pub fn take(&mut self, now: u64) -> Option<Item> {
        let (due, item) = self.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&item);
        self.changed(&item, |waiting| {
            waiting.remove(&(due, item.id));
        }, 1);
        *self.senders.entry(item.sender.clone()).or_default() += 1;
        self.running.insert(item.clone());
        Some(item)
    }

    pub fn done(&mut self, item: &Item) {
        if self.running.remove(item) {
            self.changed(item, |_| {}, -1);
            if let Some(running) = self.senders.get_mut(&item.sender) {
                *running = running.saturating_sub(1);
                if *running == 0 {
                    self.senders.remove(&item.sender);
                }
            }
        }
    }

    /// When the next item that may run is due.
    pub fn next(&self) -> Option<u64> {
        self.first().map(|(due, _)| due)
    }

    /// Items that wait, and that are on their way.
    pub fn counts(&self) -> (usize, usize) {
        (self.due.len(), self.running.len())
    }

    /// The first item that may run. No more senders are passed over in a domain than there is room for full ones.
    fn first(&self) -> Option<(u64, Item)> {
        if self.running.len() >= self.at_once {
            return None;
        }
        let mut best: Option<(u64, Item)> = None;
        for (domain_due, name) in &self.ready {
            if best.as_ref().is_some_and(|(due, _)| due <= domain_due) {
                break;
            }
            let Some(domain) = self.domains.get(name) else { continue };
            let is_free = |sender: &str| self.senders.get(sender).is_none_or(|running| *running < self.per_sender);
            let Some((due, sender)) = domain.first.iter().find(|(_, sender)| is_free(sender)) else { continue };
            let Some((_, id)) = domain.waiting.get(sender).and_then(BTreeSet::first) else { continue };
            if best.as_ref().is_none_or(|(least, _)| due < least) {
                best = Some((*due, Item { id: *id, domain: name.clone(), sender: sender.clone() }));
            }
        }
        best
    }

    /// Changes what waits of the item's sender at its domain, and how many run there.
    fn changed(&mut self, item: &Item, change: impl FnOnce(&mut BTreeSet<(u64, u64)>), running: isize) {
        let domain = self.domains.entry(item.domain.clone()).or_default();
        if let Some((due, _)) = domain.first.first() {
            self.ready.remove(&(*due, item.domain.clone()));
        }
        let waiting = domain.waiting.entry(item.sender.clone()).or_default();
        if let Some((due, _)) = waiting.first() {
            domain.first.remove(&(*due, item.sender.clone()));
        }
        change(waiting);
        match waiting.first() {
            Some((due, _)) => {
                domain.first.insert((*due, item.sender.clone()));
            }
            None => {
                domain.waiting.remove(&item.sender);
            }
        }
        domain.running = domain.running.saturating_add_signed(running);
        match domain.first.first() {
            Some((due, _)) if domain.running < self.per_destination => {
                self.ready.insert((*due, item.domain.clone()));
            }
            None if domain.running == 0 => {
                self.domains.remove(&item.domain);
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
        Item { id, domain: domain.to_owned(), sender: format!("sender {}", id % 3) }
    }

    #[test]
    fn a_sender_whose_servers_are_slow_keeps_nobody_else_from_sending() {
        let of = |id: u64, sender: &str| Item { id, domain: format!("{id:03}.tarpit.example"), sender: sender.to_owned() };
        let mut schedule = Schedule::new(5, 4, 40);
        for id in 0..100 {
            schedule.set(of(id, "a thief"), 1);
        }
        schedule.set(of(100, "a citizen"), 2);
        let taken: Vec<Item> = std::iter::from_fn(|| schedule.take(10)).collect();
        assert_eq!((taken.len(), taken.last()), (5, Some(&of(100, "a citizen"))));
        // What may not run is not waited for either.
        assert_eq!(schedule.next(), None);
        schedule.done(&taken[0]);
        assert_eq!((schedule.next(), schedule.take(10), schedule.take(10)), (Some(1), Some(of(4, "a thief")), None));
    }

    #[test]
    fn what_is_on_its_way_is_not_withdrawn() {
        let mut schedule = Schedule::new(5, 4, 40);
        for domain in ["a", "b"] {
            schedule.set(item(1, domain), 1);
        }
        schedule.set(item(2, "a"), 1);
        let taken = schedule.take(1).unwrap();
        assert!(taken.id == 1 && !schedule.withdraw(1));
        schedule.done(&taken);
        assert!(schedule.withdraw(1));
        assert_eq!((schedule.take(1), schedule.take(1)), (Some(item(2, "a")), None));
    }

    #[test]
    fn in_order_of_time_and_within_bounds() {
        let mut schedule = Schedule::new(1, 2, 2);
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
            let (mut schedule, mut model, mut running) = (Schedule::new(2, 2, 4), BTreeMap::new(), HashSet::<Item>::new());
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
                            let of = |name: &str| running.iter().filter(|one| one.domain == name).count();
                            let by = |name: &str| running.iter().filter(|one| one.sender == name).count();
                            let could = model.iter().any(|(one, due)| *due <= time && of(&one.domain) < 2 && by(&one.sender) < 2);
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
