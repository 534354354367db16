//! `ca officer`: who may do what, and the identity with which an officer calls.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use policies::authority::Power;
use runtime::exit::{Exit, Problem};
use runtime::terminal::{date, word};

use super::ask::{self, Place};
use super::{identity, offline, print};
use crate::flow::OFFICER;
use crate::flow::issue::Order;
use crate::flow::officer::{Grant, Withdraw};
use crate::flow::plan::Words;
use crate::flow::recover::recover;
use crate::flow::reading::ReadingQuery;
use crate::operation::Operation;
use crate::record::serial_text;
use crate::service::{ShownOfficer, chain_of, pem};

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
    /// The way back where no administrator has a good certificate any more: the owner of the directory makes one, with the
    /// service stopped. The log, every officer and, for 90 days, `ca doctor` tell of it.
    #[command(after_help = "Example:\n  ca --dir ca-state officer recover --request me/officer.csr --officer 陈一 --number A-17 --reason '两名管理员的证书均已过期' --out officer.pem")]
    Recover(Box<Recover>),
    /// List who holds powers, and who held some.
    #[command(after_help = "Example:\n  ca officer list --json")]
    List,
    /// List who looked at records, by what and in which hour, the newest first: for auditors.
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

/// Who becomes administrator, and why nobody else could make one.
#[derive(Args)]
pub struct Recover {
    /// PKCS#10 of `ca officer identity new`.
    #[arg(long)]
    request: PathBuf,
    #[arg(long)]
    officer: String,
    #[arg(long)]
    number: String,
    #[arg(long)]
    reason: String,
    /// Where the certificate and its chain go (PEM).
    #[arg(long)]
    out: PathBuf,
}

/// Without the words: a name is a person's.
impl std::fmt::Debug for Recover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recover(..)")
    }
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
        Officer::Recover(wanted) => return recovered(place, *wanted),
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
    print::outcome(&ask::ask(place, operation)?, place.json)
}

fn recovered(place: &Place, wanted: Recover) -> Result<(), Problem> {
    let Recover { request, officer, number, reason, out } = wanted;
    let words = Words { officer: Some(officer), number: Some(number), ..Words::default() };
    let order = Order { profile: OFFICER.into(), request: offline::read_request(&request)?, applicant: words, issuer: None };
    let opened = ask::owned(place)?;
    let done = recover(&opened.authority, rustix::process::geteuid().as_raw(), order, &reason)?;
    opened.evidence.advance()?;
    let (serial, record) = (serial_text(&done.serial), &done.record);
    let whole = pem("CERTIFICATE", &record.der) + &chain_of(&opened.authority, &record.issuer).unwrap_or_default();
    let failed = |error: std::io::Error| Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", out.display()), format!("it is done: fetch the certificate with `ca show {serial}`"));
    print::file(&out, whole.as_bytes()).map_err(failed)?;
    if place.json {
        return print::json(&serde_json::json!({ "serial": serial, "not_after": record.not_after, "out": out, "notices": done.told }));
    }
    print::line(&format!("{serial} is administrator until {}: {}", date(record.not_after), out.display()))?;
    print::line(&format!("{} notices wait for the mail gateway; the log and `ca doctor` tell of it too", done.told))
}

/// One line of a list.
pub fn row(officer: &ShownOfficer) -> String {
    let powers: Vec<&str> = officer.powers.iter().map(|power| power.name()).collect();
    let powers = if powers.is_empty() { "withdrawn".to_owned() } else { powers.join(",") };
    format!("{}  {:<8} {:<14} {}  {}", officer.serial, word(&officer.state), powers, date(officer.not_after), officer.name)
}
