//! The only home of private keys. Others get handles that sign or seal and never show what they hold.
//!
//! At rest every key is sealed with AES-256-GCM under a key derived from a passphrase (Argon2id), in a
//! directory of its own. Or it lives in a hardware token and never leaves it: [`Token`].
#![forbid(unsafe_code)]

mod client;
mod data;
mod dkim;
mod envelope;
mod handle;
mod holder;
mod note;
mod passphrase;
mod request;
mod sealed;
mod store;
mod token;

pub use client::{ClientKeyError, client_key};
pub use data::{DataKey, DataKeyError};
pub use dkim::{DkimFailure, DkimKey};
pub use envelope::{EnvelopeError, seal_to};
pub use handle::KeyHandle;
pub use holder::{HolderKey, HolderKeyError};
pub use note::NoteKey;
pub use passphrase::{Passphrase, PassphraseError};
pub use request::{DnType, RequestFailure};
pub use store::{KeyError, KeyStore};
pub use token::{Pin, PinError, Token, TokenError, TokenKey, TokenPlace};
