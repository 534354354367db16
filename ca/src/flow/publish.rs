//! Publishing a list of the revoked — the whole one, that of a part, or a delta —: numbered durably, signed — here, or by
//! the root's key where that is —, read again by another parser, recorded, and only then published.

use pki::crl::{CrlPlan, Entry, Writer};
use pki::signer::Signer;
use ring::digest::{SHA256, digest};
use store::{Batch, CommitError, Expectation};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::RevokedCertificate;

use super::authorise::{Administrator, Authorised};
use super::ended::Ended;
use super::listing::{self, Entries};
use super::numbering::{self, Before, base};
pub use super::numbering::floor;
use crate::authority::{Authority, Issuer};
use crate::ceremony::root_crl::FIRST;
use crate::problem::IssueError;
use crate::record::{CrlBase, CrlChange, CrlHead, CrlIntent, CrlRecord, Scope, decode, encode, encode_around, log};

/// A delta with more entries saves nobody much: the next whole list is the base of those that follow.
const LARGE_DELTA: u64 = 10_000;
/// Octets of the longest list: the store takes 128 MiB in one record, which holds the signature and some more. An entry with a
/// reason and an invalidity date has 75, so that is 1.7 million of them.
const LONGEST: usize = (128 << 20) - (64 << 10);
/// Changes forgotten in one commit, when a newer base has them all.
const PORTION: usize = 10_000;

/// The whole list.
pub fn publish(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer) -> Result<CrlHead, IssueError> {
    publish_scope(authority, authorised, issuer, Scope::Whole)
}

pub fn publish_scope(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer, scope: Scope) -> Result<CrlHead, IssueError> {
    let key = issuer.key.as_ref().ok_or_else(|| IssueError::Offline { issuer: issuer.id().to_owned() })?;
    let Prepared { intent, tbs } = prepare_scope(authority, authorised, issuer, scope)?;
    // 4. Signed.
    let signature = Signer::sign(key, &tbs)?;
    let der = pki::certificate::assemble_in_place(tbs, Signer::algorithm(key), &signature);
    finish(authority, issuer, scope, &intent, der, None)
}

/// How often a list is begun anew when another publication comes between.
const ATTEMPTS: usize = 5;

/// Every list of an issuer whose key is here, the whole one first: it may become the base of the delta.
pub fn scopes(authority: &Authority, issuer: &Issuer) -> Result<Vec<Scope>, IssueError> {
    // A generation that took over just now is in parts from its first certificate on.
    let parts = listing::partitions(authority, issuer.id())?.max(authority.rules.crl.partitions(issuer.policy_name()));
    let parts = (0..parts).map(Scope::Shard);
    let delta = (!issuer.is_root()).then_some(Scope::Delta);
    Ok(std::iter::once(Scope::Whole).chain(parts).chain(delta).collect())
}

/// As [`publish_scope`], and once more from the beginning when another publication came between.
pub fn publish_anew(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer, scope: Scope) -> Result<CrlHead, IssueError> {
    for _ in 1..ATTEMPTS {
        match publish_scope(authority, authorised, issuer, scope) {
            Err(IssueError::Race) => {}
            done => return done,
        }
    }
    publish_scope(authority, authorised, issuer, scope)
}

/// A list about to be signed: here, or by a key that is elsewhere.
pub struct Prepared {
    pub intent: CrlIntent,
    pub tbs: Vec<u8>,
}

/// Steps 1 to 3 for the whole list.
pub fn prepare(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer) -> Result<Prepared, IssueError> {
    prepare_scope(authority, authorised, issuer, Scope::Whole)
}

