//! Evidence that an owner read a statement: by an act of the owner alone, and never by what a mail program fetched.
//!
//! | # | Step | Why here |
//! |---|---|---|
//! | 1 | the owner names a statement by mail, logged in by the own password or certificate | what a program holds for itself proves no person, and an operator is not the owner |
//! | 2 | a code goes into the mailbox, with words that say what it means to send it back | nobody hands over evidence unawares |
//! | 3 | the code comes back, typed, within the hour, under such a login again | a program that answers by itself does not |
//! | 4 | the item of evidence, where it is found again and the answer, in one commit | once for a statement's message |
// spec: EN 319 522-1#6 (event E.1, ContentHandover)

use policies::mailbox::MailboxNumber;
use policies::sender::Evidence as KindEvidence;
use protocol::imap::exchange::Flags;
use protocol::smtp::exchange::{Host, Recipient};
use store::{Batch, CommitError, Expectation, Key, StoreError};
use time::OffsetDateTime;

use super::fields::Asking;
use super::{notification, paper, waiting};
use crate::directory::{Credential, NoRandomness, still_open};
use crate::erds::{Act, Event as Delivery, Item as Evidence, Of, Submission};
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{self, MailError};
use crate::mime::header;
use crate::record::evidence::Recorded;
use crate::record::push::{Item, PushBatch, batch_key, item_key};
use crate::record::reading::{Asked, Waiting};
use crate::record::{RecordError, access, body};
use crate::wire::accounts::Login;

/// What stands before the `@` of the address. No mailbox bears it.
pub const ADDRESS: &str = crate::statement::READ_ADDRESS;
const INBOX: &str = "INBOX";
/// Milliseconds that a code is good for, and how often it may be tried.
const LASTS: u64 = 3_600_000;
const TRIES: u32 = 5;
/// Requests of one mailbox that wait at a time.
const MOST: usize = 20;
/// As it is stored of everybody who is not the owner: a program, or an operator.
const PROGRAM: &str = "program";

#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    #[error(transparent)]
    Paper(#[from] paper::PaperError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Directory(#[from] crate::directory::DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Whether mail to this recipient says that a statement was read; `domain` is that of our mailboxes.
pub fn is_for(recipient: &Recipient, domain: &str) -> bool {
    matches!(recipient, Recipient::Mailbox(address) if address.local().eq_ignore_ascii_case(ADDRESS)
        && matches!(address.host(), Host::Name(name) if name.as_str().eq_ignore_ascii_case(domain)))
}

/// A request as it was read.
pub struct Request {
    named: paper::Request,
    code: Option<String>,
    login: &'static str,
}

impl Request {
    /// None where a program answered of its own accord.
    pub fn read(message: &[u8], login: Login) -> Option<Self> {
        if notification::is_automatic(message) {
            return None;
        }
        // An operator's certificate is the operator's own: it declares nothing for the institution.
        let login = match login.credential {
            Credential::Password if login.is_owner() => "password",
            Credential::Certificate(_) if login.is_owner() => "certificate",
            _ => PROGRAM,
        };
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        let code = Asking::read(message).subject.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code).map(str::to_owned);
        Some(Self { named: paper::Request::read(message), code, login })
    }

    /// Whether one more of this mailbox may wait.
    pub fn may_wait(gateway: &Gateway, mailbox: &str) -> Result<bool, StoreError> {
        waiting::may_wait(&*gateway.store, Asked::of_mailbox(mailbox), MOST)
    }

    /// Puts it into the commit that takes the mail; `token` is random.
    pub fn put(self, batch: Batch, gateway: &Gateway, mailbox: &str, token: &str, now: OffsetDateTime) -> Result<Batch, RecordError> {
        let (place, paper::Request { messages, statements, request }) = (Asked::key(mailbox, token), self.named);
        let asked = Asked { mailbox: mailbox.to_owned(), messages, statements, code: self.code, login: self.login.to_owned(), request, unix_millis: unix_millis(now) };
        let sealed = asked.seal(&place, &gateway.directory_key)?;
        Ok(batch.put(place, sealed))
    }
}

/// Answers what was written, each in one commit with its end. How many were answered.
pub fn answer_all(gateway: &Gateway) -> Result<u64, ReadingError> {
    waiting::answer_each(&*gateway.store, Asked::all(), |place, stored| answer(gateway, place, stored))
}

type Words = [String; 2];

fn words(both: [&str; 2]) -> Words {
    both.map(str::to_owned)
}

