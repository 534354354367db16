//! What mail programs are not offered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::number::MailboxNumber;
use crate::document::{PolicyError, read};

/// Extensions of IMAP that can be switched off, by the names that CAPABILITY gives them.
pub const EXTENSIONS: [&str; 33] = [
    "APPENDLIMIT", "BINARY", "COMPRESS=DEFLATE", "CONDSTORE", "ESEARCH", "ESORT", "ID", "IDLE", "IMAP4REV2", "LIST-EXTENDED", "LIST-STATUS", "LITERAL+",
    "METADATA", "MOVE", "MULTIAPPEND", "NAMESPACE", "OBJECTID", "PARTIAL", "PREVIEW", "QRESYNC", "QUOTA", "REPLACE", "SAVEDATE", "SEARCHRES", "SORT",
    "SPECIAL-USE", "STATUS=SIZE", "THREAD", "UIDONLY", "UIDPLUS", "UNAUTHENTICATE", "UTF8=ACCEPT", "WITHIN",
];
/// Mailboxes with switches of their own.
const MAX_MAILBOXES: usize = 10_000;

/// Had only from a document that makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientPolicy {
    starttls: BTreeSet<&'static str>,
    tls: BTreeSet<&'static str>,
    mailboxes: BTreeMap<MailboxNumber, BTreeSet<&'static str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    off: Vec<Spanned<String>>,
    off_at: Doors,
    off_for: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Doors {
    starttls: Vec<Spanned<String>>,
    tls: Vec<Spanned<String>>,
}

impl ClientPolicy {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { off, off_at, off_for } = read(file, text)?;
        let named = |names: &[Spanned<String>]| {
            let known = |name: &Spanned<String>| {
                let found = EXTENSIONS.into_iter().find(|known| known.eq_ignore_ascii_case(name.get_ref()));
                found.ok_or_else(|| PolicyError::at(file, text, Some(name.span()), format!("it is none of {}", EXTENSIONS.join(", "))))
            };
            names.iter().map(known).collect::<Result<BTreeSet<_>, _>>()
        };
        let everywhere = named(&off)?;
        let with = |names: &[Spanned<String>]| Ok::<_, PolicyError>(named(names)?.union(&everywhere).copied().collect());
        if off_for.len() > MAX_MAILBOXES {
            return Err(PolicyError::at(file, text, None, format!("at most {MAX_MAILBOXES} mailboxes have switches of their own")));
        }
        let mut mailboxes = BTreeMap::new();
        for (mailbox, names) in &off_for {
            let number = MailboxNumber::parse(mailbox.get_ref());
            let number = number.map_err(|_| PolicyError::at(file, text, Some(mailbox.span()), "it is no mailbox number"))?;
            mailboxes.insert(number, named(names)?);
        }
        Ok(Self { starttls: with(&off_at.starttls)?, tls: with(&off_at.tls)?, mailboxes })
    }

    /// At the port that begins in clear.
    pub fn off_at_starttls(&self) -> &BTreeSet<&'static str> {
        &self.starttls
    }

    /// At the port under TLS from its first byte.
    pub fn off_at_tls(&self) -> &BTreeSet<&'static str> {
        &self.tls
    }

    /// Beside what is off at the port.
    pub fn off_for(&self) -> &BTreeMap<MailboxNumber, BTreeSet<&'static str>> {
        &self.mailboxes
    }

    pub(super) fn resolved(&self, text: &mut String) {
        let listed = |names: &BTreeSet<&'static str>| if names.is_empty() { "none".to_owned() } else { names.iter().copied().collect::<Vec<_>>().join(", ") };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "IMAP extensions off where TLS comes later: {}", listed(&self.starttls));
        let _ = writeln!(text, "IMAP extensions off where TLS comes first: {}", listed(&self.tls));
        for (mailbox, names) in &self.mailboxes {
            let _ = writeln!(text, "IMAP extensions off for {mailbox}: {}", listed(names));
        }
    }
}
