//! Rules of RFC 5480: keys.

pub(super) mod key_allowed;
