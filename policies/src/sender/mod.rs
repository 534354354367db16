//! Kinds of message that a policy file alone defines (`policies/senders/`): who may send them, whom to, what their rows hold,
//! which rules they keep and how they read. A new kind is a new file, and no change of the program.
//!
//! Their files begin with the columns that statements have, `stmt_id,period,id_type,id_no,name`; then come the kind's own.

mod field;
mod kind;
mod row;
mod rule;
mod template;

use std::collections::BTreeMap;

pub use field::{Field, FieldType};
pub use kind::{Addressee, Evidence, HEAD, LetterKind};
pub use row::{Letter, LetterFigure, LetterHeader, LetterHeaderError, LetterRecord};
pub use rule::Broken;
pub use template::{Language, Template};

use crate::document::PolicyError;
use crate::statement::Kind;

/// File name and text of each document of `policies/senders/`.
pub const SHIPPED: [(&str, &str); 5] = [
    ("annual-report.toml", include_str!("../../senders/annual-report.toml")),
    ("bank-statement.toml", include_str!("../../senders/bank-statement.toml")),
    ("city-news.toml", include_str!("../../senders/city-news.toml")),
    ("tax-notice.toml", include_str!("../../senders/tax-notice.toml")),
    ("utility-bill.toml", include_str!("../../senders/utility-bill.toml")),
];

/// The kinds that policies define, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterKinds(BTreeMap<String, LetterKind>);

impl LetterKinds {
    /// Reads documents, pairs of file name and text: a kind each. A city may have none.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let mut kinds = BTreeMap::new();
        for (file, text) in documents {
            let kind = LetterKind::parse(file, text)?;
            let name = kind.name().to_owned();
            if Kind::from_name(&name).is_some() || kinds.contains_key(&name) {
                return Err(PolicyError { file: file.to_owned(), line: 1, reason: format!("there is a kind {name} already; give this one another name") });
            }
            kinds.insert(name, kind);
        }
        Ok(Self(kinds))
    }

    pub fn get(&self, name: &str) -> Option<&LetterKind> {
        self.0.get(name)
    }

    pub fn all(&self) -> impl Iterator<Item = &LetterKind> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests;