/// Steps 1 to 3: the bytes to be signed, their number durably taken.
fn prepare_scope(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer, scope: Scope) -> Result<Prepared, IssueError> {
    // 1. What made the last list stale and which list that is, both before the entries are read: what is revoked
    //    later stays to be done, and a list that another published meanwhile is never replaced by an older view.
    let stale = authority.store.get(&scope.stale(issuer.id()))?;
    let before = Before::read(authority, issuer.id(), scope)?;
    let base = if scope == Scope::Delta { Some(base(authority, issuer.id())?.ok_or_else(|| IssueError::NoBase { issuer: issuer.id().to_owned() })?) } else { None };
    // 2. The next number, above every list made or meant, and the entries, each written as it is read.
    let changed = stale.as_deref().map(number).transpose()?;
    let this_update = before.this_update(authority.clock.now().unix_timestamp());
    let plan = plan(authority, issuer, scope, before.number(this_update, changed, floor(authority)?), this_update, base.as_ref())?;
    let (entries, tbs) = written(issuer.id(), Writer::new(&plan, issuer.algorithm()?), Entries::read(authority, issuer.id(), scope, base.as_ref())?, LONGEST)?;
    // 3. The intent: a number is never used for two lists.
    let intent = CrlIntent {
        number: plan.number,
        this_update: plan.this_update.unix_timestamp(),
        next_update: plan.next_update.unix_timestamp(),
        tbs_digest: digest(&SHA256, &tbs).as_ref().to_vec(),
        entries,
        stale,
        covered: changed.unwrap_or_else(|| before.covered()),
        base,
    };
    record_intent(authority, authorised, issuer.id(), scope, before, &intent)?;
    Ok(Prepared { intent, tbs })
}

/// The entries and the bytes of a list. One that could not be recorded takes no number and is not signed.
fn written(issuer: &str, mut writer: Writer<'_>, entries: impl Iterator<Item = Result<Entry, IssueError>>, longest: usize) -> Result<(u64, Vec<u8>), IssueError> {
    for entry in entries {
        writer.push(&entry?);
        if writer.octets() > longest {
            return Err(IssueError::ListTooLong { issuer: issuer.to_owned(), entries: writer.count(), longest });
        }
    }
    Ok((writer.count(), writer.finish()))
}

/// Steps 4 and on for a list that was signed elsewhere: it must be the one prepared last.
pub fn accept(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer, der: Vec<u8>) -> Result<CrlHead, IssueError> {
    let damaged = |_| IssueError::Damaged { what: "the CRL about to be signed" };
    let intent = authority.store.get(&CrlIntent::key(issuer.id()))?.ok_or(IssueError::NotPrepared)?;
    let intent: CrlIntent = decode(&intent).map_err(damaged)?;
    let read = lint::ReadList::read(&der).ok_or(IssueError::NotPrepared)?;
    if digest(&SHA256, read.tbs()).as_ref() != intent.tbs_digest {
        return Err(IssueError::NotPrepared);
    }
    finish(authority, issuer, Scope::Whole, &intent, der, Some(authorised))
}

/// The first list of a root, which the ceremony made that founded it: taken in as if it had been prepared here.
pub fn accept_first(authority: &Authority, authorised: &Authorised<Administrator>, root: &Issuer, der: Vec<u8>) -> Result<CrlHead, IssueError> {
    let read = lint::ReadList::read(&der).ok_or(IssueError::NotPrepared)?;
    let list = read.head().ok_or(IssueError::NotPrepared)?;
    let next_update = list.next_update().ok_or(IssueError::NotPrepared)?.timestamp();
    let before = Before::read(authority, root.id(), Scope::Whole)?;
    let number = list.crl_number().and_then(|number| number.to_string().parse().ok());
    // Above nothing: a list that was published already is never taken for the first.
    if number != Some(FIRST) || before.number(list.last_update().timestamp(), None, floor(authority)?) != FIRST {
        return Err(IssueError::NotPrepared);
    }
    runs(root.id(), list.last_update().timestamp(), next_update, authority.clock.now().unix_timestamp())?;
    let intent = CrlIntent {
        number: FIRST,
        this_update: list.last_update().timestamp(),
        next_update,
        tbs_digest: digest(&SHA256, read.tbs()).as_ref().to_vec(),
        entries: 0,
        stale: None,
        covered: before.covered(),
        base: None,
    };
    record_intent(authority, authorised, root.id(), Scope::Whole, before, &intent)?;
    finish(authority, root, Scope::Whole, &intent, der, Some(authorised))
}

/// A list that began and has not ended. Pure: the machine that signed it has a clock of its own, and one of tomorrow would be
/// published to nobody's use, with the next ones numbered and dated after it.
fn runs(issuer: &str, this_update: i64, next_update: i64, now: i64) -> Result<(), IssueError> {
    match now {
        _ if this_update > now => Err(IssueError::ListNotBegun { issuer: issuer.to_owned() }),
        _ if now >= next_update => Err(IssueError::ListEnded { issuer: issuer.to_owned() }),
        _ => Ok(()),
    }
}

