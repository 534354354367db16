//! What delivers a block, put together for one commit: messages, what is remembered of each statement, outcomes, evidence, leaves of the log.

use std::collections::HashMap;
use std::sync::Arc;

use policies::sender::Evidence as KindEvidence;
use protocol::imap::exchange::Flags;
use store::{Batch, Expectation, Key};
use time::OffsetDateTime;

use super::block::Work;
use super::correction::Corrected;
use super::decided::{Letter, Prepared, Sealed};
use super::evidence::{Issuer, Lines, Told};
use super::halves::halves;
use super::judge::Judge;
use super::letter::OneOf;
use super::{PushError, sha256};
use crate::directory;
use crate::erds::Secrecy;
use crate::mailbox::{Assembled, Delivery, MailError};
use crate::record::event::{self, Event};
use crate::record::evidence::Recorded;
use crate::record::notification::Pushed;
use crate::record::push::{Item, RowOutcome, State, encode_rows, item_key};

const INBOX: &str = "INBOX";

/// What a commit holds of one letter beside its message.
struct Written {
    /// SHA-256, hexadecimal.
    message: String,
    mailbox: String,
    folder: String,
    /// What the next month is compared with.
    left: Vec<(Key, Vec<u8>)>,
    /// What is remembered of the statement.
    item: Option<(Key, Vec<u8>)>,
    leaf: Option<Event>,
}

/// A block that only its commit is missing to.
pub(super) struct Ready {
    pub deliveries: Assembled,
    pub outcomes: Vec<RowOutcome>,
}

impl Work<'_> {
    pub(super) fn assemble(&self, block: u64, key: &Key, mut prepared: Prepared) -> Result<Ready, PushError> {
        let mut without_folder = false;
        loop {
            let (mut batch, mut deliveries, mut all) = (Batch::new().expect(Expectation::Absent(key.clone())), Vec::new(), prepared.told.clone());
            let now = self.judge.gateway.now_unix_millis();
            let mut secrecies = HashMap::new();
            for (Sealed { letter, body, secrecy }, written) in prepared.letters.iter().zip(halves(&prepared.letters, |sealed| self.written(sealed, now))?) {
                let Written { message, mailbox, folder, left, item, leaf } = written;
                secrecies.extend(secrecy.iter().map(|secrecy| (letter.row, secrecy.clone())));
                batch = batch.expect(directory::still_open(letter.account.number));
                batch = letter.follows.iter().fold(batch, |batch, follows| batch.expect(follows.clone()));
                batch = left.into_iter().fold(batch, |batch, (place, left)| batch.put(place, left));
                batch = letter.holders.iter().fold(batch, |batch, (place, holder)| match holder {
                    Some(holder) => batch.put(place.clone(), holder.clone()),
                    None => batch.delete(place.clone()),
                });
                let (mut event, mut mark) = (None, None);
                if let Some(corrected) = &letter.corrects {
                    batch = corrected.put(batch, &self.judge, letter, &message, now)?;
                    (event, mark) = (Some(corrected.event(&self.judge, letter, &message, u64::from(body.size()))), corrected.mark(letter));
                }
                if let Some((place, item)) = item {
                    batch = batch.expect(Expectation::Absent(place.clone())).put(place, item);
                }
                if let Some(leaf) = leaf
                    && let Some(ends) = event.replace(leaf)
                {
                    ends.append(&mut batch, now)?;
                }
                let pushed = || Pushed { bureau: self.judge.bureau.to_owned(), batch: self.judge.batch().to_owned(), row: letter.row, message: message.clone() };
                batch = self.judge.gateway.notifications.pushed(batch, &mailbox, pushed, now)?;
                let unix_millis = i64::try_from(now).unwrap_or(i64::MAX);
                deliveries.push(Delivery { mailbox: mailbox.clone(), folder, content: Arc::clone(body).into(), unix_millis, flags: Flags::new(), event, mark });
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
                all.push(Told { outcome, mailbox: Some(mailbox), corrects: letter.corrects.as_ref().map(Corrected::said) });
            }
            let mut shares: HashMap<&Key, (&OneOf, u32)> = HashMap::new();
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
            match self.judge.gateway.messages.assembled(&deliveries, batch, now, self.judge.withdraws()) {
                Ok(deliveries) => return Ok(Ready { deliveries, outcomes }),
                // An owner deleted the folder that a rule names at this very moment.
                Err(MailError::NoFolder) if !without_folder => without_folder = true,
                // A full mailbox holds up nobody else.
                Err(MailError::OverQuota { delivery }) => self.full(&mut prepared, delivery)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The `at`-th letter does not fit into its mailbox; nor do others that would not beside those that stay.
    fn full(&self, prepared: &mut Prepared, at: usize) -> Result<(), PushError> {
        let messages = &self.judge.gateway.messages;
        let mailboxes: Vec<String> = prepared.letters.iter().map(|sealed| sealed.letter.account.mailbox()).collect();
        let over = if self.judge.withdraws() {
            mailboxes.iter().map(|mailbox| Ok(!messages.has_room_for_notices(mailbox)?)).collect::<Result<Vec<_>, MailError>>()?
        } else {
            messages.overfilling(mailboxes.iter().map(String::as_str).zip(prepared.letters.iter().map(|sealed| sealed.body.size())))?
        };
        let rows: Vec<u64> = prepared.letters.iter().zip(over).enumerate().filter(|(place, (_, over))| *over || *place == at).map(|(_, (sealed, _))| sealed.letter.row).collect();
        for row in rows {
            prepared.withdraw(row, &State::Undeliverable, "mailbox-full", None);
        }
        Ok(())
    }

    /// What can be written of one letter without the others.
    fn written(&self, Sealed { letter, body, .. }: &Sealed, now: u64) -> Result<Written, PushError> {
        let Judge { gateway, bureau, sender, .. } = &self.judge;
        let (message, mailbox) = (crate::hex(body.digest()), letter.account.mailbox());
        let left = letter.leaves.iter().map(|(place, left)| Ok::<_, PushError>((place.clone(), left.seal(place, &gateway.directory_key, now)?)));
        let (mut item, mut leaf) = (None, None);
        if let Some(account) = &letter.issues {
            let place = item_key(bureau, &letter.stmt_id);
            leaf = Some(Event::StatementDelivered(event::Statement {
                mailbox: mailbox.clone(),
                bureau: (*bureau).to_owned(),
                item: sha256(place.as_bytes()),
                row: letter.row_digest.clone(),
                digest: message.clone(),
                size: u64::from(body.size()),
            }));
            item = Some((place, self.item(letter, account, &message).encode()?));
        }
        let folder = gateway.messages.folder_by_rule(&mailbox, || Some(sender.address.as_str().to_owned()))?.unwrap_or_else(|| INBOX.to_owned());
        Ok(Written { left: left.collect::<Result<_, _>>()?, message, mailbox, folder, item, leaf })
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
            corrections: letter.corrects.as_ref().map_or(0, |corrected| corrected.item.corrections.saturating_add(1)),
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
        let lines = Lines::new(&issuer, at)?;
        let items = halves(all, |told| Ok(lines.of(told, secrecy.get(&told.outcome.row))?))?;
        Ok(Some(Recorded::of_lines(items.into_iter().flatten().collect())))
    }
}
