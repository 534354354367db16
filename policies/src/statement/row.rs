//! A row of either kind: what every row has, and why one was refused.

use std::fmt;

use time::Date;

use super::column::{Column, Figure, Form, Meaning};
use super::housing_fund::HousingFundRow;
use super::manifest::Manifest;
use super::money::Money;
use super::pension::PensionRow;
use super::period::Period;
use super::recipient::Recipient;
use super::record::{Record, Values};
use super::value::{StatementId, ValueError};
use super::Kind;
use crate::identity::{DocumentError, PersonName};

/// Months that `paid_to` may lie after the statement's own.
const PAID_AHEAD: u32 = 12;

pub(super) const STMT_ID: Column = Column { name: "stmt_id", zh: "对账单编号", en: "Statement number", form: Form::Text, codes: &[] };
pub(super) const PERIOD: Column = Column { name: "period", zh: "所属月份", en: "Month", form: Form::Month, codes: &[] };
pub(super) const ID_TYPE: Column = Column { name: "id_type", zh: "证件类型", en: "Document", form: Form::Code, codes: &[] };
pub(super) const ID_NO: Column = Column { name: "id_no", zh: "证件号码", en: "Document number", form: Form::Text, codes: &[] };
pub(super) const NAME: Column = Column { name: "name", zh: "姓名", en: "Name", form: Form::Text, codes: &[] };

/// Why a row was refused. Fields never hold a value of the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("the row has {found} fields instead of {expected}; look for a comma or a quote that does not belong")]
    Fields { expected: usize, found: usize },
    #[error("column {column}: {error}")]
    Value { column: &'static str, error: ValueError },
    #[error("the line has more than {max} bytes")]
    LineTooLong { max: usize },
    #[error("the line is not one JSON object, broken at character {at}")]
    Json { at: usize },
    #[error("the object has a name that is no column of a {kind} statement; remove it")]
    UnknownName { kind: Kind },
    #[error("column {column} is missing")]
    Missing { column: &'static str },
    #[error("column {column} stands twice")]
    Doubled { column: &'static str },
    #[error("the row is of kind {found}, the manifest of {stated}")]
    Kind { stated: String, found: Kind },
    #[error("the row is of {found}, the manifest of {stated}")]
    Period { stated: Period, found: Period },
}

/// Which statement it is, of which month, and whose.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    pub stmt_id: StatementId,
    pub period: Period,
    pub recipient: Recipient,
    pub name: PersonName,
}

impl Head {
    pub(super) fn read(values: &mut Values<'_>, today: Date) -> Result<Self, RowError> {
        let stmt_id = values.next(StatementId::parse)?;
        let period = values.next(Period::parse)?;
        let code = values.next(|text| Ok(text.to_owned()))?;
        let recipient = values.next(|number| match Recipient::parse(&code, number, today)? {
            // Statements are of persons.
            Recipient::Institution(_) => Err(ValueError::Document(DocumentError::Type)),
            person => Ok(person),
        })?;
        let name = values.next(|name| PersonName::parse(name).map_err(ValueError::Name))?;
        let head = Self { stmt_id, period, recipient, name };
        head.keeps_number(STMT_ID.name, head.stmt_id.as_str())?;
        Ok(head)
    }

    /// A value that is shown or logged as it is must not hold the number.
    fn keeps_number(&self, column: &'static str, value: &str) -> Result<(), RowError> {
        if self.recipient.stands_in(value) { Err(RowError::Value { column, error: ValueError::Revealing }) } else { Ok(()) }
    }

    /// The number is masked; the name is the owner's own.
    pub(super) fn write_values(&self, out: &mut String, end: &mut dyn FnMut(&mut String, Option<Meaning>)) {
        out.push_str(self.stmt_id.as_str());
        end(out, None);
        out.push_str(&self.period.to_string());
        end(out, None);
        out.push_str(self.recipient.code());
        end(out, Some(self.recipient.words()));
        out.push_str(&self.recipient.masked());
        end(out, None);
        out.push_str(self.name.expose());
        end(out, None);
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Head({}, {})", self.stmt_id, self.period)
    }
}

/// A row of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    HousingFund(Box<HousingFundRow>),
    Pension(Box<PensionRow>),
}

impl Row {
    /// `today` bounds the age of the person.
    pub fn parse(record: &Record<'_>, today: Date) -> Result<Self, RowError> {
        let mut values = record.values();
        let row = match record.kind() {
            Kind::Pension => PensionRow::read(&mut values, today).map(|row| Self::Pension(Box::new(row)))?,
            Kind::HousingFund => {
                let row = HousingFundRow::read(&mut values, today)?;
                if row.paid_to.ordinal() > row.head.period.ordinal() + PAID_AHEAD {
                    return Err(RowError::Value { column: "paid_to", error: ValueError::TooLate });
                }
                Self::HousingFund(Box::new(row))
            }
        };
        let (unit_name, src_batch) = match &row {
            Self::HousingFund(row) => (&row.unit_name, &row.src_batch),
            Self::Pension(row) => (&row.unit_name, &row.src_batch),
        };
        row.head().keeps_number("unit_name", unit_name.as_str())?;
        row.head().keeps_number("src_batch", src_batch.as_str())?;
        Ok(row)
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::HousingFund(_) => Kind::HousingFund,
            Self::Pension(_) => Kind::Pension,
        }
    }

    pub fn head(&self) -> &Head {
        match self {
            Self::HousingFund(row) => &row.head,
            Self::Pension(row) => &row.head,
        }
    }

    /// The balance at the end of the month.
    pub fn close(&self) -> Money {
        match self {
            Self::HousingFund(row) => row.close_bal,
            Self::Pension(row) => row.close,
        }
    }

    /// Writes every value as the owner may see it, in the order of the columns; `end` is told of the end of each, with what a code means.
    pub fn write_values(&self, out: &mut String, end: &mut dyn FnMut(&mut String, Option<Meaning>)) {
        match self {
            Self::HousingFund(row) => row.write_values(out, end),
            Self::Pension(row) => row.write_values(out, end),
        }
    }

    /// The same, each with its column.
    pub fn figures(&self) -> Vec<Figure> {
        let (mut figures, mut columns, mut begin) = (Vec::new(), self.kind().columns().iter(), 0);
        self.write_values(&mut String::new(), &mut |text, meaning| {
            figures.extend(columns.next().map(|column| column.figure(text.get(begin..).unwrap_or_default(), meaning)));
            begin = text.len();
        });
        figures
    }

    /// Whether the row is of the kind and the month that its manifest states.
    pub fn belongs_to(&self, manifest: &Manifest) -> Result<(), RowError> {
        let (kind, period) = (self.kind(), self.head().period);
        if kind.name() != manifest.kind() {
            return Err(RowError::Kind { stated: manifest.kind().to_owned(), found: kind });
        }
        if period != manifest.period() {
            return Err(RowError::Period { stated: manifest.period(), found: period });
        }
        Ok(())
    }
}

/// What the rules ask of the month before, of the same account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    HousingFund { period: Period, close_bal: Money },
    Pension { period: Period, year_open: Money, ytd_credit: Money, close: Money, months_actual: u16 },
}

impl Previous {
    pub fn of(row: &Row) -> Self {
        match row {
            Row::HousingFund(row) => Self::HousingFund { period: row.head.period, close_bal: row.close_bal },
            Row::Pension(row) => Self::Pension {
                period: row.head.period,
                year_open: row.year_open,
                ytd_credit: row.ytd_credit,
                close: row.close,
                months_actual: row.months_actual,
            },
        }
    }
}
