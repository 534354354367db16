//! What the gateway does of its own accord: it signs the log's head.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evidence::Evidence;
use runtime::shutdown::Shutdown;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);

pub async fn run(evidence: Arc<Evidence>, healthy: Arc<AtomicBool>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(HEAD_EVERY);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let evidence = Arc::clone(&evidence);
        let done = tokio::task::spawn_blocking(move || evidence.advance()).await;
        let well = match done {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                if healthy.load(Ordering::Relaxed) {
                    tracing::error!(%error, "signing the log's head");
                }
                false
            }
            Err(_) => false,
        };
        healthy.store(well, Ordering::Relaxed);
    }
}
