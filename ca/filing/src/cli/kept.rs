//! What stands in the operator's directory: filings, signatures, receipts; a receipt proved offline.

use std::path::{Path, PathBuf};

use clap::Args;
use const_oid::ObjectIdentifier as Oid;
use pki::cades::Signature;
use pki::path::{Anchors, CertificateFacts, RevocationAnswer};
use policies::certificate::DOCUMENTATION_ARC;
use policies::filing::Archive;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};

use super::enterprise::Place;
use super::keep;
use crate::document::{Filing, FilingId, MAX_BYTES};
use crate::keep::{Receipt, ReceiptError};
use crate::verify::{Asked, Terms, Verdict, assess};

/// A receipt, its seal, a certificate: a few thousand octets each.
pub(super) const MAX_SMALL: u64 = 1 << 20;
/// A million revoked certificates make about 40 MB, in PEM a third more.
pub(super) const MAX_LISTS: u64 = 256 << 20;
/// A sender's seal, beneath the arc.
const SEAL_POLICY: &str = ".3.1";
const LIST_TAG: &str = "X509 CRL";

/// Whom the enterprise believes.
#[derive(Debug, Args)]
pub struct Trust {
    /// 信任锚 PEM (the root that is believed); DIR/root.pem without it.
    #[arg(long, value_name = "FILE")]
    pub(super) anchor: Option<PathBuf>,
    /// 城市的证书策略 OID 弧 (the arc that the city's certificate policies stand under).
    #[arg(long, env = "SUIYIN_POLICY_ARC", default_value = DOCUMENTATION_ARC)]
    policy_arc: String,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Proved {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    trust: Trust,
    /// 回执，或 filing keep 存下的文件 (the receipt, whose seal and what proves it stand beside it; or what `filing keep` wrote).
    file: PathBuf,
    /// 申报文件 (the filing that it should be of); looked for beside it without.
    #[arg(long)]
    filing: Option<PathBuf>,
    /// 吊销列表 (a revocation list, DER), where none was kept.
    #[arg(long)]
    crl: Vec<PathBuf>,
    /// 受理系统导出的日志：核验回执确已记入 (the desk's log as it was exported: the receipt is proved to be in it).
    #[arg(long, value_name = "DIR", requires = "log_key")]
    log: Option<PathBuf>,
    /// 日志的公钥，从受理单位另行取得 (the log's key as you know it, never the one that came with the log).
    #[arg(long, value_name = "KEY", requires = "log")]
    log_key: Option<String>,
}

/// Where the parts of one receipt stand.
pub(super) struct Beside {
    pub receipt: PathBuf,
    pub seal: PathBuf,
    pub lists: PathBuf,
}

impl Beside {
    pub fn of(directory: &Path, number: &str) -> Self {
        let at = |ending: &str| directory.join(format!("{number}.{ending}"));
        Self { receipt: at("receipt.json"), seal: at("receipt.p7s"), lists: at("revocation.pem") }
    }
}

impl Trust {
    pub(super) fn anchors(&self, place: &Place) -> Result<Vec<Vec<u8>>, Problem> {
        let path = self.anchor.clone().unwrap_or_else(|| place.anchor());
        if self.anchor.is_none() && !path.exists() {
            return Err(place.refuse(Exit::NotFound, "anchor", ("没有信任锚", "请用 --anchor 给出认证机构的根证书"), ("there is no trust anchor here", "give the authority's root certificate with --anchor")));
        }
        place.chain(Some(&path))
    }

    /// What a receipt's seal is worth: a bureau's, with a believed timestamp.
    pub(super) fn judge(&self, place: &Place, document: &[u8], seal: &[u8], answers: &[RevocationAnswer]) -> Result<Judged, Problem> {
        let internal = |error: &dyn std::fmt::Display| Problem::new(Exit::Usage, "trust", error.to_string(), place.said("请核对信任锚与策略", "check anchor and policies"));
        let anchors = Anchors::new(&self.anchors(place)?).map_err(|error| internal(&error))?;
        let terms = Terms::new(&Archive::shipped().map_err(|error| internal(&error))?);
        let policies = [Oid::new(&format!("{}{SEAL_POLICY}", self.policy_arc)).map_err(|error| internal(&error))?];
        let asked = Asked { document, signature: seal, anchors: &anchors, timestamp_anchors: &anchors, terms: &terms, policies: &policies, credit_code: None, answers, existed_at: None };
        let now = SystemClock.now();
        let verdict = crate::verify::verify(&asked, now);
        let found = assess(&asked, now);
        let sealed = match (&found, Receipt::parse(document)) {
            (Ok(found), Ok(receipt)) => receipt.is_sealed_by(found),
            (_, Err(error)) => Err(error),
            (Err(_), Ok(_)) => Ok(()),
        };
        // A receipt without a believed timestamp is proved for as long as its certificate lasts and no longer: not enough.
        let passed = verdict.passed() && verdict.level.is_some_and(|level| level != "B-B");
        Ok(Judged { verdict, sealed, passed })
    }
}

pub(super) struct Judged {
    pub verdict: Verdict,
    pub sealed: Result<(), ReceiptError>,
    pub passed: bool,
}

impl Judged {
    pub fn exit(&self) -> Exit {
        match (&self.sealed, self.verdict.verdict) {
            (Err(_), _) | (_, "TOTAL-FAILED") => Exit::Damaged,
            _ if self.passed => Exit::Ok,
            _ => Exit::Refused,
        }
    }

