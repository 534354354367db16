//! Texts are handed over, and what came of them, and of the mails that the outbound queue sent, is told: evidence for each row of a push,
//! a leaf of the log and the notice's end in one commit.

use std::collections::{BTreeSet, HashMap};

use policies::mailbox::NotificationPolicy;
use policies::sender::Evidence as KindEvidence;
use store::{Batch, Expectation, Key};
use time::OffsetDateTime;

use super::{NotificationError, letter, moment};
use crate::erds::{Event as Delivery, Item, Notification, Of, Submission};
use crate::gateway::Gateway;
use crate::record::access;
use crate::record::event::{self, Event};
use crate::record::evidence::Recorded;
use crate::record::notification::{Channel, Going, Places, Pushed, Says, Settled};
use crate::record::push::{PushBatch, batch_key};
use crate::texts::{Answer, Texts, UNREACHABLE};

/// Notices of one commit: what they tell of fits into one batch of evidence.
const PAGE: usize = 100;
/// Why a notice failed whose time was over before its turn came.
const EXPIRED: &str = "expired";

/// What came of notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub sent: u64,
    pub failed: u64,
    pub later: u64,
}

/// What becomes of a notice after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Sent,
    Failed(String),
    At(u64),
}

/// Pure: what an answer to this try means.
fn next(policy: &NotificationPolicy, going: &Going, answer: Answer, now: u64) -> Next {
    match answer {
        Answer::Taken => Next::Sent,
        Answer::Refused(why) => Next::Failed(why.to_owned()),
        Answer::Later(why) => match now.saturating_add(policy.retry_after(going.tries.saturating_add(1))) {
            // Its time would be over then: this was the last try.
            at if is_over(policy, going, at) => Next::Failed(why.to_owned()),
            at => Next::At(at),
        },
    }
}

/// Whether nobody has any use for it any more.
fn is_over(policy: &NotificationPolicy, going: &Going, now: u64) -> bool {
    now >= going.made_unix_millis.saturating_add(lasts(policy, going))
}

/// A code is of no use once it is over.
fn lasts(policy: &NotificationPolicy, going: &Going) -> u64 {
    match going.says {
        Says::Arrived | Says::Ended => policy.give_up_after(),
        Says::Code(_) => policy.code_lasts(),
    }
}

/// A notice as it stands in the store.
struct Stored {
    id: String,
    key: Key,
    bytes: Vec<u8>,
    going: Going,
}

/// Hands over the texts that are due, some at one time, for as long as `go_on`: codes first, and again before each handful of notices, since
/// somebody waits for one. What is too old is not tried any more. Without anybody who sends them they wait, and fail with their day; one
/// that cannot be reached is not waited for by the next ones of the same turn.
pub fn send(gateway: &Gateway, texts: Option<&dyn Texts>, go_on: &dyn Fn() -> bool) -> Result<Done, NotificationError> {
    let line = Line { gateway, texts, go_on };
    let mut done = Done::default();
    let codes = |done: &mut Done| line.send(Going::codes(), done, &mut |_| Ok(true));
    if codes(&mut done)? {
        line.send(Going::all(Channel::Text), &mut done, &mut |done| codes(done))?;
    }
    Ok(done)
}

/// Texts that wait, and whoever sends them.
struct Line<'a> {
    gateway: &'a Gateway,
    texts: Option<&'a dyn Texts>,
    go_on: &'a dyn Fn() -> bool,
}

impl Line<'_> {
    /// Those of a range that are due; `before` each handful, what goes ahead of it. Whether to go on.
    fn send(&self, (mut from, to): (Key, Key), done: &mut Done, before: &mut dyn FnMut(&mut Done) -> Result<bool, NotificationError>) -> Result<bool, NotificationError> {
        let policy = self.gateway.directory.policy().notifications();
        let mut goes_on = (self.go_on)();
        while goes_on {
            let page = self.gateway.store.scan(&from, &to, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = last.successor();
            let mut due = self.due(page)?.into_iter().peekable();
            let mut ended = Vec::new();
            while goes_on && due.peek().is_some() {
                goes_on = before(done)?;
                if goes_on {
                    goes_on = self.handful(due.by_ref().take(policy.at_once).collect(), &mut ended)?;
                }
            }
            tell(self.gateway, ended, Batch::new(), done)?;
        }
        Ok(goes_on)
    }

    fn due(&self, page: Vec<(Key, Vec<u8>)>) -> Result<Vec<Stored>, NotificationError> {
        let (now, _) = moment(self.gateway);
        let mut due = Vec::new();
        for (key, bytes) in page {
            let going = Going::open(&key, &bytes, &self.gateway.directory_key)?;
            if going.due_unix_millis <= now {
                due.push(Stored { id: Going::id(&key)?, key, bytes, going });
            }
        }
        Ok(due)
    }

    /// Whether to go on.
    fn handful(&self, some: Vec<Stored>, ended: &mut Vec<(Next, Stored)>) -> Result<bool, NotificationError> {
        let policy = self.gateway.directory.policy().notifications();
        let (gateway, texts) = (self.gateway, self.texts);
        let (now, at) = moment(gateway);
        // It may have waited long behind the others.
        let (over, some): (Vec<Stored>, Vec<Stored>) = some.into_iter().partition(|one| is_over(policy, &one.going, now));
        ended.extend(over.into_iter().map(|one| (Next::Failed(EXPIRED.to_owned()), one)));
        let answers = at_once(&some, |one| handed(gateway, texts, one, at))?;
        let stops = !(self.go_on)() || (texts.is_some() && answers.contains(&Answer::Later(UNREACHABLE)));
        let (now, _) = moment(gateway);
        ended.extend(some.into_iter().zip(answers).map(|(one, answer)| (next(policy, &one.going, answer, now), one)));
        Ok(!stops)
    }
}

