//! All that happens in one mailbox, for those who watch the whole of it: gathered, so that nobody who is slow is waited for and
//! nothing grows without bound.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::imap::exchange::AccountChanges;
use tokio::sync::Notify;

use super::broadcast::Broadcast;

/// What one who watches was not told yet.
#[derive(Default)]
pub(super) struct Listener {
    changes: Mutex<AccountChanges>,
    wake: Notify,
}

impl Listener {
    pub fn note(&self, change: impl FnOnce(&mut AccountChanges)) {
        change(&mut self.changes());
        self.wake.notify_one();
    }

    fn changes(&self) -> MutexGuard<'_, AccountChanges> {
        // Every state between two statements is whole.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes of a mailbox, its folders and its annotations from the moment it was made.
pub struct AccountWatch {
    mailbox: String,
    listener: Arc<Listener>,
    broadcast: Arc<Broadcast>,
}

impl AccountWatch {
    pub(super) fn new(mailbox: &str, listener: Arc<Listener>, broadcast: Arc<Broadcast>) -> Self {
        Self { mailbox: mailbox.to_owned(), listener, broadcast }
    }

    /// Until something happened that was not taken; waiting can be given up without loss.
    pub async fn changed(&self) {
        loop {
            let woken = self.listener.wake.notified();
            if !self.listener.changes().is_empty() {
                return;
            }
            woken.await;
        }
    }

    /// What happened since it was taken last.
    pub fn take(&self) -> AccountChanges {
        std::mem::take(&mut self.listener.changes())
    }
}

impl Drop for AccountWatch {
    fn drop(&mut self) {
        self.broadcast.forget_listener(&self.mailbox, &self.listener);
    }
}
