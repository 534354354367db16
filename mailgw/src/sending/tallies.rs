//! What came of TLS, counted in memory and added to the store every minute: what a crash loses is statistics.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use store::{Batch, CommitError, Expectation, Store};

use super::protection::Why;
use super::sts::{Mode, Policy};
use crate::mailbox::MailError;
use crate::record::tls_tally::{self as record, PolicyTold, Tally};

const DAY: u64 = 86_400_000;
/// Domains of which something is counted between two looks; more are not.
const MAX_DOMAINS: usize = 10_000;

#[derive(Default)]
pub struct Tallies(Mutex<HashMap<(u64, String), Tally>>);

impl From<&Why> for PolicyTold {
    fn from(why: &Why) -> Self {
        let told = |policy_type: &str, policy_string, mx_host| Self { policy_type: policy_type.to_owned(), policy_string, mx_host };
        match why {
            Why::Nothing => told("no-policy-found", Vec::new(), Vec::new()),
            Why::Dane { pins } => told("tlsa", pins.clone(), Vec::new()),
            Why::StsUnread => told("sts", Vec::new(), Vec::new()),
            Why::Sts { policy } => told("sts", lines(policy), policy.mx.clone()),
        }
    }
}

/// As the policy was written. spec: rfc8460#4.4
fn lines(policy: &Policy) -> Vec<String> {
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    };
    let fixed = ["version: STSv1".to_owned(), format!("mode: {mode}")];
    fixed.into_iter().chain(policy.mx.iter().map(|mx| format!("mx: {mx}"))).chain([format!("max_age: {}", policy.max_age)]).collect()
}

/// The day a moment is of, as reports count days: in UTC.
pub(crate) fn day(unix_millis: u64) -> u64 {
    unix_millis / DAY
}

impl Tallies {
    pub(crate) fn note(&self, domain: &str, policy: PolicyTold, host: Option<&str>, result: Result<(), &str>, now: u64) {
        // A panic elsewhere leaves counts that are off by one at most.
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (day(now), domain.to_owned());
        if counted.contains_key(&key) || counted.len() < MAX_DOMAINS {
            counted.entry(key).or_insert_with(|| Tally::new(day(now), domain)).add(&policy, host, result, 1);
        }
    }

    /// Adds what was counted to the store. What it does not take is counted on.
    pub fn flush(&self, store: &dyn Store) -> Result<(), MailError> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = None;
        for (key, tally) in counted {
            // Where one is not taken, those after it wait with it.
            if failed.is_none() {
                failed = added(store, &tally).err();
            }
            if failed.is_some() {
                let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                counted.entry(key).or_insert_with(|| Tally::new(tally.day, &tally.domain)).merge(&tally);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn added(store: &dyn Store, tally: &Tally) -> Result<(), MailError> {
    let key = record::key(tally.day, &tally.domain);
    let stored = store.get(&key)?;
    let mut sum = stored.as_deref().map(Tally::decode).transpose()?.unwrap_or_else(|| Tally::new(tally.day, &tally.domain));
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

    #[test]
    fn what_the_store_does_not_take_is_counted_on_whichever_comes_first() {
        let (store, tallies) = (Arc::new(Memory::new()), Tallies::default());
        let domains: Vec<String> = (0..9).map(|number| format!("{number}.cn")).collect();
        let note = || domains.iter().for_each(|domain| tallies.note(domain, PolicyTold::from(&Why::Nothing), None, Ok(()), DAY));
        note();
        let full = Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(2, Fault::Lost);
        assert!(tallies.flush(&full).is_err());
        note();
        tallies.flush(&*store).unwrap();
        for domain in &domains {
            let kept = Tally::decode(&store.get(&record::key(1, domain)).unwrap().unwrap()).unwrap();
            let mut twice = Tally::new(1, domain);
            twice.add(&PolicyTold::from(&Why::Nothing), None, Ok(()), 2);
            assert_eq!(kept, twice, "{domain}");
        }
    }
}
