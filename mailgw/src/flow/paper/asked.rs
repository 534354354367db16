//! Owners ask for a statement on paper by mail: they answer it, or forward it, to this address under their own login, or write its number
//! in the subject. No page of the web is needed, and nobody asks for another's.

use std::sync::Arc;

use policies::mailbox::MailboxNumber;
use policies::statement::StatementId;
use protocol::imap::exchange::Flags;
use protocol::smtp::exchange::{Host, Recipient};
use runtime::revocation::RevocationLists;
use store::{Batch, Expectation, Key, StoreError};
use time::OffsetDateTime;

use super::{PaperError, record, sealed};
use crate::flow::fields::Asking;
use crate::flow::waiting;
use crate::directory::still_open;
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError};
use crate::mime::{header, quoted_printable};
use crate::record::RecordError;
use crate::record::asked::{self, Asked};
use crate::record::push::{Item, item_key};
use crate::sealer::Seal;
use crate::statement::{self, Named, PaperError as Unmade};

/// What stands before the `@` of the address. No mailbox bears it.
pub const ADDRESS: &str = crate::statement::PDF_ADDRESS;
/// Names that one request may give.
const NAMES: usize = 10;
/// Messages that are looked through for one that a request answers.
const MESSAGES: usize = 5_000;
/// Requests of one mailbox that wait at a time.
const WAITING: usize = 20;

/// A request as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(in crate::flow) messages: Vec<String>,
    pub(in crate::flow) statements: Vec<String>,
    pub(in crate::flow) request: String,
}

impl Request {
    /// Whether mail to this recipient asks for paper; `domain` is that of our mailboxes.
    pub fn is_for(recipient: &Recipient, domain: &str) -> bool {
        matches!(recipient, Recipient::Mailbox(address) if address.local().eq_ignore_ascii_case(ADDRESS)
            && matches!(address.host(), Host::Name(name) if name.as_str().eq_ignore_ascii_case(domain)))
    }

    /// What it names: the messages that it answers, the nearest first, and words of its subject that may be numbers.
    pub fn read(message: &[u8]) -> Self {
        let Asking { subject, message_id, in_reply_to, references } = Asking::read(message);
        let mut messages: Vec<String> = in_reply_to.into_iter().chain(references.into_iter().rev()).filter(|id| id.len() <= 200).collect();
        messages.dedup();
        messages.truncate(NAMES);
        let words = subject.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
        let statements = words.filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()) && StatementId::parse(word).is_ok()).map(str::to_owned).take(NAMES).collect();
        Self { messages, statements, request: message_id.chars().take(200).collect() }
    }

    /// Whether one more of this mailbox may wait. Its owner's submissions are counted one after another, so that none slips by.
    pub fn may_wait(gateway: &Gateway, mailbox: &str) -> Result<bool, StoreError> {
        waiting::may_wait(&*gateway.store, asked::of_mailbox(mailbox), WAITING)
    }

    /// Puts it into the commit that takes the mail; `token` is random.
    pub fn put(self, batch: Batch, gateway: &Gateway, mailbox: &str, token: &str, now: OffsetDateTime) -> Result<Batch, RecordError> {
        let Self { messages, statements, request } = self;
        let place = asked::key(mailbox, token);
        let asked = Asked { mailbox: mailbox.to_owned(), messages, statements, request, unix_millis: unix_millis(now) };
        let sealed = asked.seal(&place, &gateway.directory_key)?;
        Ok(batch.put(place, sealed))
    }
}

/// Answers what was asked, each in one commit with its request's end; what cannot be answered now waits. How many were answered.
pub fn answer_all(gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists) -> Result<u64, PaperError> {
    waiting::answer_each(&*gateway.store, asked::range(), |place, stored| answer(gateway, sealer, lists, place, stored))
}

