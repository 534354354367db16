//! The letters of a push so far: no statement goes out twice, no account to two people, no month of an account under two numbers. In a dry
//! run, where no block before is delivered, it stands for what the store would hold of them.

use std::collections::HashMap;

use policies::mailbox::MailboxNumber;
use store::Key;

use super::decided::Letter;
use super::outcome::{account_of_another, month_delivered, repeated};
use crate::erds::hash;
use crate::record::push::RowOutcome;

/// What letters took that go out, each with its row.
#[derive(Default)]
pub(super) struct Seen {
    /// With the digests of their rows.
    statements: HashMap<String, (Option<[u8; 32]>, u64)>,
    /// Superseded or withdrawn.
    ended: HashMap<String, u64>,
    /// With the mailboxes that their statements go to.
    accounts: HashMap<Key, (String, u64)>,
    /// Accounts of which a statement of the month goes to a mailbox.
    months: HashMap<Key, u64>,
    /// In a dry run: how many letters took of a recipient's share of the month, and what mailboxes would hold more, messages and bytes.
    shares: HashMap<Key, u32>,
    held: HashMap<MailboxNumber, (u64, u64)>,
}

impl Seen {
    /// What is told of a letter where one before it took what it would take, and that one's row.
    pub fn taken(&self, letter: &Letter) -> Option<(RowOutcome, u64)> {
        if let Some((first, row)) = self.statements.get(&letter.stmt_id) {
            return Some((repeated(letter.row, &letter.stmt_id, *first == hash(&letter.row_digest)), *row));
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

    /// What is told of a row under a statement's key that a block before would deliver.
    pub fn delivered_before(&self, row: u64, stmt_id: &str, row_digest: &str) -> Option<RowOutcome> {
        self.statements.get(stmt_id).map(|(first, _)| repeated(row, stmt_id, *first == hash(row_digest)))
    }

    /// Whether a block before would end this statement.
    pub fn has_ended(&self, statement: &str) -> bool {
        self.ended.contains_key(statement)
    }

    /// How many letters of the blocks before would take of this share.
    pub fn of_share(&self, place: &Key) -> u32 {
        self.shares.get(place).copied().unwrap_or(0)
    }

    /// Messages and bytes that the blocks before, and what came before in this one, would bring to a mailbox.
    pub fn held(&self, mailbox: MailboxNumber) -> (u64, u64) {
        self.held.get(&mailbox).copied().unwrap_or_default()
    }

    /// In a dry run: the letter would be delivered, and takes of its recipient's share and room as well.
    pub fn deliver(&mut self, letter: &Letter) {
        self.take(letter);
        if let Some(counts) = &letter.counts {
            *self.shares.entry(counts.place().clone()).or_default() += 1;
        }
        let (messages, bytes) = self.held.entry(letter.account.number).or_default();
        *messages += 1;
        *bytes = bytes.saturating_add(letter.entity.bytes().len() as u64);
    }

    /// The letter goes out.
    pub fn take(&mut self, letter: &Letter) {
        self.statements.insert(letter.stmt_id.clone(), (hash(&letter.row_digest), letter.row));
        self.ended.extend(letter.ends().map(|ends| (ends.to_owned(), letter.row)));
        self.accounts.extend(letter.account_of.clone().map(|account| (account, (letter.account.mailbox(), letter.row))));
        self.months.extend(letter.month_of.clone().map(|month| (month, letter.row)));
    }
}
