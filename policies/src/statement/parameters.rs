//! The figures that the rules compare with: dated, each with its source, read from two documents.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::judgement::{Judgement, Verdict};
use super::money::{Money, Rate, RoundTo};
use super::period::Period;
use super::row::{Previous, Row};
use super::{housing_fund_rules, pension_rules};
use crate::document::{PolicyError, one_of_each, read};

/// File name and text of each document of `policies/statements/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 2] =
    [("housing-fund.toml", include_str!("../../statements/housing-fund.toml")), ("pension.toml", include_str!("../../statements/pension.toml"))];

/// The most rows of figures in one document.
const MAX_DATED: usize = 512;

/// What holds for housing-fund rows from a month on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HousingFundParameters {
    pub effective_from: Period,
    pub base_floor: Money,
    pub base_cap: Money,
    pub rate_min: Rate,
    pub rate_max: Rate,
    pub round_to: RoundTo,
    pub interest_rate: Rate,
    /// Interest may be this many percent of a year's at the rate.
    pub interest_bound_percent: u16,
    pub interest_month: u8,
    pub source: String,
}

/// What holds for pension rows from a month on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PensionParameters {
    pub effective_from: Period,
    pub base_floor: Money,
    pub base_cap: Money,
    pub person_rate: Rate,
    pub round_to: RoundTo,
    pub interest_rate: Rate,
    /// Interest may be this many percent of a year's at the rate.
    pub interest_bound_percent: u16,
    pub interest_month: u8,
    pub source: String,
}

/// All figures of both kinds, oldest first. Had only from documents that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    housing_fund: Vec<HousingFundParameters>,
    pension: Vec<PensionParameters>,
}

impl Parameters {
    /// Reads `housing-fund.toml` and `pension.toml`: pairs of file name and text.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let [housing_fund, pension] = one_of_each(["housing-fund.toml", "pension.toml"], documents)?;
        Ok(Self { housing_fund: housing_fund_figures(housing_fund)?, pension: pension_figures(pension)? })
    }

    /// What was found of each rule that is judged over one row. `previous` is the month before of the same
    /// account; without it the rules that compare with it are not judged.
    pub fn judge(&self, row: &Row, previous: Option<&Previous>) -> Judgement {
        let period = row.head().period;
        match row {
            Row::HousingFund(row) => housing_fund_rules::judge(row, self.housing_fund_at(period), previous),
            Row::Pension(row) => pension_rules::judge(row, self.pension_at(period), previous),
        }
    }

    /// The figures in force in a month; none before the first that are known.
    pub fn housing_fund_at(&self, period: Period) -> Option<&HousingFundParameters> {
        self.housing_fund.iter().rev().find(|figures| figures.effective_from <= period)
    }

    /// The figures in force in a month; none before the first that are known.
    pub fn pension_at(&self, period: Period) -> Option<&PensionParameters> {
        self.pension.iter().rev().find(|figures| figures.effective_from <= period)
    }

    pub fn housing_fund(&self) -> &[HousingFundParameters] {
        &self.housing_fund
    }

    pub fn pension(&self) -> &[PensionParameters] {
        &self.pension
    }
}

/// Interest of a year on `of` at `rate`, times a margin: the bureau's own method is not known here.
pub(super) fn within_bound(name: &str, stated: Money, of: Money, rate: Rate, percent: u16) -> Verdict {
    // Ten thousandths of the rate times hundredths of the margin; 128 bits hold the product of all three.
    let most = i128::from(of.fen()) * i128::from(rate.hundredths()) * i128::from(percent);
    if i128::from(stated.fen()) * 1_000_000 <= most {
        Verdict::Kept
    } else {
        Verdict::broken(format!("{name} is {stated}, more than {percent} % of a year's interest at {rate} % on {of}"))
    }
}

