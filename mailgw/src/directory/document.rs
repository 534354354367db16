//! A citizen's documents: which of them proves that somebody owns the mailbox, and a further one of the same person.

use policies::identity::{Document, PersonName};
use policies::mailbox::MailboxNumber;
use store::{Batch, Expectation};
use time::OffsetDateTime;

use super::change::Change;
use super::shown::written;
use super::{Directory, DirectoryError, HolderProof, unix_millis};
use crate::flow::approval::Approved;
use crate::record::account::{Account, HeldDocument, Holder, State};
use crate::record::event::{self, Event};
use crate::record::owner_notice::{Act, OwnerNotice};
use crate::record::{index, spent};

/// A card, its successor, a passport and a permit: nobody has more than this.
const MAX_DOCUMENTS: usize = 16;
const DAY_MILLIS: u64 = 86_400_000;

/// By what it is known that a further document is the owner's: a name alone is others', too.
pub enum Binding {
    /// One that the mailbox holds was shown with it.
    Held(Document),
    /// Two officers signed for that very document.
    Officers(Approved),
}

impl Directory {
    /// Whether it proves that somebody owns this mailbox. One that the counter took in fewer days ago than the policy says does not yet, which
    /// is an error of its own: whoever is wronged by it has that time to notice.
    pub fn proves_owner(&self, account: &Account, document: &Document, now: OffsetDateTime) -> Result<bool, DirectoryError> {
        let Holder::Citizen { documents, .. } = &account.holder else { return Ok(false) };
        if self.indexed(&index::person(document, &self.key))? != Some(account.number) {
            return Ok(false);
        }
        // It is kept by its mask: of those that look alike, and of all where none does, the latest counts.
        let (kind, masked) = (document.kind(), document.masked());
        let is_alike = |held: &&HeldDocument| held.kind == kind && held.masked == masked;
        let any = documents.iter().any(|held| is_alike(&held));
        let latest = documents.iter().filter(|held| !any || is_alike(held)).filter_map(|held| held.added_at).max();
        let days = u64::from(self.policy.document_days()) * DAY_MILLIS;
        let counts_from = latest.map_or(0, |added| added.saturating_add(days));
        if unix_millis(now) < counts_from { Err(DirectoryError::DocumentYoung { mailbox: account.number, from: written(counts_from) }) } else { Ok(true) }
    }

    /// A further document of the same person, such as a renewed card with another number: from now on either finds
    /// the mailbox. `owner` is the name on it, `proof` that it is good and shown by whom it was issued to.
    pub fn add_document(
        &self, number: MailboxNumber, document: &Document, owner: &PersonName, binding: &Binding, proof: &HolderProof, now: OffsetDateTime,
    ) -> Result<Account, DirectoryError> {
        let finder = index::person(document, &self.key);
        let (proofs, person) = proof.names();
        self.change(number, |account, verifier| {
            let Holder::Citizen { name, .. } = &account.holder else { return Err(DirectoryError::NoCitizen { mailbox: number }) };
            if name != owner {
                return Err(DirectoryError::OtherName { mailbox: number });
            }
            let mut batch = Batch::new();
            match binding {
                Binding::Held(shown) if !self.proves_owner(&account, shown, now)? => return Err(DirectoryError::NotHeld { mailbox: number }),
                Binding::Held(_) => {}
                Binding::Officers(Approved { request, .. }) if self.store.get(&spent::key(request))?.is_some() => return Err(DirectoryError::Spent),
                Binding::Officers(Approved { request, .. }) => batch = batch.expect(spent::unspent(request)).put(spent::key(request), spent::mark()),
            }
            if let Some(mailbox) = self.indexed(&finder)? {
                return Err(if mailbox == number { DirectoryError::Exists { mailbox, state: State::Open } } else { DirectoryError::DocumentTaken { mailbox } });
            }
            let Holder::Citizen { name, mut documents } = account.holder else { return Err(DirectoryError::NoCitizen { mailbox: number }) };
            if documents.len() >= MAX_DOCUMENTS {
                return Err(DirectoryError::TooManyDocuments { mailbox: number });
            }
            documents.push(HeldDocument::added(document, unix_millis(now)));
            batch = batch.expect(Expectation::Absent(finder.clone())).put(finder.clone(), index::encode(number));
            let approved = if let Binding::Officers(approved) = binding { Some(approved) } else { None };
            let told = event::DocumentProved {
                mailbox: number.to_string(),
                document: proofs.clone(),
                person: person.clone(),
                document_grade: proof.document_grade.clone(),
                person_grade: proof.person_grade.clone(),
                evidence: proof.evidence.clone(),
                papers: proof.papers.clone(),
                held_shown: approved.is_none(),
                request: approved.map(|approved| approved.request.clone()),
                officers: approved.map(|approved| approved.officers.clone()).unwrap_or_default(),
            };
            Event::DocumentProved(told).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::DocumentAdded, unix_millis(now))?;
            Ok(Change { account: Account { holder: Holder::Citizen { name, documents }, ..account }, verifier, batch })
        })
    }
}
