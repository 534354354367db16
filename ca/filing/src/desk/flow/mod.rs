//! One request, one file: each is a straight line of numbered steps.

pub mod attachment;
pub mod authorise;
pub mod judge;
pub mod mandate;
pub mod outbox;
pub mod proceed;
pub mod receive;
pub mod seal;
