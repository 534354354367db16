//! Rules of revocation lists, of RFC 5280 but for the encoding.

mod authority_key;
mod crl_canonical;
mod distribution_point;
mod invalidity_date;
mod issuer_name;
mod next_update;
mod no_empty_list;
mod number;
mod reasons;
mod serials_unique;
mod signature_algorithms;
mod version_is_2;

use crate::crl::CrlRule;

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
    reasons::RULE,
    invalidity_date::RULE,
];
