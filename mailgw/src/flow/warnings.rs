//! Owners are told when their mailbox fills up: once at each part of it that the policy names, and no more than once a day for the same.
//! One line: crossed, in the commit of the delivery that crossed → looked for → told, in the commit that forgets it.

use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use store::{Batch, Expectation};

use super::letter;
use crate::directory::{Account, DirectoryError, still_open};
use crate::gateway::Gateway;
use crate::mailbox::{Delivery, MailError, Quota};
use crate::record::body;
use crate::record::event::{self, Event};
use crate::record::warning::{self, Warned};

const INBOX: &str = "INBOX";
/// Mailboxes of one turn.
const AT_ONCE: usize = 1_000;
/// Whoever deletes and receives at the border is told once a day.
const AGAIN: u64 = 86_400_000;

#[derive(Debug, thiserror::Error)]
pub enum WarningError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Commit(#[from] store::CommitError),
}

/// Tells all owners whose mailboxes crossed a part. How many were told.
pub fn warn_all(gateway: &Gateway) -> Result<usize, WarningError> {
    let (from, to) = warning::all();
    let mut told = 0;
    for (key, found) in gateway.store.scan(&from, &to, AT_ONCE)? {
        let (mailbox, percent) = (warning::mailbox(&key)?, warning::decode(&found)?);
        let forget = Batch::new().expect(Expectation::Equals(key.clone(), found)).delete(key);
        match warn(gateway, &mailbox, percent, forget) {
            Ok(true) => told += 1,
            Ok(false) => {}
            // Crossed again, or closed, at this moment; or even the reserve is used up. The next turn sees which.
            Err(WarningError::Mail(MailError::Conflict { .. } | MailError::OverQuota { .. } | MailError::NoFolder)) | Err(WarningError::Commit(store::CommitError::Conflict { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}

fn warn(gateway: &Gateway, mailbox: &str, percent: u8, forget: Batch) -> Result<bool, WarningError> {
    let now = gateway.now_unix_millis();
    // 1. Whose it is; who has none any more is not told.
    let account = MailboxNumber::parse(mailbox).ok().map(|number| gateway.directory.get(number)).transpose()?.flatten().filter(Account::is_open);
    // 2. Who was told of this part, or a later one, a short time ago is not told again.
    let place = warning::warned_key(mailbox);
    let before = gateway.store.get(&place)?.map(|found| Warned::decode(&found)).transpose()?;
    let again = before.is_none_or(|before| percent > before.percent || now.saturating_sub(before.unix_millis) >= AGAIN);
    let Some(account) = account.filter(|_| again) else {
        gateway.store.commit(forget)?;
        return Ok(false);
    };
    // 3. Told, remembered and no longer waiting in one commit, out of the reserve where there is no other room.
    let message = render(gateway, &account, percent, gateway.messages.used(mailbox)?, gateway.directory.quota(mailbox));
    let event = Event::QuotaWarned(event::QuotaWarned { mailbox: mailbox.to_owned(), percent, digest: crate::hex(&body::digest(&message)), size: message.len() as u64 });
    let unix_millis = i64::try_from(now).unwrap_or(i64::MAX);
    let delivery = Delivery { mailbox: mailbox.to_owned(), folder: INBOX.to_owned(), content: message.into(), unix_millis, flags: Flags::new(), event: Some(event), mark: None };
    let with = forget.expect(still_open(account.number)).put(place, Warned { percent, unix_millis: now }.encode()?);
    gateway.messages.deliver_notices(&[delivery], with, now)?;
    Ok(true)
}

fn render(gateway: &Gateway, account: &Account, percent: u8, used: Quota, limit: Quota) -> Vec<u8> {
    let mega = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
    // Beyond this part of the quota the oldest of what was deleted goes before its days are over.
    let kept = mega(limit.bytes / 100 * u64::from(gateway.directory.policy().deleted_percent()));
    let (used, limit, free) = (mega(used.bytes), mega(limit.bytes), mega(limit.bytes.saturating_sub(used.bytes)));
    let days = gateway.directory.policy().deleted_days();
    let text = format!(
        "您好：\n\n您的邮箱已使用 {percent}% 以上的空间（{used} MB，共 {limit} MB，尚余 {free} MB）。邮箱满后，新的邮件和对账单将无法送达。\n\n\
         请删除不再需要的邮件，并清空“已删除”文件夹。误删的邮件 {days} 天内可向服务窗口申请恢复，不占用空间；已删除的邮件合计超过 {kept} MB 时，最早删除的会提前清除。\n\n\
         本邮件由系统自动发送，无须回复。\n\n\
         Dear owner,\n\nmore than {percent} % of your mailbox is used ({used} MB of {limit} MB; {free} MB are free). When it is full, new mail and statements cannot be delivered.\n\n\
         Please delete mail that you no longer need, and empty the folder for deleted mail. What you delete by mistake can be restored at the counter within {days} days, and takes no space meanwhile; where more than {kept} MB were deleted, what was deleted first is gone earlier.\n\n\
         This message was sent automatically; there is no need to answer.\n"
    );
    let subject = format!("邮箱已使用 {percent}% / Mailbox {percent} % full");
    letter::to_owner(gateway, account, &format!("quota warning {percent}"), &subject, &text, gateway.clock.now())
}
