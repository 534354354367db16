//! The gateway's one program.
#![forbid(unsafe_code)]

use clap::Parser;

fn main() -> std::process::ExitCode {
    mailgw::cli::run(mailgw::cli::Cli::parse()).into()
}
