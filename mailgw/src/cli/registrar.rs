//! `mailgw registrar …`: the certificate by which the authority believes this gateway about mailboxes.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::Problem;

use super::ask::{Place, ask};
use super::found::read_text;
use super::print;
use crate::service::Operation;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key and a request (PKCS#10, PEM) for it.
    #[command(after_help = "Example:\n  mailgw registrar request --out registrar.csr && ca issue registrar --request registrar.csr --dns mx.mail.example.cn --out registrar.pem && ca registrar set SERIAL --domain mail.example.cn")]
    Request {
        /// Write the request here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take the issued certificate into use, at once and without a restart.
    #[command(after_help = "Example:\n  mailgw registrar install registrar.pem --authority http://ca.example.cn")]
    Install {
        /// PEM: the certificate and its issuers.
        chain: PathBuf,
        /// The authority's public address, where statements are sent.
        #[arg(long, value_name = "URL")]
        authority: String,
    },
}

pub fn run(place: &Place, command: Command) -> Result<(), Problem> {
    match command {
        Command::Request { out } => print::request(&ask(place, Operation::RegistrarRequest)?, out.as_deref(), place.json),
        Command::Install { chain, authority } => print::outcome(&ask(place, Operation::RegistrarInstall { pem: read_text(&chain)?, authority })?, place.json),
    }
}
