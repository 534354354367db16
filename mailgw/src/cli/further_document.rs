//! `mailgw mailbox document`: a further document of a mailbox's owner, or one less.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use runtime::exit::Problem;

use super::found::signed_request;
use super::mailbox::first_line;
use super::opening::Seen;
use crate::directory::Words;
use crate::flow::opening::document_withdrawal::Withdrawal;
use crate::flow::opening::further_document::{By, FurtherDocument, Officers};
use crate::service::{Operation, TypedPassword};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("by").required(true).multiple(true).args(["held", "request", "withdraw"])))]
pub struct Document {
    mailbox: String,
    /// As for `open`; the number is the first line of standard input.
    #[arg(long)]
    id_type: String,
    /// As it stands on the document; it must be the owner's. With `--request` it is the second line of standard input.
    #[arg(long, required_unless_present = "request", conflicts_with = "request")]
    name: Option<String>,
    /// The type of a document that the mailbox holds and that was shown, too; its number is the second line of standard input.
    #[arg(long, value_name = "ID_TYPE", conflicts_with_all = ["request", "withdraw"])]
    held: Option<String>,
    /// JSON that two officers signed: kind `suiyin mailbox document v1` or `… document withdrawal v1`, mailbox (its whole address), id_type,
    /// document, proof, papers. Standard input is the very file whose SHA-256 `document` is: number, name and salt.
    #[arg(long, value_name = "FILE", requires = "approval")]
    request: Option<PathBuf>,
    /// PEM: an officer's detached signature over the request, with the officer's certificate and its issuers; twice.
    #[arg(long, value_name = "FILE", requires = "request")]
    approval: Vec<PathBuf>,
    /// It is this mailbox's no more, and whose it is may open one with it; the last one goes once the mailbox is closed. The name is that of
    /// the mailbox's owner. Where it counts in a recovery already, or officers bound it, with `--request`, which ends a recovery under way.
    #[arg(long, conflicts_with_all = ["document", "person", "evidence"])]
    withdraw: bool,
    #[command(flatten)]
    seen: Seen,
}

pub fn operation(document: Document) -> Result<Operation, Problem> {
    let mut lines = std::io::stdin().lock();
    let mut next = || first_line(&mut lines, "standard input");
    let number = next()?;
    let (name, officers) = match document.request {
        Some(request) => (Some(next()?), Some(Officers { signed: signed_request(&request, &document.approval)?, salt: TypedPassword::new(next()?) })),
        None => (document.name, None),
    };
    let words = Words { id_type: Some(document.id_type), id_no: Some(number), name, ..Words::default() };
    if document.withdraw {
        return Ok(Operation::MailboxDocumentWithdraw(Box::new(Withdrawal { mailbox: document.mailbox, document: words, papers: document.seen.papers, officers })));
    }
    let by = match officers {
        Some(officers) => By::Officers(officers),
        None => By::Held { id_type: document.held.unwrap_or_default(), id_no: TypedPassword::new(next()?) },
    };
    Ok(Operation::MailboxDocument(Box::new(FurtherDocument { mailbox: document.mailbox, document: words, by, findings: document.seen.findings()? })))
}
