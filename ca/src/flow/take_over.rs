//! A new generation of an issuing authority: its key is born here, certified where the root's key is, and takes over
//! while the service goes on. The one before keeps answering, listing and revoking until its certificates have ended.
//!
//! Every generation has a subject of its own and its own addresses, and is certified by whichever root signed it: so a root's
//! next generation takes over, one issuing authority after the other, while the root before goes on vouching for it.

use std::sync::{Arc, PoisonError};

use pki::request::Request;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authorise::{Authorised, Successor};
use super::certified::{self, CertifiedError, ISSUING, Wanted};
use super::own::{self, OwnError};
use super::{adopt, issue, listing, publish};
use crate::authority::{Authority, Issuer, ROOT};
use crate::init::InitError;
use crate::issuers::{BirthError, Birthplace, FOUNDED_LATER};
use crate::problem::IssueError;
use crate::record::{CertificateRecord, CrlRecord, Generation, IssuerRecord, IssuerRequest, OcspSigner, Scope, Status, decode, encode, log, serial_text};

#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    #[error("there is no issuing authority {issuer:?}; this authority has: {}", known.join(", "))]
    Unknown { issuer: String, known: Vec<String> },
    #[error("new keys are made where the authority runs with its key store; ask the service or its directory")]
    NoBirthplace,
    #[error("no key that waits for a certificate is in this one; make a request with `ca issuer request` and have that certified")]
    NotRequested,
    #[error("policies/certificates/ocsp.toml does not let {issuer} certify its OCSP signer; name it among the issuers there and restart")]
    NoSigner { issuer: String },
    #[error("the certificate holds no name of an authority; have it certified anew")]
    Name,
    #[error("the certificate binds no names, and the one before it is bound to mail domains; hold the ceremony anew with mail_domains in its file")]
    Unbound,
    #[error("{root} has no list that is in force, and relying parties would ask for it; make one with `ca crl root prepare --root {root}`, `ca ceremony run` and `ca crl root publish`")]
    NoList { root: String },
    #[error("the certificate is not valid now; wait for its first day, or set the clock")]
    NotNow,
    #[error(transparent)]
    Birth(#[from] BirthError),
    #[error(transparent)]
    Certified(#[from] CertifiedError),
    #[error(transparent)]
    Own(#[from] OwnError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// A key that waits for its certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requested {
    pub id: String,
    /// PKCS#10, PEM.
    pub request: String,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key_sha256: String,
    /// The name that the present generation has, for whoever gives the next its own; of the first, the name to give it.
    pub present_name: String,
    /// Whether there is none before it.
    #[serde(default)]
    pub first: bool,
}

/// 1. The key of the next generation, and its request. Asked again before it is certified, it is the same key.
pub fn request(authority: &Authority, authorised: &Authorised<impl Successor>, issuer: &str) -> Result<Requested, TakeOverError> {
    let birthplace = authority.issuers.birthplace.as_ref().ok_or(TakeOverError::NoBirthplace)?;
    let names = || authority.issuers.values().filter(|issuer| !issuer.is_root()).map(|issuer| issuer.policy_name().to_owned());
    let unknown = || TakeOverError::Unknown { issuer: issuer.chars().take(64).collect(), known: names().collect::<std::collections::BTreeSet<_>>().into_iter().collect() };
    let present = authority.issuers.newest(issuer).filter(|issuer| !issuer.is_root());
    let (number, id, present_name) = match (present, FOUNDED_LATER.iter().find(|(id, _)| *id == issuer)) {
        (Some(present), _) => {
            let number = present.record.generation() + 1;
            (number, format!("{issuer}-{number}"), common_name(&present.record.der)?)
        }
        // An authority that came with a later version: its first generation has its own name.
        (None, Some((_, name))) => (1, issuer.to_owned(), (*name).to_owned()),
        (None, None) => return Err(unknown()),
    };
    // Found out now, and not when the ceremony is over.
    if !authority.policies.profile("ocsp").is_some_and(|profile| profile.issuers().iter().any(|one| one.name() == issuer)) {
        return Err(TakeOverError::NoSigner { issuer: issuer.to_owned() });
    }
    let place = IssuerRequest::key(&id);
    let key = match authority.store.get(&place).map_err(IssueError::from)? {
        Some(waiting) => own_key(birthplace, &decode(&waiting).map_err(|_| IssueError::Damaged { what: "a request of an issuer" })?)?,
        None => {
            let born = birthplace.issuing(&id)?;
            let public_key_info = pki::signer::Signer::public_key_info(&born.handle).to_vec();
            let waiting = IssuerRequest { id: id.clone(), generation: Generation { of: issuer.to_owned(), number }, public_key_info, token_key: born.token_key };
            let (key, by) = (crate::sha256_hex(&waiting.public_key_info), authorised.actor().to_string());
            let made = log::Entry::IssuerKeyMade { issuer, id: &id, key: &key, by: &by };
            let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).put(place, encode(&waiting).map_err(IssueError::from)?);
            batch.append(log::STREAM, made.leaf(authority.clock.now()).map_err(IssueError::from)?);
            authority.store.commit(batch).map_err(IssueError::from)?;
            born.handle
        }
    };
    let request = own::request(&key)?;
    let key_sha256 = crate::sha256_hex(pki::signer::Signer::public_key_info(&key));
    Ok(Requested { id, request: crate::service::pem("CERTIFICATE REQUEST", &request), key_sha256, present_name, first: number == 1 })
}

fn own_key(birthplace: &Birthplace, waiting: &IssuerRequest) -> Result<keys::KeyHandle, TakeOverError> {
    match (&waiting.token_key, &birthplace.token) {
        (None, _) => Ok(birthplace.keys.load(&waiting.id).map_err(BirthError::from)?),
        (Some(key), Some(token)) => {
            let algorithm = pki::signer::SignatureAlgorithm::EcdsaP256Sha256;
            Ok(token.key(&waiting.id, key, algorithm, &waiting.public_key_info).map_err(BirthError::from)?)
        }
        (Some(_), None) => Err(TakeOverError::NoBirthplace),
    }
}

fn common_name(der: &[u8]) -> Result<String, TakeOverError> {
    let (_, read) = X509Certificate::from_der(der).map_err(|_| TakeOverError::Name)?;
    let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.map(str::to_owned).ok_or(TakeOverError::Name)
}

/// 2. Takes the certificate in, and hands over.
pub fn install(authority: &Authority, authorised: &Authorised<impl Successor>, der: &[u8]) -> Result<Arc<Issuer>, TakeOverError> {
    let birthplace = authority.issuers.birthplace.as_ref().ok_or(TakeOverError::NoBirthplace)?;
    // 1. The certificate of a key that waits here, by one of the roots: the generation goes on beneath that one.
    let Ok(([], read)) = X509Certificate::from_der(der) else { return Err(TakeOverError::NotRequested) };
    let (place, stored, waiting) = waiting(authority, read.public_key().raw)?.ok_or(TakeOverError::NotRequested)?;
    let root = authority.issuers.roots().into_iter().find(|root| root.signed(&read)).ok_or(CertifiedError::NotByRoot)?;
    // What a revoked root certified certifies nobody, and its place would be taken for good.
    issue::not_revoked(authority, root)?;
    let key = own_key(birthplace, &waiting)?;
    // Of a key that was reported since it was born nothing is taken in.
    let key_digest = ring::digest::digest(&ring::digest::SHA256, &waiting.public_key_info).as_ref().to_vec();
    let blocked = CertificateRecord::blocked_key(&key_digest);
    if authority.store.get(&blocked).map_err(IssueError::from)?.is_some() {
        return Err(IssueError::BlockedKey.into());
    }
    if authority.key_lists.holds(&waiting.public_key_info) {
        return Err(IssueError::ListedKey.into());
    }
    // 2. What the profile makes of that key with this name and these dates, and nothing else; by the root's key.
    let name = common_name(der)?;
    let (from, until) = (read.validity().not_before.to_datetime(), read.validity().not_after.to_datetime());
    let request = Request::parse(&own::request(&key)?).map_err(IssueError::from)?;
    // A generation is bound where the one before it is; to what, people decided at its ceremony.
    let mail_domains = certified::bound_to(der);
    let before = authority.issuers.newest(&waiting.generation.of).filter(|before| !before.is_root());
    if mail_domains.is_empty() && before.is_some_and(|before| !certified::bound_to(&before.record.der).is_empty()) {
        return Err(TakeOverError::Unbound);
    }
    let (_, facts) = certified::plan(&authority.policies, &authority.addresses, root, &Wanted { name: &name, not_before: from, not_after: until, mail_domains: &mail_domains, request: &request })?;
    certified::check(der, root, &facts)?;
    let now = authority.clock.now();
    if now < from || now > until {
        return Err(TakeOverError::NotNow);
    }
    // Whoever relies on a certificate beneath a root asks for that root's list.
    if !super::numbering::head(authority, root.id(), Scope::Whole)?.is_some_and(|list| list.next_update > now.unix_timestamp()) {
        return Err(TakeOverError::NoList { root: root.id().to_owned() });
    }
    // 3. Issuer, certificate and log entries in one commit. It issues nothing yet.
    let record = IssuerRecord { id: waiting.id.clone(), der: der.to_vec(), ocsp: None, token_key: waiting.token_key.clone(), generation: Some(waiting.generation.clone()), under: (root.id() != ROOT).then(|| root.id().to_owned()) };
    let serial = read.raw_serial().to_vec();
    let certificate = CertificateRecord {
        issuer: root.id().to_owned(),
        profile: ISSUING.into(),
        name,
        code: None,
        not_before: from.unix_timestamp(),
        not_after: until.unix_timestamp(),
        key_digest,
        shard: None,
        der: der.to_vec(),
        status: Status::Good,
        predecessor: None,
    };
    let (sha256, by) = (crate::sha256_hex(der), authorised.actor().to_string());
    let issued = log::Entry::CertificateIssued { issuer: root.id(), serial: &serial_text(&serial), profile: ISSUING, sha256: &sha256 };
    let Generation { of, number } = &waiting.generation;
    let succeeded = log::Entry::IssuerSucceeded { issuer: of, generation: *number, id: &waiting.id, sha256: &sha256, by: &by };
    let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), stored)).expect(Expectation::Absent(blocked)).delete(place);
    batch = batch.expect(Expectation::Absent(CertificateRecord::revoked(root.record.root(), &root.serial)));
    let issuer = IssuerRecord::key(&waiting.id);
    batch = batch.expect(Expectation::Absent(issuer.clone())).put(issuer, encode(&record).map_err(IssueError::from)?);
    batch = adopt::known(authority, batch, &serial, &certificate, now)?;
    batch.append(log::STREAM, issued.leaf(now).map_err(IssueError::from)?);
    batch.append(log::STREAM, succeeded.leaf(now).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    authority.issuers.join(Arc::new(Issuer::new(record, Some(key), None)?));
    // 4. What it needs to be relied on, and only then it is the one that issues.
    hand_over(authority, birthplace, &waiting.id)
}

