//! The letters of a push so far: no statement goes out twice, no account to two people, no month of an account under two numbers.

use std::collections::{HashMap, HashSet};

use store::Key;

use super::decided::Letter;
use super::outcome::{account_of_another, month_delivered, repeated};
use crate::record::push::RowOutcome;

/// What letters took that go out.
#[derive(Default)]
pub(super) struct Seen {
    /// With the digests of their rows.
    statements: HashMap<String, String>,
    /// Superseded or withdrawn.
    ended: HashSet<String>,
    /// With the mailboxes that their statements go to.
    accounts: HashMap<Key, String>,
    /// Accounts of which a statement of the month goes to a mailbox.
    months: HashSet<Key>,
}

impl Seen {
    /// What is told of a letter where one before it took what it would take.
    pub fn taken(&self, letter: &Letter) -> Option<RowOutcome> {
        if let Some(first) = self.statements.get(&letter.stmt_id) {
            return Some(repeated(letter.row, &letter.stmt_id, *first == letter.row_digest));
        }
        if letter.ends().is_some_and(|ends| self.ended.contains(ends)) {
            return Some(letter.ended_elsewhere());
        }
        let holder = letter.account_of.as_ref().and_then(|account| self.accounts.get(account));
        if holder.is_some_and(|mailbox| *mailbox != letter.account.mailbox()) {
            return Some(account_of_another(letter.row, &letter.stmt_id));
        }
        let month = letter.month().is_some_and(|month| self.months.contains(month));
        month.then(|| month_delivered(letter.row, &letter.stmt_id))
    }

    /// The letter goes out.
    pub fn take(&mut self, letter: &Letter) {
        self.statements.insert(letter.stmt_id.clone(), letter.row_digest.clone());
        self.ended.extend(letter.ends().map(str::to_owned));
        self.accounts.extend(letter.account_of.clone().map(|account| (account, letter.account.mailbox())));
        self.months.extend(letter.month().cloned());
    }
}
