//! The enterprise's side: a key, a draft with every field explained, its check. Chinese first, `--lang en`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use policies::authority::day_in_city;
use policies::filing::{FilingPeriod, Filings, Kind, KindName, PeriodForm, Role};
use policies::identity::CreditCode;
use ring::rand::{SecureRandom, SystemRandom};
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::state::write_atomically;
use runtime::terminal::{json, line};

use super::draft::{Head, written};
use super::expiry;
use super::fill::{Tabled, fill};
use super::submit::content_of;
use super::mandate;
use crate::document::{Attachment, AttachmentName, Filing, FilingError, FilingId, MAX_ATTACHMENT_BYTES, MAX_BYTES, MandateId, MediaType, Object, Value, is_reference};
use crate::rules::{Failure, History, Judgement, judge};

/// Names within the directory.
pub(super) const ROOT: &str = "root.pem";
const OPERATORS: &str = "operators";
const POLICIES: &str = "policies";
const MAX_CERTIFICATES: u64 = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Zh,
    En,
}

#[derive(Debug, Args)]
pub struct Place {
    /// 单位的目录：密钥、证书、已签的申报 (the enterprise's directory: key, certificate, what was signed).
    #[arg(long, env = "SUIYIN_FILING_DIR", default_value = "filing-state")]
    dir: PathBuf,
    /// 经办人：几个人共用一个目录时，各用各的密钥与证书 (the operator, where several share the directory, each with a key and a certificate).
    #[arg(long, env = "SUIYIN_FILING_OPERATOR", value_name = "NAME", value_parser = operator_name)]
    operator: Option<String>,
    /// 语言 (language).
    #[arg(long, env = "SUIYIN_LANG", value_enum, default_value = "zh")]
    pub(super) lang: Language,
    /// 单位与申报种类的政策文件目录；缺省为 DIR/policies，再缺省为随程序发布的 (policies of bureaus and kinds: a desk's directory; DIR/policies, else those shipped).
    #[arg(long, env = "SUIYIN_FILING_POLICIES", value_name = "DIR")]
    policies: Option<PathBuf>,
    /// 输出 JSON (print JSON, errors included).
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct New {
    #[command(flatten)]
    pub place: Place,
    /// 种类：vat-general、si-staff-change、si-wage-base.
    #[arg(long)]
    kind: String,
    /// 所属期 (period): 202610, 2026.
    #[arg(long)]
    period: String,
    /// 统一社会信用代码 (the unified social credit code).
    #[arg(long)]
    code: String,
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// 人员明细表 CSV；标题行用中文或英文栏目名 (a table of people, CSV, whose first line names the columns in Chinese or English).
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    tabled: Tabled,
    /// 委托编号：代理他人申报时填写，--code 为委托单位的代码 (the mandate, when filing for another, whose code --code then is).
    #[arg(long, value_name = "ID")]
    mandate: Option<String>,
    /// 附件，可多次；记入名称、大小与摘要，提交时与申报放在同一目录，或用 --attachments 指明目录 (a file that goes with it; may be said again).
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// 更正：已签名的上一版 .json；照抄其内容，版次加一 (a correction of this signed filing: its content, the next revision).
    #[arg(long, value_name = "FILE")]
    revises: Option<PathBuf>,
    /// 编制人：姓名或单位内编号，不要写证件或手机号码；缺省为 --operator (who draws it up: a name or a staff number; the operator without it).
    #[arg(long, value_name = "NAME")]
    prepared_by: Option<String>,
}

#[derive(Debug, Args)]
pub struct Checked {
    #[command(flatten)]
    pub place: Place,
    /// 草稿，或人员明细表 CSV（须同时给出 --kind、--period、--code） (a draft; or a table of people, with --kind, --period and --code).
    file: PathBuf,
    /// 明细表的申报种类 (the kind that a table is for).
    #[arg(long, requires_all = ["period", "code"])]
    kind: Option<String>,
    /// 明细表的所属期 (its period).
    #[arg(long, requires = "kind")]
    period: Option<String>,
    /// 统一社会信用代码 (the unified social credit code).
    #[arg(long, requires = "kind")]
    code: Option<String>,
    #[command(flatten)]
    tabled: Tabled,
    /// 委托编号：按代理签署核对 (check it as signed by an agent under this mandate).
    #[arg(long, value_name = "ID")]
    mandate: Option<String>,
}

/// As a directory can be called anywhere.
fn operator_name(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    if fits { Ok(text.to_owned()) } else { Err("经办人名为 1 至 32 个文字、字母、数字、- 或 _ (1 to 32 letters, digits, - or _)".to_owned()) }
}

impl Place {
    /// Where this operator's key, certificate and filings are.
    pub(super) fn home(&self) -> PathBuf {
        self.operator.as_ref().map_or_else(|| self.dir.clone(), |name| self.dir.join(OPERATORS).join(name))
    }

