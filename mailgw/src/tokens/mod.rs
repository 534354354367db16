//! Tokens of the city's identity provider: signed JSON (a JWT of RFC 9068), believed by the provider's keys alone, which stand in a file.
//! Nobody is asked over the network: a token ends by its own time, by its key's leaving the file, or by standing among the revoked.

mod access_token;
mod key_set;

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::sasl::{Secret, TokenRefused};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::access_token::{Claims, NotBelieved};
use self::access_token::Expected;
use self::key_set::KeySet;

const MAX_KEY_FILE: u64 = 64 * 1024;
const MAX_REVOKED_FILE: u64 = 8 << 20;
/// A day: what lasts longer is a password.
const LONGEST_MINUTES: u32 = 1_440;
const MAX_WORD: usize = 500;

/// `[tokens]` of `mailgw.toml`. Without it no token is taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Who makes the tokens, as `iss` in them says it, such as `https://id.gz.example`.
    pub issuer: String,
    /// Whom they are made for, as `aud` in them says it: this gateway and nothing else.
    pub audience: String,
    /// The provider's public keys, a JWK set; relative to the state directory. Read again while the service runs: a key that is gone
    /// from it opens nothing, and ends what it opened.
    pub keys: PathBuf,
    /// The `jti` of tokens that were revoked, one a line; read again as the keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PathBuf>,
    /// A word that `scope` in them has to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How long a token may be good at most, from when it was made.
    #[serde(default = "an_hour")]
    pub longest_minutes: u32,
    /// The address of the provider's metadata, told to a program whose token opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid_configuration: Option<String>,
}

fn an_hour() -> u32 {
    60
}

#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error("[tokens] in mailgw.toml: {field} {reason}")]
    Value { field: &'static str, reason: &'static str },
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
}

impl From<TokensError> for Problem {
    fn from(error: TokensError) -> Self {
        Self::new(Exit::Usage, "tokens", error.to_string(), "look at [tokens] in mailgw.toml, and at the files it names")
    }
}

/// Whose tokens are believed now.
struct Believed {
    keys: KeySet,
    revoked: HashSet<String>,
}

pub struct Provider {
    expected: Expected,
    keys: PathBuf,
    revoked: Option<PathBuf>,
    refused: TokenRefused,
    believed: Mutex<Arc<Believed>>,
}

impl Provider {
    /// `directory`: the state directory.
    pub fn open(configuration: &Configuration, directory: &Path) -> Result<Self, TokensError> {
        let Configuration { issuer, audience, scope, longest_minutes, openid_configuration, .. } = configuration;
        let value = |field, reason| TokensError::Value { field, reason };
        for (field, word) in [("issuer", Some(issuer)), ("audience", Some(audience)), ("scope", scope.as_ref())] {
            if word.is_some_and(|word| word.is_empty() || word.len() > MAX_WORD || word.contains(char::is_whitespace)) {
                return Err(value(field, "is one word of 1 to 500 octets"));
            }
        }
        if !(1..=LONGEST_MINUTES).contains(longest_minutes) {
            return Err(value("longest_minutes", "is 1 to 1440"));
        }
        let refused = TokenRefused::new(scope.as_deref(), openid_configuration.as_deref());
        let refused = refused.ok_or_else(|| value("scope or openid_configuration", "has characters that cannot be told to a client; write plain ASCII without quotes"))?;
        let expected = Expected { issuer: issuer.clone(), audience: audience.clone(), scope: scope.clone(), longest: time::Duration::minutes(i64::from(*longest_minutes)) };
        let (keys, revoked) = (directory.join(&configuration.keys), configuration.revoked.as_ref().map(|path| directory.join(path)));
        let believed = Mutex::new(Arc::new(read(&keys, revoked.as_deref())?));
        Ok(Self { expected, keys, revoked, refused, believed })
    }

    /// The files once more. Where they cannot be read what was read last stands, and it is told: a file half written is no withdrawal.
    pub fn read_again(&self) {
        match read(&self.keys, self.revoked.as_deref()) {
            Ok(read) => *self.believed.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(read),
            Err(error) => tracing::error!(%error, "the provider's keys cannot be read again; those of before stand"),
        }
    }

    fn believed(&self) -> Arc<Believed> {
        Arc::clone(&self.believed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Made by the provider, for this gateway, and good at `now`.
    pub fn verify(&self, token: &Secret, now: OffsetDateTime) -> Result<Claims, NotBelieved> {
        let believed = self.believed();
        let claims = access_token::verify(token.expose(), &believed.keys, &self.expected, now)?;
        if believed.revoked.contains(&claims.id) { Err(NotBelieved::Revoked) } else { Ok(claims) }
    }

    /// Whether one that was good before still is.
    pub fn still(&self, claims: &Claims, now: OffsetDateTime) -> Result<(), NotBelieved> {
        let believed = self.believed();
        match () {
            () if now >= claims.ends => Err(NotBelieved::Over),
            () if !believed.keys.holds(&claims.key) => Err(NotBelieved::Key),
            () if believed.revoked.contains(&claims.id) => Err(NotBelieved::Revoked),
            () => Ok(()),
        }
    }

    pub fn refused(&self) -> TokenRefused {
        self.refused.clone()
    }

    pub fn issuer(&self) -> &str {
        &self.expected.issuer
    }

    /// How many keys are believed.
    pub fn keys(&self) -> usize {
        self.believed().keys.count()
    }
}

fn read(keys: &Path, revoked: Option<&Path>) -> Result<Believed, TokensError> {
    let parsed = KeySet::parse(&text(keys, MAX_KEY_FILE)?).map_err(|reason| TokensError::File { path: keys.to_owned(), reason: reason.to_owned() })?;
    let revoked = revoked.map(|path| text(path, MAX_REVOKED_FILE)).transpose()?.unwrap_or_default();
    Ok(Believed { keys: parsed, revoked: revoked.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect() })
}

fn text(path: &Path, most: u64) -> Result<String, TokensError> {
    let failed = |reason: String| TokensError::File { path: path.to_owned(), reason };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(most + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > most { Err(failed(format!("it is larger than {most} octets"))) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_configured_makes_sense() {
        let place = tempfile::tempdir().unwrap();
        let key = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","y":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}"#;
        std::fs::write(place.path().join("keys.json"), key).unwrap();
        let open = |more: &str| {
            let text = format!("issuer = \"https://id.gz.example\"\naudience = \"mail.gz.example\"\nkeys = \"keys.json\"\n{more}");
            Provider::open(&toml::from_str(&text).unwrap(), place.path()).map(|provider| provider.keys()).map_err(|error| error.to_string())
        };
        assert_eq!(open(""), Ok(1));
        for more in ["scope = \"\"", "scope = \"a b\"", "scope = \"a\\\"\"", "longest_minutes = 0", "longest_minutes = 1441", "openid_configuration = \"穗\"", "revoked = \"none\""] {
            assert!(open(more).is_err(), "{more}");
        }
        std::fs::write(place.path().join("revoked"), "a\n\n b \n").unwrap();
        assert_eq!(open("revoked = \"revoked\"\nlongest_minutes = 1440\nscope = \"mail\""), Ok(1));
        std::fs::write(place.path().join("keys.json"), "{\"keys\":[]}").unwrap();
        assert!(open("").is_err_and(|error| error.contains("keys.json")));
    }
}
