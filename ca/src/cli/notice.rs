//! `ca notice`: what is told of certificates that end, and how far it is.

use clap::Subcommand;
use runtime::exit::Problem;

use super::print::{date, line, word};
use crate::flow::contact::SetContact;
use crate::record::{NoticeState, Recipient};
use crate::operation::Operation;
use crate::service::ShownNotice;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List notices by their state, the first first.
    #[command(after_help = "Example:\n  ca notice list --state failed")]
    List {
        #[arg(long)]
        state: Option<NoticeState>,
        /// At most this many, up to 1000.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Print the words of one notice.
    #[command(after_help = "Example:\n  ca notice show 5f3a0c0de1b2c3d4e5f60718293a4b5c.30-days")]
    Show { id: String },
    /// Say where an officer or a host is told, whose certificate names no mailbox; without an address it is taken away.
    #[command(after_help = "Example:\n  ca notice contact 5f3a0c0de1b2c3d4e5f60718293a4b5c chen@mail.example.cn")]
    Contact { serial: String, mailbox: Option<String> },
    /// Send what has failed once more: one notice, or all of them.
    #[command(after_help = "Examples:\n  ca notice retry 5f3a0c0de1b2c3d4e5f60718293a4b5c.30-days\n  ca notice retry --all")]
    Retry {
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        #[arg(long)]
        all: bool,
    },
}

pub fn operation(command: Command) -> Operation {
    match command {
        Command::List { state, limit } => Operation::NoticeList { state, limit },
        Command::Show { id } => Operation::NoticeShow { id },
        Command::Contact { serial, mailbox } => Operation::SetContact(SetContact { serial, mailbox }),
        Command::Retry { id, .. } => Operation::NoticeRetry { id },
    }
}

pub fn list(notices: &[ShownNotice]) -> Result<(), Problem> {
    if notices.is_empty() {
        return line("no notice fits");
    }
    notices.iter().try_for_each(|notice| {
        let to = match &notice.to {
            Recipient::Operator if notice.state == NoticeState::Unaddressed => "(no mailbox)",
            Recipient::Operator => "(operator)",
            Recipient::Mailbox(address) => address,
        };
        let reason = notice.reason.map(|reason| format!(", {}", word(&reason))).unwrap_or_default();
        line(&format!("{:<46}  {:<11} {}  {to}  {} attempts{reason}", notice.id, word(&notice.state), date(notice.at), notice.attempts))
    })
}
