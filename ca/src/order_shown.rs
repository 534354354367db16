//! What both sides are shown of an order: Chinese first, English beside.

use serde::{Deserialize, Serialize};

use crate::authority::Authority;
use crate::flow::approve;
use crate::flow::order::{Needed, OrderError, approvals_of};
use crate::flow::plan::Words;
use crate::problem::IssueError;
use crate::record::{ApprovalRecord, Channel, Correcting, Decision, Evidence, Flag, OrderId, OrderRecord, OrderState, Said, Verdict, serial_of, serial_text};
use crate::register;
use crate::service::{chain_of, pem};

/// The same in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    pub code: String,
    pub zh: String,
    pub en: String,
}

impl Told {
    pub(crate) fn new(code: &str, zh: &str, en: &str) -> Self {
        Self { code: code.to_owned(), zh: zh.to_owned(), en: en.to_owned() }
    }
}

/// An order as it is shown to officers. Times are Unix seconds.
#[derive(Clone, Serialize, Deserialize)]
pub struct OrderShown {
    pub id: OrderId,
    /// Where the applicant sees it too.
    pub address: String,
    /// It was placed before, with the same key.
    pub before: bool,
    pub state: Told,
    pub reasons: Vec<Told>,
    pub profile: String,
    pub applicant: Words,
    pub evidence: Vec<Evidence>,
    /// The certificate whose place it takes, and why that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Correcting>,
    pub key: String,
    pub channel: Channel,
    pub by: String,
    pub placed_at: i64,
    pub changed_at: i64,
    pub ends_at: i64,
    pub request_sha256: String,
    /// PEM.
    pub request: String,
    /// What issuing it takes by the rules as they are now.
    pub needed: Option<Needed>,
    /// What officers decided.
    pub decisions: Vec<DecisionShown>,
    #[serde(flatten)]
    pub certificate: Option<Certificate>,
}

/// What an officer decided, and with which certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct DecisionShown {
    pub decision: Verdict,
    pub reason: String,
    /// Serial of the officer's certificate.
    pub officer: String,
    pub at: i64,
}

/// Of an order that was issued.
#[derive(Clone, Serialize, Deserialize)]
pub struct Certificate {
    pub serial: String,
    /// PEM.
    pub certificate: String,
    /// The issuers above, PEM, without the root.
    pub chain: String,
}

/// An order as its applicant sees it, at the address that only both sides know.
#[derive(Serialize)]
pub struct Public {
    pub id: OrderId,
    pub address: String,
    pub state: Told,
    pub reasons: Vec<Told>,
    pub profile: String,
    pub placed_at: i64,
    pub changed_at: i64,
    pub ends_at: i64,
    #[serde(flatten)]
    pub certificate: Option<Certificate>,
}

impl OrderShown {
    pub fn new(authority: &Authority, id: &OrderId, order: &OrderRecord) -> Result<Self, OrderError> {
        let application = &order.application;
        Ok(Self {
            id: *id,
            address: address(authority, id),
            before: false,
            state: state(&order.state),
            reasons: reasons(order),
            profile: application.profile.clone(),
            applicant: application.applicant.clone(),
            evidence: application.evidence.clone(),
            corrects: application.corrects.clone(),
            key: application.key.clone(),
            channel: application.channel,
            by: application.by.clone(),
            placed_at: application.placed_at,
            changed_at: order.changed_at,
            ends_at: order.ends_at,
            request_sha256: crate::sha256_hex(&order.request),
            request: pem("CERTIFICATE REQUEST", &order.request),
            // A profile that is no longer here asks for nothing.
            needed: if order.state.is_open() { approvals_of(authority, order).ok() } else { None },
            decisions: if order.decisions > 0 { decisions::<Decision>(authority, id)? } else { Vec::new() },
            certificate: certificate(authority, order)?,
        })
    }
}

pub(crate) fn decisions<D: Said>(authority: &Authority, id: &OrderId) -> Result<Vec<DecisionShown>, OrderError> {
    let shown = |record: &ApprovalRecord| {
        let read = D::read(&record.decision)?;
        let (decision, reason, _) = read.said();
        // The signature was verified when it was recorded; here it only tells whose it is.
        let verified = pki::cms::verify(&record.signature, record.decision.as_bytes(), &[]).ok()?;
        let officer = serial_text(&serial_of(verified.signer_certificate())?);
        Some(DecisionShown { decision, reason: reason.to_owned(), officer, at: record.at })
    };
    let damaged = || IssueError::Damaged { what: "an approval" };
    approve::decisions(authority, id)?.iter().map(|record| shown(record).ok_or_else(|| damaged().into())).collect()
}

impl Public {
    pub fn new(authority: &Authority, id: &OrderId, order: &OrderRecord) -> Result<Self, OrderError> {
        Ok(Self {
            id: *id,
            address: address(authority, id),
            state: state(&order.state),
            reasons: reasons(order),
            profile: order.application.profile.clone(),
            placed_at: order.application.placed_at,
            changed_at: order.changed_at,
            ends_at: order.ends_at,
            certificate: certificate(authority, order)?,
        })
    }
}

fn address(authority: &Authority, id: &OrderId) -> String {
    authority.addresses.at(&format!("/orders/{id}"))
}

