//! The provider's public keys: a JWK set, of which those for ES256 count. spec: rfc7517 rfc7518#6.2
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;

use crate::record::body::digest;

/// Those in use and the next ones; a provider has two or three.
const MAX_KEYS: usize = 16;
/// Octets of one coordinate on P-256.
const COORDINATE: usize = 32;

/// May hold no key: then nobody is believed.
pub(super) struct KeySet(Vec<Key>);

struct Key {
    name: Option<String>,
    /// An uncompressed point.
    point: Vec<u8>,
    sha256: [u8; 32],
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Of a private key.
    d: Option<serde::de::IgnoredAny>,
}

impl KeySet {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Document { keys } = serde_json::from_str(text).map_err(|_| "it is no JWK set; write {\"keys\": [...]}")?;
        let mut all = Vec::new();
        for key in keys {
            if key.d.is_some() {
                return Err("it holds a private key; give the provider's public keys alone");
            }
            // spec: rfc7517#5 keys of other kinds are for others
            let is_for_us = key.kty == "EC" && key.crv.as_deref() == Some("P-256") && key.purpose.is_none_or(|purpose| purpose == "sig") && key.alg.is_none_or(|alg| alg == "ES256");
            if !is_for_us {
                continue;
            }
            let coordinate = |text: Option<String>| text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).filter(|bytes| bytes.len() == COORDINATE);
            let (Some(x), Some(y)) = (coordinate(key.x), coordinate(key.y)) else { return Err("a key on P-256 has no coordinates of 32 octets") };
            let point = [&[4], x.as_slice(), &y].concat();
            all.push(Key { name: key.kid, sha256: digest(&point), point });
        }
        match all.len() {
            0..=MAX_KEYS => Ok(Self(all)),
            _ => Err("it holds more than 16 keys for ES256"),
        }
    }

    /// Which of the keys of this name, or of all where none is said, made the signature: its SHA-256.
    pub fn signer(&self, name: Option<&str>, signed: &[u8], signature: &[u8]) -> Option<[u8; 32]> {
        let named = self.0.iter().filter(|key| name.is_none() || key.name.as_deref() == name);
        named.into_iter().find(|key| UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point).verify(signed, signature).is_ok()).map(|key| key.sha256)
    }

    pub fn holds(&self, sha256: &[u8; 32]) -> bool {
        self.0.iter().any(|key| key.sha256 == *sha256)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_another_kind_are_passed_over_and_private_ones_refused() {
        let half = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
        let ours = format!(r#"{{"kty":"EC","crv":"P-256","x":"{half}","y":"{half}","kid":"a","use":"sig","alg":"ES256","ext":true}}"#);
        let counted = |keys: &[&str]| KeySet::parse(&format!("{{\"keys\":[{}]}}", keys.join(","))).map(|set| set.count());
        assert_eq!(counted(&[&ours, r#"{"kty":"RSA","n":"AQ","e":"AQAB"}"#, r#"{"kty":"oct","k":"AQ"}"#, &ours.replace("P-256", "P-384"), &ours.replace("sig", "enc"), &ours.replace("ES256", "ES512")]), Ok(1));
        for none in [vec![], vec![r#"{"kty":"oct","k":"AQ"}"#]] {
            assert_eq!(counted(&none), Ok(0));
        }
        let private = ours.replace("\"kid\"", "\"d\":\"AQ\",\"kid\"");
        for wrong in [private.as_str(), &ours.replacen(half, "AQ", 1), &ours.replacen(half, "", 1), &ours.replace("\"x\"", "\"z\""), r#"{"x":"AQ"}"#] {
            assert!(counted(&[&ours, wrong]).is_err(), "{wrong}");
        }
        assert!(counted(&[ours.as_str(); 17]).is_err() && KeySet::parse("[]").is_err() && KeySet::parse("{}").is_err() && KeySet::parse("").is_err());
    }
}
