//! `mailgw push`: a month of statements, from a file beside the gateway or from a bureau's own machine.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line, plain, word};
use serde_json::json as object;

use super::ask::{Place, ask, ask_long};
use super::found::{absolute, read_text};
use super::print::moment;
use super::push_remote::{self, Identity, Remote};
use crate::bureau::trust::Anchors;
use crate::erds;
use crate::flow::recipients_asked::Person;
use crate::flow::push::{Order, Report, ReportWanted, Trial};
use crate::record::push::RowOutcome;
use crate::service::{LongOperation, Operation, Outcome, Told};

/// A push, or a question about one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Command {
    #[command(subcommand)]
    about: Option<About>,
    #[command(flatten)]
    push: Push,
}

#[derive(Debug, Subcommand)]
enum About {
    /// What a push is made of: the manifest, `opening.json`, the requests, the columns of a kind, the reasons of a report.
    #[command(after_help = "Examples:\n  mailgw push explain\n  mailgw push explain housing-fund\n  mailgw push explain utility-bill --policies ./policies --json")]
    Explain {
        /// The columns and rules of this kind.
        kind: Option<String>,
        /// The directory that holds `senders/`; that of --dir when absent, and the shipped one where there is none.
        #[arg(long)]
        policies: Option<PathBuf>,
    },
    /// Ask whether persons can be reached, before anything is pushed: one answer for each, in order.
    #[command(after_help = "Example:\n  mailgw push recipients persons.json --bureau gz-housing-fund --server https://mx.mail.example.cn:8442 --client client.pem --client-key client.key --root root.pem\n\npersons.json: [{\"id_type\": \"01\", \"id_no\": \"…\", \"name\": \"…\"}]")]
    Recipients {
        /// JSON: type and number of each person's document, and the name.
        persons: PathBuf,
        /// The bureau's code.
        #[arg(long)]
        bureau: String,
        /// The gateway: `https://HOST[:PORT]`.
        #[arg(long)]
        server: String,
        /// PEM: the bureau's client certificate and its issuers.
        #[arg(long)]
        client: PathBuf,
        /// PEM: its key.
        #[arg(long)]
        client_key: PathBuf,
        /// PEM: the root under which the gateway is believed.
        #[arg(long)]
        root: PathBuf,
    },
    /// Write the final report of a push that has ended: its rows by state and reason, signed.
    #[command(after_help = "Example:\n  mailgw push report --bureau gz-housing-fund --batch HF-202610-01 --out HF-202610-01.report.json")]
    Report {
        /// The bureau's code.
        #[arg(long)]
        bureau: String,
        /// The push, as its manifest names it.
        #[arg(long)]
        batch: String,
        #[arg(long)]
        out: PathBuf,
    },
    /// Prove a final report, offline and without a gateway.
    #[command(after_help = "Example:\n  mailgw push verify HF-202610-01.report.json --anchor root.pem")]
    Verify {
        file: PathBuf,
        /// PEM: the root certificate as you know it, never one that came with the file.
        #[arg(long)]
        anchor: PathBuf,
        /// The arc that the CA's policies stand under.
        #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
        policy_arc: String,
    },
}

pub fn run(place: &Place, command: &Command) -> Result<(), Problem> {
    match &command.about {
        Some(About::Report { bureau, batch, out }) => {
            let file = absolute(out)?;
            let wanted = ReportWanted { bureau: bureau.clone(), batch: batch.clone(), file: file.clone() };
            ask(place, Operation::PushReport(wanted))?;
            if place.json { json(&object!({ "file": file })) } else { line(&format!("verify with: mailgw push verify {} --anchor root.pem", file.display())) }
        }
        Some(About::Explain { kind, policies }) => super::explain::explain(place, kind.as_deref(), policies.as_deref()),
        Some(About::Recipients { persons, bureau, server, client, client_key, root }) => {
            let identity = Identity { client: Some(client), client_key: Some(client_key), root: Some(root) };
            recipients(place, persons, bureau, server, &identity)
        }
        Some(About::Verify { file, anchor, policy_arc }) => verify(place, file, anchor, policy_arc),
        None => push(place, &command.push),
    }
}

