//! The operator's command line.

mod app_password;
mod archive;
mod ask;
mod bureau;
mod dkim;
mod doctor;
mod evidence;
mod explain;
mod found;
mod further_document;
mod kept;
mod mailbox;
mod notices;
mod opening;
mod operator;
mod print;
mod push;
mod push_remote;
mod queue;
mod recovery;
mod registrar;
mod retention;
mod sealer;
mod serve;
mod statement;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use runtime::exit::{Exit, Problem};

use crate::service::Operation;

/// The gateway of the city's real-name mailboxes.
#[derive(Debug, Parser)]
#[command(name = "mailgw", version, after_help = "Example:\n  mailgw --dir /var/lib/suiyin/mailgw serve")]
pub struct Cli {
    /// The state directory: the gateway's, or the sealer's for `mailgw sealer`.
    #[arg(long, env = "SUIYIN_MAILGW_DIR", default_value = "mailgw-state", global = true)]
    dir: PathBuf,
    /// Print JSON, errors included.
    #[arg(long, global = true)]
    json: bool,
    /// A file (mode 0600) whose first line opens the keys; else the service credential `mailgw-passphrase`, else a prompt.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Found a gateway: its keys, its log, its configuration.
    #[command(after_help = "Example:\n  mailgw --dir mailgw-state init --domain mail.example.cn --host mx.mail.example.cn --sealer sealer-state --root ca-state/root.pem \\\n     --smtp 127.0.0.1:2525 --submissions 127.0.0.1:2465 --submission 127.0.0.1:2587 --imap 127.0.0.1:1143 --imaps 127.0.0.1:1993 --http 127.0.0.1:8441 --passphrase-file mailgw.pass")]
    Init {
        /// What stands after the `@` of every mailbox; never changed.
        #[arg(long)]
        domain: String,
        /// The name this host greets with; its TLS certificate bears it.
        #[arg(long)]
        host: String,
        /// The sealer's state directory.
        #[arg(long)]
        sealer: PathBuf,
        /// PEM: the CA's root, under which bureaus are believed.
        #[arg(long)]
        root: PathBuf,
        /// A socket at which letters are handed over: `outbox.sock` of the CA (certificates that end) or of a filing desk (receipts); may be repeated.
        #[arg(long)]
        outbox: Vec<PathBuf>,
        /// Mail from other hosts.
        #[arg(long, default_value = "127.0.0.1:2525")]
        smtp: SocketAddr,
        /// Mail of those who log in, TLS from the first byte.
        #[arg(long, default_value = "127.0.0.1:2465")]
        submissions: SocketAddr,
        /// Mail of those who log in, STARTTLS.
        #[arg(long, default_value = "127.0.0.1:2587")]
        submission: SocketAddr,
        /// Mail clients, STARTTLS.
        #[arg(long, default_value = "127.0.0.1:1143")]
        imap: SocketAddr,
        /// Mail clients, TLS from the first byte.
        #[arg(long, default_value = "127.0.0.1:1993")]
        imaps: SocketAddr,
        /// Old mail clients, POP3 with STLS; without it that is not spoken.
        #[arg(long)]
        pop3: Option<SocketAddr>,
        /// Old mail clients, POP3 under TLS from the first byte; without it that is not spoken.
        #[arg(long)]
        pop3s: Option<SocketAddr>,
        /// HTTPS at which mail programs find their settings; without it they are not told.
        #[arg(long)]
        autoconfig: Option<SocketAddr>,
        /// HTTPS at which citizens' programs apply for mailboxes; without it they apply at a desk alone.
        #[arg(long)]
        applications: Option<SocketAddr>,
        /// The resolver that is asked for the servers of other domains; without one no mail is taken for them.
        #[arg(long)]
        resolver: Option<SocketAddr>,
        /// Bureaus' own systems that push statements, mutual TLS; without it nobody pushes over the network.
        #[arg(long)]
        push: Option<SocketAddr>,
        /// Neighbours on this machine, LMTP: `unix:/PATH` or an address of the loopback; without it none come.
        #[arg(long)]
        lmtp: Option<crate::wire::smtp::neighbours::Place>,
        /// The authority's timestamp service, for evidence; without it evidence bears the gateway's own time alone.
        #[arg(long)]
        timestamp: Option<String>,
        /// Health and metrics.
        #[arg(long, default_value = "127.0.0.1:8441")]
        http: SocketAddr,
        /// The arc that the CA's policies stand under.
        #[arg(long, default_value = policies::certificate::DOCUMENTATION_ARC)]
        policy_arc: String,
        /// The engine of the store.
        #[arg(long, default_value = "fjall:store")]
        store: String,
    },
    /// What is not well with mail to and from the world, and what to do; asks the resolver alone.
    #[command(after_help = "Example:\n  mailgw --dir mailgw-state doctor --json")]
    Doctor,
    /// Receive mail, serve mail clients and administrators until stopped.
    #[command(after_help = "Example:\n  mailgw --dir mailgw-state serve --passphrase-file mailgw.pass")]
    Serve {
        /// Refuse to start if the gateway was founded for another domain.
        #[arg(long)]
        domain: Option<String>,
    },
    /// Mailboxes of citizens and institutions.
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// The bureaus that may push statements.
    #[command(subcommand)]
    Bureau(bureau::Command),
    /// The card registries whose word about an applicant is believed.
    #[command(subcommand)]
    Registry(opening::Registry),
    /// Push a month's statements: prove manifest and file, seal, deliver, report on every row.
    #[command(after_help = "Example:\n  mailgw push housing-fund.csv --manifest housing-fund.manifest.json --signature housing-fund.manifest.p7s --report report.jsonl\n  mailgw push housing-fund.csv --manifest housing-fund.manifest.json --signature housing-fund.manifest.p7s \\\n     --server https://mx.mail.example.cn:8442 --client client.pem --client-key client.key --root root.pem\n\nThe smallest manifest.json and all else that a push is made of: mailgw push explain\nA token stands in a row as id_type=token,id_no=TOKEN.")]
    Push(push::Command),
    /// What is remembered of statements that were delivered.
    #[command(subcommand)]
    Statement(statement::Command),
    /// Evidence of what was submitted and delivered: signing, handing out, proving.
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// What ends when its time is over, and what is held beyond it.
    #[command(subcommand)]
    Retention(retention::Command),
    /// Signatures (DKIM) on mail of those who log in.
    #[command(subcommand)]
    Dkim(dkim::Command),
    /// Mail that waits for servers elsewhere.
    #[command(subcommand)]
    Queue(queue::Command),
    /// The gateway's own TLS certificate.
    #[command(subcommand)]
    Tls(Tls),
    /// The certificate by which the CA believes this gateway about mailboxes, so that citizens are certified.
    #[command(subcommand)]
    Registrar(registrar::Command),
    /// The process that holds the bureaus' sealing keys; its --dir is a directory of its own.
    #[command(subcommand)]
    Sealer(sealer::Command),
    /// What the city decided about mailboxes and statements.
    #[command(subcommand)]
    Policy(Policy),
    /// The log nobody can quietly edit.
    #[command(subcommand)]
    Log(Log),
}

