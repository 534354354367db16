//! What a client may spend before it is cut off: mistakes, and what is said before it is known who says it.

/// One connection's. A server's policy sets it; a session counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Logins that fail.
    pub failures: u32,
    /// Refused commands, and recipients, since the last that was of use.
    pub errors: u32,
    /// Commands before a login; of SMTP those that do nothing, since the last message that was taken.
    pub commands: u32,
    /// Octets before a login, where there is one to come.
    pub octets: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { failures: 3, errors: 20, commands: 100, octets: 256 * 1024 }
    }
}
