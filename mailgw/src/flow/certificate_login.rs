//! Logging in by a certificate of our authority, one straight line: shown → read → whose → trusted → not revoked → logged in; and again
//! and again while the session stands.
//!
//! TLS proved that the client has the key. What it shows is believed for the mailbox whose address stands in it, and for no other: a
//! citizen's under the citizens' policy, an institution's under that of enterprises' mailboxes and with the credit code of the holder. A
//! citizen who is an operator of an institution says so by naming its mailbox, and is let into that by the own certificate.

use std::collections::HashMap;
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
        let (chain, lists) = self.trusted(&chain, purpose(&account), None, now)?;
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
    pub fn look_again(&self) {
        let of = |looked: &Looked| looked.shown.upgrade().map(|shown| (shown, looked.lists.clone(), looked.at, looked.known));
        let standing: Vec<_> = self.standing.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(of).collect();
        let now = self.clock.now();
        for (shown, lists, at, known) in standing {
            let before = Some(lists.as_slice()).filter(|_| (at..at + SAME).contains(&now));
            let still = self.holder(&shown.chain).and_then(|account| {
                let operates = shown.operator.map(|which| self.directory.operator_stands(shown.number, which)).transpose()?;
                if operates == Some(false) { Err(Refused::Nobody) } else { self.trusted(&shown.chain, purpose(&account), before, now) }
            });
            match still {
                Ok((_, after)) => {
                    if let Some(looked) = self.standing.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&(shown.sha256, shown.number)) {
                        looked.known = now;
                        if !before.is_some_and(|before| same(before, &after)) {
                            (looked.lists, looked.at) = (after, now);
                        }
                    }
                }
                // Nothing is known against it: a list that cannot be had for a while throws nobody out, and lets nobody in. Without end it
                // would be how to go on with a key that was revoked: by keeping the list away.
                Err(Refused::Lists(_) | Refused::Directory(_) | Refused::Trust(TrustError::List(_) | TrustError::Path { error: PathError::RevocationUnknown, .. })) if now < known + UNKNOWN => {
                    tracing::warn!("whether a certificate by which somebody is logged in is revoked cannot be found out");
                }
                Err(reason) => {
                    tracing::info!(%reason, "sessions by a certificate end");
                    self.directory.end_logins_by(shown.number, Credential::Certificate(shown.sha256));
                }
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

    /// The path that was believed, and nothing that was shown beside it; and the lists by which. By those of `before` it was good a
    /// while ago: where they are the same still, nothing is read anew.
    fn trusted(&self, chain: &Chain, purpose: Purpose, before: Option<&[Arc<[u8]>]>, now: OffsetDateTime) -> Result<(Chain, Vec<Arc<[u8]>>), Refused> {
        // Nobody is asked for lists on a stranger's word.
        let path = self.anchors.path(chain, purpose, now)?;
        // A list that cannot be had keeps no other from saying that the certificate is revoked.
        let (mut lists, mut missing) = (Vec::new(), None);
        for url in crl_urls(&path).map_err(|_| Refused::Nobody)? {
            match self.lists.fetch(&url, now, LISTS) {
                Ok(found) => lists.push(found),
                Err(error) => missing = Some(error),
            }
        }
        if before.is_some_and(|before| same(before, &lists)) {
            return Ok((path, lists));
        }
        match (self.anchors.trusted(&path, purpose, &lists, now), missing) {
            (Ok(_), _) => Ok((path, lists)),
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
