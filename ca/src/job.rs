//! What the service does of its own accord: it signs the log's head and keeps the lists fresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::shutdown::Shutdown;

use crate::authority::Issuer;
use crate::flow::{Authorised, publish};
use crate::problem::IssueError;
use crate::record::{CrlRecord, decode};
use crate::service::Service;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// A list is made anew this long after the last one, when a revocation waits.
const STALE_AFTER: i64 = 60;
/// And this long after the last one in any case.
const RENEW_AFTER: i64 = 24 * 3_600;

pub async fn run(service: Service, healthy: Arc<AtomicBool>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(HEAD_EVERY);
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (service, lists) = (service.clone(), turn.is_multiple_of(20));
        turn = turn.wrapping_add(1);
        let done = tokio::task::spawn_blocking(move || once(&service, lists)).await;
        let well = matches!(done, Ok(true));
        if !well && healthy.load(Ordering::Relaxed) {
            tracing::error!("the service cannot look after its log or its lists");
        }
        healthy.store(well, Ordering::Relaxed);
    }
}

fn once(service: &Service, lists: bool) -> bool {
    if let Err(error) = service.evidence.advance() {
        tracing::error!(%error, "signing the log's head");
        return false;
    }
    let mut well = true;
    for issuer in service.authority.issuers.values().filter(|issuer| lists && issuer.key.is_some()) {
        if let Err(error) = renew(service, issuer) {
            tracing::error!(%error, issuer = issuer.id(), "publishing a CRL");
            well = false;
        }
    }
    well
}

fn renew(service: &Service, issuer: &Issuer) -> Result<(), IssueError> {
    let authority = &service.authority;
    let now = authority.clock.now().unix_timestamp();
    let stale = authority.store.get(&CrlRecord::stale(issuer.id()))?.is_some();
    let last = authority.store.get(&CrlRecord::key(issuer.id()))?;
    let last: Option<CrlRecord> = last.map(|bytes| decode(&bytes)).transpose().map_err(|_| IssueError::Damaged { what: "the last CRL" })?;
    let age = last.map_or(i64::MAX, |list| now - list.this_update);
    if (stale && age >= STALE_AFTER) || age >= RENEW_AFTER {
        let list = publish::publish(authority, &Authorised::service(), issuer)?;
        tracing::info!(issuer = issuer.id(), number = list.number, entries = list.entries, "published a CRL");
    }
    Ok(())
}
