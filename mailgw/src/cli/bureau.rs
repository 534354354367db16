//! `mailgw bureau …`: who may push statements.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use runtime::exit::Problem;
use runtime::terminal::line;

use super::found::read_text;
use crate::bureau::senders::ShownSender;
use crate::bureau::{Registration, ShownBureau};
use crate::service::Operation;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a bureau, or all of it anew.
    #[command(after_help = "Example:\n  mailgw bureau set gz-housing-fund --name-en 'Guangzhou Housing Fund Centre' --kind housing-fund --hotline 12329 --client client.pem --seal seal.pem")]
    Set(Box<Set>),
    /// The addresses that bureaus may send signed mail from: such mail is marked when everything about it agrees.
    #[command(subcommand, after_help = "Example:\n  mailgw bureau sender allow gz-housing-fund notice@gjj.example.cn")]
    Sender(Sender),
    /// List the bureaus.
    #[command(after_help = "Example:\n  mailgw bureau list --json")]
    List,
}

#[derive(Debug, Subcommand)]
pub enum Sender {
    /// A bureau may send as this address; its certificate there is one for sealing with that address in it.
    #[command(after_help = "Example:\n  mailgw bureau sender allow gz-housing-fund notice@gjj.example.cn")]
    Allow { bureau: String, address: String },
    /// From now on no mail from this address is marked.
    #[command(after_help = "Example:\n  mailgw bureau sender withdraw gz-housing-fund notice@gjj.example.cn")]
    Withdraw { bureau: String, address: String },
    /// List the addresses.
    #[command(after_help = "Example:\n  mailgw bureau sender list --json")]
    List,
}

#[derive(Debug, Args)]
pub struct Set {
    /// The code its manifests name it by.
    code: String,
    /// As readers see it, in Chinese; the organisation of the sealing certificate when absent.
    #[arg(long)]
    name: Option<String>,
    /// As readers see it, in English.
    #[arg(long)]
    name_en: String,
    /// A kind it may send: housing-fund, pension, or one that a file of policies/senders defines; may be repeated.
    #[arg(long, required = true)]
    kind: Vec<String>,
    /// The telephone number its statements give.
    #[arg(long)]
    hotline: String,
    /// PEM: a certificate that its manifests are signed with, and its issuers; may be repeated.
    #[arg(long, required = true)]
    client: Vec<PathBuf>,
    /// PEM: the certificate that its statements are sealed with, and its issuers.
    #[arg(long)]
    seal: PathBuf,
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    let set = match command {
        Command::Set(set) => set,
        Command::Sender(Sender::Allow { bureau, address }) => return Ok(Operation::SenderSet { bureau, address, holds: true }),
        Command::Sender(Sender::Withdraw { bureau, address }) => return Ok(Operation::SenderSet { bureau, address, holds: false }),
        Command::Sender(Sender::List) => return Ok(Operation::SenderList),
        Command::List => return Ok(Operation::BureauList),
    };
    let clients = set.client.iter().map(|path| read_text(path)).collect::<Result<_, _>>()?;
    let (code, name, name_en, kinds, hotline) = (set.code, set.name, set.name_en, set.kind, set.hotline);
    Ok(Operation::BureauSet(Registration { code, name, name_en, kinds, hotline, clients, seal: read_text(&set.seal)? }))
}

pub fn listed(bureaus: &[ShownBureau]) -> Result<(), Problem> {
    if bureaus.is_empty() {
        return line("no bureau is registered");
    }
    bureaus.iter().try_for_each(|bureau| {
        let address = bureau.address.as_deref().unwrap_or("-");
        line(&format!("{:<24} {}  {}  {}  {}", bureau.code, bureau.credit_code, address, bureau.kinds.join(","), bureau.name))
    })
}

pub fn senders(senders: &[ShownSender]) -> Result<(), Problem> {
    if senders.is_empty() {
        return line("no address is registered");
    }
    senders.iter().try_for_each(|sender| line(&format!("{:<40} {}", sender.address, sender.bureau)))
}
