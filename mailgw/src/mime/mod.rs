//! Writing mail: header fields and text that no relay has a reason to touch.

pub(crate) mod header;
pub(crate) mod part;
pub(crate) mod quoted_printable;
