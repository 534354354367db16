//! `filing verify`: what a signature is worth, offline, with nothing but the trust anchor; and of a filing the fourteen checks
//! that the bureau's desk makes, with its codes.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use const_oid::ObjectIdentifier as Oid;
use pki::path::{Anchors, RevocationAnswer};
use policies::certificate::Arc as PolicyArc;
use policies::filing::Archive;
use policies::identity::CreditCode;
use runtime::clock::{Clock as _, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::desk::check::{Failure, Finding};
use crate::document::Value;
use crate::verify::{Asked, Examined, Filed, NotJudged, Terms, Verdict, examine, verify};

/// The largest document, signature or list that is read.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Verify a signature or a receipt's seal, offline, and a filing by all fourteen checks of the desk. Ends with 0 when it passed,
/// 3 when it cannot be told or a check refuses it, 7 when it failed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  filing verify receipt.json --signature receipt.p7s --anchor root.pem --json\n  filing verify filing.json --signature filing.p7s --anchor root.pem --crl issuing.crl --crl root.crl --code 91440101MAT000018G \\\n     --registry enterprises.csv --word mandate.json --earlier filing-1.json")]
pub struct Verify {
    /// 所签的原文 (the very octets that were signed).
    file: PathBuf,
    /// 分离式 CAdES 签名，DER 或 PEM (the detached CAdES signature).
    #[arg(long)]
    signature: PathBuf,
    /// 信任锚 PEM (the roots that are believed).
    #[arg(long, required = true)]
    anchor: Vec<PathBuf>,
    /// 时间戳的信任锚 PEM；缺省用 --anchor (the roots whose timestamps are believed; those of --anchor without it).
    #[arg(long)]
    tsa_anchor: Vec<PathBuf>,
    /// 吊销列表 DER，签名中没有时给出 (a revocation list, where the signature does not carry it).
    #[arg(long)]
    crl: Vec<PathBuf>,
    /// OCSP 响应 DER (an OCSP response).
    #[arg(long)]
    ocsp: Vec<PathBuf>,
    /// 签署人证书须有的证书策略之一 (a certificate policy, one of which the signer's certificate must bear).
    #[arg(long, value_name = "OID")]
    certificate_policy: Vec<String>,
    /// 签署人证书须有的统一社会信用代码 (the credit code that the signer's certificate must bear).
    #[arg(long)]
    code: Option<String>,
    /// 按此时间而不是现在核验 (judge as of another time than now, RFC 3339).
    #[arg(long)]
    at: Option<String>,
    /// 算法的可信期限，形同 archive.toml；缺省用随程序发布的 (how long algorithms are believed; the shipped one without it).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// 申报：只核验签名 (of a filing: judge the signature alone).
    #[arg(long)]
    signature_only: bool,
    /// 申报：十四项检查有一项不能判定即以 3 结束 (of a filing: ends with 3 unless each of the fourteen checks could be judged).
    #[arg(long)]
    complete: bool,
    /// 申报：受理系统的政策文件目录；缺省用随程序发布的 (of a filing: a desk's policies; the shipped ones without it).
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// 城市的证书策略 OID 弧 (the arc that the certificate policies stand under).
    #[arg(long, env = "SUIYIN_POLICY_ARC", default_value = policies::certificate::DOCUMENTATION_ARC)]
    policy_arc: String,
    /// 申报：企业登记 CSV (of a filing: the registry of enterprises, CSV `code,name,state`).
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
    /// 申报：该单位的参保人员 CSV (of a filing: who is insured through the enterprise, CSV `id_type,id_no,insurances`).
    #[arg(long, value_name = "FILE")]
    staff: Option<PathBuf>,
    /// 申报：委托、授权或其撤回，签名在旁边的 .p7s，按先后给出 (of a filing: a mandate, what the enterprise said of a key, or what took
    /// either back; its signature stands beside it as .p7s. In the order in which they came; may be repeated).
    #[arg(long, value_name = "FILE")]
    word: Vec<PathBuf>,
    /// 申报：此前已收且有效的申报，要给就给全 (of a filing: one that was received before and stands; all of its period and those before it, or none; may be repeated).
    #[arg(long, value_name = "FILE")]
    earlier: Vec<PathBuf>,
    /// 申报：此前没有申报过 (of a filing: none was received before).
    #[arg(long, conflicts_with = "earlier")]
    first: bool,
    /// 申报：附件所在目录 (of a filing: where the files are that go with it).
    #[arg(long, value_name = "DIR")]
    attachments: Option<PathBuf>,
    /// 申报：提交者的统一社会信用代码；缺省为签署者 (of a filing: the credit code of who brings it; whoever signed it without).
    #[arg(long, value_name = "CODE")]
    caller: Option<String>,
    /// 输出 JSON (print the verdict as JSON).
    #[arg(long)]
    json: bool,
}

/// Those at whose ends nothing is reckoned.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9_000;

pub fn run(asked: &Verify) -> Exit {
    match perform(asked) {
        Ok(exit) => exit,
        Err(problem) => {
            runtime::terminal::problem("filing", &problem, asked.json);
            problem.exit
        }
    }
}

fn perform(asked: &Verify) -> Result<Exit, Problem> {
    // 1. Everything is read before anything is judged.
    let (document, signature) = (file(&asked.file)?, der(&file(&asked.signature)?));
    let anchors = roots(&asked.anchor)?;
    let timestamp_anchors = if asked.tsa_anchor.is_empty() { roots(&asked.anchor)? } else { roots(&asked.tsa_anchor)? };
    let terms = Terms::new(&archive(asked.policy.as_deref())?);
    let (mut answers, mut lists, mut responses) = (Vec::new(), Vec::new(), Vec::new());
    for path in &asked.crl {
        let der = file(path)?;
        answers.push(RevocationAnswer::list(&der).map_err(|error| wrong(path, &error))?);
        lists.push(der);
    }
    for path in &asked.ocsp {
        let der = file(path)?;
        answers.push(RevocationAnswer::ocsp(&der).map_err(|error| wrong(path, &error))?);
        responses.push(der);
    }
    let policies = asked.certificate_policy.iter().map(|text| Oid::new(text).map_err(|error| usage(&format!("{text} is no object identifier: {error}")))).collect::<Result<Vec<_>, _>>()?;
    let now = match &asked.at {
        Some(text) => moment(text)?,
        None => SystemClock.now(),
    };
    // 2. Judged.
    let verdict = verify(
        &Asked {
            document: &document,
            signature: &signature,
            anchors: &anchors,
            timestamp_anchors: &timestamp_anchors,
            terms: &terms,
            policies: &policies,
            credit_code: asked.code.as_deref(),
            answers: &answers,
            existed_at: None,
        },
        now,
    );
    // 3. Of a filing, by the desk's checks too.
    let checked = if is_filing(&document) && !asked.signature_only { Some(examine(given(asked, lists, responses, now)?, &document, &signature)?) } else { None };
    // 4. Told.
    if asked.json { json(&Told { verdict: &verdict, checks: checked.as_ref().map(Checks::of) })? } else { told(&verdict, checked.as_ref())? }
    let refused = checked.is_some_and(|checked| !checked.findings.is_empty() || (asked.complete && !checked.not_judged.is_empty()));
    Ok(match verdict.verdict {
        "TOTAL-PASSED" if refused => Exit::Refused,
        "TOTAL-PASSED" => Exit::Ok,
        "INDETERMINATE" => Exit::Refused,
        _ => Exit::Damaged,
    })
}

/// Of the years that certificates tell, so that what is reckoned from it is a moment too.
fn moment(text: &str) -> Result<OffsetDateTime, Problem> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| usage(&format!("{text} is no time: {error}")))?;
    let at = at.checked_to_offset(time::UtcOffset::UTC).filter(|at| YEARS.contains(&at.year()));
    at.ok_or_else(|| usage(&format!("{text} is no moment of the years {} to {}", YEARS.start(), YEARS.end())))
}

