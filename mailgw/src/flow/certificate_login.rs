//! Logging in by a certificate of our authority, one straight line: shown → read → whose → trusted → not revoked → logged in; and again
//! and again while the session stands.
//!
//! TLS proved that the client has the key. What it shows is believed for the mailbox whose address stands in it, and for no other: a
//! citizen's under the citizens' policy, an institution's under that of enterprises' mailboxes and with the credit code of the holder. A
//! citizen who is an operator of an institution says so by naming its mailbox, and is let into that by the own certificate.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pki::path::{CertificateFacts, PathError};
use policies::mailbox::MailboxNumber;
use runtime::clock::Clock;
use runtime::revocation::RevocationLists;
use time::{Duration, OffsetDateTime};

use crate::bureau::trust::{Anchors, Purpose, TrustError, crl_urls};
use crate::directory::{Account, Credential, Directory, DirectoryError, Holder};
use crate::record::body::digest;
use crate::record::bureau::Chain;
use crate::flow::login::meant;
use crate::wire::accounts::{Entered, Login, LoginRefusal, Shown};

/// Lists this old are believed here: with `AGAIN` a revocation that is published ends a session within a quarter of a minute, and with the
/// authority's own time to publish it (`crl.toml`) within a minute. One that is still the same is not sent anew.
pub const LISTS: Duration = Duration::seconds(10);
/// How often sessions that stand are looked at again.
pub const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);
/// How long a session stands of whose certificate nobody can say whether it is revoked, since it was last known that it is not.
pub const UNKNOWN: Duration = Duration::hours(1);
/// Certificates of a client, its issuers included.
const MAX_CHAIN: usize = 8;

/// How long it holds that a certificate is good by lists that are still the same: after that they may have ended.
const SAME: Duration = Duration::minutes(5);
const MAX_LISTS: usize = 64;
/// Lists that are asked for at the same time when sessions are looked at again: as many as are kept, so that a look takes no longer than the
/// longest of them.
const AT_ONCE: usize = MAX_LISTS;

/// Where lists come from: the one at this address, not older than `most` at `now`; the same one is the same `Arc`. Blocking.
pub trait Lists: Send + Sync {
    fn fetch(&self, url: &str, now: OffsetDateTime, most: Duration) -> Result<Arc<[u8]>, String>;
}

/// Lists as they were had last.
pub struct KeptLists {
    lists: Arc<RevocationLists>,
    had: Mutex<HashMap<String, Arc<[u8]>>>,
}

impl KeptLists {
    pub fn new(lists: Arc<RevocationLists>) -> Self {
        Self { lists, had: Mutex::default() }
    }
}

impl Lists for KeptLists {
    fn fetch(&self, url: &str, now: OffsetDateTime, most: Duration) -> Result<Arc<[u8]>, String> {
        // Logins do not wait for a list that is away one after another.
        let fetched = self.lists.fetch_in_passing(&[url.to_owned()], now, most).map_err(|error| error.to_string())?;
        let list = fetched.into_iter().next().ok_or_else(|| "no list".to_owned())?;
        let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = had.get(url).filter(|had| ***had == *list) {
            return Ok(Arc::clone(same));
        }
        if had.len() >= MAX_LISTS {
            had.clear();
        }
        let list: Arc<[u8]> = list.into();
        had.insert(url.to_owned(), Arc::clone(&list));
        Ok(list)
    }
}

/// A certificate by which sessions stand, and the lists by which it was good.
struct Looked {
    shown: Weak<Shown>,
    lists: Vec<Arc<[u8]>>,
    at: OffsetDateTime,
    /// When it was last known that it is not revoked.
    known: OffsetDateTime,
}

/// One by which somebody is logged in, as it was looked at last.
struct Standing {
    shown: Arc<Shown>,
    lists: Vec<Arc<[u8]>>,
    at: OffsetDateTime,
    known: OffsetDateTime,
}

impl Standing {
    /// The lists by which it was good, while they hold if they are still the same.
    fn before(&self, now: OffsetDateTime) -> Option<&[Arc<[u8]>]> {
        Some(self.lists.as_slice()).filter(|_| (self.at..self.at + SAME).contains(&now))
    }
}

/// The path to our root, and where it says its lists are.
struct Path {
    purpose: Purpose,
    chain: Chain,
    urls: Vec<String>,
}

/// What came from an address, or why nothing did.
type Fetched = Result<Arc<[u8]>, String>;

/// Who may log in by certificate, and who did.
pub struct CertificateLogins {
    pub directory: Arc<Directory>,
    pub anchors: Arc<Anchors>,
    pub lists: Arc<dyn Lists>,
    pub clock: Arc<dyn Clock>,
    /// By the certificate, and the mailbox that was entered by it.
    standing: Mutex<HashMap<([u8; 32], MailboxNumber), Looked>>,
}

