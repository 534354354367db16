//! The last step of a founding with the root's key elsewhere: what the ceremony made is held against our keys, our policies
//! and its transcript, and only then there is an authority.
//!
//! 1 waiting    the directory's keys wait for these certificates
//! 2 proved     the transcript under the key of the root that people name by its digest, made of our requests and policies
//! 3 judged     root, authorities and list: each what its profile makes of our key, and valid now
//! 4 made       everything that an earlier attempt left goes; register, log, OCSP signers and lists
//! 5 founded    the mark goes, last of all
//!
//! Cut off anywhere it is said again: nothing of it was shown to anybody.

use std::path::Path;
use std::sync::Arc;

use keys::{KeyHandle, KeyStore, Passphrase};
use pki::request::Request;
use pki::signer::{SignatureAlgorithm, Signer};
use policies::certificate::HostName;
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use runtime::state::StateDir;
use store::Batch;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::request::{Waiting, WaitingKey, waits};
use super::{Begun, Ground};
use crate::authority::{Addresses, Authority, Issuer, ROOT};
use crate::ceremony::file::{HIERARCHY, plain, requested};
use crate::ceremony::roots::Dates;
use crate::ceremony::{self, CeremonyError, Proved, roots};
use crate::documents::{Documents, ReadPolicies};
use crate::flow::certified::{self, CertifiedError, ISSUING, Wanted};
use crate::flow::{Proven, adopt, publish};
use crate::init::{Configuration, InitError, Opened};
use crate::issuers::Birthplace;
use crate::key_lists;
use crate::problem::IssueError;
use crate::record::{CertificateRecord, IssuerRecord, Status, log, serial_text};
use crate::token::TokenConfiguration;

/// What founding makes after the keys.
const MADE: [&str; 2] = ["store", "log-head"];
const ROOT_PROFILE: &str = "root";

