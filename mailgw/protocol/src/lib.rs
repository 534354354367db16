#![forbid(unsafe_code)]
pub mod budget;
pub mod imap;
pub mod pop3;
pub mod sasl;
pub mod smtp;
