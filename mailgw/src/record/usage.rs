//! What a mailbox has sent in this hour and on this day.

use policies::mailbox::{Allowance, MailboxNumber};
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "usage";
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// Days are those of the city.
const CHINA: u64 = 8 * HOUR;

/// Hours and days are counted from 1970 in the city's time. One record a mailbox, whatever it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    hour: u64,
    messages_this_hour: u32,
    day: u64,
    messages_this_day: u32,
    recipients_this_day: u32,
}

pub fn key(number: MailboxNumber) -> Key {
    Key::numbered(KIND, &[], number.get())
}

/// Of every mailbox.
pub fn range() -> (Key, Key) {
    Key::range(KIND, &[])
}

impl Usage {
    /// Whether it says as much as no record at all.
    pub fn is_over(&self, now_unix_millis: u64) -> bool {
        self.day < now_unix_millis.saturating_add(CHINA) / DAY
    }

    /// After one more message to so many; `None` when that is more than is allowed.
    pub fn with(self, recipients: usize, allowed: &Allowance, now_unix_millis: u64) -> Option<Self> {
        let local = now_unix_millis.saturating_add(CHINA);
        let (hour, day) = (local / HOUR, local / DAY);
        let same_hour = |count: u32| if self.hour == hour { count } else { 0 };
        let same_day = |count: u32| if self.day == day { count } else { 0 };
        let after = Self {
            hour,
            messages_this_hour: same_hour(self.messages_this_hour).saturating_add(1),
            day,
            messages_this_day: same_day(self.messages_this_day).saturating_add(1),
            recipients_this_day: same_day(self.recipients_this_day).saturating_add(u32::try_from(recipients).unwrap_or(u32::MAX)),
        };
        let fits = after.messages_this_hour <= allowed.messages_per_hour
            && after.messages_this_day <= allowed.messages_per_day
            && after.recipients_this_day <= allowed.recipients_per_day;
        fits.then_some(after)
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALLOWED: Allowance = Allowance { messages_per_hour: 2, messages_per_day: 3, recipients_per_day: 10 };
    /// Midnight in the city.
    const START: u64 = 1_000 * DAY - CHINA;

    #[test]
    fn so_many_an_hour_and_a_day() {
        let send = |usage: Usage, at| usage.with(1, &ALLOWED, at);
        let two = send(send(Usage::default(), START).unwrap(), START + 1).unwrap();
        assert_eq!(send(two, START + HOUR - 1), None);
        let three = send(two, START + HOUR).unwrap();
        assert_eq!(send(three, START + DAY - 1), None);
        assert_eq!(send(three, START + DAY).unwrap().messages_this_day, 1);
        assert!(!three.is_over(START + DAY - 1) && three.is_over(START + DAY));
        assert_eq!(Usage::default().with(11, &ALLOWED, START), None);
        assert!(Usage::default().with(10, &ALLOWED, START).unwrap().with(1, &ALLOWED, START).is_none());
        assert_eq!(Usage::decode(&three.encode().unwrap()).unwrap(), three);
    }
}
