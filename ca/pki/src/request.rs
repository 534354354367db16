//! PKCS#10 requests: bounded, and refused unless the sender proves to hold the key.
use crate::asn1::{DerError, Reader};
use crate::key::{KeyAlgorithm, WeakKey};
use base64::Engine as _;
use const_oid::ObjectIdentifier as Oid;
use ring::signature as rs;

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
}

fn from_pem(bytes: &[u8]) -> Result<Vec<u8>, RequestError> {
    let text = std::str::from_utf8(bytes).map_err(|_| RequestError::Pem)?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(RequestError::Pem)?;
    let (label, rest) = rest.split_once("-----").ok_or(RequestError::Pem)?;
    if !matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
        return Err(RequestError::Label(label.chars().take(64).collect()));
    }
    let (body, end) = rest.split_once("-----END ").ok_or(RequestError::Pem)?;
    if !end.starts_with(&format!("{label}-----")) {
        return Err(RequestError::Pem);
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(body).map_err(|_| RequestError::Pem)
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
        let sig_alg = Reader::new(r.take(0x30)?).take(6)?;
        let signature = match r.take(3)? {
            [0, s @ ..] => s,
            _ => return Err(DerError::Value("signature bits").into()),
        };
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
        verify(spki, sig_alg, info, signature)?;
        // Here and not in the caller, so that no caller can forget it.
        let key = crate::key::check(spki)?;
        Ok(Self { key, subject, spki: spki.to_vec(), requested_extensions, asks_for_ca })
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

fn verify(spki: &[u8], sig_alg: &[u8], message: &[u8], signature: &[u8]) -> Result<(), RequestError> {
    let mut alg = Reader::new(Reader::new(Reader::new(spki).take(0x30)?).take(0x30)?);
    let key_alg = read_oid(alg.take(6)?)?.to_string();
    let curve = if alg.peek() == Some(6) { read_oid(alg.take(6)?)?.to_string() } else { String::new() };
    let sig = read_oid(sig_alg)?.to_string();
    let how: &dyn rs::VerificationAlgorithm = match (key_alg.as_str(), curve.as_str(), sig.as_str()) {
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2") => &rs::ECDSA_P256_SHA256_ASN1,
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.3") => &rs::ECDSA_P256_SHA384_ASN1,
        ("1.2.840.10045.2.1", "1.3.132.0.34", "1.2.840.10045.4.3.2") => &rs::ECDSA_P384_SHA256_ASN1,
        ("1.2.840.10045.2.1", "1.3.132.0.34", "1.2.840.10045.4.3.3") => &rs::ECDSA_P384_SHA384_ASN1,
        ("1.2.840.113549.1.1.1", _, "1.2.840.113549.1.1.11") => &rs::RSA_PKCS1_2048_8192_SHA256,
        ("1.2.840.113549.1.1.1", _, "1.2.840.113549.1.1.12") => &rs::RSA_PKCS1_2048_8192_SHA384,
        ("1.2.840.113549.1.1.1", _, "1.2.840.113549.1.1.13") => &rs::RSA_PKCS1_2048_8192_SHA512,
        _ => return Err(RequestError::Algorithm),
    };
    let key = crate::certificate::key_bits(spki)?;
    rs::UnparsedPublicKey::new(how, key).verify(message, signature).map_err(|_| RequestError::Possession)
}
