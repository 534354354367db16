//! Everything about one statement, for a court: as it was delivered, what happened to it, and what proves that to somebody who has the
//! root certificate and nothing else.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ::evidence::Evidence;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::Store;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::export::line;
use super::seal::Ready;
use super::{EvidenceError, Wanted};
use crate::bureau::trust;
use crate::statement::{PaperError, sealed_part};
use crate::erds::court::{EVIDENCE, Ended, INDEX, Index, LISTS, LOG, LogProof, MESSAGE, NOTICE, ProvedEntry, README, SIGNATURE, sealer};
use crate::erds::{Event as Delivery, Item as Proved, Line, Shown, Statement, hash};
use crate::gateway::{Gateway, unix_millis};
use crate::record::event::{self, Event};
use crate::record::evidence;
use crate::record::push::{self, Item, item_key};
use crate::record::{RecordError, access, body};

/// Entries of the log, and places of evidence, read at a time.
const PAGE: usize = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourtWanted {
    pub bureau: String,
    pub statement: String,
    /// Who ordered it, as the order is known.
    pub order: String,
    /// A new directory.
    pub directory: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Package {
    pub directory: PathBuf,
    pub items: u64,
    pub sha256: String,
}

/// 1 the statement, which its mailbox still has · 2 its evidence, signed, and what told its reader that it holds no more · 3 the log's entries of it, proved · 4 the lists that cover its seal · 5
/// that it is handed out is in the log · 6 written, and signed over all.
pub fn court(gateway: &Gateway, log: &Evidence, lists: &RevocationLists, wanted: &CourtWanted) -> Result<Package, EvidenceError> {
    let order = wanted.order.trim();
    if !(1..=200).contains(&order.chars().count()) || order.chars().any(char::is_control) {
        return Err(EvidenceError::Order);
    }
    // A package that is there is not written over, and what cannot be written is not said to be handed out.
    std::fs::DirBuilder::new().mode(0o700).create(&wanted.directory).map_err(|error| failed(&wanted.directory, &error))?;
    let made = fill(gateway, log, lists, wanted, order);
    if made.is_err() {
        // It is ours, and nothing in it is whole.
        let _ = std::fs::remove_dir_all(&wanted.directory);
    }
    made
}

fn fill(gateway: &Gateway, log: &Evidence, lists: &RevocationLists, wanted: &CourtWanted, order: &str) -> Result<Package, EvidenceError> {
    let store = &*gateway.store;
    // 1
    let unknown = || EvidenceError::UnknownStatement { statement: wanted.statement.chars().take(80).collect() };
    let item = Item::decode(&store.get(&item_key(&wanted.bureau, &wanted.statement))?.ok_or_else(unknown)?)?;
    let digest = hash(&item.message).ok_or(RecordError::Damaged { kind: "push item", reason: "its message is no digest" })?;
    let message = delivered(gateway, &item, &digest)?.ok_or_else(unknown)?;
    // 2
    super::seal(gateway, lists)?;
    let lines = lines(gateway, wanted, &item)?;
    let items = lines.iter().map(|line| line.items.len() as u64).sum();
    let notice = item.ended.as_ref().map(|ended| Notice::of(gateway, &item, ended, &lines)).transpose()?;
    // 3
    let proof = proof(store, log, &lines)?;
    // 4
    let now = gateway.clock.now();
    let mut urls = covering(gateway, &message)?;
    if let Some(Notice::Here(notice)) = &notice {
        urls.extend(covering(gateway, notice)?);
        urls.sort_unstable();
        urls.dedup();
    }
    let covering: Vec<String> = lists.fetch(&urls, now)?.iter().map(|list| STANDARD.encode(list)).collect();
    // 5, 6
    let mut evidence_file = Vec::new();
    for line in &lines {
        evidence_file.extend_from_slice(&json(line)?);
        evidence_file.push(b'\n');
    }
    let ended = item.ended.as_ref().map(how);
    let readme = readme(wanted, order, ended.as_ref().zip(notice.as_ref()));
    let mut files: Vec<(&str, Vec<u8>)> = vec![(README, readme), (MESSAGE, message), (EVIDENCE, evidence_file), (LOG, json(&proof)?), (LISTS, json(&covering)?)];
    if let Some(Notice::Here(notice)) = notice {
        files.push((NOTICE, notice));
    }
    let ready = Ready::new(gateway, lists, now)?;
    let mut index = Index::new(&gateway.settings.host, &wanted.bureau, &wanted.statement, order, now);
    index.files = files.iter().map(|(name, bytes)| ((*name).to_owned(), crate::hex(&body::digest(bytes)))).collect();
    index.ended = ended;
    index.revocation_lists = ready.lists_in_base64();
    let index = String::from_utf8(json(&index)?).map_err(|_| RecordError::Damaged { kind: "court package", reason: "it cannot be written as JSON" })?;
    let sha256 = crate::hex(&body::digest(index.as_bytes()));
    let of = crate::hex(&body::digest(item_key(&wanted.bureau, &wanted.statement).as_bytes()));
    let mut write = store::Batch::new();
    Event::CourtPackage(event::Court { of, order: order.to_owned(), package: sha256.clone() }).append(&mut write, unix_millis(now))?;
    store.commit(write)?;
    let signature = ready.sign(&index)?;
    for (name, bytes) in files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).chain([(INDEX, index.as_bytes()), (SIGNATURE, &signature)]) {
        let path = wanted.directory.join(name);
        std::fs::write(&path, bytes).map_err(|error| failed(&path, &error))?;
    }
    Ok(Package { directory: wanted.directory.clone(), items, sha256 })
}

