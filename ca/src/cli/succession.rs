//! Renewing, replacing and correcting on the command line, and how the links between certificates are told.

use std::path::PathBuf;

use clap::Args;
use runtime::exit::Problem;

use super::ask::{self, Place};
use super::print::{self, date, line, word};
use super::offline;
use crate::flow::renew;
use crate::flow::replace;
use crate::record::Reason;
use crate::operation::Operation;
use crate::service::Shown;

#[derive(Debug, Args)]
pub struct Renew {
    /// The certificate that is to be renewed.
    serial: String,
    #[command(flatten)]
    new: New,
}

#[derive(Debug, Args)]
pub struct Replace {
    /// The certificate whose key or device is lost or broken.
    serial: String,
    #[command(flatten)]
    new: New,
    /// Why the old one ends: superseded, or key-compromise, which ends it at once with its key.
    #[arg(long, default_value = "superseded")]
    reason: Reason,
    /// Days for which the old one stays valid.
    #[arg(long)]
    overlap_days: Option<u16>,
}

#[derive(Args)]
pub struct Correct {
    /// The certificate that says what is no longer so.
    serial: String,
    #[command(flatten)]
    new: New,
    /// The registered name, as it is now.
    #[arg(long)]
    name: Option<String>,
    /// The mailbox, as it is now.
    #[arg(long)]
    mailbox: Option<String>,
    /// Why the old one ends: superseded or affiliation-changed.
    #[arg(long, default_value = "superseded")]
    reason: Reason,
    /// Days for which the old one stays valid; as the policy says when absent.
    #[arg(long)]
    overlap_days: Option<u16>,
}

/// Without the name.
impl std::fmt::Debug for Correct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Correct").field("serial", &self.serial).finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
struct New {
    /// PKCS#10, PEM or DER; `-` reads standard input.
    #[arg(long)]
    request: PathBuf,
    /// Write the certificate and its chain here (PEM) instead of printing it.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn renew(place: &Place, Renew { serial, new }: Renew) -> Result<(), Problem> {
    let request = offline::read_request(&new.request)?;
    issued(place, Operation::Renew(renew::Renew { serial, request }), &new)
}

pub fn replace(place: &Place, Replace { serial, new, reason, overlap_days }: Replace) -> Result<(), Problem> {
    let request = offline::read_request(&new.request)?;
    let compromised = match reason {
        Reason::Superseded => false,
        Reason::KeyCompromise => true,
        _ => {
            let message = "a replaced certificate is revoked as superseded or as key-compromise";
            return Err(Problem::new(runtime::exit::Exit::Usage, "reason", message, "say one of them, or use `ca correct` or `ca revoke`"));
        }
    };
    issued(place, Operation::Replace(replace::Replace { serial, request, compromised, overlap_days }), &new)
}

pub fn correct(place: &Place, Correct { serial, new, name, mailbox, reason, overlap_days }: Correct) -> Result<(), Problem> {
    let request = offline::read_request(&new.request)?;
    issued(place, Operation::Correct(replace::Correct { serial, request, name, mailbox, reason, overlap_days }), &new)
}

fn issued(place: &Place, operation: Operation, new: &New) -> Result<(), Problem> {
    print::issued(&ask::ask(place, operation)?, new.out.as_deref(), place.json)
}

/// What it took the place of, what took its own, and when it ends for that.
pub fn lines(shown: &Shown) -> Result<(), Problem> {
    if let Some(link) = &shown.replaces {
        line(&format!("in place of {} ({})", link.serial, word(&link.act)))?;
    }
    for link in &shown.replaced_by {
        line(&format!("followed by {} ({})", link.serial, word(&link.act)))?;
    }
    shown.ends_at.map_or(Ok(()), |at| line(&format!("revoked  {} as another is in its place", date(at))))
}
