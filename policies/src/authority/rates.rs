//! How often the public side may be asked for what is dear.

use serde::Deserialize;
use toml::Spanned;

use super::Hourly;
use crate::document::{PolicyError, read};

/// Of `rates.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub renewal: Hourly,
    pub revocation: Hourly,
    pub own_name: Hourly,
    /// Compromised keys that no certificate of ours holds.
    pub reported: Hourly,
    /// What proves nothing: proofs that failed.
    pub unproved: Hourly,
}

/// Where a document says nothing of reported keys.
const REPORTED: Hourly = Hourly { per_address: 20, all: 600 };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    renewal: Spanned<Hourly>,
    revocation: Spanned<Hourly>,
    own_name: Spanned<Hourly>,
    /// Documents that are older have none.
    reported: Option<Spanned<Hourly>>,
    /// Documents that are older have none: as for revocations.
    unproved: Option<Spanned<Hourly>>,
}

impl Rates {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { renewal, revocation, own_name, reported, unproved } = read(file, text)?;
        let sound = |hourly: Spanned<Hourly>| match hourly.get_ref().is_sound() {
            true => Ok(hourly.into_inner()),
            false => Err(PolicyError::at(file, text, Some(hourly.span()), "requests in an hour; write 1 to 1000000, and no more from one address than from all")),
        };
        let revocation = sound(revocation)?;
        Ok(Self { renewal: sound(renewal)?, revocation, own_name: sound(own_name)?, reported: reported.map_or(Ok(REPORTED), sound)?, unproved: unproved.map_or(Ok(revocation), sound)? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn more_from_one_than_from_all_is_refused_with_its_line() {
        let shipped = include_str!("../../authority/rates.toml");
        assert_eq!(Rates::parse("rates.toml", shipped).unwrap().renewal, Hourly { per_address: 300, all: 60_000 });
        for (from, to) in [("per_address = 300", "per_address = 0"), ("all = 60000", "all = 299"), ("all = 60000", "all = 1000001")] {
            let refused = Rates::parse("rates.toml", &shipped.replace(from, to)).unwrap_err().to_string();
            assert!(refused.starts_with("rates.toml, line 8: requests in an hour"), "{refused}");
        }
        assert!(Rates::parse("rates.toml", &shipped.replace("own_name", "others")).is_err());
        let older = shipped.replace("unproved = ", "# ");
        assert_eq!(Rates::parse("rates.toml", &older).unwrap().unproved, Rates::parse("rates.toml", shipped).unwrap().revocation);
    }
}
