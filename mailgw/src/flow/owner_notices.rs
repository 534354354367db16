//! Owners are told in their own mailbox what was done at the counter to who can open it: a password, an app password, a certificate, an
//! operator, a name, an address, a document, a phone that is told. One line: owed, in the commit of the act → told, in the commit that forgets it. No quota is in the
//! way, and whoever is told elsewhere that something arrived is told so of this.

use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use store::{Batch, CommitError, Expectation, Key};
use time::OffsetDateTime;

use super::{letter, waiting};
use crate::directory::{Account, DirectoryError, Scope, still_open};
use crate::gateway::Gateway;
use crate::mailbox::{Delivery, MailError};
use crate::mime::header;
use crate::record::RecordError;
use crate::record::evidence::ReadError;
use crate::record::notification::Channel;
use crate::record::owner_notice::{Act, OwnerNotice};

const INBOX: &str = "INBOX";

#[derive(Debug, thiserror::Error)]
pub enum OwnerNoticeError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<ReadError> for OwnerNoticeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

/// Tells everything that is owed. How many are owed no more, or the last reason why not all: one mailbox holds up no other.
pub fn tell_all(gateway: &Gateway) -> Result<u64, OwnerNoticeError> {
    waiting::answer_each(&*gateway.store, OwnerNotice::range(), |key, owed| match tell(gateway, key.clone(), owed.to_vec()) {
        // Told by somebody else, or closed, at this moment: the next turn sees which.
        Err(OwnerNoticeError::Mail(MailError::Conflict { .. } | MailError::Busy | MailError::NoFolder) | OwnerNoticeError::Commit(CommitError::Conflict { .. })) => Ok(()),
        done => done,
    })
}

