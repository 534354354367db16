//! Mail signatures (DKIM): two on each message that is submitted, one for those who verify Ed25519 and one for those who do not yet.
//! Where the operator gave no RSA key there is the first alone, which the doctor says.
//!
//! A selector is made, its records are published, and only then it is used; another one follows it in the same way. What was
//! signed stays verifiable while the old selector's records stand.
// spec: rfc6376 rfc8301 rfc8463

mod canonical;

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::{DkimFailure, DkimKey, KeyError, KeyStore};
use protocol::smtp::exchange::Domain;
use protocol::smtp::trace;
use ring::digest::{SHA256, digest};
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Store, StoreError};
use time::OffsetDateTime;

use crate::record::RecordError;
use crate::record::dkim::{Selector, Selectors};
use crate::record::event::{self, Event};

/// What is signed: each as often as it stands and once more, so that none can be added. spec: rfc6376#5.4
const SIGNED: [&str; 14] = [
    "From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "In-Reply-To", "References", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "List-Unsubscribe",
];
/// What gives a selector both keys. An old selector gets no new key, since its records may be remembered anywhere.
pub const BOTH: &str =
    "run `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem` and `mailgw dkim new SELECTOR --rsa rsa.pem`, destroy rsa.pem, publish the records of both keys, then `mailgw dkim use SELECTOR`";
