//! What the owner of a mailbox agrees with a sender, at the counter: that it may send kinds that need consent, and the token by
//! which it names the mailbox without a document's number. Both may be taken back at any time, and hold from the next
//! delivery on.

use policies::statement::{EnrolmentToken, SenderCode};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, StoreError};

use super::consent;
use crate::bureau::{self, BureauError};
use crate::directory::DirectoryError;
use crate::gateway::Gateway;
use crate::record::RecordError;
use crate::record::account::Account;
use crate::record::enrolment::{Enrolment, decode_mailbox, encode_mailbox, token_key};
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;

/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    #[error("there is no open mailbox {mailbox}; look it up with `mailgw mailbox list`")]
    NoMailbox { mailbox: String },
    #[error("the mailbox is not enrolled with {bureau}; there is nothing to withdraw")]
    NotEnrolled { bureau: String },
    #[error("{bureau} sends no such kind, or none that asks for consent; `mailgw bureau list` shows its kinds")]
    NoKind { bureau: String },
    #[error("no sender here sends {kind}, or it asks for no consent; `mailgw mailbox consent NUMBER` shows what may be consented to")]
    Unasked { kind: String },
    #[error("consent is given to a kind; name it with --kind")]
    NoKindNamed,
    #[error("several send this kind, and each has a consent of its own: {senders}; name one with --sender")]
    SeveralSenders { senders: String },
    #[error("somebody else changes the same enrolment; try again")]
    Busy,
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for EnrolmentError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<ReadError> for EnrolmentError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<EnrolmentError> for Problem {
    fn from(error: EnrolmentError) -> Self {
        let (exit, code) = match error {
            EnrolmentError::Bureau(error) => return error.into(),
            EnrolmentError::Directory(error) => return error.into(),
            EnrolmentError::NoMailbox { .. } => (Exit::NotFound, "unknown-mailbox"),
            EnrolmentError::NotEnrolled { .. } => (Exit::NotFound, "not-enrolled"),
            EnrolmentError::NoKind { .. } | EnrolmentError::Unasked { .. } => (Exit::Refused, "no-kind"),
            EnrolmentError::NoKindNamed => (Exit::Usage, "kind"),
            EnrolmentError::SeveralSenders { .. } => (Exit::Usage, "sender"),
            EnrolmentError::Busy => (Exit::Unavailable, "busy"),
            EnrolmentError::Record(_) => (Exit::Damaged, "store-damaged"),
            EnrolmentError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What holds between a mailbox and a sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    pub address: String,
    pub bureau: String,
    /// Whether to any kind, and to which.
    pub consent: bool,
    #[serde(default)]
    pub kinds: Vec<String>,
    /// For the sender's own records; the same for as long as the enrolment lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What the owner says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// To one kind, or to all that ask for it.
    GiveConsent(Option<String>),
    WithdrawConsent(Option<String>),
    Enrol,
    WithdrawToken,
}

/// 1 the mailbox is open and the sender registered · 2 what was said before is answered as then · 3 durable, with its leaf of
/// the log.
pub fn say(gateway: &Gateway, mailbox: &str, bureau: &str, word: Word) -> Result<Agreed, EnrolmentError> {
    for _ in 0..ATTEMPTS {
        // 1
        let account = owner(gateway, mailbox)?;
        let (mailbox, bureau) = (account.mailbox(), registered(gateway, bureau)?);
        let now = gateway.now_unix_millis();
        let said = |holds| event::Agreement { mailbox: mailbox.clone(), bureau: bureau.clone(), kind: None, holds };
        let (store, data) = (&*gateway.store, &*gateway.directory_key);
        // 2
        let mut write = match &word {
            Word::GiveConsent(kind) | Word::WithdrawConsent(kind) => {
                let give = matches!(word, Word::GiveConsent(_));
                if let (false, Some(kind)) = (give, kind) {
                    consent::is_kind(gateway, &mailbox, &bureau, kind)?;
                }
                match consent::say(gateway, Batch::new(), &mailbox, &bureau, kind.as_deref().as_ref().map(std::slice::from_ref), give, now)? {
                    (write, true) => write,
                    (_, false) => return agreed(gateway, &account, &bureau),
                }
            }
            Word::Enrol | Word::WithdrawToken => {
                let (known, before) = Enrolment::known(store, &bureau, &mailbox)?;
                let enrol = word == Word::Enrol;
                if known.active == enrol {
                    return if enrol { agreed(gateway, &account, &bureau) } else { Err(EnrolmentError::NotEnrolled { bureau }) };
                }
                let after = Enrolment { number: known.number + u64::from(enrol), active: enrol };
                let place = token_key(&bureau, &after.token(&bureau, &mailbox, data), data);
                let write = Batch::new().expect(before).put(Enrolment::key(&bureau, &mailbox), after.encode()?);
                let mut write = if enrol { write.put(place, encode_mailbox(&mailbox)?) } else { write.delete(place) };
                Event::EnrolmentSet(said(enrol)).append(&mut write, now)?;
                write
            }
        };
        write = write.expect(crate::directory::still_open(account.number));
        // 3
        match gateway.store.commit(write) {
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                return agreed(gateway, &account, &bureau);
            }
        }
    }
    Err(EnrolmentError::Busy)
}

/// What holds now.
pub fn show(gateway: &Gateway, mailbox: &str, bureau: &str) -> Result<Agreed, EnrolmentError> {
    agreed(gateway, &owner(gateway, mailbox)?, &registered(gateway, bureau)?)
}

pub(super) fn owner(gateway: &Gateway, mailbox: &str) -> Result<Account, EnrolmentError> {
    let unknown = || EnrolmentError::NoMailbox { mailbox: mailbox.chars().take(80).collect() };
    gateway.directory.find(mailbox)?.filter(Account::is_open).ok_or_else(unknown)
}

fn registered(gateway: &Gateway, bureau: &str) -> Result<String, EnrolmentError> {
    let code = SenderCode::parse(bureau).map_err(|_| BureauError::Code { code: bureau.chars().take(80).collect() })?;
    bureau::find(&*gateway.store, code.as_str())?;
    Ok(code.as_str().to_owned())
}

fn agreed(gateway: &Gateway, account: &Account, bureau: &str) -> Result<Agreed, EnrolmentError> {
    let (store, mailbox) = (&*gateway.store, account.mailbox());
    let enrolment = Enrolment::known(store, bureau, &mailbox)?.0;
    let token = enrolment.active.then(|| enrolment.token(bureau, &mailbox, &gateway.directory_key).expose().to_owned());
    let kinds = consent::kinds(gateway, bureau, &mailbox)?;
    Ok(Agreed { address: gateway.directory.address(account.number), bureau: bureau.to_owned(), consent: !kinds.is_empty(), kinds, token })
}

/// The mailbox that a sender's token names, closed ones too, and what a commit that rests on that expects.
pub(crate) fn named(gateway: &Gateway, bureau: &str, token: &EnrolmentToken) -> Result<(Option<Account>, Option<Expectation>), EnrolmentError> {
    let place = token_key(bureau, token, &gateway.directory_key);
    let Some(bytes) = gateway.store.get(&place)? else { return Ok((None, None)) };
    let account = gateway.directory.find(&decode_mailbox(&bytes)?)?;
    Ok((account, Some(Expectation::Equals(place, bytes))))
}
