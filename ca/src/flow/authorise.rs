//! Who asks, and what they may do: decided for each request anew, before anything of what is asked is read.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use policies::authority::Power;

use super::{issue, restore};
use crate::authority::Authority;
use crate::problem::{IssueError, OfficerError};
use crate::record::{CertificateRecord, Officer, Person, Roster, Status, decode, serial_of, serial_text};
use crate::register;

/// The profile of officers' certificates.
pub const OFFICER: &str = "officer";

/// The profile of the certificates by which mail gateways vouch for citizens.
pub const REGISTRAR: &str = "registrar";

/// The person or process behind a request, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user of this machine, known by the peer credentials of the administration socket.
    LocalUser(u32),
    /// An officer, by the serial number of the certificate they proved to hold.
    Officer(String),
    /// A mail gateway, by the serial number of the certificate whose key signed its statement.
    Registrar(String),
    /// Whoever signed with the key of this SHA-256 digest, in hexadecimal.
    KeyHolder(String),
    /// The service itself: its own OCSP signers, resumed work.
    Service,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LocalUser(uid) => write!(f, "uid:{uid}"),
            Self::Officer(serial) => write!(f, "officer:{serial}"),
            Self::Registrar(serial) => write!(f, "registrar:{serial}"),
            Self::KeyHolder(digest) => write!(f, "key:{digest}"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// What somebody may do here.
pub trait Role {}

/// A role that a power of an officer gives.
pub trait Office: Role {
    const POWER: Power;
}

/// May grant and withdraw powers, and sees to the lists, the root's too.
#[derive(Clone, Copy, Debug)]
pub struct Administrator;

/// May issue, suspend, resume, freeze and revoke certificates, and block keys.
#[derive(Clone, Copy, Debug)]
pub struct Operator;

/// May read all and change nothing.
#[derive(Clone, Copy, Debug)]
pub struct Auditor;

/// May have certificates of the own key revoked or renewed, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Holder;

/// The mail gateway: may take letters from the outbox and say what became of them, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Courier;

/// The owner of the state directory, while the service is stopped and nobody administrates: may have one officer certified who
/// then does, and the officers' authority succeeded first where it is revoked itself; nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Recoverer;

/// A mail gateway that an administrator made a registrar: may have citizens certified whose mailboxes it keeps, and have
/// their certificates end, each by a statement it signed.
#[derive(Clone, Copy, Debug)]
pub struct Registrar;

impl Role for Courier {}

impl Role for Recoverer {}

impl Role for Registrar {}

impl Role for Administrator {}

impl Role for Operator {}

impl Role for Auditor {}

impl Role for Holder {}

impl Office for Administrator {
    const POWER: Power = Power::Administrator;
}

impl Office for Operator {
    const POWER: Power = Power::Operator;
}

impl Office for Auditor {
    const POWER: Power = Power::Auditor;
}

/// Who may revoke.
pub trait Revoker: Role {}

impl Revoker for Operator {}

impl Revoker for Holder {}

/// Who may have a certificate issued; a holder, in the place of the one whose key they have, and no other; an
/// administrator, in the place of those of an incident.
pub trait Orderer: Role {}

impl Orderer for Operator {}

impl Orderer for Administrator {}

impl Orderer for Holder {}

impl Orderer for Recoverer {}

impl Orderer for Registrar {}

/// Who may give an issuing authority its next generation; a recoverer, the officers' own when it is revoked.
pub trait Successor: Role {}

impl Successor for Administrator {}

impl Successor for Recoverer {}

/// Proof that somebody may act in a role.
#[derive(Clone, Debug)]
pub struct Authorised<R: Role> {
    actor: Actor,
    /// Which person an officer is: nobody decides about themselves.
    person: Option<Person>,
    role: PhantomData<R>,
}

impl Authorised<Holder> {
    /// Made once a signature with the key of this SHA-256 digest was verified over what is asked for.
    pub(super) fn by_possession(key_digest: &[u8]) -> Self {
        Self { actor: Actor::KeyHolder(crate::hex(key_digest)), person: None, role: PhantomData }
    }
}

impl Authorised<Registrar> {
    /// Made once a statement was verified to be signed by the registrar of this serial.
    pub(super) fn by_statement(serial: &str) -> Self {
        Self { actor: Actor::Registrar(serial.to_owned()), person: None, role: PhantomData }
    }
}

impl Authorised<Recoverer> {
    /// Made once it was found that there were administrators and none is left by a good certificate.
    pub(super) fn by_recovery(uid: u32) -> Self {
        Self { actor: Actor::LocalUser(uid), person: None, role: PhantomData }
    }
}

impl<R: Office> Authorised<R> {
    /// As the owner of the state directory before there are officers; flows are tried out with it. Requests are
    /// proved by [`Proven`].
    pub fn by_ownership(uid: u32) -> Self {
        Self { actor: Actor::LocalUser(uid), person: None, role: PhantomData }
    }

    /// What the service does of its own accord.
    pub fn service() -> Self {
        Self { actor: Actor::Service, person: None, role: PhantomData }
    }
}

impl Authorised<Courier> {
    /// The outbox's socket is open to one user of this machine and to root.
    pub fn by_outbox(uid: u32) -> Self {
        Self { actor: Actor::LocalUser(uid), person: None, role: PhantomData }
    }
}

impl<R: Role> Authorised<R> {
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The person an officer is; nobody is known behind a user of the machine or the service.
    pub fn person(&self) -> Option<Person> {
        self.person
    }
}

/// Somebody at the door, and the powers they proved for this one request.
#[derive(Clone, Debug)]
pub struct Proven {
    actor: Actor,
    person: Option<Person>,
    powers: BTreeSet<Power>,
}

impl Proven {
    /// A user of this machine whom the administration socket or the state directory let in. All is theirs until the
    /// first administrator is granted, then what the policy leaves them.
    pub fn local(authority: &Authority, uid: u32) -> Result<Self, IssueError> {
        let all = || Power::ALL.into_iter().collect();
        let powers = if roster(authority)?.1.administered { authority.rules.officers.local_powers().clone() } else { all() };
        Ok(Self { actor: Actor::LocalUser(uid), person: None, powers })
    }

    /// The owner of a directory that was restored and served nobody since: for adopting alone, which is why it is asked for
    /// there. `None` where that time is over.
    pub fn restorer(authority: &Authority, uid: u32) -> Result<Option<Self>, IssueError> {
        let powers = [Power::Administrator].into();
        Ok(restore::is_unserved(&*authority.store)?.then_some(Self { actor: Actor::LocalUser(uid), person: None, powers }))
    }

    /// An officer who proved to hold the key of `certificate`: one of ours, of their profile, good at this moment, with
    /// powers granted to it.
    pub fn officer(authority: &Authority, certificate: &[u8]) -> Result<Self, OfficerError> {
        // 1. Octet for octet what we issued: whatever else a TLS library may take for a certificate of ours.
        let serial = serial_of(certificate).ok_or(OfficerError::NotOfHere)?;
        let record = register::find(&*authority.store, &serial).map_err(IssueError::from)?.filter(|record| record.der == certificate).ok_or(OfficerError::NotOfHere)?;
        // 2. Good now: a handshake may be hours old.
        standing(authority, &serial, &record)?;
        // 3. What was granted to this very certificate, and not withdrawn.
        let officer = authority.store.get(&Officer::key(&serial)).map_err(IssueError::from)?;
        let officer: Option<Officer> = officer.map(|bytes| decode(&bytes)).transpose().map_err(|_| IssueError::Damaged { what: "an officer" })?;
        match officer {
            Some(Officer { person, powers, .. }) if !powers.is_empty() => Ok(Self { actor: Actor::Officer(serial_text(&serial)), person: Some(person), powers }),
            _ => Err(OfficerError::NoPowers { serial: serial_text(&serial) }),
        }
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn powers(&self) -> &BTreeSet<Power> {
        &self.powers
    }

    /// Whether what is asked for is done on this machine, by its owner.
    pub fn is_local(&self) -> bool {
        matches!(self.actor, Actor::LocalUser(_))
    }

    /// Refuses what needs a power that is not there, and tells the service's log of it.
    pub fn allow(&self, operation: &'static str, powers: &'static [Power]) -> Result<(), OfficerError> {
        if powers.iter().any(|power| self.powers.contains(power)) {
            return Ok(());
        }
        tracing::warn!(actor = %self.actor, operation, "refused: the power for it is not held");
        let needed = powers.iter().map(|power| power.name()).collect::<Vec<_>>().join(" or ");
        Err(OfficerError::Powerless { operation, needed, local: self.is_local() })
    }

    /// The proof of one role.
    pub fn acting<R: Office>(&self) -> Result<Authorised<R>, OfficerError> {
        if self.powers.contains(&R::POWER) {
            return Ok(Authorised { actor: self.actor.clone(), person: self.person, role: PhantomData });
        }
        Err(OfficerError::Powerless { operation: "this", needed: R::POWER.name().to_owned(), local: self.is_local() })
    }
}

/// Whether the holder of a certificate may be an officer at this moment.
pub(super) fn standing(authority: &Authority, serial: &[u8], record: &CertificateRecord) -> Result<(), OfficerError> {
    good_as(authority, OFFICER, serial, record)
}

/// Whether a certificate is one of this profile, and good at this moment.
pub(super) fn good_as(authority: &Authority, profile: &'static str, serial: &[u8], record: &CertificateRecord) -> Result<(), OfficerError> {
    let (now, serial) = (authority.clock.now().unix_timestamp(), serial_text(serial));
    match record.status {
        _ if record.profile != profile && profile != OFFICER => return Err(OfficerError::NoRegistrarsCertificate { serial, profile: record.profile.clone() }),
        _ if record.profile != profile => return Err(OfficerError::OtherProfile { serial, profile: record.profile.clone() }),
        Status::Revoked(_) => return Err(OfficerError::Revoked { serial }),
        Status::Held(_) => return Err(OfficerError::Held { serial }),
        Status::Good if now < record.not_before || now > record.not_after => return Err(OfficerError::NotValid { serial }),
        Status::Good => {}
    }
    // An authority that is revoked vouches for nobody.
    let issuer = authority.issuers.get(&record.issuer).ok_or(IssueError::Damaged { what: "a certificate's issuer" })?;
    match issue::not_revoked(authority, issuer) {
        Err(IssueError::IssuerRevoked { .. }) => Err(OfficerError::Revoked { serial }),
        other => Ok(other?),
    }
}

/// The roster, and as it stands in the store.
pub(super) fn roster(authority: &Authority) -> Result<(Option<Vec<u8>>, Roster), IssueError> {
    let stored = authority.store.get(&Roster::key())?;
    let roster = stored.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "the roster of officers" })?;
    Ok((stored, roster.unwrap_or_default()))
}