/// `handed_in`: who brought a list that was signed elsewhere.
fn finish(authority: &Authority, issuer: &Issuer, scope: Scope, intent: &CrlIntent, der: Vec<u8>, handed_in: Option<&Authorised<Administrator>>) -> Result<CrlHead, IssueError> {
    // 5. Read back with the other parser, and held against the register.
    let ended = check(authority, issuer, scope, intent, &der)?;
    // 6. Recorded with its log entry; from now on it is what we publish. What had ended was on it once more.
    let (head, base) = record(authority, issuer.id(), scope, intent, der, &ended, handed_in)?;
    // 7. Fresh, unless another change came meanwhile.
    if let Some(mark) = &intent.stale {
        let clear = Batch::new().expect(Expectation::Equals(scope.stale(issuer.id()), mark.clone())).delete(scope.stale(issuer.id()));
        match authority.store.commit(clear) {
            Ok(_) | Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // 8. What every list to come has is no change any more. The list is published, whatever comes of this.
    if let Some(error) = base.and_then(|base| forget(authority, issuer.id(), base.covered).err()) {
        tracing::warn!(issuer = issuer.id(), error = %error, "changes that are on the whole list are not forgotten yet");
    }
    Ok(head)
}

fn plan(authority: &Authority, issuer: &Issuer, scope: Scope, number: u64, this_update: i64, base: Option<&CrlBase>) -> Result<CrlPlan, IssueError> {
    let (rules, addresses, id) = (&authority.rules.crl, &authority.addresses, issuer.id());
    let valid = match scope {
        Scope::Whole if issuer.is_root() => rules.root_seconds,
        Scope::Whole => rules.whole.valid_seconds,
        Scope::Shard(_) => rules.partition.valid_seconds,
        Scope::Delta => rules.delta.valid_seconds,
    };
    let this_update = OffsetDateTime::from_unix_timestamp(this_update).map_err(|_| IssueError::Damaged { what: "the time of the last CRL" })?;
    Ok(CrlPlan {
        issuer: issuer.name.clone(),
        this_update,
        next_update: this_update + Duration::seconds(valid),
        number,
        authority_key_id: issuer.key_id.clone(),
        // The whole list and its deltas are of one scope, so neither names a part. // spec: rfc5280#5.2.4
        distribution_point: if let Scope::Shard(_) = scope { Some(addresses.list(id, scope)) } else { None },
        delta_of: base.map(|base| base.number),
        // The root signs too seldom for deltas; a part is made anew as fast as a delta would be, and has none.
        freshest: (scope == Scope::Whole && !issuer.is_root()).then(|| addresses.list(id, Scope::Delta)),
    })
}

/// The number of a change, as a mark holds it.
fn number(mark: &[u8]) -> Result<u64, IssueError> {
    mark.try_into().map(u64::from_be_bytes).map_err(|_| IssueError::Damaged { what: "the mark of a stale list" })
}

fn record_intent(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &str, scope: Scope, before: Before, intent: &CrlIntent) -> Result<(), IssueError> {
    let (by, tbs_sha256, number) = (&authorised.actor().to_string(), &crate::hex(&intent.tbs_digest), intent.number);
    let entry = match scope {
        Scope::Whole => log::Entry::CrlIntended { issuer, number, tbs_sha256, by },
        Scope::Shard(shard) => log::Entry::ShardCrlIntended { issuer, shard, number, tbs_sha256, by },
        Scope::Delta => log::Entry::DeltaCrlIntended { issuer, number, base: intent.base.map_or(0, |base| base.number), tbs_sha256, by },
    };
    let mut batch = before.unchanged(Batch::new()).put(CrlIntent::of(issuer, scope), encode(intent)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    authority.store.commit(batch).map_err(raced)?;
    Ok(())
}

/// Signed by the issuer, without fault, and what the register says now: the list is gone through once, the register read
/// beside it. Only a change recorded since the list was prepared explains a difference: it left another mark, and the next
/// list carries it. Tells what the lists after this one leave out.
fn check(authority: &Authority, issuer: &Issuer, scope: Scope, intent: &CrlIntent, der: &[u8]) -> Result<Ended, IssueError> {
    let read = lint::ReadList::read(der).ok_or(IssueError::WrongSignature)?;
    let head = read.head().ok_or(IssueError::WrongSignature)?;
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&issuer.public_key_info).map_err(|_| IssueError::WrongSignature)?;
    x509_parser::verify::verify_signature(&key, &head.signature_algorithm, &head.signature_value, read.tbs()).map_err(|_| IssueError::WrongSignature)?;
    let Some(linted) = &issuer.linted else { return Err(IssueError::Offline { issuer: issuer.id().to_owned() }) };
    let mut beside = Beside {
        known: Entries::read(authority, issuer.id(), scope, intent.base.as_ref())?,
        ended: Ended::read(authority, issuer.id(), scope, intent.this_update)?,
        listed: 0,
        agrees: Ok(true),
    };
    let findings = lint::lint_crl_with(der, linted, &mut |entry| beside.see(entry));
    if findings.iter().any(|finding| finding.severity == lint::Severity::Error) {
        return Err(IssueError::Lint { findings: findings.iter().map(|finding| format!("{}: {} ({})", finding.rule, finding.message, finding.clause)).collect() });
    }
    let Beside { mut known, ended, listed, agrees } = beside;
    let agrees = agrees? && known.next().transpose()?.is_none();
    // The mark is looked at before the intent: whoever took it away had put an intent of its own in the place of ours by then.
    let explained = agrees || authority.store.get(&scope.stale(issuer.id()))? != intent.stale;
    // Another began later, published what changed and took the mark of it away: this list is superseded, not wrong.
    if !agrees && authority.store.get(&CrlIntent::of(issuer.id(), scope))? != Some(encode(intent)?) {
        return Err(IssueError::Race);
    }
    if !agrees && intent.base.is_some() && base(authority, issuer.id())? != intent.base {
        return Err(IssueError::Race);
    }
    if listed != intent.entries || !explained {
        return Err(IssueError::ListDiffers { issuer: issuer.id().to_owned() });
    }
    Ok(ended)
}

/// The register read beside a list.
struct Beside<'a> {
    known: Entries<'a>,
    ended: Ended,
    listed: u64,
    agrees: Result<bool, IssueError>,
}

impl Beside<'_> {
    fn see(&mut self, listed: &RevokedCertificate<'_>) {
        self.listed += 1;
        self.ended.see(listed.raw_serial());
        if let Ok(true) = self.agrees {
            self.agrees = self.known.next().transpose().map(|known| known.is_some_and(|known| same(listed, &known)));
        }
    }
}

