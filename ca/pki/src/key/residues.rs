//! What a modulus leaves modulo every small prime, in one pass: primes are packed into words, and the large number is
//! divided by each word once.

use std::sync::OnceLock;

use crypto_bigint::{BoxedUint, Limb, NonZero, Reciprocal};

/// Every prime below this is looked at.
pub const BOUND: u32 = 1 << 14;

/// A product of consecutive primes that fits a word.
struct Pack {
    reciprocal: Reciprocal,
    primes: Vec<u32>,
}

/// Pairs of prime and residue, from 2 upwards.
pub fn of(n: &BoxedUint) -> Vec<(u32, u32)> {
    let mut residues = Vec::with_capacity(2_000);
    for pack in packs() {
        let rest = u64::from(n.rem_limb_with_reciprocal(&pack.reciprocal));
        residues.extend(pack.primes.iter().map(|&prime| (prime, (rest % u64::from(prime)) as u32)));
    }
    residues
}

fn packs() -> &'static [Pack] {
    static PACKS: OnceLock<Vec<Pack>> = OnceLock::new();
    PACKS.get_or_init(|| {
        let mut packs = Vec::new();
        let (mut product, mut primes) = (1_u64, Vec::new());
        for prime in primes_below(BOUND) {
            product = match product.checked_mul(u64::from(prime)) {
                Some(more) => more,
                None => {
                    packs.extend(pack(product, std::mem::take(&mut primes)));
                    u64::from(prime)
                }
            };
            primes.push(prime);
        }
        packs.extend(pack(product, primes));
        packs
    })
}

fn pack(product: u64, primes: Vec<u32>) -> Option<Pack> {
    let divisor = Option::<NonZero<Limb>>::from(NonZero::new(Limb::from(product)))?;
    Some(Pack { reciprocal: Reciprocal::new(divisor), primes })
}

fn primes_below(bound: u32) -> Vec<u32> {
    let mut primes: Vec<u32> = Vec::new();
    for number in 2..bound {
        if primes.iter().take_while(|prime| *prime * *prime <= number).all(|prime| number % prime != 0) {
            primes.push(number);
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn residues_are_those_of_division() {
        let n = BoxedUint::from_be_slice(&[0xab; 16], 128).unwrap();
        let number = u128::from_be_bytes([0xab; 16]);
        let residues = of(&n);
        // π(2^14) = 1900.
        assert_eq!(residues.len(), 1_900);
        assert!(residues.iter().all(|&(prime, rest)| number % u128::from(prime) == u128::from(rest)));
        assert_eq!(residues.first().unwrap().0, 2);
        assert_eq!(residues.last().unwrap().0, 16_381);
    }
}
