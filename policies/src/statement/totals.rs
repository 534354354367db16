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
    #[error("V9: the closing balances add up to {found}, the manifest states {stated}; send the file that was signed")]
    SumClose { stated: Money, found: String },
    #[error("V9: what was paid in adds up to {found}, the manifest states {stated}; send the file that was signed")]
    SumPaidIn { stated: Money, found: String },
    #[error("V9: the file's SHA-256 is not the one that the manifest states; send the file that was signed")]
    Digest,
}

/// The sums over every record of a file, those included that are refused afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    kind: String,
    columns: Option<(&'static str, &'static str)>,
    rows: u64,
    close: i128,
    paid_in: i128,
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
        Self { kind: kind.to_owned(), columns: None, rows: 0, close: 0, paid_in: 0 }
    }

    /// Counts a row with what it adds to `sum_close`.
    pub fn add_close(&mut self, close: Money) {
        self.count();
        self.close = self.close.saturating_add(i128::from(close.fen()));
    }

    /// Counts the record. An amount that cannot be read adds nothing, so that the sums cannot agree.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), RowError> {
        self.count();
        let Some((close, paid_in)) = self.columns else { return Ok(()) };
        let (close, paid_in) = (record.value(close, Money::parse)?, record.value(paid_in, Money::parse)?);
        // Ten million rows of sixteen digits are far from the end of 128 bits.
        self.close = self.close.saturating_add(i128::from(close.fen()));
        self.paid_in = self.paid_in.saturating_add(i128::from(paid_in.fen()));
        Ok(())
    }

    /// Counts a line that is no record.
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
        if self.close != i128::from(manifest.sum_close().fen()) {
            return Err(TotalsError::SumClose { stated: manifest.sum_close(), found: yuan(self.close) });
        }
        if self.paid_in != i128::from(manifest.sum_paid_in().fen()) {
            return Err(TotalsError::SumPaidIn { stated: manifest.sum_paid_in(), found: yuan(self.paid_in) });
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
