//! Each extension is critical or not as its section says.

use crate::{Case, Rule};
use x509_parser::extensions::ParsedExtension as Parsed;

pub(crate) const RULE: Rule = Rule { name: "extension-criticality", clause: "rfc5280#4.2.1", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    for extension in case.certificate.extensions() {
        let right = match extension.parsed_extension() {
            Parsed::BasicConstraints(_) | Parsed::KeyUsage(_) | Parsed::NameConstraints(_) => extension.critical,
            Parsed::SubjectAlternativeName(_) => extension.critical == case.certificate.subject().iter().next().is_none(),
            Parsed::ExtendedKeyUsage(_) => true,
            _ => !extension.critical,
        };
        if !right {
            return Err(format!("extension {} is wrongly critical or not", extension.oid.to_id_string()));
        }
    }
    Ok(())
}
