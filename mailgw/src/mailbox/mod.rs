//! Mailboxes over the store: blocking calls, time as an argument, everything told is durable.

mod account_watch;
mod annotations;
mod broadcast;
mod change;
mod deleted;
mod deliver;
mod dictionaries;
mod fetched;
mod fresh;
mod folders;
mod index;
mod marks;
mod messages;
mod outlines;
mod quota;
mod replace;
mod rules;
mod steps;
mod trusted;
mod vanished;
mod views;

pub use account_watch::AccountWatch;
pub use broadcast::Watch;
pub use deleted::{Choice, Kept};
pub use fetched::{Fetch, Fetched};
pub use fresh::Fresh;
pub use marks::Mark;
pub use folders::{MAX_FOLDERS, standard_folders};
pub use quota::Quota;
pub use rules::{ENTRY as RULES, RuleError, Rules};
pub use trusted::{Mark as TrustMark, Marked as TrustMarked};
pub(crate) use trusted::Part;
pub use deliver::{Assembled, Content, Delivery, Uid};
pub use messages::{Body, MailError, MessageStore, View};

#[cfg(test)]
mod fault_tests;

#[cfg(test)]
mod watch_tests;

#[cfg(test)]
pub(crate) mod test_keys {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, LazyLock};

    use keys::{DataKey, KeyStore, Passphrase};

    /// Making a key store hashes a passphrase, so one serves all tests.
    static KEYS: LazyLock<[Arc<DataKey>; 2]> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        let store = KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap();
        ["mail", "other"].map(|name| Arc::new(store.data_key(name).unwrap()))
    });

    pub(crate) fn data_key() -> Arc<DataKey> {
        Arc::clone(&KEYS[0])
    }

    pub(crate) fn other_data_key() -> Arc<DataKey> {
        Arc::clone(&KEYS[1])
    }
}
