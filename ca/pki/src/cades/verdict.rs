//! What is found of a signature, in the words of EN 319 102-1.
// spec: en319102-1#5.1.3
use super::CadesError;
use crate::asn1::DerError;
use crate::cms::CmsError;
use crate::path::PathError;
use crate::signature::SignatureError;
use crate::timestamp::TimestampError;

/// The whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indication {
    TotalPassed,
    /// What is known does not tell; it may pass later, or with more.
    Indeterminate,
    TotalFailed,
}

impl Indication {
    pub const fn name(self) -> &'static str {
        match self {
            Self::TotalPassed => "TOTAL-PASSED",
            Self::Indeterminate => "INDETERMINATE",
            Self::TotalFailed => "TOTAL-FAILED",
        }
    }
}

/// Why it did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubIndication {
    FormatFailure,
    HashFailure,
    SigCryptoFailure,
    Revoked,
    Expired,
    NotYetValid,
    SigConstraintsFailure,
    ChainConstraintsFailure,
    CertificateChainGeneralFailure,
    CryptoConstraintsFailure,
    CryptoConstraintsFailureNoPoe,
    NoSigningCertificateFound,
    NoCertificateChainFound,
    RevokedNoPoe,
    RevokedCaNoPoe,
    OutOfBoundsNoPoe,
    TimestampOrderFailure,
    TryLater,
}

impl SubIndication {
    pub const fn name(self) -> &'static str {
        match self {
            Self::FormatFailure => "FORMAT_FAILURE",
            Self::HashFailure => "HASH_FAILURE",
            Self::SigCryptoFailure => "SIG_CRYPTO_FAILURE",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::SigConstraintsFailure => "SIG_CONSTRAINTS_FAILURE",
            Self::ChainConstraintsFailure => "CHAIN_CONSTRAINTS_FAILURE",
            Self::CertificateChainGeneralFailure => "CERTIFICATE_CHAIN_GENERAL_FAILURE",
            Self::CryptoConstraintsFailure => "CRYPTO_CONSTRAINTS_FAILURE",
            Self::CryptoConstraintsFailureNoPoe => "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
            Self::NoSigningCertificateFound => "NO_SIGNING_CERTIFICATE_FOUND",
            Self::NoCertificateChainFound => "NO_CERTIFICATE_CHAIN_FOUND",
            Self::RevokedNoPoe => "REVOKED_NO_POE",
            Self::RevokedCaNoPoe => "REVOKED_CA_NO_POE",
            Self::OutOfBoundsNoPoe => "OUT_OF_BOUNDS_NO_POE",
            Self::TimestampOrderFailure => "TIMESTAMP_ORDER_FAILURE",
            Self::TryLater => "TRY_LATER",
        }
    }

    /// Those that no further evidence can change. spec: en319102-1#5.1.3 table 5
    pub const fn indication(self) -> Indication {
        match self {
            Self::FormatFailure | Self::HashFailure | Self::SigCryptoFailure | Self::Revoked | Self::Expired | Self::NotYetValid => Indication::TotalFailed,
            _ => Indication::Indeterminate,
        }
    }
}

/// A part that nobody signed for, or that says nothing for itself, and that was passed over: what it would have proved is
/// not proved by it. spec: en319102-1#5.5.4, en319102-1#5.6.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// `archive`, `signature` or `content` timestamp, or `answer` of a responder or list.
    pub what: &'static str,
    pub finding: Finding,
}

/// One thing that does not hold, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", sub.name())]
pub struct Finding {
    pub sub: SubIndication,
    /// For people; no names and numbers of persons in it.
    pub detail: String,
}

impl Finding {
    pub(super) fn new(sub: SubIndication, detail: impl Into<String>) -> Self {
        Self { sub, detail: detail.into() }
    }

    pub fn indication(&self) -> Indication {
        self.sub.indication()
    }
}

impl From<DerError> for Finding {
    fn from(error: DerError) -> Self {
        Self::new(SubIndication::FormatFailure, error.to_string())
    }
}

impl From<CmsError> for Finding {
    fn from(error: CmsError) -> Self {
        use SubIndication as S;
        let sub = match &error {
            CmsError::Content => S::HashFailure,
            CmsError::Signature(SignatureError::Mismatch) => S::SigCryptoFailure,
            CmsError::Signature(SignatureError::BrokenHash | SignatureError::Unsupported) => S::CryptoConstraintsFailure,
            CmsError::Signature(SignatureError::TooMany) => S::CertificateChainGeneralFailure,
            CmsError::NoCertificate | CmsError::OtherCertificate | CmsError::Ambiguous => S::NoSigningCertificateFound,
            CmsError::Missing("signingCertificateV2") | CmsError::NoAttributes => S::SigConstraintsFailure,
            _ => S::FormatFailure,
        };
        Self::new(sub, error.to_string())
    }
}

impl From<CadesError> for Finding {
    fn from(error: CadesError) -> Self {
        match error {
            CadesError::Signature(error) | CadesError::Timestamp(TimestampError::Signature(error)) => error.into(),
            CadesError::OtherImprint => Self::new(SubIndication::HashFailure, "a timestamp is not over this signature or not over all that it lists; send the signature as it was"),
            CadesError::Timestamp(TimestampError::Usage) => Self::new(SubIndication::ChainConstraintsFailure, TimestampError::Usage.to_string()),
            other => Self::new(SubIndication::FormatFailure, other.to_string()),
        }
    }
}

impl From<PathError> for Finding {
    fn from(error: PathError) -> Self {
        use SubIndication as S;
        let sub = match error {
            PathError::UnknownIssuer => S::NoCertificateChainFound,
            PathError::Expired | PathError::NotYetValid => S::OutOfBoundsNoPoe,
            PathError::RevocationUnknown => S::TryLater,
            PathError::Revoked { .. } => S::RevokedNoPoe,
            PathError::WrongUsage | PathError::WrongPolicy | PathError::Constraint | PathError::TooMany | PathError::Malformed(_) => S::ChainConstraintsFailure,
        };
        Self::new(sub, error.to_string())
    }
}
