//! The fourteen checks of a filing without a desk: nobody is asked and nothing is kept. What a desk has stands here as it is given,
//! and what is not given is told as not judged.
//!
//! 1 ground    what is given, in a store that lasts as long as the question
//! 2 judge     by the functions of `receive`, in their order
//! 3 tell      each failure with the desk's own code; beside them what could not be judged, and why
// spec: domain.md 6.4

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keys::DataKey;
use pki::ocsp::OcspRequest;
use pki::path::Anchors;
use policies::identity::CreditCode;
use runtime::clock::Clock;
use serde::Serialize;
use store::{Batch, Memory, Store};
use time::OffsetDateTime;

use super::authorise::Enterprise;
use super::judge::{Judged, both_places, judge};
use super::proof;
use super::receive::{Parse, Submission, parse};
use super::{mandate, operator, staff};
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::{Grounds, Sight};
use crate::desk::outside::Outside;
use crate::desk::policy::Policies;
use crate::desk::problem::DeskError;
use crate::desk::record::attachment::AttachmentRecord;
use crate::desk::record::event::unix_millis;
use crate::desk::record::filing::{FilingRecord, Said, Slot, Status, body_key, seal_body};
use crate::desk::registry::{self, Imported};
use crate::desk::trust::Trust;
use crate::desk::{hex, sha256_hex};
use crate::document::{Content, Digests, Filing, Mandate, Named, OperatorWithdrawal, OwnKeyWithdrawal, Signer, Withdrawal};

/// What a desk would have, as far as it is known here. Certificates, lists and responses are DER.
pub struct Given {
    pub policies: Policies,
    pub anchors: Vec<Vec<u8>>,
    /// Where timestamps have roots of their own.
    pub timestamp_anchors: Option<Vec<Vec<u8>>>,
    pub lists: Vec<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
    /// CSV, as `filing desk registry import` reads it.
    pub registry: Option<PathBuf>,
    /// CSV, as `filing desk staff import` reads it.
    pub staff: Option<PathBuf>,
    /// Mandates, what was said of keys, and what took either back, each with its signature, in the order in which they came.
    pub words: Vec<(Vec<u8>, Vec<u8>)>,
    /// All that was received before of the enterprise, kind and periods, and stands.
    pub earlier: Option<Vec<Vec<u8>>>,
    /// Where the files are that go with it.
    pub attachments: Option<PathBuf>,
    /// Who would bring it; whoever signed it without one.
    pub caller: Option<CreditCode>,
    pub received_at: OffsetDateTime,
}

/// What the checks found.
#[derive(Debug, Default)]
pub struct Examined {
    /// In the order of the checks.
    pub findings: Vec<Finding>,
    pub not_judged: Vec<NotJudged>,
}

/// A check, or a part of it, of which nothing can be said here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    pub check: u8,
    pub code: &'static str,
    pub why: String,
    pub why_en: String,
}

impl NotJudged {
    fn new(check: Check, why: impl Into<String>, why_en: impl Into<String>) -> Self {
        Self { check: check.number(), code: check.code(), why: why.into(), why_en: why_en.into() }
    }
}

pub fn examine(given: Given, filing: &[u8], signature: &[u8]) -> Result<Examined, DeskError> {
    // 1.
    let (registry, sent) = (given.registry.is_some(), given.caller.clone());
    let attachments = given.attachments.clone();
    let told_of = !given.words.is_empty();
    let grounds = grounds(given, filing)?;
    let mut told = Examined::default();
    if let Ok(filing) = Filing::parse(filing) {
        files(&grounds, &filing, attachments.as_deref(), &mut told)?;
    }
    // 2.
    let submission = Submission { filing: filing.to_vec(), signature: signature.to_vec(), received_at: grounds.clock.now() };
    let parsed = match parse(&grounds, None, &submission)? {
        Parse::New(parsed) => *parsed,
        Parse::Wrong(finding) => return Ok(told.ended_by(*finding)),
        Parse::Known(number) => return Err(DeskError::Request(format!("filing {} is among those given as earlier; leave it out", number.filing))),
    };
    let effort = proof::effort(&grounds);
    let proved = match proof::prove(parsed, signature, &effort) {
        Ok(proved) => proved,
        Err(finding) => return Ok(told.ended_by(*finding)),
    };
    let agent = matches!(proved.parsed.filing.signer(), Signer::Agent(_));
    let signer = both_places(&proved.facts).unwrap_or_else(|| proved.parsed.filing.uscc().clone());
    let caller = Enterprise::taken_for(sent.unwrap_or(signer));
    let Judged { stamped, findings, evidence } = judge(&grounds, &caller, proof::stamp(&grounds, proved, &effort)?)?;
    // 3.
    told.findings.extend(findings);
    told.findings.sort_by_key(|finding| finding.check);
    for (check, why) in &stamped.away {
        let why = why.to_string();
        let zh = match check {
            Check::Time if !stamped.proved.signature.is_timestamped() => "签名没有时间戳；受理系统收到时会加盖，此处以现在为签署时间",
            Check::Time => "时间戳签发者当时是否被吊销未知（--crl）",
            _ => "所给的吊销列表与 OCSP 响应不足以判断签署时的状态（--crl、--ocsp）",
        };
        told.open(*check, zh, why.split("; ").next().unwrap_or_default());
    }
    if !registry {
        told.open(Check::Enterprise, "没有给出企业登记（--registry）", "no registry of enterprises was given (--registry)");
    }
    if !told_of {
        let who = if agent { ("没有给出委托（--word）", "no mandate was given (--word)") } else { ("没有给出经办人授权（--word），身份以申报所写为准", "nothing that the enterprise said of its keys was given (--word); the role is what the filing says") };
        told.open(Check::Signer, who.0, who.1);
    }
    if !grounds.sight.earlier {
        for check in [Check::Replay, Check::Sequence] {
            told.open(check, "没有给出此前的申报（--earlier）", "no earlier filings were given (--earlier)");
        }
    }
    if !evidence.kept.not_judged.is_empty() {
        let rules = evidence.kept.not_judged.join(" ");
        told.open(Check::Rules, format!("规则 {rules} 须对照此前的申报或人员名单"), format!("the rules {rules} need what was filed before, or the list of staff"));
    }
    told.not_judged.sort_by_key(|one| one.check);
    Ok(told)
}

