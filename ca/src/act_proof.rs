//! An act that officers approved, proved as orders are: who asked for what, what others signed, and that the log tells the
//! same, up to the entry of what was done.

use const_oid::ObjectIdentifier as Oid;
use evidence::Evidence;
use pki::path::Anchors;
use runtime::exit::Problem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::approval::Judge;
use crate::authority::Authority;
use crate::documents::Documents;
use crate::flow::{act, approve, policies};
use crate::flow::order::OrderError;
use crate::proof::{self, Entry, MAX_ENTRIES, ProofError, Signature, Told, der, lists_of, proved};
use crate::problem::IssueError;
use crate::record::{ActDecision, ActRecord, ActState, Asked, Deed, OrderId, Person, log};
use crate::register;
use crate::service::pem;

const FORM: &str = "suiyin act proof 1";

const ASKED: u8 = 23;
const DECIDED: u8 = 24;
const MOVED: u8 = 25;
const APPROVED: u8 = log::ACT_APPROVED;
const GRANTED: u8 = 10;
const BEGUN: u8 = 58;
const ACCEPTED: u8 = log::POLICIES_ACCEPTED;
/// What tells that an act was done.
const DONE: [u8; 3] = [GRANTED, BEGUN, ACCEPTED];

/// What is handed to whoever wants proof.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActProof {
    pub form: String,
    pub order: OrderId,
    pub state: String,
    pub asked: Asked,
    /// To whose holder a power is granted, PEM.
    pub certificate: Option<String>,
    /// The documents that were proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Documents>,
    pub decisions: Vec<Signature>,
    /// The lists in force when something was decided, PEM.
    pub lists: Vec<String>,
    /// The signed head of the log.
    pub checkpoint: String,
    pub entries: Vec<Entry>,
}

/// What was proved.
#[derive(Clone, Debug, Serialize)]
pub struct ActProven {
    pub state: String,
    pub act: Deed,
    pub asked_by: String,
    /// When the log has it asked for and when it came to its state, Unix seconds.
    pub asked_at: i64,
    pub state_at: i64,
    /// Serials of the certificates of the officers who approved, and of those who refused.
    pub approved_by: Vec<String>,
    pub refused_by: Vec<String>,
    /// Entries that the log had.
    pub log_size: u64,
}

/// The proof of an act as it stands.
pub fn export(authority: &Authority, evidence: &Evidence, id: &OrderId) -> Result<ActProof, Problem> {
    let (_, act) = act::load(authority, id)?;
    let decisions = approve::decisions(authority, id)?;
    let lists = lists_of(authority, &decisions)?;
    let certificate = match &act.asked.deed {
        Deed::GrantPower { serial, .. } => {
            let record = register::get(&*authority.store, &register::serial(serial).map_err(IssueError::from)?).map_err(IssueError::from)?;
            Some(pem("CERTIFICATE", &record.der))
        }
        Deed::Bulk { .. } | Deed::ChangePolicies { .. } => None,
    };
    let deed = act.asked.deed.clone();
    let (from, to) = ActRecord::entries(id);
    let kept = authority.store.scan(&from, &to, MAX_ENTRIES).map_err(OrderError::from)?;
    let indexes: Vec<u64> = kept.iter().filter_map(|(key, _)| ActRecord::position(id, key)).collect();
    let (checkpoint, entries) = proved(evidence, &indexes)?;
    Ok(ActProof {
        form: FORM.to_owned(),
        order: *id,
        state: act.state.word().to_owned(),
        asked: act.asked,
        certificate,
        policies: policies::change(authority, &deed)?.map(|change| change.after),
        decisions: decisions.into_iter().map(|record| Signature { decision: record.decision, signature: pem("CMS", &record.signature) }).collect(),
        lists,
        checkpoint,
        entries,
    })
}

impl ActProof {
    pub fn text(&self) -> Result<String, serde_json::Error> {
        proof::written(self)
    }

    /// Only from the one form that it is written in.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        proof::parse(bytes, |proof: &Self| proof.form == FORM && proof.entries.len() <= MAX_ENTRIES)
    }
}

