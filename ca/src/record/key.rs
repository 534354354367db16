//! What is remembered of a key apart from its certificates: whose it is.

use ring::digest::{Context, SHA256};
use store::Key;

/// Who a key belongs to, once it was to be certified: an organisation by its code, whoever has none by the whole
/// subject. Kept as a digest, since an officer's subject is a person's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOwner([u8; 32]);

impl KeyOwner {
    /// `subject` is DER.
    pub fn new(code: Option<&str>, subject: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        let (kind, of) = code.map_or((2, subject), |code| (1, code.as_bytes()));
        context.update(&[kind]);
        context.update(of);
        let mut owner = [0; 32];
        owner.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(owner)
    }

    pub fn key(key_digest: &[u8]) -> Key {
        Key::new("key-owner", &[key_digest])
    }

    pub fn value(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}
