//! Which certificates are renewed, when, and for how long the old one stays beside the new.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, read};

/// Of `renewal.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    profiles: BTreeMap<String, Renewable>,
    /// Days for which a replaced or corrected certificate may stay valid, at most.
    pub most_overlap_days: u16,
    /// Days for which a corrected certificate stays valid when nothing else is said.
    pub correction_overlap_days: u16,
}

/// How the certificates of one profile are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewable {
    /// Days before the end from which it may be renewed.
    pub window_days: u16,
    /// Whether the new certificate may keep the key.
    pub same_key: bool,
    /// Days after which the old one is revoked; it stays valid until its end when absent.
    pub overlap_days: Option<u16>,
    /// Whether its holder may change the key before that.
    pub rekey: Option<Rekey>,
}

/// How a holder changes the key of a certificate whose end is far.
// spec: rfc3647#4.4.7
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rekey {
    /// Days after its beginning from which that may be done: keys that change faster make lists long.
    pub after_days: u16,
    /// Days for which the old one stays valid beside the new, which ends with it at the latest.
    pub overlap_days: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    most_overlap_days: Spanned<u16>,
    correction_overlap_days: Spanned<u16>,
    #[serde(default)]
    renewal: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    profile: Spanned<String>,
    window_days: Spanned<u16>,
    same_key: bool,
    overlap_days: Option<Spanned<u16>>,
    rekey: Option<Keys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    after_days: Spanned<u16>,
    overlap_days: Spanned<u16>,
}

impl Renewal {
    /// The terms of one profile; none when its certificates are not renewed.
    pub fn of(&self, profile: &str) -> Option<Renewable> {
        self.profiles.get(profile).copied()
    }

    /// Every profile that is renewed, in the order of the names.
    pub fn profiles(&self) -> impl Iterator<Item = (&str, Renewable)> {
        self.profiles.iter().map(|(name, renewable)| (name.as_str(), *renewable))
    }

    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { most_overlap_days, correction_overlap_days, renewal } = read(file, text)?;
        let days = |days: Spanned<u16>, from: u16, most: u16| {
            let span = days.span();
            match days.into_inner() {
                days if (from..=most).contains(&days) => Ok(days),
                other => Err(PolicyError::at(file, text, Some(span), format!("{other} days; write {from} to {most}"))),
            }
        };
        let most_overlap_days = days(most_overlap_days, 0, 366)?;
        let correction_overlap_days = days(correction_overlap_days, 0, most_overlap_days)?;
        let mut profiles = BTreeMap::new();
        for Entry { profile, window_days, same_key, overlap_days, rekey } in renewal {
            let (span, profile) = (profile.span(), profile.into_inner());
            let overlap_days = overlap_days.map(|overlap| days(overlap, 0, 366)).transpose()?;
            let rekey = rekey.map(|Keys { after_days, overlap_days }| Ok(Rekey { after_days: days(after_days, 0, 366)?, overlap_days: days(overlap_days, 0, most_overlap_days)? })).transpose()?;
            let renewable = Renewable { window_days: days(window_days, 1, 366)?, same_key, overlap_days, rekey };
            if profiles.insert(profile, renewable).is_some() {
                return Err(PolicyError::at(file, text, Some(span), "this profile is there twice; keep one"));
            }
        }
        Ok(Self { profiles, most_overlap_days, correction_overlap_days })
    }
}
