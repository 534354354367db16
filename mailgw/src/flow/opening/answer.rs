//! An operator looks at what came with an application, and answers it.

use policies::identity::{Document, PersonName};
use policies::mailbox::{DocumentProof, PersonProof, Proofs};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};

use super::shown::{REASONS, ShownToOperator, to_operator};
use super::{Answer, Ending, OpeningError, PAGE, Place, end, keyed, open, proof};
use crate::directory::{Applicant, today};
use crate::gateway::Gateway;
use crate::record::application::{self as record, Application, ApplicationId, Person, State};
use crate::record::body;
use crate::service::TypedPassword;

/// Applications that one list shows.
const MOST: usize = 1_000;

/// What an operator read from the papers, and found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    pub id: String,
    /// As they stand on the document that was looked at.
    pub id_type: String,
    pub id_no: TypedPassword,
    pub name: TypedPassword,
    /// `original` or `copy`.
    pub document: Option<String>,
    /// `present` or `video`.
    pub person: Option<String>,
    /// SHA-256 of the files that were looked at.
    pub evidence: Vec<String>,
    /// Where the papers are.
    pub papers: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub id: String,
    pub reason: String,
    pub papers: String,
}

/// A record that waits, as it was read.
struct Waiting {
    place: Place,
    stored: Vec<u8>,
    record: Application,
    person: Person,
}

fn waiting(gateway: &Gateway, id: &str) -> Result<Waiting, OpeningError> {
    let id = ApplicationId::parse(id).ok_or(OpeningError::Unknown)?;
    let place = Place { token: String::new(), key: record::key(&id), id };
    let stored = gateway.store.get(&place.key)?.ok_or(OpeningError::Unknown)?;
    let record = Application::open(&place.key, &stored, &gateway.directory_key)?;
    let person = record.person.clone().filter(|_| record.state == State::Waiting).ok_or(OpeningError::Answered)?;
    Ok(Waiting { place, stored, record, person })
}

pub(super) fn papers(text: &str) -> Result<String, OpeningError> {
    let text = text.trim();
    let good = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(crate::hex(&body::digest(text.as_bytes()))) } else { Err(OpeningError::Papers) }
}

/// 1 it waits, and what the operator read is what was applied with · 2 the files are those of the application, and of a copy there is one ·
/// 3 graded anew, by what still holds and with what was found · 4 opened, or led to the mailbox that is there. From a blocking thread.
pub fn accept(gateway: &Gateway, lists: &RevocationLists, acceptance: &Acceptance) -> Result<ShownToOperator, OpeningError> {
    let (now, policy) = (gateway.clock.now(), gateway.directory.policy().opening());
    // 1
    let Waiting { place, stored, record, person } = waiting(gateway, &acceptance.id)?;
    let document = Document::parse(&acceptance.id_type, acceptance.id_no.expose(), today(now)).map_err(OpeningError::Document)?;
    let name = PersonName::parse(acceptance.name.expose()).map_err(OpeningError::Name)?;
    if keyed(gateway, "mailbox applicant", &zeroize::Zeroizing::new(document.canonical())) != person.document || name.expose() != person.name {
        return Err(OpeningError::NotTheSame);
    }
    // 2
    let unseen = acceptance.document.as_deref() == Some("copy") && acceptance.evidence.is_empty();
    if unseen || !acceptance.evidence.iter().all(|digest| person.evidence.iter().any(|(_, sha256)| sha256 == digest)) {
        return Err(OpeningError::OtherEvidence);
    }
    // 3
    let found = found(acceptance.document.as_deref(), acceptance.person.as_deref())?;
    let came = proof::still_good(gateway, lists, &record, &person, now)?;
    let graded = policy.grade(&came.and(&found));
    if !policy.may_accept(graded) {
        return Err(OpeningError::NotEnough { document: policy.name(graded.document).to_owned(), person: policy.name(graded.person).to_owned() });
    }
    // 4
    let words = found.document.iter().map(|proof| proof.name()).chain(found.person.iter().map(|proof| proof.name()));
    let answer = Answer { found: words.map(str::to_owned).collect(), papers: Some(papers(&acceptance.papers)?) };
    let ending = Ending { place: &place, before: Some(&stored), record: &record, applied: None, answer, now };
    Ok(to_operator(&place.id, open(gateway, &ending, &Applicant::Citizen { document, name, aliases: Vec::new() })?))
}

pub(super) fn found(document: Option<&str>, person: Option<&str>) -> Result<Proofs, OpeningError> {
    let document = document.map(|word| match word {
        "original" => Ok(DocumentProof::OperatorOriginal),
        "copy" => Ok(DocumentProof::OperatorCopy),
        other => Err(OpeningError::Finding(other.chars().take(40).collect())),
    });
    let person = person.map(|word| match word {
        "present" => Ok(PersonProof::OperatorPresent),
        "video" => Ok(PersonProof::OperatorVideo),
        other => Err(OpeningError::Finding(other.chars().take(40).collect())),
    });
    Ok(Proofs { document: document.transpose()?.into_iter().collect(), person: person.transpose()?.into_iter().collect() })
}

pub fn refuse(gateway: &Gateway, refusal: &Refusal) -> Result<ShownToOperator, OpeningError> {
    let Waiting { place, stored, record, .. } = waiting(gateway, &refusal.id)?;
    if !REASONS.contains(&refusal.reason.as_str()) {
        return Err(OpeningError::Reason(refusal.reason.chars().take(40).collect()));
    }
    let answer = Answer { found: Vec::new(), papers: Some(papers(&refusal.papers)?) };
    let ending = Ending { place: &place, before: Some(&stored), record: &record, applied: None, answer, now: gateway.clock.now() };
    Ok(to_operator(&place.id, end(gateway, &ending, State::Refused { reason: refusal.reason.clone() })?))
}

pub fn show(gateway: &Gateway, id: &str) -> Result<ShownToOperator, OpeningError> {
    let id = ApplicationId::parse(id).ok_or(OpeningError::Unknown)?;
    let key = record::key(&id);
    let found = gateway.store.get(&key)?.ok_or(OpeningError::Unknown)?;
    Ok(to_operator(&id, Application::open(&key, &found, &gateway.directory_key)?))
}

/// Those that wait, or all; the oldest first.
pub fn list(gateway: &Gateway, all: bool) -> Result<Vec<ShownToOperator>, OpeningError> {
    let ((mut from, to), mut shown) = (if all { record::all() } else { record::waiting() }, Vec::new());
    while shown.len() < MOST {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last.successor();
        for (key, _) in &page {
            match self::show(gateway, record::id(key)?.as_str()) {
                // Answered at this moment.
                Err(OpeningError::Unknown) => {}
                one => shown.push(one?),
            }
        }
    }
    shown.sort_by(|one: &ShownToOperator, other| (one.since_unix_millis, &one.id).cmp(&(other.since_unix_millis, &other.id)));
    shown.truncate(MOST);
    Ok(shown)
}
