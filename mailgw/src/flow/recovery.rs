//! Who lost every way into a mailbox proves anew who it is. Two officers saw the proof and signed for it; the mailbox itself is told, in case
//! somebody else is asking; whoever logs in before the cooling-off is over, but by a token, ends it; then there is a new password.

use policies::certificate::OrganizationName;
use policies::identity::{CreditCode, Document, PersonName};
use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, Expectation};
use time::{Duration, OffsetDateTime};

use super::approval::{self, ApprovalError, Approved, TypedDocument};
use super::letter;
use crate::directory::{Account, DirectoryError, Holder, still_open, today};
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError};
use crate::mime::header;
use crate::record::event::{self, Event};
use crate::record::recovery::Recovery;
use crate::record::{RecordError, spent};
use crate::service::TypedPassword;

const INBOX: &str = "INBOX";
pub const KIND: &str = "suiyin mailbox recovery v1";

/// What two officers sign, as JSON. No person's name and no number of a document stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub kind: String,
    /// Its whole address: what is signed for one gateway is good at no other.
    pub mailbox: String,
    pub owner: Owner,
    /// The counter withdrew its password, so that its owner cannot end the recovery by logging in with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// What was looked at, in a few words: `card read by chip, face compared`.
    pub proof: String,
    /// Where the papers are.
    pub papers: String,
}

/// Whose papers the officers saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Owner {
    /// `document`: as `approval::TypedDocument` has it.
    Citizen { id_type: String, document: String },
    Institution { code: String, name: String },
}

/// What was shown of the owner's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Papers {
    Citizen { id_type: String, id_no: TypedPassword, name: TypedPassword, salt: TypedPassword },
    /// What its registry issued, shown by who acts for it.
    Institution { code: String, name: String },
}

