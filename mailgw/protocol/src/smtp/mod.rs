//! An SMTP server, without input or output: bytes in, [`exchange::Output`] out. It receives mail for its own domains (RFC 5321),
//! or takes the mail of those who log in (RFC 6409).
//!
//! The server around answers each [`exchange::Request`], writes the trace fields ([`trace`]) and keeps time.
pub mod address;
pub mod binary;
mod body;
mod chunk;
mod command;
pub mod exchange;
pub(crate) mod framing;
pub mod notice;
pub mod reply;
pub mod session;
pub mod trace;
