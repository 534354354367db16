//! Mailboxes over the store: blocking calls, time as an argument, everything told is durable.

mod change;
mod messages;

pub use messages::{Delivery, MailError, MessageStore, Uid, View};
