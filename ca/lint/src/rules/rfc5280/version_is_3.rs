//! A certificate with extensions is of version 3.

use crate::rules::require;
use crate::{Case, Rule};
use x509_parser::x509::X509Version;

pub(crate) const RULE: Rule = Rule { name: "version-is-3", clause: "rfc5280#4.1.2.1", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    require(case.certificate.version() == X509Version::V3, "the version is not 3")
}
