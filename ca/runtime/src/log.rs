//! The service's own log, to standard error: for people on a terminal, JSON lines otherwise.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// Begins logging. `SUIYIN_LOG` chooses what is said, as in `info,store=debug`; `info` when it is absent or wrong.
/// A second call changes nothing.
pub fn init() {
    let filter = EnvFilter::try_from_env("SUIYIN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Unfailing(io::stderr())).log_internal_errors(false);
    // The error says that a logger was set before: that one stays.
    let _ = if io::stderr().is_terminal() { builder.try_init() } else { builder.json().flatten_event(true).with_span_list(false).try_init() };
}

/// A place for lines that nobody may read any more: a service outlives the reader of its log, and its full disk.
struct Unfailing<W>(W);

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Whole or not at all: half a line would be taken for the beginning of the next.
        let _ = self.0.write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_reader_that_is_gone_ends_nothing() {
        let mut log = Unfailing(Gone);
        log.write_all(b"a line\n").unwrap();
        log.flush().unwrap();
    }
}