/// A receipt tells the filing's id too, and a mandate none.
fn is_filing(document: &[u8]) -> bool {
    let value = Value::parse(document).ok();
    let members = value.as_ref().and_then(Value::as_object);
    members.is_some_and(|members| members.get("filing_id").is_some() && members.get("receipt_no").is_none())
}

/// What takes the place of a desk's own knowledge.
fn given(asked: &Verify, lists: Vec<Vec<u8>>, ocsp: Vec<Vec<u8>>, received_at: OffsetDateTime) -> Result<Filed, Problem> {
    let arc = PolicyArc::parse("--policy-arc", &format!("arc = {:?}", asked.policy_arc)).map_err(|error| usage(&error.to_string()))?;
    let mut policies = match &asked.policies {
        Some(directory) => crate::desk::policy::read(directory, arc)?,
        None => crate::desk::policy::shipped(arc).map_err(|error| usage(&error.to_string()))?,
    };
    if asked.policy.is_some() {
        policies.archive = archive(asked.policy.as_deref())?;
    }
    let earlier = asked.earlier.iter().map(|path| file(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(Filed {
        policies,
        anchors: certificates(&asked.anchor)?,
        timestamp_anchors: if asked.tsa_anchor.is_empty() { None } else { Some(certificates(&asked.tsa_anchor)?) },
        lists,
        ocsp,
        registry: asked.registry.clone(),
        staff: asked.staff.clone(),
        words: asked.word.iter().map(|path| Ok((file(path)?, der(&file(&path.with_extension("p7s"))?)))).collect::<Result<_, Problem>>()?,
        earlier: (asked.first || !earlier.is_empty()).then_some(earlier),
        attachments: asked.attachments.clone(),
        caller: asked.caller.as_deref().map(CreditCode::parse).transpose().map_err(|error| usage(&format!("--caller: {error}")))?,
        received_at,
    })
}

/// The verdict, and of a filing what the checks found, in the desk's words.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks<'a>>,
}

#[derive(Serialize)]
struct Checks<'a> {
    passed: bool,
    failures: Vec<Failure<'a>>,
    not_judged: &'a [NotJudged],
}

