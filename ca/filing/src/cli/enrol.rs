//! The enterprise's certificate: ordered at the authority, and fetched when it is approved, as one is that was asked to be corrected.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use pki::path::{ANY_PURPOSE, Anchors, CertificateFacts, Requirements, Validation};
use pki::view::CertificateView;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::fetch::Fetcher;
use runtime::terminal::{json, line};
use serde::{Deserialize, Serialize};

use super::enterprise::{Place, ROOT};
use super::kept::Trust;
use super::sign::usable;
use super::succeed::Correction;
use super::wire::runtime;
use crate::desk::{hex, sha256_hex};

const PROFILE: &str = "enterprise-signing";
/// What was ordered, and under which number; the number is a secret between both sides.
const ORDER: &str = "order.json";
pub(super) const PLACED: &str = "order-placed.json";
const MAX_EVIDENCE: u64 = 100 << 20;
pub(super) const MAX_SMALL: u64 = 256 << 10;
pub(super) const MAX_ANSWER: usize = 256 << 10;
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
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
pub(super) struct Placed {
    pub authority: String,
    pub id: String,
}

/// What the authority shows of an order.
#[derive(Serialize, Deserialize)]
pub(super) struct Shown {
    pub id: String,
    state: Told,
    #[serde(default)]
    reasons: Vec<Told>,
    certificate: Option<String>,
    chain: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    code: String,
    zh: String,
    en: String,
}

pub(super) fn odd(place: &Place, error: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Internal, "answer", error.to_string(), place.said("请核对认证机构地址与版本", "check the authority's address and version"))
}

/// What this program wrote there.
pub(super) fn stored<T: serde::de::DeserializeOwned>(place: &Place, name: &str) -> Result<Option<T>, Problem> {
    let path = place.home().join(name);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |error: serde_json::Error| Problem::new(Exit::Damaged, "file", format!("{}: {error}", path.display()), place.said("请换一个目录重新申请", "order again from another directory"));
    serde_json::from_slice(&place.read(&path, MAX_SMALL)?).map(Some).map_err(damaged)
}

pub(super) fn written(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
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
    let (kept, mut fetcher) = (place.home().join(ORDER), Fetcher::new(&wanted.authority, PATIENCE)?);
    let known = kept.exists();
    place.keep(&kept, &written(&order)?)?;
    // 3.
    let body = serde_json::to_vec(&order).map_err(|error| odd(place, error))?;
    let answered = runtime()?.block_on(fetcher.post("orders", ("application/json", body), MAX_ANSWER));
    // What never left is in nobody's hands, and may be said in other words.
    if answered.is_err() && !known && !fetcher.asked() {
        std::fs::remove_file(&kept).map_err(|error| place.failed(&kept, &error))?;
    }
    let (status, answer) = answered?;
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

pub(super) fn refused(place: &Place, status: axum::http::StatusCode, answer: &[u8]) -> Problem {
    match serde_json::from_slice::<Problem>(answer) {
        Ok(problem) => problem.received(status),
        Err(_) => Problem::new(Exit::from_status(status), "http", status.to_string(), place.said("请核对认证机构地址", "check the authority's address")),
    }
}

pub(super) fn told(place: &Place, shown: &Shown) -> Result<(), Problem> {
    if place.json {
        return json(&serde_json::json!({ "state": shown.state, "reasons": shown.reasons }));
    }
    line(place.said(&shown.state.zh, &shown.state.en))?;
    shown.reasons.iter().try_for_each(|reason| line(&format!("  {}", place.said(&reason.zh, &reason.en))))
}

/// How an order stands; `None` where the authority knows none of this number.
pub(super) fn shown(place: &Place, placed: &Placed) -> Result<Option<Shown>, Problem> {
    let mut fetcher = Fetcher::new(&placed.authority, PATIENCE)?;
    let answer = runtime()?.block_on(fetcher.get(&format!("orders/{}", placed.id), MAX_ANSWER))?;
    answer.map(|answer| serde_json::from_slice(&answer).map_err(|error| odd(place, error))).transpose()
}

impl Shown {
    /// A certificate may still come of it.
    fn is_open(&self) -> bool {
        self.certificate.is_none() && !self.is_refused()
    }

    /// It got no certificate and never will. In every other state, and in one that a later authority tells, it is alive.
    pub fn is_refused(&self) -> bool {
        self.certificate.is_none() && ["refused", "cancelled", "expired"].contains(&self.state.code.as_str())
    }

    /// The certificate with its issuers, PEM; `again` says what to do where the order got none.
    fn issued(&self, place: &Place, again: (&str, &str)) -> Result<String, Problem> {
        if let Some(certificate) = &self.certificate {
            return Ok(format!("{certificate}{}", self.chain.as_deref().unwrap_or_default()));
        }
        let (exit, zh, en) = if self.is_open() {
            (Exit::Unavailable, ("证书尚未签发", "请稍后再执行 filing fetch"), ("the certificate is not issued yet", "run `filing fetch` again later"))
        } else {
            (Exit::Refused, ("该申请没有签发证书", again.0), ("the order got no certificate", again.1))
        };
        let mut problem = place.refuse(exit, &self.state.code, zh, en);
        let reasons: Vec<&str> = self.reasons.iter().map(|reason| place.said(&reason.zh, &reason.en)).collect();
        if !reasons.is_empty() {
            problem.message = format!("{} ({})", problem.message, reasons.join("; "));
        }
        Err(problem)
    }
}

/// 1 how the order stands, the one for a correction where one is under way · 2 the certificate checked: key, holder, path
/// · 3 kept, the anchor first.
pub fn fetch(wanted: &Fetch) -> Result<(), Problem> {
    let place = &wanted.place;
    let unplaced = || place.refuse(Exit::NotFound, "order", ("本目录没有已提交的申请", "请先执行 filing request"), ("nothing was ordered from this directory", "run `filing request` first"));
    // 1.
    if let Some(correction) = Correction::of(place)?
        && let Some(placed) = correction.placed()
    {
        let shown = shown(place, placed)?.ok_or_else(unplaced)?;
        told(place, &shown)?;
        let text = shown.issued(place, ("请按原因改正后再执行 filing correct", "mend what the reasons say and run `filing correct` again"))?;
        // 2, 3.
        return correction.accept(place, &wanted.trust, &text);
    }
    let (order, placed) = (stored::<Order>(place, ORDER)?.ok_or_else(unplaced)?, stored::<Placed>(place, PLACED)?.ok_or_else(unplaced)?);
    let shown = shown(place, &placed)?.ok_or_else(unplaced)?;
    told(place, &shown)?;
    let text = shown.issued(place, ("请按原因改正后，在新目录重新申请", "mend what the reasons say and order from a new directory"))?;
    // 2, 3.
    let request = pki::request::Request::parse(order.request.as_bytes()).map_err(|error| odd(place, error))?;
    let holder = Holder { name: Some(&order.applicant.name), code: &order.applicant.code, mailbox: None };
    accept(place, &wanted.trust, &text, &request.spki, &holder, &place.home().join("certificate.pem"))
}

/// Whom a certificate is to be of; a word that was not asked for is not looked at.
pub(super) struct Holder<'a> {
    pub name: Option<&'a str>,
    pub code: &'a str,
    pub mailbox: Option<&'a str>,
}

