//! What an administrator is shown of a mailbox: names and document numbers masked, nothing of the password.

use policies::mailbox::{MailboxKind, MailboxNumber};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::operator::ShownOperator;
use super::rename::ShownFormerName;
use super::{Account, Directory, DirectoryError, Holder, State};
use crate::record::account;

/// The most mailboxes of one page.
pub const MAX_PAGE: usize = 1_000;
/// The most accounts that are opened for one page, whether they fit or not: a page has a bounded time.
const MAX_LOOKED_AT: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Citizen,
    Institution,
}

impl From<MailboxKind> for Kind {
    fn from(kind: MailboxKind) -> Self {
        match kind {
            MailboxKind::Citizen => Self::Citizen,
            MailboxKind::Institution => Self::Institution,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownMailbox {
    pub address: String,
    pub kind: Kind,
    pub state: State,
    /// A citizen's masked; an institution's is public.
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<ShownDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// RFC 3339.
    pub opened_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
    /// Of one mailbox that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
    /// Of an institution that is asked for: everybody who is or was an operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<ShownOperator>,
    /// Of one mailbox that is asked for: the holder's names of before, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_names: Vec<ShownFormerName>,
    /// Of one mailbox that is asked for: when its password was withdrawn, where there is none since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_withdrawn_at: Option<String>,
}

/// What a mailbox holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    pub messages: u64,
    pub bytes: u64,
    pub limit_bytes: u64,
    /// Messages that are marked as a bureau's.
    pub verified: u64,
    /// Deleted messages that are kept.
    pub deleted: u64,
    /// Legal holds that last.
    pub legal_holds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownDocument {
    /// The code: 01 to 07 or 99.
    pub id_type: String,
    pub masked: String,
    /// RFC 3339: when the counter took it in, of one that was not the opening's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<String>,
}

/// What to look for; everything given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    pub kind: Option<Kind>,
    pub state: Option<State>,
    pub limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    pub after: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub mailboxes: Vec<ShownMailbox>,
    /// There is more to look at after this number; the page may be short or even empty all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Directory {
    /// By a number, a name, or an address of either.
    pub fn show(&self, text: &str) -> Result<ShownMailbox, DirectoryError> {
        Ok(self.shown(&self.find(text)?.ok_or(DirectoryError::NotFound)?))
    }

    /// When the password of a mailbox was withdrawn, where there is none since.
    pub fn withdrawn_at(&self, number: MailboxNumber) -> Result<Option<String>, DirectoryError> {
        Ok(self.withdrawn(number)?.0.map(written))
    }

    pub fn shown(&self, account: &Account) -> ShownMailbox {
        let (name, documents, code) = match &account.holder {
            Holder::Citizen { name, documents } => {
                let shown = |held: &account::HeldDocument| ShownDocument { id_type: held.kind.code().to_owned(), masked: held.masked.clone(), added_at: held.added_at.map(written) };
                (name.masked(), documents.iter().map(shown).collect(), None)
            }
            Holder::Institution { name, code } => (name.to_string(), Vec::new(), Some(code.as_str().to_owned())),
        };
        ShownMailbox {
            address: self.address(account.number),
            kind: account.kind().into(),
            state: account.state(),
            name,
            documents,
            code,
            aliases: account.aliases.iter().map(|alias| format!("{alias}@{}", self.domain)).collect(),
            opened_at: written(account.opened_at),
            closed_at: account.closed_at.map(written),
            holds: None,
            operators: Vec::new(),
            former_names: Vec::new(),
            password_withdrawn_at: None,
        }
    }

    /// In the order of the numbers, which says nothing.
    pub fn list(&self, query: &Query) -> Result<Page, DirectoryError> {
        let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let (mut from, to) = account::range();
        if let Some(after) = &query.after {
            from = account::key(MailboxNumber::parse(after).map_err(|_| DirectoryError::NotFound)?).successor();
        }
        let mut mailboxes = Vec::new();
        let (mut looked_at, mut next) = (0, None);
        loop {
            let found = self.store.scan(&from, &to, (limit + 1).clamp(100, MAX_PAGE))?;
            for (key, stored) in &found {
                if mailboxes.len() == limit || looked_at == MAX_LOOKED_AT {
                    return Ok(Page { mailboxes, next });
                }
                let number = account::number(key)?;
                let (account, _) = account::open(number, stored, &self.key)?;
                looked_at += 1;
                next = Some(number.to_string());
                if query.kind.is_none_or(|kind| kind == account.kind().into()) && query.state.is_none_or(|state| state == account.state()) {
                    mailboxes.push(self.shown(&account));
                }
            }
            let Some((last, _)) = found.last() else { return Ok(Page { mailboxes, next: None }) };
            from = last.successor();
        }
    }
}

pub(super) fn written(unix_millis: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
