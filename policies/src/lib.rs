//! What the city decided, as data, with the types that give it meaning. Pure: text in, meaning out.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod authority;
pub mod certificate;
pub mod desk;
mod document;
pub mod filing;
pub mod identity;
pub mod mailbox;
pub mod push;
pub mod registrar;
pub mod sender;
pub mod statement;

/// The practice statement that comes with the program, Markdown, for a new authority to begin with.
pub const PRACTICE_STATEMENT: &str = include_str!("../practice-statement.md");

pub use document::{MAX_BYTES as MAX_DOCUMENT_BYTES, PolicyError};
