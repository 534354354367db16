//! Electronic registered delivery: what evidence says, how many items are sealed by one signature, and how anybody
//! verifies them with the root certificate alone. The final report of a push is signed by the same key.
//!
//! An item's octets are a leaf of a Merkle tree (RFC 9162, SHA-256). One detached CMS signature covers the statement that
//! names the tree's root; the item, its path and that signature together are evidence of one event.
// spec: EN 319 522-1#6 (events), EN 319 522-2#8 (contents), EN 319 522-3#5 (names)

pub mod court;
mod file;
mod item;
mod report;
pub(crate) mod stamped;
mod series;
mod statement;

pub(crate) use file::hash;
pub use file::{EvidenceError, Judged, Line, MAX_LINE, Shown, Timestamp, Verified, has_happened, verify};
pub use item::{Act, Content, Corrected, Event, Item, Mended, Notification, Of, Secrecy, Submission};
pub use report::{EvidenceRoot, FORM, FinalReport, Kept, MAX_REPORT, REASONS, SignedReport, VERSION, VerifiedReport, is_reason, verify_report};
pub use series::{OfRow, Series};
pub use statement::Statement;
