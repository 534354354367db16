//! What the session and the server around it say to each other: a [`Request`] goes out, exactly one [`Answer`] comes back.
use std::fmt;
use std::sync::Arc;

pub use crate::sasl::{Offer, Question, Salted, Secret, TokenRefused};

/// Work for the server. Each one is answered by one [`Answer`], and each may be answered by `Failed`.
pub enum Request {
    /// May this user log in? Answer: `LoggedIn`, `Denied` or `TooMany`. Asked under TLS alone.
    Login { user: String, password: Secret },
    /// A step of another way to log in. Answer: what the question says, `Denied` or `TooMany`.
    Sasl(Question),
    /// Take the INBOX of who is logged in, for this session alone. Answer: `Maildrop` or `InUse`.
    Open,
    /// `shows`: the client is to get content of it, not its header alone. Answer: `Bytes`, or `Gone`.
    Load { uid: u32, shows: bool },
    /// Remove these for good; they ascend. Answer: `Removed` once it is durable.
    Remove { uids: Vec<u32> },
}

/// Only the kind.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login { .. } => "Login",
            Self::Sasl(_) => "Sasl",
            Self::Open => "Open",
            Self::Load { .. } => "Load",
            Self::Remove { .. } => "Remove",
        })
    }
}

/// A message of a maildrop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub uid: u32,
    /// Octets as stored, which are the octets [`Answer::Bytes`] brings.
    pub size: u64,
}

/// The server's answer to a [`Request`]. One of another kind than asked for ends the session.
#[derive(Debug, Clone)]
pub enum Answer {
    LoggedIn,
    /// Logged in, once the client has taken this proof that the server knows it, too.
    Proved { signature: [u8; 32] },
    Salted(Salted),
    /// The token opens nothing.
    NoToken(TokenRefused),
    Denied,
    /// Too many logins failed lately.
    TooMany,
    /// Entries ascend by uid.
    Maildrop { uid_validity: u32, entries: Vec<Entry> },
    /// Another session has the maildrop.
    InUse,
    Bytes(Arc<[u8]>),
    Gone,
    Removed,
    /// The server cannot do it now.
    Failed,
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
    /// After what was sent: close the connection.
    Close,
}
