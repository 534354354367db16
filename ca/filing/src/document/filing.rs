//! A filing: who declares what for which period, in one canonical text.

use std::fmt;

use policies::filing::{FilingPeriod, KindName, Role};
use policies::identity::CreditCode;
use policies::statement::UnitName;
use time::OffsetDateTime;

use super::attachment::{Attachment, MAX_ATTACHMENTS, credit_code};
use super::envelope::{Agent, PreparedBy, Region, moment};
use super::id::{FilingId, MandateId};
use super::json::{JsonError, Object, Value};

/// The members a filing may have; those without a mark in [`Filing::from_value`] must be there.
pub const MEMBERS: [&str; 16] = [
    "agent", "attachments", "created_at", "filing_id", "form_version", "kind", "mandate", "payload", "period", "prepared_by", "prev_filing_id", "region", "revision", "signer_role", "unit_name", "uscc",
];
/// Those that a receipt says again as they are.
pub const DECLARED: [&str; 4] = ["agent", "created_at", "prepared_by", "region"];
const MAX_REVISION: u32 = 9_999;

/// In which role the filing is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    LegalRepresentative,
    /// 经办人, 办税员.
    Operator,
    /// 代理: another enterprise, under this mandate.
    Agent(MandateId),
}

impl Signer {
    pub fn role(&self) -> Role {
        match self {
            Self::LegalRepresentative => Role::LegalRepresentative,
            Self::Operator => Role::Operator,
            Self::Agent(_) => Role::Agent,
        }
    }
}

/// A filing whose envelope is whole; its payload is judged by the rules of its kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Filing {
    kind: KindName,
    form_version: Option<String>,
    id: FilingId,
    revision: u32,
    previous: Option<FilingId>,
    uscc: CreditCode,
    unit_name: Option<UnitName>,
    period: FilingPeriod,
    signer: Signer,
    region: Option<Region>,
    created_at: Option<OffsetDateTime>,
    prepared_by: Option<PreparedBy>,
    agent: Option<Agent>,
    attachments: Vec<Attachment>,
    value: Value,
    canonical: Vec<u8>,
}

/// The payload holds people's numbers: what is printed is the name.
impl fmt::Debug for Filing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Filing({} {})", self.kind, self.id)
    }
}

/// Why a document is no filing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilingError {
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("the octets are not the canonical form of what they say; sign what `filing sign` or another writer of RFC 8785 makes")]
    NotCanonical,
    #[error("the document is no JSON object; begin with `filing new`")]
    NoObject,
    #[error("`{member}` is no member of a filing; remove it")]
    Unknown { member: String },
    #[error("`{member}` is missing; it is {expected}")]
    Missing { member: &'static str, expected: &'static str },
    #[error("`{member}` is not {expected}")]
    Wrong { member: &'static str, expected: &'static str },
}

impl FilingError {
    /// The same for whoever files.
    pub fn chinese(&self) -> String {
        match self {
            Self::Json(error) => format!("第 {} 行第 {} 字：{}", error.line, error.column, error.fault.chinese()),
            Self::NotCanonical => "内容不是规范形式（RFC 8785）；请签署 filing sign 生成的内容".into(),
            Self::NoObject => "文件不是一份申报；请用 filing new 生成".into(),
            Self::Unknown { member } => format!("申报没有 {member} 这一项；请删除"),
            Self::Missing { member, .. } => format!("缺少 {member}（{}）", explained(member)),
            Self::Wrong { member, .. } => format!("{member} 不正确；应为{}", explained(member)),
        }
    }

    /// The JSON pointer to blame, empty for the whole document.
    pub fn pointer(&self) -> String {
        match self {
            Self::Unknown { member } => format!("/{}", member.replace('~', "~0").replace('/', "~1")),
            Self::Missing { member, .. } | Self::Wrong { member, .. } => format!("/{member}"),
            _ => String::new(),
        }
    }
}