#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("no keys wait for certificates here; begin with `ca hierarchy request`")]
    NotWaiting,
    #[error("the root that was made is another one: its SHA-256 is {found}; bring what the ceremony made that you have on paper")]
    OtherRoot { found: String },
    #[error("this ceremony founded no hierarchy, but was one of kind {kind}; hold one with the file that `ca hierarchy request` wrote")]
    OtherKind { kind: String },
    #[error("the ceremony was not held with {what} of this directory; hold it with what `ca hierarchy request` wrote")]
    OtherInput { what: String },
    #[error("the ceremony made no {file}; hold it with what `ca hierarchy request` wrote")]
    Missing { file: String },
    #[error("the certificate of {id} is of another key than the one that waits here; hold the ceremony with what `ca hierarchy request` wrote")]
    OtherKey { id: String },
    #[error("the certificate of {id} binds no names, and it was asked for bound to mail domains; hold the ceremony anew")]
    Unbound { id: String },
    #[error("what was made for {id} is not valid now; wait for its first day, or set the clock")]
    NotNow { id: String },
    #[error(transparent)]
    Certified(#[from] CertifiedError),
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// The whole line. `root_sha256` is that of the root's certificate, DER, as the people of the ceremony wrote it down; `uid` who
/// asks.
pub fn install(path: &Path, made: &Path, root_sha256: &str, passphrase: &Passphrase, uid: u32, clock: Arc<dyn Clock>) -> Result<Opened, InstallError> {
    // 1.
    if !waits(path) {
        return Err(InstallError::NotWaiting);
    }
    let directory = StateDir::open(path).map_err(InitError::from)?;
    let waiting = Waiting::read(path)?;
    let configuration: Configuration = runtime::config::read(&path.join("ca.toml")).map_err(InitError::from)?;
    let documents = Documents::read(&path.join("policies"))?;
    let read = documents.judge().map_err(InitError::from)?;
    let token = configuration.token.as_ref().map(TokenConfiguration::open).transpose()?;
    let ground = Ground { base_url: waiting.base_url.clone(), keys: Arc::new(KeyStore::open(&path.join("keys"), passphrase).map_err(InitError::from)?), token, clock };
    // 2.
    let (proved, root) = proved(made, root_sha256, &waiting, &read)?;
    // 3.
    let refused = key_lists::read(&path.join(key_lists::DIRECTORY)).map_err(InitError::from)?.keys;
    let now = ground.clock.now();
    let judge = Judge { read: &read, addresses: Addresses::at_base(&waiting.base_url), now };
    let root = judge.root(root)?;
    let mut authorities = Vec::new();
    for one in &waiting.authorities {
        let key = own_key(&ground.birthplace(), one)?;
        let issuer = judge.authority(&root, one, &key, output(&proved, &format!("{}.pem", one.id))?, &waiting)?;
        authorities.push((issuer, key, one));
    }
    if authorities.iter().map(|(issuer, ..)| issuer).chain([&root]).any(|one| refused.holds(&one.public_key_info)) {
        return Err(IssueError::ListedKey.into());
    }
    let list = output(&proved, &format!("{ROOT}.crl"))?.to_vec();
    // 4.
    super::unmade(path, &MADE)?;
    let mut begun = super::begin(path, &configuration, &ground, &documents)?;
    let proven = Proven::local(&begun.authority, uid)?;
    let by = proven.actor().to_string();
    enter(&mut begun, root, ROOT_PROFILE, None, None)?;
    for (issuer, key, waiting) in authorities {
        let (id, name) = (issuer.id().to_owned(), common_name(&issuer.record.der)?);
        enter(&mut begun, issuer, ISSUING, Some(key), waiting.token_key.clone())?;
        super::give_signer(&mut begun.authority, &id, &name)?;
    }
    let above = begun.authority.issuers.get(ROOT).map(Arc::clone).ok_or(IssueError::Damaged { what: "the root" })?;
    publish::accept_first(&begun.authority, &proven.acting().map_err(|_| IssueError::Damaged { what: "the roster of officers" })?, &above, list)?;
    // 5.
    let entry = log::Entry::HierarchyInstalled { root_sha256: &crate::sha256_hex(&above.record.der), ceremony_sha256: &proved.ceremony_sha256, transcript_sha256: &proved.transcript_sha256, by: &by };
    let opened = super::finish(path, begun, ground, configuration, directory, Some(entry))?;
    super::forget_waiting(path);
    Ok(opened)
}

/// What the ceremony made of what we handed out, and the root's certificate, DER.
fn proved(made: &Path, root_sha256: &str, waiting: &Waiting, read: &ReadPolicies) -> Result<(Proved, Vec<u8>), InstallError> {
    let file = made.join(format!("{ROOT}.pem"));
    let root = ceremony::file::bounded(&file, 1 << 16).and_then(ceremony::file::certificate).map_err(CeremonyError::from)?;
    let found = crate::sha256_hex(&root);
    if found != plain(root_sha256) {
        return Err(InstallError::OtherRoot { found });
    }
    let proved = ceremony::prove(made, root.clone())?;
    if proved.kind != HIERARCHY {
        return Err(InstallError::OtherKind { kind: proved.kind });
    }
    let was_used = |what: &str, sha256: &str| proved.inputs.iter().any(|(one, digest)| one == what && digest == sha256);
    if read.digest != waiting.policies_sha256 || !was_used("policies", &waiting.policies_sha256) {
        return Err(InstallError::OtherInput { what: "the policies".into() });
    }
    if let Some(one) = waiting.authorities.iter().find(|one| !was_used(&requested(&one.id), &crate::sha256_hex(one.request.as_bytes()))) {
        return Err(InstallError::OtherInput { what: format!("the request of {}", one.id) });
    }
    Ok((proved, root))
}

fn output<'a>(proved: &'a Proved, file: &str) -> Result<&'a [u8], InstallError> {
    let found = proved.outputs.iter().find(|one| one.file == file);
    found.map(|one| one.bytes.as_slice()).ok_or_else(|| InstallError::Missing { file: file.to_owned() })
}

fn own_key(born_in: &Birthplace, waiting: &WaitingKey) -> Result<KeyHandle, InstallError> {
    let key = match (&waiting.token_key, &born_in.token) {
        (None, _) => born_in.keys.load(&waiting.id).map_err(InitError::from)?,
        (Some(id), Some(token)) => token.key(&waiting.id, id, SignatureAlgorithm::EcdsaP256Sha256, &waiting.public_key_info).map_err(InitError::from)?,
        (Some(_), None) => return Err(InitError::NoToken { issuer: waiting.id.clone() }.into()),
    };
    if Signer::public_key_info(&key) == waiting.public_key_info { Ok(key) } else { Err(InstallError::OtherKey { id: waiting.id.clone() }) }
}

/// What is certified must be what the profiles make of the same words and dates, at an authority of these addresses.
struct Judge<'a> {
    read: &'a ReadPolicies,
    addresses: Addresses,
    now: OffsetDateTime,
}

