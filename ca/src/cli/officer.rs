//! `ca officer`: who may do what, and the identity with which an officer calls.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use policies::authority::Power;
use runtime::exit::Problem;
use runtime::terminal::{date, word};

use super::ask::{Place, ask};
use super::{identity, offline, print};
use crate::flow::officer::{Grant, Withdraw};
use crate::flow::reading::ReadingQuery;
use crate::operation::Operation;
use crate::service::ShownOfficer;

#[derive(Debug, Subcommand)]
pub enum Officer {
    /// Give the holder of an officer's certificate a power. Once there is an administrator, only administrators do this.
    #[command(after_help = "Examples:\n  ca --dir ca-state officer grant 5f3a0c0de1b2c3d4e5f60718293a4b5c administrator\n  ca --server https://ca.example.cn:8441 --identity me officer grant 5f3a0c0de1b2c3d4e5f60718293a4b5c operator")]
    Grant {
        serial: String,
        /// administrator, operator or auditor.
        power: Power,
    },
    /// Take a power away, from the next request on.
    #[command(after_help = "Examples:\n  ca officer withdraw 5f3a0c0de1b2c3d4e5f60718293a4b5c operator\n  ca officer withdraw 5f3a0c0de1b2c3d4e5f60718293a4b5c --all")]
    Withdraw(Taken),
    /// List who holds powers, and who held some.
    #[command(after_help = "Example:\n  ca officer list --json")]
    List,
    /// List who looked at records, by what and in which hour: for auditors.
    #[command(after_help = "Examples:\n  ca officer readings --since 2026-11-01T00:00:00Z\n  ca officer readings --by officer:5f3a0c0de1b2c3d4e5f60718293a4b5c --json")]
    Readings {
        /// From the hour of this time on, RFC 3339.
        #[arg(long, value_name = "DATE")]
        since: Option<String>,
        /// Of one alone, as the log names them: officer:SERIAL or uid:NUMBER.
        #[arg(long)]
        by: Option<String>,
        /// At most this many, up to 1000.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// The key and certificate with which an officer calls from their own machine.
    #[command(subcommand)]
    Identity(Identity),
}

#[derive(Debug, Args)]
pub struct Taken {
    serial: String,
    /// administrator, operator or auditor.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    power: Option<Power>,
    /// All that the certificate has.
    #[arg(long)]
    all: bool,
}

#[derive(Subcommand)]
pub enum Identity {
    /// Make a key, sealed under a passphrase, and the request for its certificate.
    #[command(after_help = "Example:\n  ca officer identity new me --name 陈一 --number A-17")]
    New {
        /// A new directory.
        directory: PathBuf,
        #[arg(long)]
        name: String,
        /// The officer's number, by which a second certificate is known to be the same person's.
        #[arg(long)]
        number: String,
    },
    /// Take in the certificate, once it is issued or renewed.
    #[command(after_help = "Example:\n  ca officer identity install me officer.pem --root root.pem")]
    Install {
        directory: PathBuf,
        /// With its chain, PEM, as `ca issue --out` wrote it.
        certificate: PathBuf,
        /// The root to trust, PEM, from a source you trust; the first time only.
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
    },
}

/// Without the words: a name is a person's.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

pub fn run(place: &Place, command: Officer) -> Result<(), Problem> {
    let operation = match command {
        Officer::Grant { serial, power } => Operation::GrantPower(Grant { serial, power }),
        Officer::Withdraw(Taken { serial, power, .. }) => Operation::WithdrawPower(Withdraw { serial, power }),
        Officer::List => Operation::ListOfficers,
        Officer::Readings { since, by, limit } => {
            let since = since.as_deref().map(offline::instant).transpose()?.unwrap_or(0);
            Operation::ListReadings(ReadingQuery { since, by, limit })
        }
        Officer::Identity(Identity::New { directory, name, number }) => return identity::new(&directory, &name, &number, place.passphrase_file.as_deref(), place.json),
        Officer::Identity(Identity::Install { directory, certificate, root }) => {
            return identity::install(&directory, &certificate, root.as_deref(), place.passphrase_file.as_deref(), place.json);
        }
    };
    print::outcome(&ask(place, operation)?, place.json)
}

/// One line of a list.
pub fn row(officer: &ShownOfficer) -> String {
    let powers: Vec<&str> = officer.powers.iter().map(|power| power.name()).collect();
    let powers = if powers.is_empty() { "withdrawn".to_owned() } else { powers.join(",") };
    format!("{}  {:<8} {:<14} {}  {}", officer.serial, word(&officer.state), powers, date(officer.not_after), officer.name)
}
