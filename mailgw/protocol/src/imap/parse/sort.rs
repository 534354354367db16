//! SORT and THREAD. spec: rfc5256#3 rfc5957#3
use super::cursor::Cursor;
use super::search::{Key, Return, charset, keys, returned};
use super::{ParseError, Parsed};

/// Criteria of one SORT.
const MAX_CRITERIA: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    Arrival,
    Cc,
    Date,
    DisplayFrom,
    DisplayTo,
    From,
    Size,
    Subject,
    To,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Criterion {
    pub by: SortBy,
    pub reverse: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threading {
    OrderedSubject,
    References,
}

/// `[RETURN (…) SP] (criteria) SP charset SP keys`. spec: rfc5267#3
pub(super) fn sort(cursor: &mut Cursor) -> Parsed<(Option<Return>, Vec<Criterion>, Key)> {
    let mut told = None;
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        told = Some(returned(cursor)?);
        if told.is_some_and(|told| told.save) {
            return Err(ParseError::Expected("MIN, MAX, ALL, COUNT or PARTIAL"));
        }
        cursor.space()?;
    }
    let criteria = cursor.list(MAX_CRITERIA, |cursor| {
        let reverse = cursor.eat_word("REVERSE");
        if reverse {
            cursor.space()?;
        }
        Ok(Criterion { by: criterion(&cursor.word()?)?, reverse })
    })?;
    cursor.space()?;
    charset(cursor)?;
    cursor.space()?;
    Ok((told, criteria, keys(cursor)?))
}

fn criterion(word: &str) -> Parsed<SortBy> {
    Ok(match word {
        "ARRIVAL" => SortBy::Arrival,
        "CC" => SortBy::Cc,
        "DATE" => SortBy::Date,
        "DISPLAYFROM" => SortBy::DisplayFrom,
        "DISPLAYTO" => SortBy::DisplayTo,
        "FROM" => SortBy::From,
        "SIZE" => SortBy::Size,
        "SUBJECT" => SortBy::Subject,
        "TO" => SortBy::To,
        _ => return Err(ParseError::Expected("ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT or TO, perhaps after REVERSE")),
    })
}

/// `algorithm SP charset SP keys`
pub(super) fn thread(cursor: &mut Cursor) -> Parsed<(Threading, Key)> {
    let by = match cursor.word()?.as_str() {
        "ORDEREDSUBJECT" => Threading::OrderedSubject,
        "REFERENCES" => Threading::References,
        _ => return Err(ParseError::Expected("ORDEREDSUBJECT or REFERENCES")),
    };
    cursor.space()?;
    charset(cursor)?;
    cursor.space()?;
    Ok((by, keys(cursor)?))
}
