//! Whether the clock may be told to others: vouched for a while ago, and not set since.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use runtime::clock::Clock;
use time::OffsetDateTime;

use super::{Doubt, Reading, TimeSource, tolerance};

struct State {
    word: Result<Word, Doubt>,
    /// Where the clock was set since: a source that said its word before has to say it again.
    not_said_at: Option<SystemTime>,
    /// What the source said last, and when.
    said_at: Option<SystemTime>,
}

/// A word that counts until `until`, of a clock that stood as far from the time passed as it did then.
#[derive(Clone)]
struct Word {
    error: Duration,
    /// By the time passed, which nobody sets.
    until: Duration,
    /// Nanoseconds between the clock and the time passed.
    distance: i128,
}

/// The clock as others may be told it.
pub struct Vouching {
    source: TimeSource,
    clock: Arc<dyn Clock>,
    accuracy: Duration,
    state: Mutex<State>,
}

impl Vouching {
    /// Vouched by nobody until the source is asked. `accuracy` is what is promised to others.
    pub fn new(source: TimeSource, clock: Arc<dyn Clock>, accuracy: Duration) -> Self {
        let state = State { word: Err(Doubt::NotAsked), not_said_at: None, said_at: None };
        Self { source, clock, accuracy, state: Mutex::new(state) }
    }

    pub fn source(&self) -> &TimeSource {
        &self.source
    }

    /// Asks the source. What it says counts from before it was asked.
    pub fn ask(&self) {
        let (asked_at, distance) = (self.clock.passed(), self.distance().0);
        self.hear(self.source.read(self.clock.now()), asked_at, distance);
    }

    fn hear(&self, reading: Result<Reading, Doubt>, asked_at: Duration, distance: i128) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set since the last word is told of here too, where no token was asked for meanwhile.
        self.notice(&mut state);
        state.word = reading.and_then(|reading| {
            if reading.said_at.is_some() && reading.said_at == state.not_said_at {
                return Err(Doubt::BeforeSet { path: if let TimeSource::File { path, .. } = &self.source { path.clone() } else { Default::default() } });
            }
            let reading = reading.within(self.accuracy)?;
            (state.said_at, state.not_said_at) = (reading.said_at, None);
            Ok(Word { error: reading.error, until: asked_at.saturating_add(self.source.counts_for()), distance })
        });
    }

    /// The time, while somebody vouches for it.
    pub fn now(&self) -> Result<OffsetDateTime, Doubt> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.notice(&mut state);
        match &state.word {
            Ok(word) if self.clock.passed() > word.until => Err(Doubt::Silent),
            Ok(_) => Ok(self.clock.now()),
            Err(doubt) => Err(doubt.clone()),
        }
    }

    /// How far the clock may be wrong, or why it is not told.
    pub fn error(&self) -> Result<Duration, Doubt> {
        self.now()?;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.word.as_ref().map(|word| word.error).map_err(Clone::clone)
    }

    /// Takes the word back when the clock was set since, whether forward or back.
    fn notice(&self, state: &mut State) {
        let Ok(word) = &state.word else { return };
        let (least, most) = self.distance();
        let tolerance = i128::try_from(tolerance(self.accuracy).as_nanos()).unwrap_or(i128::MAX);
        if least > word.distance.saturating_add(tolerance) || most < word.distance.saturating_sub(tolerance) {
            state.not_said_at = state.said_at;
            state.word = Err(Doubt::Set);
        }
    }

    /// Between what two numbers of nanoseconds the clock stands from the time passed: a thread may be stopped in between.
    fn distance(&self) -> (i128, i128) {
        let before = self.clock.passed();
        let wall = self.clock.now().unix_timestamp_nanos();
        let after = self.clock.passed();
        let from = |passed: Duration| wall.saturating_sub(i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX));
        (from(after), from(before))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use runtime::clock::FakeClock;

    const SECOND: time::Duration = time::Duration::SECOND;

    fn vouching(source: TimeSource) -> (Arc<FakeClock>, Vouching) {
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc()));
        (Arc::clone(&clock), Vouching::new(source, clock, Duration::from_secs(1)))
    }

    fn said(vouching: &Vouching, error_ms: u64, said_at: Option<SystemTime>) {
        let (at, distance) = (vouching.clock.passed(), vouching.distance().0);
        vouching.hear(Ok(Reading { error: Duration::from_millis(error_ms), said_at }), at, distance);
    }

    #[test]
    fn a_word_counts_for_a_while_and_within_the_accuracy() {
        let (clock, vouching) = vouching(TimeSource::Kernel {});
        assert_eq!(vouching.now(), Err(Doubt::NotAsked));
        said(&vouching, 750, None);
        assert_eq!(vouching.now(), Ok(clock.now()));
        assert_eq!(vouching.error(), Ok(Duration::from_millis(750)));
        clock.advance(9 * SECOND);
        assert!(vouching.now().is_ok());
        clock.advance(SECOND);
        assert_eq!(vouching.now(), Err(Doubt::Silent));
        said(&vouching, 751, None);
        assert_eq!(vouching.now(), Err(Doubt::Wide { error_ms: 751, most_ms: 750 }));
        said(&vouching, 1, None);
        assert!(vouching.now().is_ok());
        vouching.hear(Err(Doubt::Unsynchronised), Duration::ZERO, 0);
        assert_eq!(vouching.now(), Err(Doubt::Unsynchronised));
    }

    #[test]
    fn a_clock_that_was_set_is_not_told_until_it_is_vouched_for_again() {
        for step in [SECOND, -SECOND, time::Duration::HOUR, -time::Duration::DAY] {
            let (clock, vouching) = vouching(TimeSource::Kernel {});
            said(&vouching, 1, None);
            clock.set(clock.now() + step);
            assert_eq!(vouching.now(), Err(Doubt::Set), "{step}");
            // Not even when it is set to what it was.
            clock.set(clock.now() - step);
            assert_eq!(vouching.now(), Err(Doubt::Set));
            said(&vouching, 1, None);
            assert!(vouching.now().is_ok());
            // What a time service slews is no step.
            clock.set(clock.now() + time::Duration::milliseconds(200));
            assert!(vouching.now().is_ok());
        }
    }

    #[test]
    fn what_a_file_said_before_the_clock_was_set_counts_nothing() {
        let (clock, vouching) = vouching(TimeSource::File { path: "/error".into(), max_age_seconds: 60.try_into().unwrap() });
        let (first, second) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        said(&vouching, 1, Some(first));
        said(&vouching, 1, Some(first));
        assert!(vouching.now().is_ok());
        clock.set(clock.now() - SECOND);
        // Nobody asked for a token in between: the next word is where the step is seen.
        said(&vouching, 1, Some(first));
        assert!(matches!(vouching.now(), Err(Doubt::BeforeSet { .. })));
        said(&vouching, 1, Some(first));
        assert!(matches!(vouching.now(), Err(Doubt::BeforeSet { .. })));
        said(&vouching, 1, Some(second));
        assert!(vouching.now().is_ok());
    }
}
