//! Owners are told on their phones and in other mailboxes that something arrived.

use std::sync::{Arc, Mutex, PoisonError};

use ::evidence::Standing;
use runtime::metrics::{Counter, MetricError, Registry};
use runtime::shutdown::Shutdown;

use super::ASK_EVERY;
use super::turns::{Fault, Turns};
use crate::flow::notification::{self, Collector};
use crate::gateway::Gateway;
use crate::texts::Texts;

/// How many notices came to what.
pub struct NotificationMetrics {
    sent: Arc<Counter>,
    failed: Arc<Counter>,
    later: Arc<Counter>,
}

impl NotificationMetrics {
    pub fn register(metrics: &Registry) -> Result<Self, MetricError> {
        let counter = |labels| metrics.counter("suiyin_mail_notifications_total", "Notices to phones and other mailboxes by what became of them.", labels);
        Ok(Self { sent: counter(&[("outcome", "sent")])?, failed: counter(&[("outcome", "failed")])?, later: counter(&[("outcome", "later")])? })
    }
}

/// Until shutdown; answers who said where, too. Texts under way end first.
pub async fn notifications(gateway: Arc<Gateway>, texts: Option<Arc<dyn Texts>>, standing: Arc<Standing>, metrics: NotificationMetrics, shutdown: Shutdown) {
    let (mut fault, ending, collector) = (Fault::default(), shutdown.clone(), Mutex::new(Collector::default()));
    let turn = move || {
        // A panic elsewhere leaves a collector that looks at all anew.
        let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
        // A text that cannot be recorded would be handed out again.
        notification::turn(&gateway, texts.as_deref(), &mut collector, &|| !ending.is_set() && standing.takes())
    };
    Turns::every(ASK_EVERY, shutdown).take(turn, |done| {
        let begins = fault.begins(done.is_err());
        match done {
            Err(error) if begins => tracing::warn!(%error, "owners are not told elsewhere yet that something arrived"),
            Err(_) => {}
            Ok(done) => {
                metrics.sent.add(done.sent);
                metrics.failed.add(done.failed);
                metrics.later.add(done.later);
                if done.sent + done.failed > 0 {
                    tracing::info!(sent = done.sent, failed = done.failed, "notices that something arrived");
                }
            }
        }
    }).await;
}
