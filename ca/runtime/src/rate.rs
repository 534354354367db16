//! How much is taken in an hour, from one sender (an address, an enterprise) and from all together.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Senders remembered; when as many are busy, those that sent least are forgotten, and nobody waits for room.
const SENDERS: usize = 20_000;
const HOUR: i64 = 3_600;

/// Leaky buckets: each sender may send an hour's number at once, and then as often as the hour has room.
pub struct Rate<K> {
    per_sender: u32,
    all: Bucket,
    all_limit: u32,
    senders: HashMap<K, Bucket>,
}

/// Fills with each request by one, and leaks the limit in an hour. In thousandths, so that slow leaks count.
#[derive(Clone, Copy)]
struct Bucket {
    level: i64,
    at: i64,
}

const ONE: i64 = 1_000;

/// Seconds until there is room for one more: of this sender, and among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    pub sender: i64,
    pub all: i64,
}

impl Bucket {
    fn leaked(self, limit: u32, now: i64) -> Self {
        // A clock that steps back fills nothing.
        let passed = now.saturating_sub(self.at).clamp(0, HOUR);
        Self { level: (self.level - passed * i64::from(limit) * ONE / HOUR).max(0), at: now }
    }

    fn fuller(self, limit: u32) -> Self {
        Self { level: (self.level + ONE).min(i64::from(limit) * ONE), ..self }
    }

    /// Seconds until there is room for one more.
    fn wait(self, limit: u32) -> i64 {
        let over = self.level + ONE - i64::from(limit) * ONE;
        if over <= 0 { 0 } else { (over * HOUR).div_euclid(i64::from(limit) * ONE) + 1 }
    }
}

impl<K: Hash + Eq> Rate<K> {
    pub fn new(per_sender: u32, all: u32) -> Self {
        Self { per_sender, all: Bucket { level: 0, at: 0 }, all_limit: all, senders: HashMap::new() }
    }

    /// Bounded for each sender alone.
    pub fn of_each(per_sender: u32) -> Self {
        Self::new(per_sender, u32::MAX)
    }

    /// A strange table of senders must not shut others out for an hour: those nearest to empty lose least by it. A share at a
    /// time, so that not every further sender costs a look at all.
    fn forget_emptiest(&mut self, now: i64) {
        if self.senders.len() < SENDERS {
            return;
        }
        let limit = self.per_sender;
        let mut levels: Vec<i64> = self.senders.values().map(|bucket| bucket.leaked(limit, now).level).collect();
        let (_, highest, _) = levels.select_nth_unstable(SENDERS / 16);
        let (highest, mut left) = (*highest, SENDERS / 16);
        self.senders.retain(|_, bucket| {
            let goes = left > 0 && bucket.leaked(limit, now).level <= highest;
            left -= usize::from(goes);
            !goes
        });
    }

    fn make_room(&mut self, sender: &K, now: i64) {
        if self.senders.len() >= SENDERS && !self.senders.contains_key(sender) {
            let limit = self.per_sender;
            self.senders.retain(|_, bucket| bucket.leaked(limit, now).level > 0);
            self.forget_emptiest(now);
        }
    }

    /// The bucket of one and that of all, as they are now.
    fn now(&self, sender: &K, now: i64) -> (Bucket, Bucket) {
        let one = self.senders.get(sender).copied().unwrap_or(Bucket { level: 0, at: now });
        (one.leaked(self.per_sender, now), self.all.leaked(self.all_limit, now))
    }

    /// How long one more would wait; nothing is counted.
    pub fn waits(&self, sender: &K, now: i64) -> Waits {
        let (one, all) = self.now(sender, now);
        Waits { sender: one.wait(self.per_sender), all: all.wait(self.all_limit) }
    }

    /// Whether nothing that this sender sent is remembered any more.
    pub fn is_fresh(&self, sender: &K, now: i64) -> bool {
        self.now(sender, now).0.level == 0
    }

    /// Counts one request; or how many seconds to wait. Of a network address take the `network`.
    pub fn take(&mut self, sender: K, now: i64) -> Result<(), i64> {
        let waits = self.waits(&sender, now);
        match waits.sender.max(waits.all) {
            0 => {
                self.spend(sender, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// Counts what happened already; a full bucket stays full.
    pub fn spend(&mut self, sender: K, now: i64) {
        self.make_room(&sender, now);
        let (one, all) = self.now(&sender, now);
        self.all = all.fuller(self.all_limit);
        self.senders.insert(sender, one.fuller(self.per_sender));
    }
}

/// One customer of a provider has many addresses of IPv6: those of one /64 count as one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn four(last: u32) -> IpAddr {
        IpAddr::V4(last.into())
    }

    #[test]
    fn one_address_and_all_together_are_bounded_and_time_makes_room() {
        let mut rate = Rate::new(3, 5);
        for _ in 0..3 {
            rate.take(four(1), 1_000).unwrap();
        }
        let wait = rate.take(four(1), 1_000).unwrap_err();
        assert!((1_190..=1_210).contains(&wait), "{wait}");
        rate.take(four(2), 1_000).unwrap();
        rate.take(four(2), 1_000).unwrap();
        assert!(rate.take(four(3), 1_000).is_err(), "all together");
        rate.take(four(1), 1_000 + wait).unwrap();
        assert!(rate.take(four(1), 1_000 + wait).is_err());
        // Backwards there is no more room than before.
        assert!(rate.take(four(1), 0).is_err());
    }

    #[test]
    fn what_happened_counts_without_being_asked_and_never_beyond_the_brim() {
        let mut rate = Rate::new(2, 3);
        for _ in 0..10 {
            rate.spend(four(1), 0);
        }
        assert!(rate.waits(&four(1), 0).sender > 0);
        assert_eq!(rate.waits(&four(2), 0).sender, 0);
        assert!(rate.waits(&four(2), 0).all > 0);
        // Ten were counted, and yet an hour empties it.
        assert_eq!(rate.waits(&four(1), HOUR), Waits { sender: 0, all: 0 });
        let mut each = Rate::of_each(1);
        (0..1_000).for_each(|last| each.take(four(last), 0).unwrap());
        assert!(each.take(four(1), 0).is_err());
    }

    #[test]
    fn many_addresses_take_no_more_memory_and_a_network_of_ipv6_is_one() {
        let mut rate = Rate::new(2, u32::MAX);
        let six = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        rate.take(network(six(1)), 0).unwrap();
        rate.take(network(six(3)), 0).unwrap();
        assert!(rate.take(network(six(2)), 0).is_err());
        for last in 1..SENDERS as u32 {
            rate.take(four(last), 0).unwrap();
        }
        // However many there are, a new one is not shut out, and whoever sent too much stays so.
        for last in 1..=SENDERS as u32 {
            rate.take(four(u32::MAX - last), 0).unwrap();
            assert!(rate.senders.len() <= SENDERS);
        }
        assert!(rate.take(network(six(2)), 0).is_err());
        rate.take(four(u32::MAX), HOUR).unwrap();
        assert!(rate.senders.len() < 10);
    }
}