fn waiting(authority: &Authority, public_key_info: &[u8]) -> Result<Option<(Key, Vec<u8>, IssuerRequest)>, TakeOverError> {
    let (from, to) = Key::range(IssuerRequest::TABLE, &[]);
    for (place, stored) in authority.store.scan(&from, &to, 1_000).map_err(IssueError::from)? {
        let waiting: IssuerRequest = decode(&stored).map_err(|_| IssueError::Damaged { what: "a request of an issuer" })?;
        if waiting.public_key_info == public_key_info {
            return Ok(Some((place, stored, waiting)));
        }
    }
    Ok(None)
}

/// The authority, by the name that profiles use, whose next generation a certificate makes; none where no key waits for it.
pub(super) fn generation_of(authority: &Authority, der: &[u8]) -> Result<Option<String>, TakeOverError> {
    let Ok(([], read)) = X509Certificate::from_der(der) else { return Ok(None) };
    Ok(waiting(authority, read.public_key().raw)?.map(|(_, _, waiting)| waiting.generation.of))
}

/// Goes on where a crash left a generation that was taken in without all it needs: the same step 4.
pub fn resume(authority: &Authority) -> Result<(), TakeOverError> {
    let Some(birthplace) = &authority.issuers.birthplace else { return Ok(()) };
    let unready: Vec<String> = authority.issuers.values().filter(|issuer| !issuer.is_root() && issuer.record.ocsp.is_none()).map(|issuer| issuer.id().to_owned()).collect();
    unready.iter().try_for_each(|id| hand_over(authority, birthplace, id).map(|_| ()))
}

