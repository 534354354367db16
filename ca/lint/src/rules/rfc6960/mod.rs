//! Rules of RFC 6960: OCSP signers.

pub(super) mod ocsp_signer;
