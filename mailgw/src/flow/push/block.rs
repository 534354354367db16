//! One block of rows: each is decided, those that go out are rendered and sealed, and all outcomes stand in the commit
//! that delivers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use policies::mailbox::{Address, LocalPart};
use policies::sender::Evidence as KindEvidence;
use policies::statement::{Header, Parameters, Purpose, Row, StatementId, Verdict, judge_owner};
use protocol::imap::exchange::Flags;
use runtime::exit::Problem;
use store::{Batch, Expectation};
use time::OffsetDateTime;

use super::evidence::{self, Issuer, Told};
use super::correction::{Corrected, Stays};
use super::file::RawRow;
use super::letter::OneOf;
use super::mending::Mending;
use super::{Columns, PushError, sha256};
use crate::bureau::manifest::SignedManifest;
use crate::directory;
use crate::erds::Secrecy;
use crate::flow::encryption::Envelopes;
use crate::gateway::Gateway;
use crate::mailbox::{Body, Delivery, MailError, TrustMark};
use crate::record::RecordError;
use crate::record::account::Account;
use crate::record::continuity::{self, Remembered};
use crate::record::event::{self, Event};
use crate::record::evidence::Recorded;
use crate::record::notification::Pushed;
use crate::record::push::{Item, RowOutcome, State, decode_rows, encode_rows, item_key, rows_key};
use crate::sealer::{OTHER_CONTENT, Seal, UNKNOWN_JOB};
use crate::statement::{self, Beside, Correction, Entity, Sender};

const INBOX: &str = "INBOX";
/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

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
}

/// What all blocks of one push have in common.
pub(super) struct Work<'a> {
    pub judge: Judge<'a>,
    pub sealer: &'a dyn Seal,
    pub job: &'a str,
    /// What messages are encrypted with whose readers asked for it.
    pub envelopes: Envelopes<'a>,
    /// Opens the job once more and gives its name, the same as before.
    pub open_job: &'a (dyn Fn() -> Result<String, PushError> + Sync),
    /// The registered sealing certificate, DER.
    pub seal: &'a [u8],
}

/// What is to be done about a row.
pub(super) enum Decision {
    Send(Box<Letter>),
    Told(Box<Told>),
}

/// A block that was decided: what goes out, and what was told of the other rows.
pub(super) struct Decided<L> {
    letters: Vec<L>,
    told: Vec<Told>,
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
    /// What the next month is compared with: where it stands, and the record. None where a later month was delivered before.
    pub leaves: Option<(store::Key, Remembered)>,
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
    letter: Letter,
    body: Arc<Body>,
    secrecy: Option<Secrecy>,
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

impl Work<'_> {
    /// Word that a statement holds no more reaches a full mailbox, too: it goes into what is kept for notices.
    fn withdraws(&self) -> bool {
        matches!(self.judge.manifest.manifest().purpose(), Purpose::Withdraw(_))
    }

    /// What can be done before the block's turn to be committed. `on_their_way` are the statements of the block that is
    /// being committed meanwhile: nothing is sealed that may turn out to be one of them again. `None` when the block is done
    /// already or has to wait.
    pub fn prepare(&self, number: u64, columns: &Columns, rows: &[RawRow], on_their_way: &mut HashSet<String>) -> Result<Option<Prepared>, PushError> {
        if self.judge.gateway.store.get(&rows_key(self.judge.bureau, self.judge.batch(), number))?.is_some() {
            on_their_way.clear();
            return Ok(None);
        }
        let mut decided = self.judge.decide_all(columns, rows)?;
        let ids: HashSet<String> = decided.letters.iter().flat_map(|letter| std::iter::once(letter.stmt_id.as_str()).chain(letter.ends())).map(str::to_owned).collect();
        let waits = !on_their_way.is_disjoint(&ids);
        *on_their_way = ids;
        if waits {
            return Ok(None);
        }
        let seals = self.seal(&mut decided)?;
        let Decided { letters, told } = decided;
        let sealed: Vec<(Letter, Vec<u8>)> = letters.into_iter().zip(seals).collect();
        let body = |(letter, seal): &(Letter, Vec<u8>)| {
            // Sealed by the bureau first, then encrypted to its reader.
            let (message, secrecy) = match self.envelopes.seal(&letter.account, || statement::signed(&letter.entity, seal))? {
                Some((secrecy, Some(envelope))) => (statement::encrypted(&letter.entity, &envelope), Some(secrecy)),
                Some((secrecy, None)) => (statement::message(&letter.entity, seal), Some(secrecy)),
                None => (statement::message(&letter.entity, seal), None),
            };
            // Sealed for the bureau here: nobody has to be asked whether it is the bureau's.
            let mark = TrustMark { bureau: self.judge.bureau.to_owned(), unix_millis: crate::gateway::unix_millis(self.judge.begun) };
            Ok((Arc::new(self.judge.gateway.messages.verified_body(&self.mail_signed(message)?, &mark)?), secrecy))
        };
        let bodies = halves(&sealed, body)?;
        let letters = sealed.into_iter().zip(bodies).map(|((letter, _), (body, secrecy))| Sealed { letter, body, secrecy }).collect();
        Ok(Some(Prepared { letters, told }))
    }

