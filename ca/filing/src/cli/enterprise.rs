//! The enterprise's side: a key, a draft with every field explained, its check. Chinese first, `--lang en`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use keys::{DnType, KeyHandle, KeyStore, Passphrase};
use pki::signer::{SignatureAlgorithm, Signer as _};
use policies::authority::CITY;
use policies::filing::{FilingPeriod, Filings, Kind, KindName, PeriodForm, Role};
use policies::identity::CreditCode;
use ring::rand::{SecureRandom, SystemRandom};
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::state::write_atomically;
use runtime::terminal::{json, line};

use super::draft;
use crate::document::{Filing, FilingError, FilingId, MAX_BYTES, MandateId, Value};
use crate::rules::{Failure, History, Judgement, judge};

const KEY: &str = "operator";
/// Names within the operator's directory.
pub(super) const ROOT: &str = "root.pem";
/// A key and a certificate a year: more than a directory lives.
const MAX_RENEWALS: u32 = 64;
const CREDENTIAL: &str = "filing-passphrase";
const MAX_CERTIFICATES: u64 = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Zh,
    En,
}

#[derive(Debug, Args)]
pub struct Place {
    /// 经办人的目录：密钥、证书、已签的申报 (one operator's directory: key, certificate, what was signed).
    #[arg(long, env = "SUIYIN_FILING_DIR", default_value = "filing-state")]
    pub(super) dir: PathBuf,
    /// 语言 (language).
    #[arg(long, env = "SUIYIN_LANG", value_enum, default_value = "zh")]
    pub(super) lang: Language,
    /// 输出 JSON (print JSON, errors included).
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct KeyNew {
    #[command(flatten)]
    pub place: Place,
    /// 单位名称 (the enterprise's name).
    #[arg(long)]
    name: String,
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
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
    /// 委托编号：代理他人申报时填写，--code 为委托单位的代码 (the mandate, when filing for another, whose code --code then is).
    #[arg(long, value_name = "ID")]
    mandate: Option<String>,
}

#[derive(Debug, Args)]
pub struct Checked {
    #[command(flatten)]
    pub place: Place,
    /// 草稿 (a draft).
    file: PathBuf,
    /// 委托编号：按代理签署核对 (check it as signed by an agent under this mandate).
    #[arg(long, value_name = "ID")]
    mandate: Option<String>,
}

/// The first key with its request and certificate, or one that followed: nothing is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u32);

impl Generation {
    fn name(self, word: &str, ending: &str) -> String {
        if self.0 == 1 { format!("{word}{ending}") } else { format!("{word}-{}{ending}", self.0) }
    }

    pub fn key(self) -> String {
        self.name(KEY, "")
    }

    pub fn request(self) -> String {
        self.name("request", ".csr")
    }

    pub fn certificate(self) -> String {
        self.name("certificate", ".pem")
    }

    pub fn next(self) -> Option<Self> {
        Some(Self(self.0 + 1)).filter(|next| next.0 <= MAX_RENEWALS)
    }
}

impl Place {
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
        let (path, error) = (path.display(), error.to_string());
        self.refuse(Exit::Unavailable, "file", (&format!("{path} 无法读写：{error}"), "请检查路径与磁盘"), (&format!("{path} cannot be read or written: {error}"), "check the path and the disk"))
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

    pub(super) fn filings(&self) -> Result<Filings, Problem> {
        Filings::shipped().map_err(|error| Problem::new(Exit::Internal, "policies", error.to_string(), "report this"))
    }

    /// The store of the operator's keys, once its passphrase is given.
    pub(super) fn keys(&self, passphrase_file: Option<&Path>) -> Result<KeyStore, Problem> {
        let passphrase = Passphrase::obtain(passphrase_file, CREDENTIAL, self.said("口令", "Passphrase"));
        let passphrase = passphrase.map_err(|error| Problem::new(Exit::Denied, "passphrase", error.to_string(), self.said("请核对口令文件", "check the passphrase file")))?;
        KeyStore::open(&self.dir, &passphrase).map_err(|error| self.unopened(&error))
    }

