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
    selectors.iter().flat_map(told).try_for_each(|text| line(&text))?;
    line(&format!("{} selectors", selectors.len()))
}

fn told(selector: &ShownSelector) -> Vec<String> {
    let mut lines = vec![format!("{}{}", selector.selector, if selector.in_use { "  in use" } else { "" })];
    lines.extend(selector.records.iter().map(|record| format!("  {}. TXT {}", record.name, quoted(&record.text))));
    lines.extend(selector.lacks().map(|lacks| format!("  no {lacks} key, so it makes one signature instead of two; for both: {BOTH}")));
    lines
}

/// Strings of a TXT record have at most 255 octets. spec: rfc1035#3.3.14
fn quoted(text: &str) -> String {
    let pieces = text.as_bytes().chunks(255).filter_map(|piece| std::str::from_utf8(piece).ok());
    pieces.map(|piece| format!("\"{piece}\"")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::Published;

    fn told_of(kinds: &[&str]) -> Vec<String> {
        let record = |kind: &&str| Published { name: format!("2026a{kind}._domainkey.b.cn"), text: format!("v=DKIM1; {kind}p=AAAA") };
        told(&ShownSelector { selector: "2026a".into(), in_use: true, records: kinds.iter().map(record).collect() })
    }

    /// Who has one kind of key alone is told which is missing and what to do; who has both is told nothing.
    #[test]
    fn a_selector_with_one_kind_of_key_says_so() {
        let hint = |kinds: &[&str]| told_of(kinds).into_iter().filter(|line| line.contains("signature")).collect::<Vec<_>>();
        assert_eq!(hint(&["k=ed25519; "]), [format!("  no RSA key, so it makes one signature instead of two; for both: {BOTH}")]);
        for rsa in ["k=rsa; ", ""] {
            assert_eq!(hint(&[rsa]), [format!("  no Ed25519 key, so it makes one signature instead of two; for both: {BOTH}")]);
            assert!(hint(&["k=ed25519; ", rsa]).is_empty());
        }
        let lines = told_of(&["k=ed25519; ", "k=rsa; "]);
        assert_eq!(lines.first().map(String::as_str), Some("2026a  in use"));
        assert!(lines.get(1).is_some_and(|line| line.ends_with(". TXT \"v=DKIM1; k=ed25519; p=AAAA\"")), "{lines:?}");
    }
}
