//! Whether mail from another host is whose it says it is, and what becomes of it.
//!
//! What was found ([`results`]) is apart from who found it ([`verifier`]), and what is made of it ([`decide`]) is a pure function
//! of both with the policy. The words for readers and their programs are in [`header`].

pub mod decide;
pub mod destinations;
pub mod header;
mod questions;
pub mod results;
pub mod verifier;

pub use decide::{Reason, Verdict};
pub use results::Results;
pub use verifier::Verifier;
