//! V9: what a file adds up to, and whether its manifest said so.

use super::Kind;
use super::manifest::Manifest;
use super::money::{Money, yuan};
use super::record::Record;
use super::row::RowError;

/// How a file and its manifest disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotalsError {
    #[error("V9: the file is of kind {found}, the manifest of {stated}")]
    Kind { stated: String, found: String },
    #[error("V9: the file has {found} rows, the manifest states {stated}; send the file that was signed")]
    Rows { stated: u64, found: u64 },
    #[error("V9: the closing balances add up to {found}, the manifest states {stated}; {}", told(.unread))]
    SumClose { stated: Money, found: String, unread: Option<Unread> },
    #[error("V9: what was paid in adds up to {found}, the manifest states {stated}; {}", told(.unread))]
    SumPaidIn { stated: Money, found: String, unread: Option<Unread> },
    #[error("V9: the file's SHA-256 is not the one that the manifest states; send the file that was signed")]
    Digest,
}

/// Rows with an amount that cannot be read, which adds nothing to its sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub rows: u64,
    /// 1 for the first row after the header; the column is none where the row as a whole is no record.
    pub first: u64,
    pub column: Option<String>,
}

fn told(unread: &Option<Unread>) -> String {
    let Some(Unread { rows, first, column }) = unread else { return "send the file that was signed".to_owned() };
    let column = column.as_ref().map_or(String::new(), |column| format!(", column {column}"));
    format!("amounts of {rows} rows cannot be read and add nothing, the first in row {first}{column}: mend them, or sign sums without them")
}

/// The sums over every record of a file, those included that are refused afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    kind: String,
    columns: Option<(&'static str, &'static str)>,
    rows: u64,
    close: Sum,
    paid_in: Sum,
}

/// What a column adds up to, and what of it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    fen: i128,
    unread: Option<Unread>,
}

impl Sum {
    fn add(&mut self, row: u64, column: Option<&str>, amount: Option<Money>) {
        match amount {
            // Ten million rows of sixteen digits are far from the end of 128 bits.
            Some(amount) => self.fen = self.fen.saturating_add(i128::from(amount.fen())),
            None => self.unread.get_or_insert_with(|| Unread { rows: 0, first: row, column: column.map(str::to_owned) }).rows += 1,
        }
    }
}

impl Totals {
    pub fn new(kind: Kind) -> Self {
        let columns = match kind {
            Kind::HousingFund => ("close_bal", "paid_in"),
            Kind::Pension => ("close", "person_amt"),
        };
        Self { columns: Some(columns), ..Self::of(kind.name()) }
    }

    /// Of a kind that a policy defines: what it adds up, `add_close` is told.
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), columns: None, rows: 0, close: Sum::default(), paid_in: Sum::default() }
    }

    /// Counts a row with what this column of it adds to `sum_close`; an amount that cannot be read adds nothing.
    pub fn add_close(&mut self, column: &str, close: Option<Money>) {
        self.count();
        self.close.add(self.rows, Some(column), close);
    }

    /// Counts the record. An amount that cannot be read adds nothing; the other one counts all the same.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), RowError> {
        self.count();
        let Some(columns) = self.columns else { return Ok(()) };
        let (close, paid_in) = (record.value(columns.0, Money::parse), record.value(columns.1, Money::parse));
        self.close.add(self.rows, Some(columns.0), close.as_ref().ok().copied());
        self.paid_in.add(self.rows, Some(columns.1), paid_in.as_ref().ok().copied());
        close.and(paid_in).map(|_| ())
    }

    /// Counts a line that was to be a record and is none.
    pub fn add_unreadable(&mut self) {
        self.count();
        self.close.add(self.rows, None, None);
        self.paid_in.add(self.rows, None, None);
    }

    /// Counts a line that has no amounts.
    pub fn count(&mut self) {
        self.rows = self.rows.saturating_add(1);
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn agrees_with(&self, manifest: &Manifest) -> Result<(), TotalsError> {
        if self.kind != manifest.kind() {
            return Err(TotalsError::Kind { stated: manifest.kind().to_owned(), found: self.kind.clone() });
        }
        if self.rows != manifest.rows() {
            return Err(TotalsError::Rows { stated: manifest.rows(), found: self.rows });
        }
        if self.close.fen != i128::from(manifest.sum_close().fen()) {
            return Err(TotalsError::SumClose { stated: manifest.sum_close(), found: yuan(self.close.fen), unread: self.close.unread.clone() });
        }
        if self.paid_in.fen != i128::from(manifest.sum_paid_in().fen()) {
            return Err(TotalsError::SumPaidIn { stated: manifest.sum_paid_in(), found: yuan(self.paid_in.fen), unread: self.paid_in.unread.clone() });
        }
        Ok(())
    }
}

impl Manifest {
    /// The last part of V9: `sha256` of the file's bytes is the stated one.
    pub fn agrees_with_digest(&self, sha256: &[u8; 32]) -> Result<(), TotalsError> {
        if self.sha256() == sha256 { Ok(()) } else { Err(TotalsError::Digest) }
    }
}
