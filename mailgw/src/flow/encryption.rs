//! Statements that their owner alone can read: sealed by the bureau first, then encrypted to the certificate that the owner got at the
//! mailbox's counter. The owner decides it; where the certificate serves no more, the statement comes as it is, and the evidence says why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keys::{EnvelopeError, seal_to};
use pki::path::{PathError, RevocationList};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::Batch;
use time::{Duration, OffsetDateTime};

use crate::bureau::trust::{self, Purpose, TrustError};
use crate::directory::DirectoryError;
use crate::erds::Secrecy;
use crate::flow::certificate::CertificateError;
use crate::gateway::Gateway;
use crate::record::RecordError;
use crate::record::account::{Account, Holder};
use crate::record::body;
use crate::record::bureau::Chain;
use crate::record::certificate::{Held, Sealed as _};
use crate::record::event::{Encryption, Event};
use crate::record::evidence::ReadError;
use crate::record::secrecy::Wish;

/// How long lists that were read are believed.
const KEEP: Duration = Duration::MINUTE;
const UNKNOWN: &str = "certificate-status-unknown";

/// What is known of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub address: String,
    pub encrypted: bool,
    /// There is a certificate to encrypt to; whether it serves is looked at with each statement.
    pub certificate: bool,
}

/// The owner's word, at the counter; none shows what holds. Durable, with its leaf of the log.
pub fn say(gateway: &Gateway, mailbox: &str, on: Option<bool>) -> Result<Shown, CertificateError> {
    let account = gateway.directory.find(mailbox)?.filter(Account::is_open).ok_or(DirectoryError::NotFound)?;
    if matches!(account.holder, Holder::Institution { .. }) {
        return Err(CertificateError::Institution { mailbox: account.number });
    }
    let certificate = gateway.store.get(&Held::key(account.number))?.is_some();
    let key = Wish::key(&account.mailbox());
    let before = gateway.store.get(&key)?.is_some();
    if on == Some(true) && !certificate {
        return Err(CertificateError::None);
    }
    if let Some(on) = on.filter(|on| *on != before) {
        let now = gateway.now_unix_millis();
        let mut write = Batch::new().expect(crate::directory::still_open(account.number));
        write = if on { write.put(key, Wish { since_unix_millis: now }.encode()?) } else { write.delete(key) };
        Event::EncryptionSet(Encryption { mailbox: account.mailbox(), holds: on }).append(&mut write, now)?;
        gateway.store.commit(write)?;
    }
    Ok(Shown { address: gateway.directory.address(account.number), encrypted: on.unwrap_or(before), certificate })
}

/// What messages are encrypted with, of many mailboxes one after the other.
pub(super) struct Envelopes<'a> {
    gateway: &'a Gateway,
    lists: &'a RevocationLists,
    read: Mutex<HashMap<Vec<String>, (OffsetDateTime, Option<Arc<Vec<RevocationList>>>)>>,
}

impl<'a> Envelopes<'a> {
    pub fn new(gateway: &'a Gateway, lists: &'a RevocationLists) -> Self {
        Self { gateway, lists, read: Mutex::default() }
    }

    /// The content sealed to the owner, and what evidence says of that; `None` where the owner did not ask for it.
    pub fn seal(&self, account: &Account, content: impl FnOnce() -> Vec<u8>) -> Result<Option<(Secrecy, Option<Vec<u8>>)>, ReadError> {
        let store = &*self.gateway.store;
        if store.get(&Wish::key(&account.mailbox()))?.map(|bytes| Wish::decode(&bytes)).transpose()?.is_none() {
            return Ok(None);
        }
        let plain = |why: &str| Ok(Some((Secrecy::NotEncrypted(why.to_owned()), None)));
        let Some(held) = store.get(&Held::key(account.number))? else { return plain("no-certificate") };
        let Held { chain, .. } = Held::open(account.number, &held, &self.gateway.directory_key)?;
        let proved = match self.serves(&chain) {
            Ok(()) => true,
            // Who asked for secrecy is not given away because a list is away.
            Err(UNKNOWN) => false,
            Err(why) => return plain(why),
        };
        match seal_to(chain.leaf(), &content()) {
            Ok(envelope) => {
                let certificate = crate::hex(&body::digest(chain.leaf()));
                let secrecy = if proved { Secrecy::EncryptedTo(certificate) } else { Secrecy::EncryptedUnproved(certificate) };
                Ok(Some((secrecy, Some(envelope))))
            }
            Err(EnvelopeError::Key) => plain("certificate-not-for-encryption"),
            // Nothing goes out in clear for a failure of this machine: the push goes on when it is mended.
            Err(_) => Err(RecordError::Damaged { kind: "mail encryption", reason: "a message could not be encrypted" }.into()),
        }
    }

    /// Whether a certificate is one to encrypt to, today: a citizen's of ours, for agreeing on keys, current and not revoked.
    fn serves(&self, chain: &Chain) -> Result<(), &'static str> {
        let now = self.gateway.clock.now();
        let anchors = &self.gateway.anchors;
        // No list is fetched from where a stranger's certificate says.
        anchors.trusted_but_for_revocation(chain, Purpose::Secrecy, now).map_err(|error| word(&error))?;
        let lists = self.lists(chain, now).ok_or(UNKNOWN)?;
        anchors.trusted_by(chain, Purpose::Secrecy, &lists, now).map(|_| ()).map_err(|error| word(&error))
    }

    fn lists(&self, chain: &Chain, now: OffsetDateTime) -> Option<Arc<Vec<RevocationList>>> {
        let urls = trust::crl_urls(chain).ok()?;
        if let Some((at, lists)) = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&urls)
            && (*at..*at + KEEP).contains(&now)
        {
            return lists.clone();
        }
        let fetched = self.lists.fetch(&urls, now).ok();
        let lists = fetched.and_then(|fetched| fetched.iter().map(|der| RevocationList::parse(der)).collect::<Result<Vec<_>, _>>().ok()).map(Arc::new);
        // That a list is away is remembered too: not every row waits for a silent host.
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(urls, (now, lists.clone()));
        lists
    }
}

/// As evidence says it: a closed list.
fn word(error: &TrustError) -> &'static str {
    match error {
        TrustError::Path { error: PathError::Revoked { .. }, .. } => "certificate-revoked",
        TrustError::Path { error: PathError::Expired | PathError::NotYetValid, .. } | TrustError::NotValid { .. } => "certificate-expired",
        TrustError::List(_) | TrustError::Path { error: PathError::RevocationUnknown, .. } => UNKNOWN,
        TrustError::Path { error: PathError::WrongUsage, .. } => "certificate-not-for-encryption",
        _ => "certificate-not-trusted",
    }
}