    pub(super) fn unopened(&self, error: &keys::KeyError) -> Problem {
        Problem::new(Exit::Denied, "key", error.to_string(), self.said("请核对目录与口令", "check directory and passphrase"))
    }

    /// The operator's key of this certificate.
    pub(super) fn key(&self, passphrase_file: Option<&Path>, certificate: &[u8]) -> Result<KeyHandle, Problem> {
        let (keys, view) = (self.keys(passphrase_file)?, pki::view::CertificateView::parse(certificate).ok());
        for number in 1..=MAX_RENEWALS {
            let key = match keys.load(&Generation(number).key()) {
                Ok(key) => key,
                Err(keys::KeyError::NotFound { .. }) if number > 1 => break,
                Err(error) => return Err(self.unopened(&error)),
            };
            if view.as_ref().is_some_and(|view| view.spki == key.public_key_info()) {
                return Ok(key);
            }
        }
        Err(self.refuse(Exit::Refused, "certificate", ("证书不是本目录密钥的", "请使用本密钥的证书"), ("the certificate is of no key that is here", "use the certificate of this directory's key")))
    }

    /// The newest certificate that is here; the first one's place where there is none.
    pub(super) fn newest(&self) -> Generation {
        let kept = (2..=MAX_RENEWALS).map(Generation).take_while(|one| self.dir.join(one.certificate()).exists());
        kept.last().unwrap_or(Generation(1))
    }

    /// The certificate and its issuers, DER, of a file; of the newest in the directory where none is named.
    pub(super) fn chain(&self, file: Option<&Path>) -> Result<Vec<Vec<u8>>, Problem> {
        let path = file.map_or_else(|| self.dir.join(self.newest().certificate()), Path::to_owned);
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
        let read = Value::parse_draft(&bytes).map_err(FilingError::from).and_then(|mut value| {
            if let (Some(mandate), Value::Object(members)) = (mandate, &mut value) {
                members.insert("signer_role", Value::text(Role::Agent.name()));
                members.insert("mandate", Value::text(mandate.as_str()));
            }
            Filing::from_value(value)
        });
        read.map_err(|error| self.misread(&error))
    }

