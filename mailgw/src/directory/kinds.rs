//! Whose mailbox it is, a citizen's or an institution's: that never changes, so what was read once need not be opened again for each
//! message that comes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use policies::mailbox::{MailboxKind, MailboxNumber};

/// Mailboxes remembered, a few dozen bytes each; when they are too many all are forgotten.
const MOST: usize = 1 << 15;

#[derive(Default)]
pub(super) struct Kinds(Mutex<HashMap<u64, MailboxKind>>);

impl Kinds {
    pub fn of(&self, number: MailboxNumber) -> Option<MailboxKind> {
        // A panic elsewhere leaves a map that is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number.get()).copied()
    }

    pub fn remember(&self, number: MailboxNumber, kind: MailboxKind) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= MOST {
            kinds.clear();
        }
        kinds.insert(number.get(), kind);
    }
}
