//! That a request which officers signed was used: what two of them signed is good for once.

use store::{Expectation, Key};

use super::VERSION;

/// `request`: SHA-256 of its very bytes, hexadecimal.
pub fn key(request: &str) -> Key {
    Key::new("officers' request spent", &[request.as_bytes()])
}

/// What the commit that uses it expects.
pub fn unspent(request: &str) -> Expectation {
    Expectation::Absent(key(request))
}

pub fn mark() -> Vec<u8> {
    vec![VERSION]
}
