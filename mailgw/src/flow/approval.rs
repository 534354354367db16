//! What two officers of the authority signed: asked for where one administrator's word is too little.

use policies::mailbox::MailboxNumber;
use runtime::exit::{Exit, Problem};
use runtime::revocation::{RevocationError, RevocationLists};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::signer::{Signed, SignerError};
use crate::bureau::trust::{self, Purpose, TrustError};
use crate::gateway::Gateway;
use crate::record::body;

/// Officers who must have signed.
const OFFICERS: usize = 2;
/// Signatures that are looked at.
const MOST: usize = 8;
/// Characters of a salt: no fewer than 128 bits have in hexadecimal.
const SALT: std::ops::RangeInclusive<usize> = 32..=128;

/// A request, JSON, and officers' signatures over its very bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRequest {
    pub request: String,
    /// Detached CMS, PEM, each by another officer.
    pub approvals: Vec<String>,
}

/// A document as it was typed: whose name is on it, and the salt under which officers signed for it.
pub struct TypedDocument<'t> {
    pub id_type: &'t str,
    pub id_no: &'t str,
    pub name: &'t str,
    pub salt: &'t str,
}

/// A request that enough officers signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// SHA-256 of its very bytes, hexadecimal.
    pub request: String,
    /// Their numbers, in the order of the approvals.
    pub officers: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("approval {number} does not hold: {reason}; have the officer sign the request's very bytes again")]
    Signature { number: usize, reason: String },
    #[error("two officers must have signed within a day, two persons with keys of their own; have another one sign")]
    Officers,
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

impl From<ApprovalError> for Problem {
    fn from(error: ApprovalError) -> Self {
        let code = match error {
            ApprovalError::Trust(error) => return error.into(),
            ApprovalError::Revocation(error) => return error.into(),
            ApprovalError::Signature { .. } => "approval",
            ApprovalError::Officers => "officers",
        };
        crate::problem::told(Exit::Refused, code, &error.to_string())
    }
}

impl TypedDocument<'_> {
    /// Whether a request is of this very document and this name. It bears neither, but the type and SHA-256, hexadecimal, of three lines: the
    /// number, the name on it and a random salt, which is kept with the papers. Whoever has the request alone tries out no numbers.
    pub fn is_signed_for(&self, id_type: &str, digest: &str) -> Result<(), &'static str> {
        let Self { id_no, name, salt, .. } = self;
        if !SALT.contains(&salt.len()) || !salt.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("the salt is not 32 to 128 letters and digits");
        }
        let lines = Zeroizing::new(format!("{id_no}\n{name}\n{salt}\n"));
        if self.id_type == id_type && digest == crate::hex(&body::digest(lines.as_bytes())) {
            Ok(())
        } else {
            Err("it is of another document, or number, name and salt were typed otherwise than its digest was made of")
        }
    }
}

/// Whose mailbox a request is about, by its whole address: what is signed for one gateway is good at no other.
pub fn mailbox(gateway: &Gateway, address: &str) -> Option<MailboxNumber> {
    let number = MailboxNumber::parse(address.split_once('@')?.0).ok()?;
    (gateway.directory.address(number) == address).then_some(number)
}

/// 1 each signature is over the request's very bytes, within a day, and since what is asked of is there (Unix milliseconds) · 2 by an
/// officer who is not revoked · 3 two persons, with keys of their own. `approvals`: detached CMS, PEM.
pub fn by_officers(gateway: &Gateway, lists: &RevocationLists, request: &str, approvals: &[String], since: u64, now: OffsetDateTime) -> Result<Approved, ApprovalError> {
    let (mut officers, mut keys) = (Vec::new(), Vec::new());
    for (at, approval) in approvals.iter().enumerate().take(MOST) {
        let wrong = |reason: String| ApprovalError::Signature { number: at + 1, reason };
        let told = |error| match error {
            SignerError::Signature(reason) => wrong(reason),
            SignerError::Trust(error) => error.into(),
            SignerError::Revocation(error) => error.into(),
        };
        // 1
        let signed = Signed::read(approval, request.as_bytes()).map_err(told)?;
        if !signed.is_fresh(now) {
            return Err(wrong(super::signer::STALE.to_owned()));
        }
        if !signed.is_since(since) {
            return Err(wrong("it was signed before there was what it is about".to_owned()));
        }
        // 2
        let path = signed.trusted(&gateway.anchors, lists, Purpose::Officer, now).map_err(told)?;
        let number = trust::person_number(&path).ok_or_else(|| wrong("its certificate names no officer".to_owned()))?;
        let key = trust::public_key_info(&path, Purpose::Officer)?;
        if !officers.contains(&number) && !keys.contains(&key) {
            officers.push(number);
            keys.push(key);
        }
    }
    // 3
    if officers.len() < OFFICERS {
        return Err(ApprovalError::Officers);
    }
    Ok(Approved { request: crate::hex(&body::digest(request.as_bytes())), officers })
}
