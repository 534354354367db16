//! What the networks that call do: how often, and whether they were met before. In memory and bounded; a restart begins anew.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use policies::mailbox::{Greylisting, InboundPolicy, Rates};

/// Entries of one generation; there are two of each kind.
const MOST: usize = 100_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// A network guesses as much as so many hosts.
const NETWORK: u32 = 20;

/// A map that forgets what was not asked for since it was last full, and never holds more than two generations.
struct Recent<V> {
    young: HashMap<u64, V>,
    old: HashMap<u64, V>,
}

impl<V: Clone> Recent<V> {
    fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }

    fn known(&mut self, key: u64) -> Option<&mut V> {
        // Who is asked for is not what is forgotten next.
        let known = self.young.contains_key(&key) || self.old.contains_key(&key);
        let value = known.then(|| self.old.get(&key).or_else(|| self.young.get(&key)).cloned()).flatten()?;
        Some(self.entry(key, || value))
    }

    fn entry(&mut self, key: u64, new: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        let old = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| old.unwrap_or_else(new))
    }
}

/// So much a span of time, all of it at once where nothing was taken before.
#[derive(Clone, Copy)]
struct Bucket {
    /// In thousandths of one.
    level: u64,
    at: u64,
}

impl Bucket {
    fn refill(&mut self, most: u32, span: u64, now: u64) {
        let (most, passed) = (u64::from(most) * 1_000, now.saturating_sub(self.at));
        let more = most.saturating_mul(passed) / span;
        self.level = self.level.saturating_add(more).min(most);
        // What is not a whole thousandth yet goes on counting.
        self.at = self.at.saturating_add(more.saturating_mul(span) / most.max(1)).min(now.max(self.at));
    }

    fn is_empty(&self) -> bool {
        self.level < 1_000
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Connections,
    Messages,
    MessagesOfHost,
    /// Of one host: who guesses there must not shut out a whole provider's mail.
    Unknown,
    UnknownOfNetwork,
}

#[derive(Clone, Copy)]
struct Met {
    first: u64,
    /// When it was let in last.
    known: Option<u64>,
}

pub struct Callers {
    rates: Rates,
    greylisting: Option<Greylisting>,
    hash: RandomState,
    buckets: Mutex<Recent<Bucket>>,
    /// Apart, since names cost nothing: many of them push no host's out.
    senders: Mutex<Recent<Bucket>>,
    met: Mutex<Recent<Met>>,
}

impl Callers {
    pub fn new(policy: &InboundPolicy) -> Self {
        let (buckets, senders, met) = (Mutex::new(Recent::new()), Mutex::new(Recent::new()), Mutex::new(Recent::new()));
        Self { rates: policy.rates, greylisting: policy.greylisting, hash: RandomState::new(), buckets, senders, met }
    }

    /// Whether one more connection is within the rates.
    pub fn connection(&self, peer: IpAddr, now: u64) -> bool {
        self.take(Kind::Connections, peer, now)
    }

    /// Whether a recipient may be named: messages and guesses are within the rates.
    pub fn may_name(&self, peer: IpAddr, sender: Option<&str>, now: u64) -> bool {
        [Kind::Messages, Kind::MessagesOfHost, Kind::Unknown, Kind::UnknownOfNetwork].into_iter().all(|kind| self.has(kind, peer, now))
            && sender.is_none_or(|sender| self.sender_may(peer, sender, now))
    }

    /// A message came.
    pub fn message(&self, peer: IpAddr, now: u64) {
        self.take(Kind::Messages, peer, now);
        self.take(Kind::MessagesOfHost, peer, now);
    }

    /// A message came that is taken in this sender's name. What is refused takes nothing of it: anybody may use the name.
    pub fn taken(&self, peer: IpAddr, sender: &str, now: u64) {
        if peer.to_canonical().is_loopback() {
            return;
        }
        let (most, key) = (self.rates.messages_of_sender_per_minute, self.sender_key(peer, sender));
        let mut senders = lock(&self.senders);
        let bucket = senders.entry(key, || Bucket { level: u64::from(most) * 1_000, at: now });
        bucket.refill(most, MINUTE, now);
        bucket.level = bucket.level.saturating_sub(1_000);
    }

