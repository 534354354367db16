//! The signed head of a log: a note of three lines and its signatures (C2SP signed-note, tlog-checkpoint).

use crate::hash::Hash;
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{digest, signature};

/// The longest note we read, in octets: three lines and sixteen signatures fit many times.
pub const NOTE_LIMIT: usize = 64 * 1024;
/// The longest key name and origin, in octets.
pub const NAME_LIMIT: usize = 255;
const SIGNATURES_LIMIT: usize = 64;
/// The signature type of plain Ed25519.
// spec: signed-note#signature-types
const ED25519: u8 = 1;

/// Why a note, its key or its signature was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("the note has more than {NOTE_LIMIT} octets or {SIGNATURES_LIMIT} signatures; it is no checkpoint")]
    TooLong,
    #[error("the note is not text with a blank line and signature lines after it; it was cut short or is no signed note")]
    Form,
    #[error("the note's text is not origin, size and root of a log; it is not a checkpoint")]
    Text,
    #[error("no signature on the checkpoint is by {name}; it is another log's, or the key given is not this log's")]
    Unsigned { name: String },
    #[error("the signature by {name} does not fit the checkpoint's text; the text or the signature was changed")]
    BadSignature { name: String },
    #[error("the checkpoint is of the log {found}, the key of {expected}; give the key of this log")]
    OtherLog { found: String, expected: String },
    #[error("a key name is 1 to {NAME_LIMIT} octets without spaces, plus signs or control characters")]
    Name,
    #[error("the verification key is not <name>+<8 hex digits>+<base64> of an Ed25519 key; copy it again from the log's operator")]
    Key,
    #[error("the log's key {name} could not sign the checkpoint: {reason}")]
    Signing { name: String, reason: String },
}

/// A log's private key, wherever it is kept.
pub trait NoteSigner {
    /// The key's name, which is the log's origin.
    fn name(&self) -> &str;
    /// The first four octets of the hash that `key_id` makes.
    fn key_id(&self) -> [u8; 4];
    /// Ed25519 over the note's text, 64 octets; an error says why not, without key material.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String>;
}

/// Tells a log's keys apart; not a proof of anything.
// spec: signed-note#ed25519-signatures
pub fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(name.as_bytes());
    context.update(&[b'\n', ED25519]);
    context.update(public_key);
    let hash = context.finish();
    hash.as_ref().first_chunk::<4>().copied().unwrap_or_default()
}

// spec: signed-note#format
fn is_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    (1..=NAME_LIMIT).contains(&name.len()) && !name.contains(forbidden)
}

/// A log's public key with its name; written `<name>+<hex of key id>+<base64 of 0x01 and the key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

impl VerifierKey {
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, NoteError> {
        if is_name(name) { Ok(Self { name: name.to_owned(), public_key }) } else { Err(NoteError::Name) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, &self.public_key)
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(&signature::ED25519, self.public_key).verify(text, signature).is_ok()
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut typed = vec![ED25519];
        typed.extend(self.public_key);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.key_id()), STANDARD.encode(typed))
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, rest) = text.split_once('+').ok_or(NoteError::Key)?;
        let (_, key) = rest.split_once('+').ok_or(NoteError::Key)?;
        if key.len() > 64 {
            return Err(NoteError::Key);
        }
        let typed = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ED25519, public_key)) = typed.split_first() else { return Err(NoteError::Key) };
        let key = Self::new(name, public_key.try_into().map_err(|_| NoteError::Key)?)?;
        // The key id is recomputed, so that a mistyped name or key does not pass.
        if key.to_string() == text { Ok(key) } else { Err(NoteError::Key) }
    }
}

/// What a log promised: this many entries, with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// `origin` names the log: a URL without scheme, as `ca.example/ca`.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, NoteError> {
        if is_name(origin) { Ok(Self { origin: origin.to_owned(), size, root }) } else { Err(NoteError::Name) }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// What is signed: three lines.
    // spec: tlog-checkpoint#note-text
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The whole note, signed by the log's own key.
    pub fn sign(&self, signer: &dyn NoteSigner) -> Result<String, NoteError> {
        if signer.name() != self.origin {
            return Err(NoteError::OtherLog { found: self.origin.clone(), expected: signer.name().to_owned() });
        }
        sign_note(&self.text(), signer)
    }

    /// Reads a checkpoint that `key` signed. Signatures by others (witnesses) are passed over.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, NoteError> {
        let text = open_note(note, key)?;
        let checkpoint = Self::parse(text)?;
        if checkpoint.origin != key.name {
            return Err(NoteError::OtherLog { found: checkpoint.origin, expected: key.name.clone() });
        }
        Ok(checkpoint)
    }

    /// Exactly the three lines; lines that we could not interpret are not accepted as part of a promise.
    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Text);
        };
        let size = size.parse().map_err(|_| NoteError::Text)?;
        let root: Hash = STANDARD.decode(root).ok().and_then(|hash| hash.try_into().ok()).ok_or(NoteError::Text)?;
        let checkpoint = Self::new(origin, size, root).map_err(|_| NoteError::Text)?;
        if checkpoint.text() == text { Ok(checkpoint) } else { Err(NoteError::Text) }
    }
}

/// A note of any text that ends in a line feed. What is no checkpoint must not look like one: its second line is no number.
// spec: signed-note#format
pub fn sign_note(text: &str, signer: &dyn NoteSigner) -> Result<String, NoteError> {
    let signature = signer.sign(text.as_bytes()).map_err(|reason| NoteError::Signing { name: signer.name().to_owned(), reason })?;
    let mut blob = signer.key_id().to_vec();
    blob.extend(signature);
    Ok(format!("{text}\n— {} {}\n", signer.name(), STANDARD.encode(blob)))
}

/// The text of a note that `key` signed.
pub fn open_note<'a>(note: &'a [u8], key: &VerifierKey) -> Result<&'a str, NoteError> {
    if note.len() > NOTE_LIMIT {
        return Err(NoteError::TooLong);
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Form)?;
    if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Form);
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Form)?;
    let (text, signatures) = note.split_at_checked(blank + 1).ok_or(NoteError::Form)?;
    let signatures = signatures.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).ok_or(NoteError::Form)?;
    verify_signatures(text, signatures, key)?;
    Ok(text)
}

/// At least one signature by the key, and none by it that is wrong.
// spec: signed-note#signatures
fn verify_signatures(text: &str, lines: &str, key: &VerifierKey) -> Result<(), NoteError> {
    let mut signed = false;
    for (count, line) in lines.split('\n').enumerate() {
        if count == SIGNATURES_LIMIT {
            return Err(NoteError::TooLong);
        }
        let (name, blob) = line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(NoteError::Form)?;
        let blob = STANDARD.decode(blob).map_err(|_| NoteError::Form)?;
        let (id, signature) = blob.split_first_chunk::<4>().ok_or(NoteError::Form)?;
        if !is_name(name) {
            return Err(NoteError::Form);
        }
        if name != key.name || *id != key.key_id() {
            continue;
        }
        if !key.verify(text.as_bytes(), signature) {
            return Err(NoteError::BadSignature { name: name.to_owned() });
        }
        signed = true;
    }
    if signed { Ok(()) } else { Err(NoteError::Unsigned { name: key.name.clone() }) }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
