//! What a try means: for the record, and for the sender. Pure; time is an argument.

use policies::mailbox::SendingPolicy;
use protocol::smtp::exchange::Notify;

pub use crate::record::queue::Action;
use crate::record::queue::{End, Queued, Said};

/// What came of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Another server answers for it. `reports`: it will tell the sender of success itself.
    Sent { said: Said, reports: bool },
    /// Not now.
    Later(Said),
    /// Never.
    Never(Said),
    /// An administrator took it out.
    Cancelled,
}

/// A recipient, by its place, of which the sender is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub recipient: usize,
    pub action: Action,
    pub said: Said,
}

/// The record after these outcomes, each for the recipient in its place, and what the sender is told, that which it could not be
/// told before included. One who ended meanwhile stays as it ended.
pub fn settle(mut queued: Queued, outcomes: &[(usize, Outcome)], policy: &SendingPolicy, now: u64) -> (Queued, Vec<Told>) {
    let mut told = Vec::new();
    for (place, recipient) in queued.recipients.iter_mut().enumerate() {
        if let (Some(action), Some(said)) = (recipient.untold.take(), recipient.last.clone()) {
            told.push(Told { recipient: place, action, said });
        }
    }
    let (gives_up, late) = (queued.accepted.saturating_add(policy.give_up_after()), policy.late_after().map(|after| queued.accepted.saturating_add(after)));
    for (place, outcome) in outcomes {
        let Some(recipient) = queued.recipients.get_mut(*place).filter(|recipient| recipient.end.is_none()) else { continue };
        let notify = recipient.notify.as_deref().and_then(Notify::parse);
        let wants_failure = notify.is_none_or(|notify| notify.failure);
        recipient.tries = recipient.tries.saturating_add(1);
        let (said, action, wanted) = match outcome {
            Outcome::Sent { said, reports } => {
                recipient.end = Some(End::Sent);
                (said.clone(), Action::Relayed, !reports && notify.is_some_and(|notify| notify.success))
            }
            Outcome::Never(said) => {
                recipient.end = Some(End::Returned);
                (said.clone(), Action::Failed, wants_failure)
            }
            // spec: rfc5321#4.5.4.1 the last word before the end is the reason that is told
            Outcome::Later(said) if now >= gives_up => {
                recipient.end = Some(End::Returned);
                (Said { status: "4.4.7".to_owned(), ..said.clone() }, Action::Failed, wants_failure)
            }
            Outcome::Later(said) => {
                recipient.due = now.saturating_add(policy.retry_after(recipient.tries)).min(gives_up);
                let is_late = !recipient.late_told && late.is_some_and(|late| now >= late);
                recipient.late_told |= is_late;
                (said.clone(), Action::Delayed, is_late && notify.is_none_or(|notify| notify.delay))
            }
            Outcome::Cancelled => {
                recipient.end = Some(End::Cancelled);
                let text = "taken out of the queue by the administrator".to_owned();
                (Said { host: None, code: 0, status: "5.7.1".to_owned(), text }, Action::Failed, wants_failure)
            }
        };
        recipient.last = Some(said.clone());
        // spec: rfc3461#5.2.3, rfc5321#6.1 nobody is told of what has no sender
        if wanted && queued.reverse_path.is_some() {
            told.push(Told { recipient: *place, action, said });
        }
    }
    told.sort_by_key(|told| (told.action, told.recipient));
    (queued, told)
}

