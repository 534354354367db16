//! `filing submit`: signed filings in, proved receipts kept. Cut off anywhere, the same command goes on and nothing is filed
//! twice.

use std::path::{Path, PathBuf};

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use pki::cades::Signature;
use pki::path::RevocationAnswer;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::revocation::RevocationLists;
use runtime::state::write_atomically;
use runtime::terminal::{json, line};
use serde::Deserialize;

use super::enterprise::Place;
use super::kept::{Beside, MAX_SMALL, Trust, kept_lists, list_addresses, lists_as_pem, shown, unlike};
use super::sign::Holder;
use super::wire::{Body, Desk, Identity};
use crate::document::{Attachment, Content, Digests, Filing};
use crate::keep::Receipt;

/// The most later receipts of one filing that are asked for: receipts number by officers' decisions.
const MAX_RECEIPTS: usize = 64;
/// Thirty days.
pub(super) const LONGEST_WAIT: u64 = 2_592_000;

#[derive(Debug, Args)]
pub struct Server {
    /// 受理系统地址 (the desk): https://HOST[:PORT].
    #[arg(long, env = "SUIYIN_DESK_URL")]
    pub(super) server: String,
    /// 受理系统繁忙或不可达时最多等待的秒数 (how long a busy or absent desk is waited for, seconds).
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(..=LONGEST_WAIT))]
    pub(super) wait: u64,
}

#[derive(Debug, Args)]
pub struct Submit {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    trust: Trust,
    /// sign 写出的文件 (what `sign` wrote); the signature stands beside it.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// 附件所在目录 (where the attachments are); the filing's own directory without it.
    #[arg(long, value_name = "DIR")]
    attachments: Option<PathBuf>,
    #[command(flatten)]
    holder: Holder,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    trust: Trust,
    /// 申报编号 (filings).
    #[arg(required = true)]
    filings: Vec<String>,
}

/// A filing with everything that goes with it, proved before anything is sent.
struct Ready {
    filing: Filing,
    signature: Vec<u8>,
    attachments: Vec<(PathBuf, Attachment)>,
}

/// 1 all are whole · 2 who calls · 3 attachments · 4 the filing · 5 its receipt proved and kept.
pub fn submit(wanted: &Submit) -> Result<(), Problem> {
    let place = &wanted.place;
    // 1. Before anything is sent: what could not be receipted is not begun.
    let ready: Vec<Ready> = wanted.files.iter().map(|file| ready(place, file, wanted.attachments.as_deref())).collect::<Result<_, _>>()?;
    // 2.
    let (signer, anchors) = (wanted.holder.signer(place, SystemClock.now())?, wanted.trust.anchors(place)?);
    let desk = Desk::at(place, &wanted.server.server, &Identity { anchors: &anchors, caller: Some(signer.caller()) }, wanted.server.wait)?;
    // 3–5, each filing for itself: one that is refused does not keep the others.
    let (mut told, mut first) = (Vec::new(), None);
    for one in &ready {
        match send(place, &desk, &wanted.trust, one) {
            Ok(done) => told.push(done),
            Err(problem) => {
                if ready.len() > 1 {
                    runtime::terminal::problem("filing", &Problem { message: format!("{}: {}", one.filing.id(), problem.message), ..problem.clone() }, place.json);
                }
                first.get_or_insert(problem);
            }
        }
    }
    if place.json && !told.is_empty() {
        json(&told)?;
    }
    first.map_or(Ok(()), Err)
}

fn ready(place: &Place, file: &Path, attachments: Option<&Path>) -> Result<Ready, Problem> {
    let (filing, signature) = place.signed(file)?;
    let directory = attachments.or(file.parent()).unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for attachment in filing.attachments() {
        let path = directory.join(attachment.name.as_str());
        if !attachment.is(&content_of(place, &path, attachment.size)?) {
            let shown = path.display();
            return Err(place.refuse(Exit::Refused, "attachment", (&format!("附件 {shown} 与已签名的摘要或大小不符"), "请放回签名时的附件，或重新签名"), (&format!("{shown} is not what was signed"), "put the signed attachment back, or sign again")));
        }
        found.push((path, attachment.clone()));
    }
    Ok(Ready { filing, signature, attachments: found })
}

