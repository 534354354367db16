//! Rules of revocation lists, of RFC 5280 but for the encoding.

mod authority_key;
mod crl_canonical;
mod delta;
mod distribution_point;
mod freshest;
mod invalidity_date;
mod issuer_name;
mod next_update;
mod no_empty_list;
mod number;
mod reasons;
mod serials_unique;
mod signature_algorithms;
mod version_is_2;

use crate::crl::{CrlRule, EntryRule};

/// Every rule of lists.
pub(crate) const ALL: &[CrlRule] = &[
    crl_canonical::RULE,
    no_empty_list::RULE,
    version_is_2::RULE,
    signature_algorithms::RULE,
    issuer_name::RULE,
    next_update::RULE,
    number::RULE,
    authority_key::RULE,
    distribution_point::RULE,
    serials_unique::RULE,
    delta::RULE,
    freshest::RULE,
];

/// Every rule of their entries.
pub(crate) const OF_ENTRIES: &[EntryRule] = &[reasons::RULE, invalidity_date::RULE];
