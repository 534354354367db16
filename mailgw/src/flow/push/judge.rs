//! What is judged of a row, and in which order: pure of everything but what the store holds.

use std::collections::HashMap;

use policies::mailbox::{Address, LocalPart};
use policies::statement::{Header, Parameters, Purpose, Row, StatementId, Verdict, judge_owner};
use time::OffsetDateTime;

use super::correction::{Corrected, Left, Stays};
use super::decided::{Decided, Decision, Letter};
use super::evidence::Told;
use super::file::RawRow;
use super::halves::halves;
use super::mending::{self, Mending};
use super::outcome::{account_of_another, month_delivered, seen_before};
use super::proof::Columns;
use super::PushError;
use super::seen::Seen;
use crate::bureau::manifest::SignedManifest;
use crate::directory;
use crate::flow::addressee;
use crate::gateway::Gateway;
use crate::record::RecordError;
use crate::record::continuity;
use crate::record::push::{Item, RowOutcome, State, item_key};
use crate::statement::{self, Beside, Boilerplate, Correction, Sender};

/// What rows are judged by, whether they are delivered or not.
pub(super) struct Judge<'a> {
    pub gateway: &'a Gateway,
    pub bureau: &'a str,
    pub sender: Sender,
    pub manifest: &'a SignedManifest,
    pub parameters: &'a Parameters,
    /// When the batch was recorded: the date of its messages, whenever they are made.
    pub begun: OffsetDateTime,
    /// The batch whose kept-back rows these are.
    pub mending: Option<Mending>,
    /// Of statements; kinds that a policy defines have none.
    boilerplate: Option<Boilerplate>,
}

impl<'a> Judge<'a> {
    pub fn new(gateway: &'a Gateway, bureau: &'a str, sender: Sender, manifest: &'a SignedManifest, begun: OffsetDateTime, mending: Option<Mending>) -> Self {
        let domain = gateway.directory.domain();
        let boilerplate = manifest.manifest().statement().map(|kind| Boilerplate::new(kind, manifest.manifest().period(), &sender, domain, begun));
        Self { gateway, bureau, sender, manifest, parameters: &gateway.statements, begun, mending, boilerplate }
    }
}

