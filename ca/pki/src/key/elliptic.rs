//! A point must be one of its curve, and not the neutral one.
// spec: NIST SP 800-56A rev. 3 section 5.6.2.3.3; cofactor 1, so that each point of these curves has the curve's order

use super::{KeyAlgorithm, WeakKey, small_scalar};

/// Judges an uncompressed point, octet 4 first.
pub fn check(algorithm: KeyAlgorithm, point: &[u8]) -> Result<(), WeakKey> {
    let (on_curve, small) = match algorithm {
        KeyAlgorithm::P256 => (p256::PublicKey::from_sec1_bytes(point).is_ok(), small_scalar::p256(point)),
        KeyAlgorithm::P384 => (p384::PublicKey::from_sec1_bytes(point).is_ok(), small_scalar::p384(point)),
        _ => return Err(WeakKey::Algorithm),
    };
    match (on_curve, small) {
        (false, _) => Err(WeakKey::OffCurve),
        (true, true) => Err(WeakKey::SmallScalar),
        (true, false) => Ok(()),
    }
}
