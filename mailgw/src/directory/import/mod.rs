//! Mailboxes opened from a file: row by row, a batch to a commit, and nothing changed by running it again.

mod table;

use std::collections::VecDeque;
use std::fmt;
use std::io::BufRead;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use super::applicant::Applicant;
use super::open::{Application, MAX_BATCH, Opened};
use super::password::NewPassword;
use super::{Directory, DirectoryError, Holder, State, today};
use table::Table;

pub use table::{RowError, TableError};

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Table(#[from] TableError),
    /// Of the rows from this line on nothing is known to be done.
    #[error("line {line}: {error}")]
    Stopped { line: u64, error: DirectoryError },
}

/// What became of one row. The password is told here and nowhere else, for a mailbox that was opened now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedRow {
    pub line: u64,
    pub state: RowState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<ToldPassword>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowState {
    Opened,
    Exists,
    /// There was a mailbox and it was closed: whether there shall be another is for a person to decide.
    Closed,
    Refused,
}

/// A password on its way to the one who is told it; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct ToldPassword(SecretString);

impl ToldPassword {
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<SecretString> for ToldPassword {
    fn from(secret: SecretString) -> Self {
        Self(secret)
    }
}

impl From<&super::Password> for ToldPassword {
    fn from(password: &super::Password) -> Self {
        Self(password.expose().clone())
    }
}

impl fmt::Debug for ToldPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ToldPassword(..)")
    }
}

impl Serialize for ToldPassword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for ToldPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// An import under way. Each row comes once its batch is durable, in the order of the file; after an error none.
pub struct Import<'a, R> {
    directory: &'a Directory,
    table: Table<R>,
    now: OffsetDateTime,
    done: VecDeque<ImportedRow>,
    ended: bool,
}

impl Directory {
    /// Reads the header of a file of citizens (`id_type,id_no,name`) or institutions (`uscc,name,alias`); its rows
    /// are read as the import is asked for them.
    pub fn import<R: BufRead>(&self, reader: R, now: OffsetDateTime) -> Result<Import<'_, R>, ImportError> {
        Ok(Import { directory: self, table: Table::new(reader)?, now, done: VecDeque::new(), ended: false })
    }
}

impl<R: BufRead> Import<'_, R> {
    /// How much of the file was read, for a bar of progress.
    pub fn bytes_read(&self) -> u64 {
        self.table.bytes()
    }

    fn next_batch(&mut self) -> Result<(), ImportError> {
        let mut rows = Vec::with_capacity(MAX_BATCH);
        while rows.len() < MAX_BATCH {
            let Some((line, words)) = self.table.next().map_err(TableError::Read)? else {
                self.ended = true;
                break;
            };
            let applicant = words.map_err(|error| error.to_string()).and_then(|words| {
                Applicant::parse(&words, &self.directory.policy, today(self.now)).map_err(|error| error.to_string())
            });
            rows.push((line, applicant));
        }
        let Some((first, _)) = rows.first() else { return Ok(()) };
        let stopped = |error| ImportError::Stopped { line: *first, error };
        let application = |applicant: &Applicant| Application { applicant: applicant.clone(), password: NewPassword::Generated };
        let applications: Vec<Application> = rows.iter().filter_map(|(_, row)| row.as_ref().ok()).map(application).collect();
        let mut outcomes = self.directory.open_all(&applications, self.now).map_err(stopped)?.into_iter();
        for (line, row) in &rows {
            let row = match row {
                Err(reason) => refused(*line, reason.clone()),
                Ok(applicant) => match outcomes.next() {
                    Some(outcome) => self.told(*line, applicant, outcome).map_err(stopped)?,
                    None => continue,
                },
            };
            self.done.push_back(row);
        }
        Ok(())
    }

    fn told(&self, line: u64, applicant: &Applicant, outcome: Result<Opened, DirectoryError>) -> Result<ImportedRow, DirectoryError> {
        Ok(match outcome {
            Ok(Opened { account, password }) => {
                let address = Some(self.directory.address(account.number));
                ImportedRow { line, state: RowState::Opened, address, password: Some((&password).into()), reason: None }
            }
            Err(DirectoryError::Exists { mailbox, state }) => {
                let account = self.directory.get(mailbox)?;
                let differs = account.is_some_and(|account| !same_name(&account.holder, applicant));
                let reason = differs.then(|| "the name is another than the one kept; compare both with the document".to_owned());
                let state = if state == State::Closed { RowState::Closed } else { RowState::Exists };
                ImportedRow { line, state, address: Some(self.directory.address(mailbox)), password: None, reason }
            }
            Err(error) => refused(line, error.to_string()),
        })
    }
}

fn refused(line: u64, reason: String) -> ImportedRow {
    ImportedRow { line, state: RowState::Refused, address: None, password: None, reason: Some(reason) }
}

fn same_name(holder: &Holder, applicant: &Applicant) -> bool {
    match (holder, applicant) {
        (Holder::Citizen { name: kept, .. }, Applicant::Citizen { name, .. }) => kept.matches(name),
        (Holder::Institution { name: kept, .. }, Applicant::Institution { name, .. }) => kept == name,
        _ => false,
    }
}

impl<R: BufRead> Iterator for Import<'_, R> {
    type Item = Result<ImportedRow, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.done.is_empty() && !self.ended {
            if let Err(error) = self.next_batch() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.done.pop_front().map(Ok)
    }
}
