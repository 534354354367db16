//! The command line of enterprises and bureaus.

mod desk;
mod verify;

use clap::{Parser, Subcommand};
use runtime::exit::Exit;

/// Sign a filing, submit it, keep its receipt.
#[derive(Debug, Parser)]
#[command(name = "filing", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The bureau's side: receive filings, prove them, seal receipts.
    Desk(desk::Desk),
    /// Verify a signature or a receipt's seal, offline (离线验证).
    Verify(Box<verify::Verify>),
}

/// Runs the program once.
pub fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Desk(desk) => desk::run(desk),
        Command::Verify(asked) => verify::run(&asked),
    }
}
