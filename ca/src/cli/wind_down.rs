//! Winding down on the command line: how long records are kept, the package of all of them, and its proof offline.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::{Exit, Problem};
use runtime::terminal::progress;

use super::ask::{Place, ask};
use super::print::{self, date, line};
use super::offline;
use crate::retention::Report;
use crate::operation::Operation;
use crate::wind_down::WoundDown;
use crate::wind_down::verify::verify;

/// The longest file of a root's certificate.
const ROOT_LIMIT: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub enum WindDown {
    /// Write all certificates with their histories, orders, lists, issuers, log and policies into a new directory. It is
    /// recorded in the log, and changes nothing else. Keys are not in it.
    #[command(after_help = "Example:\n  ca --dir ca-state wind-down export /srv/wind-down/2026-11-29")]
    Export { directory: PathBuf },
    /// Prove a package offline: every file as it was signed, every certificate under the root, register and log as one.
    #[command(after_help = "Example:\n  ca wind-down verify /srv/wind-down/2026-11-29 --root root.pem --vkey 'ca.example.cn/ca+1a2b3c4d+AbC...'")]
    Verify {
        directory: PathBuf,
        /// The root's certificate as you know it: never the one that came with the package.
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
        /// The log's key as you know it: never the one that came with the package.
        #[arg(long)]
        vkey: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Retention {
    /// How many records there are, until when they are to be kept, and how many are beyond that. Nothing is removed.
    #[command(after_help = "Example:\n  ca retention report --json")]
    Report,
}

pub fn wind_down(place: &Place, wanted: WindDown) -> Result<(), Problem> {
    match wanted {
        WindDown::Export { directory } => print::outcome(&ask(place, Operation::WindDownExport { directory: offline::absolute(&directory)? })?, place.json),
        WindDown::Verify { directory, root, vkey } => {
            let refused = |reason: String| Problem::new(Exit::Usage, "root", format!("{}: {reason}", root.display()), "give the root's certificate, PEM");
            if std::fs::metadata(&root).is_ok_and(|found| found.len() > ROOT_LIMIT) {
                return Err(refused("it is too long".into()));
            }
            let text = std::fs::read(&root).map_err(|error| refused(error.to_string()))?;
            let root = pem::parse(text).map_err(|error| refused(error.to_string()))?;
            let whole = verify(&directory, root.contents(), &vkey, &mut |what, count| progress(&format!("{count} {what} verified"), false))?;
            progress(&format!("{} certificates verified", whole.certificates), true);
            if place.json {
                return print::json(&whole);
            }
            line(&format!("the package of {} as of {} is whole: {} files", whole.base_url, date(whole.taken), whole.files))?;
            line(&format!("{} certificates under {} issuers, {} lists, {} orders, {} log entries", whole.certificates, whole.issuers, whole.lists, whole.orders, whole.log_entries))?;
            line(&format!("sha256 {}", whole.sha256))
        }
    }
}

pub fn done(done: &WoundDown) -> Result<(), Problem> {
    line(&format!("{} certificates and {} log entries as of {} in {}: {} files, {} bytes", done.certificates, done.log_entries, date(done.taken), done.directory.display(), done.files, done.bytes))?;
    line(&format!("sha256  {}", done.sha256))?;
    line(&format!("verify with: ca wind-down verify {} --root ROOT.pem --vkey '{}'", done.directory.display(), done.vkey))
}

pub fn kept(report: &Report) -> Result<(), Problem> {
    line(&format!("records are kept for {} years after a certificate expires; nothing is removed by this program", report.years_after_expiry))?;
    line(&format!("{} certificates, of which {} have expired", report.certificates, report.expired))?;
    if let (Some(ends), Some(until)) = (report.first_ends, report.first_kept_until) {
        line(&format!("the first ends {}, and is kept until {} at least", date(ends), date(until)))?;
    }
    if let Some(until) = report.last_kept_until {
        line(&format!("the last is kept until {} at least", date(until)))?;
    }
    line(&format!("beyond their time: {}", report.beyond))
}
