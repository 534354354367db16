//! `ca registrar`: the mail gateways on whose word citizens are certified.

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::{date, word};

use super::ask::{Place, ask};
use super::print;
use crate::flow::registrar::SetRegistrar;
use crate::operation::Operation;
use crate::service::ShownRegistrar;

#[derive(Debug, Subcommand)]
pub enum Registrar {
    /// Believe a mail gateway's statements about the mailboxes of a domain: the holder of a certificate of the profile registrar.
    /// From two administrators on, another one approves it with `ca order approve`.
    #[command(after_help = "Example:\n  mailgw registrar request --out registrar.csr\n  ca issue registrar --request registrar.csr --dns mx.mail.example.cn --out registrar.pem\n  ca registrar set 5f3a0c0de1b2c3d4e5f60718293a4b5c --domain mail.example.cn")]
    Set {
        serial: String,
        /// What stands after the `@` of the mailboxes.
        #[arg(long)]
        domain: String,
    },
    /// Believe no statement of it any more; what was issued stays.
    #[command(after_help = "Example:\n  ca registrar withdraw 5f3a0c0de1b2c3d4e5f60718293a4b5c")]
    Withdraw { serial: String },
    /// List who is a registrar, and who was one.
    #[command(after_help = "Example:\n  ca registrar list --json")]
    List,
}

pub fn run(place: &Place, command: Registrar) -> Result<(), Problem> {
    let operation = match command {
        Registrar::Set { serial, domain } => Operation::SetRegistrar(SetRegistrar { serial, domain }),
        Registrar::Withdraw { serial } => Operation::WithdrawRegistrar { serial },
        Registrar::List => Operation::ListRegistrars,
    };
    print::outcome(&ask(place, operation)?, place.json)
}

/// One line of a list.
pub fn row(registrar: &ShownRegistrar) -> String {
    let domain = registrar.domain.as_deref().unwrap_or("withdrawn");
    format!("{}  {:<8} {:<30} {}  {}", registrar.serial, word(&registrar.state), domain, date(registrar.not_after), registrar.name)
}