impl Holder<'_> {
    fn is_of(&self, facts: &CertificateFacts) -> bool {
        let mailed = |mailbox: &str| facts.emails.iter().any(|email| email == mailbox);
        facts.credit_code() == Some(self.code) && self.name.is_none_or(|name| facts.organization.as_deref() == Some(name)) && self.mailbox.is_none_or(mailed)
    }
}

/// Of that key, of that holder, for signing and current, with a path to the anchor: then it is kept.
pub(super) fn accept(place: &Place, trust: &Trust, text: &str, spki: &[u8], holder: &Holder<'_>, to: &Path) -> Result<(), Problem> {
    let wrong = |zh: &str, en: &str| place.refuse(Exit::Damaged, "certificate", (zh, "不要使用；请向认证机构查询"), (en, "do not use it; ask the authority"));
    let blocks = pem::parse_many(text).map_err(|error| odd(place, error))?;
    let chain: Vec<&[u8]> = blocks.iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::contents).collect();
    let (leaf, above) = chain.split_first().ok_or_else(|| wrong("没有收到证书", "no certificate came"))?;
    let view = CertificateView::parse(leaf).map_err(|error| odd(place, error))?;
    if view.spki != spki {
        return Err(wrong("证书不是所申请的密钥的", "the certificate is of another key"));
    }
    let facts = CertificateFacts::of(&view).map_err(|error| odd(place, error))?;
    if !holder.is_of(&facts) {
        return Err(wrong("证书中的单位、名称或邮箱不是所申请的", "the certificate is of another holder, name or mailbox than was asked for"));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_order_is_over_only_where_no_certificate_can_come_of_it() {
        let shown = |code: &str, certificate: Option<&str>| -> Shown { serde_json::from_value(serde_json::json!({ "id": "1", "state": { "code": code, "zh": "", "en": "" }, "certificate": certificate, "chain": null })).unwrap() };
        for alive in ["received", "awaiting-approval", "approved", "issuing", "some-later-state"] {
            assert!(shown(alive, None).is_open() && !shown(alive, None).is_refused(), "{alive}");
        }
        for over in ["refused", "cancelled", "expired"] {
            assert!(shown(over, None).is_refused() && !shown(over, None).is_open(), "{over}");
        }
        let issued = shown("issued", Some("pem"));
        assert!(!issued.is_refused() && !issued.is_open());
    }
}
