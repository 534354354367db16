//! Bodies on their way, of each enterprise: so many at one time, so that who sends slowly, or never, takes what is its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many of each enterprise that has any. Clones share them.
#[derive(Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<String, u32>>>);

/// One of them; given back when dropped.
pub struct Arriving {
    all: Arrivals,
    by: String,
}

impl Arrivals {
    /// One more, where there are fewer than `most`.
    pub fn one(&self, by: &str, most: u32) -> Option<Arriving> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = all.get(by).copied().unwrap_or_default();
        if here >= most {
            return None;
        }
        all.insert(by.to_owned(), here + 1);
        Some(Arriving { all: self.clone(), by: by.to_owned() })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.by) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(all.remove(&self.by)),
        }
    }
}
