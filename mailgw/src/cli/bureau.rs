//! `mailgw bureau …` and `mailgw push`: who may push statements, and a month of them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line, plain, word};

use super::ask::{Place, ask_long};
use super::found::{absolute, read_text};
use crate::bureau::{Registration, ShownBureau};
use crate::flow::push::{Order, Report};
use crate::service::{LongOperation, Operation, Outcome, Told};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a bureau, or all of it anew.
    #[command(after_help = "Example:\n  mailgw bureau set gz-housing-fund --name-en 'Guangzhou Housing Fund Centre' --kind housing-fund --hotline 12329 --client client.pem --seal seal.pem")]
    Set(Box<Set>),
    /// List the bureaus.
    #[command(after_help = "Example:\n  mailgw bureau list --json")]
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
    /// A kind of statement it may send: housing-fund or pension; may be repeated.
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

#[derive(Debug, Args)]
pub struct Push {
    /// CSV, UTF-8 with a header.
    rows: PathBuf,
    /// JSON: what the bureau says of the file.
    #[arg(long)]
    manifest: PathBuf,
    /// PEM: the bureau's detached CMS signature over the manifest (`openssl cms -sign -binary -in manifest.json -signer client.pem -inkey client.key -outform PEM`).
    #[arg(long)]
    signature: PathBuf,
    /// Write the outcome of every row here, one JSON object a line.
    #[arg(long)]
    report: Option<PathBuf>,
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    let set = match command {
        Command::Set(set) => set,
        Command::List => return Ok(Operation::BureauList),
    };
    let clients = set.client.iter().map(|path| read_text(path)).collect::<Result<_, _>>()?;
    let (code, name, name_en, kinds, hotline) = (set.code, set.name, set.name_en, set.kind, set.hotline);
    Ok(Operation::BureauSet(Registration { code, name, name_en, kinds, hotline, clients, seal: read_text(&set.seal)? }))
}

pub fn push(place: &Place, push: &Push) -> Result<(), Problem> {
    let report = push.report.as_deref().map(absolute).transpose()?;
    let order = Order { manifest: read_text(&push.manifest)?, signature: read_text(&push.signature)?, rows: absolute(&push.rows)?, report };
    let outcome = ask_long(place, LongOperation::Push(order), |told| {
        if let Told::Pushed(so_far) = told {
            place.progress(&format!("pushing: {} of {} rows, {} delivered", so_far.done, so_far.rows, so_far.delivered), so_far.done == so_far.rows);
        }
    })?;
    match outcome {
        Outcome::Report(report) if place.json => json(&report),
        Outcome::Report(report) => shown(&report, push.report.as_deref()),
        _ => Err(Problem::new(Exit::Internal, "answer", "the service answered something else than it was asked", "run the same version of mailgw on both sides")),
    }
}

fn shown(report: &Report, file: Option<&Path>) -> Result<(), Problem> {
    let counts = report.counts;
    line(&format!("batch {} of {}: {} statements of {}", report.batch, report.bureau, report.kind, report.period))?;
    line(&format!("  {:>9} rows", report.rows))?;
    line(&format!("  {:>9} delivered", counts.delivered))?;
    line(&format!("  {:>9} delivered before", counts.duplicate))?;
    line(&format!("  {:>9} quarantined", counts.quarantined))?;
    line(&format!("  {:>9} undeliverable", counts.undeliverable))?;
    for outcome in &report.not_delivered {
        let (id, reason) = (outcome.stmt_id.as_deref().unwrap_or("-"), outcome.reason.as_deref().unwrap_or("-"));
        let detail = outcome.detail.as_deref().map(plain).unwrap_or_default();
        line(&format!("  row {:<7} {id}  {} ({reason}) {detail}", outcome.row, word(&outcome.state)))?;
    }
    let missing = report.rows.saturating_sub(counts.delivered).saturating_sub(report.not_delivered.len() as u64);
    if missing > 0 {
        line(&format!("  and {missing} more that were not delivered: see --report"))?;
    }
    line(&format!("  outcomes sha256 {}", report.outcomes))?;
    file.map_or(Ok(()), |path| line(&format!("  every row in {}", path.display())))
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
