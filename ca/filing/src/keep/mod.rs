//! What an enterprise keeps of its filings: receipts that were proved before they were kept, with what proves them offline.

mod receipt;

pub use receipt::{Receipt, ReceiptError, Trace};
