//! How long signatures are believed, and when what proves them is renewed.

use serde::Deserialize;
use time::{Date, Duration};

use crate::document::{PolicyError, read};

/// Algorithms as the document names them.
pub const ALGORITHMS: [&str; 8] = ["sha256", "sha384", "sha512", "p256", "p384", "rsa2048", "rsa3072", "rsa4096"];

/// Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// How much older than a signature's proof a revocation answer may be.
    pub answers_older: Duration,
    /// The same for the certificates of timestamp authorities.
    pub timestamp_answers_older: Duration,
    /// The same for a list that is in force, where nothing proves when the signature was made.
    pub lists_older: Duration,
    /// How far the clocks of two services may lie apart.
    pub skew: Duration,
    /// After the timestamp, before evidence is gathered.
    pub grace: Duration,
    /// Before the last archive timestamp's certificate or algorithm ends.
    pub renew_before: Duration,
    /// Name and last day, in UTC.
    pub algorithms: Vec<(&'static str, Date)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    answers: Answers,
    /// Unknown to documents from before: they have it as it is shipped.
    clocks: Option<Clocks>,
    archive: Times,
    algorithms: std::collections::BTreeMap<String, toml::value::Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    older_minutes: u32,
    timestamp_older_hours: u32,
    /// Unknown to documents from before: they have it as it is shipped.
    list_older_hours: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clocks {
    skew_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    grace_hours: u32,
    renew_before_days: u32,
}

impl Archive {
    /// File name and text.
    pub fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { answers, clocks, archive, algorithms } = read(file, text)?;
        let refused = |reason: String| PolicyError::at(file, text, None, reason);
        // Ten years in each unit: more is a slip.
        let within = |name: &str, value: u32, most: u32| if value <= most { Ok(i64::from(value)) } else { Err(refused(format!("{name} is {value} and at most {most}"))) };
        let skew = match clocks {
            // As at the desk: five minutes are no slip of a clock any more.
            Some(clocks) => Duration::seconds(within("skew_seconds", clocks.skew_seconds, 300)?),
            None if text != super::SHIPPED_ARCHIVE.1 => Self::shipped()?.skew,
            None => return Err(refused("[clocks] is missing".to_owned())),
        };
        let lists_older = match answers.list_older_hours {
            Some(hours) => Duration::hours(within("list_older_hours", hours, 2_160)?),
            None if text != super::SHIPPED_ARCHIVE.1 => Self::shipped()?.lists_older,
            None => return Err(refused("list_older_hours is missing".to_owned())),
        };
        let mut known = Vec::new();
        for (name, until) in algorithms {
            let name = ALGORITHMS.into_iter().find(|known| *known == name).ok_or_else(|| refused(format!("{} is no algorithm; known are {}", name, ALGORITHMS.join(", "))))?;
            let date = until.date.filter(|_| until.time.is_none() && until.offset.is_none());
            let date = date.and_then(|day| Date::from_calendar_date(i32::from(day.year), day.month.try_into().ok()?, day.day).ok());
            known.push((name, date.ok_or_else(|| refused(format!("{name} is no day; write 2040-12-31")))?));
        }
        Ok(Self {
            answers_older: Duration::minutes(within("older_minutes", answers.older_minutes, 10_080)?),
            timestamp_answers_older: Duration::hours(within("timestamp_older_hours", answers.timestamp_older_hours, 2_160)?),
            lists_older,
            skew,
            grace: Duration::hours(within("grace_hours", archive.grace_hours, 2_160)?),
            renew_before: Duration::days(within("renew_before_days", archive.renew_before_days, 1_825)?),
            algorithms: known,
        })
    }

    /// What comes with the program.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::parse(super::SHIPPED_ARCHIVE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_shipped_is_read_and_slips_are_told() {
        let shipped = Archive::shipped().unwrap();
        assert_eq!((shipped.grace, shipped.skew, shipped.algorithms.len()), (Duration::hours(26), Duration::seconds(5), 8));
        let (file, text) = crate::filing::SHIPPED_ARCHIVE;
        for (from, to, told) in [
            ("sha256 = 2040-12-31", "md5 = 2040-12-31", "md5 is no algorithm"),
            ("p256 = 2040-12-31", "p256 = 2040-12-31T00:00:00Z", "p256 is no day"),
            ("grace_hours = 26", "grace_hours = 99999", "grace_hours is 99999"),
            ("skew_seconds = 5", "skew_seconds = 301", "skew_seconds is 301"),
            ("grace_hours = 26", "graceful = 26", "graceful"),
        ] {
            let error = Archive::parse((file, &text.replace(from, to))).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        // A document from before clocks stood in it.
        assert_eq!(Archive::parse((file, &text.replace("[clocks]\nskew_seconds = 5\n", "").replace("list_older_hours = 168\n", ""))).unwrap(), shipped);
    }
}