/// The request with its signatures, and what was shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    pub request: String,
    /// Detached CMS, PEM, each by another officer.
    pub approvals: Vec<String>,
    pub papers: Papers,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Application(..)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub address: String,
    pub since_unix_millis: u64,
    pub due_unix_millis: u64,
    pub officers: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("the request is none: {reason}; write it as `mailgw mailbox recover --help` shows")]
    Request { reason: &'static str },
    #[error("document or credit code, or the name, is not that of the mailbox's owner; compare both with the papers")]
    NotTheOwner,
    #[error("the counter withdrew the password of this mailbox, so that its owner does not end a recovery by logging in with it; have two officers sign a request that says \"withdrawn\": true")]
    Withdrawn,
    #[error("the request says that the password was withdrawn, and it was not, or there is another since; have two officers sign one without \"withdrawn\"")]
    NotWithdrawn,
    #[error("this request was used once, and what it began has ended; have two officers sign another")]
    Spent,
    #[error("a recovery of this mailbox is under way already; look with `mailgw mailbox recover`")]
    UnderWay,
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<RecoveryError> for Problem {
    fn from(error: RecoveryError) -> Self {
        let (exit, code) = match error {
            RecoveryError::Approval(error) => return error.into(),
            RecoveryError::Directory(error) => return error.into(),
            RecoveryError::Request { .. } => (Exit::Usage, "recovery-request"),
            RecoveryError::NotTheOwner => (Exit::Refused, "not-the-owner"),
            RecoveryError::Withdrawn | RecoveryError::NotWithdrawn => (Exit::Refused, "withdrawn"),
            RecoveryError::UnderWay => (Exit::Conflict, "recovery-under-way"),
            RecoveryError::Spent => (Exit::Conflict, "request-spent"),
            RecoveryError::Mail(_) => (Exit::Unavailable, "mail"),
            RecoveryError::Record(_) => (Exit::Damaged, "store-damaged"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// 1 a request about an open mailbox · 2 what was typed is what the request says that officers saw, and its owner's: a document that proves
/// it, or the institution's credit code, and the name · 3 the officers know whether the owner can object by a login · 4 two of them signed it
/// today, two persons, not revoked · 5 the mailbox is told, and where its owner is told of anything else, in the commit that begins the cooling-off.
pub fn apply(gateway: &Gateway, lists: &RevocationLists, application: &Application) -> Result<Shown, RecoveryError> {
    let now = gateway.clock.now();
    // 1
    let request: Request = serde_json::from_str(&application.request).map_err(|_| RecoveryError::Request { reason: "it is not of that form" })?;
    let said = |text: &str| !text.trim().is_empty() && text.chars().count() <= 200;
    if request.kind != KIND || !said(&request.proof) || !said(&request.papers) {
        return Err(RecoveryError::Request { reason: "it says nothing of proof and papers, or is of another kind" });
    }
    let number = approval::mailbox(gateway, &request.mailbox).ok_or(RecoveryError::Request { reason: "its mailbox is no whole address here" })?;
    let account = gateway.directory.get(number)?.ok_or(DirectoryError::NotFound)?;
    if !account.is_open() {
        return Err(DirectoryError::Closed { mailbox: number }.into());
    }
    // 2. The officers answer for whose papers they saw; without that a genuine card of anybody would do.
    is_seen(&request.owner, &application.papers).map_err(|reason| RecoveryError::Request { reason })?;
    let shown = is_owners(gateway, &account, &application.papers, now)?.ok_or(RecoveryError::NotTheOwner)?;
    // 3. Whatever app passwords stand: they can be withdrawn while it is under way.
    let (withdrawn_at, still) = gateway.directory.withdrawn(number)?;
    let withdrawn = withdrawn_at.is_some();
    if request.withdrawn != withdrawn {
        return Err(if withdrawn { RecoveryError::Withdrawn } else { RecoveryError::NotWithdrawn });
    }
    // 4
    let Approved { request, officers } = approval::by_officers(gateway, lists, &application.request, &application.approvals, withdrawn_at.unwrap_or(account.opened_at), now)?;
    // 5
    let place = Recovery::key(number);
    let due = now + Duration::hours(gateway.directory.policy().cooling_off_hours(withdrawn).into());
    let recovery = Recovery { since_unix_millis: unix_millis(now), due_unix_millis: unix_millis(due), request, officers };
    let message = notice(gateway, &account, withdrawn, now, due);
    let event = Event::RecoveryBegun(event::RecoveryBegun { mailbox: number.to_string(), request: recovery.request.clone(), officers: recovery.officers.clone(), due: recovery.due_unix_millis, withdrawn });
    let mut batch = Batch::new().expect(Expectation::Absent(place.clone())).expect(still_open(number)).put(place.clone(), recovery.seal(&place, &gateway.directory_key)?);
    // Once: what its owner ended is not begun again with the same signatures.
    batch = batch.expect(spent::unspent(&recovery.request)).put(spent::key(&recovery.request), spent::mark());
    // Its document may be withdrawn at this moment.
    batch = shown.into_iter().fold(batch.expect(still), Batch::expect);
    batch = gateway.notifications.owed(batch, &number.to_string(), unix_millis(now)).map_err(DirectoryError::from)?;
    event.append(&mut batch, unix_millis(now))?;
    let delivery = Delivery { mailbox: number.to_string(), folder: INBOX.to_owned(), content: message.into(), unix_millis: i64::try_from(unix_millis(now)).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    match gateway.messages.deliver_owed(&[delivery], batch, unix_millis(now)) {
        Ok(_) => show(gateway, number)?.ok_or(RecoveryError::UnderWay),
        Err(MailError::Conflict { expectation: 0 }) => Err(RecoveryError::UnderWay),
        Err(MailError::Conflict { expectation: 2 }) => Err(RecoveryError::Spent),
        // Its password was withdrawn, or set, or the document withdrawn, at this moment.
        Err(MailError::Conflict { expectation: 3 | 4 }) => Err(DirectoryError::Busy.into()),
        Err(MailError::Conflict { .. }) => Err(DirectoryError::Closed { mailbox: number }.into()),
        Err(error) => Err(error.into()),
    }
}

pub fn show(gateway: &Gateway, number: MailboxNumber) -> Result<Option<Shown>, RecoveryError> {
    let shown = |recovery: Recovery| Shown { address: gateway.directory.address(number), since_unix_millis: recovery.since_unix_millis, due_unix_millis: recovery.due_unix_millis, officers: recovery.officers };
    Ok(gateway.directory.recovery(number)?.map(shown))
}

fn is_seen(owner: &Owner, papers: &Papers) -> Result<(), &'static str> {
    match (owner, papers) {
        (Owner::Citizen { id_type, document }, Papers::Citizen { id_type: typed, id_no, name, salt }) => {
            TypedDocument { id_type: typed, id_no: id_no.expose(), name: name.expose(), salt: salt.expose() }.is_signed_for(id_type, document)
        }
        (Owner::Institution { code, name }, Papers::Institution { code: typed, name: called }) if code == typed && name == called => Ok(()),
        _ => Err("it is of another owner than was typed"),
    }
}

/// Whether these are its owner's; and if so what a commit expects that rests on it.
fn is_owners(gateway: &Gateway, account: &Account, papers: &Papers, now: OffsetDateTime) -> Result<Option<Vec<Expectation>>, RecoveryError> {
    match (&account.holder, papers) {
        (Holder::Citizen { name, .. }, Papers::Citizen { id_type, id_no, name: shown, .. }) => {
            let Ok(document) = Document::parse(id_type, id_no.expose(), today(now)) else { return Ok(None) };
            let is_theirs = PersonName::parse(shown.expose()).is_ok_and(|shown| shown == *name) && gateway.directory.proves_owner(account, &document, now)?;
            Ok(is_theirs.then(|| vec![gateway.directory.still_finds(&document, account.number)]))
        }
        (Holder::Institution { code, name }, Papers::Institution { code: shown, name: called }) => {
            let is_theirs = CreditCode::parse(shown).is_ok_and(|shown| shown == *code) && OrganizationName::parse(called).is_ok_and(|called| called == *name);
            Ok(is_theirs.then(Vec::new))
        }
        _ => Ok(None),
    }
}

fn notice(gateway: &Gateway, account: &Account, withdrawn: bool, now: OffsetDateTime, due: OffsetDateTime) -> Vec<u8> {
    let due = header::date(due);
    let (by, with) = match account.holder {
        Holder::Citizen { .. } => ("身份证件", "a proof of your identity"),
        Holder::Institution { .. } => ("单位证照", "your institution's papers"),
    };
    // Who reads it after a withdrawal came by a password of a program, a certificate or a token, and a token's login ends nothing: by which
    // way depends what there is to do (`Logins::shown`).
    let [until_zh, until_en] = if withdrawn { ["本邮箱的密码已由服务窗口停用，不能再用来登录。", "The counter withdrew the password of this mailbox: nobody logs in with that any more. "] } else { [""; 2] };
    let [ways_zh, ways_en] = if withdrawn { ["程序专用密码或证书", "a program's own password or a certificate"] } else { ["密码（含程序专用密码）或证书", "a password, a program's own included, or a certificate"] };
    let text = format!(
        "您好：\n\n有人凭{by}在服务窗口申请重设本邮箱的密码。{until_zh}如无人以{ways_zh}登录本邮箱，新密码将于 {due} 之后设置，届时原密码及各程序专用密码一律失效。\n\n\
         如非您本人申请：请在此之前以{ways_zh}登录一次本邮箱，申请即自动取消；凭统一身份认证令牌登录不能取消。无法如此登录的，请立即联系服务窗口；已取消的，也请告知服务窗口。\n如系您本人申请：无须操作。\n\n\
         Dear owner,\n\nsomebody asked at the counter, with {with}, for a new password of this mailbox. {until_en}Unless somebody logs in to it with {ways_en}, a new password is set after {due}; then no former password, programs' own included, opens the mailbox any more.\n\n\
         If it was not you: log in once before then with {ways_en}, which cancels it; a login by a token of the identity provider does not. Who cannot log in so tells the counter at once; who did tells it, too.\nIf it was you: there is nothing to do.\n"
    );
    letter::to_owner(gateway, account, "recovery notice", "有人申请重设您的邮箱密码 / A new password was asked for", &text, now)
}