fn tell(gateway: &Gateway, key: Key, owed: Vec<u8>) -> Result<(), OwnerNoticeError> {
    let (notice, number) = (OwnerNotice::decode(&owed)?, OwnerNotice::number(&key)?);
    let forget = Batch::new().expect(Expectation::Equals(key.clone(), owed)).delete(key);
    // 1. Whose it is; who has no mailbox any more is told nothing in it.
    let account = MailboxNumber::parse(&notice.mailbox).ok().map(|number| gateway.directory.get(number)).transpose()?.flatten().filter(Account::is_open);
    let Some(account) = account else {
        gateway.store.commit(forget)?;
        return Ok(());
    };
    // 2. In words: the city's language first.
    let words = words(gateway, &account, &notice.act)?;
    let now = gateway.clock.now();
    let message = letter::to_owner(gateway, &account, &format!("owner notice {number}"), &words.subject(), &words.text(at(&notice)), now);
    // 3. Told and no longer owed in one commit, however full the mailbox is.
    let unix_millis = gateway.now_unix_millis();
    let with = gateway.notifications.owed(forget.expect(still_open(account.number)), &notice.mailbox, unix_millis)?;
    let delivery = Delivery { mailbox: notice.mailbox, folder: INBOX.to_owned(), content: message.into(), unix_millis: i64::try_from(unix_millis).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    gateway.messages.deliver_owed(&[delivery], with, unix_millis)?;
    Ok(())
}

/// What was done: as a subject, and as a sentence whose time stands before it or after it.
struct Words {
    subject: [&'static str; 2],
    zh: String,
    en: String,
}

impl Words {
    fn new(subject: [&'static str; 2], zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { subject, zh: zh.into(), en: en.into() }
    }

    fn subject(&self) -> String {
        self.subject.join(" / ")
    }

    fn text(&self, at: OffsetDateTime) -> String {
        let (zh, en, at) = (&self.zh, &self.en, header::date(at));
        format!(
            "您好：\n\n{zh}（{at}）。\n\n如系您本人办理：无须操作。\n如非您本人办理：请立即联系服务窗口。\n\n本邮件由系统自动发送，无须回复。\n\n\
             Dear owner,\n\n{en} ({at}).\n\nIf you asked for it, there is nothing to do. If you did not, tell the counter at once.\n\n\
             This message was sent automatically; there is no need to answer.\n"
        )
    }
}

fn words(gateway: &Gateway, account: &Account, act: &Act) -> Result<Words, OwnerNoticeError> {
    let directory = &gateway.directory;
    Ok(match act {
        Act::PasswordSet { app_passwords } => Words::new(
            ["您的邮箱密码已重设", "Your mailbox has a new password"],
            format!("服务窗口重设了本邮箱的密码，原密码已失效{}", if *app_passwords { "，各程序专用密码一并撤销" } else { "" }),
            format!("The counter set a new password for this mailbox, and the former one opens it no more{}", if *app_passwords { "; the app passwords were withdrawn with it" } else { "" }),
        ),
        Act::PasswordWithdrawn { app_passwords } => Words::new(
            ["您的邮箱密码已停用", "The password of your mailbox was withdrawn"],
            format!("服务窗口停用了本邮箱的密码，任何人不能再凭其登录{}", if *app_passwords { "，各程序专用密码一并撤销" } else { "" }),
            format!("The counter withdrew the password of this mailbox, so that nobody logs in with it any more{}", if *app_passwords { "; the app passwords were withdrawn with it" } else { "" }),
        ),
        Act::AppPasswordMade { number, operator, scopes } => {
            let scopes = scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(", ");
            // What it is called is the owner's, and stands in its own record alone.
            let called = directory.app_passwords(account.number)?.into_iter().find(|kept| kept.number == *number).map(|kept| kept.name);
            let [zh, en] = [("“", "”"), (" \"", "\"")].map(|(open, close)| called.as_ref().map(|name| format!("{open}{name}{close}")).unwrap_or_default());
            let (whose_zh, whose_en) = operator.map(|operator| (format!("，供第 {operator} 号操作员使用"), format!(", of operator {operator}"))).unwrap_or_default();
            Words::new(
                ["您的邮箱新设了一个程序专用密码", "Your mailbox has a new app password"],
                format!("服务窗口为本邮箱新设了第 {number} 号程序专用密码{zh}（可用于 {scopes}）{whose_zh}"),
                format!("The counter made app password {number}{en} for this mailbox, for {scopes}{whose_en}"),
            )
        }
        Act::AppPasswordWithdrawn { number } => Words::new(
            ["您的邮箱撤销了一个程序专用密码", "An app password of your mailbox was withdrawn"],
            format!("服务窗口撤销了本邮箱的第 {number} 号程序专用密码"),
            format!("The counter withdrew app password {number} of this mailbox"),
        ),
        Act::CertificateAsked => Words::new(
            ["有人为您的邮箱申请了证书", "A certificate of your mailbox was asked for"],
            "服务窗口为本邮箱申请了数字证书；签发后，持有人可凭证书登录本邮箱并阅读加密邮件",
            "The counter asked for a certificate of this mailbox; whoever holds it can log in with it and read mail that is encrypted to it",
        ),
        Act::CertificateRenewed => Words::new(
            ["您的邮箱登记了续期的证书", "A renewed certificate of your mailbox was taken in"],
            "服务窗口为本邮箱登记了续期的数字证书；持有人可凭证书登录本邮箱并阅读加密邮件",
            "The counter took in a renewed certificate of this mailbox; whoever holds it can log in with it and read mail that is encrypted to it",
        ),
        Act::HolderRenamed => Words::new(
            ["您的邮箱所有人名称已变更", "The holder of your mailbox was renamed"],
            "服务窗口凭证明材料变更了本邮箱所有人的姓名或名称",
            "The counter changed the name of this mailbox's holder, by papers that were shown",
        ),
        Act::DocumentAdded => Words::new(
            ["您的邮箱登记了一份新的证件", "A further document of yours was taken in"],
            "服务窗口凭证明材料为本邮箱所有人登记了另一份证件，今后凭该证件亦可找到本邮箱，日后并可凭其申请重设密码",
            "The counter took in a further document of this mailbox's owner, by papers that were shown; it leads to this mailbox from now on, and later a new password can be asked for with it",
        ),
        Act::DocumentWithdrawn => Words::new(
            ["您的邮箱撤销了一份证件的登记", "A document of yours was withdrawn from your mailbox"],
            "服务窗口撤销了本邮箱所有人一份证件的登记，今后凭该证件不能再找到本邮箱，亦不能凭其申请重设密码",
            "The counter withdrew a document of this mailbox's owner; it leads to this mailbox no more, and no new password can be asked for with it",
        ),
        Act::AliasAdded { place } => {
            // The name stands in the owner's own record alone; it is never taken away.
            let named = (*place as usize).checked_sub(1).and_then(|place| account.aliases.get(place)).map(|alias| format!(" {alias}@{}", directory.domain())).unwrap_or_default();
            Words::new(
                ["您的邮箱新增了一个别名地址", "Your mailbox has a further address"],
                format!("服务窗口为本邮箱新增了别名地址{named}，发往该地址的邮件送达本邮箱，该别名永不再给他人"),
                format!("The counter gave this mailbox the further address{named}; mail to it arrives here, and nobody else is ever given it"),
            )
        }
        Act::OperatorNamed { operator } => {
            let found = directory.operators(account.number)?.into_iter().find(|named| named.number == *operator);
            let name = found.map(|named| format!(" {}", named.name)).unwrap_or_default();
            Words::new(
                ["您的邮箱新增了一名操作员", "Your mailbox has a new operator"],
                format!("本邮箱新增了第 {operator} 号操作员{name}，可登录本邮箱收发邮件"),
                format!("Operator {operator}{name} was added to this mailbox, and may read and send mail in it"),
            )
        }
        Act::OperatorEnded { operator, app_passwords } => {
            let numbers = |between: &str| app_passwords.iter().map(u32::to_string).collect::<Vec<_>>().join(between);
            let (zh, en) = if app_passwords.is_empty() { Default::default() } else { (format!("，其第 {} 号程序专用密码一并撤销", numbers("、")), format!("; app passwords of this mailbox withdrawn with it: {}", numbers(", "))) };
            Words::new(
                ["您的邮箱停用了一名操作员", "An operator of your mailbox was ended"],
                format!("本邮箱的第 {operator} 号操作员已停用，不能再登录本邮箱{zh}"),
                format!("Operator {operator} of this mailbox was ended, and logs in to it no more{en}"),
            )
        }
        Act::RecoveryCompleted => Words::new(
            ["您的邮箱密码已按申请重设", "The recovery of your mailbox is complete"],
            "本邮箱的密码重设申请已办结：新密码已设置，原密码及各程序专用密码均已失效",
            "The recovery of this mailbox is complete: it has a new password, and neither the former one nor an app password opens it any more",
        ),
        Act::PlacesChanged { told, ended } => {
            let ways = |channels: &[Channel], [text, mail]: [&str; 2], between: &str| channels.iter().map(|channel| if *channel == Channel::Text { text } else { mail }).collect::<Vec<_>>().join(between);
            let (mut zh, mut en) = (Vec::new(), Vec::new());
            if !told.is_empty() {
                zh.push(format!("新登记了接收到信通知的{}", ways(told, ["手机", "另一邮箱"], "、")));
                en.push(format!("{} is told from now on", ways(told, ["a phone", "another mailbox"], " and ")));
            }
            if !ended.is_empty() {
                zh.push(format!("停止了原先向{}发送的到信通知", ways(ended, ["手机", "另一邮箱"], "、")));
                en.push(format!("the {} that was told before is told no more", ways(ended, ["phone", "other mailbox"], " and the ")));
            }
            Words::new(
                ["您的到信通知设置已变更", "Where you are told of new mail was changed"],
                format!("服务窗口变更了本邮箱的到信通知：{}", zh.join("，并")),
                format!("The counter changed where you are told of new mail: {}", en.join("; ")),
            )
        }
    })
}

/// When it was done.
fn at(notice: &OwnerNotice) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(notice.unix_millis / 1_000).unwrap_or(0)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
