//! Who works in an institution's mailbox: an officer of the authority, or whom one named as the institution's first, signs who is an
//! operator from now on, or is none any more.

use policies::mailbox::MailboxNumber;
use pki::path::CertificateFacts;
use runtime::exit::{Exit, Problem};
use runtime::revocation::{RevocationError, RevocationLists};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::approval;
use super::signer::{Signed, SignerError};
use crate::bureau::trust::{self, Purpose, TrustError};
use crate::directory::{Account, DirectoryError, Ordered, ShownOperator, Somebody};
use crate::gateway::Gateway;
use crate::record::body;
use crate::record::operator::By;

pub const KIND: &str = "suiyin mailbox operator v1";
/// Characters of what is said at the counter, and of where papers are.
const MAX_WORDS: usize = 200;

/// What is signed, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub kind: String,
    /// Of the institution, its whole address: what is signed for one gateway is good at no other.
    pub mailbox: String,
    pub order: Order,
    /// Where the papers are.
    pub papers: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// A citizen, by the mailbox's whole address. `first`: may name others.
    Citizen {
        mailbox: String,
        #[serde(default)]
        first: bool,
    },
    /// Somebody without a mailbox here, by name.
    Named { name: String },
    /// An operator, by number.
    End { operator: u32 },
}

/// The request and the signature over its very bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    pub request: String,
    /// Detached CMS, PEM.
    pub approval: String,
}

impl std::fmt::Debug for Application {
    /// A name may stand in it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Application(..)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorOrderError {
    #[error("the request is none: {reason}; write it as `mailgw mailbox operator --help` shows")]
    Request { reason: &'static str },
    #[error("the signature does not hold: {reason}; have the request's very bytes signed again")]
    Signature { reason: String },
    #[error("neither an officer nor a first operator of this mailbox signed; have one of them sign")]
    Stranger,
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<SignerError> for OperatorOrderError {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::Signature(reason) => Self::Signature { reason },
            SignerError::Trust(error) => error.into(),
            SignerError::Revocation(error) => error.into(),
        }
    }
}

impl From<OperatorOrderError> for Problem {
    fn from(error: OperatorOrderError) -> Self {
        let (exit, code) = match error {
            OperatorOrderError::Trust(error) => return error.into(),
            OperatorOrderError::Revocation(error) => return error.into(),
            OperatorOrderError::Directory(error) => return error.into(),
            OperatorOrderError::Request { .. } => (Exit::Usage, "operator-request"),
            OperatorOrderError::Signature { .. } => (Exit::Refused, "approval"),
            OperatorOrderError::Stranger => (Exit::Refused, "not-entitled"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// 1 a request of that form about a mailbox · 2 signed within a day, an operator's end since they were named, by an officer, or a first
/// operator of that mailbox, not revoked · 3 durable, once, with its leaf of the log; whoever is ended is logged out.
pub fn carry_out(gateway: &Gateway, lists: &RevocationLists, application: &Application) -> Result<ShownOperator, OperatorOrderError> {
    let now = gateway.clock.now();
    // 1
    let wrong = |reason| OperatorOrderError::Request { reason };
    let request: Request = serde_json::from_str(&application.request).map_err(|_| wrong("it is not of that form"))?;
    if request.kind != KIND || !said(&request.papers) {
        return Err(wrong("it says nothing of papers, or is of another kind"));
    }
    let mailbox = approval::mailbox(gateway, &request.mailbox).ok_or_else(|| wrong("its mailbox is no whole address here"))?;
    // 2
    let since = if let Order::End { operator } = request.order { gateway.directory.operator_named_at(mailbox, operator)? } else { 0 };
    let by = approved(gateway, lists, application, mailbox, since, now)?;
    let ordered = Ordered { by, request: crate::hex(&body::digest(application.request.as_bytes())) };
    // 3
    let directory = &gateway.directory;
    Ok(match request.order {
        Order::Citizen { mailbox: citizen, first } => {
            let citizen = approval::mailbox(gateway, &citizen).ok_or_else(|| wrong("its citizen's mailbox is no whole address here"))?;
            directory.name_operator(mailbox, &Somebody::Citizen(citizen), first, &ordered, now)?
        }
        Order::Named { name } => directory.name_operator(mailbox, &Somebody::Named(name), false, &ordered, now)?,
        Order::End { operator } => directory.end_operator(mailbox, operator, &ordered, now)?,
    })
}

/// At the counter's word alone an operator is ended, never named: who is wrongly ended is named again, and who was wrongly named has read.
pub fn end(gateway: &Gateway, mailbox: MailboxNumber, operator: u32, papers: &str) -> Result<ShownOperator, OperatorOrderError> {
    if !said(papers) {
        return Err(OperatorOrderError::Request { reason: "it says nothing of papers" });
    }
    let ordered = Ordered { by: By::Counter, request: crate::hex(&body::digest(papers.as_bytes())) };
    Ok(gateway.directory.end_operator(mailbox, operator, &ordered, gateway.clock.now())?)
}

fn said(words: &str) -> bool {
    !words.trim().is_empty() && words.chars().count() <= MAX_WORDS && !words.chars().any(char::is_control)
}

fn approved(gateway: &Gateway, lists: &RevocationLists, application: &Application, mailbox: MailboxNumber, since: u64, now: OffsetDateTime) -> Result<By, OperatorOrderError> {
    let signed = Signed::read(&application.approval, application.request.as_bytes())?;
    if !signed.is_fresh(now) {
        return Err(OperatorOrderError::Signature { reason: super::signer::STALE.to_owned() });
    }
    // Numbers follow one another: nobody signs the end of whoever is named next.
    if !signed.is_since(since) {
        return Err(OperatorOrderError::Signature { reason: "it was signed before there was the operator whom it ends".to_owned() });
    }
    if signed.is_for(&gateway.anchors, Purpose::Officer, now) {
        let path = signed.trusted(&gateway.anchors, lists, Purpose::Officer, now)?;
        return trust::person_number(&path).map(By::Officer).ok_or_else(|| OperatorOrderError::Signature { reason: "its certificate names no officer".to_owned() });
    }
    // A citizen's, whose mailbox is that of a first operator.
    let path = signed.trusted(&gateway.anchors, lists, Purpose::Citizen, now)?;
    let facts = CertificateFacts::parse(path.leaf()).map_err(|error| trust::unreadable(Purpose::Citizen, &error))?;
    let [address] = facts.emails.as_slice() else { return Err(OperatorOrderError::Stranger) };
    let account = gateway.directory.find_address(address)?.filter(Account::is_open).ok_or(OperatorOrderError::Stranger)?;
    match gateway.directory.operator_of(mailbox, account.number)? {
        Some((number, true)) => Ok(By::Operator(number)),
        _ => Err(OperatorOrderError::Stranger),
    }
}