    /// With the gateway's own mail signature above it, where its author is of the gateway's domain. spec: rfc7489#3.1.1
    fn mail_signed(&self, message: Vec<u8>) -> Result<Vec<u8>, PushError> {
        let Judge { gateway, sender, .. } = &self.judge;
        let aligned = sender.address.as_str().rsplit('@').next().is_some_and(|domain| domain.eq_ignore_ascii_case(&gateway.settings.domain));
        if !gateway.push_limits.dkim || !aligned {
            return Ok(message);
        }
        let mut signed = gateway.dkim.sign(&message, gateway.clock.now())?;
        signed.extend_from_slice(&message);
        Ok(signed)
    }

    /// The outcomes of a block, durable. A block that has them already is answered from the record.
    pub fn commit(&self, number: u64, columns: &Columns, rows: &[RawRow], mut prepared: Option<Prepared>) -> Result<Vec<RowOutcome>, PushError> {
        let key = rows_key(self.judge.bureau, self.judge.batch(), number);
        for _ in 0..ATTEMPTS {
            if let Some(prepared) = prepared.take()
                && let Some(outcomes) = self.deliver(number, &key, prepared)?
            {
                return Ok(outcomes);
            }
            if let Some(found) = self.judge.gateway.store.get(&key)? {
                return Ok(decode_rows(&found)?);
            }
            prepared = self.prepare(number, columns, rows, &mut HashSet::new())?;
        }
        Err(MailError::Busy.into())
    }
}

