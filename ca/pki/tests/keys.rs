//! Keys as OpenSSL makes them, good and bad.
#![allow(clippy::unwrap_used)]
use std::process::Command;

use pki::key::{KeyAlgorithm, WeakKey, check};
use rsa::BoxedUint;

fn openssl(script: &str) -> Vec<u8> {
    let out = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn made(options: &str) -> Result<KeyAlgorithm, WeakKey> {
    check(&openssl(&format!("openssl genpkey {options} | openssl pkey -pubout -outform DER")))
}

#[test]
fn sizes_curves_and_exponents() {
    let rsa = |bits: u32, more: &str| made(&format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits} {more}"));
    let ec = |curve: &str| made(&format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"));
    assert_eq!(ec("P-256"), Ok(KeyAlgorithm::P256));
    assert_eq!(ec("P-384"), Ok(KeyAlgorithm::P384));
    assert_eq!(ec("P-521"), Err(WeakKey::Algorithm));
    assert_eq!(made("-algorithm ED25519"), Err(WeakKey::Algorithm));
    assert_eq!(rsa(2048, ""), Ok(KeyAlgorithm::Rsa2048));
    assert_eq!(rsa(3072, ""), Ok(KeyAlgorithm::Rsa3072));
    assert_eq!(rsa(1024, ""), Err(WeakKey::Size(1024)));
    assert_eq!(rsa(2056, ""), Err(WeakKey::Size(2056)));
    assert_eq!(rsa(2048, "-pkeyopt rsa_keygen_pubexp:3"), Err(WeakKey::Exponent));
}

#[test]
fn a_weak_key_is_named_and_not_its_signature() {
    use pki::request::{Request, RequestError};
    let request = |newkey: &str| Request::parse(&openssl(&format!("openssl req -new -newkey {newkey} -nodes -keyout /dev/null -subj /C=CN -outform DER"))).map(|_| ());
    assert_eq!(request("rsa:1024"), Err(RequestError::WeakKey(WeakKey::Size(1024))));
    assert_eq!(request("ec -pkeyopt ec_paramgen_curve:P-521"), Err(RequestError::WeakKey(WeakKey::Algorithm)));
    assert_eq!(request("rsa:2048"), Ok(()));
}

/// A SubjectPublicKeyInfo over any modulus of 2048 bits, right or not.
fn with_modulus(n: &[u8]) -> Vec<u8> {
    let tlv = |tag: u8, value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], value].concat()
    };
    let modulus = tlv(2, &[&[0], n].concat());
    let key = tlv(0x30, &[&modulus[..], &[2, 3, 1, 0, 1]].concat());
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    tlv(0x30, &[&algorithm[..], &tlv(3, &[&[0], &key[..]].concat())].concat())
}

#[test]
fn small_factors_and_close_primes() {
    let hex = String::from_utf8(openssl("openssl prime -generate -bits 1024 -hex")).unwrap();
    let prime = hex.trim();
    let bytes: Vec<u8> = (0..prime.len()).step_by(2).map(|at| u8::from_str_radix(&prime[at..at + 2], 16).unwrap()).collect();
    // OpenSSL sets the two top bits, so that the product of two such primes has all 2048.
    let p = BoxedUint::from_be_slice(&bytes, 2048).unwrap();
    let times = |q: &BoxedUint| with_modulus(&p.wrapping_mul(q).to_be_bytes());
    let plus = |distance: u64| p.wrapping_add(&BoxedUint::from_be_slice(&distance.to_be_bytes(), 2048).unwrap());
    // Whatever lies close to p is found out: by a small factor of its own, or by Fermat.
    let mut close = 0;
    for distance in (2..400).step_by(2) {
        match check(&times(&plus(distance))) {
            Err(WeakKey::ClosePrimes) => close += 1,
            Err(WeakKey::SmallFactor(_)) => {}
            other => assert!(matches!(other, Err(WeakKey::Size(_))), "{other:?}"),
        }
    }
    assert!(close > 0);
    // An even modulus has the smallest factor of all.
    assert_eq!(check(&times(&plus(1))), Err(WeakKey::SmallFactor(2)));
}

/// A key that was blocked must not come back under another encoding, and with it another digest.
#[test]
fn one_key_has_one_form() {
    let ec = openssl("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout -outform DER");
    let (algorithm, bits) = ec[2..].split_at(21);
    let spki = |algorithm: &[u8], bits: &[u8]| pki::asn1::seq(&[algorithm, bits]);
    assert_eq!(check(&spki(algorithm, bits)), Ok(KeyAlgorithm::P256));
    assert!(check(&spki(&pki::asn1::seq(&[&algorithm[2..], &[5, 0]]), bits)).is_err());
    assert!(check(&[&ec[..], &[0]].concat()).is_err());
    let compressed: Vec<u8> = [&[2 + (ec[90] & 1)], &ec[27..59]].concat();
    assert!(check(&spki(algorithm, &pki::asn1::bits(&compressed))).is_err());
    let rsa = openssl("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout -outform DER");
    let (algorithm, bits) = rsa[4..].split_at(15);
    assert_eq!(check(&spki(algorithm, bits)), Ok(KeyAlgorithm::Rsa2048));
    assert!(check(&spki(&pki::asn1::seq(&[&algorithm[2..13]]), bits)).is_err());
    let modulus = &rsa[rsa.len() - 5 - 256..rsa.len() - 5];
    assert_eq!(check(&with_modulus(modulus)), Ok(KeyAlgorithm::Rsa2048));
    assert!(check(&with_modulus(&[&[0], modulus].concat())).is_err());
}

#[test]
fn every_truncation_is_refused() {
    let spki = openssl("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout -outform DER");
    for end in 0..spki.len() {
        assert!(check(&spki[..end]).is_err(), "{end}");
    }
}
