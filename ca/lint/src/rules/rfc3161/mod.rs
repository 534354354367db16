//! Rules of RFC 3161: those who sign timestamps.

pub(super) mod timestamp_signer;
