//! Where a root's key is: in a sealed key store of its own, or in a PKCS#11 token, which it never leaves.

use std::path::Path;

use keys::{KeyHandle, KeyStore, Passphrase, Token};
use pki::signer::{SignatureAlgorithm, Signer};

use super::{CeremonyError, place};
use crate::authority::{Issuer, ROOT};
use crate::init::InitError;

/// What every root's key is made as.
const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP384Sha384;

pub enum RootKeys<'a> {
    /// A directory; of a root that is made, a new one.
    Store { directory: &'a Path, passphrase: &'a Passphrase },
    /// `key` is its CKA_ID in hexadecimal, as the ceremony of its birth told it; none where it is born.
    Token { token: &'a Token, key: Option<&'a str> },
}

/// A root's key that was just made, and what finds it again in its token.
pub struct Born {
    pub key: KeyHandle,
    pub token_key: Option<String>,
}

impl RootKeys<'_> {
    /// The key of this root and no other one: a token holds its own signatures against the certificate.
    pub(super) fn of(&self, root: &Issuer) -> Result<KeyHandle, CeremonyError> {
        match self {
            Self::Store { directory, passphrase } => {
                let key = KeyStore::open(directory, passphrase).and_then(|keys| keys.load(ROOT))?;
                if Signer::public_key_info(&key) == root.public_key_info { Ok(key) } else { Err(CeremonyError::OtherKey) }
            }
            Self::Token { token, key } => {
                let id = key.ok_or(CeremonyError::NoTokenKey)?;
                Ok(token.key(ROOT, id, root.algorithm()?, &root.public_key_info).map_err(InitError::from)?)
            }
        }
    }

    /// That nothing stands where a key is to be born. A token takes one more beside those that it has.
    pub(super) fn free(&self) -> Result<(), CeremonyError> {
        match self {
            Self::Store { directory, .. } => place::free(directory),
            Self::Token { key: None, .. } => Ok(()),
            Self::Token { key: Some(_), .. } => Err(CeremonyError::BornKey),
        }
    }

    pub(super) fn born(&self) -> Result<Born, CeremonyError> {
        match self {
            Self::Store { directory, passphrase } => Ok(Born { key: KeyStore::create(directory, passphrase)?.generate(ROOT, ALGORITHM)?, token_key: None }),
            Self::Token { token, .. } => {
                let made = token.generate(ROOT, ALGORITHM).map_err(InitError::from)?;
                Ok(Born { key: made.handle, token_key: Some(made.id) })
            }
        }
    }
}