    /// How this place is named on a command line.
    pub(super) fn named(&self) -> String {
        let operator = self.operator.as_ref().map(|name| format!(" --operator {name}")).unwrap_or_default();
        format!("--dir {}{operator}", self.dir.display())
    }

    /// The anchor of this operator, else that of the whole enterprise.
    pub(super) fn anchor(&self) -> PathBuf {
        let own = self.home().join(ROOT);
        if own.exists() { own } else { self.dir.join(ROOT) }
    }

    /// Everybody whose filings are to be shown: the one who is named, else all that share the directory.
    pub(super) fn everybody(&self) -> Vec<Self> {
        let mut all = vec![Self { dir: self.dir.clone(), operator: self.operator.clone(), policies: self.policies.clone(), ..*self }];
        if self.operator.is_none() && let Ok(entries) = std::fs::read_dir(self.dir.join(OPERATORS)) {
            let mut names: Vec<String> = entries.filter_map(|entry| operator_name(entry.ok()?.file_name().to_str()?).ok()).collect();
            names.sort();
            all.extend(names.into_iter().map(|name| Self { dir: self.dir.clone(), operator: Some(name), policies: self.policies.clone(), ..*self }));
        }
        all
    }

    pub(super) fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }

    pub(super) fn said<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        if self.lang == Language::Zh { zh } else { en }
    }

    pub(super) fn format(&self, zh: &str, en: &str) -> String {
        self.said(zh, en).to_owned()
    }

    pub(super) fn refuse(&self, exit: Exit, code: &str, zh: (&str, &str), en: (&str, &str)) -> Problem {
        Problem::new(exit, code, self.said(zh.0, en.0), self.said(zh.1, en.1))
    }

    pub(super) fn failed(&self, path: &Path, error: &std::io::Error) -> Problem {
        let (path, what) = (path.display(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::NotFound => self.refuse(Exit::NotFound, "file", (&format!("没有 {path}"), "请核对文件名与 --dir"), (&format!("there is no {path}"), "check the name, and --dir")),
            std::io::ErrorKind::PermissionDenied => self.refuse(Exit::Denied, "file", (&format!("无权读写 {path}"), "请核对文件的权限"), (&format!("{path} may not be read or written"), "check its mode and owner")),
            _ => self.refuse(Exit::Unavailable, "file", (&format!("{path} 无法读写：{what}"), "请检查路径与磁盘"), (&format!("{path} cannot be read or written: {what}"), "check the path and the disk")),
        }
    }

    /// A file, no more of it than anybody would read.
    pub(super) fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(|error| self.failed(path, &error))?;
        Ok(bytes)
    }

    /// Written whole or not at all; what stands there with another content is kept.
    pub(super) fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), Problem> {
        match std::fs::read(path) {
            Ok(there) if there == bytes => return Ok(()),
            Ok(_) => {
                let shown = path.display();
                return Err(self.refuse(Exit::Conflict, "exists", (&format!("{shown} 已有别的内容"), "请换一个名字；已有文件不会被覆盖"), (&format!("{shown} stands with another content"), "give another name; nothing is written over")));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.failed(path, &error)),
        }
        write_atomically(path, bytes, 0o600).map_err(|error| self.failed(path, &error))
    }

    /// The kinds that there are: a new one, or another calendar, is a file and no new program.
    pub(super) fn filings(&self) -> Result<Filings, Problem> {
        let beside = self.dir.join(POLICIES);
        if let Some(directory) = self.policies.as_ref().or_else(|| beside.is_dir().then_some(&beside)) {
            return Ok(crate::desk::policy::read_filings(directory)?);
        }
        Filings::shipped().map_err(|error| Problem::new(Exit::Internal, "policies", error.to_string(), "report this"))
    }

    /// The certificate and its issuers, DER, of a file; of the newest in the directory where none is named.
    pub(super) fn chain(&self, file: Option<&Path>) -> Result<Vec<Vec<u8>>, Problem> {
        let path = file.map_or_else(|| self.home().join(self.newest().certificate()), Path::to_owned);
        if file.is_none() && !path.exists() {
            let (zh, en) = (format!("{} 中还没有证书", self.home().display()), format!("there is no certificate in {} yet", self.home().display()));
            return Err(self.refuse(Exit::NotFound, "certificate", (&zh, "请先执行 filing request 与 filing fetch，或用 --certificate 给出"), (&en, "run `filing request` and `filing fetch`, or give it with --certificate")));
        }
        let bad = |zh: &str, en: &str| {
            let shown = path.display();
            let next = ("请给出认证机构签发的证书（PEM）", "give the certificates that the authority issued, PEM");
            self.refuse(Exit::Refused, "certificate", (&format!("{shown}：{zh}"), next.0), (&format!("{shown}: {en}"), next.1))
        };
        let blocks = pem::parse_many(self.read(&path, MAX_CERTIFICATES)?).map_err(|error| bad("不是 PEM", &error.to_string()))?;
        let chain: Vec<Vec<u8>> = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
        if chain.is_empty() { Err(bad("文件中没有证书", "there is no certificate in it")) } else { Ok(chain) }
    }

    /// A draft; signed by an agent where a mandate is named.
    pub(super) fn draft(&self, file: &Path, mandate: Option<&MandateId>) -> Result<Filing, Problem> {
        let bytes = self.read(file, MAX_BYTES as u64)?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            let shown = file.display();
            return Err(self.refuse(Exit::Refused, "document", (&format!("{shown} 是空的"), "请用 filing new 生成草稿"), (&format!("{shown} is empty"), "make a draft with `filing new`")));
        }
        let agent = mandate.map(|id| mandate::agent_of(self, id)).transpose()?.flatten();
        let read = Value::parse_draft(&bytes).map_err(FilingError::from).and_then(|mut value| {
            if let (Some(mandate), Value::Object(members)) = (mandate, &mut value) {
                members.insert("signer_role", Value::text(Role::Agent.name()));
                members.insert("mandate", Value::text(mandate.as_str()));
                if let Some(agent) = &agent {
                    members.insert("agent", Value::Object(Object::from([("uscc", Value::text(agent.as_str())), ("mandate_id", Value::text(mandate.as_str()))])));
                }
            }
            Filing::from_value(value)
        });
        read.map_err(|error| self.misread(&error))
    }

    pub(super) fn misread(&self, error: &FilingError) -> Problem {
        let (zh, en) = (error.chinese(), error.to_string());
        let problem = self.refuse(Exit::Refused, "document", (&zh, "请改正后再试"), (&en, "mend it and try again"));
        if error.pointer().is_empty() { problem } else { problem.at(error.pointer()) }
    }

    pub(super) fn mandate(&self, text: Option<&str>) -> Result<Option<MandateId>, Problem> {
        let wrong = || self.refuse(Exit::Usage, "mandate", ("这不是委托编号", "委托编号是 26 位字母数字；filing mandate list 可以查到"), ("this is no mandate's id", "it has 26 letters and digits; `filing mandate list` tells it")).at("mandate");
        text.map(|text| MandateId::parse(text).ok_or_else(wrong)).transpose()
    }

    pub(super) fn code(&self, text: &str) -> Result<CreditCode, Problem> {
        CreditCode::parse(text).map_err(|error| {
            let (zh, en) = (format!("“{text}”不是统一社会信用代码"), format!("`{text}` is no unified social credit code: {error}"));
            self.refuse(Exit::Usage, "code", (&zh, "请照营业执照填写 18 位代码"), (&en, "write the 18 letters and digits of the business licence")).at("code")
        })
    }

    pub(super) fn warn_of(&self, filings: &Filings, filing: &Filing) {
        if let Some(kind) = filings.kind(filing.kind(), filing.form_version()) {
            expiry::warn_of(self, filings, kind, filing.period());
        }
    }

    pub(super) fn unknown_kind(&self, filings: &Filings, text: &str) -> Problem {
        let known = |month: &str, year: &str| {
            let form = |kind: &Kind| if kind.period() == PeriodForm::Month { month.to_owned() } else { year.to_owned() };
            filings.kinds().iter().map(|kind| format!("{} ({})", kind.name().typed(), form(kind))).collect::<Vec<_>>()
        };
        let (zh, en) = (known("按月，如 202610", "按年，如 2026").join("、"), known("by month, as 202610", "by year, as 2026").join(", "));
        let (zh, en) = ((format!("没有这种申报或所属期：{text}"), format!("可用：{zh}")), (format!("there is no such kind of filing or period: {text}"), format!("there are: {en}")));
        self.refuse(Exit::Usage, "kind", (&zh.0, &zh.1), (&en.0, &en.1)).at("kind")
    }

    pub(super) fn random(&self) -> Result<[u8; 16], Problem> {
        let mut random = [0; 16];
        let none = |_| self.refuse(Exit::Internal, "random", ("系统没有给出随机数", "请重试；仍不行请报告"), ("the system gives no random numbers", "try again; report it if that does not help"));
        SystemRandom::new().fill(&mut random).map_err(none)?;
        Ok(random)
    }

    /// A failure in the chosen language: rule, field, what should hold, what to do.
    pub(super) fn told(&self, failure: &Failure) -> String {
        let numbers = failure.expected.as_ref().zip(failure.found.as_ref()).map(|(expected, found)| match self.lang {
            Language::Zh => format!("（应为 {expected}，填写的是 {found}）"),
            Language::En => format!(" (asked for {expected}, found {found})"),
        });
        let numbers = numbers.unwrap_or_default();
        match self.lang {
            Language::Zh => format!("{} {} {}：{}{numbers}；{}", failure.rule, failure.field, failure.title, failure.zh, failure.next),
            Language::En => format!("{} {} {}: {}{numbers}; {}", failure.rule, failure.field, failure.title_en, failure.en, failure.next_en),
        }
    }

    pub(super) fn tell_all(&self, judgement: &Judgement) -> Result<(), Problem> {
        for failure in &judgement.failures {
            line(&self.told(failure))?;
        }
        for note in &judgement.notes {
            line(&format!("{}{}", self.said("提示：", "note: "), self.told(note)))?;
        }
        for one in &judgement.not_judged {
            line(&format!("{} {}: {}", one.rule, self.said("未核对", "not judged"), self.said(one.why, one.why_en)))?;
        }
        if judgement.is_kept() { self.kept() } else { Ok(()) }
    }

    fn kept(&self) -> Result<(), Problem> {
        if self.json { Ok(()) } else { line(self.said("全部规则通过。", "every rule that was judged holds.")) }
    }

    pub(super) fn unkept(&self, judgement: &Judgement) -> Problem {
        let count = judgement.failures.len() + judgement.left_out;
        self.refuse(Exit::Refused, "rules", (&format!("{count} 处不符合规则"), "请逐条改正后再 check"), (&format!("{count} rules do not hold"), "mend each and check again"))
    }
}

