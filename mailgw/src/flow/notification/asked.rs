//! Owners say by mail, under their own login, where they wish to be told: a number or an address in the subject, then the code that came
//! there. No page of the web is needed, and nobody says it for another.

use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use protocol::smtp::trace;
use protocol::smtp::exchange::{Host, Recipient};
use store::{Batch, CommitError, Expectation, Key, StoreError};
use time::OffsetDateTime;

use super::enrol::{By, Decided, decide, refused, shown};
use super::{NotificationError, Shown, Word, letter};
use crate::flow::fields::Asking;
use crate::flow::waiting;
use crate::directory::still_open;
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError};
use crate::mime::header;
use crate::record::RecordError;
use crate::record::account::Account;
use crate::record::body;
use crate::record::notification::{Asked, Channel, Places};

/// What stands before the `@` of the address. No mailbox bears it.
pub const ADDRESS: &str = "notice";
const INBOX: &str = "INBOX";
/// The most characters of a subject that are read.
const WORDS: usize = 200;
/// Requests of one mailbox that wait at a time.
const WAITING: usize = 20;

/// A request as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    words: String,
    request: String,
    program: bool,
}

impl Request {
    /// Whether mail to this recipient is one; `domain` is that of our mailboxes.
    pub fn is_for(recipient: &Recipient, domain: &str) -> bool {
        matches!(recipient, Recipient::Mailbox(address) if address.local().eq_ignore_ascii_case(ADDRESS)
            && matches!(address.host(), Host::Name(name) if name.as_str().eq_ignore_ascii_case(domain)))
    }

    /// What a program answered of its own accord is none: two programs would answer each other for ever. spec: rfc3834#2
    /// `by_owner`: who sent it logged in as the mailbox's owner, and not by a program's password or as an operator.
    pub fn read(message: &[u8], by_owner: bool) -> Option<Self> {
        if is_automatic(message) {
            return None;
        }
        let Asking { subject, message_id, .. } = Asking::read(message);
        Some(Self { words: subject.chars().take(WORDS).collect(), request: message_id.chars().take(WORDS).collect(), program: !by_owner })
    }

    /// Whether one more of this mailbox may wait.
    pub fn may_wait(gateway: &Gateway, mailbox: &str) -> Result<bool, StoreError> {
        waiting::may_wait(&*gateway.store, Asked::of_mailbox(mailbox), WAITING)
    }

    /// Puts it into the commit that takes the mail; `token` is random.
    pub fn put(self, batch: Batch, gateway: &Gateway, mailbox: &str, token: &str, now: OffsetDateTime) -> Result<Batch, RecordError> {
        let place = Asked::key(mailbox, token);
        let asked = Asked { mailbox: mailbox.to_owned(), words: self.words, request: self.request, unix_millis: unix_millis(now), program: self.program };
        let sealed = asked.seal(&place, &gateway.directory_key)?;
        Ok(batch.put(place, sealed))
    }
}

/// Whether a program wrote it of its own accord. spec: rfc3834#5
pub(in crate::flow) fn is_automatic(message: &[u8]) -> bool {
    // By hand: mail-parser reads every field, and looks long for encoded words in those of a stranger.
    let (fields, _) = trace::fields(message);
    let said = |field: &&[u8]| {
        let (name, value) = field.split_at_checked(field.iter().position(|byte| *byte == b':')?)?;
        name.trim_ascii().eq_ignore_ascii_case(b"Auto-Submitted").then(|| value.get(1..).unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"no"))
    };
    fields.is_empty() || fields.iter().filter_map(said).any(|by_hand| !by_hand)
}

/// What the words of a subject say; none where they ask what holds. Pure.
fn read(words: &str) -> Option<Word> {
    let lower = words.to_lowercase();
    let has = |any: &[&str]| any.iter().any(|one| lower.contains(one));
    let tokens: Vec<&str> = words.split(|c: char| c.is_whitespace() || "：:，,；;。".contains(c)).filter(|token| !token.is_empty()).collect();
    if let Some(address) = tokens.iter().find(|token| token.contains('@')) {
        return Some(Word::Name { channel: Channel::Mail, address: (*address).to_owned() });
    }
    let digits = |token: &&&str| token.trim_start_matches('+').len() >= 8 && token.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-'));
    if let Some(number) = tokens.iter().find(digits) {
        return Some(Word::Name { channel: Channel::Text, address: (*number).to_owned() });
    }
    if let Some(code) = tokens.iter().find(|token| token.len() == 6 && token.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(Word::Confirm { code: (*code).to_owned() });
    }
    if has(&["取消", "停止", "withdraw", "stop"]) {
        let channel = match (has(&["手机", "短信", "phone"]), has(&["邮箱", "邮件", "mail"])) {
            (true, false) => Some(Channel::Text),
            (false, true) => Some(Channel::Mail),
            _ => None,
        };
        return Some(Word::Withdraw { channel });
    }
    if has(&["所有", "全部", "all"]) {
        return Some(Word::EveryMail { on: true });
    }
    has(&["对账单", "statements"]).then_some(Word::EveryMail { on: false })
}

