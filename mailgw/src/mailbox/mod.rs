//! Mailboxes over the store: blocking calls, time as an argument, everything told is durable.

mod broadcast;
mod change;
mod folders;
mod messages;
mod quota;
mod steps;

pub use broadcast::Watch;
pub use folders::{MAX_FOLDERS, standard_folders};
pub use quota::Quota;
pub use messages::{Delivery, MailError, MessageStore, Uid, View};
