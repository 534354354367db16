//! DER in and out: pure, without files, clock, environment or randomness of its own.
#![forbid(unsafe_code)]

pub mod asn1;
pub mod cades;
pub mod certificate;
pub mod cms;
pub mod crl;
pub mod effort;
pub mod key;
pub mod name;
pub mod ocsp;
pub mod path;
mod pem;
pub mod request;
pub mod signature;
pub mod signer;
pub mod timestamp;
pub mod view;
