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

/// What somebody may do here.
pub trait Role {}

/// May do all that the command line offers.
#[derive(Clone, Copy, Debug)]
pub struct Operator;

/// May have certificates of the own key revoked, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Holder;

impl Role for Operator {}

impl Role for Holder {}

/// Who may revoke.
pub trait Revoker: Role {}

impl Revoker for Operator {}

impl Revoker for Holder {}

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

impl Authorised<Operator> {
    /// The administration socket and the state directory are open to their owner and root alone: whoever
    /// came that far may do all.
    pub fn by_ownership(uid: u32) -> Self {
        Self { actor: Actor::LocalUser(uid), role: PhantomData }
    }

    /// What the service does of its own accord.
    pub fn service() -> Self {
        Self { actor: Actor::Service, role: PhantomData }
    }
}

impl<R: Role> Authorised<R> {
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}
