//! What an archive timestamp covers: an index of digests, and the imprint over it and the signature itself.
// spec: en319122-1#5.5
use super::parts::{Parts, Unsigned};
use super::{CadesError, HASH_INDEX};
use crate::asn1;
use crate::cms::DATA;
use crate::signature::DigestAlgorithm;
use crate::timestamp::{self, Imprint, TST_INFO};

/// What one archive timestamp is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveImprint {
    imprint: Imprint,
    /// ATSHashIndexV3, DER.
    index: Vec<u8>,
}

impl ArchiveImprint {
    pub(super) fn of(parts: &Parts, document: &[u8], algorithm: DigestAlgorithm) -> Self {
        let list = |digests: Vec<Vec<u8>>| asn1::tlv(0x30, &digests.iter().map(|digest| asn1::tlv(4, digest)).collect::<Vec<_>>().concat());
        let index = asn1::seq(&[
            &algorithm.der(),
            &list(parts.certificates.iter().map(|one| algorithm.digest(one)).collect()),
            &list(parts.revocations.iter().map(|one| algorithm.digest(one)).collect()),
            &list(parts.unsigned.iter().map(|one| unsigned_digest(one, algorithm)).collect()),
        ]);
        Self { imprint: imprint(parts, &algorithm.digest(document), &index, algorithm), index }
    }

    /// What the token must be of.
    pub fn imprint(&self) -> &Imprint {
        &self.imprint
    }

    /// The token, DER, with the index among its unsigned attributes.
    pub(super) fn indexed(&self, token: &[u8]) -> Result<Vec<u8>, CadesError> {
        if timestamp::verify(token, &[])?.imprint() != &self.imprint {
            return Err(CadesError::OtherImprint);
        }
        let mut parts = Parts::parse(token, &TST_INFO)?;
        parts.unsigned.push(Unsigned::new(&HASH_INDEX, self.index.clone()));
        Ok(parts.der())
    }
}

/// Type and value, one after the other. spec: en319122-1#5.5.2
pub(super) fn unsigned_digest(one: &Unsigned, algorithm: DigestAlgorithm) -> Vec<u8> {
    algorithm.digest(&[asn1::tlv(6, &one.id), one.value.clone()].concat())
}

/// The content's type, its digest, the signer's fields as they stand, and the index. spec: en319122-1#5.5.3
pub(super) fn imprint(parts: &Parts, document_digest: &[u8], index: &[u8], algorithm: DigestAlgorithm) -> Imprint {
    Imprint::of(algorithm, &[&asn1::oid(&DATA), document_digest, &parts.fields, index].map(|part: &[u8]| part).concat())
}
