//! What was delivered last for a sender and an account: the month before, as the rules of the next one ask for it. Sealed,
//! since it holds a person's figures; under a key that does not show the account's number.

use keys::DataKey;
use policies::statement::{Kind, Money, Period, Previous, Row};
use serde::Deserialize;
use store::{Expectation, Key, Store};
use time::Date;

use super::evidence::ReadError;
use super::{RecordError, from_json, to_json, versioned};
use crate::statement::MONTHS;

const KIND: &str = "month before";
const HOLDER: &str = "account holder";

/// The most months that are kept of an account, those that hold no more with them: two years.
const KEPT: usize = 2 * MONTHS;

/// The version that is written: a month of an account is 28 octets, and a dozen is read and written for each statement. What is before the
/// months says of which kind the last is; all numbers are big-endian.
///
/// ```text
/// 0 | months                                                     the last was withdrawn
/// 1 | period u32 | close i64 | months                            housing fund
/// 2 | period u32 | year open i64 | credit i64 | close i64 | months paid u16 | months
/// a month: period u32 | close i64 | since u64 | until u64        all ones: it holds
/// ```
///
/// A period is YYYYMM, an amount is in fen, a time in Unix milliseconds.
const IN_NUMBERS: u8 = 2;
const HOLDS: u64 = u64::MAX;
const MONTH: usize = 28;

/// Version 1, JSON. Amounts in fen.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Written {
    HousingFund {
        period: String,
        close_bal: i64,
        #[serde(default)]
        months: Vec<WrittenMonth>,
    },
    Pension {
        period: String,
        year_open: i64,
        ytd_credit: i64,
        close: i64,
        months_actual: u16,
        #[serde(default)]
        months: Vec<WrittenMonth>,
    },
    /// The last month was withdrawn: the next is judged by none, and the year is drawn still.
    MonthsAlone { months: Vec<WrittenMonth> },
}

/// Month, closing balance, and in Unix milliseconds since when and until when it holds; the first form is of before that was kept.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenMonth {
    Holds(String, i64),
    Since(String, i64, u64, Option<u64>),
}

/// A closing balance that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Month {
    period: Period,
    close: Money,
    since: Moment,
    /// Corrected or withdrawn then.
    until: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    At(u64),
    /// Of the commit that will bring it.
    Then,
}

impl Moment {
    fn millis(self, then: u64) -> u64 {
        match self {
            Self::At(millis) => millis,
            Self::Then => then,
        }
    }
}

/// What is remembered of an account: its last month, and the closing balances up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// None where that was withdrawn.
    pub last: Option<Previous>,
    months: Vec<Month>,
}

impl Remembered {
    /// The months that held when a push began, oldest first: whatever was delivered, corrected or withdrawn since, a push that goes on
    /// after a pause draws the same.
    pub fn at(&self, begun_unix_millis: u64) -> Vec<(Period, Money)> {
        let held = |month: &&Month| month.since.millis(u64::MAX) <= begun_unix_millis && month.until.is_none_or(|until| until.millis(u64::MAX) > begun_unix_millis);
        let mut months: Vec<_> = self.months.iter().filter(held).map(|month| (month.period, month.close)).collect();
        months.sort_by_key(|(period, _)| *period);
        months
    }

    /// With the month that a row leaves behind.
    pub fn followed(self, row: &Row) -> Self {
        Self { last: Some(Previous::of(row)), ..self.filled(row) }
    }

    /// A month that is not the last was corrected or withdrawn: that month alone is another, or is forgotten. `None` where nothing was
    /// remembered of it.
    pub fn amended(mut self, month: Period, close: Option<Money>) -> Option<Self> {
        if !self.end(month) {
            return None;
        }
        self.months.extend(close.map(|close| Month { period: month, close, since: Moment::Then, until: None }));
        Some(self)
    }

    /// With a month that comes late: it is not what the next one follows.
    pub fn filled(mut self, row: &Row) -> Self {
        self.end(row.head().period);
        self.months.push(Month { period: row.head().period, close: row.close(), since: Moment::Then, until: None });
        self
    }

    /// Whether a statement of this month was delivered, and neither corrected nor withdrawn.
    pub fn holds(&self, month: Period) -> bool {
        self.months.iter().any(|held| held.period == month && held.until.is_none())
    }

