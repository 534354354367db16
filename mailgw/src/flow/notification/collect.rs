//! What arrived becomes notices: one for what came within some minutes of the first, outside of quiet hours, so many a day.

use policies::mailbox::{MailboxNumber, NotificationPolicy, next_day};
use store::{Batch, CommitError, Expectation, Key};
use time::OffsetDateTime;

use super::{NotificationError, going, moment, put, today};
use crate::directory::still_open;
use crate::gateway::{Gateway, unix_millis};
use crate::record::account::Account;
use crate::record::notification::{Arrived, Channel, Counted, Going, Places, Says};

/// Arrivals that one notice tells of; what is beyond is told of by the next.
pub(super) const OF_ONE: usize = 100;
/// Notices made in one turn.
const TURN: usize = 500;
/// Texts that wait for whoever sends them: beyond it none is made. Who is told by text alone is told at once later, who is told by mail
/// too is told by that alone.
const MAX_GOING: usize = 20_000;
const SENT: &str = "notices";

/// When there is something to collect: all that waits is looked through no oftener.
#[derive(Debug, Default)]
pub struct Collector {
    next: u64,
}

/// When somebody is told of what waits since `first`, having been told so many times today: `now` where that is now. Pure.
fn when(policy: &NotificationPolicy, first: u64, told_today: u32, now: OffsetDateTime) -> u64 {
    let due = first.saturating_add(policy.collects());
    let mut at = unix_millis(now).max(due);
    if told_today >= policy.per_day {
        at = at.max(unix_millis(next_day(now)));
    }
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).unwrap_or(now);
    policy.quiet_until(moment).map_or(at, |until| at.max(unix_millis(until)))
}

/// Makes the notices that are due; how many. Who runs at the same time finds them made.
pub fn collect(gateway: &Gateway, collector: &mut Collector) -> Result<usize, NotificationError> {
    let now = moment(gateway).0;
    if now < collector.next {
        return Ok(0);
    }
    let (texts, end) = Going::all(Channel::Text);
    let holds_texts = gateway.store.scan(&texts, &end, MAX_GOING)?.len() >= MAX_GOING;
    // Nothing that comes from now on is due before.
    let mut next = now.saturating_add(gateway.directory.policy().notifications().collects()).max(now + 1);
    let ((mut from, to), mut made) = (Arrived::all(), 0);
    while let Some((_, bytes)) = gateway.store.scan(&from, &to, 1)?.first() {
        let mailbox = Arrived::decode(bytes)?.mailbox;
        let (first, end) = Arrived::of_mailbox(&mailbox);
        let found = gateway.store.scan(&first, &end, OF_ONE)?;
        match of_mailbox(gateway, &mailbox, found, holds_texts)? {
            Collected::Made(count) => made += count,
            Collected::At(at) => next = next.min(at),
        }
        from = end;
        if made >= TURN {
            return Ok(made);
        }
    }
    // What is beyond the bound of one notice waits for the next look.
    collector.next = if made > 0 { 0 } else { next };
    Ok(made)
}

enum Collected {
    Made(usize),
    /// When there is something to do.
    At(u64),
}

