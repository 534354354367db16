//! Revoking by whoever holds the key, without an account: a PKCS#10 request signed with it, whose common name says what
//! is meant. `compromised key` by anybody who can sign with it — the proof lies in that —, `revoke SERIAL REASON` by the
//! holder of one certificate. A request for a certificate never reads so, and saying it again changes nothing.
//!
//! 1 parse      the key's holder signed these very words
//! 2 find       certificates of this key that we issued
//! 3 authorise  by possession: for this key and its certificates and no other
//! 4 revoke     on the line every revocation takes; a key of no certificate is blocked, so that it never gets one

use pki::name::COMMON_NAME;
use pki::request::Request;
use ring::digest::{SHA256, digest};

use super::authorise::{Authorised, Holder};
use super::block::block_reported;
use super::revoke::{Revoke, Revoked, revoke};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, Reason, Status, serial_text};
use crate::register;

/// What the holder of a key says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// Somebody can sign with it who should not.
    Compromised,
    Revoke { serial: Vec<u8>, reason: Reason },
}

pub fn revoke_by_possession(authority: &Authority, request: &[u8]) -> Result<Revoked, IssueError> {
    revoke_proved(authority, &prove(authority, request)?)
}

/// What was said, by whoever holds a key of certificates of ours. Had only from `prove`.
pub struct Possession {
    said: Said,
    /// SHA-256 of the key.
    pub key: Vec<u8>,
    pub about: About,
}

/// Whose key it is, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Certificates of ours hold it.
    Certificates,
    /// It never had a certificate of ours, and was reported before.
    BlockedKey,
    NewKey,
}

impl Possession {

    /// In the words in which it was said.
    pub fn said(&self) -> String {
        match &self.said {
            Said::Compromised => "compromised key".to_owned(),
            Said::Revoke { serial, reason } => format!("revoke {} {reason:?}", serial_text(serial)),
        }
    }
}

/// Steps 1 and 2.
pub fn prove(authority: &Authority, request: &[u8]) -> Result<Possession, IssueError> {
    // 1.
    let request = Request::parse(request)?;
    let said = read(&request).ok_or(IssueError::NotSaid)?;
    let key = digest(&SHA256, &request.spki).as_ref().to_vec();
    // 2.
    let about = match &said {
        Said::Revoke { serial, .. } => register::find(&*authority.store, serial)?.filter(|record| record.key_digest == key).map(|_| About::Certificates).ok_or(IssueError::NotOfThisKey)?,
        Said::Compromised if !register::of_key(&*authority.store, &key)?.is_empty() => About::Certificates,
        Said::Compromised if authority.store.get(&CertificateRecord::blocked_key(&key))?.is_some() => About::BlockedKey,
        Said::Compromised => About::NewKey,
    };
    Ok(Possession { said, key, about })
}

/// Steps 3 and 4.
pub fn revoke_proved(authority: &Authority, Possession { said, key, .. }: &Possession) -> Result<Revoked, IssueError> {
    match said {
        Said::Revoke { serial, reason } => {
            let (serial, reason) = (serial.clone(), *reason);
            let record = register::get(&*authority.store, &serial)?;
            // Said before: the answer is the same, and nothing changes.
            if let Status::Revoked(before) = &record.status
                && (before.reason == Reason::KeyCompromise || reason != Reason::KeyCompromise)
            {
                return Ok(Revoked { certificates: vec![(serial, record)] });
            }
            // 3.
            let authorised = Authorised::<Holder>::by_possession(key);
            // 4.
            revoke(authority, &authorised, &Revoke { serial: serial_text(&serial), reason, at: None, invalid_since: None })
        }
        Said::Compromised => {
            // 3.
            let authorised = Authorised::<Holder>::by_possession(key);
            // 4. Blocked first where nothing is revoked: what is issued at this moment falls with it.
            let mut all = register::of_key(&*authority.store, key)?;
            if all.is_empty() {
                block_reported(authority, &authorised, key)?;
                all = register::of_key(&*authority.store, key)?;
            }
            // The first takes all that are good with it; one revoked before for another reason is told apart.
            for serial in &all {
                let known = matches!(register::get(&*authority.store, serial)?.status, Status::Revoked(before) if before.reason == Reason::KeyCompromise);
                if !known {
                    revoke(authority, &authorised, &Revoke { serial: serial_text(serial), reason: Reason::KeyCompromise, at: None, invalid_since: None })?;
                }
            }
            let now = |serial: Vec<u8>| register::get(&*authority.store, &serial).map(|record| (serial, record));
            Ok(Revoked { certificates: all.into_iter().map(now).collect::<Result<_, _>>()? })
        }
    }
}

fn read(request: &Request) -> Option<Said> {
    let [(oid, text)] = request.subject.as_slice() else { return None };
    if *oid != COMMON_NAME {
        return None;
    }
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["compromised", "key"] => Some(Said::Compromised),
        ["revoke", serial, reason] => {
            let reason: Reason = serde_json::from_value((*reason).into()).ok()?;
            // Withdrawing a privilege is the authority's to say.
            (reason != Reason::PrivilegeWithdrawn).then_some(Said::Revoke { serial: register::serial(serial).ok()?, reason })
        }
        _ => None,
    }
}
