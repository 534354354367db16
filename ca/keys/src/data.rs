//! Keys for data at rest: one seals, one makes the index by which a sealed value is found.

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::sealed::{Refused, Sealer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataKeyError {
    #[error("sealing failed: the system gave no randomness")]
    Seal,
    #[error("a sealed value does not open: it was made with another key, for another record, or altered; restore it from a backup")]
    Open,
}

/// Seals personal data and finds it again by a keyed index. Not `Debug`: it has nothing to show.
pub struct DataKey {
    sealer: Sealer,
    index: hmac::Key,
}

impl DataKey {
    /// For what lives no longer than the process: nobody keeps it.
    pub fn fleeting() -> Result<Self, DataKeyError> {
        let mut secret = Zeroizing::new([0; 64]);
        SystemRandom::new().fill(secret.as_mut_slice()).map_err(|_| DataKeyError::Seal)?;
        Self::from_secret(secret.as_slice())
    }

    /// From 64 secret bytes: the first half seals, the second indexes, so that neither tells of the other.
    pub(crate) fn from_secret(secret: &[u8]) -> Result<Self, DataKeyError> {
        let (sealing, indexing) = secret.split_at_checked(32).ok_or(DataKeyError::Open)?;
        let sealing: Zeroizing<[u8; 32]> = Zeroizing::new(sealing.try_into().map_err(|_| DataKeyError::Open)?);
        let sealer = Sealer::new(&sealing).map_err(|Refused| DataKeyError::Open)?;
        Ok(Self { sealer, index: hmac::Key::new(hmac::HMAC_SHA256, indexing) })
    }

    /// Seals `plain` for the place `aad` names: moved elsewhere it does not open.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, DataKeyError> {
        self.sealer.seal(aad, plain).map_err(|Refused| DataKeyError::Seal)
    }

    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DataKeyError> {
        self.sealer.open(aad, sealed).map_err(|Refused| DataKeyError::Open)
    }

    /// HMAC-SHA-256 of `data` under the index key; `label` keeps one purpose's index apart from another's.
    pub fn index(&self, label: &str, data: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.index);
        context.update(&(label.len() as u64).to_be_bytes());
        context.update(label.as_bytes());
        context.update(data);
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}
