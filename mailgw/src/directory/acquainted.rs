//! Networks from which a mailbox was opened lately: guesses from elsewhere do not keep its owner out there.

use std::collections::HashMap;
use std::net::IpAddr;

use policies::mailbox::MailboxNumber;

/// Unix milliseconds, as all times here: thirty days.
const KEPT: i64 = 30 * 24 * 3_600_000;
/// The most pairs that are remembered; past it those that are too old go, then all.
const MOST: usize = 200_000;

/// In memory alone: after a start everybody is a stranger until the first login.
#[derive(Default)]
pub(super) struct Acquainted {
    seen: HashMap<(MailboxNumber, IpAddr), i64>,
}

impl Acquainted {
    /// A clock set back forgets, too.
    pub fn holds(&self, number: MailboxNumber, network: IpAddr, now: i64) -> bool {
        self.seen.get(&(number, network)).is_some_and(|since| (0..=KEPT).contains(&now.saturating_sub(*since)))
    }

    pub fn remember(&mut self, number: MailboxNumber, network: IpAddr, now: i64) {
        if self.seen.len() >= MOST && !self.seen.contains_key(&(number, network)) {
            self.seen.retain(|_, since| (0..=KEPT).contains(&now.saturating_sub(*since)));
            if self.seen.len() >= MOST {
                self.seen.clear();
            }
        }
        self.seen.insert((number, network), now);
    }

    /// Whoever knew the former password is a stranger.
    pub fn forget(&mut self, number: MailboxNumber) {
        self.seen.retain(|(known, _), _| *known != number);
    }
}
