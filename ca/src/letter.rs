//! The words of a notice: Chinese first, English beside, plain text. They name certificate, end and what to do; no number of
//! a person is in them, and no address to log in at.

use policies::authority::{CITY, Filing};
use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::authority::Authority;
use crate::authority::ROOT;
use crate::flow::recover;
use crate::flow::notice::{self, LISTED, stored};
use crate::problem::IssueError;
use crate::record::{About, CertificateRecord, Notice, NoticeState, Recipient, NoticeStage};
use crate::register;

const DAY: i64 = 86_400;
/// Under every letter.
const CAUTION: &str = "本邮件由系统自动发出，不含任何登录链接。认证机构从不在邮件中索要密码、PIN 码或私钥。";
const CAUTION_EN: &str = "This mail was sent automatically. It holds no link to log in at, and the authority never asks for a password, PIN or private key by mail.";

/// What the gateway makes a mail of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    pub id: String,
    pub to: Recipient,
    pub subject: String,
    pub text: String,
}

/// The same words for the same notice, whenever it is handed over.
pub fn write(authority: &Authority, notice: &Notice) -> Result<Letter, IssueError> {
    let (subject, zh, en) = match &notice.about {
        About::Certificate(serial) => certificate(authority, notice, serial)?,
        About::RootList(_) => root_list(authority, ROOT, notice)?,
        About::LaterRootList { root, .. } => root_list(authority, root, notice)?,
        About::Recovered { serial, .. } => recovered(authority, serial)?,
        About::Unaddressed { first, last } => unaddressed(authority, first, last)?,
    };
    let operator = &authority.rules.notices.operator;
    let text = format!(
        "{zh}\n\n{CAUTION}\n{}，电话 {}\n\n----------\n\n{en}\n\n{CAUTION_EN}\n{}, telephone {}\n",
        operator.name, operator.hotline, operator.name_en, operator.hotline
    );
    Ok(Letter { id: notice.id(), to: notice.to.clone(), subject, text })
}

fn certificate(authority: &Authority, notice: &Notice, serial: &str) -> Result<(String, String, String), IssueError> {
    let record = register::get(&*authority.store, &register::serial(serial)?)?;
    let kind = authority.rules.notices.of(&record.profile);
    let (title, title_en) = kind.map_or(("证书", "certificate"), |kind| (&kind.title, &kind.title_en));
    let filled = |text: &str| text.replace("{serial}", serial).replace("{base}", &authority.settings.base_url);
    let (next, next_en) = kind.map_or_else(Default::default, |kind| (filled(&kind.next), filled(&kind.next_en)));
    let (days, end) = (days_left(record.not_after, notice.queued_at), moment(record.not_after));
    let (mut zh, mut en) = (String::new(), String::new());
    let subject = match &notice.stage {
        NoticeStage::Filing(deadline) => {
            zh += &format!("申报截止日 {deadline} 临近，而下列{title}将在其后不久或之前到期：{end}（北京时间）。请现在就换发，以免到期时无法申报。");
            en += &format!("The filing deadline {deadline} is near, and this {title_en} ends before it or soon after: {end} (Beijing time). Have it replaced now, so that you can file.");
            format!("申报截止日 {deadline} 之前请换发证书 / Replace your certificate before the filing deadline {deadline}")
        }
        _ => {
            zh += &format!("下列{title}将于 {end}（北京时间）到期，还剩 {days} 天。");
            en += &format!("This {title_en} ends at {end} (Beijing time), in {days} {}.", if days == 1 { "day" } else { "days" });
            if let Some(deadline) = missed(authority, &record, notice) {
                zh += &format!("下一个申报截止日是 {deadline}。");
                en += &format!(" The next filing deadline is {deadline}.");
            }
            format!("{title}还剩 {days} 天到期 / Your {title_en} ends in {days} {}", if days == 1 { "day" } else { "days" })
        }
    };
    zh = format!("您好：\n\n{zh}\n\n  持有人    {}\n  种类      {title}（{}）\n  序列号    {serial}\n  到期      {end}（北京时间）\n\n{next}", record.name, record.profile);
    en = format!("{en}\n\n  Holder    {}\n  Profile   {}\n  Serial    {serial}\n  Ends      {end} (Beijing time)\n\n{next_en}", record.name, record.profile);
    Ok((subject, zh, en))
}