impl Judge<'_> {
    pub fn batch(&self) -> &str {
        self.manifest.manifest().batch_id().as_str()
    }

    /// `before`: of a dry run, what blocks before would have left in the store; else nothing.
    pub(super) fn decide_all(&self, columns: &Columns, rows: &[RawRow], before: &Seen) -> Result<Decided<Letter>, PushError> {
        let today = directory::today(self.begun);
        let mut decisions = halves(rows, |row| match (columns, self.manifest.manifest().purpose()) {
            (Columns::Statements, Purpose::Withdraw(reason)) => self.withdraw(row, reason, before),
            (Columns::Statements, _) => Err(PushError::Stopped),
            (Columns::Letters(kind, header), _) => self.letter(kind, header, row, today, before),
            (Columns::Rows(header), _) => self.decide(header, row, today, before),
        })?;
        self.once_each(&mut decisions);
        let mut decided = Decided { letters: Vec::new(), told: Vec::new() };
        for decision in decisions {
            match decision {
                Decision::Send(letter) => decided.letters.push(*letter),
                Decision::Told(told) => decided.told.push(*told),
            }
        }
        decided.share_out();
        Ok(decided)
    }

    /// Under a key that stays here: whoever has the log and the statement, where the number is masked, cannot try out
    /// which number gives this digest. The order of the columns is the file's own affair.
    pub fn row_digest_of<'t>(&self, row: impl Iterator<Item = &'t str>) -> String {
        let mut texts = Vec::new();
        for text in row {
            texts.extend_from_slice(&(text.len() as u64).to_be_bytes());
            texts.extend_from_slice(text.as_bytes());
        }
        crate::hex(&self.gateway.directory_key.index("push row", &texts))
    }

    /// The same statement twice in one block is delivered once, and one is ended once; so with accounts and their months.
    fn once_each(&self, decisions: &mut [Decision]) {
        let (mut seen, mut pairs) = (Seen::default(), Vec::new());
        for decision in &mut *decisions {
            let Decision::Send(letter) = decision else { continue };
            let Some((outcome, to)) = seen.taken(letter) else {
                seen.take(letter);
                continue;
            };
            pairs.push((to, letter.row));
            *decision = Decision::Told(Box::new(Told { outcome, mailbox: Some(letter.account.mailbox()), corrects: letter.corrects.as_ref().map(Corrected::said) }));
        }
        for decision in decisions {
            let Decision::Send(letter) = decision else { continue };
            letter.gave_way.extend(pairs.iter().filter(|(to, _)| *to == letter.row).map(|(_, row)| *row));
        }
    }

    /// 1 the row can be read, and where it mends is one that may be mended, of the same statement · 2 it is of this manifest · 3 its figures keep the
    /// rules · 4 it was not delivered before · 5 the person has a mailbox · 6 the name is the owner's, and the mailbox is open: a bureau that does
    /// not know a person's name is told of no mailbox · 7 what it
    /// corrects was sent to the same mailbox and holds still · 8 its account's statements go to nobody else, and none of
    /// this month holds · 9 its figures follow from the month that was delivered last for this sender and account · 10 rendered. Of a dry run
    /// `before` stands beside the store at 4 and 7.
    fn decide(&self, header: &Header, raw: &RawRow, today: time::Date, before: &Seen) -> Result<Decision, PushError> {
        let about = |stmt_id: Option<&str>, state, reason: &str, detail: Option<String>, mailbox| {
            let (stmt_id, reason) = (stmt_id.map(str::to_owned), Some(reason.to_owned()));
            let outcome = RowOutcome { row: raw.number, stmt_id, state, reason, detail, not_judged: Vec::new(), message: None, mended_by: None };
            Ok(Decision::Told(Box::new(Told { outcome, mailbox, corrects: None })))
        };
        let told = |stmt_id, state, reason: &str, detail| about(stmt_id, state, reason, detail, None);
        // 1
        if self.mending.as_ref().is_some_and(|mending| !mending.is_kept_back(raw.number)) {
            return told(None, State::Quarantined, "not-kept-back", None);
        }
        let fields: Vec<&str> = raw.fields.iter().collect();
        let read = header.record(&fields).and_then(|record| {
            let corrects = header.supersedes(&fields)?;
            let digest = self.row_digest_of(record.texts().chain(corrects.as_ref().map(StatementId::as_str)));
            Ok((Row::parse(&record, today)?, corrects, digest))
        });
        let (row, corrects, row_digest) = match read {
            Ok(read) => read,
            Err(error) => {
                let statement = header.statement(&fields, today);
                return told(statement.as_ref().map(StatementId::as_str), State::Quarantined, "unreadable", Some(error.to_string()));
            }
        };
        let stmt_id = row.head().stmt_id.as_str().to_owned();
        if self.mending.as_ref().is_some_and(|mending| !mending.is_of(raw.number, &stmt_id)) {
            return told(Some(&stmt_id), State::Quarantined, "other-statement", Some(mending::OTHER_STATEMENT.to_owned()));
        }
        // 2
        if let Err(error) = row.belongs_to(self.manifest.manifest()) {
            return told(Some(&stmt_id), State::Quarantined, "other-month-or-kind", Some(error.to_string()));
        }
        // 3
        let judgement = self.parameters.judge(&row, None);
        if let Some((rule, reason)) = judgement.broken().next() {
            return told(Some(&stmt_id), State::Quarantined, rule.code(), Some(reason.to_owned()));
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
        let (account, named) = addressee::find(self.gateway, self.bureau, &row.head().recipient)?;
        let Some(account) = account else {
            return told(Some(&stmt_id), State::Undeliverable, "unknown-person", None);
        };
        // 6
        let owner = account.person().map(|owner| judge_owner(&row.head().name, owner));
        if let Some(Verdict::Broken { reason }) = owner {
            return told(Some(&stmt_id), State::Quarantined, "V10", Some(reason));
        }
        if !account.is_open() {
            return about(Some(&stmt_id), State::Undeliverable, "mailbox-closed", None, Some(account.mailbox()));
        }
        // 7
        let corrected = match corrects.map(|statement| self.corrected(statement)).transpose()? {
            // Whose it is comes first: whether it holds still may change while the file is delivered.
            Some(Err(Stays { mailbox: Some(of), .. })) if of != account.mailbox() => {
                return about(Some(&stmt_id), State::Quarantined, "other-recipient", None, Some(account.mailbox()));
            }
            Some(Err(Stays { state, reason, mailbox })) => return about(Some(&stmt_id), state, reason, None, mailbox),
            Some(Ok(corrected)) if corrected.item.mailbox != account.mailbox() => {
                return about(Some(&stmt_id), State::Quarantined, "other-recipient", None, Some(account.mailbox()));
            }
            Some(Ok(corrected)) if before.has_ended(corrected.statement.as_str()) => {
                return about(Some(&stmt_id), State::Quarantined, "superseded-before", None, Some(corrected.item.mailbox));
            }
            Some(Ok(corrected)) => Some(corrected),
            None => None,
        };
        // 8
        let data = &*self.gateway.directory_key;
        let index = continuity::account(&row, data);
        let place = continuity::of_account(self.bureau, &account.mailbox(), row.kind().name(), &index);
        let account_of = continuity::holder_key(self.bureau, row.kind(), &index);
        let (mut follows, mut holders): (Vec<store::Expectation>, Vec<_>) = (named.into_iter().collect(), Vec::new());
        if let Some(key) = &account_of {
            let (holder, still) = continuity::holder(&*self.gateway.store, key)?;
            let is_own = holder.as_ref().is_some_and(|holder| *holder == account.mailbox());
            // A closed mailbox, which is never opened again, holds no account: nothing that went there could be withdrawn.
            if !is_own && let Some(holder) = &holder && self.gateway.directory.find(holder)?.is_some_and(|holder| holder.is_open()) {
                return Ok(Decision::Told(Box::new(Told { outcome: account_of_another(raw.number, &stmt_id), mailbox: Some(account.mailbox()), corrects: None })));
            }
            follows.push(still);
            if !is_own {
                holders.push((key.clone(), Some(continuity::encode_holder(&account.mailbox())?)));
            }
        }
        let (remembered, still) = continuity::known(&*self.gateway.store, &place, data)?;
        follows.push(still);
        let known = remembered.unwrap_or_default();
        let issues = crate::hex(&index);
        // What a statement leaves of before there were corrections names no account.
        let corrects_it = corrected.as_ref().is_some_and(|corrected| corrected.item.account.is_empty() || corrected.item.account == issues);
        if known.holds(row.head().period) && !corrects_it {
            return Ok(Decision::Told(Box::new(Told { outcome: month_delivered(raw.number, &stmt_id), mailbox: Some(account.mailbox()), corrects: None })));
        }
        // 9
        let previous = known.last;
        let judgement = if previous.is_some() { self.parameters.judge(&row, previous.as_ref()) } else { judgement };
        if let Some((rule, reason)) = judgement.broken().next() {
            return about(Some(&stmt_id), State::Quarantined, rule.code(), Some(reason.to_owned()), Some(account.mailbox()));
        }
        let not_judged = judgement.not_judged().map(|(rule, _)| rule.code().to_owned()).collect();
        // Of what this gateway delivered before the push began, so that it is the same after a pause.
        let months = known.at(crate::gateway::unix_millis(self.begun));
        // A month that comes late is not what the next one follows; one that was corrected is another in the year that the next ones draw.
        let late = previous.as_ref().is_some_and(|known| continuity::period(known) > row.head().period);
        let month_of = (!corrects_it).then(|| place.clone());
        let mut leaves = vec![(place, if late { known.filled(&row) } else { known.followed(&row) })];
        if let Some(other) = corrected.as_ref().filter(|_| !corrects_it) {
            let Left { follows: more, leaves: left, holders: freed } = self.left_without(&other.item)?;
            follows.extend(more);
            leaves.extend(left);
            holders.extend(freed);
        }
        // 10
        let to = Address::new(LocalPart::Number(account.number), self.gateway.directory.domain().clone());
        let correction = match (&corrected, self.manifest.manifest().purpose()) {
            (Some(corrected), Purpose::Supersede(reason)) => Some(Correction { corrects: &corrected.statement, reason }),
            _ => None,
        };
        let beside = Beside { correction: correction.as_ref(), history: &months };
        let entity = match &self.boilerplate {
            Some(boilerplate) => boilerplate.entity(&row, &to, &beside),
            None => statement::entity(&row, &self.sender, &to, self.begun, &beside),
        };
        let entity = entity.referred(&self.gateway.directory_key).map_err(RecordError::from)?;
        Ok(Decision::Send(Box::new(Letter { row: raw.number, stmt_id, row_digest, account, entity, not_judged, follows, leaves, holders, account_of, month_of, gave_way: Vec::new(), issues: Some(issues), corrects: corrected, counts: None })))
    }

    /// What would become of the rows, with nothing sealed, delivered or remembered. `seen` is of the blocks before: what they would take of
    /// a recipient's share and room is taken here, too.
    pub fn foretell(&self, columns: &Columns, rows: &[RawRow], seen: &mut Seen) -> Result<Vec<RowOutcome>, PushError> {
        let mut decided = self.decide_all(columns, rows, seen)?;
        let (mut before, mut full): (HashMap<u64, RowOutcome>, Vec<u64>) = (HashMap::new(), Vec::new());
        for letter in &decided.letters {
            if let Some((outcome, _)) = seen.taken(letter) {
                before.insert(letter.row, outcome);
            } else if self.would_fit(letter, seen)? {
                seen.deliver(letter);
            } else {
                full.push(letter.row);
            }
        }
        for row in full {
            decided.withdraw(row, &State::Undeliverable, "mailbox-full", None);
        }
        let mut outcomes: Vec<RowOutcome> = decided.told.into_iter().map(|told| told.outcome).collect();
        outcomes.extend(decided.letters.into_iter().map(|Letter { row, stmt_id, not_judged, .. }| {
            before.remove(&row).unwrap_or_else(|| RowOutcome { row, stmt_id: Some(stmt_id), state: State::Delivered, reason: None, detail: None, not_judged, message: None, mended_by: None })
        }));
        outcomes.sort_by_key(|outcome| outcome.row);
        Ok(outcomes)
    }

    /// The seal that is not made is small beside what it covers. Word that a statement holds no more has the room that is kept for notices.
    fn would_fit(&self, letter: &Letter, seen: &Seen) -> Result<bool, PushError> {
        let (messages, mailbox) = (&self.gateway.messages, letter.account.mailbox());
        if self.withdraws() {
            return Ok(messages.has_room_for_notices(&mailbox)?);
        }
        Ok(messages.has_room_beside(&mailbox, seen.held(letter.account.number), letter.entity.bytes().len() as u64)?)
    }

    /// Word that a statement holds no more reaches a full mailbox, too: it goes into what is kept for notices.
    pub fn withdraws(&self) -> bool {
        matches!(self.manifest.manifest().purpose(), Purpose::Withdraw(_))
    }
}
