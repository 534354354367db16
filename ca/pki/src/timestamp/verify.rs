//! Verifying a token, of this authority or another.
use super::{Imprint, ImprintError, TST_INFO, bounded};
use crate::asn1::{self, DerError, Reader};
use crate::cms::{self, CmsError};
use crate::effort::Effort;
use crate::signature::Scheme;
use crate::view::{self, CertificateView};
use const_oid::ObjectIdentifier as Oid;
use time::{Duration, OffsetDateTime};

const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");
/// Serial numbers of 160 bits must be understood. spec: rfc3161#2.4.2
const MAX_SERIAL: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    #[error("the timestamp is damaged: {0}; get it again")]
    Der(#[from] DerError),
    #[error("the timestamp's signature: {0}")]
    Signature(#[from] CmsError),
    #[error("the timestamp authority gave no token; read the failure in its answer")]
    Rejected,
    #[error("the timestamp is of another version than 1; get one of version 1")]
    Version,
    #[error("the stamped digest is {0}")]
    Imprint(ImprintError),
    #[error("the timestamp has a critical extension that is not understood; get one without")]
    Critical,
    #[error("the signer's certificate is not for timestamps alone; get a timestamp from an authority whose is")]
    Usage,
}

/// What a token says: TSTInfo. spec: rfc3161#2.4.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    gen_time: OffsetDateTime,
    accuracy: Option<Duration>,
    ordering: bool,
    imprint: Imprint,
    serial: Vec<u8>,
    policy: Oid,
    nonce: Option<Vec<u8>>,
}

impl Stamp {
    pub fn gen_time(&self) -> OffsetDateTime {
        self.gen_time
    }
    /// How far from `gen_time` the true time may lie; `None` when the authority does not say.
    pub fn accuracy(&self) -> Option<Duration> {
        self.accuracy
    }
    /// Whether this authority's tokens are in the order of their times, whatever the accuracy.
    pub fn ordering(&self) -> bool {
        self.ordering
    }
    pub fn imprint(&self) -> &Imprint {
        &self.imprint
    }
    /// The INTEGER's octets.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
    pub fn policy(&self) -> Oid {
        self.policy
    }
    /// The INTEGER's octets.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// From TSTInfo, DER.
    pub fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        let mut info = Reader::new(Reader::only(der, 0x30)?);
        if info.integer()? != [1] {
            return Err(TimestampError::Version);
        }
        let policy = Oid::from_bytes(info.take(6)?).map_err(|_| DerError::Value("object identifier"))?;
        let imprint = Imprint::read(info.take(0x30)?).map_err(TimestampError::Imprint)?;
        let serial = bounded(&mut info, MAX_SERIAL)?.ok_or(DerError::Value("serial number"))?.to_vec();
        let gen_time = moment(info.take(0x18)?)?;
        let accuracy = info.optional(0x30)?.map(accuracy).transpose()?;
        let ordering = info.default_false()?;
        let nonce = match info.peek() {
            Some(2) => Some(bounded(&mut info, super::MAX_NONCE)?.ok_or(DerError::Value("nonce"))?.to_vec()),
            _ => None,
        };
        // The name of the authority is a hint; the certificate says it.
        info.optional(0xa0)?;
        if let Some(list) = info.optional(0xa1)?
            && view::extensions(&asn1::tlv(0x30, list))?.iter().any(|extension| extension.critical)
        {
            return Err(TimestampError::Critical);
        }
        info.end()?;
        Ok(Self { gen_time, accuracy, ordering, imprint, serial, policy, nonce })
    }
}

/// A token whose signature verified. It says who vouches for the time, not whether to trust them: judge the signer's
/// certificate as of `gen_time`, see `path`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedTimestamp {
    der: Vec<u8>,
    stamp: Stamp,
    signer_certificate: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    scheme: Scheme,
}

impl std::fmt::Debug for VerifiedTimestamp {
    // Certificates hold names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedTimestamp").field("gen_time", &self.stamp.gen_time).field("imprint", &self.stamp.imprint).finish_non_exhaustive()
    }
}

impl std::ops::Deref for VerifiedTimestamp {
    type Target = Stamp;

    fn deref(&self) -> &Stamp {
        &self.stamp
    }
}

impl VerifiedTimestamp {
    /// The token as it travels.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
    /// DER.
    pub fn signer_certificate(&self) -> &[u8] {
        &self.signer_certificate
    }
    /// How it is signed.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
    /// All that travelled in the token, DER.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
}