    pub(super) fn misread(&self, error: &FilingError) -> Problem {
        let (zh, en) = (error.chinese(), error.to_string());
        self.refuse(Exit::Refused, "document", (&zh, "请改正后再试"), (&en, "mend it and try again")).at(error.pointer())
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

    fn tell(&self, failure: &Failure) -> Result<(), Problem> {
        let numbers = failure.expected.as_ref().zip(failure.found.as_ref()).map(|(expected, found)| match self.lang {
            Language::Zh => format!("（应为 {expected}，填写的是 {found}）"),
            Language::En => format!(" (asked for {expected}, found {found})"),
        });
        let (title, what, next) = match self.lang {
            Language::Zh => (&failure.title, &failure.zh, &failure.next),
            Language::En => (&failure.title_en, &failure.en, &failure.next_en),
        };
        line(&format!("{} {} {title}: {what}{}; {next}", failure.rule, failure.field, numbers.unwrap_or_default()))
    }

    pub(super) fn tell_all(&self, judgement: &Judgement) -> Result<(), Problem> {
        for failure in &judgement.failures {
            self.tell(failure)?;
        }
        for note in &judgement.notes {
            line(self.said("提示：", "note:"))?;
            self.tell(note)?;
        }
        for one in &judgement.not_judged {
            line(&format!("{} {}: {}", one.rule, self.said("未核对", "not judged"), self.said(one.why, one.why_en)))?;
        }
        if judgement.is_kept() { line(self.said("全部规则通过。", "every rule that was judged holds.")) } else { Ok(()) }
    }

    pub(super) fn unkept(&self, judgement: &Judgement) -> Problem {
        let count = judgement.failures.len() + judgement.left_out;
        self.refuse(Exit::Refused, "rules", (&format!("{count} 处不符合规则"), "请逐条改正后再 check"), (&format!("{count} rules do not hold"), "mend each and check again"))
    }
}

/// Makes the operator's key and the request for its certificate.
pub fn key_new(wanted: &KeyNew) -> Result<(), Problem> {
    let place = &wanted.place;
    let denied = |error: keys::PassphraseError| Problem::new(Exit::Denied, "passphrase", error.to_string(), place.said("口令须至少 12 个字符，文件权限须为 0600", "give at least 12 characters, in a file of mode 0600"));
    let unkept = |error: keys::KeyError| Problem::new(Exit::Refused, "key", error.to_string(), place.said("请换一个目录", "give another directory"));
    let passphrase = Passphrase::obtain_new(wanted.passphrase_file.as_deref(), CREDENTIAL, place.said("新口令", "New passphrase")).map_err(denied)?;
    let key = KeyStore::create(&place.dir, &passphrase).and_then(|keys| keys.generate(KEY, SignatureAlgorithm::EcdsaP256Sha256)).map_err(unkept)?;
    let request = key.request(Vec::new(), &[(DnType::CommonName, wanted.name.clone())]);
    let request = request.map_err(|error| Problem::new(Exit::Usage, "request", error.to_string(), place.said("请核对单位名称", "check the name")))?;
    let path = place.dir.join("request.csr");
    place.keep(&path, request.as_bytes())?;
    if place.json {
        return json(&serde_json::json!({ "directory": place.dir, "request": path }));
    }
    line(&format!("{} {}", place.said("密钥已生成；请将此证书请求交受理点或在线提交：", "the key is made; have this request certified:"), path.display()))
}

/// Writes a draft in which every field is explained.
pub fn new(wanted: &New) -> Result<(), Problem> {
    let place = &wanted.place;
    let filings = place.filings()?;
    let period = FilingPeriod::parse(&wanted.period);
    let kind = KindName::parse_typed(&wanted.kind).zip(period).and_then(|(kind, period)| filings.current(&kind, period));
    let (kind, period) = kind.zip(period).ok_or_else(|| place.unknown_kind(&filings, &format!("{} {}", wanted.kind, wanted.period)))?;
    let (code, mandate) = (place.code(&wanted.code)?, place.mandate(wanted.mandate.as_deref())?);
    let id = FilingId::from_random(place.random()?);
    let head = draft::Head { kind, period, code: &code, id: &id, mandate: mandate.as_ref() };
    place.keep(&wanted.out, draft::written(&head, place.lang == Language::Zh).as_bytes())?;
    let deadline = filings.deadline(kind, period);
    if place.json {
        let deadline = deadline.map(|deadline| serde_json::json!({ "date": deadline.date.to_string(), "rule": deadline.rule, "confirmed": deadline.confirmed }));
        return json(&serde_json::json!({ "filing_id": id.as_str(), "file": wanted.out, "deadline": deadline }));
    }
    if let Some(deadline) = deadline {
        let unsure = if deadline.confirmed { "" } else { place.said("（待主管部门确认）", " (to be confirmed by the bureau)") };
        line(&format!("{} {}{unsure}", place.said("申报期限：", "due:"), deadline.date))?;
    }
    line(&format!("{} {}", place.said("草稿：", "draft:"), wanted.out.display()))
}

pub(super) fn judged(place: &Place, filing: &Filing) -> Result<Judgement, Problem> {
    Ok(judge(filing, &place.filings()?, &History::default(), SystemClock.now().to_offset(CITY).date()))
}

/// Every rule over a draft, every failure at once.
pub fn check(wanted: &Checked) -> Result<(), Problem> {
    let place = &wanted.place;
    let judgement = judged(place, &place.draft(&wanted.file, place.mandate(wanted.mandate.as_deref())?.as_ref())?)?;
    if place.json {
        json(&judgement)?;
    } else {
        place.tell_all(&judgement)?;
    }
    if judgement.is_kept() { Ok(()) } else { Err(place.unkept(&judgement)) }
}
