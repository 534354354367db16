//! Counts in memory, added to the store every minute: what a crash loses is statistics.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::{Batch, CommitError, Expectation, Store};

use super::day;
use crate::mailbox::MailError;
use crate::record::tally::Tally;

/// Domains of which something is counted between two looks; more are not.
const MAX_DOMAINS: usize = 10_000;

/// By day and domain.
pub struct Counted<T>(Mutex<HashMap<(u64, String), T>>);

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Tally> Counted<T> {
    pub(super) fn count(&self, domain: &str, now: u64, add: impl FnOnce(&mut T)) {
        let mut counted = self.counted();
        let key = (day(now), domain.to_owned());
        if counted.contains_key(&key) || counted.len() < MAX_DOMAINS {
            add(counted.entry(key).or_insert_with(|| T::new(day(now), domain)));
        }
    }

    /// Adds what was counted to the store. What it does not take is counted on.
    pub fn flush(&self, store: &dyn Store) -> Result<(), MailError> {
        let counted = std::mem::take(&mut *self.counted());
        let mut failed = None;
        for (key, tally) in counted {
            // Where one is not taken, those after it wait with it.
            if failed.is_none() {
                failed = added(store, &tally).err();
            }
            if failed.is_some() {
                let mut counted = self.counted();
                let mut all = tally;
                if let Some(since) = counted.get(&key) {
                    all.merge(since);
                }
                counted.insert(key, all);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    // A panic elsewhere leaves counts that are off by one at most.
    fn counted(&self) -> MutexGuard<'_, HashMap<(u64, String), T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn added<T: Tally>(store: &dyn Store, tally: &T) -> Result<(), MailError> {
    let key = T::key(tally.day(), tally.domain());
    let stored = store.get(&key)?;
    let mut sum = stored.as_deref().map(T::decode).transpose()?.unwrap_or_else(|| T::new(tally.day(), tally.domain()));
    sum.merge(tally);
    let still = stored.map_or_else(|| Expectation::Absent(key.clone()), |stored| Expectation::Equals(key.clone(), stored));
    match store.commit(Batch::new().expect(still).put(key, sum.encode()?)) {
        Err(CommitError::Conflict { .. }) => Err(MailError::Busy),
        done => Ok(done.map(|_| ())?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use store::{Fault, Faulty, Memory};

    use super::*;
    use crate::record::tls_tally::{PolicyTold, Tally as TlsTally};

    #[test]
    fn what_the_store_does_not_take_is_counted_on_whichever_comes_first() {
        let (store, counted) = (Arc::new(Memory::new()), Counted::<TlsTally>::default());
        let domains: Vec<String> = (0..9).map(|number| format!("{number}.cn")).collect();
        let nothing = PolicyTold { policy_type: "no-policy-found".into(), policy_string: Vec::new(), mx_host: Vec::new() };
        let note = || domains.iter().for_each(|domain| counted.note(domain, nothing.clone(), None, Ok(()), super::super::DAY));
        note();
        let full = Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(2, Fault::Lost);
        assert!(counted.flush(&full).is_err());
        note();
        counted.flush(&*store).unwrap();
        for domain in &domains {
            let kept = TlsTally::decode(&store.get(&TlsTally::key(1, domain)).unwrap().unwrap()).unwrap();
            let mut twice = TlsTally::new(1, domain);
            twice.add(&nothing, None, Ok(()), 2);
            assert_eq!(kept, twice, "{domain}");
        }
    }
}
