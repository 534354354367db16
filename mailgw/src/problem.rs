//! The one place where what went wrong in the gateway becomes an exit code and a problem.

use keys::KeyError;
use runtime::exit::{Exit, Problem};

/// Every message here is written as `what is wrong; what to do`.
pub(crate) fn told(exit: Exit, code: &'static str, text: &str) -> Problem {
    let (message, next) = text.rsplit_once("; ").unwrap_or((text, "correct it and try again"));
    Problem::new(exit, code, message, next)
}

pub(crate) fn key_class(error: &KeyError) -> (Exit, &'static str) {
    match error {
        KeyError::WrongPassphrase | KeyError::Mode { .. } => (Exit::Denied, "keys"),
        KeyError::Damaged { .. } => (Exit::Damaged, "keys"),
        KeyError::Exists { .. } | KeyError::Taken { .. } => (Exit::Conflict, "keys"),
        KeyError::NotFound { .. } => (Exit::NotFound, "keys"),
        _ => (Exit::Unavailable, "keys"),
    }
}

pub(crate) fn store_class(error: &store::CommitError) -> (Exit, &'static str) {
    match error {
        store::CommitError::Conflict { .. } => (Exit::Conflict, "conflict"),
        store::CommitError::Store(store::StoreError::Corrupt { .. }) => (Exit::Damaged, "store-damaged"),
        _ => (Exit::Unavailable, "store-unavailable"),
    }
}
