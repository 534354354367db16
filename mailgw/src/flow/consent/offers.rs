//! The kinds that may come to a mailbox with its owner's consent alone, of every sender.

use policies::sender::LetterKind;
use serde::{Deserialize, Serialize};

use crate::bureau;
use crate::flow::enrolment::EnrolmentError;
use crate::gateway::Gateway;

/// A kind that a sender may send with consent alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub bureau: String,
    /// Its name in Chinese and English; so with the kind's title.
    pub sender: [String; 2],
    pub kind: String,
    pub title: [String; 2],
    /// The owner consented to it.
    pub holds: bool,
    /// The sender may send it now, and not only before.
    #[serde(default)]
    pub sends: bool,
}

/// What may be sent to this mailbox with consent alone, or was consented to.
pub(super) fn offers(gateway: &Gateway, mailbox: &str) -> Result<Vec<Offer>, EnrolmentError> {
    let mut offers = Vec::new();
    for shown in bureau::list(&*gateway.store)? {
        let held = super::kinds(gateway, &shown.code, mailbox)?;
        let sends = |kind: &LetterKind| kind.needs_consent() && kind.may_be_sent_by(&shown.code);
        let asks: Vec<&String> = shown.kinds.iter().filter(|kind| gateway.letters.get(kind).is_some_and(sends)).collect();
        let mut kinds: Vec<&String> = held.iter().chain(asks.iter().copied()).collect();
        kinds.sort();
        kinds.dedup();
        offers.extend(kinds.into_iter().map(|kind| {
            let title = gateway.letters.get(kind).map_or((kind.as_str(), kind.as_str()), LetterKind::title);
            Offer {
                bureau: shown.code.clone(),
                sender: [shown.name.clone(), shown.name_en.clone()],
                kind: kind.clone(),
                title: [title.0.to_owned(), title.1.to_owned()],
                holds: held.contains(kind),
                sends: asks.contains(&kind),
            }
        }));
    }
    Ok(offers)
}