    /// Whether nothing is missing but revocation lists.
    pub fn wants_lists(&self) -> bool {
        self.sealed.is_ok() && self.verdict.verdict != "TOTAL-FAILED" && self.verdict.findings.iter().all(|finding| finding.sub_indication == "TRY_LATER")
    }

    /// Why it is not enough.
    pub fn problem(&self, place: &Place) -> Problem {
        if let Err(error) = &self.sealed {
            return unlike(place, error);
        }
        let why = self.verdict.findings.first().map_or_else(|| "no believed timestamp".to_owned(), |finding| format!("{}: {}", finding.sub_indication, finding.detail.split("; ").next().unwrap_or_default()));
        let next = ("请保留回执；如缺吊销列表，用 --crl 给出后再核验", "keep the receipt; where a revocation list is missing, give it with --crl and verify again");
        place.refuse(self.exit(), "receipt", (&format!("回执{}（{why}）", self.verdict.text), next.0), (&format!("the receipt: {} ({why})", self.verdict.verdict), next.1))
    }
}

pub(super) fn unlike(place: &Place, error: &ReceiptError) -> Problem {
    let ((zh, next), en) = (error.chinese(), error.to_string());
    let (en, next_en) = en.rsplit_once("; ").unwrap_or((&en, ""));
    place.refuse(Exit::Damaged, "receipt", (&zh, next), (en, next_en))
}

/// The addresses of the lists that a seal, and the timestamp over it, are judged by.
pub(super) fn list_addresses(seal: &[u8]) -> Vec<String> {
    let Ok(seal) = Signature::read(seal) else { return Vec::new() };
    let stamped = seal.signature_timestamps().filter_map(|token| pki::timestamp::verify(token, &[]).ok()).flat_map(|token| token.certificates().to_vec());
    let mut urls: Vec<String> = seal.certificates().iter().cloned().chain(stamped).filter_map(|der| CertificateFacts::parse(&der).ok()).flat_map(|facts| facts.crl_urls).collect();
    urls.sort();
    urls.dedup();
    urls
}

pub(super) fn lists_as_pem(lists: &[Vec<u8>]) -> String {
    lists.iter().map(|der| pem::encode(&pem::Pem::new(LIST_TAG, der.as_slice()))).collect()
}

/// The lists kept beside a receipt; none where nothing was kept.
pub(super) fn kept_lists(place: &Place, path: &Path) -> Result<Vec<RevocationAnswer>, Problem> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bad = |error: &dyn std::fmt::Display| unread(place, path, error);
    lists_in(place, path, &place.read(path, MAX_LISTS)?)?.iter().map(|der| RevocationAnswer::list(der).map_err(|error| bad(&error))).collect()
}

/// The lists of a file that [`lists_as_pem`] wrote, DER.
pub(super) fn lists_in(place: &Place, path: &Path, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let blocks = pem::parse_many(bytes).map_err(|error| unread(place, path, &error))?;
    Ok(blocks.into_iter().filter(|block| block.tag() == LIST_TAG).map(pem::Pem::into_contents).collect())
}

fn unread(place: &Place, path: &Path, error: &dyn std::fmt::Display) -> Problem {
    let shown = path.display();
    place.refuse(Exit::Damaged, "revocation", (&format!("{shown} 读不出来：{error}"), "请用 --crl 给出吊销列表"), (&format!("{shown}: {error}"), "give the lists with --crl"))
}

