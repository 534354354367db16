//! A certificate as it is read: fields borrowed from its DER, none of them judged.
// spec: rfc5280#4.1
use crate::asn1::{DerError, Reader};
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

/// The largest certificate we look at.
pub const MAX_BYTES: usize = 16 * 1024;
const MAX_EXTENSIONS: usize = 40;

pub const SUBJECT_KEY_ID: Oid = Oid::new_unwrap("2.5.29.14");
pub const KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.15");
pub const PRIVATE_KEY_USAGE_PERIOD: Oid = Oid::new_unwrap("2.5.29.16");
pub const ALTERNATIVE_NAME: Oid = Oid::new_unwrap("2.5.29.17");
pub const BASIC_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.19");
pub const NAME_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.30");
pub const CRL_POINTS: Oid = Oid::new_unwrap("2.5.29.31");
pub const POLICIES: Oid = Oid::new_unwrap("2.5.29.32");
pub const EXTENDED_KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.37");
pub const AUTHORITY_KEY_ID: Oid = Oid::new_unwrap("2.5.29.35");
pub const INFORMATION_ACCESS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.1.1");
pub const OCSP_NO_CHECK: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.5");

/// The frame that certificates and CRLs share: what is signed, how, and the signature.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub tbs: &'a [u8],
    /// The algorithm's AlgorithmIdentifier, whole.
    pub algorithm: &'a [u8],
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub fn parse(der: &'a [u8]) -> Result<Self, DerError> {
        let mut fields = Reader::new(Reader::only(der, 0x30)?);
        let signed = Self { tbs: fields.whole(0x30)?, algorithm: fields.whole(0x30)?, signature: fields.octet_bits()? };
        fields.end()?;
        Ok(signed)
    }
}

/// One extension. Identifiers stay octets: those we do not know need not be ones we could print.
#[derive(Clone, Copy, Debug)]
pub struct ExtensionView<'a> {
    pub id: &'a [u8],
    pub critical: bool,
    pub value: &'a [u8],
}

/// The value of `Extensions`, each at most once. spec: rfc5280#4.2
pub fn extensions(der: &[u8]) -> Result<Vec<ExtensionView<'_>>, DerError> {
    let mut list = Reader::new(Reader::only(der, 0x30)?);
    // As many as certificates usually have.
    let mut found: Vec<ExtensionView<'_>> = Vec::with_capacity(12);
    while !list.is_empty() {
        let mut one = Reader::new(list.take(0x30)?);
        let extension = ExtensionView { id: one.take(6)?, critical: one.default_false()?, value: one.take(4)? };
        one.end()?;
        if found.len() == MAX_EXTENSIONS {
            return Err(DerError::Value("more than 40 extensions"));
        }
        if found.iter().any(|other| other.id == extension.id) {
            return Err(DerError::Value("an extension that is there twice"));
        }
        found.push(extension);
    }
    Ok(found)
}

#[derive(Clone, Debug)]
pub struct CertificateView<'a> {
    /// The whole certificate.
    pub der: &'a [u8],
    pub signed: Signed<'a>,
    /// The INTEGER's octets.
    pub serial: &'a [u8],
    /// Name, DER, whole; so is the subject.
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// SubjectPublicKeyInfo, whole.
    pub spki: &'a [u8],
    pub extensions: Vec<ExtensionView<'a>>,
}

impl<'a> CertificateView<'a> {
    pub fn parse(der: &'a [u8]) -> Result<Self, DerError> {
        if der.len() > MAX_BYTES {
            return Err(DerError::Value("a certificate of more than 16384 bytes"));
        }
        let signed = Signed::parse(der)?;
        let mut tbs = Reader::new(Reader::only(signed.tbs, 0x30)?);
        let version = tbs.optional(0xa0)?;
        // Version 3; old self-made roots are version 1, without the field and without extensions.
        if version.is_some_and(|version| version != [2, 1, 2]) {
            return Err(DerError::Value("a certificate version that is neither 1 nor 3"));
        }
        let serial = tbs.integer()?;
        if serial.len() > 21 {
            return Err(DerError::Value("serial number"));
        }
        // spec: rfc5280#4.1.2.3
        if tbs.whole(0x30)? != signed.algorithm {
            return Err(DerError::Value("two signature algorithms that differ"));
        }
        let issuer = tbs.whole(0x30)?;
        let mut validity = Reader::new(tbs.take(0x30)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.end()?;
        // A certificate that is never valid: whoever asks for a time within its validity would find none.
        if not_after < not_before {
            return Err(DerError::Value("a validity that ends before it begins"));
        }
        let (subject, spki) = (tbs.whole(0x30)?, tbs.whole(0x30)?);
        // Unique identifiers: nobody uses them, old certificates carry them.
        tbs.optional(0x81)?;
        tbs.optional(0x82)?;
        let extensions = match tbs.optional(0xa3)? {
            Some(_) if version.is_none() => return Err(DerError::Value("extensions in a certificate of version 1")),
            Some(list) => extensions(list)?,
            None => Vec::new(),
        };
        tbs.end()?;
        Ok(Self { der, signed, serial, issuer, subject, not_before, not_after, spki, extensions })
    }

    pub fn extension(&self, id: &Oid) -> Option<&'a [u8]> {
        self.extensions.iter().find(|extension| extension.id == id.as_bytes()).map(|extension| extension.value)
    }

    /// The subject's key identifier, as the certificate says it.
    pub fn subject_key_id(&self) -> Result<Option<&'a [u8]>, DerError> {
        self.extension(&SUBJECT_KEY_ID).map(|value| Reader::only(value, 4)).transpose()
    }
}
