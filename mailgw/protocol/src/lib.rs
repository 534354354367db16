#![forbid(unsafe_code)]
pub mod imap;
pub mod sasl;
pub mod smtp;