/// The record where the sender's mailbox took none of this: it is tried again as seldom as sending is, for as long again as the
/// message itself was tried. What is lost then.
pub fn untold(mut queued: Queued, told: Vec<Told>, policy: &SendingPolicy, now: u64) -> (Queued, Vec<Told>) {
    if now >= queued.accepted.saturating_add(policy.give_up_after().saturating_mul(2)) {
        return (queued, told);
    }
    for one in told {
        let Some(recipient) = queued.recipients.get_mut(one.recipient) else { continue };
        // The end is the news, not that it was late.
        recipient.untold = Some(recipient.untold.map_or(one.action, |other| other.min(one.action)));
        if recipient.end.is_some() {
            recipient.due = now.saturating_add(policy.retry_after(recipient.tries));
        }
    }
    (queued, Vec::new())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::MailboxPolicy;

    use super::*;
    use crate::record::queue::Waiting;

    const HOUR: u64 = 3_600_000;

    pub(crate) fn waiting(address: &str, notify: Option<&str>) -> Waiting {
        let domain = address.rsplit('@').next().unwrap().to_owned();
        Waiting { address: address.into(), domain, notify: notify.map(str::to_owned), original: None, tries: 0, due: 0, late_told: false, last: None, end: None, untold: None }
    }

    pub(crate) fn queued(recipients: Vec<Waiting>) -> Queued {
        Queued {
            mailbox: "1234567897".into(),
            reverse_path: Some("1234567897@mail.gz.example".into()),
            ret: None,
            envelope_id: None,
            smtputf8: false,
            require_tls: false,
            size: 1,
            digest: "00".repeat(32),
            accepted: 0,
            held: false,
            notification: None,
            recipients,
        }
    }

    pub(crate) fn said(code: u16, status: &str) -> Said {
        Said { host: Some("mx.c.cn".into()), code, status: status.into(), text: "a reason".into() }
    }

    fn settled(queued: Queued, outcome: Outcome, now: u64) -> (Queued, Vec<Action>) {
        let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap();
        let all: Vec<(usize, Outcome)> = (0..queued.recipients.len()).map(|place| (place, outcome.clone())).collect();
        let (queued, told) = settle(queued, &all, policy.sending(), now);
        (queued, told.into_iter().map(|told| told.action).collect())
    }

    fn one(notify: Option<&str>) -> Queued {
        queued(vec![waiting("a@c.cn", notify)])
    }

    #[test]
    fn tries_go_on_for_days_and_then_it_comes_back() {
        let (mut queued, mut now, mut heard) = (one(None), 0, Vec::new());
        for _ in 0..60 {
            let (after, told) = settled(queued, Outcome::Later(said(451, "4.3.0")), now);
            heard.extend(told.into_iter().map(|action| (action, now)));
            queued = after;
            if queued.is_ended() {
                break;
            }
            now = queued.recipients[0].due;
        }
        // 5 + 15 + 30 + 60 + 120 minutes, then four hours, is the first try past four hours: late once, failed at five days.
        assert_eq!(heard, [(Action::Delayed, 470 * 60_000), (Action::Failed, 120 * HOUR)]);
        assert_eq!(queued.recipients[0].last.as_ref().unwrap().status, "4.4.7");
        assert!(queued.recipients[0].tries > 30);
    }

    #[test]
    fn senders_hear_what_they_asked_for() {
        let (sent, silent) = (Outcome::Sent { said: said(250, "2.0.0"), reports: false }, Outcome::Sent { said: said(250, "2.0.0"), reports: true });
        for (notify, outcome, expected) in [
            (None, &sent, vec![]),
            (Some("SUCCESS"), &sent, vec![Action::Relayed]),
            (Some("SUCCESS"), &silent, vec![]),
            (None, &Outcome::Never(said(550, "5.1.1")), vec![Action::Failed]),
            (Some("SUCCESS"), &Outcome::Never(said(550, "5.1.1")), vec![]),
            (Some("NEVER"), &Outcome::Never(said(550, "5.1.1")), vec![]),
            (Some("FAILURE"), &Outcome::Cancelled, vec![Action::Failed]),
        ] {
            let (after, told) = settled(one(notify), outcome.clone(), 0);
            assert_eq!((after.is_ended(), told), (true, expected), "{notify:?} {outcome:?}");
        }
        let late = |notify| settled(one(notify), Outcome::Later(said(451, "4.3.0")), 5 * HOUR).1;
        assert_eq!((late(None), late(Some("FAILURE")), late(Some("DELAY"))), (vec![Action::Delayed], vec![], vec![Action::Delayed]));
        // Nothing is ever returned to nobody.
        let notice = Queued { reverse_path: None, ..one(None) };
        assert_eq!(settled(notice, Outcome::Never(said(550, "5.1.1")), 0).1, []);
    }

    #[test]
    fn a_full_mailbox_hears_later() {
        let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap();
        let policy = policy.sending();
        let (ended, told) = settle(one(None), &[(0, Outcome::Never(said(550, "5.1.1")))], policy, 0);
        let (kept, lost) = untold(ended, told.clone(), policy, 0);
        assert!(!kept.is_ended() && lost.is_empty() && kept.owes("c.cn", 5 * 60_000) && !kept.owes("c.cn", 0) && !kept.owes("d.cn", u64::MAX));
        // Nothing is sent again, and what is told then is what was to be told.
        let (again, told_then) = settle(kept.clone(), &[(0, Outcome::Later(said(451, "4.3.0")))], policy, HOUR);
        assert_eq!((again.is_ended(), &told_then), (true, &told));
        let (over, lost) = untold(again, told_then, policy, 240 * HOUR);
        assert_eq!((over.is_ended(), lost), (true, told));
        // One that is late and then fails is told of its failure alone.
        let (late, told) = settle(one(None), &[(0, Outcome::Later(said(451, "4.3.0")))], policy, 5 * HOUR);
        let due = late.recipients[0].due;
        let (late, _) = untold(late, told, policy, 5 * HOUR);
        assert_eq!(late.recipients[0].due, due);
        let (failed, told) = settle(late, &[(0, Outcome::Never(said(550, "5.1.1")))], policy, 6 * HOUR);
        let (failed, _) = untold(failed, told, policy, 6 * HOUR);
        assert_eq!(failed.recipients[0].untold, Some(Action::Failed));
    }

    #[test]
    fn an_end_is_an_end() {
        let (cancelled, _) = settled(one(None), Outcome::Cancelled, 0);
        let (after, told) = settled(cancelled.clone(), Outcome::Never(said(550, "5.1.1")), 0);
        assert!(after == cancelled && told.is_empty());
    }
}
