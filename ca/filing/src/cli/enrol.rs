//! The enterprise's certificate: ordered at the authority, fetched when it is approved, renewed while it is valid.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use keys::DnType;
use pki::cms::SignerPlan;
use pki::path::{ANY_PURPOSE, Anchors, CertificateFacts, Requirements, Validation};
use pki::view::CertificateView;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::fetch::Fetcher;
use runtime::terminal::{json, line};
use serde::{Deserialize, Serialize};

use super::enterprise::{Place, ROOT};
use super::kept::Trust;
use super::key::Secret;
use super::sign::usable;
use super::wire::runtime;
use crate::desk::{hex, sha256_hex};

const PROFILE: &str = "enterprise-signing";
/// What was ordered, and under which number; the number is a secret between both sides.
const ORDER: &str = "order.json";
const PLACED: &str = "order-placed.json";
const MAX_EVIDENCE: u64 = 100 << 20;
const MAX_SMALL: u64 = 256 << 10;
const MAX_ANSWER: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(60);
const DIGITAL_SIGNATURE: u8 = 0;

#[derive(Debug, Args)]
pub struct Request {
    #[command(flatten)]
    pub place: Place,
    /// 认证机构地址 (the authority): http://HOST[:PORT].
    #[arg(long, env = "SUIYIN_CA_URL")]
    authority: String,
    /// 单位名称 (the enterprise's name).
    #[arg(long)]
    name: String,
    /// 统一社会信用代码 (its unified social credit code).
    #[arg(long)]
    code: String,
    /// 机构邮箱 (its mailbox).
    #[arg(long)]
    mailbox: Option<String>,
    /// 证明材料：种类=文件；只发送摘要 (evidence, KIND=FILE; only its digest is sent).
    #[arg(long, value_name = "KIND=FILE")]
    evidence: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Debug, Args)]
