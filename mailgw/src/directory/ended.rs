//! Logins of before that are over, however late a session comes to hear of it: a number that only rises wakes the sessions, and
//! what each of them asks is whether its own mailbox was among those since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policies::mailbox::MailboxNumber;
use tokio::sync::watch;

use super::login::Credential;

/// Mailboxes, and credentials of them, whose last ending is remembered; past it every login of before is over.
const MAX_REMEMBERED: usize = 1_000_000;

/// Told of every ending.
#[derive(Clone)]
pub struct Endings {
    count: watch::Sender<u64>,
    last: Arc<Mutex<Last>>,
}

#[derive(Default)]
struct Last {
    count: u64,
    /// Of all logins of a mailbox, or of those by one credential.
    of: HashMap<(MailboxNumber, Option<Credential>), u64>,
    /// Endings up to this one are of any mailbox.
    forgotten: u64,
}

/// Endings from a moment on. Whoever asks for it before a password is checked misses nothing.
pub struct Ended {
    since: u64,
    heard: u64,
    count: watch::Receiver<u64>,
    last: Arc<Mutex<Last>>,
}

impl Default for Endings {
    fn default() -> Self {
        Self { count: watch::Sender::new(0), last: Arc::default() }
    }
}

impl Endings {
    /// The logins of this mailbox until now are over, or those by one credential.
    pub fn end(&self, number: MailboxNumber, credential: Option<Credential>) {
        let mut last = locked(&self.last);
        last.count += 1;
        let count = last.count;
        if last.of.len() >= MAX_REMEMBERED {
            last.of.clear();
            last.forgotten = count - 1;
        }
        last.of.insert((number, credential), count);
        // Under the lock: it only rises.
        self.count.send_replace(count);
    }

    pub fn from_now(&self) -> Ended {
        let since = locked(&self.last).count;
        Ended { since, heard: since, count: self.count.subscribe(), last: Arc::clone(&self.last) }
    }
}

impl Ended {
    /// Whether a login of this mailbox by this credential, begun when this was asked for, is over. To be asked about one login alone.
    pub fn is_of(&mut self, number: MailboxNumber, credential: Credential) -> bool {
        let count = *self.count.borrow_and_update();
        if count == self.heard {
            return false;
        }
        let last = locked(&self.last);
        let over = last.forgotten > self.since || [None, Some(credential)].into_iter().any(|which| last.of.get(&(number, which)).is_some_and(|at| *at > self.since));
        // Once it is over it stays so.
        if !over {
            self.heard = count;
        }
        over
    }

    /// When it is. Waiting can be given up without loss.
    pub async fn of(&mut self, number: MailboxNumber, credential: Credential) {
        while !self.is_of(number, credential) {
            if self.count.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

// Every state between two statements is whole, so a panic elsewhere harms nothing.
fn locked(last: &Mutex<Last>) -> MutexGuard<'_, Last> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OWN: Credential = Credential::Password;

    #[tokio::test]
    async fn one_who_hears_late_hears_right() {
        let [mine, other] = [1, 2].map(|number| MailboxNumber::from_random(number).unwrap());
        let endings = Endings::default();
        endings.end(mine, None);
        let mut ended = endings.from_now();
        // More than any queue holds, all of them another's.
        (0..100_000).for_each(|_| endings.end(other, None));
        assert!(!ended.is_of(mine, OWN) && endings.from_now().count.borrow().eq(&100_001));
        let waiting = tokio::spawn(async move {
            ended.of(mine, OWN).await;
            ended
        });
        endings.end(other, None);
        endings.end(mine, Some(Credential::App(1)));
        endings.end(mine, None);
        endings.end(other, None);
        let mut ended = waiting.await.unwrap();
        assert!(ended.is_of(mine, OWN) && ended.is_of(mine, OWN));
        let mut next = endings.from_now();
        assert!(!next.is_of(mine, OWN));
        // By one credential alone.
        let [mut own, mut app] = [(); 2].map(|()| endings.from_now());
        endings.end(mine, Some(Credential::App(1)));
        assert!(!own.is_of(mine, OWN) && app.is_of(mine, Credential::App(1)));
    }
}
