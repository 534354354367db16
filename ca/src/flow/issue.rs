//! Issuing a certificate. Every step consumes the proof made by the step before; no other order compiles.
//!
//!  1 authorise      nobody reads a body before we know who sent it
//!  2 parse          values that cannot be wrong; the holder has proved to hold the key
//!  3 decide         pure: the same answer tomorrow
//!  4 approve        nobody approves twice, nobody approves their own; an order's approvals are of this very plan
//!  5 build          the exact bytes, once, with a fresh random serial
//!  6 lint           on a twin signed by a throwaway key: a bad profile never reaches the real one
//!  7 record intent  after a power cut we know what we were about to sign
//!  8 sign           consumes the intent: one signature each
//!  9 record         certificate, indexes and log entry in one commit
//! 10 answer         only a receipt can be rendered

mod signature;
mod unfinished;

use std::sync::{Arc, PoisonError};

use pki::certificate::CertificatePlan;
use pki::request::Request;
use pki::signer::Signer;
use policies::certificate::{Applicant, HostName, KeyAlgorithm, Kind, Profile, RequestedName, RequestFacts};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

pub(crate) use signature::{fresh_serial, linted, signed};
pub use unfinished::{finish, resume};

use signature::assembled;

use super::authorise::{Actor, Authorised, Operator, Orderer, Recoverer, Registrar};
use super::citizen::Vouching;
use super::meant::meant;
use super::order::{self, ApprovedOrder};
use super::owner::{self, Known};
use super::plan::{Words, certificate_plan, expected, key_algorithm, requested_names, strength};
use super::succeed::{self, Claim};
use super::{enterprise, hold, revoke};
use crate::authority::{Authority, Issuer};
use crate::own_name;
use crate::problem::IssueError;
use crate::register;
use crate::record::{Act, CertificateRecord, Channel, Intent, KeyOwner, OrderId, Reason, Revocation, Scope, Status, encode, log, serial_text};

/// How often a commit that others came before is made anew.
const ATTEMPTS: u32 = 8;

/// What is asked for, as it came in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub profile: String,
    /// PKCS#10, PEM or DER.
    pub request: Vec<u8>,
    pub applicant: Words,
    /// Which authority signs, where the profile leaves a choice.
    pub issuer: Option<String>,
}

/// Without the request: its subject may be a person's name.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("profile", &self.profile).field("applicant", &self.applicant).finish_non_exhaustive()
    }
}

/// The whole line.
pub fn issue(authority: &Authority, authorised: Authorised<Operator>, order: Order) -> Result<Recorded<SignedCertificate>, IssueError> {
    line(authority, parse(&authorised, order)?, None)
}

/// The same for a certificate in the place of another, which is signed only while the claim to that place holds.
pub(super) fn succeeding(authority: &Authority, authorised: &Authorised<impl Orderer>, order: Order, claim: Claim) -> Result<Recorded<SignedCertificate>, IssueError> {
    line(authority, Parsed { claim: Some(claim), ..parse(authorised, order)? }, None)
}

/// The same for a citizen, on a registrar's statement, which is used up with the intent.
pub(super) fn vouched(authority: &Authority, authorised: &Authorised<Registrar>, order: Order, vouching: Vouching) -> Result<Recorded<SignedCertificate>, IssueError> {
    line(authority, Parsed { vouching: Some(vouching), ..parse(authorised, order)? }, None)
}

/// The same for an officer's certificate that nobody is left to approve; only `recover` asks for one.
pub(super) fn recovering(authority: &Authority, authorised: &Authorised<Recoverer>, order: Order) -> Result<Recorded<SignedCertificate>, IssueError> {
    line(authority, Parsed { recovers: true, ..parse(authorised, order)? }, None)
}

/// The same for the key of the old certificate, whose holder proved to have it then.
pub(super) fn same_key(
    authority: &Authority,
    authorised: &Authorised<impl Orderer>,
    old: &CertificateRecord,
    applicant: Words,
    issuer: Option<String>,
    claim: Claim,
) -> Result<Recorded<SignedCertificate>, IssueError> {
    let view = pki::view::CertificateView::parse(&old.der).map_err(|_| IssueError::Damaged { what: "a certificate" })?;
    let key = pki::key::check(view.spki).map_err(pki::request::RequestError::WeakKey)?;
    let wanted = Wanted { key: strength(key), spki: view.spki.to_vec(), subject: Vec::new(), names: Vec::new(), asks_for_ca: false };
    let by = authorised.actor().clone();
    line(authority, Parsed { by, profile: old.profile.clone(), issuer, wanted, applicant: applicant.parse()?, mail_domains: Vec::new(), request_sha256: None, claim: Some(claim), vouching: None, recovers: false }, None)
}

