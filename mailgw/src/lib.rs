//! The real-name mail gateway: what it keeps, and what it does with it.
#![forbid(unsafe_code)]

pub mod mailbox;
pub mod record;
