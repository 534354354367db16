//! What a try means: for the record, and for the sender. Pure; time is an argument.

use policies::mailbox::SendingPolicy;
use protocol::smtp::exchange::Notify;

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

/// What a sender is told of a recipient. spec: rfc3464#2.3.3
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Failed,
    Delayed,
    /// Handed to a server that tells nothing of its own.
    Relayed,
    /// In a mailbox here.
    Delivered,
}

/// A recipient, by its place, of which the sender is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub recipient: usize,
    pub action: Action,
    pub said: Said,
}

/// The record after these outcomes, each for the recipient in its place, and what the sender is told. One who ended meanwhile
/// stays as it ended.
pub fn settle(mut queued: Queued, outcomes: &[(usize, Outcome)], policy: &SendingPolicy, now: u64) -> (Queued, Vec<Told>) {
    let mut told = Vec::new();
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

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::MailboxPolicy;

    use super::*;
    use crate::record::queue::Waiting;

    const HOUR: u64 = 3_600_000;

    pub(crate) fn waiting(address: &str, notify: Option<&str>) -> Waiting {
        let domain = address.rsplit('@').next().unwrap().to_owned();
        Waiting { address: address.into(), domain, notify: notify.map(str::to_owned), original: None, tries: 0, due: 0, late_told: false, last: None, end: None }
    }

    pub(crate) fn queued(recipients: Vec<Waiting>) -> Queued {
        Queued {
            mailbox: "1234567897".into(),
            reverse_path: Some("1234567897@mail.gz.example".into()),
            ret: None,
            envelope_id: None,
            smtputf8: false,
            size: 1,
            digest: "00".repeat(32),
            accepted: 0,
            held: false,
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
    fn an_end_is_an_end() {
        let (cancelled, _) = settled(one(None), Outcome::Cancelled, 0);
        let (after, told) = settled(cancelled.clone(), Outcome::Never(said(550, "5.1.1")), 0);
        assert!(after == cancelled && told.is_empty());
    }
}
