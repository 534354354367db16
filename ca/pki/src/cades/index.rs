//! Reading what an archive timestamp covers.
// spec: en319122-1#5.5.2
use super::CadesError;
use super::archive::{imprint, unsigned_digest};
use super::parts::Parts;
use crate::asn1::Reader;
use crate::signature::DigestAlgorithm;
use crate::timestamp::Imprint;

/// What an index lists: digests of one hash, in the order in which they stand.
pub(super) struct Index<'a> {
    algorithm: DigestAlgorithm,
    certificates: Vec<&'a [u8]>,
    revocations: Vec<&'a [u8]>,
    unsigned: Vec<&'a [u8]>,
    whole: &'a [u8],
}

/// Which elements of a signature a timestamp proves to have been there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) certificates: Vec<bool>,
    pub(super) revocations: Vec<bool>,
    pub(super) unsigned: Vec<bool>,
}

impl<'a> Index<'a> {
    /// ATSHashIndexV3, DER, whole.
    pub(super) fn parse(whole: &'a [u8]) -> Result<Self, CadesError> {
        let mut fields = Reader::new(Reader::only(whole, 0x30)?);
        let algorithm = DigestAlgorithm::read(fields.take(0x30)?).map_err(|_| CadesError::Index)?;
        let mut list = |most| {
            let mut list = Reader::new(fields.take(0x30)?);
            let mut digests = Vec::new();
            while !list.is_empty() {
                let digest = list.take(4)?;
                if digest.len() != usize::from(algorithm.length()) || digests.len() == most {
                    return Err(CadesError::Index);
                }
                digests.push(digest);
            }
            Ok(digests)
        };
        let (certificates, revocations, unsigned) = (list(super::MAX_CERTIFICATES)?, list(super::MAX_REVOCATIONS)?, list(super::MAX_UNSIGNED)?);
        fields.end()?;
        Ok(Self { algorithm, certificates, revocations, unsigned, whole })
    }

    /// What of `parts` the timestamp over `stamped` covers; `None` when it is of something else, or when what it listed is
    /// there no more. spec: en319122-1#5.5.2
    pub(super) fn covered(&self, parts: &Parts, document: &[u8], stamped: &Imprint) -> Option<Covered> {
        if *stamped != imprint(parts, document, self.whole, self.algorithm) {
            return None;
        }
        Some(Covered {
            certificates: matched(&self.certificates, parts.certificates.iter().map(|one| self.algorithm.digest(one)))?,
            revocations: matched(&self.revocations, parts.revocations.iter().map(|one| self.algorithm.digest(one)))?,
            unsigned: matched(&self.unsigned, parts.unsigned.iter().map(|one| unsigned_digest(one, self.algorithm)))?,
        })
    }
}

/// For each element whether it is listed; `None` when something is listed that is not there.
fn matched(listed: &[&[u8]], elements: impl Iterator<Item = Vec<u8>>) -> Option<Vec<bool>> {
    let digests: Vec<Vec<u8>> = elements.collect();
    let all = listed.iter().all(|wanted| digests.iter().any(|digest| digest == wanted));
    all.then(|| digests.iter().map(|digest| listed.contains(&digest.as_slice())).collect())
}
