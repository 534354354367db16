//! A directory of sealed keys, opened with one passphrase.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use pki::signer::{SignatureAlgorithm, Signer};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, EcdsaKeyPair};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::handle::{KeyHandle, SoftwareKey, ecdsa};
use crate::sealed::{Refused, Sealer};
use crate::dkim::DkimKey;
use crate::{DataKey, NoteKey, Passphrase};

/// The largest file we read here.
const MAX: u64 = 16 * 1024;
const HEAD: &str = "keystore.json";
/// What the passphrase must open before it is believed.
const WITNESS: &[u8] = b"suiyin keystore 1";

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key store {path} cannot be used: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("{path} can be read or changed by others (mode {mode:04o}); run: chmod go-rwx {path}", path = path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("a key store already stands in {path}; it is never overwritten", path = path.display())]
    Exists { path: PathBuf },
    #[error("the passphrase does not open this key store; try the right one")]
    WrongPassphrase,
    #[error("there is no key {id} here; list the key store's directory")]
    NotFound { id: String },
    #[error("there is already a key {id}; keys are never overwritten")]
    Taken { id: String },
    #[error("{id:?} is no key name: use 1 to 64 lower-case letters, digits and '-'")]
    Name { id: String },
    #[error("the key {id} is damaged or of another store; restore it from a backup")]
    Damaged { id: String },
    #[error("keys of this algorithm are made by a hardware token, not here")]
    Algorithm,
    #[error("the system gave no randomness, or not the memory that Argon2id needs")]
    System,
}

/// Argon2id parameters as they stand in the store's head. spec: rfc9106#4
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Argon2 {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// RFC 9106's second recommendation (64 MiB, 3 passes), one lane.
const ARGON2: Argon2 = Argon2 { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    argon2id: Argon2,
    salt: String,
    witness: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedKey {
    version: u32,
    kind: Kind,
    sealed: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    Rsa,
    Data,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
            Self::Data => "data",
        }
    }
}

/// An opened key store.
pub struct KeyStore {
    directory: PathBuf,
    sealer: Sealer,
    random: SystemRandom,
}

impl KeyStore {
    /// Makes a store in `directory`, which must not hold one.
    pub fn create(directory: &Path, passphrase: &Passphrase) -> Result<Self, KeyError> {
        let path = directory.join(HEAD);
        if path.exists() {
            return Err(KeyError::Exists { path: directory.to_owned() });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| file(directory, &error))?;
        owned(directory)?;
        let random = SystemRandom::new();
        let mut salt = [0_u8; 16];
        random.fill(&mut salt).map_err(|_| KeyError::System)?;
        let sealer = derive(passphrase, &salt, ARGON2)?;
        let witness = sealer.seal(HEAD.as_bytes(), WITNESS).map_err(|Refused| KeyError::System)?;
        let head = Head { version: 1, argon2id: ARGON2, salt: BASE64.encode(salt), witness: BASE64.encode(witness) };
        write_new(&path, &to_json(&head, HEAD)?)?;
        Ok(Self { directory: directory.to_owned(), sealer, random })
    }

    pub fn open(directory: &Path, passphrase: &Passphrase) -> Result<Self, KeyError> {
        owned(directory)?;
        let path = directory.join(HEAD);
        let damaged = || KeyError::Damaged { id: HEAD.to_owned() };
        let head: Head = serde_json::from_slice(&read(&path)?).map_err(|_| damaged())?;
        // Bounds, so that a planted head cannot make us use all memory or next to none.
        let bounded = (19 * 1024..=1024 * 1024).contains(&head.argon2id.memory_kib) && (1..=16).contains(&head.argon2id.passes) && (1..=16).contains(&head.argon2id.lanes);
        if head.version != 1 || !bounded {
            return Err(damaged());
        }
        let salt = BASE64.decode(&head.salt).map_err(|_| damaged())?;
        let witness = BASE64.decode(&head.witness).map_err(|_| damaged())?;
        let sealer = derive(passphrase, &salt, head.argon2id)?;
        match sealer.open(HEAD.as_bytes(), &witness) {
            Ok(found) if found == WITNESS => Ok(Self { directory: directory.to_owned(), sealer, random: SystemRandom::new() }),
            _ => Err(KeyError::WrongPassphrase),
        }
    }

