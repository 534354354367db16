//! Annotations of folders and of the account. They go with their folder and keep to it when it is renamed. What a folder is for stands in
//! its own record, and is told and changed as an annotation of it. spec: rfc5464

use protocol::imap::exchange::{AccountChanges, SpecialUses};
use store::{Batch, Expectation};

use super::messages::{MailError, MessageStore};
use super::rules;
use crate::record::annotation;

/// Annotations of one mailbox, those of its folders included.
pub const MAX_ANNOTATIONS: usize = 500;
/// Records deleted in one commit.
const SWEEP: usize = 1_000;
const ACCOUNT: u64 = 0;
/// The special uses of a folder. spec: rfc6154#4
const USES: &str = "/private/specialuse";

impl MessageStore {
    /// Entries and values, by entry.
    pub fn annotations(&self, mailbox: &str, folder: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, MailError> {
        let folder = folder.map(|folder| self.folder(mailbox, folder)).transpose()?;
        let (from, to) = annotation::range(mailbox, folder.map_or(ACCOUNT, |folder| folder.id));
        let found = self.store.scan(&from, &to, MAX_ANNOTATIONS)?;
        let mut all = found.iter().map(|(key, stored)| Ok((annotation::entry(key)?, annotation::open(key, stored, &self.key)?))).collect::<Result<Vec<_>, MailError>>()?;
        if let Some(folder) = folder {
            // One that a program wrote before the entry was tied to the uses says nothing of them.
            all.retain(|(entry, _)| entry != USES);
            if !folder.uses.is_empty() {
                all.push((USES.to_owned(), folder.uses.words().into_bytes()));
                all.sort_unstable();
            }
        }
        Ok(all)
    }

    /// Sets these values, or removes those that are none, all in one commit. A use that another folder has is not taken from it.
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
            if let Some(folder) = folder.filter(|_| entry.eq_ignore_ascii_case(USES)) {
                let uses = value.as_deref().map_or(Some(SpecialUses::NONE), |value| SpecialUses::parse(std::str::from_utf8(value).ok()?)).ok_or(MailError::NoSuchUse)?;
                batch = self.with_uses(batch, mailbox, folder, uses)?.delete(key);
                continue;
            }
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
        if folder.is_some() && values.iter().any(|(entry, _)| entry.eq_ignore_ascii_case(USES)) {
            self.broadcast.note(mailbox, AccountChanges::mailboxes);
        }
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
    fn what_a_folder_is_for_is_one_of_its_annotations() {
        use protocol::imap::exchange::SpecialUse;
        const BOX: &str = "1234567897";
        let store = Arc::new(Memory::new());
        store.commit(standard_folders(Batch::new(), BOX)).unwrap();
        let mail = MessageStore::new(store.clone(), data_key());
        mail.create_folder(BOX, "a").unwrap();
        let set = |folder: &str, value: Option<&[u8]>| mail.annotate(BOX, Some(folder), &[(USES.into(), value.map(<[u8]>::to_vec)), ("/private/comment".into(), Some(b"x".to_vec()))]);
        let told = |folder: &str| mail.annotations(BOX, Some(folder)).unwrap().into_iter().map(|(entry, value)| format!("{entry} {}", String::from_utf8(value).unwrap())).collect::<Vec<_>>();
        assert_eq!((told("Junk"), told("a")), (vec![r"/private/specialuse \Junk".to_owned()], vec![]));
        // All of it is refused with a use that another has, that is none, or that INBOX cannot have.
        assert_eq!(set("a", Some(br"\Junk")), Err(MailError::UseTaken));
        for none in [&br"\Flagged"[..], b"Junk", b"\xff"] {
            assert_eq!(set("a", Some(none)), Err(MailError::NoSuchUse));
        }
        assert_eq!((set("INBOX", Some(br"\Junk")), set("none", None)), (Err(MailError::NoSuchUse), Err(MailError::NoFolder)));
        assert_eq!((told("a"), told("INBOX")), (vec![], vec![]));
        // From one to another, with its own replaced; the folder is the same to everybody who has it open.
        let (junk, a) = (mail.folder(BOX, "Junk").unwrap(), mail.folder(BOX, "a").unwrap());
        set("Junk", None).unwrap();
        set("a", Some(br"\junk")).unwrap();
        assert_eq!((told("Junk"), told("a")), (vec!["/private/comment x".to_owned()], vec!["/private/comment x".to_owned(), r"/private/specialuse \Junk".to_owned()]));
        assert_eq!(mail.folder_of_use(BOX, SpecialUse::Junk), Ok(Some("a".to_owned())));
        set("Trash", Some(b"")).unwrap();
        set("a", Some(br"\Junk \Trash")).unwrap();
        assert_eq!(mail.create_folder_for(BOX, "b", SpecialUses::NONE.with(SpecialUse::Trash)), Err(MailError::UseTaken));
        let (new_junk, new_a) = (mail.folder(BOX, "Junk").unwrap(), mail.folder(BOX, "a").unwrap());
        assert_eq!((new_junk.id, new_junk.uid_validity, new_a.id, new_a.uid_validity), (junk.id, junk.uid_validity, a.id, a.uid_validity));
        set("INBOX", None).unwrap();
        // Of the account it is an entry like any other; and one of before says nothing.
        mail.annotate(BOX, None, &[(USES.into(), Some(b"mine".to_vec()))]).unwrap();
        assert_eq!(mail.annotations(BOX, None).unwrap(), [(USES.to_owned(), b"mine".to_vec())]);
        let key = annotation::key(BOX, junk.id, USES);
        store.commit(Batch::new().put(key.clone(), annotation::seal(&key, b"old", &data_key()).unwrap())).unwrap();
        assert_eq!(told("Junk"), ["/private/comment x"]);
        set("Junk", None).unwrap();
        assert_eq!(store.get(&key), Ok(None));
    }

    #[test]
    fn of_many_who_want_a_use_at_once_one_gets_it() {
        const BOX: &str = "1234567897";
        let store = Arc::new(Memory::new());
        store.commit(standard_folders(Batch::new(), BOX)).unwrap();
        let mail = MessageStore::new(store, data_key());
        mail.annotate(BOX, Some("Sent"), &[(USES.into(), None)]).unwrap();
        (0..8).for_each(|number| mail.create_folder(BOX, &number.to_string()).unwrap());
        let given: Vec<_> = std::thread::scope(|scope| {
            let want = |number: usize| { let mail = &mail; move || mail.annotate(BOX, Some(&number.to_string()), &[(USES.into(), Some(br"\Sent".to_vec()))]) };
            let all: Vec<_> = (0..8).map(|number| scope.spawn(want(number))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(given.iter().filter(|given| given.is_ok()).count(), 1, "{given:?}");
        assert!(given.iter().all(|given| matches!(given, Ok(()) | Err(MailError::UseTaken | MailError::Busy))), "{given:?}");
    }

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
