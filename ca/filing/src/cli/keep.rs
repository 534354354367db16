//! `filing keep`: a filing, its signature and every receipt with what proves it, in one file that needs nothing beside it but
//! the anchor.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use pki::path::RevocationAnswer;
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde::{Deserialize, Serialize};

use super::enterprise::Place;
use super::kept::{Beside, Judged, MAX_LISTS, MAX_SMALL, Trust, in_log, lists_in, shown, unlike};
use super::submit::{LONGEST_WAIT, Server, renewed};
use crate::document::{Filing, FilingId, MAX_BYTES};
use crate::keep::Receipt;

/// The form of the file; whoever reads it in ten years asks for this word first.
const FORM: &str = "suiyin kept receipt 1";
/// A filing of 16 MiB and lists of 256, in base64.
const MAX_KEPT: u64 = 400 << 20;

#[derive(Debug, Args)]
pub struct Keep {
    #[command(flatten)]
    pub place: Place,
    /// 申报编号 (the filing).
    filing: String,
    /// 写入的文件 (the file to write).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// 先向受理系统取得归档后的印章 (ask this desk for the seals that it archived since): https://HOST[:PORT].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// 受理系统繁忙或不可达时最多等待的秒数 (how long a busy or absent desk is waited for, seconds).
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(..=LONGEST_WAIT))]
    wait: u64,
    #[command(flatten)]
    trust: Trust,
}

/// Octets in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    form: String,
    filing: String,
    signature: String,
    receipts: Vec<One>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    receipt: String,
    seal: String,
    /// Revocation lists, DER; none where the seal holds what proves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lists: Vec<String>,
}

/// 1 what stands here, newer seals first where a desk is named · 2 proved now, else it is not worth keeping · 3 written.
pub fn keep(wanted: &Keep) -> Result<(), Problem> {
    let place = &wanted.place;
    // 1.
    let id = place.filing_id(&wanted.filing)?;
    let (filing, signature) = place.signed(&place.home().join(format!("{id}.json")))?;
    if let Some(server) = &wanted.server {
        renewed(place, &Server { server: server.clone(), wait: wanted.wait }, &wanted.trust, (&filing, &signature))?;
    }
    let receipts = place.receipts(&id);
    if receipts.is_empty() {
        return Err(place.refuse(Exit::NotFound, "receipt", ("这份申报还没有回执", "请先执行 filing submit 或 filing status"), ("this filing has no receipt here", "run `filing submit` or `filing status` first")));
    }
    let mut all = Vec::new();
    for receipt in &receipts {
        let beside = Beside::of(&place.home(), &receipt.number().to_string());
        let lists = if beside.lists.exists() { lists_in(place, &beside.lists, &place.read(&beside.lists, MAX_LISTS)?)? } else { Vec::new() };
        all.push(One { receipt: STANDARD.encode(place.read(&beside.receipt, MAX_SMALL)?), seal: STANDARD.encode(place.read(&beside.seal, MAX_SMALL)?), lists: lists.iter().map(|der| STANDARD.encode(der)).collect() });
    }
    let kept = Kept { form: FORM.into(), filing: STANDARD.encode(filing.canonical()), signature: STANDARD.encode(&signature), receipts: all };
    // 2.
    let proved = proved(place, &wanted.trust, &kept)?;
    // 3.
    let text = serde_json::to_vec(&kept).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))?;
    place.keep(&wanted.out, &text)?;
    let archived = proved.receipts.iter().all(|(_, judged)| judged.verdict.level == Some("B-LTA"));
    if place.json {
        let numbers: Vec<String> = receipts.iter().map(|receipt| receipt.number().to_string()).collect();
        return json(&serde_json::json!({ "file": wanted.out, "filing_id": id.as_str(), "receipts": numbers, "archived": archived }));
    }
    line(&format!("{} {}", place.said("已存入一个文件：", "kept in one file:"), wanted.out.display()))?;
    if !archived {
        let zh = "受理系统尚未归档这些回执：请一两天后用 --server 另存一份，才能在证书到期多年之后仍可离线核验。";
        line(place.said(zh, "the desk has not archived these receipts yet: keep them once more with --server in a day or two, so that they prove themselves long after the certificates ended."))?;
    }
    Ok(())
}

/// A file of this form; none for any other.
pub(super) struct Proved {
    pub filing: Filing,
    pub receipts: Vec<(Receipt, Judged)>,
}

