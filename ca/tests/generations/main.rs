//! A new generation takes over while others are issued for; ceremonies whose inputs are not what was reviewed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod officers;
mod place;
mod reviewed;
mod root;
mod takeover;