#[derive(Debug, Subcommand)]
enum Tls {
    /// Make a key and a request (PKCS#10, PEM) for the gateway's host.
    #[command(after_help = "Example:\n  mailgw tls request --out tls.csr && ca issue tls-server --request tls.csr --dns mx.mail.example.cn --out tls.pem")]
    Request {
        /// Another name or address clients connect to; may be repeated.
        #[arg(long)]
        name: Vec<String>,
        /// Write the request here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take the issued certificate into use, at once and without a restart.
    #[command(after_help = "Example:\n  mailgw tls install tls.pem")]
    Install {
        /// PEM: the certificate and its issuers.
        chain: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Policy {
    /// Read the policies and print them as the program understands them.
    #[command(after_help = "Example:\n  mailgw policy check --policies ./policies")]
    Check {
        /// The directory that holds `mailbox/`, `statements/`, `push/` and, where there are kinds by policy alone, `senders/`; those of --dir when absent.
        #[arg(long)]
        policies: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Log {
    /// Write the whole log as tiles, with checkpoint and key, into a new directory.
    #[command(after_help = "Example:\n  mailgw log export /srv/audit/2026-11")]
    Export { directory: PathBuf },
    /// Prove an exported log, offline.
    #[command(after_help = "Example:\n  mailgw log verify /srv/audit/2026-11 --vkey 'mx.mail.example.cn/mailgw+1a2b3c4d+AbC...'")]
    Verify {
        directory: PathBuf,
        /// The log's key as you know it: never the one that came with the export.
        #[arg(long)]
        vkey: String,
    },
}

/// Runs what the command line says and tells how the process ends.
pub fn run(cli: Cli) -> Exit {
    let json = cli.json;
    match dispatch(cli) {
        Ok(()) => Exit::Ok,
        Err(problem) => {
            runtime::terminal::problem("mailgw", &problem, json);
            problem.exit
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Problem> {
    let place = ask::Place { directory: cli.dir, passphrase_file: cli.passphrase_file, json: cli.json };
    let operation = match cli.command {
        Command::Init { domain, host, sealer, root, outbox, smtp, submissions, submission, resolver, imap, imaps, pop3, pop3s, autoconfig, applications, push, lmtp, http, policy_arc, store, timestamp } => {
            let listen = crate::init::Listen { smtp, imap, imaps, submissions: Some(submissions), submission: Some(submission), pop3, pop3s, autoconfig, applications, push, lmtp, http };
            let sending = resolver.map(crate::init::Sending::by);
            let outbox = outbox.iter().map(|socket| found::absolute(socket)).collect::<Result<_, _>>()?;
            let configuration = crate::init::Configuration { store, sealer: found::absolute(&sealer)?, outbox, policy_arc, listen, announced: None, timestamp, sending, texts: None, tokens: None };
            return found::init(&place, &domain, &host, configuration, &root);
        }
        Command::Mailbox(command) => return mailbox::run(&place, command),
        Command::Evidence(command) => return evidence::run(&place, command),
        Command::Push(command) => return push::run(&place, &command),
        Command::Bureau(command) => bureau::operation(command)?,
        Command::Registry(command) => opening::registry(command)?,
        Command::Statement(command) => statement::operation(command)?,
        Command::Retention(command) => retention::operation(command)?,
        Command::Dkim(command) => dkim::operation(command)?,
        Command::Queue(command) => queue::operation(command),
        Command::Registrar(command) => return registrar::run(&place, command),
        Command::Sealer(command) => return sealer::run(&place, command),
        Command::Doctor => return doctor::doctor(&place),
        Command::Serve { domain } => return serve::serve(&place, domain.as_deref()),
        Command::Tls(Tls::Request { name, out }) => {
            let outcome = ask::ask(&place, Operation::TlsRequest { names: name })?;
            return print::request(&outcome, out.as_deref(), place.json);
        }
        Command::Policy(Policy::Check { policies }) => return found::policy_check(&place, policies),
        Command::Tls(Tls::Install { chain }) => Operation::TlsInstall { pem: found::read_text(&chain)? },
        Command::Log(Log::Export { directory }) => Operation::ExportLog { directory: found::absolute(&directory)? },
        Command::Log(Log::Verify { directory, vkey }) => return found::log_verify(&directory, &vkey, place.json),
    };
    print::outcome(&ask::ask(&place, operation)?, place.json)
}
