//! What holds for the authority as a whole: one document a matter, each read into a type that makes sense.

mod officers;
mod suspension;

pub use officers::{Officers, Power, PowerError};
pub use suspension::Suspension;

use crate::document::{PolicyError, one_of_each};

/// File name and text of each document of `policies/authority/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 2] = [
    ("officers.toml", include_str!("../../authority/officers.toml")),
    ("suspension.toml", include_str!("../../authority/suspension.toml")),
];

/// Every rule of the authority. Had only from documents that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub officers: Officers,
    pub suspension: Suspension,
}

impl Rules {
    /// Reads every document of `authority/`: pairs of file name and text.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let [officers, suspension] = one_of_each(["officers.toml", "suspension.toml"], documents)?;
        Ok(Self { officers: Officers::parse(officers.0, officers.1)?, suspension: Suspension::parse(suspension.0, suspension.1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_make_sense_and_nonsense_is_named() {
        let rules = Rules::parse(SHIPPED).unwrap();
        assert_eq!(rules.suspension.max_days, 15);
        assert_eq!(rules.officers.local_powers().iter().collect::<Vec<_>>(), [&Power::Auditor]);
        let refused = |text| {
            let documents = SHIPPED.map(|(file, shipped)| (file, if file == "suspension.toml" { text } else { shipped }));
            Rules::parse(documents).unwrap_err().to_string()
        };
        assert!(refused("max_days = 0").starts_with("suspension.toml, line 1: a suspension of 0 days"));
        assert!(refused("max_days = 15\nmin_days = 1").contains("unknown field"));
        assert!(Rules::parse([]).unwrap_err().reason.contains("missing"));
    }
}
