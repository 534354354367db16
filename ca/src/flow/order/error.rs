//! What an order is refused for.

use runtime::exit::{Exit, Problem};

use crate::problem::IssueError;
use crate::record::{Evidence, OrderIdError};

#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Id(#[from] OrderIdError),
    #[error("there is no order of this number; look whether it is whole")]
    NotFound,
    #[error("the order key has 1 to 64 letters, digits, hyphens, dots and underscores; choose such a one, and another for each order")]
    Key,
    #[error("a document of evidence has a kind of 1 to 32 small letters, digits and hyphens and a SHA-256 in small hexadecimal digits, and there are at most {} of them; write them so", Evidence::MOST)]
    Evidence,
    #[error("the order key was used for another application; choose a new key for a new order")]
    KeyUsed,
    #[error("the profile {profile} is not ordered over the network; apply at the counter")]
    NotOnline { profile: String },
    #[error("certificates of the profile {profile} are the authority's own and are not ordered; choose the profile of a holder")]
    OwnProfile { profile: String },
    #[error("too many orders are open; order again when some are decided")]
    TooMany,
    #[error("the order is {state}; look at it before asking for anything else")]
    Decided { state: &'static str },
    #[error("the request does not say that this order is to be cancelled; make it with the order's own key and the common name `cancel order NUMBER`")]
    NotSaid,
    #[error("the registry cannot be asked: {0}")]
    Registry(crate::registry::RegistryError),
}

impl From<store::StoreError> for OrderError {
    fn from(error: store::StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<serde_json::Error> for OrderError {
    fn from(error: serde_json::Error) -> Self {
        Self::Issue(error.into())
    }
}

impl OrderError {
    fn class(&self) -> (Exit, &'static str) {
        match self {
            Self::Issue(error) => error.class(),
            Self::Id(_) => (Exit::Usage, "order-number"),
            Self::NotFound => (Exit::NotFound, "no-such-order"),
            Self::Key => (Exit::Refused, "order-key"),
            Self::Evidence => (Exit::Refused, "evidence"),
            Self::KeyUsed => (Exit::Conflict, "order-key-used"),
            Self::NotOnline { .. } => (Exit::Refused, "not-online"),
            Self::OwnProfile { .. } => (Exit::Refused, "own-profile"),
            Self::TooMany => (Exit::Unavailable, "too-many-orders"),
            Self::Decided { .. } => (Exit::Conflict, "order-decided"),
            Self::NotSaid => (Exit::Refused, "not-said"),
            Self::Registry(_) => (Exit::Unavailable, "registry"),
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let (exit, code) = error.class();
        match error {
            OrderError::Issue(error) => error.into(),
            error => {
                let text = error.to_string();
                let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
                let problem = Self::new(exit, code, message, next);
                match error {
                    OrderError::Key | OrderError::KeyUsed => problem.at("key"),
                    OrderError::Evidence => problem.at("evidence"),
                    OrderError::NotOnline { .. } | OrderError::OwnProfile { .. } => problem.at("profile"),
                    _ => problem,
                }
            }
        }
    }
}