/// Where the lists are that cover the seal's certificates, which were trusted when it was made. Of an encrypted statement nobody here sees
/// the seal.
fn covering(gateway: &Gateway, message: &[u8]) -> Result<Vec<String>, EvidenceError> {
    let unreadable = |reason: &str| EvidenceError::Mail { reason: reason.to_owned() };
    let (entity, seal) = match sealed_part(message) {
        Ok(sealed) => sealed,
        Err(PaperError::Encrypted) => return Ok(Vec::new()),
        Err(PaperError::NoStatement) => return Err(unreadable("it is no sealed statement")),
    };
    let signed = pki::cms::verify(&seal, entity, &[]).map_err(|error| unreadable(&error.to_string()))?;
    let chain = sealer(&signed).ok_or_else(|| unreadable("its seal has no certificate"))?;
    gateway.anchors.trusted_but_for_revocation(&chain, trust::Purpose::Seal, signed.signing_time().unwrap_or(gateway.clock.now()))?;
    trust::crl_urls(&chain).map_err(|error| trust::unreadable(trust::Purpose::Seal, &error).into())
}

/// The message that told a reader that a statement holds no more.
enum Notice {
    Here(Vec<u8>),
    /// Its mailbox has it no more.
    Gone,
    /// No evidence says that it was delivered: its row was not kept, or the days of its push are over.
    Unproved,
}

impl Notice {
    fn of(gateway: &Gateway, item: &Item, ended: &push::Ended, lines: &[Line]) -> Result<Self, EvidenceError> {
        let is_its = |shown: &Shown| {
            Proved::read(&shown.item).is_ok_and(|item| item.event == Delivery::ContentConsignment && item.user_content_info.is_some_and(|content| content.digest_value == ended.message))
        };
        match hash(&ended.message).filter(|_| lines.iter().flat_map(|line| &line.items).any(is_its)) {
            None => Ok(Self::Unproved),
            Some(digest) => Ok(delivered(gateway, item, &digest)?.map_or(Self::Gone, Self::Here)),
        }
    }

