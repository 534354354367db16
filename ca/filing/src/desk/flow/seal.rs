//! A receipt is sealed: what it says is durable already, so whoever comes here, first or after a crash, seals the same.
//!
//! 1 read      the draft and the position its leaf got
//! 2 seal      the canonical octets, by the bureau's key, with a timestamp over the seal
//! 3 record    seal, leaf of the log and letter in one commit; whoever was first is the only one
//! 4 answer    from what is stored

use ring::digest::{SHA256, digest};
use pki::cades::Signature;
use pki::cms::ContentDigest;
use pki::signature::DigestAlgorithm;
use store::{Batch, CommitError, Expectation};

use crate::desk::Desk;
use crate::desk::problem::DeskError;
use crate::desk::ready;
use crate::desk::receipt::{self, Draft};
use crate::desk::record::event::{Event, named_receipt};
use crate::desk::record::filing::FilingRecord;
use crate::desk::record::letter::{LetterRecord, LetterState, mailbox_key, to_agent};
use crate::desk::record::receipt::{ReceiptNumber, draft_at, read_draft, read_seal};
use crate::desk::record::{archive, plain, versioned};

/// A receipt as everybody gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Canonical JSON.
    pub document: Vec<u8>,
    /// Detached CAdES, DER.
    pub seal: Vec<u8>,
}

/// The receipt of that number, if there is one and it is sealed.
pub fn stored(desk: &Desk, number: &ReceiptNumber) -> Result<Option<Sealed>, DeskError> {
    // The seal first: once it is there the draft never changes.
    let Some(seal) = desk.store.get(&number.seal())? else { return Ok(None) };
    let Some(draft) = desk.store.get(&number.draft())? else { return Ok(None) };
    let (position, text) = read_draft(&draft)?;
    Ok(Some(Sealed { document: receipt::document(text, position)?, seal: read_seal(&seal)?.to_vec() }))
}

/// A receipt that is recorded and not sealed yet.
pub(super) struct Written {
    pub number: ReceiptNumber,
    pub draft: Draft,
    /// Of its leaf in the log.
    pub position: u64,
    pub filing: FilingRecord,
}

/// The receipt of that number, sealed now unless it is already.
pub fn seal(desk: &Desk, number: &ReceiptNumber) -> Result<Sealed, DeskError> {
    // 1. What it says.
    let missing = || DeskError::NotFound { what: "receipt", id: number.to_string() };
    let draft = desk.store.get(&number.draft())?.ok_or_else(missing)?;
    let (position, text) = read_draft(&draft)?;
    if let Some(seal) = desk.store.get(&number.seal())? {
        return Ok(Sealed { document: receipt::document(text, position)?, seal: read_seal(&seal)?.to_vec() });
    }
    let filing = desk.store.get(&FilingRecord::key(&number.filing))?.ok_or_else(missing)?;
    seal_written(desk, Written { number: number.clone(), draft: Draft::read(text)?, position, filing: FilingRecord::decode(&filing)? })
}

/// 2 to 4, by whoever has just recorded it, too: what was committed need not be read again.
pub(super) fn seal_written(desk: &Desk, written: Written) -> Result<Sealed, DeskError> {
    let Written { number, mut draft, position, filing } = written;
    // 2. Sealed, and the seal stamped, by what is believed now. A receipt names its seal's certificate: one that was written
    // before another was set has never left, and is told anew with the one it gets.
    let (bureau, now) = (ready::seal(desk, &filing.bureau)?, desk.clock.now());
    let renamed = draft.sealed_by(&bureau.thumbprint)?.then(|| draft_at(position, &draft.text()));
    let document = draft.document(position)?;
    let refused = |error: &dyn std::fmt::Display| DeskError::Seal(error.to_string().replace("; ", ", "));
    let mut content = [0; 32];
    content.copy_from_slice(digest(&SHA256, &document).as_ref());
    let made = bureau.plan.seal(ContentDigest::Sha256(content), now, &bureau.key).map_err(|error| refused(&error))?;
    let made = Signature::of(made).map_err(|error| refused(&error))?;
    let token = ready::stamp(desk, &filing.bureau, made.timestamp_imprint(DigestAlgorithm::Sha256), made.value())?;
    let made = made.timestamped(&token).map_err(|error| refused(&error))?;
    // 3. Recorded once.
    let text = number.to_string();
    let (content, seal) = (crate::desk::hex(&content), crate::desk::sha256_hex(made.der()));
    let mut batch = Batch::new().expect(Expectation::Present(number.pending())).delete(number.pending()).put(number.seal(), plain(made.der()));
    if let Some(renamed) = renamed {
        batch = batch.put(number.draft(), renamed);
    }
    Event::ReceiptSealed { receipt: &named_receipt(&desk.data, &text), content: &content, seal: &seal }.append(&mut batch, now)?;
    batch = archive::plan(&text, (now + desk.policies.archive.grace).unix_timestamp(), batch);
    for (id, to) in letters(desk, &filing, &text)? {
        let letter = LetterRecord { to, bureau: filing.bureau.clone(), state: LetterState::Queued, at: now.unix_timestamp(), attempts: 0, reason: None };
        batch = letter.put(&id, batch)?;
    }
    match desk.store.commit(batch) {
        Ok(_) => Ok(Sealed { document, seal: made.into_der() }),
        // 4. Somebody was first: theirs is the seal.
        Err(CommitError::Conflict { .. }) => stored(desk, &number)?.ok_or(DeskError::Busy),
        Err(error) => Err(error.into()),
    }
}

/// The letters of a receipt, by id: to the enterprise, and, where another filed for it, to that one as well.
fn letters(desk: &Desk, record: &FilingRecord, receipt: &str) -> Result<Vec<(String, String)>, DeskError> {
    let mut all: Vec<(String, String)> = mailbox(desk, &record.uscc, record.mailbox.as_ref())?.map(|to| (receipt.to_owned(), to)).into_iter().collect();
    if record.by != record.uscc {
        let agents = mailbox(desk, &record.by, record.agent_mailbox.as_ref())?;
        // One who reads both reads it once.
        let agents = agents.filter(|to| all.iter().all(|(_, other)| other != to));
        all.extend(agents.map(|to| (to_agent(receipt), to)));
    }
    Ok(all)
}

/// Where an enterprise's receipts go: what the desk was told goes before what the certificate said.
fn mailbox(desk: &Desk, uscc: &str, certified: Option<&String>) -> Result<Option<String>, DeskError> {
    match desk.store.get(&mailbox_key(uscc))? {
        Some(told) => Ok(String::from_utf8(versioned("mailbox", &told)?.to_vec()).ok()),
        None => Ok(certified.cloned()),
    }
}

/// Goes on with every receipt that a crash, or an authority that was away, left unsealed. How many are left.
pub fn resume(desk: &Desk) -> Result<usize, DeskError> {
    let (from, to) = ReceiptNumber::all_pending();
    let mut left = 0;
    for (_, value) in desk.store.scan(&from, &to, 10_000)? {
        let number = std::str::from_utf8(versioned("receipt pending", &value)?).ok().and_then(ReceiptNumber::parse);
        let Some(number) = number else { continue };
        if let Err(error) = seal(desk, &number) {
            tracing::warn!(receipt = %number, %error, "a receipt waits for its seal");
            left += 1;
        }
    }
    Ok(left)
}
