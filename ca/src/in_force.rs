//! The policies that a start goes by. Where officers approve what changes in them, those that were accepted and stand in
//! the store; whoever owns the machine writes other files in vain. Before that, the files, which are accepted as they are.
//!
//! The files are then a copy for people: the next start after a change brings them up to date.

use std::path::Path;

use policies::authority::{PoliciesRule, Rules};
use store::{Batch, Expectation, Store};
use time::OffsetDateTime;

use crate::authority::Authority;
use crate::documents::{Documents, ReadPolicies};
use crate::init::InitError;
use crate::problem::IssueError;
use crate::record::{AcceptedOnce, AcceptedPolicies, ActRecord, ActState, BroughtPolicies, Deed, OrderId, PolicyPiece, ProposalTurns, Roster, decode, encode, log};

/// More pieces than documents have.
const MOST_PIECES: usize = 1 << 14;
const ACTS_AT_ONCE: usize = 500;

pub(crate) struct InForce {
    pub documents: Documents,
    pub read: ReadPolicies,
    /// The act in which they were approved, as far as they were.
    pub act: Option<OrderId>,
    /// What this version brought to them.
    pub brought: Vec<String>,
}

/// Those that were accepted and count before the files.
struct Guarded {
    documents: Documents,
    /// What this version brought to them.
    brought: Vec<String>,
    act: Option<OrderId>,
}

/// What this start goes by, with the files in `directory` brought up to date.
pub(crate) fn read(store: &dyn Store, directory: &Path) -> Result<InForce, InitError> {
    let Some(Guarded { documents, brought, act }) = guarded(store)? else { return from_files(directory) };
    tell(&brought);
    let missing = !directory.exists();
    let found = if missing { Documents::default() } else { Documents::read(directory)? };
    let differing = documents.differing(&found);
    if !differing.is_empty() {
        // As the last start left them, file by file: accepted since, or cut off while they were written.
        let last = last_read(store)?.map_or(Ok(None), |sha256| stored(store, &sha256))?.unwrap_or_default();
        let ours = |place: &str| missing || found.get(place) == last.get(place) || (found.get(place).is_none() && brought.iter().any(|one| one == place));
        let others: Vec<String> = differing.into_iter().filter(|place| !ours(place)).map(str::to_owned).collect();
        if !others.is_empty() {
            return Err(InitError::NotAccepted { path: directory.to_owned(), places: others });
        }
        documents.write_over(directory, &found)?;
    }
    Ok(InForce { read: documents.judge()?, documents, act, brought })
}

/// Those accepted, where a change of them takes officers' approval, or where they were accepted since the last start: that
/// they ask nobody any more is itself a part of what was decided.
fn guarded(store: &dyn Store) -> Result<Option<Guarded>, InitError> {
    let Some((_, accepted)) = accepted(store)? else { return Ok(None) };
    let mut documents = stored(store, &accepted.sha256)?.ok_or(IssueError::Damaged { what: "the accepted policies" })?;
    let brought = documents.bring_new();
    let is_pending = last_read(store)?.is_none_or(|last| last != accepted.sha256);
    let roster = store.get(&Roster::key()).map_err(IssueError::from)?;
    let roster: Roster = roster.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "the roster of officers" })?.unwrap_or_default();
    let asks = roster.administered && documents.judge()?.rules.approvals.policies.as_ref().is_some_and(PoliciesRule::asks);
    Ok((is_pending || asks).then_some(Guarded { documents, brought, act: accepted.act }))
}

/// The digest of those that the last start went by.
fn last_read(store: &dyn Store) -> Result<Option<String>, IssueError> {
    Ok(store.get(&AcceptedPolicies::read_last())?.and_then(|sha256| String::from_utf8(sha256).ok()))
}

fn from_files(directory: &Path) -> Result<InForce, InitError> {
    let found = Documents::read(directory)?;
    let mut documents = found.clone();
    let brought = documents.bring_new();
    tell(&brought);
    documents.write_over(directory, &found)?;
    Ok(InForce { read: documents.judge()?, documents, act: None, brought })
}

fn tell(brought: &[String]) {
    if !brought.is_empty() {
        tracing::warn!(documents = brought.join(", "), "this version brings policies that were not there; they were added as they are shipped, so read them");
    }
}

