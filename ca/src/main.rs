//! The authority's one program.
#![forbid(unsafe_code)]

use clap::Parser;

fn main() -> std::process::ExitCode {
    ca::cli::run(ca::cli::Cli::parse()).into()
}
