//! A POP3 server, without input or output: bytes in, [`exchange::Output`] out. spec: rfc1939 rfc2449 rfc2595 rfc5034
//!
//! A maildrop is the INBOX as it was when the session took it. Messages that come later are of the next session; one that is removed
//! elsewhere meanwhile keeps its number and is refused. What DELE marks goes in QUIT alone. One session at a time has a maildrop.
mod command;
pub mod exchange;
mod language;
mod maildrop;
pub mod session;
