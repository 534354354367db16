//! `mailgw mailbox document`: a further document of a mailbox's owner.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use runtime::exit::Problem;

use super::found::signed_request;
use super::mailbox::first_line;
use super::opening::Seen;
use crate::directory::Words;
use crate::flow::opening::further_document::{By, FurtherDocument};
use crate::service::{Operation, TypedPassword};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("by").required(true).args(["held", "request"])))]
pub struct Document {
    mailbox: String,
    /// As for `open`; the number is the first line of standard input.
    #[arg(long)]
    id_type: String,
    /// As it stands on the document; it must be the owner's.
    #[arg(long)]
    name: String,
    /// The type of a document that the mailbox holds and that was shown, too; its number is the second line of standard input.
    #[arg(long, value_name = "ID_TYPE")]
    held: Option<String>,
    /// JSON that two officers signed: kind `suiyin mailbox document v1`, mailbox (its whole address), id_type, document, proof, papers. The
    /// salt of the document's digest is the second line of standard input.
    #[arg(long, value_name = "FILE", requires = "approval")]
    request: Option<PathBuf>,
    /// PEM: an officer's detached signature over the request, with the officer's certificate and its issuers; twice.
    #[arg(long, value_name = "FILE", requires = "request")]
    approval: Vec<PathBuf>,
    #[command(flatten)]
    seen: Seen,
}

pub fn operation(document: Document) -> Result<Operation, Problem> {
    let mut lines = std::io::stdin().lock();
    let number = first_line(&mut lines, "standard input")?;
    let second = TypedPassword::new(first_line(&mut lines, "standard input")?);
    let by = match document.request {
        Some(request) => By::Officers { signed: signed_request(&request, &document.approval)?, salt: second },
        None => By::Held { id_type: document.held.unwrap_or_default(), id_no: second },
    };
    let words = Words { id_type: Some(document.id_type), id_no: Some(number), name: Some(document.name), ..Words::default() };
    Ok(Operation::MailboxDocument(Box::new(FurtherDocument { mailbox: document.mailbox, document: words, by, findings: document.seen.findings()? })))
}
