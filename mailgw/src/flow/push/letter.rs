//! A row of a kind that a policy defines: decided by that policy, rendered by its template, and delivered like any statement.

use policies::mailbox::{Address, LocalPart};
use policies::sender::{Addressee, Broken, LetterHeader, LetterKind};
use policies::statement::{Purpose, StatementId};
use store::{Batch, Expectation, Key};
use time::{Date, OffsetDateTime};

use super::decided::{Decision, Letter};
use super::judge::Judge;
use super::outcome::seen_before;
use super::correction::{Corrected, Stays};
use super::evidence::Told;
use super::file::RawRow;
use super::mending;
use super::seen::Seen;
use super::PushError;
use crate::flow::{addressee, consent};
use crate::record::RecordError;
use crate::record::account::Holder;
use crate::record::push::{Item, RowOutcome, State, decode_quota, encode_quota, item_key, quota_key};
use crate::statement::{self, Correction};

/// Corrections of a letter, one after another, that take no share. Those after them take of it like letters do: they are no way around it,
/// and there is no end to them.
const CORRECTIONS: u64 = 3;

/// A recipient's share of a kind in a month, as it was found.
pub(super) struct Share {
    place: Key,
    before: Option<Vec<u8>>,
    used: u32,
    limit: u32,
}

/// A letter's one of it; the n-th of the block.
pub(super) struct OneOf {
    share: Share,
    nth: u32,
}

impl OneOf {
    pub fn place(&self) -> &Key {
        &self.share.place
    }

    /// `before` letters of the same block are in the same share.
    pub fn after(&mut self, before: u32) -> bool {
        self.nth = before + 1;
        self.share.used.saturating_add(self.nth) <= self.share.limit
    }

