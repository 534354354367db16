//! The command line of enterprises and bureaus.

mod desk;
mod draft;
mod enterprise;
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
    /// 密钥 (the operator's key).
    #[command(subcommand)]
    Key(Key),
    /// 新建草稿，每栏都有说明 (a draft with every field explained).
    #[command(after_help = "Example:\n  filing new --kind vat-general --period 202610 --code 91440101MAT000018G --out vat.jsonc")]
    New(enterprise::New),
    /// 签名前核对全部规则 (every rule, before it is signed).
    #[command(after_help = "Example:\n  filing check vat.jsonc")]
    Check(enterprise::Checked),
    /// 签名 (sign: canonical JSON and a detached CAdES signature).
    #[command(after_help = "Example:\n  filing sign vat.jsonc --certificate enterprise.pem --passphrase-file pass")]
    Sign(enterprise::Signed),
}

#[derive(Debug, Subcommand)]
enum Key {
    /// 新建密钥与证书请求 (a sealed key, and the request for its certificate).
    #[command(after_help = "Example:\n  filing key new --dir filing-state --name 广州某某有限公司 --passphrase-file pass")]
    New(enterprise::KeyNew),
}

fn ended(done: Result<(), runtime::exit::Problem>, json: bool) -> Exit {
    match done {
        Ok(()) => Exit::Ok,
        Err(problem) => {
            runtime::terminal::problem("filing", &problem, json);
            problem.exit
        }
    }
}

/// Runs the program once.
pub fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Desk(desk) => desk::run(desk),
        Command::Verify(asked) => verify::run(&asked),
        Command::Key(Key::New(wanted)) => ended(enterprise::key_new(&wanted), wanted.place.json),
        Command::New(wanted) => ended(enterprise::new(&wanted), wanted.place.json),
        Command::Check(wanted) => ended(enterprise::check(&wanted), wanted.place.json),
        Command::Sign(wanted) => ended(enterprise::sign(&wanted), wanted.place.json),
    }
}
