//! Who asks: decided before anything of what is asked is read.

use std::marker::PhantomData;

/// The person or process behind a request, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user of this machine, known by the peer credentials of the administration socket.
    LocalUser(u32),
    /// Whoever signed with the key of this SHA-256 digest, in hexadecimal.
    KeyHolder(String),
    /// The service itself: its own OCSP signers, resumed work.
    Service,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LocalUser(uid) => write!(f, "uid:{uid}"),
            Self::KeyHolder(digest) => write!(f, "key:{digest}"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// A kind of work at the authority. The kinds are separate: none includes another.
pub trait Role {
    const NAME: &'static str;
}

/// Appoints officers, changes what the authority is: ceremonies, policies, issuers.
#[derive(Clone, Copy, Debug)]
pub struct Administrator;

/// Works on certificates: issues, suspends, renews, revokes, publishes.
#[derive(Clone, Copy, Debug)]
pub struct Operator;

/// Reads everything and changes nothing: register, orders, log, exports.
#[derive(Clone, Copy, Debug)]
pub struct Auditor;

/// May have certificates of the own key revoked, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Holder;

/// Who may revoke.
pub trait Revoker: Role {}

impl Revoker for Operator {}

impl Revoker for Holder {}

impl Role for Holder {
    const NAME: &'static str = "holder";
}

impl Role for Administrator {
    const NAME: &'static str = "administrator";
}

impl Role for Operator {
    const NAME: &'static str = "operator";
}

impl Role for Auditor {
    const NAME: &'static str = "auditor";
}

/// Proof that somebody may act in a role.
#[derive(Clone, Debug)]
pub struct Authorised<R: Role> {
    actor: Actor,
    role: PhantomData<R>,
}

impl Authorised<Holder> {
    /// Made once a signature with the key of this SHA-256 digest was verified over what is asked for.
    pub(super) fn by_possession(key_digest: &[u8]) -> Self {
        Self { actor: Actor::KeyHolder(crate::hex(key_digest)), role: PhantomData }
    }
}

impl<R: Role> Authorised<R> {
    /// The administration socket and the state directory are open to their owner and root alone: whoever
    /// came that far may do all.
    pub fn by_ownership(uid: u32) -> Self {
        Self { actor: Actor::LocalUser(uid), role: PhantomData }
    }

    /// What the service does of its own accord.
    pub fn service() -> Self {
        Self { actor: Actor::Service, role: PhantomData }
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}
