//! An outbox of the authority or of a filing desk as the gateway sees it: a socket that hands over letters and is told what
//! became of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Method;
use runtime::admin::{AdminClient, CallError};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Far longer than a page takes; a service that hangs must not hang the gateway's end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Letters to be delivered.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// Which service it is, by the digest of its root or of its log's key: ids are unique below it.
    pub authority: String,
    pub from: From,
    pub letters: Vec<Letter>,
}

/// Who tells: the mailbox is an address of this domain, or the part before its `@`.
#[derive(Clone, Debug, Deserialize)]
pub struct From {
    pub name: String,
    pub mailbox: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Letter {
    pub id: String,
    pub to: Recipient,
    pub subject: String,
    pub text: String,
    /// Files that travel with it, such as a receipt and its seal.
    #[serde(default)]
    pub files: Vec<File>,
}

/// A file of a letter: octets nobody here looks into.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    pub name: String,
    /// `type/subtype`.
    pub media_type: String,
    /// Base64.
    pub content: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    Mailbox(String),
    /// Whoever the letters are from.
    Operator,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    pub id: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// SHA-256 of the message, hexadecimal.
    Delivered(String),
    /// Not now.
    Later(Unread),
    /// Never, as things stand.
    Refused(Unread),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unread {
    UnknownMailbox,
    ClosedMailbox,
    Elsewhere,
    MailboxFull,
    Gateway,
}

/// Where letters come from. Blocking.
pub trait Outbox: Send + Sync {
    fn collect(&self) -> Result<Page, Problem>;
    fn done(&self, told: &[Done]) -> Result<(), Problem>;
}

/// Calls are made from blocking threads, on the process's runtime.
pub struct RemoteOutbox {
    socket: PathBuf,
    handle: Handle,
}

impl RemoteOutbox {
    pub fn new(socket: &Path, handle: Handle) -> Self {
        Self { socket: socket.to_owned(), handle }
    }

    fn call<Req: Serialize, Res: serde::de::DeserializeOwned>(&self, path: &str, body: Option<&Req>) -> Result<Res, Problem> {
        let call = async {
            let client = AdminClient::connect(&self.socket).await?;
            client.call(Method::POST, path, body).await
        };
        let called: Result<Res, CallError> = self.handle.block_on(async { timeout(PATIENCE, call).await }).map_err(|_| {
            let message = format!("the outbox did not answer within {} s", PATIENCE.as_secs());
            Problem::new(Exit::Unavailable, "outbox-not-answering", message, "look at its process and its disk")
        })?;
        called.map_err(Problem::from)
    }
}

impl Outbox for RemoteOutbox {
    fn collect(&self) -> Result<Page, Problem> {
        self.call("/v1/outbox/collect", None::<&()>)
    }

    fn done(&self, told: &[Done]) -> Result<(), Problem> {
        self.call("/v1/outbox/done", Some(&told))
    }
}
