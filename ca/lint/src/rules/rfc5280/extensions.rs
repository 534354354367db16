//! Every extension is well formed, known if critical, and there once.

use crate::{Case, Rule};
use std::collections::BTreeSet;

pub(crate) const RULE: Rule = Rule { name: "extensions-parse-and-unique", clause: "rfc5280#4.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for extension in case.certificate.extensions() {
        let oid = extension.oid.to_id_string();
        if extension.parsed_extension().error().is_some() {
            return Err(format!("extension {oid} is not well formed"));
        }
        if extension.critical && extension.parsed_extension().unsupported() {
            return Err(format!("extension {oid} is critical and not known"));
        }
        if !seen.insert(oid) {
            return Err(format!("extension {} is there twice", extension.oid.to_id_string()));
        }
    }
    Ok(())
}
