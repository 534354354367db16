//! The policies that a start goes by. Where officers approve what changes in them, those that were accepted and stand in
//! the store; whoever owns the machine writes other files in vain. Before that, the files, which are accepted as they are.
//!
//! The files are then a copy for people: the next start after a change brings them up to date.

use std::path::Path;

use policies::authority::PoliciesRule;
use store::{Batch, Store};
use time::OffsetDateTime;

use crate::authority::Authority;
use crate::documents::{Documents, ReadPolicies};
use crate::init::InitError;
use crate::problem::IssueError;
use crate::record::{AcceptedPolicies, OrderId, PolicyPiece, Roster, decode, encode, log};

/// More pieces than documents have.
const MOST_PIECES: usize = 1 << 14;

pub(crate) struct InForce {
    pub documents: Documents,
    pub read: ReadPolicies,
    /// The act in which they were approved, as far as they were.
    pub act: Option<OrderId>,
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
    Ok(InForce { read: documents.judge()?, documents, act })
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
    tell(&documents.bring_new());
    documents.write_over(directory, &found)?;
    Ok(InForce { read: documents.judge()?, documents, act: None })
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
/// brought to them what it knows more of.
pub(crate) fn adopt(authority: &Authority, documents: &Documents, act: Option<OrderId>) -> Result<(), IssueError> {
    let (now, sha256) = (authority.clock.now(), documents.digest());
    let mut batch = put(&*authority.store, Batch::new(), documents)?;
    if accepted(&*authority.store)?.is_none_or(|(_, accepted)| accepted.sha256 != sha256) {
        batch = batch.put(AcceptedPolicies::key(), encode(&record(&sha256, act, now))?);
    }
    batch = batch.put(AcceptedPolicies::read_last(), sha256.as_bytes().to_vec());
    batch.append(log::STREAM, log::Entry::PoliciesRead { sha256: &sha256 }.leaf(now)?);
    authority.store.commit(batch)?;
    Ok(())
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
    if documents.digest() == sha256 { Ok(Some(documents)) } else { Err(damaged()) }
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