    /// Whether nothing that was delivered holds any more.
    pub fn is_over(&self) -> bool {
        self.months.iter().all(|month| month.until.is_some())
    }

    /// The last month was withdrawn.
    pub fn without_last(mut self, month: Period) -> Self {
        self.end(month);
        self.last = None;
        self
    }

    /// What held for a month holds no more; whether anything did.
    fn end(&mut self, month: Period) -> bool {
        let mut any = false;
        for held in self.months.iter_mut().filter(|held| held.period == month && held.until.is_none()) {
            (held.until, any) = (Some(Moment::Then), true);
        }
        any
    }

    /// No more than two years': first goes what holds no more, then what is oldest.
    fn bounded(&self) -> Vec<&Month> {
        let mut months: Vec<&Month> = self.months.iter().collect();
        months.sort_by_key(|month| (month.until.is_none(), month.period));
        months.drain(..months.len().saturating_sub(KEPT));
        months.sort_by_key(|month| month.period);
        months
    }

    /// As it will stand once the commit of this moment is done.
    pub fn seal(&self, place: &Key, data: &DataKey, now_unix_millis: u64) -> Result<Vec<u8>, RecordError> {
        let months = self.bounded();
        let mut plain = Vec::with_capacity(32 + MONTH * months.len());
        match self.last {
            None => plain.push(0),
            Some(Previous::HousingFund { period, close_bal }) => {
                plain.push(1);
                put(&mut plain, period, &[close_bal]);
            }
            Some(Previous::Pension { period, year_open, ytd_credit, close, months_actual }) => {
                plain.push(2);
                put(&mut plain, period, &[year_open, ytd_credit, close]);
                plain.extend_from_slice(&months_actual.to_be_bytes());
            }
        }
        for month in months {
            put(&mut plain, month.period, &[month.close]);
            plain.extend_from_slice(&month.since.millis(now_unix_millis).to_be_bytes());
            plain.extend_from_slice(&month.until.map_or(HOLDS, |until| until.millis(now_unix_millis)).to_be_bytes());
        }
        Ok([&[IN_NUMBERS], data.seal(place.as_bytes(), &plain)?.as_slice()].concat())
    }
}

fn put(plain: &mut Vec<u8>, period: Period, amounts: &[Money]) {
    plain.extend_from_slice(&(u32::from(period.year()) * 100 + u32::from(period.month())).to_be_bytes());
    amounts.iter().for_each(|amount| plain.extend_from_slice(&amount.fen().to_be_bytes()));
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

/// The mailbox that an account's statements go to, for as long as one of them holds; none for a kind with one account a person. Where
/// nothing stands, statements of before this was kept may have been delivered, and nobody knows to whom.
pub fn holder_key(bureau: &str, kind: Kind, account: &[u8]) -> Option<Key> {
    (kind == Kind::HousingFund).then(|| Key::new(HOLDER, &[bureau.as_bytes(), kind.name().as_bytes(), account]))
}

/// Who holds an account, and what a commit that rests on it expects.
pub fn holder(store: &dyn Store, key: &Key) -> Result<(Option<String>, Expectation), ReadError> {
    Ok(match store.get(key)? {
        Some(bytes) => (Some(from_json(HOLDER, &bytes)?), Expectation::Equals(key.clone(), bytes)),
        None => (None, Expectation::Absent(key.clone())),
    })
}

pub fn encode_holder(mailbox: &str) -> Result<Vec<u8>, RecordError> {
    to_json(HOLDER, &mailbox)
}

pub fn find(store: &dyn Store, place: &Key, data: &DataKey) -> Result<Option<Previous>, ReadError> {
    Ok(known(store, place, data)?.0.and_then(|remembered| remembered.last))
}

/// The month before, and what a commit that rests on it expects: that it still stands there as it was read.
pub fn known(store: &dyn Store, place: &Key, data: &DataKey) -> Result<(Option<Remembered>, Expectation), ReadError> {
    match store.get(place)? {
        Some(bytes) => Ok((Some(open(place, &bytes, data)?), Expectation::Equals(place.clone(), bytes))),
        None => Ok((None, Expectation::Absent(place.clone()))),
    }
}

const DAMAGED: RecordError = RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" };

fn open(place: &Key, bytes: &[u8], data: &DataKey) -> Result<Remembered, RecordError> {
    match bytes {
        [IN_NUMBERS, sealed @ ..] => Numbers(&data.open(place.as_bytes(), sealed)?).remembered().ok_or(DAMAGED),
        _ => from_text(&data.open(place.as_bytes(), versioned(KIND, bytes)?)?),
    }
}

/// What is left to be read.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next<const OCTETS: usize>(&mut self) -> Option<[u8; OCTETS]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn period(&mut self) -> Option<Period> {
        let number = u32::from_be_bytes(self.next()?);
        let (year, month) = (i32::try_from(number / 100).ok()?, u8::try_from(number % 100).ok()?);
        Period::of(Date::from_calendar_date(year, time::Month::try_from(month).ok()?, 1).ok()?)
    }

    fn money(&mut self) -> Option<Money> {
        Money::from_fen(i64::from_be_bytes(self.next()?))
    }

    fn month(&mut self) -> Option<Month> {
        let (period, close) = (self.period()?, self.money()?);
        let [since, until] = [u64::from_be_bytes(self.next()?), u64::from_be_bytes(self.next()?)];
        Some(Month { period, close, since: Moment::At(since), until: (until != HOLDS).then_some(Moment::At(until)) })
    }

    fn remembered(mut self) -> Option<Remembered> {
        let last = match self.next()? {
            [0] => None,
            [1] => Some(Previous::HousingFund { period: self.period()?, close_bal: self.money()? }),
            [2] => Some(Previous::Pension {
                period: self.period()?,
                year_open: self.money()?,
                ytd_credit: self.money()?,
                close: self.money()?,
                months_actual: u16::from_be_bytes(self.next()?),
            }),
            _ => return None,
        };
        let mut months = Vec::with_capacity(self.0.len() / MONTH);
        while !self.0.is_empty() {
            months.push(self.month()?);
        }
        Some(Remembered { last, months })
    }
}

