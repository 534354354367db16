//! The mark that chips with the ROCA fault leave on their moduli: their primes are k·M + (65537^a mod M), where M is the
//! product of the first primes, so that the modulus is a power of 65537 modulo each of them. A good modulus is that with
//! a chance of far less than one in a thousand million.
// spec: Nemec, Sys, Svenda, Klinec, Matyas: The Return of Coppersmith's Attack, ACM CCS 2017, sections 2.1 and 3

use std::sync::OnceLock;

/// M of a key of 2048 bits holds the primes up to 701; that of larger keys these and more.
const LAST: u32 = 701;

/// Whether the number with these residues is a power of 65537 modulo every prime of M.
pub fn marked(residues: &[(u32, u32)]) -> bool {
    residues.iter().zip(powers()).all(|((_, rest), powers)| powers.get(*rest as usize).copied().unwrap_or(false))
}

/// For each prime of M, from 2 upwards: which residues are powers of 65537.
fn powers() -> &'static [Vec<bool>] {
    static POWERS: OnceLock<Vec<Vec<bool>>> = OnceLock::new();
    POWERS.get_or_init(|| {
        let primes = (2..=LAST).filter(|number| (2..*number).take_while(|small| small * small <= *number).all(|small| number % small != 0));
        primes.map(of).collect()
    })
}

fn of(prime: u32) -> Vec<bool> {
    let mut found = vec![false; prime as usize];
    let mut power = 1 % prime;
    while let Some(place) = found.get_mut(power as usize).filter(|seen| !**seen) {
        *place = true;
        power = power * (65_537 % prime) % prime;
    }
    found
}
