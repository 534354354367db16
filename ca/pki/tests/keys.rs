//! Keys as OpenSSL makes them, good and bad.
#![allow(clippy::unwrap_used)]
use std::process::Command;

use pki::key::{KeyAlgorithm, WeakKey, check};
use rcgen::PublicKeyData;
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
    // Far apart as numbers, half of their digits the same: still found, after some thirty rounds.
    let far = BoxedUint::one_with_precision(2048).shl(516);
    let found = (0..400).step_by(2).map(|more| check(&times(&p.wrapping_add(&far).wrapping_add(BoxedUint::from(more as u64)))));
    assert!(found.into_iter().any(|verdict| verdict == Err(WeakKey::ClosePrimes)));
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

/// Two primes of the published construction, k·M + (65537^a mod M) with M the product of the primes up to 701, drawn and
/// multiplied by a program of its own.
const ROCA: &str = "c665618aefcff5c6a55f3334bd04a66f11a90a8f5e2eb59a40c388dfa9a6b8b34e07f8ad8f6dba057582aa48e091adaa0d3c6db4ba1a7585fd957758fa7dc67f9d3016e5c3b65f41e777b49ef61263e2ca0c94f1d39d81e3abb5af5afdbd4b1355be158d0995a24b356c92df2fe72e60688ce10fc62e1af62a54420ef6c9190b58b7fe4b9414053555d4c44d723820f655d50fefe3985422fbfda210863167c511c9fe1fe44c8a816363b2c49de293003fd13b4ea226d66bd4f2f8025534085c3d133c7e139c1c846850b289d53c0b705503e049efffa852cae81ea12583933fe5c7026eff1e7bf8c3eda8112f85837d78ca0847e04918242e3c7e94331e9611";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_mark_of_roca() {
    let spki = with_modulus(&hex(ROCA));
    assert_eq!(check(&spki), Err(WeakKey::Roca));
    // OpenSSL reads the vector as the key it is meant to be.
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("k.der");
    std::fs::write(&file, &spki).unwrap();
    let said = openssl(&format!("openssl rsa -pubin -inform DER -in {} -noout -modulus", file.display()));
    assert_eq!(String::from_utf8(said).unwrap().trim().to_lowercase(), format!("modulus={ROCA}"));
}

#[test]
fn factors_up_to_the_bound_are_found() {
    let prime = String::from_utf8(openssl("openssl prime -generate -bits 2040 -hex")).unwrap();
    let p = BoxedUint::from_be_slice(&hex(prime.trim()), 2112).unwrap();
    for factor in [181_u64, 251, 241] {
        let n = p.wrapping_mul(BoxedUint::from(factor)).to_be_bytes();
        let n = &n[n.iter().position(|octet| *octet != 0).unwrap()..];
        assert_eq!(check(&with_modulus(n)), Err(WeakKey::SmallFactor(u32::try_from(factor).unwrap())));
    }
    // OpenSSL sets the two top bits: the product has all 2048.
    let prime = String::from_utf8(openssl("openssl prime -generate -bits 2034 -hex")).unwrap();
    let n = BoxedUint::from_be_slice(&hex(prime.trim()), 2112).unwrap().wrapping_mul(BoxedUint::from(16_381_u64)).to_be_bytes();
    let n = &n[n.iter().position(|octet| *octet != 0).unwrap()..];
    assert_eq!(check(&with_modulus(n)), Err(WeakKey::SmallFactor(16_381)));
}

/// The public half of the private key `scalar`, worked out by OpenSSL.
fn of_scalar(curve: &str, scalar: &[u8]) -> Vec<u8> {
    let oid: &[u8] = if curve == "P-256" { &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] } else { &[6, 5, 0x2b, 0x81, 4, 0, 0x22] };
    let length = if curve == "P-256" { 32 } else { 48 };
    let padded = [vec![0; length - scalar.len()], scalar.to_vec()].concat();
    let octets = [&[4, length as u8][..], &padded].concat();
    let parameters = [&[0xa0, oid.len() as u8][..], oid].concat();
    let key = pki::asn1::seq(&[&[2, 1, 1], &octets, &parameters]);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("k.der");
    std::fs::write(&file, key).unwrap();
    openssl(&format!("openssl ec -inform DER -in {} -pubout -outform DER", file.display()))
}

