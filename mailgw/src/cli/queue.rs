//! `mailgw queue …`: mail that waits for servers elsewhere.

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::line;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::queue::{Listed, Page, ShownMessage};
use crate::record::queue::End;
use crate::service::{Operation, QueueOrder};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what waits, the oldest first.
    #[command(after_help = "Example:\n  mailgw queue list --limit 20 --json")]
    List {
        /// At most this many, up to 1000.
        #[arg(long)]
        limit: Option<usize>,
        /// Go on after this message.
        #[arg(long)]
        after: Option<String>,
    },
    /// Show one message: its recipients, tries, and what other servers said.
    #[command(after_help = "Example:\n  mailgw queue show 1f")]
    Show { message: String },
    /// Keep a message back until it is released.
    #[command(after_help = "Example:\n  mailgw queue hold 1f")]
    Hold { message: String },
    /// Let a message go on.
    #[command(after_help = "Example:\n  mailgw queue release 1f")]
    Release { message: String },
    /// Try a message now.
    #[command(after_help = "Example:\n  mailgw queue flush 1f")]
    Flush { message: String },
    /// Take a message out for good; its sender is told.
    #[command(after_help = "Example:\n  mailgw queue cancel 1f")]
    Cancel { message: String },
}

pub fn operation(command: Command) -> Operation {
    let (message, order) = match command {
        Command::List { limit, after } => return Operation::QueueList(Listed { limit, after }),
        Command::Show { message } => return Operation::QueueShow { message },
        Command::Hold { message } => (message, QueueOrder::Hold),
        Command::Release { message } => (message, QueueOrder::Release),
        Command::Flush { message } => (message, QueueOrder::Flush),
        Command::Cancel { message } => (message, QueueOrder::Cancel),
    };
    Operation::QueueOrder { message, order }
}

pub fn page(page: &Page) -> Result<(), Problem> {
    for message in &page.messages {
        self::message(message)?;
    }
    match &page.next {
        Some(next) => line(&format!("there may be more: --after {next}")),
        None => line(&format!("{} messages", page.messages.len())),
    }
}

pub fn message(message: &ShownMessage) -> Result<(), Problem> {
    let held = if message.held { ", held" } else { "" };
    line(&format!("{}  from mailbox {}, {} bytes, accepted {}{held}", message.id, message.mailbox, message.size, time(message.accepted)))?;
    for recipient in &message.recipients {
        let state = match recipient.end {
            None => format!("waits, {} tries, next {}", recipient.tries, time(recipient.due)),
            Some(End::Sent) => "sent".to_owned(),
            Some(End::Returned) => "returned".to_owned(),
            Some(End::Cancelled) => "cancelled".to_owned(),
        };
        line(&format!("  {}  {state}", recipient.address))?;
        if let Some(said) = &recipient.last {
            line(&format!("    {} {} {} {}", said.host.as_deref().unwrap_or("-"), said.code, said.status, said.text))?;
        }
    }
    Ok(())
}

fn time(unix_millis: u64) -> String {
    let seconds = i64::try_from(unix_millis / 1_000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| unix_millis.to_string())
}
