//! How a token writes elliptic curves, and how certificates do. Pure.

use pki::signer::SignatureAlgorithm;
use ring::digest::{SHA256, SHA384, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};

use crate::handle::ecdsa;

/// A curve of the keys made in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub fn of(algorithm: SignatureAlgorithm) -> Option<Self> {
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => Some(Self::P256),
            SignatureAlgorithm::EcdsaP384Sha384 => Some(Self::P384),
            SignatureAlgorithm::RsaPkcs1Sha256 => None,
        }
    }

    pub fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::P384 => SignatureAlgorithm::EcdsaP384Sha384,
        }
    }

    /// Octets of a coordinate, and of each half of a signature.
    fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// The curve's OBJECT IDENTIFIER, DER: CKA_EC_PARAMS. spec: rfc5480#2.1.1.1
    pub fn parameters(self) -> &'static [u8] {
        match self {
            Self::P256 => &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            Self::P384 => &[6, 5, 0x2b, 0x81, 4, 0, 34],
        }
    }

    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        let hash = match self {
            Self::P256 => &SHA256,
            Self::P384 => &SHA384,
        };
        digest(hash, message).as_ref().to_vec()
    }

    /// The uncompressed point in a CKA_EC_POINT: an OCTET STRING by the standard, bare in some modules.
    fn point(self, value: &[u8]) -> Option<&[u8]> {
        let length = 1 + 2 * self.width();
        let bare = |bytes: &[u8]| bytes.len() == length && bytes.first() == Some(&4);
        if bare(value) {
            return Some(value);
        }
        pki::asn1::Reader::only(value, 4).ok().filter(|point| bare(point))
    }

    /// SubjectPublicKeyInfo of a CKA_EC_POINT. spec: rfc5480#2
    pub fn public_key_info(self, value: &[u8]) -> Option<Vec<u8>> {
        let (_, identifier) = ecdsa(self.algorithm())?;
        Some(pki::asn1::seq(&[identifier, &pki::asn1::bits(self.point(value)?)]))
    }

    /// The `r | s` of CKM_ECDSA as ECDSA-Sig-Value: two positive INTEGERs of the fewest octets. spec: rfc3279#2.2.3
    pub fn signature(self, raw: &[u8]) -> Option<Vec<u8>> {
        let (r, s) = raw.split_at_checked(self.width()).filter(|(_, s)| s.len() == self.width())?;
        let zero = |half: &[u8]| half.iter().all(|byte| *byte == 0);
        if zero(r) || zero(s) { None } else { Some(pki::asn1::seq(&[&pki::asn1::uint(r), &pki::asn1::uint(s)])) }
    }

    /// Whether `signature` is of this key over this message.
    pub fn holds(self, public_key_info: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(point) = pki::certificate::key_bits(public_key_info) else { return false };
        match self {
            Self::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok(),
            Self::P384 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point).verify(message, signature).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn integers_are_positive_and_of_the_fewest_octets() {
        let mut raw = [0; 64];
        raw[31] = 0x80;
        raw[62] = 1;
        raw[63] = 2;
        assert_eq!(Curve::P256.signature(&raw).unwrap(), [0x30, 8, 2, 2, 0, 0x80, 2, 2, 1, 2]);
        assert_eq!(Curve::P256.signature(&[0; 64]), None);
        assert_eq!(Curve::P256.signature(&[1; 63]), None);
        assert_eq!(Curve::P384.signature(&[1; 64]), None);
        // The largest: a sign octet before each half.
        assert_eq!(Curve::P384.signature(&[0xff; 96]).unwrap().len(), 2 + 2 * (2 + 49));
    }

    #[test]
    fn a_point_is_read_wrapped_and_bare() {
        let point = [&[4][..], &[7; 64]].concat();
        let wrapped = pki::asn1::tlv(4, &point);
        let info = Curve::P256.public_key_info(&wrapped).unwrap();
        assert_eq!(Curve::P256.public_key_info(&point).unwrap(), info);
        assert_eq!(pki::certificate::key_bits(&info).unwrap(), point);
        for wrong in [&wrapped[..66], &[2; 65][..], &[], &[4, 0]] {
            assert_eq!(Curve::P256.public_key_info(wrong), None);
        }
        assert_eq!(Curve::P384.public_key_info(&wrapped), None);
    }
}