/// 1 read · 2 of the filing that stands beside it · 3 sealed by a bureau beneath the anchor · 4 in the log, where that is given.
pub fn verify(wanted: &Proved) -> Exit {
    match proved(wanted) {
        Ok(exit) => exit,
        Err(problem) => {
            runtime::terminal::problem("filing", &problem, wanted.place.json);
            problem.exit
        }
    }
}

fn proved(wanted: &Proved) -> Result<Exit, Problem> {
    let place = &wanted.place;
    // 1
    let document = place.read(&wanted.file, keep::most())?;
    if keep::is_kept(&document) {
        let proved = keep::verify(place, &wanted.trust, &document)?;
        let receipts: Vec<&Receipt> = proved.receipts.iter().map(|(receipt, _)| receipt).collect();
        keep::told(place, &proved, &wanted.logged(&receipts)?)?;
        return Ok(Exit::Ok);
    }
    let receipt = Receipt::parse(&document).map_err(|error| unlike(place, &error))?;
    let directory = wanted.file.parent().unwrap_or(Path::new(""));
    let beside = Beside::of(directory, &receipt.number().to_string());
    let seal = place.read(&beside.seal, MAX_SMALL)?;
    let mut answers = kept_lists(place, &beside.lists)?;
    for path in &wanted.crl {
        let bytes = place.read(path, MAX_LISTS)?;
        answers.push(RevocationAnswer::list(&bytes).map_err(|error| Problem::new(Exit::Usage, "crl", format!("{}: {error}", path.display()), place.said("请给出 DER 格式的吊销列表", "give a revocation list in DER")))?);
    }
    // 2
    let path = wanted.filing.clone().unwrap_or_else(|| directory.join(format!("{}.json", receipt.number().filing)));
    let filing = place.signed(&path)?;
    receipt.is_of(&filing.0, &filing.1).map_err(|error| unlike(place, &error))?;
    // 3
    let judged = wanted.trust.judge(place, &document, &seal, &answers)?;
    if judged.exit() != Exit::Ok {
        return Err(judged.problem(place));
    }
    // 4
    let logged = wanted.logged(&[&receipt])?.first().copied();
    if place.json {
        json(&serde_json::json!({ "receipt_no": receipt.number().to_string(), "filing_id": filing.0.id().as_str(), "status": receipt.text("/status"), "timely": receipt.timely(), "verdict": judged.verdict, "logged_at": logged }))?;
    } else {
        line(&format!("{} {}", place.said("回执有效：", "the receipt holds:"), receipt.number()))?;
        shown(place, &receipt)?;
        in_log(place, logged)?;
    }
    Ok(Exit::Ok)
}

/// Where in the log a receipt stands, for people.
pub(super) fn in_log(place: &Place, index: Option<u64>) -> Result<(), Problem> {
    index.map_or(Ok(()), |index| line(&format!("  {} {index}", place.said("已记入日志，位置：", "it is in the log, at:"))))
}

impl Proved {
    /// Where in the log each stands, once the whole export is proved under that key; nothing where no log was given.
    fn logged(&self, receipts: &[&Receipt]) -> Result<Vec<u64>, Problem> {
        let place = &self.place;
        let (Some(log), Some(key)) = (&self.log, &self.log_key) else { return Ok(Vec::new()) };
        let mut traces = receipts.iter().map(|receipt| receipt.trace().map_err(|error| unlike(place, &error))).collect::<Result<Vec<_>, _>>()?;
        evidence::proved_export(log, key, |index, entry| traces.iter_mut().for_each(|trace| trace.see(index, entry)))?;
        let short = || place.refuse(Exit::NotFound, "log", ("所给日志还没有记到这份回执及其印章", "请取较新的日志；较新的日志也没有时，请保留回执与日志并向受理单位查询"), ("the log that was given does not tell of this receipt and its seal yet", "get a newer export; where that has none either, keep receipt and log and ask the bureau"));
        traces.into_iter().map(|trace| trace.end().map_err(|error| unlike(place, &error))?.ok_or_else(short)).collect()
    }
}

pub(super) fn shown(place: &Place, receipt: &Receipt) -> Result<(), Problem> {
    let timely = match receipt.timely() {
        Some(true) => place.said("按期", "in time"),
        Some(false) => place.said("逾期", "late"),
        None => "-",
    };
    let text = |pointer| receipt.text(pointer).unwrap_or("-");
    line(&format!("  {} {} {}  {timely}  {}", text("/bureau/name"), text("/status"), text("/received_at"), text("/next_step")))
}

