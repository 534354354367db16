//! Whether to trust one signer, of a signature or of a timestamp, as of when what it made is proved to have been there.
// spec: en319102-1#5.2.6, en319102-1#5.6.2
use super::Floor;
use super::proofs::Proofs;
use super::verdict::{Finding, Indication, SubIndication as Sub};
use crate::asn1::Reader;
use crate::crl::Reason;
use crate::effort::Effort;
use crate::path::{ANY_PURPOSE, Anchors, MAX_INTERMEDIATES, PathError, Requirements, Revocation, RevocationAnswer, Said, Validation};
use crate::signature::{DigestAlgorithm, Scheme};
use crate::view::CertificateView;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use time::{Duration, OffsetDateTime};

/// Everything that may be used: read once, however many signers are judged by it.
pub(super) struct Pool<'a> {
    /// Each once, with its place among the signature's own.
    certificates: Vec<(CertificateView<'a>, Option<usize>)>,
    by_subject: HashMap<&'a [u8], Vec<usize>>,
    answers: Vec<Known<'a>>,
    pub(super) floor: &'a Floor,
    effort: &'a Effort<'a>,
    /// What was asked before of an answer: subject and issuer by their digests.
    said: RefCell<HashMap<(usize, Digest, Digest), Option<Rc<Said>>>>,
}

type Digest = [u8; 32];

struct Known<'a> {
    answer: &'a RevocationAnswer,
    /// Among those that travel with the signature.
    place: Option<usize>,
}

/// Who signed, and what is asked of them.
pub(super) struct SignedBy<'a> {
    /// DER.
    pub(super) certificate: &'a [u8],
    pub(super) scheme: Scheme,
    /// When it is taken to have been signed.
    pub(super) at: OffsetDateTime,
    /// By when it is proved to have been there: `at` itself, but for a timestamp, which says its own time.
    pub(super) proof: OffsetDateTime,
    /// Since when it cannot have been signed earlier, where that is known.
    pub(super) earliest: Option<OffsetDateTime>,
    pub(super) anchors: &'a Anchors,
    pub(super) required: &'a Requirements,
    /// How long after `at` an answer must tell of, before it when negative.
    pub(super) answers_after: Duration,
    /// How old a list may be that is in force at `at`; `None` where newer ones are to be had.
    pub(super) lists_older: Option<Duration>,
}

/// An answer on which a judgement rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// `crl` or `ocsp`.
    pub form: &'static str,
    /// SHA-256 of the answer, DER.
    pub digest: [u8; 32],
    pub this_update: OffsetDateTime,
    /// Whether it travels with the signature.
    pub inside: bool,
}

/// What was found of one signer, step by step; where there is no path, what rests on it says so too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// From the certificate to the anchor, DER.
    pub path: Result<Vec<Vec<u8>>, Finding>,
    /// Key usage and extended key usage.
    pub usage: Result<(), Finding>,
    pub policy: Result<(), Finding>,
    /// Of the signature, the path and the keys.
    pub algorithms: Result<(), Finding>,
    /// That the certificates were valid when it was signed.
    pub time: Result<(), Finding>,
    /// The answers by which they were not revoked then, one for each certificate below the anchor.
    pub revocation: Result<Vec<Used>, Finding>,
}

impl Judged {
    /// What does not hold, in the order in which it is asked.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let path = self.path.as_ref().err();
        let rest = [self.usage.as_ref().err(), self.policy.as_ref().err(), self.algorithms.as_ref().err(), self.time.as_ref().err(), self.revocation.as_ref().err()];
        // Without a path the rest only repeats it.
        let rest = if path.is_some() { [None; 5] } else { rest };
        path.into_iter().chain(rest.into_iter().flatten())
    }

    pub fn holds(&self) -> bool {
        self.findings().next().is_none()
    }
}

impl<'a> Pool<'a> {
    /// The signature's own certificates and answers, in their places, and those from elsewhere. What cannot be read is
    /// nobody's.
    pub(super) fn new(
        own: &'a [Vec<u8>], others: impl Iterator<Item = &'a [u8]>, inside: &'a [(usize, RevocationAnswer)], outside: &'a [RevocationAnswer], floor: &'a Floor, effort: &'a Effort<'a>,
    ) -> Self {
        let mut seen = HashSet::new();
        let own = own.iter().enumerate().map(|(place, one)| (one.as_slice(), Some(place)));
        let certificates: Vec<_> = own
            .chain(others.map(|one| (one, None)))
            .filter(|(one, _)| seen.insert(*one))
            .filter_map(|(one, place)| CertificateView::parse(one).ok().map(|view| (view, place)))
            .collect();
        let mut by_subject: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (at, (view, _)) in certificates.iter().enumerate() {
            by_subject.entry(view.subject).or_default().push(at);
        }
        let mut seen = HashSet::new();
        let inside = inside.iter().map(|(place, answer)| Known { answer, place: Some(*place) });
        let answers = inside.chain(outside.iter().map(|answer| Known { answer, place: None })).filter(|known| seen.insert(*known.answer.digest())).collect();
        Self { certificates, by_subject, answers, floor, effort, said: RefCell::default() }
    }

