//! Issuings that a crash or a lost token cut off after step 7: found in the store and brought to their end by the same
//! steps 8 and 9. There is no second repair code.

use std::sync::PoisonError;

use super::{LintedTbs, Recorded, SignedCertificate, record, sign};
use crate::authority::{Authority, Issuer};
use crate::problem::IssueError;
use crate::record::{Intent, decode};

/// Goes on with every intent that a crash left behind, from the step it had reached.
pub fn resume(authority: &Authority) -> Result<Vec<Recorded<SignedCertificate>>, IssueError> {
    let mut finished = Vec::new();
    let from = store::Key::new(Intent::TABLE, &[]);
    let to = store::Key::new(Intent::TABLE, &[&[0xff; 16]]);
    for (key, bytes) in authority.store.scan(&from, &to, usize::MAX)? {
        match sign(left_behind(authority, &key, bytes)?) {
            Ok(signed) => finished.push(record(authority, signed)?),
            // The key is away: all else goes on, and this is finished when it is back.
            Err(IssueError::Unfinished { serial, reason }) => tracing::warn!(serial, reason, "an intent to sign waits for its key"),
            Err(error) => return Err(error),
        }
    }
    Ok(finished)
}

/// Goes on with the intents of `issuer` whose signature could not be made, once its key is back. Those that are being
/// signed right now are not among them, so nothing is signed twice.
pub fn finish(authority: &Authority, issuer: &Issuer) -> Result<Vec<Recorded<SignedCertificate>>, IssueError> {
    let mut finished = Vec::new();
    let waiting = || issuer.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(serial) = waiting().pop_first() else { return Ok(finished) };
        let key = Intent::key(&serial);
        let result = match authority.store.get(&key) {
            Ok(Some(bytes)) => left_behind(authority, &key, bytes).and_then(sign).and_then(|signed| record(authority, signed)),
            Ok(None) => continue,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(recorded) => finished.push(recorded),
            Err(error) => {
                // What is in the store is not forgotten, whatever went wrong.
                waiting().insert(serial);
                return Err(error);
            }
        }
    }
}

/// Step 7 as it stands in the store.
fn left_behind(authority: &Authority, key: &store::Key, bytes: Vec<u8>) -> Result<Recorded<LintedTbs>, IssueError> {
    let intent: Intent = decode(&bytes).map_err(|_| IssueError::Damaged { what: "an intent to sign" })?;
    let issuer = authority.issuers.get(&intent.issuer).cloned().ok_or(IssueError::Damaged { what: "an intent's issuer" })?;
    let serial = serial_of(&intent.tbs)?;
    if *key != Intent::key(&serial) {
        return Err(IssueError::Damaged { what: "an intent's serial" });
    }
    Ok(Recorded { what: LintedTbs { issuer, serial, intent, stored: bytes, asked: None } })
}

fn serial_of(tbs: &[u8]) -> Result<Vec<u8>, IssueError> {
    let damaged = |_| IssueError::Damaged { what: "the bytes of an intent" };
    let mut reader = pki::asn1::Reader::new(tbs);
    let mut fields = pki::asn1::Reader::new(reader.take(0x30).map_err(damaged)?);
    fields.take(0xa0).map_err(damaged)?;
    Ok(fields.take(2).map_err(damaged)?.to_vec())
}
