//! What an operator found of a holder who has a mailbox already, graded by the rules of opening as an application is.

use policies::mailbox::OpeningPolicy;
use serde::{Deserialize, Serialize};

use super::OpeningError;
use super::answer::{found, papers};
use crate::directory::HolderProof;

const MAX_EVIDENCE: usize = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// `original` or `copy`.
    pub document: Option<String>,
    /// `present` or `video`.
    pub person: Option<String>,
    /// SHA-256 of the files that were looked at.
    pub evidence: Vec<String>,
    /// Where the papers are.
    pub papers: String,
}

impl Findings {
    /// Enough by both rules, or an error; of a copy there is a file.
    pub(super) fn proof(&self, policy: &OpeningPolicy) -> Result<HolderProof, OpeningError> {
        let papers = papers(&self.papers)?;
        let proofs = found(self.document.as_deref(), self.person.as_deref())?;
        let are_digests = self.evidence.iter().all(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        if !are_digests || self.evidence.len() > MAX_EVIDENCE {
            return Err(OpeningError::Evidence);
        }
        if self.document.as_deref() == Some("copy") && self.evidence.is_empty() {
            return Err(OpeningError::NoCopy);
        }
        let graded = policy.grade(&proofs);
        let (document_grade, person_grade) = (policy.name(graded.document).to_owned(), policy.name(graded.person).to_owned());
        if !policy.may_accept(graded) {
            return Err(OpeningError::NotEnough { document: document_grade, person: person_grade });
        }
        Ok(HolderProof { proofs, document_grade, person_grade, evidence: self.evidence.clone(), papers })
    }
}
