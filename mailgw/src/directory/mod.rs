//! The directory: who owns which mailbox, found by address, by document, and by password.
//!
//! Calls block; time is an argument. A person's number is nowhere in it: it is found by a keyed index, and
//! what is kept of it is its mask. Names are sealed.

mod acquainted;
mod alias;
mod app_password;
mod applicant;
mod change;
mod document;
mod ended;
mod import;
mod kinds;
mod limiter;
mod login;
mod open;
mod operator;
mod password;
mod problem;
mod random;
mod reading;
mod recent;
mod recovery;
mod rename;
mod scram;
mod shown;
mod strangers;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keys::DataKey;
use policies::certificate::{HostName, Pseudonym};
use policies::identity::{CreditCode, Document};
use policies::mailbox::{Address, Alias, LocalPart, MailboxNumber, MailboxPolicy};
use store::{CommitError, Expectation, Key, Store, StoreError};
use time::{Date, OffsetDateTime, UtcOffset};

use crate::mailbox::Quota;
use crate::record::evidence::ReadError;
use crate::record::{RecordError, account, index};
use acquainted::Acquainted;
use kinds::Kinds;
use limiter::Limiter;
use login::Name;
use password::{Costs, Hasher, Verifier};
use recent::Recent;
use strangers::Strangers;

pub use crate::record::account::{Account, HeldDocument, Holder, State};
pub use ended::{Ended, Endings, Which};
pub use crate::record::app_password::Scope;
pub use app_password::{AppPasswordError, AppPasswordName, ShownAppPassword};
pub use applicant::{Applicant, ApplicantError, Words};
pub use document::Binding;
pub use import::{Import, ImportError, ImportedRow, RowError, RowState, TableError, ToldPassword};
pub use login::{Credential, Login, Refusal};
pub use open::{Application, MAX_BATCH, Opened};
pub use operator::{OperatorError, Ordered, ShownOperator, Somebody};
pub use password::{HashError, NewPassword, Password};
pub use random::{NoRandomness, Random};
pub use rename::{HolderProof, ShownFormerName};
pub use scram::{ITERATIONS, Salt};
pub use shown::{Holds, Kind, MAX_PAGE, Page, Query, ShownDocument, ShownMailbox};

/// Changes that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 64;

