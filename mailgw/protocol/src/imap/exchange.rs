//! What the session and the server around it say to each other: a [`Request`] goes out, exactly one [`Answer`] comes back,
//! and [`Change`]s of the opened mailbox arrive between commands.
use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

pub use super::content::{Outlines, Texts};
use super::extension::Extensions;
pub use super::account::AccountChanges;
pub use super::flags::{Flags, Keyword, StoreOp, SystemFlag};
pub use super::messages::Messages;
pub use super::special_use::{SpecialUse, SpecialUses};
pub use crate::sasl::{Offer, Question, Salted, Secret, TokenRefused};

/// What the server knows of a message without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Never 0.
    pub uid: u32,
    pub flags: Flags,
    pub modseq: u64,
    pub internal_date: OffsetDateTime,
    /// When it came into this mailbox, where that was kept. spec: rfc8514#3
    pub saved: Option<OffsetDateTime>,
    /// Octets of the message as stored, which are the octets [`Answer::Bytes`] brings.
    pub size: u64,
    /// Which content it is: the same for a message and its copies, never another's.
    pub content: u64,
}

/// Where a string is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The texts of the body.
    Body,
    /// The texts of the body and the fields of the header.
    Text,
    /// One field of the header, its name in capitals.
    Field(String),
}

/// What an index is asked: a string, folded as [`super::content::charset::fold`] does and not empty, in one place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Needle {
    pub place: Place,
    pub text: String,
}

/// What an index knows of one needle: contents by their numbers, ascending. What it knows of and names in neither list does
/// not hold the needle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    pub holds: Vec<u64>,
    /// To be read before it is known.
    pub perhaps: Vec<u64>,
}

/// A mailbox name in Unicode, decoded from modified UTF-7; `/` parts levels, `INBOX` is in capitals. 1 to 255 characters
/// without control characters.
pub type MailboxName = String;

/// A message that a client brings.
#[derive(Clone)]
pub struct NewMessage {
    pub flags: Flags,
    pub internal_date: Option<OffsetDateTime>,
    pub bytes: Vec<u8>,
    /// It was said that its header may hold UTF-8. spec: rfc9755#4
    pub utf8: bool,
}

/// Work for the server. Each one is answered by one [`Answer`]; the mailbox meant by those without a name is the opened one.
/// `uids` ascend, are not empty, and were in the mailbox as this session saw it: the server skips those gone meanwhile.
pub enum Request {
    /// Answer: `LoggedIn` or `Refused`.
    Login { user: String, password: Secret },
    /// A step of another way to log in. Answer: what the question says, or `Refused`.
    Sasl(Question),
    /// Answer: `Mailboxes`.
    List,
    /// Answer: `Mailboxes`, with nothing between it and the changes of the account that the server tells from here on, until
    /// `UnwatchAccount` or `Unauthenticate`. spec: rfc5465#3.1
    WatchAccount,
    /// Answer: `Done`.
    UnwatchAccount,
    /// Answer: `Opened` or `Refused`. From here on, the server pushes changes of this mailbox until `Close` or another `Open`.
    Open { mailbox: MailboxName, read_only: bool },
    /// Answer: `Status` or `Refused`.
    Status { mailbox: MailboxName },
    /// The bytes of a message, which are so many; `shows`: the client is to get content of it, not its header or structure alone; `ahead`: of
    /// these the bytes are asked for after it, one after another, and may be read meanwhile. Answer: `Bytes`, or `Refused` (`NonExistent`)
    /// when it is gone.
    Load { uid: u32, size: u64, shows: bool, ahead: Vec<u32> },
    /// What is kept of these contents to be listed: `listing`: ENVELOPE and BODYSTRUCTURE, `header`: the header. Answer: `Outlines` of those
    /// of which it is kept, as many as may be held at once, or `Refused`. The others are read.
    Outlines { contents: Vec<u64>, listing: bool, header: bool },
    /// What the index says of each of these. Answer: `Found`, or `Refused` where there is none to ask.
    Find { needles: Vec<Needle> },
    /// Answer: `Stored`. With `unchanged_since`, messages of a higher MODSEQ stay as they are. spec: rfc7162#3.1.3
    Store { uids: Vec<u32>, op: StoreOp, flags: Flags, unchanged_since: Option<u64> },
    /// All or none. Answer: `Appended` when durable, or `Refused` (`TryCreate`, `OverQuota`, …).
    Append { mailbox: MailboxName, messages: Vec<NewMessage> },
    /// The message in, and the one with this uid out of the opened mailbox, or neither. Answer: as for `Append`. spec: rfc8508#3
    Replace { uid: u32, mailbox: MailboxName, message: NewMessage },
    /// All or none. Answer: `Copied` or `Refused`.
    Copy { uids: Vec<u32>, to: MailboxName },
    /// All or none, in one commit. Answer: `Copied` (what moved) or `Refused`.
    Move { uids: Vec<u32>, to: MailboxName },
    /// Removes messages that bear `\Deleted`: all, or those among `uids`. Answer: `Expunged`.
    Expunge { uids: Option<Vec<u32>> },
    /// What was removed after this MODSEQ. Answer: `Vanished`. spec: rfc7162#3.2.5
    Vanished { since: u64 },
    /// For these uses. Answer: `Created`, or `Refused` (`UseAttr` where another mailbox has one of them).
    Create { mailbox: MailboxName, uses: SpecialUses },
    /// Answer to these four: `Done` or `Refused`.
    Delete { mailbox: MailboxName },
    Rename { from: MailboxName, to: MailboxName },
    Subscribe { mailbox: MailboxName },
    Unsubscribe { mailbox: MailboxName },
    /// What the account holds and may hold. Answer: `Quota`.
    Quota,
    /// Answer: `Time`.
    Time,
    /// All annotations of a mailbox, or of the account as a whole. Answer: `Metadata` or `Refused`.
    Metadata { mailbox: Option<MailboxName> },
    /// Sets or removes them, all or none. Answer: `Done` or `Refused`.
    SetMetadata { mailbox: Option<MailboxName>, values: Vec<(String, Option<Vec<u8>>)> },
    /// May the connection be compressed? Answer: `Done` or `Refused`.
    Compress,
    /// The login is over, the connection is not. Answer: `Done` or `Refused`.
    Unauthenticate,
    /// The opened mailbox is left: no more changes are pushed. Answer: `Done`.
    Close,
    /// What was said so far goes out before more is made, so that an answer is never whole in memory. Answer: `Done`.
    Drain,
}

