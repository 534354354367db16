//! A statement that turns out to be wrong: a corrected one supersedes it, or it is withdrawn. Its message stays as it was
//! sealed and bears a keyword from then on; a message of its own says what no longer holds and why. Only the bureau that
//! sent it can do that, in a manifest that it signed.

use policies::mailbox::{Address, LocalPart, MailboxNumber};
use policies::statement::{Purpose, Reason, StatementId};
use protocol::imap::exchange::Keyword;
use store::{Batch, Expectation, Key};

use super::decided::{Decision, Letter};
use super::judge::Judge;
use super::outcome::repeated;
use super::evidence::Told;
use super::file::RawRow;
use super::seen::Seen;
use super::{PushError, sha256};
use crate::erds::{self, hash};
use crate::mailbox::Mark;
use crate::record::continuity::{self, Remembered};
use crate::record::event::{self, Event};
use crate::record::push::{Ended, Item, RowOutcome, State, item_key};
use crate::record::RecordError;
use crate::statement::{self, Withdrawal};

/// What old messages bear.
const SUPERSEDED: &str = "$Superseded";
const WITHDRAWN: &str = "$Withdrawn";

/// The statement that a row corrects or withdraws, as it was found.
pub(super) struct Corrected {
    pub statement: StatementId,
    pub item: Item,
    place: Key,
    before: Vec<u8>,
}

/// What is left of an account without one of its statements, as a commit expects and writes it.
#[derive(Default)]
pub(super) struct Left {
    pub follows: Vec<Expectation>,
    pub leaves: Vec<(Key, Remembered)>,
    pub holders: Vec<(Key, Option<Vec<u8>>)>,
}

/// Why a row cannot correct what it names.
pub(super) struct Stays {
    pub state: State,
    pub reason: &'static str,
    pub mailbox: Option<String>,
}

impl Judge<'_> {
    /// 1 this bureau delivered it, in a batch before: the rows of one file stand in no order · 2 it is of the manifest's kind and month · 3 it holds still.
    pub fn corrected(&self, statement: StatementId) -> Result<Result<Corrected, Stays>, PushError> {
        let place = item_key(self.bureau, statement.as_str());
        // 1
        let Some(before) = self.gateway.store.get(&place)? else {
            return Ok(Err(Stays { state: State::Quarantined, reason: "unknown-statement", mailbox: None }));
        };
        let item = Item::decode(&before)?;
        if item.batch == self.batch() {
            return Ok(Err(Stays { state: State::Quarantined, reason: "unknown-statement", mailbox: None }));
        }
        let stays = |state, reason| Ok(Err(Stays { state, reason, mailbox: Some(item.mailbox.clone()) }));
        // 2
        let manifest = self.manifest.manifest();
        if !item.kind.is_empty() && (item.kind != manifest.kind() || item.period != manifest.period().to_string()) {
            return stays(State::Quarantined, "other-month-or-kind");
        }
        // 3
        match &item.ended {
            None => Ok(Ok(Corrected { statement, item, place, before })),
            Some(Ended { superseded_by: Some(_), .. }) => stays(State::Quarantined, "superseded-before"),
            // Said once more.
            Some(_) if matches!(manifest.purpose(), Purpose::Withdraw(_)) => stays(State::Duplicate, "withdrawn-before"),
            Some(_) => stays(State::Quarantined, "withdrawn-before"),
        }
    }

    /// A row of a withdrawal: 1 it names a statement · 2 which holds still · 3 its mailbox is open · 4 the month that it left
    /// behind is forgotten, so that the next one is not judged by it · 5 rendered. Of a dry run `before` stands beside the store at 2.
    pub fn withdraw(&self, raw: &RawRow, reason: &Reason, before: &Seen) -> Result<Decision, PushError> {
        let told = |stmt_id: Option<&str>, state, reason: &str, detail: Option<String>, mailbox| {
            let (stmt_id, reason) = (stmt_id.map(str::to_owned), Some(reason.to_owned()));
            let outcome = RowOutcome { row: raw.number, stmt_id, state, reason, detail, not_judged: Vec::new(), message: None, mended_by: None };
            Ok(Decision::Told(Box::new(Told { outcome, mailbox, corrects: None })))
        };
        // 1
        let statement = match StatementId::parse(raw.fields.get(0).unwrap_or_default()) {
            Ok(statement) => statement,
            Err(error) => return told(None, State::Quarantined, "unreadable", Some(format!("column stmt_id: {error}")), None),
        };
        let stmt_id = statement.as_str().to_owned();
        // 2
        let corrected = match self.corrected(statement)? {
            Ok(corrected) => corrected,
            Err(Stays { state, reason, mailbox }) => return told(Some(&stmt_id), state, reason, None, mailbox),
        };
        if before.has_ended(&stmt_id) {
            return told(Some(&stmt_id), State::Duplicate, "withdrawn-before", None, Some(corrected.item.mailbox));
        }
        // 3
        let mailbox = &corrected.item.mailbox;
        let number = MailboxNumber::parse(mailbox).map_err(|_| RecordError::Damaged { kind: "push item", reason: "its mailbox is none" })?;
        let Some(account) = self.gateway.directory.get(number)?.filter(crate::record::account::Account::is_open) else {
            return told(Some(&stmt_id), State::Undeliverable, "mailbox-closed", None, Some(mailbox.clone()));
        };
        // 4
        let (kind, period) = (self.manifest.manifest().kind(), self.manifest.manifest().period());
        let Left { follows, leaves, holders } = self.left_without(&corrected.item)?;
        // 5
        let to = Address::new(LocalPart::Number(account.number), self.gateway.directory.domain().clone());
        let title = match self.manifest.manifest().statement() {
            Some(kind) => statement::title_of(kind),
            None => self.gateway.letters.get(kind).map_or((kind, kind), |letters| letters.title()),
        };
        let entity = statement::withdrawal(&Withdrawal { kind, title, period, statement: &corrected.statement, reason }, &self.sender, &to, self.begun);
        let entity = entity.referred(&self.gateway.directory_key).map_err(RecordError::from)?;
        let row_digest = self.row_digest_of([stmt_id.as_str()].into_iter());
        let letter = Letter { row: raw.number, stmt_id, row_digest, account, entity, not_judged: Vec::new(), follows, leaves, holders, account_of: None, month_of: None, gave_way: Vec::new(), issues: None, corrects: Some(corrected), counts: None };
        Ok(Decision::Send(Box::new(letter)))
    }

    /// What is remembered of this statement's account without it: the others of its year, none that the next is judged by where it was
    /// the last, and where none holds any more the account is nobody's.
    pub fn left_without(&self, item: &Item) -> Result<Left, PushError> {
        let (manifest, store, mut without) = (self.manifest.manifest(), &*self.gateway.store, Left::default());
        let (kind, period) = (manifest.kind(), manifest.period());
        let Some(account) = hash(&item.account) else { return Ok(without) };
        let place = continuity::of_account(self.bureau, &item.mailbox, kind, &account);
        let (Some(known), follows) = continuity::known(store, &place, &self.gateway.directory_key)? else { return Ok(without) };
        let is_last = known.last.as_ref().is_some_and(|last| continuity::period(last) == period);
        let Some(left) = (if is_last { Some(known.without_last(period)) } else { known.amended(period, None) }) else { return Ok(without) };
        without.follows.push(follows);
        if left.is_over()
            && let Some(key) = manifest.statement().and_then(|kind| continuity::holder_key(self.bureau, kind, &account))
            && let (Some(holder), still) = continuity::holder(store, &key)?
            && holder == item.mailbox
        {
            without.follows.push(still);
            without.holders.push((key, None));
        }
        without.leaves.push((place, left));
        Ok(without)
    }
}