/// Selectors ever made; a year has a few.
const MAX_SELECTORS: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    #[error("{selector:?} is no selector: use 1 to 40 lower-case letters, digits and '-', such as 2026a")]
    Form { selector: String },
    #[error("the selector {selector} exists already; choose another, since records of the old one may be remembered anywhere")]
    Exists { selector: String },
    #[error("there is no selector {selector}; make it with `mailgw dkim new {selector}`")]
    NotFound { selector: String },
    #[error("{count} selectors are as many as are kept; found the gateway's domain anew")]
    TooMany { count: usize },
    #[error("the file holds no RSA key of 2048 to 4096 bits; make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`")]
    Rsa,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sign(#[from] DkimFailure),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for DkimError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<DkimError> for Problem {
    fn from(error: DkimError) -> Self {
        let (exit, code) = match &error {
            DkimError::Form { .. } | DkimError::Rsa => (Exit::Usage, "dkim"),
            DkimError::Exists { .. } | DkimError::TooMany { .. } => (Exit::Conflict, "selector"),
            DkimError::NotFound { .. } => (Exit::NotFound, "selector"),
            DkimError::Key(error) => crate::problem::key_class(error),
            DkimError::Sign(_) => (Exit::Unavailable, "dkim"),
            DkimError::Record(_) => (Exit::Damaged, "store-damaged"),
            DkimError::Commit(error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// A selector with the records to publish.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownSelector {
    pub selector: String,
    /// New mail is signed with it.
    pub in_use: bool,
    pub records: Vec<Published>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Published {
    pub name: String,
    /// The text of a TXT record.
    pub text: String,
}

impl ShownSelector {
    /// The kind of key it has none of: mail bears one signature instead of two, and who does not verify that one sees none.
    /// spec: rfc8463#6
    pub fn lacks(&self) -> Option<&'static str> {
        // spec: rfc6376#3.6.1 a record that names no kind is of RSA
        let (ed25519, rsa): (Vec<_>, Vec<_>) = self.records.iter().partition(|record| record.text.contains("k=ed25519;"));
        if rsa.is_empty() { Some("RSA") } else if ed25519.is_empty() { Some("Ed25519") } else { None }
    }
}

/// One name of a selector, and its key.
type Signing = (String, DkimKey);

pub struct Dkim {
    store: Arc<dyn Store>,
    keys: Arc<KeyStore>,
    domain: Domain,
    /// Of the selector in use; empty: nothing is signed.
    current: RwLock<Arc<Vec<Signing>>>,
}

impl Dkim {
    pub fn open(store: Arc<dyn Store>, keys: Arc<KeyStore>, domain: Domain) -> Result<Self, DkimError> {
        let this = Self { store, keys, domain, current: RwLock::default() };
        this.load()?;
        Ok(this)
    }

    /// Makes a selector: an Ed25519 key, and the RSA key given, PEM. It is not used yet.
    pub fn make(&self, selector: &str, rsa: Option<&str>, now_unix_millis: u64) -> Result<ShownSelector, DkimError> {
        // 1. A name that stands in DNS, and was never used.
        let fits = (1..=40).contains(&selector.len()) && selector.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits || selector.starts_with('-') || selector.ends_with('-') {
            return Err(DkimError::Form { selector: selector.chars().take(60).collect() });
        }
        let (mut selectors, stored) = self.read()?;
        if selectors.made.iter().any(|made| made.name == selector) {
            return Err(DkimError::Exists { selector: selector.to_owned() });
        }
        if selectors.made.len() >= MAX_SELECTORS {
            return Err(DkimError::TooMany { count: selectors.made.len() });
        }
        // 2. Its keys, sealed before anything names them.
        let mut made = Selector { name: selector.to_owned(), keys: Vec::new() };
        if let Some(rsa) = rsa {
            let block = pem::parse(rsa).ok().filter(|block| block.tag() == "PRIVATE KEY").ok_or(DkimError::Rsa)?;
            let id = format!("{selector}-rsa");
            let imported = self.keys.import_dkim(&key_name(&id), block.contents());
            imported.map_err(|error| if matches!(error, KeyError::Algorithm) { DkimError::Rsa } else { error.into() })?;
            made.keys.push(id);
        }
        let id = format!("{selector}-ed25519");
        self.keys.generate_dkim(&key_name(&id))?;
        made.keys.push(id);
        // 3. The record and its leaf.
        selectors.made.push(made.clone());
        self.write(&selectors, stored, &Event::DkimMade(event::DkimSelector { selector: selector.to_owned() }), now_unix_millis)?;
        self.shown(&made, false)
    }

    /// New mail is signed with this selector from now on.
    pub fn use_selector(&self, selector: &str, now_unix_millis: u64) -> Result<ShownSelector, DkimError> {
        let (mut selectors, stored) = self.read()?;
        let found = selectors.made.iter().find(|made| made.name == selector).cloned();
        let found = found.ok_or_else(|| DkimError::NotFound { selector: selector.chars().take(60).collect() })?;
        if selectors.used.as_deref() != Some(selector) {
            selectors.used = Some(selector.to_owned());
            self.write(&selectors, stored, &Event::DkimUsed(event::DkimSelector { selector: selector.to_owned() }), now_unix_millis)?;
        }
        self.load()?;
        self.shown(&found, true)
    }

    pub fn show(&self) -> Result<Vec<ShownSelector>, DkimError> {
        let (selectors, _) = self.read()?;
        selectors.made.iter().map(|made| self.shown(made, selectors.used.as_deref() == Some(&made.name))).collect()
    }

    /// The fields to put above a message: one signature for each key of the selector in use.
    pub fn sign(&self, message: &[u8], now: OffsetDateTime) -> Result<Vec<u8>, DkimFailure> {
        // A panic elsewhere leaves keys that are still whole.
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let mut out = Vec::new();
        if current.is_empty() {
            return Ok(out);
        }
        let body = STANDARD.encode(digest(&SHA256, &canonical::body(message)).as_ref());
        let (fields, _) = trace::fields(message);
        let (names, signed) = signed(&fields);
        for (selector, key) in current.iter() {
            let head = format!(
                "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; d={}; s={selector};\r\n\tt={}; h={names};\r\n\tbh={body};\r\n\tb=",
                key.algorithm(),
                self.domain.as_str(),
                now.unix_timestamp()
            );
            let mut own = canonical::field(head.as_bytes());
            // spec: rfc6376#3.7 the last field has no end
            own.truncate(own.len().saturating_sub(2));
            let signature = STANDARD.encode(key.sign(&[signed.as_slice(), &own].concat())?);
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(folded(&signature).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Ok(out)
    }

    fn load(&self) -> Result<(), DkimError> {
        let (selectors, _) = self.read()?;
        let used = selectors.made.iter().find(|made| selectors.used.as_deref() == Some(&made.name));
        let keys = used.into_iter().flat_map(|made| &made.keys).map(|id| Ok((id.clone(), self.keys.dkim_key(&key_name(id))?)));
        let keys: Vec<Signing> = keys.collect::<Result<_, KeyError>>()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn read(&self) -> Result<(Selectors, Option<Vec<u8>>), DkimError> {
        let stored = self.store.get(&Selectors::key())?;
        let selectors = stored.as_deref().map(Selectors::decode).transpose()?.unwrap_or_default();
        Ok((selectors, stored))
    }

    fn write(&self, selectors: &Selectors, stored: Option<Vec<u8>>, event: &Event, now_unix_millis: u64) -> Result<(), DkimError> {
        let key = Selectors::key();
        let still = stored.map_or_else(|| Expectation::Absent(key.clone()), |stored| Expectation::Equals(key.clone(), stored));
        let mut batch = Batch::new().expect(still).put(key, selectors.encode()?);
        event.append(&mut batch, now_unix_millis)?;
        self.store.commit(batch)?;
        Ok(())
    }

    fn shown(&self, made: &Selector, in_use: bool) -> Result<ShownSelector, DkimError> {
        let published = |id: &String| {
            let text = self.keys.dkim_key(&key_name(id))?.record();
            Ok(Published { name: format!("{id}._domainkey.{}", self.domain.as_str()), text })
        };
        Ok(ShownSelector { selector: made.name.clone(), in_use, records: made.keys.iter().map(published).collect::<Result<_, KeyError>>()? })
    }
}

/// The name of a selector's key in the key store.
fn key_name(id: &str) -> String {
    format!("dkim-{id}")
}

/// `h=`, and the fields it names as canonicalised: of those that stand several times the last first. spec: rfc6376#5.4.2
fn signed(fields: &[&[u8]]) -> (String, Vec<u8>) {
    let (mut names, mut out) = (String::new(), Vec::new());
    for name in SIGNED {
        let is = |field: &&&[u8]| field.split(|byte| *byte == b':').next().is_some_and(|found| found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()));
        let mut count = 1;
        for field in fields.iter().rev().filter(is) {
            out.extend(canonical::field(field));
            count += 1;
        }
        for _ in 0..count {
            let separator = if names.is_empty() { "" } else { ":" };
            let _ = write!(names, "{separator}{}", name.to_ascii_lowercase());
        }
    }
    (names, out)
}

/// White space within `b=` counts for nothing.
fn folded(signature: &str) -> String {
    let pieces: Vec<&str> = signature.as_bytes().chunks(72).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    pieces.join("\r\n\t")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    fn dkim(place: &tempfile::TempDir, store: &Arc<store::Memory>) -> Dkim {
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        let path = place.path().join("keys");
        let keys = if path.exists() { KeyStore::open(&path, &passphrase) } else { KeyStore::create(&path, &passphrase) };
        Dkim::open(Arc::clone(store) as Arc<dyn Store>, Arc::new(keys.unwrap()), Domain::parse("mail.gz.example").unwrap()).unwrap()
    }

    #[test]
    fn a_selector_is_made_then_used_then_followed() {
        let (place, store) = (tempfile::tempdir().unwrap(), Arc::new(store::Memory::new()));
        let dkim_1 = dkim(&place, &store);
        let (message, now) = (b"From: a@mail.gz.example\r\nSubject: x\r\n\r\ny\r\n", datetime!(2026-11-29 08:00 UTC));
        assert!(dkim_1.sign(message, now).unwrap().is_empty());
        let made = dkim_1.make("2026a", None, 1).unwrap();
        assert_eq!(made.lacks(), Some("RSA"));
        assert!(!made.in_use && made.records[0].name == "2026a-ed25519._domainkey.mail.gz.example" && made.records[0].text.starts_with("v=DKIM1; k=ed25519; p="));
        assert!(dkim_1.sign(message, now).unwrap().is_empty());
        dkim_1.use_selector("2026a", 2).unwrap();
        let signed = String::from_utf8(dkim_1.sign(message, now).unwrap()).unwrap();
        assert!(signed.contains("a=ed25519-sha256; c=relaxed/relaxed; d=mail.gz.example; s=2026a-ed25519;\r\n") && signed.contains("h=from:from:sender:reply-to:subject:subject:date:"), "{signed}");
        // After a start it goes on.
        let again = dkim(&place, &store);
        assert_eq!(again.sign(message, now).unwrap(), signed.as_bytes());
        again.make("2027a", None, 3).unwrap();
        again.use_selector("2027a", 4).unwrap();
        assert!(again.show().unwrap().iter().map(|shown| (shown.selector.as_str(), shown.in_use)).eq([("2026a", false), ("2027a", true)]));
        assert_eq!(store.stream_length(event::STREAM).unwrap(), 4);
        for (selector, rsa) in [("2027a", None), ("", None), ("A", None), ("-a", None), ("a.b", None), ("b", Some("no key")), (&"a".repeat(41), None)] {
            assert!(again.make(selector, rsa, 5).is_err(), "{selector}");
        }
        assert!(matches!(again.use_selector("b", 5), Err(DkimError::NotFound { .. })));
    }
}