impl Place {
    /// A signed filing and its signature, which stands beside it; the signature is proved over it.
    pub(super) fn signed(&self, path: &Path) -> Result<(Filing, Vec<u8>), Problem> {
        let bytes = self.read(path, MAX_BYTES as u64)?;
        let filing = Filing::parse(&bytes).map_err(|error| {
            let (zh, en) = (format!("{} 不是已签名的申报：{}", path.display(), error.chinese()), format!("{} is no signed filing: {error}", path.display()));
            self.refuse(Exit::Refused, "document", (&zh, "请给出 filing sign 写出的 .json 文件"), (&en, "give the .json file that `filing sign` wrote"))
        })?;
        let signature = self.read(&path.with_extension("p7s"), MAX_SMALL)?;
        self.over(&signature, &bytes)?;
        Ok((filing, signature))
    }

    /// The signature is one over these octets.
    pub(super) fn over(&self, signature: &[u8], bytes: &[u8]) -> Result<(), Problem> {
        let unsound = |reason: String| self.refuse(Exit::Damaged, "signature", (&format!("签名与文件不符：{reason}"), "请重新签名"), (&format!("the signature is not over the file: {reason}"), "sign again"));
        let read = Signature::read(signature).map_err(|error| unsound(error.to_string()))?;
        read.prove(bytes, &[]).map_err(|error| unsound(error.to_string()))?;
        Ok(())
    }

    /// The receipts of a filing that are kept, the newest last.
    pub(super) fn receipts(&self, id: &FilingId) -> Vec<Receipt> {
        let kept = |number: u32| {
            let bytes = self.read(&Beside::of(&self.home(), &format!("{id}-{number}")).receipt, MAX_SMALL).ok()?;
            Receipt::parse(&bytes).ok()
        };
        (1..).map_while(kept).collect()
    }
}

/// Every filing that was signed here, by whom, with its newest receipt.
pub fn list(wanted: &List) -> Result<(), Problem> {
    let asked = &wanted.place;
    let mut all = Vec::new();
    for place in asked.everybody() {
        listed(&place, &mut all)?;
    }
    if asked.json { json(&all) } else { Ok(()) }
}

fn listed(place: &Place, all: &mut Vec<serde_json::Value>) -> Result<(), Problem> {
    let home = place.home();
    let entries = std::fs::read_dir(&home).map_err(|error| place.failed(&home, &error))?;
    let mut ids: Vec<FilingId> = entries.filter_map(|entry| FilingId::parse(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?)).collect();
    ids.sort();
    for id in ids {
        let bytes = place.read(&home.join(format!("{id}.json")), MAX_BYTES as u64)?;
        let Ok(filing) = Filing::parse(&bytes) else { continue };
        let signer = place.read(&home.join(format!("{id}.p7s")), MAX_SMALL).ok().and_then(|signature| signer_of(&signature, &bytes));
        let receipts = place.receipts(&id);
        let newest = receipts.last();
        let status = newest.and_then(|receipt| receipt.text("/status")).unwrap_or("SIGNED");
        let (name, serial) = signer.unwrap_or_default();
        if !place.json {
            let by = place.operator().unwrap_or(&name);
            line(&format!("{id}  {}  {}  {}  {status}  {by}  {}", filing.kind(), filing.period(), filing.revision(), newest.map(|receipt| receipt.number().to_string()).unwrap_or_default()))?;
        }
        let declared: std::collections::BTreeMap<&str, serde_json::Value> = filing.declared().filter_map(|(member, value)| Some((member, serde_json::from_slice(&value.canonical()).ok()?))).collect();
        all.push(serde_json::json!({
            "declared": declared, "filing_id": id.as_str(), "kind": filing.kind().as_str(), "uscc": filing.uscc().as_str(), "period": filing.period().to_string(), "revision": filing.revision(), "status": status,
            "operator": place.operator(), "signer": { "name": name, "serial": serial },
            "receipts": receipts.iter().map(|receipt| receipt.number().to_string()).collect::<Vec<_>>(),
        }));
    }
    Ok(())
}

/// Who signed, and the serial number of the certificate.
fn signer_of(signature: &[u8], document: &[u8]) -> Option<(String, String)> {
    let read = Signature::read(signature).ok()?;
    let proved = read.prove(document, &[]).ok()?;
    let (facts, view) = (CertificateFacts::parse(proved.signer_certificate()).ok()?, pki::view::CertificateView::parse(proved.signer_certificate()).ok()?);
    Some((facts.common_name.or(facts.organization).unwrap_or_default(), crate::desk::hex(&view.serial)))
}
