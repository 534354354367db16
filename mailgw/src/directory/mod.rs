//! The directory: who owns which mailbox, found by address, by document, and by password.

mod limiter;
mod password;
mod random;
mod recent;