/// Why a certificate opens nothing.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// No certificate of a mailbox that is open, or not of the one that was meant.
    #[error("it is of no open mailbox here, or of another than was named")]
    Nobody,
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("{0}")]
    Lists(String),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl CertificateLogins {
    pub fn new(directory: Arc<Directory>, anchors: Arc<Anchors>, lists: Arc<dyn Lists>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, anchors, lists, clock, standing: Mutex::default() }
    }

    /// `user`: whom the client says it is, where it says so. Blocking.
    pub fn login(&self, certificates: &[Vec<u8>], user: Option<&str>) -> Result<Entered, LoginRefusal> {
        let entered = self.enter(certificates, user);
        entered.map_err(|refused| match refused {
            Refused::Directory(error) => {
                tracing::error!(%error, "logins cannot be checked");
                LoginRefusal::Unavailable
            }
            // Whether it is revoked cannot be said: later it can.
            Refused::Lists(_) | Refused::Trust(TrustError::List(_) | TrustError::Path { error: PathError::RevocationUnknown, .. }) => {
                tracing::warn!(error = %refused, "whether a client's certificate is revoked cannot be found out");
                LoginRefusal::Unavailable
            }
            refused => {
                tracing::info!(reason = %refused, "a client's certificate is refused");
                LoginRefusal::Denied
            }
        })
    }

    fn enter(&self, certificates: &[Vec<u8>], user: Option<&str>) -> Result<Entered, Refused> {
        // 1. What TLS was shown, within bounds.
        let chain = Some(certificates).filter(|all| all.len() <= MAX_CHAIN).and_then(|all| Chain::new(all.to_vec())).ok_or(Refused::Nobody)?;
        // 2. Whose it says it is: an open mailbox, and the one that is meant.
        let account = self.holder(&chain)?;
        let (number, operator) = match user {
            Some(user) => meant(&self.directory, &account, user)?.ok_or(Refused::Nobody)?,
            None => (account.number, None),
        };
        // 3. and 4. Ours, for this, and not revoked.
        let now = self.clock.now();
        let path = self.path(&chain, &account, now)?;
        let fetched: Vec<Fetched> = path.urls.iter().map(|url| self.lists.fetch(url, now, LISTS)).collect();
        let lists = self.trusted(&path, fetched.iter(), None, now)?;
        let chain = path.chain;
        // 5. Looked at again from now on, for as long as somebody keeps what is returned.
        let sha256 = digest(chain.leaf());
        let shown = Arc::new(Shown { number, operator, sha256, chain });
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.retain(|_, looked| looked.shown.strong_count() > 0);
        // Two sessions of one certificate in one mailbox are looked at once.
        let place = (sha256, number);
        let shown = standing.get(&place).and_then(|looked| looked.shown.upgrade()).filter(|known| known.operator == operator).unwrap_or(shown);
        standing.insert(place, Looked { shown: Arc::downgrade(&shown), lists, at: now, known: now });
        Ok(Entered { login: Login { number, credential: Credential::Certificate(sha256), operator }, signature: None, shown: Some(shown), token: None })
    }

    /// Every certificate by which a session stands, once more: one that is revoked or over ends its sessions. Blocking.
    ///
    /// 1 whose it is still, and where its lists are · 2 all lists are asked for at the same time: a server that is silent keeps the looks of
    /// a round waiting once, and not for each of its lists · 3 each is judged as soon as its own lists are there.
    pub fn look_again(&self) {
        self.look_again_by(AT_ONCE);
    }

    /// With as many threads beside this one at most.
    pub fn look_again_by(&self, most: usize) {
        // 1
        let of = |looked: &Looked| looked.shown.upgrade().map(|shown| Standing { shown, lists: looked.lists.clone(), at: looked.at, known: looked.known });
        let standing: Vec<_> = self.standing.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(of).collect();
        let now = self.clock.now();
        let (mut waiting, mut urls) = (Vec::new(), BTreeSet::new());
        for one in standing {
            match self.holds(&one.shown, now) {
                Ok(path) => {
                    urls.extend(path.urls.iter().cloned());
                    waiting.push((one, path));
                }
                Err(refused) => self.looked(&one, Err(refused), now),
            }
        }
        // 2
        let threads = urls.len().min(most);
        let urls = Mutex::new(urls.into_iter());
        let next = || urls.lock().unwrap_or_else(PoisonError::into_inner).next();
        let fetch = |comes: Sender<(String, Fetched)>| {
            while let Some(url) = next() {
                let list = self.lists.fetch(&url, now, LISTS);
                if comes.send((url, list)).is_err() {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            let (comes, came) = channel();
            let started = (0..threads).take_while(|_| {
                let (comes, fetch) = (comes.clone(), &fetch);
                std::thread::Builder::new().spawn_scoped(scope, move || fetch(comes)).is_ok()
            });
            // Where no thread can be had this one does it.
            if started.count() == 0 {
                fetch(comes);
            } else {
                drop(comes);
            }
            // 3
            self.judge(waiting, &came, now);
        });
    }

    fn judge(&self, mut waiting: Vec<(Standing, Path)>, came: &Receiver<(String, Fetched)>, now: OffsetDateTime) {
        let mut had = HashMap::new();
        loop {
            waiting.retain(|(one, path)| {
                let fetched: Option<Vec<&Fetched>> = path.urls.iter().map(|url| had.get(url)).collect();
                if let Some(fetched) = &fetched {
                    self.looked(one, self.trusted(path, fetched.iter().copied(), one.before(now), now), now);
                }
                fetched.is_none()
            });
            let Ok((url, list)) = came.recv() else { return };
            had.insert(url, list);
        }
    }

    /// Whose it was it is still, and the operator stands who entered by it.
    fn holds(&self, shown: &Shown, now: OffsetDateTime) -> Result<Path, Refused> {
        let account = self.holder(&shown.chain)?;
        let operates = shown.operator.map(|which| self.directory.operator_stands(shown.number, which)).transpose()?;
        if operates == Some(false) { Err(Refused::Nobody) } else { self.path(&shown.chain, &account, now) }
    }

    /// What follows from a look.
    fn looked(&self, one: &Standing, still: Result<Vec<Arc<[u8]>>, Refused>, now: OffsetDateTime) {
        let shown = &one.shown;
        match still {
            Ok(after) => {
                if let Some(looked) = self.standing.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&(shown.sha256, shown.number)) {
                    looked.known = now;
                    if !one.before(now).is_some_and(|before| same(before, &after)) {
                        (looked.lists, looked.at) = (after, now);
                    }
                }
            }
            // Nothing is known against it: a list that cannot be had for a while throws nobody out, and lets nobody in. Without end it
            // would be how to go on with a key that was revoked: by keeping the list away.
            Err(Refused::Lists(_) | Refused::Directory(_) | Refused::Trust(TrustError::List(_) | TrustError::Path { error: PathError::RevocationUnknown, .. })) if now < one.known + UNKNOWN => {
                tracing::warn!("whether a certificate by which somebody is logged in is revoked cannot be found out");
            }
            Err(reason) => {
                tracing::info!(%reason, "sessions by a certificate end");
                self.directory.end_logins_by(shown.number, Credential::Certificate(shown.sha256));
            }
        }
    }

    /// The open mailbox whose one address it bears; an institution's certificate bears its credit code, too.
    fn holder(&self, chain: &Chain) -> Result<Account, Refused> {
        let facts = CertificateFacts::parse(chain.leaf()).map_err(|_| Refused::Nobody)?;
        let [address] = facts.emails.as_slice() else { return Err(Refused::Nobody) };
        let account = self.directory.find_address(address)?.filter(Account::is_open).ok_or(Refused::Nobody)?;
        match &account.holder {
            Holder::Institution { code, .. } if facts.credit_code() != Some(code.as_str()) => Err(Refused::Nobody),
            _ => Ok(account),
        }
    }

    /// What is believed of what was shown, and nothing that was shown beside it. Nobody is asked for lists on a stranger's word.
    fn path(&self, shown: &Chain, account: &Account, now: OffsetDateTime) -> Result<Path, Refused> {
        let purpose = purpose(account);
        let chain = self.anchors.path(shown, purpose, now)?;
        let urls = crl_urls(&chain).map_err(|_| Refused::Nobody)?;
        Ok(Path { purpose, chain, urls })
    }

    /// The lists by which it is not revoked. By those of `before` it was good a while ago: where they are the same still, nothing is read
    /// anew.
    fn trusted<'f>(&self, path: &Path, fetched: impl Iterator<Item = &'f Fetched>, before: Option<&[Arc<[u8]>]>, now: OffsetDateTime) -> Result<Vec<Arc<[u8]>>, Refused> {
        // A list that cannot be had keeps no other from saying that the certificate is revoked.
        let (mut lists, mut missing) = (Vec::new(), None);
        for list in fetched {
            match list {
                Ok(found) => lists.push(Arc::clone(found)),
                Err(error) => missing = Some(error.clone()),
            }
        }
        if before.is_some_and(|before| same(before, &lists)) {
            return Ok(lists);
        }
        match (self.anchors.trusted(&path.chain, path.purpose, &lists, now), missing) {
            (Ok(_), _) => Ok(lists),
            (Err(TrustError::Path { error: PathError::RevocationUnknown, .. }), Some(error)) => Err(Refused::Lists(error)),
            (Err(error), _) => Err(error.into()),
        }
    }
}

fn same(before: &[Arc<[u8]>], after: &[Arc<[u8]>]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(before, after)| Arc::ptr_eq(before, after))
}

fn purpose(account: &Account) -> Purpose {
    match account.holder {
        Holder::Citizen { .. } => Purpose::Citizen,
        Holder::Institution { .. } => Purpose::Institution,
    }
}
