//! The service's own log, to standard error: for people on a terminal, JSON lines otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins logging. `SUIYIN_LOG` chooses what is said, as in `info,store=debug`; `info` when it is absent or wrong.
/// A second call changes nothing.
pub fn init() {
    let filter = EnvFilter::try_from_env("SUIYIN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // The error says that a logger was set before: that one stays.
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().flatten_event(true).with_span_list(false).try_init() };
}