/// Whether the last start went by these, and they are the accepted ones.
pub(crate) fn is_read(store: &dyn Store, sha256: &str) -> Result<bool, IssueError> {
    let last = store.get(&AcceptedPolicies::read_last())?;
    Ok(last.as_deref() == Some(sha256.as_bytes()) && accepted(store)?.is_some_and(|(_, accepted)| accepted.sha256 == sha256))
}

/// From this start on: recorded, with the log's entry. `act` is that in which they were approved, before this version
/// brought to them what it knows more of: without it this version could not run at all, so that is in force unapproved, and
/// log and `ca doctor` say so until an administrator accepts it.
pub(crate) fn adopt(authority: &Authority, documents: &Documents, act: Option<OrderId>, brought: &[String]) -> Result<(), IssueError> {
    let (now, sha256) = (authority.clock.now(), documents.digest());
    let mut batch = put(&*authority.store, Batch::new(), documents)?.put(AcceptedOnce::key(&sha256), Vec::new());
    let before = accepted(&*authority.store)?.map(|(_, accepted)| accepted);
    if let Some(before) = before.as_ref().filter(|_| !brought.is_empty()) {
        // Brought by one version after the other, and nobody looked: all of it is to be accepted.
        let earlier = self::brought(&*authority.store)?;
        let from = earlier.as_ref().map_or(&before.sha256, |earlier| &earlier.before_sha256);
        let places: Vec<String> = earlier.iter().flat_map(|earlier| &earlier.places).chain(brought).cloned().collect();
        let record = BroughtPolicies { before_sha256: from.clone(), sha256: sha256.clone(), places, at: now.unix_timestamp() };
        batch = batch.put(BroughtPolicies::key(), encode(&record)?);
        batch.append(log::STREAM, log::Entry::PoliciesBrought { before_sha256: &before.sha256, sha256: &sha256, places: brought }.leaf(now)?);
    }
    if before.is_none_or(|accepted| accepted.sha256 != sha256) {
        batch = batch.put(AcceptedPolicies::key(), encode(&record(&sha256, act, now))?);
    }
    batch = batch.put(AcceptedPolicies::read_last(), sha256.as_bytes().to_vec());
    batch.append(log::STREAM, log::Entry::PoliciesRead { sha256: &sha256 }.leaf(now)?);
    authority.store.commit(batch)?;
    Ok(())
}

/// What a version brought and nobody accepted yet, as far as it is still what is gone by.
pub(crate) fn brought(store: &dyn Store) -> Result<Option<BroughtPolicies>, IssueError> {
    let Some(stored) = store.get(&BroughtPolicies::key())? else { return Ok(None) };
    let brought: BroughtPolicies = decode(&stored).map_err(|_| IssueError::Damaged { what: "the policies that were brought" })?;
    Ok(accepted(store)?.filter(|(_, accepted)| accepted.sha256 == brought.sha256).map(|_| brought))
}

/// The rules of what was accepted last, where the last start went by others.
pub(crate) fn rules_since(store: &dyn Store) -> Result<Option<Rules>, IssueError> {
    let damaged = || IssueError::Damaged { what: "the accepted policies" };
    let (_, accepted) = accepted(store)?.ok_or_else(damaged)?;
    if is_read(store, &accepted.sha256)? {
        return Ok(None);
    }
    let documents = stored(store, &accepted.sha256)?.ok_or_else(damaged)?;
    Ok(Some(documents.judge().map_err(|_| damaged())?.rules))
}

pub(crate) fn record(sha256: &str, act: Option<OrderId>, now: OffsetDateTime) -> AcceptedPolicies {
    AcceptedPolicies { sha256: sha256.to_owned(), at: now.unix_timestamp(), act }
}

/// The accepted ones, and their record as it stands.
pub(crate) fn accepted(store: &dyn Store) -> Result<Option<(Vec<u8>, AcceptedPolicies)>, IssueError> {
    let Some(stored) = store.get(&AcceptedPolicies::key())? else { return Ok(None) };
    let accepted = decode(&stored).map_err(|_| IssueError::Damaged { what: "the accepted policies" })?;
    Ok(Some((stored, accepted)))
}