impl Request {
    fn name(&self) -> &'static str {
        match self {
            Request::Login { .. } => "Login",
            Request::Sasl(_) => "Sasl",
            Request::List => "List",
            Request::WatchAccount => "WatchAccount",
            Request::UnwatchAccount => "UnwatchAccount",
            Request::Open { .. } => "Open",
            Request::Status { .. } => "Status",
            Request::Load { .. } => "Load",
            Request::Outlines { .. } => "Outlines",
            Request::Find { .. } => "Find",
            Request::Store { .. } => "Store",
            Request::Append { .. } => "Append",
            Request::Replace { .. } => "Replace",
            Request::Metadata { .. } => "Metadata",
            Request::SetMetadata { .. } => "SetMetadata",
            Request::Compress => "Compress",
            Request::Unauthenticate => "Unauthenticate",
            Request::Copy { .. } => "Copy",
            Request::Move { .. } => "Move",
            Request::Expunge { .. } => "Expunge",
            Request::Vanished { .. } => "Vanished",
            Request::Create { .. } => "Create",
            Request::Delete { .. } => "Delete",
            Request::Rename { .. } => "Rename",
            Request::Subscribe { .. } => "Subscribe",
            Request::Unsubscribe { .. } => "Unsubscribe",
            Request::Quota => "Quota",
            Request::Time => "Time",
            Request::Close => "Close",
            Request::Drain => "Drain",
        }
    }
}

/// Only the kind: users, names of folders and messages are not for logs.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The server's answer to a [`Request`]. An answer of another kind than asked for ends the session with BYE.
#[derive(Debug, Clone)]
pub enum Answer {
    /// `off`: what this account is not offered, beside what nobody is.
    LoggedIn { off: Extensions },
    /// Logged in, once the client has taken this proof that the server knows it, too.
    Proved { off: Extensions, signature: [u8; 32] },
    Salted(Salted),
    /// The token opens nothing.
    NoToken(TokenRefused),
    Mailboxes(Vec<MailboxInfo>),
    /// `messages` ascend by uid; `uid_next` is above all of them.
    /// `id`: of the mailbox, whatever it is called; no other ever has it.
    Opened { uid_validity: u32, uid_next: u32, highest_modseq: u64, id: u64, messages: Messages },
    Status(MailboxStatus),
    Quota(Quota),
    Time(OffsetDateTime),
    Bytes(Arc<Vec<u8>>),
    Outlines(Outlines),
    /// The contents the index knows of, ascending, and one `Hits` for each needle.
    Found { known: Vec<u64>, hits: Vec<Hits> },
    /// The messages as they are after the change, and the uids of those left alone, both ascending.
    Stored { after: Vec<MessageInfo>, modified: Vec<u32> },
    /// In the order in which they were brought.
    Appended { uid_validity: u32, uids: Vec<u32> },
    /// Entries and their values, by the names of the entries, ascending.
    Metadata(Vec<(String, Vec<u8>)>),
    /// The id of the new mailbox, whatever it is called; no other ever has it.
    Created { id: u64 },
    /// `from[i]` became `to[i]`; both ascend.
    Copied { uid_validity: u32, from: Vec<u32>, to: Vec<u32> },
    /// The uids that were removed.
    Expunged(Vec<u32>),
    /// Ranges of uids, ascending; perhaps more than was removed since, never one that is there.
    Vanished(Vec<(u32, u32)>),
    Done,
    /// `text`: one line for people, ASCII, without secrets.
    Refused { code: RefusalCode, text: String },
}