/// The next deadline, where the certificate does not outlive it far enough.
fn missed(authority: &Authority, record: &CertificateRecord, notice: &Notice) -> Option<Date> {
    let filing = &authority.rules.notices.filing;
    let next = filing.next(OffsetDateTime::from_unix_timestamp(notice.queued_at).ok()?)?;
    let near = record.not_after <= Filing::end(next).saturating_add(i64::from(filing.days_after) * DAY);
    (near && filing.profiles.contains(&record.profile)).then_some(next)
}

fn root_list(authority: &Authority, root: &str, told: &Notice) -> Result<(String, String, String), IssueError> {
    let list = notice::root_list(authority, root)?;
    let (days, end) = (days_left(list.next_update, told.queued_at), moment(list.next_update));
    let number = list.number;
    let zh = format!("根机构的第 {number} 号吊销列表（{root}）将于 {end}（北京时间）失效，还剩 {days} 天。失效之后，依赖方将无法确认签发机构的状态。\n\n请依次用 ca crl root prepare --root {root}、ca ceremony run、ca crl root publish 制作下一份。");
    let en = format!("The list number {number} of {root} ends at {end} (Beijing time), in {days} days. After that relying parties cannot tell the status of the issuing authorities.\n\nMake the next one with `ca crl root prepare --root {root}`, `ca ceremony run` and `ca crl root publish`.");
    Ok((format!("根机构的吊销列表还剩 {days} 天失效 / The root's revocation list ends in {days} days"), zh, en))
}

/// That an administrator was made without one: to everybody who could know whether that was meant.
fn recovered(authority: &Authority, serial: &str) -> Result<(String, String, String), IssueError> {
    let recovery = recover::of(authority, serial)?;
    let (at, reason, name) = (moment(recovery.at), &recovery.reason, register::get(&*authority.store, &register::serial(serial)?)?.name);
    let zh = format!("因为没有管理员持有有效证书，系统所在主机的所有者于 {at}（北京时间）在服务停止期间直接授予了一位管理员权限。\n\n  管理员    {name}\n  序列号    {serial}\n  理由      {reason}\n\n如果这不是经过批准的操作，请立即告知审计人员并撤销该证书。日志中有此记录。");
    let en = format!("Since no administrator held a good certificate, the owner of the authority's machine made an administrator at {at} (Beijing time), while the service was stopped.\n\n  Administrator  {name}\n  Serial         {serial}\n  Reason         {reason}\n\nIf this was not agreed on, tell the auditors at once and have that certificate revoked. The log tells of it.");
    Ok(("主机所有者直接设立了一位管理员 / The owner of the machine made an administrator".to_owned(), zh, en))
}

/// What the operator must tell by other means: one line a certificate.
fn unaddressed(authority: &Authority, first: &(i64, String), last: &(i64, String)) -> Result<(String, String, String), IssueError> {
    let state = NoticeState::Unaddressed;
    let (from, to) = (Notice::by_state(state, first.0, &first.1), Notice::by_state(state, last.0, &last.1).successor());
    let (mut lines, mut count) = (String::new(), 0_usize);
    for (_, id) in authority.store.scan(&from, &to, LISTED)? {
        let notice = stored(authority, &id)?;
        let About::Certificate(serial) = &notice.about else { continue };
        let record = register::get(&*authority.store, &register::serial(serial)?)?;
        let filing = if let NoticeStage::Filing(deadline) = &notice.stage { format!("  ({deadline})") } else { String::new() };
        lines += &format!("\n{}  {serial}  {}  {}{filing}", moment(record.not_after), record.profile, record.name);
        count += 1;
    }
    let zh = format!("下列证书即将到期，但证书中没有邮箱，系统无法通知持有人。请用其他方式通知：\n{lines}\n\n（到期时间为北京时间；括号内为申报截止日）");
    let en = format!("The {count} certificates above end soon and hold no mail address, so their holders cannot be told by mail. Tell them by other means. Times are Beijing time, a date in brackets is a filing deadline.");
    Ok((format!("{count} 张证书即将到期而持有人没有邮箱 / {count} certificates end soon, and their holders have no mailbox"), zh, en))
}

/// Days that are left, one begun counted as a whole.
fn days_left(end: i64, now: i64) -> i64 {
    end.saturating_sub(now).max(0).saturating_add(DAY - 1) / DAY
}

fn moment(at: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(CITY);
    at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]")).unwrap_or_default()
}