/// An OCSP signer and a list of its own, then the profiles of its name.
fn hand_over(authority: &Authority, birthplace: &Birthplace, id: &str) -> Result<Arc<Issuer>, TakeOverError> {
    let _alone = authority.issuers.taking_over.lock().unwrap_or_else(PoisonError::into_inner);
    let issuer = authority.issuers.get(id).ok_or(IssueError::Damaged { what: "an issuer" })?;
    if issuer.record.ocsp.is_some() {
        return Ok(Arc::clone(issuer));
    }
    let signer_key = birthplace.kept(&format!("{id}-ocsp")).map_err(BirthError::from)?;
    let der = own::certify(authority, "ocsp", Some(id), &format!("{} OCSP", common_name(&issuer.record.der)?), &signer_key)?;
    let signer = OcspSigner { key: format!("{id}-ocsp"), der };
    let after = IssuerRecord { ocsp: Some(signer.clone()), ..issuer.record.clone() };
    let entry = log::Entry::OcspSignerReplaced { issuer: id, key: &signer.key, sha256: &crate::sha256_hex(&signer.der) };
    let place = IssuerRecord::key(id);
    let batch = Batch::new().expect(Expectation::Equals(place.clone(), encode(&issuer.record).map_err(IssueError::from)?));
    let mut batch = batch.put(place, encode(&after).map_err(IssueError::from)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    let ready = Arc::new(Issuer::new(after, issuer.key.clone(), Some(signer_key))?);
    // Its answers and its lists are there before the first certificate that points to them.
    authority.watchers.iter().for_each(|watcher| watcher.joined(&ready));
    listing::note_parts(authority, &ready)?;
    for scope in publish::scopes(authority, &ready)?.into_iter().filter(|scope| *scope != Scope::Delta) {
        if authority.store.get(&CrlRecord::of(id, scope)).map_err(IssueError::from)?.is_none() {
            publish::publish_scope(authority, &Authorised::service(), &ready, scope)?;
        }
    }
    authority.issuers.join(Arc::clone(&ready));
    Ok(ready)
}

impl From<TakeOverError> for Problem {
    fn from(error: TakeOverError) -> Self {
        let (exit, code) = match error {
            TakeOverError::Issue(error) | TakeOverError::Certified(CertifiedError::Issue(error)) => return error.into(),
            TakeOverError::Birth(BirthError::Keys(error)) => return InitError::from(error).into(),
            TakeOverError::Birth(BirthError::Token(error)) => return InitError::from(error).into(),
            TakeOverError::Own(error) => return InitError::from(error).into(),
            TakeOverError::Unknown { .. } => (Exit::NotFound, "unknown-issuer"),
            TakeOverError::NoSigner { .. } => (Exit::Refused, "no-signer-profile"),
            TakeOverError::NoBirthplace => (Exit::Usage, "no-key-store"),
            TakeOverError::NotRequested => (Exit::NotFound, "not-requested"),
            TakeOverError::Name | TakeOverError::Certified(_) => (Exit::Refused, "certified"),
            TakeOverError::Unbound => (Exit::Refused, "unbound"),
            TakeOverError::NotNow => (Exit::Refused, "not-now"),
            TakeOverError::NoList { .. } => (Exit::Refused, "no-root-list"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