#[test]
fn small_scalars_and_their_negatives() {
    let orders = [
        ("P-256", KeyAlgorithm::P256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        ("P-384", KeyAlgorithm::P384, "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"),
    ];
    for (curve, algorithm, order) in orders {
        let order = hex(order);
        let less = |small: u64| {
            let bits = u32::try_from(order.len() * 8).unwrap();
            BoxedUint::from_be_slice(&order, bits).unwrap().wrapping_sub(BoxedUint::from(small)).to_be_bytes().to_vec()
        };
        for small in [1_u64, 2, 3, 1_023, 1_024, 1_025, 4_095, 4_096] {
            assert_eq!(check(&of_scalar(curve, &small.to_be_bytes())), Err(WeakKey::SmallScalar), "{curve} {small}");
        }
        for small in [1_u64, 77, 4_096] {
            assert_eq!(check(&of_scalar(curve, &less(small))), Err(WeakKey::SmallScalar), "{curve} n-{small}");
        }
        assert_eq!(check(&of_scalar(curve, &4_097_u64.to_be_bytes())), Ok(algorithm));
        assert_eq!(check(&of_scalar(curve, &less(4_097))), Ok(algorithm));
    }
}

#[test]
fn points_off_the_curve_and_the_neutral_one() {
    for curve in ["P-256", "P-384"] {
        let good = of_scalar(curve, &[1, 2, 3, 4, 5, 6]);
        assert!(check(&good).is_ok());
        let mut off = good.clone();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(check(&off), Err(WeakKey::OffCurve));
        // A coordinate that is no element of the field.
        let mut large = good.clone();
        let y = (good.len() - 24) / 2;
        let end = large.len();
        large[end - y..].fill(0xff);
        assert_eq!(check(&large), Err(WeakKey::OffCurve));
        let (algorithm, _) = good[2..].split_at(if curve == "P-256" { 21 } else { 18 });
        assert!(matches!(check(&pki::asn1::seq(&[algorithm, &pki::asn1::bits(&[0])])), Err(WeakKey::Der(_))));
    }
}

#[test]
fn good_keys_pass() {
    for _ in 0..24 {
        assert_eq!(check(&rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().subject_public_key_info()), Ok(KeyAlgorithm::P256));
        assert_eq!(check(&rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().subject_public_key_info()), Ok(KeyAlgorithm::P384));
    }
    for _ in 0..4 {
        assert_eq!(made("-algorithm RSA -pkeyopt rsa_keygen_bits:2048"), Ok(KeyAlgorithm::Rsa2048));
    }
}

#[test]
fn lists_name_keys_by_digest_and_as_debian_does() {
    use pki::key::{Blocklist, ListError};
    let spki = openssl("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout -outform DER");
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("k.der");
    std::fs::write(&file, &spki).unwrap();
    let said = |pipe: &str| String::from_utf8(openssl(&format!("openssl rsa -pubin -inform DER -in {} {pipe}", file.display()))).unwrap();
    // As openssl-vulnkey works it out: sha1 of the line that `openssl rsa -modulus` prints, from its twentieth digit.
    let line = said("-noout -modulus | openssl sha1 -r")[20..40].to_owned();
    let digest = said("-pubout -outform DER | openssl sha256 -r")[..64].to_owned();
    let list = |text: &str| Blocklist::parse([("a.txt", text)]);
    assert!(list(&format!("# Debian\n\n{line}\n")).unwrap().holds(&spki));
    assert!(list(&format!("{} # pwned\n", digest.to_uppercase())).unwrap().holds(&spki));
    let other = with_modulus(&hex(ROCA));
    assert!(!list(&format!("{line}\n{digest}")).unwrap().holds(&other));
    assert!(!list("").unwrap().holds(&spki) && list("").unwrap().is_empty());
    for wrong in ["x", &digest[1..], &format!("{digest}{line}"), &line.replace(&line[..1], "g"), "ééé"] {
        assert_eq!(list(&format!("\n{wrong}")), Err(ListError::Line { file: "a.txt".into(), line: 2 }), "{wrong}");
    }
}

/// `cargo test --release -p pki --test keys -- --ignored --nocapture`
#[test]
#[ignore = "it measures"]
fn what_judging_costs() {
    let keys = [
        ("P-256", of_scalar("P-256", &[1, 2, 3, 4, 5, 6])),
        ("P-384", of_scalar("P-384", &[1, 2, 3, 4, 5, 6])),
        ("RSA-2048", openssl("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout -outform DER")),
        ("RSA-4096", openssl("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 | openssl pkey -pubout -outform DER")),
    ];
    for (name, spki) in keys {
        let begun = std::time::Instant::now();
        assert!(check(&spki).is_ok());
        let first = begun.elapsed();
        let begun = std::time::Instant::now();
        for _ in 0..200 {
            assert!(check(&spki).is_ok());
        }
        println!("{name}: first {first:?}, then {:?}", begun.elapsed() / 200);
    }
}
