//! Owners give and take back consent by mail, under their own login: the subject says which. No counter is needed, and nobody says it for
//! another.
//!
//! | # | Step | Why here |
//! |---|---|---|
//! | 1 | the request waits, in the commit that takes the mail | what was said is not lost |
//! | 2 | the subject is read: giving names a sender and a kind, taking back may name less | nobody agrees to more than was written |
//! | 3 | what changes, its leaf of the log, the answer and the request's end are one commit | answered once, and as it holds |

use std::collections::BTreeMap;

use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use protocol::smtp::exchange::{Host, Recipient};
use store::{Batch, CommitError, Expectation, Key, StoreError};
use time::OffsetDateTime;

use super::offers::{Offer, offers};
use crate::bureau::{self, BureauError};
use crate::directory::{DirectoryError, still_open};
use crate::flow::enrolment::EnrolmentError;
use crate::flow::fields::Asking;
use crate::flow::{notification, waiting};
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError};
use crate::mime::header;
use crate::record::consent_asked::Asked;
use crate::record::{RecordError, body};
use crate::statement::CONSENT as ADDRESS;

const INBOX: &str = "INBOX";
/// The most characters of a subject that are read.
const WORDS: usize = 200;
/// Requests of one mailbox that wait at a time.
const WAITING: usize = 20;
/// The most lines of a list in an answer.
const LINES: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum AskedError {
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A request as it was read.
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

    /// None where a program answered of its own accord. `by_owner`: who sent it logged in as the mailbox's owner, and not by a program's
    /// password or as an operator.
    pub fn read(message: &[u8], by_owner: bool) -> Option<Self> {
        if notification::is_automatic(message) {
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

/// What a subject wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Show,
    Give,
    Withdraw,
}

impl Wish {
    fn of(words: &str) -> Self {
        let lower = words.to_lowercase();
        let has = |any: &[&str]| any.iter().any(|one| lower.contains(one));
        // Whoever writes both takes back, and whoever denies gives nothing: 不同意 is no consent, and neither is "I do not agree".
        let denies = lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "not" | "never" | "no" | "cannot" | "without" | "refuse"));
        let denies = denies || has(&["n't", "n’t", "不同意", "不再", "不愿", "不想", "不要", "不接", "没同意", "没有同意", "未同意", "未曾", "从未", "拒绝", "勿"]);
        if denies || has(&["撤回", "取消", "停止", "withdraw", "stop", "disagree"]) {
            Self::Withdraw
        } else if has(&["同意", "give", "agree"]) {
            Self::Give
        } else {
            Self::Show
        }
    }

    /// Which of the offers a subject names. Who gives says both sender and kind; who takes back may name one of them, or everything.
    fn means(self, words: &str, offers: &[Offer]) -> Vec<usize> {
        let tokens: Vec<String> = words.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).map(str::to_ascii_lowercase).collect();
        let named = |code: &str, chinese: &str| tokens.contains(&code.to_ascii_lowercase()) || (!chinese.is_empty() && words.contains(chinese));
        let by_sender = |offer: &Offer| named(&offer.bureau, &offer.sender[0]);
        let by_kind = |offer: &Offer| named(&offer.kind, &offer.title[0]);
        let (any_sender, any_kind) = (offers.iter().any(by_sender), offers.iter().any(by_kind));
        let is_meant = |offer: &Offer| match self {
            Self::Show => false,
            // What the sender sends no more is given to nobody: it can only be taken back.
            Self::Give => offer.sends && by_sender(offer) && by_kind(offer),
            Self::Withdraw if any_sender || any_kind => (!any_sender || by_sender(offer)) && (!any_kind || by_kind(offer)),
            Self::Withdraw => is_everything(words),
        };
        offers.iter().enumerate().filter(|(_, offer)| is_meant(offer)).map(|(at, _)| at).collect()
    }
}

fn is_everything(words: &str) -> bool {
    ["全部", "所有"].iter().any(|all| words.contains(all)) || words.split(|c: char| !c.is_ascii_alphanumeric()).any(|token| token.eq_ignore_ascii_case("all"))
}

