//! From a whole command to a [`Command`]: strict, bounded, never panicking.
pub mod command;
pub(crate) mod cursor;
mod date;
mod fetch;
mod listing;
pub mod mailbox;
mod message;
mod metadata;
mod notify;
mod search;
pub mod sequence;
mod sort;

use thiserror::Error;

pub use command::{Command, Depth, ListOptions, StatusItem};
pub use fetch::{Item, Section, SectionText};
pub use notify::{Events, Group, Mailboxes, Notify};
pub use search::{Key, Return};
pub use sort::{Criterion, SortBy, Threading};

/// Why a command cannot be understood. The text goes to the client after BAD.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    #[error("The command needs a tag: write `a1 NOOP`")]
    Tag,
    #[error("Unknown command: see RFC 3501")]
    UnknownCommand,
    #[error("Expected {0}")]
    Expected(&'static str),
    #[error("Too much after the command: it takes fewer arguments")]
    Trailing,
    #[error("Too many or too deeply nested arguments: split the command")]
    TooMany,
    #[error("The mailbox name is not valid modified UTF-7, or empty, too long, or with control characters")]
    Mailbox,
    #[error("A number is zero or too large where it may not be")]
    Number,
    #[error("The date is not one of the calendar")]
    Date,
    #[error("The charset is not known: use UTF-8 or US-ASCII")]
    Charset,
}

pub(crate) type Parsed<T> = Result<T, ParseError>;
