//! A citizen's mail certificate, at the counter where whoever asks was seen to own the mailbox.
//!
//! 1 find       an open mailbox, a citizen's
//! 2 parse      the request; its sender holds the key
//! 3 settle     an end that is owed is told first, a statement without an answer is sent again as it is
//! 4 state      signed, and durable before it is sent: after a power cut the same statement is sent again
//! 5 ask        the authority, which decides
//! 6 prove      the answer is of this key and this address, under our root
//! 7 record     with the account, in one commit with the log entry, while the mailbox is open
//!
//! What ends — at the counter's word, or with the mailbox — is owed durably first, and told until the authority has heard it.

use std::sync::PoisonError;

use pki::path::CertificateFacts;
use pki::request::Request;
use pki::view::CertificateView;
use policies::mailbox::MailboxNumber;
use policies::registrar::{Ending, Standing};
use runtime::exit::{Exit, Problem};
use store::{Batch, CommitError, Expectation, StoreError};
use time::OffsetDateTime;

use crate::bureau::trust::{Purpose, TrustError};
use crate::directory::{Account, DirectoryError, Holder, still_open};
use crate::gateway::{Gateway, unix_millis};
use crate::record::bureau::Chain;
use crate::record::certificate::{self as record, Asked, Held, Sealed};
use crate::record::event::{self, Event};
use crate::record::owner_notice::{Act, OwnerNotice};
use crate::record::{RecordError, index};
use crate::registrar::authority::Authority;
use crate::registrar::{Desk, RegistrarError, Signed};
use crate::tls::{self, TlsError};