fn at_once(some: &[Stored], hand: impl Fn(&Stored) -> Result<Answer, NotificationError> + Sync) -> Result<Vec<Answer>, NotificationError> {
    std::thread::scope(|scope| {
        let calls: Vec<_> = some.iter().map(|one| scope.spawn(|| hand(one))).collect();
        // A thread that ended without an answer is as one that could not reach anybody.
        calls.into_iter().map(|call| call.join().unwrap_or(Ok(Answer::Later(UNREACHABLE)))).collect()
    })
}

/// Who withdrew since is not told, but of that itself where the counter did it.
fn handed(gateway: &Gateway, texts: Option<&dyn Texts>, one: &Stored, at: OffsetDateTime) -> Result<Answer, NotificationError> {
    let (places, _) = Places::known(&*gateway.store, &one.going.mailbox, &gateway.directory_key)?;
    let wanted = match one.going.says {
        Says::Arrived => places.confirmed.iter().any(|confirmed| confirmed.place == one.going.place),
        Says::Code(_) => places.pending.as_ref().is_some_and(|pending| pending.place == one.going.place),
        Says::Ended => true,
    };
    if !wanted {
        return Ok(Answer::Refused("withdrawn"));
    }
    let mut going = one.going.clone();
    // It is told again by now: it hears of what waited for it, and of no end.
    if matches!(going.says, Says::Ended) && places.confirmed.iter().any(|confirmed| confirmed.place == going.place) {
        if going.of.is_empty() {
            return Ok(Answer::Refused("withdrawn"));
        }
        going.says = Says::Arrived;
    }
    Ok(texts.map_or(Answer::Later(UNREACHABLE), |texts| texts.send(&letter::text(&one.id, &going), at.unix_timestamp())))
}

/// Tells what the outbound queue says of the mails that it sent, or could not send.
pub fn settle(gateway: &Gateway) -> Result<Done, NotificationError> {
    let ((mut from, to), mut done) = (Settled::all(), Done::default());
    loop {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(done) };
        from = last.successor();
        let (mut ended, mut batch) = (Vec::new(), Batch::new());
        for (key, bytes) in page {
            let (id, settled) = (Settled::id(&key)?, Settled::decode(&bytes)?);
            batch = batch.expect(Expectation::Equals(key.clone(), bytes)).delete(key);
            let key = Going::key(Channel::Mail, &id);
            // One that was told already: its mark alone was left.
            let Some(bytes) = gateway.store.get(&key)? else { continue };
            let going = Going::open(&key, &bytes, &gateway.directory_key)?;
            ended.push((if settled.sent { Next::Sent } else { Next::Failed(format!("mail-{}", settled.status)) }, Stored { id, key, bytes, going }));
        }
        tell(gateway, ended, batch, &mut done)?;
    }
}