fn answer(gateway: &Gateway, sealer: &dyn Seal, lists: &RevocationLists, place: &Key, stored: &[u8]) -> Result<(), PaperError> {
    let asked = Asked::open(place, stored, &gateway.directory_key)?;
    let ends = || Batch::new().expect(Expectation::Equals(place.clone(), stored.to_vec())).delete(place.clone());
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(asked.unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let made = match named(gateway, &asked)? {
        Some((bureau, statement)) => sealed(gateway, sealer, lists, &bureau, &statement, at).map(|made| (bureau, statement, made)),
        None => Err(PaperError::Unknown { statement: String::new() }),
    };
    let done = match made {
        Ok((bureau, statement, made)) => record(gateway, &bureau, &statement, &made, ends(), true),
        Err(PaperError::Unknown { .. } | PaperError::Gone) => refuse(gateway, &asked, at, ends(), &UNKNOWN),
        Err(PaperError::Ended { .. }) => refuse(gateway, &asked, at, ends(), &ENDED),
        Err(PaperError::Unmade(Unmade::Encrypted)) => refuse(gateway, &asked, at, ends(), &ENCRYPTED),
        Err(error) => return Err(error),
    };
    match done {
        // A full one has room for word that it is full; a closed one, or one that is full of notices, too, cannot be told.
        Err(PaperError::Mailbox) => match refuse(gateway, &asked, at, ends(), &FULL) {
            Err(PaperError::Mailbox) => Ok(drop(gateway.store.commit(ends())?)),
            told => told,
        },
        done => done,
    }
}

/// The statement of this very mailbox that a request names.
fn named(gateway: &Gateway, asked: &Asked) -> Result<Option<(String, String)>, PaperError> {
    named_by(gateway, &asked.mailbox, &asked.messages, &asked.statements)
}

/// The statement of this very mailbox that is named by a message it came in, or by its number.
pub(in crate::flow) fn named_by(gateway: &Gateway, mailbox: &str, messages: &[String], statements: &[String]) -> Result<Option<(String, String)>, PaperError> {
    let is_theirs = |bureau: &str, statement: &str| -> Result<bool, PaperError> {
        let found = gateway.store.get(&item_key(bureau, statement))?;
        Ok(found.map(|bytes| Item::decode(&bytes)).transpose()?.is_some_and(|item| item.mailbox == mailbox))
    };
    for statement in statements {
        for shown in crate::bureau::list(&*gateway.store)? {
            if is_theirs(&shown.code, statement)? {
                return Ok(Some((shown.code, statement.clone())));
            }
        }
    }
    let wanted: Vec<String> = messages.iter().map(|id| format!("\r\nMessage-ID: <{id}>\r\n")).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let is_named = |message: &[u8]| {
        let header = message.get(..message.len().min(4_096)).map(String::from_utf8_lossy).unwrap_or_default();
        wanted.iter().any(|id| header.contains(id))
    };
    let Some(message) = gateway.messages.find_message(mailbox, MESSAGES, &is_named)? else { return Ok(None) };
    match statement::named_by(&message, &gateway.directory_key) {
        Some(Named { bureau, statement }) if is_theirs(&bureau, &statement)? => Ok(Some((bureau, statement))),
        _ => Ok(None),
    }
}

type Words = [&'static str; 2];

const UNKNOWN: Words = [
    "没有找到您要的对账单。请直接回复该对账单邮件，或在主题中写明对账单编号。只能索取本邮箱收到过、且没有删除的对账单。",
    "The statement that you asked for was not found. Reply to the statement's own message, or write its number in the subject. It must have come to this mailbox and not have been deleted.",
];
const ENDED: Words = ["该对账单已被更正或撤回，请索取更正后的对账单。", "That statement was superseded or withdrawn. Ask for the one that holds."];
const FULL: Words = ["您的邮箱已满，PDF 无法放入。请删除一些邮件后重新索取。", "Your mailbox is full and has no room for the PDF. Delete some mail and ask again."];
const ENCRYPTED: Words = [
    "该对账单已用您的证书加密，系统无法打开。请用您的邮件程序打开并打印。",
    "That statement is encrypted to your certificate and nobody here can open it. Open and print it with your mail program.",
];

/// Says why not, in one commit with the request's end.
fn refuse(gateway: &Gateway, asked: &Asked, at: OffsetDateTime, mut write: Batch, words: &Words) -> Result<(), PaperError> {
    let number = MailboxNumber::parse(&asked.mailbox).map_err(|_| RecordError::Damaged { kind: "paper asked", reason: "its mailbox is none" })?;
    write = write.expect(still_open(number));
    let (domain, mut out) = (&gateway.settings.domain, Vec::new());
    header::mailbox(&mut out, "From", "对账单 PDF", &format!("{ADDRESS}@{domain}"));
    header::plain(&mut out, "To", &format!("{}@{domain}", asked.mailbox));
    header::words(&mut out, "Subject", "未能生成 PDF / No PDF was made");
    header::plain(&mut out, "Date", &header::date(at));
    let token = crate::hex(crate::record::body::digest(format!("suiyin paper refused v1\n{}\n{}\n{}", asked.mailbox, asked.request, asked.unix_millis).as_bytes()).get(..16).unwrap_or_default());
    header::plain(&mut out, "Message-ID", &format!("<{token}@{domain}>"));
    if !asked.request.is_empty() && asked.request.bytes().all(|byte| byte.is_ascii_graphic()) {
        header::plain(&mut out, "In-Reply-To", &format!("<{}>", asked.request));
    }
    // spec: rfc3834#5
    header::plain(&mut out, "Auto-Submitted", "auto-replied");
    header::plain(&mut out, "Content-Language", "zh, en");
    header::plain(&mut out, "MIME-Version", "1.0");
    header::plain(&mut out, "Content-Type", "text/plain; charset=utf-8");
    header::plain(&mut out, "Content-Transfer-Encoding", "quoted-printable");
    out.extend_from_slice(b"\r\n");
    quoted_printable::encode(&format!("{}\n\n{}\n", words[0], words[1]), &mut out);
    let now = gateway.now_unix_millis();
    let content = Arc::new(gateway.messages.body(&out)?).into();
    let delivery = Delivery { mailbox: asked.mailbox.clone(), folder: super::INBOX.to_owned(), content, unix_millis: i64::try_from(now).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    match gateway.messages.deliver_notices(&[delivery], write, now) {
        Ok(_) => Ok(()),
        Err(MailError::OverQuota { .. } | MailError::Conflict { .. }) => Err(PaperError::Mailbox),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_what_it_answers_and_numbers_in_its_subject() {
        let read = |header: &str| Request::read(format!("{header}\r\n\r\nStatement HF-9\r\n").as_bytes());
        let request = read("Message-ID: <q@x>\r\nIn-Reply-To: <b@x>\r\nReferences: <a@x> <b@x>\r\nSubject: =?UTF-8?B?5Zue5aSN77ya?= HF202610-00000001, please");
        assert_eq!((request.messages, request.statements, request.request), (vec!["b@x".to_owned(), "a@x".to_owned()], vec!["HF202610-00000001".to_owned()], "q@x".to_owned()));
        // Nothing of it is more than a few names.
        let many = read(&format!("Subject: {}\r\nReferences: {}", "A1 ".repeat(99), "<a@b> <c@d> ".repeat(99)));
        assert_eq!((many.statements.len(), many.messages.len()), (NAMES, NAMES));
        assert_eq!(Request::read(b""), Request { messages: vec![], statements: vec![], request: String::new() });
    }
}
