//! DER in and out: pure, without files, clock, environment or randomness of its own.
#![forbid(unsafe_code)]

pub mod signer;