fn recipients(place: &Place, persons: &Path, bureau: &str, server: &str, identity: &Identity<'_>) -> Result<(), Problem> {
    // What the reader of JSON says may quote a person.
    let unread = |error: serde_json::Error| {
        let message = format!("{} is not the JSON of this question, line {}", persons.display(), error.line());
        Problem::new(Exit::Usage, "persons", message, r#"write [{"id_type": "01", "id_no": "…", "name": "…"}]"#)
    };
    let text = zeroize::Zeroizing::new(read_text(persons)?);
    let asked: Vec<Person> = serde_json::from_str(&text).map_err(unread)?;
    let told = push_remote::recipients(server, identity, bureau, &asked)?;
    if place.json {
        return json(&told);
    }
    told.answers.iter().enumerate().try_for_each(|(at, answer)| line(&format!("{:>5} {}", at + 1, word(answer))))
}

fn verify(place: &Place, file: &Path, anchor: &Path, arc: &str) -> Result<(), Problem> {
    let unreadable = |error: std::io::Error| erds::EvidenceError::Unreadable { reason: format!("{}: {error}", file.display()) };
    let anchors = Anchors::parse(read_text(anchor)?.as_bytes(), arc)?;
    let mut bytes = Vec::new();
    File::open(file).and_then(|opened| opened.take(erds::MAX_REPORT as u64 + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    let verified = erds::verify_report(&bytes, &anchors)?;
    if place.json {
        return json(&verified);
    }
    let report = &verified.report;
    line(&format!("the report holds, signed by {} at {}", verified.signer, moment(verified.signed)))?;
    line(&format!("batch {} of {}: {} statements of {}", report.batch, report.sender, report.kind, report.period))?;
    for (count, what) in [(report.rows, "rows"), (report.delivered, "delivered"), (report.duplicate, "delivered before"), (report.quarantined, "quarantined"), (report.undeliverable, "undeliverable")] {
        line(&format!("  {count:>9} {what}"))?;
    }
    report.reasons.iter().try_for_each(|kept| line(&format!("  {:>9} {} ({})", kept.rows, kept.state, kept.reason)))?;
    line(&format!("  file sha256 {}", report.file))?;
    line(&format!("  outcomes sha256 {}", report.outcomes))
}

#[derive(Debug, Args)]
pub struct Push {
    /// CSV, UTF-8 with a header; or JSON Lines, where its name ends in `.jsonl`.
    #[arg(required = true)]
    rows: Option<PathBuf>,
    /// JSON: what the bureau says of the file.
    #[arg(long, required = true)]
    manifest: Option<PathBuf>,
    /// PEM: the bureau's detached CMS signature over the manifest (`openssl cms -sign -binary -in manifest.json -signer client.pem -inkey client.key -outform PEM`).
    #[arg(long, required = true)]
    signature: Option<PathBuf>,
    /// Write the outcome of every row here, one JSON object a line.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Judge every row as it would be, and deliver nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub remote: Remote,
}

/// The command line has all three wherever it asks about no other push.
impl Push {
    pub fn rows(&self) -> Result<&Path, Problem> {
        given(self.rows.as_deref())
    }

    pub fn manifest(&self) -> Result<&Path, Problem> {
        given(self.manifest.as_deref())
    }

    pub fn signature(&self) -> Result<&Path, Problem> {
        given(self.signature.as_deref())
    }
}

fn given(path: Option<&Path>) -> Result<&Path, Problem> {
    path.ok_or_else(|| Problem::new(Exit::Usage, "push", "rows, manifest or signature are missing", "give all three: `mailgw push --help`"))
}

fn push(place: &Place, push: &Push) -> Result<(), Problem> {
    if let Some(server) = &push.remote.server {
        return push_remote::push(place, push, server);
    }
    let report = push.report.as_deref().map(absolute).transpose()?;
    let order = Order { manifest: read_text(push.manifest()?)?, signature: read_text(push.signature()?)?, rows: absolute(push.rows()?)?, report };
    let (operation, what) = if push.dry_run { (LongOperation::PushDryRun(order), "would be delivered") } else { (LongOperation::Push(order), "delivered") };
    let outcome = ask_long(place, operation, |told| {
        if let Told::Pushed(so_far) = told {
            place.progress(&format!("{}: {} of {} rows, {} {what}", if push.dry_run { "trying" } else { "pushing" }, so_far.done, so_far.rows, so_far.counts.delivered), so_far.done == so_far.rows);
        }
    })?;
    match outcome {
        Outcome::Trial(trial) => tried(place, &trial),
        Outcome::Report(report) if place.json => json(&report),
        Outcome::Report(report) => shown(&report, push.report.as_deref()),
        _ => Err(Problem::new(Exit::Internal, "answer", "the service answered something else than it was asked", "run the same version of mailgw on both sides")),
    }
}

/// What would become of the rows.
pub(super) fn tried(place: &Place, trial: &Trial) -> Result<(), Problem> {
    if place.json {
        return json(trial);
    }
    let counts = trial.counts;
    line(&format!("batch {} of {}: nothing was delivered; as things stand", trial.batch, trial.bureau))?;
    for (count, what) in [(trial.rows, "rows"), (counts.delivered, "would be delivered"), (counts.duplicate, "were delivered before"), (counts.quarantined, "would be quarantined"), (counts.undeliverable, "would be undeliverable")] {
        line(&format!("  {count:>9} {what}"))?;
    }
    trial.not_delivered.iter().try_for_each(not_delivered)
}

fn not_delivered(outcome: &RowOutcome) -> Result<(), Problem> {
    let (id, reason) = (outcome.stmt_id.as_deref().unwrap_or("-"), outcome.reason.as_deref().unwrap_or("-"));
    let detail = outcome.detail.as_deref().map(plain).unwrap_or_default();
    line(&format!("  row {:<7} {id}  {} ({reason}) {detail}", outcome.row, word(&outcome.state)))
}

fn shown(report: &Report, file: Option<&Path>) -> Result<(), Problem> {
    let counts = report.counts;
    line(&format!("batch {} of {}: {} statements of {}", report.batch, report.bureau, report.kind, report.period))?;
    line(&format!("  {:>9} rows", report.rows))?;
    line(&format!("  {:>9} delivered", counts.delivered))?;
    line(&format!("  {:>9} delivered before", counts.duplicate))?;
    line(&format!("  {:>9} quarantined", counts.quarantined))?;
    line(&format!("  {:>9} undeliverable", counts.undeliverable))?;
    report.not_delivered.iter().try_for_each(not_delivered)?;
    let missing = report.rows.saturating_sub(counts.delivered).saturating_sub(report.not_delivered.len() as u64);
    if missing > 0 {
        line(&format!("  and {missing} more that were not delivered: see --report"))?;
    }
    line(&format!("  outcomes sha256 {}", report.outcomes))?;
    file.map_or(Ok(()), |path| line(&format!("  every row in {}", path.display())))
}
