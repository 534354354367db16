//! The holder of a mailbox is called otherwise from now on: a company that the registry renamed, a person with another legal name. Credit
//! code and documents stay, and so does the mailbox; the name of before is kept beside it.

use policies::mailbox::{MailboxNumber, Proofs};
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation};
use time::OffsetDateTime;

use super::applicant::Applicant;
use super::change::Change;
use super::shown::written;
use super::{Directory, DirectoryError, Holder, unix_millis};
use crate::record::account::Account;
use crate::record::certificate::Sealed as _;
use crate::record::event::{self, Event};
use crate::record::former_name::{FormerName, FormerNames, MOST};
use crate::record::owner_notice::{Act, OwnerNotice};

/// What a new name or a further document was proved by, and what that is worth.
#[derive(Clone, Debug)]
pub struct HolderProof {
    pub proofs: Proofs,
    pub document_grade: String,
    pub person_grade: String,
    /// SHA-256 of the files that were looked at, and of where the papers are; hexadecimal.
    pub evidence: Vec<String>,
    pub papers: String,
}

impl HolderProof {
    /// Of the document and of the person, as records and the log name them.
    pub(super) fn names(&self) -> (Vec<String>, Vec<String>) {
        let document = self.proofs.document.iter().map(|proof| proof.name().to_owned()).collect();
        (document, self.proofs.person.iter().map(|proof| proof.name().to_owned()).collect())
    }
}

/// A name of before as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownFormerName {
    /// A citizen's masked.
    pub name: String,
    /// RFC 3339: when it was changed.
    pub until: String,
    /// What the name that followed was proved by.
    pub document: Vec<String>,
    pub person: Vec<String>,
}

impl Directory {
    /// `renamed` is the holder as the papers say now: by its document or credit code it must be the holder of this very mailbox.
    pub fn rename(&self, number: MailboxNumber, renamed: &Applicant, proof: &HolderProof, now: OffsetDateTime) -> Result<Account, DirectoryError> {
        let place = FormerNames::key(number);
        self.change(number, |account, verifier| {
            let (before, after, holder) = match (account.holder.clone(), renamed) {
                (Holder::Citizen { name, documents }, Applicant::Citizen { document, name: new, .. }) => {
                    // Another's paper, handed over by mistake, must not rename this owner; nor one that does not prove them yet.
                    if !self.proves_owner(&account, document, now)? {
                        return Err(DirectoryError::OtherHolder { mailbox: number });
                    }
                    (name.expose().to_owned(), new.expose().to_owned(), Holder::Citizen { name: new.clone(), documents })
                }
                (Holder::Institution { name, code }, Applicant::Institution { code: shown, name: new, .. }) if code == *shown => {
                    (name.to_string(), new.to_string(), Holder::Institution { name: new.clone(), code })
                }
                _ => return Err(DirectoryError::OtherHolder { mailbox: number }),
            };
            if before == after {
                return Err(DirectoryError::SameName { mailbox: number });
            }
            let found = self.store.get(&place)?;
            let mut names = found.as_deref().map(|found| FormerNames::open(number, found, &self.key)).transpose()?.unwrap_or_default();
            if names.all.len() >= MOST {
                return Err(DirectoryError::TooManyNames { mailbox: number });
            }
            let until = unix_millis(now);
            let (document, person) = proof.names();
            names.all.push(FormerName { name: before, until, document: document.clone(), person: person.clone(), papers: proof.papers.clone() });
            let mut batch = Batch::new().expect(match found {
                Some(found) => Expectation::Equals(place.clone(), found),
                None => Expectation::Absent(place.clone()),
            });
            batch = batch.put(place.clone(), names.seal(number, &self.key)?);
            let told = event::Renamed {
                mailbox: number.to_string(),
                name: crate::hex(&self.key.index("holder name", format!("{number}\n{after}").as_bytes())),
                document,
                person,
                document_grade: proof.document_grade.clone(),
                person_grade: proof.person_grade.clone(),
                evidence: proof.evidence.clone(),
                papers: proof.papers.clone(),
            };
            Event::HolderRenamed(told).append(&mut batch, until)?;
            OwnerNotice::owe(&mut batch, number, Act::HolderRenamed, until)?;
            Ok(Change { account: Account { holder, ..account }, verifier, batch })
        })
    }

    /// The oldest first.
    pub fn former_names(&self, number: MailboxNumber) -> Result<Vec<ShownFormerName>, DirectoryError> {
        let Some(found) = self.store.get(&FormerNames::key(number))? else { return Ok(Vec::new()) };
        let masked = self.get(number)?.is_some_and(|account| account.person().is_some());
        let shown = |FormerName { name, until, document, person, .. }: FormerName| {
            let name = if masked { policies::identity::PersonName::parse(&name).map(|name| name.masked()).unwrap_or_default() } else { name };
            ShownFormerName { name, until: written(until), document, person }
        };
        Ok(FormerNames::open(number, &found, &self.key)?.all.into_iter().map(shown).collect())
    }
}
