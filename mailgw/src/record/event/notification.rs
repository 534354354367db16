//! What the log says of notices to owners' phones and other mailboxes. Where they go is a keyed digest.

use serde::{Deserialize, Serialize};

/// Where notices of a mailbox go: `state` is `asked`, `confirmed` or `withdrawn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationPlace {
    pub mailbox: String,
    pub channel: String,
    pub place: String,
    pub state: String,
    pub every_mail: bool,
}

/// A notice was sent, or was not, for this reason; it tells of so many arrivals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    pub mailbox: String,
    pub channel: String,
    pub place: String,
    /// By which whoever sends texts knows it.
    pub notice: String,
    pub arrived: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
