//! What is known now of the certificates by which a signature and its timestamps are judged.
//!
//! The paths are those that the assessment found, and what they lack is asked for: the signer's status of its responder, and
//! the lists of everyone else below the anchor. With the answers another path may be found, and so it goes on until nothing
//! is left to ask.

use std::sync::Arc;

use pki::cades::Assessment;
use pki::effort::Effort;
use pki::ocsp::must_be_asked_about;
use pki::path::{CertificateFacts, RevocationAnswer};
use pki::view::CertificateView;
use time::OffsetDateTime;

use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::trust::{Listed, Status};
use crate::verify::{Asked, Terms, Verdict, assess_within, verdict};

/// A certificate issued by two authorities, each with two paths: more rounds find nothing that a genuine signature has.
pub const ROUNDS: usize = 4;

/// Whether somebody who is away ends it, or leaves it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    Ends,
    LeavesOpen,
}

#[derive(Default)]
pub struct Gathered {
    /// Of the paths, below the anchor, DER.
    pub certificates: Vec<Vec<u8>>,
    /// As they are judged by.
    pub answers: Vec<RevocationAnswer>,
    /// The signer's, by the responder; with the path that was asked about.
    pub status: Option<Status>,
    pub ocsp: Vec<Vec<u8>>,
    lists: Vec<Arc<Listed>>,
    asked: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Gathered {
    /// The lists, DER.
    pub fn crls(&self) -> Vec<Vec<u8>> {
        self.lists.iter().map(|list| list.der.clone()).collect()
    }

    /// Asks what was found rests on, where that was not asked yet: whether there is anything new.
    pub fn complete(&mut self, desk: &Grounds, found: &Assessment, now: OffsetDateTime, away: Away) -> Result<bool, DeskError> {
        let mut new = false;
        for (judged, is_signer) in found.timestamps.iter().map(|one| (&one.judged, false)).chain([(&found.judged, true)]) {
            let Ok(path) = &judged.path else { continue };
            match self.of_path(desk, path, is_signer, now) {
                Ok(more) => new |= more,
                Err(error) if away == Away::Ends => return Err(error),
                // Said to whoever runs the desk; the verdict says that it is open.
                Err(error) => {
                    tracing::info!(%error, "evidence could not be had");
                    // What was had before it counts.
                    new = true;
                }
            }
        }
        Ok(new)
    }

    /// The same of one path, the anchor last.
    pub(super) fn of_path(&mut self, desk: &Grounds, path: &[Vec<u8>], is_signer: bool, now: OffsetDateTime) -> Result<bool, DeskError> {
        let mut new = false;
        for (depth, [subject, issuer]) in path.array_windows().enumerate() {
            // A few pairs at most, compared sooner than they are hashed.
            if self.asked.iter().any(|(known, by)| known == subject && by == issuer) {
                continue;
            }
            self.asked.push((subject.clone(), issuer.clone()));
            new = true;
            if !self.certificates.contains(subject) {
                self.certificates.push(subject.clone());
            }
            // A responder tells of the signer, lists of everyone else.
            if is_signer && depth == 0 {
                self.of_signer(desk, path, issuer, now)?;
            } else {
                self.listed(desk, subject, now)?;
            }
        }
        Ok(new)
    }

    fn of_signer(&mut self, desk: &Grounds, path: &[Vec<u8>], issuer: &[u8], now: OffsetDateTime) -> Result<(), DeskError> {
        let status = desk.trust.status(path, now)?;
        match &status.read {
            Some(answer) => self.answers.push(answer.clone()),
            // Told by a list.
            None => path.first().map_or(Ok(()), |holder| self.listed(desk, holder, now))?,
        }
        // One whom the issuer did not exempt is asked about by its list. spec: rfc6960#4.2.2.2.1
        if CertificateView::parse(&status.responder).is_ok_and(|view| must_be_asked_about(&view, issuer)) {
            self.listed(desk, &status.responder, now)?;
        }
        self.ocsp.push(status.answer.clone());
        self.status = Some(status);
        Ok(())
    }

    fn listed(&mut self, desk: &Grounds, certificate: &[u8], now: OffsetDateTime) -> Result<(), DeskError> {
        let urls = CertificateView::parse(certificate).and_then(|view| CertificateFacts::lists_of(&view)).unwrap_or_default();
        for list in desk.trust.lists(&urls, now)? {
            if !self.lists.iter().any(|known| known.answer.digest() == list.answer.digest()) {
                self.answers.push(list.answer.clone());
                self.lists.push(list);
            }
        }
        Ok(())
    }
}

/// Everything that can be had now for a signature, and what it is worth by it.
pub fn gather(desk: &Grounds, bureau: &str, document: &[u8], signature: &[u8], now: OffsetDateTime, effort: &Effort<'_>) -> Result<(Gathered, Verdict), DeskError> {
    let anchors = desk.trust.anchors(bureau).ok_or_else(|| DeskError::NotFound { what: "bureau", id: bureau.to_owned() })?;
    let terms = Terms::new(&desk.policies.archive);
    let mut evidence = Gathered::default();
    let mut rounds = 0;
    loop {
        let asked = Asked { document, signature, anchors, timestamp_anchors: anchors, terms: &terms, policies: &[], credit_code: None, answers: &evidence.answers, existed_at: None };
        let found = assess_within(&asked, now, effort);
        let verdict = verdict(&asked, &found, now);
        rounds += 1;
        let new = match &found {
            Ok(found) if rounds < ROUNDS => evidence.complete(desk, found, now, Away::LeavesOpen)?,
            _ => false,
        };
        if !new {
            return Ok((evidence, verdict));
        }
    }
}