    pub(super) fn judge(&self, signed: &SignedBy<'_>, proofs: &Proofs) -> Result<Judged, Finding> {
        let view = CertificateView::parse(signed.certificate)?;
        // The path is looked for while the certificate was valid, so that "too late" is not "unknown".
        let at = signed.at.clamp(view.not_before, view.not_after.max(view.not_before));
        let above = self.above(&view);
        let search = |required: &Requirements| self.search(signed, &view, proofs, required, at, &above);
        let (found, usage, policy) = match search(signed.required) {
            Ok(found) => (found, Ok(()), Ok(())),
            Err(error @ (PathError::WrongUsage | PathError::WrongPolicy)) => {
                let any_usage = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), ..signed.required.clone() };
                let any_policy = Requirements { policies: Vec::new(), ..signed.required.clone() };
                let neither = Requirements { policies: Vec::new(), ..any_usage.clone() };
                match search(&neither) {
                    Ok(found) => (found, search(&any_policy).map(drop).map_err(Finding::from), search(&any_usage).map(drop).map_err(Finding::from)),
                    Err(_) => return Ok(without_path(error)),
                }
            }
            Err(error) => return Ok(without_path(error)),
        };
        let Trail { path, algorithms, time, revocation } = found;
        Ok(Judged { path: Ok(path), usage, policy, algorithms, time, revocation })
    }

    /// The first path on which everything holds; else the one of which most may still hold: of each path it is asked whether
    /// it is revoked, since a certificate may have been issued by two authorities.
    fn search(&self, signed: &SignedBy<'_>, holder: &CertificateView<'_>, proofs: &Proofs, required: &Requirements, at: OffsetDateTime, above: &[&CertificateView<'_>]) -> Result<Trail, PathError> {
        let best: RefCell<Option<Trail>> = RefCell::new(None);
        let validation = Validation { anchors: signed.anchors, lists: &[], required, at };
        let found = validation.path_that(holder, above, self.effort, &|path| {
            let trail = self.trail(signed, proofs, path);
            let (holds, mut best) = (trail.hope() == 2, best.borrow_mut());
            if best.as_ref().is_none_or(|known| known.hope() < trail.hope()) {
                *best = Some(trail);
            }
            // The search goes on after a refusal.
            if holds { Ok(()) } else { Err(PathError::RevocationUnknown) }
        });
        match (best.into_inner(), found) {
            (Some(best), _) => Ok(best),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(PathError::UnknownIssuer),
        }
    }

    fn trail(&self, signed: &SignedBy<'_>, proofs: &Proofs, path: &[&CertificateView<'_>]) -> Trail {
        let (algorithms, time, revocation) = (self.algorithms(signed, proofs, path), in_time(signed, path), self.revocation(signed, proofs, path));
        Trail { path: path.iter().map(|view| view.der.to_vec()).collect(), algorithms, time, revocation }
    }

    /// Those that may be issuers of issuers: by name, upwards, so that what else travels along costs nothing.
    fn above<'p>(&'p self, holder: &CertificateView<'p>) -> Vec<&'p CertificateView<'a>> {
        let mut names = vec![holder.issuer];
        let mut found: Vec<&CertificateView<'_>> = Vec::new();
        let mut next = 0;
        while let Some(name) = names.get(next).copied() {
            next += 1;
            for (view, _) in self.by_subject.get(name).into_iter().flatten().filter_map(|at| self.certificates.get(*at)) {
                if found.len() < MAX_INTERMEDIATES && !found.iter().any(|known| known.der == view.der) {
                    found.push(view);
                    names.push(view.issuer);
                }
            }
        }
        found
    }

    /// Each signature was believed when what it is on was there.
    fn algorithms(&self, signed: &SignedBy<'_>, proofs: &Proofs, path: &[&CertificateView<'_>]) -> Result<(), Finding> {
        let doubt = || Finding::new(Sub::CryptoConstraintsFailureNoPoe, "an algorithm or a key's size was not believed any more by when the signature is proved to have been there; an archive timestamp from before is needed");
        let [holder, ..] = path else { return Err(doubt()) };
        if !self.floor.believes(signed.scheme, holder.spki, signed.proof) {
            return Err(doubt());
        }
        for (depth, [subject, issuer]) in path.array_windows().enumerate() {
            // The holder's certificate is under its signature by its digest; those above were there when they were proved to be.
            let proof = if depth == 0 { signed.proof } else { self.proof_of(subject, proofs) };
            let scheme = Scheme::read(Reader::only(subject.signed.algorithm, 0x30)?, None).map_err(|error| Finding::new(Sub::CryptoConstraintsFailure, error.to_string()))?;
            if !self.floor.believes(scheme, issuer.spki, proof) {
                return Err(doubt());
            }
        }
        Ok(())
    }

    fn proof_of(&self, certificate: &CertificateView<'_>, proofs: &Proofs) -> OffsetDateTime {
        let named = self.by_subject.get(certificate.subject).into_iter().flatten().filter_map(|at| self.certificates.get(*at));
        let place = named.filter(|(view, _)| view.der == certificate.der).find_map(|(_, place)| *place);
        proofs.of_certificate(place)
    }

    /// Every certificate below the anchor by the newest answer that tells of `at`.
    fn revocation(&self, signed: &SignedBy<'_>, proofs: &Proofs, path: &[&CertificateView<'_>]) -> Result<Vec<Used>, Finding> {
        let mut used = Vec::new();
        for (depth, [subject, issuer]) in path.array_windows().enumerate() {
            let is_authority = depth > 0;
            // A root's list is made by people, once a year: of an authority the list that was current then tells enough.
            // spec: rfc5280#6.3.3
            let in_force = |said: &Said| said.this_update <= signed.at && said.next_update.is_some_and(|next| signed.at < next);
            let current = |said: &Said| in_force(said) && (is_authority || signed.lists_older.is_some_and(|older| said.this_update >= signed.at - older));
            let told = |said: &Said| current(said) || said.this_update >= signed.at + signed.answers_after;
            let newest = self.newest(subject, issuer, is_authority, proofs, &told, &|said, known| self.answerer_stands(said, known, issuer, proofs));
            let (said, known) = newest.ok_or_else(|| Finding::new(Sub::TryLater, "whether a certificate of the path is revoked is not known as of when it was signed; fetch a newer CRL or OCSP response and try again"))?;
            if let Some(revocation) = said.revocation {
                revoked(signed, &revocation, is_authority)?;
            }
            used.push(Used { form: known.answer.form(), digest: *known.answer.digest(), this_update: said.this_update, inside: known.place.is_some() });
        }
        Ok(used)
    }

    /// The newest that tells and is believed; of two of one moment the one that revokes.
    fn newest(
        &self, subject: &CertificateView<'_>, issuer: &CertificateView<'_>, is_authority: bool, proofs: &Proofs, told: &dyn Fn(&Said) -> bool, stands: &dyn Fn(&Said, &Known<'_>) -> bool,
    ) -> Option<(Rc<Said>, &Known<'a>)> {
        let mut newest: Option<(Rc<Said>, &Known<'_>)> = None;
        let asked = (sha256(subject.der), sha256(issuer.der));
        for (at, known) in self.answers.iter().enumerate() {
            let Some(said) = self.says((at, asked.0, asked.1), known, subject, issuer, is_authority) else { continue };
            // An answer is worth what its signer was worth when it is proved to have been there.
            let proof = proofs.of_answer(known.place);
            let believed = said.knows_ended && proof <= said.signer_ends && said.signed.iter().all(|(scheme, spki)| self.floor.believes(*scheme, spki, proof));
            let better = newest.as_ref().is_none_or(|(other, _)| said.this_update > other.this_update || (said.this_update == other.this_update && said.revocation.is_some()));
            if better && believed && told(&said) && stands(&said, known) {
                newest = Some((said, known));
            }
        }
        newest
    }

    /// An answer is asked once about a pair; one that says nothing of it, or cannot be read where it would, says nothing.
    fn says(&self, key: (usize, Digest, Digest), known: &Known<'_>, subject: &CertificateView<'_>, issuer: &CertificateView<'_>, is_authority: bool) -> Option<Rc<Said>> {
        if let Some(found) = self.said.borrow().get(&key) {
            return found.clone();
        }
        let found = known.answer.says(subject, issuer, is_authority, self.effort).ok().flatten().map(Rc::new);
        self.said.borrow_mut().insert(key, found.clone());
        found
    }

    /// A signer whom the issuer charged and did not exempt: its own certificate was not revoked when it answered, by an answer
    /// whose signer need not be asked about in turn. spec: rfc6960#4.2.2.2.1
    fn answerer_stands(&self, said: &Said, answer: &Known<'_>, issuer: &CertificateView<'_>, proofs: &Proofs) -> bool {
        let Some((answered, signer)) = &said.charged else { return true };
        let Ok(view) = CertificateView::parse(signer) else { return false };
        let told = |other: &Said| other.this_update >= *answered || other.next_update.is_some_and(|next| *answered < next);
        let found = self.newest(&view, issuer, false, proofs, &told, &|other, known| other.charged.is_none() && !std::ptr::eq(known.answer, answer.answer));
        found.is_some_and(|(other, _)| other.revocation.is_none_or(|revocation| harmless(revocation.reason) && *answered < since(&revocation)))
    }
}

/// One path, and what was found of it.
struct Trail {
    path: Vec<Vec<u8>>,
    algorithms: Result<(), Finding>,
    time: Result<(), Finding>,
    revocation: Result<Vec<Used>, Finding>,
}

impl Trail {
    /// 2 when all of it holds, 1 while it may yet, 0 when nothing mends it.
    fn hope(&self) -> u8 {
        let findings = [self.algorithms.as_ref().err(), self.time.as_ref().err(), self.revocation.as_ref().err()];
        findings.into_iter().flatten().map(|finding| u8::from(finding.indication() == Indication::Indeterminate)).min().unwrap_or(2)
    }
}

fn sha256(der: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(&DigestAlgorithm::Sha256.digest(der));
    digest
}

fn without_path(error: PathError) -> Judged {
    let finding = Finding::from(error);
    let same = || Err(finding.clone());
    Judged { path: Err(finding.clone()), usage: same(), policy: same(), algorithms: same(), time: same(), revocation: Err(finding.clone()) }
}

/// spec: en319102-1#5.5.4 (step 5), en319102-1#5.6.2.4
fn in_time(signed: &SignedBy<'_>, path: &[&CertificateView<'_>]) -> Result<(), Finding> {
    let [below @ .., _] = path else { return Ok(()) };
    for view in below {
        if signed.at < view.not_before {
            return Err(Finding::new(Sub::NotYetValid, format!("it was signed before the certificate began at {}; sign with one that is valid", view.not_before)));
        }
        // To the second, as certificates tell time.
        if signed.proof.unix_timestamp() > view.not_after.unix_timestamp() {
            let late = signed.earliest.is_some_and(|earliest| earliest > view.not_after);
            let detail = format!("it is not proved to have been there before the certificate ended at {}; sign again with a current one, or bring a timestamp from before", view.not_after);
            return Err(Finding::new(if late { Sub::Expired } else { Sub::OutOfBoundsNoPoe }, detail));
        }
    }
    Ok(())
}

