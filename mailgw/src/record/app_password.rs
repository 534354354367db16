//! A mailbox's app passwords: for each the keys it is recognised by, what it opens, and when it was used last. One record for all of a
//! mailbox, sealed.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::Date;

use super::certificate::Sealed;

/// The most app passwords of one mailbox: each is tried when one of them logs in. And of its owner, or one operator.
pub const MOST: usize = 64;
pub const MOST_OF_ONE: usize = 16;
/// The most other names of a mailbox by which one of them is kept.
pub const MOST_NAMES: usize = 16;

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    Imap,
    /// Submission.
    Smtp,
    Pop3,
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
            Self::Pop3 => "pop3",
        })
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPasswords {
    /// So many were ever made; a number is never given twice.
    pub made: u32,
    pub kept: Vec<AppPassword>,
}

/// `Debug` tells none of its keys, nor what its owner calls it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPassword {
    pub number: u32,
    pub name: String,
    /// Of the institution's operator of this number; the mailbox's own where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<u32>,
    pub scopes: Vec<Scope>,
    /// By the mailbox's number.
    pub keys: ScramKeys,
    /// By its other names, as far as the password was there when they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_name: Vec<NameKeys>,
    /// Unix milliseconds.
    pub made_at: u64,
    /// The day, and no more: when somebody reads their mail is theirs to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Date>,
}

/// The keys by which a password is proved under one of the mailbox's other names: each name has a salt of its own.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameKeys {
    pub name: String,
    pub keys: ScramKeys,
}

impl AppPassword {
    /// Under another name than the number.
    pub fn keys_by(&self, name: &str) -> Option<&ScramKeys> {
        self.by_name.iter().find(|named| named.name == name).map(|named| &named.keys)
    }
}

/// What a server keeps of a password: enough to recognise it, not enough to log in elsewhere. spec: rfc5802#3
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScramKeys {
    #[serde(with = "super::password::bytes")]
    pub stored: [u8; 32],
    #[serde(with = "super::password::bytes")]
    pub server: [u8; 32],
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AppPassword({})", self.number)
    }
}

impl Sealed for AppPasswords {
    const KIND: &'static str = "app passwords";
}
