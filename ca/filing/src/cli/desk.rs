//! `filing desk …`: the bureau's side. Its `--dir` is a directory of its own.

mod ask;
mod serve;
mod shown;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use keys::Passphrase;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};

use crate::desk::flow::list::Wanted;
use crate::desk::init::{CONFIGURATION, Configuration, Founding, Listen};
use crate::desk::receipt::Decision;
use crate::desk::record::filing::Status;
use crate::desk::service::Operation;
use ask::{Place, ask, denied, runtime};

/// Far above any file of certificates.
const MAX_FILE: u64 = 1 << 20;

/// The bureau's desk: receives filings, proves them, seals receipts.
#[derive(Debug, Args)]
pub struct Desk {
    /// The desk's state directory.
    #[arg(long, env = "SUIYIN_DESK_DIR", default_value = "desk-state", global = true)]
    desk_dir: PathBuf,
    /// Print JSON, errors included.
    #[arg(long, global = true)]
    json: bool,
    /// A file (mode 0600) whose first line opens the keys; else the service credential `desk-passphrase`, else a prompt.
    #[arg(long, global = true, value_name = "FILE")]
    desk_passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Found a desk: its keys, its log, its policies, its configuration.
    #[command(after_help = "Example:\n  filing desk --desk-dir desk-state init --host desk.example.cn --base-url https://desk.example.cn:8450 --root ca-state/root.pem \\\n     --timestamp http://ca.example.cn/timestamp --https 127.0.0.1:8450 --http 127.0.0.1:8451 --desk-passphrase-file desk.pass")]
    Init(Init),
    /// Receive filings until stopped.
    #[command(after_help = "Example:\n  filing desk --desk-dir desk-state serve --desk-passphrase-file desk.pass")]
    Serve,
    /// The desk's own TLS certificate.
    #[command(subcommand)]
    Tls(Tls),
    /// What the bureaus seal their receipts with.
    #[command(subcommand)]
    Bureau(Bureau),
    /// Where a filing stands, with its receipts.
    #[command(after_help = "Example:\n  filing desk show 01JDPD6Z3SFM7T5K9V8R2Q4XNB")]
    Show { filing: String },
    /// The filings of an enterprise, the newest first.
    #[command(after_help = "Example:\n  filing desk list 91440101MAT000018G --kind VAT_GENERAL --status received --json")]
    List(List),
    /// Say that a filing is accepted (受理); the enterprise gets a receipt of it.
    #[command(after_help = "Example:\n  filing desk accept 01JDPD6Z3SFM7T5K9V8R2Q4XNB")]
    Accept(Proceed),
    /// Say that a filing is not accepted, and why.
    #[command(after_help = "Example:\n  filing desk reject 01JDPD6Z3SFM7T5K9V8R2Q4XNB --reason '附表与主表不符'")]
    Reject(Proceed),
    /// Say that a filing is done with (办结).
    #[command(after_help = "Example:\n  filing desk processed 01JDPD6Z3SFM7T5K9V8R2Q4XNB --amount-due 39200.00 --next '请于 2026-11-16 前缴款'")]
    Processed(Proceed),
    /// Where an enterprise's receipts are mailed, whatever its certificate says.
    #[command(after_help = "Example:\n  filing desk mailbox 91440101MAT000018G --address 1234567897@mail.example.cn")]
    Mailbox {
        enterprise: String,
        /// Without one the address in its certificate counts again.
        #[arg(long)]
        address: Option<String>,
    },
    /// Write what a filing says, with signature, receipts and attachments, into a new directory. The log keeps who read and why.
    #[command(after_help = "Example:\n  filing desk export 01JDPD6Z3SFM7T5K9V8R2Q4XNB /srv/case-17 --reason '复核 2026-17'")]
    Export {
        filing: String,
        directory: PathBuf,
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        officer: Officer,
    },
    /// The registry of enterprises: who is registered under a code, and whether they are in business.
    #[command(subcommand)]
    Registry(Registry),
    /// Who is insured through an enterprise, as far as the desk did not see it itself.
    #[command(subcommand)]
    Staff(Staff),
    /// The keys that speak for an enterprise.
    #[command(subcommand)]
    Operators(Operators),
    /// What is not well, and what to do: seals, timestamps, TLS, receipts and letters that wait.
    #[command(after_help = "Example:\n  filing desk doctor --json")]
    Doctor,
    /// The log nobody can quietly edit.
    #[command(subcommand)]
    Log(Log),
}