    /// Makes a key pair; it is durable before the handle is returned.
    pub fn generate(&self, id: &str, algorithm: SignatureAlgorithm) -> Result<KeyHandle, KeyError> {
        let (curve, _) = ecdsa(algorithm).ok_or(KeyError::Algorithm)?;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &self.random).map_err(|_| KeyError::System)?;
        let kind = if algorithm == SignatureAlgorithm::EcdsaP384Sha384 { Kind::EcdsaP384 } else { Kind::EcdsaP256 };
        self.keep(id, kind, pkcs8.as_ref())?;
        software(id, algorithm, pkcs8.as_ref())
    }

    pub fn load(&self, id: &str) -> Result<KeyHandle, KeyError> {
        let (kind, secret) = self.fetch(id)?;
        match kind {
            Kind::EcdsaP256 => software(id, SignatureAlgorithm::EcdsaP256Sha256, &secret),
            Kind::EcdsaP384 => software(id, SignatureAlgorithm::EcdsaP384Sha384, &secret),
            Kind::Ed25519 | Kind::Rsa | Kind::Data => Err(KeyError::NotFound { id: id.to_owned() }),
        }
    }

    /// The log's key `id`, made when there is none.
    pub fn note_key(&self, id: &str) -> Result<NoteKey, KeyError> {
        let secret = self.fetch_or_make(id, Kind::Ed25519, || {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&self.random).map_err(|_| KeyError::System)?;
            Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
        })?;
        NoteKey::from_pkcs8(&secret).ok_or_else(|| KeyError::Damaged { id: id.to_owned() })
    }

    /// Makes an Ed25519 key that signs mail.
    pub fn generate_dkim(&self, id: &str) -> Result<DkimKey, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&self.random).map_err(|_| KeyError::System)?;
        self.keep(id, Kind::Ed25519, pkcs8.as_ref())?;
        self.dkim_key(id)
    }

    /// Takes an RSA key that signs mail, made elsewhere: PKCS#8, DER, 2048 to 4096 bits; `Algorithm` for any other.
    pub fn import_dkim(&self, id: &str, pkcs8: &[u8]) -> Result<DkimKey, KeyError> {
        let key = DkimKey::rsa(pkcs8).ok_or(KeyError::Algorithm)?;
        self.keep(id, Kind::Rsa, pkcs8)?;
        Ok(key)
    }

    /// A key that signs mail.
    pub fn dkim_key(&self, id: &str) -> Result<DkimKey, KeyError> {
        let (kind, secret) = self.fetch(id)?;
        let key = match kind {
            Kind::Ed25519 => NoteKey::from_pkcs8(&secret).map(DkimKey::ed25519),
            Kind::Rsa => DkimKey::rsa(&secret),
            _ => return Err(KeyError::NotFound { id: id.to_owned() }),
        };
        key.ok_or_else(|| KeyError::Damaged { id: id.to_owned() })
    }

    /// The data key `id`, made when there is none.
    pub fn data_key(&self, id: &str) -> Result<DataKey, KeyError> {
        let secret = self.fetch_or_make(id, Kind::Data, || {
            let mut secret = Zeroizing::new(vec![0; 64]);
            self.random.fill(&mut secret).map_err(|_| KeyError::System)?;
            Ok(secret)
        })?;
        DataKey::from_secret(&secret).map_err(|_| KeyError::Damaged { id: id.to_owned() })
    }

    /// Whether a key `id` stands here.
    pub fn contains(&self, id: &str) -> bool {
        self.path(id).is_ok_and(|path| path.exists())
    }

    fn fetch_or_make(&self, id: &str, kind: Kind, make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, KeyError>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self.fetch(id) {
            Ok((found, secret)) if found == kind => Ok(secret),
            Ok(_) => Err(KeyError::Taken { id: id.to_owned() }),
            Err(KeyError::NotFound { .. }) => {
                let secret = make()?;
                self.keep(id, kind, &secret)?;
                Ok(secret)
            }
            Err(error) => Err(error),
        }
    }

    fn path(&self, id: &str) -> Result<PathBuf, KeyError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
            return Err(KeyError::Name { id: id.chars().take(80).collect() });
        }
        Ok(self.directory.join(format!("{id}.key")))
    }

    fn keep(&self, id: &str, kind: Kind, secret: &[u8]) -> Result<(), KeyError> {
        let path = self.path(id)?;
        let sealed = self.sealer.seal(&place(id, kind), secret).map_err(|Refused| KeyError::System)?;
        let bytes = to_json(&SealedKey { version: 1, kind, sealed: BASE64.encode(sealed) }, id)?;
        write_new(&path, &bytes).map_err(|error| match error {
            KeyError::Exists { .. } => KeyError::Taken { id: id.to_owned() },
            other => other,
        })
    }

    fn fetch(&self, id: &str) -> Result<(Kind, Zeroizing<Vec<u8>>), KeyError> {
        let path = self.path(id)?;
        if !path.exists() {
            return Err(KeyError::NotFound { id: id.to_owned() });
        }
        let damaged = || KeyError::Damaged { id: id.to_owned() };
        let key: SealedKey = serde_json::from_slice(&read(&path)?).map_err(|_| damaged())?;
        if key.version != 1 {
            return Err(damaged());
        }
        let sealed = BASE64.decode(&key.sealed).map_err(|_| damaged())?;
        let secret = self.sealer.open(&place(id, key.kind), &sealed).map_err(|Refused| damaged())?;
        Ok((key.kind, Zeroizing::new(secret)))
    }
}

