//! Whether to trust one signer, of a signature or of a timestamp, as of when what it made is proved to have been there.
// spec: en319102-1#5.2.6, en319102-1#5.6.2
use super::Floor;
use super::verdict::{Finding, SubIndication as Sub};
use crate::asn1::Reader;
use crate::crl::Reason;
use crate::path::{ANY_PURPOSE, Anchors, MAX_INTERMEDIATES, PathError, Requirements, Revocation, RevocationAnswer, Said, Validation};
use crate::signature::Scheme;
use crate::view::CertificateView;
use time::{Duration, OffsetDateTime};

/// Everything that may be used, each with the moment by which it is proved to have been there.
pub(super) struct Pool<'a> {
    pub(super) certificates: Vec<(&'a [u8], OffsetDateTime)>,
    pub(super) answers: Vec<Known<'a>>,
    pub(super) floor: &'a Floor,
}

pub(super) struct Known<'a> {
    pub(super) answer: &'a RevocationAnswer,
    pub(super) proof: OffsetDateTime,
    /// Whether it travels with the signature.
    pub(super) inside: bool,
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

impl Pool<'_> {
    pub(super) fn judge(&self, signed: &SignedBy<'_>) -> Result<Judged, Finding> {
        let view = CertificateView::parse(signed.certificate)?;
        // The path is looked for while the certificate was valid, so that "too late" is not "unknown".
        let at = signed.at.clamp(view.not_before, view.not_after.max(view.not_before));
        let above = self.above(&view);
        let search = |required: &Requirements| Validation { anchors: signed.anchors, lists: &[], required, at }.path(signed.certificate, &above);
        let (path, usage, policy) = match search(signed.required) {
            Ok(path) => (path, Ok(()), Ok(())),
            Err(error @ (PathError::WrongUsage | PathError::WrongPolicy)) => {
                let any_usage = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), ..signed.required.clone() };
                let any_policy = Requirements { policies: Vec::new(), ..signed.required.clone() };
                let neither = Requirements { policies: Vec::new(), ..any_usage.clone() };
                match search(&neither) {
                    Ok(path) => (path, search(&any_policy).map(drop).map_err(Finding::from), search(&any_usage).map(drop).map_err(Finding::from)),
                    Err(_) => return Ok(without_path(error)),
                }
            }
            Err(error) => return Ok(without_path(error)),
        };
        let views = path.iter().map(|one| CertificateView::parse(one)).collect::<Result<Vec<_>, _>>()?;
        let (algorithms, time, revocation) = (self.algorithms(signed, &views), in_time(signed, &views), self.revocation(signed, &views));
        Ok(Judged { path: Ok(path), usage, policy, algorithms, time, revocation })
    }

    /// Those that may be issuers of issuers: by name, upwards, so that what else travels along costs nothing.
    fn above(&self, holder: &CertificateView<'_>) -> Vec<&[u8]> {
        let candidates: Vec<CertificateView<'_>> = self.certificates.iter().filter_map(|(one, _)| CertificateView::parse(one).ok()).collect();
        let mut names = vec![holder.issuer];
        let mut found: Vec<&[u8]> = Vec::new();
        let mut next = 0;
        while let Some(name) = names.get(next).copied() {
            next += 1;
            for view in candidates.iter().filter(|view| view.subject == name) {
                if found.len() < MAX_INTERMEDIATES && !found.contains(&view.der) {
                    found.push(view.der);
                    names.push(view.issuer);
                }
            }
        }
        found
    }

    /// Each signature was believed when what it is on was there.
    fn algorithms(&self, signed: &SignedBy<'_>, path: &[CertificateView<'_>]) -> Result<(), Finding> {
        let doubt = || Finding::new(Sub::CryptoConstraintsFailureNoPoe, "an algorithm or a key's size was not believed any more by when the signature is proved to have been there; an archive timestamp from before is needed");
        let [holder, ..] = path else { return Err(doubt()) };
        if !self.floor.believes(signed.scheme, holder.spki, signed.proof) {
            return Err(doubt());
        }
        for (depth, [subject, issuer]) in path.array_windows().enumerate() {
            // The holder's certificate is under its signature by its digest; those above were there when they were proved to be.
            let proof = if depth == 0 { signed.proof } else { self.proof_of(subject.der) };
            let scheme = Scheme::read(Reader::only(subject.signed.algorithm, 0x30)?, None).map_err(|error| Finding::new(Sub::CryptoConstraintsFailure, error.to_string()))?;
            if !self.floor.believes(scheme, issuer.spki, proof) {
                return Err(doubt());
            }
        }
        Ok(())
    }

    fn proof_of(&self, certificate: &[u8]) -> OffsetDateTime {
        let times = self.certificates.iter().filter(|(one, _)| *one == certificate).map(|(_, proof)| *proof);
        times.min().unwrap_or(OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT))
    }

    /// Every certificate below the anchor by the newest answer that tells of `at`.
    fn revocation(&self, signed: &SignedBy<'_>, path: &[CertificateView<'_>]) -> Result<Vec<Used>, Finding> {
        let mut used = Vec::new();
        for (depth, [subject, issuer]) in path.array_windows().enumerate() {
            let is_authority = depth > 0;
            let mut newest: Option<(Said, &Known<'_>)> = None;
            for known in &self.answers {
                let Some(said) = known.answer.says(subject, issuer, is_authority)? else { continue };
                // A root's list is made by people, once a year: of an authority the list that was current then tells enough.
                // spec: rfc5280#6.3.3
                let current = is_authority && said.this_update <= signed.at && said.next_update.is_some_and(|next| signed.at < next);
                let told = (current || said.this_update >= signed.at + signed.answers_after) && said.knows_ended;
                // An answer is worth what its signer was worth when it is proved to have been there.
                let believed = known.proof <= said.signer_ends && said.signed.iter().all(|(scheme, spki)| self.floor.believes(*scheme, spki, known.proof));
                let better = newest.as_ref().is_none_or(|(other, _)| said.this_update > other.this_update || (said.this_update == other.this_update && said.revocation.is_some()));
                if told && believed && better {
                    newest = Some((said, known));
                }
            }
            let (said, known) = newest.ok_or_else(|| Finding::new(Sub::TryLater, "whether a certificate of the path is revoked is not known as of when it was signed; fetch a newer CRL or OCSP response and try again"))?;
            if let Some(revocation) = said.revocation {
                revoked(signed, &revocation, is_authority)?;
            }
            used.push(Used { form: known.answer.form(), digest: *known.answer.digest(), this_update: said.this_update, inside: known.inside });
        }
        Ok(used)
    }
}

