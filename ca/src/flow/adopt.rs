//! After a restore: certificates and revocations of the time that the backup does not know are entered again, each
//! proved by our own signature.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use const_oid::ObjectIdentifier as Oid;
use policies::certificate::Profile;
use policies::identity::CreditCode;
use ring::digest::{SHA256, digest};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};
use time::OffsetDateTime;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::revocation_list::RevokedCertificate;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::authorise::{Administrator, Authorised};
use super::{hold, listing, owner, revoke, succeed};
use crate::authority::{Authority, Issuer};
use crate::own_name;
use crate::problem::IssueError;
use crate::record::{Act, CertificateRecord, CrlRecord, Hold, Listed, Predecessor, Reason, Revocation, Scope, Status, Succession, decode, encode, log, serial_text};
use crate::register::{self, RegisterError};

/// The longest certificate and the longest list that are read.
pub const CERTIFICATE_LIMIT: usize = 64 * 1024;
const LIST_LIMIT: u64 = 256 << 20;
/// What a list may say of certificates that nobody here knows: those of the time between backup and loss.
const UNKNOWN_LIMIT: usize = 100_000;

/// Where a list says which certificates it is about.
const DISTRIBUTION_POINT: &str = "2.5.29.28";
/// Where a list says that it only tells what changed.
const DELTA_INDICATOR: &str = "2.5.29.27";

/// More renewals than a holder makes.
const LONGEST_LINE: usize = 1_000;

/// Where the unified social credit code stands in a subject.
const ORGANIZATION_IDENTIFIER: &str = "2.5.4.97";

#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    #[error("this is no certificate; give one of ours, PEM or DER")]
    NoCertificate,
    #[error("this is no revocation list; give one of ours, PEM or DER")]
    NoList,
    #[error("no issuer here signed this; nothing of others is adopted: look where it comes from")]
    NotOurs,
    #[error("certificate {serial} is in the register with another content; this must not be: keep both and have the issuer's key examined")]
    Doubled { serial: String },
    #[error("{count} profiles could have made this certificate; name the right one with --profile")]
    Profile { count: usize },
    #[error("certificate {serial} is of another holder or profile, or is the newer one; name the certificate whose place this one took")]
    NoSuccessor { serial: String },
    #[error("certificate {serial} came before the other already, so that they would follow each other in a circle; name them the other way round")]
    Circle { serial: String },
    #[error("certificate {serial} stands at the other end of that link already; look at it with `ca show`")]
    Linked { serial: String },
    #[error("this is a delta, which says what changed and not what is; give the whole list, or the list of a part")]
    Delta,
    #[error("the list names {count} certificates that nobody here knows, more than can come of a restore; use a newer backup")]
    TooMany { count: usize },
    #[error("{path}: {reason}; give a list that is on the authority's own host", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// A certificate that is in the register.
pub struct Adopted {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    /// Whether it was there before.
    pub before: bool,
}

