//! Header fields: folded, in encoded words that never split a character, with the city's time.

use time::{OffsetDateTime, UtcOffset};

/// The most columns of a line that holds an encoded word (spec: rfc2047#2), and of an encoded word.
const LINE: usize = 76;
const WORD: usize = 75;
const OPEN: &str = "=?UTF-8?B?";
const CLOSE: &str = "?=";

pub(crate) fn plain(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn words(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    encoded(out, name.len() + 2, text);
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn mailbox(out: &mut Vec<u8>, name: &str, display: &str, address: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let column = encoded(out, name.len() + 2, display);
    let separator: &[u8] = if column + address.len() + 3 > LINE { b"\r\n <" } else { b" <" };
    out.extend_from_slice(separator);
    out.extend_from_slice(address.as_bytes());
    out.extend_from_slice(b">\r\n");
}

/// Writes `text` as encoded words from `column` on and returns the column after them.
fn encoded(out: &mut Vec<u8>, mut column: usize, text: &str) -> usize {
    use base64::Engine as _;
    let mut rest = text;
    loop {
        let room = WORD.min(LINE.saturating_sub(column)).saturating_sub(OPEN.len() + CLOSE.len()) / 4 * 3;
        let fitting = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= room).last();
        let (chunk, after) = rest.split_at_checked(fitting.unwrap_or(0)).unwrap_or((rest, ""));
        if !chunk.is_empty() {
            let word = base64::engine::general_purpose::STANDARD.encode(chunk);
            out.extend_from_slice(OPEN.as_bytes());
            out.extend_from_slice(word.as_bytes());
            out.extend_from_slice(CLOSE.as_bytes());
            column += OPEN.len() + word.len() + CLOSE.len();
        }
        if after.is_empty() {
            return column;
        }
        out.extend_from_slice(b"\r\n ");
        column = 1;
        rest = after;
    }
}

/// `Sat, 31 Oct 2026 08:00:00 +0800`: the zone of the city, whatever zone `at` is told in.
pub(crate) fn date(at: OffsetDateTime) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let city = UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC);
    // The last hours of the year 9999 have no time in the city: they keep their own zone.
    let at = at.checked_to_offset(city).unwrap_or(at);
    let (hours, minutes, _) = at.offset().as_hms();
    let day = DAYS.get(usize::from(at.weekday().number_days_from_monday())).unwrap_or(&"Mon");
    let month = MONTHS.get(usize::from(u8::from(at.month())) - 1).unwrap_or(&"Jan");
    let (year, second) = (at.year(), at.second());
    format!("{day}, {:02} {month} {year:04} {:02}:{:02}:{second:02} {hours:+03}{:02}", at.day(), at.hour(), at.minute(), minutes.abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use policies::certificate::OrganizationName;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn dates_are_told_in_the_time_of_the_city() {
        assert_eq!(date(datetime!(2026-10-31 23:59:58 UTC)), "Sun, 01 Nov 2026 07:59:58 +0800");
        assert_eq!(date(datetime!(2026-01-05 1:02:03 -5)), "Mon, 05 Jan 2026 14:02:03 +0800");
        assert_eq!(date(datetime!(9999-12-31 23:00:00 -3:30)), "Fri, 31 Dec 9999 23:00:00 -0330");
    }

    proptest! {
        #[test]
        fn another_reader_finds_the_same_words(text in "(广|𠅤|[ -~]|\\PC){1,60}", local in "[a-z]{1,50}") {
            prop_assume!(OrganizationName::parse(&text).is_ok());
            let (display, address) = (OrganizationName::parse(&text).unwrap(), format!("{local}@mail.example.cn"));
            let mut out = Vec::new();
            mailbox(&mut out, "From", display.as_str(), &address);
            words(&mut out, "Subject", display.as_str());
            let written = String::from_utf8(out.clone()).unwrap();
            for line in written.split_terminator("\r\n") {
                prop_assert!(line.len() <= 78 && line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
                for word in line.split("=?UTF-8?B?").skip(1) {
                    use base64::Engine as _;
                    let decoded = base64::engine::general_purpose::STANDARD.decode(word.split("?=").next().unwrap()).unwrap();
                    prop_assert!(String::from_utf8(decoded).is_ok(), "a character is split");
                }
            }
            let parsed = mail_parser::MessageParser::new().parse(&out).unwrap();
            prop_assert_eq!(parsed.subject(), Some(display.as_str()));
            let from = parsed.from().unwrap().first().unwrap();
            prop_assert_eq!((from.name(), from.address()), (Some(display.as_str()), Some(address.as_str())));
        }
    }
}
