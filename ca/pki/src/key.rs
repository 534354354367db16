//! Keys we refuse, whoever holds them: judged from the public half alone.
//!
//! A point off its curve needs no rule here: no signature verifies with it, so the request's own refuses it.

use const_oid::ObjectIdentifier as Oid;
use rsa::BoxedUint;

use crate::asn1::{DerError, Reader};
use crate::certificate::key_bits;

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
    #[error("the key is damaged: {0}")]
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
}

const EC: Oid = Oid::new_unwrap("1.2.840.10045.2.1");
const P256: Oid = Oid::new_unwrap("1.2.840.10045.3.1.7");
const P384: Oid = Oid::new_unwrap("1.3.132.0.34");
const RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");
const FERMAT_ROUNDS: usize = 100;
/// Trial division reaches every prime below this.
const SMALL: u32 = 2_000;

/// Judges a SubjectPublicKeyInfo in DER. One key has one form here: a blocked key must not come back in another.
pub fn check(spki: &[u8]) -> Result<KeyAlgorithm, WeakKey> {
    let mut outer = Reader::new(spki);
    let mut algorithm = Reader::new(Reader::new(outer.take(0x30)?).take(0x30)?);
    outer.end()?;
    let mut oid = || -> Result<Oid, WeakKey> { Oid::from_bytes(algorithm.take(6)?).map_err(|_| WeakKey::Algorithm) };
    match oid()? {
        EC => {
            let (judged, length) = match oid()? {
                P256 => (KeyAlgorithm::P256, 65),
                P384 => (KeyAlgorithm::P384, 97),
                _ => return Err(WeakKey::Algorithm),
            };
            algorithm.end()?;
            // spec: rfc5480#2.2 (uncompressed)
            match key_bits(spki)? {
                [4, ..] if key_bits(spki)?.len() == length => Ok(judged),
                _ => Err(DerError::Value("the point is not uncompressed").into()),
            }
        }
        RSA => {
            // spec: rfc3279#2.3.1 (parameters are NULL)
            if !algorithm.take(5)?.is_empty() {
                return Err(DerError::Value("parameters").into());
            }
            algorithm.end()?;
            rsa(key_bits(spki)?)
        }
        _ => Err(WeakKey::Algorithm),
    }
}

fn rsa(key: &[u8]) -> Result<KeyAlgorithm, WeakKey> {
    let mut outer = Reader::new(key);
    let mut fields = Reader::new(outer.take(0x30)?);
    outer.end()?;
    let modulus = match fields.take(2)? {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
        [first, ..] if first & 0x80 != 0 => return Err(DerError::Value("negative modulus").into()),
        [0, ..] => return Err(DerError::Value("modulus not in its shortest form").into()),
        all => all,
    };
    let exponent = fields.take(2)?;
    fields.end()?;
    let leading = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(leading);
    let algorithm = match bits {
        2048 => KeyAlgorithm::Rsa2048,
        3072 => KeyAlgorithm::Rsa3072,
        4096 => KeyAlgorithm::Rsa4096,
        _ => return Err(WeakKey::Size(bits)),
    };
    if exponent != [1, 0, 1] {
        return Err(WeakKey::Exponent);
    }
    // A composite divisor never comes first: one of its primes was tried before.
    if let Some(factor) = (2..SMALL).find(|&prime| modulus.iter().fold(0, |r, &byte| (r * 256 + u32::from(byte)) % prime) == 0) {
        return Err(WeakKey::SmallFactor(factor));
    }
    if close_primes(modulus, bits) { Err(WeakKey::ClosePrimes) } else { Ok(algorithm) }
}

/// Fermat's method: n = a² − b² is found in a few rounds when the primes are near each other.
fn close_primes(modulus: &[u8], bits: usize) -> bool {
    // One limb more than the modulus, so that a² cannot wrap.
    let Ok(precision) = u32::try_from(bits + 64) else { return true };
    let Ok(n) = BoxedUint::from_be_slice(modulus, precision) else { return true };
    let one = BoxedUint::one_with_precision(precision);
    let mut a = n.floor_sqrt_vartime();
    for _ in 0..=FERMAT_ROUNDS {
        let square = a.wrapping_mul(&a);
        if square >= n {
            let rest = square.wrapping_sub(&n);
            // A square ends in 0, 1, 4 or 9 in base sixteen: three of four need no root.
            let low = rest.to_be_bytes().last().copied().unwrap_or(0) & 15;
            if matches!(low, 0 | 1 | 4 | 9) {
                let root = rest.floor_sqrt_vartime();
                if root.wrapping_mul(&root) == rest {
                    return true;
                }
            }
        }
        a = a.wrapping_add(&one);
    }
    false
}