fn answer(gateway: &Gateway, place: &Key, stored: &[u8]) -> Result<(), ReadingError> {
    let asked = Asked::open(place, stored, &gateway.directory_key)?;
    let ends = Batch::new().expect(Expectation::Equals(place.clone(), stored.to_vec())).delete(place.clone());
    let number = MailboxNumber::parse(&asked.mailbox).map_err(|_| RecordError::Damaged { kind: "reading asked", reason: "its mailbox is none" })?;
    if !gateway.directory.get(number)?.is_some_and(|account| account.is_open()) {
        return Ok(drop(gateway.store.commit(ends)?));
    }
    let key = Waiting::key(&asked.mailbox);
    let waiting = gateway.store.get(&key)?;
    let (batch, said) = if asked.login == PROGRAM {
        (ends, words(PROGRAMS))
    } else {
        match (&asked.code, waiting) {
            (Some(code), Some(waiting)) => returned(gateway, &asked, code, waiting, ends)?,
            (_, waiting) => named(gateway, &asked, waiting, ends)?,
        }
    };
    deliver(gateway, &asked, &said, batch.expect(still_open(number)))
}

/// Step 2: the statement that is named, and a code about it.
fn named(gateway: &Gateway, asked: &Asked, waiting: Option<Vec<u8>>, batch: Batch) -> Result<(Batch, Words), ReadingError> {
    let Some((bureau, statement)) = paper::named_by(gateway, &asked.mailbox, &asked.messages, &asked.statements)? else { return Ok((batch, words(UNKNOWN))) };
    let Some(item) = gateway.store.get(&item_key(&bureau, &statement))?.map(|bytes| Item::decode(&bytes)).transpose()? else { return Ok((batch, words(UNKNOWN))) };
    if item.ended.is_some() {
        return Ok((batch, words(ENDED)));
    }
    let code = gateway.notifications.code()?;
    let place = Waiting::key(&asked.mailbox);
    let until = gateway.now_unix_millis().saturating_add(LASTS);
    let waits = Waiting { bureau, statement: statement.clone(), message: item.message, code: digest(gateway, &asked.mailbox, &code), until_unix_millis: until, tries: 0 };
    let before = waiting.map_or_else(|| Expectation::Absent(place.clone()), |bytes| Expectation::Equals(place.clone(), bytes));
    let batch = batch.expect(before).put(place.clone(), waits.seal(&place, &gateway.directory_key)?);
    let said = [
        format!("您正要声明已亲自阅读对账单 {statement}。\n\n如属实，请回复本邮件，并在主题中填写验证码 {code}（一小时内有效）。发送单位将得到您已阅读的证据。不回复即不声明，不影响您的任何权利。"),
        format!("You are about to declare that you yourself have read the statement {statement}.\n\nIf so, answer this message and write the code {code} in the subject within an hour. Its sender is then given evidence that you read it. If you do not answer, nothing is declared, and no right of yours is touched."),
    ];
    Ok((batch, said))
}

/// Steps 3 and 4: the code came back.
fn returned(gateway: &Gateway, asked: &Asked, code: &str, stored: Vec<u8>, batch: Batch) -> Result<(Batch, Words), ReadingError> {
    let place = Waiting::key(&asked.mailbox);
    let mut waiting = Waiting::open(&place, &stored, &gateway.directory_key)?;
    let (batch, now) = (batch.expect(Expectation::Equals(place.clone(), stored)), asked.unix_millis);
    if now >= waiting.until_unix_millis || waiting.tries >= TRIES {
        return Ok((batch.delete(place), words(OVER)));
    }
    if digest(gateway, &asked.mailbox, code) != waiting.code {
        waiting.tries += 1;
        return Ok((batch.put(place.clone(), waiting.seal(&place, &gateway.directory_key)?), words(WRONG)));
    }
    let (batch, Waiting { bureau, statement, message, .. }) = (batch.delete(place), waiting);
    let hash = crate::erds::hash(&message).ok_or(RecordError::Damaged { kind: "reading code", reason: "its message is no digest" })?;
    let (known, still) = access::read(&*gateway.store, &bureau, &statement, &hash)?;
    let item = gateway.store.get(&item_key(&bureau, &statement))?.map(|bytes| Item::decode(&bytes)).transpose()?;
    let Some(item) = item.filter(|item| item.mailbox == asked.mailbox && item.message == message && item.ended.is_none()) else { return Ok((batch, words(ENDED))) };
    if known {
        return Ok((batch, words(DONE)));
    }
    let Some(push) = gateway.store.get(&batch_key(&bureau, &item.batch))?.map(|bytes| PushBatch::decode(&bytes)).transpose()? else { return Ok((batch, words(UNKNOWN))) };
    if item.number == 0 || gateway.letters.get(&push.kind).is_some_and(|kind| kind.evidence() == KindEvidence::Logged) {
        return Ok((batch, words(NO_EVIDENCE)));
    }
    let submission = Submission { batch: item.batch.clone(), manifest: push.manifest, file: push.file, row: item.number, mends: None, corrects: None };
    let recipient = format!("{}@{}", asked.mailbox, gateway.settings.domain);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let of = Of { issuer: &gateway.settings.host, sender: &bureau, recipient: Some(&recipient), submission: &submission, message: Some(&message), secrecy: None, at };
    let evidence = Evidence::new(Delivery::ContentHandover, &of, None).acted(Act { login: asked.login.clone(), deed: "code-returned".to_owned() });
    let (batch, slot) = Recorded::new(&[evidence])?.put_batch(batch.expect(still), gateway.now_unix_millis())?;
    Ok((access::put_read(batch, &bureau, &statement, &hash, &item.batch, slot), words(DONE)))
}

