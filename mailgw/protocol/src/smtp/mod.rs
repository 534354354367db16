//! An SMTP server that receives mail for its own domains (RFC 5321), without input or output: bytes in, [`exchange::Output`] out.
//!
//! No relaying, no AUTH. The server around answers each [`exchange::Request`], writes the trace fields ([`trace`]) and keeps time.
pub mod address;
mod body;
mod command;
pub mod exchange;
mod framing;
pub mod session;
pub mod trace;