pub struct Renew {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    trust: Trust,
    /// 认证机构地址；缺省为申请时的地址 (the authority; the one of the order without).
    #[arg(long, env = "SUIYIN_CA_URL")]
    authority: Option<String>,
    /// 不待到期即更换密钥；新证书仍于原到期日到期 (change the key before the end is near; the new certificate ends when the old one would have).
    #[arg(long)]
    rekey: bool,
    #[command(flatten)]
    secret: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    profile: String,
    request: String,
    applicant: Applicant,
    evidence: Vec<Evidence>,
    key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Applicant {
    name: String,
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Evidence {
    kind: String,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Placed {
    authority: String,
    id: String,
}

/// What the authority shows of an order.
#[derive(Serialize, Deserialize)]
struct Shown {
    id: String,
    state: Told,
    #[serde(default)]
    reasons: Vec<Told>,
    certificate: Option<String>,
    chain: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Told {
    code: String,
    zh: String,
    en: String,
}

fn odd(place: &Place, error: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Internal, "answer", error.to_string(), place.said("请核对认证机构地址与版本", "check the authority's address and version"))
}

fn stored<T: serde::de::DeserializeOwned>(place: &Place, name: &str) -> Result<Option<T>, Problem> {
    let path = place.home().join(name);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |error: serde_json::Error| Problem::new(Exit::Damaged, "file", format!("{}: {error}", path.display()), place.said("请换一个目录重新申请", "order again from another directory"));
    serde_json::from_slice(&place.read(&path, MAX_SMALL)?).map(Some).map_err(damaged)
}

fn written(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec_pretty(value).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))
}

/// 1 what is ordered · 2 kept with its key, so that again is the same order · 3 placed · 4 its number kept.
pub fn request(wanted: &Request) -> Result<(), Problem> {
    let place = &wanted.place;
    // 1.
    let code = place.code(&wanted.code)?;
    let request = place.home().join("request.csr");
    if !request.exists() {
        return Err(place.refuse(Exit::NotFound, "request", ("还没有密钥与证书请求", "请先执行 filing key new"), ("there is no key and no request yet", "run `filing key new` first")));
    }
    let csr = String::from_utf8(place.read(&request, MAX_SMALL)?).map_err(|error| odd(place, error))?;
    let evidence = wanted.evidence.iter().map(|one| evidence(place, one)).collect::<Result<_, _>>()?;
    let applicant = Applicant { name: wanted.name.clone(), code: code.as_str().to_owned(), mailbox: wanted.mailbox.clone() };
    let mut order = Order { profile: PROFILE.to_owned(), request: csr, applicant, evidence, key: hex(&place.random()?) };
    // 2. Another order under the same key is refused here, before the authority has to.
    if let Some(before) = stored::<Order>(place, ORDER)? {
        order.key = before.key;
    }
    place.keep(&place.home().join(ORDER), &written(&order)?)?;
    // 3.
    let body = serde_json::to_vec(&order).map_err(|error| odd(place, error))?;
    let mut fetcher = Fetcher::new(&wanted.authority, PATIENCE)?;
    let (status, answer) = runtime()?.block_on(fetcher.post("orders", ("application/json", body), MAX_ANSWER))?;
    if !status.is_success() {
        return Err(refused(place, status, &answer));
    }
    let shown: Shown = serde_json::from_slice(&answer).map_err(|error| odd(place, error))?;
    // 4.
    place.keep(&place.home().join(PLACED), &written(&Placed { authority: wanted.authority.clone(), id: shown.id.clone() })?)?;
    told(place, &shown)?;
    if place.json { Ok(()) } else { line(place.said("批准后执行 filing fetch 取证书。", "when it is approved: filing fetch")) }
}

fn evidence(place: &Place, one: &str) -> Result<Evidence, Problem> {
    let (kind, path) = one.split_once('=').ok_or_else(|| place.refuse(Exit::Usage, "evidence", ("证明材料写作 种类=文件", "例如 licence=licence.pdf"), ("evidence is KIND=FILE", "as in licence=licence.pdf")))?;
    let bytes = place.read(Path::new(path), MAX_EVIDENCE)?;
    if bytes.len() as u64 > MAX_EVIDENCE {
        return Err(place.refuse(Exit::Usage, "evidence", ("证明材料超过 100 MB", "请给出较小的文件"), ("the evidence is larger than 100 MB", "give a smaller file")));
    }
    Ok(Evidence { kind: kind.to_owned(), sha256: sha256_hex(&bytes) })
}

fn refused(place: &Place, status: axum::http::StatusCode, answer: &[u8]) -> Problem {
    match serde_json::from_slice::<Problem>(answer) {
        Ok(problem) => problem.received(status),
        Err(_) => Problem::new(Exit::from_status(status), "http", status.to_string(), place.said("请核对认证机构地址", "check the authority's address")),
    }
}

fn told(place: &Place, shown: &Shown) -> Result<(), Problem> {
    if place.json {
        return json(&serde_json::json!({ "state": shown.state, "reasons": shown.reasons }));
    }
    line(place.said(&shown.state.zh, &shown.state.en))?;
    shown.reasons.iter().try_for_each(|reason| line(&format!("  {}", place.said(&reason.zh, &reason.en))))
}

/// 1 how the order stands · 2 the certificate checked: key, holder, path · 3 kept, the anchor first.
pub fn fetch(wanted: &Fetch) -> Result<(), Problem> {
    let place = &wanted.place;
    // 1.
    let unplaced = || place.refuse(Exit::NotFound, "order", ("本目录没有已提交的申请", "请先执行 filing request"), ("nothing was ordered from this directory", "run `filing request` first"));
    let (order, placed) = (stored::<Order>(place, ORDER)?.ok_or_else(unplaced)?, stored::<Placed>(place, PLACED)?.ok_or_else(unplaced)?);
    let mut fetcher = Fetcher::new(&placed.authority, PATIENCE)?;
    let answer = runtime()?.block_on(fetcher.get(&format!("orders/{}", placed.id), MAX_ANSWER))?.ok_or_else(unplaced)?;
    let shown: Shown = serde_json::from_slice(&answer).map_err(|error| odd(place, error))?;
    told(place, &shown)?;
    let Some(certificate) = &shown.certificate else {
        let reasons: Vec<&str> = shown.reasons.iter().map(|reason| place.said(&reason.zh, &reason.en)).collect();
        let (exit, zh, en) = if shown.state.code.starts_with("awaiting") {
            (Exit::Unavailable, ("证书尚未签发", "请稍后再执行 filing fetch"), ("the certificate is not issued yet", "run `filing fetch` again later"))
        } else {
            (Exit::Refused, ("该申请没有签发证书", "请按原因改正后，在新目录重新申请"), ("the order got no certificate", "mend what the reasons say and order from a new directory"))
        };
        let mut problem = place.refuse(exit, &shown.state.code, zh, en);
        if !reasons.is_empty() {
            problem.message = format!("{} ({})", problem.message, reasons.join("; "));
        }
        return Err(problem);
    };
    // 2, 3.
    let text = format!("{certificate}{}", shown.chain.as_deref().unwrap_or_default());
    let holder = (Some(order.applicant.name.as_str()), order.applicant.code.as_str());
    let request = pki::request::Request::parse(order.request.as_bytes()).map_err(|error| odd(place, error))?;
    accept(place, &wanted.trust, &text, &request.spki, holder, &place.home().join("certificate.pem"))
}

/// Of that key, of that holder, for signing and current, with a path to the anchor: then it is kept.
fn accept(place: &Place, trust: &Trust, text: &str, spki: &[u8], (name, code): (Option<&str>, &str), to: &Path) -> Result<(), Problem> {
    let wrong = |zh: &str, en: &str| place.refuse(Exit::Damaged, "certificate", (zh, "不要使用；请向认证机构查询"), (en, "do not use it; ask the authority"));
    let blocks = pem::parse_many(text).map_err(|error| odd(place, error))?;
    let chain: Vec<&[u8]> = blocks.iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::contents).collect();
    let (leaf, above) = chain.split_first().ok_or_else(|| wrong("没有收到证书", "no certificate came"))?;
    let view = CertificateView::parse(leaf).map_err(|error| odd(place, error))?;
    if view.spki != spki {
        return Err(wrong("证书不是所申请的密钥的", "the certificate is of another key"));
    }
    let facts = CertificateFacts::of(&view).map_err(|error| odd(place, error))?;
    if facts.credit_code() != Some(code) || name.is_some_and(|name| facts.organization.as_deref() != Some(name)) {
        return Err(wrong("证书中的单位不是申请单位", "the certificate is of another holder"));
    }
    let (now, roots) = (SystemClock.now(), trust.anchors(place)?);
    usable(place, leaf, now)?;
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: vec![DIGITAL_SIGNATURE], policies: Vec::new() };
    let anchors = Anchors::new(&roots).map_err(|error| odd(place, error))?;
    let path = Validation { anchors: &anchors, lists: &[], required: &required, at: now }.path(leaf, above);
    path.map_err(|error| wrong(&format!("证书不通向信任锚：{error}"), &format!("the certificate does not lead to the anchor: {}", error.to_string().replace("; ", ", "))))?;
    let pem = |der: &[u8]| pem::encode(&pem::Pem::new("CERTIFICATE", der));
    if trust.anchor.is_some() {
        place.keep(&place.home().join(ROOT), roots.iter().map(|root| pem(root)).collect::<String>().as_bytes())?;
    }
    place.keep(to, chain.iter().map(|one| pem(one)).collect::<String>().as_bytes())?;
    if place.json { Ok(()) } else { line(&format!("{} {}", place.said("证书已核对并保存：", "the certificate is checked and kept:"), to.display())) }
}

