//! What the city decided, as data, with the types that give it meaning. Pure: text in, meaning out.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod authority;
pub mod certificate;
mod document;
pub mod identity;
pub mod mailbox;
pub mod statement;

pub use document::{MAX_BYTES as MAX_DOCUMENT_BYTES, PolicyError};
