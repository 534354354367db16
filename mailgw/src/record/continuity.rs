//! What was delivered last for a sender and an account: the month before, as the rules of the next one ask for it. Sealed,
//! since it holds a person's figures; under a key that does not show the account's number.

use keys::DataKey;
use policies::statement::{Money, Period, Previous, Row};
use serde::{Deserialize, Serialize};
use store::{Expectation, Key, Store};

use super::evidence::ReadError;
use super::{RecordError, VERSION, versioned};
use crate::statement::MONTHS;

const KIND: &str = "month before";

/// Amounts in fen.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Written {
    HousingFund {
        period: String,
        close_bal: i64,
        #[serde(default)]
        months: Vec<(String, i64)>,
    },
    Pension {
        period: String,
        year_open: i64,
        ytd_credit: i64,
        close: i64,
        months_actual: u16,
        #[serde(default)]
        months: Vec<(String, i64)>,
    },
}

/// What is remembered of an account: its last month, and the closing balances up to it, oldest first.
pub struct Remembered {
    pub last: Previous,
    pub months: Vec<(Period, Money)>,
}

/// Where an account's last month stands. A pension has one account a person; a housing fund may have several.
pub fn key(bureau: &str, mailbox: &str, row: &Row, data: &DataKey) -> Key {
    of_account(bureau, mailbox, row.kind().name(), &account(row, data))
}

/// The keyed index of a row's account.
pub fn account(row: &Row, data: &DataKey) -> [u8; 32] {
    let account = match row {
        Row::HousingFund(row) => row.acct_no.expose(),
        Row::Pension(_) => "",
    };
    data.index("statement account", account.as_bytes())
}

/// As [`key`], by the index.
pub fn of_account(bureau: &str, mailbox: &str, kind: &str, account: &[u8]) -> Key {
    Key::new(KIND, &[bureau.as_bytes(), mailbox.as_bytes(), kind.as_bytes(), account])
}

pub fn find(store: &dyn Store, place: &Key, data: &DataKey) -> Result<Option<Previous>, ReadError> {
    Ok(known(store, place, data)?.0.map(|remembered| remembered.last))
}

/// The month before, and what a commit that rests on it expects: that it still stands there as it was read.
pub fn known(store: &dyn Store, place: &Key, data: &DataKey) -> Result<(Option<Remembered>, Expectation), ReadError> {
    match store.get(place)? {
        Some(bytes) => Ok((Some(open(place, &bytes, data)?), Expectation::Equals(place.clone(), bytes))),
        None => Ok((None, Expectation::Absent(place.clone()))),
    }
}

/// The month that a row leaves behind, after those that are remembered; no more than a year's.
pub fn seal(place: &Key, row: &Row, before: &[(Period, Money)], data: &DataKey) -> Result<Vec<u8>, RecordError> {
    let this = (row.head().period, row.close());
    let months: Vec<(Period, Money)> = before.iter().filter(|(period, _)| *period < this.0).chain([&this]).copied().collect();
    write(place, &Previous::of(row), &months, data)
}

/// What is remembered where a month that is not the last was corrected or withdrawn: that month alone is another, or is forgotten.
/// `None` where nothing was remembered of it.
pub fn amended(place: &Key, known: &Remembered, month: Period, close: Option<Money>, data: &DataKey) -> Result<Option<Vec<u8>>, RecordError> {
    if !known.months.iter().any(|(period, _)| *period == month) {
        return Ok(None);
    }
    let months: Vec<(Period, Money)> = known.months.iter().filter_map(|(period, before)| if *period == month { close.map(|close| (*period, close)) } else { Some((*period, *before)) }).collect();
    Ok(Some(write(place, &known.last, &months, data)?))
}

fn write(place: &Key, last: &Previous, months: &[(Period, Money)], data: &DataKey) -> Result<Vec<u8>, RecordError> {
    let months = months.iter().skip(months.len().saturating_sub(MONTHS)).map(|(period, close)| (period.to_string(), close.fen())).collect();
    let written = match *last {
        Previous::HousingFund { period, close_bal } => Written::HousingFund { period: period.to_string(), close_bal: close_bal.fen(), months },
        Previous::Pension { period, year_open, ytd_credit, close, months_actual } => {
            let [year_open, ytd_credit, close] = [year_open, ytd_credit, close].map(Money::fen);
            Written::Pension { period: period.to_string(), year_open, ytd_credit, close, months_actual, months }
        }
    };
    let json = serde_json::to_vec(&written).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
    Ok([&[VERSION], data.seal(place.as_bytes(), &json)?.as_slice()].concat())
}

fn open(place: &Key, bytes: &[u8], data: &DataKey) -> Result<Remembered, RecordError> {
    let damaged = || RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" };
    let json = data.open(place.as_bytes(), versioned(KIND, bytes)?)?;
    let period = |text: &str| Period::parse(text).map_err(|_| damaged());
    let money = |fen| Money::from_fen(fen).ok_or_else(damaged);
    let (last, months) = match serde_json::from_slice(&json).map_err(|_| damaged())? {
        Written::HousingFund { period: at, close_bal, months } => (Previous::HousingFund { period: period(&at)?, close_bal: money(close_bal)? }, months),
        Written::Pension { period: at, year_open, ytd_credit, close, months_actual, months } => {
            (Previous::Pension { period: period(&at)?, year_open: money(year_open)?, ytd_credit: money(ytd_credit)?, close: money(close)?, months_actual }, months)
        }
    };
    let mut months: Vec<(Period, Money)> = months.iter().map(|(at, fen)| Ok((period(at)?, money(*fen)?))).collect::<Result<_, RecordError>>()?;
    if months.is_empty() {
        // Of before months were remembered: the last alone.
        months.push(match last {
            Previous::HousingFund { period, close_bal } => (period, close_bal),
            Previous::Pension { period, close, .. } => (period, close),
        });
    }
    Ok(Remembered { last, months })
}

/// The month it is of.
pub fn period(previous: &Previous) -> Period {
    match previous {
        Previous::HousingFund { period, .. } | Previous::Pension { period, .. } => *period,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use keys::{KeyStore, Passphrase};

    use super::*;

    #[test]
    fn a_month_that_no_longer_holds_is_another_or_forgotten_and_the_last_stays() {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let data = keys.data_key("directory").unwrap();
        let (key, month, fen) = (of_account("b", "1234567897", "housing-fund", b"account"), |text: &str| Period::parse(text).unwrap(), |fen: i64| Money::from_fen(fen).unwrap());
        let last = Previous::HousingFund { period: month("202611"), close_bal: fen(120) };
        let known = Remembered { last, months: vec![(month("202610"), fen(100)), (month("202611"), fen(120))] };
        let after = |close| open(&key, &amended(&key, &known, month("202610"), close, &data).unwrap().unwrap(), &data).unwrap();
        let corrected = after(Some(fen(90)));
        assert_eq!((corrected.last, corrected.months), (last, vec![(month("202610"), fen(90)), (month("202611"), fen(120))]));
        let withdrawn = after(None);
        assert_eq!((withdrawn.last, withdrawn.months), (last, vec![(month("202611"), fen(120))]));
        assert!(amended(&key, &known, month("202609"), None, &data).unwrap().is_none());
    }
}
