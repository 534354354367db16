//! What SMTP and IMAP have in common of SASL: a response in base64, and the mechanism PLAIN.
use std::fmt;

use base64::Engine as _;

/// A password on its way to the check; neither printed nor compared here, wiped when dropped.
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A SASL response: base64 of UTF-8.
pub(crate) fn response(text: &[u8]) -> Option<Secret> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    String::from_utf8(bytes).ok().map(Secret::new)
}

/// Who logs in and with what. Nobody acts in another's name.
// spec: rfc4616#2 authzid NUL authcid NUL password
pub(crate) fn plain(response: &Secret) -> Option<(String, Secret)> {
    let mut parts = response.expose().split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(acts_as), Some(user), Some(password), None) if !user.is_empty() && (acts_as.is_empty() || acts_as == user) => {
            Some((user.to_owned(), Secret::new(password.to_owned())))
        }
        _ => None,
    }
}
