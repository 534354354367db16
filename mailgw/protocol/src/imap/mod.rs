//! An IMAP4rev1 server (RFC 3501) without input or output: bytes in, [`exchange::Output`] out.
pub mod account;
pub mod content;
pub mod exchange;
pub mod extension;
pub mod flags;
mod framing;
pub mod messages;
pub mod parse;
pub mod session;
mod special_use;
mod syntax;
