//! `mailgw mailbox recover`: a new password for who lost every way into a mailbox.

use std::path::PathBuf;

use clap::Args;
use runtime::exit::{Exit, Problem};
use runtime::terminal::line;

use super::found::read_text;
use super::mailbox::{first_line, password};
use crate::flow::recovery::{Application, Papers, Shown};
use crate::service::{Operation, TypedPassword};

#[derive(Debug, Args)]
pub struct Recover {
    mailbox: String,
    /// JSON that two officers signed: kind `suiyin mailbox recovery v1`, mailbox (its whole address), owner (whose papers they saw), proof,
    /// papers, and `"withdrawn": true` where the counter withdrew its password.
    #[arg(long, value_name = "FILE", requires = "approval")]
    request: Option<PathBuf>,
    /// PEM: an officer's detached signature over the request, with the officer's certificate and its issuers; twice.
    #[arg(long, value_name = "FILE")]
    approval: Vec<PathBuf>,
    /// Of the document that was shown. Standard input is the very file whose SHA-256 the request bears: number, name and salt.
    #[arg(long, requires = "request", conflicts_with = "code")]
    id_type: Option<String>,
    /// An institution's credit code.
    #[arg(long, requires_all = ["request", "name"])]
    code: Option<String>,
    /// The institution's, as it stands on what was shown.
    #[arg(long, requires = "code")]
    name: Option<String>,
    /// The cooling-off is over: set the new password; one is made unless one is given.
    #[arg(long, conflicts_with_all = ["request", "cancel"])]
    complete: bool,
    #[arg(long, value_name = "FILE", requires = "complete")]
    password_file: Option<PathBuf>,
    /// It was somebody else.
    #[arg(long, conflicts_with = "request")]
    cancel: bool,
}

pub fn operation(recover: Recover) -> Result<Operation, Problem> {
    let mailbox = recover.mailbox;
    Ok(match (recover.request, recover.complete, recover.cancel) {
        (Some(request), ..) => {
            let request = read_text(&request)?;
            let named: Option<String> = serde_json::from_str::<serde_json::Value>(&request).ok().and_then(|value| Some(value.get("mailbox")?.as_str()?.to_owned()));
            if named.is_none_or(|named| named != mailbox && named.split('@').next() != Some(&mailbox)) {
                return Err(Problem::new(Exit::Usage, "recovery-request", "the request is of another mailbox", "give the address that was signed"));
            }
            let approvals = recover.approval.iter().map(|path| read_text(path)).collect::<Result<_, _>>()?;
            let papers = match (recover.id_type, recover.code) {
                (Some(id_type), _) => {
                    let mut lines = std::io::stdin().lock();
                    let mut next = || first_line(&mut lines, "standard input").map(TypedPassword::new);
                    Papers::Citizen { id_type, id_no: next()?, name: next()?, salt: next()? }
                }
                (None, Some(code)) => Papers::Institution { code, name: recover.name.unwrap_or_default() },
                (None, None) => return Err(Problem::new(Exit::Usage, "papers", "it is not said whose papers were shown", "give --id-type, or --code of an institution")),
            };
            Operation::RecoveryApply(Box::new(Application { request, approvals, papers }))
        }
        (None, true, _) => Operation::RecoveryComplete { mailbox, password: password(recover.password_file.as_deref())? },
        (None, _, true) => Operation::RecoveryCancel { mailbox },
        _ => Operation::RecoveryShow { mailbox },
    })
}

pub fn shown(shown: Option<&Shown>) -> Result<(), Problem> {
    let Some(shown) = shown else { return line("no recovery is under way") };
    line(&format!("address   {}", shown.address))?;
    line(&format!("officers  {}", shown.officers.join(", ")))?;
    line(&format!("due       {} (Unix milliseconds), unless somebody logs in before with a password or a certificate", shown.due_unix_millis))
}
