//! Requests that owners wrote to an address of the gateway's own, each a record until it is answered.

use store::{Key, Store, StoreError};

/// Records looked at at a time.
const PAGE: usize = 64;

/// Whether one more of those in this range may wait.
pub(super) fn may_wait(store: &dyn Store, (from, to): (Key, Key), most: usize) -> Result<bool, StoreError> {
    Ok(store.scan(&from, &to, most)?.len() < most)
}

/// Answers each, which ends it in its own commit. What cannot be answered now waits, and nobody waits for another's. How many were
/// answered, or the last reason why not all were.
pub(super) fn answer_each<E: From<StoreError>>(store: &dyn Store, (mut from, to): (Key, Key), mut answer: impl FnMut(&Key, &[u8]) -> Result<(), E>) -> Result<u64, E> {
    let (mut answered, mut waits) = (0, None);
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last.successor();
        for (place, stored) in &page {
            match answer(place, stored) {
                Ok(()) => answered += 1,
                Err(error) => waits = Some(error),
            }
        }
    }
    waits.map_or(Ok(answered), Err)
}
