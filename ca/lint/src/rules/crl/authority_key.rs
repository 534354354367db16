//! The authority key identifier is the issuer's own.

use crate::crl::{CrlRule, List};
use crate::rules::require;
use x509_parser::extensions::ParsedExtension as Parsed;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-authority-key", clause: "rfc5280#5.2.1", check };

fn check(list: &List<'_>) -> Result<(), String> {
    let named = list.tbs().extensions().iter().find_map(|one| match one.parsed_extension() {
        Parsed::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    require(named.is_some() && named == list.issuer.key_id.as_deref(), "the authority key identifier is not the issuer's")
}