/// The head of a form: its kind for a period, whose it is, who signs it.
fn headed<'a>(place: &Place, filings: &'a Filings, (kind, period, code): (&str, &str, &str), mandate: Option<&str>, prepared_by: Option<&str>) -> Result<Head<'a>, Problem> {
    let unknown = || place.unknown_kind(filings, &format!("{kind} {period}"));
    let of = FilingPeriod::parse(period).ok_or_else(unknown)?;
    let form = KindName::parse_typed(kind).and_then(|kind| filings.current(&kind, of)).ok_or_else(unknown)?;
    let mandate = place.mandate(mandate)?;
    let agent = mandate.as_ref().map(|id| mandate::agent_of(place, id)).transpose()?.flatten();
    let person = || place.refuse(Exit::Usage, "prepared-by", ("编制人为姓名或单位内编号，1 至 32 个文字、字母、数字", "请勿写证件或手机号码"), ("who draws it up is told by a name or a staff number of 1 to 32 letters and digits", "write no number of a person")).at("prepared-by");
    let prepared_by = match prepared_by {
        Some(text) if !is_reference(text) => return Err(person()),
        given => given.or(place.operator().filter(|name| is_reference(name))).map(str::to_owned),
    };
    let now = SystemClock.now();
    let region = filings.region(form, day_in_city(now)).map(str::to_owned);
    Ok(Head { kind: form, period: of, code: place.code(code)?, id: FilingId::from_random(place.random()?), revision: 1, previous: None, attachments: Vec::new(), mandate, agent, region, created_at: now, prepared_by })
}