impl Corrected {
    /// As evidence names it.
    pub fn said(&self) -> erds::Corrected {
        erds::Corrected { statement: self.statement.as_str().to_owned(), digest_value: self.item.message.clone() }
    }

    /// What its message bears from now on.
    pub fn mark(&self, by: &Letter) -> Option<Mark> {
        let keyword = if by.issues.is_some() { SUPERSEDED } else { WITHDRAWN };
        Some(Mark { digest: hash(&self.item.message)?, keyword: Keyword::new(keyword)? })
    }

    /// Ends it in the commit that tells its reader, where it still holds.
    pub fn put(&self, write: Batch, judge: &Judge<'_>, by: &Letter, message: &str, now_unix_millis: u64) -> Result<Batch, PushError> {
        let reason = match judge.manifest.manifest().purpose() {
            Purpose::Supersede(reason) | Purpose::Withdraw(reason) => reason.chinese.clone(),
            Purpose::Deliver | Purpose::Mend { .. } => String::new(),
        };
        let superseded_by = by.issues.as_ref().map(|_| by.stmt_id.clone());
        let ended = Ended { superseded_by, batch: judge.batch().to_owned(), message: message.to_owned(), reason, unix_millis: now_unix_millis, number: by.row };
        let item = Item { ended: Some(ended), ..self.item.clone() };
        Ok(write.expect(Expectation::Equals(self.place.clone(), self.before.clone())).put(self.place.clone(), item.encode()?))
    }

    /// The leaf of the log.
    pub fn event(&self, judge: &Judge<'_>, by: &Letter, message: &str, size: u64) -> Event {
        let event = event::Corrected {
            mailbox: self.item.mailbox.clone(),
            bureau: judge.bureau.to_owned(),
            batch: judge.batch().to_owned(),
            item: sha256(self.place.as_bytes()),
            old: self.item.message.clone(),
            digest: message.to_owned(),
            size,
        };
        if by.issues.is_some() { Event::StatementSuperseded(event) } else { Event::StatementWithdrawn(event) }
    }
}

impl Letter {
    /// What it ends besides itself: nobody else in the same block may.
    pub fn ends(&self) -> Option<&str> {
        self.corrects.as_ref().map(|corrected| corrected.statement.as_str())
    }

    /// What is told of it where another row of its block ended the same statement.
    pub fn ended_elsewhere(&self) -> RowOutcome {
        RowOutcome { state: State::Quarantined, reason: Some("superseded-before".to_owned()), ..repeated(self.row, &self.stmt_id, true) }
    }
}
