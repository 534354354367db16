//! A block of rows once it is decided: what goes out, and what was told of the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use store::Expectation;

use super::correction::Corrected;
use super::evidence::Told;
use super::letter::{OneOf, no_room};
use super::outcome::gave_way;
use crate::erds::Secrecy;
use crate::mailbox::Body;
use crate::record::account::Account;
use crate::record::continuity::Remembered;
use crate::record::push::{RowOutcome, State};
use crate::statement::Entity;

/// What is to be done about a row.
pub(super) enum Decision {
    Send(Box<Letter>),
    Told(Box<Told>),
}

/// A block that was decided: what goes out, and what was told of the other rows.
pub(super) struct Decided<L> {
    pub letters: Vec<L>,
    pub told: Vec<Told>,
}

/// A block that waits for its commit.
pub(super) type Prepared = Decided<Sealed>;

/// A row on its way into a mailbox.
pub(super) struct Letter {
    pub row: u64,
    pub stmt_id: String,
    pub row_digest: String,
    pub account: Account,
    pub entity: Entity,
    pub not_judged: Vec<String>,
    /// The month it was judged by, as it was read.
    pub follows: Vec<Expectation>,
    /// What is remembered of accounts from now on, and where: its own first, then that of a statement that it ends.
    pub leaves: Vec<(store::Key, Remembered)>,
    /// Accounts whose statements go to this mailbox from now on, or to nobody's; and the one that it is of itself.
    pub holders: Vec<(store::Key, Option<Vec<u8>>)>,
    pub account_of: Option<store::Key>,
    /// The month that it brings of its account, unless it corrects the one that is there.
    pub month_of: Option<store::Key>,
    /// Rows of its block that are told that it came before them.
    pub gave_way: Vec<u64>,
    /// The statement it is, by the keyed index of its account, empty where the next month is not compared with it; none for a
    /// notice that one is withdrawn.
    pub issues: Option<String>,
    /// The statement that it supersedes or withdraws.
    pub corrects: Option<Corrected>,
    /// What it takes of its recipient's share of the month.
    pub counts: Option<OneOf>,
}

/// A letter with its seal, as it will stand in the store.
pub(super) struct Sealed {
    pub letter: Letter,
    pub body: Arc<Body>,
    pub secrecy: Option<Secrecy>,
}

impl AsRef<Letter> for Letter {
    fn as_ref(&self) -> &Letter {
        self
    }
}

impl AsRef<Letter> for Sealed {
    fn as_ref(&self) -> &Letter {
        &self.letter
    }
}

impl Decided<Letter> {
    /// The mailboxes that it delivers to, or may when it is decided anew.
    pub fn mailboxes(&self) -> HashSet<String> {
        let told = self.told.iter().filter_map(|told| told.mailbox.clone());
        self.letters.iter().map(|letter| letter.account.mailbox()).chain(told).collect()
    }

    /// The statements that it delivers, supersedes or withdraws, or may when it is decided anew: what was told of a row gives way to that its
    /// statement was delivered before.
    pub fn statements(&self) -> HashSet<String> {
        let told = self.told.iter().filter_map(|told| told.outcome.stmt_id.as_deref());
        self.letters.iter().flat_map(|letter| std::iter::once(letter.stmt_id.as_str()).chain(letter.ends())).chain(told).map(str::to_owned).collect()
    }

    /// What a recipient's share of the month has no room for is told so, and what gave way to it.
    pub fn share_out(&mut self) {
        let mut taken: HashMap<store::Key, u32> = HashMap::new();
        let mut over: Vec<(u64, Option<String>)> = Vec::new();
        for letter in &mut self.letters {
            let Some(counts) = &mut letter.counts else { continue };
            let before = taken.entry(counts.place().clone()).or_insert(0);
            if counts.after(*before) {
                *before += 1;
            } else {
                over.push((letter.row, letter.corrects.as_ref().map(no_room)));
            }
        }
        for (row, detail) in over {
            self.withdraw(row, &State::Undeliverable, "quota-reached", detail.as_deref());
        }
    }
}

impl<L: AsRef<Letter>> Decided<L> {
    /// A letter that does not go out after all, and with it the same statement further down the block, which was to follow
    /// it; other rows that gave way to it are told so. `false` when there is no such letter.
    pub fn withdraw(&mut self, row: u64, state: &State, reason: &str, detail: Option<&str>) -> bool {
        let Some(at) = self.letters.iter().position(|letter| letter.as_ref().row == row) else { return false };
        let letter = self.letters.remove(at);
        let (stmt_id, mailbox) = (Some(letter.as_ref().stmt_id.clone()), letter.as_ref().account.mailbox());
        let corrects = letter.as_ref().corrects.as_ref().map(Corrected::said);
        let outcome = |row| {
            let (stmt_id, reason, detail) = (stmt_id.clone(), Some(reason.to_owned()), detail.map(str::to_owned));
            RowOutcome { row, stmt_id, state: state.clone(), reason, detail, not_judged: Vec::new(), message: None, mended_by: None }
        };
        for Told { outcome: found, .. } in self.told.iter_mut().filter(|told| told.outcome.state == State::Duplicate && told.outcome.stmt_id == stmt_id) {
            *found = outcome(found.row);
        }
        let rows = &letter.as_ref().gave_way;
        for Told { outcome: found, .. } in self.told.iter_mut().filter(|told| told.outcome.state == State::Quarantined && rows.contains(&told.outcome.row)) {
            *found = gave_way(found);
        }
        self.told.push(Told { outcome: outcome(row), mailbox: Some(mailbox), corrects });
        true
    }
}
