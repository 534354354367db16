//! The timestamp service: its signer, its clock, and those who wait for a token.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use keys::{KeyHandle, KeyStore};
use pki::timestamp::{Terms, TokenPlan};
use time::OffsetDateTime;

use crate::authority::{Authority, Watcher};
use crate::flow::timestamp::{Asked, TimestampFailure, Timed};
use crate::flow::issue::Recorded;
use crate::flow::roots;
use crate::problem::IssueError;
use crate::record::{LatestTimestamp, Status, TimestampSigner, decode};
use crate::register;
use crate::time_source::{Doubt, TimeSource, Vouching};

/// Who signs now.
pub struct Signer {
    pub plan: TokenPlan,
    pub key: KeyHandle,
    /// SHA-256 of the certificate, in hexadecimal.
    pub sha256: String,
    /// The certificate's, as the register knows it.
    serial: Vec<u8>,
    revoked: AtomicBool,
}

impl Signer {
    fn new(authority: &Authority, record: &TimestampSigner, key: KeyHandle) -> Result<Self, IssueError> {
        let damaged = || IssueError::Damaged { what: "the timestamp signer's certificate" };
        // The path travels with a token, so that it can be verified from the root alone, however many years later.
        let view = pki::view::CertificateView::parse(&record.der).map_err(|_| damaged())?;
        let issuer = authority.issuers.values().find(|issuer| issuer.name == view.issuer);
        let above = issuer.map(|issuer| roots::above(authority, issuer.id())).unwrap_or_default();
        let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
        let plan = TokenPlan::new(&record.der, &above).map_err(|_| damaged())?;
        Ok(Self { plan, key, sha256: crate::sha256_hex(&record.der), serial: view.serial.to_vec(), revoked: AtomicBool::new(false) })
    }

    /// Whether it may sign at this time.
    pub fn may_sign(&self, at: OffsetDateTime) -> bool {
        let (from, until) = self.plan.signs();
        from <= at && at.unix_timestamp() <= until.unix_timestamp() && !self.revoked.load(Ordering::SeqCst)
    }
}

/// What somebody who waits for a token is told.
pub enum Call {
    /// Make the next batch of all who wait.
    Lead,
    Done(Result<Recorded<Timed>, TimestampFailure>),
}

/// Somebody who waits for a token.
pub struct Ticket {
    pub asked: Asked,
    pub call: SyncSender<Call>,
}

/// Those whose turn has not come, and whether somebody makes a batch now.
#[derive(Default)]
struct Waiting {
    tickets: VecDeque<Ticket>,
    led: bool,
}

/// The right to make the next batch: one at a time. Given on to the first of those who wait when it is dropped, however.
pub struct Lead<'a> {
    waiting: &'a Mutex<Waiting>,
    /// The latest time that a token said, in microseconds since 1970.
    pub latest: MutexGuard<'a, i64>,
}

impl Lead<'_> {
    /// Takes at most so many of those who wait, the first first.
    pub fn next(&self, most: usize) -> Vec<Ticket> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let most = waiting.tickets.len().min(most);
        waiting.tickets.drain(..most).collect()
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits listens, until a token or a failure comes.
        waiting.led = waiting.tickets.front().is_some_and(|first| first.call.send(Call::Lead).is_ok());
    }
}

/// What the service counted, for `/metrics`.
#[derive(Debug, Default)]
pub struct Counts {
    pub granted: AtomicU64,
    pub refused: AtomicU64,
    pub unavailable: AtomicU64,
}

pub struct Timestamps {
    pub authority: Arc<Authority>,
    pub terms: Terms,
    pub vouching: Vouching,
    signer: RwLock<Option<Arc<Signer>>>,
    waiting: Mutex<Waiting>,
    latest: Mutex<i64>,
    pub counts: Counts,
}