/// The longest request that is read.
const MAX_REQUEST: usize = 16 * 1024;
/// How the authority says that the mailbox has a certificate that is not over.
const HAS_ONE: &str = "mailbox-has-certificate";
/// Endings of one turn of the job.
const TURN: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("mailbox {mailbox} is an institution's, whose certificates the authority's own counter issues; see `ca issue enterprise-signing --mailbox`")]
    Institution { mailbox: MailboxNumber },
    #[error("the mailbox has no certificate; make one with --request")]
    None,
    #[error("the request has more than {MAX_REQUEST} bytes; send the PEM file that `openssl req -new` wrote")]
    TooLarge,
    #[error("the request: {0}")]
    Request(#[from] pki::request::RequestError),
    #[error("the certificate is not of this request's key; nothing was kept, and the authority must be asked why")]
    OtherKey,
    #[error("the certificate is of another mailbox than {address}; nothing was kept")]
    OtherAddress { address: String },
    #[error("somebody else asks for a certificate of this mailbox at this moment; try again")]
    Busy,
    #[error("the mailbox was closed meanwhile, so its certificate ends; nothing was kept")]
    ClosedMeanwhile,
    #[error("what was asked for was answered or withdrawn meanwhile; nothing was kept: look with `mailgw certificate show`, withdraw, then ask again")]
    SettledMeanwhile,
    #[error("{0:?} is no reason; write superseded, key-compromise or cessation-of-operation")]
    Reason(String),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Registrar(#[from] RegistrarError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What the authority said.
    #[error("{0}")]
    Authority(Problem),
}

impl From<StoreError> for CertificateError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<CertificateError> for Problem {
    fn from(error: CertificateError) -> Self {
        let (exit, code) = match error {
            CertificateError::Directory(error) => return error.into(),
            CertificateError::Registrar(error) => return error.into(),
            CertificateError::Trust(error) => return error.into(),
            CertificateError::Tls(error) => return error.into(),
            CertificateError::Authority(problem) => return problem,
            CertificateError::Institution { .. } => (Exit::Refused, "institution"),
            CertificateError::None => (Exit::NotFound, "no-certificate"),
            CertificateError::TooLarge | CertificateError::Request(_) => (Exit::Refused, "request"),
            CertificateError::OtherKey | CertificateError::OtherAddress { .. } => (Exit::Refused, "other-certificate"),
            CertificateError::Busy => (Exit::Conflict, "busy"),
            CertificateError::SettledMeanwhile => (Exit::Conflict, "settled-meanwhile"),
            CertificateError::ClosedMeanwhile => (Exit::Refused, "mailbox-closed"),
            CertificateError::Reason(_) => (Exit::Usage, "reason"),
            CertificateError::Record(_) => (Exit::Damaged, "store-damaged"),
            CertificateError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// A certificate kept with its mailbox.
pub struct Kept {
    pub address: String,
    pub pseudonym: String,
    pub chain: Chain,
}

/// Steps 1 to 7.
pub fn certify(gateway: &Gateway, authority: &dyn Authority, mailbox: &str, request: &str) -> Result<Kept, CertificateError> {
    let now = gateway.clock.now();
    // 1.
    let account = open_citizen(gateway, mailbox)?;
    let number = account.number;
    // 2.
    if request.len() > MAX_REQUEST {
        return Err(CertificateError::TooLarge);
    }
    let read = Request::parse(request.as_bytes())?;
    // 3.
    let desk = Desk::open(&*gateway.store, &gateway.keys)?;
    if gateway.store.get(&record::Ending::key(number))?.is_some() {
        let _alone = gateway.telling.lock().unwrap_or_else(PoisonError::into_inner);
        tell(gateway, authority, &desk, number)?;
    }
    if let Some(kept) = settle(gateway, authority, &desk, number, &read)? {
        return Ok(kept);
    }
    // 4.
    let address = gateway.directory.address(number);
    let pseudonym = record::pseudonym(number, &gateway.directory_key);
    let signed = desk.certify(&address, pseudonym.clone(), read.der(), now)?;
    let asked = Asked { statement: signed.statement.clone(), signature: signed.signature.clone(), request: request.to_owned() };
    let place = Asked::key(number);
    let mut batch = Batch::new().expect(still_open(number)).expect(Expectation::Absent(place.clone())).expect(Expectation::Absent(record::Ending::key(number)));
    let stored = asked.seal(number, &gateway.directory_key)?;
    batch = batch.put(place, stored.clone()).put(record::by_pseudonym(&pseudonym, &gateway.directory_key), index::encode(number));
    Event::CertificateAsked(event::Stated { mailbox: number.to_string(), statement: signed.sha256() }).append(&mut batch, unix_millis(now))?;
    // Whoever holds the key logs in by what the authority issues, though nobody here hears of it: the owner is told before it is asked.
    OwnerNotice::owe(&mut batch, number, Act::CertificateAsked, unix_millis(now))?;
    match gateway.store.commit(batch) {
        Ok(_) => {}
        Err(CommitError::Conflict { .. }) => return Err(CertificateError::Busy),
        Err(error) => return Err(error.into()),
    }
    // 5. to 7.
    match answered(gateway, authority, &desk, number, &asked, stored) {
        // Issued before, for this very key, and kept: only its telling was lost.
        Err(CertificateError::Authority(problem)) if problem.code == HAS_ONE => of_key(gateway, number, &read)?.ok_or(CertificateError::Authority(problem)),
        done => done,
    }
}

/// The certificate that is kept, when it is of the key of this request.
fn of_key(gateway: &Gateway, number: MailboxNumber, request: &Request) -> Result<Option<Kept>, CertificateError> {
    let Some(stored) = gateway.store.get(&Held::key(number))? else { return Ok(None) };
    let held = Held::open(number, &stored, &gateway.directory_key)?;
    let same = CertificateView::parse(held.chain.leaf()).is_ok_and(|view| view.spki == request.spki);
    Ok(same.then(|| kept(gateway, number, held.chain)))
}

fn open_citizen(gateway: &Gateway, mailbox: &str) -> Result<Account, CertificateError> {
    let account = gateway.directory.find(mailbox)?.ok_or(DirectoryError::NotFound)?;
    if !account.is_open() {
        return Err(DirectoryError::Closed { mailbox: account.number }.into());
    }
    match account.holder {
        Holder::Citizen { .. } => Ok(account),
        Holder::Institution { .. } => Err(CertificateError::Institution { mailbox: account.number }),
    }
}

/// What was asked before and not heard of: its certificate, when it was for this very request.
fn settle(gateway: &Gateway, authority: &dyn Authority, desk: &Desk, number: MailboxNumber, wanted: &Request) -> Result<Option<Kept>, CertificateError> {
    let Some(stored) = gateway.store.get(&Asked::key(number))? else { return Ok(None) };
    let asked = Asked::open(number, &stored, &gateway.directory_key)?;
    let same = Request::parse(asked.request.as_bytes()).is_ok_and(|before| before.der() == wanted.der());
    match answered(gateway, authority, desk, number, &asked, stored) {
        Ok(kept) if same => Ok(Some(kept)),
        Ok(_) => Ok(None),
        // It never came there and is too old now, or nothing is left of it: a new one is made.
        Err(CertificateError::Authority(problem)) if problem.exit != Exit::Unavailable => Ok(None),
        Err(error) => Err(error),
    }
}

/// Steps 5 to 7 for a statement that is durable, and stands in the store as `stored`.
fn answered(gateway: &Gateway, authority: &dyn Authority, desk: &Desk, number: MailboxNumber, asked: &Asked, stored: Vec<u8>) -> Result<Kept, CertificateError> {
    let now = gateway.clock.now();
    // 5.
    let signed = Signed { statement: asked.statement.clone(), signature: asked.signature.clone() };
    let pem = match authority.certify(&desk.authority, &signed, &asked.request) {
        Ok(pem) => pem,
        Err(problem) => {
            // What was decided is decided: the statement is not sent again. One that nobody heard is.
            if problem.exit != Exit::Unavailable {
                // Another's that stands there meanwhile stays.
                match gateway.store.commit(Batch::new().expect(Expectation::Equals(Asked::key(number), stored)).delete(Asked::key(number))) {
                    Ok(_) | Err(CommitError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            return Err(CertificateError::Authority(problem));
        }
    };
    // 6.
    let request = Request::parse(asked.request.as_bytes())?;
    let chain = Chain::new(tls::chain(pem.as_bytes())?).ok_or(TlsError::NoCertificate)?;
    let view = CertificateView::parse(chain.leaf()).map_err(|_| TlsError::Malformed { place: 1 })?;
    if view.spki != request.spki {
        return Err(CertificateError::OtherKey);
    }
    proved(gateway, number, &chain, now)?;
    // 7.
    keep(gateway, number, chain, Some(stored), now)
}

/// Of this mailbox, for mail, under our root; whether it is revoked is asked where it is used.
fn proved(gateway: &Gateway, number: MailboxNumber, chain: &Chain, now: OffsetDateTime) -> Result<(), CertificateError> {
    let address = gateway.directory.address(number);
    let facts = CertificateFacts::parse(chain.leaf()).map_err(|_| TlsError::Malformed { place: 1 })?;
    if facts.emails != [address.clone()] {
        return Err(CertificateError::OtherAddress { address });
    }
    Ok(gateway.anchors.trusted_but_for_revocation(chain, Purpose::Citizen, now)?)
}

/// Keeps the certificate that was asked for in `asked`, while that still stands.
fn keep(gateway: &Gateway, number: MailboxNumber, chain: Chain, asked: Option<Vec<u8>>, now: OffsetDateTime) -> Result<Kept, CertificateError> {
    let held = Held { chain: chain.clone(), since: unix_millis(now) };
    let sha256 = crate::hex(&crate::record::body::digest(chain.leaf()));
    let mut batch = Batch::new().expect(still_open(number)).put(Held::key(number), held.seal(number, &gateway.directory_key)?).delete(Asked::key(number));
    match asked {
        Some(asked) => batch = batch.expect(Expectation::Equals(Asked::key(number), asked)),
        // Its owner was told of none that was asked for.
        None => OwnerNotice::owe(&mut batch, number, Act::CertificateRenewed, unix_millis(now))?,
    }
    Event::CertificateHeld(event::MailCertificate { mailbox: number.to_string(), sha256 }).append(&mut batch, unix_millis(now))?;
    match gateway.store.commit(batch) {
        Ok(_) => Ok(kept(gateway, number, chain)),
        // Closed since it was asked for: closing owes its end, since a statement stood there.
        Err(CommitError::Conflict { .. }) if !gateway.directory.get(number)?.is_some_and(|account| account.is_open()) => Err(CertificateError::ClosedMeanwhile),
        Err(CommitError::Conflict { .. }) => match gateway.store.get(&Held::key(number))? {
            // The same statement was sent twice, and the other was first with the answer.
            Some(stored) if Held::open(number, &stored, &gateway.directory_key)?.chain.leaf() == chain.leaf() => Ok(kept(gateway, number, chain)),
            _ => Err(CertificateError::SettledMeanwhile),
        },
        Err(error) => Err(error.into()),
    }
}

fn kept(gateway: &Gateway, number: MailboxNumber, chain: Chain) -> Kept {
    Kept { address: gateway.directory.address(number), pseudonym: record::pseudonym(number, &gateway.directory_key).to_string(), chain }
}

/// The certificate that is kept with a mailbox.
pub fn show(gateway: &Gateway, mailbox: &str) -> Result<Kept, CertificateError> {
    let account = gateway.directory.find(mailbox)?.ok_or(DirectoryError::NotFound)?;
    let stored = gateway.store.get(&Held::key(account.number))?.ok_or(CertificateError::None)?;
    let held = Held::open(account.number, &stored, &gateway.directory_key)?;
    Ok(kept(gateway, account.number, held.chain))
}

/// Takes in a certificate that the holder renewed at the authority: steps 1, 6 and 7.
pub fn take(gateway: &Gateway, mailbox: &str, pem: &str) -> Result<Kept, CertificateError> {
    let account = open_citizen(gateway, mailbox)?;
    let chain = Chain::new(tls::chain(pem.as_bytes())?).ok_or(TlsError::NoCertificate)?;
    let now = gateway.clock.now();
    proved(gateway, account.number, &chain, now)?;
    keep(gateway, account.number, chain, None, now)
}

/// At the counter's word: owed durably, then told.
pub fn withdraw(gateway: &Gateway, authority: &dyn Authority, mailbox: &str, reason: &str) -> Result<Vec<String>, CertificateError> {
    let reason = Ending::from_name(reason).ok_or_else(|| CertificateError::Reason(reason.chars().take(40).collect()))?;
    let account = open_citizen(gateway, mailbox)?;
    let desk = Desk::open(&*gateway.store, &gateway.keys)?;
    let (number, now) = (account.number, gateway.clock.now());
    let _alone = gateway.telling.lock().unwrap_or_else(PoisonError::into_inner);
    let mut batch = owed(Batch::new().expect(still_open(number)), number, reason, &gateway.directory_key, now)?;
    Event::CertificateEnding(event::Ending { mailbox: number.to_string(), reason: reason.to_string() }).append(&mut batch, unix_millis(now))?;
    gateway.store.commit(batch)?;
    tell(gateway, authority, &desk, number)
}

/// The end of a mailbox's certificates, to be told the authority.
pub(crate) fn owed(batch: Batch, number: MailboxNumber, reason: Ending, key: &keys::DataKey, now: OffsetDateTime) -> Result<Batch, RecordError> {
    let ending = record::Ending { reason: reason.to_string(), since: unix_millis(now) };
    Ok(batch.put(record::Ending::key(number), ending.seal(number, key)?))
}

/// Tells the authority what is owed of one mailbox. Each time in a statement of its own: what has ended ends no more.
fn tell(gateway: &Gateway, authority: &dyn Authority, desk: &Desk, number: MailboxNumber) -> Result<Vec<String>, CertificateError> {
    let now = gateway.clock.now();
    let place = record::Ending::key(number);
    let Some(stored) = gateway.store.get(&place)? else { return Ok(Vec::new()) };
    let ending = record::Ending::open(number, &stored, &gateway.directory_key)?;
    let reason = Ending::from_name(&ending.reason).ok_or(RecordError::Damaged { kind: record::Ending::KIND, reason: "it holds no reason" })?;
    let open = gateway.directory.get(number)?.is_some_and(|account| account.is_open());
    let standing = if open { Standing::Open } else { Standing::Closed };
    let signed = desk.withdraw(&gateway.directory.address(number), standing, reason, now)?;
    let ended = authority.withdraw(&desk.authority, &signed).map_err(CertificateError::Authority)?;
    // A statement that waits for its answer has none to get any more; and what was kept is over.
    let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), stored)).delete(place).delete(Held::key(number)).delete(Asked::key(number));
    Event::CertificatesWithdrawn(event::Stated { mailbox: number.to_string(), statement: signed.sha256() }).append(&mut batch, unix_millis(now))?;
    match gateway.store.commit(batch) {
        // Owed anew meanwhile, since the mailbox was closed: that is told in its turn.
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(ended),
        Err(error) => Err(error.into()),
    }
}

/// How many ends are owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub told: u64,
    pub owed: u64,
}

/// Tells all that is owed: the job's turn. One that fails holds up no other, unless the authority or the store is away; the first
/// failure is given back.
pub fn tell_all(gateway: &Gateway, authority: &dyn Authority) -> (Told, Option<CertificateError>) {
    let _alone = gateway.telling.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut all, mut first) = (Told::default(), None);
    let (mut from, to) = record::Ending::range();
    let mut opened = None;
    loop {
        let due = match gateway.store.scan(&from, &to, TURN) {
            Ok(due) => due,
            Err(error) => return (all, Some(first.unwrap_or_else(|| error.into()))),
        };
        let Some((last, _)) = due.last() else { return (all, first) };
        from = last.successor();
        all.owed += due.len() as u64;
        for (key, _) in &due {
            let desk = match opened {
                Some(ref desk) => desk,
                None => match Desk::open(&*gateway.store, &gateway.keys) {
                    Ok(desk) => &*opened.insert(desk),
                    // Without a registrar's key nothing can be told.
                    Err(error) => return (all, Some(error.into())),
                },
            };
            let told = record::Ending::number(key).map_err(CertificateError::from).and_then(|number| tell(gateway, authority, desk, number));
            match told {
                Ok(_) => {
                    all.told += 1;
                    all.owed -= 1;
                }
                Err(error) => {
                    let away = error.is_away();
                    first.get_or_insert(error);
                    if away {
                        return (all, first);
                    }
                }
            }
        }
    }
}

impl CertificateError {
    /// What fails now would fail for every other mailbox too.
    fn is_away(&self) -> bool {
        match self {
            Self::Authority(problem) => problem.exit == Exit::Unavailable,
            Self::Commit(_) => true,
            _ => false,
        }
    }
}