/// A value that stands in the document as text.
macro_rules! written {
    ($name:ident, $type:ty) => {
        struct $name($type);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                <$type>::parse(&text).map(Self).map_err(D::Error::custom)
            }
        }
    };
}
written!(WrittenMoney, Money);
written!(WrittenRate, Rate);
written!(WrittenPeriod, Period);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HousingFundDocument {
    figures: Vec<HousingFundWritten>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HousingFundWritten {
    effective_from: Spanned<WrittenPeriod>,
    base_floor: Spanned<WrittenMoney>,
    base_cap: WrittenMoney,
    rate_min: Spanned<WrittenRate>,
    rate_max: WrittenRate,
    round_to: RoundTo,
    interest_rate: WrittenRate,
    interest_bound_percent: Spanned<u16>,
    interest_month: Spanned<u8>,
    source: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PensionDocument {
    figures: Vec<PensionWritten>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PensionWritten {
    effective_from: Spanned<WrittenPeriod>,
    base_floor: Spanned<WrittenMoney>,
    base_cap: WrittenMoney,
    person_rate: WrittenRate,
    round_to: RoundTo,
    interest_rate: WrittenRate,
    interest_bound_percent: Spanned<u16>,
    interest_month: Spanned<u8>,
    source: Spanned<String>,
}

/// The checks that both documents share, each naming the line.
struct Sense<'a> {
    file: &'a str,
    text: &'a str,
}

impl Sense<'_> {
    fn holds<T>(&self, sense: bool, at: &Spanned<T>, reason: &str) -> Result<(), PolicyError> {
        if sense { Ok(()) } else { Err(PolicyError::at(self.file, self.text, Some(at.span()), reason)) }
    }

    fn some(&self, rows: usize) -> Result<(), PolicyError> {
        if (1..=MAX_DATED).contains(&rows) {
            return Ok(());
        }
        Err(PolicyError::at(self.file, self.text, None, format!("a document has 1 to {MAX_DATED} rows of figures")))
    }

    fn dated(&self, at: &Spanned<WrittenPeriod>, before: Option<Period>) -> Result<Period, PolicyError> {
        let later = before.is_none_or(|before| before < at.get_ref().0);
        self.holds(later, at, "the rows stand oldest first, one for a month; move or merge it")?;
        Ok(at.get_ref().0)
    }

    fn bases(&self, floor: &Spanned<WrittenMoney>, cap: Money) -> Result<(), PolicyError> {
        let sense = Money::ZERO < floor.get_ref().0 && floor.get_ref().0 <= cap;
        self.holds(sense, floor, "base_floor is above nought and no more than base_cap")
    }

    fn posting(&self, percent: &Spanned<u16>, month: &Spanned<u8>, source: &Spanned<String>) -> Result<(), PolicyError> {
        self.holds((100..=1000).contains(percent.get_ref()), percent, "interest_bound_percent is 100 to 1000")?;
        self.holds((1..=12).contains(month.get_ref()), month, "interest_month is 1 to 12")?;
        let said = !source.get_ref().trim().is_empty() && source.get_ref().len() <= 1024 && !source.get_ref().contains('\n');
        self.holds(said, source, "source is one line that says where the figures are from")
    }
}

fn housing_fund_figures((file, text): (&str, &str)) -> Result<Vec<HousingFundParameters>, PolicyError> {
    let document: HousingFundDocument = read(file, text)?;
    let sense = Sense { file, text };
    sense.some(document.figures.len())?;
    let mut all: Vec<HousingFundParameters> = Vec::with_capacity(document.figures.len());
    for row in document.figures {
        let effective_from = sense.dated(&row.effective_from, all.last().map(|figures| figures.effective_from))?;
        sense.bases(&row.base_floor, row.base_cap.0)?;
        sense.holds(row.rate_min.get_ref().0 <= row.rate_max.0, &row.rate_min, "rate_min is no more than rate_max")?;
        sense.posting(&row.interest_bound_percent, &row.interest_month, &row.source)?;
        all.push(HousingFundParameters {
            effective_from,
            base_floor: row.base_floor.into_inner().0,
            base_cap: row.base_cap.0,
            rate_min: row.rate_min.into_inner().0,
            rate_max: row.rate_max.0,
            round_to: row.round_to,
            interest_rate: row.interest_rate.0,
            interest_bound_percent: row.interest_bound_percent.into_inner(),
            interest_month: row.interest_month.into_inner(),
            source: row.source.into_inner(),
        });
    }
    Ok(all)
}

fn pension_figures((file, text): (&str, &str)) -> Result<Vec<PensionParameters>, PolicyError> {
    let document: PensionDocument = read(file, text)?;
    let sense = Sense { file, text };
    sense.some(document.figures.len())?;
    let mut all: Vec<PensionParameters> = Vec::with_capacity(document.figures.len());
    for row in document.figures {
        let effective_from = sense.dated(&row.effective_from, all.last().map(|figures| figures.effective_from))?;
        sense.bases(&row.base_floor, row.base_cap.0)?;
        sense.posting(&row.interest_bound_percent, &row.interest_month, &row.source)?;
        all.push(PensionParameters {
            effective_from,
            base_floor: row.base_floor.into_inner().0,
            base_cap: row.base_cap.0,
            person_rate: row.person_rate.0,
            round_to: row.round_to,
            interest_rate: row.interest_rate.0,
            interest_bound_percent: row.interest_bound_percent.into_inner(),
            interest_month: row.interest_month.into_inner(),
            source: row.source.into_inner(),
        });
    }
    Ok(all)
}
