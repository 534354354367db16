//! Networks that have not failed at a name of late, while others guess at it: one of them is heard in half a minute, so that whoever guesses
//! keeps nobody out who comes from elsewhere, and who guesses from many networks gains little.

use std::collections::HashMap;
use std::net::IpAddr;

/// Unix milliseconds, as all times here: a network that was heard is none of these for an hour.
const OF_LATE: i64 = 3_600_000;
const BETWEEN: i64 = 30_000;
/// The most that are remembered of each kind; past it those that are too old go, then all.
const MOST: usize = 100_000;

/// In memory alone. Names are digests.
#[derive(Default)]
pub(super) struct Strangers {
    heard: HashMap<([u8; 32], IpAddr), i64>,
    last: HashMap<[u8; 32], i64>,
}

impl Strangers {
    /// Whether this network is heard now though the name is to wait. It is counted: the next one is heard later, and itself not again of late.
    pub fn admits(&mut self, name: [u8; 32], from: IpAddr, now: i64) -> bool {
        // A clock set back keeps nobody waiting for longer.
        let within = |since: Option<&i64>, span: i64| since.is_some_and(|since| (0..span).contains(&now.saturating_sub(*since)));
        if within(self.heard.get(&(name, provider(from))), OF_LATE) || within(self.last.get(&name), BETWEEN) {
            return false;
        }
        self.note(name, from, now);
        insert(&mut self.last, name, BETWEEN, now);
        true
    }

    /// It failed, heard as everybody is while nobody has to wait.
    pub fn note(&mut self, name: [u8; 32], from: IpAddr, now: i64) {
        insert(&mut self.heard, (name, provider(from)), OF_LATE, now);
    }

    /// It did not fail there, by its own fault or ours.
    pub fn forget(&mut self, name: [u8; 32], from: IpAddr) {
        self.heard.remove(&(name, provider(from)));
    }
}

/// Whoever has one address of these has many: one provider's customer of IPv6 a /48, a house of IPv4 a /24.
fn provider(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) >> 8 << 8).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 80 << 80).into()),
    }
}

fn insert<K: std::hash::Hash + Eq>(times: &mut HashMap<K, i64>, key: K, span: i64, now: i64) {
    if times.len() >= MOST && !times.contains_key(&key) {
        times.retain(|_, since| (0..span).contains(&now.saturating_sub(*since)));
        if times.len() >= MOST {
            times.clear();
        }
    }
    times.insert(key, now);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NAME: [u8; 32] = [7; 32];
    const START: i64 = 1_795_000_000_000;

    /// Of one /24 each.
    fn network(n: u32) -> IpAddr {
        IpAddr::from((n << 8).to_be_bytes())
    }

    #[test]
    fn one_network_in_half_a_minute_and_each_once_in_an_hour() {
        let mut strangers = Strangers::default();
        assert!(strangers.admits(NAME, network(1), START));
        assert!(!strangers.admits(NAME, network(2), START + BETWEEN - 1) && strangers.admits([8; 32], network(2), START));
        assert!(strangers.admits(NAME, network(2), START + BETWEEN));
        assert!(!strangers.admits(NAME, network(1), START + OF_LATE - 1) && strangers.admits(NAME, network(1), START + OF_LATE));
        // Whoever failed while nobody had to wait is no stranger.
        strangers.note(NAME, network(3), START + OF_LATE);
        assert!(!strangers.admits(NAME, network(3), START + OF_LATE + BETWEEN));
        assert!(strangers.admits(NAME, network(1), START - 1), "a clock set back");
    }

    #[test]
    fn a_providers_addresses_are_one_and_who_did_not_fail_is_a_stranger_still() {
        let mut strangers = Strangers::default();
        let (one, same, other) = ("2001:db8:1::1".parse().unwrap(), "2001:db8:1:ffff::1".parse().unwrap(), "2001:db8:2::1".parse().unwrap());
        assert!(strangers.admits(NAME, one, START));
        assert!(!strangers.admits(NAME, same, START + BETWEEN) && strangers.admits(NAME, other, START + BETWEEN));
        assert!(strangers.admits(NAME, "192.0.2.1".parse().unwrap(), START + 2 * BETWEEN) && !strangers.admits(NAME, "192.0.2.200".parse().unwrap(), START + 3 * BETWEEN));
        strangers.forget(NAME, same);
        assert!(strangers.admits(NAME, one, START + 3 * BETWEEN));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut strangers = Strangers::default();
        for n in 0..250_000_u32 {
            strangers.note([0; 32], network(n), START);
            let mut name = [0; 32];
            name[..4].copy_from_slice(&n.to_be_bytes());
            strangers.admits(name, network(n), START);
        }
        assert!(strangers.heard.len() <= MOST && strangers.last.len() <= MOST);
    }
}
