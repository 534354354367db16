//! Mandates: what a principal signed lets an agent file for it, until its last day or until the principal takes it back, which
//! holds from the commit on.
//!
//! 1 parse     the canonical octets
//! 2 prove     signed by the principal, as strongly as a filing is (`word`), with a key that speaks for it and is no operator's;
//!             the principal itself brings it
//! 3 record    with its leaf of the log; the same again changes nothing
//!
//! Both sides, and nobody else, see what was given and held.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policies::authority::day_in_city;
use store::{Batch, CommitError, Expectation};

use super::authorise::Enterprise;
use super::judge::city;
use super::operator;
use super::word::{self, Proven, wrong};
use crate::desk::Desk;
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::record::archive;
use crate::desk::record::event::{Event, keyed, unix_millis};
use crate::desk::record::mandate::{MandateRecord, Withdrawn};
use crate::document::{Mandate, Withdrawal};

/// Mandates are listed in pieces of at most so many, and so many octets.
const PIECE: usize = 100;
const PIECE_OCTETS: usize = 2 << 20;

/// Only the enterprise itself brings what it signed.
pub(super) fn own(caller: &Enterprise, uscc: &str) -> Result<(), DeskError> {
    if caller.code().as_str() == uscc { Ok(()) } else { Err(DeskError::NotYours { caller: caller.code().as_str().to_owned() }) }
}

pub fn give(desk: &Grounds, caller: &Enterprise, document: &[u8], signature: &[u8]) -> Result<Mandate, DeskError> {
    let mandate = Mandate::parse(document).map_err(wrong)?;
    own(caller, mandate.principal.as_str())?;
    let Proven { der: signed, facts, certificate, bureau } = word::prove(desk, mandate.principal.as_str(), Some(&mandate.kinds), document, signature)?;
    let relied = operator::own_key(desk, mandate.principal.as_str(), &certificate)?.relied;
    let now = desk.clock.now();
    // Of one that was given once and is only read, check 10 tells.
    if desk.sight.asks && city(now).date() > mandate.until {
        return Err(wrong("its last day is over; give one that is to come"));
    }
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let (principal_name, mailbox) = (facts.organization, facts.emails.into_iter().next());
    let record = MandateRecord { document: text, signature: STANDARD.encode(signed), given_at: unix_millis(now), principal_name, mailbox, bureau: Some(bureau), withdrawn: None };
    let key = MandateRecord::key(mandate.id.as_str());
    let id = mandate.id.as_str();
    let mut batch = relied.into_iter().fold(Batch::new(), Batch::expect).expect(Expectation::Absent(key.clone())).put(key.clone(), record.encode()?);
    for side in [&mandate.principal, &mandate.agent] {
        batch = batch.put(MandateRecord::of(side.as_str(), id), id.as_bytes());
    }
    batch = archive::plan(&archive::Kept::Mandate.name(id), word::archived_from(desk), batch);
    Event::MandateGiven { mandate: &keyed(&desk.data, "mandate", mandate.id.as_str().as_bytes()), document: &keyed(&desk.data, "document", document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(mandate),
        Err(CommitError::Conflict { .. }) => {
            let stored = desk.store.get(&key)?.ok_or(DeskError::Busy)?;
            let before = MandateRecord::decode(&stored)?;
            // Given twice it is one mandate; taken back it never lives again.
            match before.document.as_bytes() == document {
                true if before.withdrawn.is_some() => Err(wrong("it was withdrawn and does not live again; make a new one")),
                true => Ok(mandate),
                false => Err(wrong("its id was used for another mandate; make a new one")),
            }
        }
        Err(error) => Err(error.into()),
    }
}

pub fn withdraw(desk: &Grounds, caller: &Enterprise, document: &[u8], signature: &[u8]) -> Result<Mandate, DeskError> {
    let withdrawal = Withdrawal::parse(document).map_err(wrong)?;
    own(caller, withdrawal.principal.as_str())?;
    let Proven { der: signed, certificate, bureau, .. } = word::prove(desk, withdrawal.principal.as_str(), None, document, signature)?;
    let relied = operator::own_key(desk, withdrawal.principal.as_str(), &certificate)?.relied;
    let now = desk.clock.now();
    let id = withdrawal.id.as_str();
    let missing = || DeskError::NotFound { what: "mandate", id: id.to_owned() };
    let stored = desk.store.get(&MandateRecord::key(id))?.ok_or_else(missing)?;
    let before = MandateRecord::decode(&stored)?;
    let mandate = Mandate::parse(before.document.as_bytes()).map_err(wrong)?;
    if mandate.principal != withdrawal.principal {
        return Err(DeskError::NotYours { caller: caller.code().as_str().to_owned() });
    }
    if before.withdrawn.is_some() {
        return Ok(mandate);
    }
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let withdrawn = Some(Withdrawn { document: text, signature: STANDARD.encode(signed), at: unix_millis(now), bureau: Some(bureau) });
    let after = MandateRecord { withdrawn, ..before };
    let mut batch = relied.into_iter().fold(Batch::new(), Batch::expect).expect(Expectation::Equals(MandateRecord::key(id), stored)).put(MandateRecord::key(id), after.encode()?);
    batch = archive::plan(&archive::Kept::MandateWithdrawal.name(id), word::archived_from(desk), batch);
    Event::MandateWithdrawn { mandate: &keyed(&desk.data, "mandate", id.as_bytes()), document: &keyed(&desk.data, "document", document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(mandate),
        Err(CommitError::Conflict { .. }) => {
            // Withdrawn at this very moment by somebody else of the same enterprise; anything else is asked anew.
            let now = desk.store.get(&MandateRecord::key(id))?.ok_or(DeskError::Busy)?;
            if MandateRecord::decode(&now)?.withdrawn.is_some() { Ok(mandate) } else { Err(DeskError::Busy) }
        }
        Err(error) => Err(error.into()),
    }
}

/// A mandate as it stands now.
pub struct Held {
    pub mandate: Mandate,
    pub record: MandateRecord,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its first day is to come.
    Coming,
    Live,
    /// Its last day is over.
    Ended,
    Withdrawn,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Coming => "coming",
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Withdrawn => "withdrawn",
        }
    }
}

