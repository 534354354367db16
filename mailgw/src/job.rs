//! What the gateway does of its own accord: it signs the log's head, and takes the authority's notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evidence::Evidence;
use runtime::metrics::{Counter, Gauge, MetricError, Registry};
use runtime::shutdown::Shutdown;

use crate::flow::notices::{Collected, collect};
use crate::gateway::Gateway;
use crate::outbox::Outbox;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// How often the authority is asked for notices.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What came of the notices asked for.
pub struct NoticeMetrics {
    delivered: Arc<Counter>,
    later: Arc<Counter>,
    refused: Arc<Counter>,
    /// 1 while the authority cannot be asked.
    fault: Arc<Gauge>,
}

impl NoticeMetrics {
    pub fn register(metrics: &Registry) -> Result<Self, MetricError> {
        let counter = |labels| metrics.counter("suiyin_mail_notices_total", "Notices of the authority by what became of them.", labels);
        Ok(Self {
            delivered: counter(&[("outcome", "delivered")])?,
            later: counter(&[("outcome", "later")])?,
            refused: counter(&[("outcome", "refused")])?,
            fault: metrics.gauge("suiyin_mail_outbox_fault", "Whether the authority cannot be asked for notices.", &[])?,
        })
    }
}

/// Asks the authority for notices until shutdown. One that is away is asked again; a turn under way ends first.
pub async fn notices(gateway: Arc<Gateway>, outbox: Arc<dyn Outbox>, metrics: NoticeMetrics, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (gateway, outbox) = (Arc::clone(&gateway), Arc::clone(&outbox));
        let done = tokio::task::spawn_blocking(move || collect(&gateway, &*outbox)).await;
        match done {
            Ok(Ok(Collected { delivered, later, refused })) => {
                metrics.delivered.add(delivered);
                metrics.later.add(later);
                metrics.refused.add(refused);
                if delivered + later + refused > 0 {
                    tracing::info!(delivered, later, refused, "notices of the authority");
                }
                metrics.fault.set(0);
            }
            Ok(Err(problem)) => {
                // Told once, not every five seconds.
                if metrics.fault.get() == 0 {
                    tracing::warn!(%problem, "the authority cannot be asked for notices");
                }
                metrics.fault.set(1);
            }
            Err(_) => metrics.fault.set(1),
        }
    }
}

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
