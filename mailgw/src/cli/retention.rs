//! `mailgw retention …`: what ends when its time is over, and what is held beyond it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use runtime::exit::Problem;
use runtime::terminal::line;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::found::signed_request;
use super::kept::shown as time_shown;
use crate::flow::retention::{By, Retained, ShownHold};
use crate::record::hold::Held;
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
    /// Keep what a push left behind beyond its days. Said again of the same order it lasts as long or longer; each order of an authority holds by itself. `mailgw mailbox hold` keeps a mailbox, and all that speaks of it.
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
        /// When it ends by itself (RFC 3339); without it when it is released.
        #[arg(long, value_parser = moment)]
        until: Option<u64>,
    },
    /// End the hold by one order, by the word of the authority that ordered it, for which two officers signed within a day and since it was set: whoever could
    /// end it alone could let what it keeps go.
    #[command(after_help = "Examples:\n  openssl cms -sign -binary -in release.json -signer officer.pem -inkey officer.key -certfile issuers.pem -outform PEM -out a.p7s   # each of two officers\n  mailgw retention release --request release.json --approval a.p7s --approval b.p7s\n\nThe request, release.json:\n  {\"kind\": \"suiyin retention release v1\", \"domain\": \"mail.example.cn\", \"held\": {\"push\": {\"bureau\": \"gz-gas\", \"batch\": \"GAS-202610\"}},\n   \"authority\": \"广州市中级人民法院\", \"of\": \"(2026)粤01民初123号\", \"order\": \"(2026)粤01民初124号\", \"papers\": \"where they are\"}\n  or \"held\": {\"mailbox\": {\"mailbox\": \"1234567897\"}}, where `retention hold --mailbox` held it before there was `mailgw mailbox hold`")]
    Release {
        /// JSON that two officers signed: the authority is the one that the hold was set by, `of` the order that set it, as `mailgw retention holds`
        /// shows both, `order` its word that ends it.
        #[arg(long, value_name = "FILE", requires = "approval")]
        request: PathBuf,
        /// PEM: an officer's detached signature over the request, with the officer's certificate and its issuers; twice.
        #[arg(long, value_name = "FILE")]
        approval: Vec<PathBuf>,
    },
    /// List what is held of pushes: since when, until when, and whether it still holds.
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

/// Unix milliseconds.
fn moment(text: &str) -> Result<u64, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "write a moment as 2027-06-30T00:00:00+08:00".to_owned())?;
    Ok(crate::gateway::unix_millis(moment))
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    Ok(match command {
        Command::Run { dry_run } => Operation::RetentionRun { trial: dry_run },
        Command::Hold { held, authority, order, until } => Operation::RetentionHold { held: held.into(), by: By { authority, order, until_unix_millis: until } },
        Command::Release { request, approval } => Operation::RetentionRelease(signed_request(&request, &approval)?),
        Command::Holds => Operation::RetentionHolds,
    })
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

pub fn holds(holds: &[ShownHold]) -> Result<(), Problem> {
    for hold in holds {
        let held = match &hold.held {
            Held::Push { bureau, batch } => format!("push     {bureau} {batch}"),
            Held::Mailbox { mailbox } => format!("mailbox  {mailbox}"),
        };
        let (state, since) = (if hold.holds { "holds" } else { "over" }, time_shown(hold.since_unix_millis));
        let until = hold.until_unix_millis.map_or_else(|| "it is released".to_owned(), time_shown);
        line(&format!("{held}  {state}  since {since}  until {until}  {} {}", hold.authority, hold.order))?;
    }
    if holds.is_empty() { line("nothing is held") } else { Ok(()) }
}
