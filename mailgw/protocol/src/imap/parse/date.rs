//! Dates of SEARCH and APPEND.
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::cursor::Cursor;
use super::{ParseError, Parsed};

pub(crate) const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// spec: rfc3501#9 date = date-text / DQUOTE date-text DQUOTE
pub(super) fn date(cursor: &mut Cursor) -> Parsed<Date> {
    let quoted = cursor.eat(b'"');
    let day = digits(cursor, 1, 2)?;
    let date = rest_of_date(cursor, day)?;
    if quoted {
        cursor.expect(b'"', "the closing quote of a date")?;
    }
    Ok(date)
}

/// spec: rfc3501#9 date-time = `"dd-Mon-yyyy hh:mm:ss +zzzz"`, the day padded with a space
pub(super) fn date_time(cursor: &mut Cursor) -> Parsed<OffsetDateTime> {
    cursor.expect(b'"', "a date and time in quotes")?;
    let day = if cursor.eat(b' ') { digits(cursor, 1, 1)? } else { digits(cursor, 1, 2)? };
    let date = rest_of_date(cursor, day)?;
    cursor.space()?;
    let hour = digits(cursor, 2, 2)?;
    cursor.expect(b':', "`:`")?;
    let minute = digits(cursor, 2, 2)?;
    cursor.expect(b':', "`:`")?;
    // A leap second is kept as the second before it.
    let second = digits(cursor, 2, 2)?.min(59);
    cursor.space()?;
    let east = match cursor.peek() {
        Some(b'+') => 1i8,
        Some(b'-') => -1,
        _ => return Err(ParseError::Expected("a zone such as +0800")),
    };
    cursor.eat(if east > 0 { b'+' } else { b'-' });
    let (hours, minutes) = (digits(cursor, 2, 2)?, digits(cursor, 2, 2)?);
    cursor.expect(b'"', "the closing quote of a date")?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).map_err(|_| ParseError::Date)?;
    let signed = |value: u32| i8::try_from(value).map(|value| value * east).map_err(|_| ParseError::Date);
    if hours > 23 || minutes > 59 {
        return Err(ParseError::Date);
    }
    let offset = UtcOffset::from_hms(signed(hours)?, signed(minutes)?, 0).map_err(|_| ParseError::Date)?;
    let local = date.with_time(time).assume_offset(offset);
    // Outside these years the moment has no form on the wire in another zone.
    if (1900..=9998).contains(&local.year()) { Ok(local) } else { Err(ParseError::Date) }
}

fn rest_of_date(cursor: &mut Cursor, day: u32) -> Parsed<Date> {
    cursor.expect(b'-', "`-` in a date")?;
    let name = cursor.take_while(|b| b.is_ascii_alphabetic()).to_owned();
    let month = (1u8..).zip(MONTHS).find(|(_, month)| month.eq_ignore_ascii_case(&name)).map(|(number, _)| number);
    let month = month.and_then(|number| Month::try_from(number).ok()).ok_or(ParseError::Date)?;
    cursor.expect(b'-', "`-` in a date")?;
    let year = digits(cursor, 4, 4)?;
    let year = i32::try_from(year).map_err(|_| ParseError::Date)?;
    Date::from_calendar_date(year, month, small(day)?).map_err(|_| ParseError::Date)
}

fn digits(cursor: &mut Cursor, least: usize, most: usize) -> Parsed<u32> {
    let mut value = 0u32;
    let mut count = 0;
    while let Some(digit @ b'0'..=b'9') = cursor.peek().filter(|_| count < most) {
        cursor.eat(digit);
        value = value * 10 + u32::from(digit - b'0');
        count += 1;
    }
    if count < least { Err(ParseError::Expected("digits of a date")) } else { Ok(value) }
}

fn small(value: u32) -> Parsed<u8> {
    u8::try_from(value).map_err(|_| ParseError::Date)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::imap::framing::Frame;
    use time::macros::{date, datetime};

    fn cursor(text: &str) -> Cursor {
        Cursor::new(Frame { text: text.as_bytes().to_vec(), ..Frame::default() })
    }

    #[test]
    fn dates() {
        for text in ["1-Feb-1994", "\"01-feb-1994\"", "01-FEB-1994"] {
            assert_eq!(super::date(&mut cursor(text)).unwrap(), date!(1994 - 02 - 01));
        }
        for bad in ["30-Feb-2024", "1-Foo-2024", "1-Feb-24", "0-Jan-2024", "", "\"1-Feb-2024", "1 Feb 2024", "111-Feb-2024"] {
            assert!(super::date(&mut cursor(bad)).is_err(), "{bad}");
        }
        let moment = super::date_time(&mut cursor("\" 7-Feb-1994 21:52:25 -0830\"")).unwrap();
        assert_eq!(moment, datetime!(1994-02-07 21:52:25 -08:30));
        for bad in ["\"07-Feb-1994 24:00:00 +0000\"", "\"07-Feb-1994 10:00:00 +9900\"", "\"07-Feb-1994 10:00:00\"", "\"07-Feb-0001 10:00:00 +0000\""] {
            assert!(super::date_time(&mut cursor(bad)).is_err(), "{bad}");
        }
    }
}
