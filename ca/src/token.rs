//! Where the issuing keys live when they do not lie in the sealed key store: `[token]` in `ca.toml`.
//!
//! The issuing authorities' keys go there and nothing else. The root's is offline anyway. OCSP signers stay in the
//! sealed store: they sign answers at a rate no token keeps up with, have to go on while the token is away, and are
//! certified for a short time only.

use std::path::PathBuf;

use keys::{Pin, Token, TokenPlace};
use serde::{Deserialize, Serialize};

use crate::init::InitError;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfiguration {
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    /// The token's label or serial number.
    pub label: String,
    /// A file (mode 0600) with the user PIN; else the service credential `ca-token-pin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_file: Option<PathBuf>,
}

impl TokenConfiguration {
    /// The token, not touched yet: one that is away keeps nothing but issuing from working.
    pub fn open(&self) -> Result<Token, InitError> {
        let pin = Pin::obtain(self.pin_file.as_deref())?;
        Ok(Token::new(&TokenPlace { module: self.module.clone(), token: self.label.clone() }, pin)?)
    }
}
