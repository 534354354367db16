//! The listeners: sockets, TLS and limits around the sessions of `protocol`.

pub mod accounts;
pub mod autoconfig;
mod brief;
pub mod granted;
pub mod imap;
pub mod opening;
mod places;
pub mod pop3;
pub mod push;
mod served;
pub mod smtp;
mod stream;
