//! An officer's identity on the officer's own machine: a sealed key, the certificate of it, and the root they trust.

use std::path::Path;
use std::sync::Arc;

use keys::{KeyError, KeyHandle, KeyStore, Passphrase};
use pki::signer::{SignatureAlgorithm, Signer};
use policies::certificate::{OfficerName, OfficerNumber};
use runtime::exit::{Exit, Problem};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::stapled::Stapled;
use super::ask::denied;
use super::print;
use crate::init::InitError;
use crate::record::serial_text;

/// Names within an identity's directory.
const KEY: &str = "officer";
const REQUEST: &str = "officer.csr";
const CERTIFICATE: &str = "officer.pem";
const ROOT: &str = "root.pem";
/// The service credential that may hold its passphrase.
const CREDENTIAL: &str = "ca-officer-passphrase";
/// More certificates than any chain of ours has, and the largest file of them that is read.
const MAX_CHAIN: usize = 8;
const LIMIT: u64 = 64 * 1024;

/// An officer's key with its certificate, ready to sign and to call.
#[derive(Clone, Debug)]
pub struct Identity {
    pub key: KeyHandle,
    /// DER.
    pub certificate: Vec<u8>,
    /// The issuers above, DER, without the root.
    pub chain: Vec<Vec<u8>>,
    /// The root this officer trusts, DER.
    pub root: Vec<u8>,
}

impl Identity {
    /// Opens `directory` with its passphrase: of the file, the service credential, or typed.
    pub fn load(directory: &Path, passphrase_file: Option<&Path>) -> Result<Self, Problem> {
        let chain = certificates(&directory.join(CERTIFICATE))?;
        let (certificate, above) = chain.split_first().ok_or_else(|| unreadable(directory))?;
        let root = one(&directory.join(ROOT))?;
        let passphrase = Passphrase::obtain(passphrase_file, CREDENTIAL, "Passphrase of the officer's key").map_err(denied)?;
        let key = KeyStore::open(directory, &passphrase).and_then(|keys| keys.load(KEY)).map_err(unopened)?;
        let this = Self { key, certificate: certificate.clone(), chain: above.to_vec(), root };
        if public_key(&this.certificate)? == this.key.public_key_info() { Ok(this) } else { Err(other_key()) }
    }

    /// The certificate's serial number, as the register writes it.
    pub fn serial(&self) -> Result<String, Problem> {
        crate::record::serial_of(&self.certificate).map(|serial| serial_text(&serial)).ok_or_else(|| unreadable(Path::new(CERTIFICATE)))
    }

    /// For mutual TLS 1.3 with a server beneath the same root, whose certificate is good by the answer it shows.
    pub fn tls(&self) -> Result<ClientConfig, Problem> {
        let refused = |error: rustls::Error| Problem::new(Exit::Refused, "identity", format!("TLS does not take this identity: {error}"), "have its certificate issued anew");
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13]).map_err(refused)?;
        let chain = std::iter::once(&self.certificate).chain(&self.chain).map(|der| CertificateDer::from(der.clone())).collect();
        let certified = rustls::sign::CertifiedKey::new(chain, self.key.rustls());
        let verifier = Arc::new(Stapled::beneath(&self.root, provider()).map_err(refused)?);
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified))))
    }
}

/// Makes a key and the request for its certificate in a new directory.
pub fn new(directory: &Path, name: &str, number: &str, passphrase_file: Option<&Path>, json: bool) -> Result<(), Problem> {
    // 1. Words that an officer's certificate can carry, before there is a key.
    let word = |field: &'static str| move |error: policies::certificate::WordError| Problem::from(crate::problem::IssueError::Word { field, error });
    let (name, number) = (OfficerName::parse(name).map_err(word("name"))?, OfficerNumber::parse(number).map_err(word("number"))?);
    // 2. The key, sealed; a store that stands is never touched.
    let passphrase = Passphrase::obtain_new(passphrase_file, CREDENTIAL, "New passphrase of the officer's key").map_err(denied)?;
    let keys = KeyStore::create(directory, &passphrase).map_err(unopened)?;
    let key = keys.generate(KEY, SignatureAlgorithm::EcdsaP256Sha256).map_err(unopened)?;
    // 3. The request, in the officer's own words.
    let path = directory.join(REQUEST);
    write(&path, request(&key, &name, &number)?.as_bytes())?;
    if json {
        return print::json(&serde_json::json!({ "directory": directory, "request": path, "key_sha256": crate::sha256_hex(key.public_key_info()) }));
    }
    print::line(&format!("a key, sha256 {}, in {}", crate::sha256_hex(key.public_key_info()), directory.display()))?;
    print::line(&format!("Take {} to an operator, who has it certified: ca issue officer --request {REQUEST} --officer NAME --number NUMBER --out officer.pem", path.display()))
}