/// One mailbox of LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    pub name: MailboxName,
    /// Whatever it is called; no other ever has it. None for a level above others that is no mailbox itself, and for a name
    /// subscribed to whose mailbox is gone.
    pub id: Option<u64>,
    pub subscribed: bool,
    pub uses: SpecialUses,
    pub has_children: bool,
}

impl MailboxInfo {
    pub fn exists(&self) -> bool {
        self.id.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailboxStatus {
    pub messages: u32,
    pub unseen: u32,
    /// That bear `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub size: u64,
    pub uid_next: u32,
    pub uid_validity: u32,
    pub highest_modseq: u64,
    /// Octets of those that bear `\Deleted`.
    pub deleted_size: u64,
    pub id: u64,
}

/// What an account holds, and may hold where there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    pub used_octets: u64,
    pub octets: Option<u64>,
    pub used_messages: u64,
    pub messages: Option<u64>,
}

/// Why the server refuses: the response codes of RFC 3501 and RFC 5530.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    AlreadyExists,
    AuthenticationFailed,
    /// Allowed in form, impossible here: renaming INBOX's parent, deleting INBOX.
    Cannot,
    /// Another session is in the way; trying again may work.
    InUse,
    Limit,
    NoPermission,
    NonExistent,
    OverQuota,
    /// A damaged or failed store; a person has to look.
    ServerBug,
    /// spec: rfc5464#4.3
    TooManyAnnotations,
    /// The target of APPEND, COPY or MOVE does not exist and may be created.
    TryCreate,
    /// The store cannot be reached or written now.
    Unavailable,
    /// spec: rfc6154#3 a mailbox for that use cannot be made
    UseAttr,
}

impl RefusalCode {
    /// spec: rfc5530#3 rfc3501#7.1
    pub fn name(self) -> &'static str {
        match self {
            RefusalCode::AlreadyExists => "ALREADYEXISTS",
            RefusalCode::AuthenticationFailed => "AUTHENTICATIONFAILED",
            RefusalCode::Cannot => "CANNOT",
            RefusalCode::InUse => "INUSE",
            RefusalCode::Limit => "LIMIT",
            RefusalCode::NoPermission => "NOPERM",
            RefusalCode::NonExistent => "NONEXISTENT",
            RefusalCode::OverQuota => "OVERQUOTA",
            RefusalCode::ServerBug => "SERVERBUG",
            RefusalCode::TooManyAnnotations => "METADATA TOOMANY",
            RefusalCode::TryCreate => "TRYCREATE",
            RefusalCode::Unavailable => "UNAVAILABLE",
            RefusalCode::UseAttr => "USEATTR",
        }
    }
}

/// A committed change of the opened mailbox, in the order of commits. A session may be told of its own changes too: what it
/// already knows has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    New(MessageInfo),
    Flags(MessageInfo),
    /// The message with this uid was removed, at this MODSEQ.
    Gone { uid: u32, modseq: u64 },
}

/// What the server has to do, in this order. After `Do` nothing follows until [`super::session::Session::answer`].
#[derive(Debug)]
pub enum Output {
    /// Bytes for the client.
    Send(Vec<u8>),
    Do(Request),
    /// After what was sent: begin TLS, then call [`super::session::Session::tls_started`]. Plaintext read before that is
    /// already thrown away here; the server drops what its own buffers hold.
    StartTls,
    /// After what was sent: both directions are compressed, in raw DEFLATE. Nothing that was read before counts. spec: rfc4978#3
    Compress,
    /// After what was sent: close the connection.
    Close,
}
