//! The signed filing and its receipt: what an enterprise installs, and the bureau's desk.
#![forbid(unsafe_code)]

pub mod cli;
pub mod desk;
pub mod document;
pub mod keep;
pub mod logged;
pub mod rules;
pub mod table;
pub mod verify;