/// The same for an order that was placed before, with the approvals it got. The order and its certificate are bound: by
/// one commit where the intent is recorded, by one where the certificate is.
pub(super) fn issue_ordered(authority: &Authority, approved: ApprovedOrder, claim: Option<Claim>) -> Result<Recorded<SignedCertificate>, IssueError> {
    let parsed = Parsed { claim, ..parse(&Authorised::<Operator>::service(), approved.order())? };
    line(authority, parsed, Some(approved))
}

/// Steps 2 and 3 alone: whether the policy would make a certificate of it now. Changes nothing.
pub fn try_out(authority: &Authority, authorised: &Authorised<Operator>, order: Order) -> Result<(), IssueError> {
    decide(authority, parse(authorised, order)?).map(|_| ())
}

/// Steps 3 to 9.
fn line(authority: &Authority, parsed: Parsed, ordered: Option<ApprovedOrder>) -> Result<Recorded<SignedCertificate>, IssueError> {
    let plan = decide(authority, parsed)?;
    let approved = approve(authority, plan, ordered)?;
    let tbs = build(authority, approved)?;
    let linted = lint(tbs)?;
    let intended = record_intent(authority, linted)?;
    let signed = sign(intended)?;
    let recorded = record(authority, signed)?;
    match &recorded.what().record.status {
        Status::Good => Ok(recorded),
        // The enterprise was frozen while we signed.
        Status::Held(hold) => Err(IssueError::EnterpriseFrozen { until: runtime::terminal::date(hold::until(authority, hold)) }),
        // Its key was reported as compromised while we signed, or the old one's, on whose word it was made.
        Status::Revoked(_) => Err(fallen(authority, &recorded.what().record)?),
    }
}

fn fallen(authority: &Authority, record: &CertificateRecord) -> Result<IssueError, IssueError> {
    let Some(predecessor) = record.predecessor.as_ref().filter(|one| one.on_word_of_key()) else { return Ok(IssueError::BlockedKey) };
    let old = register::serial(&predecessor.serial)?;
    match register::get(&*authority.store, &old)?.status {
        Status::Revoked(before) => Ok(revoke::already(&old, before)?),
        _ => Ok(IssueError::BlockedKey),
    }
}

/// 2. A request whose sender holds the key, and an applicant in words that cannot be wrong.
pub struct Parsed {
    by: Actor,
    profile: String,
    issuer: Option<String>,
    wanted: Wanted,
    applicant: Applicant,
    /// Of an issuing authority that is founded.
    mail_domains: Vec<HostName>,
    /// SHA-256 of the PKCS#10; none where the key of an old certificate is taken.
    request_sha256: Option<String>,
    claim: Option<Claim>,
    vouching: Option<Vouching>,
    recovers: bool,
}

/// A key whose holder proved to have it, and what was asked with it.
struct Wanted {
    key: KeyAlgorithm,
    spki: Vec<u8>,
    subject: Vec<(const_oid::ObjectIdentifier, String)>,
    names: Vec<RequestedName>,
    asks_for_ca: bool,
}

fn parse(authorised: &Authorised<impl Orderer>, order: Order) -> Result<Parsed, IssueError> {
    let request = Request::parse(&order.request)?;
    let names = requested_names(&request)?;
    let (applicant, mail_domains) = (order.applicant.parse()?, order.applicant.mail_domains);
    let request_sha256 = Some(crate::sha256_hex(request.der()));
    // A subject that says what is meant names nobody.
    let subject = if meant(&request.subject).is_some() { Vec::new() } else { request.subject.clone() };
    let wanted = Wanted { key: key_algorithm(&request), asks_for_ca: request.asks_for_ca(), spki: request.spki, subject, names };
    Ok(Parsed { by: authorised.actor().clone(), profile: order.profile, issuer: order.issuer, wanted, applicant, mail_domains, request_sha256, claim: None, vouching: None, recovers: false })
}

