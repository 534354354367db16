//! What is being uploaded: so many at one time, and so many octets, of one enterprise and of all. What is on its way counts for
//! the enterprise's quota before it is here, and what ends, however it ends, gives its place back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use policies::desk::Limits;

use super::Desk;
use super::problem::DeskError;
use super::record::attachment::AttachmentRecord;

#[derive(Default)]
struct Taken {
    /// Uploads and octets of each enterprise that has any.
    of: HashMap<String, (u32, u64)>,
    uploads: u32,
    bytes: u64,
}

/// The desk's places. Clones share them.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<Taken>>);

/// A place, and octets that nobody else may use; given back when dropped.
pub struct Reserved {
    places: Uploads,
    by: String,
    bytes: u64,
    /// Of these, what the enterprise's quota counts already.
    counted: u64,
}

impl Uploads {
    /// One more upload, of no octets yet; the first `counted` of them are the enterprise's already, and come once more.
    pub fn place(&self, by: &str, counted: u64, limits: &Limits) -> Result<Reserved, DeskError> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.uploads >= limits.uploads.at_once {
            return Err(DeskError::Full { what: "attachments", seconds: limits.again_seconds });
        }
        let (uploads, _) = taken.of.get(by).copied().unwrap_or_default();
        if uploads >= limits.uploads.per_enterprise {
            return Err(DeskError::TooFast { what: "attachments sent at one time", seconds: limits.again_seconds.into() });
        }
        taken.uploads += 1;
        taken.of.entry(by.to_owned()).or_default().0 += 1;
        Ok(Reserved { places: self.clone(), by: by.to_owned(), bytes: 0, counted })
    }
}

impl Reserved {
    fn beyond_counted(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.counted)
    }

    /// Room for `bytes` in all, at least; nothing where there is that much already. Blocking: the store is asked.
    pub fn grow_to(&mut self, desk: &Desk, bytes: u64) -> Result<(), DeskError> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let limits = &desk.policies.desk.limits;
        let own = self.beyond_counted(bytes).saturating_sub(self.beyond_counted(self.bytes));
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: what ends counts as kept before its place is free.
        let kept = desk.store.sum(&AttachmentRecord::sum(&self.by))?;
        let (_, reserved) = taken.of.get(&self.by).copied().unwrap_or_default();
        if own > 0 && kept.saturating_add(reserved).saturating_add(own) > limits.enterprise_bytes {
            return Err(DeskError::Request(format!("one enterprise may have {} bytes of attachments here and this is beyond; call the bureau", limits.enterprise_bytes)));
        }
        if taken.bytes.saturating_add(more) > limits.uploads.bytes {
            return Err(DeskError::Full { what: "attachments", seconds: limits.again_seconds });
        }
        taken.bytes += more;
        taken.of.entry(self.by.clone()).or_default().1 += own;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let own = self.beyond_counted(self.bytes);
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.uploads = taken.uploads.saturating_sub(1);
        taken.bytes = taken.bytes.saturating_sub(self.bytes);
        if let Some((uploads, bytes)) = taken.of.get_mut(&self.by) {
            (*uploads, *bytes) = (uploads.saturating_sub(1), bytes.saturating_sub(own));
            if *uploads == 0 {
                taken.of.remove(&self.by);
            }
        }
    }
}
