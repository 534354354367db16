//! `mailgw statement …`: what is remembered of statements that were delivered.

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::line;

use crate::flow::push::ShownStatement;
use crate::service::Operation;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show where a statement went, and whether it holds, was superseded or withdrawn.
    #[command(after_help = "Example:\n  mailgw statement show --bureau gz-housing-fund HF202610-00000001")]
    Show {
        /// The bureau's code.
        #[arg(long)]
        bureau: String,
        /// The bureau's own number of it, `stmt_id`.
        statement: String,
    },
}

pub fn operation(command: Command) -> Operation {
    let Command::Show { bureau, statement } = command;
    Operation::StatementShow { bureau, statement }
}

pub fn shown(shown: &ShownStatement) -> Result<(), Problem> {
    let item = &shown.item;
    line(&format!("statement  {} of {}", shown.statement, shown.bureau))?;
    line(&format!("state      {}", shown.state))?;
    line(&format!("mailbox    {}", item.mailbox))?;
    line(&format!("batch      {}", item.batch))?;
    line(&format!("message    sha256 {}", item.message))?;
    let Some(ended) = &item.ended else { return Ok(()) };
    if let Some(by) = &ended.superseded_by {
        line(&format!("by         {by}"))?;
    }
    line(&format!("said in    batch {}, message sha256 {}", ended.batch, ended.message))?;
    line(&format!("reason     {}", ended.reason))
}
