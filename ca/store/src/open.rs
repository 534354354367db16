//! One line of configuration names the engine: `fjall:DIRECTORY` or `sled:DIRECTORY`, relative to the state directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::committer::{Engine, guarded};
use crate::contract::{Store, StoreError};
use crate::watchdog::Watchdog;
use crate::{fjall_engine, sled_engine};

/// Opens or makes the store that `configuration` names.
pub fn open(configuration: &str, base: &Path) -> Result<Arc<dyn Store>, StoreError> {
    open_watched(configuration, base, Watchdog::default())
}

/// The same, with another word on what is done about a commit that hangs.
pub fn open_watched(configuration: &str, base: &Path, watchdog: Watchdog) -> Result<Arc<dyn Store>, StoreError> {
    match configuration.split_once(':') {
        Some(("fjall", directory)) if !directory.is_empty() => Ok(Arc::new(fjall_engine::start(&base.join(directory), watchdog, fjall_engine::MEMTABLE_BYTES)?)),
        Some(("sled", directory)) if !directory.is_empty() => Ok(Arc::new(sled_engine::start(&base.join(directory), watchdog, std::fs::File::sync_data)?)),
        _ => Err(nameless(configuration)),
    }
}

/// Where the store that `configuration` names is kept.
pub fn place(configuration: &str, base: &Path) -> PathBuf {
    base.join(configuration.split_once(':').map_or("", |(_, directory)| directory))
}

/// A new engine alone, for who fills it before anybody commits; one that stands already is refused.
pub(crate) fn engine(configuration: &str, base: &Path) -> Result<Arc<dyn Engine>, StoreError> {
    let place = place(configuration, base);
    if std::fs::read_dir(&place).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(StoreError::Unavailable { reason: format!("{} holds something already", place.display()) });
    }
    match configuration.split_once(':') {
        Some(("fjall", directory)) if !directory.is_empty() => Ok(Arc::new(guarded(|| fjall_engine::make(&place))?)),
        Some(("sled", directory)) if !directory.is_empty() => Ok(Arc::new(guarded(|| sled_engine::make(&place))?)),
        _ => Err(nameless(configuration)),
    }
}

fn nameless(configuration: &str) -> StoreError {
    StoreError::Unavailable { reason: format!("{configuration:?} names no engine; write store = \"fjall:store\" or \"sled:store\"") }
}
