//! Who asks: decided before anything of what is asked is read.

use std::marker::PhantomData;

/// The person or process behind a request, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user of this machine, known by the peer credentials of the administration socket.
    LocalUser(u32),
    /// The service itself: its own OCSP signers, resumed work.
    Service,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LocalUser(uid) => write!(f, "uid:{uid}"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// May do all that the command line offers.
#[derive(Clone, Copy, Debug)]
pub struct Administrator;

/// Proof that somebody may act in a role.
#[derive(Clone, Debug)]
pub struct Authorised<Role> {
    actor: Actor,
    role: PhantomData<Role>,
}

impl Authorised<Administrator> {
    /// The administration socket and the state directory are open to their owner and root alone: whoever
    /// came that far is the administrator.
    pub fn by_ownership(uid: u32) -> Self {
        Self { actor: Actor::LocalUser(uid), role: PhantomData }
    }

    /// What the service does of its own accord.
    pub fn service() -> Self {
        Self { actor: Actor::Service, role: PhantomData }
    }
}

impl<Role> Authorised<Role> {
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}
