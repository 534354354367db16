//! `mailgw retention …`: what ends when its time is over, and what is held beyond it.

use clap::{Args, Subcommand};
use runtime::exit::Problem;
use runtime::terminal::line;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flow::retention::{By, Retained};
use crate::record::hold::{Held, Hold};
use crate::service::Operation;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// End what the gateway remembers of pushes whose days are over (`retention_days` of their kind). The service does it by itself every
    /// hour; messages stay.
    #[command(after_help = "Example:\n  mailgw retention run --dry-run")]
    Run {
        /// Say what would end, and end nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep what a push left behind beyond its days. `mailgw mailbox hold` keeps a mailbox, and all that speaks of it.
    #[command(after_help = "Example:\n  mailgw retention hold --authority 广州市中级人民法院 --order '(2026)粤01民初123号' --bureau gz-gas --batch GAS-202610 --until 2027-06-30T00:00:00+08:00")]
    Hold {
        #[command(flatten)]
        held: What,
        /// The court or office that orders it; both words stand in the log.
        #[arg(long)]
        authority: String,
        /// The order, as it is known there.
        #[arg(long)]
        order: String,
        /// When it ends by itself (RFC 3339); without it when it is taken back.
        #[arg(long, value_parser = moment)]
        until: Option<u64>,
    },
    /// Take a hold back.
    #[command(after_help = "Example:\n  mailgw retention release --authority 广州市中级人民法院 --order '(2026)粤01民初123号' --bureau gz-gas --batch GAS-202610")]
    Release {
        #[command(flatten)]
        held: Released,
        /// By whose word.
        #[arg(long)]
        authority: String,
        /// The order, as it is known there.
        #[arg(long)]
        order: String,
    },
    /// List what is held of pushes.
    #[command(after_help = "Example:\n  mailgw retention holds")]
    Holds,
}

#[derive(Debug, Args)]
pub struct What {
    /// The bureau's code.
    #[arg(long)]
    bureau: String,
    /// The push, as its manifest names it.
    #[arg(long)]
    batch: String,
}

impl From<What> for Held {
    fn from(what: What) -> Self {
        Self::Push { bureau: what.bureau, batch: what.batch }
    }
}

#[derive(Debug, Args)]
pub struct Released {
    /// The bureau's code.
    #[arg(long, requires = "batch", required_unless_present = "mailbox", conflicts_with = "mailbox")]
    bureau: Option<String>,
    /// The push, as its manifest names it.
    #[arg(long, requires = "bureau")]
    batch: Option<String>,
    /// Ten digits: a mailbox whose pushes were held by `retention hold --mailbox`, before there was `mailgw mailbox hold`.
    #[arg(long)]
    mailbox: Option<String>,
}

impl From<Released> for Held {
    fn from(released: Released) -> Self {
        match released.mailbox {
            Some(mailbox) => Self::Mailbox { mailbox },
            None => Self::Push { bureau: released.bureau.unwrap_or_default(), batch: released.batch.unwrap_or_default() },
        }
    }
}

/// Unix milliseconds.
fn moment(text: &str) -> Result<u64, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "write a moment as 2027-06-30T00:00:00+08:00".to_owned())?;
    Ok(crate::gateway::unix_millis(moment))
}

pub fn operation(command: Command) -> Operation {
    match command {
        Command::Run { dry_run } => Operation::RetentionRun { trial: dry_run },
        Command::Hold { held, authority, order, until } => Operation::RetentionHold { held: held.into(), by: By { authority, order, until_unix_millis: until }, holds: true },
        Command::Release { held, authority, order } => Operation::RetentionHold { held: held.into(), by: By { authority, order, until_unix_millis: None }, holds: false },
        Command::Holds => Operation::RetentionHolds,
    }
}

pub fn retained(retained: &Retained) -> Result<(), Problem> {
    let word = if retained.trial { "would end" } else { "ended" };
    for over in &retained.over {
        match &over.held_by {
            Some(order) => line(&format!("held       {} {} ({}, {} rows) by {order}", over.bureau, over.batch, over.kind, over.rows))?,
            None => line(&format!("{word:<10} {} {} ({}, {} rows)", over.bureau, over.batch, over.kind, over.rows))?,
        }
    }
    if retained.over.is_empty() { line("nothing is over") } else { Ok(()) }
}

pub fn holds(holds: &[Hold]) -> Result<(), Problem> {
    for hold in holds {
        match &hold.held {
            Held::Push { bureau, batch } => line(&format!("push     {bureau} {batch}  {} {}", hold.authority, hold.order))?,
            Held::Mailbox { mailbox } => line(&format!("mailbox  {mailbox}  {} {}", hold.authority, hold.order))?,
        }
    }
    if holds.is_empty() { line("nothing is held") } else { Ok(()) }
}
