//! The certificate authority: one owner of the register, the issuers' keys and the log.
#![forbid(unsafe_code)]

pub mod act_proof;
pub mod act_shown;
pub mod administration;
pub mod approval;
pub mod authority;
pub mod backup;
pub mod ceremony;
pub mod cli;
pub mod doctor;
pub mod documents;
pub mod flow;
pub mod founding;
pub mod http;
mod in_force;
pub mod init;
pub mod issuers;
pub mod job;
pub mod key_lists;
pub mod letter;
pub mod lists;
pub mod own_name;
pub mod operation;
pub mod order_proof;
pub mod order_shown;
pub mod problem;
pub mod proof;
pub mod record;
pub mod register;
pub mod registry;
pub mod retention;
pub mod service;
pub mod stamped;
pub mod status;
pub mod steady;
mod throwaway;
pub mod time_source;
pub mod timestamps;
pub mod token;
pub mod wind_down;
pub mod witness;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// SHA-256 in lower-case hexadecimal, as the log writes digests.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
