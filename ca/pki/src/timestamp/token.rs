//! Making a token: what it says, signed by the authority's own key for nothing else.
use super::request::TimeStampRequest;
use super::{TST_INFO, verify};
use crate::asn1::{self, DerError, Reader};
use crate::cms::{SealError, SignerPlan};
use crate::signer::Signer;
use crate::view::{self, CertificateView};
use const_oid::ObjectIdentifier as Oid;
use time::{OffsetDateTime, UtcOffset};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the signer's certificate is not for timestamps alone; give one whose only and critical extended key usage is timeStamping")]
    Usage,
    #[error("another timestamp policy is asked for; ask for this authority's own or for none")]
    Policy,
    #[error("the key signs no tokens at this time; certify another")]
    Ended,
    #[error("the time lies outside the years 1950 to 9999; set the clock")]
    Time,
}

/// What the authority promises of every token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub policy: Oid,
    pub accuracy_ms: u32,
    pub ordering: bool,
}

/// What is new in every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub time: OffsetDateTime,
    pub serial: [u8; 16],
}

/// All that one token says: TSTInfo, the exact octets to be signed, and what travels around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    der: Vec<u8>,
    time: OffsetDateTime,
    certificate: bool,
}

impl TokenInfo {
    /// TSTInfo, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The time it says.
    pub fn time(&self) -> OffsetDateTime {
        self.time
    }

    /// What is said of the imprint of `request` at `moment`, under `terms`.
    pub fn new(terms: &Terms, request: &TimeStampRequest, moment: Moment) -> Result<Self, TokenError> {
        if request.policy.is_some_and(|asked| asked != terms.policy) {
            return Err(TokenError::Policy);
        }
        let utc = moment.time.checked_to_offset(UtcOffset::UTC).filter(|utc| (1950..=9999).contains(&utc.year())).ok_or(TokenError::Time)?;
        let der = asn1::seq(&[
            &[2, 1, 1],
            &asn1::oid(&terms.policy),
            &request.imprint.der(),
            &asn1::uint(&moment.serial),
            &generalized_micros(utc),
            &accuracy(terms.accuracy_ms),
            // spec: x690#11.5 (a default is left out)
            if terms.ordering { &[1, 1, 0xff] } else { &[] },
            &request.nonce.as_ref().map(|octets| asn1::tlv(2, octets)).unwrap_or_default(),
        ]);
        Ok(Self { der, time: utc, certificate: request.certificate })
    }
}

/// One signer's tokens.
#[derive(Clone, Debug)]
pub struct TokenPlan {
    signer: SignerPlan,
    /// From when and until when its key signs, both included.
    signs: (OffsetDateTime, OffsetDateTime),
}

impl TokenPlan {
    /// For the holder of this certificate; `others` travel with it so that a reader finds the path.
    pub fn new(certificate: &[u8], others: &[&[u8]]) -> Result<Self, TokenError> {
        let view = CertificateView::parse(certificate).map_err(SealError::from)?;
        if !verify::stamps(&view) {
            return Err(TokenError::Usage);
        }
        let signs = key_period(&view).map_err(SealError::from)?.unwrap_or((view.not_before, view.not_after));
        Ok(Self { signs: (signs.0.max(view.not_before), signs.1.min(view.not_after)), signer: SignerPlan::enclosing(&TST_INFO, certificate, others)? })
    }

    /// From when and until when the key signs, both included.
    pub fn signs(&self) -> (OffsetDateTime, OffsetDateTime) {
        self.signs
    }

    /// The token, DER: ContentInfo.
    pub fn token(&self, info: &TokenInfo, signer: &dyn Signer) -> Result<Vec<u8>, TokenError> {
        let (from, until) = self.signs;
        if info.time < from || info.time.unix_timestamp() > until.unix_timestamp() {
            return Err(TokenError::Ended);
        }
        Ok(self.signer.enclose(&info.der, info.certificate, info.time, signer)?)
    }
}

/// PrivateKeyUsagePeriod, both ends. spec: rfc3280#4.2.1.4
fn key_period(certificate: &CertificateView<'_>) -> Result<Option<(OffsetDateTime, OffsetDateTime)>, DerError> {
    let Some(value) = certificate.extension(&view::PRIVATE_KEY_USAGE_PERIOD) else { return Ok(None) };
    let mut ends = Reader::new(Reader::only(value, 0x30)?);
    let mut instant = |tag, otherwise| match ends.optional(tag)? {
        Some(octets) => Reader::new(&asn1::tlv(0x18, octets)).time(),
        None => Ok(otherwise),
    };
    let period = (instant(0x80, certificate.not_before)?, instant(0x81, certificate.not_after)?);
    ends.end()?;
    Ok(Some(period))
}

/// GeneralizedTime to the microsecond, so that many tokens of a second have their order; without zeros at its end. spec: rfc3161#2.4.2
fn generalized_micros(utc: OffsetDateTime) -> Vec<u8> {
    let whole = asn1::generalized(utc);
    let fraction = format!("{:06}", utc.microsecond());
    match (fraction.trim_end_matches('0'), whole.as_slice()) {
        ("", _) => whole,
        (digits, [_, _, text @ .., b'Z']) => asn1::tlv(0x18, &[text, b".", digits.as_bytes(), b"Z"].concat()),
        _ => whole,
    }
}

/// Accuracy; what is nought is left out. spec: rfc3161#2.4.2
fn accuracy(millis: u32) -> Vec<u8> {
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let seconds = if seconds == 0 { Vec::new() } else { asn1::uint(&seconds.to_be_bytes()) };
    let mut rest = if rest == 0 { Vec::new() } else { asn1::uint(&rest.to_be_bytes()) };
    // [0] IMPLICIT takes the place of INTEGER's own tag.
    if let Some(tag) = rest.first_mut() {
        *tag = 0x80;
    }
    asn1::seq(&[&seconds, &rest])
}
