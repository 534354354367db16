//! What every flow of the gateway works with: the store, the keys, the clock, what was decided at the founding.

use std::sync::{Arc, Mutex};

use keys::{DataKey, KeyError, KeyStore};
use policies::certificate::{HostName, WordError};
use policies::mailbox::MailboxPolicy;
use policies::push::PushLimits;
use policies::sender::LetterKinds;
use policies::statement::Parameters;
use runtime::clock::Clock;
use ring::rand::SystemRandom;
use runtime::exit::{Exit, Problem};
use store::Store;
use time::OffsetDateTime;

use crate::bureau::trust::Anchors;
use crate::dkim::{Dkim, DkimError};
use crate::flow::notification::Notifications;
use crate::directory::{Directory, NoRandomness};
use crate::mailbox::{MailError, MessageStore};
use crate::queue::Queue;
use crate::record::annotation;
use crate::record::deleted;
use crate::record::secrecy::Wish;
use crate::record::settings::Settings;

/// The names of the data keys in the key store: message bodies, and the directory of persons.
const MAIL_KEY: &str = "mail";
const DIRECTORY_KEY: &str = "directory";
/// Envelopes of mail for elsewhere.
const QUEUE_KEY: &str = "queue";

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the domain {domain} is refused: {error}; found a gateway for another")]
    Domain { domain: String, error: WordError },
    #[error(transparent)]
    Dkim(#[from] DkimError),
    #[error("the host {host} is no name for SMTP; found a gateway for another")]
    Host { host: String },
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        let error = match error {
            GatewayError::Dkim(error) => return error.into(),
            other => other,
        };
        let (exit, code) = match &error {
            GatewayError::Key(key) => crate::problem::key_class(key),
            GatewayError::Domain { .. } => (Exit::Usage, "domain"),
            GatewayError::Host { .. } => (Exit::Usage, "host-name"),
            GatewayError::Dkim(_) => (Exit::Unavailable, "dkim"),
            GatewayError::Mail(_) => (Exit::Unavailable, "mail"),
            GatewayError::Random(_) => (Exit::Unavailable, "randomness"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What the city decided, as it stands in the state directory.
pub struct Policies {
    pub mailbox: Arc<MailboxPolicy>,
    pub statements: Parameters,
    pub push: PushLimits,
    /// Kinds of message besides statements.
    pub letters: LetterKinds,
    /// SHA-256 over their files, hexadecimal.
    pub digest: String,
}

/// An open gateway.
pub struct Gateway {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub keys: Arc<KeyStore>,
    pub anchors: Arc<Anchors>,
    pub statements: Parameters,
    pub push_limits: PushLimits,
    pub letters: LetterKinds,
    pub messages: Arc<MessageStore>,
    pub directory: Arc<Directory>,
    /// Mail for elsewhere.
    pub queue: Arc<Queue>,
    /// Signatures on mail that is submitted.
    pub dkim: Dkim,
    /// Whose owners wish to be told elsewhere that something arrived.
    pub notifications: Arc<Notifications>,
    /// What persons are found by; see `DataKey::index`.
    pub directory_key: Arc<DataKey>,
    /// Held while the authority is told whose certificates end: what is owed is told by one at a time.
    pub telling: Mutex<()>,
}

impl Gateway {
    pub fn open(
        store: Arc<dyn Store>, settings: Settings, keys: impl Into<Arc<KeyStore>>, anchors: Anchors, policies: Policies, clock: Arc<dyn Clock>,
    ) -> Result<Self, GatewayError> {
        let Policies { mailbox, statements, push: push_limits, letters, digest: _ } = policies;
        let keys = keys.into();
        let mail_key: Arc<DataKey> = Arc::new(keys.data_key(MAIL_KEY)?);
        let domain = HostName::parse(&settings.domain).map_err(|error| GatewayError::Domain { domain: settings.domain.clone(), error })?;
        let directory_key = Arc::new(keys.data_key(DIRECTORY_KEY)?);
        let directory = Arc::new(Directory::new(Arc::clone(&store), Arc::clone(&directory_key), domain, mailbox, Arc::new(SystemRandom::new()))?);
        // What a delivery asks of every mailbox, and few have.
        store.know_absent(&[annotation::few(), deleted::few(), Wish::few()]);
        let owners = Arc::clone(&directory);
        let messages = MessageStore::new(Arc::clone(&store), mail_key).with_quota(move |mailbox| owners.quota(mailbox));
        let messages = Arc::new(messages.with_reserve(directory.policy().notice_bytes()).with_warnings(directory.policy().warning_percent()).with_deleted(directory.policy().deleted_percent()));
        messages.count_by_mailbox()?;
        crate::flow::push::held::mark_held(&*store)?;
        // Whoever asks for a name asks for this first; done here nobody waits for it.
        if let Err(error) = directory.index_readings() {
            tracing::error!(%error, "names that were given before cannot be told apart by how they read, so that none is given until they can; restore the records that are damaged");
        }
        let named = |name: &str| protocol::smtp::exchange::Domain::parse(name).map_err(|_| GatewayError::Host { host: name.to_owned() });
        let (random, queue_key) = (Arc::new(SystemRandom::new()), keys.data_key(QUEUE_KEY)?);
        let (host, domain) = (named(&settings.host)?, named(&settings.domain)?);
        let notifications = Arc::new(Notifications::open(Arc::clone(&store)).map_err(MailError::from)?);
        let dkim = Dkim::open(Arc::clone(&store), Arc::clone(&keys), domain.clone())?;
        let queue = Arc::new(Queue::new(Arc::clone(&store), Arc::clone(&messages), Arc::clone(&directory), queue_key, random, host, domain));
        Ok(Self { store, clock, settings, keys, anchors: Arc::new(anchors), statements, push_limits, letters, messages, directory, queue, dkim, notifications, directory_key, telling: Mutex::default() })
    }

    pub fn now_unix_millis(&self) -> u64 {
        unix_millis(self.clock.now())
    }
}

/// Before 1970: nothing.
pub(crate) fn unix_millis(now: OffsetDateTime) -> u64 {
    u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
