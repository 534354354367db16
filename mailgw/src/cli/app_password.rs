//! `mailgw mailbox app-password …`: passwords for one mail program each.

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::line;

use crate::directory::{Scope, ShownAppPassword};
use crate::service::Operation;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make one. It is told once; the mailbox's own password need not stand in a telephone.
    #[command(after_help = "Example:\n  mailgw mailbox app-password new 1234567897 --scope imap,smtp --name 手机")]
    New {
        mailbox: String,
        /// What it opens.
        #[arg(long, value_delimiter = ',', required = true)]
        scope: Vec<Scope>,
        /// What its owner calls it, up to 40 characters.
        #[arg(long)]
        name: String,
        /// The operator of an institution's mailbox whose it is, by number.
        #[arg(long)]
        operator: Option<u32>,
    },
    /// Those of a mailbox, each with the day on which it was used last.
    #[command(after_help = "Example:\n  mailgw mailbox app-password list 1234567897")]
    List { mailbox: String },
    /// Nobody logs in with it any more, and who did is logged out at once.
    #[command(after_help = "Example:\n  mailgw mailbox app-password withdraw 1234567897 2")]
    Withdraw {
        mailbox: String,
        /// Its number, as `list` shows it.
        number: u32,
    },
}

pub fn operation(command: Command) -> Operation {
    match command {
        Command::New { mailbox, scope, name, operator } => Operation::AppPasswordNew { mailbox, name, scopes: scope, operator },
        Command::List { mailbox } => Operation::AppPasswordList { mailbox },
        Command::Withdraw { mailbox, number } => Operation::AppPasswordWithdraw { mailbox, number },
    }
}

pub fn made(address: &str, made: &ShownAppPassword, password: &str) -> Result<(), Problem> {
    line(&format!("address   {address}"))?;
    line(&format!("password  {password}    (told once)"))?;
    line(&shown(made))
}

pub fn listed(kept: &[ShownAppPassword]) -> Result<(), Problem> {
    match kept {
        [] => line("the mailbox has no app password"),
        kept => kept.iter().try_for_each(|one| line(&shown(one))),
    }
}

fn shown(one: &ShownAppPassword) -> String {
    let scopes: Vec<String> = one.scopes.iter().map(Scope::to_string).collect();
    let used = one.last_used.as_deref().map_or_else(|| "never used".to_owned(), |day| format!("last used {day}"));
    let whose = one.operator.map(|operator| format!("operator {operator}  ")).unwrap_or_default();
    format!("{:<4} {:<14} made {}  {used}  {whose}{}", one.number, scopes.join(","), one.made_at, one.name)
}