    /// Nothing is kept of who only asks.
    fn sender_may(&self, peer: IpAddr, sender: &str, now: u64) -> bool {
        let key = self.sender_key(peer, sender);
        let mut senders = lock(&self.senders);
        senders.known(key).is_none_or(|bucket| {
            bucket.refill(self.rates.messages_of_sender_per_minute, MINUTE, now);
            !bucket.is_empty()
        })
    }

    /// Of the name in this network: who sends in it from elsewhere takes nothing of theirs.
    fn sender_key(&self, peer: IpAddr, sender: &str) -> u64 {
        self.hash.hash_one((network(peer), sender.to_lowercase()))
    }

    /// A recipient was named who is none.
    pub fn unknown(&self, peer: IpAddr, now: u64) {
        self.take(Kind::Unknown, peer, now);
        self.take(Kind::UnknownOfNetwork, peer, now);
    }

    /// Whether a network that sends for this domain to this recipient is let in, or is to come again. Once let in, it is known for
    /// every recipient.
    // spec: rfc6647#2.4
    pub fn is_met(&self, peer: IpAddr, sender: &str, recipient: &str, now: u64) -> bool {
        let Some(policy) = self.greylisting else { return true };
        let (network, sender) = (network(peer), sender.to_lowercase());
        let mut met = lock(&self.met);
        let known = met.entry(self.hash.hash_one((network, &sender)), || Met { first: now, known: None });
        if known.known.is_some_and(|last| now.saturating_sub(last) <= policy.known) {
            known.known = Some(now);
            return true;
        }
        let tried = met.entry(self.hash.hash_one((network, &sender, recipient.to_lowercase())), || Met { first: now, known: None });
        let waited = now.saturating_sub(tried.first);
        if waited > policy.return_within {
            tried.first = now;
            return false;
        }
        if waited < policy.wait {
            return false;
        }
        met.entry(self.hash.hash_one((network, &sender)), || Met { first: now, known: None }).known = Some(now);
        true
    }

    fn has(&self, kind: Kind, peer: IpAddr, now: u64) -> bool {
        self.bucket(kind, peer, now, |bucket| !bucket.is_empty())
    }

    fn take(&self, kind: Kind, peer: IpAddr, now: u64) -> bool {
        self.bucket(kind, peer, now, |bucket| {
            let has = !bucket.is_empty();
            bucket.level = bucket.level.saturating_sub(1_000);
            has
        })
    }

    fn bucket(&self, kind: Kind, peer: IpAddr, now: u64, look: impl FnOnce(&mut Bucket) -> bool) -> bool {
        // This machine is not a stranger.
        if peer.to_canonical().is_loopback() {
            return true;
        }
        let (most, span) = match kind {
            Kind::Connections => (self.rates.connections_per_minute, MINUTE),
            Kind::Messages => (self.rates.messages_per_minute, MINUTE),
            Kind::MessagesOfHost => (self.rates.messages_of_host_per_minute, MINUTE),
            Kind::Unknown => (self.rates.unknown_recipients_per_hour, HOUR),
            Kind::UnknownOfNetwork => (self.rates.unknown_recipients_per_hour.saturating_mul(NETWORK), HOUR),
        };
        let whose = if matches!(kind, Kind::Unknown | Kind::MessagesOfHost) { runtime::rate::network(peer) } else { network(peer) };
        let mut buckets = lock(&self.buckets);
        let bucket = buckets.entry(self.hash.hash_one((kind, whose)), || Bucket { level: u64::from(most) * 1_000, at: now });
        bucket.refill(most, span, now);
        look(bucket)
    }
}

// A panic elsewhere leaves counts that are off by one at most.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first 24 bits of an IPv4 address, 48 of IPv6: what one owner is given.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) & 0xffff_ff00).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 80 << 80).into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::MailboxPolicy;

    use super::*;

