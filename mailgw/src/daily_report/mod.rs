//! Reports to other domains, one straight line for each day and domain: counted → asked who wants to know → written → signed → queued.
//! Two kinds of content go this way, by mail alone: what came of TLS with a domain's servers, and what mail came in its name.

mod counted;
pub mod dmarc;
mod letter;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use protocol::smtp::exchange::Address;
use runtime::shutdown::Shutdown;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::MailError;
use crate::record::event::{self, Event};
use crate::record::tally::Tally;

pub use counted::Counted;

/// How often counts go to the store, and how often days that are over are reported.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
const REPORT_EVERY: u32 = 60;
/// Days for which a domain is asked who wants to know.
const DAYS: u64 = 3;
/// Addresses that are written to.
const MAX_ADDRESSES: usize = 3;
const DAY: u64 = 86_400_000;
const PAGE: usize = 200;

/// One kind of report.
pub trait Report: Send + Sync + 'static {
    type Tally: Tally;
    /// Who wants to know, as far as the DNS says.
    type Asked: Send + 'static;
    /// As the service's own log calls it.
    const OF: &'static str;

    fn ask(&self, tally: &Self::Tally) -> impl Future<Output = Self::Asked> + Send;

    /// To whom which letter goes, unsigned; none where nobody wants to know. `None`: the DNS does not say now.
    fn letters(gateway: &Gateway, tally: &Self::Tally, asked: &Self::Asked, now: OffsetDateTime) -> Option<Vec<(Address, Vec<u8>)>>;

    fn queued(told: event::TlsReport) -> Event;
}

/// The day a moment is of, as reports count days: in UTC.
fn day(unix_millis: u64) -> u64 {
    unix_millis / DAY
}

/// Counts and reports until `shutdown`.
pub async fn run<R: Report>(gateway: Arc<Gateway>, counted: Arc<Counted<R::Tally>>, report: R, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(FLUSH_EVERY);
    for minute in 0_u32.. {
        let ends = tokio::select! {
            () = shutdown.wait() => true,
            _ = tick.tick() => false,
        };
        let (store, counts) = (Arc::clone(&gateway.store), Arc::clone(&counted));
        let flushed = tokio::task::spawn_blocking(move || counts.flush(&*store)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!(of = R::OF, "what is counted for reports is not in the store yet");
        }
        if ends {
            return;
        }
        if minute % REPORT_EVERY == 0 {
            report_all(&gateway, &report).await;
        }
    }
}

async fn report_all<R: Report>(gateway: &Arc<Gateway>, report: &R) {
    let reader = Arc::clone(gateway);
    let due = match tokio::task::spawn_blocking(move || due::<R::Tally>(&reader, reader.clock.now())).await {
        Ok(Ok(due)) => due,
        Ok(Err(error)) => return tracing::warn!(of = R::OF, %error, "nothing can be reported now"),
        Err(error) => return tracing::error!(of = R::OF, %error, "nothing can be reported now"),
    };
    for tally in due {
        let asked = report.ask(&tally).await;
        let writer = Arc::clone(gateway);
        let done = tokio::task::spawn_blocking(move || self::report::<R>(&writer, &tally, &asked, writer.clock.now())).await;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(of = R::OF, %error, "a report is not queued yet"),
            Err(error) => tracing::error!(of = R::OF, %error, "a report is not queued yet"),
        }
    }
}

/// What was counted on days that are over.
pub fn due<T: Tally>(gateway: &Gateway, now: OffsetDateTime) -> Result<Vec<T>, MailError> {
    let ((mut from, to), today, mut due) = (T::range(), day(unix_millis(now)), Vec::new());
    loop {
        let found = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = found.last() else { return Ok(due) };
        from = last.successor();
        for (_, stored) in &found {
            let tally = T::decode(stored)?;
            // The oldest come first.
            if tally.day() >= today {
                return Ok(due);
            }
            due.push(tally);
        }
    }
}

/// One day of one domain: its report is queued and its counts go in one commit. Calls block.
pub fn report<R: Report>(gateway: &Gateway, tally: &R::Tally, asked: &R::Asked, now: OffsetDateTime) -> Result<(), MailError> {
    let key = R::Tally::key(tally.day(), tally.domain());
    let letters = match R::letters(gateway, tally, asked, now) {
        None if day(unix_millis(now)).saturating_sub(tally.day()) < DAYS => return Ok(()),
        letters => letters.unwrap_or_default(),
    };
    let mut batch = Batch::new().expect(Expectation::Equals(key.clone(), tally.encode()?)).delete(key);
    let mut queued = Vec::new();
    for (address, letter) in letters.into_iter().take(MAX_ADDRESSES) {
        // spec: rfc8460#3, rfc9990#3.5 a report is signed by the domain that sends it, so that it is believed
        let signed = [gateway.dkim.sign(&letter, now).map_err(|_| MailError::Busy)?, letter].concat();
        let body = gateway.messages.body(&signed)?;
        batch = gateway.queue.enqueue_own(batch, &body, &address, now)?;
        let told = event::TlsReport { day: tally.day(), domain: tally.domain().to_owned(), queued: crate::queue::shown(body.id()) };
        R::queued(told).append(&mut batch, unix_millis(now))?;
        queued.push(body.id());
    }
    match gateway.store.commit(batch) {
        // Somebody counted meanwhile: it is reported an hour later.
        Err(CommitError::Conflict { .. }) => return Ok(()),
        done => done?,
    };
    queued.into_iter().for_each(|id| gateway.queue.accepted(id));
    Ok(())
}
