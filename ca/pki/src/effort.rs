//! How many signatures one question may have verified. The same signature by the same key over the same octets is verified
//! once, so that what travels along many times costs once.
use crate::signature::{Scheme, SignatureError};
use ring::digest::{Context, SHA256};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// What outlives one question: signatures that verified. That they did never changes; who holds it bounds it.
pub trait Memory {
    fn holds(&self, signature: &[u8; 32]) -> bool;
    fn note(&self, signature: [u8; 32]);
}

/// One question's allowance.
pub struct Effort<'a> {
    most: u32,
    made: Cell<u32>,
    spent: Cell<bool>,
    known: RefCell<HashMap<[u8; 32], Result<(), SignatureError>>>,
    memory: Option<&'a dyn Memory>,
}

impl std::fmt::Debug for Effort<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effort").field("most", &self.most).field("made", &self.made).field("spent", &self.spent).finish_non_exhaustive()
    }
}

impl<'a> Effort<'a> {
    /// At most so many verifications.
    pub fn new(most: u32) -> Self {
        Self { most, made: Cell::new(0), spent: Cell::new(false), known: RefCell::default(), memory: None }
    }

    /// For one signature, whose readers bound what it takes themselves.
    pub(crate) fn unbounded() -> Self {
        Self::new(u32::MAX)
    }

    /// What was verified before is not verified again.
    pub fn remembering(self, memory: &'a dyn Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// The verifications that were made.
    pub fn made(&self) -> u32 {
        self.made.get()
    }

    /// Whether one more was wanted than there may be: what was found then is not all there is to find.
    pub fn is_spent(&self) -> bool {
        self.spent.get()
    }

    pub(crate) fn verify(&self, scheme: Scheme, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.once(&[b"octets", &[code(scheme)], spki, message, signature], || scheme.verify(spki, message, signature))
    }

    /// As [`Self::verify`], where `message` and `signature` are known by a digest of both: long lists are not hashed again.
    pub(crate) fn verify_known(&self, scheme: Scheme, spki: &[u8], digest: &[u8; 32], verify: impl FnOnce() -> Result<(), SignatureError>) -> Result<(), SignatureError> {
        self.once(&[b"digest", &[code(scheme)], spki, digest], verify)
    }

    fn once(&self, parts: &[&[u8]], verify: impl FnOnce() -> Result<(), SignatureError>) -> Result<(), SignatureError> {
        let key = key(parts);
        if let Some(found) = self.known.borrow().get(&key) {
            return found.clone();
        }
        if self.memory.is_some_and(|memory| memory.holds(&key)) {
            return Ok(());
        }
        if self.made.get() >= self.most {
            self.spent.set(true);
            return Err(SignatureError::TooMany);
        }
        self.made.set(self.made.get() + 1);
        let found = verify();
        if let (Ok(()), Some(memory)) = (&found, self.memory) {
            memory.note(key);
        }
        self.known.borrow_mut().insert(key, found.clone());
        found
    }
}

/// One digest for different parts only if they are the same: each goes with its length.
fn key(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

fn code(scheme: Scheme) -> u8 {
    use crate::signature::DigestAlgorithm::{Sha256, Sha384, Sha512};
    let (Scheme::Ecdsa(hash) | Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash)) = scheme;
    let family = match scheme {
        Scheme::Ecdsa(_) => 0,
        Scheme::RsaPkcs1(_) => 1,
        Scheme::RsaPss(_) => 2,
    };
    let hash = match hash {
        Sha256 => 0,
        Sha384 => 1,
        Sha512 => 2,
    };
    family * 3 + hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::DigestAlgorithm::Sha256;

    #[test]
    fn the_same_is_asked_once_and_no_more_than_allowed() {
        let effort = Effort::new(2);
        let ask = |message: &[u8]| effort.verify_known(Scheme::Ecdsa(Sha256), message, &[0; 32], || Ok(()));
        assert_eq!((ask(b"a"), ask(b"a"), effort.made()), (Ok(()), Ok(()), 1));
        assert_eq!((ask(b"b"), effort.is_spent(), ask(b"c"), effort.is_spent()), (Ok(()), false, Err(SignatureError::TooMany), true));
        // What is known is still answered.
        assert_eq!((ask(b"a"), effort.made()), (Ok(()), 2));
        // Parts do not run into each other.
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }
}
