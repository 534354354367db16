//! 回执: what the bureau seals of a filing. One canonical JSON, told again as a page and as a letter of the same values.
//!
//! Everything but the log's position is decided before the commit that records it; the position is assigned inside it. So
//! a receipt is the same whenever it is made out of its draft.
// spec: domain.md 6.5

pub mod html;
pub mod letter;
pub mod pdf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policies::desk::Bureau;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::flow::unit::{Unit, Vouched};
use super::problem::DeskError;
use super::record::filing::{FilingRecord, Status};
use super::record::receipt::ReceiptNumber;
use super::record::RecordError;
use crate::document::{Filing, Object, Value};

/// What the first receipt says beyond the filing itself.
pub struct Received<'a> {
    /// What the filing says of place, time and people is said again.
    pub document: &'a Filing,
    pub unit: &'a Unit,
    /// SHA-256 of the signature as it came, hexadecimal.
    pub signature: &'a str,
    /// SHA-256 of the value in it that its key made, hexadecimal: the octets around it are made anew, it never is.
    pub signature_value: &'a str,
    pub signer: Signer<'a>,
    pub validated_at: OffsetDateTime,
    /// SHA-256 of the certificates from the signer's to the root, hexadecimal.
    pub path: Vec<String>,
    pub revocation_at: OffsetDateTime,
    /// SHA-256 of the responder's answer, hexadecimal.
    pub revocation: &'a str,
    /// The timestamp token over the signature, DER.
    pub token: &'a [u8],
    pub deadline: Option<Deadline<'a>>,
}

pub struct Signer<'a> {
    pub subject: &'a str,
    pub issuer: &'a str,
    /// Hexadecimal.
    pub serial: &'a str,
    pub thumbprint: &'a str,
    pub policies: &'a [String],
    pub role: &'a str,
    /// Who vouches for the role.
    pub role_by: &'a str,
}

pub struct Deadline<'a> {
    pub rule: &'a str,
    pub date: String,
    pub confirmed: bool,
}

/// What an officer says of a filing.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub reasons: Vec<String>,
    /// In fen.
    pub amount_due: Option<u64>,
    pub next_step: Option<String>,
    /// No further revision is taken for the period.
    pub close: bool,
}

/// What stands in every receipt.
pub struct Common<'a> {
    pub number: &'a ReceiptNumber,
    pub filing: &'a FilingRecord,
    pub status: Status,
    pub issued_at: OffsetDateTime,
    pub bureau: &'a Bureau,
    /// SHA-256 of the sealing certificate, hexadecimal.
    pub seal: &'a str,
    pub base_url: &'a str,
    pub log: &'a str,
    /// By which the log's leaves of this filing are found (`LogNames`), hexadecimal.
    pub salt: &'a str,
}

