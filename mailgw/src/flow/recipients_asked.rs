//! Whether persons can be reached, asked by a bureau before it pushes. Who does not know a person's name learns nothing: a
//! wrong one is answered like a person without a mailbox.

use policies::certificate::OrganizationName;
use policies::identity::PersonName;
use policies::statement::Recipient;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, StoreError};
use zeroize::Zeroizing;

use super::addressee;
use super::enrolment::EnrolmentError;
use crate::directory;
use crate::gateway::Gateway;
use crate::record::RecordError;
use crate::record::event::{self, Event};

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{asked} persons were asked about and at most {limit} are at once; ask about fewer")]
    TooMany { asked: usize, limit: u32 },
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let (exit, code) = match error {
            AskError::Enrolment(error) => return error.into(),
            AskError::TooMany { .. } => (Exit::Usage, "too-many"),
            AskError::Record(_) => (Exit::Damaged, "store-damaged"),
            AskError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// A person or an institution, as a row would name them. `Debug` shows nothing of them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub id_type: String,
    pub id_no: Zeroizing<String>,
    pub name: Zeroizing<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Person(..)")
    }
}

/// In the words of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Reachable,
    /// No such person with such a name, as far as a bureau needs to know.
    UnknownPerson,
    MailboxClosed,
    /// The number or its kind cannot be one.
    Unreadable,
}

impl Answer {
    pub const ALL: [Self; 4] = [Self::Reachable, Self::UnknownPerson, Self::MailboxClosed, Self::Unreadable];
}

/// What a bureau is answered, in the order of its question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    pub answers: Vec<Answer>,
}

/// One answer for each person, in order; how many were asked about is in the log before any is given.
pub fn ask(gateway: &Gateway, bureau: &str, persons: &[Person]) -> Result<Vec<Answer>, AskError> {
    let limit = gateway.push_limits.recipients_at_once;
    if persons.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
        return Err(AskError::TooMany { asked: persons.len(), limit });
    }
    let today = directory::today(gateway.clock.now());
    let answer = |person: &Person| -> Result<Answer, AskError> {
        let Ok(recipient) = Recipient::parse(&person.id_type, &person.id_no, today) else { return Ok(Answer::Unreadable) };
        let is_name = match recipient {
            Recipient::Institution(_) => OrganizationName::parse(&person.name).is_ok(),
            Recipient::Document(_) => PersonName::parse(&person.name).is_ok(),
            Recipient::Token(_) => PersonName::parse(&person.name).is_ok() || OrganizationName::parse(&person.name).is_ok(),
        };
        if !is_name {
            return Ok(Answer::Unreadable);
        }
        let (Some(account), _) = addressee::find(gateway, bureau, &recipient)? else { return Ok(Answer::UnknownPerson) };
        let named = addressee::is_named(&account, &person.name);
        Ok(match (named, account.is_open()) {
            (false, _) => Answer::UnknownPerson,
            (true, false) => Answer::MailboxClosed,
            (true, true) => Answer::Reachable,
        })
    };
    let answers: Vec<Answer> = persons.iter().map(answer).collect::<Result<_, _>>()?;
    let reachable = answers.iter().filter(|answer| **answer == Answer::Reachable).count() as u64;
    let mut write = Batch::new();
    Event::RecipientsAsked(event::Recipients { bureau: bureau.to_owned(), asked: persons.len() as u64, reachable }).append(&mut write, gateway.now_unix_millis())?;
    gateway.store.commit(write)?;
    Ok(answers)
}
