//! An application as whoever sent it is told of it, and as operators are.

use serde::{Deserialize, Serialize};

use crate::gateway::Gateway;
use crate::record::application::{Application, ApplicationId, State};

/// Why an operator refuses.
pub const REASONS: [&str; 5] = ["papers-unreadable", "papers-ended", "not-the-person", "name-differs", "incomplete"];
/// What proves too little is refused by this name.
pub const NOT_PROVED: &str = "not-proved";

/// A reason, stable for programs, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    pub zh: String,
    pub en: String,
}

/// What the applicant reads at the one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The path at which it is told again; whoever knows it is the applicant.
    pub application: String,
    pub id: String,
    pub state: String,
    /// What both rules gave.
    pub document: String,
    pub person: String,
    pub reasons: Vec<Reason>,
    /// Of the mailbox, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub since_unix_millis: u64,
}

/// What an operator sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownToOperator {
    pub id: String,
    pub state: State,
    pub since_unix_millis: u64,
    pub id_type: String,
    pub masked: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub document_proofs: Vec<String>,
    pub person_proofs: Vec<String>,
    pub document: String,
    pub person: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    pub evidence: Vec<(String, String)>,
    /// The mailbox whose certificate the applicant signed with: that is theirs already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_unix_millis: Option<u64>,
}

pub fn state_name(state: &State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Opened { .. } => "opened",
        State::Exists { .. } => "exists",
        State::Refused { .. } => "refused",
        State::Withdrawn => "withdrawn",
        State::Lapsed => "lapsed",
    }
}

fn reason(state: &State) -> Reason {
    let (code, zh, en) = match state {
        State::Waiting => ("waits-for-operator", "申请已收到，等待工作人员核验证件。", "The application has come and waits for an operator to look at the papers."),
        State::Opened { .. } => ("opened", "邮箱已开通，请用申请时的密码登录。", "The mailbox is open; log in with the password that you applied with."),
        State::Exists { closed: false, .. } => ("has-mailbox", "您已有实名邮箱，每人一个。忘记密码，请携证件到服务窗口办理重设；证件换发，请到窗口登记新证件。", "You have a mailbox already, and everyone has one. If its password is lost, bring your document to the counter for a recovery; a renewed document is entered there, too."),
        State::Exists { closed: true, .. } => ("had-mailbox", "您曾有实名邮箱并已注销，注销后不能重新开通。如有疑问请到服务窗口查询。", "You had a mailbox and closed it, and a closed mailbox is not opened again. Ask at the counter where that is not right."),
        State::Refused { reason } => match reason.as_str() {
            "papers-unreadable" => ("papers-unreadable", "证明材料无法辨认，请重新申请。", "The papers cannot be read; apply again with others."),
            "papers-ended" => ("papers-ended", "证件已过有效期，请用有效证件重新申请。", "The document is no longer valid; apply again with one that is."),
            "not-the-person" => ("not-the-person", "未能确认申请人为证件持有人，请到服务窗口办理。", "It could not be made sure that the document is yours; come to the counter."),
            "name-differs" => ("name-differs", "姓名与证件不一致，请按证件填写后重新申请。", "The name is not that of the document; apply again as the document has it."),
            "incomplete" => ("incomplete", "证明材料不齐，请补齐后重新申请。", "Papers are missing; apply again with all of them."),
            _ => (NOT_PROVED, "所附证明不足以核实身份，请提供证件材料或发证机构证明后重新申请，或到服务窗口办理。", "What came with it does not prove who you are; apply again with papers or a card registry's word, or come to the counter."),
        },
        State::Withdrawn => ("withdrawn", "申请已撤回。", "The application was withdrawn."),
        State::Lapsed => ("lapsed", "申请逾期未核验，已失效，请重新申请。", "Nobody answered the application in time, and it has lapsed; apply again."),
    };
    Reason { code: code.to_owned(), zh: zh.to_owned(), en: en.to_owned() }
}

pub fn to_applicant(gateway: &Gateway, path: String, id: &ApplicationId, record: &Application) -> Shown {
    let mailbox = match &record.state {
        State::Opened { mailbox } | State::Exists { mailbox, closed: false } => Some(mailbox),
        _ => None,
    };
    Shown {
        application: path,
        id: id.as_str().to_owned(),
        state: state_name(&record.state).to_owned(),
        document: record.document_grade.clone(),
        person: record.person_grade.clone(),
        reasons: vec![reason(&record.state)],
        address: mailbox.map(|mailbox| format!("{mailbox}@{}", gateway.directory.domain())),
        since_unix_millis: record.since_unix_millis,
    }
}

pub fn to_operator(id: &ApplicationId, record: Application) -> ShownToOperator {
    let person = record.person;
    ShownToOperator {
        id: id.as_str().to_owned(),
        state: record.state,
        since_unix_millis: record.since_unix_millis,
        id_type: record.id_type,
        masked: record.masked,
        name: person.as_ref().map(|person| person.name.clone()),
        document_proofs: record.document_proofs,
        person_proofs: record.person_proofs,
        document: record.document_grade,
        person: record.person_grade,
        registry: record.registry,
        evidence: person.as_ref().map(|person| person.evidence.clone()).unwrap_or_default(),
        signed_by: person.and_then(|person| person.signed_by),
        ended_unix_millis: record.ended_unix_millis,
    }
}
