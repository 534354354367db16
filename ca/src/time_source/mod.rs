//! Who vouches for the host's clock, and how far it may be wrong: nobody who is not asked is believed.

mod command;
mod vouching;

pub use vouching::Vouching;

use std::io::Read;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A program by its whole path, and its arguments.
fn program<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    let whole = command.first().is_some_and(|program| Path::new(program).is_absolute());
    if whole { Ok(command) } else { Err(serde::de::Error::custom("the command begins with the whole path of a program")) }
}

/// What is read of a file or a command's output: one number.
const SAID_LIMIT: u64 = 64;
/// A file's time may be so far ahead of the clock that reads it.
const AHEAD: Duration = Duration::from_secs(1);

/// `[timestamp]` in ca.toml: a fact of this host, not a decision of the city.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeSource {
    /// The state that a time service keeps in the kernel (`adjtimex`).
    Kernel {},
    /// A file that says the clock's largest error in milliseconds, written anew by whoever knows.
    File { path: PathBuf, max_age_seconds: NonZeroU32 },
    /// A program, with its arguments, that prints the clock's largest error in milliseconds. It is run now and then, never
    /// for a token.
    Command {
        #[serde(deserialize_with = "program")]
        command: Vec<String>,
        every_seconds: NonZeroU32,
    },
    /// Nobody vouches, and the clock is believed. For demonstrations.
    Unchecked {},
}

impl Default for TimeSource {
    fn default() -> Self {
        Self::Kernel {}
    }
}

/// Why nobody vouches for the clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("the time source was not asked yet; wait a few seconds")]
    NotAsked,
    #[error("the time source was not asked for a while; see that the service is not stopped and read its log")]
    Silent,
    #[error("the kernel's clock is not synchronised; start a time service, such as chrony, or name another source in ca.toml")]
    Unsynchronised,
    #[error("the kernel does not tell the state of its clock: {0}; name another source in ca.toml")]
    Kernel(String),
    #[error("{path} cannot be read: {reason}; see that whoever writes it runs", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("{path} is {age} seconds old and counts for {most}; see that whoever writes it runs", path = path.display())]
    Old { path: PathBuf, age: u64, most: u32 },
    #[error("{path} is of a time to come; see which clock is wrong", path = path.display())]
    Ahead { path: PathBuf },
    #[error("{path} was written before the clock was set; it is believed again when it is written anew", path = path.display())]
    BeforeSet { path: PathBuf },
    #[error("{what} does not say an error in milliseconds; let it say one number, such as 12 or 0.8")]
    Words { what: String },
    #[error("the command {command} does not vouch: {reason}; run it by hand")]
    Command { command: String, reason: String },
    #[error("the clock may be wrong by {error_ms} milliseconds, more than {most_ms}; wait for the time service, or promise a wider accuracy")]
    Wide { error_ms: u128, most_ms: u128 },
    #[error("the clock was set; tokens are made again once the time source vouches for it")]
    Set,
    #[error("the clock is behind the last token by more than the accuracy; find out which of them is wrong")]
    Behind,
    #[error("the time of the clock is not one that a token can say; set the clock")]
    Unspeakable,
}

/// A source's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The most that the clock may be wrong.
    pub error: Duration,
    /// When it was said, where the source says it once for a while: a word from before the clock was set counts nothing.
    said_at: Option<SystemTime>,
}

impl Reading {
    /// The word, when it is good enough for what is promised to others. A quarter of that is kept for what the clock may move
    /// before it counts as set.
    pub fn within(self, accuracy: Duration) -> Result<Self, Doubt> {
        let most = accuracy.saturating_sub(tolerance(accuracy));
        if self.error > most {
            return Err(Doubt::Wide { error_ms: self.error.as_millis(), most_ms: most.as_millis() });
        }
        Ok(self)
    }
}

/// How far the clock may move against the time passed before it counts as set.
fn tolerance(accuracy: Duration) -> Duration {
    accuracy / 4
}

impl TimeSource {
    /// What it says now.
    pub fn read(&self, now: OffsetDateTime) -> Result<Reading, Doubt> {
        match self {
            Self::Kernel {} => {
                let state = runtime::kernel_clock::state().map_err(|error| Doubt::Kernel(error.to_string()))?;
                if state.synchronised { Ok(Reading { error: state.max_error, said_at: None }) } else { Err(Doubt::Unsynchronised) }
            }
            Self::File { path, max_age_seconds } => file(path, max_age_seconds.get(), now),
            Self::Command { command, .. } => {
                let said = command::run(command)?;
                let error = milliseconds(&said).ok_or_else(|| Doubt::Words { what: command.first().cloned().unwrap_or_default() })?;
                Ok(Reading { error, said_at: None })
            }
            Self::Unchecked {} => Ok(Reading { error: Duration::ZERO, said_at: None }),
        }
    }

    /// How often it is to be asked.
    pub fn every(&self) -> Duration {
        match self {
            Self::Command { every_seconds, .. } => Duration::from_secs(u64::from(every_seconds.get()).min(3_600)),
            _ => Duration::from_secs(2),
        }
    }

