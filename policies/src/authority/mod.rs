//! What holds for the authority as a whole: one document a matter, each read into a type that makes sense.

mod officers;
mod renewal;
mod suspension;

pub use officers::{Officers, Power, PowerError};
pub use renewal::{Renewable, Renewal};
pub use suspension::Suspension;

use crate::document::{PolicyError, one_of_each};

/// File name and text of each document of `policies/authority/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 3] = [
    ("officers.toml", include_str!("../../authority/officers.toml")),
    ("renewal.toml", include_str!("../../authority/renewal.toml")),
    ("suspension.toml", include_str!("../../authority/suspension.toml")),
];

/// Every rule of the authority. Had only from documents that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub officers: Officers,
    pub renewal: Renewal,
    pub suspension: Suspension,
}

impl Rules {
    /// Reads every document of `authority/`: pairs of file name and text.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let [officers, renewal, suspension] = one_of_each(["officers.toml", "renewal.toml", "suspension.toml"], documents)?;
        Ok(Self {
            officers: Officers::parse(officers.0, officers.1)?,
            renewal: Renewal::parse(renewal.0, renewal.1)?,
            suspension: Suspension::parse(suspension.0, suspension.1)?,
        })
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
        fn with(name: &str, text: &str) -> Result<Rules, PolicyError> {
            Rules::parse(SHIPPED.map(|(shipped, its)| if shipped == name { (shipped, text) } else { (shipped, its) }))
        }
        let refused = |text| with("suspension.toml", text).unwrap_err().to_string();
        assert!(refused("max_days = 0").starts_with("suspension.toml, line 1: a suspension of 0 days"));
        assert!(refused("max_days = 15\nmin_days = 1").contains("unknown field"));
        let terms = rules.renewal.of("enterprise-signing").unwrap();
        assert_eq!((terms.window_days, terms.same_key, terms.overlap_days, rules.renewal.of("issuing")), (60, false, None, None));
        let refused = |text: &str| with("renewal.toml", &format!("most_overlap_days = 30\ncorrection_overlap_days = 5\n{text}")).unwrap_err().to_string();
        let entry = "[[renewal]]\nprofile = \"a\"\nwindow_days = 60\nsame_key = true\n";
        assert!(refused("[[renewal]]\nprofile = \"a\"\nwindow_days = 0\nsame_key = true").starts_with("renewal.toml, line 5: 0 days; write 1 to 366"));
        assert!(refused(&[entry, entry].concat()).contains("twice"));
        assert!(refused(&format!("{entry}overlap_days = 400")).contains("400 days"));
        assert!(with("renewal.toml", "most_overlap_days = 3\ncorrection_overlap_days = 5").unwrap_err().reason.contains("write 0 to 3"));
        assert!(Rules::parse([]).unwrap_err().reason.contains("missing"));
    }
}
