//! Whether a signed decision holds: the signature over its very bytes, the signer's path to the root as an officer, and
//! nothing revoked at that time. Pure: the service and whoever proves an order offline ask the same.

use const_oid::ObjectIdentifier as Oid;
use pki::cms::{self, CmsError};
use pki::path::{Anchors, PathError, Requirements, RevocationList, Validation};
use time::OffsetDateTime;

use crate::record::{Decision, Person, Said, serial_of, serial_text};

const CLIENT_AUTH: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.2");
const DIGITAL_SIGNATURE: u8 = 0;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    #[error("the decision is not in the one form that is signed; sign what `ca order approve` shows")]
    Form,
    #[error(transparent)]
    Signature(#[from] CmsError),
    #[error("the signer is no officer of this authority: {0}")]
    Path(#[from] PathError),
    #[error("the signer's certificate names no officer by one number; have another one issued")]
    NoPerson,
}

/// What a signature is judged by.
pub struct Judge<'a> {
    /// The root alone.
    pub anchors: &'a Anchors,
    /// In force at that time, for every certificate of the path.
    pub lists: &'a [RevocationList],
    /// The policies of officers' certificates.
    pub policies: Vec<Oid>,
}

/// A decision and who signed it.
#[derive(Clone, Debug)]
pub struct Signed<D = Decision> {
    pub decision: D,
    /// DER.
    pub certificate: Vec<u8>,
    pub serial: String,
    pub person: Person,
}

impl Judge<'_> {
    pub fn signed<D: Said>(&self, text: &str, signature: &[u8], at: OffsetDateTime) -> Result<Signed<D>, SignedError> {
        let decision = D::read(text).ok_or(SignedError::Form)?;
        let verified = cms::verify(signature, text.as_bytes(), &[])?;
        let required = Requirements { extended_key_usage: CLIENT_AUTH, key_usage: vec![DIGITAL_SIGNATURE], policies: self.policies.clone() };
        let validation = Validation { anchors: self.anchors, lists: self.lists, required: &required, at };
        let trusted = validation.trust(verified.signer_certificate(), verified.certificates())?;
        let certificate = trusted.certificate().to_vec();
        let serial = serial_of(&certificate).map(|serial| serial_text(&serial)).ok_or(SignedError::NoPerson)?;
        let person = Person::of(&certificate).ok_or(SignedError::NoPerson)?;
        Ok(Signed { decision, certificate, serial, person })
    }
}
