//! Every extension is well formed, known if critical, and there once.

use crate::{Case, Rule};
use std::collections::BTreeSet;

pub(crate) const RULE: Rule = Rule { name: "extensions-parse-and-unique", clause: "rfc5280#4.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for extension in case.certificate.extensions() {
        let wrong = |how: &str| Err(format!("extension {} is {how}", extension.oid.to_id_string()));
        if extension.parsed_extension().error().is_some() {
            return wrong("not well formed");
        }
        if extension.critical && extension.parsed_extension().unsupported() {
            return wrong("critical and not known");
        }
        if !seen.insert(extension.oid.as_bytes()) {
            return wrong("there twice");
        }
    }
    Ok(())
}