/// Answers each, in one commit with its end. How many were answered.
pub fn answer_all(gateway: &Gateway) -> Result<u64, AskedError> {
    waiting::answer_each(&*gateway.store, Asked::all(), |place, stored| answer(gateway, place, stored))
}

fn answer(gateway: &Gateway, place: &Key, stored: &[u8]) -> Result<(), AskedError> {
    let asked = Asked::open(place, stored, &gateway.directory_key)?;
    let ends = Batch::new().expect(Expectation::Equals(place.clone(), stored.to_vec())).delete(place.clone());
    let number = MailboxNumber::parse(&asked.mailbox).map_err(|_| RecordError::Damaged { kind: "consent asked", reason: "its mailbox is none" })?;
    if !gateway.directory.get(number)?.is_some_and(|account| account.is_open()) {
        return Ok(drop(gateway.store.commit(ends)?));
    }
    let (batch, said) = if asked.program { (ends, PROGRAMS.map(str::to_owned)) } else { decide(gateway, &asked, ends)? };
    let now = gateway.now_unix_millis();
    let content = written(gateway, &asked, &said).into();
    let delivery = Delivery { mailbox: asked.mailbox.clone(), folder: INBOX.to_owned(), content, unix_millis: i64::try_from(now).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    let batch = batch.expect(still_open(number));
    match gateway.messages.deliver_notices(&[delivery], batch.clone(), now) {
        Ok(_) => Ok(()),
        // Even the reserve is used up: what was said holds, unanswered.
        Err(MailError::OverQuota { .. }) => Ok(drop(gateway.store.commit(batch)?)),
        Err(error) => Err(error.into()),
    }
}

/// Step 2, and what of step 3 is the owner's.
fn decide(gateway: &Gateway, asked: &Asked, mut batch: Batch) -> Result<(Batch, [String; 2]), AskedError> {
    let mut offers = offers(gateway, &asked.mailbox)?;
    let wish = Wish::of(&asked.words);
    let meant = wish.means(&asked.words, &offers);
    let give = wish == Wish::Give;
    let mut of_senders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for offer in meant.iter().filter_map(|at| offers.get(*at)) {
        of_senders.entry(&offer.bureau).or_default().push(&offer.kind);
    }
    // What was said of one sender is read once, so it is changed once.
    if wish == Wish::Withdraw && meant.len() == offers.len() && is_everything(&asked.words) {
        // Of every sender, what asks for no consent now as well.
        for shown in bureau::list(&*gateway.store)? {
            batch = super::say(gateway, batch, &asked.mailbox, &shown.code, None, false, gateway.now_unix_millis())?.0;
        }
    } else {
        for (bureau, kinds) in of_senders {
            batch = super::say(gateway, batch, &asked.mailbox, bureau, Some(&kinds), give, gateway.now_unix_millis())?.0;
        }
    }
    for at in &meant {
        offers.get_mut(*at).into_iter().for_each(|offer| offer.holds = give);
    }
    let [mut chinese, mut english] = match (wish, meant.is_empty()) {
        (Wish::Show, _) => ["", ""],
        (_, true) => ["没有看懂您指的是哪个单位的哪类邮件，未作任何更改。", "It is not clear which sender and which kind you mean; nothing was changed."],
        (Wish::Give, _) => ["已记录您的同意。", "Your consent is recorded."],
        (Wish::Withdraw, _) => ["已撤回，从下一封起不再投递。", "It is taken back, and holds from the next delivery on."],
    }
    .map(str::to_owned);
    for (holds, title, title_en) in [(true, "您同意接收：", "You consented to:"), (false, "可以同意接收：", "You may consent to:")] {
        let listed: Vec<&Offer> = offers.iter().filter(|offer| offer.holds == holds).take(LINES).collect();
        if !listed.is_empty() {
            chinese += &format!("\n\n{title}\n");
            english += &format!("\n\n{title_en}\n");
        }
        for Offer { bureau, sender, kind, title, .. } in listed {
            chinese += &format!("  {} — {}（{bureau} {kind}）\n", title[0], sender[0]);
            english += &format!("  {} — {} ({bureau} {kind})\n", title[1], sender[1]);
        }
    }
    Ok((batch, [chinese.trim().to_owned(), english.trim().to_owned()]))
}

const PROGRAMS: [&str; 2] = [
    "您是用程序专用密码或以操作员身份登录的，程序和操作员都不能代替邮箱所有人同意或撤回。请用该邮箱本身的密码或证书登录后再发。",
    "You were logged in by a password that a program holds, or as an operator; neither consents for the mailbox's owner. Log in by the mailbox's own password or certificate, and write again.",
];
const HELP: &str = "写信给本地址，主题写明：\n  同意 单位代码 邮件类别（如：同意 gz-gas utility-bill）\n  撤回 单位代码 邮件类别；或：撤回 全部\n  其他任何主题：查询\n\
Write to this address; the subject says what you wish:\n  give SENDER KIND (such as: give gz-gas utility-bill)\n  withdraw SENDER KIND, or: withdraw all\n  anything else: shows what holds\n";

fn written(gateway: &Gateway, asked: &Asked, [chinese, english]: &[String; 2]) -> Vec<u8> {
    let (domain, mut out) = (&gateway.settings.domain, Vec::with_capacity(2 * 1024));
    header::mailbox(&mut out, "From", "接收同意 / Consent to mail", &format!("{ADDRESS}@{domain}"));
    header::plain(&mut out, "To", &format!("{}@{domain}", asked.mailbox));
    header::words(&mut out, "Subject", "您同意接收的邮件 / The mail that you consent to");
    if !asked.request.is_empty() && asked.request.bytes().all(|byte| byte.is_ascii_graphic()) {
        header::plain(&mut out, "In-Reply-To", &format!("<{}>", asked.request));
    }
    let token = crate::hex(body::digest(format!("suiyin consent answered v1\n{}\n{}\n{}", asked.mailbox, asked.request, asked.unix_millis).as_bytes()).get(..16).unwrap_or_default());
    notification::finish(&mut out, domain, &token, &format!("{chinese}\n\n{english}\n\n{HELP}"), gateway.clock.now());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(bureau: &str, name: &str, kind: &str, title: &str) -> Offer {
        Offer { bureau: bureau.into(), sender: [name.into(), name.into()], kind: kind.into(), title: [title.into(), title.into()], holds: false, sends: true }
    }

    #[test]
    fn a_subject_gives_no_more_than_it_names() {
        let offers = [offer("gz-gas", "广州燃气", "utility-bill", "公用事业账单"), offer("gz-gas", "广州燃气", "city-news", "政务要闻"), offer("gz-water", "广州自来水", "utility-bill", "公用事业账单")];
        for (words, wish, meant) in [
            ("同意 gz-gas utility-bill", Wish::Give, vec![0]),
            ("Re: GIVE GZ-GAS CITY-NEWS", Wish::Give, vec![1]),
            ("同意接收广州自来水的公用事业账单", Wish::Give, vec![2]),
            // Neither half of it is enough.
            ("同意 gz-gas", Wish::Give, vec![]),
            ("同意 全部", Wish::Give, vec![]),
            ("give utility-bill", Wish::Give, vec![]),
            ("不同意 gz-gas utility-bill", Wish::Withdraw, vec![0]),
            ("I disagree: utility-bill", Wish::Withdraw, vec![0, 2]),
            ("I do not agree to gz-gas utility-bill", Wish::Withdraw, vec![0]),
            ("don’t agree: gz-gas utility-bill", Wish::Withdraw, vec![0]),
            ("我从未同意 gz-gas utility-bill", Wish::Withdraw, vec![0]),
            ("没有同意过 gz-gas utility-bill", Wish::Withdraw, vec![0]),
            ("agree gz-gas tax-notice", Wish::Give, vec![]),
            ("取消广州燃气", Wish::Withdraw, vec![0, 1]),
            ("撤回 全部", Wish::Withdraw, vec![0, 1, 2]),
            ("stop all", Wish::Withdraw, vec![0, 1, 2]),
            ("stop", Wish::Withdraw, vec![]),
            ("stop gz-gas-two", Wish::Withdraw, vec![]),
            ("", Wish::Show, vec![]),
        ] {
            assert_eq!((Wish::of(words), Wish::of(words).means(words, &offers)), (wish, meant), "{words}");
        }
    }
}
