//! What the outcome of a row is evidence of.

use time::OffsetDateTime;

use crate::bureau::manifest::SignedManifest;
use super::mending::Mending;
use crate::erds::{Corrected, Event, Mended, Of, OfRow, Secrecy, Series, Submission};
use crate::record::RecordError;
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

/// Writes the items of a block's rows.
pub(super) struct Lines<'a> {
    series: Series,
    mending: Option<&'a Mending>,
}

impl<'a> Lines<'a> {
    pub fn new(issuer: &Issuer<'a>, at: OffsetDateTime) -> Result<Self, RecordError> {
        let manifest = issuer.manifest.manifest();
        let [digest, file] = [issuer.manifest.digest(), manifest.sha256()].map(|digest| crate::hex(digest));
        let submission = Submission { batch: manifest.batch_id().as_str().to_owned(), manifest: digest, file, row: 0, mends: None, corrects: None };
        let of = Of { issuer: issuer.host, sender: issuer.bureau, recipient: None, submission: &submission, message: None, secrecy: None, at };
        Ok(Self { series: Series::new(&of, issuer.domain)?, mending: issuer.mending })
    }

    /// A row that was taken is accepted and then consigned, or not; one that is kept back is rejected, with its reason.
    pub fn of(&self, told: &Told, secrecy: Option<&Secrecy>) -> Result<Vec<String>, RecordError> {
        let Told { outcome, mailbox, corrects } = told;
        let mends = self.mending.and_then(|mending| Some(Mended { batch: mending.batch().to_owned(), row: mending.stands_for(outcome.row)? }));
        let of = OfRow { row: outcome.row, mailbox: mailbox.as_deref(), mends: mends.as_ref(), corrects: corrects.as_ref(), message: outcome.message.as_deref(), secrecy };
        let reason = outcome.reason.as_deref();
        match outcome.state {
            State::Delivered => self.series.write(&of, &[(Event::SubmissionAcceptance, None), (Event::ContentConsignment, None)]),
            State::Undeliverable => self.series.write(&of, &[(Event::SubmissionAcceptance, None), (Event::ContentConsignmentFailure, reason)]),
            State::Quarantined | State::Duplicate => self.series.write(&of, &[(Event::SubmissionRejection, reason)]),
        }
    }
}