fn from_text(json: &[u8]) -> Result<Remembered, RecordError> {
    let damaged = || DAMAGED;
    let period = |text: &str| Period::parse(text).map_err(|_| damaged());
    let money = |fen| Money::from_fen(fen).ok_or_else(damaged);
    let (last, months) = match serde_json::from_slice(json).map_err(|_| damaged())? {
        Written::HousingFund { period: at, close_bal, months } => (Some(Previous::HousingFund { period: period(&at)?, close_bal: money(close_bal)? }), months),
        Written::Pension { period: at, year_open, ytd_credit, close, months_actual, months } => {
            (Some(Previous::Pension { period: period(&at)?, year_open: money(year_open)?, ytd_credit: money(ytd_credit)?, close: money(close)?, months_actual }), months)
        }
        Written::MonthsAlone { months } => (None, months),
    };
    let month = |written: &WrittenMonth| {
        let (at, fen, since, until) = match written {
            WrittenMonth::Holds(at, fen) => (at, *fen, 0, None),
            WrittenMonth::Since(at, fen, since, until) => (at, *fen, *since, *until),
        };
        Ok(Month { period: period(at)?, close: money(fen)?, since: Moment::At(since), until: until.map(Moment::At) })
    };
    let mut months: Vec<Month> = months.iter().map(month).collect::<Result<_, RecordError>>()?;
    if let (true, Some(last)) = (months.is_empty(), &last) {
        // Of before months were remembered: the last alone.
        let (period, close) = match *last {
            Previous::HousingFund { period, close_bal } => (period, close_bal),
            Previous::Pension { period, close, .. } => (period, close),
        };
        months.push(Month { period, close, since: Moment::At(0), until: None });
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

    use super::super::VERSION;
    use super::*;

    fn data() -> (tempfile::TempDir, DataKey) {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let data = keys.data_key("directory").unwrap();
        (place, data)
    }

    fn month(text: &str) -> Period {
        Period::parse(text).unwrap()
    }

    fn fen(fen: i64) -> Money {
        Money::from_fen(fen).unwrap()
    }

    fn held(period: &str, close: i64, since: u64) -> Month {
        Month { period: month(period), close: fen(close), since: Moment::At(since), until: None }
    }

    #[test]
    fn a_month_that_no_longer_holds_is_another_or_forgotten_and_a_push_that_began_before_draws_it_still() {
        let (_place, data) = data();
        let key = of_account("b", "1234567897", "housing-fund", b"account");
        let last = Previous::HousingFund { period: month("202611"), close_bal: fen(120) };
        let known = Remembered { last: Some(last), months: vec![held("202610", 100, 1_000), held("202611", 120, 2_000)] };
        let after = |changed: Remembered| open(&key, &changed.seal(&key, &data, 3_000).unwrap(), &data).unwrap();
        let (before, both) = (vec![(month("202610"), fen(100))], vec![(month("202610"), fen(100)), (month("202611"), fen(120))]);
        let corrected = after(known.clone().amended(month("202610"), Some(fen(90))).unwrap());
        assert_eq!((corrected.last, corrected.at(3_000)), (Some(last), vec![(month("202610"), fen(90)), (month("202611"), fen(120))]));
        assert_eq!((corrected.at(2_999), corrected.at(1_500), corrected.at(999)), (both.clone(), before.clone(), vec![]));
        let withdrawn = after(known.clone().amended(month("202610"), None).unwrap());
        assert_eq!((withdrawn.last, withdrawn.at(3_000), withdrawn.at(2_500)), (Some(last), vec![(month("202611"), fen(120))], both.clone()));
        assert!(known.clone().amended(month("202609"), None).is_none());
        let without = after(known.clone().without_last(month("202611")));
        assert_eq!((without.last, without.at(3_000), without.at(2_500)), (None, before, both));
    }

    #[test]
    fn what_is_written_is_read_as_it_was_and_no_part_of_it_is() {
        let (_place, data) = data();
        let key = of_account("b", "1234567897", "pension", b"");
        let months = vec![held("202512", 0, 7), Month { until: Some(Moment::At(9)), ..held("202601", -3, 8) }, held("202601", 99_999_999_999, 9)];
        let pension = Previous::Pension { period: month("202601"), year_open: fen(1), ytd_credit: fen(2), close: fen(99_999_999_999), months_actual: 513 };
        for last in [None, Some(Previous::HousingFund { period: month("999912"), close_bal: fen(5) }), Some(pension)] {
            for months in [vec![], months.clone()] {
                let known = Remembered { last, months };
                let stored = known.seal(&key, &data, 3_000).unwrap();
                assert_eq!(open(&key, &stored, &data).unwrap(), known);
                let plain = data.open(key.as_bytes(), &stored[1..]).unwrap();
                for end in (0..plain.len()).filter(|end| (plain.len() - end) % MONTH != 0) {
                    let cut = [&[IN_NUMBERS], data.seal(key.as_bytes(), &plain[..end]).unwrap().as_slice()].concat();
                    assert!(open(&key, &cut, &data).is_err(), "{end}");
                }
            }
        }
        for plain in [[3].as_slice(), &[1, 0, 3, 0x17, 0x51, 0, 0, 0, 0, 0, 0, 0, 1], &[1, 0, 3, 0x17, 0x0e, 0x7f, 0, 0, 0, 0, 0, 0, 1]] {
            let stored = [&[IN_NUMBERS], data.seal(key.as_bytes(), plain).unwrap().as_slice()].concat();
            assert!(open(&key, &stored, &data).is_err(), "{plain:?}");
        }
    }

    #[test]
    fn records_of_before_times_were_kept_are_read_and_two_years_are_enough() {
        let (_place, data) = data();
        let key = of_account("b", "1234567897", "housing-fund", b"account");
        for (months, drawn) in [("", vec![(month("202610"), fen(7))]), (r#","months":[["202609",5],["202610",7]]"#, vec![(month("202609"), fen(5)), (month("202610"), fen(7))])] {
            let json = format!(r#"{{"housing-fund":{{"period":"202610","close_bal":7{months}}}}}"#);
            let stored = [&[VERSION], data.seal(key.as_bytes(), json.as_bytes()).unwrap().as_slice()].concat();
            assert_eq!(open(&key, &stored, &data).unwrap().at(0), drawn);
        }
        let mut many = Remembered::default();
        for year in 2001..2030 {
            let period = format!("{year}01");
            many.months.push(held(&period, 1, 1));
            many.months.push(Month { until: Some(Moment::At(2)), ..held(&period, 2, 1) });
        }
        let kept = open(&key, &many.seal(&key, &data, 3).unwrap(), &data).unwrap();
        assert_eq!((kept.months.len(), kept.at(3).len(), kept.at(3).first().unwrap().0), (KEPT, KEPT, month("200601")));
    }
}