/// Enters a certificate of ours that the register does not know.
pub fn certificate(authority: &Authority, authorised: &Authorised<Administrator>, der: &[u8], profile: Option<&str>) -> Result<Adopted, AdoptError> {
    // 1. Ours: the signature of one of our issuers over these bytes.
    let read = match X509Certificate::from_der(der) {
        Ok(([], read)) if der.len() <= CERTIFICATE_LIMIT => read,
        _ => return Err(AdoptError::NoCertificate),
    };
    let signs = |issuer: &&Arc<Issuer>| issuer.name == read.issuer().as_raw() && key(issuer).is_some_and(|key| read.verify_signature(Some(&key)).is_ok());
    let issuer = authority.issuers.values().find(signs).ok_or(AdoptError::NotOurs)?;
    // 2. Unknown; a serial of ours has sixteen octets.
    let serial = read.raw_serial().to_vec();
    if serial.len() != 16 {
        return Err(AdoptError::NotOurs);
    }
    match register::find(&*authority.store, &serial).map_err(IssueError::from)? {
        Some(record) if record.der == der => return Ok(Adopted { serial, record, before: true }),
        Some(_) => return Err(AdoptError::Doubled { serial: serial_text(&serial) }),
        None => {}
    }
    // 3. The record that issuing it would have made.
    let profile = profile_of(authority, issuer, &read, profile)?;
    let key_digest = digest(&SHA256, read.public_key().raw).as_ref().to_vec();
    let code = read.subject().iter_attributes().find(|value| value.attr_type().to_id_string() == ORGANIZATION_IDENTIFIER).and_then(|value| value.as_str().ok());
    let code = code.and_then(|value| value.strip_prefix("NTRCN-")).and_then(|code| CreditCode::parse(code).ok());
    let mut record = CertificateRecord {
        issuer: issuer.id().to_owned(),
        profile: profile.name().to_owned(),
        name: read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned(),
        code: code.map(|code| code.as_str().to_owned()),
        not_before: read.validity().not_before.timestamp(),
        not_after: read.validity().not_after.timestamp(),
        key_digest,
        shard: authority.addresses.shard(issuer.id(), &read),
        der: der.to_vec(),
        status: Status::Good,
        predecessor: None,
    };
    // 4. What an adopted list already says of it, and whether its key was reported meanwhile.
    let now = authority.clock.now();
    let listed = authority.store.get(&CertificateRecord::revoked(&record.issuer, &serial)).map_err(IssueError::from)?;
    let told = listed.as_deref().map(decode::<Listed>).transpose().map_err(|_| IssueError::Damaged { what: "a revocation" })?;
    let blocked = CertificateRecord::blocked_key(&record.key_digest);
    record.status = match told {
        Some(Listed::Revoked(revocation)) => Status::Revoked(revocation),
        _ if authority.store.get(&blocked).map_err(IssueError::from)?.is_some() => Status::Revoked(Revocation::new(now.unix_timestamp().max(record.not_before), Reason::KeyCompromise)),
        Some(Listed::Held { held_since }) => Status::Held(Hold { at: held_since, counted_from: now.unix_timestamp(), freeze: None }),
        None => Status::Good,
    };
    // 5. Record, indexes and log entry in one commit. Only then it is told.
    let batch = listing::reaching(entered(authority, authorised, &serial, &record, now)?, authority, &record)?;
    let batch = match &listed {
        Some(listed) => batch.expect(Expectation::Equals(CertificateRecord::revoked(&record.issuer, &serial), listed.clone())),
        None => batch.expect(Expectation::Absent(CertificateRecord::revoked(&record.issuer, &serial))),
    };
    let batch = match &record.status {
        Status::Revoked(revocation) => revoke::marked(batch, &serial, &record, *revocation, authorised.actor(), now)?,
        Status::Held(hold) => {
            let batch = batch.expect(Expectation::Absent(blocked)).put(hold.due_key(&serial), serial.clone());
            listing::list(batch, &record, &serial, Some(&Listed::Held { held_since: hold.at }), now).map_err(IssueError::from)?
        }
        Status::Good => batch.expect(Expectation::Absent(blocked)),
    };
    let committed = authority.store.commit(batch);
    authority.changed(&record.issuer, &serial);
    committed.map_err(IssueError::from)?;
    // 6. A compromised key takes its other certificates with it.
    if let Status::Revoked(revocation) = record.status && revocation.reason == Reason::KeyCompromise {
        revoke::fallen(authority, authorised.actor(), &record.key_digest, revocation)?;
    }
    Ok(Adopted { serial, record, before: false })
}

/// The certificate whose place an adopted one took, as whoever adopts it knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succeeds {
    pub old: String,
    pub act: Act,
}