/// 3. What the policy makes of it.
pub struct Plan<'a> {
    issuer: Arc<Issuer>,
    profile: &'a Profile,
    plan: CertificatePlan,
    facts: lint::ProfileFacts,
    name: String,
    code: Option<String>,
    owner: KeyOwner,
    owned: Known,
    by: Actor,
    claim: Option<Claim>,
    vouching: Option<Vouching>,
    recovers: bool,
    /// SHA-256 of the request, and who it is for: what officers approve.
    request_sha256: Option<String>,
    applicant: Words,
}

fn decide(authority: &Authority, parsed: Parsed) -> Result<Plan<'_>, IssueError> {
    let Parsed { by, profile, issuer, wanted, applicant, mail_domains, request_sha256, claim, vouching, recovers } = parsed;
    let known = || authority.policies.profiles().map(|profile| profile.name().to_owned()).collect();
    let unknown = || IssueError::UnknownProfile { profile: profile.chars().take(64).collect(), known: known() };
    let profile = authority.policies.profile(&profile).ok_or_else(unknown)?;
    let key_digest = digest(&SHA256, &wanted.spki);
    if authority.store.get(&CertificateRecord::blocked_key(key_digest.as_ref()))?.is_some() {
        return Err(IssueError::BlockedKey);
    }
    if authority.key_lists.holds(&wanted.spki) {
        return Err(IssueError::ListedKey);
    }
    let facts = RequestFacts { key: wanted.key, subject: &wanted.subject, alternative_names: &wanted.names, asks_for_ca: wanted.asks_for_ca };
    let issuer = if profile.kind() == Kind::Root { None } else { Some(authority.issuer_for(profile, issuer.as_deref())?) };
    if let Some(issuer) = &issuer {
        not_revoked(authority, issuer)?;
    }
    let issuer_facts = issuer.as_ref().map(|issuer| issuer.facts()).transpose()?;
    let mut decided = profile.decide(&applicant, &facts, issuer_facts.as_ref(), authority.clock.now())?;
    decided.mail_domains = mail_domains;
    if let Some(until) = claim.as_ref().and_then(|claim| claim.until).and_then(|until| OffsetDateTime::from_unix_timestamp(until).ok()) {
        decided.not_after = decided.not_after.min(until);
        decided.private_key_until = decided.private_key_until.map(|ends| ends.min(until));
    }
    let plan = certificate_plan(&decided, issuer.as_deref(), &authority.addresses, wanted.spki)?;
    let issuer = match issuer {
        Some(issuer) => issuer,
        None => Arc::new(authority.founding_root(&plan)?),
    };
    let name = decided.subject.iter().find(|(oid, _)| *oid == pki::name::COMMON_NAME).map(|(_, name)| name.clone()).unwrap_or_default();
    let code = match &applicant {
        Applicant::Organization { code, .. } => Some(code.as_str().to_owned()),
        _ => None,
    };
    enterprise::standing(authority, code.as_deref(), authority.clock.now())?.free()?;
    let owner = KeyOwner::new(code.as_deref(), &plan.subject.to_der());
    let owned = owner::judge(authority, key_digest.as_ref(), owner)?;
    let facts = expected(&decided, &plan);
    let applicant = Words::from(&applicant);
    Ok(Plan { owner, owned, issuer, profile, plan, facts, name, code, by, claim, vouching, recovers, request_sha256, applicant })
}

/// An authority whose own certificate is revoked certifies nobody, and neither does one whose root is. The root signed them
/// all, itself too.
pub(crate) fn not_revoked(authority: &Authority, issuer: &Issuer) -> Result<(), IssueError> {
    let above = authority.issuers.get(issuer.record.root());
    for one in [Some(issuer), above.map(|root| &**root)].into_iter().flatten() {
        if authority.store.get(&CertificateRecord::revoked(one.record.root(), &one.serial))?.is_some() {
            return Err(IssueError::IssuerRevoked { issuer: one.id().to_owned() });
        }
    }
    Ok(())
}

/// 4. A plan that as many officers as the policy asks for have approved, and the order that it is for.
pub struct Approved<P> {
    plan: P,
    ordered: Option<ApprovedOrder>,
}

