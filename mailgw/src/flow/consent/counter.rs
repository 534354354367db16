//! What an owner says at the counter without naming the sender: what holds of every sender's kinds, and a kind by its name alone. Consent
//! is given to one sender, so a kind that several send wants the sender named; taking back may mean all of them.

use serde::{Deserialize, Serialize};
use store::{Batch, CommitError};

use super::offers::{Offer, offers};
use crate::bureau;
use crate::flow::enrolment::{EnrolmentError, owner};
use crate::gateway::Gateway;

/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

/// What a mailbox's owner consented to, and may consent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consents {
    pub address: String,
    pub kinds: Vec<Offer>,
    /// A consent that held was taken back now, of a kind that asks for none any more as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_back: bool,
}

/// 1 the mailbox is open · 2 giving names a kind that one sender sends, taking back a kind or everything · 3 durable, with a leaf of the log
/// for each kind. Without a word, what holds.
pub fn say_of_all(gateway: &Gateway, mailbox: &str, kind: Option<&str>, give: Option<bool>) -> Result<Consents, EnrolmentError> {
    for _ in 0..ATTEMPTS {
        // 1
        let account = owner(gateway, mailbox)?;
        let mailbox = account.mailbox();
        let mut kinds = offers(gateway, &mailbox)?;
        // A consent that is left to who sends the kind no more is no choice for who gives one.
        kinds.retain(|offer| kind.is_none_or(|kind| offer.kind == kind) && (offer.sends || give != Some(true)));
        let unasked = kind.filter(|_| kinds.is_empty()).map(|kind| EnrolmentError::Unasked { kind: kind.chars().take(80).collect() });
        let shown = |kinds, taken_back| Ok(Consents { address: gateway.directory.address(account.number), kinds, taken_back });
        // 2
        let senders: Vec<String> = match give {
            None => return unasked.map_or_else(|| shown(kinds, false), Err),
            Some(true) if kind.is_none() => return Err(EnrolmentError::NoKindNamed),
            Some(true) => match kinds.as_slice() {
                [] => return Err(unasked.unwrap_or(EnrolmentError::NoKindNamed)),
                [one] => vec![one.bureau.clone()],
                several => return Err(EnrolmentError::SeveralSenders { senders: several.iter().map(|offer| offer.bureau.as_str()).collect::<Vec<_>>().join(", ") }),
            },
            // Of every sender, what asks for no consent now as well.
            Some(false) => bureau::list(&*gateway.store)?.into_iter().map(|shown| shown.code).collect(),
        };
        let (mut write, mut changes) = (Batch::new().expect(crate::directory::still_open(account.number)), false);
        for sender in senders {
            let changed;
            (write, changed) = super::say(gateway, write, &mailbox, &sender, kind.as_ref().map(std::slice::from_ref), give == Some(true), gateway.now_unix_millis())?;
            changes |= changed;
        }
        // What asks for no consent now may be taken back; a word that names nothing is told so, and is not taken for done.
        if let Some(unasked) = unasked.filter(|_| !changes) {
            return Err(unasked);
        }
        // 3
        let done = if changes { gateway.store.commit(write).map(drop) } else { Ok(()) };
        match done {
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                kinds.iter_mut().for_each(|offer| offer.holds = give == Some(true));
                return shown(kinds, changes && give == Some(false));
            }
        }
    }
    Err(EnrolmentError::Busy)
}
