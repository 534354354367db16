//! `mailgw mailbox archive | verify | load`: a mailbox as files, and files into a mailbox.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::Problem;
use runtime::terminal::{json, line};

use super::ask::{Place, ask_long};
use super::found::{absolute, read_text};
use crate::archive::inventory::{self, Format};
use crate::bureau::trust::Anchors;
use crate::flow::{export, load};
use crate::service::{LongOperation, Outcome, Told};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a mailbox, open or closed, into a new directory: its mail and a signed inventory of it.
    #[command(after_help = "Examples:\n  mailgw mailbox archive 1234567897 --out /srv/archive/1234567897 --format maildir --request 'counter 12, 2026-11-29, form 78'\n  mailgw mailbox archive 1234567897 --out /srv/handover/1234567897 --statements --octets --request 'form 79'\n  openssl cms -verify -binary -inform DER -in inventory.p7s -content inventory.jsonl -CAfile root.pem -purpose any -out /dev/null")]
    Archive {
        mailbox: String,
        #[arg(long, value_name = "DIRECTORY")]
        out: PathBuf,
        #[arg(long, default_value = "maildir")]
        format: Format,
        /// Also what its owner deleted and is kept.
        #[arg(long)]
        deleted: bool,
        /// What bureaus sent, and nothing else.
        #[arg(long)]
        statements: bool,
        /// Octet for octet as IMAP gives them; otherwise lines end as in files of this machine.
        #[arg(long)]
        octets: bool,
        /// Where the request is kept; its digest stands in inventory and log.
        #[arg(long)]
        request: String,
    },
    /// Prove an archive, offline and without a gateway: who signed it, and that each message is the one that was listed.
    #[command(after_help = "Example:\n  mailgw mailbox verify /srv/archive/1234567897 --anchor root.pem")]
    Verify {
        directory: PathBuf,
        /// PEM: the root certificate as you know it, never one that came with the archive.
        #[arg(long)]
        anchor: PathBuf,
        /// The arc that the CA's policies stand under.
        #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
        policy_arc: String,
    },
    /// Take mail into a mailbox: of an archive, a Maildir or an mbox. Said again it takes what is not there yet.
    #[command(after_help = "Examples:\n  mailgw mailbox load 1234567897 /srv/archive/1234567897 --request 'form 79'\n  mailgw mailbox load 1234567897 old.mbox --folder Old --request 'form 80'")]
    Load {
        mailbox: String,
        from: PathBuf,
        /// All of it into this folder, or below it where it has folders.
        #[arg(long)]
        folder: Option<String>,
        /// Where the request is kept; its digest stands in the log.
        #[arg(long)]
        request: String,
    },
}

pub fn run(place: &Place, command: Command) -> Result<(), Problem> {
    let operation = match command {
        Command::Verify { directory, anchor, policy_arc } => {
            let anchors = Anchors::parse(read_text(&anchor)?.as_bytes(), &policy_arc)?;
            let verified = inventory::verify(&directory, &anchors)?;
            if place.json {
                return json(&verified);
            }
            return line(&format!("the archive of {} holds: {} messages, {} bytes, signed by {} at {}", verified.address, verified.messages, verified.bytes, verified.signer, super::print::second(verified.signed_at)));
        }
        Command::Archive { mailbox, out, format, deleted, statements, octets, request } => LongOperation::MailboxArchive(export::Wanted { mailbox, directory: absolute(&out)?, format, deleted, statements, octets, request }),
        Command::Load { mailbox, from, folder, request } => LongOperation::MailboxLoad(load::Order { mailbox, from: absolute(&from)?, folder, request }),
    };
    let done = ask_long(place, operation, |told| match told {
        Told::Exported { done, all } => place.progress(&format!("archiving: {done} of {all} messages"), false),
        Told::Loaded(loaded) => place.progress(&format!("loading: {} new, {} there already", loaded.new, loaded.known), false),
        _ => {}
    });
    match done? {
        Outcome::Written(written) if place.json => json(&written),
        Outcome::Written(written) => {
            place.progress(&format!("archiving: {} messages", written.messages), true);
            line(&format!("{} messages, {} bytes in {}", written.messages, written.bytes, written.directory.display()))?;
            line(&format!("verify with: mailgw mailbox verify {} --anchor root.pem", written.directory.display()))
        }
        Outcome::Loaded(loaded) if place.json => json(&loaded),
        Outcome::Loaded(loaded) => {
            place.progress(&format!("loading: {} new", loaded.new), true);
            line(&format!("{} new, {} there already, {} too large", loaded.new, loaded.known, loaded.too_large))
        }
        other => super::print::outcome(&other, place.json),
    }
}
