//! Which statements clients' programs fetched of late, noted in memory on the session's way out and recorded by whoever looks: a
//! session waits for nothing, and what is noted is bounded.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::messages::{MailError, MessageStore};
use crate::record::folder::Folder;
use crate::record::message::{self, Message};
use crate::statement;

/// Statements that wait to be recorded. Of what comes beyond, the next fetch is noted.
const WAITING: usize = 20_000;
/// Contents that are known to be recorded.
const KNOWN: usize = 50_000;

/// A client's program got content of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub mailbox: String,
    /// As the message names the statement, still sealed.
    pub reference: String,
    /// SHA-256 of the message.
    pub digest: [u8; 32],
    /// Of the first time.
    pub unix_millis: u64,
}

#[derive(Default)]
pub struct Fetched(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    waiting: BTreeMap<([u8; 32], String), Fetch>,
    known: HashSet<[u8; 32]>,
    missed: u64,
}

impl Fetched {
    fn held(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of one message stays; `fetch` is asked for where it is not known.
    fn note(&self, digest: [u8; 32], mailbox: &str, fetch: impl FnOnce() -> Option<Fetch>) {
        let mut noted = self.held();
        if noted.known.contains(&digest) || noted.waiting.contains_key(&(digest, mailbox.to_owned())) {
            return;
        }
        let Some(fetch) = fetch() else { return };
        if noted.waiting.len() >= WAITING {
            noted.missed += 1;
            return;
        }
        noted.waiting.insert((digest, mailbox.to_owned()), fetch);
    }

    /// Some of what waits. It waits until it is said to be `done`.
    pub fn some(&self, most: usize) -> Vec<Fetch> {
        self.held().waiting.values().take(most).cloned().collect()
    }

    /// These are looked at; those that are `recorded` need not be looked at again.
    pub fn done<'a>(&self, looked_at: impl Iterator<Item = (&'a Fetch, bool)>) {
        let mut noted = self.held();
        for (fetch, recorded) in looked_at {
            noted.waiting.remove(&(fetch.digest, fetch.mailbox.clone()));
            if !recorded {
                continue;
            }
            if noted.known.len() >= KNOWN {
                noted.known.clear();
            }
            noted.known.insert(fetch.digest);
        }
    }

    /// How many fetches were not noted, since too many waited.
    pub fn missed(&self) -> u64 {
        self.held().missed
    }
}

impl MessageStore {
    /// As [`MessageStore::load`], for a client's program that is to get more than the header: of a statement that is noted.
    pub fn show(&self, mailbox: &str, folder: &Folder, uid: u32, now_unix_millis: u64) -> Result<Vec<u8>, MailError> {
        let (bytes, digest) = self.load_with_digest(folder.id, uid)?;
        self.note_shown(mailbox, &bytes, digest, now_unix_millis);
        Ok(bytes)
    }

    /// The client's program is to get more of it than the header.
    pub(crate) fn note_shown(&self, mailbox: &str, bytes: &[u8], digest: [u8; 32], now_unix_millis: u64) {
        if let Some(reference) = statement::reference_of(bytes) {
            let fetch = || Some(Fetch { mailbox: mailbox.to_owned(), reference, digest, unix_millis: now_unix_millis });
            self.fetched.note(digest, mailbox, fetch);
        }
    }

    /// SHA-256 of each message of a folder.
    pub fn digests(&self, mailbox: &str, folder: &str) -> Result<HashSet<[u8; 32]>, MailError> {
        let (from, to) = message::range(self.folder(mailbox, folder)?.id);
        self.store.scan(&from, &to, usize::MAX)?.iter().map(|(_, value)| Ok(Message::decode(value)?.0.digest)).collect()
    }

    /// A message of the mailbox with this content, wherever its owner put it.
    pub fn with_digest(&self, mailbox: &str, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, MailError> {
        for stored in self.folders(mailbox)?.values() {
            let folder = Folder::decode(stored)?;
            let (from, to) = message::range(folder.id);
            for (key, value) in self.store.scan(&from, &to, usize::MAX)? {
                if Message::decode(&value)?.0.digest == *digest {
                    return self.load(&folder, message::uid(folder.id, &key)?).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// The first that is the one, of at most so many messages: INBOX first, the newest of each folder before the older ones.
    pub fn find_message(&self, mailbox: &str, most: usize, is_it: &dyn Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, MailError> {
        let folders = self.folders(mailbox)?;
        let (inbox, others): (Vec<_>, Vec<_>) = folders.iter().partition(|(name, _)| *name == "INBOX");
        let mut left = most;
        for (_, stored) in inbox.into_iter().chain(others) {
            let folder = Folder::decode(stored)?;
            let (from, to) = message::range(folder.id);
            for (key, _) in self.store.scan(&from, &to, usize::MAX)?.iter().rev() {
                let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
                left = fewer;
                match self.load(&folder, message::uid(folder.id, key)?) {
                    Ok(bytes) if is_it(&bytes) => return Ok(Some(bytes)),
                    Ok(_) | Err(MailError::Gone) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(None)
    }

    pub fn fetched(&self) -> &Fetched {
        &self.fetched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(number: u32, unix_millis: u64) -> Fetch {
        let mut digest = [0; 32];
        digest.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        Fetch { mailbox: "1234567897".into(), reference: number.to_string(), digest, unix_millis }
    }

    fn note(fetched: &Fetched, one: &Fetch) {
        fetched.note(one.digest, &one.mailbox, || Some(one.clone()));
    }

    #[test]
    fn the_first_of_each_is_kept_what_is_recorded_is_known_and_nothing_grows_beyond_its_bound() {
        let fetched = Fetched::default();
        note(&fetched, &fetch(1, 10));
        note(&fetched, &fetch(1, 20));
        // Another mailbox with the same content is another's affair.
        let elsewhere = Fetch { mailbox: "0000000006".into(), ..fetch(1, 30) };
        note(&fetched, &elsewhere);
        assert_eq!(fetched.some(9), [elsewhere.clone(), fetch(1, 10)]);
        // What was not recorded, since it was no statement of that mailbox, hides nobody else's.
        fetched.done([(&elsewhere, false)].into_iter());
        note(&fetched, &elsewhere);
        assert_eq!(fetched.some(9).len(), 2);
        fetched.done([(&fetch(1, 10), true), (&elsewhere, false)].into_iter());
        note(&fetched, &fetch(1, 40));
        assert!(fetched.some(9).is_empty());
        for number in 0..WAITING as u32 + 5 {
            note(&fetched, &fetch(2 + number, 1));
        }
        assert_eq!((fetched.some(usize::MAX).len(), fetched.missed()), (WAITING, 5));
    }
}