/// Enters the link that adoption alone does not know: of one holder, one profile, the older first, and once. When and why
/// the old one ends a list says, or an operator.
pub fn succeeds(authority: &Authority, authorised: &Authorised<Administrator>, serial: &[u8], order: &Succeeds) -> Result<CertificateRecord, AdoptError> {
    // 1. Both as they stand.
    let old = register::serial(&order.old).map_err(IssueError::from)?;
    let stored = |serial: &[u8]| -> Result<(Vec<u8>, CertificateRecord), IssueError> {
        let bytes = authority.store.get(&CertificateRecord::key(serial))?.ok_or_else(|| RegisterError::NotFound(serial_text(serial)))?;
        let record = decode(&bytes).map_err(|_| IssueError::Damaged { what: "a certificate" })?;
        Ok((bytes, record))
    };
    let ((before, record), (old_stored, old_record)) = (stored(serial)?, stored(&old)?);
    // 2. Whether one can have taken the place of the other.
    let link = Predecessor { serial: serial_text(&old), act: order.act, ends: None, counter: true };
    match &record.predecessor {
        Some(known) if known.serial == link.serial => return Ok(record),
        Some(known) => return Err(AdoptError::Linked { serial: known.serial.clone() }),
        None => {}
    }
    let one_holder = own_name::owner(&record).is_some_and(|owner| own_name::owner(&old_record) == Some(owner));
    if old == serial || !one_holder || record.profile != old_record.profile || record.not_before < old_record.not_before {
        return Err(AdoptError::NoSuccessor { serial: link.serial });
    }
    // Certificates of one second tell nothing by their dates: none comes before itself by way of others.
    let line = predecessors(authority, &old_record)?;
    if line.iter().any(|(key, _)| *key == CertificateRecord::key(serial)) {
        return Err(AdoptError::Circle { serial: serial_text(serial) });
    }
    let place = Succession::key(&old);
    if let Some(claim) = authority.store.get(&place).map_err(IssueError::from)? {
        let claim: Succession = decode(&claim).map_err(|_| IssueError::Damaged { what: "a succession" })?;
        return Err(AdoptError::Linked { serial: claim.serial });
    }
    // 3. Both ends of the link and its log entry in one commit.
    let now = authority.clock.now();
    let claim = Succession { serial: serial_text(serial), act: order.act, request_sha256: crate::sha256_hex(&record.der) };
    let after = CertificateRecord { predecessor: Some(link.clone()), ..record };
    let batch = Batch::new()
        .expect(Expectation::Equals(CertificateRecord::key(serial), before))
        .expect(Expectation::Equals(CertificateRecord::key(&old), old_stored))
        .expect(Expectation::Absent(place.clone()))
        .put(CertificateRecord::key(serial), encode(&after).map_err(IssueError::from)?)
        .put(place, encode(&claim).map_err(IssueError::from)?);
    // Nor does a link entered at the same moment close one.
    let batch = line.into_iter().fold(batch, |batch, (key, stored)| batch.expect(Expectation::Equals(key, stored)));
    let mut batch = succeed::linked(batch, serial, &link)?;
    let entry = log::Entry::SuccessionAdopted { issuer: &after.issuer, serial: &serial_text(serial), old: &link.serial, act: link.act, by: &authorised.actor().to_string() };
    batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(after)
}

/// The records of all that came before a certificate, one after the other.
fn predecessors(authority: &Authority, record: &CertificateRecord) -> Result<Vec<(Key, Vec<u8>)>, AdoptError> {
    let damaged = || IssueError::Damaged { what: "a succession" };
    let mut line: Vec<(Key, Vec<u8>)> = Vec::new();
    let mut next = record.predecessor.as_ref().map(|link| link.serial.clone());
    while let Some(serial) = next {
        let key = CertificateRecord::key(&register::serial(&serial).map_err(IssueError::from)?);
        if line.len() >= LONGEST_LINE || line.iter().any(|(known, _)| *known == key) {
            return Err(damaged().into());
        }
        // One that a restore lost ends the line.
        let Some(stored) = authority.store.get(&key).map_err(IssueError::from)? else { break };
        let record: CertificateRecord = decode(&stored).map_err(|_| damaged())?;
        next = record.predecessor.map(|link| link.serial);
        line.push((key, stored));
    }
    Ok(line)
}

fn key(issuer: &Issuer) -> Option<SubjectPublicKeyInfo<'_>> {
    SubjectPublicKeyInfo::from_der(&issuer.public_key_info).ok().map(|(_, key)| key)
}

