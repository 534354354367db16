//! Rules of RFC 5280: certificates.

pub(super) mod addresses;
pub(super) mod alternative_names;
pub(super) mod constrained_names;
pub(super) mod criticality;
pub(super) mod extensions;
pub(super) mod issuer_name;
pub(super) mod key_cert_sign;
pub(super) mod key_identifiers;
pub(super) mod name_strings;
pub(super) mod no_any_usage;
pub(super) mod no_unique_identifiers;
pub(super) mod serial;
pub(super) mod signature_algorithms;
pub(super) mod time_encoding;
pub(super) mod validity;
pub(super) mod version_is_3;
