//! Rules of X.690: the encoding.

pub(super) mod der_canonical;
pub(super) mod named_bits;