    /// What the README says of it, Chinese and English.
    fn words(&self) -> [&'static str; 2] {
        match self {
            Self::Here(_) => ["notice.eml              告知收件人本对账单失效的邮件，逐字节相同\n", "notice.eml              the message that told its reader so, octet for octet\n"],
            Self::Gone => ["（告知收件人失效的邮件已不在邮箱中；其 SHA-256 见 package.json）\n", "(The message that told its reader so is in the mailbox no more; package.json has its SHA-256.)\n"],
            Self::Unproved => [
                "（告知收件人失效的邮件不在本证据包中：其投递证据的保存期已满或当时未予保存；其 SHA-256 见 package.json）\n",
                "(The message that told its reader so is not here: the evidence of its delivery ended with its days, or was not kept; package.json has its SHA-256.)\n",
            ],
        }
    }
}

/// A message of the statement's reader, where the mailbox still has it.
fn delivered(gateway: &Gateway, item: &Item, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, EvidenceError> {
    gateway.messages.with_digest(&item.mailbox, digest).map_err(|error| EvidenceError::Mail { reason: error.to_string() })
}

fn how(ended: &push::Ended) -> Ended {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ended.unix_millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ended { superseded_by: ended.superseded_by.clone(), batch: ended.batch.clone(), at, reason: ended.reason.clone(), notice: ended.message.clone() }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, EvidenceError> {
    serde_json::to_vec(value).map_err(|_| RecordError::Damaged { kind: "court package", reason: "it cannot be written as JSON" }.into())
}

fn failed(path: &Path, error: &std::io::Error) -> EvidenceError {
    EvidenceError::File { path: path.to_owned(), reason: error.to_string() }
}

/// The statement's own items, of its push and of what was fetched of it; where it holds no more, those of the row that said so, too: a court
/// is not shown a statement as if it stood.
fn lines(gateway: &Gateway, wanted: &CourtWanted, item: &Item) -> Result<Vec<Line>, EvidenceError> {
    let row = (item.number > 0).then_some(item.number).ok_or_else(|| EvidenceError::UnknownStatement { statement: wanted.statement.clone() })?;
    let of = |batch: &str, row| Wanted { bureau: wanted.bureau.clone(), batch: batch.to_owned(), row: Some(row), file: PathBuf::new() };
    let ended = item.ended.iter().filter(|ended| ended.number > 0).map(|ended| of(&ended.batch, ended.number));
    let rows: Vec<Wanted> = std::iter::once(of(&item.batch, row)).chain(ended).collect();
    let mut numbers = BTreeSet::new();
    for row in &rows {
        batches(&*gateway.store, row, &mut numbers)?;
    }
    // A batch that speaks of both rows is one line.
    let mut lines: Vec<Line> = Vec::new();
    for number in numbers {
        let mut shown: Option<Line> = None;
        for row in &rows {
            let Some(more) = line(gateway, number, row)? else { continue };
            match &mut shown {
                Some(shown) => shown.items.extend(more.items),
                None => shown = Some(more),
            }
        }
        if let Some(mut line) = shown {
            line.items.sort_by_key(|item| item.index);
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The batches of evidence that speak of a row's push, or of what was fetched of it.
fn batches(store: &dyn Store, of: &Wanted, numbers: &mut BTreeSet<u64>) -> Result<(), EvidenceError> {
    let mut from = None;
    loop {
        let page = evidence::of_push(store, &of.bureau, &of.batch, from.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = Some(last.clone());
        numbers.extend(page.iter().map(|(_, number)| *number));
    }
    let (mut next, end) = access::of_push(&of.bureau, &of.batch);
    loop {
        let page = store.scan(&next, &end, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        next = last.successor();
        for (_, value) in &page {
            numbers.insert(access::number(value)?);
        }
    }
}

/// The entries that hold the roots of these batches. The whole log is read, twice: a court waits a little.
fn proof(store: &dyn Store, log: &Evidence, lines: &[Line]) -> Result<LogProof, EvidenceError> {
    let damaged = |reason| RecordError::Damaged { kind: "log", reason };
    let mut roots: BTreeSet<String> = lines.iter().filter_map(|line| Statement::read(&line.statement)).map(|statement| statement.root).collect();
    let (mut indexes, mut at) = (Vec::new(), 0);
    while !roots.is_empty() {
        let page = store.read_stream(event::STREAM, at, PAGE)?;
        if page.is_empty() {
            return Err(damaged("a root of evidence is not in it").into());
        }
        for leaf in page {
            if let Ok((Event::EvidenceRecorded(recorded), _)) = Event::from_leaf(&leaf)
                && roots.remove(&recorded.root)
            {
                indexes.push(at);
            }
            at += 1;
        }
    }
    let (checkpoint, proved) = log.prove(&indexes).map_err(|_| damaged("its entries cannot be proved"))?;
    let entries = proved.into_iter().map(|one| ProvedEntry { index: one.index, leaf: STANDARD.encode(one.leaf), path: one.path.iter().map(|hash| crate::hex(hash)).collect() });
    let vkey = log.verifier().map_err(|_| damaged("its key cannot be read"))?.to_string();
    Ok(LogProof { vkey, checkpoint, entries: entries.collect() })
}

fn readme(wanted: &CourtWanted, order: &str, ended: Option<(&Ended, &Notice)>) -> Vec<u8> {
    let CourtWanted { bureau, statement, .. } = wanted;
    // Before anything else: nobody reads a statement that ended as one that stands.
    let [holds, holds_en] = ended.map_or_else(|| ["效力：制作本证据包时有效".to_owned(), "In force when this package was made".to_owned()], |(ended, _)| {
        let (word, word_en) = ended.words();
        let Ended { superseded_by, batch, reason, .. } = ended;
        let at = ended.at.format(&Rfc3339).unwrap_or_default();
        let (by, by_en) = superseded_by.as_ref().map_or_else(Default::default, |by| (format!("，取代者编号 {by}"), format!(" by statement {by}")));
        [format!("效力：【已失效】{at} 已{word}{by}，批次 {batch}，原因：{reason}"), format!("NOT IN FORCE: {word_en}{by_en} at {at}, batch {batch}, reason: {reason}")]
    });
    let [notice, notice_en] = ended.map_or(["", ""], |(_, notice)| notice.words());
    format!(
        "对账单证据包\n============\n\n依据：{order}\n发送单位代码：{bureau}\n对账单编号：{statement}\n{holds}\n\n\
statement.eml           对账单原件，与投递到邮箱时逐字节相同（其中的证件号码已按规则遮盖）\n{notice}\
evidence.jsonl          投递证据（EN 319 522），每行一批：签名、时间戳、证书吊销列表、默克尔路径\n\
log.json                上述证据在系统日志中的记录及其证明\n\
revocation-lists.json   核验电子印章所需的证书吊销列表\n\
package.json            各文件的 SHA-256；package.p7s 是对它的签名\n\n\
核验（无需联网，只需根证书）：\n\
    mailgw evidence court-verify 本目录 --anchor root.pem\n\
也可以用 OpenSSL 单独核验：\n\
    openssl cms -verify -binary -inform DER -in package.p7s -content package.json -CAfile root.pem -purpose any -out /dev/null\n\
    openssl cms -verify -in statement.eml -CAfile root.pem -purpose any -out /dev/null\n\
证据中的 ContentAccessTracking 只说明某个程序取走了邮件，不说明有人读过。\n\n\n\
Evidence of one statement\n=========================\n\nBy order of: {order}\nSender's code: {bureau}\nStatement: {statement}\n{holds_en}\n\n\
statement.eml           the message as it was delivered, octet for octet; numbers of documents are masked in it\n{notice_en}\
evidence.jsonl          evidence of delivery (EN 319 522), a batch a line: signature, timestamp, revocation lists, Merkle path\n\
log.json                the entries of the gateway's log that hold this evidence, and their proofs\n\
revocation-lists.json   lists that cover the certificate of the seal\n\
package.json            SHA-256 of each file; package.p7s is the signature over it\n\n\
To verify, offline, with the root certificate alone:\n\
    mailgw evidence court-verify THIS-DIRECTORY --anchor root.pem\n\
or piece by piece with OpenSSL as above. ContentAccessTracking says that a program fetched the message, never that a person read it.\n"
    )
    .into_bytes()
}
