//! What a bureau is told of a row that was seen before.

use crate::record::push::{Item, RowOutcome, State};

/// A row under the key of what was delivered before. What was ended is not delivered again by the same statement: its reader
/// was told that it does not hold.
pub(super) fn seen_before(row: u64, stmt_id: &str, before: &Item, row_digest: &str) -> RowOutcome {
    let outcome = repeated(row, stmt_id, before.row == row_digest);
    let Some(ended) = &before.ended else { return outcome };
    let reason = if ended.superseded_by.is_some() { "superseded-before" } else { "withdrawn-before" };
    RowOutcome { state: State::Quarantined, reason: Some(reason.to_owned()), detail: None, ..outcome }
}

/// A statement whose key was seen before: the same one, or another under its key.
pub(super) fn repeated(row: u64, stmt_id: &str, same: bool) -> RowOutcome {
    let (state, reason) = if same { (State::Duplicate, "delivered-before") } else { (State::Quarantined, "other-content") };
    let detail = (!same).then(|| "another row was delivered under this stmt_id; give a corrected statement its own".to_owned());
    RowOutcome { row, stmt_id: Some(stmt_id.to_owned()), state, reason: Some(reason.to_owned()), detail, not_judged: Vec::new(), message: None, mended_by: None }
}
