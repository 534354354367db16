#![forbid(unsafe_code)]
pub mod imap;
