//! A bureau's officer moves a filing on: accepted, rejected, processed. Each step is a receipt of its own that names the one
//! before by its digest.
//!
//! 1 find      the filing, and the last receipt, sealed
//! 2 decide    forward only
//! 3 record    status, what the receipt will say, and the leaf of the log: one durable commit
//! 4 seal      what is recorded

use policies::desk::Bureau;
use store::{Batch, CommitError, Expectation};

use super::judge::city;
use super::rules;
use super::seal::{self, Sealed};
use crate::desk::Desk;
use crate::desk::officer::Officer;
use crate::desk::problem::DeskError;
use crate::desk::ready;
use crate::desk::receipt::{self, Common, Decision};
use crate::desk::record::event::Event;
use crate::desk::record::filing::{FilingRecord, Said, Slot, Status};
use crate::desk::record::plain;
use crate::desk::record::receipt::{ReceiptNumber, draft};
use crate::desk::record::staff;
use crate::desk::sha256_hex;
use crate::logged::{LogNames, Named};
use crate::rules::changes_staff;

/// The most reasons, and the most characters of one or of the next step.
const MAX_REASONS: usize = 32;
const MAX_CHARACTERS: usize = 500;

pub fn proceed(desk: &Desk, id: &str, to: Status, decision: &Decision, officer: &Officer) -> Result<Sealed, DeskError> {
    words(decision)?;
    // 1. Only a sealed receipt is followed by another.
    let missing = || DeskError::NotFound { what: "filing", id: id.chars().take(64).collect() };
    let stored = desk.store.get(&FilingRecord::key(id))?.ok_or_else(missing)?;
    let before = FilingRecord::decode(&stored)?;
    let last = seal::seal(desk, &ReceiptNumber::new(id, before.receipts))?;
    // 2. Said again with nothing new, it was done before.
    if !before.status.may_become(to) {
        return Err(DeskError::Transition { from: before.status.name(), to: to.name() });
    }
    let bureau: &Bureau = desk.policies.desk.bureau(&before.bureau).ok_or_else(|| DeskError::NotFound { what: "bureau", id: before.bureau.clone() })?;
    // 3.
    let now = desk.clock.now();
    let after = FilingRecord { status: to, receipts: before.receipts + 1, ..before };
    let (number, names) = (ReceiptNumber::new(id, after.receipts), LogNames::of(&desk.data, id));
    let sealed_by = ready::seal(desk, &after.bureau)?;
    ready::authority(desk, &after.bureau)?;
    let common = Common { number: &number, filing: &after, status: to, issued_at: now, bureau, seal: &sealed_by.thumbprint, base_url: &desk.base_url, log: &desk.settings.log_origin, salt: &names.salt() };
    let said = receipt::moved(&common, decision, &sha256_hex(&last.document));
    let mut batch = Batch::new().expect(Expectation::Equals(FilingRecord::key(id), stored)).put(FilingRecord::key(id), after.encode()?);
    if decision.close || to == Status::Rejected {
        let place = Slot::key(&after.uscc, &after.kind, &after.period);
        let stored = desk.store.get(&place)?.ok_or_else(missing)?;
        let mut slot = Slot::decode(&stored)?;
        if to == Status::Rejected {
            batch = unsaid(desk, id, &after, batch)?;
        }
        slot.closed |= decision.close;
        // A later revision that stands there meanwhile is not rejected with this one.
        slot.rejected |= to == Status::Rejected && slot.filing == id;
        batch = batch.expect(Expectation::Equals(place.clone(), stored)).put(place, slot.encode()?);
    }
    if to == Status::Rejected {
        batch = without(desk, id, &after.uscc, batch)?;
    }
    let receipt = number.to_string();
    let leaf = Event::FilingMoved { filing: &names.name(Named::Filing, id), status: to.name(), receipt: &names.name(Named::Receipt, &receipt), officer: officer.name(), user: officer.user() }.append(&mut batch, now)?;
    batch = batch.put(number.draft(), draft(leaf, &said.text())).put(number.pending(), plain(receipt.as_bytes()));
    match desk.store.commit(batch) {
        Ok(_) => {}
        Err(CommitError::Conflict { .. }) => return Err(DeskError::Busy),
        Err(error) => return Err(error.into()),
    }
    // 4.
    seal::seal(desk, &number).map_err(|error| DeskError::Pending { filing: id.to_owned(), reason: error.to_string().replace("; ", ", ") })
}

/// What it said may be filed again.
fn unsaid(desk: &Desk, id: &str, filing: &FilingRecord, batch: Batch) -> Result<Batch, DeskError> {
    let place = Slot::key(&filing.uscc, &filing.kind, &filing.period);
    let said = Said::of(&place, &rules::filed(desk, id)?.payload().canonical(), &desk.data, desk.older_payloads);
    said.keys(&filing.uscc, &filing.kind, &filing.period).into_iter().try_fold(batch, |batch, place| {
        // One from before it was noted what each said has none, and another may stand there.
        let its = desk.store.get(&place)?.is_some_and(|by| by == id.as_bytes());
        Ok(if its { batch.expect(Expectation::Equals(place.clone(), id.as_bytes().to_vec())).delete(place) } else { batch })
    })
}

/// What a rejected filing said of the staff is taken back out of the list.
fn without(desk: &Desk, id: &str, uscc: &str, batch: Batch) -> Result<Batch, DeskError> {
    let filing = rules::filed(desk, id)?;
    let Some(kind) = desk.policies.filings.kind(filing.kind(), filing.form_version()).filter(|kind| changes_staff(kind)) else { return Ok(batch) };
    let Some(stored) = desk.store.get(&staff::key(uscc))? else { return Ok(batch.expect(Expectation::Absent(staff::key(uscc)))) };
    let mut list = staff::open(uscc, &stored, &desk.data)?;
    list.undo(kind, filing.payload(), city(desk.clock.now()).date());
    Ok(staff::after(uscc, &list, batch.expect(Expectation::Equals(staff::key(uscc), stored)), &desk.data)?)
}

fn words(decision: &Decision) -> Result<(), DeskError> {
    let fits = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_CHARACTERS && !text.chars().any(char::is_control);
    if decision.reasons.len() <= MAX_REASONS && decision.reasons.iter().chain(&decision.next_step).all(|text| fits(text)) {
        return Ok(());
    }
    Err(DeskError::Request(format!("reasons and next step are one line of at most {MAX_CHARACTERS} characters each, at most {MAX_REASONS} of them; shorten them")))
}