fn digest(gateway: &Gateway, mailbox: &str, code: &str) -> String {
    crate::hex(&gateway.directory_key.index("reading code", format!("{mailbox}:{code}").as_bytes()))
}

const UNKNOWN: [&str; 2] = [
    "没有找到您要声明的对账单。请直接回复该对账单邮件，或在主题中写明对账单编号。",
    "The statement was not found. Answer the statement's own message, or write its number in the subject.",
];
const ENDED: [&str; 2] = ["该对账单已被更正或撤回，无须声明。", "That statement was superseded or withdrawn; there is nothing to declare."];
const OVER: [&str; 2] = ["验证码已失效，没有作出声明。如需声明，请重新回复对账单邮件。", "The code is over and nothing was declared. Answer the statement's message again if you wish."];
const WRONG: [&str; 2] = ["验证码不正确，没有作出声明。请再看一次。", "That is not the code, and nothing was declared. Look again."];
const DONE: [&str; 2] = ["已记录您的声明：您已亲自阅读该对账单。", "Your declaration is recorded: you yourself have read the statement."];
const NO_EVIDENCE: [&str; 2] = ["这类邮件不留存证据，无须声明。", "No evidence is kept of mail of this kind; there is nothing to declare."];
const PROGRAMS: [&str; 2] = [
    "您是用程序专用密码或以操作员身份登录的，程序和操作员都不能代替邮箱所有人声明。请用该邮箱本身的密码或证书登录后再发。",
    "You were logged in by a password that a program holds, or as an operator; neither declares for the mailbox's owner. Log in by the mailbox's own password or certificate, and write again.",
];

fn deliver(gateway: &Gateway, asked: &Asked, [chinese, english]: &Words, batch: Batch) -> Result<(), ReadingError> {
    let (domain, mut out) = (&gateway.settings.domain, Vec::with_capacity(2 * 1024));
    header::mailbox(&mut out, "From", "阅读声明 / Declaration of reading", &format!("{ADDRESS}@{domain}"));
    header::plain(&mut out, "To", &format!("{}@{domain}", asked.mailbox));
    header::words(&mut out, "Subject", "声明已阅读对账单 / To declare that a statement was read");
    if !asked.request.is_empty() && asked.request.bytes().all(|byte| byte.is_ascii_graphic()) {
        header::plain(&mut out, "In-Reply-To", &format!("<{}>", asked.request));
    }
    let token = crate::hex(body::digest(format!("suiyin reading answered v1\n{}\n{}\n{}", asked.mailbox, asked.request, asked.unix_millis).as_bytes()).get(..16).unwrap_or_default());
    notification::finish(&mut out, domain, &token, &format!("{chinese}\n\n{english}"), gateway.clock.now());
    let now = gateway.now_unix_millis();
    let delivery = mailbox::Delivery { mailbox: asked.mailbox.clone(), folder: INBOX.to_owned(), content: out.into(), unix_millis: i64::try_from(now).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    match gateway.messages.deliver_notices(&[delivery], batch.clone(), now) {
        Ok(_) => Ok(()),
        // Even the reserve is used up: what was said holds, unanswered.
        Err(MailError::OverQuota { .. }) => Ok(drop(gateway.store.commit(batch)?)),
        Err(error) => Err(error.into()),
    }
}