#[derive(Debug, Args)]
struct Init {
    /// The name by which enterprises call; its TLS certificate bears it.
    #[arg(long)]
    host: String,
    /// How receipts say that they can be asked for.
    #[arg(long)]
    base_url: String,
    /// PEM: the CA's root, under which enterprises are believed.
    #[arg(long)]
    root: PathBuf,
    /// Where timestamps are asked for.
    #[arg(long)]
    timestamp: String,
    /// Enterprises, TLS.
    #[arg(long, default_value = "127.0.0.1:8450")]
    https: SocketAddr,
    /// Health and metrics.
    #[arg(long, default_value = "127.0.0.1:8451")]
    http: SocketAddr,
    /// The arc that the CA's policies stand under.
    #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
    policy_arc: String,
    /// The engine of the store.
    #[arg(long, default_value = "fjall:store")]
    store: String,
}

/// Who acts: the log names them.
#[derive(Debug, Args)]
struct Officer {
    /// Your name or staff number; without it the account's name.
    #[arg(long = "officer", env = "SUIYIN_OFFICER", value_name = "NAME")]
    name: Option<String>,
}

impl Officer {
    /// Whoever became another user to ask is told by the account they came from; the log has the number of the account besides.
    fn name(self) -> String {
        let account = || ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
        self.name.or_else(account).unwrap_or_else(|| "unnamed".to_owned())
    }
}

