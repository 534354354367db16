//! Where the directory's randomness comes from: the system's generator, handed in so that tests can repeat.

use ring::rand::{SecureRandom, SystemRandom};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness; nothing was changed, try again")]
pub struct NoRandomness;

pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        SecureRandom::fill(self, bytes).map_err(|_| NoRandomness)
    }
}

/// A number below `bound`, each as likely as the next; `bound` is from 1 to 256.
pub(super) fn below(random: &dyn Random, bound: u16) -> Result<u8, NoRandomness> {
    // Bytes at or above the last whole multiple would favour the small numbers.
    let whole = 256 - 256 % bound;
    loop {
        let mut byte = [0];
        random.fill(&mut byte)?;
        let [byte] = byte;
        if u16::from(byte) < whole {
            return Ok(u8::try_from(u16::from(byte) % bound).unwrap_or(0));
        }
    }
}
