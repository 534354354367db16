//! Durable records: one contract, several engines.
#![forbid(unsafe_code)]

mod batch;
mod between;
mod committer;
mod contract;
mod copy;
mod directories;
mod faulty;
mod fjall_damage;
mod fjall_engine;
mod key;
mod layer;
mod memory;
mod open;
mod plan;
mod recent;
mod record;
mod sled_engine;
mod sparse;
#[cfg(test)]
mod trials;
mod watchdog;

pub use batch::{Batch, CounterSlot, Expectation, Part, StreamSlot, Template, Together};
pub use between::Between;
pub use committer::Embedded;
pub use contract::{CommitError, Done, Receipt, Snapshot, Store, StoreError};
pub use copy::{CopyError, read_through, take_in, write_out};
pub use faulty::{Fault, Faulty};
pub use fjall_engine::open_fjall;
pub use key::Key;
pub use layer::Layer;
pub use memory::Memory;
pub use record::ReadyRecord;
pub use open::{open, open_watched, place};
pub use sled_engine::open_sled;
pub use sparse::Few;
pub use watchdog::Watchdog;