impl Judge<'_> {
    pub fn batch(&self) -> &str {
        self.manifest.manifest().batch_id().as_str()
    }

    fn decide_all(&self, columns: &Columns, rows: &[RawRow]) -> Result<Decided<Letter>, PushError> {
        let today = directory::today(self.begun);
        let mut decisions = halves(rows, |row| match (columns, self.manifest.manifest().purpose()) {
            (Columns::Statements, Purpose::Withdraw(reason)) => self.withdraw(row, reason),
            (Columns::Statements, _) => Err(PushError::Stopped),
            (Columns::Letters(kind, header), _) => self.letter(kind, header, row, today),
            (Columns::Rows(header), _) => self.decide(header, row, today),
        })?;
        self.once_each(&mut decisions);
        share_out(&mut decisions);
        let mut decided = Decided { letters: Vec::new(), told: Vec::new() };
        for decision in decisions {
            match decision {
                Decision::Send(letter) => decided.letters.push(*letter),
                Decision::Told(told) => decided.told.push(*told),
            }
        }
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

    /// The same statement twice in one block is delivered once, and one is ended once.
    fn once_each(&self, decisions: &mut [Decision]) {
        let (mut seen, mut ended): (HashMap<String, String>, HashSet<String>) = (HashMap::new(), HashSet::new());
        for decision in decisions {
            let Decision::Send(letter) = decision else { continue };
            let outcome = match (seen.get(&letter.stmt_id), letter.ends()) {
                (Some(first), _) => repeated(letter.row, &letter.stmt_id, *first == letter.row_digest),
                (None, Some(ends)) if ended.contains(ends) => letter.ended_elsewhere(),
                (None, ends) => {
                    ended.extend(ends.map(str::to_owned));
                    seen.insert(letter.stmt_id.clone(), letter.row_digest.clone());
                    continue;
                }
            };
            *decision = Decision::Told(Box::new(Told { outcome, mailbox: Some(letter.account.mailbox()), corrects: letter.corrects.as_ref().map(Corrected::said) }));
        }
    }

    /// 1 the row can be read, and is one that may be mended where it mends · 2 it is of this manifest · 3 its figures keep the
    /// rules · 4 it was not delivered before · 5 the person has a mailbox that is open · 6 the name is the owner's · 7 what it
    /// corrects was sent to the same mailbox and holds still · 8 its figures follow from the month that was delivered last for
    /// this sender and account · 9 rendered.
    fn decide(&self, header: &Header, raw: &RawRow, today: time::Date) -> Result<Decision, PushError> {
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
            Err(error) => return told(None, State::Quarantined, "unreadable", Some(error.to_string())),
        };
        let stmt_id = row.head().stmt_id.as_str().to_owned();
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
            let before = Item::decode(&found)?;
            let outcome = seen_before(raw.number, &stmt_id, &before, &row_digest);
            return Ok(Decision::Told(Box::new(Told { outcome, mailbox: Some(before.mailbox), corrects: None })));
        }
        // 5
        let (account, named) = self.recipient(&row.head().recipient)?;
        let Some(account) = account else {
            return told(Some(&stmt_id), State::Undeliverable, "unknown-person", None);
        };
        if !account.is_open() {
            return about(Some(&stmt_id), State::Undeliverable, "mailbox-closed", None, Some(account.mailbox()));
        }
        // 6
        let owner = account.person().map(|owner| judge_owner(&row.head().name, owner));
        if let Some(Verdict::Broken { reason }) = owner {
            return about(Some(&stmt_id), State::Quarantined, "V10", Some(reason), Some(account.mailbox()));
        }
        // 7
        let corrected = match corrects.map(|statement| self.corrected(statement)).transpose()? {
            Some(Err(Stays { state, reason, mailbox })) => return about(Some(&stmt_id), state, reason, None, mailbox),
            Some(Ok(corrected)) if corrected.item.mailbox != account.mailbox() => {
                return about(Some(&stmt_id), State::Quarantined, "other-recipient", None, Some(account.mailbox()));
            }
            Some(Ok(corrected)) => Some(corrected),
            None => None,
        };
        // 8
        let data = &*self.gateway.directory_key;
        let index = continuity::account(&row, data);
        let place = continuity::of_account(self.bureau, &account.mailbox(), row.kind().name(), &index);
        let (remembered, follows) = continuity::known(&*self.gateway.store, &place, data)?;
        let known = remembered.unwrap_or_default();
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
        let left = match (late, &corrected) {
            (false, _) => Some(known.followed(&row)),
            (true, Some(_)) => known.amended(row.head().period, Some(row.close())),
            (true, None) => None,
        };
        let leaves = left.map(|left| (place.clone(), left));
        // 9
        let to = Address::new(LocalPart::Number(account.number), self.gateway.directory.domain().clone());
        let correction = match (&corrected, self.manifest.manifest().purpose()) {
            (Some(corrected), Purpose::Supersede(reason)) => Some(Correction { corrects: &corrected.statement, reason }),
            _ => None,
        };
        let entity = statement::entity(&row, &self.sender, &to, self.begun, &Beside { correction: correction.as_ref(), history: &months });
        let entity = entity.referred(&self.gateway.directory_key).map_err(RecordError::from)?;
        let issues = Some(crate::hex(&index));
        Ok(Decision::Send(Box::new(Letter { row: raw.number, stmt_id, row_digest, account, entity, not_judged, follows: named.into_iter().chain([follows]).collect(), leaves, issues, corrects: corrected, counts: None })))
    }

    /// What would become of the rows, with nothing sealed, delivered or remembered. `seen` are the statements of the blocks before,
    /// with the digests of their rows.
    pub fn foretell(&self, columns: &Columns, rows: &[RawRow], seen: &mut HashMap<String, String>) -> Result<Vec<RowOutcome>, PushError> {
        let Decided { letters, told } = self.decide_all(columns, rows)?;
        let mut outcomes: Vec<RowOutcome> = told.into_iter().map(|told| told.outcome).collect();
        for letter in letters {
            let (row, stmt_id) = (letter.row, Some(letter.stmt_id.clone()));
            let outcome = match seen.get(&letter.stmt_id) {
                Some(first) => repeated(row, &letter.stmt_id, *first == letter.row_digest),
                // The seal that is not made is small beside what it covers.
                None if !self.gateway.messages.has_room(&letter.account.mailbox(), letter.entity.bytes().len() as u64)? => {
                    RowOutcome { row, stmt_id, state: State::Undeliverable, reason: Some("mailbox-full".to_owned()), detail: None, not_judged: Vec::new(), message: None, mended_by: None }
                }
                None => {
                    seen.insert(letter.stmt_id, letter.row_digest);
                    RowOutcome { row, stmt_id, state: State::Delivered, reason: None, detail: None, not_judged: letter.not_judged, message: None, mended_by: None }
                }
            };
            outcomes.push(outcome);
        }
        outcomes.sort_by_key(|outcome| outcome.row);
        Ok(outcomes)
    }
}