/// Of a file of at most that size; of a larger one, nothing's.
pub(super) fn content_of(place: &Place, path: &Path, most: u64) -> Result<Digests, Problem> {
    let failed = |error: std::io::Error| place.failed(path, &error);
    Content::default().read(std::fs::File::open(path).map_err(failed)?, most).map_err(failed)
}

#[derive(Deserialize)]
struct Sealed {
    receipt: String,
    seal: String,
}

fn send(place: &Place, desk: &Desk<'_>, trust: &Trust, one: &Ready) -> Result<serde_json::Value, Problem> {
    // 3. Named by their digests: what is there already is not taken again.
    for (number, (path, attachment)) in one.attachments.iter().enumerate() {
        runtime::terminal::progress(&format!("{} {}/{}", place.said("附件", "attachment"), number + 1, one.attachments.len()), false);
        let _: serde_json::Value = desk.read(&desk.send(&Method::PUT, &format!("/attachments/{}", attachment.digest_text()), &Body::File(path.clone(), attachment.size))?)?;
    }
    // 4.
    let body = serde_json::json!({ "filing": STANDARD.encode(one.filing.canonical()), "signature": STANDARD.encode(&one.signature) }).to_string();
    let answer = desk.send(&Method::POST, "/filings", &Body::Json(body.as_bytes()))?;
    if answer.status.as_u16() == 422 {
        refused(place, &answer.body)?;
    }
    let sealed: Sealed = desk.read(&answer)?;
    // 5.
    let receipt = keep(place, desk, trust, (&one.filing, &one.signature), &sealed)?;
    if !place.json {
        line(&format!("{} {}", place.said("已收件，回执：", "received, receipt:"), receipt.number()))?;
        shown(place, &receipt)?;
    }
    Ok(told(place, &one.filing, &receipt))
}

fn told(place: &Place, filing: &Filing, receipt: &Receipt) -> serde_json::Value {
    let beside = Beside::of(&place.home(), &receipt.number().to_string());
    serde_json::json!({ "filing_id": filing.id().as_str(), "receipt_no": receipt.number().to_string(), "status": receipt.text("/status"), "received_at": receipt.text("/received_at"), "timely": receipt.timely(), "receipt": beside.receipt, "seal": beside.seal })
}

/// Every check that was not passed, in the chosen language.
fn refused(place: &Place, body: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Refused {
        failures: Vec<Failure>,
    }
    #[derive(Deserialize)]
    struct Failure {
        check: u8,
        field: Option<String>,
        message: String,
        message_en: String,
        next: String,
        next_en: String,
    }
    if place.json {
        return Ok(());
    }
    for one in serde_json::from_slice::<Refused>(body).map(|read| read.failures).unwrap_or_default() {
        let (message, next) = (place.said(&one.message, &one.message_en), place.said(&one.next, &one.next_en));
        line(&format!("{} {} {}: {message}; {next}", place.said("检查", "check"), one.check, one.field.unwrap_or_default()))?;
    }
    Ok(())
}

