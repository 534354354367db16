//! The one place where what went wrong in the directory becomes an exit code and a problem.

use runtime::exit::{Exit, Problem};

use super::app_password::AppPasswordError;
use super::applicant::ApplicantError;
use super::import::{ImportError, TableError};
use super::operator::OperatorError;
use super::{DirectoryError, State};
use crate::problem::{store_class, told};
use crate::record::RecordError;

fn class(error: &DirectoryError) -> (Exit, &'static str) {
    match error {
        DirectoryError::Exists { .. } => (Exit::Conflict, "mailbox-exists"),
        DirectoryError::AliasTaken { .. } | DirectoryError::AliasSealed { .. } => (Exit::Conflict, "alias-taken"),
        DirectoryError::DocumentTaken { .. } => (Exit::Conflict, "document-taken"),
        DirectoryError::Closed { .. } => (Exit::Conflict, "mailbox-closed"),
        DirectoryError::NotFound => (Exit::NotFound, "no-such-mailbox"),
        DirectoryError::OtherName { .. } => (Exit::Refused, "other-name"),
        DirectoryError::NotHeld { .. } => (Exit::Refused, "not-held"),
        DirectoryError::DocumentYoung { .. } => (Exit::Refused, "document-young"),
        DirectoryError::NoSuchDocument { .. } => (Exit::NotFound, "no-such-document"),
        DirectoryError::DocumentCounts { .. } => (Exit::Refused, "document-counts"),
        DirectoryError::LastDocument { .. } => (Exit::Refused, "last-document"),
        DirectoryError::Spent => (Exit::Conflict, "request-spent"),
        DirectoryError::NoCitizen { .. } => (Exit::Refused, "no-citizen"),
        DirectoryError::NumberAlone { .. } => (Exit::Refused, "number-alone"),
        DirectoryError::OtherHolder { .. } => (Exit::Refused, "other-holder"),
        DirectoryError::SameName { .. } => (Exit::Conflict, "same-name"),
        DirectoryError::TooManyDocuments { .. } | DirectoryError::TooManyNames { .. } | DirectoryError::TooManyAliases { .. } | DirectoryError::TooMany { .. } => (Exit::Refused, "too-many"),
        DirectoryError::Password(_) => (Exit::Refused, "password"),
        DirectoryError::Alias(_) => (Exit::Refused, "applicant"),
        DirectoryError::AppPassword(AppPasswordError::NotFound { .. }) => (Exit::NotFound, "no-such-app-password"),
        DirectoryError::AppPassword(AppPasswordError::TooMany { .. }) => (Exit::Refused, "too-many"),
        DirectoryError::AppPassword(AppPasswordError::Name | AppPasswordError::NoScope) => (Exit::Refused, "app-password"),
        DirectoryError::Operator(OperatorError::NotFound { .. } | OperatorError::NotSent { .. }) => (Exit::NotFound, "no-such-operator"),
        DirectoryError::Operator(OperatorError::TooMany { .. }) => (Exit::Refused, "too-many"),
        DirectoryError::Operator(OperatorError::Already { .. }) => (Exit::Conflict, "operator-exists"),
        DirectoryError::Operator(OperatorError::Spent) => (Exit::Conflict, "order-spent"),
        DirectoryError::Operator(OperatorError::NotEntitled { .. }) => (Exit::Refused, "not-entitled"),
        DirectoryError::Operator(OperatorError::NoInstitution { .. } | OperatorError::Nobody | OperatorError::FirstSigns) => (Exit::Refused, "operator"),
        DirectoryError::Entered { .. } => (Exit::Refused, "mailbox-entered"),
        DirectoryError::RecoveryUnderWay { .. } => (Exit::Refused, "recovery-under-way"),
        DirectoryError::NoRecovery { .. } => (Exit::NotFound, "no-recovery"),
        DirectoryError::CoolingOff { .. } => (Exit::Refused, "cooling-off"),
        DirectoryError::NoNumber | DirectoryError::Random(_) => (Exit::Unavailable, "randomness"),
        DirectoryError::Busy | DirectoryError::Hash(_) => (Exit::Unavailable, "busy"),
        DirectoryError::Record(RecordError::Key(keys::DataKeyError::Seal)) => (Exit::Unavailable, "keys"),
        DirectoryError::Record(_) => (Exit::Damaged, "damaged"),
        DirectoryError::Commit(error) => store_class(error),
    }
}

impl From<DirectoryError> for Problem {
    /// For the administrator, who is told which mailbox it is.
    fn from(error: DirectoryError) -> Self {
        let (exit, code) = class(&error);
        let text = match &error {
            DirectoryError::Exists { mailbox, state: State::Open } => {
                format!("the holder of this document or credit code has mailbox {mailbox} already; look at it with `mailgw mailbox show {mailbox}`")
            }
            DirectoryError::Exists { mailbox, state: State::Closed } => {
                format!("the holder of this document or credit code had mailbox {mailbox}, and it is closed; a closed mailbox is not opened again")
            }
            DirectoryError::DocumentTaken { mailbox } => {
                format!("this document belongs to mailbox {mailbox}; compare it with the paper")
            }
            _ => error.to_string(),
        };
        let problem = told(exit, code, &text);
        match error {
            DirectoryError::Password(_) => problem.at("password"),
            DirectoryError::Alias(_) | DirectoryError::AliasTaken { .. } | DirectoryError::AliasSealed { .. } => problem.at("alias"),
            _ => problem,
        }
    }
}

impl From<ApplicantError> for Problem {
    fn from(error: ApplicantError) -> Self {
        let text = error.to_string();
        // The field is told apart from the text.
        let bare = |field: &str| text.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text).to_owned();
        let at = |field: &str, prefix: &str| told(Exit::Refused, "applicant", &bare(prefix)).at(field);
        match error {
            ApplicantError::Incomplete | ApplicantError::Mixed => told(Exit::Usage, "applicant", &text),
            ApplicantError::Document(_) => at("document", "document"),
            ApplicantError::Name(_) | ApplicantError::OrganizationName(_) => at("name", "name"),
            ApplicantError::CreditCode(_) => at("code", "credit code"),
            ApplicantError::Alias(_) | ApplicantError::Aliases | ApplicantError::CitizenAliases { .. } => at("alias", "alias"),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let (exit, code) = match &error {
            ImportError::Table(TableError::Read(_)) => (Exit::Unavailable, "file"),
            ImportError::Table(_) => (Exit::Refused, "file"),
            ImportError::Stopped { error, .. } => class(error),
        };
        let problem = told(exit, code, &error.to_string());
        match error {
            // What is on disk already is found again as existing.
            ImportError::Stopped { .. } => Self { next: format!("{}; then import the file again", problem.next), ..problem },
            ImportError::Table(_) => problem,
        }
    }
}
