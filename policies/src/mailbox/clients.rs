//! What mail programs are not offered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::number::MailboxNumber;
use crate::document::{PolicyError, read};

/// Extensions of IMAP that can be switched off, by the names that CAPABILITY gives them.
pub const EXTENSIONS: [&str; 39] = [
    "APPENDLIMIT", "BINARY", "COMPRESS=DEFLATE", "CONDSTORE", "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH", "ESORT", "ID", "IDLE", "IMAP4REV2", "LIST-EXTENDED", "LIST-STATUS", "LITERAL+", "LITERAL-",
    "METADATA", "MOVE", "MULTIAPPEND", "NAMESPACE", "NOTIFY", "OBJECTID", "PARTIAL", "PREVIEW", "QRESYNC", "QUOTA", "REPLACE", "SASL-IR", "SAVEDATE", "SEARCHRES", "SORT",
    "SPECIAL-USE", "STATUS=SIZE", "THREAD", "UIDONLY", "UIDPLUS", "UNAUTHENTICATE", "UNSELECT", "UTF8=ACCEPT", "WITHIN",
];
/// A port at which people log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    Imap,
    Imaps,
    Submission,
    Submissions,
    Pop3,
    Pop3s,
}

/// Mailboxes with switches of their own.
const MAX_MAILBOXES: usize = 10_000;

/// Had only from a document that makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientPolicy {
    starttls: BTreeSet<&'static str>,
    tls: BTreeSet<&'static str>,
    mailboxes: BTreeMap<MailboxNumber, BTreeSet<&'static str>>,
    scram: BTreeSet<Port>,
    no_scram_plus: BTreeSet<Port>,
    certificate: BTreeSet<Port>,
    token: BTreeSet<Port>,
    no_token: BTreeSet<MailboxNumber>,
    no_pop3: BTreeSet<MailboxNumber>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    off: Vec<Spanned<String>>,
    off_at: Doors,
    off_for: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    /// As before there were other ways, where it is missing.
    #[serde(default)]
    login: Ways,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ways {
    #[serde(default)]
    scram: BTreeSet<Port>,
    #[serde(default)]
    no_scram_plus: BTreeSet<Port>,
    #[serde(default)]
    certificate: BTreeSet<Port>,
    #[serde(default)]
    token: BTreeSet<Port>,
    #[serde(default)]
    no_token: Vec<Spanned<String>>,
    #[serde(default)]
    no_pop3: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Doors {
    starttls: Vec<Spanned<String>>,
    tls: Vec<Spanned<String>>,
}

impl ClientPolicy {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { off, off_at, off_for, login } = read(file, text)?;
        let named = |names: &[Spanned<String>]| {
            let known = |name: &Spanned<String>| {
                let found = EXTENSIONS.into_iter().find(|known| known.eq_ignore_ascii_case(name.get_ref()));
                found.ok_or_else(|| PolicyError::at(file, text, Some(name.span()), format!("it is none of {}", EXTENSIONS.join(", "))))
            };
            names.iter().map(known).collect::<Result<BTreeSet<_>, _>>()
        };
        let everywhere = named(&off)?;
        let with = |names: &[Spanned<String>]| Ok::<_, PolicyError>(named(names)?.union(&everywhere).copied().collect());
        if off_for.len().max(login.no_pop3.len()).max(login.no_token.len()) > MAX_MAILBOXES {
            return Err(PolicyError::at(file, text, None, format!("at most {MAX_MAILBOXES} mailboxes have switches of their own")));
        }
        let number = |mailbox: &Spanned<String>| {
            MailboxNumber::parse(mailbox.get_ref()).map_err(|_| PolicyError::at(file, text, Some(mailbox.span()), "it is no mailbox number"))
        };
        let no_pop3 = login.no_pop3.iter().map(number).collect::<Result<_, _>>()?;
        let no_token = login.no_token.iter().map(number).collect::<Result<_, _>>()?;
        let mut mailboxes = BTreeMap::new();
        for (mailbox, names) in &off_for {
            mailboxes.insert(number(mailbox)?, named(names)?);
        }
        Ok(Self { starttls: with(&off_at.starttls)?, tls: with(&off_at.tls)?, mailboxes, scram: login.scram, no_scram_plus: login.no_scram_plus, certificate: login.certificate, token: login.token, no_token, no_pop3 })
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

    /// Whether an app password may be proved by SCRAM there.
    pub fn scram_at(&self, port: Port) -> bool {
        self.scram.contains(&port)
    }

    /// Whether it may be bound to the connection there: SCRAM-SHA-256-PLUS.
    pub fn scram_plus_at(&self, port: Port) -> bool {
        self.scram_at(port) && !self.no_scram_plus.contains(&port)
    }

    /// Whether clients are asked for a certificate of ours there, and may log in by it.
    pub fn certificate_at(&self, port: Port) -> bool {
        self.certificate.contains(&port)
    }

    /// Whether a provider's token opens a mailbox there, where a provider is believed.
    pub fn token_at(&self, port: Port) -> bool {
        self.token.contains(&port)
    }

    /// The ports of `token_at`, as the document names them.
    pub fn token_ports(&self) -> impl Iterator<Item = String> {
        self.token.iter().map(|port| format!("{port:?}").to_lowercase())
    }

    /// The mailboxes that no token opens.
    pub fn no_token(&self) -> &BTreeSet<MailboxNumber> {
        &self.no_token
    }

    /// The mailboxes that are not read by POP3, where it is spoken at all.
    pub fn no_pop3(&self) -> &BTreeSet<MailboxNumber> {
        &self.no_pop3
    }

    pub(super) fn resolved(&self, text: &mut String) {
        let listed = |names: &BTreeSet<&'static str>| if names.is_empty() { "none".to_owned() } else { names.iter().copied().collect::<Vec<_>>().join(", ") };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "IMAP extensions off where TLS comes later: {}", listed(&self.starttls));
        let _ = writeln!(text, "IMAP extensions off where TLS comes first: {}", listed(&self.tls));
        let ports = |ports: &BTreeSet<Port>| if ports.is_empty() { "nowhere".to_owned() } else { ports.iter().map(|port| format!("{port:?}").to_lowercase()).collect::<Vec<_>>().join(", ") };
        let _ = writeln!(text, "SCRAM-SHA-256 at: {}", ports(&self.scram));
        let _ = writeln!(text, "SCRAM-SHA-256-PLUS not at: {}", ports(&self.no_scram_plus));
        let _ = writeln!(text, "Certificates asked for at: {}", ports(&self.certificate));
        let _ = writeln!(text, "Tokens taken at: {}", ports(&self.token));
        for mailbox in &self.no_token {
            let _ = writeln!(text, "Tokens off for {mailbox}");
        }
        for mailbox in &self.no_pop3 {
            let _ = writeln!(text, "POP3 off for {mailbox}");
        }
        for (mailbox, names) in &self.mailboxes {
            let _ = writeln!(text, "IMAP extensions off for {mailbox}: {}", listed(names));
        }
    }
}