fn same(listed: &RevokedCertificate<'_>, known: &Entry) -> bool {
    let reason = listed.reason_code().map_or(0, |(_, reason)| reason.0);
    let invalid = listed.invalidity_date().map(|(_, at)| at.timestamp());
    listed.raw_serial() == known.serial
        && listed.revocation_date.timestamp() == known.revoked_at.unix_timestamp()
        && reason == known.reason as u8
        && invalid == known.invalidity_date.map(OffsetDateTime::unix_timestamp)
}

/// The list in the place of the one before. Tells the base when this list became it.
fn record(
    authority: &Authority,
    issuer: &str,
    scope: Scope,
    intent: &CrlIntent,
    der: Vec<u8>,
    ended: &Ended,
    handed_in: Option<&Authorised<Administrator>>,
) -> Result<(CrlHead, Option<CrlBase>), IssueError> {
    let CrlIntent { number, this_update, next_update, entries, covered, .. } = *intent;
    let head = CrlHead { number, this_update, next_update, entries, covered };
    let sha256 = &crate::sha256_hex(&der);
    let base_number = intent.base.map_or(0, |base| base.number);
    let entry = match scope {
        Scope::Whole => log::Entry::CrlIssued { issuer, number, entries, sha256 },
        Scope::Shard(shard) => log::Entry::ShardCrlIssued { issuer, shard, number, entries, sha256 },
        Scope::Delta => log::Entry::DeltaCrlIssued { issuer, number, base: base_number, entries, sha256 },
    };
    let now = authority.clock.now();
    let list = CrlRecord { number, this_update, next_update, entries, der: Vec::new() };
    let mut batch = Batch::new()
        .expect(Expectation::Equals(CrlIntent::of(issuer, scope), encode(intent)?))
        .put(CrlRecord::of(issuer, scope), encode_around(&list, der)?)
        .put(CrlHead::of(issuer, scope), encode(&head)?)
        .delete(CrlIntent::of(issuer, scope));
    // A delta is published beside the base it changes, or not at all.
    if let Some(base) = &intent.base {
        batch = batch.expect(Expectation::Equals(CrlBase::key(issuer), encode(base)?));
    }
    let moved = if scope == Scope::Whole { next_base(authority, issuer, &head)? } else { None };
    if let Some(base) = &moved {
        batch = batch.put(CrlBase::key(issuer), encode(base)?);
    }
    if let Some(authorised) = handed_in {
        let entry = log::Entry::CrlHandedIn { issuer, number, by: &authorised.actor().to_string() };
        batch.append(log::STREAM, entry.leaf(now)?);
    }
    batch.append(log::STREAM, entry.leaf(now)?);
    let committed = authority.store.commit(ended.left_out(batch, now)).map_err(raced);
    // After a failure too: nobody knows then which list the store holds.
    authority.published(issuer, scope);
    match committed {
        Ok(_) => {}
        // An engine for small records alone: the list is as long in a minute.
        Err(IssueError::Commit(CommitError::TooLarge { limit, .. })) => return Err(IssueError::ListTooLong { issuer: issuer.to_owned(), entries, longest: limit }),
        Err(error) => return Err(error),
    }
    Ok((head, moved))
}