/// Whether a revocation reaches back to what was signed. spec: en319102-1#5.5.4 (step 5), rfc3161#4
fn revoked(signed: &SignedBy<'_>, revocation: &Revocation, is_authority: bool) -> Result<(), Finding> {
    let since = since(revocation);
    let by = if harmless(revocation.reason) { signed.at } else { signed.proof };
    if by < since {
        return Ok(());
    }
    if revocation.reason == Reason::CertificateHold {
        return Err(Finding::new(Sub::TryLater, format!("a certificate is suspended since {since}; try again when it is resumed or revoked")));
    }
    let detail = format!("a certificate was revoked as of {since} ({:?}), before it is proved to have signed; sign with another", revocation.reason);
    let sub = match signed.earliest {
        Some(earliest) if earliest >= since => Sub::Revoked,
        _ if is_authority => Sub::RevokedCaNoPoe,
        _ => Sub::RevokedNoPoe,
    };
    Err(Finding::new(sub, detail))
}

/// Since when the key is not believed.
fn since(revocation: &Revocation) -> OffsetDateTime {
    revocation.invalid_since.map_or(revocation.at, |since| since.min(revocation.at))
}

/// A key that only went out of use made nothing false before; one that others may hold may have dated it back.
fn harmless(reason: Reason) -> bool {
    matches!(reason, Reason::Superseded | Reason::AffiliationChanged | Reason::CessationOfOperation)
}
