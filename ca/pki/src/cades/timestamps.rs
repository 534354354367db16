//! The timestamps of a signature, the newest first, each with what it proves to have been there.
use super::index::{Covered, Digests, Index};
use super::parts::Unsigned;
use super::verdict::{Finding, PassedOver};
use super::{ARCHIVE_TIMESTAMP, CadesError, HASH_INDEX, SIGNATURE_TIMESTAMP, Signature};
use crate::effort::Effort;
use crate::timestamp::{self, VerifiedTimestamp};

/// What a timestamp is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The document, before it was signed.
    Content,
    /// The signature's value.
    Value,
    /// The document, the signature and what an index lists.
    Archive(Covered),
}

/// A timestamp whose signature verified and that is over what it should be over; whom to trust is not judged.
#[derive(Debug)]
pub(super) struct Stamped {
    /// Its place among the unsigned attributes; one over the content has none.
    pub(super) place: Option<usize>,
    pub(super) token: VerifiedTimestamp,
    pub(super) over: Over,
}

impl Signature {
    /// Every timestamp of a signature that was proved over `document`, archive timestamps from the newest on, then those over
    /// the signature's value, then those over the content; and those that prove nothing. Anyone can add to a signature what
    /// nobody signed: one timestamp that is damaged or over something else takes nothing from the others.
    pub(super) fn stamped(&self, document: &[u8], content_timestamps: &[Vec<u8>], effort: &Effort<'_>) -> (Vec<Stamped>, Vec<PassedOver>) {
        let known: Vec<&[u8]> = self.parts.certificates.iter().map(Vec::as_slice).collect();
        let digests = Digests::new(&self.parts, document);
        let (mut archive, mut value, mut content, mut passed_over) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut sort = |what: &'static str, list: &mut Vec<Stamped>, found: Result<Stamped, CadesError>| match found {
            Ok(stamped) => list.push(stamped),
            Err(error) => passed_over.push(PassedOver { what, finding: Finding::from(error) }),
        };
        for (place, one) in self.parts.unsigned.iter().enumerate() {
            if one.is(&ARCHIVE_TIMESTAMP) {
                let found = over_everything(&one.value, &known, &digests, effort).map(|(token, covered)| Stamped { place: Some(place), token, over: Over::Archive(covered) });
                sort("archive", &mut archive, found);
            } else if one.is(&SIGNATURE_TIMESTAMP) {
                let found = over(&one.value, &known, effort, |token| token.imprint().is_of(&self.parts.value));
                sort("signature", &mut value, found.map(|token| Stamped { place: Some(place), token, over: Over::Value }));
            }
        }
        for der in content_timestamps {
            let found = over(der, &known, effort, |token| token.imprint().digest() == digests.of_document(token.imprint().algorithm()).as_slice());
            sort("content", &mut content, found.map(|token| Stamped { place: None, token, over: Over::Content }));
        }
        archive.sort_by_key(|stamped| std::cmp::Reverse(stamped.token.gen_time()));
        (archive.into_iter().chain(value).chain(content).collect(), passed_over)
    }
}

fn over(token: &[u8], known: &[&[u8]], effort: &Effort<'_>, is_over: impl FnOnce(&VerifiedTimestamp) -> bool) -> Result<VerifiedTimestamp, CadesError> {
    let (token, _) = timestamp::verify_with_unsigned(token, known, effort)?;
    if is_over(&token) { Ok(token) } else { Err(CadesError::OtherImprint) }
}

fn over_everything(token: &[u8], known: &[&[u8]], digests: &Digests<'_>, effort: &Effort<'_>) -> Result<(VerifiedTimestamp, Covered), CadesError> {
    let (token, unsigned) = timestamp::verify_with_unsigned(token, known, effort)?;
    let attributes = Unsigned::list(unsigned.unwrap_or_default())?;
    let mut indexes = attributes.iter().filter(|one| one.is(&HASH_INDEX));
    let (Some(index), None) = (indexes.next(), indexes.next()) else { return Err(CadesError::Index) };
    let covered = Index::parse(&index.value)?.covered(digests, token.imprint()).ok_or(CadesError::OtherImprint)?;
    Ok((token, covered))
}
