//! A certificate that ends before it is needed again is said at every command, with the one command that renews it.

use pki::path::CertificateFacts;
use policies::authority::day_in_city;
use policies::filing::{FilingPeriod, Filings, Kind};
use runtime::clock::{Clock, SystemClock};
use time::{Date, Duration, OffsetDateTime};

use super::enterprise::Place;

/// Soon, whatever is due.
const SOON: Duration = Duration::days(30);

/// On standard error, so that what programs read stays as it is. Without a certificate there is nothing to say.
pub(super) fn warn(place: &Place) {
    let (Some(ends), Ok(filings)) = (ends(place), place.filings()) else { return };
    let now = SystemClock.now();
    if let Some(warning) = warning(place, ends, uncovered(ends, &filings, now), now) {
        told(place, &warning);
    }
}

/// The same for the very form that is worked on, where its deadline is not among those that are looked at always.
pub(super) fn warn_of(place: &Place, filings: &Filings, kind: &Kind, period: FilingPeriod) {
    let Some(ends) = ends(place) else { return };
    let now = SystemClock.now();
    let due = filings.deadline(kind, period).map(|deadline| deadline.date);
    let missed = due.filter(|due| ends > now && misses(ends, *due, now));
    if let Some(due) = missed.filter(|_| uncovered(ends, filings, now).is_none())
        && let Some(warning) = warning(place, ends, Some((kind.titles().0.to_owned(), kind.titles().1.to_owned(), due)), now)
    {
        told(place, &warning);
    }
}

fn ends(place: &Place) -> Option<OffsetDateTime> {
    if !place.home().join(place.newest().certificate()).exists() {
        return None;
    }
    let chain = place.chain(None).ok()?;
    CertificateFacts::parse(chain.first()?).ok().map(|facts| facts.not_after)
}

/// What is so, and what to do.
struct Warning {
    message: String,
    next: String,
}

fn told(place: &Place, warning: &Warning) {
    let Warning { message, next } = warning;
    if place.json {
        runtime::terminal::progress(&serde_json::json!({ "warning": "certificate-ends", "message": message, "next": next }).to_string(), true);
    } else {
        runtime::terminal::progress(&format!("{message}{}{next}", place.said("；", "; ")), true);
    }
}

fn warning(place: &Place, ends: OffsetDateTime, missed: Option<(String, String, Date)>, now: OffsetDateTime) -> Option<Warning> {
    let day = day_in_city(ends);
    let renew = || place.format(&format!("请换发：filing renew {}", place.named()), &format!("renew it: filing renew {}", place.named()));
    if ends <= now {
        let next = place.format("请换一个目录重新申请：filing key new、filing request（旧证书到期后不能换发）", "order a new one from another directory: `filing key new`, `filing request`; one that ended cannot be renewed");
        return Some(Warning { message: place.format(&format!("证书已于 {day} 到期"), &format!("the certificate ended on {day}")), next });
    }
    if let Some((title, title_en, due)) = missed {
        let message = place.format(&format!("证书将于 {day} 到期，早于“{title}”的期限 {due}"), &format!("the certificate ends on {day}, before {title_en} is due on {due}"));
        return Some(Warning { message, next: renew() });
    }
    let message = || place.format(&format!("证书将于 {day} 到期"), &format!("the certificate ends on {day}"));
    (ends - now <= SOON).then(|| Warning { message: message(), next: renew() })
}

/// To the end of the deadline's day, by the city's time.
fn misses(ends: OffsetDateTime, due: Date, now: OffsetDateTime) -> bool {
    due >= day_in_city(now) && day_in_city(ends) <= due
}

/// The first coming deadline, of a period that ended or runs, that the certificate does not reach.
fn uncovered(ends: OffsetDateTime, filings: &Filings, now: OffsetDateTime) -> Option<(String, String, Date)> {
    let today = day_in_city(now);
    let last_month = today.replace_day(1).ok()?.previous_day()?;
    let month = |date: Date| format!("{:04}{:02}", date.year(), u8::from(date.month()));
    let periods: Vec<FilingPeriod> = [month(last_month), month(today), format!("{:04}", today.year() - 1), format!("{:04}", today.year())].iter().filter_map(|text| FilingPeriod::parse(text)).collect();
    let due = filings.kinds().iter().flat_map(|kind| periods.iter().filter(|period| kind.takes(**period)).filter_map(move |period| Some((kind, filings.deadline(kind, *period)?.date))));
    let coming = due.filter(|(_, date)| misses(ends, *date, now));
    coming.min_by_key(|(_, date)| *date).map(|(kind, date)| (kind.titles().0.to_owned(), kind.titles().1.to_owned(), date))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_certificate_that_misses_a_deadline_is_told() {
        let filings = Filings::shipped().unwrap();
        let now = datetime!(2026-11-05 04:00 UTC);
        // VAT of October is due on 16 November 2026.
        assert_eq!(uncovered(datetime!(2026-11-10 0:00 UTC), &filings, now).unwrap().2, time::macros::date!(2026 - 11 - 16));
        assert!(uncovered(datetime!(2028-11-10 0:00 UTC), &filings, now).is_none());
        // It ends within the deadline's very day, by the city's time; a second later it reaches it.
        let due = time::macros::date!(2026 - 11 - 16);
        assert!(misses(datetime!(2026-11-16 15:59:59 UTC), due, now) && !misses(datetime!(2026-11-16 16:00 UTC), due, now));
        // One that never ends by RFC 5280 reaches every deadline, and no calendar of the city's falls over it.
        let never = datetime!(9999-12-31 23:59:59 UTC);
        assert!(uncovered(never, &filings, now).is_none() && !misses(never, due, now));
        // A deadline that is over is nobody's reason to renew.
        assert!(!misses(datetime!(2026-11-10 0:00 UTC), due, datetime!(2026-11-16 16:00 UTC)));
    }
}