fn without_path(error: PathError) -> Judged {
    let finding = Finding::from(error);
    let same = || Err(finding.clone());
    Judged { path: Err(finding.clone()), usage: same(), policy: same(), algorithms: same(), time: same(), revocation: Err(finding.clone()) }
}

/// spec: en319102-1#5.5.4 (step 5), en319102-1#5.6.2.4
fn in_time(signed: &SignedBy<'_>, path: &[CertificateView<'_>]) -> Result<(), Finding> {
    let [below @ .., _] = path else { return Ok(()) };
    for view in below {
        if signed.at < view.not_before {
            return Err(Finding::new(Sub::NotYetValid, format!("it was signed before the certificate began at {}; sign with one that is valid", view.not_before)));
        }
        if signed.proof > view.not_after {
            let late = signed.earliest.is_some_and(|earliest| earliest > view.not_after);
            let detail = format!("it is not proved to have been there before the certificate ended at {}; sign again with a current one, or bring a timestamp from before", view.not_after);
            return Err(Finding::new(if late { Sub::Expired } else { Sub::OutOfBoundsNoPoe }, detail));
        }
    }
    Ok(())
}

/// Whether a revocation reaches back to what was signed. spec: en319102-1#5.5.4 (step 5), rfc3161#4
fn revoked(signed: &SignedBy<'_>, revocation: &Revocation, is_authority: bool) -> Result<(), Finding> {
    let since = revocation.invalid_since.map_or(revocation.at, |since| since.min(revocation.at));
    // A key that only went out of use made no false timestamps before; one that others may hold may have dated them back.
    let harmless = matches!(revocation.reason, Reason::Superseded | Reason::AffiliationChanged | Reason::CessationOfOperation);
    let by = if harmless { signed.at } else { signed.proof };
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
