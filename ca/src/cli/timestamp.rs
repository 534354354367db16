//! Timestamps on the command line: what one of ours said.

use clap::Subcommand;
use runtime::exit::Problem;

use super::print::line;
use crate::operation::Operation;
use crate::stamped::Stamped;

#[derive(Debug, Subcommand)]
pub enum Timestamp {
    /// Show what a token of this authority said, by its serial number, once its log entry is found to be over it.
    #[command(after_help = "Example:\n  ca timestamp show 5f3a0c0de1b2c3d4e5f60718293a0000 --json")]
    Show { serial: String },
}

pub fn operation(command: Timestamp) -> Operation {
    match command {
        Timestamp::Show { serial } => Operation::ShowTimestamp { serial },
    }
}

pub fn lines(stamped: &Stamped) -> Result<(), Problem> {
    line(&format!("serial   {}", stamped.serial))?;
    let accuracy = stamped.accuracy_ms.map(|accuracy| format!(", within {accuracy} ms")).unwrap_or_default();
    line(&format!("time     {}{accuracy}", stamped.time))?;
    line(&format!("digest   {}:{}", stamped.digest_algorithm, stamped.digest))?;
    line(&format!("policy   {}", stamped.policy))?;
    if let Some(nonce) = &stamped.nonce {
        line(&format!("nonce    {nonce}"))?;
    }
    line(&format!("signer   {}", stamped.signer))?;
    line(&format!("log      entry {}, over {} tokens", stamped.log_entry, stamped.tokens))?;
    line(&format!("TSTInfo  sha256 {}", stamped.info_sha256))
}
