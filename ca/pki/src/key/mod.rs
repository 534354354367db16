//! Keys we refuse, whoever holds them: judged from the public half alone, one check a file.

mod blocklist;
mod elliptic;
mod fermat;
mod residues;
mod roca;
mod small_factor;
mod small_scalar;

use const_oid::ObjectIdentifier as Oid;
use crypto_bigint::BoxedUint;

use crate::asn1::{DerError, Reader};
use crate::certificate::key_bits;

pub use blocklist::{Blocklist, ListError};

/// A public key whose strength was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// Why a key is refused. Each wants a new key pair; none can be mended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    #[error("the key is damaged: {0}; make the request again with a new key pair")]
    Der(#[from] DerError),
    #[error("the key is neither RSA nor on P-256 or P-384; make one of these")]
    Algorithm,
    #[error("the RSA key has {0} bits; make one of 2048, 3072 or 4096")]
    Size(usize),
    #[error("the RSA exponent is not 65537; make a key with the usual exponent")]
    Exponent,
    #[error("the RSA modulus is divisible by {0}; the generator that made it is broken, use another")]
    SmallFactor(u32),
    #[error("the two primes of the RSA key lie too close together; the generator that made it is broken, use another")]
    ClosePrimes,
    #[error("the RSA key was made by a chip with the ROCA fault (CVE-2017-15361); make a key elsewhere, or have the chip replaced")]
    Roca,
    #[error("the key is no point of its curve; the program that made it is broken, use another")]
    OffCurve,
    #[error("the private key is a small number that anybody finds; the generator that made it is broken, use another")]
    SmallScalar,
}

const EC: Oid = Oid::new_unwrap("1.2.840.10045.2.1");
const P256: Oid = Oid::new_unwrap("1.2.840.10045.3.1.7");
const P384: Oid = Oid::new_unwrap("1.3.132.0.34");
const RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");

/// Judges a SubjectPublicKeyInfo in DER. One key has one form here: a blocked key must not come back in another.
pub fn check(spki: &[u8]) -> Result<KeyAlgorithm, WeakKey> {
    let judged = algorithm(spki)?;
    match judged {
        KeyAlgorithm::P256 | KeyAlgorithm::P384 => elliptic::check(judged, key_bits(spki)?)?,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => rsa(key_bits(spki)?)?,
    }
    Ok(judged)
}

/// Which algorithm and size a SubjectPublicKeyInfo is of; the key itself is not judged.
pub fn algorithm(spki: &[u8]) -> Result<KeyAlgorithm, WeakKey> {
    let mut outer = Reader::new(spki);
    let mut algorithm = Reader::new(Reader::new(outer.take(0x30)?).take(0x30)?);
    outer.end()?;
    let mut oid = || -> Result<Oid, WeakKey> { Oid::from_bytes(algorithm.take(6)?).map_err(|_| WeakKey::Algorithm) };
    match oid()? {
        EC => {
            let (known, length) = match oid()? {
                P256 => (KeyAlgorithm::P256, 65),
                P384 => (KeyAlgorithm::P384, 97),
                _ => return Err(WeakKey::Algorithm),
            };
            algorithm.end()?;
            // spec: rfc5480#2.2 (uncompressed); the identity, one octet, has no such form
            let point = key_bits(spki)?;
            if point.len() != length || point.first() != Some(&4) {
                return Err(DerError::Value("the point is not uncompressed").into());
            }
            Ok(known)
        }
        RSA => {
            // spec: rfc3279#2.3.1 (parameters are NULL)
            if !algorithm.take(5)?.is_empty() {
                return Err(DerError::Value("parameters").into());
            }
            algorithm.end()?;
            let (modulus, _) = rsa_numbers(key_bits(spki)?)?;
            match bits(modulus) {
                2048 => Ok(KeyAlgorithm::Rsa2048),
                3072 => Ok(KeyAlgorithm::Rsa3072),
                4096 => Ok(KeyAlgorithm::Rsa4096),
                other => Err(WeakKey::Size(other)),
            }
        }
        _ => Err(WeakKey::Algorithm),
    }
}

fn bits(modulus: &[u8]) -> usize {
    let leading = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    (modulus.len() * 8).saturating_sub(leading)
}

fn rsa(key: &[u8]) -> Result<(), WeakKey> {
    let (modulus, exponent) = rsa_numbers(key)?;
    let bits = bits(modulus);
    if exponent != [1, 0, 1] {
        return Err(WeakKey::Exponent);
    }
    // One limb more than the modulus, so that a square just above it cannot wrap.
    let n = u32::try_from(bits + 64).ok().and_then(|precision| BoxedUint::from_be_slice(modulus, precision).ok()).ok_or(WeakKey::Size(bits))?;
    let residues = residues::of(&n);
    if let Some(factor) = small_factor::of(&residues) {
        return Err(WeakKey::SmallFactor(factor));
    }
    if roca::marked(&residues) {
        return Err(WeakKey::Roca);
    }
    if fermat::close(&n) { Err(WeakKey::ClosePrimes) } else { Ok(()) }
}

/// Modulus, without its leading zero octet, and exponent of an RSAPublicKey.
// spec: rfc8017#A.1.1
fn rsa_numbers(key: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let mut outer = Reader::new(key);
    let mut fields = Reader::new(outer.take(0x30)?);
    outer.end()?;
    let modulus = match fields.take(2)? {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
        [first, ..] if first & 0x80 != 0 => return Err(DerError::Value("negative modulus")),
        [0, ..] => return Err(DerError::Value("modulus not in its shortest form")),
        all => all,
    };
    let exponent = fields.take(2)?;
    fields.end()?;
    Ok((modulus, exponent))
}