/// A sealed key opens only under its own name and kind.
fn place(id: &str, kind: Kind) -> Vec<u8> {
    format!("suiyin key 1|{}|{id}", kind.name()).into_bytes()
}

fn software(id: &str, algorithm: SignatureAlgorithm, pkcs8: &[u8]) -> Result<KeyHandle, KeyError> {
    let key = SoftwareKey::from_pkcs8(algorithm, pkcs8).ok_or_else(|| KeyError::Damaged { id: id.to_owned() })?;
    let handle = KeyHandle::from_signer(Arc::new(key));
    debug_assert_eq!(Signer::algorithm(&handle), algorithm);
    Ok(handle)
}

fn derive(passphrase: &Passphrase, salt: &[u8], parameters: Argon2) -> Result<Sealer, KeyError> {
    let parameters = argon2::Params::new(parameters.memory_kib, parameters.passes, parameters.lanes, Some(32)).map_err(|_| KeyError::System)?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let mut key = Zeroizing::new([0_u8; 32]);
    argon2.hash_password_into(passphrase.bytes(), salt, &mut *key).map_err(|_| KeyError::System)?;
    Sealer::new(&key).map_err(|Refused| KeyError::System)
}

fn to_json(value: &impl Serialize, id: &str) -> Result<Vec<u8>, KeyError> {
    serde_json::to_vec_pretty(value).map_err(|_| KeyError::Damaged { id: id.to_owned() })
}

fn file(path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Mode bits are looked at, not tried: a test or a service run as root is refused nothing by the kernel.
fn owned(path: &Path) -> Result<(), KeyError> {
    let mode = std::fs::metadata(path).map_err(|error| file(path, &error))?.mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Mode { path: path.to_owned(), mode }) }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    owned(path)?;
    let mut bytes = Vec::new();
    File::open(path).and_then(|opened| opened.take(MAX).read_to_end(&mut bytes)).map_err(|error| file(path, &error))?;
    Ok(bytes)
}

/// A new file, mode 0600, whole and durable or absent: written beside, synced, linked into place.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
        _ => file(path, &error),
    };
    let beside = path.with_extension("new");
    let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(failed)?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).map_err(failed)?;
    // A link refuses to replace what stands there; a rename would not.
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside).map_err(failed)?;
    linked.map_err(failed)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(failed)
}
