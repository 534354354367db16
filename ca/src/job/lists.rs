//! Every list of an issuer is made anew when it is due, as the policy says for its kind.

use std::collections::BTreeMap;

use policies::authority::{Crl, Pace};

use crate::authority::{Authority, Issuer};
use crate::flow::{Authorised, numbering, publish};
use crate::problem::IssueError;
use crate::record::{CrlHead, Scope};

/// A list that the store does not take is not made again before so many seconds: it grows no shorter in a minute.
const TOO_LONG_AGAIN: i64 = 3_600;

/// Lists that were too long, by issuer and scope: the message, and before when none is tried, in Unix seconds.
pub(super) type TooLong = BTreeMap<(String, Scope), (String, i64)>;

/// The first fault there is; every list that can be made is made.
pub(super) fn keep_fresh(authority: &Authority, issuer: &Issuer, too_long: &mut TooLong) -> Result<(), String> {
    let (mut fault, now) = (None, authority.clock.now().unix_timestamp());
    for scope in publish::scopes(authority, issuer).map_err(|error| error.to_string())? {
        let place = (issuer.id().to_owned(), scope);
        if let Some((said, until)) = too_long.get(&place) && now < *until {
            fault = fault.or(Some(said.clone()));
            continue;
        }
        too_long.remove(&place);
        // A list that cannot be made holds up no other.
        if let Err(error) = keep_one_fresh(authority, issuer, scope) {
            if matches!(error, IssueError::ListTooLong { .. }) {
                too_long.insert(place, (error.to_string(), now.saturating_add(TOO_LONG_AGAIN)));
            }
            fault = fault.or(Some(error.to_string()));
        }
    }
    fault.map_or(Ok(()), Err)
}

fn keep_one_fresh(authority: &Authority, issuer: &Issuer, scope: Scope) -> Result<(), IssueError> {
    let (id, now) = (issuer.id(), authority.clock.now().unix_timestamp());
    // Without a base there are no deltas, and the whole list that is made next becomes one.
    let baseless = numbering::base(authority, id)?.is_none();
    if scope == Scope::Delta && baseless {
        return Ok(());
    }
    let stale = authority.store.get(&scope.stale(id))?.is_some();
    let last = numbering::head(authority, id, scope)?;
    let mut pace = pace(&authority.rules.crl, scope);
    // A long list waits for more, since its deltas tell of what changed; not when they have become long themselves.
    if scope == Scope::Whole && publish::is_delta_long(authority, id)? {
        pace.large = None;
    }
    if due(last.as_ref(), stale, pace, now) || (scope == Scope::Whole && baseless) {
        match publish::publish_scope(authority, &Authorised::service(), issuer, scope) {
            Ok(list) => tracing::info!(issuer = id, ?scope, number = list.number, entries = list.entries, "published a CRL"),
            // Somebody published at this very moment: the next turn sees whether that one is enough.
            Err(IssueError::Race) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn pace(rules: &Crl, scope: Scope) -> Pace {
    match scope {
        Scope::Whole => rules.whole,
        Scope::Shard(_) => rules.partition,
        Scope::Delta => rules.delta,
    }
}

fn due(last: Option<&CrlHead>, stale: bool, pace: Pace, now: i64) -> bool {
    let Some(last) = last else { return true };
    // When the clock stepped back a change waits no longer for that: the list bears the time of the one before.
    let age = now - last.this_update;
    age >= pace.every_seconds || (stale && !(0..pace.after_change(last.entries)).contains(&age))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::authority::Large;

    #[test]
    fn a_list_is_due_by_its_age_and_by_what_waits() {
        let pace = Pace { every_seconds: 3_600, after_change_seconds: 30, valid_seconds: 7_200, large: Some(Large { above: 1_000, after_change_seconds: 600 }) };
        let made = |this_update: i64| CrlHead { number: 1, this_update, next_update: this_update + 7_200, entries: 0, covered: 0 };
        let judge = |age: i64, stale| due(Some(&made(100_000 - age)), stale, pace, 100_000);
        assert!(due(None, false, pace, 0));
        assert_eq!([judge(0, true), judge(29, true), judge(30, true), judge(3_599, true)], [false, false, true, true]);
        assert_eq!([judge(0, false), judge(30, false), judge(3_599, false), judge(3_600, false)], [false, false, false, true]);
        let long = |age: i64| due(Some(&CrlHead { entries: 1_001, ..made(100_000 - age) }), true, pace, 100_000);
        assert_eq!([long(30), long(599), long(600)], [false, false, true]);
        assert_eq!([judge(-1, true), judge(-1, false)], [true, false]);
    }
}