/// Whether a file is one that `keep` wrote.
pub(super) fn is_kept(bytes: &[u8]) -> bool {
    bytes.starts_with(format!("{{\"form\":\"{FORM}\"").as_bytes())
}

/// Everything of it, with the anchor alone.
pub(super) fn verify(place: &Place, trust: &Trust, bytes: &[u8]) -> Result<Proved, Problem> {
    let damaged = |error: serde_json::Error| place.refuse(Exit::Damaged, "kept", (&format!("文件已损坏：{error}"), "请用另存的副本"), (&format!("the file is damaged: {error}"), "use another copy"));
    proved(place, trust, &serde_json::from_slice(bytes).map_err(damaged)?)
}

/// The most that such a file has.
pub(super) const fn most() -> u64 {
    MAX_KEPT
}

/// 1 the filing and its signature · 2 each receipt of both, the next naming the one before · 3 each seal.
fn proved(place: &Place, trust: &Trust, kept: &Kept) -> Result<Proved, Problem> {
    let damaged = |what: &str| place.refuse(Exit::Damaged, "kept", (&format!("文件中的 {what} 已损坏"), "请用另存的副本"), (&format!("{what} in the file is damaged"), "use another copy"));
    let decoded = |what: &str, text: &str| STANDARD.decode(text).map_err(|_| damaged(what));
    // 1.
    let (document, signature) = (decoded("filing", &kept.filing)?, decoded("signature", &kept.signature)?);
    let filing = Filing::parse(&document).map_err(|_| damaged("filing")).and_then(|filing| if document.len() <= MAX_BYTES { Ok(filing) } else { Err(damaged("filing")) })?;
    place.over(&signature, &document)?;
    // 2, 3.
    let (mut receipts, mut before) = (Vec::new(), None::<String>);
    for one in &kept.receipts {
        let (document, seal) = (decoded("receipt", &one.receipt)?, decoded("seal", &one.seal)?);
        let lists = one.lists.iter().map(|text| RevocationAnswer::list(&decoded("lists", text)?).map_err(|_| damaged("lists"))).collect::<Result<Vec<_>, _>>()?;
        let receipt = Receipt::parse(&document).map_err(|error| unlike(place, &error))?;
        receipt.is_of(&filing, &signature).map_err(|error| unlike(place, &error))?;
        if receipt.text("/prev_receipt_digest/sha256").map(str::to_owned) != before {
            return Err(damaged("prev_receipt_digest"));
        }
        let judged = trust.judge(place, &document, &seal, &lists)?;
        if judged.exit() != Exit::Ok {
            return Err(judged.problem(place));
        }
        before = Some(crate::desk::sha256_hex(&document));
        receipts.push((receipt, judged));
    }
    if receipts.is_empty() { Err(damaged("receipts")) } else { Ok(Proved { filing, receipts }) }
}

/// What was proved, for people or programs; with each receipt's place in the log, where one was given.
pub(super) fn told(place: &Place, proved: &Proved, logged: &[u64]) -> Result<(), Problem> {
    let receipts = || proved.receipts.iter().enumerate().map(|(at, (receipt, judged))| (receipt, judged, logged.get(at).copied()));
    if place.json {
        let one = |(receipt, judged, logged): (&Receipt, &Judged, Option<u64>)| serde_json::json!({ "receipt_no": receipt.number().to_string(), "status": receipt.text("/status"), "timely": receipt.timely(), "verdict": judged.verdict, "logged_at": logged });
        return json(&serde_json::json!({ "filing_id": proved.filing.id().as_str(), "kind": proved.filing.kind().as_str(), "period": proved.filing.period().to_string(), "receipts": receipts().map(one).collect::<Vec<_>>() }));
    }
    for (receipt, _, logged) in receipts() {
        line(&format!("{} {}", place.said("回执有效：", "the receipt holds:"), receipt.number()))?;
        shown(place, receipt)?;
        in_log(place, logged)?;
    }
    Ok(())
}

impl Place {
    pub(super) fn filing_id(&self, text: &str) -> Result<FilingId, Problem> {
        let wrong = || self.refuse(Exit::Usage, "filing", (&format!("“{text}”不是申报编号"), "申报编号是 26 位字母数字；filing list 可以查到"), (&format!("`{text}` is no filing's id"), "it has 26 letters and digits; `filing list` tells it"));
        FilingId::parse(text).ok_or_else(wrong)
    }
}
