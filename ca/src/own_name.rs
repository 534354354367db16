//! How a holder recognises, in a log that everybody reads, the certificates in its own name; and nobody else does.
//!
//! Beside each certificate the log has a tag: HMAC-SHA-256, under a secret of the holder's own, over the serial. Each
//! holder's secret is made of one key that only the authority has, so the thirty million credit codes, which everybody
//! can write down, tell nobody whose a certificate is. A holder is told its own secret and learns nothing of others'.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keys::{DataKey, KeyError, KeyStore};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};

use crate::record::{CertificateRecord, KeyOwner};

/// The name of the one key, in the key store.
pub const KEY: &str = "own-name";
/// What keeps this use of the key apart from any other.
const LABEL: &str = "suiyin own name 1";
const CHANGED_LABEL: &str = "suiyin own name changed 1";
/// What a change is tagged over, before the serial: longer than any serial, so it is never the tag of a certificate.
// spec: rfc5280#4.1.2.2 (serial numbers of 20 octets at most)
const CHANGE_TAG: &[u8] = b"suiyin own name change tag 1";
const PLACE_LABEL: &str = "suiyin own name place 1";
const MESSAGE_LABEL: &str = "suiyin notice message 1";
/// How often a holder's secret may be changed: all of them fit into one answer.
pub const MOST_CHANGES: u16 = 100;

/// Makes every holder's secret.
pub struct OwnNames(DataKey);

impl OwnNames {
    /// Its key is made when there is none.
    pub fn open(keys: &KeyStore) -> Result<Self, KeyError> {
        keys.data_key(KEY).map(Self)
    }

    /// After so many changes; the first was made by none.
    pub fn secret(&self, owner: &KeyOwner, changes: u16) -> Secret {
        Secret(match changes {
            0 => self.0.index(LABEL, &owner.value()),
            _ => self.0.index(CHANGED_LABEL, &[&changes.to_be_bytes()[..], &owner.value()].concat()),
        })
    }

    /// Where it is kept how often a holder's secret was changed, without saying whose.
    pub fn place(&self, owner: &KeyOwner) -> [u8; 32] {
        self.0.index(PLACE_LABEL, &owner.value())
    }

    /// What the log says of a message that was delivered, by its digest: whoever knows a holder's name could write the message.
    pub fn message(&self, sha256: &str) -> String {
        crate::hex(&self.0.index(MESSAGE_LABEL, sha256.as_bytes()))
    }

    /// Which key it is, without telling it: another one after a restore would make secrets that fit no tag.
    pub fn mark(&self) -> Vec<u8> {
        self.0.index("suiyin own name mark 1", &[]).to_vec()
    }
}

/// Whose name a certificate is in; `None` when its DER cannot be read.
pub fn owner(record: &CertificateRecord) -> Option<KeyOwner> {
    let view = pki::view::CertificateView::parse(&record.der).ok()?;
    Some(KeyOwner::new(record.code.as_deref(), view.subject))
}

/// One holder's secret. It is shown only where it is handed out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl Secret {
    /// As it stands in the holder's file.
    pub fn text(&self) -> String {
        crate::hex(&self.0)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let octets: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        octets.filter(|_| rest.is_empty())?.try_into().ok().map(Self)
    }

    /// What stands in the log beside a certificate of this serial when it is in the holder's name.
    pub fn tag(&self, serial: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        crate::hex(hmac::sign(&key, serial).as_ref())
    }

    /// What stands in the log when this secret is changed for another: HMAC-SHA-256 over `suiyin own name change tag 1` and the
    /// serial of the certificate in whose name that was asked. Whoever watches with this secret learns that it finds no more.
    pub fn change_tag(&self, serial: &[u8]) -> String {
        self.tag(&[CHANGE_TAG, serial].concat())
    }
}

/// A holder's secrets on their way over a line that others may read: only whoever made the key they are sealed to opens them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    pub serial: String,
    /// X25519, base64url: of this one answer.
    key: String,
    /// AES-256-GCM, base64url.
    sealed: String,
}

/// The asker's key of one question: X25519, kept in memory alone.
pub struct Asker {
    private: EphemeralPrivateKey,
    public: Vec<u8>,
}

impl Asker {
    /// `None` when the system gives no randomness.
    pub fn new() -> Option<Self> {
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().to_vec();
        Some(Self { private, public })
    }

