//! A modulus with a small factor was not made of two large primes.
// spec: CA/Browser Forum Baseline Requirements 6.1.6 asks for the primes below 752; we look further.

/// The smallest prime that divides the number with these residues.
pub fn of(residues: &[(u32, u32)]) -> Option<u32> {
    residues.iter().find(|(_, rest)| *rest == 0).map(|(prime, _)| *prime)
}