    fn callers(from: &str, to: &str) -> Callers {
        let documents: Vec<(&str, String)> = policies::mailbox::SHIPPED.iter().map(|(file, text)| (*file, text.replace(from, to))).collect();
        Callers::new(MailboxPolicy::parse(documents.iter().map(|(file, text)| (*file, text.as_str()))).unwrap().inbound())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_has_a_purse_and_its_network_a_larger_one() {
        let callers = callers("unknown_recipients_per_hour = 100", "unknown_recipients_per_hour = 10");
        let guesses = |host: &str| (0..100).take_while(|_| callers.may_name(address(host), None, 0)).inspect(|_| callers.unknown(address(host), 0)).count();
        assert_eq!(guesses("192.0.2.1"), 10);
        // Its neighbours' mail comes in all the same, until all of them have guessed too much.
        assert!(callers.may_name(address("192.0.2.99"), None, 0) && callers.may_name(address("192.0.3.1"), None, 0));
        assert_eq!((2..40).map(|host| guesses(&format!("192.0.2.{host}"))).sum::<usize>(), 190);
        assert!(!callers.may_name(address("192.0.2.99"), None, 0) && callers.may_name(address("192.0.3.1"), None, 0));
        // A tenth of an hour later there is one more guess.
        assert!(!callers.may_name(address("192.0.2.1"), None, HOUR / 10 - 1) && callers.may_name(address("192.0.2.1"), None, HOUR / 10));
        callers.unknown(address("2001:db8:1:2::1"), 0);
        for _ in 0..1_000 {
            callers.unknown(address("127.0.0.1"), 0);
        }
        assert!(callers.may_name(address("::ffff:127.0.0.1"), None, 0));
    }

    #[test]
    fn a_host_and_a_name_have_a_part_of_what_their_network_may_send() {
        let callers = callers("", "");
        let sent = |host: &str, sender: Option<&str>| (0..1_000).take_while(|_| callers.may_name(address(host), sender, 0)).inspect(|_| {
            callers.message(address(host), 0);
            sender.iter().for_each(|sender| callers.taken(address(host), sender, 0));
        }).count();
        assert_eq!((sent("192.0.2.1", Some("News@a.example")), sent("192.0.2.2", Some("news@A.example"))), (60, 0), "one name, whatever host of theirs");
        // In the same name from elsewhere, by somebody else perhaps; and in others.
        assert_eq!((sent("198.51.100.1", Some("news@a.example")), sent("192.0.2.1", Some("x@a.example")), sent("192.0.2.1", Some("y@a.example"))), (60, 60, 30));
        // Bounces have no name, and take of the host's.
        assert_eq!((sent("192.0.2.1", None), sent("192.0.2.3", None), sent("192.0.2.4", None)), (0, 150, 0));
        assert!(callers.may_name(address("192.0.2.4"), Some("z@a.example"), MINUTE / 10));
    }

    #[test]
    fn who_comes_again_is_known() {
        let grey = callers("on = false", "on = true");
        let (minute, day) = (MINUTE, 24 * HOUR);
        let met = |peer: &str, recipient: &str, now| grey.is_met(address(peer), "A.example", recipient, now);
        assert!(!met("192.0.2.1", "x@b.cn", 0) && !met("192.0.2.1", "x@b.cn", minute) && !met("192.0.2.1", "y@b.cn", 3 * minute));
        // From its neighbour in the pool, and then for everybody.
        assert!(met("192.0.2.7", "X@b.cn", 3 * minute) && met("192.0.2.7", "z@b.cn", 3 * minute));
        assert!(!grey.is_met(address("192.0.2.1"), "other.example", "x@b.cn", 3 * minute));
        assert!(met("192.0.2.1", "x@b.cn", 30 * day) && met("192.0.2.1", "x@b.cn", 60 * day) && !met("192.0.2.1", "w@b.cn", 100 * day));
        // Who comes again after days is as new.
        assert!(!met("198.51.100.1", "x@b.cn", 0) && !met("198.51.100.1", "x@b.cn", 2 * day) && met("198.51.100.1", "x@b.cn", 2 * day + 2 * minute));
        assert!(callers("", "").is_met(address("192.0.2.1"), "a", "b", 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::new();
        for key in 0..(3 * MOST as u64) {
            recent.entry(key, || key);
        }
        assert!(recent.young.len() + recent.old.len() <= 2 * MOST && *recent.entry(3 * MOST as u64 - 1, || 0) == 3 * MOST as u64 - 1);
    }
}
