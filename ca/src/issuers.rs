//! The authorities of the hierarchy: those there at the start, and the generations that joined since. None ever leaves,
//! so whoever works with one works on, whatever joins meanwhile.

use std::collections::BTreeMap;
use std::ops::Index;
use std::sync::{Arc, Mutex, OnceLock};

use keys::{KeyError, KeyHandle, KeyStore, Token, TokenError};
use pki::signer::SignatureAlgorithm;

use crate::authority::Issuer;

/// Authorities that an earlier version did not found: a directory may be without them until a ceremony makes them, and
/// profiles that they sign are kept and issue nothing. Each with the name that a founding gives it.
pub const FOUNDED_LATER: [(&str, &str); 1] = [("citizen-ca", "穗印市民证书签发机构")];

/// Where the keys of new generations are born.
#[derive(Clone)]
pub struct Birthplace {
    pub keys: Arc<KeyStore>,
    pub token: Option<Token>,
}

/// A key, and its CKA_ID when it is in the token.
pub struct Born {
    pub handle: KeyHandle,
    pub token_key: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Birthplace {
    /// A new issuing key: in the token where there is one. One of this name in the key store is of an attempt that was
    /// cut off before anybody heard of it.
    pub fn issuing(&self, id: &str) -> Result<Born, BirthError> {
        match &self.token {
            Some(token) => {
                let made = token.generate(id, SignatureAlgorithm::EcdsaP256Sha256)?;
                Ok(Born { handle: made.handle, token_key: Some(made.id) })
            }
            None => Ok(Born { handle: self.kept(id)?, token_key: None }),
        }
    }

    /// The key `id` of the key store, made when there is none.
    pub fn kept(&self, id: &str) -> Result<KeyHandle, KeyError> {
        if self.keys.contains(id) { self.keys.load(id) } else { self.keys.generate(id, SignatureAlgorithm::EcdsaP256Sha256) }
    }
}

/// By their identifiers: of two with one identifier the later counts.
#[derive(Clone, Default)]
pub struct Issuers {
    here: BTreeMap<String, Arc<Issuer>>,
    later: Later,
    /// None in an authority that only reads.
    pub birthplace: Option<Birthplace>,
    /// Held while one takes over: by the one who asked for it, or by whoever goes on after a fault.
    pub taking_over: Arc<Mutex<()>>,
}

/// A list that only grows, and whose members are lent while it does.
#[derive(Clone, Default)]
struct Later(OnceLock<Box<(Arc<Issuer>, Later)>>);

impl Issuers {
    /// None yet; keys of new ones are born there.
    pub fn born_in(birthplace: Birthplace) -> Self {
        Self { birthplace: Some(birthplace), ..Self::default() }
    }

    pub fn insert(&mut self, id: String, issuer: Arc<Issuer>) -> Option<Arc<Issuer>> {
        self.here.insert(id, issuer)
    }

    pub fn remove(&mut self, id: &str) -> Option<Arc<Issuer>> {
        self.here.remove(id)
    }

    /// From now on it is among them, or in the place of the one with its identifier.
    pub fn join(&self, issuer: Arc<Issuer>) {
        let (mut last, mut joining) = (&self.later, Box::new((issuer, Later::default())));
        while let Err(back) = last.0.set(joining) {
            joining = back;
            // Somebody is in this place, or `set` would have succeeded.
            let Some(taken) = last.0.get() else { continue };
            last = &taken.1;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        let joined = std::iter::successors(self.later.0.get(), |node| node.1.0.get()).map(|node| &node.0);
        self.here.values().chain(joined)
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Issuer>> {
        self.all().filter(|issuer| issuer.id() == id).last()
    }

    pub fn contains_key(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    pub fn values(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.all().filter(|issuer| self.get(issuer.id()).is_some_and(|last| Arc::ptr_eq(issuer, last)))
    }

    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.values().map(|issuer| &issuer.record.id)
    }

    /// The roots, the one of the founding first.
    pub fn roots(&self) -> Vec<&Arc<Issuer>> {
        let mut roots: Vec<_> = self.values().filter(|issuer| issuer.is_root()).collect();
        roots.sort_by_key(|root| root.record.generation());
        roots
    }

    /// The generation that issues what the policy wants of `name`: the newest that has all it needs.
    pub fn newest(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.values().filter(|issuer| issuer.policy_name() == name && issuer.record.ocsp.is_some()).max_by_key(|issuer| issuer.record.generation())
    }
}

impl Index<&str> for Issuers {
    type Output = Arc<Issuer>;

    // As with a map: an issuer that is not there is a mistake of the program. Flows ask with `get`.
    #[allow(clippy::expect_used)]
    fn index(&self, id: &str) -> &Arc<Issuer> {
        self.get(id).expect("an issuer of this name")
    }
}
