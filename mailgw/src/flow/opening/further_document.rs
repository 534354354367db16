//! The owner of a mailbox has a further document, such as a renewed card: an operator looks at it, graded by the rules of opening. It counts
//! like the first one from then on, in a recovery too.

use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};

use super::OpeningError;
use super::findings::Findings;
use crate::directory::{Account, Applicant, ApplicantError, DirectoryError, Words, today};
use crate::gateway::Gateway;

/// What an operator read from the document, and found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherDocument {
    pub mailbox: String,
    /// Type, number and name as they stand on it.
    pub document: Words,
    pub findings: Findings,
}

/// 1 it is a person's document · 2 what was found is enough by the rules of opening, and of a copy there is a file · 3 it bears the name of
/// the owner of this mailbox and is nobody else's; durable with a leaf of the log, and the owner is told.
pub fn add(gateway: &Gateway, number: MailboxNumber, further: &FurtherDocument) -> Result<Account, OpeningError> {
    let (directory, now) = (&gateway.directory, gateway.clock.now());
    // 1
    let Applicant::Citizen { document, name, .. } = Applicant::parse(&further.document, directory.policy(), today(now))? else {
        return Err(DirectoryError::NoCitizen { mailbox: number }.into());
    };
    if !further.document.aliases.is_empty() {
        return Err(ApplicantError::Mixed.into());
    }
    // 2
    let proof = further.findings.proof(directory.policy().opening())?;
    // 3. Another's paper, handed over by mistake, must not lead to this mailbox.
    Ok(directory.add_document(number, &document, &name, &proof, now)?)
}
