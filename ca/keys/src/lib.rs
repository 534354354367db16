//! The only home of private keys. Others get handles that sign or seal and never show what they hold.
//!
//! At rest every key is sealed with AES-256-GCM under a key derived from a passphrase (Argon2id), in a
//! directory of its own. A hardware token takes part by implementing [`pki::signer::Signer`]: see
//! [`KeyHandle::from_signer`].
#![forbid(unsafe_code)]

mod data;
mod handle;
mod note;
mod passphrase;
mod sealed;
mod store;

pub use data::{DataKey, DataKeyError};
pub use handle::KeyHandle;
pub use note::NoteKey;
pub use passphrase::{Passphrase, PassphraseError};
pub use store::{KeyError, KeyStore};
