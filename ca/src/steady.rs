//! A store that takes nothing while the host's clock stands before what is recorded already. Every change of state is an
//! entry of the log with its time, and every signature that lasts comes after one: so nothing is signed or recorded at a
//! time that was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use runtime::clock::Clock;
use store::{Batch, CommitError, Layer, Receipt, Store, StoreError};

use crate::record::log::{self, STREAM};

/// Milliseconds by which time services set a clock back without anybody's harm.
const TOLERANCE: i64 = 2_000;

pub struct Steady {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Unix milliseconds: the latest time at which anything was committed.
    newest: AtomicI64,
}

impl Steady {
    /// From the newest entry of the log on.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let newest = newest_entry(&*inner)?.unwrap_or(i64::MIN);
        Ok(Self { inner, clock, newest: AtomicI64::new(newest) })
    }

    /// From the present on, however late the newest entry is: the clock was ahead when that was written, and a person
    /// says that it is right now. The time of that entry, when it is later than the present.
    pub fn set_back(&self) -> Option<i64> {
        let now = self.now();
        let newest = self.newest.swap(now, Ordering::SeqCst);
        (newest > now).then_some(newest)
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }
}

/// Unix milliseconds of the log's last entry.
pub(crate) fn newest_entry(store: &dyn Store) -> Result<Option<i64>, StoreError> {
    let Some(last) = store.stream_length(STREAM)?.checked_sub(1) else { return Ok(None) };
    Ok(store.read_stream(STREAM, last, 1)?.first().and_then(|leaf| log::at(leaf)))
}

impl Layer for Steady {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let now = self.now();
        let behind = self.newest.load(Ordering::SeqCst).saturating_sub(now);
        if behind > TOLERANCE {
            // The moment and not the distance: that would be another text, and another line of the log, each second.
            let newest = runtime::terminal::date(self.newest.load(Ordering::SeqCst) / 1_000);
            let reason = format!("the host's clock stands before {newest}, when something was recorded already, so its time service has to be seen to (or `ca serve --clock-was-ahead` when it was wrong before)");
            return Err(CommitError::Unavailable { reason });
        }
        let receipt = self.inner.commit(batch)?;
        self.newest.fetch_max(now, Ordering::SeqCst);
        Ok(receipt)
    }
}