/// No text here tells a number, a name or a password; a mailbox is named to the administrator alone.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("the holder of this document or credit code has a mailbox already; look at it with `mailgw mailbox show`")]
    Exists { mailbox: MailboxNumber, state: State },
    #[error("the name {alias}, or one that reads like it, belongs to a mailbox or did once, and is never given again; choose another")]
    AliasTaken { alias: Alias },
    #[error("a bureau of another credit code seals or sends under the name {alias} or one that reads like it; choose another")]
    AliasSealed { alias: Alias },
    #[error("there is no such mailbox; `mailgw mailbox list` shows what there is")]
    NotFound,
    #[error("mailbox {mailbox} is closed, which is final; nothing was changed")]
    Closed { mailbox: MailboxNumber },
    #[error("this document is another person's or another mailbox's already; compare it with the paper")]
    DocumentTaken { mailbox: MailboxNumber },
    #[error("the name is not that of the owner of mailbox {mailbox}; compare it with the paper")]
    OtherName { mailbox: MailboxNumber },
    #[error("the document that was shown with it is none that mailbox {mailbox} holds; show one that it holds, or where there is none any more have two officers sign (`mailgw mailbox document --help`)")]
    NotHeld { mailbox: MailboxNumber },
    #[error("this document was taken in at the counter lately and proves the owner of mailbox {mailbox} from {from} on; show one that was held before, or come again then")]
    DocumentYoung { mailbox: MailboxNumber, from: String },
    #[error("mailbox {mailbox} holds no such document; look at it with `mailgw mailbox show {mailbox}`, and compare type and number with the papers")]
    NoSuchDocument { mailbox: MailboxNumber },
    #[error("this document proves the owner of mailbox {mailbox} already, or officers signed for it, so that no single word withdraws it; have two officers sign (`mailgw mailbox document --help`)")]
    DocumentCounts { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} has no other document, and one stays while it is open; take in another first, or close a mailbox that was opened with somebody else's")]
    LastDocument { mailbox: MailboxNumber },
    #[error("this request was used once; have two officers sign another")]
    Spent,
    #[error("mailbox {mailbox} is an institution's, which has no documents; give a citizen's")]
    NoCitizen { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} has as many documents as can be kept; withdraw one that is not needed (`mailgw mailbox document --help`)")]
    TooManyDocuments { mailbox: MailboxNumber },
    #[error("document or credit code is not that of the holder of mailbox {mailbox}; compare it with the paper, and show one that it holds")]
    OtherHolder { mailbox: MailboxNumber },
    #[error("the holder of mailbox {mailbox} has this name already, and nothing was changed; look at it with `mailgw mailbox show {mailbox}`")]
    SameName { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} is a citizen's, and those have the number alone here; give its number, or allow names with [citizens] in policies/mailbox/aliases.toml")]
    NumberAlone { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} has as many names as it may have, which stay for ever; use one of them")]
    TooManyAliases { mailbox: MailboxNumber },
    #[error("the holder of mailbox {mailbox} was renamed as often as can be kept; look at it with `mailgw mailbox show {mailbox}`")]
    TooManyNames { mailbox: MailboxNumber },
    #[error("somebody has logged in to mailbox {mailbox}, or it was opened before that was noted, so that no single word sets its password; use `mailgw mailbox recover`, and before it `mailgw mailbox password {mailbox} --withdraw` where a thief has the present one")]
    Entered { mailbox: MailboxNumber },
    #[error("a recovery of mailbox {mailbox} is under way, which its owner may end by a login; cancel it first (`mailgw mailbox recover {mailbox} --cancel`), or wait for its end")]
    RecoveryUnderWay { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} has no recovery under way: nobody asked for one, or somebody logged in since; look at the log")]
    NoRecovery { mailbox: MailboxNumber },
    #[error("the cooling-off of mailbox {mailbox} lasts until {due_unix_millis} (Unix milliseconds); complete the recovery then")]
    CoolingOff { mailbox: MailboxNumber, due_unix_millis: u64 },
    #[error("{count} applications are too many at once; give at most {MAX_BATCH}")]
    TooMany { count: usize },
    #[error("no free mailbox number was found in a thousand draws; have the system's randomness examined")]
    NoNumber,
    #[error("others changed the same records again and again; try again")]
    Busy,
    #[error(transparent)]
    Alias(#[from] policies::mailbox::AliasError),
    #[error(transparent)]
    AppPassword(#[from] AppPasswordError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Password(#[from] policies::mailbox::PasswordError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<ReadError> for DirectoryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<StoreError> for DirectoryError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

/// Not `Debug`: it has nothing to show.
pub struct Directory {
    store: Arc<dyn Store>,
    key: Arc<DataKey>,
    domain: HostName,
    policy: Arc<MailboxPolicy>,
    random: Arc<dyn Random>,
    hasher: Hasher,
    recent: Mutex<Recent>,
    failures: Mutex<Failures>,
    endings: Endings,
    kinds: Kinds,
}

struct Failures {
    accounts: Limiter<Name>,
    peers: Limiter<std::net::IpAddr>,
    acquainted: Acquainted,
    strangers: Strangers,
}

/// A day of the calendar that people here live by.
pub fn today(now: OffsetDateTime) -> Date {
    const CHINA: UtcOffset = time::macros::offset!(+8);
    now.to_offset(CHINA).date()
}

fn unix_millis(now: OffsetDateTime) -> u64 {
    u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

/// A delivery expects this in its own commit: a mailbox closed meanwhile takes nothing.
pub fn still_open(number: MailboxNumber) -> Expectation {
    Expectation::Present(account::open_mark(number))
}

impl Directory {
    pub fn new(
        store: Arc<dyn Store>, key: Arc<DataKey>, domain: HostName, policy: Arc<MailboxPolicy>, random: Arc<dyn Random>,
    ) -> Result<Self, NoRandomness> {
        let recent = Mutex::new(Recent::new(&*random)?);
        let failures = Mutex::new(Failures { accounts: Limiter::new(limiter::ACCOUNT), peers: Limiter::new(limiter::PEER), acquainted: Acquainted::default(), strangers: Strangers::default() });
        Ok(Self { store, key, domain, policy, random, hasher: Hasher::new(Costs::default()), recent, failures, endings: Endings::default(), kinds: Kinds::default() })
    }

    pub fn domain(&self) -> &HostName {
        &self.domain
    }

    pub fn policy(&self) -> &MailboxPolicy {
        &self.policy
    }

    /// The address under which everyone can be written to; aliases are beside it.
    pub fn address(&self, number: MailboxNumber) -> String {
        Address::new(LocalPart::Number(number), self.domain.clone()).to_string()
    }

    /// The account of `NUMBER@domain` or `alias@domain`, closed ones too; none for what is no address here.
    pub fn find_address(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        let Ok(address) = Address::parse(address, &self.domain) else { return Ok(None) };
        self.at(self.local(address.local())?)
    }

    /// The mailbox at an address while it takes mail. Whose it is is not looked at: nothing is opened for it.
    pub fn open_at(&self, address: &str) -> Result<Option<MailboxNumber>, DirectoryError> {
        let Ok(address) = Address::parse(address, &self.domain) else { return Ok(None) };
        let Some(number) = self.local(address.local())? else { return Ok(None) };
        Ok(self.store.get(&account::open_mark(number))?.map(|_| number))
    }

    /// What a commit expects that rests on who has a name, or on nobody having it.
    pub fn still_named(&self, name: &Alias) -> Result<Expectation, DirectoryError> {
        self.as_it_is(index::alias(name, &self.key))
    }

    /// The accounts that ever had a name beside the number, closed ones too.
    pub fn named_accounts(&self) -> Result<Vec<Account>, DirectoryError> {
        let (from, to) = index::aliases();
        let named = self.store.scan(&from, &to, usize::MAX)?.iter().map(|(_, number)| index::decode(number)).collect::<Result<BTreeSet<_>, _>>()?;
        named.into_iter().filter_map(|number| self.get(number).transpose()).collect()
    }

    fn as_it_is(&self, key: Key) -> Result<Expectation, DirectoryError> {
        Ok(match self.store.get(&key)? {
            Some(bytes) => Expectation::Equals(key, bytes),
            None => Expectation::Absent(key),
        })
    }

    /// Closed ones too: a document is not found anew by the mailbox's end.
    pub fn find_person(&self, document: &Document) -> Result<Option<Account>, DirectoryError> {
        self.at(self.indexed(&index::person(document, &self.key))?)
    }

    pub fn find_institution(&self, code: &CreditCode) -> Result<Option<Account>, DirectoryError> {
        self.at(self.indexed(&index::institution(code, &self.key))?)
    }

    /// By a number, a name, an address of either, or the pseudonym of a certificate: as people and mail programs write it.
    pub fn find(&self, text: &str) -> Result<Option<Account>, DirectoryError> {
        self.at(self.named(text)?)
    }

    pub fn get(&self, number: MailboxNumber) -> Result<Option<Account>, DirectoryError> {
        Ok(self.read(number)?.map(|(account, _, _)| account))
    }

    /// What ends the logins of before, from now on: the mailbox is closed or has a new password, or what they were by is withdrawn.
    pub fn ended(&self) -> Ended {
        self.endings.from_now()
    }

    /// Said whether or not the change is known to be durable: a session too many that ends does no harm.
    fn end_logins(&self, number: MailboxNumber) {
        self.recent().forget(&number.to_string());
        self.failures().acquainted.forget(number);
        self.endings.end(number, Which::All);
    }

    /// The logins of a mailbox by one credential alone are over.
    pub fn end_logins_by(&self, number: MailboxNumber, credential: Credential) {
        self.end_logins_of(number, Which::By(credential));
    }

    fn end_logins_of(&self, number: MailboxNumber, which: Which) {
        // Whoever logged in so from elsewhere is a stranger again.
        self.failures().acquainted.forget(number);
        self.endings.end(number, which);
    }

    /// What a mailbox may hold, by whose it is. Where there is none nothing is delivered to it either.
    pub fn quota(&self, mailbox: &str) -> Quota {
        let opened = |number| self.get(number).ok().flatten().map(|account| account.kind());
        let kind = MailboxNumber::parse(mailbox).ok().and_then(|number| self.kinds.of(number).or_else(|| opened(number)));
        // A message costs about a kilobyte beside its own bytes: empty ones are no way around the limit.
        kind.map_or(Quota::NONE, |kind| {
            let bytes = self.policy.mailbox_bytes(kind);
            Quota { bytes, messages: bytes / 1_024 }
        })
    }

    fn at(&self, number: Option<MailboxNumber>) -> Result<Option<Account>, DirectoryError> {
        number.map_or(Ok(None), |number| self.get(number))
    }

    fn named(&self, text: &str) -> Result<Option<MailboxNumber>, DirectoryError> {
        let text = text.trim();
        if text.contains('@') {
            let Ok(address) = Address::parse(text, &self.domain) else { return Ok(None) };
            return self.local(address.local());
        }
        if let Ok(pseudonym) = Pseudonym::parse(text) {
            return self.indexed(&index::pseudonym(&pseudonym, &self.key));
        }
        match (MailboxNumber::parse(text), Alias::parse(text)) {
            (Ok(number), _) => Ok(Some(number)),
            (_, Ok(alias)) => self.local(&LocalPart::Alias(alias)),
            _ => Ok(None),
        }
    }

    fn local(&self, local: &LocalPart) -> Result<Option<MailboxNumber>, DirectoryError> {
        match local {
            LocalPart::Number(number) => Ok(Some(*number)),
            LocalPart::Alias(alias) => self.indexed(&index::alias(alias, &self.key)),
        }
    }

    fn indexed(&self, key: &Key) -> Result<Option<MailboxNumber>, DirectoryError> {
        Ok(self.store.get(key)?.map(|found| index::decode(&found)).transpose()?)
    }

    /// The account, what is kept of its password, and the record as it stands.
    fn read(&self, number: MailboxNumber) -> Result<Option<(Account, Verifier, Vec<u8>)>, DirectoryError> {
        let Some(stored) = self.store.get(&account::key(number))? else { return Ok(None) };
        let (account, verifier) = account::open(number, &stored, &self.key)?;
        self.kinds.remember(number, account.kind());
        Ok(Some((account, verifier, stored)))
    }

    // A panic elsewhere leaves counts and tags that are still whole.
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
