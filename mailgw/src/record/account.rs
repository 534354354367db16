//! An account: `1 | sealed JSON`, under its mailbox number, which it keeps for ever. Beside it stands a mark
//! while the mailbox is open, so that a delivery can expect it in its own commit.

use std::fmt;

use keys::DataKey;
use policies::certificate::OrganizationName;
use policies::identity::{CreditCode, Document, DocumentKind, PersonName};
use policies::mailbox::{Alias, MailboxKind, MailboxNumber};
use serde::{Deserialize, Serialize};
use store::Key;
use zeroize::Zeroizing;

use super::password::Verifier;
use super::{RecordError, VERSION, index, versioned};

const KIND: &str = "account";

/// Whose mailbox it is. `Debug` tells neither names nor documents.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub number: MailboxNumber,
    pub holder: Holder,
    pub aliases: Vec<Alias>,
    /// Unix milliseconds.
    pub opened_at: u64,
    /// A closed mailbox stays closed, and its number and names are never given to another.
    pub closed_at: Option<u64>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Holder {
    Citizen { name: PersonName, documents: Vec<HeldDocument> },
    Institution { name: OrganizationName, code: CreditCode },
}

/// What is kept of a document: its number is not, it is only found by its keyed index.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldDocument {
    pub kind: DocumentKind,
    pub masked: String,
    /// When the counter took it in, Unix milliseconds; none of the opening's, nor of those of before this was noted.
    pub added_at: Option<u64>,
    /// That of its index, hexadecimal, of those that the counter took in: a mask is others', too.
    pub digest: Option<String>,
    /// Two officers signed that it is the owner's: no single word takes it away.
    pub by_officers: bool,
}

impl Holder {
    pub fn kind(&self) -> MailboxKind {
        match self {
            Self::Citizen { .. } => MailboxKind::Citizen,
            Self::Institution { .. } => MailboxKind::Institution,
        }
    }
}

impl HeldDocument {
    /// That with which the mailbox is opened.
    pub fn of_opening(document: &Document) -> Self {
        Self { kind: document.kind(), masked: document.masked(), added_at: None, digest: None, by_officers: false }
    }

    pub fn added(document: &Document, unix_millis: u64, by_officers: bool, key: &DataKey) -> Self {
        Self { by_officers, added_at: Some(unix_millis), digest: Some(crate::hex(&index::person_digest(document, key))), ..Self::of_opening(document) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Open,
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

impl Account {
    pub fn kind(&self) -> MailboxKind {
        self.holder.kind()
    }

    pub fn state(&self) -> State {
        if self.closed_at.is_some() { State::Closed } else { State::Open }
    }

    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The ten digits.
    pub fn mailbox(&self) -> String {
        self.number.to_string()
    }

    /// The name of the person, which a statement's row must match; institutions have none.
    pub fn person(&self) -> Option<&PersonName> {
        match &self.holder {
            Holder::Citizen { name, .. } => Some(name),
            Holder::Institution { .. } => None,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Account({}, {}, {})", self.number, self.kind(), self.state())
    }
}

pub fn key(number: MailboxNumber) -> Key {
    Key::numbered(KIND, &[], number.get())
}

/// Every account, in the order of the numbers.
pub fn range() -> (Key, Key) {
    Key::range(KIND, &[])
}

/// The number in the key of an account.
pub fn number(key: &Key) -> Result<MailboxNumber, RecordError> {
    let number = key.number(KIND, &[]).and_then(|number| MailboxNumber::parse(&format!("{number:010}")).ok());
    number.ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no mailbox number" })
}

/// Present while the mailbox takes mail.
pub fn open_mark(number: MailboxNumber) -> Key {
    Key::numbered("open-mailbox", &[], number.get())
}

pub fn mark() -> Vec<u8> {
    vec![VERSION]
}

/// The account as JSON, before it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    holder: HolderBody,
    aliases: Vec<String>,
    opened_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_at: Option<u64>,
    password: Verifier,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum HolderBody {
    Citizen { name: String, documents: Vec<DocumentBody> },
    Institution { name: String, code: String },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentBody {
    kind: String,
    masked: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_officers: bool,
}

pub(crate) fn seal(account: &Account, verifier: &Verifier, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let holder = match &account.holder {
        Holder::Citizen { name, documents } => {
            let body = |document: &HeldDocument| DocumentBody { kind: document.kind.code().to_owned(), masked: document.masked.clone(), added_at: document.added_at, digest: document.digest.clone(), by_officers: document.by_officers };
            HolderBody::Citizen { name: name.expose().to_owned(), documents: documents.iter().map(body).collect() }
        }
        Holder::Institution { name, code } => HolderBody::Institution { name: name.to_string(), code: code.as_str().to_owned() },
    };
    let body = Body {
        holder,
        aliases: account.aliases.iter().map(Alias::to_string).collect(),
        opened_at: account.opened_at,
        closed_at: account.closed_at,
        password: verifier.clone(),
    };
    let json = serde_json::to_vec(&body).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
    let sealed = data_key.seal(key(account.number).as_bytes(), &Zeroizing::new(json))?;
    Ok([&[VERSION], sealed.as_slice()].concat())
}

pub(crate) fn open(number: MailboxNumber, stored: &[u8], data_key: &DataKey) -> Result<(Account, Verifier), RecordError> {
    let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
    let json = Zeroizing::new(data_key.open(key(number).as_bytes(), versioned(KIND, stored)?)?);
    let body: Body = serde_json::from_slice(&json).map_err(|_| damaged("its fields are not those of its version"))?;
    let holder = match body.holder {
        HolderBody::Citizen { name, documents } => {
            let held = |document: DocumentBody| {
                let kind = DocumentKind::from_name(&document.kind).ok_or_else(|| damaged("it holds an unknown kind of document"))?;
                Ok(HeldDocument { kind, masked: document.masked, added_at: document.added_at, digest: document.digest, by_officers: document.by_officers })
            };
            let documents = documents.into_iter().map(held).collect::<Result<_, RecordError>>()?;
            Holder::Citizen { name: PersonName::parse(&name).map_err(|_| damaged("it holds no name"))?, documents }
        }
        HolderBody::Institution { name, code } => Holder::Institution {
            name: OrganizationName::parse(&name).map_err(|_| damaged("it holds no name"))?,
            code: CreditCode::parse(&code).map_err(|_| damaged("it holds no credit code"))?,
        },
    };
    let aliases = body.aliases.iter().map(|alias| Alias::parse(alias)).collect::<Result<_, _>>();
    let aliases = aliases.map_err(|_| damaged("it holds an alias that is none"))?;
    Ok((Account { number, holder, aliases, opened_at: body.opened_at, closed_at: body.closed_at }, body.password))
}