    /// For how long its word counts: a source that is slow once is asked again before nobody is believed.
    pub fn counts_for(&self) -> Duration {
        self.every() * 2 + command::DEADLINE
    }

    pub fn is_unchecked(&self) -> bool {
        matches!(self, Self::Unchecked {})
    }

    /// For people: which source it is.
    pub fn name(&self) -> String {
        match self {
            Self::Kernel {} => "the kernel".into(),
            Self::File { path, .. } => format!("the file {}", path.display()),
            Self::Command { command, .. } => format!("the command {}", command.first().map_or("", String::as_str)),
            Self::Unchecked {} => "unchecked".into(),
        }
    }
}

fn file(path: &Path, most: u32, now: OffsetDateTime) -> Result<Reading, Doubt> {
    let failed = |error: std::io::Error| Doubt::File { path: path.to_owned(), reason: error.to_string() };
    // Opened once: its age and its word are of the same file, whoever puts another in its place meanwhile.
    let file = std::fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(Doubt::File { path: path.to_owned(), reason: "it is no file".into() });
    }
    let said_at = about.modified().map_err(failed)?;
    match SystemTime::from(now).duration_since(said_at) {
        Ok(age) if age > Duration::from_secs(most.into()) => return Err(Doubt::Old { path: path.to_owned(), age: age.as_secs(), most }),
        Err(ahead) if ahead.duration() > AHEAD => return Err(Doubt::Ahead { path: path.to_owned() }),
        _ => {}
    }
    let mut text = String::new();
    file.take(SAID_LIMIT).read_to_string(&mut text).map_err(failed)?;
    let error = milliseconds(&text).ok_or_else(|| Doubt::Words { what: path.display().to_string() })?;
    Ok(Reading { error, said_at: Some(said_at) })
}

/// `12` or `0.8`, with nothing besides but a line's end.
fn milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let nanos = format!("{fraction:0<6}");
    Some(Duration::from_millis(whole.parse().ok()?) + Duration::from_nanos(nanos.get(..6)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(text: &str) -> Result<TimeSource, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_source_is_written_in_one_way() {
        assert_eq!(source("source = \"kernel\"").unwrap(), TimeSource::Kernel {});
        assert_eq!(source("source = \"file\"\npath = \"/run/error\"\nmax_age_seconds = 64").unwrap(), TimeSource::File { path: "/run/error".into(), max_age_seconds: 64.try_into().unwrap() });
        assert!(source("source = \"command\"\ncommand = [\"/bin/x\", \"-y\"]\nevery_seconds = 60").is_ok());
        assert!(source("source = \"unchecked\"").unwrap().is_unchecked());
        for wrong in ["", "source = \"ntp\"", "source = \"kernel\"\npath = \"/x\"", "source = \"file\"\npath = \"/x\"", "source = \"unchecked\"\nmore = 1", "source = \"file\"\npath = \"/x\"\nmax_age_seconds = 0", "source = \"command\"\ncommand = []\nevery_seconds = 1", "source = \"command\"\ncommand = [\"x\"]\nevery_seconds = 1"] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_is_a_number_of_milliseconds_and_nothing_else() {
        assert_eq!(milliseconds("12\n"), Some(Duration::from_millis(12)));
        assert_eq!(milliseconds(" 0.8 "), Some(Duration::from_micros(800)));
        assert_eq!(milliseconds("0.0000019"), Some(Duration::from_nanos(1)));
        for wrong in ["", "-1", "1e3", "0.", ".5", "12 ms", "inf", "NaN", "0x1", "12\n13", "1234567890", "+1", "١"] {
            assert_eq!(milliseconds(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_file_vouches_by_its_age_and_its_word() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("error");
        let said = || file(&path, 60, OffsetDateTime::now_utc()).map(|reading| reading.error);
        assert!(matches!(said(), Err(Doubt::File { .. })));
        std::fs::write(&path, "0.5\n").unwrap();
        assert_eq!(said(), Ok(Duration::from_micros(500)));
        let written = |ago: i64| {
            let at = SystemTime::now();
            let at = if ago < 0 { at + Duration::from_secs(ago.unsigned_abs()) } else { at - Duration::from_secs(ago.unsigned_abs()) };
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        written(59);
        assert!(said().is_ok());
        written(62);
        assert!(matches!(said(), Err(Doubt::Old { age: 62, most: 60, .. })));
        written(-5);
        assert!(matches!(said(), Err(Doubt::Ahead { .. })));
        std::fs::write(&path, "fine").unwrap();
        assert!(matches!(said(), Err(Doubt::Words { .. })));
        std::fs::write(&path, vec![b'1'; 1 << 20]).unwrap();
        assert!(matches!(said(), Err(Doubt::Words { .. })));
        assert!(matches!(file(place.path(), 60, OffsetDateTime::now_utc()), Err(Doubt::File { .. })));
    }
}
