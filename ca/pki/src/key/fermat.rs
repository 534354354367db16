//! Primes too close together: n = a² − b² is found in a few rounds, with a just above the root of n.
// spec: Fermat 1643; Böck: Fermat Factorization in the Wild, 2023 (CVE-2022-26320); Baseline Requirements 6.1.1.3 asks for 100 rounds

use crypto_bigint::{BoxedUint, Limb, NonZero};

const ROUNDS: usize = 128;
/// A square is one modulo each of these; four other numbers of five hundred are.
const SIEVE: [u64; 4] = [63, 65, 11, 17];

/// Whether the primes of `n` lie close; `n` carries a limb more than it needs.
pub fn close(n: &BoxedUint) -> bool {
    let one = BoxedUint::one_with_precision(n.bits_precision());
    let mut a = n.floor_sqrt_vartime();
    for _ in 0..=ROUNDS {
        let square = a.wrapping_mul(&a);
        // Below n only in the first round, when n is no square itself.
        if square >= *n && is_square(&square.wrapping_sub(n)) {
            return true;
        }
        a = a.wrapping_add(&one);
    }
    false
}

fn is_square(number: &BoxedUint) -> bool {
    if !may_be_square(number) {
        return false;
    }
    let root = number.floor_sqrt_vartime();
    root.wrapping_mul(&root) == *number
}

/// Most numbers are told from squares by what they leave modulo 64 and modulo the sieve: they need no root.
fn may_be_square(number: &BoxedUint) -> bool {
    let square_modulo = |rest: u64, modulus: u64| (0..modulus).any(|root| root * root % modulus == rest % modulus);
    let low = number.as_limbs().first().map_or(0, |limb| u64::from(*limb));
    let Some(product) = Option::<NonZero<Limb>>::from(NonZero::new(Limb::from(SIEVE.iter().product::<u64>()))) else { return true };
    square_modulo(low, 64) && {
        let rest = u64::from(number.rem_limb(product));
        SIEVE.iter().all(|&modulus| square_modulo(rest, modulus))
    }
}
