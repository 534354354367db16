//! What every flow of the gateway works with: the store, the keys, the clock, what was decided at the founding.

use std::sync::Arc;

use keys::{DataKey, KeyError, KeyStore};
use runtime::clock::Clock;
use runtime::exit::Problem;
use store::Store;

use crate::bureau::trust::Anchors;
use crate::mailbox::MessageStore;
use crate::record::settings::Settings;

/// The names of the data keys in the key store: message bodies, and the directory of persons.
const MAIL_KEY: &str = "mail";
const DIRECTORY_KEY: &str = "directory";

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        let GatewayError::Key(key) = &error;
        let (exit, code) = crate::problem::key_class(key);
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// An open gateway.
pub struct Gateway {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub keys: KeyStore,
    pub anchors: Anchors,
    pub messages: Arc<MessageStore>,
    pub directory_key: Arc<DataKey>,
}

impl Gateway {
    pub fn open(store: Arc<dyn Store>, settings: Settings, keys: KeyStore, anchors: Anchors, clock: Arc<dyn Clock>) -> Result<Self, GatewayError> {
        let messages = Arc::new(MessageStore::new(Arc::clone(&store), Arc::new(keys.data_key(MAIL_KEY)?)));
        let directory_key = Arc::new(keys.data_key(DIRECTORY_KEY)?);
        Ok(Self { store, clock, settings, keys, anchors, messages, directory_key })
    }

    pub fn now_unix_millis(&self) -> u64 {
        u64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }
}
