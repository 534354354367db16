//! One line of configuration names the engine: `fjall:DIRECTORY`, relative to the state directory.

use std::path::Path;
use std::sync::Arc;

use crate::contract::{Store, StoreError};
use crate::open_fjall;

/// Opens or makes the store that `configuration` names.
pub fn open(configuration: &str, base: &Path) -> Result<Arc<dyn Store>, StoreError> {
    match configuration.split_once(':') {
        Some(("fjall", directory)) if !directory.is_empty() => Ok(Arc::new(open_fjall(&base.join(directory))?)),
        _ => Err(StoreError::Unavailable { reason: format!("{configuration:?} names no engine; write store = \"fjall:store\"") }),
    }
}