fn approve<'a>(authority: &Authority, plan: Plan<'a>, ordered: Option<ApprovedOrder>) -> Result<Approved<Plan<'a>>, IssueError> {
    match &ordered {
        // What was approved is what is issued: this request, for this applicant, of this profile.
        Some(approved) if approved.is_of(plan.profile.name(), plan.request_sha256.as_deref(), &plan.applicant, plan.code.as_deref()) => {}
        Some(_) => return Err(IssueError::OtherPlan),
        // Its holder asked, with the key of a certificate that is still good: it says nothing new. At the counter somebody
        // else says whose the new key is.
        None if matches!(plan.by, Actor::KeyHolder(_)) && plan.claim.as_ref().is_some_and(|claim| matches!(claim.predecessor.act, Act::Renewed | Act::Rekeyed)) => {}
        // Those who could approve are gone, which is why it is asked for.
        None if plan.recovers => {}
        // What the service does of its own accord nobody approves, but where the profile itself says so.
        None => match if plan.by == Actor::Service { plan.profile.approvals() } else { order::needed(authority, plan.profile, Channel::Counter)?.approvals } {
            0 => {}
            officers => return Err(IssueError::ApprovalNeeded { profile: plan.profile.name().to_owned(), officers }),
        },
    }
    Ok(Approved { plan, ordered })
}

/// 5. The exact bytes to be signed.
pub struct Tbs {
    issuer: Arc<Issuer>,
    serial: Vec<u8>,
    facts: lint::ProfileFacts,
    intent: Intent,
    owner: KeyOwner,
    owned: Known,
    by: Actor,
    claim: Option<Claim>,
    vouching: Option<Vouching>,
    ordered: Option<ApprovedOrder>,
}

fn build(authority: &Authority, Approved { mut plan, ordered }: Approved<Plan<'_>>) -> Result<Tbs, IssueError> {
    let key = plan.issuer.key.as_ref().ok_or_else(|| IssueError::Offline { issuer: plan.issuer.id().to_owned() })?;
    plan.plan.serial = fresh_serial()?;
    let shard = shard(authority, &plan);
    if let Some(shard) = shard {
        let list = authority.addresses.list(plan.issuer.id(), Scope::Shard(shard));
        plan.plan.extensions.crl_urls = vec![list.clone()];
        plan.facts.crl_urls = vec![list];
    }
    let tbs = pki::certificate::tbs_der(&plan.plan, Signer::algorithm(key))?;
    let intent = Intent {
        issuer: plan.issuer.id().to_owned(),
        profile: plan.profile.name().to_owned(),
        name: plan.name,
        code: plan.code,
        not_before: plan.plan.not_before.unix_timestamp(),
        not_after: plan.plan.not_after.unix_timestamp(),
        key_digest: digest(&SHA256, &plan.plan.spki).as_ref().to_vec(),
        predecessor: plan.claim.as_ref().map(|claim| claim.predecessor.clone()),
        order: ordered.as_ref().map(ApprovedOrder::id),
        shard,
        tbs,
    };
    let Plan { issuer, facts, owner, owned, by, claim, vouching, .. } = plan;
    Ok(Tbs { issuer, serial: plan.plan.serial.to_vec(), facts, intent, owner, owned, by, claim, vouching, ordered })
}

/// The part whose list the certificate names: by random bits of its serial. Parts are then filled alike without a count that
/// every issuing would have to share and a restore could get wrong; and it is remembered, so their number may grow.
fn shard(authority: &Authority, plan: &Plan<'_>) -> Option<u16> {
    let [.., high, low] = plan.plan.serial;
    let holders = !plan.facts.ca && !plan.plan.extensions.crl_urls.is_empty();
    u16::from_be_bytes([high, low]).checked_rem(authority.rules.crl.partitions(plan.issuer.policy_name())).filter(|_| holders)
}

/// 6. Bytes that no rule finds fault with.
pub struct LintedTbs {
    issuer: Arc<Issuer>,
    serial: Vec<u8>,
    intent: Intent,
    /// The intent as it stands in the store.
    stored: Vec<u8>,
    /// Who asked, and whose the key is; an intent found after a crash was recorded with it before.
    asked: Option<Asked>,
}

struct Asked {
    by: Actor,
    owner: KeyOwner,
    owned: Known,
    claim: Option<Claim>,
    vouching: Option<Vouching>,
    ordered: Option<ApprovedOrder>,
}

fn lint(tbs: Tbs) -> Result<LintedTbs, IssueError> {
    let algorithm = tbs.issuer.key.as_ref().map(Signer::algorithm).ok_or_else(|| IssueError::Offline { issuer: tbs.issuer.id().to_owned() })?;
    linted(&tbs.intent.tbs, algorithm, tbs.issuer.linted.as_ref(), &tbs.facts)?;
    let Tbs { issuer, serial, intent, owner, owned, by, claim, vouching, ordered, .. } = tbs;
    Ok(LintedTbs { issuer, serial, stored: encode(&intent)?, intent, asked: Some(Asked { by, owner, owned, claim, vouching, ordered }) })
}