#[derive(Debug, Args)]
struct List {
    enterprise: String,
    /// As filings name it, such as VAT_GENERAL.
    #[arg(long)]
    kind: Option<String>,
    /// Such as 202610.
    #[arg(long)]
    period: Option<String>,
    #[arg(long, value_parser = ["received", "accepted", "rejected", "processed"])]
    status: Option<String>,
    /// Go on after this filing: the last one that was shown.
    #[arg(long, value_name = "FILING")]
    after: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

fn wanted(list: &List) -> Wanted {
    let status = list.status.as_deref().and_then(|word| [Status::Received, Status::Accepted, Status::Rejected, Status::Processed].into_iter().find(|status| status.name().eq_ignore_ascii_case(word)));
    Wanted { kind: list.kind.clone(), period: list.period.clone(), status, after: list.after.clone(), limit: Some(list.limit) }
}

#[derive(Debug, Args)]
struct Proceed {
    filing: String,
    #[command(flatten)]
    officer: Officer,
    /// One line; may be repeated.
    #[arg(long)]
    reason: Vec<String>,
    /// What is due, in yuan with two decimals.
    #[arg(long)]
    amount_due: Option<String>,
    /// What the enterprise should do next.
    #[arg(long)]
    next: Option<String>,
    /// Take no further revision for this period.
    #[arg(long)]
    close: bool,
}

#[derive(Debug, Subcommand)]
enum Tls {
    /// Make a key and a request (PKCS#10, PEM) for the desk's host.
    #[command(after_help = "Example:\n  filing desk tls request --out desk.csr && ca issue tls-server --request desk.csr --dns desk.example.cn --out desk.pem")]
    Request {
        /// Another name or address clients connect to; may be repeated.
        #[arg(long)]
        name: Vec<String>,
        /// Write the request here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take the issued certificate into use, at once and without a restart.
    #[command(after_help = "Example:\n  filing desk tls install desk.pem")]
    Install {
        /// PEM: the certificate and its issuers.
        chain: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Bureau {
    /// Make a sealing key for a bureau and a request for it (PKCS#10, PEM).
    #[command(after_help = "Example:\n  filing desk bureau request gz-tax --out tax-seal.csr && ca issue bureau-seal --request tax-seal.csr --name … --code … --mailbox … --out tax-seal.pem")]
    Request {
        bureau: String,
        /// Write the request here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take a bureau's sealing certificate into use, at once.
    #[command(after_help = "Example:\n  filing desk bureau set gz-tax --seal tax-seal.pem")]
    Set {
        bureau: String,
        /// PEM: the certificate and its issuers.
        #[arg(long)]
        seal: PathBuf,
    },
    /// The bureaus of policies/desk/bureaus.toml and their seals.
    #[command(after_help = "Example:\n  filing desk bureau list --json")]
    List,
}

#[derive(Debug, Subcommand)]
enum Registry {
    /// Replace the registry whole: CSV with the heading `code,name,state`, the state one of in-business, suspended, struck-off.
    /// From then on a code that is not in it files nothing, and neither does one that was struck off (注销, 吊销).
    #[command(after_help = "Example:\n  filing desk registry import /srv/registry/2026-11-29.csv")]
    Import { file: PathBuf },
}

#[derive(Debug, Subcommand)]
enum Staff {
    /// Set the list: CSV with the heading `id_type,id_no,insurances`, such as `01,440105190003010052,110 210 310 410`.
    #[command(after_help = "Example:\n  filing desk staff import 91440101MAT000018G /srv/staff/2026-11.csv")]
    Import { enterprise: String, file: PathBuf },
}

#[derive(Debug, Subcommand)]
enum Operators {
    /// An enterprise that named its keys lost every one of its own. Once it was identified anew and the authority certified another
    /// key, this certificate's key speaks for it, and none that did before. The log keeps who decided and why.
    #[command(after_help = "Example:\n  filing desk operators reinstate new-certificate.pem --reason '法定代表人持营业执照到场，受理单 2026-017'")]
    Reinstate {
        /// PEM: the certificate and its issuers.
        certificate: PathBuf,
        /// What was seen, in one line.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        officer: Officer,
    },
}

#[derive(Debug, Subcommand)]
enum Log {
    /// Write the whole log as tiles, with checkpoint and key, into a new directory.
    #[command(after_help = "Example:\n  filing desk log export /srv/audit/2026-11")]
    Export { directory: PathBuf },
    /// Prove an exported log, offline.
    #[command(after_help = "Example:\n  filing desk log verify /srv/audit/2026-11 --vkey 'desk.example.cn/filing+1a2b3c4d+AbC...'")]
    Verify {
        directory: PathBuf,
        /// The log's key as you know it: never the one that came with the export.
        #[arg(long)]
        vkey: String,
    },
}

/// Runs what the command line says and tells how the process ends.
pub fn run(desk: Desk) -> Exit {
    let as_json = desk.json;
    match dispatch(desk) {
        Ok(()) => Exit::Ok,
        Err(problem) => {
            runtime::terminal::problem("filing", &problem, as_json);
            problem.exit
        }
    }
}

fn dispatch(desk: Desk) -> Result<(), Problem> {
    let place = Place { directory: desk.desk_dir, passphrase_file: desk.desk_passphrase_file, json: desk.json };
    let (operation, out) = match desk.command {
        Command::Init(found) => return init(&place, found),
        Command::Serve => return serve::serve(&place),
        Command::Log(Log::Verify { directory, vkey }) => return shown::verified(&evidence::verify(&directory, &vkey)?, place.json),
        Command::Tls(Tls::Request { name, out }) => (Operation::TlsRequest { names: name }, out),
        Command::Tls(Tls::Install { chain }) => (Operation::TlsInstall { pem: read_text(&chain)? }, None),
        Command::Bureau(Bureau::Request { bureau, out }) => (Operation::BureauRequest { bureau }, out),
        Command::Bureau(Bureau::Set { bureau, seal }) => (Operation::BureauSet { bureau, seal: read_text(&seal)? }, None),
        Command::Bureau(Bureau::List) => (Operation::BureauList, None),
        Command::Show { filing } => (Operation::Show { filing }, None),
        Command::List(list) => (Operation::List { wanted: wanted(&list), enterprise: list.enterprise }, None),
        Command::Accept(proceed) => (moved(proceed, Status::Accepted)?, None),
        Command::Reject(proceed) => (moved(proceed, Status::Rejected)?, None),
        Command::Processed(proceed) => (moved(proceed, Status::Processed)?, None),
        Command::Mailbox { enterprise, address } => (Operation::MailboxSet { enterprise, mailbox: address }, None),
        Command::Export { filing, directory, reason, officer } => (Operation::Export { filing, directory: absolute(&directory)?, reason, officer: officer.name() }, None),
        Command::Registry(Registry::Import { file }) => (Operation::RegistryImport { file: absolute(&file)? }, None),
        Command::Staff(Staff::Import { enterprise, file }) => (Operation::StaffImport { enterprise, file: absolute(&file)? }, None),
        Command::Operators(Operators::Reinstate { certificate, reason, officer }) => (Operation::OperatorsReinstate { certificate: read_text(&certificate)?, reason, officer: officer.name() }, None),
        Command::Doctor => (Operation::Doctor, None),
        Command::Log(Log::Export { directory }) => (Operation::ExportLog { directory: absolute(&directory)? }, None),
    };
    shown::outcome(&ask(&place, operation)?, out.as_deref(), place.json)
}

fn moved(proceed: Proceed, to: Status) -> Result<Operation, Problem> {
    if to == Status::Rejected && proceed.reason.is_empty() {
        return Err(Problem::new(Exit::Usage, "reason", "who rejects a filing says why", "give it with --reason"));
    }
    let amount_due = proceed.amount_due.as_deref().map(fen).transpose()?;
    let decision = Decision { reasons: proceed.reason, amount_due, next_step: proceed.next, close: proceed.close };
    Ok(Operation::Proceed { filing: proceed.filing, to, decision, officer: proceed.officer.name() })
}

/// `39200.00`: yuan with two decimals, in fen.
fn fen(text: &str) -> Result<u64, Problem> {
    let digits = |part: &str| !part.is_empty() && part.len() <= 14 && part.bytes().all(|digit| digit.is_ascii_digit());
    let split = text.split_once('.').filter(|(yuan, fen)| digits(yuan) && fen.len() == 2 && digits(fen));
    let read = split.and_then(|(yuan, fen)| yuan.parse::<u64>().ok()?.checked_mul(100)?.checked_add(fen.parse().ok()?));
    read.ok_or_else(|| Problem::new(Exit::Usage, "amount", "an amount is yuan with two decimals", "write it as 39200.00"))
}

fn init(place: &Place, found: Init) -> Result<(), Problem> {
    // Before anybody is asked for a passphrase: what stands here is never founded anew.
    if place.directory.join(CONFIGURATION).exists() {
        let message = format!("{} holds a desk already", place.directory.display());
        return Err(Problem::new(Exit::Conflict, "founded", message, "start it with `filing desk serve`, or choose another directory"));
    }
    let anchors = read_text(&found.root)?;
    let passphrase = Passphrase::obtain_new(place.passphrase_file.as_deref(), "desk-passphrase", "New passphrase of the desk's keys").map_err(denied)?;
    let listen = Listen { https: found.https, http: found.http };
    let configuration = Configuration { store: found.store, policy_arc: found.policy_arc, base_url: found.base_url, timestamp: found.timestamp, listen };
    let founding = Founding { host: &found.host, configuration, anchors: anchors.as_bytes() };
    let runtime = runtime()?;
    let opened = crate::desk::init::init(&place.directory, &founding, &passphrase, Arc::new(SystemClock), crate::desk::init::network(runtime.handle().clone()))?;
    let settings = &opened.desk.settings;
    if place.json {
        return json(&serde_json::json!({ "directory": place.directory, "host": settings.host, "log_key": settings.log_key }));
    }
    line(&format!("founded in {} for {}", place.directory.display(), settings.host))?;
    line(&format!("  log key  {}", settings.log_key))?;
    line("Now have its TLS certificate issued (`filing desk tls request`) and each bureau's seal (`filing desk bureau request`)")
}

/// A small text file, such as certificates in PEM.
fn read_text(path: &Path) -> Result<String, Problem> {
    use std::io::Read as _;
    let failed = |reason: String| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {reason}", path.display()), "check the path");
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    opened.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE { Err(failed(format!("it is larger than {MAX_FILE} bytes"))) } else { Ok(text) }
}

/// The server has another working directory than the caller.
fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| Problem::new(Exit::Usage, "file", format!("{}: {error}", path.display()), "check the path"))
}

#[cfg(test)]
mod tests {
    use super::fen;

    #[test]
    fn amounts_have_one_form() {
        assert_eq!(fen("39200.05").ok(), Some(3_920_005));
        assert_eq!(fen("0.00").ok(), Some(0));
        for wrong in ["", "1", "1.0", "1.000", "-1.00", "1,000.00", ".50", "99999999999999999.00", "+1.00", "1.+1"] {
            assert!(fen(wrong).is_err(), "{wrong}");
        }
    }
}
