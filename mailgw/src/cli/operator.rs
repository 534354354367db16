//! `mailgw mailbox operator …`: several persons in an institution's mailbox.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::line;

use super::found::read_text;
use crate::directory::ShownOperator;
use crate::flow::operator::Application;
use crate::service::{Operation, OperatorOperation};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Name an operator, or end one: what an officer of the authority or a first operator of the mailbox signed.
    #[command(after_help = "The request, signed within a day:\n  {\"kind\": \"suiyin mailbox operator v1\", \"mailbox\": \"2234567898@mail.example.cn\", \"papers\": \"where they are\",\n   \"order\": {\"citizen\": {\"mailbox\": \"1234567897@mail.example.cn\", \"first\": true}}}\n  or \"order\": {\"named\": {\"name\": \"李四\"}}, or \"order\": {\"end\": {\"operator\": 2}}\n\nExample:\n  openssl cms -sign -binary -in request.json -signer officer.pem -certfile issuers.pem -inkey officer.key -outform PEM -out approval.pem\n  mailgw mailbox operator order --request request.json --approval approval.pem")]
    Order {
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// PEM: a detached signature over the request, with its certificate and issuers.
        #[arg(long, value_name = "FILE")]
        approval: PathBuf,
    },
    /// End an operator at the counter's word. Nobody is named so.
    #[command(after_help = "Example:\n  mailgw mailbox operator end 2234567898 2 --papers '2026-11-30 函 17 号'")]
    End {
        mailbox: String,
        /// The operator's number, as `list` shows it.
        operator: u32,
        /// Who asked, and where that is kept.
        #[arg(long)]
        papers: String,
    },
    /// Everybody who is or was an operator of a mailbox.
    #[command(after_help = "Example:\n  mailgw mailbox operator list 2234567898")]
    List { mailbox: String },
    /// Which operator sent a message, by the id that stands in its `Received` field of this host.
    #[command(after_help = "Example:\n  mailgw mailbox operator sent 2234567898 19ac2f4d0e1-0123456789abcdef")]
    Sent { mailbox: String, id: String },
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    Ok(Operation::Operator(match command {
        Command::Order { request, approval } => OperatorOperation::Order(Application { request: read_text(&request)?, approval: read_text(&approval)? }),
        Command::End { mailbox, operator, papers } => OperatorOperation::End { mailbox, operator, papers },
        Command::List { mailbox } => OperatorOperation::List { mailbox },
        Command::Sent { mailbox, id } => OperatorOperation::Sent { mailbox, id },
    }))
}

pub fn listed(operators: &[ShownOperator]) -> Result<(), Problem> {
    if operators.is_empty() { line("the mailbox has no operators") } else { operators.iter().try_for_each(|one| line(&shown(one))) }
}

/// One line.
pub fn shown(one: &ShownOperator) -> String {
    let who = one.address.as_deref().unwrap_or("no mailbox here");
    let state = match (&one.ended_at, &one.ended_by, one.stands) {
        (Some(at), Some(by), _) => format!("ended {at} by {by}"),
        (_, _, true) => "stands".to_owned(),
        _ => "the own mailbox is closed".to_owned(),
    };
    let first = if one.first { ", names others" } else { "" };
    format!("{:<4} {} ({who}){first}  named {} by {}  {state}", one.number, one.name, one.named_at, one.named_by)
}
