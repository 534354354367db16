//! A citizen's documents: which of them proves that somebody owns the mailbox, a further one of the same person, and one that was not theirs
//! or is no more.

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
        let counts_from = self.place(documents, document).and_then(|at| documents.get(at)).map_or(0, |held| self.counts_from(held));
        if unix_millis(now) < counts_from { Err(DirectoryError::DocumentYoung { mailbox: account.number, from: written(counts_from) }) } else { Ok(true) }
    }

    /// What a commit expects that rests on a document's finding this mailbox.
    pub fn still_finds(&self, document: &Document, number: MailboxNumber) -> Expectation {
        Expectation::Equals(index::person(document, &self.key), index::encode(number))
    }

    /// When a document that this mailbox holds was taken in, Unix milliseconds: the opening's with the mailbox. None where it holds no such.
    pub fn held_since(&self, account: &Account, document: &Document) -> Result<Option<u64>, DirectoryError> {
        let Holder::Citizen { documents, .. } = &account.holder else { return Ok(None) };
        let held = self.held(account.number, documents, document)?.and_then(|at| documents.get(at));
        Ok(held.map(|held| held.added_at.unwrap_or(account.opened_at)))
    }

    fn held(&self, number: MailboxNumber, documents: &[HeldDocument], document: &Document) -> Result<Option<usize>, DirectoryError> {
        let finds = self.indexed(&index::person(document, &self.key))? == Some(number);
        Ok(if finds { self.place(documents, document) } else { None })
    }

    /// Which of the documents of a mailbox it finds it is: one that the counter took in by its digest, the opening's by its mask, and so
    /// those of before there were digests; of these that look alike, the latest.
    fn place(&self, documents: &[HeldDocument], document: &Document) -> Option<usize> {
        let (kind, masked, digest) = (document.kind(), document.masked(), crate::hex(&index::person_digest(document, &self.key)));
        let exact = documents.iter().position(|held| held.digest.as_ref() == Some(&digest));
        exact.or_else(|| documents.iter().rposition(|held| held.digest.is_none() && held.kind == kind && held.masked == masked))
    }

    /// Since when it proves its owner, Unix milliseconds.
    fn counts_from(&self, held: &HeldDocument) -> u64 {
        let days = u64::from(self.policy.document_days()) * DAY_MILLIS;
        held.added_at.map_or(0, |added| added.saturating_add(days))
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
            // Said again after its answer was lost, it is there, whatever became of its request.
            if let Some(mailbox) = self.indexed(&finder)? {
                return Err(if mailbox == number { DirectoryError::Exists { mailbox, state: State::Open } } else { DirectoryError::DocumentTaken { mailbox } });
            }
            let mut batch = Batch::new();
            match binding {
                Binding::Held(shown) if !self.proves_owner(&account, shown, now)? => return Err(DirectoryError::NotHeld { mailbox: number }),
                Binding::Held(_) => {}
                Binding::Officers(Approved { request, .. }) if self.store.get(&spent::key(request))?.is_some() => return Err(DirectoryError::Spent),
                Binding::Officers(Approved { request, .. }) => batch = batch.expect(spent::unspent(request)).put(spent::key(request), spent::mark()),
            }
            let Holder::Citizen { name, mut documents } = account.holder else { return Err(DirectoryError::NoCitizen { mailbox: number }) };
            if documents.len() >= MAX_DOCUMENTS {
                return Err(DirectoryError::TooManyDocuments { mailbox: number });
            }
            documents.push(HeldDocument::added(document, unix_millis(now), matches!(binding, Binding::Officers(_)), &self.key));
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

    /// A document is this mailbox's no more: it was another's, or taken in by mistake. It finds nothing from now on, so that whose it is may
    /// open a mailbox with it. While it proves nothing yet, and was taken in on one word, one administrator's word is enough; otherwise two
    /// officers signed for that very document, and a recovery that may rest on it ends. The last one stays while the mailbox is open: one
    /// that was opened with another's is closed first. `owner` is the name of this mailbox's.
    pub fn withdraw_document(
        &self, number: MailboxNumber, document: &Document, owner: &PersonName, approved: Option<&Approved>, papers: &str, now: OffsetDateTime,
    ) -> Result<Account, DirectoryError> {
        let finder = index::person(document, &self.key);
        self.change_even_closed(number, |account, verifier| {
            let open = account.is_open();
            if !open && approved.is_none() {
                return Err(DirectoryError::Closed { mailbox: number });
            }
            let Holder::Citizen { name, mut documents } = account.holder else { return Err(DirectoryError::NoCitizen { mailbox: number }) };
            if name != *owner {
                return Err(DirectoryError::OtherName { mailbox: number });
            }
            let place = self.held(number, &documents, document)?.ok_or(DirectoryError::NoSuchDocument { mailbox: number })?;
            if open && documents.len() < 2 {
                return Err(DirectoryError::LastDocument { mailbox: number });
            }
            let withdrawn = documents.remove(place);
            let mut batch = Batch::new().expect(Expectation::Equals(finder.clone(), index::encode(number))).delete(finder.clone());
            match approved {
                None if withdrawn.by_officers || self.counts_from(&withdrawn) <= unix_millis(now) => return Err(DirectoryError::DocumentCounts { mailbox: number }),
                None => {}
                Some(Approved { request, .. }) if self.store.get(&spent::key(request))?.is_some() => return Err(DirectoryError::Spent),
                Some(Approved { request, .. }) => {
                    batch = batch.expect(spent::unspent(request)).put(spent::key(request), spent::mark());
                    batch = self.without_recovery(number, batch, "document-withdrawn", now)?;
                }
            }
            let told = event::DocumentWithdrawn {
                mailbox: number.to_string(),
                papers: papers.to_owned(),
                request: approved.map(|approved| approved.request.clone()),
                officers: approved.map(|approved| approved.officers.clone()).unwrap_or_default(),
            };
            Event::DocumentWithdrawn(told).append(&mut batch, unix_millis(now))?;
            if open {
                OwnerNotice::owe(&mut batch, number, Act::DocumentWithdrawn, unix_millis(now))?;
            }
            Ok(Change { account: Account { holder: Holder::Citizen { name, documents }, ..account }, verifier, batch })
        })
    }
}
