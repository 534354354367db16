//! Reports to other domains of the mail that came in their names, one straight line for each day and domain: counted → asked whether they
//! go where they are wanted → written → signed → queued. What reports are sent here is an ordinary attachment.
// spec: rfc9990

mod letter;
mod row;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::smtp::exchange::Address;
use runtime::shutdown::Shutdown;
use store::{Batch, CommitError, Expectation, Store};
use time::OffsetDateTime;

use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::MailError;
use crate::record::dmarc_tally::{self as record, Destination, Tally};
use crate::record::event::{self, Event};
use crate::sending::tallies::day;
use crate::verdict::decide::Verdict;
use crate::verdict::destinations::{Destinations, Found};
use crate::verdict::results::{Author, Results};

/// How often counts go to the store, and how often days that are over are reported.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
const REPORT_EVERY: u32 = 60;
/// Days for which a domain is asked whether its reports go where it wants them.
const DAYS: u64 = 3;
/// Addresses that are written to.
const MAX_ADDRESSES: usize = 3;
/// Domains of which something is counted between two looks; more are not.
const MAX_DOMAINS: usize = 10_000;
const PAGE: usize = 200;

/// What came in domains' names, counted in memory and added to the store every minute: what a crash loses is statistics.
#[derive(Default)]
pub struct Tallies(Mutex<HashMap<(u64, String), Tally>>);

impl Tallies {
    /// A message of another host was judged.
    pub fn note(&self, peer: IpAddr, results: &Results, verdict: Verdict, now: u64) {
        let (Some(row), Some(reported), Author::Of(domain)) = (row::row(peer, results, verdict), &results.reported, &results.author) else { return };
        let domain = domain.to_lowercase();
        if !is_written_plainly(&domain) {
            return;
        }
        // A panic elsewhere leaves counts that are off by one at most.
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (day(now), domain.clone());
        if !counted.contains_key(&key) && counted.len() >= MAX_DOMAINS {
            return;
        }
        let tally = counted.entry(key).or_insert_with(|| Tally::new(day(now), &domain));
        tally.published.clone_from(&reported.published);
        tally.wanted.clone_from(&reported.wanted);
        tally.add(&row, 1);
    }

