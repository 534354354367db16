//! A certificate that ends before it is needed again is said at every command, with the one command that renews it.

use pki::path::CertificateFacts;
use policies::authority::CITY;
use policies::filing::{FilingPeriod, Filings};
use runtime::clock::{Clock, SystemClock};
use time::{Date, Duration, OffsetDateTime};

use super::enterprise::Place;

/// Soon, whatever is due.
const SOON: Duration = Duration::days(30);

/// On standard error, so that what programs read stays as it is. Without a certificate there is nothing to say.
pub(super) fn warn(place: &Place) {
    if !place.dir.join(place.newest().certificate()).exists() {
        return;
    }
    let facts = place.chain(None).ok().and_then(|chain| CertificateFacts::parse(chain.first()?).ok());
    let (Some(facts), Ok(filings)) = (facts, Filings::shipped()) else { return };
    if let Some(text) = warning(place, facts.not_after, &filings, SystemClock.now()) {
        runtime::terminal::progress(&text, true);
    }
}

fn warning(place: &Place, ends: OffsetDateTime, filings: &Filings, now: OffsetDateTime) -> Option<String> {
    let (day, renew) = (ends.to_offset(CITY).date(), format!("filing renew --dir {}", place.dir.display()));
    if ends <= now {
        return Some(place.format(&format!("证书已于 {day} 到期；请重新申请：filing request"), &format!("the certificate ended on {day}; order a new one: filing request")));
    }
    if let Some((title, title_en, due)) = uncovered(ends, filings, now) {
        return Some(place.format(&format!("证书将于 {day} 到期，早于“{title}”的期限 {due}；请换发：{renew}"), &format!("the certificate ends on {day}, before {title_en} is due on {due}; renew it: {renew}")));
    }
    (ends - now <= SOON).then(|| place.format(&format!("证书将于 {day} 到期；请换发：{renew}"), &format!("the certificate ends on {day}; renew it: {renew}")))
}

/// The first coming deadline, of a period that ended or runs, that the certificate does not reach.
fn uncovered(ends: OffsetDateTime, filings: &Filings, now: OffsetDateTime) -> Option<(String, String, Date)> {
    let today = now.to_offset(CITY).date();
    let last_month = today.replace_day(1).ok()?.previous_day()?;
    let month = |date: Date| format!("{:04}{:02}", date.year(), u8::from(date.month()));
    let periods: Vec<FilingPeriod> = [month(last_month), month(today), format!("{:04}", today.year() - 1), format!("{:04}", today.year())].iter().filter_map(|text| FilingPeriod::parse(text)).collect();
    let due = filings.kinds().iter().flat_map(|kind| periods.iter().filter(|period| kind.takes(**period)).filter_map(move |period| Some((kind, filings.deadline(kind, *period)?.date))));
    // To the end of the deadline's day, by the city's time.
    let coming = due.filter(|(_, date)| *date >= today && ends.to_offset(CITY).date() <= *date);
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
    }
}
