//! The certificate authority: one owner of the register, the issuers' keys and the log.
#![forbid(unsafe_code)]

pub mod authority;
pub mod cli;
pub mod flow;
pub mod http;
pub mod init;
pub mod job;
pub mod lists;
pub mod problem;
pub mod record;
pub mod register;
pub mod service;
pub mod status;
mod throwaway;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in lower-case hexadecimal, as the log writes digests.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