impl<'a> Checks<'a> {
    fn of(checked: &'a Examined) -> Self {
        Self { passed: checked.findings.is_empty(), failures: checked.findings.iter().map(Failure::from).collect(), not_judged: &checked.not_judged }
    }
}

fn told(verdict: &Verdict, checked: Option<&Examined>) -> Result<(), Problem> {
    line(&format!("{}  {}{}", verdict.text, verdict.verdict, verdict.sub_indication.map(|sub| format!(" / {sub}")).unwrap_or_default()))?;
    if let Some(signer) = &verdict.signer {
        let holder = signer.organization.as_deref().unwrap_or("-");
        line(&format!("  签名人 signer     {} {}  {}", runtime::terminal::plain(holder), signer.uscc.as_deref().unwrap_or("-"), signer.serial))?;
    }
    if let (Some(time), Some(level)) = (&verdict.best_signature_time, verdict.level) {
        line(&format!("  不晚于 proved by  {time}  {level}"))?;
    }
    for finding in &verdict.findings {
        line(&format!("  {}: {}", finding.sub_indication, finding.detail))?;
    }
    let Some(checked) = checked else { return Ok(()) };
    line(if checked.findings.is_empty() { "十四项检查：已核对的全部通过  every check that was judged passed" } else { "十四项检查：未通过  checks failed" })?;
    for Finding { check, zh, en, next_zh, .. } in &checked.findings {
        line(&format!("  {}  {zh}；{next_zh}  {en}", check.code()))?;
    }
    for NotJudged { code, why, why_en, .. } in &checked.not_judged {
        line(&format!("  {code}  未核对 not judged：{why}  {why_en}"))?;
    }
    Ok(())
}

fn usage(message: &str) -> Problem {
    Problem::new(Exit::Usage, "verify", message, "see `filing verify --help`")
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    usage(&format!("{}: {error}", path.display()))
}

fn file(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(|error| wrong(path, &error))?;
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| wrong(path, &error))?;
    if bytes.len() as u64 > MAX_FILE { Err(usage(&format!("{} is larger than {MAX_FILE} bytes", path.display()))) } else { Ok(bytes) }
}

/// DER out of PEM; what is no PEM is left for the reader to judge.
fn der(bytes: &[u8]) -> Vec<u8> {
    match pem::parse(bytes) {
        Ok(block) if matches!(block.tag(), "CMS" | "PKCS7") => block.into_contents(),
        _ => bytes.to_vec(),
    }
}

fn roots(paths: &[PathBuf]) -> Result<Anchors, Problem> {
    Anchors::new(&certificates(paths)?).map_err(|error| usage(&error.to_string()))
}

/// DER.
fn certificates(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Problem> {
    let mut certificates = Vec::new();
    for path in paths {
        let blocks = pem::parse_many(file(path)?).map_err(|error| wrong(path, &error))?;
        let found = certificates.len();
        certificates.extend(blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents));
        if certificates.len() == found {
            return Err(usage(&format!("{} holds no certificate in PEM", path.display())));
        }
    }
    Ok(certificates)
}

fn archive(path: Option<&Path>) -> Result<Archive, Problem> {
    let Some(path) = path else { return Archive::shipped().map_err(|error| usage(&error.to_string())) };
    let text = String::from_utf8(file(path)?).map_err(|error| wrong(path, &error))?;
    Archive::parse((&path.display().to_string(), &text)).map_err(|error| usage(&error.to_string()))
}