/// The profile that was named, or the only one whose certificates have these policies and purposes.
fn profile_of<'a>(authority: &'a Authority, issuer: &Issuer, read: &X509Certificate<'_>, named: Option<&str>) -> Result<&'a Profile, AdoptError> {
    let oid = |text: String| Oid::new(&text).map_err(|_| AdoptError::NoCertificate);
    let (mut policies, mut usages) = (Vec::new(), Vec::new());
    for extension in read.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CertificatePolicies(found) => {
                for policy in found {
                    policies.push(oid(policy.policy_id.to_id_string())?);
                }
            }
            ParsedExtension::ExtendedKeyUsage(_) => {
                let mut sequence = pki::asn1::Reader::new(extension.value);
                let mut each = pki::asn1::Reader::new(sequence.take(0x30).map_err(|_| AdoptError::NoCertificate)?);
                while !each.is_empty() {
                    let usage = each.take(6).map_err(|_| AdoptError::NoCertificate)?;
                    usages.push(Oid::from_bytes(usage).map_err(|_| AdoptError::NoCertificate)?);
                }
            }
            _ => {}
        }
    }
    let by = issuer.facts()?.issuer;
    let fitting: Vec<_> = authority.policies.profiles().filter(|profile| profile.made(by, &policies, &usages) && named.is_none_or(|named| named == profile.name())).collect();
    match fitting.as_slice() {
        [only] => Ok(only),
        several => Err(AdoptError::Profile { count: several.len() }),
    }
}

fn entered(authority: &Authority, authorised: &Authorised<Administrator>, serial: &[u8], record: &CertificateRecord, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let (sha256, by) = (crate::sha256_hex(&record.der), authorised.actor().to_string());
    let entry = log::Entry::CertificateAdopted { issuer: &record.issuer, serial: &serial_text(serial), profile: &record.profile, sha256: &sha256, by: &by };
    let mut batch = known(authority, Batch::new(), serial, record, now)?;
    batch.append(log::STREAM, entry.leaf(now)?);
    Ok(batch)
}

/// What a certificate that was signed elsewhere or before leaves: record, indexes, whose the key is, and the tag by which
/// its holder finds it in the log.
pub(crate) fn known(authority: &Authority, batch: Batch, serial: &[u8], record: &CertificateRecord, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let owner = own_name::owner(record).ok_or(IssueError::Damaged { what: "a certificate" })?;
    let tag = super::own_name::tag(authority, &owner, serial)?;
    let named = log::Entry::CertificateNamed { issuer: &record.issuer, serial: &serial_text(serial), tag: &tag };
    let mut batch = batch.expect(Expectation::Absent(CertificateRecord::key(serial))).put(CertificateRecord::key(serial), encode(record)?);
    for index in record.indexes(serial) {
        batch = batch.put(index, serial.to_vec());
    }
    batch.append(log::STREAM, named.leaf(now)?);
    // The key is its owner's as if it had been certified now; one that went to somebody else since stays theirs.
    match owner::judge(authority, &record.key_digest, owner) {
        Ok(known) => Ok(owner::claimed(batch, &record.key_digest, owner, known)),
        Err(IssueError::KeyOfAnother) => Ok(batch),
        Err(error) => Err(error),
    }
}

/// A list that the register now agrees with.
pub struct Held {
    pub issuer: String,
    pub number: u64,
    pub entries: u64,
    /// Certificates known as good that are revoked or suspended now.
    pub changed: u64,
    /// Serials that only the list knows.
    pub unknown: u64,
}