impl Work<'_> {
    /// The `at`-th letter does not fit into its mailbox; nor does any other whose mailbox has no room at all.
    fn full(&self, prepared: &mut Prepared, at: usize) -> Result<(), PushError> {
        let mut rows = Vec::new();
        for (place, Sealed { letter, body, .. }) in prepared.letters.iter().enumerate() {
            let (messages, mailbox) = (&self.judge.gateway.messages, letter.account.mailbox());
            let has_room = if self.withdraws() { messages.has_room_for_notices(&mailbox)? } else { messages.has_room(&mailbox, u64::from(body.size()))? };
            if place == at || !has_room {
                rows.push(letter.row);
            }
        }
        for row in rows {
            prepared.withdraw(row, &State::Undeliverable, "mailbox-full", None);
        }
        Ok(())
    }

    /// One seal for each letter. A row that was sealed before with another content, in a push that was cut off before it
    /// delivered it, is kept back: its mailbox, its bureau's words or this program have changed since.
    fn seal(&self, decided: &mut Decided<Letter>) -> Result<Vec<Vec<u8>>, PushError> {
        let mut reopened = false;
        loop {
            let digest = |letter: &Letter| (letter.row, crate::record::body::digest(letter.entity.bytes()));
            let rows: Vec<(u64, [u8; 32])> = decided.letters.iter().map(digest).collect();
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            match self.sealer.seal(self.job, &rows) {
                Ok(seals) => return self.judge_seal(&decided.letters, &seals).map(|()| seals),
                // The sealer was started anew, or wants to look at the manifest and the lists again.
                Err(problem) if problem.code == UNKNOWN_JOB && !reopened => {
                    (self.open_job)()?;
                    reopened = true;
                }
                Err(problem) if problem.code == OTHER_CONTENT && named(&problem).is_some_and(|row| keep_back(decided, row)) => {}
                Err(problem) => return Err(PushError::Sealer(problem)),
            }
        }
    }

    /// Readers see the sealing certificate beside the bureau's name and address: the sealer must hold the one registered here.
    /// One seal tells, since a job has one certificate.
    fn judge_seal(&self, letters: &[Letter], seals: &[Vec<u8>]) -> Result<(), PushError> {
        let other = || PushError::OtherSeal { bureau: self.judge.bureau.to_owned() };
        let (Some(letter), Some(seal)) = (letters.first(), seals.first()) else { return Err(other()) };
        let signed = pki::cms::verify(seal, letter.entity.bytes(), &[self.seal]).map_err(|_| other())?;
        if signed.signer_certificate() == self.seal && seals.len() == letters.len() { Ok(()) } else { Err(other()) }
    }

    /// What is remembered of a statement once it is delivered.
    fn item(&self, letter: &Letter, account: &str, message: &str) -> Item {
        let manifest = self.judge.manifest.manifest();
        Item {
            row: letter.row_digest.clone(),
            batch: self.judge.batch().to_owned(),
            mailbox: letter.account.mailbox(),
            message: message.to_owned(),
            kind: manifest.kind().to_owned(),
            period: manifest.period().to_string(),
            account: account.to_owned(),
            number: letter.row,
            ended: None,
        }
    }

    /// What the block's outcomes are evidence of, if they come about; of a kind whose policy asks for none, the log is enough.
    fn evidence(&self, all: &[Told], secrecy: &HashMap<u64, Secrecy>, now_unix_millis: u64) -> Result<Option<Recorded>, PushError> {
        let settings = &self.judge.gateway.settings;
        let issuer = Issuer { host: &settings.host, domain: &settings.domain, bureau: self.judge.bureau, manifest: self.judge.manifest, mending: self.judge.mending.as_ref() };
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now_unix_millis) * 1_000_000).unwrap_or(self.judge.begun);
        if let Some(kind) = self.judge.gateway.letters.get(self.judge.manifest.manifest().kind()) && kind.evidence() == KindEvidence::Logged {
            return Ok(None);
        }
        let items: Vec<_> = all.iter().flat_map(|told| evidence::items(&issuer, told, secrecy.get(&told.outcome.row), at)).collect();
        Ok(Some(Recorded::new(&items)?))
    }

    /// Commits. `None` when somebody else changed what the decisions rest on: they are made anew.
    fn deliver(&self, block: u64, key: &store::Key, mut prepared: Prepared) -> Result<Option<Vec<RowOutcome>>, PushError> {
        let mut without_folder = false;
        loop {
            let (mut batch, mut deliveries, mut all) = (Batch::new().expect(Expectation::Absent(key.clone())), Vec::new(), prepared.told.clone());
            let now = self.judge.gateway.now_unix_millis();
            let mut secrecies = HashMap::new();
            for Sealed { letter, body, secrecy } in &prepared.letters {
                secrecies.extend(secrecy.iter().map(|secrecy| (letter.row, secrecy.clone())));
                let (message, size) = (crate::hex(body.digest()), u64::from(body.size()));
                let mailbox = letter.account.mailbox();
                batch = batch.expect(directory::still_open(letter.account.number));
                batch = letter.follows.iter().fold(batch, |batch, follows| batch.expect(follows.clone()));
                if let Some((place, left)) = &letter.leaves {
                    batch = batch.put(place.clone(), left.seal(place, &self.judge.gateway.directory_key, now)?);
                }
                let (mut event, mut mark) = (None, None);
                if let Some(corrected) = &letter.corrects {
                    batch = corrected.put(batch, &self.judge, letter, &message, now)?;
                    (event, mark) = (Some(corrected.event(&self.judge, letter, &message, size)), corrected.mark(letter));
                }
                if let Some(account) = &letter.issues {
                    let item = item_key(self.judge.bureau, &letter.stmt_id);
                    let delivered = event::Statement {
                        mailbox: mailbox.clone(),
                        bureau: self.judge.bureau.to_owned(),
                        item: sha256(item.as_bytes()),
                        row: letter.row_digest.clone(),
                        digest: message.clone(),
                        size,
                    };
                    batch = batch.expect(Expectation::Absent(item.clone())).put(item, self.item(letter, account, &message).encode()?);
                    if let Some(ends) = event.replace(Event::StatementDelivered(delivered)) {
                        ends.append(&mut batch, now)?;
                    }
                }
                let pushed = || Pushed { bureau: self.judge.bureau.to_owned(), batch: self.judge.batch().to_owned(), row: letter.row, message: message.clone() };
                batch = self.judge.gateway.notifications.pushed(batch, &mailbox, pushed, now)?;
                let unix_millis = i64::try_from(now).unwrap_or(i64::MAX);
                let folder = self.judge.gateway.messages.folder_by_rule(&mailbox, || Some(self.judge.sender.address.as_str().to_owned()))?.unwrap_or_else(|| INBOX.to_owned());
                deliveries.push(Delivery { mailbox, folder, content: Arc::clone(body).into(), unix_millis, flags: Flags::new(), event, mark });
                let outcome = RowOutcome {
                    row: letter.row,
                    stmt_id: Some(letter.stmt_id.clone()),
                    state: State::Delivered,
                    reason: None,
                    detail: None,
                    not_judged: letter.not_judged.clone(),
                    message: Some(message),
                    mended_by: None,
                };
                all.push(Told { outcome, mailbox: Some(letter.account.mailbox()), corrects: letter.corrects.as_ref().map(Corrected::said) });
            }
            let mut shares: HashMap<&store::Key, (&OneOf, u32)> = HashMap::new();
            for counts in prepared.letters.iter().filter_map(|sealed| sealed.letter.counts.as_ref()) {
                shares.entry(counts.place()).or_insert((counts, 0)).1 += 1;
            }
            for (share, letters) in shares.into_values() {
                batch = share.put(batch, letters)?;
            }
            all.sort_by_key(|told| told.outcome.row);
            let batch = match self.evidence(&all, &secrecies, now)? {
                Some(items) => items.put(batch, self.judge.bureau, self.judge.batch(), block, now)?,
                None => batch,
            };
            let outcomes: Vec<RowOutcome> = all.into_iter().map(|told| told.outcome).collect();
            let mut batch = batch.put(key.clone(), encode_rows(&outcomes)?);
            if let Some(mending) = &self.judge.mending {
                batch = mending.put(batch, self.judge.bureau, self.judge.batch(), &outcomes)?;
            }
            let messages = &self.judge.gateway.messages;
            let delivered = if self.withdraws() { messages.deliver_notices(&deliveries, batch, now) } else { messages.deliver_with(&deliveries, batch, now) };
            match delivered {
                Ok(_) => return Ok(Some(outcomes)),
                Err(MailError::Conflict { .. }) => return Ok(None),
                // An owner deleted the folder that a rule names at this very moment.
                Err(MailError::NoFolder) if !without_folder => without_folder = true,
                // A full mailbox holds up nobody else.
                Err(MailError::OverQuota { delivery }) => self.full(&mut prepared, delivery)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Two halves at once, in the order of all.
fn halves<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> Result<R, PushError> + Sync) -> Result<Vec<R>, PushError> {
    let done = |part: &[T]| part.iter().map(&work).collect::<Result<Vec<_>, _>>();
    let (left, right) = all.split_at(all.len() / 2);
    let (left, right) = std::thread::scope(|scope| {
        let other = scope.spawn(|| done(right));
        (done(left), other.join())
    });
    let mut done = left?;
    done.extend(right.map_err(|_| PushError::Stopped)??);
    Ok(done)
}

/// What a recipient's share of the month has no room for is told so.
fn share_out(decisions: &mut [Decision]) {
    let mut letters: HashMap<store::Key, u32> = HashMap::new();
    for decision in decisions {
        let Decision::Send(letter) = decision else { continue };
        let Some(counts) = &mut letter.counts else { continue };
        let before = letters.entry(counts.place().clone()).or_insert(0);
        if counts.after(*before) {
            *before += 1;
            continue;
        }
        let outcome = RowOutcome { state: State::Undeliverable, reason: Some("quota-reached".to_owned()), ..repeated(letter.row, &letter.stmt_id, true) };
        *decision = Decision::Told(Box::new(Told { outcome, mailbox: Some(letter.account.mailbox()), corrects: None }));
    }
}

fn keep_back(decided: &mut Decided<Letter>, row: u64) -> bool {
    let detail = "the push was cut off after this row was sealed, and it would read otherwise now; send it in another batch";
    decided.withdraw(row, &State::Quarantined, "changed-since-sealed", Some(detail))
}

/// The row that the sealer names in a refusal.
fn named(problem: &Problem) -> Option<u64> {
    problem.field.as_deref()?.strip_prefix("row ")?.parse().ok()
}

impl<L: AsRef<Letter>> Decided<L> {
    /// A letter that does not go out after all, and with it the same statement further down the block, which was to follow
    /// it. `false` when there is no such letter.
    fn withdraw(&mut self, row: u64, state: &State, reason: &str, detail: Option<&str>) -> bool {
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
        self.told.push(Told { outcome: outcome(row), mailbox: Some(mailbox), corrects });
        true
    }
}

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