/// Whoever has a whole list keeps up with deltas for a day, so the base stays for that long.
fn next_base(authority: &Authority, issuer: &str, whole: &CrlHead) -> Result<Option<CrlBase>, IssueError> {
    let next = CrlBase { number: whole.number, covered: whole.covered, this_update: whole.this_update };
    let Some(base) = base(authority, issuer)? else { return Ok(Some(next)) };
    let old = next.this_update - base.this_update >= authority.rules.crl.whole.every_seconds;
    Ok((old || is_delta_long(authority, issuer)?).then_some(next))
}

/// Whether the delta to the present base has come to be so long that another base is better than another delta.
pub fn is_delta_long(authority: &Authority, issuer: &str) -> Result<bool, IssueError> {
    let (Some(base), Some(delta)) = (base(authority, issuer)?, numbering::head(authority, issuer, Scope::Delta)?) else { return Ok(false) };
    // One to an earlier base tells nothing of this one's.
    Ok(delta.entries > LARGE_DELTA && delta.number > base.number)
}

fn forget(authority: &Authority, issuer: &str, covered: u64) -> Result<(), IssueError> {
    let (from, to) = CrlChange::up_to(issuer, covered);
    loop {
        let page = authority.store.scan(&from, &to, PORTION)?;
        let last = page.len() < PORTION;
        if !page.is_empty() {
            authority.store.commit(page.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key)))?;
        }
        if last {
            return Ok(());
        }
    }
}

fn raced(error: CommitError) -> IssueError {
    match error {
        CommitError::Conflict { .. } => IssueError::Race,
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::crl::Reason;
    use pki::signer::SignatureAlgorithm;

    #[test]
    fn a_first_list_runs_from_its_first_moment_to_its_last() {
        let at = |now| runs("root", 100, 200, now);
        let early = at(99).unwrap_err();
        assert!(matches!(&early, IssueError::ListNotBegun { issuer } if issuer == "root"));
        assert!(early.to_string().contains("set the clock"), "{early}");
        assert!(at(100).is_ok() && at(199).is_ok());
        assert!(matches!(at(200), Err(IssueError::ListEnded { .. })));
    }

    #[test]
    fn a_list_that_could_not_be_recorded_is_refused_while_it_is_written() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let plan = CrlPlan { issuer: vec![0x30, 0], this_update: at, next_update: at, number: 1, authority_key_id: vec![7; 20], distribution_point: None, delta_of: None, freshest: None };
        let write = |count: u8, longest| {
            let entries = (1..=count).map(|serial| Ok(Entry { serial: vec![serial; 16], revoked_at: at, reason: Reason::Superseded, invalidity_date: None }));
            written("tls-ca", Writer::new(&plan, SignatureAlgorithm::EcdsaP256Sha256), entries, longest)
        };
        let (entries, tbs) = write(10, LONGEST).unwrap();
        assert!(entries == 10 && tbs.len() > 400);
        assert!(matches!(write(10, 300), Err(IssueError::ListTooLong { entries: 2..10, longest: 300, .. })));
        // What the store refuses beside is more than what is refused here.
        assert!(LONGEST < 128 << 20);
    }
}