fn tell(gateway: &Gateway, ended: Vec<(Next, Stored)>, mut batch: Batch, done: &mut Done) -> Result<(), NotificationError> {
    let ((now, at), mut told, mut items, mut pushes) = (moment(gateway), Done::default(), Vec::new(), BTreeSet::new());
    let mut known = HashMap::new();
    if ended.is_empty() && batch == Batch::new() {
        return Ok(());
    }
    for (next, Stored { id, key, bytes, going }) in ended {
        batch = batch.expect(Expectation::Equals(key.clone(), bytes));
        if let Next::At(due) = next {
            let later = Going { tries: going.tries.saturating_add(1), due_unix_millis: due, ..going };
            batch = batch.put(key.clone(), later.seal(&key, &gateway.directory_key)?);
            told.later += 1;
            continue;
        }
        batch = batch.delete(key);
        let reason = if let Next::Failed(why) = &next { Some(why.as_str()) } else { None };
        let (channel, place) = (going.place.channel.name().to_owned(), going.place.digest(&gateway.directory_key));
        let said = event::Notification { mailbox: going.mailbox.clone(), channel: channel.clone(), place: place.clone(), notice: id.clone(), arrived: going.of.len() as u64, reason: reason.map(str::to_owned) };
        let (delivery, event) = if reason.is_some() { (Delivery::ConsignmentNotificationFailure, Event::NotificationFailed(said)) } else { (Delivery::ConsignmentNotification, Event::NotificationSent(said)) };
        event.append(&mut batch, now)?;
        told.sent += u64::from(reason.is_none());
        told.failed += u64::from(reason.is_some());
        let notification = Notification { notice: id, channel, place };
        let recipient = format!("{}@{}", going.mailbox, gateway.settings.domain);
        for pushed in going.of.iter().filter_map(|arrived| arrived.pushed.as_ref()) {
            let Some(submission) = submission(gateway, pushed, &mut known)? else { continue };
            let of = Of { issuer: &gateway.settings.host, sender: &pushed.bureau, recipient: Some(&recipient), submission: &submission, message: Some(&pushed.message), secrecy: None, at };
            items.push(Item::new(delivery, &of, reason).by(notification.clone()));
            pushes.insert((pushed.bureau.clone(), pushed.batch.clone()));
        }
    }
    if !items.is_empty() {
        let slot;
        (batch, slot) = Recorded::new(&items)?.put_batch(batch, now)?;
        batch = pushes.iter().fold(batch, |batch, (bureau, push)| access::speaks_of(batch, bureau, push, slot));
    }
    gateway.store.commit(batch)?;
    (done.sent, done.failed, done.later) = (done.sent + told.sent, done.failed + told.failed, done.later + told.later);
    Ok(())
}

type Known = HashMap<(String, String), Option<PushBatch>>;

/// The row that evidence speaks of; none of a kind whose policy asks for no evidence, and of a push whose days are over.
fn submission(gateway: &Gateway, pushed: &Pushed, known: &mut Known) -> Result<Option<Submission>, NotificationError> {
    let place = (pushed.bureau.clone(), pushed.batch.clone());
    if !known.contains_key(&place) {
        let batch = gateway.store.get(&batch_key(&pushed.bureau, &pushed.batch))?.map(|bytes| PushBatch::decode(&bytes)).transpose()?;
        let has_evidence = |batch: &PushBatch| batch.removed_unix_millis.is_none() && gateway.letters.get(&batch.kind).is_none_or(|kind| kind.evidence() != KindEvidence::Logged);
        known.insert(place.clone(), batch.filter(has_evidence));
    }
    let of = |batch: &PushBatch| Submission { batch: pushed.batch.clone(), manifest: batch.manifest.clone(), file: batch.file.clone(), row: pushed.row, mends: None, corrects: None };
    Ok(known.get(&place).and_then(Option::as_ref).map(of))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::MailboxPolicy;

    use super::super::going;
    use super::*;
    use crate::record::notification::Place;
    use crate::texts::{BUSY, REFUSED};

    #[test]
    fn a_notice_is_tried_for_its_day_and_a_code_for_its_minutes() {
        let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap();
        let policy = policy.notifications();
        let place = Place { channel: Channel::Text, address: "+8613800138000".into() };
        let notice = |says, tries| Going { tries, ..going("1234567897", &place, says, Vec::new(), 0) };
        let (minute, hour) = (60_000, 3_600_000);
        for (one, answer, now, after) in [
            (notice(Says::Arrived, 0), Answer::Taken, 0, Next::Sent),
            (notice(Says::Arrived, 0), Answer::Refused(REFUSED), 0, Next::Failed(REFUSED.into())),
            (notice(Says::Arrived, 0), Answer::Later(BUSY), 0, Next::At(minute)),
            (notice(Says::Arrived, 3), Answer::Later(BUSY), 0, Next::At(60 * minute)),
            (notice(Says::Arrived, 30), Answer::Later(BUSY), 23 * hour - 1, Next::At(24 * hour - 1)),
            (notice(Says::Arrived, 30), Answer::Later(BUSY), 23 * hour, Next::Failed(BUSY.into())),
            (notice(Says::Code("1".into()), 0), Answer::Later(BUSY), 29 * minute - 1, Next::At(30 * minute - 1)),
            (notice(Says::Code("1".into()), 0), Answer::Later(BUSY), 29 * minute, Next::Failed(BUSY.into())),
        ] {
            assert_eq!(next(policy, &one, answer, now), after);
        }
    }
}