impl Timestamps {
    /// As it stands in the store: without a signer where none was certified yet.
    pub fn open(authority: Arc<Authority>, keys: &KeyStore, source: TimeSource) -> Result<Self, IssueError> {
        let rules = &authority.rules.timestamp;
        let policy = rules.policy(authority.policies.arc()).ok_or(IssueError::Damaged { what: "the timestamp policy's identifier" })?;
        let terms = Terms { policy, accuracy_ms: rules.accuracy_ms, ordering: rules.ordering };
        let latest = authority.store.get(&LatestTimestamp::place())?.map(|bytes| decode::<LatestTimestamp>(&bytes)).transpose();
        let latest = latest.map_err(|_| IssueError::Damaged { what: "the time of the latest timestamp" })?.map_or(i64::MIN, |latest| latest.micros);
        let record = authority.store.get(&TimestampSigner::place())?.map(|bytes| decode::<TimestampSigner>(&bytes)).transpose();
        let record = record.map_err(|_| IssueError::Damaged { what: "the timestamp signer" })?;
        let vouching = Vouching::new(source, Arc::clone(&authority.clock), Duration::from_millis(terms.accuracy_ms.into()));
        let this = Self { authority, terms, vouching, signer: RwLock::default(), waiting: Mutex::default(), latest: Mutex::new(latest), counts: Counts::default() };
        if let Some(record) = record {
            let key = keys.load(&record.key).map_err(|_| IssueError::Damaged { what: "the timestamp signer's key" })?;
            this.replace(&record, key)?;
        }
        Ok(this)
    }

    /// Waits with the others; whoever comes while nobody makes a batch is to make one.
    pub fn enter(&self, ticket: Ticket) -> Option<Lead<'_>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.tickets.push_back(ticket);
        let first = !std::mem::replace(&mut waiting.led, true);
        drop(waiting);
        first.then(|| self.lead())
    }

    /// For whoever was called to.
    pub fn lead(&self) -> Lead<'_> {
        Lead { waiting: &self.waiting, latest: self.latest.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// From now on `record` signs, unless it is revoked.
    pub fn replace(&self, record: &TimestampSigner, key: KeyHandle) -> Result<(), IssueError> {
        let signer = Signer::new(&self.authority, record, key)?;
        // Written before the register is read: a revocation that comes between finds it here and takes it away.
        let serial = signer.serial.clone();
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(signer));
        self.look(&serial);
        Ok(())
    }

    /// Has the signer sign no more when its certificate is not good, or nobody can say that it is.
    fn look(&self, serial: &[u8]) {
        let good = register::find(&*self.authority.store, serial).is_ok_and(|record| record.is_some_and(|record| record.status == Status::Good));
        let signer = self.signer.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = signer.as_ref().filter(|signer| !good && signer.serial == serial) {
            signer.revoked.store(true, Ordering::SeqCst);
        }
    }

    /// The signer, while its key may sign.
    pub fn signer(&self, now: OffsetDateTime) -> Option<Arc<Signer>> {
        let signer = self.signer.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        signer.may_sign(now).then_some(signer)
    }

    /// Why no tokens are made now, where that is because of the clock.
    pub fn doubt(&self) -> Option<Doubt> {
        self.vouching.error().err()
    }

    pub fn metrics(&self) -> String {
        let rows = [("granted", &self.counts.granted), ("refused", &self.counts.refused), ("unavailable", &self.counts.unavailable)];
        let mut text = String::from("# HELP suiyin_timestamps_total Timestamp requests by what became of them.\n# TYPE suiyin_timestamps_total counter\n");
        for (how, count) in rows {
            text.push_str(&format!("suiyin_timestamps_total{{how=\"{how}\"}} {}\n", count.load(Ordering::Relaxed)));
        }
        text
    }
}

/// Told of every change of a certificate by the authority.
#[derive(Default)]
pub struct SignerWatch(OnceLock<Weak<Timestamps>>);

impl SignerWatch {
    /// The service that is to be told; the first one is, and a service that ended no more.
    pub fn tell(&self, timestamps: &Arc<Timestamps>) {
        self.0.get_or_init(|| Arc::downgrade(timestamps));
    }
}

impl Watcher for SignerWatch {
    fn changed(&self, _issuer: &str, serial: &[u8]) {
        if let Some(timestamps) = self.0.get().and_then(Weak::upgrade) {
            timestamps.look(serial);
        }
    }
}
