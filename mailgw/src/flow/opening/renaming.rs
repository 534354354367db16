//! The holder of a mailbox has another name: an operator looks at the papers, which are graded by the rules of opening. For an institution
//! the document is what its registry issued, and the person is who acts for it.

use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};

use super::OpeningError;
use super::findings::Findings;
use crate::directory::{Account, Applicant, ApplicantError, Words, today};
use crate::gateway::Gateway;

/// What an operator read from the papers, and found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renaming {
    pub mailbox: String,
    /// A document of the owner's, or the credit code, and the new name.
    pub holder: Words,
    pub findings: Findings,
}

/// 1 the papers name a holder · 2 what was found is enough by the rules of opening, and of a copy there is a file · 3 it is the holder of this
/// mailbox, under another name; durable with the name of before and a leaf of the log.
pub fn rename(gateway: &Gateway, number: MailboxNumber, renaming: &Renaming) -> Result<Account, OpeningError> {
    let (directory, now) = (&gateway.directory, gateway.clock.now());
    // 1
    let renamed = Applicant::parse(&renaming.holder, directory.policy(), today(now))?;
    if !renaming.holder.aliases.is_empty() {
        return Err(ApplicantError::Mixed.into());
    }
    // 2
    let proof = renaming.findings.proof(directory.policy().opening())?;
    // 3
    Ok(directory.rename(number, &renamed, &proof, now)?)
}
