//! `mailgw dkim …`: signatures on mail.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::line;

use super::found::read_text;
use crate::dkim::{BOTH, ShownSelector};
use crate::service::{Operation, TypedPassword};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a selector and print the records to publish; nothing is signed with it until `mailgw dkim use`.
    #[command(after_help = "Example:\n  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem && mailgw dkim new 2026a --rsa rsa.pem")]
    New {
        selector: String,
        /// PEM (PKCS#8): an RSA key of 2048 to 4096 bits, for receivers that do not verify Ed25519. Destroy the file afterwards.
        #[arg(long)]
        rsa: Option<PathBuf>,
    },
    /// Sign new mail with a selector, once its records are published.
    #[command(after_help = "Example:\n  mailgw dkim use 2026a")]
    Use { selector: String },
    /// Show selectors, the records to publish, and which selector makes one signature alone.
    #[command(after_help = "Example:\n  mailgw dkim show --json")]
    Show,
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    Ok(match command {
        Command::New { selector, rsa } => Operation::DkimNew { selector, rsa: rsa.map(|path| read_text(&path)).transpose()?.map(TypedPassword::new) },
        Command::Use { selector } => Operation::DkimUse { selector },
        Command::Show => Operation::DkimShow,
    })
}

pub fn selectors(selectors: &[ShownSelector]) -> Result<(), Problem> {
    for selector in selectors {
        line(&format!("{}{}", selector.selector, if selector.in_use { "  in use" } else { "" }))?;
        for record in &selector.records {
            line(&format!("  {}. TXT {}", record.name, quoted(&record.text)))?;
        }
        if let Some(lacks) = selector.lacks() {
            line(&format!("  no {lacks} key, so it makes one signature instead of two; for both: {BOTH}"))?;
        }
    }
    line(&format!("{} selectors", selectors.len()))
}

/// Strings of a TXT record have at most 255 octets. spec: rfc1035#3.3.14
fn quoted(text: &str) -> String {
    let pieces = text.as_bytes().chunks(255).filter_map(|piece| std::str::from_utf8(piece).ok());
    pieces.map(|piece| format!("\"{piece}\"")).collect::<Vec<_>>().join(" ")
}
