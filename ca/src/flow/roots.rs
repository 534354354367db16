//! A root's next generation is published beside the present one, with the certificates by which each vouches for the
//! other: relying parties of either find a path, long before anything is issued beneath the new one.
//!
//! 1 judge    the new root signs itself under the present one's name, with a key of its own that is not refused
//! 2 across   the present root certified that key as the ceremony does, and, where given, the other way round
//! 3 record   root and certificates, the register's record of what either signed, and their log entries, in one commit
//!
//! From then on the new root is among the issuers: its list is made and published as the present one's is, and a generation of
//! issuing authorities that it certified takes over by `take_over`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};
use time::OffsetDateTime;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::adopt;
use super::authorise::{Administrator, Authorised};
use super::certified::{self, CertifiedError};
use crate::authority::{Authority, Issuer, ROOT};
use crate::ceremony::CeremonyError;
use crate::ceremony::roots::{self, Dates};
use crate::problem::IssueError;
use crate::record::{CertificateRecord, PublishedRoot, Status, decode, encode, log, serial_text};
use crate::register;

/// The profile of roots, and of the certificates across.
const PROFILE: &str = "root";
/// Generations of a root that are published.
const MOST: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("this is the root that the authority goes by; give the next one's certificate")]
    Present,
    #[error("the new root and the present one have two subjects, and a path through both would be longer than a root allows; hold the ceremony again with the present name")]
    Name,
    #[error("the certificate across is not of the {of} root's key; give the one that was made for it")]
    OtherKey { of: &'static str },
    #[error("a root or a certificate across is not valid now; wait for its first day, or set the clock")]
    NotNow,
    #[error("the root is published, and another certificate than this one as {id}; give the one that is published there, or hold the ceremony of a further root")]
    Different { id: String },
    #[error("the register has another certificate of this serial number by the root; see with `ca list` what it is, and hold the ceremony again")]
    SerialTaken,
    #[error("64 generations are published; this is no authority any more but a list of them")]
    TooMany,
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    #[error(transparent)]
    Certified(#[from] CertifiedError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<RootsError> for runtime::exit::Problem {
    fn from(error: RootsError) -> Self {
        use runtime::exit::Exit;
        let (exit, code) = match error {
            RootsError::Issue(error) | RootsError::Certified(CertifiedError::Issue(error)) => return error.into(),
            RootsError::Ceremony(error) => return error.into(),
            RootsError::Present | RootsError::TooMany | RootsError::Different { .. } | RootsError::SerialTaken => (Exit::Conflict, "roots"),
            RootsError::NotNow => (Exit::Refused, "not-now"),
            RootsError::Name | RootsError::OtherKey { .. } | RootsError::Certified(_) => (Exit::Refused, "certified"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}

/// What was made in ceremonies, DER.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRoot {
    #[serde(with = "crate::record::der_text")]
    pub root: Vec<u8>,
    /// Its key, certified by the present root.
    #[serde(with = "crate::record::der_text")]
    pub by_present: Vec<u8>,
    /// The present root's key, certified by it.
    pub by_new: Option<Across>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Across(#[serde(with = "crate::record::der_text")] pub Vec<u8>);

/// A certificate that is published under this name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub id: String,
    pub sha256: String,
    pub address: String,
}

/// The whole line. Said again, it is answered as before; the certificate the other way round may come later.
pub fn install(authority: &Authority, authorised: &Authorised<Administrator>, new: &NewRoot) -> Result<Vec<Published>, RootsError> {
    let present = authority.issuers.get(ROOT).ok_or(IssueError::Damaged { what: "the root" })?;
    let known = published(authority)?;
    if let Some(before) = known.iter().find(|one| one.der == new.root) {
        return again(authority, authorised, new, before, &known);
    }
    if known.len() >= MOST * 3 {
        return Err(RootsError::TooMany);
    }
    let generation = known.iter().map(|one| one.generation).max().unwrap_or(1) + 1;
    let id = format!("{ROOT}-{generation}");
    // 1.
    let root = judged(authority, new, &id)?;
    let blocked = CertificateRecord::blocked_key(&digest_of(&root.public_key_info));
    let now = authority.clock.now();
    // 2.
    across(authority, present, &root, &new.by_present, "new")?;
    if let Some(Across(der)) = &new.by_new {
        across(authority, &root, present, der, "present")?;
    }
    // 3.
    let mut records = vec![PublishedRoot { id: id.clone(), generation, der: new.root.clone() }, PublishedRoot { id: PublishedRoot::by_first(&id), generation, der: new.by_present.clone() }];
    records.extend(new.by_new.iter().map(|Across(der)| PublishedRoot { id: PublishedRoot::of_first(&id), generation, der: der.clone() }));
    let mut batch = Batch::new().expect(Expectation::Absent(blocked));
    batch = registered(authority, batch, &new.root, &id, now)?;
    batch = registered(authority, batch, &new.by_present, ROOT, now)?;
    if let Some(Across(der)) = &new.by_new {
        batch = registered(authority, batch, der, &id, now)?;
    }
    for one in &records {
        batch = batch.expect(Expectation::Absent(PublishedRoot::key(&one.id))).put(PublishedRoot::key(&one.id), encode(one).map_err(IssueError::from)?);
    }
    let (sha256, by_present) = (crate::sha256_hex(&new.root), crate::sha256_hex(&new.by_present));
    let by_new = new.by_new.as_ref().map(|Across(der)| crate::sha256_hex(der));
    let installed = log::Entry::RootPublished { id: &id, sha256: &sha256, by_present_sha256: &by_present, by_new_sha256: by_new.as_deref(), by: &authorised.actor().to_string() };
    batch.append(log::STREAM, installed.leaf(now).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    if let Some(root) = records.iter().find_map(PublishedRoot::issuer) {
        authority.issuers.join(Arc::new(Issuer::new(root, None, None)?));
    }
    Ok(records.iter().map(|one| told(authority, one)).collect())
}

/// A root that is published: what is said of it again, with the certificate the other way round where that is new.
fn again(authority: &Authority, authorised: &Authorised<Administrator>, new: &NewRoot, before: &PublishedRoot, known: &[PublishedRoot]) -> Result<Vec<Published>, RootsError> {
    let id = format!("{ROOT}-{}", before.generation);
    let (by_present, by_new) = (PublishedRoot::by_first(&id), PublishedRoot::of_first(&id));
    let mut records: Vec<PublishedRoot> = known.iter().filter(|one| one.generation == before.generation).cloned().collect();
    let of = |id: &str| records.iter().find(|one| one.id == id);
    if of(&by_present).is_some_and(|one| one.der != new.by_present) {
        return Err(RootsError::Different { id: by_present });
    }
    match (&new.by_new, of(&by_new)) {
        (Some(Across(der)), Some(one)) if one.der != *der => return Err(RootsError::Different { id: by_new }),
        (Some(Across(der)), None) => {
            // 1. and 2., as they are now.
            let present = authority.issuers.get(ROOT).ok_or(IssueError::Damaged { what: "the root" })?;
            let root = judged(authority, new, &id)?;
            across(authority, &root, present, der, "present")?;
            // 3.
            let record = PublishedRoot { id: by_new, generation: before.generation, der: der.clone() };
            let blocked = CertificateRecord::blocked_key(&digest_of(&root.public_key_info));
            let mut batch = Batch::new().expect(Expectation::Absent(blocked)).expect(Expectation::Absent(PublishedRoot::key(&record.id)));
            batch = registered(authority, batch, der, &id, authority.clock.now())?;
            batch = batch.put(PublishedRoot::key(&record.id), encode(&record).map_err(IssueError::from)?);
            let [sha256, by_present, by_new] = [&new.root, &new.by_present, der].map(|der| crate::sha256_hex(der));
            let entry = log::Entry::RootPublished { id: &id, sha256: &sha256, by_present_sha256: &by_present, by_new_sha256: Some(&by_new), by: &authorised.actor().to_string() };
            batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
            authority.store.commit(batch).map_err(IssueError::from)?;
            records.push(record);
        }
        _ => {}
    }
    Ok(records.iter().map(|one| told(authority, one)).collect())
}

/// The new root as one that may be: step 1.
fn judged(authority: &Authority, new: &NewRoot, id: &str) -> Result<Issuer, RootsError> {
    let present = authority.issuers.get(ROOT).ok_or(IssueError::Damaged { what: "the root" })?;
    let root = roots::signs_itself(&new.root, id)?;
    if root.public_key_info == present.public_key_info {
        return Err(RootsError::Present);
    }
    if root.name != present.name {
        return Err(RootsError::Name);
    }
    let now = authority.clock.now();
    if now < root.not_before || now > root.not_after {
        return Err(RootsError::NotNow);
    }
    if authority.store.get(&CertificateRecord::blocked_key(&digest_of(&root.public_key_info))).map_err(IssueError::from)?.is_some() {
        return Err(IssueError::BlockedKey.into());
    }
    if authority.key_lists.holds(&root.public_key_info) {
        return Err(IssueError::ListedKey.into());
    }
    Ok(root)
}

fn digest_of(public_key_info: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, public_key_info).as_ref().to_vec()
}

/// What the ceremony makes of `other`'s key under `by`, and nothing else.
fn across(authority: &Authority, by: &Issuer, other: &Issuer, der: &[u8], of: &'static str) -> Result<(), RootsError> {
    let Ok(([], read)) = X509Certificate::from_der(der) else { return Err(CertifiedError::NotByRoot.into()) };
    if read.public_key().raw != other.public_key_info {
        return Err(RootsError::OtherKey { of });
    }
    let dates = Dates { from: read.validity().not_before.to_datetime(), until: read.validity().not_after.to_datetime() };
    let (_, facts) = roots::cross(&authority.policies, &authority.addresses, by, other, dates)?;
    certified::check(der, by, &facts)?;
    let now = authority.clock.now();
    if now < dates.from || now > dates.until { Err(RootsError::NotNow) } else { Ok(()) }
}

/// What a root signed, in the register and, where that is new, in the log.
fn registered(authority: &Authority, batch: Batch, der: &[u8], issuer: &str, now: OffsetDateTime) -> Result<Batch, RootsError> {
    let (_, read) = X509Certificate::from_der(der).map_err(|_| CertifiedError::NotByRoot)?;
    let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned();
    let record = CertificateRecord {
        issuer: issuer.to_owned(),
        profile: PROFILE.into(),
        name,
        code: None,
        not_before: read.validity().not_before.timestamp(),
        not_after: read.validity().not_after.timestamp(),
        key_digest: digest_of(read.public_key().raw),
        shard: None,
        der: der.to_vec(),
        status: Status::Good,
        predecessor: None,
    };
    let serial = read.raw_serial();
    match register::find(&*authority.store, serial).map_err(IssueError::from)? {
        Some(known) if known.der == record.der => return Ok(batch),
        Some(_) => return Err(RootsError::SerialTaken),
        None => {}
    }
    let mut batch = adopt::known(authority, batch, serial, &record, now)?;
    let issued = log::Entry::CertificateIssued { issuer, serial: &serial_text(serial), profile: PROFILE, sha256: &crate::sha256_hex(der) };
    batch.append(log::STREAM, issued.leaf(now).map_err(IssueError::from)?);
    Ok(batch)
}

/// What leads from a certificate by `issuer` to the root of the founding, DER, without that root: whoever knows no other root
/// finds the way.
pub fn above(authority: &Authority, issuer: &str) -> Vec<Vec<u8>> {
    let Some(issuer) = authority.issuers.get(issuer).filter(|issuer| !issuer.is_root()) else { return Vec::new() };
    let mut above = vec![issuer.record.der.clone()];
    let root = issuer.record.root();
    if root != ROOT {
        let across = authority.store.get(&PublishedRoot::key(&PublishedRoot::by_first(root))).ok().flatten();
        above.extend(across.and_then(|bytes| decode::<PublishedRoot>(&bytes).ok()).map(|across| across.der));
    }
    above
}

/// The root whose list this is, by the key that it names: two roots have one name.
pub fn of_list<'a>(authority: &'a Authority, der: &[u8]) -> Option<&'a Issuer> {
    let read = lint::ReadList::read(der)?;
    let list = read.head()?;
    let named = list.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })?;
    authority.issuers.roots().into_iter().find(|root| root.key_id == named).map(Arc::as_ref)
}

/// Whether anybody is certified by a root beside itself, so that its list is asked for.
pub fn vouches(authority: &Authority, root: &Issuer) -> Result<bool, IssueError> {
    let beneath = authority.issuers.values().any(|issuer| !issuer.is_root() && issuer.record.root() == root.id());
    Ok(beneath || authority.store.get(&PublishedRoot::key(&PublishedRoot::of_first(root.id())))?.is_some())
}

fn told(authority: &Authority, one: &PublishedRoot) -> Published {
    Published { id: one.id.clone(), sha256: crate::sha256_hex(&one.der), address: authority.addresses.issuer(&one.id) }
}

/// Every certificate that is published beside the present root, the oldest generation first.
pub fn published(authority: &Authority) -> Result<Vec<PublishedRoot>, IssueError> {
    let (from, to) = Key::range(PublishedRoot::TABLE, &[]);
    let found = authority.store.scan(&from, &to, MOST * 4)?;
    let mut found = found.iter().map(|(_, bytes)| decode(bytes)).collect::<Result<Vec<PublishedRoot>, _>>().map_err(|_| IssueError::Damaged { what: "a root" })?;
    found.sort_by_key(|one| one.generation);
    Ok(found)
}
