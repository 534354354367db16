//! Durable records: one contract, several engines.
#![forbid(unsafe_code)]

mod batch;
mod contract;
mod key;
mod memory;
mod plan;

pub use batch::{Batch, CounterSlot, Expectation, Part, StreamSlot, Template};
pub use contract::{CommitError, Receipt, Store, StoreError};
pub use key::Key;
pub use memory::Memory;