fn explained(member: &str) -> &'static str {
    match member {
        "attachments" => "附件清单，每项有 name、size、sha256、media_type，可另有 sm3，最多 64 项，不重名",
        "filing_id" => "26 位申报编号，由 filing new 生成",
        "form_version" => "表的版本，1 至 16 个字母、数字或连字符",
        "kind" => "申报种类，如 VAT_GENERAL",
        "agent" => "代理单位：委托中为其统一社会信用代码，与委托单位不同；申报中为 uscc（代理单位代码）与 mandate_id（委托编号），仅在 signer_role 为 agent 时填写，并与 mandate 一致",
        "created_at" => "编制时间，如 2026-11-05T12:00:00+08:00",
        "prepared_by" => "编制人：person_ref（姓名或单位内编号，不得写证件或手机号码）与 role（身份）",
        "region" => "地区代码，GB/T 2260 六位，如 440100",
        "first_period" => "可申报的第一个月份，如 202601；与 last_period 同填或同不填",
        "from" => "生效日期，如 2026-12-01",
        "kinds" => "委托的申报种类，1 至 64 种，不重复",
        "last_period" => "可申报的最后一个月份，不早于 first_period",
        "mandate" => "委托编号；仅在 signer_role 为 agent 时填写",
        "mandate_id" => "26 位委托编号",
        "principal" => "委托单位的统一社会信用代码",
        "until" => "最后一天，不早于生效日期，如 2027-06-30",
        "payload" => "表的内容",
        "period" => "所属期，如 202610 或 2026",
        "prev_filing_id" => "上一版的申报编号；第 1 版不填，之后必填",
        "revision" => "版次，从 1 起的整数",
        "signer_role" => "签署人身份：legal-representative（法定代表人）、operator（经办人）或 agent（代理）",
        "unit_name" => "单位名称",
        _ => "统一社会信用代码，18 位大写",
    }
}

impl Filing {
    /// Reads what was signed: the canonical octets and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, FilingError> {
        let filing = Self::from_value(Value::parse(bytes)?)?;
        if filing.canonical == bytes { Ok(filing) } else { Err(FilingError::NotCanonical) }
    }

    /// Of a value, however it was written.
    pub fn from_value(value: Value) -> Result<Self, FilingError> {
        // 1. Nothing that is not understood: what nobody reads must not be signed.
        let object = value.as_object().ok_or(FilingError::NoObject)?;
        if let Some((member, _)) = object.iter().find(|(name, _)| !MEMBERS.contains(name)) {
            return Err(FilingError::Unknown { member: member.chars().take(64).collect() });
        }
        // 2. Each member into its type.
        let kind = required(object, "kind", "a kind of filing, as VAT_GENERAL", |value| value.as_text().and_then(KindName::parse))?;
        let form_version = optional(object, "form_version", "1 to 16 letters, digits or hyphens", |value| value.as_text().filter(|text| is_version(text)).map(str::to_owned))?;
        let id = required(object, "filing_id", "26 letters, as `filing new` makes them", |value| value.as_text().and_then(FilingId::parse))?;
        let revision = required(object, "revision", "1 to 9999", |value| value.as_integer().and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=MAX_REVISION).contains(number)))?;
        let previous = optional(object, "prev_filing_id", "another filing's id", |value| value.as_text().and_then(FilingId::parse).filter(|previous| *previous != id))?;
        let uscc = required(object, "uscc", "a unified social credit code in capitals", |value| value.as_text().and_then(credit_code))?;
        let unit_name = optional(object, "unit_name", "a name of at most 240 bytes", |value| value.as_text().and_then(|text| UnitName::parse(text).ok().filter(|name| name.as_str() == text)))?;
        let period = required(object, "period", "YYYYMM or YYYY", |value| value.as_text().and_then(FilingPeriod::parse))?;
        let role = required(object, "signer_role", "legal-representative, operator or agent", |value| value.as_text().and_then(Role::from_name))?;
        let mandate = optional(object, "mandate", "26 letters, the mandate's id", |value| value.as_text().and_then(MandateId::parse))?;
        let region = optional(object, "region", "six digits of GB/T 2260, as 440100", |value| value.as_text().and_then(Region::parse))?;
        let created_at = optional(object, "created_at", "a moment, as 2026-11-05T12:00:00+08:00", moment)?;
        let prepared_by = optional(object, "prepared_by", "a person_ref, a name or staff number and no number of a person, and a role", PreparedBy::read)?;
        let agent = optional(object, "agent", "the agent's uscc and the mandate_id", Agent::read)?;
        let attachments = required(object, "attachments", "a list of at most 64 files with name, size, sha256, media_type and, where it is told, sm3, each name once", read_attachments)?;
        required(object, "payload", "an object", Value::as_object)?;
        // 3. What belongs together: a correction names what it corrects, an agent the mandate.
        match (revision, &previous) {
            (1, Some(_)) => return Err(FilingError::Wrong { member: "prev_filing_id", expected: "there on a first revision; remove it" }),
            (2.., None) => return Err(FilingError::Missing { member: "prev_filing_id", expected: "the id of the revision before" }),
            _ => {}
        }
        // The mandate may be told in either place, and in both it is one.
        let mandate = match (mandate, &agent) {
            (Some(mandate), Some(agent)) if mandate != agent.mandate_id => return Err(FilingError::Wrong { member: "agent", expected: "of the mandate that `mandate` names" }),
            (mandate, agent) => mandate.or_else(|| agent.as_ref().map(|agent| agent.mandate_id.clone())),
        };
        if agent.as_ref().is_some_and(|agent| role != Role::Agent || agent.uscc == uscc) {
            return Err(FilingError::Wrong { member: "agent", expected: "another enterprise that signs in the role of agent; remove it" });
        }
        let signer = match (role, mandate) {
            (Role::LegalRepresentative, None) => Signer::LegalRepresentative,
            (Role::Operator, None) => Signer::Operator,
            (Role::Agent, Some(mandate)) => Signer::Agent(mandate),
            (Role::Agent, None) => return Err(FilingError::Missing { member: "mandate", expected: "the id of the mandate under which the agent signs" }),
            (_, Some(_)) => return Err(FilingError::Wrong { member: "mandate", expected: "there unless an agent signs; remove it" }),
        };
        let canonical = value.canonical();
        Ok(Self { kind, form_version, id, revision, previous, uscc, unit_name, period, signer, region, created_at, prepared_by, agent, attachments, value, canonical })
    }

    pub fn kind(&self) -> &KindName {
        &self.kind
    }

    pub fn form_version(&self) -> Option<&str> {
        self.form_version.as_deref()
    }

    pub fn id(&self) -> &FilingId {
        &self.id
    }

    /// From one; what a later one does to an earlier one is the kind's to say.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The filing of the revision before.
    pub fn previous(&self) -> Option<&FilingId> {
        self.previous.as_ref()
    }

    pub fn uscc(&self) -> &CreditCode {
        &self.uscc
    }

    pub fn unit_name(&self) -> Option<&UnitName> {
        self.unit_name.as_ref()
    }

    pub fn period(&self) -> FilingPeriod {
        self.period
    }

    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Where it is filed, by GB/T 2260.
    pub fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    /// When it was drawn up, by whoever did.
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        self.created_at
    }

    pub fn prepared_by(&self) -> Option<&PreparedBy> {
        self.prepared_by.as_ref()
    }

    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// What it says of place, time and people, as it says it.
    pub fn declared(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        DECLARED.into_iter().filter_map(move |member| Some((member, self.value.as_object()?.get(member)?)))
    }

    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// The form's content; had only of a filing, so it is an object.
    pub fn payload(&self) -> &Value {
        const NONE: &Value = &Value::Null;
        self.value.as_object().and_then(|object| object.get("payload")).unwrap_or(NONE)
    }

    /// The whole document.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The octets that are signed.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }
}

