//! The bureau's desk: receives filings, proves them, answers with sealed receipts.

pub mod bureau;
pub mod check;
pub mod doctor;
pub mod flow;
pub mod grounds;
pub mod http;
pub mod init;
pub mod job;
pub mod officer;
pub mod outside;
pub mod policy;
pub mod problem;
pub mod ready;
pub mod receipt;
pub mod record;
pub mod registry;
pub mod service;
pub mod tls;
pub mod trust;
pub mod uploads;

use std::collections::HashMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keys::KeyStore;
use pki::path::Anchors;
use ring::digest::{SHA256, digest};
use runtime::clock::Clock;
use store::Store;

use bureau::Seal;
use grounds::{Grounds, Sight};
use outside::Outside;
use policy::Policies;
use problem::DeskError;
use ready::Ready;
use record::bureau::Sealing;
use record::filing::Said;
use record::settings::Settings;
use registry::Imported;
use trust::Trust;
use uploads::Uploads;

/// What every flow of the desk works with.
pub struct Desk {
    pub grounds: Grounds,
    pub settings: Settings,
    /// Where receipts can be asked for, as receipts say it.
    pub base_url: String,
    pub keys: Arc<KeyStore>,
    pub outside: Arc<dyn Outside>,
    /// Sealed attachments.
    pub attachments: PathBuf,
    /// Held for reading while a file comes with its record, for writing while both go.
    pub going: RwLock<()>,
    pub ready: Ready,
    pub uploads: Uploads,
    /// Held while a registry is imported.
    pub importing: Mutex<()>,
    seals: Mutex<HashMap<String, (Vec<u8>, Arc<Seal>)>>,
}

impl Deref for Desk {
    type Target = Grounds;

    fn deref(&self) -> &Grounds {
        &self.grounds
    }
}

/// What a desk is made of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub base_url: String,
    pub keys: Arc<KeyStore>,
    pub policies: Policies,
    /// By the bureau's code.
    pub anchors: HashMap<String, Arc<Anchors>>,
    pub outside: Arc<dyn Outside>,
    pub attachments: PathBuf,
}

impl Desk {
    pub fn new(parts: Parts) -> Result<Self, DeskError> {
        let Parts { store, clock, settings, base_url, keys, policies, anchors, outside, attachments } = parts;
        let data = keys.data_key("filings")?;
        let trust = Trust::new(anchors, Arc::clone(&outside));
        let older_payloads = store.get(&Said::newest_alone())?.is_none();
        let grounds = Grounds { store, clock, data, policies, trust, registry: Arc::new(Imported), sight: Sight::WHOLE, older_payloads };
        Ok(Self { grounds, settings, base_url, keys, outside, attachments, going: RwLock::default(), ready: Ready::default(), uploads: Uploads::default(), importing: Mutex::default(), seals: Mutex::default() })
    }

    /// What a bureau was given to seal with last; whether it may be used is judged by `ready`. What is kept opened is held
    /// against the record each time, so that nobody seals with what was replaced.
    pub fn seal_of(&self, code: &str) -> Result<Arc<Seal>, DeskError> {
        let record = self.store.get(&Sealing::key(code))?.ok_or_else(|| DeskError::NoSeal { bureau: code.to_owned() })?;
        if let Some((of, seal)) = self.seals.lock().unwrap_or_else(PoisonError::into_inner).get(code)
            && *of == record
        {
            return Ok(Arc::clone(seal));
        }
        let seal = Arc::new(bureau::open(self, &record)?);
        self.seals.lock().unwrap_or_else(PoisonError::into_inner).insert(code.to_owned(), (record, Arc::clone(&seal)));
        Ok(seal)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' - 10 + half };
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect();
    // Digits are text.
    String::from_utf8(digits).unwrap_or_default()
}

/// GB/T 32905, beside SHA-256 where the country's rules ask for it. spec: domain.md 6.5
pub(crate) fn sm3_hex(bytes: &[u8]) -> String {
    use sm3::Digest as _;
    hex(&sm3::Sm3::digest(bytes))
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    /// The two examples of GB/T 32905-2016, annex A.
    #[test]
    fn sm3_is_the_standards() {
        assert_eq!(super::sm3_hex(b"abc"), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        assert_eq!(super::sm3_hex(&b"abcd".repeat(16)), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    }
}
