//! Monthly statements: what a bureau's file says, read into types, and the rules that each row must keep.
//!
//! A file's first line gives a [`Header`]; each record under it, or each line of the JSON twin, a [`Record`],
//! which [`Totals`] add up for the manifest and [`Row::parse`] makes typed. [`Parameters::judge`] says of a
//! row which rules it keeps.

mod column;
mod housing_fund;
mod housing_fund_rules;
mod judgement;
mod manifest;
mod money;
mod parameters;
mod pension;
mod pension_rules;
mod period;
mod purpose;
mod recipient;
mod record;
mod resolved;
mod row;
mod totals;
mod value;

pub use column::{Column, Figure, Form, Meaning};
pub use housing_fund::{HousingFundRow, HousingFundStatus};
pub use judgement::{Judgement, Rule, Verdict, judge_owner};
pub use manifest::{FIELDS as MANIFEST_FIELDS, MAX_MANIFEST_BYTES, MAX_ROWS, Manifest, ManifestError, ManifestField};
pub(crate) use money::yuan;
pub use money::{Money, Rate, RoundTo};
pub use parameters::{HousingFundParameters, Parameters, PensionParameters, SHIPPED};
pub use pension::{PensionRow, PensionStatus};
pub use period::Period;
pub use purpose::{Purpose, Reason, RowNumbers};
pub use recipient::{EnrolmentToken, Recipient};
pub use record::{Header, HeaderError, MAX_LINE_BYTES, MAX_VALUE_BYTES, Record, SUPERSEDES};
pub use row::{Head, Previous, Row, RowError};
pub use totals::{Totals, TotalsError, Unread};
pub use value::{AccountNumber, BatchId, SenderCode, StatementId, UnitName, ValueError};

use crate::document::named;

named! {
    /// The kinds of statement, as manifests and the names of documents write them.
    Kind {
        HousingFund = "housing-fund",
        Pension = "pension",
    }
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::HousingFund, Self::Pension];

    /// Chinese and English, as a citizen reads it.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::HousingFund => ("住房公积金", "Housing fund"),
            Self::Pension => ("基本养老保险", "Basic pension"),
        }
    }

    /// The rules that its rows are judged by.
    pub fn rules(self) -> impl Iterator<Item = Rule> {
        let own = match self {
            Self::HousingFund => "V1 V2 V3 V4 V5 V6 V7 V8 V9 V10",
            Self::Pension => "P1 P2 P3 P4 P5 P6 P7 V9 V10",
        };
        Rule::ALL.iter().copied().filter(move |rule| own.split(' ').any(|code| code == rule.code()))
    }

    /// The columns of its file, in the order of the standard listing; a file may have them in any other.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::HousingFund => HousingFundRow::COLUMNS,
            Self::Pension => PensionRow::COLUMNS,
        }
    }
}
