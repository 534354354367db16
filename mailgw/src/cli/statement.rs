//! `mailgw statement …`: what is remembered of statements that were delivered.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::line;

use super::found::absolute;
use crate::flow::paper::{Made, Wanted};
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
    /// Make a PDF of a statement, sealed by its bureau: into a file with its detached seal, or into the mailbox.
    #[command(after_help = "Example:\n  mailgw statement pdf --bureau gz-housing-fund HF202610-00000001 --out statement.pdf --seal statement.pdf.p7s && \\\n  openssl cms -verify -binary -inform DER -in statement.pdf.p7s -content statement.pdf -CAfile root.pem -purpose any -out /dev/null\n  mailgw statement pdf --bureau gz-housing-fund HF202610-00000001 --deliver")]
    Pdf {
        /// The bureau's code.
        #[arg(long)]
        bureau: String,
        /// The bureau's own number of it, `stmt_id`.
        statement: String,
        /// Where the PDF goes.
        #[arg(long, required_unless_present = "deliver")]
        out: Option<PathBuf>,
        /// Where its detached seal goes (CMS, DER).
        #[arg(long, requires = "out")]
        seal: Option<PathBuf>,
        /// Put it into the owner's mailbox, in a sealed message.
        #[arg(long)]
        deliver: bool,
    },
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    Ok(match command {
        Command::Show { bureau, statement } => Operation::StatementShow { bureau, statement },
        Command::Pdf { bureau, statement, out, seal, deliver } => {
            let [file, seal] = [out, seal].map(|path| path.as_deref().map(absolute).transpose());
            Operation::StatementPaper(Wanted { bureau, statement, file: file?, seal: seal?, deliver })
        }
    })
}

pub fn papered(made: &Made) -> Result<(), Problem> {
    for (what, path) in [("PDF", &made.file), ("seal", &made.seal)] {
        path.iter().try_for_each(|path| line(&format!("{what} in {}", path.display())))?;
    }
    if made.delivered { line("delivered to the owner's mailbox") } else { Ok(()) }
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
