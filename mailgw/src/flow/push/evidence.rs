//! What the outcome of a row is evidence of.

use time::OffsetDateTime;

use crate::bureau::manifest::SignedManifest;
use super::mending::Mending;
use crate::erds::{Corrected, Event, Item, Mended, Of, Secrecy, Submission};
use crate::record::push::{RowOutcome, State};

/// An outcome, and the mailbox it is about where one was found.
#[derive(Clone)]
pub(super) struct Told {
    pub outcome: RowOutcome,
    pub mailbox: Option<String>,
    /// The statement that it corrects or withdraws, where that is known.
    pub corrects: Option<Corrected>,
}

/// Who says it, and of which push.
pub(super) struct Issuer<'a> {
    pub host: &'a str,
    pub domain: &'a str,
    pub bureau: &'a str,
    pub manifest: &'a SignedManifest,
    pub mending: Option<&'a Mending>,
}

/// A row that was taken is accepted and then consigned, or not; one that is kept back is rejected, with its reason.
pub(super) fn items(issuer: &Issuer<'_>, told: &Told, secrecy: Option<&Secrecy>, at: OffsetDateTime) -> Vec<Item> {
    let manifest = issuer.manifest.manifest();
    let submission = Submission {
        batch: manifest.batch_id().as_str().to_owned(),
        manifest: crate::hex(issuer.manifest.digest()),
        file: crate::hex(manifest.sha256()),
        row: told.outcome.row,
        mends: issuer.mending.and_then(|mending| Some(Mended { batch: mending.batch().to_owned(), row: mending.stands_for(told.outcome.row)? })),
        corrects: told.corrects.clone(),
    };
    let recipient = told.mailbox.as_ref().map(|mailbox| format!("{mailbox}@{}", issuer.domain));
    let of = Of { issuer: issuer.host, sender: issuer.bureau, recipient: recipient.as_deref(), submission: &submission, message: told.outcome.message.as_deref(), secrecy, at };
    let reason = told.outcome.reason.as_deref();
    match told.outcome.state {
        State::Delivered => vec![Item::new(Event::SubmissionAcceptance, &of, None), Item::new(Event::ContentConsignment, &of, None)],
        State::Undeliverable => vec![Item::new(Event::SubmissionAcceptance, &of, None), Item::new(Event::ContentConsignmentFailure, &of, reason)],
        State::Quarantined | State::Duplicate => vec![Item::new(Event::SubmissionRejection, &of, reason)],
    }
}
