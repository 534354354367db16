//! A change of the policies, from the proposal to its acceptance.
//!
//! 1 judge    the documents parse, fit each other and the issuers there are, leave officers who can decide, and are not those
//!            accepted already
//! 2 ask      where the rules in force ask for approvals: kept as they were proposed, and others decide about their digest
//! 3 accept   judged once more; the record of what is accepted and its log entry in one commit
//!
//! They are gone by from the next start on: a rule never changes under a request that is being judged by it.

use std::collections::{BTreeMap, BTreeSet};

use const_oid::ObjectIdentifier as Oid;
use policies::authority::{PoliciesRule, Power, Rules};
use policies::certificate::{Policies, Profile};
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate, X509Extension};

use super::act::{self, ApprovedAct};
use super::authorise::{Administrator, Authorised, OFFICER, roster};
use super::officer;
use crate::authority::Authority;
use crate::documents::{Documents, ReadPolicies};
use crate::in_force;
use crate::problem::IssueError;
use crate::record::{AcceptedOnce, AcceptedPolicies, ActRecord, ActState, BroughtPolicies, Deed, OrderId, Person, encode, log};

const ATTEMPTS: u32 = 16;

#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    #[error(transparent)]
    Document(#[from] policies::PolicyError),
    #[error("{what}; mend the documents and propose them again")]
    Unmatched { what: String },
    #[error("the good certificates of {officers} officers name no policy that these documents ask of officers, so they could decide about nothing any more; keep the present policy in officer.toml beside the new one until their certificates are renewed")]
    OfficersUnfit { officers: usize },
    #[error("{approvals} approvals would be asked of a change of the policies, and beside whoever proposes one {there} persons could approve it; ask for fewer, or grant the power to more")]
    TooFewApprove { approvals: u8, there: usize },
    #[error("these are the policies that were accepted; nothing is to be decided")]
    Same,
    #[error("{open} proposed changes of the policies wait, and {octets} octets of documents with them; decide about them first, or let them end")]
    TooMany { open: usize, octets: u64 },
    #[error("the policies were changed since these were proposed, so others would fall with them; propose the change anew, made of what is accepted now")]
    Overtaken,
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<PoliciesError> for runtime::exit::Problem {
    fn from(error: PoliciesError) -> Self {
        use runtime::exit::Exit;
        let (exit, code) = match error {
            PoliciesError::Issue(error) => return error.into(),
            PoliciesError::Document(_) | PoliciesError::Unmatched { .. } => (Exit::Refused, "policy"),
            PoliciesError::OfficersUnfit { .. } | PoliciesError::TooFewApprove { .. } => (Exit::Refused, "officers-locked-out"),
            PoliciesError::Same => (Exit::Conflict, "same-policies"),
            PoliciesError::TooMany { .. } => (Exit::Unavailable, "too-many-proposals"),
            PoliciesError::Overtaken => (Exit::Conflict, "policies-changed"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and propose them again"));
        Self::new(exit, code, message, next)
    }
}

/// What is accepted and what the service goes by until it starts again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    pub accepted_sha256: String,
    /// Unix seconds.
    pub accepted_at: i64,
    /// The act in which they were approved.
    pub act: Option<OrderId>,
    /// Of those gone by since the last start.
    pub in_force_sha256: String,
    pub documents: Documents,
}

/// Those proposed, beside those they take the place of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub before: Documents,
    pub after: Documents,
}

#[derive(Debug)]
pub enum Proposed {
    Accepted(Standing),
    Awaits(OrderId, ActRecord),
}

pub fn standing(authority: &Authority) -> Result<Standing, IssueError> {
    let damaged = || IssueError::Damaged { what: "the accepted policies" };
    let (_, AcceptedPolicies { sha256, at, act }) = in_force::accepted(&*authority.store)?.ok_or_else(damaged)?;
    let in_force_sha256 = authority.store.get(&AcceptedPolicies::read_last())?.and_then(|sha256| String::from_utf8(sha256).ok()).ok_or_else(damaged)?;
    let documents = in_force::stored(&*authority.store, &sha256)?.ok_or_else(damaged)?;
    Ok(Standing { accepted_sha256: sha256, accepted_at: at, act, in_force_sha256, documents })
}

/// The documents that an act is about; none of one that was refused or not decided on, whose documents are forgotten.
pub fn change(authority: &Authority, act: &ActRecord) -> Result<Option<Change>, IssueError> {
    let Deed::ChangePolicies { before_sha256, after_sha256 } = &act.asked.deed else { return Ok(None) };
    let read = |sha256: &str| in_force::stored(&*authority.store, sha256);
    match (read(before_sha256)?, read(after_sha256)?) {
        (Some(before), Some(after)) => Ok(Some(Change { before, after })),
        _ if matches!(act.state, ActState::Refused(_) | ActState::Expired) => Ok(None),
        _ => Err(IssueError::Damaged { what: "the proposed policies" }),
    }
}

/// How many approve a change, and who: the stricter of the rule gone by and of what was accepted since. Whoever is to be
/// asked by a rule just accepted is not passed by before the next start.
pub(super) fn rule(authority: &Authority) -> Result<Option<PoliciesRule>, IssueError> {
    let now = authority.rules.approvals.policies.as_ref();
    let since = in_force::rules_since(&*authority.store)?.and_then(|rules| rules.approvals.policies);
    Ok(match (now, since) {
        (Some(now), Some(since)) => Some(now.stricter(&since)),
        (now, since) => since.or_else(|| now.cloned()),
    })
}

/// Forgets the documents of a proposal that ended without being accepted, unless another one is of the same.
pub(super) fn released(authority: &Authority, batch: Batch, id: &OrderId, after_sha256: &str) -> Result<Batch, IssueError> {
    // The turn before the look: whoever proposes the same at this moment is seen, or sees this.
    let batch = in_force::turned(&*authority.store, batch)?;
    let same = |(other, act): &(OrderId, ActRecord)| other != id && matches!(&act.asked.deed, Deed::ChangePolicies { after_sha256: after, .. } if after == after_sha256);
    let open = act::list(authority).map_err(|_| IssueError::Damaged { what: "an act" })?;
    if open.iter().any(same) { Ok(batch) } else { in_force::forgotten(&*authority.store, batch, after_sha256) }
}

/// Whether there is room for one more of these.
fn room(authority: &Authority, documents: &Documents) -> Result<(), PoliciesError> {
    let most = authority.rules.approvals.proposals;
    let (mut open, mut octets) = (0, documents.octets());
    for (_, act) in act::list(authority).map_err(|_| IssueError::Damaged { what: "an act" })? {
        if let Deed::ChangePolicies { after_sha256, .. } = &act.asked.deed {
            open += 1;
            octets += in_force::octets(&*authority.store, after_sha256)?;
        }
    }
    if open >= usize::from(most.open) || octets > most.octets { Err(PoliciesError::TooMany { open, octets: octets - documents.octets() }) } else { Ok(()) }
}

/// An administrator proposes documents, all of them.
pub fn propose(authority: &Authority, authorised: &Authorised<Administrator>, documents: &Documents) -> Result<Proposed, PoliciesError> {
    for _ in 0..ATTEMPTS {
        match propose_once(authority, authorised, documents) {
            // Proposed or accepted at the same moment: judged anew.
            Err(PoliciesError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            done => return done,
        }
    }
    Err(IssueError::Race.into())
}

fn propose_once(authority: &Authority, authorised: &Authorised<Administrator>, documents: &Documents) -> Result<Proposed, PoliciesError> {
    // 1.
    let deed = judged(authority, documents)?;
    // 2.
    if act::needed(authority, &deed)?.is_some() {
        if let Some((id, act)) = act::open(authority, &deed)? {
            return Ok(Proposed::Awaits(id, act));
        }
        let id = OrderId::draw(&SystemRandom::new()).map_err(|_| IssueError::Randomness)?;
        // The turn before the look, as for what is forgotten.
        let batch = in_force::turned(&*authority.store, Batch::new())?;
        room(authority, documents)?;
        let batch = in_force::put(&*authority.store, batch, documents)?;
        let (batch, act) = act::asked(authority, batch, authorised, &id, deed)?;
        authority.store.commit(batch).map_err(IssueError::from)?;
        return Ok(Proposed::Awaits(id, act));
    }
    // 3.
    accept(authority, authorised, documents, &deed, None)?;
    Ok(Proposed::Accepted(standing(authority)?))
}

/// Step 3 for what others approved.
pub(super) fn accept_approved(authority: &Authority, authorised: &Authorised<Administrator>, after_sha256: &str, approved: &ApprovedAct) -> Result<(), PoliciesError> {
    let documents = in_force::stored(&*authority.store, after_sha256)?.ok_or(IssueError::Damaged { what: "the proposed policies" })?;
    let deed = judged(authority, &documents)?;
    // Made of others than are accepted now: what was changed meanwhile would be undone unseen.
    if !approved.is_of(&deed) {
        return Err(PoliciesError::Overtaken);
    }
    accept(authority, authorised, &documents, &deed, Some(approved))
}

/// What would be done, if the documents make sense in this authority.
fn judged(authority: &Authority, documents: &Documents) -> Result<Deed, PoliciesError> {
    let ReadPolicies { certificates, rules, digest, .. } = documents.judge()?;
    if let Some(what) = authority.unmatched_with(&certificates, &rules).into_iter().next() {
        return Err(PoliciesError::Unmatched { what });
    }
    officers_go_on(authority, &certificates, &rules)?;
    let before = in_force::accepted(&*authority.store)?.map(|(_, accepted)| accepted.sha256).ok_or(IssueError::Damaged { what: "the accepted policies" })?;
    match in_force::brought(&*authority.store)? {
        // What a version brought is accepted like a change, from what was accepted before it.
        Some(brought) if before == digest => Ok(Deed::ChangePolicies { before_sha256: brought.before_sha256, after_sha256: digest }),
        None if before == digest => Err(PoliciesError::Same),
        _ => Ok(Deed::ChangePolicies { before_sha256: before, after_sha256: digest }),
    }
}

/// That under these rules officers could still decide, and change them again: nobody else could let them in.
fn officers_go_on(authority: &Authority, certificates: &Policies, rules: &Rules) -> Result<(), PoliciesError> {
    if !roster(authority)?.1.administered {
        return Ok(());
    }
    let asked = certificates.profile(OFFICER).map(Profile::policies).unwrap_or_default();
    let (mut unfit, mut good): (usize, BTreeMap<Person, BTreeSet<Power>>) = (0, BTreeMap::new());
    for (der, officer) in officer::good(authority)? {
        if asked.iter().any(|policy| names_policy(&der, policy)) {
            good.entry(officer.person).or_default().extend(officer.powers);
        } else {
            unfit += 1;
        }
    }
    if unfit > 0 {
        return Err(PoliciesError::OfficersUnfit { officers: unfit });
    }
    let Some(rule) = rules.approvals.policies.as_ref().filter(|rule| rule.asks()) else { return Ok(()) };
    let approvers = good.values().filter(|powers| !powers.is_disjoint(&rule.by)).count();
    // Nobody approves what they proposed: it falls to one who approves nothing, if such a one may propose.
    let proposes = |powers: &BTreeSet<Power>| powers.contains(&Power::Administrator);
    let spared = rules.officers.local_powers().contains(&Power::Administrator) || good.values().any(|powers| proposes(powers) && powers.is_disjoint(&rule.by));
    let there = if spared { approvers } else { approvers.saturating_sub(1) };
    if there < usize::from(rule.approvals) { Err(PoliciesError::TooFewApprove { approvals: rule.approvals, there }) } else { Ok(()) }
}

fn names_policy(der: &[u8], policy: &Oid) -> bool {
    let Ok(([], read)) = X509Certificate::from_der(der) else { return false };
    let mut extensions = read.extensions().iter().map(X509Extension::parsed_extension);
    extensions.any(|one| matches!(one, ParsedExtension::CertificatePolicies(named) if named.iter().any(|one| one.policy_id.as_bytes() == policy.as_bytes())))
}

fn accept(authority: &Authority, authorised: &Authorised<Administrator>, documents: &Documents, deed: &Deed, approved: Option<&ApprovedAct>) -> Result<(), PoliciesError> {
    let Deed::ChangePolicies { before_sha256, after_sha256 } = deed else { return Err(IssueError::Damaged { what: "an act" }.into()) };
    let now = authority.clock.now();
    let brought = in_force::brought(&*authority.store)?;
    let is_before = |sha256: &str| sha256 == before_sha256 || brought.as_ref().is_some_and(|brought| brought.before_sha256 == *before_sha256 && sha256 == after_sha256);
    let (stored, _) = in_force::accepted(&*authority.store)?.filter(|(_, accepted)| is_before(&accepted.sha256)).ok_or(PoliciesError::Overtaken)?;
    let record = in_force::record(after_sha256, approved.map(ApprovedAct::id), now);
    // The turn before the look at what is there: an end of a proposal of the same takes nothing away that is counted on here.
    let batch = in_force::turned(&*authority.store, Batch::new())?;
    let batch = batch.expect(Expectation::Equals(AcceptedPolicies::key(), stored)).put(AcceptedPolicies::key(), encode(&record).map_err(IssueError::from)?);
    // Those before too: they may have been accepted by a version that marked nothing.
    let batch = [before_sha256, after_sha256].into_iter().fold(batch, |batch, sha256| batch.put(AcceptedOnce::key(sha256), Vec::new()));
    // Whatever was brought is a part of what is accepted now.
    let batch = if brought.is_some() { batch.delete(BroughtPolicies::key()) } else { batch };
    let mut batch = in_force::put(&*authority.store, batch, documents)?;
    let entry = log::Entry::PoliciesAccepted { before_sha256, sha256: after_sha256, by: &authorised.actor().to_string() };
    let slot = batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    if let Some(approved) = approved {
        batch = approved.done(authority, batch, slot, now)?;
    }
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(())
}