impl Judge<'_> {
    fn root(&self, der: Vec<u8>) -> Result<Issuer, InstallError> {
        let root = roots::signs_itself(&der, ROOT)?;
        let dates = Dates { from: root.not_before, until: root.not_after };
        let (_, facts) = roots::root(&self.read.certificates, &self.addresses, &common_name(&der)?, dates, &root.public_key_info)?;
        roots::check(&der, &facts)?;
        self.valid(&root)?;
        Ok(root)
    }

    fn authority(&self, root: &Issuer, waiting: &WaitingKey, key: &KeyHandle, pem: &[u8], asked: &Waiting) -> Result<Issuer, InstallError> {
        let id = || waiting.id.clone();
        let der = ceremony::file::certificate(pem.to_vec()).map_err(CeremonyError::from)?;
        let issuer = Issuer::new(IssuerRecord { token_key: waiting.token_key.clone(), ..IssuerRecord::new(id(), der.clone()) }, None, None)?;
        if issuer.public_key_info != waiting.public_key_info {
            return Err(InstallError::OtherKey { id: id() });
        }
        // To what its names are bound, people decided at the ceremony; bound they are where that was asked for.
        let mail_domains: Vec<HostName> = certified::bound_to(&der);
        if mail_domains.is_empty() && waiting.id == super::CITIZENS && !asked.mail_domains.is_empty() {
            return Err(InstallError::Unbound { id: id() });
        }
        let request = Request::parse(&crate::flow::own::request(key).map_err(InitError::from)?).map_err(IssueError::from)?;
        let wanted = Wanted { name: &common_name(&der)?, not_before: issuer.not_before, not_after: issuer.not_after, mail_domains: &mail_domains, request: &request };
        let (_, facts) = certified::plan(&self.read.certificates, &self.addresses, root, &wanted)?;
        certified::check(&der, root, &facts)?;
        self.valid(&issuer)?;
        Ok(issuer)
    }

    fn valid(&self, issuer: &Issuer) -> Result<(), InstallError> {
        if self.now < issuer.not_before || self.now > issuer.not_after { Err(InstallError::NotNow { id: issuer.id().to_owned() }) } else { Ok(()) }
    }
}

fn common_name(der: &[u8]) -> Result<String, InstallError> {
    let (_, read) = X509Certificate::from_der(der).map_err(|_| CertifiedError::NotByRoot)?;
    let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    Ok(name.ok_or(CertifiedError::NotByRoot)?.to_owned())
}

/// Known from here on: in the register, among the issuers and in the log, in one commit.
fn enter(begun: &mut Begun, issuer: Issuer, profile: &str, key: Option<KeyHandle>, token_key: Option<String>) -> Result<(), InstallError> {
    let authority: &mut Authority = &mut begun.authority;
    let der = issuer.record.der.clone();
    let certificate = CertificateRecord {
        issuer: ROOT.into(),
        profile: profile.into(),
        name: common_name(&der)?,
        code: None,
        not_before: issuer.not_before.unix_timestamp(),
        not_after: issuer.not_after.unix_timestamp(),
        key_digest: ring::digest::digest(&ring::digest::SHA256, &issuer.public_key_info).as_ref().to_vec(),
        shard: None,
        der: der.clone(),
        status: Status::Good,
        predecessor: None,
    };
    let now = authority.clock.now();
    let mut batch = adopt::known(authority, Batch::new(), &issuer.serial, &certificate, now)?;
    let issued = log::Entry::CertificateIssued { issuer: ROOT, serial: &serial_text(&issuer.serial), profile, sha256: &crate::sha256_hex(&der) };
    batch.append(log::STREAM, issued.leaf(now).map_err(IssueError::from)?);
    Ok(super::found(authority, batch, IssuerRecord { token_key, ..issuer.record }, key, None)?)
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        let (exit, code) = match error {
            InstallError::Init(error) => return error.into(),
            InstallError::Issue(error) | InstallError::Certified(CertifiedError::Issue(error)) => return error.into(),
            InstallError::Ceremony(error) => return error.into(),
            InstallError::NotWaiting => (Exit::Conflict, "not-waiting"),
            InstallError::OtherRoot { .. } => (Exit::Refused, "other-root"),
            InstallError::NotNow { .. } => (Exit::Refused, "not-now"),
            InstallError::OtherKind { .. } | InstallError::OtherInput { .. } | InstallError::Missing { .. } | InstallError::OtherKey { .. } => (Exit::Refused, "not-requested"),
            InstallError::Unbound { .. } => (Exit::Refused, "unbound"),
            InstallError::Certified(_) => (Exit::Refused, "certified"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