fn request(key: &KeyHandle, name: &OfficerName, number: &OfficerNumber) -> Result<String, Problem> {
    let failed = |error: rcgen::Error| Problem::new(Exit::Internal, "request", error.to_string(), "report this");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    // spec: X.520 serialNumber
    parameters.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 5]), number.as_str());
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name.as_str());
    parameters.serialize_request(key).and_then(|request| request.pem()).map_err(failed)
}

/// Takes the certificate into the identity: of its own key, with a path to the root that is trusted from then on.
pub fn install(directory: &Path, file: &Path, root: Option<&Path>, passphrase_file: Option<&Path>, json: bool) -> Result<(), Problem> {
    // 1. The chain, and the root: the one trusted before, or the one given now.
    let chain = certificates(file)?;
    let trusted = directory.join(ROOT);
    let root = match (trusted.exists(), root) {
        (false, None) => return Err(Problem::new(Exit::Usage, "root", "which root is trusted is not known yet", "give --root with the root's certificate, from a source you trust")),
        (false, Some(given)) => one(given)?,
        (true, None) => one(&trusted)?,
        (true, Some(given)) => {
            let (before, now) = (one(&trusted)?, one(given)?);
            if before != now {
                return Err(Problem::new(Exit::Conflict, "root", "another root was trusted before", "make a new identity for another authority"));
            }
            now
        }
    };
    // 2. The key is the one made here.
    let passphrase = Passphrase::obtain(passphrase_file, CREDENTIAL, "Passphrase of the officer's key").map_err(denied)?;
    let key = KeyStore::open(directory, &passphrase).and_then(|keys| keys.load(KEY)).map_err(unopened)?;
    let leaf = chain.first().ok_or_else(|| unreadable(file))?;
    if public_key(leaf)? != key.public_key_info() {
        return Err(other_key());
    }
    // 3. The path to the root holds now, for a client of TLS.
    trust(&chain, &root)?;
    // 4. Kept: the root first, so that a certificate is never here without it.
    let pem = |der: &[u8]| crate::service::pem("CERTIFICATE", der);
    write(&trusted, pem(&root).as_bytes())?;
    // The root is not part of what is sent.
    let sent: String = chain.iter().filter(|der| **der != root).map(|der| pem(der)).collect();
    write(&directory.join(CERTIFICATE), sent.as_bytes())?;
    let serial = crate::record::serial_of(leaf).map(|serial| serial_text(&serial)).ok_or_else(|| unreadable(file))?;
    if json {
        return print::json(&serde_json::json!({ "directory": directory, "serial": serial }));
    }
    print::line(&format!("certificate {serial} is in {}", directory.display()))?;
    print::line(&format!("An administrator grants it a power: ca officer grant {serial} operator"))
}

fn trust(chain: &[Vec<u8>], root: &[u8]) -> Result<(), Problem> {
    let refused = |reason: String| Problem::new(Exit::Refused, "certificate", format!("the certificate does not lead to the root for this use: {reason}"), "give the officer's certificate with its chain, as `ca issue --out` wrote it");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).map_err(|error| refused(error.to_string()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(|error| refused(error.to_string()))?;
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let (leaf, above) = chain.split_first().ok_or_else(|| refused("there is none".into()))?;
    let now = u64::try_from(runtime::clock::Clock::now(&runtime::clock::SystemClock).unix_timestamp()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
    verifier.verify_client_cert(leaf, above, now).map(|_| ()).map_err(|error| refused(error.to_string()))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Problem> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    read.map_err(|error| Problem::new(Exit::NotFound, "certificate-file", format!("{} cannot be read: {error}", path.display()), "give it with `ca officer identity install`, or check the path"))?;
    let blocks = pem::parse_many(&bytes).map_err(|_| unreadable(path))?;
    let found: Vec<Vec<u8>> = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    let whole = found.iter().all(|der| X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty()));
    if whole && (1..=MAX_CHAIN).contains(&found.len()) { Ok(found) } else { Err(unreadable(path)) }
}

fn one(path: &Path) -> Result<Vec<u8>, Problem> {
    match <[Vec<u8>; 1]>::try_from(certificates(path)?) {
        Ok([one]) => Ok(one),
        Err(_) => Err(unreadable(path)),
    }
}

fn public_key(certificate: &[u8]) -> Result<Vec<u8>, Problem> {
    X509Certificate::from_der(certificate).map(|(_, read)| read.public_key().raw.to_vec()).map_err(|_| unreadable(Path::new(CERTIFICATE)))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", path.display()), "check the path and the disk");
    runtime::state::write_atomically(path, bytes, 0o600).map_err(failed)
}

fn unreadable(path: &Path) -> Problem {
    Problem::new(Exit::Usage, "certificate-file", format!("{} holds no certificates that can be read", path.display()), "give PEM, as `ca issue --out` wrote it")
}

fn other_key() -> Problem {
    Problem::new(Exit::Refused, "other-key", "the certificate is of another key than this identity's", "have the request of this identity certified")
}

fn unopened(error: KeyError) -> Problem {
    InitError::from(error).into()
}