fn is_version(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn read_attachments(value: &Value) -> Option<Vec<Attachment>> {
    let values = value.as_array().filter(|values| values.len() <= MAX_ATTACHMENTS)?;
    let attachments: Vec<Attachment> = values.iter().map(Attachment::read).collect::<Option<_>>()?;
    let distinct = attachments.iter().enumerate().all(|(at, one)| !attachments.iter().take(at).any(|other| other.name == one.name));
    distinct.then_some(attachments)
}

pub(super) fn required<'a, T>(object: &'a Object, member: &'static str, expected: &'static str, read: impl Fn(&'a Value) -> Option<T>) -> Result<T, FilingError> {
    let value = object.get(member).ok_or(FilingError::Missing { member, expected })?;
    read(value).ok_or(FilingError::Wrong { member, expected })
}

pub(super) fn optional<'a, T>(object: &'a Object, member: &'static str, expected: &'static str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, FilingError> {
    object.get(member).map(|value| read(value).ok_or(FilingError::Wrong { member, expected })).transpose()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = r#"{"attachments":[{"media_type":"application/pdf","name":"合同.pdf","sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","size":12}],"filing_id":"00000000000000000000000001","form_version":"2021-20","kind":"VAT_GENERAL","payload":{"general_month":{"l1":"1000000.00"}},"period":"202610","revision":1,"signer_role":"operator","unit_name":"广州示范有限公司","uscc":"91440101MAT000018G"}"#;

    #[test]
    fn what_is_canonical_is_read_and_kept() {
        let filing = Filing::parse(GOOD.as_bytes()).unwrap();
        assert_eq!((filing.kind().as_str(), filing.revision(), filing.period().to_string().as_str()), ("VAT_GENERAL", 1, "202610"));
        assert_eq!(filing.canonical(), GOOD.as_bytes());
        assert_eq!(filing.payload().pointer("/general_month/l1").unwrap().as_text(), Some("1000000.00"));
        assert_eq!(Filing::parse(format!("{GOOD} ").as_bytes()), Err(FilingError::NotCanonical));
        assert_eq!(Filing::from_value(Value::parse_draft(format!("// a\n{GOOD} ").as_bytes()).unwrap()).unwrap(), filing);
    }

    #[test]
    fn place_time_and_people_are_read_where_they_are_told() {
        let with = |members: &str, role: &str| GOOD.replacen("\"uscc\"", &format!("{members},\"uscc\""), 1).replacen("\"operator\"", &format!("\"{role}\""), 1);
        let read = |text: &str| Filing::from_value(Value::parse(text.as_bytes()).unwrap());
        let told = read(&with("\"created_at\":\"2026-11-05T12:00:00+08:00\",\"prepared_by\":{\"person_ref\":\"李四\",\"role\":\"operator\"},\"region\":\"440106\"", "operator")).unwrap();
        assert_eq!((told.region().unwrap().as_str(), told.prepared_by().unwrap().person_ref.as_str(), told.created_at().unwrap().unix_timestamp()), ("440106", "李四", 1_793_851_200));
        assert_eq!(told.declared().map(|(member, _)| member).collect::<Vec<_>>(), ["created_at", "prepared_by", "region"]);
        // The mandate in either place, or in both.
        let agent = "\"agent\":{\"mandate_id\":\"00000000000000000000000002\",\"uscc\":\"91440101MAT000026B\"}";
        let mandate = "\"mandate\":\"00000000000000000000000002\"";
        for members in [agent.to_owned(), mandate.to_owned(), format!("{agent},{mandate}")] {
            assert!(matches!(read(&with(&members, "agent")).unwrap().signer(), Signer::Agent(id) if id.as_str().ends_with('2')));
        }
        let own = agent.replace("91440101MAT000026B", "91440101MAT000018G");
        for (members, role, pointer) in [
            (agent, "operator", "/agent"),
            (own.as_str(), "agent", "/agent"),
            (&format!("{agent},{}", mandate.replace("02\"", "03\"")), "agent", "/agent"),
            ("\"agent\":{\"uscc\":\"91440101MAT000026B\"}", "agent", "/agent"),
            ("\"region\":\"guangzhou\"", "operator", "/region"),
            ("\"created_at\":\"2026-11-05\"", "operator", "/created_at"),
            ("\"prepared_by\":{\"person_ref\":\"440105190003010052\",\"role\":\"operator\"}", "operator", "/prepared_by"),
            ("\"prepared_by\":{\"person_ref\":\"李四\",\"role\":\"boss\"}", "operator", "/prepared_by"),
            ("\"prepared_by\":{\"person_ref\":\"李四\",\"role\":\"operator\",\"id_no\":\"x\"}", "operator", "/prepared_by"),
        ] {
            let error = read(&with(members, role)).unwrap_err();
            assert_eq!(error.pointer(), pointer, "{members} {error}");
            assert!(!error.chinese().contains("统一社会信用代码，18 位大写"), "{}", error.chinese());
        }
    }

    #[test]
    fn every_fault_names_its_member() {
        for (from, to, pointer) in [
            ("\"revision\":1", "\"revision\":0", "/revision"),
            ("\"revision\":1", "\"revision\":2", "/prev_filing_id"),
            ("\"revision\":1", "\"revision\":\"1\"", "/revision"),
            ("\"kind\":\"VAT_GENERAL\"", "\"kind\":\"vat\"", "/kind"),
            ("\"operator\"", "\"agent\"", "/mandate"),
            ("\"operator\"", "\"boss\"", "/signer_role"),
            ("\"period\":\"202610\"", "\"period\":\"202613\"", "/period"),
            ("91440101MAT000018G", "91440101MAT000018H", "/uscc"),
            ("91440101MAT000018G", "91440101mat000018g", "/uscc"),
            ("\"size\":12", "\"size\":-1", "/attachments"),
            ("\"size\":12", "\"size\":104857601", "/attachments"),
            ("合同.pdf", "../合同.pdf", "/attachments"),
            ("\"payload\":{\"general_month\":{\"l1\":\"1000000.00\"}}", "\"payload\":[]", "/payload"),
            ("\"unit_name\"", "\"unit/name\"", "/unit~1name"),
            (",\"uscc\":\"91440101MAT000018G\"", "", "/uscc"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = Filing::from_value(Value::parse(GOOD.replacen(from, to, 1).as_bytes()).unwrap()).unwrap_err();
            assert_eq!(error.pointer(), pointer, "{error}");
            assert!(!error.chinese().is_empty() && !error.to_string().contains('\n'));
        }
    }
}
