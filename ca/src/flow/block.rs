//! Blocking a key that was reported as compromised, whether or not a certificate of ours holds it.

use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};

use super::authorise::{Actor, Authorised, Holder, Operator};
use super::revoke::{fallen, is_authority};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Reason, Revocation, log, serial_text};
use crate::register;

/// The SHA-256 of a SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyDigest([u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no SHA-256 of a public key; write its 64 hexadecimal digits, as `ca request show` prints them")]
pub struct DigestError;

impl KeyDigest {
    pub fn of(spki: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.iter_mut().zip(ring::digest::digest(&ring::digest::SHA256, spki).as_ref()).for_each(|(to, from)| *to = *from);
        Self(digest)
    }
}

impl std::str::FromStr for KeyDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits: Vec<u32> = text.trim().chars().take(65).map(|digit| digit.to_digit(16).ok_or(DigestError)).collect::<Result<_, _>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(DigestError);
        }
        let mut digest = [0; 32];
        digest.iter_mut().zip(pairs).for_each(|(octet, [high, low])| *octet = (high * 16 + low) as u8);
        Ok(Self(digest))
    }
}

impl TryFrom<String> for KeyDigest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<KeyDigest> for String {
    fn from(digest: KeyDigest) -> Self {
        crate::hex(&digest.0)
    }
}

impl std::fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::hex(&self.0))
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A key that is blocked, durably.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// Whether it was blocked before.
    pub before: bool,
    /// What was still good of it, and is revoked now.
    pub revoked: Vec<(Vec<u8>, CertificateRecord)>,
}

pub fn block(authority: &Authority, authorised: &Authorised<Operator>, key: KeyDigest) -> Result<Blocked, IssueError> {
    blocked(authority, authorised.actor(), key)
}

/// By whoever proved to hold it and said that others do too: of no certificate of ours, it never gets one.
pub(super) fn block_reported(authority: &Authority, authorised: &Authorised<Holder>, digest: &[u8]) -> Result<Blocked, IssueError> {
    let mut key = KeyDigest([0; 32]);
    key.0.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    blocked(authority, authorised.actor(), key)
}

fn blocked(authority: &Authority, by: &Actor, key: KeyDigest) -> Result<Blocked, IssueError> {
    let now = authority.clock.now();
    // An authority's key takes all with it that it certified: no officer ends that alone. Whoever proves to hold the key does.
    if matches!(by, Actor::Officer(_)) {
        for serial in register::of_key(&*authority.store, &key.0)? {
            if is_authority(authority, &serial, &register::get(&*authority.store, &serial)?) {
                return Err(IssueError::AuthorityCertificate { serial: serial_text(&serial) });
            }
        }
    }
    // 1. Blocked, with its entry in the log: from here on nothing of this key is issued good.
    let place = CertificateRecord::blocked_key(&key.0);
    let entry = log::Entry::KeyBlocked { key: &key.to_string(), by: &by.to_string() };
    let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).put(place.clone(), Vec::new());
    batch.append(log::STREAM, entry.leaf(now)?);
    let before = match authority.store.commit(batch) {
        Ok(_) => false,
        Err(CommitError::Conflict { .. }) if authority.store.get(&place)?.is_some() => true,
        Err(error) => return Err(error.into()),
    };
    // 2. Every good certificate of it falls, as after a revocation for key compromise.
    let revocation = Revocation::new(now.unix_timestamp(), Reason::KeyCompromise);
    Ok(Blocked { before, revoked: fallen(authority, by, &key.0, revocation)? })
}
