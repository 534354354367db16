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
