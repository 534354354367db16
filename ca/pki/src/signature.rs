//! Signatures of others: which hash, which padding, which key, and whether they verify.
// spec: rfc5754, rfc5758, rfc4055
use crate::asn1::{self, DerError, Reader};
use crate::certificate::key_bits;
use const_oid::ObjectIdentifier as Oid;
use ring::{digest, signature as rs};

const fn o(text: &str) -> Oid {
    Oid::new_unwrap(text)
}

const EC_KEY: Oid = o("1.2.840.10045.2.1");
const P256: Oid = o("1.2.840.10045.3.1.7");
const P384: Oid = o("1.3.132.0.34");
const RSA_KEY: Oid = o("1.2.840.113549.1.1.1");
const RSA_PSS: Oid = o("1.2.840.113549.1.1.10");
const MGF1: Oid = o("1.2.840.113549.1.1.8");
const ECDSA: [(Oid, DigestAlgorithm); 3] =
    [(o("1.2.840.10045.4.3.2"), DigestAlgorithm::Sha256), (o("1.2.840.10045.4.3.3"), DigestAlgorithm::Sha384), (o("1.2.840.10045.4.3.4"), DigestAlgorithm::Sha512)];
const RSA: [(Oid, DigestAlgorithm); 3] =
    [(o("1.2.840.113549.1.1.11"), DigestAlgorithm::Sha256), (o("1.2.840.113549.1.1.12"), DigestAlgorithm::Sha384), (o("1.2.840.113549.1.1.13"), DigestAlgorithm::Sha512)];
/// MD5 and SHA-1, alone and inside signature algorithms.
const BROKEN: [Oid; 6] = [
    o("1.2.840.113549.2.5"),
    o("1.3.14.3.2.26"),
    o("1.2.840.113549.1.1.4"),
    o("1.2.840.113549.1.1.5"),
    o("1.2.840.10045.4.1"),
    o("1.3.14.3.2.29"),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("SHA-1 and MD5 prove nothing any more; sign with SHA-256")]
    BrokenHash,
    #[error("the signature's algorithm or key is not supported; sign with P-256, P-384 or RSA (PKCS#1 or PSS) and SHA-256")]
    Unsupported,
    #[error("the signature does not verify; what was signed was changed, or another key signed")]
    Mismatch,
    #[error("it was not verified: more signatures travel along than one question may have verified; send what belongs to it only")]
    TooMany,
    #[error("the signature's algorithm or key is damaged: {0}")]
    Der(#[from] DerError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl DigestAlgorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn oid(self) -> &'static Oid {
        // Each read once, by the compiler.
        const SHA256: Oid = o("2.16.840.1.101.3.4.2.1");
        const SHA384: Oid = o("2.16.840.1.101.3.4.2.2");
        const SHA512: Oid = o("2.16.840.1.101.3.4.2.3");
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }

    /// AlgorithmIdentifier; the parameters are left out. spec: rfc5754#2
    pub fn der(self) -> Vec<u8> {
        asn1::seq(&[&asn1::oid(self.oid())])
    }

    /// Reads the value of an AlgorithmIdentifier; the parameters are absent or NULL. spec: rfc5754#2
    pub fn read(algorithm: &[u8]) -> Result<Self, SignatureError> {
        let (id, parameters) = split(algorithm)?;
        null_or_absent(parameters)?;
        Self::ALL.into_iter().find(|known| known.oid().as_bytes() == id).ok_or_else(|| refused(id))
    }

    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }

    pub(crate) const fn length(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

fn refused(id: &[u8]) -> SignatureError {
    if BROKEN.iter().any(|broken| broken.as_bytes() == id) { SignatureError::BrokenHash } else { SignatureError::Unsupported }
}

/// An algorithm's identifier and what follows it.
fn split(algorithm: &[u8]) -> Result<(&[u8], Reader<'_>), DerError> {
    let mut fields = Reader::new(algorithm);
    Ok((fields.take(6)?, fields))
}

fn null_or_absent(mut parameters: Reader<'_>) -> Result<(), DerError> {
    if parameters.optional(5)?.is_some_and(|null| !null.is_empty()) {
        return Err(DerError::Value("NULL"));
    }
    parameters.end()
}

/// How something was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Ecdsa(DigestAlgorithm),
    RsaPkcs1(DigestAlgorithm),
    RsaPss(DigestAlgorithm),
}