/// Something durable: had only from a commit's receipt, or read back from the store.
pub struct Recorded<T> {
    what: T,
}

impl<T> Recorded<T> {
    /// For a flow that has the receipt of its commit.
    pub(super) fn new(what: T) -> Self {
        Self { what }
    }

    pub fn what(&self) -> &T {
        &self.what
    }
}

/// 7. The serial is ours, the bytes are known, the key is its owner's, and all is durable.
fn record_intent(authority: &Authority, linted: LintedTbs) -> Result<Recorded<LintedTbs>, IssueError> {
    let Some(asked) = &linted.asked else { return Ok(Recorded { what: linted }) };
    match authority.store.commit(intended(authority, &linted, asked, asked.owned)?) {
        Ok(_) => {}
        Err(error @ CommitError::Conflict { .. }) => {
            // The enterprise may have been frozen since step 3.
            enterprise::standing(authority, linted.intent.code.as_deref(), authority.clock.now())?.free()?;
            if owner::judge(authority, &linted.intent.key_digest, asked.owner)? == asked.owned {
                return Err(error.into());
            }
            // The same owner came first with the same key, in another order: it is theirs all the same.
            authority.store.commit(intended(authority, &linted, asked, Known::Written)?)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Recorded { what: linted })
}

fn intended(authority: &Authority, linted: &LintedTbs, asked: &Asked, owned: Known) -> Result<Batch, IssueError> {
    let LintedTbs { serial, intent, stored, .. } = linted;
    let tbs_sha256 = crate::sha256_hex(&intent.tbs);
    let entry = log::Entry::CertificateIntended { issuer: &intent.issuer, serial: &serial_text(serial), tbs_sha256: &tbs_sha256, by: &asked.by.to_string() };
    let mut batch = Batch::new()
        .expect(Expectation::Absent(CertificateRecord::key(serial)))
        .expect(Expectation::Absent(Intent::key(serial)))
        .expect(Expectation::Absent(CertificateRecord::blocked_key(&intent.key_digest)))
        .put(Intent::key(serial), stored.as_slice());
    batch = owner::claimed(batch, &intent.key_digest, asked.owner, owned);
    let standing = enterprise::standing(authority, intent.code.as_deref(), authority.clock.now())?;
    standing.free()?;
    batch = standing.holds(batch);
    if let Some(claim) = &asked.claim {
        batch = claim.written(batch, serial)?;
    }
    let now = authority.clock.now();
    if let Some(vouching) = &asked.vouching {
        batch = vouching.written(batch, serial, &asked.by, now)?;
    }
    batch.append(log::STREAM, entry.leaf(now)?);
    // One intent for one order: the second would find it moved.
    match &asked.ordered {
        Some(approved) => approved.issuing(authority, batch, serial, now),
        None => Ok(batch),
    }
}

/// 8. The certificate, its bytes those that were linted and its signature the issuer's.
pub struct SignedCertificate {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    /// The intent it was made of, as it stands in the store.
    intent: Vec<u8>,
    order: Option<OrderId>,
}

fn sign(intended: Recorded<LintedTbs>) -> Result<SignedCertificate, IssueError> {
    let LintedTbs { issuer, serial, intent, stored, .. } = intended.what;
    let key = issuer.key.as_ref().ok_or_else(|| IssueError::Offline { issuer: issuer.id().to_owned() })?;
    let signature = Signer::sign(key, &intent.tbs).map_err(|error| {
        issuer.unfinished.lock().unwrap_or_else(PoisonError::into_inner).insert(serial.clone());
        IssueError::Unfinished { serial: serial_text(&serial), reason: error.reason }
    })?;
    let der = assembled(&intent.tbs, key, &signature)?;
    let record = CertificateRecord {
        issuer: intent.issuer,
        profile: intent.profile,
        name: intent.name,
        code: intent.code,
        not_before: intent.not_before,
        not_after: intent.not_after,
        key_digest: intent.key_digest,
        shard: intent.shard,
        der,
        status: Status::Good,
        predecessor: intent.predecessor,
    };
    Ok(SignedCertificate { serial, record, intent: stored, order: intent.order })
}

/// 9. In the register, in the log, and no longer an intent: all in one commit.
///
/// What was signed has to be known, and may not be good when its key was reported as compromised since step 3, or the key
/// on whose word alone it was made, or its enterprise frozen: it is recorded revoked, or held.
fn record(authority: &Authority, mut signed: SignedCertificate) -> Result<Recorded<SignedCertificate>, IssueError> {
    let blocked = CertificateRecord::blocked_key(&signed.record.key_digest);
    let now = authority.clock.now();
    let mut attempts = 1;
    loop {
        let standing = enterprise::standing(authority, signed.record.code.as_deref(), now)?;
        let (word, fallen) = word(authority, &signed.record)?;
        let reason = if authority.store.get(&blocked)?.is_some() { Some(Reason::KeyCompromise) } else { fallen };
        let batch = if let Some(reason) = reason {
            let revocation = Revocation::new(now.unix_timestamp().max(signed.record.not_before), reason);
            signed.record.status = Status::Revoked(revocation);
            revoke::marked(entered(authority, word, &signed, now)?, &signed.serial, &signed.record, revocation, &Actor::Service, now)?
        } else {
            let beside = standing.holds(word).expect(Expectation::Absent(blocked.clone()));
            let (status, beside) = match &standing.order {
                Some(order) => hold::from_the_first(beside, &signed.serial, &signed.record, order, now)?,
                None => (Status::Good, beside),
            };
            signed.record.status = status;
            entered(authority, beside, &signed, now)?
        };
        match authority.store.commit(batch) {
            Ok(_) => break,
            // Reported or frozen between the look and the commit.
            Err(CommitError::Conflict { .. }) if attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(error.into()),
        }
    }
    authority.changed(&signed.record.issuer, &signed.serial);
    Ok(Recorded { what: signed })
}

/// The old certificate on whose key's word alone this one was made, as it stands until the commit; and the reason to
/// revoke the new one when that word is worth nothing any more.
fn word(authority: &Authority, record: &CertificateRecord) -> Result<(Batch, Option<Reason>), IssueError> {
    let Some(predecessor) = record.predecessor.as_ref().filter(|one| one.on_word_of_key()) else { return Ok((Batch::new(), None)) };
    let old = register::serial(&predecessor.serial)?;
    let found = register::get(&*authority.store, &old)?;
    let worthless = matches!(found.status, Status::Revoked(Revocation { reason: Reason::KeyCompromise | Reason::PrivilegeWithdrawn | Reason::CessationOfOperation, .. }));
    let batch = Batch::new().expect(Expectation::Equals(CertificateRecord::key(&old), encode(&found)?));
    Ok((batch, worthless.then_some(Reason::PrivilegeWithdrawn)))
}

/// The register's and the log's part of a certificate in the place of its intent.
fn entered(authority: &Authority, beside: Batch, signed: &SignedCertificate, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let SignedCertificate { serial, record, intent, order } = signed;
    let sha256 = crate::sha256_hex(&record.der);
    let entry = log::Entry::CertificateIssued { issuer: &record.issuer, serial: &serial_text(serial), profile: &record.profile, sha256: &sha256 };
    let owner = own_name::owner(record).ok_or(IssueError::WrongSignature)?;
    let tag = super::own_name::tag(authority, &owner, serial)?;
    let named = log::Entry::CertificateNamed { issuer: &record.issuer, serial: &serial_text(serial), tag: &tag };
    let mut batch = beside
        .expect(Expectation::Equals(Intent::key(serial), intent.clone()))
        .put(CertificateRecord::key(serial), encode(record)?)
        .delete(Intent::key(serial));
    for index in record.indexes(serial) {
        batch = batch.put(index, serial.clone());
    }
    let slot = batch.append(log::STREAM, entry.leaf(now)?);
    batch.append(log::STREAM, named.leaf(now)?);
    if let Some(predecessor) = &record.predecessor {
        batch = succeed::linked(batch, serial, predecessor)?;
        let entry = log::Entry::CertificateSucceeded { issuer: &record.issuer, serial: &serial_text(serial), old: &predecessor.serial, act: predecessor.act };
        batch.append(log::STREAM, entry.leaf(now)?);
    }
    match order {
        Some(id) => order::issued(authority, batch, id, serial, slot, now),
        None => Ok(batch),
    }
}
