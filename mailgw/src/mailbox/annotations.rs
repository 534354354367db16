//! Annotations of folders and of the account. They go with their folder and keep to it when it is renamed. spec: rfc5464

use store::{Batch, Expectation};

use super::messages::{MailError, MessageStore};
use super::rules;
use crate::record::annotation;

/// Annotations of one mailbox, those of its folders included.
pub const MAX_ANNOTATIONS: usize = 500;
/// Records deleted in one commit.
const SWEEP: usize = 1_000;
const ACCOUNT: u64 = 0;

impl MessageStore {
    /// Entries and values, by entry.
    pub fn annotations(&self, mailbox: &str, folder: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, MailError> {
        let (from, to) = annotation::range(mailbox, self.annotated(mailbox, folder)?);
        let found = self.store.scan(&from, &to, MAX_ANNOTATIONS)?;
        found.iter().map(|(key, stored)| Ok((annotation::entry(key)?, annotation::open(key, stored, &self.key)?))).collect()
    }

    /// Sets these values, or removes those that are none, all in one commit.
    pub fn annotate(&self, mailbox: &str, folder: Option<&str>, values: &[(String, Option<Vec<u8>>)]) -> Result<(), MailError> {
        self.retried(|| self.try_annotate(mailbox, folder, values))
    }

    fn try_annotate(&self, mailbox: &str, folder: Option<&str>, values: &[(String, Option<Vec<u8>>)]) -> Result<(), MailError> {
        let id = self.annotated(mailbox, folder)?;
        // Two that set the last one at the same moment: the second counts anew.
        let place = annotation::changed(mailbox);
        let before = self.store.get(&place)?;
        let after = before.as_deref().and_then(|count| count.try_into().ok()).map_or(1, |count| u64::from_be_bytes(count).wrapping_add(1));
        let still = before.map_or(Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
        let (from, to) = annotation::all(mailbox);
        let (mut count, mut batch) = (self.store.scan(&from, &to, MAX_ANNOTATIONS)?.len(), Batch::new().expect(still).put(place, after.to_be_bytes().as_slice()));
        for (entry, value) in values {
            let key = annotation::key(mailbox, id, entry);
            match value {
                Some(value) => {
                    // Rules that are none are not taken: nobody would learn of it later.
                    if folder.is_none() && entry.eq_ignore_ascii_case(rules::ENTRY) {
                        rules::Rules::parse(value)?;
                    }
                    count += usize::from(self.store.get(&key)?.is_none());
                    let sealed = annotation::seal(&key, value, &self.key)?;
                    batch = batch.put(key, sealed);
                }
                None => batch = batch.delete(key),
            }
        }
        if count > MAX_ANNOTATIONS && values.iter().any(|(_, value)| value.is_some()) {
            return Err(MailError::TooManyAnnotations { limit: MAX_ANNOTATIONS });
        }
        self.store.commit(batch)?;
        let of = folder.map(|_| id);
        self.broadcast.note(mailbox, |all| values.iter().for_each(|(entry, _)| all.annotation(of, entry)));
        Ok(())
    }

    fn annotated(&self, mailbox: &str, folder: Option<&str>) -> Result<u64, MailError> {
        folder.map_or(Ok(ACCOUNT), |folder| Ok(self.folder(mailbox, folder)?.id))
    }

    /// Of a folder that is deleted.
    pub(super) fn sweep_annotations(&self, mailbox: &str, folder: u64) -> Result<(), MailError> {
        let (from, to) = annotation::range(mailbox, folder);
        loop {
            let found = self.store.scan(&from, &to, SWEEP)?;
            if found.is_empty() {
                return Ok(());
            }
            self.store.commit(found.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key)))?;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use store::{Memory, Store};

    use super::*;
    use crate::mailbox::standard_folders;
    use crate::mailbox::test_keys::data_key;

    #[test]
    fn they_go_with_their_folder_and_are_bounded() {
        let store = Arc::new(Memory::new());
        store.commit(standard_folders(Batch::new(), "1234567897")).unwrap();
        let mail = MessageStore::new(store.clone(), data_key());
        mail.create_folder("1234567897", "a").unwrap();
        let set = |folder: Option<&str>, entry: &str, value: Option<&str>| mail.annotate("1234567897", folder, &[(entry.into(), value.map(|text| text.as_bytes().to_vec()))]);
        set(Some("a"), "/private/comment", Some("公积金")).unwrap();
        set(None, "/private/comment", Some("mine")).unwrap();
        mail.rename_folder("1234567897", "a", "b").unwrap();
        assert_eq!(mail.annotations("1234567897", Some("b")).unwrap(), [("/private/comment".to_owned(), "公积金".as_bytes().to_vec())]);
        assert_eq!((mail.annotations("1234567897", Some("INBOX")).unwrap(), mail.annotations("1234567897", Some("a"))), (vec![], Err(MailError::NoFolder)));
        let (from, to) = annotation::all("1234567897");
        let kept = || store.scan(&from, &to, 9_999).unwrap();
        assert!(kept().iter().all(|(_, value)| !value.windows(9).any(|part| part == "公积金".as_bytes())));
        mail.delete_folder("1234567897", "b", 9).unwrap();
        assert_eq!(kept().len(), 1);
        for number in 1..MAX_ANNOTATIONS {
            set(Some("INBOX"), &format!("/private/{number}"), Some("x")).unwrap();
        }
        assert_eq!(set(None, "/private/more", Some("x")), Err(MailError::TooManyAnnotations { limit: MAX_ANNOTATIONS }));
        // What is there may change, and go.
        set(None, "/private/comment", Some("other")).unwrap();
        set(None, "/private/comment", None).unwrap();
        set(None, "/private/more", Some("x")).unwrap();
    }
}