/// Verifies a token, DER. The signer's certificate is looked for in the token and among those `known`.
pub fn verify<'a>(token: &'a [u8], known: &[&'a [u8]]) -> Result<VerifiedTimestamp, TimestampError> {
    verify_within(token, known, &Effort::unbounded())
}

/// As [`verify`], where what `effort` remembers is not verified again.
pub fn verify_within<'a>(token: &'a [u8], known: &[&'a [u8]], effort: &Effort<'_>) -> Result<VerifiedTimestamp, TimestampError> {
    match verify_with_unsigned(token, known, effort)? {
        (_, Some(_)) => Err(CmsError::UnsignedAttributes.into()),
        (verified, None) => Ok(verified),
    }
}

/// As [`verify`], with the octets of the unsigned attributes: an archive timestamp says there what it covers.
pub(crate) fn verify_with_unsigned<'a>(token: &'a [u8], known: &[&'a [u8]], effort: &Effort<'_>) -> Result<(VerifiedTimestamp, Option<&'a [u8]>), TimestampError> {
    let enclosing = cms::verify_enclosing(token, &TST_INFO, known, effort)?;
    let (signer_certificate, certificates) = enclosing.verified.into_certificates();
    if !stamps(&CertificateView::parse(&signer_certificate)?) {
        return Err(TimestampError::Usage);
    }
    let (stamp, scheme) = (Stamp::parse(enclosing.content)?, enclosing.scheme);
    Ok((VerifiedTimestamp { der: token.to_vec(), stamp, signer_certificate, certificates, scheme }, enclosing.unsigned))
}

/// Who made a token, DER, an archive timestamp's too: whom to ask about, before it is judged.
pub struct Authority {
    /// DER.
    pub signer_certificate: Vec<u8>,
    /// All that travelled in the token, DER.
    pub certificates: Vec<Vec<u8>>,
}

/// As [`verify`], but what an archive timestamp says of what it covers may be there.
pub fn authority<'a>(token: &'a [u8], known: &[&'a [u8]]) -> Result<Authority, TimestampError> {
    let (verified, _) = verify_with_unsigned(token, known, &Effort::unbounded())?;
    Ok(Authority { signer_certificate: verified.signer_certificate, certificates: verified.certificates })
}

/// Whether the certificate is for timestamps and critically nothing else. spec: rfc3161#2.3
pub(super) fn stamps(certificate: &CertificateView<'_>) -> bool {
    let usage = certificate.extensions.iter().find(|extension| extension.id == view::EXTENDED_KEY_USAGE.as_bytes());
    let only = |value| Reader::only(Reader::only(value, 0x30)?, 6);
    usage.is_some_and(|usage| usage.critical && only(usage.value).is_ok_and(|id| id == TIME_STAMPING.as_bytes()))
}

/// GeneralizedTime with a fraction of any length, which does not end in a zero.
fn moment(text: &[u8]) -> Result<OffsetDateTime, DerError> {
    const WRONG: DerError = DerError::Value("time");
    let (whole, fraction) = match text.iter().position(|octet| *octet == b'.') {
        None => return Reader::new(&asn1::tlv(0x18, text)).time(),
        Some(at) => text.split_at_checked(at).ok_or(WRONG)?,
    };
    let [b'.', digits @ .., b'Z'] = fraction else { return Err(WRONG) };
    if digits.is_empty() || digits.len() > 9 || digits.ends_with(b"0") || !digits.iter().all(u8::is_ascii_digit) {
        return Err(WRONG);
    }
    let nanoseconds = (0..9).fold(0, |all, place| all * 10 + i64::from(digits.get(place).map_or(0, |digit| digit - b'0')));
    let seconds = Reader::new(&asn1::tlv(0x18, &[whole, b"Z"].concat())).time()?;
    seconds.checked_add(Duration::nanoseconds(nanoseconds)).ok_or(WRONG)
}

fn accuracy(value: &[u8]) -> Result<Duration, DerError> {
    const WRONG: DerError = DerError::Value("accuracy");
    let number = |octets: &[u8]| match octets {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(WRONG),
        octets if octets.len() > 5 => Err(WRONG),
        octets => Ok(octets.iter().fold(0i64, |all, octet| (all << 8) | i64::from(*octet))),
    };
    let mut parts = Reader::new(value);
    let [seconds, millis, micros] = [2, 0x80, 0x81].map(|tag| parts.optional(tag).and_then(|octets| octets.map_or(Ok(0), number)));
    let (seconds, millis, micros) = (seconds?, millis?, micros?);
    parts.end()?;
    if millis > 999 || micros > 999 {
        return Err(WRONG);
    }
    Ok(Duration::seconds(seconds) + Duration::milliseconds(millis) + Duration::microseconds(micros))
}
