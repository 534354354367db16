//! Time as an argument: services ask a `Clock`, tests set one.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use time::{Duration, OffsetDateTime};

/// Where a service gets the present from. Always UTC.
pub trait Clock: Send + Sync {
    fn now(&self) -> OffsetDateTime;

    /// Time that has passed since some beginning, whatever is done to the clock on the wall: it never goes back. Where
    /// it moves otherwise than `now`, somebody has set the clock.
    fn passed(&self) -> std::time::Duration;
}

/// The host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn passed(&self) -> std::time::Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}

/// A clock that stands still until told otherwise. For tests; share it in an `Arc`.
#[derive(Debug)]
pub struct FakeClock(Mutex<(OffsetDateTime, std::time::Duration)>);

impl FakeClock {
    pub fn new(now: OffsetDateTime) -> Self {
        Self(Mutex::new((now, std::time::Duration::ZERO)))
    }

    /// As somebody sets a clock: no time passes.
    pub fn set(&self, now: OffsetDateTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = now;
    }

    /// Time passes; a negative `step` only sets the clock back. Stays at the calendar's end rather than overflow.
    pub fn advance(&self, step: Duration) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.0 = clock.0.saturating_add(step);
        clock.1 = clock.1.saturating_add(step.try_into().unwrap_or_default());
    }
}

impl Clock for FakeClock {
    fn now(&self) -> OffsetDateTime {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn passed(&self) -> std::time::Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> OffsetDateTime {
        (**self).now()
    }

    fn passed(&self) -> std::time::Duration {
        (**self).passed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use time::macros::datetime;

    #[test]
    fn a_fake_clock_moves_only_when_told() {
        let clock = Arc::new(FakeClock::new(datetime!(2026-02-28 23:59:59 UTC)));
        let seen: Arc<dyn Clock> = clock.clone();
        assert_eq!(seen.now(), seen.now());
        clock.advance(Duration::seconds(1));
        assert_eq!(seen.now(), datetime!(2026-03-01 0:00 UTC));
        clock.advance(Duration::days(-1));
        assert_eq!(seen.now(), datetime!(2026-02-28 0:00 UTC));
        clock.set(datetime!(2030-01-01 0:00 UTC));
        assert_eq!(seen.now(), datetime!(2030-01-01 0:00 UTC));
        // Only what passed has passed, however the clock was set.
        assert_eq!(seen.passed(), std::time::Duration::from_secs(1));
    }

    #[test]
    fn the_system_clock_is_utc_and_after_this_was_written() {
        let now = SystemClock.now();
        assert!(now.offset().is_utc());
        assert!(now > datetime!(2025-01-01 0:00 UTC));
    }
}
