//! `mailgw evidence …`: whose certificate signs evidence of deliveries, handing it out, and proving it with the root alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line, plain};
use serde_json::json as object;

use super::ask::{Place, ask};
use super::found::{absolute, read_text};
use super::print::{moment, second};
use crate::bureau::trust::Anchors;
use crate::erds::{self, Judged};
use crate::flow::evidence::{CourtWanted, Wanted};
use crate::record::body;
use crate::service::{Operation, Outcome};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key for evidence and a request for it (PKCS#10, PEM).
    #[command(after_help = "Example:\n  mailgw evidence request --name 广州市政务邮箱运营中心 --out evidence.csr && \\\n  ca issue delivery-evidence --request evidence.csr --name 广州市政务邮箱运营中心 --code 12440100000000123A --out evidence.pem")]
    Request {
        /// The registered name of the organisation that runs the gateway.
        #[arg(long)]
        name: String,
        /// Write the request here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take the issued certificate into use: what waits is signed with it, at once and without a restart.
    #[command(after_help = "Example:\n  mailgw evidence install evidence.pem")]
    Install {
        /// PEM: the certificate and its issuers.
        chain: PathBuf,
    },
    /// Write a push's evidence, or that of one of its rows, into a file that proves itself.
    #[command(after_help = "Example:\n  mailgw evidence export --bureau gz-housing-fund --batch HF-202610-01 --out HF-202610-01.evidence.jsonl\n  mailgw evidence export --bureau gz-housing-fund --batch HF-202610-01 --row 3 --out row-3.evidence.jsonl")]
    Export {
        /// The bureau's code.
        #[arg(long)]
        bureau: String,
        /// The push, as its manifest names it.
        #[arg(long)]
        batch: String,
        /// One row's evidence alone: 1 for the first after the header.
        #[arg(long)]
        row: Option<u64>,
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a statement with all that proves it into a new directory, for a court: message, evidence, log, lists, a README.
    #[command(after_help = "Example:\n  mailgw evidence court --bureau gz-housing-fund HF202610-00000001 --order '(2026)粤01民初123号' --out case-123")]
    Court {
        /// The bureau's code.
        #[arg(long)]
        bureau: String,
        /// The bureau's own number of it, `stmt_id`.
        statement: String,
        /// Who ordered it, as the order is known; it stands in the package and in the log.
        #[arg(long)]
        order: String,
        #[arg(long)]
        out: PathBuf,
    },
    /// Prove a package for a court, offline and without a gateway.
    #[command(after_help = "Example:\n  mailgw evidence court-verify case-123 --anchor root.pem")]
    CourtVerify {
        directory: PathBuf,
        /// PEM: the root certificate as you know it, never one that came with the package.
        #[arg(long)]
        anchor: PathBuf,
        /// The arc that the CA's policies stand under.
        #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
        policy_arc: String,
    },
    /// Prove a file of evidence, offline and without a gateway.
    #[command(after_help = "Example:\n  mailgw evidence verify row-3.evidence.jsonl --anchor root.pem --message statement.eml")]
    Verify {
        file: PathBuf,
        /// PEM: the root certificate as you know it, never one that came with the file.
        #[arg(long)]
        anchor: PathBuf,
        /// A message as it was fetched, byte for byte: it must be the one that the evidence is about.
        #[arg(long)]
        message: Option<PathBuf>,
        /// Print every item.
        #[arg(long)]
        items: bool,
        /// The arc that the CA's policies stand under.
        #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
        policy_arc: String,
    },
}

pub fn run(place: &Place, command: Command) -> Result<(), Problem> {
    let operation = match command {
        Command::Verify { file, anchor, message, items, policy_arc } => return verify(place, &file, &anchor, message.as_deref(), items, &policy_arc),
        Command::CourtVerify { directory, anchor, policy_arc } => {
            let proved = erds::court::verify_package(&directory, &Anchors::parse(read_text(&anchor)?.as_bytes(), &policy_arc)?)?;
            if place.json {
                return json(&proved);
            }
            line(&format!("the package holds: statement {} of {}, by order of {}", proved.index.statement, proved.index.sender, proved.index.order))?;
            match (&proved.sealed_by, proved.sealed) {
                (Some(by), Some(at)) => line(&format!("  sealed by {by} at {}", moment(at)))?,
                _ => line("  encrypted to its reader, who can show the seal inside")?,
            }
            if let Some(ended) = &proved.index.ended {
                let by = ended.superseded_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                line(&format!("  NOT IN FORCE: {}{by} at {}, batch {}: {}", ended.words().1, moment(ended.at), ended.batch, plain(&ended.reason)))?;
                line(&format!("  told to its reader in {}", if proved.index.files.contains_key(erds::court::NOTICE) { erds::court::NOTICE } else { "a message that is not in the package" }))?;
            }
            proved.events.iter().try_for_each(|(event, count)| line(&format!("  {count:>9} {event}")))?;
            return line(&format!("  signed by {}; the log's key: {}", proved.signer, proved.log_key));
        }
        Command::Court { bureau, statement, order, out } => Operation::EvidenceCourt(CourtWanted { bureau, statement, order, directory: absolute(&out)? }),
        Command::Request { name, out } => {
            let outcome = ask(place, Operation::EvidenceRequest { organization: name })?;
            return super::print::request(&outcome, out.as_deref(), place.json);
        }
        Command::Install { chain } => Operation::EvidenceInstall { pem: read_text(&chain)? },
        Command::Export { bureau, batch, row, out } => Operation::EvidenceExport(Wanted { bureau, batch, row, file: absolute(&out)? }),
    };
    match ask(place, operation)? {
        Outcome::EvidenceSigner(installed) if place.json => json(&installed),
        Outcome::EvidenceSigner(installed) => line(&format!("evidence is signed by {} until {}", installed.organization, second(installed.until))),
        Outcome::Court(package) if place.json => json(&package),
        Outcome::Court(package) => line(&format!("{} items of evidence and the statement in {}; verify with: mailgw evidence court-verify {} --anchor root.pem", package.items, package.directory.display(), package.directory.display())),
        Outcome::Evidence(exported) if place.json => json(&exported),
        Outcome::Evidence(exported) => {
            line(&format!("{} items of evidence in {}", exported.items, exported.file.display()))?;
            line(&format!("verify with: mailgw evidence verify {} --anchor root.pem", exported.file.display()))
        }
        other => super::print::outcome(&other, place.json),
    }
}

fn verify(place: &Place, file: &Path, anchor: &Path, message: Option<&Path>, show: bool, arc: &str) -> Result<(), Problem> {
    let anchors = Anchors::parse(read_text(anchor)?.as_bytes(), arc)?;
    let opened = File::open(file).map_err(|error| erds::EvidenceError::Unreadable { reason: format!("{}: {error}", file.display()) })?;
    let message = message.map(message_digest).transpose()?;
    let (mut events, mut told, mut shown, mut about) = (BTreeMap::new(), Ok(()), Vec::new(), 0_u64);
    let verified = erds::verify(BufReader::new(opened), &anchors, &mut |Judged { item, sealed, stamped }| {
        *events.entry(item.event.name()).or_insert(0_u64) += 1;
        about += u64::from(item.user_content_info.as_ref().is_some_and(|content| Some(&content.digest_value) == message.as_ref()));
        if show && place.json {
            shown.push(object!({ "item": item, "sealed": sealed.unix_timestamp(), "stamped": stamped.map(time::OffsetDateTime::unix_timestamp) }));
        } else if show && told.is_ok() {
            let (to, reasons) = (item.recipient_details.as_deref().unwrap_or("-"), item.event_reasons.join(","));
            told = line(&format!("{}  {:<26} row {:<7} {} -> {to} {reasons}", moment(item.event_time), item.event.name(), item.submission.row, item.sender_details));
        }
    })?;
    told?;
    if message.is_some() && about == 0 {
        return Err(Problem::new(Exit::Refused, "other-message", "the evidence holds, and it is about other messages than this one", "give the message byte for byte as it was fetched"));
    }
    if place.json {
        return json(&object!({ "batches": verified.batches, "stamped": verified.stamped, "items": verified.items, "signer": verified.signer, "events": events, "about_message": about, "shown": shown }));
    }
    line(&format!("the evidence holds: {} items in {} batches, signed by {}", verified.items, verified.batches, verified.signer))?;
    line(&format!("  {:>9} of the batches have a timestamp", verified.stamped))?;
    events.iter().try_for_each(|(event, count)| line(&format!("  {count:>9} {event}")))?;
    if message.is_some() { line(&format!("  {about:>9} about this message")) } else { Ok(()) }
}

/// SHA-256 of a file of at most the size of a message.
fn message_digest(path: &Path) -> Result<String, Problem> {
    let failed = |reason: String| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {reason}", path.display()), "check the path");
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(|error| failed(error.to_string()))?;
    opened.take(body::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() > body::MAX_BYTES { Err(failed("it is larger than a message may be".into())) } else { Ok(crate::hex(&body::digest(&bytes))) }
}
