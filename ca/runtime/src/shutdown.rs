//! The end of a service, told once to everyone who waits for it.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A switch that turns once. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Begins at the first SIGINT or SIGTERM. Needs a tokio runtime; errors when the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let told = shutdown.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                () = told.wait() => return,
            };
            // Whatever becomes of the line that tells of it.
            told.begin();
            tracing::info!(signal = name, "shutting down");
        });
        Ok(shutdown)
    }

    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once `begin` was called, at once if it was called before.
    pub async fn wait(&self) {
        let mut seen = self.0.subscribe();
        // We hold a sender ourselves, so the channel cannot close under us.
        let _ = seen.wait_for(|begun| *begun).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn everyone_learns_of_it_early_or_late() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_set());
        assert!(timeout(Duration::from_millis(20), shutdown.wait()).await.is_err());
        let early = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.wait().await }
        });
        shutdown.clone().begin();
        timeout(Duration::from_secs(5), early).await.unwrap().unwrap();
        timeout(Duration::from_secs(5), shutdown.wait()).await.unwrap();
        assert!(shutdown.is_set());
    }
}
