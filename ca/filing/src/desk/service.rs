//! What a bureau's officer and the operator can ask for: one list, whether it comes over the socket or from a command that
//! opened the store itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::Evidence;
use policies::identity::CreditCode;
use runtime::doctor::Finding;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::Batch;

use super::bureau::{self, ShownBureau};
use super::flow::list::{self, Listed, Wanted};
use super::flow::proceed::proceed;
use super::flow::{attachment, operator, seal, staff};
use super::officer::{self, Officer};
use super::problem::DeskError;
use super::receipt::Decision;
use super::record::event::{Event, keyed, named_filing};
use super::record::filing::{FilingRecord, Status, body_key, open_body, signature, signature_key};
use super::record::letter::{LetterRecord, LetterState, mailbox_key, to_agent};
use super::record::plain;
use super::record::receipt::ReceiptNumber;
use super::{Desk, doctor, registry, tls};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    TlsRequest { names: Vec<String> },
    TlsInstall { pem: String },
    BureauRequest { bureau: String },
    BureauSet { bureau: String, seal: String },
    BureauList,
    Show { filing: String },
    /// Newest first.
    List { enterprise: String, wanted: Wanted },
    /// `officer` as the log names them.
    Proceed { filing: String, to: Status, decision: Decision, officer: String },
    /// Where an enterprise's receipts are mailed, whatever its certificate says; none ends that.
    MailboxSet { enterprise: String, mailbox: Option<String> },
    /// What a filing says, its signature, receipts and attachments, into a new directory. It stands in the log, with the reason.
    Export { filing: String, directory: PathBuf, reason: String, officer: String },
    ExportLog { directory: PathBuf },
    /// The registry of enterprises, replaced whole by this file.
    RegistryImport { file: PathBuf },
    /// Who is insured through an enterprise.
    StaffImport { enterprise: String, file: PathBuf },
    /// The key of this certificate, PEM, speaks for its enterprise, and no key that did before.
    OperatorsReinstate { certificate: String, reason: String, officer: String },
    Doctor,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// PEM.
    Request(String),
    Done,
    Bureaus(Vec<ShownBureau>),
    Filings(Vec<ShownFiling>),
    Listed(Listed),
    Exported { directory: PathBuf, entries: u64, vkey: Option<String> },
    Imported { rows: u64 },
    Examined(Vec<Finding>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownFiling {
    pub filing_id: String,
    #[serde(flatten)]
    pub record: FilingRecord,
    /// Its receipts; the record counts them.
    pub issued: Vec<ShownReceipt>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownReceipt {
    pub receipt_no: String,
    pub sealed: bool,
    /// How far its letter is; none when nobody is told by mail.
    pub letter: Option<LetterState>,
    /// The one to the agent, of what an agent filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_letter: Option<LetterState>,
}

#[derive(Clone)]
pub struct Service {
    pub desk: Arc<Desk>,
    pub evidence: Arc<Evidence>,
}

impl Service {
    /// From a blocking thread; `user` is the account that asks.
    pub fn perform(&self, operation: Operation, user: u32) -> Result<Outcome, Problem> {
        let (desk, now) = (&*self.desk, self.desk.clock.now());
        Ok(match operation {
            Operation::TlsRequest { names } => Outcome::Request(tls::request(&*desk.store, &desk.keys, &desk.settings.host, &names)?),
            Operation::TlsInstall { pem } => {
                tls::install(&*desk.store, &desk.keys, &desk.settings.host, pem.as_bytes(), now)?;
                Outcome::Done
            }
            Operation::BureauRequest { bureau } => Outcome::Request(bureau::request(desk, &bureau)?),
            Operation::BureauSet { bureau, seal } => Outcome::Bureaus(vec![bureau::set(desk, &bureau, seal.as_bytes())?]),
            Operation::BureauList => Outcome::Bureaus(bureau::list(desk)?),
            Operation::Show { filing } => Outcome::Filings(vec![shown(desk, &filing)?]),
            Operation::List { enterprise, wanted } => Outcome::Listed(list::list(desk, code(&enterprise)?.as_str(), &wanted)?),
            Operation::Proceed { filing, to, decision, officer } => {
                proceed(desk, &filing, to, &decision, &Officer::new(&officer, user)?)?;
                Outcome::Filings(vec![shown(desk, &filing)?])
            }
            Operation::MailboxSet { enterprise, mailbox } => {
                let enterprise = code(&enterprise)?;
                set_mailbox(desk, &enterprise, mailbox.as_deref())?;
                Outcome::Done
            }
            Operation::Export { filing, directory, reason, officer } => {
                let entries = export(desk, &filing, &directory, &reason, &Officer::new(&officer, user)?)?;
                Outcome::Exported { directory, entries, vkey: None }
            }
            Operation::RegistryImport { file } => Outcome::Imported { rows: registry::import(desk, &file)?.rows },
            Operation::StaffImport { enterprise, file } => Outcome::Imported { rows: staff::import(desk, &code(&enterprise)?, &file)? },
            Operation::OperatorsReinstate { certificate, reason, officer } => {
                operator::reinstate(desk, &tls::chain(certificate.as_bytes())?, &reason, &Officer::new(&officer, user)?)?;
                Outcome::Done
            }
            Operation::Doctor => Outcome::Examined(doctor::examine(desk)?),
            Operation::ExportLog { directory } => {
                let entries = self.evidence.export(&directory, &|_, _| {})?;
                Outcome::Exported { directory, entries, vkey: Some(self.evidence.verifier()?.to_string()) }
            }
        })
    }
}

fn code(text: &str) -> Result<CreditCode, Problem> {
    CreditCode::parse(text).map_err(|error| Problem::new(Exit::Usage, "credit-code", error.to_string(), "give the enterprise's unified social credit code"))
}

fn set_mailbox(desk: &Desk, enterprise: &CreditCode, mailbox: Option<&str>) -> Result<(), Problem> {
    let key = mailbox_key(enterprise.as_str());
    let mut batch = match mailbox {
        Some(mailbox) => {
            let refused = |error: policies::certificate::WordError| Problem::new(Exit::Usage, "mailbox", error.to_string(), "give the address of the institution's mailbox");
            let address = policies::certificate::Email::parse(mailbox).map_err(refused)?;
            Batch::new().put(key, plain(address.as_str().as_bytes()))
        }
        None => Batch::new().delete(key),
    };
    Event::MailboxSet { enterprise: &keyed(&desk.data, "enterprise", enterprise.as_str().as_bytes()) }.append(&mut batch, desk.clock.now()).map_err(DeskError::from)?;
    desk.store.commit(batch).map_err(DeskError::from)?;
    Ok(())
}

pub fn shown(desk: &Desk, id: &str) -> Result<ShownFiling, DeskError> {
    let missing = || DeskError::NotFound { what: "filing", id: id.chars().take(64).collect() };
    let record = FilingRecord::decode(&desk.store.get(&FilingRecord::key(id))?.ok_or_else(missing)?)?;
    let receipt = |number| {
        let number = ReceiptNumber::new(id, number);
        let state = |letter: &str| desk.store.get(&LetterRecord::key(letter))?.map(|bytes| Ok::<_, DeskError>(LetterRecord::decode(&bytes)?.state)).transpose();
        let sealed = desk.store.get(&number.seal())?.is_some();
        let text = number.to_string();
        Ok(ShownReceipt { sealed, letter: state(&text)?, agent_letter: state(&to_agent(&text))?, receipt_no: text })
    };
    let issued = (1..=record.receipts).map(receipt).collect::<Result<_, DeskError>>()?;
    Ok(ShownFiling { filing_id: id.to_owned(), record, issued })
}

/// Files readable by this user alone; the content is recorded as read before it is.
fn export(desk: &Desk, id: &str, directory: &Path, reason: &str, officer: &Officer) -> Result<u64, Problem> {
    let reason = officer::reason(reason)?;
    let shown = shown(desk, id)?;
    let mut batch = Batch::new();
    Event::FilingRead { filing: &named_filing(&desk.data, id), reason, officer: officer.name(), user: officer.user() }.append(&mut batch, desk.clock.now()).map_err(DeskError::from)?;
    desk.store.commit(batch).map_err(DeskError::from)?;
    let failed = |path: &Path, error: std::io::Error| DeskError::File { path: path.to_owned(), reason: error.to_string() };
    std::fs::create_dir(directory).map_err(|error| failed(directory, error))?;
    let mut files = 0;
    let mut write = |name: &str, bytes: &[u8]| -> Result<(), DeskError> {
        let path = directory.join(name);
        let made = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| file.write_all(bytes));
        files += 1;
        made.map_err(|error| failed(&path, error))
    };
    let missing = || DeskError::NotFound { what: "filing", id: id.to_owned() };
    let read = |key| desk.store.get(&key).map_err(DeskError::from)?.ok_or_else(missing);
    let body = open_body(id, &read(body_key(id))?, &desk.data).map_err(DeskError::from)?;
    write("filing.json", &body)?;
    write("filing.p7s", signature(&read(signature_key(id))?).map_err(DeskError::from)?)?;
    for receipt in shown.issued.iter().filter(|receipt| receipt.sealed) {
        let Some(number) = ReceiptNumber::parse(&receipt.receipt_no) else { continue };
        if let Some(sealed) = seal::stored(desk, &number)? {
            write(&format!("receipt-{number}.json"), &sealed.document)?;
            write(&format!("receipt-{number}.p7s"), &sealed.seal)?;
        }
    }
    let filing = crate::document::Filing::parse(&body).map_err(|_| DeskError::from(super::record::RecordError::Damaged { kind: "filing body", reason: "it is no filing" }))?;
    // Two names may stand for one content.
    let contents: BTreeSet<String> = filing.attachments().iter().map(|kept| kept.digest_text()).collect();
    for content in contents {
        let path = directory.join(format!("attachment-{content}"));
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| failed(&path, error))?;
        attachment::read(desk, &content, &mut file)?;
        files += 1;
    }
    Ok(files)
}