/// A list, PEM or DER, from a file: a pipe or a device would be waited for or read for ever.
pub fn read_list(file: &Path) -> Result<Vec<u8>, AdoptError> {
    let failed = |reason: String| AdoptError::File { path: file.to_owned(), reason };
    let mut der = Vec::new();
    // Not even opening waits.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = File::options().read(true).custom_flags(flags).open(file).map_err(|error| failed(error.to_string()))?;
    if !opened.metadata().is_ok_and(|found| found.is_file()) {
        return Err(failed("it is no file".into()));
    }
    opened.take(LIST_LIMIT + 1).read_to_end(&mut der).map_err(|error| failed(error.to_string()))?;
    if der.len() as u64 > LIST_LIMIT {
        return Err(failed("it is too long".into()));
    }
    Ok(der)
}

/// The newest list of an issuer, or of one of its parts, that is known of the time before a loss: the register's own when it
/// was backed up, or one that was adopted since, as `mark` writes it.
pub(super) fn newest(issuer: &str, scope: Scope) -> Key {
    scope.key("adopted-list", issuer)
}

/// Which list of an issuer it is, by the distribution point that it names.
// spec: rfc5280#5.2.5
fn scope_of(authority: &Authority, issuer: &str, read: &CertificateRevocationList<'_>) -> Result<Scope, IssueError> {
    let Some(named) = read.extensions().iter().find(|extension| extension.oid.to_id_string() == DISTRIBUTION_POINT) else { return Ok(Scope::Whole) };
    let names = |scope: &Scope| {
        let list = authority.addresses.list(issuer, *scope);
        named.value.windows(list.len()).any(|octets| octets == list.as_bytes())
    };
    Ok((0..listing::partitions(authority, issuer)?).map(Scope::Shard).find(names).unwrap_or(Scope::Whole))
}

/// The time from which a list speaks, and its number: several of one second are told apart by it.
pub(super) fn mark(this_update: i64, number: u64) -> Vec<u8> {
    [this_update.to_be_bytes(), number.to_be_bytes()].concat()
}

/// Since when something is known of a list, if it is, and of what number.
fn known_since(authority: &Authority, issuer: &str, scope: Scope) -> Result<Option<(i64, u64)>, IssueError> {
    let Some(bytes) = authority.store.get(&newest(issuer, scope))? else { return Ok(None) };
    match bytes.as_chunks::<8>() {
        ([at, number], []) => Ok(Some((i64::from_be_bytes(*at), u64::from_be_bytes(*number)))),
        _ => Err(IssueError::Damaged { what: "when a list was adopted" }),
    }
}

