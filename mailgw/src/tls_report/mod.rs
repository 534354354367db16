//! Reports to other domains about TLS with their servers, one straight line for each day and domain: counted → who wants to know →
//! written → signed → queued. They go by mail alone.
// spec: rfc8460

mod letter;

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use protocol::smtp::exchange::Address;
use runtime::shutdown::Shutdown;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::MailError;
use crate::record::event::{self, Event};
use crate::record::tls_tally::{self as record, Tally};
use crate::sending::tallies::{Tallies, day};

/// How often counts go to the store, and how often days that are over are reported.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
const REPORT_EVERY: u32 = 60;
/// Days for which a domain is asked who wants to know.
const DAYS: u64 = 3;
/// Addresses that are written to.
const MAX_ADDRESSES: usize = 3;
const PAGE: usize = 200;

/// Who wants a domain's reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Nobody,
    By(Vec<String>),
    /// The DNS does not say now.
    Unknown,
}

/// The addresses in the texts of `_smtp._tls.DOMAIN`: exactly one of them has to be a record. spec: rfc8460#3
pub fn wanted(texts: &[String]) -> Wanted {
    let mut records = texts.iter().filter(|text| text.trim_start().starts_with("v=TLSRPTv1;"));
    let (Some(record), None) = (records.next(), records.next()) else { return Wanted::Nobody };
    let places = record.split(';').filter_map(|field| field.split_once('=')).find(|(name, _)| name.trim() == "rua").map_or("", |(_, places)| places);
    let address = |place: &str| {
        let address = place.trim().strip_prefix("mailto:")?.split('?').next()?;
        Address::parse(address).ok().map(|address| address.as_str().to_owned())
    };
    let addresses: Vec<String> = places.split(',').filter_map(address).take(MAX_ADDRESSES).collect();
    if addresses.is_empty() { Wanted::Nobody } else { Wanted::By(addresses) }
}

async fn asked(resolver: &TokioResolver, domain: &str) -> Wanted {
    match resolver.txt_lookup(format!("_smtp._tls.{domain}.")).await {
        Ok(lookup) => {
            let texts = lookup.answers().iter().filter_map(|record| if let RData::TXT(text) = &record.data { Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()) } else { None });
            wanted(&texts.collect::<Vec<_>>())
        }
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Wanted::Nobody,
        Err(_) => Wanted::Unknown,
    }
}

/// Counts and reports until `shutdown`.
pub async fn run(gateway: Arc<Gateway>, tallies: Arc<Tallies>, resolver: TokioResolver, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(FLUSH_EVERY);
    for minute in 0_u32.. {
        let ends = tokio::select! {
            () = shutdown.wait() => true,
            _ = tick.tick() => false,
        };
        let (store, counted) = (Arc::clone(&gateway.store), Arc::clone(&tallies));
        let flushed = tokio::task::spawn_blocking(move || counted.flush(&*store)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("what came of TLS is not counted in the store yet");
        }
        if ends {
            return;
        }
        if minute % REPORT_EVERY == 0 {
            report_all(&gateway, &resolver).await;
        }
    }
}

async fn report_all(gateway: &Arc<Gateway>, resolver: &TokioResolver) {
    let reader = Arc::clone(gateway);
    let due = match tokio::task::spawn_blocking(move || due(&reader, reader.clock.now())).await {
        Ok(Ok(due)) => due,
        Ok(Err(error)) => return tracing::warn!(%error, "what came of TLS cannot be reported now"),
        Err(error) => return tracing::error!(%error, "what came of TLS cannot be reported now"),
    };
    for tally in due {
        let wanted = asked(resolver, &tally.domain).await;
        let writer = Arc::clone(gateway);
        let done = tokio::task::spawn_blocking(move || report(&writer, &tally, &wanted, writer.clock.now())).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "a report about TLS is not queued yet");
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
pub fn report(gateway: &Gateway, tally: &Tally, wanted: &Wanted, now: OffsetDateTime) -> Result<(), MailError> {
    let key = record::key(tally.day, &tally.domain);
    let mut batch = Batch::new().expect(Expectation::Equals(key.clone(), tally.encode()?)).delete(key);
    let mut queued = Vec::new();
    match wanted {
        Wanted::Unknown if day(unix_millis(now)).saturating_sub(tally.day) < DAYS => return Ok(()),
        Wanted::Unknown | Wanted::Nobody => {}
        Wanted::By(addresses) => {
            for address in addresses.iter().filter_map(|address| Address::parse(address).ok()) {
                let letter = letter::write(&gateway.settings.host, &gateway.settings.domain, tally, &address, now);
                // spec: rfc8460#3 a report is signed by the domain that sends it
                let signed = [gateway.dkim.sign(&letter, now).map_err(|_| MailError::Busy)?, letter].concat();
                let body = gateway.messages.body(&signed)?;
                batch = gateway.queue.enqueue_own(batch, &body, &address, now)?;
                let told = event::TlsReport { day: tally.day, domain: tally.domain.clone(), queued: crate::queue::shown(body.id()) };
                Event::TlsReportQueued(told).append(&mut batch, unix_millis(now))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_know() {
        let of = |texts: &[&str]| wanted(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["v=TLSRPTv1; rua=mailto:a@c.cn,https://c.cn/r,mailto:b@c.cn?x=y"]), Wanted::By(vec!["a@c.cn".into(), "b@c.cn".into()]));
        for nobody in [&["v=TLSRPTv1; rua=https://c.cn/r"][..], &["v=TLSRPTv1; rua=mailto:a@c.cn", "v=TLSRPTv1; rua=mailto:b@c.cn"], &["v=TLSRPTv1"], &["other"], &[], &["v=TLSRPTv1; rua=mailto:a b"]] {
            assert_eq!(of(nobody), Wanted::Nobody, "{nobody:?}");
        }
    }
}
