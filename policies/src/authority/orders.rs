//! How certificates are ordered: over the network or not, against which registry, how many at a time.

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, named, read};

named! {
    /// What the registry of enterprises must say.
    RegistryRule {
        /// An organisation that does not stand there is refused.
        Required = "required",
        /// One that stands there must agree with it.
        WhenKnown = "when-known",
        None = "none",
    }
}

named! {
    /// What becomes of a second order of the same code and profile.
    DuplicateRule {
        Refuse = "refuse",
        /// Whoever decides is told.
        Flag = "flag",
    }
}

/// What is taken over the network in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hourly {
    pub per_address: u32,
    pub all: u32,
}

impl Hourly {
    pub(super) fn is_sound(self) -> bool {
        (1..=self.all).contains(&self.per_address) && self.all <= 1_000_000
    }
}

/// Of `orders.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    online: Vec<String>,
    /// Days after which an open order that nobody decided on ends.
    pub open_days: u16,
    pub registry: RegistryRule,
    pub duplicates: DuplicateRule,
    /// Orders open at one time.
    pub open_at_most: u64,
    pub hourly: Hourly,
    /// Days after which an order of the network that came to nothing, and that no officer decided on, is forgotten.
    pub refused_kept_days: u16,
}

/// Where the document names no days.
const REFUSED_KEPT_DAYS: u16 = 90;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    online: Spanned<Vec<String>>,
    open_days: Spanned<u16>,
    registry: RegistryRule,
    duplicates: DuplicateRule,
    open_at_most: Spanned<u64>,
    hourly: Spanned<Hourly>,
    #[serde(default)]
    refused_kept_days: Option<Spanned<u16>>,
}

impl Orders {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { online, open_days, registry, duplicates, open_at_most, hourly, refused_kept_days } = read(file, text)?;
        let refused = |span, reason: String| Err(PolicyError::at(file, text, Some(span), reason));
        if online.get_ref().len() > crate::certificate::MAX_PROFILES {
            return refused(online.span(), "more profiles than there can be; name each once".to_owned());
        }
        if !(1..=366).contains(open_days.get_ref()) {
            return refused(open_days.span(), format!("an order open for {} days; write 1 to 366", open_days.get_ref()));
        }
        if !(1..=10_000_000).contains(open_at_most.get_ref()) {
            return refused(open_at_most.span(), "the number of open orders; write 1 to 10000000".to_owned());
        }
        if !hourly.get_ref().is_sound() {
            return refused(hourly.span(), "orders in an hour; write 1 to 1000000, and no more from one address than from all".to_owned());
        }
        if let Some(days) = &refused_kept_days && *days.get_ref() == 0 {
            return refused(days.span(), "an order kept for 0 days is gone before anybody has read why it was refused; write 1 or more".to_owned());
        }
        let refused_kept_days = refused_kept_days.map_or(REFUSED_KEPT_DAYS, Spanned::into_inner);
        let (online, open_days) = (online.into_inner(), open_days.into_inner());
        Ok(Self { online, open_days, registry, duplicates, open_at_most: open_at_most.into_inner(), hourly: hourly.into_inner(), refused_kept_days })
    }

    /// Whether a profile may be ordered over the network.
    pub fn is_online(&self, profile: &str) -> bool {
        self.online.iter().any(|one| one == profile)
    }

    /// Profiles named here: each must exist.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.online.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_out_of_bounds_are_refused_with_their_line() {
        let shipped = include_str!("../../authority/orders.toml");
        let read = |from: &str, to: &str| {
            assert!(shipped.contains(from), "{from}");
            Orders::parse("orders.toml", &shipped.replace(from, to)).map_err(|error| error.to_string())
        };
        assert!(read("open_days = 30", "open_days = 30").unwrap().is_online("enterprise-signing"));
        assert!(read("open_days = 30", "open_days = 0").unwrap_err().contains("open for 0 days"));
        assert!(read("refused_kept_days = 90", "refused_kept_days = 0").unwrap_err().contains("kept for 0 days"));
        assert_eq!(read("refused_kept_days = 90", "").unwrap().refused_kept_days, 90);
        assert!(read("open_at_most = 200000", "open_at_most = 0").is_err());
        assert!(read("per_address = 30", "per_address = 0").is_err() && read("per_address = 30", "per_address = 6001").is_err());
        assert!(read("\"when-known\"\n", "\"sometimes\"\n").unwrap_err().contains("unknown variant"));
    }
}
