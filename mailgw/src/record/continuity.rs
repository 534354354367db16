//! What was delivered last for a sender and an account: the month before, as the rules of the next one ask for it. Sealed,
//! since it holds a person's figures; under a key that does not show the account's number.

use keys::DataKey;
use policies::statement::{Money, Period, Previous, Row};
use serde::{Deserialize, Serialize};
use store::{Expectation, Key, Store};

use super::evidence::ReadError;
use super::{RecordError, VERSION, versioned};

const KIND: &str = "month before";

/// Amounts in fen.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Written {
    HousingFund { period: String, close_bal: i64 },
    Pension { period: String, year_open: i64, ytd_credit: i64, close: i64, months_actual: u16 },
}

/// Where an account's last month stands. A pension has one account a person; a housing fund may have several.
pub fn key(bureau: &str, mailbox: &str, row: &Row, data: &DataKey) -> Key {
    let (kind, account) = match row {
        Row::HousingFund(row) => ("housing-fund", row.acct_no.expose()),
        Row::Pension(_) => ("pension", ""),
    };
    Key::new(KIND, &[bureau.as_bytes(), mailbox.as_bytes(), kind.as_bytes(), &data.index("statement account", account.as_bytes())])
}

pub fn find(store: &dyn Store, place: &Key, data: &DataKey) -> Result<Option<Previous>, ReadError> {
    Ok(known(store, place, data)?.0)
}

/// The month before, and what a commit that rests on it expects: that it still stands there as it was read.
pub fn known(store: &dyn Store, place: &Key, data: &DataKey) -> Result<(Option<Previous>, Expectation), ReadError> {
    match store.get(place)? {
        Some(bytes) => Ok((Some(open(place, &bytes, data)?), Expectation::Equals(place.clone(), bytes))),
        None => Ok((None, Expectation::Absent(place.clone()))),
    }
}

/// The month that a row leaves behind.
pub fn seal(place: &Key, row: &Row, data: &DataKey) -> Result<Vec<u8>, RecordError> {
    let written = match Previous::of(row) {
        Previous::HousingFund { period, close_bal } => Written::HousingFund { period: period.to_string(), close_bal: close_bal.fen() },
        Previous::Pension { period, year_open, ytd_credit, close, months_actual } => {
            let [year_open, ytd_credit, close] = [year_open, ytd_credit, close].map(Money::fen);
            Written::Pension { period: period.to_string(), year_open, ytd_credit, close, months_actual }
        }
    };
    let json = serde_json::to_vec(&written).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
    Ok([&[VERSION], data.seal(place.as_bytes(), &json)?.as_slice()].concat())
}

fn open(place: &Key, bytes: &[u8], data: &DataKey) -> Result<Previous, RecordError> {
    let damaged = || RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" };
    let json = data.open(place.as_bytes(), versioned(KIND, bytes)?)?;
    let period = |text: &str| Period::parse(text).map_err(|_| damaged());
    let money = |fen| Money::from_fen(fen).ok_or_else(damaged);
    Ok(match serde_json::from_slice(&json).map_err(|_| damaged())? {
        Written::HousingFund { period: at, close_bal } => Previous::HousingFund { period: period(&at)?, close_bal: money(close_bal)? },
        Written::Pension { period: at, year_open, ytd_credit, close, months_actual } => {
            Previous::Pension { period: period(&at)?, year_open: money(year_open)?, ytd_credit: money(ytd_credit)?, close: money(close)?, months_actual }
        }
    })
}

/// The month it is of.
pub fn period(previous: &Previous) -> Period {
    match previous {
        Previous::HousingFund { period, .. } | Previous::Pension { period, .. } => *period,
    }
}
