//! What this certificate's own profile promised: exactly that, no more.

pub(super) mod credit_code;
pub(super) mod profile_addresses;
pub(super) mod profile_constraints;
pub(super) mod profile_extensions;
pub(super) mod profile_key;
pub(super) mod profile_key_period;
pub(super) mod profile_names;
pub(super) mod profile_policies;
pub(super) mod profile_subject;
pub(super) mod profile_usage;
pub(super) mod profile_validity;
