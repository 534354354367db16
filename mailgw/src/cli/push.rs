//! `mailgw push`: a month of statements, from a file beside the gateway or from a bureau's own machine.

use std::path::{Path, PathBuf};

use clap::Args;
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line, plain, word};

use super::ask::{Place, ask_long};
use super::found::{absolute, read_text};
use super::push_remote::{self, Remote};
use crate::flow::push::{Order, Report};
use crate::service::{LongOperation, Outcome, Told};

#[derive(Debug, Args)]
pub struct Push {
    /// CSV, UTF-8 with a header; or JSON Lines, where its name ends in `.jsonl`.
    pub rows: PathBuf,
    /// JSON: what the bureau says of the file.
    #[arg(long)]
    pub manifest: PathBuf,
    /// PEM: the bureau's detached CMS signature over the manifest (`openssl cms -sign -binary -in manifest.json -signer client.pem -inkey client.key -outform PEM`).
    #[arg(long)]
    pub signature: PathBuf,
    /// Write the outcome of every row here, one JSON object a line.
    #[arg(long)]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub remote: Remote,
}

pub fn push(place: &Place, push: &Push) -> Result<(), Problem> {
    if let Some(server) = &push.remote.server {
        return push_remote::push(place, push, server);
    }
    let report = push.report.as_deref().map(absolute).transpose()?;
    let order = Order { manifest: read_text(&push.manifest)?, signature: read_text(&push.signature)?, rows: absolute(&push.rows)?, report };
    let outcome = ask_long(place, LongOperation::Push(order), |told| {
        if let Told::Pushed(so_far) = told {
            place.progress(&format!("pushing: {} of {} rows, {} delivered", so_far.done, so_far.rows, so_far.counts.delivered), so_far.done == so_far.rows);
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
