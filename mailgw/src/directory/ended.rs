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

/// Which logins of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    All,
    By(Credential),
    /// Those of one operator of an institution, by whatever they were.
    Operator(u32),
}

#[derive(Default)]
struct Last {
    count: u64,
    of: HashMap<(MailboxNumber, Which), u64>,
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
    /// These logins of this mailbox until now are over.
    pub fn end(&self, number: MailboxNumber, which: Which) {
        let mut last = locked(&self.last);
        last.count += 1;
        let count = last.count;
        if last.of.len() >= MAX_REMEMBERED {
            last.of.clear();
            last.forgotten = count - 1;
        }
        last.of.insert((number, which), count);
        // Under the lock: it only rises.
        self.count.send_replace(count);
    }

    pub fn from_now(&self) -> Ended {
        let since = locked(&self.last).count;
        Ended { since, heard: since, count: self.count.subscribe(), last: Arc::clone(&self.last) }
    }
}

impl Ended {
    /// Whether a login of this mailbox by this credential, and of this operator, begun when this was asked for, is over. To be asked about
    /// one login alone.
    pub fn is_of(&mut self, number: MailboxNumber, credential: Credential, operator: Option<u32>) -> bool {
        let count = *self.count.borrow_and_update();
        if count == self.heard {
            return false;
        }
        let last = locked(&self.last);
        let over = last.forgotten > self.since || [Some(Which::All), Some(Which::By(credential)), operator.map(Which::Operator)].into_iter().flatten().any(|which| last.of.get(&(number, which)).is_some_and(|at| *at > self.since));
        // Once it is over it stays so.
        if !over {
            self.heard = count;
        }
        over
    }

    /// When it is. Waiting can be given up without loss.
    pub async fn of(&mut self, number: MailboxNumber, credential: Credential, operator: Option<u32>) {
        while !self.is_of(number, credential, operator) {
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
        endings.end(mine, Which::All);
        let mut ended = endings.from_now();
        // More than any queue holds, all of them another's.
        (0..100_000).for_each(|_| endings.end(other, Which::All));
        assert!(!ended.is_of(mine, OWN, None) && endings.from_now().count.borrow().eq(&100_001));
        let waiting = tokio::spawn(async move {
            ended.of(mine, OWN, None).await;
            ended
        });
        endings.end(other, Which::All);
        endings.end(mine, Which::By(Credential::App(1)));
        endings.end(mine, Which::All);
        endings.end(other, Which::All);
        let mut ended = waiting.await.unwrap();
        assert!(ended.is_of(mine, OWN, None) && ended.is_of(mine, OWN, None));
        let mut next = endings.from_now();
        assert!(!next.is_of(mine, OWN, None));
        // By one credential alone.
        let [mut own, mut app] = [(); 2].map(|()| endings.from_now());
        endings.end(mine, Which::By(Credential::App(1)));
        assert!(!own.is_of(mine, OWN, None) && app.is_of(mine, Credential::App(1), None));
        // Of one operator alone, whatever they came by.
        let [mut one, mut another, mut certificate] = [(); 3].map(|()| endings.from_now());
        endings.end(mine, Which::Operator(1));
        assert!(one.is_of(mine, Credential::App(7), Some(1)) && certificate.is_of(mine, Credential::Certificate([1; 32]), Some(1)));
        assert!(!another.is_of(mine, Credential::App(8), Some(2)) && !another.is_of(mine, OWN, None));
    }
}
