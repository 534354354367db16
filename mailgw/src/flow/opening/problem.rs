//! What may be wrong with an application: for operators in English, for who applies in Chinese with English beside it.

use policies::identity::{DocumentError, NameError};
use policies::mailbox::PasswordError;
use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationError;
use store::{CommitError, StoreError};

use crate::bureau::BureauError;
use crate::bureau::trust::TrustError;
use crate::directory::{ApplicantError, DirectoryError};
use crate::flow::approval::ApprovalError;
use crate::mailbox::MailError;
use crate::record::RecordError;

#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    #[error("the key is no random text of 22 to 128 letters, digits, `-` and `_`; draw one anew for every application")]
    Key,
    #[error("document: {0}")]
    Document(DocumentError),
    #[error("name: {0}")]
    Name(NameError),
    #[error("the evidence is none; send at most sixteen digests, SHA-256 in lower-case hexadecimal, each with a word such as document-front")]
    Evidence,
    #[error("the registry's word does not hold: {reason}; ask the registry for another")]
    Assertion { reason: String },
    #[error("the signature does not hold: {reason}; sign the application's text with the certificate of your own mailbox")]
    Signature { reason: String },
    #[error("another application was sent with this key, or this one with another password; draw a key anew")]
    KeyUsed,
    #[error("as many applications wait as an operator can look at; apply again in some days")]
    TooManyWait,
    #[error("there is no such application; look with `mailgw mailbox application list`")]
    Unknown,
    #[error("the application has been answered already; look with `mailgw mailbox application show`")]
    Answered,
    #[error("document or name is not what was applied with; compare both with the paper")]
    NotTheSame,
    #[error("with what was found the document is worth {document:?} and the person {person:?}, which is not enough; look at originals, or refuse it")]
    NotEnough { document: String, person: String },
    #[error("{0:?} is nothing that an operator finds; write original or copy, present or video")]
    Finding(String),
    #[error("a copy goes with at least one file, and each file is one that the application names; ask for the very file")]
    OtherEvidence,
    #[error("a copy goes with at least one file; name it with --evidence")]
    NoCopy,
    #[error("where the papers are is 1 to 200 characters on one line; write it as the archive does")]
    Papers,
    #[error("{0:?} is no reason; write papers-unreadable, papers-ended, not-the-person, name-differs or incomplete")]
    Reason(String),
    #[error("the document that was shown with it: {0}")]
    HeldDocument(DocumentError),
    #[error("the request is none: {reason}; write it as `mailgw mailbox document --help` shows")]
    Request { reason: &'static str },
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error("somebody else answered it at this moment; look at it again")]
    Changed,
    #[error(transparent)]
    Applicant(#[from] ApplicantError),
    #[error(transparent)]
    Bureau(#[from] BureauError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for OpeningError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<OpeningError> for Problem {
    fn from(error: OpeningError) -> Self {
        let (exit, code) = match error {
            OpeningError::Bureau(error) => return error.into(),
            OpeningError::Trust(error) => return error.into(),
            OpeningError::Revocation(error) => return error.into(),
            OpeningError::Directory(error) => return error.into(),
            OpeningError::Applicant(error) => return error.into(),
            OpeningError::Approval(error) => return error.into(),
            OpeningError::HeldDocument(_) => (Exit::Refused, "held-document"),
            OpeningError::Request { .. } => (Exit::Usage, "document-request"),
            OpeningError::Key => (Exit::Usage, "key"),
            OpeningError::Document(_) | OpeningError::Name(_) => (Exit::Refused, "applicant"),
            OpeningError::Evidence => (Exit::Usage, "evidence"),
            OpeningError::Assertion { .. } => (Exit::Refused, "assertion"),
            OpeningError::Signature { .. } => (Exit::Refused, "signature"),
            OpeningError::KeyUsed => (Exit::Conflict, "key-used"),
            OpeningError::TooManyWait => (Exit::Unavailable, "too-many-wait"),
            OpeningError::Unknown => (Exit::NotFound, "no-such-application"),
            OpeningError::Answered => (Exit::Conflict, "answered"),
            OpeningError::NotTheSame => (Exit::Refused, "not-the-same"),
            OpeningError::NotEnough { .. } => (Exit::Refused, "not-enough"),
            OpeningError::Finding(_) => (Exit::Usage, "finding"),
            OpeningError::OtherEvidence => (Exit::Refused, "other-evidence"),
            OpeningError::NoCopy => (Exit::Usage, "evidence"),
            OpeningError::Papers => (Exit::Usage, "papers"),
            OpeningError::Reason(_) => (Exit::Usage, "reason"),
            OpeningError::Changed => (Exit::Conflict, "changed"),
            OpeningError::Mail(MailError::Record(_)) | OpeningError::Record(_) => (Exit::Damaged, "store-damaged"),
            OpeningError::Mail(_) => (Exit::Unavailable, "mail"),
            OpeningError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

impl OpeningError {
    /// As whoever applied is told, who learns nothing of this house or of anybody's mailbox.
    pub fn to_applicant(&self) -> Problem {
        let told = |exit, code, message: &str, next: &str| Problem::new(exit, code, message, next);
        match self {
            Self::Key => told(Exit::Usage, "key", "申请的 key 不合要求。 The key is no random text of 22 to 128 letters, digits, `-` and `_`.", "请为每份申请重新随机生成。 Draw one anew for every application."),
            Self::Document(error) => told(Exit::Refused, "document", &format!("证件类型或号码不符合编码规则。 {error}"), "请与证件核对。 Compare it with the document.").at("id_no"),
            Self::Name(error) => told(Exit::Refused, "name", &format!("姓名不符合要求。 {error}"), "请按证件填写。 Write it as the document does.").at("name"),
            Self::Evidence => told(Exit::Usage, "evidence", "证明材料的摘要不合要求。 The evidence is none.", "最多十六项，每项为 SHA-256 小写十六进制。 Send at most sixteen digests, SHA-256 in lower-case hexadecimal.").at("evidence"),
            Self::Assertion { reason } => told(Exit::Refused, "assertion", &format!("发证机构的证明无效。 The registry's word does not hold: {reason}."), "请向该机构重新取得证明。 Ask the registry for another.").at("assertion"),
            Self::Signature { reason } => told(Exit::Refused, "signature", &format!("签名无效。 The signature does not hold: {reason}."), "请用本人邮箱的证书对申请文本签名。 Sign the application's text with the certificate of your own mailbox.").at("signature"),
            Self::Trust(_) => told(Exit::Refused, "certificate", "签名所用的证书不被信任。 The certificate that signed is not trusted.", "请使用有效的证书。 Use one that is good.").at("signature"),
            Self::KeyUsed => told(Exit::Conflict, "key-used", "此 key 已用于另一份申请，或密码不同。 Another application was sent with this key, or this one with another password.", "请重新随机生成 key。 Draw a key anew.").at("key"),
            Self::Directory(DirectoryError::Password(error)) => {
                let wrong = match error {
                    PasswordError::TooShort { min } => format!("密码少于 {min} 个字符。"),
                    PasswordError::TooLong { max } => format!("密码超过 {max} 个字节。"),
                    PasswordError::Control => "密码含有控制字符。".to_owned(),
                    PasswordError::Plain => "密码过于简单。".to_owned(),
                };
                told(Exit::Refused, "password", &format!("{wrong} {error}"), "请选用几个不相关的词。 Choose a few unrelated words.").at("password")
            }
            Self::Unknown => told(Exit::NotFound, "no-such-application", "没有这份申请。 There is no such application.", "请核对地址。 Look at the address."),
            Self::Answered | Self::Changed => told(Exit::Conflict, "answered", "申请已有结果。 The application has been answered already.", "请查询结果。 Look at what became of it."),
            Self::TooManyWait => told(Exit::Unavailable, "too-many-wait", "等待核验的申请过多。 As many applications wait as can be looked at.", "请几天后再申请，或到服务窗口办理。 Apply again in some days, or come to the counter."),
            _ => told(Exit::Unavailable, "unavailable", "暂时无法办理。 It cannot be done at this moment.", "请稍后用同一份申请重试。 Send the same application again later."),
        }
    }
}
