#![forbid(unsafe_code)]
pub mod budget;
pub mod imap;
mod incoming;
pub mod pop3;
pub mod sasl;
pub mod smtp;
