//! What the gateway does: one straight line per request.
pub mod accept;
mod recipients;
pub mod login;
