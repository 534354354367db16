//! The key is the one asked for, and the subject key identifier is that key's.

use crate::rules::{require, subject_key};
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "profile-key", clause: "rfc5280#4.2.1.2", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    require(case.certificate.public_key().raw == case.facts.public_key, "the key is not the one that was asked for")?;
    require(subject_key(&case.certificate) == Some(&case.facts.key_id), "the subject key identifier is not the key's")
}
