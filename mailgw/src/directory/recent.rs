//! Logins that succeeded a moment ago, so that a client which reconnects does not pay for a slow hash again.

use std::collections::HashMap;
use std::time::Duration;

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::password::Verifier;
use super::random::{NoRandomness, Random};

/// After this long the password is hashed again.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// The most logins that are remembered; past it those that ended go, then all.
const MOST: usize = 100_000;

struct Login {
    tag: hmac::Tag,
    since: i64,
}

/// Tags under a key that no other process has and that is never written down. A tag covers the salt of the
/// verifier it was checked against: once the password is changed, by whomever, no tag fits any more.
pub(super) struct Recent {
    key: hmac::Key,
    logins: HashMap<String, Login>,
}

impl Recent {
    pub fn new(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        random.fill(&mut *secret)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*secret), logins: HashMap::new() })
    }

    /// Whether this very password was right for this very verifier lately. Times are unix milliseconds.
    pub fn holds(&self, mailbox: &str, verifier: &Verifier, secret: &SecretString, now: i64) -> bool {
        let Some(login) = self.logins.get(mailbox) else { return false };
        // `hmac::verify` compares in constant time.
        let same = hmac::verify(&self.key, &message(mailbox, verifier, secret), login.tag.as_ref()).is_ok();
        same && fresh(login, now)
    }

    pub fn remember(&mut self, mailbox: &str, verifier: &Verifier, secret: &SecretString, now: i64) {
        if self.logins.len() >= MOST {
            self.logins.retain(|_, login| fresh(login, now));
            if self.logins.len() >= MOST {
                self.logins.clear();
            }
        }
        let tag = hmac::sign(&self.key, &message(mailbox, verifier, secret));
        self.logins.insert(mailbox.to_owned(), Login { tag, since: now });
    }

    pub fn forget(&mut self, mailbox: &str) {
        self.logins.remove(mailbox);
    }
}

/// A clock set back ends a login too.
fn fresh(login: &Login, now: i64) -> bool {
    (0..=KEPT.as_millis()).contains(&u128::try_from(now.saturating_sub(login.since)).unwrap_or(u128::MAX))
}

/// A number has ten digits and a salt sixteen bytes, so no two triples give one message.
fn message(mailbox: &str, verifier: &Verifier, secret: &SecretString) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new([mailbox.as_bytes(), verifier.salt.as_slice(), secret.expose_secret().as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::password::tests::CHEAP;
    use super::super::password::{Hasher, Password};
    use super::*;
    use ring::rand::SystemRandom;

    #[test]
    fn a_login_is_remembered_for_five_minutes_for_its_own_password_only() {
        let random = SystemRandom::new();
        let password = Password::generate(&random).unwrap();
        let hasher = Hasher::new(CHEAP);
        let [verifier, renewed] = [(); 2].map(|()| hasher.verifier(&password, &random).unwrap());
        let mut recent = Recent::new(&random).unwrap();
        recent.remember("1234567897", &verifier, password.expose(), 1_000);
        assert!(recent.holds("1234567897", &verifier, password.expose(), 1_000));
        assert!(recent.holds("1234567897", &verifier, password.expose(), 301_000));
        assert!(!recent.holds("1234567897", &verifier, password.expose(), 301_001));
        assert!(!recent.holds("1234567897", &verifier, password.expose(), 999));
        assert!(!recent.holds("1234567897", &verifier, &SecretString::from("another"), 1_000));
        assert!(!recent.holds("1234567897", &renewed, password.expose(), 1_000));
        assert!(!recent.holds("1234567898", &verifier, password.expose(), 1_000));
        recent.forget("1234567897");
        assert!(!recent.holds("1234567897", &verifier, password.expose(), 1_000));
    }
}