/// 1 whose it is, and where it is told; nobody is told whose mailbox closed or who withdrew, and a place that the counter ended had its
/// last notice · 2 when · 3 the notices, in one commit with the end of what waited.
fn of_mailbox(gateway: &Gateway, mailbox: &str, found: Vec<(Key, Vec<u8>)>, holds_texts: bool) -> Result<Collected, NotificationError> {
    let (now, at) = moment(gateway);
    let arrived: Vec<Arrived> = found.iter().map(|(_, bytes)| Arrived::decode(bytes)).collect::<Result<_, _>>()?;
    let ends = found.into_iter().fold(Batch::new(), |batch, (key, bytes)| batch.expect(Expectation::Equals(key.clone(), bytes)).delete(key));
    // 1
    let account = MailboxNumber::parse(mailbox).ok().map(|number| gateway.directory.get(number)).transpose()?.flatten().filter(Account::is_open);
    let (places, stored) = Places::known(&*gateway.store, mailbox, &gateway.directory_key)?;
    let (Some(account), Some(stored), false) = (account, stored, places.confirmed.is_empty()) else {
        return committed(gateway, ends).map(|_| Collected::Made(0));
    };
    // 2
    let key = Counted::key(SENT, mailbox);
    let counted = gateway.store.get(&key)?;
    let told_today = Counted::on(counted.as_deref(), &today(at))?;
    let first = arrived.iter().map(|one| one.unix_millis).min().unwrap_or(now);
    let due = when(gateway.directory.policy().notifications(), first, told_today, at);
    if due > now {
        return Ok(Collected::At(due));
    }
    let told: Vec<_> = places.confirmed.iter().filter(|confirmed| !holds_texts || confirmed.place.channel != Channel::Text).collect();
    if told.is_empty() {
        // It waits for the next look.
        return Ok(Collected::Made(0));
    }
    // 3
    let more = Counted::with(counted.as_deref(), &today(at))?;
    let before = counted.map_or_else(|| Expectation::Absent(key.clone()), |bytes| Expectation::Equals(key.clone(), bytes));
    let mut batch = ends.expect(Expectation::Equals(Places::key(mailbox), stored)).expect(still_open(account.number)).expect(before).put(key, more.encode()?);
    let (mut mails, count) = (Vec::new(), told.len());
    for confirmed in told {
        let (with, mail) = put(gateway, batch, &going(mailbox, &confirmed.place, Says::Arrived, arrived.clone(), now), at)?;
        (batch, _) = (with, mails.extend(mail));
    }
    if committed(gateway, batch)? {
        mails.into_iter().for_each(|id| gateway.queue.accepted(id));
        return Ok(Collected::Made(count));
    }
    Ok(Collected::At(now))
}

/// Whether it stands; where somebody changed something at this moment the next look decides anew.
fn committed(gateway: &Gateway, batch: Batch) -> Result<bool, NotificationError> {
    match gateway.store.commit(batch) {
        Err(CommitError::Conflict { .. }) => Ok(false),
        done => Ok(done.map(|_| true)?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::MailboxPolicy;
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn policy() -> MailboxPolicy {
        MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap()
    }

    #[test]
    fn one_notice_for_some_minutes_by_day_and_not_too_many() {
        let policy = policy();
        let due = |first: OffsetDateTime, told: u32, now: OffsetDateTime| OffsetDateTime::from_unix_timestamp_nanos(i128::from(when(policy.notifications(), unix_millis(first), told, now)) * 1_000_000).unwrap();
        let noon = datetime!(2026-11-29 12:00 +8);
        for (first, told, now, at) in [
            (noon, 0, noon, datetime!(2026-11-29 12:10 +8)),
            (noon, 2, datetime!(2026-11-29 12:30 +8), datetime!(2026-11-29 12:30 +8)),
            (noon, 3, noon, datetime!(2026-11-30 08:00 +8)),
            (datetime!(2026-11-29 20:55 +8), 0, datetime!(2026-11-29 20:56 +8), datetime!(2026-11-30 08:00 +8)),
            (datetime!(2026-11-29 23:00 +8), 0, datetime!(2026-11-30 07:00 +8), datetime!(2026-11-30 08:00 +8)),
            (datetime!(2026-11-29 23:00 +8), 0, datetime!(2026-11-30 08:00 +8), datetime!(2026-11-30 08:00 +8)),
        ] {
            assert_eq!(due(first, told, now), at, "{first} {told} {now}");
        }
    }

    proptest! {
        /// Who is told is told when it is said: the answer at that time is that time, unless the day's bound moves it.
        #[test]
        fn what_is_due_is_due(first in 1_780_000_000_000_u64..1_800_000_000_000, later in 0_u64..400_000_000, told in 0_u32..3) {
            let policy = policy();
            let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(first + later) * 1_000_000).unwrap();
            let at = when(policy.notifications(), first, told, now);
            prop_assert!(at >= first + later && at <= first + later + 2 * 86_400_000);
            let then = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).unwrap();
            prop_assert_eq!(when(policy.notifications(), first, told, then), at);
        }
    }
}
