//! The listeners: sockets, TLS and limits around the sessions of `protocol`.

pub mod imap;
mod places;
pub mod push;
pub mod smtp;
mod stream;