/// A file as the filing names it.
fn attached(place: &Place, file: &Path) -> Result<Attachment, Problem> {
    let metadata = std::fs::metadata(file).map_err(|error| place.failed(file, &error))?;
    let (size, shown) = (metadata.len(), file.display());
    let name = file.file_name().and_then(|name| name.to_str()).and_then(AttachmentName::parse).filter(|_| metadata.is_file() && size <= MAX_ATTACHMENT_BYTES);
    let name = name.ok_or_else(|| place.refuse(Exit::Refused, "attachment", (&format!("{shown} 不能作附件"), "附件为不超过 100 MB 的文件，文件名不超过 160 字节，不以点开头"), (&format!("{shown} cannot be attached"), "it is a file of at most 100 MB with a name of at most 160 bytes that begins with no dot")))?;
    let (media_type, content) = (MediaType::of_name(name.as_str()), content_of(place, file, size)?);
    if content.size != size {
        return Err(place.refuse(Exit::Conflict, "attachment", (&format!("{shown} 正在被改写"), "请等文件写完后重试"), (&format!("{shown} changes while it is read"), "try again when it is whole")));
    }
    Ok(Attachment { name, size, sha256: content.sha256, sm3: Some(content.sm3), media_type })
}

/// The filing that is corrected, whose place the new one takes.
fn revised(place: &Place, file: &Path, head: &mut Head<'_>) -> Result<Filing, Problem> {
    let before = Filing::parse(&place.read(file, MAX_BYTES as u64)?).map_err(|error| place.misread(&error))?;
    if (before.kind(), before.period(), before.uscc()) != (head.kind.name(), head.period, &head.code) {
        let told = format!("{} {} {}", before.kind().typed(), before.period(), before.uscc().as_str());
        return Err(place.refuse(Exit::Usage, "revises", (&format!("上一版是另一份申报：{told}"), "种类、所属期与代码须与上一版相同"), (&format!("the filing to correct is another: {told}"), "kind, period and code are those of the revision before")).at("revises"));
    }
    (head.revision, head.previous) = (before.revision() + 1, Some(before.id().clone()));
    Ok(before)
}