fn certificate(authority: &Authority, order: &OrderRecord) -> Result<Option<Certificate>, IssueError> {
    let OrderState::Issued { serial } = &order.state else { return Ok(None) };
    let record = register::get(&*authority.store, &register::serial(serial)?)?;
    Ok(Some(Certificate {
        serial: serial.clone(),
        certificate: pem("CERTIFICATE", &record.der),
        chain: chain_of(authority, &record.issuer).unwrap_or_default(),
    }))
}

pub fn state(state: &OrderState) -> Told {
    let (zh, en) = match state {
        OrderState::Received => ("已收到,正在检查", "received and being checked"),
        OrderState::AwaitingApproval => ("检查通过,等待审批", "checked, waiting for approval"),
        OrderState::Approved => ("已批准,等待签发", "approved, waiting to be issued"),
        OrderState::Issuing { .. } => ("正在签发", "being issued"),
        OrderState::Issued { .. } => ("已签发", "issued"),
        OrderState::Refused(_) => ("未予受理,见原因", "refused, for the reasons given"),
        OrderState::Cancelled => ("已撤销", "cancelled"),
        OrderState::Expired => ("逾期未决,已终止", "ended, since nobody decided in time"),
    };
    Told::new(state.word(), zh, en)
}

pub fn reasons(order: &OrderRecord) -> Vec<Told> {
    let refused = match &order.state {
        OrderState::Refused(ground) => Some(Told::new(&ground.code, chinese(&ground.code).unwrap_or(&ground.message), &ground.message)),
        _ => None,
    };
    refused.into_iter().chain(order.flags.iter().map(flag)).collect()
}

fn flag(flag: &Flag) -> Told {
    match flag {
        Flag::DuplicateOrder => Told::new("duplicate-order", "同一代码、同一种证书已有在办的申请", "an earlier order of the same code and profile is open"),
        Flag::DuplicateCertificate => Told::new("duplicate-certificate", "同一代码已有有效的同种证书", "a good certificate of the same code and profile exists"),
        Flag::NotInRegistry => Told::new("not-in-registry", "登记库中没有该代码", "the registry does not know the code"),
        Flag::BusinessSuspended => Told::new("business-suspended", "登记状态为停业", "the registry says that business is suspended"),
    }
}

/// What an applicant is told, by the code of the refusal; a code that is not here is told in its own words.
pub fn chinese(code: &str) -> Option<&'static str> {
    Some(match code {
        "blocked-key" => "该密钥曾被报告泄露,不再签发;请重新生成密钥",
        "listed-key" => "该密钥在公开的弱密钥名单上;请用新版软件重新生成密钥",
        "key-of-another" => "该密钥属于其他持有人;请自行生成密钥",
        "weak-key" => "密钥强度不足或已知不安全;请重新生成密钥",
        "request" => "证书请求(PKCS#10)无法读取,或未能证明持有私钥;请重新生成",
        "applicant" => "申请信息填写有误;请按提示更正",
        "credit-code" => "统一社会信用代码有误;请核对营业执照",
        "no-applicant" | "stray-word" => "申请者信息不完整或多余;请填写名称与统一社会信用代码",
        "unknown-profile" => "没有这种证书",
        "wrong-applicant" => "该种证书不发给此类申请者",
        "key-not-allowed" => "该种证书不接受此类密钥;请换一种密钥",
        "asks-for-ca" => "请求中要求成为签发机构;请去掉该扩展",
        "foreign-name" | "foreign-alternative-name" => "请求中的名称不是申请者的;请用申请者的名称或留空",
        "missing-name" | "name-kind-not-allowed" | "subject-not-filled" => "证书名称的信息不足或不允许;请核对申请",
        "lost" => "签发期间本机构自备份恢复,未能办结;请换一个编号重新申请",
        "lint" => "拟签发的证书不合规则;请联系受理窗口",
        "duplicate-order" => "同一代码、同一种证书已有在办的申请;请等待其办结或先撤销",
        "duplicate-certificate" => "同一代码已有有效的同种证书;请使用该证书或先吊销",
        "not-in-registry" => "登记库中没有该代码;请按营业执照填写",
        "enterprise-frozen" => "该企业已依有权机关的指令冻结;解除之后方可申请",
        "struck-off" => "该企业已注销或被吊销营业执照,不予签发",
        "other-name" => "名称与登记的名称不一致;请按登记的名称填写",
        "order-key" => "申请编号(key)须为1至64位字母、数字、连字符、点或下划线;请另选",
        "order-key-used" => "该申请编号已用于另一份申请;请换一个编号",
        "evidence" => "证明材料的种类或摘要格式有误;请更正",
        "not-online" => "该种证书不在网上受理;请到窗口办理",
        "own-profile" => "该种证书为机构自用,不受理申请",
        "too-many-orders" | "rate" => "目前申请过多;请稍后再试",
        "no-such-order" | "order-number" => "没有该申请;请核对地址",
        "order-decided" => "该申请已办结或正在签发,不能再变更",
        "not-said" => "请求中没有写明撤销此申请;请用申请所用的密钥重新签署",
        "registry" | "store-unavailable" => "系统暂时不可用;请稍后再试",
        _ => return None,
    })
}