pub fn moment(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

pub(super) fn of_millis(millis: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn texts<T: AsRef<str>>(list: &[T]) -> Value {
    Value::Array(list.iter().map(|text| Value::text(text.as_ref())).collect())
}

fn digest(sha256: &str) -> Value {
    Value::Object(Object::from([("sha256", Value::text(sha256))]))
}

/// By both hashes. spec: domain.md 6.5
fn content(filing: &FilingRecord) -> Value {
    let mut both = Object::from([("sha256", Value::text(filing.content.as_str()))]);
    if let Some(sm3) = &filing.content_sm3 {
        both.insert("sm3", Value::text(sm3.as_str()));
    }
    Value::Object(both)
}

/// All that a receipt says but the position of its leaf in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft(Object);

impl Draft {
    /// As it was recorded.
    pub fn read(text: &[u8]) -> Result<Self, DeskError> {
        match Value::parse(text) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            _ => Err(damaged().into()),
        }
    }

    /// As it is recorded: canonical octets.
    pub fn text(&self) -> Vec<u8> {
        self.0.canonical()
    }

    /// Whether those who get the receipt can read it.
    pub fn fits(&self) -> bool {
        self.0.fits()
    }

    /// With the seal's certificate (SHA-256, hexadecimal) as it is now: whether it was another.
    pub fn sealed_by(&mut self, certificate: &str) -> Result<bool, DeskError> {
        let (bureau, certificate) = (self.0.get("bureau").and_then(Value::as_object).ok_or_else(damaged)?, digest(certificate));
        if bureau.get("certificate") == Some(&certificate) {
            return Ok(false);
        }
        let mut bureau = bureau.clone();
        bureau.insert("certificate", certificate);
        self.0.insert("bureau", Value::Object(bureau));
        Ok(true)
    }

    /// The receipt itself, canonical octets: with the position of its leaf.
    pub fn document(mut self, log_index: u64) -> Result<Vec<u8>, DeskError> {
        self.0.insert("log_index", Value::Integer(i64::try_from(log_index).map_err(|_| damaged())?));
        Ok(self.0.canonical())
    }
}

fn damaged() -> RecordError {
    RecordError::Damaged { kind: "receipt", reason: "its text is no JSON object" }
}

fn common(common: &Common<'_>) -> Object {
    let Common { number, filing, status, issued_at, bureau, seal, base_url, log, salt } = common;
    let bureau = Object::from([
        ("code", Value::text(bureau.code.as_str())),
        ("name", Value::text(bureau.name.as_str())),
        ("name_en", Value::text(bureau.name_en.as_str())),
        ("hotline", Value::text(bureau.hotline.as_str())),
        ("certificate", digest(seal)),
    ]);
    Object::from([
        ("receipt_no", Value::text(number.to_string())),
        ("filing_id", Value::text(number.filing.as_str())),
        ("kind", Value::text(filing.kind.as_str())),
        ("uscc", Value::text(filing.uscc.as_str())),
        ("period", Value::text(filing.period.as_str())),
        ("revision", Value::Integer(filing.revision.into())),
        ("status", Value::text(status.name())),
        ("received_at", Value::text(moment(of_millis(filing.received_at)))),
        ("issued_at", Value::text(moment(*issued_at))),
        ("timely", Value::Boolean(filing.timely)),
        ("content_digest", content(filing)),
        ("bureau", Value::Object(bureau)),
        ("verify_url", Value::text(format!("{base_url}/receipts/{number}"))),
        ("log", Value::text(*log)),
        ("log_salt", Value::text(*salt)),
    ])
}

/// The draft of the receipt that a filing was received.
pub fn received(shared: &Common<'_>, received: &Received<'_>) -> Draft {
    let mut receipt = common(shared);
    let signer = Object::from([
        ("subject", Value::text(received.signer.subject)),
        ("issuer", Value::text(received.signer.issuer)),
        ("serial", Value::text(received.signer.serial)),
        ("thumbprint", digest(received.signer.thumbprint)),
        ("policy_oid", texts(received.signer.policies)),
        ("role", Value::text(received.signer.role)),
        ("role_by", Value::text(received.signer.role_by)),
    ]);
    let revocation = Object::from([("type", Value::text("ocsp")), ("this_update", Value::text(moment(received.revocation_at))), ("digest", digest(received.revocation))]);
    let validation = Object::from([("at", Value::text(moment(received.validated_at))), ("path", texts(&received.path)), ("revocation", Value::Object(revocation))]);
    receipt.insert("unit_name", Value::text(received.unit.name.as_str()));
    receipt.insert("unit_name_by", Value::text(received.unit.by.name()));
    for (member, value) in received.document.declared() {
        receipt.insert(member, value.clone());
    }
    receipt.insert("reasons", Value::Array(Vec::new()));
    receipt.insert("not_judged", texts(&shared.filing.not_judged));
    receipt.insert("signature_digest", digest(received.signature));
    receipt.insert("signature_value_digest", digest(received.signature_value));
    receipt.insert("signer", Value::Object(signer));
    receipt.insert("validation", Value::Object(validation));
    receipt.insert("tst", Value::text(STANDARD.encode(received.token)));
    if let Some(Deadline { rule, date, confirmed }) = &received.deadline {
        receipt.insert("deadline", Value::Object(Object::from([("rule_id", Value::text(*rule)), ("date", Value::text(date.as_str())), ("confirmed", Value::Boolean(*confirmed))])));
    }
    receipt.insert("next_step", Value::text("等待受理；可凭申报编号查询。 / Await the decision; ask for it by the filing's id."));
    Draft(receipt)
}

/// The draft of a later receipt. `previous` is the digest of the one before, hexadecimal.
pub fn moved(shared: &Common<'_>, decision: &Decision, previous: &str) -> Draft {
    let mut receipt = common(shared);
    receipt.insert("reasons", texts(&decision.reasons));
    receipt.insert("prev_receipt_digest", digest(previous));
    if let Some(fen) = decision.amount_due {
        receipt.insert("amounts_due", Value::text(format!("{}.{:02}", fen / 100, fen % 100)));
    }
    if let Some(next) = &decision.next_step {
        receipt.insert("next_step", Value::text(next.as_str()));
    }
    Draft(receipt)
}

/// The receipt itself, canonical octets, of the draft as it was recorded.
pub fn document(draft: &[u8], log_index: u64) -> Result<Vec<u8>, DeskError> {
    Draft::read(draft)?.document(log_index)
}

/// Label in Chinese and English, and value: what people see, in their order.
pub(super) fn rows(document: &[u8]) -> Result<Vec<(&'static str, &'static str, String)>, DeskError> {
    let receipt = Value::parse(document).map_err(|_| damaged())?;
    let text = |pointer: &str| match receipt.pointer(pointer) {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    };
    let city = |pointer: &str| text(pointer).map(|at| in_city(&at));
    let status = text("/status").map(|name| {
        let known = [Status::Received, Status::Accepted, Status::Rejected, Status::Processed].into_iter().find(|status| status.name() == name);
        known.map_or(name, |status| format!("{} / {}", status.words().0, status.words().1))
    });
    let timely = receipt.pointer("/timely").map(|timely| if *timely == Value::Boolean(true) { "是 / yes" } else { "否（逾期）/ no (late)" }.to_owned());
    let list = |pointer: &str| receipt.pointer(pointer).and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_text).collect::<Vec<_>>().join("；"));
    // A name that nobody vouches for is told as one.
    let declared = text("/unit_name_by").is_some_and(|by| by == Vouched::Declared.name());
    let unit = text("/unit_name").filter(|name| !name.is_empty()).map(|name| if declared { format!("{name}（自报，未经核对 / declared, not verified）") } else { name });
    let (reasons, not_judged) = (list("/reasons"), list("/not_judged"));
    let all = [
        ("回执编号", "Receipt", text("/receipt_no")),
        ("状态", "Status", status),
        ("受理单位", "Bureau", text("/bureau/name")),
        ("申报单位", "Filed by", unit),
        ("统一社会信用代码", "Credit code", text("/uscc")),
        ("申报种类", "Kind", text("/kind")),
        ("所属期", "Period", text("/period")),
        ("版次", "Revision", text("/revision")),
        ("申报编号", "Filing", text("/filing_id")),
        ("地区", "Region", text("/region")),
        ("编制人", "Prepared by", text("/prepared_by/person_ref")),
        ("编制时间（北京时间）", "Drawn up (Beijing time)", city("/created_at")),
        ("代理单位", "Agent", text("/agent/uscc")),
        ("接收时间（北京时间）", "Received (Beijing time)", city("/received_at")),
        ("按期", "In time", timely),
        ("申报期限", "Deadline", text("/deadline/date")),
        ("签署人", "Signer", text("/signer/subject")),
        ("证书序列号", "Certificate", text("/signer/serial")),
        ("签署时间（北京时间）", "Signed (Beijing time)", city("/validation/at")),
        ("内容摘要 SHA-256", "Content SHA-256", text("/content_digest/sha256")),
        ("内容摘要 SM3", "Content SM3", text("/content_digest/sm3")),
        ("原因", "Reasons", reasons.filter(|reasons| !reasons.is_empty())),
        ("尚待单位核对的事项", "What the bureau still judges", not_judged.filter(|rules| !rules.is_empty())),
        ("应缴（元）", "Due (CNY)", text("/amounts_due")),
        ("下一步", "Next", text("/next_step")),
        ("日志位置", "Position in the log", text("/log_index")),
        ("查验", "Verify at", text("/verify_url")),
        ("咨询电话", "Hotline", text("/bureau/hotline")),
    ];
    Ok(all.into_iter().filter_map(|(zh, en, value)| Some((zh, en, value?))).collect())
}

/// RFC 3339 in the city's time, to the second.
pub(super) fn in_city(at: &str) -> String {
    let Ok(at) = OffsetDateTime::parse(at, &Rfc3339) else { return at.to_owned() };
    let city = time::UtcOffset::from_hms(8, 0, 0).unwrap_or(time::UtcOffset::UTC);
    let form = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    at.checked_to_offset(city).and_then(|at| at.format(form).ok()).unwrap_or_default()
}