/// From the file, the root and the log's key alone. `officers` are the policies of officers' certificates.
pub fn verify(bytes: &[u8], root: &[u8], vkey: &str, officers: Vec<Oid>) -> Result<ActProven, ProofError> {
    // 1. One form, and PEM in its one form.
    let proof = ActProof::parse(bytes)?;
    let lists = proof::lists(&proof.lists)?;
    let anchors = Anchors::new(&[root]).map_err(|_| ProofError::Root)?;
    // 2. The head is the log's, and every entry is in it.
    let (head, told) = proof::opened(&proof.checkpoint, &proof.entries, vkey)?;
    // 3. They tell of this act, from its asking to its state, and of what was done when it was.
    let digest = proof.order.digest();
    let first = told.first().filter(|first| first.kind == ASKED).ok_or(ProofError::Story("the asking is missing"))?;
    if told.iter().any(|one| !DONE.contains(&one.kind) && one.word("act_sha256") != digest) {
        return Err(ProofError::Story("one is about another act"));
    }
    if told.iter().skip(1).any(|one| ![DECIDED, MOVED, APPROVED].contains(&one.kind) && !DONE.contains(&one.kind)) {
        return Err(ProofError::Story("one is of another kind"));
    }
    let moves = || told.iter().filter(|one| [MOVED, APPROVED].contains(&one.kind));
    let last = moves().next_back();
    if last.map_or(ActState::AwaitingApproval.word(), Told::to) != proof.state {
        return Err(ProofError::Story("its last state is another"));
    }
    // Each approval has as many decisions before it as its entry tells of.
    let is_short = |at: usize, one: &Told| one.kind == APPROVED && !told.get(..at).is_some_and(|before| proof::is_enough(one, before, DECIDED));
    if told.iter().enumerate().any(|(at, one)| is_short(at, one)) {
        return Err(ProofError::Story("fewer approved it than the log tells of"));
    }
    if first.word("asked_sha256") != proof.asked.digest(&proof.order).unwrap_or_default() || first.word("by") != proof.asked.by || first.word("act") != proof.asked.deed.word() {
        return Err(ProofError::Content);
    }
    let beneficiary = beneficiary(&proof)?;
    // The documents here are those whose digest was signed.
    match (&proof.asked.deed, &proof.policies) {
        (Deed::ChangePolicies { after_sha256, .. }, Some(documents)) if documents.digest() == *after_sha256 => {}
        (Deed::ChangePolicies { .. }, _) => return Err(ProofError::Content),
        (_, None) => {}
        (_, Some(_)) => return Err(ProofError::Form),
    }
    let done: Vec<&Told> = told.iter().filter(|one| DONE.contains(&one.kind)).collect();
    let was_done = proof.state == ActState::Done.word();
    match (done.as_slice(), was_done) {
        ([], false) => {}
        ([entry], true) if tells_of(entry, &proof.asked) => {}
        _ => return Err(ProofError::Story("what was done is another thing than what was asked for")),
    }
    // 4. Every decision that the log knows is here, and each holds by itself.
    let judge = Judge { anchors: &anchors, lists: &lists, policies: officers };
    let decided: Vec<&Told> = told.iter().filter(|one| one.kind == DECIDED).collect();
    let about = |decision: &ActDecision| decision.is_about(&proof.order, &proof.asked);
    let own = |person: Person| proof.asked.person == Some(person) || beneficiary == Some(person);
    let (approved_by, refused_by) = proof::decisions(&proof.decisions, &decided, &judge, about, own)?;
    if was_done && (approved_by.is_empty() || !moves().any(|one| one.to() == ActState::Approved.word())) {
        return Err(ProofError::Story("it was done and nobody approved it"));
    }
    let seconds = |told: &Told| told.at().map_or(0, OffsetDateTime::unix_timestamp);
    Ok(ActProven {
        state: proof.state.clone(),
        act: proof.asked.deed.clone(),
        asked_by: proof.asked.by.clone(),
        asked_at: seconds(first),
        state_at: seconds(last.unwrap_or(first)),
        approved_by,
        refused_by,
        log_size: head.size(),
    })
}

/// Who gets the power, by the certificate whose digest was asked for.
fn beneficiary(proof: &ActProof) -> Result<Option<Person>, ProofError> {
    match (&proof.asked.deed, &proof.certificate) {
        (Deed::GrantPower { certificate_sha256, .. }, Some(text)) => {
            let certificate = der("CERTIFICATE", text)?;
            if crate::sha256_hex(&certificate) != *certificate_sha256 {
                return Err(ProofError::Certificate("it is not the one that the power was asked for"));
            }
            Ok(Person::of(&certificate))
        }
        (Deed::Bulk { .. } | Deed::ChangePolicies { .. }, None) => Ok(None),
        _ => Err(ProofError::Form),
    }
}

/// Whether an entry of the log is of the very thing asked for.
fn tells_of(entry: &Told, asked: &Asked) -> bool {
    let of_asker = entry.word("by") == asked.by;
    of_asker
        && match &asked.deed {
            Deed::GrantPower { serial, power, .. } => entry.kind == GRANTED && entry.word("serial") == serial && entry.word("power") == power.name(),
            Deed::ChangePolicies { before_sha256, after_sha256 } => entry.kind == ACCEPTED && entry.word("before_sha256") == before_sha256 && entry.word("sha256") == after_sha256,
            Deed::Bulk { incident, act, reason, certificates, serials_sha256 } => {
                let said = serde_json::to_value(reason).ok();
                entry.kind == BEGUN
                    && entry.word("incident") == incident
                    && entry.word("act") == act.name()
                    && entry.word("chosen_sha256") == serials_sha256
                    && entry.said.get("certificates").and_then(serde_json::Value::as_u64) == Some(*certificates)
                    && entry.said.get("reason") == said.as_ref()
            }
        }
}
