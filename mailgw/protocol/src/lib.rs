#![forbid(unsafe_code)]
pub mod imap;
pub mod smtp;