impl Examined {
    fn open(&mut self, check: Check, why: impl Into<String>, why_en: impl Into<String>) {
        self.not_judged.push(NotJudged::new(check, why, why_en));
    }

    /// By a failure without which nothing that follows can be asked.
    fn ended_by(mut self, finding: Finding) -> Self {
        for check in Check::ALL.into_iter().filter(|check| *check > finding.check) {
            self.open(check, "前面的检查没有通过", "an earlier check failed");
        }
        self.findings.push(finding);
        self.findings.sort_by_key(|finding| finding.check);
        self
    }
}

struct At(OffsetDateTime);

impl Clock for At {
    fn now(&self) -> OffsetDateTime {
        self.0
    }

    fn passed(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// What was answered before.
struct Files {
    lists: Vec<Vec<u8>>,
    ocsp: Vec<Vec<u8>>,
}

impl Files {
    fn none(what: &'static str) -> DeskError {
        DeskError::Away { what, reason: "it was not given".into() }
    }
}

impl Outside for Files {
    fn asks(&self) -> bool {
        false
    }

    fn stamp(&self, _: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        Err(Self::none("a timestamp"))
    }

    fn ocsp(&self, _: &str, request: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        let none = || Self::none("the certificate's status");
        let asked = OcspRequest::parse(&request).map_err(|_| none())?;
        let serial = asked.ids.first().map(|id| id.serial.clone()).ok_or_else(none)?;
        // What it says of whom is read by who asked.
        self.ocsp.iter().find(|der| der.windows(serial.len().max(1)).any(|window| window == serial)).cloned().ok_or_else(none)
    }

    fn lists(&self, _: &[String], _: OffsetDateTime) -> Result<Vec<Vec<u8>>, DeskError> {
        Ok(self.lists.clone())
    }
}

fn grounds(given: Given, filing: &[u8]) -> Result<Grounds, DeskError> {
    let Given { policies, anchors, timestamp_anchors, lists, ocsp, registry, staff, words, earlier, received_at, .. } = given;
    let unusable = |error: pki::path::PathError| DeskError::Request(error.to_string());
    let anchors = Arc::new(Anchors::new(&anchors).map_err(unusable)?);
    let by_bureau: HashMap<String, Arc<Anchors>> = policies.desk.bureaus().iter().map(|bureau| (bureau.code.as_str().to_owned(), Arc::clone(&anchors))).collect();
    let mut trust = Trust::new(by_bureau, Arc::new(Files { lists, ocsp }));
    if let Some(own) = timestamp_anchors {
        trust = trust.believing_timestamps_of(Arc::new(Anchors::new(&own).map_err(unusable)?));
    }
    let sight = Sight { asks: false, mandates: !words.is_empty(), earlier: earlier.is_some(), attachments: false };
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let grounds = Grounds { store, clock: Arc::new(At(received_at)), data: DataKey::fleeting()?, policies, trust, registry: Arc::new(Imported), sight, older_payloads: false };
    if let Some(path) = registry {
        registry::import_alone(&grounds, &path)?;
    }
    let uscc = Filing::parse(filing).ok().map(|filing| filing.uscc().clone());
    if let (Some(path), Some(uscc)) = (staff, &uscc) {
        staff::import(&grounds, uscc, &path)?;
    }
    for (document, signature) in &words {
        word(&grounds, document, signature)?;
    }
    let mut before: Vec<Filing> = Vec::new();
    for document in earlier.into_iter().flatten() {
        before.push(Filing::parse(&document).map_err(|error| DeskError::Request(format!("an earlier filing cannot be read: {}; give the .json that was signed", error.to_string().replace("; ", ", "))))?);
    }
    before.sort_by_key(Filing::revision);
    before.iter().try_for_each(|filing| received(&grounds, filing))?;
    Ok(grounds)
}

/// As it would have been taken, whoever brought it.
fn word(grounds: &Grounds, document: &[u8], signature: &[u8]) -> Result<(), DeskError> {
    if let Ok(mandate) = Mandate::parse(document) {
        return mandate::give(grounds, &Enterprise::taken_for(mandate.principal), document, signature).map(drop);
    }
    if let Ok(withdrawal) = Withdrawal::parse(document) {
        return mandate::withdraw(grounds, &Enterprise::taken_for(withdrawal.principal), document, signature).map(drop);
    }
    if let Ok(named) = Named::parse(document) {
        return operator::authorise(grounds, &Enterprise::taken_for(named.uscc().clone()), document, signature).map(drop);
    }
    if let Ok(withdrawal) = OwnKeyWithdrawal::parse(document) {
        return operator::withdraw(grounds, &Enterprise::taken_for(withdrawal.uscc), document, signature).map(drop);
    }
    let withdrawal = OperatorWithdrawal::parse(document).map_err(|_| DeskError::Request("a document given as a word is no mandate, no authorisation and no withdrawal of either; give what was signed".into()))?;
    operator::withdraw(grounds, &Enterprise::taken_for(withdrawal.uscc), document, signature).map(drop)
}

/// An earlier filing, in the places where a desk keeps it.
fn received(grounds: &Grounds, filing: &Filing) -> Result<(), DeskError> {
    let (id, uscc, kind, period) = (filing.id().as_str(), filing.uscc().as_str().to_owned(), filing.kind().as_str().to_owned(), filing.period().to_string());
    let place = Slot::key(&uscc, &kind, &period);
    let payload = Said::of(&place, &filing.payload().canonical(), &grounds.data, grounds.older_payloads).keyed;
    let said = Slot::said(&uscc, &kind, &period, &payload);
    let slot = Slot { revision: filing.revision(), filing: id.to_owned(), payload, closed: false, rejected: false };
    let record = FilingRecord {
        by: uscc.clone(),
        uscc,
        kind,
        period,
        revision: filing.revision(),
        bureau: String::new(),
        signer: None,
        content: sha256_hex(filing.canonical()),
        content_sm3: None,
        received_at: unix_millis(grounds.clock.now()),
        timely: true,
        status: Status::Received,
        receipts: 1,
        mailbox: None,
        agent_mailbox: None,
        not_judged: Vec::new(),
    };
    let batch = Batch::new().put(FilingRecord::key(id), record.encode()?).put(body_key(id), seal_body(id, filing.canonical(), &grounds.data)?);
    grounds.store.commit(batch.put(place, slot.encode()?).put(said, id.as_bytes()))?;
    Ok(())
}

/// Check 1, of the files that go with it: each is what the filing says it is, as far as it is here.
fn files(grounds: &Grounds, filing: &Filing, directory: Option<&Path>, told: &mut Examined) -> Result<(), DeskError> {
    let mut missing = 0;
    for (at, attachment) in filing.attachments().iter().enumerate() {
        let Some(path) = directory.map(|directory| directory.join(attachment.name.as_str())).filter(|path| path.exists()) else {
            missing += 1;
            continue;
        };
        let content = content_of(&path, attachment.size)?;
        if attachment.is(&content) {
            let record = AttachmentRecord { size: content.size, kept_at: unix_millis(grounds.clock.now()), by: filing.uscc().as_str().to_owned(), sm3: Some(hex(&content.sm3)) };
            grounds.store.commit(Batch::new().put(AttachmentRecord::key(&attachment.digest_text()), record.encode()?))?;
        } else {
            told.findings.push(Finding::new(Check::Form).because("附件与申报所载的大小或摘要不符", "an attachment is not of the size or digest that the filing says").at(format!("/attachments/{at}")));
        }
    }
    if missing > 0 {
        told.open(Check::Form, format!("有 {missing} 个附件不在此处（--attachments）"), format!("{missing} of its attachments are not here (--attachments)"));
    }
    Ok(())
}

fn content_of(path: &Path, most: u64) -> Result<Digests, DeskError> {
    let failed = |error: std::io::Error| DeskError::File { path: path.to_owned(), reason: error.to_string() };
    Content::default().read(std::fs::File::open(path).map_err(failed)?, most).map_err(failed)
}
