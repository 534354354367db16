//! The timestamps of a signature, the newest first, each with what it proves to have been there.
use super::index::{Covered, Index};
use super::parts::Unsigned;
use super::{ARCHIVE_TIMESTAMP, CadesError, HASH_INDEX, SIGNATURE_TIMESTAMP, Signature};
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
    /// the signature's value, then those over the content.
    pub(super) fn stamped(&self, document: &[u8], content_timestamps: &[Vec<u8>]) -> Result<Vec<Stamped>, CadesError> {
        let known: Vec<&[u8]> = self.parts.certificates.iter().map(Vec::as_slice).collect();
        let (mut archive, mut value) = (Vec::new(), Vec::new());
        for (place, one) in self.parts.unsigned.iter().enumerate() {
            if one.is(&ARCHIVE_TIMESTAMP) {
                let (token, unsigned) = timestamp::verify_with_unsigned(&one.value, &known)?;
                let covered = self.covered(document, &token, unsigned)?.ok_or(CadesError::OtherImprint)?;
                archive.push(Stamped { place: Some(place), token, over: Over::Archive(covered) });
            } else if one.is(&SIGNATURE_TIMESTAMP) {
                let (token, _) = timestamp::verify_with_unsigned(&one.value, &known)?;
                if !token.imprint().is_of(&self.parts.value) {
                    return Err(CadesError::OtherImprint);
                }
                value.push(Stamped { place: Some(place), token, over: Over::Value });
            }
        }
        archive.sort_by_key(|stamped| std::cmp::Reverse(stamped.token.gen_time()));
        archive.append(&mut value);
        for token in content_timestamps {
            let (token, _) = timestamp::verify_with_unsigned(token, &known)?;
            if !token.imprint().is_of(document) {
                return Err(CadesError::OtherImprint);
            }
            archive.push(Stamped { place: None, token, over: Over::Content });
        }
        Ok(archive)
    }

    fn covered(&self, document: &[u8], token: &VerifiedTimestamp, unsigned: Option<&[u8]>) -> Result<Option<Covered>, CadesError> {
        let attributes = Unsigned::list(unsigned.unwrap_or_default())?;
        let mut indexes = attributes.iter().filter(|one| one.is(&HASH_INDEX));
        let (Some(index), None) = (indexes.next(), indexes.next()) else { return Err(CadesError::Index) };
        Ok(Index::parse(&index.value)?.covered(&self.parts, document, token.imprint()))
    }
}
