//! A document is taken from a mailbox again: it was another's, or taken in by mistake, and keeps its real holder from a mailbox of their own.
//! While it proves nothing yet (`document_days` in limits.toml) one administrator's word is enough; what counts in a recovery takes two
//! officers.

use policies::mailbox::MailboxNumber;
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};

use super::OpeningError;
use super::answer::papers;
use super::further_document::{Officers, is_of};
use crate::directory::{Account, Applicant, ApplicantError, DirectoryError, Words, today};
use crate::flow::approval;
use crate::gateway::Gateway;

/// Of a request with the fields of `further_document::Request`.
pub const KIND: &str = "suiyin mailbox document withdrawal v1";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    pub mailbox: String,
    /// Type and number of the document, and the name of the mailbox's owner.
    pub document: Words,
    /// Where the papers are.
    pub papers: String,
    /// Of one that counts already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub officers: Option<Officers>,
}

/// 1 it is a person's document · 2 it is said where the papers are · 3 two officers signed for this one today, since it was taken in, or
/// nobody did · 4 it is this mailbox's, whose owner is named, and not the last of an open one; durable with a leaf of the log, and the owner is told.
pub fn withdraw(gateway: &Gateway, lists: &RevocationLists, number: MailboxNumber, withdrawal: &Withdrawal) -> Result<Account, OpeningError> {
    let (directory, now) = (&gateway.directory, gateway.clock.now());
    // 1
    let Applicant::Citizen { document, name, .. } = Applicant::parse(&withdrawal.document, directory.policy(), today(now))? else {
        return Err(DirectoryError::NoCitizen { mailbox: number }.into());
    };
    if !withdrawal.document.aliases.is_empty() {
        return Err(ApplicantError::Mixed.into());
    }
    // 2
    let papers = papers(&withdrawal.papers)?;
    // 3
    let approved = match &withdrawal.officers {
        Some(officers) => {
            let account = directory.get(number)?.ok_or(DirectoryError::NotFound)?;
            is_of(gateway, KIND, number, &withdrawal.document, officers)?;
            let since = directory.held_since(&account, &document)?.ok_or(DirectoryError::NoSuchDocument { mailbox: number })?;
            Some(approval::by_officers(gateway, lists, &officers.signed.request, &officers.signed.approvals, since, now)?)
        }
        None => None,
    };
    // 4
    Ok(directory.withdraw_document(number, &document, &name, approved.as_ref(), &papers, now)?)
}
