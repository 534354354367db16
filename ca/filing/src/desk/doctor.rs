//! What is well with the desk and what is to be mended. Asks the timestamp authority and the lists; changes nothing.

use pki::view::CertificateView;
use runtime::doctor::Finding;
use time::{Duration, OffsetDateTime};

use super::problem::DeskError;
use super::flow::unnamed;
use super::record::archive;
use super::record::attachment::AttachmentRecord;
use super::record::letter::LetterRecord;
use super::record::receipt::ReceiptNumber;
use super::record::settings::Tls;
use super::{Desk, ready};

/// A certificate that ends within this is told of.
const SOON: Duration = Duration::days(30);
/// Letters and receipts looked at.
const MOST: usize = 1_000;
/// They are removed within minutes of their end, a thousand at a time.
const NOT_SWEPT: Duration = Duration::days(1);
/// The gateway asks every few seconds.
const NOT_TAKEN: Duration = Duration::hours(1);

pub fn examine(desk: &Desk) -> Result<Vec<Finding>, DeskError> {
    let (now, mut findings) = (desk.clock.now(), Vec::new());
    // One that accepts nothing seals nothing.
    for bureau in desk.policies.desk.bureaus().iter().filter(|bureau| !bureau.accepts.is_empty()) {
        let code = bureau.code.as_str();
        findings.push(match ready::seal(desk, code) {
            Ok(seal) => ending(&format!("seal of {code}"), ready::until(&seal), now, "have another issued: `filing desk bureau request`, then `filing desk bureau set`"),
            Err(error) => failed(&format!("seal of {code}"), &error, "filings of its kinds are answered with 503 until another is set: `filing desk bureau request`, `filing desk bureau set`"),
        });
        findings.push(match ready::authority(desk, code) {
            Ok(()) => Finding::ok(format!("timestamps for {code}: believed")),
            Err(error) => failed(&format!("timestamps for {code}"), &error, "check `timestamp` in desk.toml, the authority's certificate and the clocks"),
        });
    }
    let tls = desk.store.get(&Tls::key())?.map(|record| Tls::decode(&record)).transpose()?;
    findings.push(match &tls {
        Some(tls) => ending("TLS certificate", CertificateView::parse(tls.chain.leaf()).ok().map(|view| view.not_after), now, "have another issued: `filing desk tls request`, then `filing desk tls install`"),
        None => Finding::fail("TLS certificate: there is none", "run `filing desk tls request`, have it issued, then `filing desk tls install`"),
    });
    let (from, to) = ReceiptNumber::all_pending();
    findings.push(match desk.store.scan(&from, &to, MOST)?.len() {
        0 => Finding::ok("receipts: all are sealed"),
        waiting => Finding::warn(format!("receipts: {waiting} wait for their seal"), "they are sealed by the service once what fails above is mended"),
    });
    let (from, to) = LetterRecord::due((now - NOT_TAKEN).unix_timestamp());
    findings.push(match desk.store.scan(&from, &to, MOST)?.len() {
        0 => Finding::ok("letters: none waits long"),
        waiting => Finding::warn(format!("letters: {waiting} wait for more than an hour"), "see whether the mail gateway runs and collects at outbox.sock"),
    });
    let (from, to) = archive::faults();
    let faults = desk.store.scan(&from, &to, MOST)?;
    findings.push(match faults.first() {
        None => Finding::ok("archive: what proves each signature can be renewed"),
        Some((first, why)) => {
            let name = first.last_part().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
            Finding::fail(format!("archive: {} signatures cannot be renewed, {name} first: {}", faults.len(), String::from_utf8_lossy(why)), "restore what is damaged from a backup, or ask the bureau; they are tried again each day")
        }
    });
    findings.push(unnamed_files(desk, now)?);
    Ok(findings)
}

/// How much no filing names, and whether what had its days is gone.
fn unnamed_files(desk: &Desk, now: OffsetDateTime) -> Result<Finding, DeskError> {
    let (files, bytes) = (desk.store.sum(AttachmentRecord::WAITING)?, desk.store.sum(AttachmentRecord::WAITING_BYTES)?);
    let (from, to) = AttachmentRecord::waiting_before(u64::MAX);
    let oldest = desk.store.scan(&from, &to, 1)?.into_iter().next();
    let record = oldest.map(|(_, sha256)| desk.store.get(&AttachmentRecord::key(&String::from_utf8_lossy(&sha256)))).transpose()?.flatten();
    let over = record.map(|record| AttachmentRecord::decode(&record)).transpose()?.is_some_and(|record| unnamed::ends(desk, record.kept_at) + NOT_SWEPT < now);
    let told = format!("attachments: {files} with {bytes} bytes wait for a filing that names them");
    Ok(if over { Finding::warn(told, "some had their days and are still here: see what the service's log says of attachments") } else { Finding::ok(told) })
}

fn failed(what: &str, error: &DeskError, next: &str) -> Finding {
    let text = error.to_string();
    Finding::fail(format!("{what}: {}", text.split("; ").next().unwrap_or_default()), next)
}

fn ending(what: &str, until: Option<OffsetDateTime>, now: OffsetDateTime, next: &str) -> Finding {
    match until {
        None => Finding::fail(format!("{what}: its certificate cannot be read"), next),
        Some(until) if until < now => Finding::fail(format!("{what}: its certificate has ended"), next),
        Some(until) if until - now < SOON => Finding::warn(format!("{what}: {} days are left", (until - now).whole_days()), next),
        Some(until) => Finding::ok(format!("{what}: {} days are left", (until - now).whole_days())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::doctor::Grade;

    #[test]
    fn what_ends_soon_is_told_before_it_ended() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let grade = |until: Option<Duration>| ending("x", until.map(|until| now + until), now, "y").grade;
        assert_eq!(grade(Some(Duration::days(30))), Grade::Ok);
        assert_eq!(grade(Some(Duration::days(29))), Grade::Warn);
        assert_eq!(grade(Some(-Duration::seconds(1))), Grade::Fail);
        assert_eq!(grade(None), Grade::Fail);
    }
}
