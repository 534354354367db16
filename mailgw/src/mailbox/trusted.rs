//! The mark of a message whose sender was verified: a header field that only this gateway writes, and the keyword that follows from it.
//! The field bears a code, under the data key, of every other octet of the message, so that it proves itself wherever the message goes:
//! one that was copied, changed or made up is taken out of whatever enters a mailbox, by whatever way, and a true one stays.
//!
//! The code is made of the digest of those octets; or, where the field names a part of them, whose digest a bureau signed, of the digests of
//! what is before it, of the part, and of what is behind it: most of a month's statement need not be digested once more.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use protocol::imap::exchange::{Flags, Keyword};
use protocol::smtp::trace;

use super::messages::{Body, MailError, MessageStore};
use crate::record::body;
use crate::record::dictionary::Dictionary;
use crate::record::folder::Folder;
use crate::record::message::{self, Message};

const FIELD: &str = "Suiyin-Verified";
/// The keyword that is registered for this. spec: draft-ietf-mailmaint-messageflag-mailboxattribute#istrusted
const KEYWORD: &str = "$istrusted";

/// Who was verified, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The sender's code in the register of bureaus.
    pub bureau: String,
    pub unix_millis: u64,
}

/// A message of a mailbox that is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    pub folder: String,
    pub uid: u32,
    pub mark: Mark,
}

/// Flags as they may stand: clients neither set nor take the keyword.
pub(super) fn flags(wanted: &Flags, verified: bool) -> Flags {
    let others = wanted.keywords().filter(|keyword| !keyword.as_str().eq_ignore_ascii_case(KEYWORD)).cloned();
    // First, since a message has a bounded number of them.
    Flags::from_parts(wanted.bits(), Keyword::new(KEYWORD).filter(|_| verified).into_iter().chain(others))
}

pub(super) fn is_marked(flags: &Flags) -> bool {
    flags.keywords().any(|keyword| keyword.as_str().eq_ignore_ascii_case(KEYWORD))
}

fn is_field(field: &[u8]) -> bool {
    let name = field.split(|byte| *byte == b':').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(FIELD.as_bytes())
}

/// A part of a message whose digest is known.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub at: usize,
    pub length: usize,
    pub digest: [u8; 32],
}

impl Part {
    fn after(self, octets: usize) -> Self {
        Self { at: self.at + octets, ..self }
    }
}

impl MessageStore {
    fn field(&self, mark: &Mark, part: Option<&Part>, rest: &[u8]) -> Vec<u8> {
        let mut covered = Vec::new();
        let mut cover = |piece: &[u8]| {
            covered.extend_from_slice(&(piece.len() as u64).to_be_bytes());
            covered.extend_from_slice(piece);
        };
        cover(mark.bureau.as_bytes());
        cover(&mark.unix_millis.to_be_bytes());
        let Part { at, length, digest } = match part {
            // All of it.
            None => Part { at: 0, length: rest.len(), digest: body::digest(rest) },
            Some(part) => *part,
        };
        if part.is_some() {
            cover(&body::digest(rest.get(..at).unwrap_or_default()));
            cover(&body::digest(rest.get(at.saturating_add(length)..).unwrap_or_default()));
            [at, length].iter().for_each(|number| cover(&(*number as u64).to_be_bytes()));
        }
        cover(&digest);
        let code = crate::hex(&self.key.index("verified sender", &covered));
        let part = part.map(|_| format!(" part={at}+{length};")).unwrap_or_default();
        format!("{FIELD}: {}; at={};{part}\r\n\tcode={code}\r\n", mark.bureau, mark.unix_millis).into_bytes()
    }

    /// The mark that a field makes, if this gateway wrote it over these octets.
    fn proved(&self, field: &[u8], rest: &[u8]) -> Option<Mark> {
        let (_, value) = std::str::from_utf8(field).ok()?.split_once(": ")?;
        let (bureau, value) = value.split_once("; at=")?;
        let (millis, value) = value.split_once(';')?;
        let part = match value.strip_prefix(" part=") {
            Some(named) => {
                let (at, length) = named.split_once(';')?.0.split_once('+')?;
                let (at, length) = (at.parse::<usize>().ok()?, length.parse::<usize>().ok()?);
                Some(Part { at, length, digest: body::digest(rest.get(at..at.checked_add(length)?)?) })
            }
            None => None,
        };
        let mark = Mark { bureau: bureau.to_owned(), unix_millis: millis.parse().ok()? };
        // Digests are compared, so that the time it takes tells nothing of the code.
        (body::digest(&self.field(&mark, part.as_ref(), rest)) == body::digest(field)).then_some(mark)
    }