fn held(desk: &Desk, stored: &[u8]) -> Result<Held, DeskError> {
    let record = MandateRecord::decode(stored)?;
    let mandate = Mandate::parse(record.document.as_bytes()).map_err(wrong)?;
    let today = day_in_city(desk.clock.now());
    let state = match &record.withdrawn {
        Some(_) => State::Withdrawn,
        None if today < mandate.from => State::Coming,
        None if today > mandate.until => State::Ended,
        None => State::Live,
    };
    Ok(Held { mandate, record, state })
}

/// One, for its principal or its agent; for anybody else there is none.
pub fn one(desk: &Desk, caller: &Enterprise, id: &str) -> Result<Held, DeskError> {
    let missing = || DeskError::NotFound { what: "mandate", id: id.chars().take(64).collect() };
    let found = held(desk, &desk.store.get(&MandateRecord::key(id))?.ok_or_else(missing)?)?;
    if [&found.mandate.principal, &found.mandate.agent].contains(&caller.code()) { Ok(found) } else { Err(missing()) }
}

/// What the caller gave and holds, in the order of ids, after that one; with the id to go on after, where there are more.
pub fn list(desk: &Desk, caller: &Enterprise, after: Option<&str>) -> Result<(Vec<Held>, Option<String>), DeskError> {
    let (first, to) = MandateRecord::all_of(caller.code().as_str());
    let from = after.map_or(first, |id| MandateRecord::of(caller.code().as_str(), id).successor());
    let (mut all, mut octets) = (Vec::new(), 0);
    for (_, id) in desk.store.scan(&from, &to, PIECE + 1)? {
        if all.len() == PIECE || octets > PIECE_OCTETS {
            let last = all.last().map(|held: &Held| held.mandate.id.as_str().to_owned());
            return Ok((all, last));
        }
        let Some(stored) = std::str::from_utf8(&id).ok().map(|id| desk.store.get(&MandateRecord::key(id))).transpose()?.flatten() else { continue };
        octets += stored.len();
        all.push(held(desk, &stored)?);
    }
    Ok((all, None))
}
