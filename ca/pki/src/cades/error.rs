//! Why a signature cannot be read or added to.
use super::signature::{MAX_BYTES, MAX_CERTIFICATES, MAX_REVOCATIONS, MAX_UNSIGNED};
use crate::asn1::DerError;
use crate::cms::CmsError;
use crate::timestamp::TimestampError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CadesError {
    #[error("the signature has {0} bytes and at most {MAX_BYTES} are read; send revocation answers instead of whole lists along")]
    TooLarge(usize),
    #[error("more travels with the signature than {MAX_CERTIFICATES} certificates, {MAX_REVOCATIONS} revocation answers and {MAX_UNSIGNED} unsigned attributes; send what belongs to it only")]
    TooMany,
    #[error(transparent)]
    Signature(#[from] CmsError),
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    #[error("the timestamp is not over this signature; ask for one over the imprint that was given")]
    OtherImprint,
    #[error("the archive timestamp's index is damaged or by another hash than the timestamp; get the timestamp again")]
    Index,
}

impl From<DerError> for CadesError {
    fn from(error: DerError) -> Self {
        Self::Signature(error.into())
    }
}
