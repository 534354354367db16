//! Dictionaries of this store: what the messages of one template have in common, so that each body holds little but what is its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use store::{Batch, CommitError, Expectation};

use super::messages::{ATTEMPTS, MailError, MessageStore};
use crate::record::RecordError;
use crate::record::dictionary::{self, Dictionary};

/// Those that are held in memory: a month has a few.
const HELD: usize = 32;

/// By their numbers.
#[derive(Default)]
pub(super) struct Dictionaries(Mutex<BTreeMap<u32, Arc<Dictionary>>>);

impl Dictionaries {
    fn held(&self, number: u32) -> Option<Arc<Dictionary>> {
        // A panic elsewhere leaves a map that is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    fn hold(&self, dictionary: Dictionary) -> Arc<Dictionary> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The oldest goes: newer mail is read more.
        if held.len() >= HELD {
            held.pop_first();
        }
        Arc::clone(held.entry(dictionary.number).or_insert_with(|| Arc::new(dictionary)))
    }
}

impl MessageStore {
    /// The dictionary for what has this digest; it is made and durable where there is none yet.
    pub(crate) fn dictionary_for(&self, what: &[u8; 32], make: &dyn Fn() -> Vec<u8>) -> Result<Arc<Dictionary>, MailError> {
        let place = dictionary::key_for(what);
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.store.get(&place)? {
                return self.dictionary(dictionary::number(&found)?);
            }
            let mut write = Batch::new().expect(Expectation::Absent(place.clone()));
            let number = write.next(dictionary::NUMBERS);
            let write = write.put(place.clone(), dictionary::number_template(number)).put(dictionary::new_key(number), dictionary::encode(&make())?);
            match self.store.commit(write) {
                // Somebody made it at the same moment.
                Err(CommitError::Conflict { .. }) => {}
                done => drop(done?),
            }
        }
        Err(MailError::Busy)
    }

    pub(super) fn dictionary(&self, number: u32) -> Result<Arc<Dictionary>, MailError> {
        if let Some(held) = self.dictionaries.held(number) {
            return Ok(held);
        }
        let found = self.store.get(&dictionary::key(number))?;
        let found = found.ok_or(RecordError::Damaged { kind: "dictionary", reason: "it is missing though bodies were compressed with it" })?;
        Ok(self.dictionaries.hold(dictionary::decode(number, &found)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use store::Memory;

    use super::*;
    use crate::mailbox::test_keys::data_key;
    use crate::mailbox::{Delivery, TrustMark};
    use protocol::imap::exchange::Flags;

    #[test]
    fn a_message_is_read_by_the_dictionary_it_was_written_with() {
        let store = Arc::new(Memory::new());
        let open = || MessageStore::new(Arc::clone(&store) as Arc<dyn store::Store>, data_key());
        let mail = open();
        mail.create_folder("1234567897", "INBOX").unwrap();
        let made = |word: &str| word.repeat(400).into_bytes();
        let first = mail.dictionary_for(&[1; 32], &|| made("statement ")).unwrap();
        let second = mail.dictionary_for(&[2; 32], &|| made("receipt ")).unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(*mail.dictionary_for(&[1; 32], &|| made("another ")).unwrap(), *first, "one in use is never changed");
        let message = |word: &str| [b"From: gjj@b.cn\r\n\r\n".as_slice(), &made(word)].concat();
        for (dictionary, word) in [(Some(&first), "statement "), (Some(&second), "receipt "), (None, "statement "), (Some(&first), "receipt ")] {
            let body = mail.verified_body_of(b"", &message(word), None, &TrustMark { bureau: "gjj".into(), unix_millis: 1 }, dictionary).unwrap();
            let content = Arc::new(body).into();
            mail.deliver(&[Delivery { mailbox: "1234567897".into(), folder: "INBOX".into(), content, unix_millis: 1, flags: Flags::new(), event: None, mark: None }], 1).unwrap();
        }
        // A process that starts anew finds them in the store.
        let again = open();
        let view = again.view("1234567897", "INBOX").unwrap();
        let read: Vec<bool> = view.messages.iter().zip(["statement ", "receipt ", "statement ", "receipt "]).map(|(found, word)| again.load(&view.folder, found.uid).unwrap().ends_with(&made(word))).collect();
        assert_eq!(read, [true; 4]);
    }

    #[test]
    fn no_more_than_a_few_are_held() {
        let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
        for number in 0..=u8::try_from(HELD).unwrap() {
            mail.dictionary_for(&[number; 32], &|| vec![number; 100]).unwrap();
        }
        assert!(mail.dictionaries.held(1).is_none() && mail.dictionaries.held(2).is_some());
        assert_eq!(mail.dictionary(1).unwrap().bytes, vec![0; 100]);
        assert!(matches!(mail.dictionary(99), Err(MailError::Record(RecordError::Damaged { .. }))));
    }
}
