//! `mailgw mailbox apply`, `mailgw mailbox application …` and `mailgw registry …`: mailboxes that citizens apply for.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};

use super::found::read_text;
use super::mailbox::first_line;
use crate::bureau::registries::ShownRegistry;
use crate::flow::opening::answer::{Acceptance, Refusal};
use crate::flow::opening::findings::Findings;
use crate::flow::opening::{Sent, Shown, ShownToOperator};
use crate::record::application::State;
use crate::record::body;
use crate::service::{OpeningOperation, OpeningOutcome, Operation, TypedPassword};

/// The largest picture of a document that is read.
const MAX_EVIDENCE: u64 = 64 << 20;

#[derive(Debug, Args)]
pub struct Apply {
    /// The application, JSON: `-` reads standard input.
    file: PathBuf,
    /// Print what of it is signed, and apply for nothing: a card registry's word names its SHA-256, a mailbox's certificate signs it.
    #[arg(long)]
    text: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the applications that wait.
    #[command(after_help = "Example:\n  mailgw mailbox application list --json")]
    List {
        /// Those that were answered, too.
        #[arg(long)]
        all: bool,
    },
    /// Show one, as far as an operator may see it.
    #[command(after_help = "Example:\n  mailgw mailbox application show 0f1e2d3c4b5a69788796a5b4")]
    Show { id: String },
    /// Open the mailbox: the document's number is read from standard input, as it stands on the paper, and compared with what was
    /// applied with.
    #[command(after_help = "Example:\n  mailgw mailbox application accept 0f1e2d3c4b5a69788796a5b4 --id-type 01 --name 测试甲 --document original --person present --papers 'counter 12, form 91' < number.txt")]
    Accept {
        id: String,
        #[arg(long)]
        id_type: String,
        /// As it stands on the document.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        seen: Seen,
    },
    /// Refuse it: papers-unreadable, papers-ended, not-the-person, name-differs or incomplete.
    #[command(after_help = "Example:\n  mailgw mailbox application refuse 0f1e2d3c4b5a69788796a5b4 --reason papers-unreadable --papers 'counter 12, form 91'")]
    Refuse {
        id: String,
        #[arg(long)]
        reason: String,
        #[arg(long)]
        papers: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Registry {
    /// Believe a card registry, by the certificates that it signs its word with.
    #[command(after_help = "Example:\n  mailgw registry set gz-cards --client cards.pem\n\nWhat it signs (`openssl cms -sign -binary -outform PEM`):\n  {\"kind\":\"suiyin identity assertion v1\",\"registry\":\"gz-cards\",\"application\":\"SHA-256 of the application's text\",\"document\":[\"chip\"],\"person\":[\"face\"],\"at\":1796000000000}")]
    Set {
        code: String,
        /// PEM: the certificate and its issuers; may be repeated.
        #[arg(long, required = true, value_name = "FILE")]
        client: Vec<PathBuf>,
    },
    /// List the registries that are believed.
    #[command(after_help = "Example:\n  mailgw registry list --json")]
    List,
    /// Believe it no more.
    #[command(after_help = "Example:\n  mailgw registry withdraw gz-cards")]
    Withdraw { code: String },
}

pub fn apply(apply: &Apply) -> Result<Operation, Problem> {
    let text = if apply.file.as_os_str() == "-" { std::io::read_to_string(std::io::stdin().lock()).map_err(|error| unread("standard input", &error))? } else { read_text(&apply.file)? };
    // What the reader of JSON says may quote what was sent.
    let sent: Sent = serde_json::from_str(&text).map_err(|_| Problem::new(Exit::Usage, "application", "the file is no application", "write it as `mailgw mailbox apply --help` shows"))?;
    Ok(Operation::Opening(if apply.text { OpeningOperation::Text(Box::new(sent)) } else { OpeningOperation::Apply(Box::new(sent)) }))
}

fn unread(name: &str, error: &std::io::Error) -> Problem {
    Problem::new(Exit::Usage, "file", format!("{name} cannot be read: {error}"), "check the path")
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    Ok(Operation::Opening(match command {
        Command::List { all } => OpeningOperation::List { all },
        Command::Show { id } => OpeningOperation::Show { id },
        Command::Accept { id, id_type, name, seen: Seen { document, person, evidence, papers } } => {
            let evidence = digests(&evidence)?;
            let id_no = TypedPassword::new(first_line(std::io::stdin().lock(), "standard input")?);
            OpeningOperation::Accept(Box::new(Acceptance { id, id_type, id_no, name: TypedPassword::new(name), document, person, evidence, papers }))
        }
        Command::Refuse { id, reason, papers } => OpeningOperation::Refuse(Refusal { id, reason, papers }),
    }))
}

/// What an operator saw of a holder and of papers, which the rules of opening grade.
#[derive(Debug, Args)]
pub struct Seen {
    /// What you looked at: `original` or `copy`; of an institution what its registry issued.
    #[arg(long)]
    pub document: Option<String>,
    /// Where you saw the person, or who acts for the institution: `present` or `video`.
    #[arg(long)]
    pub person: Option<String>,
    /// A file that you looked at, of an application one that it named by its digest; of a copy at least one; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub evidence: Vec<PathBuf>,
    /// Where the papers are; its digest stands in the log.
    #[arg(long)]
    pub papers: String,
}

impl Seen {
    pub(super) fn findings(self) -> Result<Findings, Problem> {
        let Self { document, person, evidence, papers } = self;
        Ok(Findings { document, person, evidence: digests(&evidence)?, papers })
    }
}

/// Of files that an operator looked at.
fn digests(files: &[PathBuf]) -> Result<Vec<String>, Problem> {
    let digest = |path: &PathBuf| {
        let failed = |error| unread(&path.display().to_string(), &error);
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_EVIDENCE {
            return Err(Problem::new(Exit::Usage, "evidence", format!("{} is larger than any picture", path.display()), "name the file that was sent"));
        }
        Ok(crate::hex(&body::digest(&std::fs::read(path).map_err(failed)?)))
    };
    files.iter().map(digest).collect()
}

pub fn registry(command: Registry) -> Result<Operation, Problem> {
    Ok(Operation::Opening(match command {
        Registry::Set { code, client } => OpeningOperation::RegistrySet { code, clients: client.iter().map(|path| read_text(path)).collect::<Result<_, _>>()? },
        Registry::List => OpeningOperation::RegistryList,
        Registry::Withdraw { code } => OpeningOperation::RegistryWithdraw { code },
    }))
}

pub fn outcome(outcome: &OpeningOutcome, as_json: bool) -> Result<(), Problem> {
    match outcome {
        // Its very bytes: they are what is signed.
        OpeningOutcome::Text(text) => line(text.trim_end_matches('\n')),
        OpeningOutcome::Applied(shown) if as_json => json(shown),
        OpeningOutcome::Applied(shown) => applied(shown),
        OpeningOutcome::Applications(all) if as_json => json(all),
        OpeningOutcome::Applications(all) if all.is_empty() => line("no application"),
        OpeningOutcome::Applications(all) => all.iter().try_for_each(|one| line(&format!("{}  {:<10} {} {}  {}/{}", one.id, state(&one.state), one.id_type, one.masked, one.document, one.person))),
        OpeningOutcome::Application(one) if as_json => json(one),
        OpeningOutcome::Application(one) => application(one),
        OpeningOutcome::Registries(all) if as_json => json(all),
        OpeningOutcome::Registries(all) if all.is_empty() => line("no card registry is believed"),
        OpeningOutcome::Registries(all) => all.iter().try_for_each(|one: &ShownRegistry| line(&format!("{:<24} {}  {} certificates  {}", one.code, one.credit_code, one.clients, one.name))),
    }
}

fn state(state: &State) -> String {
    match state {
        State::Waiting => "waiting".into(),
        State::Opened { mailbox } => format!("opened {mailbox}"),
        State::Exists { mailbox, closed: false } => format!("has mailbox {mailbox}: `mailgw mailbox recover` or `mailbox document`"),
        State::Exists { mailbox, closed: true } => format!("had mailbox {mailbox}, which is closed"),
        State::Refused { reason } => format!("refused: {reason}"),
        State::Withdrawn => "withdrawn".into(),
        State::Lapsed => "lapsed".into(),
    }
}

fn applied(shown: &Shown) -> Result<(), Problem> {
    line(&format!("application  {}", shown.application))?;
    line(&format!("id           {}", shown.id))?;
    line(&format!("state        {}", shown.state))?;
    line(&format!("document     {}", shown.document))?;
    line(&format!("person       {}", shown.person))?;
    if let Some(address) = &shown.address {
        line(&format!("address      {address}"))?;
    }
    shown.reasons.iter().try_for_each(|reason| line(&format!("reason       {} {} {}", reason.code, reason.zh, reason.en)))
}

fn application(one: &ShownToOperator) -> Result<(), Problem> {
    line(&format!("id         {}", one.id))?;
    line(&format!("state      {}", state(&one.state)))?;
    line(&format!("document   {} {} is worth {} ({})", one.id_type, one.masked, one.document, one.document_proofs.join(", ")))?;
    line(&format!("person     {} is worth {} ({})", one.name.as_deref().unwrap_or("-"), one.person, one.person_proofs.join(", ")))?;
    if let Some(registry) = &one.registry {
        line(&format!("registry   {registry}"))?;
    }
    if let Some(mailbox) = &one.signed_by {
        line(&format!("signed by  the certificate of mailbox {mailbox}"))?;
    }
    one.evidence.iter().try_for_each(|(kind, sha256)| line(&format!("evidence   {kind} sha256 {sha256}")))
}