    /// As it stands in the question.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.public)
    }

    /// The present secret and those before it, the last first. `None` when the answer is not one to this question.
    pub fn open(self, answer: &Sealed) -> Option<Vec<Secret>> {
        let theirs = URL_SAFE_NO_PAD.decode(&answer.key).ok()?;
        let mut sealed = URL_SAFE_NO_PAD.decode(&answer.sealed).ok()?;
        let key = agreed(self.private, &theirs, [&self.public, &theirs])?;
        let plain = key.open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::from(answer.serial.as_bytes()), &mut sealed).ok()?;
        let (secrets, rest) = plain.as_chunks::<32>();
        (rest.is_empty() && !secrets.is_empty()).then(|| secrets.iter().copied().map(Secret).collect())
    }
}

/// The key of a question, as the asker wrote it.
pub fn asker(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// `None` when the asker's key is none, or the system gives no randomness.
pub fn seal(secrets: &[Secret], serial: &str, asker: &[u8; 32]) -> Option<Sealed> {
    let mine = Asker::new()?;
    let key = agreed(mine.private, asker, [asker, &mine.public])?;
    let mut sealed = secrets.iter().map(|secret| secret.0).collect::<Vec<_>>().concat();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::from(serial.as_bytes()), &mut sealed).ok()?;
    Some(Sealed { serial: serial.to_owned(), key: URL_SAFE_NO_PAD.encode(&mine.public), sealed: URL_SAFE_NO_PAD.encode(sealed) })
}

/// A key for one message: of both X25519 keys, each used once, so that its only nonce may be zero.
// spec: rfc7748#6.1, rfc5869
fn agreed(private: EphemeralPrivateKey, theirs: &[u8], public: [&[u8]; 2]) -> Option<LessSafeKey> {
    let [asker, answerer] = public;
    let key = agree_ephemeral(private, &UnparsedPublicKey::new(&X25519, theirs), |shared| {
        let info = [LABEL.as_bytes(), asker, answerer];
        Salt::new(HKDF_SHA256, &[]).extract(shared).expand(&info, &AES_256_GCM).map(UnboundKey::from).ok()
    });
    key.ok().flatten().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names() -> (tempfile::TempDir, OwnNames) {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::create(&place.path().join("keys"), &keys::Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let names = OwnNames::open(&keys).unwrap();
        (place, names)
    }

    #[test]
    fn a_tag_is_of_one_holder_and_one_serial() {
        let (_place, names) = names();
        let secret = |code: &str| names.secret(&KeyOwner::new(Some(code), b"subject"), 0);
        let (mine, other) = (secret("91440101MAT000018G"), secret("12440100000000123A"));
        assert!(mine != other && mine == secret("91440101MAT000018G"));
        assert!(mine != names.secret(&KeyOwner::new(None, b"91440101MAT000018G"), 0));
        let changed = |changes: u16| names.secret(&KeyOwner::new(Some("91440101MAT000018G"), b"subject"), changes);
        assert!(changed(0) == mine && changed(1) != mine && changed(1) != changed(2) && changed(1) == changed(1));
        assert_ne!(mine.tag(&[1; 16]), mine.tag(&[2; 16]));
        assert_ne!(mine.tag(&[1; 16]), other.tag(&[1; 16]));
        assert!(mine.change_tag(&[1; 16]) != mine.tag(&[1; 16]) && mine.change_tag(&[1; 16]) != other.change_tag(&[1; 16]));
        assert_eq!(Secret::parse(&mine.text()).unwrap(), mine);
        let zeros = "0".repeat(64);
        for wrong in ["", "0", &zeros[1..], &format!("{zeros}00"), &zeros.replacen('0', "g", 1), &zeros.replacen("00", "穗", 1)] {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{mine:?}"), "Secret(..)");
    }

    #[test]
    fn only_the_asker_opens_the_answer_and_only_whole() {
        let (_place, names) = names();
        let secret = [1, 0].map(|changes| names.secret(&KeyOwner::new(Some("91440101MAT000018G"), b""), changes));
        let question = Asker::new().unwrap();
        let sealed = seal(&secret, "40", &asker(&question.text()).unwrap()).unwrap();
        let copy = |serial: &str, key: &str, text: &str| Sealed { serial: serial.into(), key: key.into(), sealed: text.into() };
        assert!(Asker::new().unwrap().open(&sealed).is_none());
        let again = Asker::new().unwrap();
        let other = seal(&secret, "40", &asker(&again.text()).unwrap()).unwrap();
        assert!(again.open(&copy("41", &other.key, &other.sealed)).is_none());
        assert_eq!(question.open(&copy("40", &sealed.key, &sealed.sealed)).unwrap(), secret);
        // A key of small order leads nowhere.
        assert!(seal(&secret, "40", &[0; 32]).is_none());
        assert!(asker("AAAA").is_none() && asker("穗").is_none());
    }
}
