//! Failed logins are counted by account and by peer: past a few, each has to wait longer than the last.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How many failures are free, how long the longest wait is, and in how long a time one failure is forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub free: u32,
    pub longest: Duration,
    pub forget: Duration,
    /// The most keys that are remembered; the older half goes when they are more.
    pub keys: usize,
}

/// Few, since one account has one owner; the wait is short enough not to lock the owner out for long.
pub(super) const ACCOUNT: Limits =
    Limits { free: 16, longest: Duration::from_secs(60), forget: Duration::from_secs(60), keys: 100_000 };
/// More, since an office or a village may come from one address, with a telephone among them that has an old
/// password and tries it every minute.
pub(super) const PEER: Limits =
    Limits { free: 64, longest: Duration::from_secs(300), forget: Duration::from_secs(30), keys: 100_000 };

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Since when no failure was forgotten; unix milliseconds, as all times here.
    since: i64,
    blocked_until: i64,
}

pub(super) struct Limiter<K> {
    limits: Limits,
    failures: HashMap<K, Failures>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub fn new(limits: Limits) -> Self {
        Self { limits, failures: HashMap::new() }
    }

    /// How long this key has to wait still; zero when it may try.
    pub fn wait(&mut self, key: &K, now: i64) -> Duration {
        let Some(failures) = self.failures.get_mut(key) else { return Duration::ZERO };
        failures.settle(self.limits, now);
        if failures.count == 0 {
            self.failures.remove(key);
            return Duration::ZERO;
        }
        Duration::from_millis(u64::try_from(failures.blocked_until.saturating_sub(now)).unwrap_or(0))
    }

    /// Counts a failure; the wait before the next try.
    pub fn fail(&mut self, key: &K, now: i64) -> Duration {
        if self.failures.len() >= self.limits.keys && !self.failures.contains_key(key) {
            self.drop_older_half();
        }
        let failures = self.failures.entry(key.clone()).or_insert(Failures { count: 0, since: now, blocked_until: now });
        failures.settle(self.limits, now);
        failures.count = failures.count.saturating_add(1);
        let wait = match failures.count.checked_sub(self.limits.free) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1 << beyond.min(32)).min(self.limits.longest),
        };
        failures.blocked_until = now.saturating_add(millis(wait));
        wait
    }

    /// Takes back a failure that turned out to be none of the key's fault.
    pub fn forgive(&mut self, key: &K) {
        if let Some(failures) = self.failures.get_mut(key) {
            failures.count = failures.count.saturating_sub(1);
            failures.blocked_until = failures.since;
        }
    }

    pub fn clear(&mut self, key: &K) {
        self.failures.remove(key);
    }

    fn drop_older_half(&mut self) {
        let mut times: Vec<i64> = self.failures.values().map(|failures| failures.since).collect();
        let middle = times.len() / 2;
        let median = *times.select_nth_unstable(middle).1;
        self.failures.retain(|_, failures| failures.since > median);
    }
}

impl Failures {
    fn settle(&mut self, limits: Limits, now: i64) {
        // A clock set back must not lock anybody out for longer than the longest wait.
        self.since = self.since.min(now);
        self.blocked_until = self.blocked_until.min(now.saturating_add(millis(limits.longest)));
        let forget = millis(limits.forget).max(1);
        let forgotten = now.saturating_sub(self.since) / forget;
        self.count = self.count.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        self.since = if self.count == 0 { now } else { self.since.saturating_add(forgotten.saturating_mul(forget)) };
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { free: 3, longest: Duration::from_secs(60), forget: Duration::from_secs(600), keys: 4 };
    const START: i64 = 1_795_000_000_000;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut limiter = Limiter::new(LIMITS);
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..11 {
            let wait = limiter.fail(&"a", now);
            assert_eq!(limiter.wait(&"a", now), wait);
            assert_eq!(limiter.wait(&"b", now), Duration::ZERO);
            waits.push(wait.as_secs());
            now += millis(wait);
            assert_eq!(limiter.wait(&"a", now), Duration::ZERO);
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn failures_are_forgotten_one_by_one() {
        let mut limiter = Limiter::new(LIMITS);
        let mut now = START;
        // Slower than they are forgotten, failures never add up.
        for _ in 0..100 {
            assert_eq!(limiter.fail(&"a", now), Duration::ZERO);
            now += millis(LIMITS.forget);
        }
        for _ in 0..8 {
            limiter.fail(&"a", now);
        }
        now += millis(LIMITS.forget) * 5;
        assert_eq!(limiter.fail(&"a", now), Duration::from_secs(2));
        assert_eq!(limiter.wait(&"a", now + millis(LIMITS.forget) * 4), Duration::ZERO);
        assert!(limiter.failures.is_empty());
    }

    #[test]
    fn success_and_forgiveness() {
        let mut limiter = Limiter::new(LIMITS);
        for _ in 0..2 {
            limiter.fail(&"a", START);
        }
        assert_eq!(limiter.fail(&"a", START), Duration::from_secs(1));
        limiter.forgive(&"a");
        assert_eq!(limiter.wait(&"a", START), Duration::ZERO);
        assert_eq!(limiter.fail(&"a", START), Duration::from_secs(1));
        limiter.clear(&"a");
        assert_eq!(limiter.fail(&"a", START), Duration::ZERO);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut limiter = Limiter::new(LIMITS);
        for _ in 0..20 {
            limiter.fail(&"a", START);
        }
        let earlier = START - 1_000_000_000;
        assert_eq!(limiter.wait(&"a", earlier), LIMITS.longest);
        assert_eq!(limiter.wait(&"a", earlier + millis(LIMITS.longest)), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded() {
        let mut limiter = Limiter::new(LIMITS);
        for key in 0..1_000 {
            limiter.fail(&key, START + i64::from(key));
            assert!(limiter.failures.len() <= LIMITS.keys);
        }
        assert!(limiter.failures.contains_key(&999));
    }
}
