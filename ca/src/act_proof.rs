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
const BELIEVED: u8 = log::REGISTRAR_SET;
const BEGUN: u8 = 58;
const ACCEPTED: u8 = log::POLICIES_ACCEPTED;
/// As the log names the service itself.
const SERVICE: &str = "service";
/// What tells that an act was done.
const DONE: [u8; 4] = [GRANTED, BELIEVED, BEGUN, ACCEPTED];

/// What is handed to whoever wants proof.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActProof {
    pub form: String,
    pub order: OrderId,
    pub state: String,
    pub asked: Asked,
    /// Whose holder is granted a power or made a registrar, PEM.
    pub certificate: Option<String>,
    /// The documents that were proposed; of a proposal that was refused or not decided on they are forgotten, and its digest
    /// is what was signed.
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
    let certificate = match act.asked.deed.certificate() {
        Some(serial) => {
            let record = register::get(&*authority.store, &register::serial(serial).map_err(IssueError::from)?).map_err(IssueError::from)?;
            Some(pem("CERTIFICATE", &record.der))
        }
        None => None,
    };
    let change = policies::change(authority, &act)?;
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
        policies: change.map(|change| change.after),
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
    let last = told.iter().rfind(|one| is_move(one));
    if moved(&proof, &told)?.word() != proof.state {
        return Err(ProofError::Story("its last state is another"));
    }
    if first.word("asked_sha256") != proof.asked.digest(&proof.order).unwrap_or_default() || first.word("by") != proof.asked.by || first.word("act") != proof.asked.deed.word() {
        return Err(ProofError::Content);
    }
    let beneficiary = beneficiary(&proof)?;
    // The documents here are those whose digest was signed.
    match (&proof.asked.deed, &proof.policies) {
        (Deed::ChangePolicies { after_sha256, .. }, Some(documents)) if documents.are(after_sha256) => {}
        (Deed::ChangePolicies { .. }, None) if matches!(ActState::told(&proof.state), Some(ActState::Refused(_) | ActState::Expired)) => {}
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
    if was_done && approved_by.is_empty() {
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

fn is_move(told: &Told) -> bool {
    [MOVED, APPROVED].contains(&told.kind)
}

/// The state that its moves lead to, each one that an act makes, and by whoever makes it.
fn moved(proof: &ActProof, told: &[Told]) -> Result<ActState, ProofError> {
    let mut state = ActState::AwaitingApproval;
    for (at, one) in told.iter().enumerate().filter(|(_, one)| is_move(one)) {
        let next = ActState::told(one.to()).filter(|next| state.may_become(next)).ok_or(ProofError::Story("a move is missing, or is none that an act makes"))?;
        // Each approval has as many decisions before it as its entry tells of.
        if one.kind == APPROVED && !told.get(..at).is_some_and(|before| proof::is_enough(one, before, DECIDED)) {
            return Err(ProofError::Story("fewer approved it than the log tells of"));
        }
        if !is_grounded(proof, told, at, &state, &next) {
            return Err(ProofError::Story("what moved it is missing, or came before its time"));
        }
        state = next;
    }
    Ok(state)
}

/// Whether what moved it stands directly before the move, since both are of one commit: an officer's word before an approval
/// and before a refusal of what waited, and what was done before its end. Every other move is the service's.
fn is_grounded(proof: &ActProof, told: &[Told], at: usize, state: &ActState, next: &ActState) -> bool {
    let entry = |at: usize| proof.entries.get(at).zip(told.get(at));
    let Some((place, moved)) = entry(at) else { return false };
    let before = at.checked_sub(1).and_then(entry).filter(|(before, _)| before.index.checked_add(1) == Some(place.index)).map(|(_, before)| before);
    let said = |word: &str| before.is_some_and(|said| said.kind == DECIDED && said.word("decision") == word && said.word("by") == moved.word("by"));
    match (state, next) {
        (_, ActState::Approved) => said("approve"),
        (ActState::AwaitingApproval, ActState::Refused(_)) => said("refuse"),
        (_, ActState::Done) => moved.word("by") == SERVICE && before.is_some_and(|done| DONE.contains(&done.kind)),
        _ => moved.word("by") == SERVICE,
    }
}

/// Who gets the power, by the certificate whose digest was asked for; a registrar is no person.
fn beneficiary(proof: &ActProof) -> Result<Option<Person>, ProofError> {
    match (&proof.asked.deed, &proof.certificate) {
        (deed @ (Deed::GrantPower { certificate_sha256, .. } | Deed::SetRegistrar { certificate_sha256, .. }), Some(text)) => {
            let certificate = der("CERTIFICATE", text)?;
            if crate::sha256_hex(&certificate) != *certificate_sha256 {
                return Err(ProofError::Certificate("it is not the one that was asked about"));
            }
            Ok(if let Deed::GrantPower { .. } = deed { Person::of(&certificate) } else { None })
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
            Deed::SetRegistrar { serial, domain, .. } => entry.kind == BELIEVED && entry.word("serial") == serial && entry.word("domain") == domain,
            Deed::ChangePolicies { before_sha256, after_sha256 } => entry.kind == ACCEPTED && entry.word("before_sha256") == before_sha256 && entry.word("sha256") == after_sha256,
            Deed::Bulk { incident, act, reason, certificates, serials_sha256, .. } => {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    /// Entries with their positions: what the log tells, without the tree around it.
    fn story(rows: &[(u64, u8, serde_json::Value)]) -> Result<ActState, ProofError> {
        let id: OrderId = "00112233445566778899aabbccddeeff".parse().unwrap();
        let deed = Deed::ChangePolicies { before_sha256: "ab".into(), after_sha256: "cd".into() };
        let asked = Asked { deed, by: "officer:1a".into(), person: None, at: 0 };
        let entries = rows.iter().map(|(index, ..)| Entry { index: *index, leaf: String::new(), path: Vec::new() }).collect();
        let proof = ActProof { form: FORM.into(), order: id, state: String::new(), asked, certificate: None, policies: None, decisions: Vec::new(), lists: Vec::new(), checkpoint: String::new(), entries };
        let told: Vec<Told> = rows.iter().map(|(_, kind, said)| Told::of(*kind, said.clone())).collect();
        moved(&proof, &told)
    }

    #[test]
    fn only_moves_that_an_act_makes_are_believed_each_directly_after_what_moved_it() {
        let asked = (3, ASKED, json!({"by": "officer:1a"}));
        let yes = |at: u64, by: &str| (at, DECIDED, json!({"decision": "approve", "by": by}));
        let approved = |at: u64, by: &str| (at, APPROVED, json!({"approvals": 1, "needed": 1, "by": by}));
        let moved = |at: u64, to: &str, by: &str| (at, MOVED, json!({"to": to, "by": by}));
        let accepted = |at: u64| (at, ACCEPTED, json!({"by": "officer:1a"}));
        let whole = [asked.clone(), yes(7, "officer:2b"), approved(8, "officer:2b"), accepted(10), moved(11, "done", "service")];
        assert_eq!(story(&whole).unwrap(), ActState::Done);
        assert_eq!(story(&whole[..1]).unwrap(), ActState::AwaitingApproval);
        // An approval that fell, and was given anew by another.
        let again = [asked.clone(), yes(7, "officer:2b"), approved(8, "officer:2b"), moved(9, "awaiting-approval", "service"), yes(12, "officer:3c"), approved(13, "officer:3c"), accepted(14), moved(15, "done", "service")];
        assert_eq!(story(&again).unwrap(), ActState::Done);
        let refused = [asked.clone(), (7, DECIDED, json!({"decision": "refuse", "by": "officer:2b"})), moved(8, "refused", "officer:2b")];
        assert_eq!(story(&refused).unwrap().word(), "refused");
        let by_service = [asked.clone(), yes(7, "officer:2b"), approved(8, "officer:2b"), moved(9, "refused", "service")];
        assert_eq!(story(&by_service).unwrap().word(), "refused");
        assert_eq!(story(&[asked.clone(), moved(9, "expired", "service")]).unwrap(), ActState::Expired);
        for (what, rows) in [
            ("done without approval", vec![asked.clone(), accepted(10), moved(11, "done", "service")]),
            ("approved twice", vec![asked.clone(), yes(7, "officer:2b"), approved(8, "officer:2b"), yes(9, "officer:3c"), approved(10, "officer:3c")]),
            ("after its end", vec![asked.clone(), moved(9, "expired", "service"), yes(12, "officer:2b"), approved(13, "officer:2b")]),
            ("approved by none", vec![asked.clone(), approved(8, "officer:2b")]),
            ("by another than who said so", vec![asked.clone(), yes(7, "officer:2b"), approved(8, "officer:3c")]),
            ("in another commit", vec![asked.clone(), yes(6, "officer:2b"), approved(8, "officer:2b")]),
            ("refused by nobody", vec![asked.clone(), moved(8, "refused", "service")]),
            ("ended by an officer", vec![asked.clone(), moved(8, "expired", "officer:2b")]),
            ("done in another commit", vec![asked.clone(), yes(7, "officer:2b"), approved(8, "officer:2b"), accepted(9), moved(11, "done", "service")]),
            ("back by an officer", vec![asked, yes(7, "officer:2b"), approved(8, "officer:2b"), moved(9, "awaiting-approval", "officer:2b")]),
        ] {
            assert!(matches!(story(&rows), Err(ProofError::Story(_))), "{what}");
        }
    }
}
