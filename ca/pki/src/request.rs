//! PKCS#10 requests: bounded, and refused unless the sender proves to hold the key.
use crate::asn1::{DerError, Reader};
use crate::key::{KeyAlgorithm, WeakKey};
use crate::pem::{self, PemError};
use crate::signature::{Scheme, SignatureError};
use const_oid::ObjectIdentifier as Oid;

/// The largest request we look at.
pub const MAX_BYTES: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    WeakKey(#[from] WeakKey),
    #[error("the request has {0} bytes and at most 16384 are read; send a request alone, without other files")]
    TooLarge(usize),
    #[error("expected PEM 'CERTIFICATE REQUEST', found '{0}'; send the request, not a certificate or a key")]
    Label(String),
    #[error("the PEM is damaged; send the whole file again, from BEGIN to END")]
    Pem,
    #[error("the request is not valid DER: {0}; make it again, for example with openssl req -new")]
    Der(#[from] DerError),
    #[error("the request's key or signature algorithm is not supported; make a P-256 key and sign with SHA-256")]
    Algorithm,
    #[error("the request's own signature does not verify, so possession of the key is not proved; make the request again with its own key")]
    Possession,
}

/// A request whose sender holds the key.
#[derive(Clone, Debug)]
pub struct Request {
    pub subject: Vec<(Oid, String)>,
    pub spki: Vec<u8>,
    /// Judged: a weak key is refused with the request.
    pub key: KeyAlgorithm,
    /// Reported, never copied: OIDs of the extensions asked for.
    pub requested_extensions: Vec<Oid>,
    asks_for_ca: bool,
    der: Vec<u8>,
}

fn from_pem(bytes: &[u8]) -> Result<Vec<u8>, RequestError> {
    pem::decode(bytes, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]).map_err(|error| match error {
        PemError::Damaged => RequestError::Pem,
        PemError::Label(label) => RequestError::Label(label),
    })
}

fn read_oid(bytes: &[u8]) -> Result<Oid, DerError> {
    Oid::from_bytes(bytes).map_err(|_| DerError::Value("object identifier"))
}

impl Request {
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > MAX_BYTES {
            return Err(RequestError::TooLarge(bytes.len()));
        }
        if bytes.first() == Some(&0x30) { Self::from_der(bytes) } else { Self::from_der(&from_pem(bytes)?) }
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let mut outer = Reader::new(der);
        let mut r = Reader::new(outer.take(0x30)?);
        outer.end()?;
        let info = r.whole(0x30)?;
        let algorithm = r.take(0x30)?;
        let signature = r.octet_bits()?;
        r.end()?;
        let mut i = Reader::new(Reader::new(info).take(0x30)?);
        if i.take(2)? != [0] {
            return Err(DerError::Value("version").into());
        }
        let mut subject = Vec::new();
        let mut rdns = Reader::new(i.take(0x30)?);
        while !rdns.is_empty() {
            let mut set = Reader::new(rdns.take(0x31)?);
            while !set.is_empty() {
                let mut pair = Reader::new(set.take(0x30)?);
                let id = read_oid(pair.take(6)?)?;
                let (_, value, _) = pair.any()?;
                pair.end()?;
                let value = std::str::from_utf8(value).map_err(|_| DerError::Value("name is not UTF-8"))?;
                subject.push((id, value.to_owned()));
            }
        }
        let spki = i.whole(0x30)?;
        let (requested_extensions, asks_for_ca) = if i.is_empty() { (Vec::new(), false) } else { asked(i.take(0xa0)?)? };
        i.end()?;
        // Here and not in the caller, so that no caller can forget it; and first, since "too short" tells more than
        // the failed signature of a key that is too short to be tried.
        let key = crate::key::check(spki)?;
        Scheme::read(algorithm, None).and_then(|scheme| scheme.verify(spki, info, signature)).map_err(|error| match error {
            // One signature is never too many.
            SignatureError::Mismatch | SignatureError::TooMany => RequestError::Possession,
            SignatureError::Der(error) => RequestError::Der(error),
            SignatureError::BrokenHash | SignatureError::Unsupported => RequestError::Algorithm,
        })?;
        Ok(Self { key, subject, spki: spki.to_vec(), requested_extensions, asks_for_ca, der: der.to_vec() })
    }

    /// The bytes that were read, for whoever reads them with another parser.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn asks_for_ca(&self) -> bool {
        self.asks_for_ca
    }
}

fn asked(attributes: &[u8]) -> Result<(Vec<Oid>, bool), RequestError> {
    let (mut found, mut ca) = (Vec::new(), false);
    let mut attrs = Reader::new(attributes);
    while !attrs.is_empty() {
        let mut a = Reader::new(attrs.take(0x30)?);
        let id = read_oid(a.take(6)?)?;
        let mut values = Reader::new(a.take(0x31)?);
        if id != Oid::new_unwrap("1.2.840.113549.1.9.14") {
            continue;
        }
        let mut list = Reader::new(values.take(0x30)?);
        while !list.is_empty() {
            let mut e = Reader::new(list.take(0x30)?);
            let id = read_oid(e.take(6)?)?;
            if e.peek() == Some(1) {
                e.take(1)?;
            }
            let value = e.take(4)?;
            if id == Oid::new_unwrap("2.5.29.19") {
                let mut bc = Reader::new(Reader::new(value).take(0x30)?);
                ca |= bc.peek() == Some(1) && bc.take(1)?.iter().any(|b| *b != 0);
            }
            found.push(id);
        }
    }
    Ok((found, ca))
}