/// Proved first, then kept: seal and lists, and the receipt last, so that where it stands it can be proved.
fn keep(place: &Place, desk: &Desk<'_>, trust: &Trust, (filing, signature): (&Filing, &[u8]), sealed: &Sealed) -> Result<Receipt, Problem> {
    let decoded = |text: &str| STANDARD.decode(text).map_err(|error| Problem::new(Exit::Internal, "answer", error.to_string(), place.said("请使用同一版本的程序", "use the same version on both sides")));
    let (document, seal) = (decoded(&sealed.receipt)?, decoded(&sealed.seal)?);
    // 1. Of this filing and this signature.
    let receipt = Receipt::parse(&document).map_err(|error| unlike(place, &error))?;
    receipt.is_of(filing, signature).map_err(|error| unlike(place, &error))?;
    // 2. Sealed by a bureau whose certificate stands: by the lists that are kept, or those of now.
    let beside = Beside::of(&place.home(), &receipt.number().to_string());
    let mut answers = kept_lists(place, &beside.lists)?;
    let mut fetched = Vec::new();
    let mut judged = trust.judge(place, &document, &seal, &answers)?;
    // Lists are fetched from where a seal says only once everything else of it holds.
    if !judged.passed && judged.wants_lists() && answers.is_empty() {
        fetched = RevocationLists::new(desk.runtime.handle().clone()).fetch(&list_addresses(&seal), SystemClock.now())?;
        answers = fetched.iter().filter_map(|der| RevocationAnswer::list(der).ok()).collect();
        judged = trust.judge(place, &document, &seal, &answers)?;
    }
    if judged.exit() != Exit::Ok {
        return Err(judged.problem(place));
    }
    // 3.
    keep_seal(place, &beside.seal, &seal)?;
    if !fetched.is_empty() {
        place.keep(&beside.lists, lists_as_pem(&fetched).as_bytes())?;
    }
    place.keep(&beside.receipt, &document)?;
    Ok(receipt)
}

/// Kept; one that stands here already is replaced only by itself with more that proves it, as the desk archives seals.
fn keep_seal(place: &Place, path: &Path, seal: &[u8]) -> Result<(), Problem> {
    if path.exists() {
        let before = place.read(path, MAX_SMALL)?;
        let value = |der: &[u8]| Signature::read(der).ok().map(|read| read.value().to_vec());
        if before.len() >= seal.len() && value(&before) == value(seal) {
            return Ok(());
        }
        if value(&before).is_some() && value(&before) == value(seal) {
            return write_atomically(path, seal, 0o600).map_err(|error| place.failed(path, &error));
        }
    }
    place.keep(path, seal)
}

/// Every receipt of a filing as the desk has it now, proved and kept.
pub(super) fn renewed(place: &Place, server: &Server, trust: &Trust, (filing, signature): (&Filing, &[u8])) -> Result<(String, Vec<Receipt>), Problem> {
    let anchors = trust.anchors(place)?;
    let desk = Desk::at(place, &server.server, &Identity { anchors: &anchors, caller: None }, server.wait)?;
    let state: State = desk.read(&desk.send(&Method::GET, &format!("/filings/{}", filing.id()), &Body::Nothing)?)?;
    let receipts = state.receipts.iter().take(MAX_RECEIPTS).map(|sealed| keep(place, &desk, trust, (filing, signature), sealed)).collect::<Result<_, _>>()?;
    Ok((state.status, receipts))
}

#[derive(Deserialize)]
struct State {
    status: String,
    receipts: Vec<Sealed>,
}

/// Where filings stand; every receipt so far is proved and kept.
pub fn status(wanted: &Status) -> Result<(), Problem> {
    let place = &wanted.place;
    let (mut all, filings) = (Vec::new(), place.filings()?);
    for name in &wanted.filings {
        let id = place.filing_id(name)?;
        let (filing, signature) = place.signed(&place.home().join(format!("{id}.json")))?;
        place.warn_of(&filings, &filing);
        let (status, receipts) = renewed(place, &wanted.server, &wanted.trust, (&filing, &signature))?;
        if !place.json {
            line(&format!("{id}  {status}"))?;
            for receipt in &receipts {
                line(&format!("  {}", receipt.number()))?;
                shown(place, receipt)?;
            }
        }
        all.push(serde_json::json!({ "filing_id": id.as_str(), "status": status, "receipts": receipts.iter().map(|receipt| told(place, &filing, receipt)).collect::<Vec<_>>() }));
    }
    if place.json { json(&all) } else { Ok(()) }
}
