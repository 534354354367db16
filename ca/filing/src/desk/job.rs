//! What the desk does of its own accord: it signs the log's head, seals receipts that were left
//! unsealed, and keeps what is signed provable.

use std::sync::Arc;
use std::time::Duration;

use evidence::Standing;
use runtime::metrics::Gauge;
use runtime::shutdown::Shutdown;

use super::{Desk, ready};
use super::flow::{archive as archived, seal, unnamed};
use super::record::attachment::AttachmentRecord;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// How often receipts without a seal are looked for.
const SEAL_EVERY: Duration = Duration::from_secs(5);
/// How often files that no filing named in their days are looked for.
const UNNAMED_EVERY: Duration = Duration::from_mins(10);
/// How often what is due in the archive is looked for.
const ARCHIVE_EVERY: Duration = Duration::from_hours(1);

/// Signs the log's head until shutdown, and begins that where the store has to be opened again.
pub async fn head(standing: Arc<Standing>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(HEAD_EVERY);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let standing = Arc::clone(&standing);
        match tokio::task::spawn_blocking(move || standing.look()).await {
            Ok(true) => shutdown.begin(),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "signing the log's head ended abnormally"),
        }
    }
}

/// What the operator sees of receipts and of what they need.
pub struct Seen {
    /// Receipts that wait for their seal.
    pub unsealed: Arc<Gauge>,
    /// Bureaus whose seal cannot be used, and those that do not believe our timestamps: their filings are answered with 503.
    pub seals: Arc<Gauge>,
    pub timestamps: Arc<Gauge>,
}

pub async fn seals(desk: Arc<Desk>, seen: Seen, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(SEAL_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let asked = Arc::clone(&desk);
        let faults = move || {
            let bureaus = || asked.policies.desk.bureaus().iter().filter(|bureau| !bureau.accepts.is_empty()).map(|bureau| bureau.code.as_str());
            (bureaus().filter(|code| ready::seal(&asked, code).is_err()).count(), bureaus().filter(|code| ready::authority(&asked, code).is_err()).count())
        };
        if let Ok((seals, timestamps)) = tokio::task::spawn_blocking(faults).await {
            for (gauge, found) in [(&seen.seals, seals), (&seen.timestamps, timestamps)] {
                let found = i64::try_from(found).unwrap_or(i64::MAX);
                if found > 0 && gauge.get() == 0 {
                    tracing::error!(bureaus = found, "filings are answered with 503: see `filing desk doctor`");
                }
                gauge.set(found);
            }
        }
        let desk = Arc::clone(&desk);
        match tokio::task::spawn_blocking(move || seal::resume(&desk)).await {
            Ok(Ok(left)) => seen.unsealed.set(i64::try_from(left).unwrap_or(i64::MAX)),
            Ok(Err(error)) => tracing::error!(%error, "looking for receipts without a seal"),
            Err(_) => {}
        }
    }
}

/// `failed` tells of how many signatures the last pass could not renew what proves them, or nothing can.
pub async fn archive(desk: Arc<Desk>, failed: Arc<Gauge>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(ARCHIVE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (desk, ending) = (Arc::clone(&desk), shutdown.clone());
        match tokio::task::spawn_blocking(move || archived::pass(&desk, &|| ending.is_set())).await {
            Ok(Ok(passed)) => {
                failed.set(i64::try_from(passed.failed.max(passed.faults)).unwrap_or(i64::MAX));
                if passed.renewed + passed.failed > 0 {
                    tracing::info!(renewed = passed.renewed, failed = passed.failed, faults = passed.faults, "the archive");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "keeping the archive"),
            Err(_) => {}
        }
    }
}

/// `waiting` tells how many files no filing names yet.
pub async fn unnamed_files(desk: Arc<Desk>, waiting: Arc<Gauge>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(UNNAMED_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let (desk, ending) = (Arc::clone(&desk), shutdown.clone());
        let pass = move || Ok::<_, super::problem::DeskError>((unnamed::pass(&desk, &|| ending.is_set())?, desk.store.sum(AttachmentRecord::WAITING)?));
        match tokio::task::spawn_blocking(pass).await {
            Ok(Ok((swept, left))) => {
                waiting.set(i64::try_from(left).unwrap_or(i64::MAX));
                if swept.files > 0 {
                    tracing::info!(files = swept.files, bytes = swept.bytes, "attachments that no filing names were removed");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "looking for attachments that no filing names"),
            Err(_) => {}
        }
    }
}
