//! Tokens of the city's identity provider: signed JSON (a JWT of RFC 9068), believed by the provider's keys alone, which stand in a file.
//! Nobody is asked over the network: a token ends by its own time, by its key's leaving the file, or by standing among the revoked.

mod access_token;
mod key_set;

use std::collections::{HashSet, VecDeque};
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
/// Those once revoked that stand in the file no more: the newest of them stay revoked.
const MAX_GONE: usize = 1_000_000;

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
    /// The `jti` of tokens that were revoked, one a line; read again as the keys are. One that is taken out stays revoked until the service
    /// is started again.
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

/// Which tokens were revoked: those that stand in the file, and those that stood in it, for a file cut short pardons nobody.
#[derive(Default)]
struct Revoked {
    written: HashSet<Arc<str>>,
    gone: HashSet<Arc<str>>,
    /// The same, the oldest first.
    order: VecDeque<Arc<str>>,
}

impl Revoked {
    fn read(&mut self, text: &str, most: usize) {
        let written: HashSet<Arc<str>> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Arc::<str>::from).collect();
        let before = std::mem::replace(&mut self.written, written);
        for id in before {
            if !self.written.contains(&id) && self.gone.insert(Arc::clone(&id)) {
                self.order.push_back(id);
            }
        }
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.gone.remove(&oldest);
            }
        }
    }

    fn holds(&self, id: &str) -> bool {
        self.written.contains(id) || self.gone.contains(id)
    }
}

pub struct Provider {
    expected: Expected,
    keys: PathBuf,
    revoked_path: Option<PathBuf>,
    refused: TokenRefused,
    /// Whose tokens are believed now.
    believed: Mutex<Arc<KeySet>>,
    revoked: Mutex<Revoked>,
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
        let (keys, revoked_path) = (directory.join(&configuration.keys), configuration.revoked.as_ref().map(|path| directory.join(path)));
        let believed = read(&keys)?;
        if believed.count() == 0 {
            return Err(TokensError::File { path: keys, reason: "it holds no key for ES256 (kty EC, crv P-256)".to_owned() });
        }
        let mut revoked = Revoked::default();
        if let Some(path) = &revoked_path {
            revoked.read(&text(path, MAX_REVOKED_FILE)?, MAX_GONE);
        }
        Ok(Self { expected, keys, revoked_path, refused, believed: Mutex::new(Arc::new(believed)), revoked: Mutex::new(revoked) })
    }

    /// The files once more, each for itself. Where one cannot be read what was read last stands, and it is told: a file half written is no
    /// withdrawal. One that is whole and holds no key is: then nobody is believed.
    pub fn read_again(&self) {
        match read(&self.keys) {
            Ok(read) => {
                let is_empty = read.count() == 0;
                let before = std::mem::replace(&mut *self.believed.lock().unwrap_or_else(PoisonError::into_inner), Arc::new(read));
                if is_empty && before.count() > 0 {
                    tracing::warn!(path = %self.keys.display(), "the provider has no key for ES256 any more: no token is believed until it has one");
                }
            }
            Err(error) => tracing::error!(%error, "the provider's keys cannot be read again; those of before stand"),
        }
        match self.revoked_path.as_deref().map(|path| text(path, MAX_REVOKED_FILE)).transpose() {
            Ok(None) => {}
            Ok(Some(read)) => self.revoked.lock().unwrap_or_else(PoisonError::into_inner).read(&read, MAX_GONE),
            Err(error) => tracing::error!(%error, "the revoked tokens cannot be read again; those of before stay revoked"),
        }
    }

    fn believed(&self) -> Arc<KeySet> {
        Arc::clone(&self.believed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_revoked(&self, id: &str) -> bool {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).holds(id)
    }

    /// Made by the provider, for this gateway, and good at `now`.
    pub fn verify(&self, token: &Secret, now: OffsetDateTime) -> Result<Claims, NotBelieved> {
        let claims = access_token::verify(token.expose(), &self.believed(), &self.expected, now)?;
        if self.is_revoked(&claims.id) { Err(NotBelieved::Revoked) } else { Ok(claims) }
    }

    /// Whether one that was good before still is.
    pub fn still(&self, claims: &Claims, now: OffsetDateTime) -> Result<(), NotBelieved> {
        match () {
            () if now >= claims.ends => Err(NotBelieved::Over),
            () if !self.believed().holds(&claims.key) => Err(NotBelieved::Key),
            () if self.is_revoked(&claims.id) => Err(NotBelieved::Revoked),
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
        self.believed().count()
    }
}

fn read(keys: &Path) -> Result<KeySet, TokensError> {
    KeySet::parse(&text(keys, MAX_KEY_FILE)?).map_err(|reason| TokensError::File { path: keys.to_owned(), reason: reason.to_owned() })
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

    const KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","y":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}"#;

    #[test]
    fn what_is_configured_makes_sense() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("keys.json"), KEY).unwrap();
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

    #[test]
    fn each_file_is_read_for_itself_and_no_key_is_no_key() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
        write("keys.json", KEY);
        write("revoked", "a\n");
        let text = "issuer = \"https://id.gz.example\"\naudience = \"mail.gz.example\"\nkeys = \"keys.json\"\nrevoked = \"revoked\"";
        let provider = Provider::open(&toml::from_str(text).unwrap(), place.path()).unwrap();
        let read = || {
            provider.read_again();
            (provider.keys(), ["a", "b", "c"].map(|id| provider.is_revoked(id)))
        };
        assert_eq!(read(), (1, [true, false, false]));
        // Keys half written hide nothing that is revoked.
        write("keys.json", "{\"keys\":[");
        write("revoked", "a\nb\n");
        assert_eq!(read(), (1, [true, true, false]));
        // The provider's emergency stop; with a list that is away.
        write("keys.json", "{\"keys\":[]}");
        std::fs::remove_file(place.path().join("revoked")).unwrap();
        assert_eq!(read(), (0, [true, true, false]));
        // A list cut short pardons nobody.
        write("keys.json", KEY);
        write("revoked", "c\n");
        assert_eq!(read(), (1, [true; 3]));
        write("revoked", "");
        assert_eq!(read(), (1, [true; 3]));
    }

    #[test]
    fn of_those_that_left_the_list_the_newest_stay_revoked() {
        let mut revoked = Revoked::default();
        for text in ["a", "b\nd", "d\nc", "d"] {
            revoked.read(text, 2);
        }
        assert_eq!(["a", "b", "c", "d"].map(|id| revoked.holds(id)), [false, true, true, true]);
    }
}
