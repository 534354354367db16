//! A message in the place of another: the new one comes and the old one goes in one commit, or neither. spec: rfc8508#3

use protocol::imap::exchange::Change;
use store::{Batch, Expectation};

use super::deleted::keep;
use super::index::note_removal;
use super::deliver::{Content, Delivery, Uid};
use super::messages::{MailError, MessageStore};
use super::quota::Use;
use super::steps::Steps;
use crate::record::deleted::Deleted;
use crate::record::event::{self, Event};
use crate::record::expunged;
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};
use crate::record::warning;

impl MessageStore {
    /// `from` holds the old one, whatever its flags; `new` names the mailbox, which is the same, and perhaps another folder.
    pub fn replace(&self, from: &Folder, old: u32, new: &Delivery, now_unix_millis: u64) -> Result<Uid, MailError> {
        let Delivery { mailbox, folder, content, unix_millis, flags, .. } = new;
        let body = match content {
            Content::Bytes(bytes) => std::sync::Arc::new(self.body(bytes)?),
            Content::Body(body) => std::sync::Arc::clone(body),
        };
        let (name, uses) = self.name_and_uses(mailbox, from.id)?;
        let uid = self.retried(|| {
            // 1. The old one as it stands, and where the new one goes.
            let old_key = message::key(from.id, old);
            let found = self.store.get(&old_key)?.ok_or(MailError::Gone)?;
            let (gone, _) = Message::decode(&found)?;
            let place = folder::key(mailbox, folder);
            let stored = self.store.get(&place)?.ok_or(MailError::NoFolder)?;
            let target = Folder::decode(&stored)?;
            // 2. What is gained must fit, beside what a hold keeps beyond its bound: a full mailbox takes one that is no larger.
            let mut more = Use::default();
            more.add(body.size());
            more.take(gone.size);
            let grows = body.size() > gone.size;
            let (fits, crosses) = if grows { self.weigh(mailbox, &more.with_bytes(self.deleted_beyond(mailbox)?), &more)? } else { (true, None) };
            if !fits {
                return Err(MailError::OverQuota { delivery: 0 });
            }
            // 3. In and out, counted, remembered and told of in the log.
            let (mut batch, mut steps) = (Batch::new().expect(Expectation::Equals(place, stored)), Steps::default());
            let (uid, step) = (batch.next(&target.uid_counter()), steps.of(&mut batch, mailbox, &target));
            steps.of(&mut batch, mailbox, from);
            let message = Message {
                body: body.id(),
                unix_millis: *unix_millis,
                saved_unix_millis: i64::try_from(now_unix_millis).ok(),
                size: body.size(),
                digest: *body.digest(),
                flags: super::trusted::flags(flags, body.verified),
            };
            let accepted = event::Message { mailbox: mailbox.clone(), digest: crate::hex(body.digest()), size: u64::from(body.size()) };
            Event::MessageAccepted(accepted).append(&mut batch, now_unix_millis)?;
            batch = body.put(batch.put(message::new_key(target.id, uid), message.template(step)));
            batch = batch.expect(Expectation::Equals(old_key.clone(), found.clone())).delete(old_key);
            batch = keep(batch, mailbox, &Deleted { unix_millis: now_unix_millis, folder: from.id, uid: old, name: name.clone(), uses, message: found })?;
            let removal = batch.next(&from.removals_counter());
            batch = batch.put(expunged::new_key(from.id, step), expunged::encode(&expunged::ranges([old])));
            if let Some(percent) = crosses {
                batch = batch.put(warning::key(mailbox), warning::encode(percent));
            }
            more.count_always(&mut batch, mailbox);
            note_removal(&mut batch, mailbox);
            let (receipt, mut done) = steps.commit(batch, &*self.store, &self.broadcast)?;
            // 4. Told in the order in which sessions may hear it.
            let uid = receipt.counter(uid).and_then(|uid| u32::try_from(uid).ok()).ok_or(MailError::UidsExhausted);
            if let Ok(uid) = uid {
                done.change(mailbox, target.id, |modseq| Ok(Change::New(message.info(uid, modseq)?)))?;
            }
            done.change(mailbox, from.id, |modseq| Ok(Change::Gone { uid: old, modseq }))?;
            done.tell();
            self.forget_some(from, receipt.counter(removal).unwrap_or(1));
            Ok(Uid { uid_validity: target.uid_validity, uid: uid? })
        })?;
        self.note_came(mailbox, 1);
        self.bound_deleted_now(mailbox);
        Ok(uid)
    }
}
