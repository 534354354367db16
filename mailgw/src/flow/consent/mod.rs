//! Which kinds of a sender's mail an owner consented to. Each kind has a consent of its own: whoever agreed to bills has not agreed to
//! what the same sender is let send later. Consents of before kinds were told apart hold for the kinds that the sender had then.

mod asked;
mod counter;
mod offers;

use std::collections::BTreeMap;

use policies::sender::LetterKind;
use store::{Batch, Expectation};

use super::enrolment::EnrolmentError;
use crate::bureau;
use crate::gateway::Gateway;
use crate::record::bureau::Bureau;
use crate::record::enrolment::Consent;
use crate::record::event::{self, Event};

pub use asked::{AskedError, Request, answer_all};
pub use counter::{Consents, say_of_all};
pub use offers::Offer;

/// The kinds of one sender, at most.
const MOST: usize = 1_000;

/// What was said of one sender, and what a commit that changes it expects.
struct Said {
    /// Those, too, that ask for no consent now: a policy may ask for it again.
    holds: BTreeMap<String, Consent>,
    /// One of before kinds were told apart stands.
    before: bool,
    expected: Expectation,
}

/// What a commit expects that rests on the consent to one kind; none without a consent.
pub(crate) fn given(gateway: &Gateway, bureau: &str, kind: &str, mailbox: &str) -> Result<Option<Expectation>, EnrolmentError> {
    let key = Consent::key(mailbox, bureau, kind);
    if let Some(bytes) = gateway.store.get(&key)? {
        return Ok(Some(Expectation::Equals(key, bytes)));
    }
    let before = Consent::before_kinds(bureau, mailbox);
    let Some(bytes) = gateway.store.get(&before)? else { return Ok(None) };
    let sender = bureau::find(&*gateway.store, bureau)?;
    Ok(kinds_of_then(&sender).any(|of_then| of_then == kind).then(|| Expectation::Equals(before, bytes)))
}

/// The kinds that the owner consented to.
pub(crate) fn kinds(gateway: &Gateway, bureau: &str, mailbox: &str) -> Result<Vec<String>, EnrolmentError> {
    let holds = said(gateway, &bureau::find(&*gateway.store, bureau)?, bureau, mailbox)?.holds;
    Ok(holds.into_keys().filter(|kind| asks(gateway, kind)).collect())
}

/// Adds to a commit that the owner gives or takes back consent to these kinds, or to all that ask for it, and says whether that changes
/// anything. The first word after kinds were told apart takes what was said before apart, and who takes back everything leaves nothing
/// that could hold again.
pub(super) fn say(
    gateway: &Gateway, mut write: Batch, mailbox: &str, bureau: &str, kinds: Option<&[&str]>, give: bool, now_unix_millis: u64,
) -> Result<(Batch, bool), EnrolmentError> {
    let sender = bureau::find(&*gateway.store, bureau)?;
    let Said { holds, before, expected } = said(gateway, &sender, bureau, mailbox)?;
    let meant: Vec<&String> = if give { sender.kinds.iter().filter(|kind| asks(gateway, kind)).collect() } else { holds.keys().collect() };
    let meant: Vec<&String> = meant.into_iter().filter(|one| kinds.is_none_or(|kinds| kinds.contains(&one.as_str()))).collect();
    if give && meant.is_empty() {
        return Err(EnrolmentError::NoKind { bureau: bureau.to_owned() });
    }
    let changed: Vec<&String> = meant.into_iter().filter(|kind| holds.contains_key(*kind) != give).collect();
    let leaves_nothing = !give && kinds.is_none() && before;
    if changed.is_empty() && !leaves_nothing {
        return Ok((write, false));
    }
    write = write.expect(expected);
    if before {
        write = write.delete(Consent::before_kinds(bureau, mailbox));
        for (kind, consent) in holds.iter().filter(|(kind, _)| !changed.contains(kind)) {
            write = write.put(Consent::key(mailbox, bureau, kind), consent.encode()?);
        }
    }
    let leaf = |kind: Option<String>| Event::ConsentSet(event::Agreement { mailbox: mailbox.to_owned(), bureau: bureau.to_owned(), kind, holds: give });
    if changed.is_empty() {
        leaf(None).append(&mut write, now_unix_millis)?;
    }
    for kind in changed {
        let key = Consent::key(mailbox, bureau, kind);
        let known = gateway.store.get(&key)?;
        write = write.expect(known.map_or_else(|| Expectation::Absent(key.clone()), |known| Expectation::Equals(key.clone(), known)));
        write = if give { write.put(key, Consent { since_unix_millis: now_unix_millis }.encode()?) } else { write.delete(key) };
        leaf(Some(kind.clone())).append(&mut write, now_unix_millis)?;
    }
    Ok((write, true))
}

/// Refuses to take back a consent to what is no kind at all: a mistyped word must not look as if it had done something. What the sender
/// sends, what asks for consent and what the owner consented to may be taken back, and again.
pub(super) fn is_kind(gateway: &Gateway, mailbox: &str, bureau: &str, kind: &str) -> Result<(), EnrolmentError> {
    let sender = bureau::find(&*gateway.store, bureau)?;
    let known = asks(gateway, kind) || sender.kinds.iter().any(|one| one == kind) || said(gateway, &sender, bureau, mailbox)?.holds.contains_key(kind);
    if known { Ok(()) } else { Err(EnrolmentError::NoKind { bureau: bureau.to_owned() }) }
}

fn said(gateway: &Gateway, sender: &Bureau, bureau: &str, mailbox: &str) -> Result<Said, EnrolmentError> {
    let key = Consent::before_kinds(bureau, mailbox);
    let (before, expected) = match gateway.store.get(&key)? {
        Some(bytes) => (Some(Consent::decode(&bytes)?), Expectation::Equals(key, bytes)),
        None => (None, Expectation::Absent(key)),
    };
    let mut holds = BTreeMap::new();
    if let Some(consent) = &before {
        holds.extend(kinds_of_then(sender).map(|kind| (kind.clone(), consent.clone())));
    }
    let (from, to) = Consent::of(mailbox, bureau);
    for (key, bytes) in gateway.store.scan(&from, &to, MOST)? {
        if let Some(kind) = key.last_part().and_then(|kind| String::from_utf8(kind).ok()) {
            holds.insert(kind, Consent::decode(&bytes)?);
        }
    }
    Ok(Said { holds, before: before.is_some(), expected })
}

fn asks(gateway: &Gateway, kind: &str) -> bool {
    gateway.letters.get(kind).is_some_and(LetterKind::needs_consent)
}

/// What the sender might send when a consent was to all of it: what it had when it was registered anew first after kinds were told
/// apart, or has still.
fn kinds_of_then(sender: &Bureau) -> impl Iterator<Item = &String> {
    sender.consents_of_before.as_ref().unwrap_or(&sender.kinds).iter()
}