/// Writes a draft in which every field is explained; filled from a table where one is given whose every row is right.
pub fn new(wanted: &New) -> Result<(), Problem> {
    let (place, filings) = (&wanted.place, wanted.place.filings()?);
    let mut head = headed(place, &filings, (&wanted.kind, &wanted.period, &wanted.code), wanted.mandate.as_deref(), wanted.prepared_by.as_deref())?;
    head.attachments = wanted.attach.iter().map(|file| attached(place, file)).collect::<Result<_, _>>()?;
    let before = wanted.revises.as_ref().map(|file| revised(place, file, &mut head)).transpose()?;
    expiry::warn_of(place, &filings, head.kind, head.period);
    let filled = wanted.from.as_ref().map(|table| fill(place, &filings, &head, table, &wanted.tabled)).transpose()?;
    if let Some(filled) = filled.as_ref().filter(|filled| filled.found.has_bad_rows()) {
        if place.json { json(&filled.found)? } else { filled.found.tell(place)? }
        return Err(filled.found.problem(place));
    }
    let text = filled.as_ref().map_or_else(|| written(&head, before.as_ref().and_then(|before| before.payload().as_object()), place.lang == Language::Zh), |filled| filled.text.clone());
    place.keep(&wanted.out, text.as_bytes())?;
    let deadline = filings.deadline(head.kind, head.period);
    if place.json {
        let deadline = deadline.map(|deadline| serde_json::json!({ "date": deadline.date.to_string(), "rule": deadline.rule, "confirmed": deadline.confirmed }));
        return json(&serde_json::json!({ "filing_id": head.id.as_str(), "file": wanted.out, "deadline": deadline, "found": filled.map(|filled| filled.found) }));
    }
    if let Some(filled) = &filled {
        filled.found.tell(place)?;
    }
    if let Some(deadline) = deadline {
        let unsure = if deadline.confirmed { "" } else { place.said("（待主管部门确认）", " (to be confirmed by the bureau)") };
        let over = if deadline.is_kept(head.created_at) { "" } else { place.said("，已过", ", which is over") };
        line(&format!("{} {}{over}{unsure}", place.said("申报期限：", "due:"), deadline.date))?;
    }
    line(&format!("{} {}", place.said("草稿：", "draft:"), wanted.out.display()))
}

pub(super) fn judged(filings: &Filings, filing: &Filing) -> Judgement {
    judge(filing, filings, &History::default(), day_in_city(SystemClock.now()))
}

/// Every rule over a draft or a table, every failure at once.
pub fn check(wanted: &Checked) -> Result<(), Problem> {
    let (place, filings) = (&wanted.place, wanted.place.filings()?);
    if let (Some(kind), Some(period), Some(code)) = (&wanted.kind, &wanted.period, &wanted.code) {
        let head = headed(place, &filings, (kind, period, code), wanted.mandate.as_deref(), None)?;
        let found = fill(place, &filings, &head, &wanted.file, &wanted.tabled)?.found;
        if place.json { json(&found)? } else { found.tell(place)? }
        return if found.is_kept() { place.kept() } else { Err(found.problem(place)) };
    }
    let filing = place.draft(&wanted.file, place.mandate(wanted.mandate.as_deref())?.as_ref())?;
    place.warn_of(&filings, &filing);
    let judgement = judged(&filings, &filing);
    if place.json {
        json(&judgement)?;
    } else {
        place.tell_all(&judgement)?;
    }
    if judgement.is_kept() { Ok(()) } else { Err(place.unkept(&judgement)) }
}
