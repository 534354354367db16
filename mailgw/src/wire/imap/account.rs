//! What happens in the mailbox as a whole, told to one connection no more often than it can be afforded: a STATUS counts the
//! messages of a folder.

use std::time::Duration;

use protocol::imap::exchange::AccountChanges;
use tokio::time::{Instant, sleep_until};

use crate::mailbox::AccountWatch;

/// Between two times that something is told.
const PAUSE: Duration = Duration::from_millis(200);
/// So many times as long as the last telling took is rested, at least: one connection takes a tenth of a processor.
const SHARE: u32 = 9;

pub(super) struct AccountEar {
    watch: AccountWatch,
    rests_until: Instant,
}

impl AccountEar {
    pub fn new(watch: AccountWatch) -> Self {
        Self { watch, rests_until: Instant::now() }
    }

    /// Waiting can be given up without loss.
    pub async fn next(&self) -> AccountChanges {
        self.watch.changed().await;
        sleep_until(self.rests_until).await;
        self.watch.take()
    }

    /// What happened up to now, whenever it is told.
    pub fn take(&self) -> AccountChanges {
        self.watch.take()
    }

    /// After something was told, which took so long.
    pub fn rest(&mut self, took: Duration) {
        self.rests_until = Instant::now() + PAUSE.max(took * SHARE);
    }
}
