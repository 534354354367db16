//! What was committed in an account, gathered until it is told: however much it is, it takes a bounded place.
use std::collections::{BTreeMap, BTreeSet};

use super::exchange::Change;

/// Mailboxes with changes, and annotations, that are remembered by name. More is too much.
const MAX_MAILBOXES: usize = 2_000;
const MAX_ENTRIES: usize = 1_000;

/// How many messages of a mailbox came, went, or have other flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageChanges {
    pub new: usize,
    pub gone: usize,
    pub flags: usize,
}

impl MessageChanges {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// All that happened since it was taken last. Mailboxes go by their ids, which outlast their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChanges {
    pub(super) messages: BTreeMap<u64, MessageChanges>,
    /// Mailboxes were created, deleted, renamed, subscribed to or not: the list tells which.
    pub(super) names: bool,
    /// Annotations that were set or removed; of the account as a whole where there is no mailbox.
    pub(super) entries: BTreeSet<(Option<u64>, String)>,
    /// There was more than can be remembered.
    pub(super) too_much: bool,
}

impl AccountChanges {
    pub fn message(&mut self, mailbox: u64, change: &Change) {
        self.too_much |= self.messages.len() >= MAX_MAILBOXES && !self.messages.contains_key(&mailbox);
        if self.too_much {
            return;
        }
        let changes = self.messages.entry(mailbox).or_default();
        match change {
            Change::New(_) => changes.new += 1,
            Change::Gone { .. } => changes.gone += 1,
            Change::Flags(_) => changes.flags += 1,
        }
    }

    pub fn mailboxes(&mut self) {
        self.names = true;
    }

    pub fn annotation(&mut self, mailbox: Option<u64>, entry: &str) {
        self.entries.insert((mailbox, entry.to_owned()));
        self.too_much |= self.entries.len() > MAX_ENTRIES;
        if self.too_much {
            self.entries.clear();
        }
    }

    /// Adds what happened after.
    pub fn merge(&mut self, later: Self) {
        self.names |= later.names;
        self.too_much |= later.too_much;
        for (mailbox, more) in later.messages {
            let changes = self.messages.entry(mailbox).or_default();
            changes.new += more.new;
            changes.gone += more.gone;
            changes.flags += more.flags;
        }
        self.entries.extend(later.entries);
        self.too_much |= self.messages.len() > MAX_MAILBOXES || self.entries.len() > MAX_ENTRIES;
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_happens_it_is_bounded() {
        let mut changes = AccountChanges::default();
        for round in 0..9_999 {
            changes.message(round, &Change::Gone { uid: 1, modseq: 1 });
            changes.annotation(None, &format!("/private/{round}"));
        }
        assert!(changes.too_much && changes.messages.len() <= MAX_MAILBOXES && changes.entries.len() <= MAX_ENTRIES);
        let mut both = AccountChanges::default();
        (0..3).for_each(|_| both.message(7, &Change::Gone { uid: 1, modseq: 1 }));
        both.merge(both.clone());
        assert_eq!(both.messages.get(&7), Some(&MessageChanges { gone: 6, ..MessageChanges::default() }));
        both.merge(changes);
        assert!(both.too_much);
    }
}