    /// The message, in pieces, without marks that are not true; and the one that is.
    pub(super) fn unforged<'m>(&self, message: &'m [u8]) -> (Vec<Cow<'m, [u8]>>, Option<Mark>) {
        // The one that there is, or none of several.
        let (count, first) = (Cell::new(0_usize), RefCell::new(Vec::new()));
        let rest = trace::pieces_without_fields(message, |field| {
            let is_ours = is_field(field);
            if is_ours {
                count.set(count.get().saturating_add(1));
                *first.borrow_mut() = if count.get() == 1 { field.to_vec() } else { Vec::new() };
            }
            is_ours
        });
        let mark = match count.get() {
            0 => return (vec![Cow::Borrowed(message)], None),
            1 => self.proved(&first.into_inner(), &rest.concat()),
            _ => None,
        };
        if mark.is_some() { (vec![Cow::Borrowed(message)], mark) } else { (rest, None) }
    }

    /// As [`MessageStore::body`], of a message that fields of this gateway's are put above. No mark of it is true then: whoever made it did not
    /// cover them. So marks are taken out unlooked at, with the other fields that are `unwanted`.
    pub(crate) fn body_below(&self, above: &[u8], message: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Result<Body, MailError> {
        let rest = trace::pieces_without_fields(message, |field| is_field(field) || unwanted(field));
        let pieces: Vec<&[u8]> = std::iter::once(above).chain(rest.iter().map(AsRef::as_ref)).collect();
        self.sealed(&pieces, false, None)
    }

    /// As [`MessageStore::body`], of a message whose sender was verified; who calls this has done that.
    pub(crate) fn verified_body(&self, bytes: &[u8], mark: &Mark) -> Result<Body, MailError> {
        let rest = trace::without_fields(bytes, is_field);
        self.sealed(&[self.field(mark, None, &rest).as_slice(), &*rest], true, None)
    }

    /// The same of a message that was made here, of which a part's digest is known, below fields that were put before it.
    pub(crate) fn verified_body_of(&self, before: &[u8], message: &[u8], part: Option<Part>, mark: &Mark, dictionary: Option<&Arc<Dictionary>>) -> Result<Body, MailError> {
        let rest = [before, message].concat();
        let part = part.map(|part| part.after(before.len()));
        self.sealed(&[self.field(mark, part.as_ref(), &rest).as_slice(), &*rest], true, dictionary)
    }

    /// The newest `most` marked messages of each folder. Its keyword is believed for finding them, its field for what it says.
    pub fn marked(&self, mailbox: &str, most: usize) -> Result<Vec<Marked>, MailError> {
        let mut all = Vec::new();
        for (name, stored) in self.folders(mailbox)? {
            let folder = Folder::decode(&stored)?;
            let (from, to) = message::range(folder.id);
            let found = self.store.scan(&from, &to, usize::MAX)?;
            let mut uids = Vec::new();
            for (key, value) in found.iter().rev() {
                if uids.len() < most && is_marked(&Message::decode(value)?.0.flags) {
                    uids.push(message::uid(folder.id, key)?);
                }
            }
            for uid in uids {
                match self.load(&folder, uid) {
                    Ok(bytes) => all.extend(self.unforged(&bytes).1.map(|mark| Marked { folder: name.clone(), uid, mark })),
                    Err(MailError::Gone) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(all)
    }

    /// How many messages of a mailbox are marked.
    pub fn count_marked(&self, mailbox: &str) -> Result<u64, MailError> {
        let mut count = 0;
        for folder in self.folder_ids(mailbox)? {
            let (from, to) = message::range(folder);
            for (_, value) in self.store.scan(&from, &to, usize::MAX)? {
                count += u64::from(is_marked(&Message::decode(&value)?.0.flags));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::imap::exchange::{StoreOp, SystemFlag};
    use store::Memory;

    use super::*;
    use crate::mailbox::test_keys::{data_key, other_data_key};
    use crate::mailbox::{Content, Delivery};

    const BOX: &str = "1234567897";

    fn delivery(content: impl Into<Content>, flags: Flags) -> Delivery {
        Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: content.into(), unix_millis: 1, flags, event: None, mark: None }
    }

    fn store() -> MessageStore {
        let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
        ["INBOX", "Archive"].iter().for_each(|name| mail.create_folder(BOX, name).unwrap());
        mail
    }

    /// The flags and octets of the newest message.
    fn newest(mail: &MessageStore) -> (bool, Vec<u8>) {
        let view = mail.view(BOX, "INBOX").unwrap();
        let last = view.messages.last().unwrap();
        (is_marked(&last.flags), mail.load(&view.folder, last.uid).unwrap())
    }

    #[test]
    fn a_mark_is_ours_alone_and_goes_with_its_message() {
        let mail = store();
        let mark = Mark { bureau: "gz-housing-fund".into(), unix_millis: 1_795_000_000_000 };
        let body = mail.verified_body(b"Suiyin-Verified: forged\r\nFrom: gjj@b.cn\r\n\r\nstatement\r\n", &mark).unwrap();
        mail.deliver(&[delivery(Arc::new(body), Flags::new())], 1).unwrap();
        let (marked, genuine) = newest(&mail);
        assert!(marked && genuine.starts_with(b"Suiyin-Verified: gz-housing-fund; at=1795000000000;\r\n\tcode="));
        assert!(genuine.ends_with(b"\r\nFrom: gjj@b.cn\r\n\r\nstatement\r\n") && !genuine.windows(6).any(|part| part == b"forged"));
        assert_eq!(mail.marked(BOX, 9).unwrap(), [Marked { folder: "INBOX".into(), uid: 1, mark }]);
        // Appended as it is, it is what it was, whatever flags a client gives.
        mail.deliver(&[delivery(genuine.clone(), Flags::new())], 1).unwrap();
        assert_eq!(newest(&mail), (true, genuine.clone()));
        // A changed octet, another message under the field, two fields, another gateway's field: all are taken out.
        let (field, rest) = genuine.split_at(genuine.windows(5).position(|part| part == b"From:").unwrap());
        let changed = [field, &rest.to_ascii_uppercase()].concat();
        let other = [field, b"From: gjj@b.cn\r\n\r\nanother\r\n"].concat();
        let twice = [field, field, rest].concat();
        let elsewhere = MessageStore::new(Arc::new(Memory::new()), other_data_key());
        let theirs = [elsewhere.field(&Mark { bureau: "gz-housing-fund".into(), unix_millis: 5 }, None, rest), rest.to_vec()].concat();
        let lower = [&field.to_ascii_lowercase(), rest].concat();
        let spaced = [b"Suiyin-Verified : gz; at=1; code=00\r\n", rest].concat();
        let below = [rest.split(|byte| *byte == b'\n').next().unwrap(), b"\nSUIYIN-VERIFIED:\r\n gz\r\n\r\nbody\r\n"].concat();
        let trusted = Flags::from_parts(SystemFlag::Seen as u8, Keyword::new("$IsTrusted"));
        for forged in [changed, other, twice, theirs, lower, spaced, below] {
            mail.deliver(&[delivery(forged.clone(), trusted.clone())], 1).unwrap();
            let (marked, kept) = newest(&mail);
            assert!(!marked && !kept.to_ascii_lowercase().windows(15).any(|part| part == b"suiyin-verified"), "{}", String::from_utf8_lossy(&kept));
        }
        // Inside a message it is content, and no mark.
        let nested = [b"Content-Type: message/rfc822\r\n\r\n", genuine.as_slice()].concat();
        mail.deliver(&[delivery(nested.clone(), trusted)], 1).unwrap();
        assert_eq!(newest(&mail), (false, nested));
        assert_eq!(mail.count_marked(BOX).unwrap(), 2);
    }

    #[test]
    fn below_other_fields_no_mark_is_true() {
        let mail = store();
        let mark = Mark { bureau: "gz-housing-fund".into(), unix_millis: 1_795_000_000_000 };
        let genuine = [mail.field(&mark, None, b"From: gjj@b.cn\r\n\r\nx\r\n").as_slice(), b"From: gjj@b.cn\r\n\r\nx\r\n"].concat();
        let above = b"Received: from x\r\n".as_slice();
        let below = mail.body_below(above, &genuine, |field| field.starts_with(b"X:")).unwrap();
        let same = mail.body(&[above, &genuine].concat()).unwrap();
        assert!(!below.verified && below.digest() == same.digest());
        mail.deliver(&[delivery(Arc::new(below), Flags::new())], 1).unwrap();
        assert_eq!(newest(&mail), (false, b"Received: from x\r\nFrom: gjj@b.cn\r\n\r\nx\r\n".to_vec()));
        let unwanted = mail.body_below(above, b"X: y\r\n z\r\nTo: a@b.cn\r\n\r\nX: w\r\n", |field| field.starts_with(b"X:")).unwrap();
        mail.deliver(&[delivery(Arc::new(unwanted), Flags::new())], 1).unwrap();
        assert_eq!(newest(&mail), (false, b"Received: from x\r\nTo: a@b.cn\r\n\r\nX: w\r\n".to_vec()));
    }

    #[test]
    fn a_mark_that_names_a_part_covers_all_the_same() {
        let mail = store();
        let mark = Mark { bureau: "gz-housing-fund".into(), unix_millis: 1_795_000_000_000 };
        let (before, message): (&[u8], &[u8]) = (b"DKIM-Signature: v=1\r\n", b"From: gjj@b.cn\r\n\r\n--b\r\nsigned\r\n--b--\r\n");
        let (at, length) = (message.windows(6).position(|part| part == b"signed").unwrap(), 6);
        let part = Part { at, length, digest: body::digest(b"signed") };
        let body = mail.verified_body_of(before, message, Some(part), &mark, None).unwrap();
        mail.deliver(&[delivery(Arc::new(body), Flags::new())], 1).unwrap();
        let (marked, genuine) = newest(&mail);
        let named = format!("; part={}+6;\r\n\tcode=", before.len() + at);
        assert!(marked && genuine.ends_with(&[before, message].concat()) && String::from_utf8_lossy(&genuine).contains(&named));
        mail.deliver(&[delivery(genuine.clone(), Flags::new())], 1).unwrap();
        assert_eq!(newest(&mail), (true, genuine.clone()), "as it is, it is what it was");
        // Every octet counts, and so does where the part is.
        for changed in 0..genuine.len() {
            let mut forged = genuine.clone();
            forged[changed] ^= 1;
            assert_ne!(mail.unforged(&forged).1.as_ref(), Some(&mark), "octet {changed}");
        }
        for other in ["; part=0+6;", "; part=99999999999999999999+6;", "; part=18446744073709551615+6;", "; part=+6;", "; part=1;", ";"] {
            let forged = String::from_utf8_lossy(&genuine).replace(&named, &format!("{other}\r\n\tcode="));
            assert_eq!(mail.unforged(forged.as_bytes()).1, None, "{other}");
        }
    }

    #[test]
    fn no_client_sets_or_takes_the_keyword() {
        let mail = store();
        let body = mail.verified_body(b"From: gjj@b.cn\r\n\r\nx\r\n", &Mark { bureau: "gjj".into(), unix_millis: 1 }).unwrap();
        mail.deliver(&[delivery(Arc::new(body), Flags::new()), delivery(b"From: a@b.cn\r\n\r\ny\r\n".to_vec(), Flags::new())], 1).unwrap();
        let inbox = mail.folder(BOX, "INBOX").unwrap();
        let trusted = Flags::from_parts(0, Keyword::new("$istrusted"));
        let marked = |op, flags: &Flags| mail.store_flags(BOX, &inbox, &[1, 2], op, flags).unwrap().iter().map(|message| is_marked(&message.flags)).collect::<Vec<_>>();
        assert_eq!(marked(StoreOp::Add, &trusted), [true, false]);
        assert_eq!(marked(StoreOp::Remove, &trusted), [true, false]);
        assert_eq!(marked(StoreOp::Replace, &Flags::new().with(SystemFlag::Seen)), [true, false]);
        mail.copy(&inbox, &[1, 2], BOX, "Archive", 5).unwrap();
        assert_eq!(mail.view(BOX, "Archive").unwrap().messages.iter().map(|message| is_marked(&message.flags)).collect::<Vec<_>>(), [true, false]);
        // A draft saved over a marked message is no marked message.
        mail.replace(&inbox, 1, &delivery(b"From: me@b.cn\r\n\r\nz\r\n".to_vec(), trusted), 6).unwrap();
        assert!(!newest(&mail).0);
    }
}