/// Revokes and suspends what a list of ours says, and keeps the numbers above its own.
///
/// Lists come in any order: a revocation is final and counts whichever of them says it; a suspension counts only in a list
/// newer than what is known of the whole and of the certificate's part, since it may have been lifted or become a revocation
/// after it.
pub fn list(authority: &Authority, authorised: &Authorised<Administrator>, mut der: Vec<u8>) -> Result<Held, AdoptError> {
    if der.first() != Some(&0x30) {
        der = pem::parse(&der).ok().filter(|pem| pem.tag() == "X509 CRL").map(pem::Pem::into_contents).ok_or(AdoptError::NoList)?;
    }
    // 1. Ours: the signature of one of our issuers over these bytes.
    let Ok(([], read)) = CertificateRevocationList::from_der(&der) else { return Err(AdoptError::NoList) };
    let signs = |issuer: &&Arc<Issuer>| issuer.name == read.issuer().as_raw() && key(issuer).is_some_and(|key| read.verify_signature(&key).is_ok());
    let issuer = authority.issuers.values().find(signs).ok_or(AdoptError::NotOurs)?;
    let number = read.crl_number().and_then(|number| u64::try_from(number).ok()).ok_or(AdoptError::NoList)?;
    // spec: rfc5280#5.2.4
    if read.extensions().iter().any(|extension| extension.oid.to_id_string() == DELTA_INDICATOR) {
        return Err(AdoptError::Delta);
    }
    let (speaks_from, scope) = (read.last_update().timestamp(), scope_of(authority, issuer.id(), &read)?);
    let latest = newest(issuer.id(), scope);
    let before = authority.store.get(&latest).map_err(IssueError::from)?;
    // Numbers rise within one list; between the whole and its parts the time alone says which speaks later.
    let is_newer = |of: Scope, than: Option<(i64, u64)>| than.is_none_or(|(at, before)| if of == scope { (speaks_from, number) > (at, before) } else { speaks_from >= at });
    let known = |scope: Scope| known_since(authority, issuer.id(), scope).map(|than| is_newer(scope, than));
    let newer_than_whole = known(Scope::Whole)?;
    let newer_than_part = (0..listing::partitions(authority, issuer.id())?).map(|part| known(Scope::Shard(part))).collect::<Result<Vec<_>, _>>()?;
    let counts_for = |shard: Option<u16>| match (scope, shard) {
        (Scope::Shard(part), _) | (_, Some(part)) => newer_than_whole && newer_than_part.get(usize::from(part)).is_none_or(|newer| *newer),
        // Of a certificate that nobody knows any part may have told since.
        _ => newer_than_whole && newer_than_part.iter().all(|newer| *newer),
    };
    let is_newest = known(scope)?;
    let mut held = Held { issuer: issuer.id().to_owned(), number, entries: 0, changed: 0, unknown: 0 };
    let mut unknown = Vec::new();
    // 2. What is known and not held to yet, each on the line of its own act.
    for entry in read.iter_revoked_certificates() {
        held.entries += 1;
        let (serial, listed) = (entry.raw_serial().to_vec(), said(entry));
        let suspends = matches!(listed, Listed::Held { .. });
        match register::find(&*authority.store, &serial).map_err(IssueError::from)? {
            Some(found) if found.issuer == held.issuer && suspends && !counts_for(found.shard) => {}
            Some(found) if found.issuer == held.issuer => held.changed += u64::from(hold_to(authority, authorised, serial, found, listed)?),
            Some(_) => return Err(AdoptError::Doubled { serial: serial_text(&serial) }),
            None => {
                held.unknown += 1;
                let place = CertificateRecord::revoked(&held.issuer, &serial);
                let known = authority.store.get(&place).map_err(IssueError::from)?;
                let was = known.as_deref().map(decode::<Listed>).transpose().map_err(|_| IssueError::Damaged { what: "a revocation" })?;
                // What is revoked stays so; that its key was compromised alone is worth more than the reason before.
                let tells = match (&was, &listed) {
                    (Some(Listed::Revoked(before)), Listed::Revoked(now)) => compromised_since(before, now),
                    (Some(Listed::Revoked(_) | Listed::Held { .. }), Listed::Held { .. }) => false,
                    (_, Listed::Revoked(_)) => true,
                    (None, Listed::Held { .. }) => counts_for(None),
                };
                if tells {
                    unknown.push((serial, listed, known));
                }
            }
        }
    }
    // 3. What is not known stays on our lists all the same; with the number and the log entry in one commit.
    if unknown.len() > UNKNOWN_LIMIT {
        return Err(AdoptError::TooMany { count: unknown.len() });
    }
    let (sha256, by) = (crate::sha256_hex(&der), authorised.actor().to_string());
    let entry = log::Entry::CrlAdopted { issuer: &held.issuer, number, entries: held.entries, sha256: &sha256, by: &by };
    let floor = authority.store.get(&CrlRecord::floor()).map_err(IssueError::from)?;
    let now = authority.clock.now();
    let mut batch = listing::all_stale(Batch::new(), &held.issuer, 0);
    batch = match floor {
        Some(before) => batch.expect(Expectation::Equals(CrlRecord::floor(), before)),
        None => batch.expect(Expectation::Absent(CrlRecord::floor())),
    };
    batch = batch.put(CrlRecord::floor(), number.max(super::publish::floor(authority)?).to_be_bytes().as_slice());
    if is_newest {
        let rests_on = before.map_or_else(|| Expectation::Absent(latest.clone()), |before| Expectation::Equals(latest.clone(), before));
        batch = batch.expect(rests_on).put(latest, mark(speaks_from, number));
    }
    for (serial, listed, known) in &unknown {
        let place = CertificateRecord::revoked(&held.issuer, serial);
        let rests_on = known.as_ref().map_or_else(|| Expectation::Absent(place.clone()), |known| Expectation::Equals(place.clone(), known.clone()));
        batch = batch.expect(Expectation::Absent(CertificateRecord::key(serial))).expect(rests_on).put(place, encode(listed).map_err(IssueError::from)?);
        // Nobody knows its part: the whole list and the delta name it.
        let (told, number) = listing::changed(batch, &held.issuer, serial, now);
        batch = listing::stale(listing::stale(told, &held.issuer, Scope::Whole, number), &held.issuer, Scope::Delta, number);
    }
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    let committed = authority.store.commit(batch);
    unknown.iter().for_each(|(serial, ..)| authority.changed(&held.issuer, serial));
    committed.map_err(IssueError::from)?;
    Ok(held)
}