    /// What a commit says of all letters of the block that are in the same share.
    pub fn put(&self, write: Batch, letters: u32) -> Result<Batch, PushError> {
        let place = self.share.place.clone();
        let expected = self.share.before.clone().map_or_else(|| Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
        Ok(write.expect(expected).put(place, encode_quota(self.share.used.saturating_add(letters))?))
    }
}

impl Judge<'_> {
    /// 1 the row can be read, and where it mends is one that may be mended, of the same statement · 2 it is of this month · 3 it keeps its kind's
    /// rules · 4 it was not delivered before · 5 the recipient has a mailbox of the right sort · 6 the name is the owner's, and the
    /// mailbox is open · 7 the owner consented to this kind where it asks for it: who does not know the name, or has no consent, is told of no
    /// mailbox · 8 what it corrects was sent to the same mailbox and holds
    /// still · 9 the recipient's share of the month is not used up, of which the first corrections of a letter take nothing · 10 rendered.
    /// Of a dry run `before` stands beside the store at 4, 8 and 9.
    pub fn letter(&self, kind: &LetterKind, header: &LetterHeader, raw: &RawRow, today: Date, before: &Seen) -> Result<Decision, PushError> {
        let about = |stmt_id: Option<&str>, state, reason: &str, detail: Option<String>, mailbox| {
            let (stmt_id, reason) = (stmt_id.map(str::to_owned), Some(reason.to_owned()));
            let outcome = RowOutcome { row: raw.number, stmt_id, state, reason, detail, not_judged: Vec::new(), message: None, mended_by: None };
            Ok(Decision::Told(Box::new(Told { outcome, mailbox, corrects: None })))
        };
        // 1
        if self.mending.as_ref().is_some_and(|mending| !mending.is_kept_back(raw.number)) {
            return about(None, State::Quarantined, "not-kept-back", None, None);
        }
        let fields: Vec<&str> = raw.fields.iter().collect();
        let read = header.record(&fields).and_then(|record| Ok((record.letter(kind, today)?, self.row_digest_of(record.texts()))));
        let (letter, row_digest) = match read {
            Ok(read) => read,
            Err(reason) => {
                let statement = header.record(&fields).ok().and_then(|record| record.statement(today));
                return about(statement.as_ref().map(StatementId::as_str), State::Quarantined, "unreadable", Some(reason), None);
            }
        };
        let stmt_id = letter.stmt_id.as_str().to_owned();
        if self.mending.as_ref().is_some_and(|mending| !mending.is_of(raw.number, &stmt_id)) {
            return about(Some(&stmt_id), State::Quarantined, "other-statement", Some(mending::OTHER_STATEMENT.to_owned()), None);
        }
        // 2
        let manifest = self.manifest.manifest();
        if letter.period != manifest.period() {
            let detail = format!("the row is of {}, the manifest of {}", letter.period, manifest.period());
            return about(Some(&stmt_id), State::Quarantined, "other-month-or-kind", Some(detail), None);
        }
        // 3
        if let Some(Broken { rule, reason }) = kind.judge(&letter.figures) {
            return about(Some(&stmt_id), State::Quarantined, "kind-rule", Some(format!("{rule}: {reason}")), None);
        }
        // 4
        if let Some(found) = self.gateway.store.get(&item_key(self.bureau, &stmt_id))? {
            let item = Item::decode(&found)?;
            let outcome = seen_before(raw.number, &stmt_id, &item, &row_digest);
            return Ok(Decision::Told(Box::new(Told { outcome, mailbox: Some(item.mailbox), corrects: None })));
        }
        if let Some(outcome) = before.delivered_before(raw.number, &stmt_id, &row_digest) {
            return Ok(Decision::Told(Box::new(Told { outcome, mailbox: None, corrects: None })));
        }
        // 5
        let (account, named) = addressee::find(self.gateway, self.bureau, &letter.recipient)?;
        let account = account.filter(|account| match account.holder {
            Holder::Citizen { .. } => kind.addressee() == Addressee::Person,
            Holder::Institution { .. } => kind.addressee() == Addressee::Institution,
        });
        let Some(account) = account else { return about(Some(&stmt_id), State::Undeliverable, "unknown-person", None, None) };
        let mailbox = account.mailbox();
        // 6
        if !addressee::is_named(&account, &letter.name) {
            return about(Some(&stmt_id), State::Quarantined, "V10", Some("the name is not the mailbox owner's".to_owned()), None);
        }
        if !account.is_open() {
            return about(Some(&stmt_id), State::Undeliverable, "mailbox-closed", None, Some(mailbox));
        }
        // 7
        let mut follows: Vec<Expectation> = named.into_iter().collect();
        if kind.needs_consent() {
            match consent::given(self.gateway, self.bureau, kind.name(), &mailbox)? {
                Some(still) => follows.push(still),
                None => return about(Some(&stmt_id), State::Undeliverable, "no-consent", None, None),
            }
        }
        // 8
        let corrected = match letter.supersedes.clone().map(|statement| self.corrected(statement)).transpose()? {
            Some(Err(Stays { mailbox: Some(of), .. })) if of != mailbox => return about(Some(&stmt_id), State::Quarantined, "other-recipient", None, Some(mailbox)),
            Some(Err(Stays { state, reason, mailbox })) => return about(Some(&stmt_id), state, reason, None, mailbox),
            Some(Ok(corrected)) if corrected.item.mailbox != mailbox => return about(Some(&stmt_id), State::Quarantined, "other-recipient", None, Some(mailbox)),
            Some(Ok(corrected)) if before.has_ended(corrected.statement.as_str()) => {
                return about(Some(&stmt_id), State::Quarantined, "superseded-before", None, Some(corrected.item.mailbox));
            }
            Some(Ok(corrected)) => Some(corrected),
            None => None,
        };
        // 9
        let is_free = corrected.as_ref().is_some_and(|corrected| corrected.item.corrections < CORRECTIONS);
        let share = if is_free { None } else { Some(self.share(kind, &mailbox, before)?) };
        if share.as_ref().is_some_and(|share| share.used >= share.limit) {
            return about(Some(&stmt_id), State::Undeliverable, "quota-reached", corrected.as_ref().map(no_room), Some(mailbox));
        }
        // 10
        let to = Address::new(LocalPart::Number(account.number), self.gateway.directory.domain().clone());
        let correction = match (&corrected, manifest.purpose()) {
            (Some(corrected), Purpose::Supersede(reason)) => Some(Correction { corrects: &corrected.statement, reason }),
            _ => None,
        };
        let entity = statement::letter(kind, &letter, &self.sender, &to, self.begun, correction.as_ref());
        let entity = entity.referred(&self.gateway.directory_key).map_err(RecordError::from)?;
        let counts = share.map(|share| OneOf { share, nth: 1 });
        let letter = Letter { row: raw.number, stmt_id, row_digest, account, entity, not_judged: Vec::new(), follows, leaves: Vec::new(), holders: Vec::new(), account_of: None, month_of: None, gave_way: Vec::new(), issues: Some(String::new()), corrects: corrected, counts };
        Ok(Decision::Send(Box::new(letter)))
    }

    /// By the month in which the batch was taken in, in the time of the city.
    fn share(&self, kind: &LetterKind, mailbox: &str, seen: &Seen) -> Result<Share, PushError> {
        let place = quota_key(self.bureau, kind.name(), mailbox, &month(self.begun));
        let before = self.gateway.store.get(&place)?;
        let used = before.as_deref().map(decode_quota).transpose()?.unwrap_or(0).saturating_add(seen.of_share(&place));
        Ok(Share { place, before, used, limit: kind.per_month() })
    }
}

/// What is told of a correction that the share of the month has no room for.
pub(super) fn no_room(corrected: &Corrected) -> String {
    let times = corrected.item.corrections;
    format!("it was corrected {times} times, and this takes of the month's share, which is used up; withdraw it, or correct it next month")
}

fn month(at: OffsetDateTime) -> String {
    let date = crate::directory::today(at);
    format!("{:04}{:02}", date.year(), u8::from(date.month()))
}
