//! One request, one file: each is a straight line of numbered steps.

pub mod archive;
pub mod attachment;
pub mod authorise;
pub mod evidence;
pub mod examine;
pub mod judge;
pub mod list;
pub mod mandate;
pub mod operator;
pub mod outbox;
pub mod proceed;
pub mod proof;
pub mod receive;
mod rules;
pub mod seal;
pub mod staff;
pub mod unit;
pub mod unnamed;
pub mod verify;
mod word;