/// Whether a revocation says that the key was compromised, and the one before did not.
fn compromised_since(before: &Revocation, now: &Revocation) -> bool {
    now.reason == Reason::KeyCompromise && before.reason != Reason::KeyCompromise
}

/// Whether something had to be changed for it. A revocation here is final, whatever the list says.
fn hold_to(authority: &Authority, authorised: &Authorised<Administrator>, serial: Vec<u8>, found: CertificateRecord, listed: Listed) -> Result<bool, IssueError> {
    match (&found.status, listed) {
        (Status::Revoked(before), Listed::Revoked(said)) if compromised_since(before, &said) => {
            let at = before.at.min(said.at).max(found.not_before);
            let revocation = Revocation { at, invalid_since: said.invalid_since.or(before.invalid_since).map(|since| since.min(at)), ..said };
            revoke::with_siblings(authority, authorised.actor(), (serial, found), revocation, authority.clock.now())?;
            Ok(true)
        }
        (Status::Revoked(_), _) | (Status::Held(_), Listed::Held { .. }) => Ok(false),
        (_, Listed::Revoked(revocation)) => {
            revoke::with_siblings(authority, authorised.actor(), (serial, found), revocation, authority.clock.now())?;
            Ok(true)
        }
        (Status::Good, Listed::Held { held_since }) => {
            let at = held_since.max(found.not_before);
            hold::suspended(authority, authorised.actor(), serial, found, Hold { at, counted_from: authority.clock.now().unix_timestamp(), freeze: None })?;
            Ok(true)
        }
    }
}

// spec: rfc5280#5.3.1
fn said(entry: &RevokedCertificate<'_>) -> Listed {
    let at = entry.revocation_date.timestamp();
    let reason = match entry.reason_code().map_or(0, |(_, reason)| reason.0) {
        6 => return Listed::Held { held_since: at },
        1 => Reason::KeyCompromise,
        3 => Reason::AffiliationChanged,
        4 => Reason::Superseded,
        5 => Reason::CessationOfOperation,
        9 => Reason::PrivilegeWithdrawn,
        _ => Reason::Unspecified,
    };
    let invalid_since = entry.invalidity_date().map(|(_, date)| date.timestamp()).filter(|since| *since < at);
    Listed::Revoked(Revocation { invalid_since, ..Revocation::new(at, reason) })
}

impl From<AdoptError> for Problem {
    fn from(error: AdoptError) -> Self {
        let (exit, code) = match error {
            AdoptError::Issue(error) => return error.into(),
            AdoptError::NoCertificate | AdoptError::NoList => (Exit::Usage, "adopt"),
            AdoptError::File { .. } => (Exit::Unavailable, "file"),
            AdoptError::NotOurs => (Exit::Refused, "not-ours"),
            AdoptError::NoSuccessor { .. } => (Exit::Refused, "no-successor"),
            AdoptError::Linked { .. } | AdoptError::Circle { .. } => (Exit::Conflict, "succeeded"),
            AdoptError::Delta => (Exit::Usage, "delta"),
            AdoptError::Profile { .. } => (Exit::Usage, "adopt-profile"),
            AdoptError::TooMany { .. } => (Exit::Refused, "too-many"),
            AdoptError::Doubled { .. } => (Exit::Damaged, "doubled"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
