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

/// A row that would take an account's statements to another person than those before it.
pub(super) fn account_of_another(row: u64, stmt_id: &str) -> RowOutcome {
    let detail = "statements of this account went to another person and hold still; mend the account's number or the person, or withdraw those statements first";
    kept_back(row, stmt_id, "account-of-another", detail)
}

/// A row of a month that the account's owner has a statement of.
pub(super) fn month_delivered(row: u64, stmt_id: &str) -> RowOutcome {
    kept_back(row, stmt_id, "month-delivered", "a statement of this account and month was delivered under another stmt_id and holds still; supersede that one, or withdraw it first")
}

/// A row that gave way to another of its file, which did not go out itself.
pub(super) fn gave_way(told: &RowOutcome) -> RowOutcome {
    kept_back(told.row, told.stmt_id.as_deref().unwrap_or_default(), "gave-way", "another row of the file came before it for the same statement or account, and was not delivered itself; send this one again")
}

fn kept_back(row: u64, stmt_id: &str, reason: &str, detail: &str) -> RowOutcome {
    RowOutcome { state: State::Quarantined, reason: Some(reason.to_owned()), detail: Some(detail.to_owned()), ..repeated(row, stmt_id, true) }
}

/// A statement whose key was seen before: the same one, or another under its key.
pub(super) fn repeated(row: u64, stmt_id: &str, same: bool) -> RowOutcome {
    let (state, reason) = if same { (State::Duplicate, "delivered-before") } else { (State::Quarantined, "other-content") };
    let detail = (!same).then(|| "another row was delivered under this stmt_id; give a corrected statement its own".to_owned());
    RowOutcome { row, stmt_id: Some(stmt_id.to_owned()), state, reason: Some(reason.to_owned()), detail, not_judged: Vec::new(), message: None, mended_by: None }
}
