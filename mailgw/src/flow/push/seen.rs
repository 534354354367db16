//! The letters of a push so far: no statement goes out twice, no account to two people, no month of an account under two numbers.

use std::collections::HashMap;

use store::Key;

use super::decided::Letter;
use super::outcome::{account_of_another, month_delivered, repeated};
use crate::record::push::RowOutcome;

/// What letters took that go out, each with its row.
#[derive(Default)]
pub(super) struct Seen {
    /// With the digests of their rows.
    statements: HashMap<String, (String, u64)>,
    /// Superseded or withdrawn.
    ended: HashMap<String, u64>,
    /// With the mailboxes that their statements go to.
    accounts: HashMap<Key, (String, u64)>,
    /// Accounts of which a statement of the month goes to a mailbox.
    months: HashMap<Key, u64>,
}

impl Seen {
    /// What is told of a letter where one before it took what it would take, and that one's row.
    pub fn taken(&self, letter: &Letter) -> Option<(RowOutcome, u64)> {
        if let Some((first, row)) = self.statements.get(&letter.stmt_id) {
            return Some((repeated(letter.row, &letter.stmt_id, *first == letter.row_digest), *row));
        }
        if let Some(row) = letter.ends().and_then(|ends| self.ended.get(ends)) {
            return Some((letter.ended_elsewhere(), *row));
        }
        if let Some((holder, row)) = letter.account_of.as_ref().and_then(|account| self.accounts.get(account))
            && *holder != letter.account.mailbox()
        {
            return Some((account_of_another(letter.row, &letter.stmt_id), *row));
        }
        let row = letter.month_of.as_ref().and_then(|month| self.months.get(month));
        row.map(|row| (month_delivered(letter.row, &letter.stmt_id), *row))
    }

    /// The letter goes out.
    pub fn take(&mut self, letter: &Letter) {
        self.statements.insert(letter.stmt_id.clone(), (letter.row_digest.clone(), letter.row));
        self.ended.extend(letter.ends().map(|ends| (ends.to_owned(), letter.row)));
        self.accounts.extend(letter.account_of.clone().map(|account| (account, (letter.account.mailbox(), letter.row))));
        self.months.extend(letter.month_of.clone().map(|month| (month, letter.row)));
    }
}
