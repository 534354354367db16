//! Who may hold which powers, and what is left to the owner of the machine.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;

use crate::document::{PolicyError, named, read};

named! {
    /// What an officer may do. The powers are apart: none holds another within it.
    Power {
        Administrator = "administrator",
        Operator = "operator",
        Auditor = "auditor",
    }
}

impl Power {
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Operator, Self::Auditor];
}

impl Serialize for Power {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no power; write administrator, operator or auditor")]
pub struct PowerError;

impl FromStr for Power {
    type Err = PowerError;

    fn from_str(text: &str) -> Result<Self, PowerError> {
        Self::from_name(text).ok_or(PowerError)
    }
}

/// Of `officers.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officers {
    exclusive: Vec<[Power; 2]>,
    local_powers: BTreeSet<Power>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    exclusive: Spanned<Vec<[Power; 2]>>,
    local_powers: Spanned<BTreeSet<Power>>,
}

impl Officers {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { exclusive, local_powers } = read(file, text)?;
        let (pairs, local) = (exclusive.span(), local_powers.span());
        let this = Self { exclusive: exclusive.into_inner(), local_powers: local_powers.into_inner() };
        if this.exclusive.iter().any(|[one, other]| one == other) {
            return Err(PolicyError::at(file, text, Some(pairs), "a power excludes itself; write pairs of two different ones"));
        }
        let together = this.local_powers.iter().find_map(|power| this.excluded_by(*power, &this.local_powers).map(|other| (*power, other)));
        match together {
            Some((one, other)) => Err(PolicyError::at(file, text, Some(local), format!("{one} and {other} exclude each other; leave the owner of the machine one of them"))),
            None => Ok(this),
        }
    }

    /// Pairs of powers that no one person holds together.
    pub fn exclusive(&self) -> &[[Power; 2]] {
        &self.exclusive
    }

    /// A power among those held that one person may not hold beside `power`.
    pub fn excluded_by(&self, power: Power, held: &BTreeSet<Power>) -> Option<Power> {
        let other = |[one, other]: &[Power; 2]| if *one == power { Some(*other) } else if *other == power { Some(*one) } else { None };
        self.exclusive.iter().filter_map(other).find(|other| held.contains(other))
    }

    /// What the owner of the state directory may do once an administrator was granted.
    pub fn local_powers(&self) -> &BTreeSet<Power> {
        &self.local_powers
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Officers, String> {
        Officers::parse("officers.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn pairs_hold_in_both_directions() {
        let rules = parse("exclusive = [[\"administrator\", \"auditor\"]]\nlocal_powers = []").unwrap();
        let held = |power| BTreeSet::from([power]);
        assert_eq!(rules.excluded_by(Power::Auditor, &held(Power::Administrator)), Some(Power::Administrator));
        assert_eq!(rules.excluded_by(Power::Administrator, &held(Power::Auditor)), Some(Power::Auditor));
        assert_eq!(rules.excluded_by(Power::Operator, &held(Power::Auditor)), None);
        assert_eq!(rules.excluded_by(Power::Auditor, &held(Power::Auditor)), None);
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_line() {
        assert!(parse("exclusive = [[\"auditor\", \"auditor\"]]\nlocal_powers = []").unwrap_err().starts_with("officers.toml, line 1: a power excludes itself"));
        let both = "exclusive = [[\"auditor\", \"operator\"]]\nlocal_powers = [\"auditor\", \"operator\"]";
        assert!(parse(both).unwrap_err().starts_with("officers.toml, line 2: operator and auditor exclude"), "{:?}", parse(both));
        assert!(parse("exclusive = [[\"root\", \"operator\"]]\nlocal_powers = []").unwrap_err().contains("unknown variant"));
        assert!(parse("exclusive = []").unwrap_err().contains("local_powers"));
        assert!(parse("exclusive = []\nlocal_powers = []\nothers = 1").unwrap_err().contains("unknown field"));
    }
}
