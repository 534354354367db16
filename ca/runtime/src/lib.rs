//! What every service of Suiyin stands on: clock, exit codes and problems, shutdown, state directory, configuration,
//! administration socket, HTTP shell, metrics, log and progress.
// Forbidden but for one call of the C library, which nobody wraps: see `kernel_clock`.
#![deny(unsafe_code)]

pub mod background;
pub mod clock;
pub mod doctor;
pub mod exit;
pub mod shutdown;
pub mod config;
pub mod state;
pub mod kernel_clock;
mod connection;
mod patience;
pub mod fetch;
pub mod http;
pub mod admin;
pub mod log;
pub mod metrics;
pub mod rate;
pub mod request;
pub mod revocation;
pub mod room;
pub mod shares;
pub mod terminal;