/// 1 the certificate that is still valid · 2 a new key and its request, kept before they are sent · 3 asked for with the old
/// key · 4 checked and kept beside the old one. Cut off, the same command goes on with the same key.
pub fn renew(wanted: &Renew) -> Result<(), Problem> {
    let place = &wanted.place;
    // 1.
    let (now, chain) = (SystemClock.now(), place.chain(None)?);
    let (leaf, above) = chain.split_first().ok_or_else(|| odd(place, "an empty chain"))?;
    let facts = usable(place, leaf, now)?;
    let code = facts.credit_code().ok_or_else(|| odd(place, "no credit code"))?;
    let placed: Option<Placed> = stored(place, PLACED)?;
    let authority = wanted.authority.clone().or(placed.map(|placed| placed.authority));
    let authority = authority.ok_or_else(|| place.refuse(Exit::Usage, "authority", ("不知道认证机构的地址", "请用 --authority 给出"), ("the authority's address is not known", "give it with --authority")))?;
    let old = place.key(&wanted.secret, leaf)?;
    // 2.
    let present = place.newest();
    let next = present.next().ok_or_else(|| odd(place, "too many renewals"))?;
    let key = place.following(&wanted.secret, present, next)?;
    // What is meant stands in the request: one that was made for the other purpose is not sent.
    let (door, path) = if wanted.rekey { ("rekey", place.home().join(next.request()).with_extension("rekey.csr")) } else { ("renew", place.home().join(next.request())) };
    if !path.exists() {
        let serial: String = hex(&facts.serial);
        let name = if wanted.rekey { format!("rekey {serial}") } else { facts.common_name.clone().unwrap_or_default() };
        let csr = key.request(Vec::new(), &[(DnType::CommonName, name)]).map_err(|error| odd(place, error))?;
        place.keep(&path, csr.as_bytes())?;
    }
    let csr = place.read(&path, MAX_SMALL)?;
    // 3.
    let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
    let unsigned = |error: pki::cms::SealError| Problem::new(Exit::Refused, "signature", error.to_string(), place.said("请核对密钥与证书", "check key and certificate"));
    let signed = SignerPlan::new(leaf, &above).and_then(|plan| plan.attach(&csr, now, &old)).map_err(unsigned)?;
    let mut fetcher = Fetcher::new(&authority, PATIENCE)?;
    let (status, answer) = runtime()?.block_on(fetcher.post(door, ("application/pkcs7-mime", signed), MAX_ANSWER))?;
    if !status.is_success() {
        return Err(refused(place, status, &answer));
    }
    // 4.
    let text = String::from_utf8(answer).map_err(|error| odd(place, error))?;
    let to = place.home().join(next.certificate());
    accept(place, &wanted.trust, &text, pki::signer::Signer::public_key_info(&key), (facts.organization.as_deref(), code), &to)?;
    if place.home().join("authorisations").exists() {
        // An enterprise that named keys is spoken for by those alone, and the new one is none of them yet.
        let hint = place.format(&format!("本单位登记过密钥：请在旧证书到期前用它登记新密钥：filing operator own --key-of {} --certificate {} --name …", to.display(), place.home().join(present.certificate()).display()), &format!("this enterprise named its keys: name the new one with the old before that ends: filing operator own --key-of {} --certificate {} --name …", to.display(), place.home().join(present.certificate()).display()));
        runtime::terminal::progress(&hint, true);
    }
    if place.json { json(&serde_json::json!({ "certificate": to })) } else { Ok(()) }
}