impl Scheme {
    /// Reads the value of an AlgorithmIdentifier. CMS may name the bare key algorithm `rsaEncryption`, and then
    /// the hash is the one that CMS says beside it: `beside`. spec: rfc5754#3.2
    pub fn read(algorithm: &[u8], beside: Option<DigestAlgorithm>) -> Result<Self, SignatureError> {
        let (id, parameters) = split(algorithm)?;
        if let Some((_, hash)) = ECDSA.iter().find(|(known, _)| known.as_bytes() == id) {
            // spec: rfc5758#3.2
            parameters.end()?;
            return Ok(Self::Ecdsa(*hash));
        }
        if let Some((_, hash)) = RSA.iter().find(|(known, _)| known.as_bytes() == id) {
            null_or_absent(parameters)?;
            return Ok(Self::RsaPkcs1(*hash));
        }
        match beside {
            Some(hash) if id == RSA_KEY.as_bytes() => {
                null_or_absent(parameters)?;
                Ok(Self::RsaPkcs1(hash))
            }
            _ if id == RSA_PSS.as_bytes() => pss(parameters),
            _ => Err(refused(id)),
        }
    }

    pub const fn digest(self) -> DigestAlgorithm {
        match self {
            Self::Ecdsa(hash) | Self::RsaPkcs1(hash) | Self::RsaPss(hash) => hash,
        }
    }

    /// Verifies by the key of a SubjectPublicKeyInfo.
    pub fn verify(self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let mut info = Reader::new(Reader::only(spki, 0x30)?);
        let (key, mut parameters) = split(info.take(0x30)?)?;
        let curve = if key == EC_KEY.as_bytes() { parameters.take(6)? } else { &[] };
        null_or_absent(parameters)?;
        let rsa = key == RSA_KEY.as_bytes();
        let p256 = curve == P256.as_bytes();
        let p384 = curve == P384.as_bytes();
        let how: &dyn rs::VerificationAlgorithm = match self {
            Self::Ecdsa(Sha256) if p256 => &rs::ECDSA_P256_SHA256_ASN1,
            Self::Ecdsa(Sha384) if p256 => &rs::ECDSA_P256_SHA384_ASN1,
            Self::Ecdsa(Sha256) if p384 => &rs::ECDSA_P384_SHA256_ASN1,
            Self::Ecdsa(Sha384) if p384 => &rs::ECDSA_P384_SHA384_ASN1,
            Self::RsaPkcs1(Sha256) if rsa => &rs::RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1(Sha384) if rsa => &rs::RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1(Sha512) if rsa => &rs::RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPss(Sha256) if rsa => &rs::RSA_PSS_2048_8192_SHA256,
            Self::RsaPss(Sha384) if rsa => &rs::RSA_PSS_2048_8192_SHA384,
            Self::RsaPss(Sha512) if rsa => &rs::RSA_PSS_2048_8192_SHA512,
            _ => return Err(SignatureError::Unsupported),
        };
        #[cfg(feature = "counted")]
        VERIFICATIONS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        rs::UnparsedPublicKey::new(how, key_bits(spki)?).verify(message, signature).map_err(|_| SignatureError::Mismatch)
    }
}

#[cfg(feature = "counted")]
static VERIFICATIONS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Signatures that this process has verified, for benches.
#[cfg(feature = "counted")]
pub fn verifications() -> u64 {
    VERIFICATIONS.load(std::sync::atomic::Ordering::Relaxed)
}

/// RSASSA-PSS parameters: one hash throughout, a salt as long as it, the usual trailer. spec: rfc4056#3
fn pss(mut parameters: Reader<'_>) -> Result<Scheme, SignatureError> {
    let mut fields = Reader::new(parameters.take(0x30)?);
    parameters.end()?;
    // What is left out means SHA-1. spec: rfc4055#3.1
    let hash = DigestAlgorithm::read(Reader::only(fields.optional(0xa0)?.ok_or(SignatureError::BrokenHash)?, 0x30)?)?;
    let mask = Reader::only(fields.optional(0xa1)?.ok_or(SignatureError::BrokenHash)?, 0x30)?;
    let (id, mut inner) = split(mask)?;
    let mask_hash = DigestAlgorithm::read(inner.take(0x30)?)?;
    inner.end()?;
    let salt = fields.optional(0xa2)?.map(|salt| Reader::only(salt, 2)).transpose()?;
    fields.end()?;
    if id != MGF1.as_bytes() || mask_hash != hash || salt != Some(&[hash.length()]) {
        return Err(SignatureError::Unsupported);
    }
    Ok(Scheme::RsaPss(hash))
}