/// The documents of this digest, if they were ever accepted or proposed here.
pub(crate) fn stored(store: &dyn Store, sha256: &str) -> Result<Option<Documents>, IssueError> {
    let damaged = || IssueError::Damaged { what: "the policies" };
    let (from, to) = PolicyPiece::all(sha256);
    let pieces = store.scan(&from, &to, MOST_PIECES)?;
    if pieces.is_empty() {
        return Ok(None);
    }
    let text = pieces.iter().map(|(_, piece)| decode::<PolicyPiece>(piece).map(|piece| piece.text)).collect::<Result<String, _>>().map_err(|_| damaged())?;
    let documents: Documents = serde_json::from_str(&text).map_err(|_| damaged())?;
    if documents.are(sha256) { Ok(Some(documents)) } else { Err(damaged()) }
}

/// Octets that the documents of this digest take.
pub(crate) fn octets(store: &dyn Store, sha256: &str) -> Result<u64, IssueError> {
    let (from, to) = PolicyPiece::all(sha256);
    Ok(store.scan(&from, &to, MOST_PIECES)?.iter().map(|(_, piece)| piece.len() as u64).sum())
}

/// The turn of what is proposed and forgotten, taken in a commit.
pub(crate) fn turned(store: &dyn Store, batch: Batch) -> Result<Batch, IssueError> {
    let place = ProposalTurns::key();
    let stored = store.get(&place)?;
    let ProposalTurns { turns } = stored.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "the policies" })?.unwrap_or_default();
    let batch = batch.expect(stored.map_or_else(|| Expectation::Absent(place.clone()), |stored| Expectation::Equals(place.clone(), stored)));
    Ok(batch.put(place, encode(&ProposalTurns { turns: turns.wrapping_add(1) })?))
}

/// Documents that nobody decides about any more, taken away in a commit; those accepted or gone by, now or ever, stay: proofs
/// of what was done are made of them.
pub(crate) fn forgotten(store: &dyn Store, batch: Batch, sha256: &str) -> Result<Batch, IssueError> {
    let Some((stored, accepted)) = accepted(store)? else { return Ok(batch) };
    if accepted.sha256 == sha256 || last_read(store)?.as_deref() == Some(sha256) || brought(store)?.is_some_and(|brought| brought.before_sha256 == sha256) {
        return Ok(batch);
    }
    let once = AcceptedOnce::key(sha256);
    if store.get(&once)?.is_some() || named_by_done(store, sha256)? {
        return Ok(batch);
    }
    let (from, to) = PolicyPiece::all(sha256);
    let pieces = store.scan(&from, &to, MOST_PIECES)?;
    let batch = batch.expect(Expectation::Equals(AcceptedPolicies::key(), stored)).expect(Expectation::Absent(once));
    Ok(pieces.into_iter().fold(batch, |batch, (piece, _)| batch.delete(piece)))
}

/// Whether a change that was made was made of them or to them: in directories older than `AcceptedOnce` nothing else says so.
fn named_by_done(store: &dyn Store, sha256: &str) -> Result<bool, IssueError> {
    let (mut from, to) = ActRecord::all();
    loop {
        let acts = store.scan(&from, &to, ACTS_AT_ONCE)?;
        for (_, act) in &acts {
            let act: ActRecord = decode(act).map_err(|_| IssueError::Damaged { what: "an act" })?;
            if let (ActState::Done, Deed::ChangePolicies { before_sha256, after_sha256 }) = (&act.state, &act.asked.deed)
                && (before_sha256 == sha256 || after_sha256 == sha256)
            {
                return Ok(true);
            }
        }
        match acts.last() {
            Some((last, _)) if acts.len() == ACTS_AT_ONCE => from = last.successor(),
            _ => return Ok(false),
        }
    }
}

/// Documents as a part of a commit.
pub(crate) fn put(store: &dyn Store, mut batch: Batch, documents: &Documents) -> Result<Batch, IssueError> {
    let sha256 = documents.digest();
    if stored(store, &sha256)?.is_some() {
        return Ok(batch);
    }
    let text = serde_json::to_string(documents)?;
    let (mut rest, mut number) = (text.as_str(), 0);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PolicyPiece::LONGEST));
        batch = batch.put(PolicyPiece::key(&sha256, number), encode(&PolicyPiece { text: piece.to_owned() })?);
        (rest, number) = (after, number + 1);
    }
    Ok(batch)
}
