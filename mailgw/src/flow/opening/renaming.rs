//! The holder of a mailbox has another name: an operator looks at the papers, which are graded by the rules of opening. For an institution
//! the document is what its registry issued, and the person is who acts for it.

use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};

use super::OpeningError;
use super::answer::{found, papers};
use crate::directory::{Account, Applicant, ApplicantError, NameProof, Words, today};
use crate::gateway::Gateway;

const MAX_EVIDENCE: usize = 16;

/// What an operator read from the papers, and found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renaming {
    pub mailbox: String,
    /// A document of the owner's, or the credit code, and the new name.
    pub holder: Words,
    /// `original` or `copy`.
    pub document: Option<String>,
    /// `present` or `video`.
    pub person: Option<String>,
    /// SHA-256 of the files that were looked at.
    pub evidence: Vec<String>,
    /// Where the papers are.
    pub papers: String,
}

/// 1 the papers name a holder · 2 what was found is enough by the rules of opening, and of a copy there is a file · 3 it is the holder of this
/// mailbox, under another name; durable with the name of before and a leaf of the log.
pub fn rename(gateway: &Gateway, number: MailboxNumber, renaming: &Renaming) -> Result<Account, OpeningError> {
    let (directory, now) = (&gateway.directory, gateway.clock.now());
    let policy = directory.policy().opening();
    // 1
    let renamed = Applicant::parse(&renaming.holder, directory.policy(), today(now))?;
    if !renaming.holder.aliases.is_empty() {
        return Err(ApplicantError::Mixed.into());
    }
    let papers = papers(&renaming.papers)?;
    // 2
    let proofs = found(renaming.document.as_deref(), renaming.person.as_deref())?;
    let are_digests = renaming.evidence.iter().all(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    if !are_digests || renaming.evidence.len() > MAX_EVIDENCE {
        return Err(OpeningError::Evidence);
    }
    if renaming.document.as_deref() == Some("copy") && renaming.evidence.is_empty() {
        return Err(OpeningError::NoCopy);
    }
    let graded = policy.grade(&proofs);
    let (document_grade, person_grade) = (policy.name(graded.document).to_owned(), policy.name(graded.person).to_owned());
    if !policy.may_accept(graded) {
        return Err(OpeningError::NotEnough { document: document_grade, person: person_grade });
    }
    // 3
    Ok(directory.rename(number, &renamed, &NameProof { proofs, document_grade, person_grade, evidence: renaming.evidence.clone(), papers }, now)?)
}