    /// Adds what was counted to the store. What it does not take is counted on.
    pub fn flush(&self, store: &dyn Store) -> Result<(), MailError> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = None;
        for (key, tally) in counted {
            if failed.is_none() {
                failed = added(store, &tally).err();
            }
            if failed.is_some() {
                let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                counted.entry(key).and_modify(|since| {
                    let mut all = tally.clone();
                    all.merge(since);
                    *since = all;
                }).or_insert(tally);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// It stands in the header of a letter: letters of other scripts are written in theirs only as `xn--`.
fn is_written_plainly(domain: &str) -> bool {
    (1..=253).contains(&domain.len()) && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

fn added(store: &dyn Store, tally: &Tally) -> Result<(), MailError> {
    let key = record::key(tally.day, &tally.domain);
    let stored = store.get(&key)?;
    let mut sum = stored.as_deref().map(Tally::decode).transpose()?.unwrap_or_else(|| Tally::new(tally.day, &tally.domain));
    sum.merge(tally);
    let still = stored.map_or_else(|| Expectation::Absent(key.clone()), |stored| Expectation::Equals(key.clone(), stored));
    match store.commit(Batch::new().expect(still).put(key, sum.encode()?)) {
        Err(CommitError::Conflict { .. }) => Err(MailError::Busy),
        done => Ok(done.map(|_| ())?),
    }
}

/// Counts and reports until `shutdown`.
pub async fn run(gateway: Arc<Gateway>, tallies: Arc<Tallies>, resolver: SocketAddr, shutdown: Shutdown) {
    let destinations = match Destinations::new(resolver) {
        Ok(destinations) => destinations,
        Err(error) => return tracing::error!(%error, "what came in domains' names is not reported"),
    };
    let mut tick = tokio::time::interval(FLUSH_EVERY);
    for minute in 0_u32.. {
        let ends = tokio::select! {
            () = shutdown.wait() => true,
            _ = tick.tick() => false,
        };
        let (store, counted) = (Arc::clone(&gateway.store), Arc::clone(&tallies));
        let flushed = tokio::task::spawn_blocking(move || counted.flush(&*store)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("what came in domains' names is not counted in the store yet");
        }
        if ends {
            return;
        }
        if minute % REPORT_EVERY == 0 {
            report_all(&gateway, &destinations).await;
        }
    }
}

async fn report_all(gateway: &Arc<Gateway>, destinations: &Destinations) {
    let reader = Arc::clone(gateway);
    let due = match tokio::task::spawn_blocking(move || due(&reader, reader.clock.now())).await {
        Ok(Ok(due)) => due,
        Ok(Err(error)) => return tracing::warn!(%error, "what came in domains' names cannot be reported now"),
        Err(error) => return tracing::error!(%error, "what came in domains' names cannot be reported now"),
    };
    for tally in due {
        let addresses: Vec<String> = tally.wanted.iter().map(|wanted| wanted.address.clone()).collect();
        let found = destinations.of(&tally.domain, &addresses).await;
        let writer = Arc::clone(gateway);
        let done = tokio::task::spawn_blocking(move || report(&writer, &tally, &found, writer.clock.now())).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "a report of what came in a domain's name is not queued yet");
        }
    }
}

/// What was counted on days that are over.
pub fn due(gateway: &Gateway, now: OffsetDateTime) -> Result<Vec<Tally>, MailError> {
    let ((mut from, to), today, mut due) = (record::range(), day(unix_millis(now)), Vec::new());
    loop {
        let found = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = found.last() else { return Ok(due) };
        from = last.successor();
        for (_, stored) in &found {
            let tally = Tally::decode(stored)?;
            // The oldest come first.
            if tally.day >= today {
                return Ok(due);
            }
            due.push(tally);
        }
    }
}

/// One day of one domain: its report is queued and its counts go in one commit. Calls block.
pub fn report(gateway: &Gateway, tally: &Tally, found: &Found, now: OffsetDateTime) -> Result<(), MailError> {
    let key = record::key(tally.day, &tally.domain);
    let mut batch = Batch::new().expect(Expectation::Equals(key.clone(), tally.encode()?)).delete(key);
    let mut queued = Vec::new();
    match found {
        Found::Unknown if day(unix_millis(now)).saturating_sub(tally.day) < DAYS => return Ok(()),
        Found::Unknown => {}
        Found::At { policy, addresses } => {
            let (host, domain) = (&gateway.settings.host, &gateway.settings.domain);
            let packed = letter::packed(&letter::xml(host, domain, policy, tally));
            let fits = |wanted: &&Destination| addresses.contains(&wanted.address) && (wanted.most_bytes == 0 || packed.len() as u64 <= wanted.most_bytes);
            for address in tally.wanted.iter().filter(fits).filter_map(|wanted| Address::parse(&wanted.address).ok()).take(MAX_ADDRESSES) {
                let letter = letter::write(host, domain, tally, &packed, &address, now);
                // spec: rfc9990#3.5 a report is signed by the domain that sends it, so that it is believed
                let signed = [gateway.dkim.sign(&letter, now).map_err(|_| MailError::Busy)?, letter].concat();
                let body = gateway.messages.body(&signed)?;
                batch = gateway.queue.enqueue_own(batch, &body, &address, now)?;
                let told = event::TlsReport { day: tally.day, domain: tally.domain.clone(), queued: crate::queue::shown(body.id()) };
                Event::DmarcReportQueued(told).append(&mut batch, unix_millis(now))?;
                queued.push(body.id());
            }
        }
    }
    match gateway.store.commit(batch) {
        // Somebody counted meanwhile: it is reported an hour later.
        Err(CommitError::Conflict { .. }) => return Ok(()),
        done => done?,
    };
    queued.into_iter().for_each(|id| gateway.queue.accepted(id));
    Ok(())
}