/// Does what was asked and answers it, in one commit with the request's end. How many were answered.
pub fn answer_all(gateway: &Gateway) -> Result<u64, NotificationError> {
    waiting::answer_each(&*gateway.store, Asked::all(), |place, stored| answer(gateway, place, stored))
}

fn answer(gateway: &Gateway, place: &Key, stored: &[u8]) -> Result<(), NotificationError> {
    let asked = Asked::open(place, stored, &gateway.directory_key)?;
    let ends = || Batch::new().expect(Expectation::Equals(place.clone(), stored.to_vec())).delete(place.clone());
    let account = MailboxNumber::parse(&asked.mailbox).ok().map(|number| gateway.directory.get(number)).transpose()?.flatten().filter(Account::is_open);
    let Some(account) = account else { return Ok(drop(gateway.store.commit(ends())?)) };
    let Decided { batch, mails, answer } = match read(&asked.words) {
        // What a program holds for itself moves and silences nothing.
        _ if asked.program => refused(ends(), NotificationError::Program),
        Some(word) => decide(gateway, &account, &word, By::Owner, ends())?,
        None => {
            let (places, _) = Places::known(&*gateway.store, &asked.mailbox, &gateway.directory_key)?;
            Decided { batch: ends(), mails: Vec::new(), answer: Ok(shown(gateway, &account, &places)) }
        }
    };
    let batch = batch.expect(still_open(account.number));
    let now = gateway.now_unix_millis();
    let content = written(gateway, &asked, &answer).into();
    let delivery = Delivery { mailbox: asked.mailbox.clone(), folder: INBOX.to_owned(), content, unix_millis: i64::try_from(now).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    match gateway.messages.deliver_notices(&[delivery], batch.clone(), now) {
        Ok(_) => {}
        // Even the reserve is used up: what was said holds, unanswered.
        Err(MailError::OverQuota { .. }) => drop(gateway.store.commit(batch)?),
        Err(MailError::Conflict { .. }) => return Err(NotificationError::Commit(CommitError::Conflict { expectation: 0 })),
        Err(error) => return Err(error.into()),
    }
    mails.into_iter().for_each(|id| gateway.queue.accepted(id));
    Ok(())
}

fn written(gateway: &Gateway, asked: &Asked, answer: &Result<Shown, NotificationError>) -> Vec<u8> {
    let (domain, mut out) = (&gateway.settings.domain, Vec::with_capacity(2 * 1024));
    header::mailbox(&mut out, "From", "到信通知 / Notices of new mail", &format!("{ADDRESS}@{domain}"));
    header::plain(&mut out, "To", &format!("{}@{domain}", asked.mailbox));
    header::words(&mut out, "Subject", "到信通知设置 / Your notices of new mail");
    if !asked.request.is_empty() && asked.request.bytes().all(|byte| byte.is_ascii_graphic()) {
        header::plain(&mut out, "In-Reply-To", &format!("<{}>", asked.request));
    }
    let token = crate::hex(body::digest(format!("suiyin notices answered v1\n{}\n{}\n{}", asked.mailbox, asked.request, asked.unix_millis).as_bytes()).get(..16).unwrap_or_default());
    letter::finish(&mut out, domain, &token, &text(answer), gateway.clock.now());
    out
}

const HELP: &str = "写信给本地址，主题写明：\n  手机号（如 13800138000）或另一邮箱地址：向该处发送验证码\n  收到的六位验证码：确认\n  所有邮件／对账单：所有来信都通知，或只通知对账单等推送邮件\n  取消：不再通知\n\
Write to this address; the subject says what you wish:\n  a mobile number or another mail address: a code is sent there\n  the six digits of the code: confirms it\n  all / statements: of all mail, or of what bureaus push alone\n  stop: nothing is told any more\n";

fn text(answer: &Result<Shown, NotificationError>) -> String {
    let [chinese, english] = match answer {
        Ok(shown) => told(shown),
        Err(error) => refusal(error).map(str::to_owned),
    };
    format!("{chinese}\n\n{english}\n\n{HELP}")
}

fn told(shown: &Shown) -> [String; 2] {
    let [mut chinese, mut english] = ["通知发往：\n", "Notices go to:\n"].map(str::to_owned);
    for place in &shown.places {
        let waits = place.state != "confirmed";
        let (zh, en) = match place.channel {
            Channel::Text => ("手机", "phone"),
            Channel::Mail => ("邮箱", "mailbox"),
        };
        chinese += &format!("  {zh} {}{}\n", place.masked, if waits { "（待确认，请回复验证码）" } else { "" });
        english += &format!("  {en} {}{}\n", place.masked, if waits { " (not confirmed yet: answer with the code)" } else { "" });
    }
    if shown.places.is_empty() {
        return ["目前不通知任何手机或邮箱。".to_owned(), "Nobody is told elsewhere.".to_owned()];
    }
    chinese += if shown.every_mail { "所有来信都通知。" } else { "只通知对账单等推送邮件。" };
    english += if shown.every_mail { "Of all mail." } else { "Of what bureaus push alone." };
    [chinese, english]
}

fn refusal(error: &NotificationError) -> [&'static str; 2] {
    match error {
        NotificationError::NoTexts => ["本系统目前不发短信通知。", "No phone can be told here at present."],
        NotificationError::NoMail => ["本系统目前不向其他邮箱发通知。", "No other mailbox can be told here at present."],
        NotificationError::Phone(_) => ["手机号不正确：内地号码写 11 位，其他写 + 和国家或地区号码。", "That is no mobile number: write 11 digits, or + and the country's code."],
        NotificationError::Address => ["邮箱地址不正确，或是本系统的邮箱。", "That is no mail address, or one of this very domain."],
        NotificationError::TooManyCodes { .. } => ["今天发送的验证码已达上限，请明天再试。", "Too many codes were sent today; try again tomorrow."],
        NotificationError::NoCode | NotificationError::CodeOver => ["验证码已失效，请重新写明手机号或邮箱地址。", "The code is over; name the number or the address again."],
        NotificationError::WrongCode { .. } => ["验证码不正确，请再看一次。", "That is not the code that was sent; look again."],
        NotificationError::Program => [
            "您是用程序专用密码登录的，程序不能替本人设置通知。请用您本人的密码或证书登录后再发。",
            "You were logged in by a password that a program holds, and no program sets your notices. Log in by your own password or certificate, and write again.",
        ],
        NotificationError::NotEnrolled => ["目前没有可取消的通知。", "There is nothing to withdraw."],
        _ => ["暂时不能办理，请稍后再试。", "It cannot be done now; try again later."],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_subject_says_what_its_owner_wishes() {
        let name = |channel, address: &str| Some(Word::Name { channel, address: address.into() });
        for (words, word) in [
            ("手机：13800138000", name(Channel::Text, "13800138000")),
            ("+852-91234567 please", name(Channel::Text, "+852-91234567")),
            ("通知到 Zhang.San@c.cn", name(Channel::Mail, "Zhang.San@c.cn")),
            ("Re: 确认 012345", Some(Word::Confirm { code: "012345".into() })),
            ("取消手机", Some(Word::Withdraw { channel: Some(Channel::Text) })),
            ("STOP mail", Some(Word::Withdraw { channel: Some(Channel::Mail) })),
            ("取消", Some(Word::Withdraw { channel: None })),
            ("所有邮件", Some(Word::EveryMail { on: true })),
            ("statements", Some(Word::EveryMail { on: false })),
            ("", None),
            ("你好", None),
        ] {
            assert!(read(words) == word, "{words}");
        }
    }

    #[test]
    fn programs_are_not_answered() {
        let read = |more: &str| Request::read(format!("Message-ID: <a@b>\r\nSubject: =?UTF-8?B?5Y+W5raI?=\r\n{more}\r\n\r\n").as_bytes(), true);
        assert_eq!(read("Auto-Submitted: no").unwrap(), Request { words: "取消".into(), request: "a@b".into(), program: false });
        assert_eq!((read("Auto-Submitted: auto-replied"), Request::read(b"", true)), (None, None));
    }
}
