//! The names that a mailbox's holder had before, one record for all of them, sealed: statements and letters of then bear them.

use serde::{Deserialize, Serialize};

use super::certificate::Sealed;

/// Nobody is renamed more often; it bounds the record.
pub const MOST: usize = 64;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerNames {
    /// The oldest first.
    pub all: Vec<FormerName>,
}

/// `Debug` tells no name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerName {
    pub name: String,
    /// When it was changed, Unix milliseconds.
    pub until: u64,
    /// What the name that followed was proved by, as the policy of opening names it.
    pub document: Vec<String>,
    pub person: Vec<String>,
    /// SHA-256 of where the papers are, hexadecimal.
    pub papers: String,
}

impl std::fmt::Debug for FormerName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FormerName(until {})", self.until)
    }
}

impl Sealed for FormerNames {
    const KIND: &'static str = "former names";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The stored form is a promise.
    #[test]
    fn the_form_in_which_former_names_stand() {
        let all = vec![FormerName { name: "甲有限公司".into(), until: 7, document: vec!["operator-original".into()], person: vec!["operator-present".into()], papers: "ab".into() }];
        let json = r#"{"all":[{"name":"甲有限公司","until":7,"document":["operator-original"],"person":["operator-present"],"papers":"ab"}]}"#;
        assert_eq!(serde_json::to_string(&FormerNames { all: all.clone() }).unwrap(), json);
        let read: FormerNames = serde_json::from_str(json).unwrap();
        assert_eq!((read.all == all, format!("{:?}", read.all)), (true, "[FormerName(until 7)]".to_owned()));
    }
}
