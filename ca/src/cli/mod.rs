//! The administrator's command line.

mod act;
mod ask;
mod backup;
mod bulk;
mod ceremony;
mod doctor;
mod hierarchy;
mod hold;
pub mod identity;
mod issuer;
mod list;
mod key;
mod officer;
mod registrar;
mod log;
mod notice;
mod offline;
mod order;
mod policy;
mod print;
mod root;
mod serve;
mod stapled;
mod succession;
mod timestamp;
mod wind_down;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runtime::exit::{Exit, Problem};

use crate::flow::issue::Order;
use crate::flow::plan::Words;
use crate::flow::revoke::Revoke;
use crate::record::Reason;
use crate::operation::Operation;

/// The certificate authority of the city's trust office.
#[derive(Debug, Parser)]
#[command(name = "ca", version, after_help = "Example:\n  ca --dir /var/lib/suiyin/ca list --state revoked")]
pub struct Cli {
    /// The authority's state directory.
    #[arg(long, env = "SUIYIN_CA_DIR", default_value = "ca-state", global = true)]
    dir: PathBuf,
    /// Print JSON, errors included.
    #[arg(long, global = true)]
    json: bool,
    /// A file (mode 0600) whose first line opens the keys; else the service credential `ca-passphrase`, else a prompt.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Ask an authority on another machine, `https://HOST[:PORT]`, as the officer of --identity.
    #[arg(long, env = "SUIYIN_CA_SERVER", global = true, value_name = "URL")]
    server: Option<String>,
    /// The directory of an officer's identity, made with `ca officer identity new`.
    #[arg(long, env = "SUIYIN_CA_IDENTITY", global = true, value_name = "DIR")]
    identity: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Found the whole hierarchy here, the root's key too: for a laptop. `ca hierarchy` founds one whose root's key is elsewhere.
    #[command(after_help = "Example:\n  ca --dir ca-state init --base-url http://ca.example.cn --listen 127.0.0.1:8440 \\\n     --root-passphrase-file root.pass --passphrase-file ca.pass\n  ca --dir ca-state init --base-url http://ca.example.cn --token-module /usr/lib/softhsm/libsofthsm2.so \\\n     --token-label suiyin --token-pin-file token.pin")]
    Init {
        #[command(flatten)]
        founding: offline::Founding,
        /// As --passphrase-file, for the root's own key store.
        #[arg(long, value_name = "FILE")]
        root_passphrase_file: Option<PathBuf>,
    },
    /// Found the hierarchy with the root's key on a machine of its own.
    #[command(subcommand)]
    Hierarchy(hierarchy::Hierarchy),
    /// Answer OCSP, CRLs and administrators until stopped.
    #[command(after_help = "Example:\n  ca --dir ca-state serve --passphrase-file ca.pass")]
    Serve {
        /// Refuse to start if the authority was founded under another public address.
        #[arg(long)]
        base_url: Option<String>,
        /// Listen here instead of where ca.toml says.
        #[arg(long)]
        listen: Option<SocketAddr>,
        /// The host's clock was ahead once and is right now: record that, and go on before the log's latest times.
        #[arg(long)]
        clock_was_ahead: bool,
    },
    /// The certificate policies.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Requests, before anything is issued.
    #[command(subcommand)]
    Request(Request),
    /// Issue a certificate.
    #[command(after_help = "Examples:\n  ca issue enterprise-signing --request r.csr --name 广州某某有限公司 --code 91440101MAT000018G --out c.pem\n  ca issue tls-server --request r.csr --dns mail.example.cn --ip 127.0.0.1")]
    Issue {
        /// A profile of `ca policy check`.
        profile: String,
        /// PKCS#10, PEM or DER; `-` reads standard input.
        #[arg(long)]
        request: PathBuf,
        #[command(flatten)]
        applicant: Applicant,
        /// The authority that signs, where the profile leaves a choice.
        #[arg(long)]
        issuer: Option<String>,
        /// Write the certificate and its chain here (PEM) instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Show one certificate.
    #[command(after_help = "Example:\n  ca show 5f3a0c0de1b2c3d4e5f60718293a4b5c --json")]
    Show { serial: String },
    /// List certificates by code, name, profile, issuer, state and expiry.
    #[command(after_help = "Examples:\n  ca list --expiring 30d --profile enterprise-signing --state good\n  ca list --code 91440101MAT000018G --expires-before 2027-01-01T00:00:00Z\n  ca list --issuer enterprise-ca --all --csv > inventory.csv")]
    List(list::List),
    /// Revoke a certificate, for ever.
    #[command(after_help = "Example:\n  ca revoke 5f3a0c0de1b2c3d4e5f60718293a4b5c --reason key-compromise --invalid-since 2026-11-01T00:00:00Z")]
    Revoke {
        serial: String,
        #[arg(long)]
        reason: Reason,
        /// When it happened, RFC 3339; now when absent.
        #[arg(long)]
        at: Option<String>,
        /// Since when the key is thought to have been compromised, or the certificate was otherwise no longer right, RFC 3339.
        #[arg(long, value_name = "DATE")]
        invalid_since: Option<String>,
    },
    /// Renew a certificate at the counter; its holder can do so alone, with `POST /renew`.
    #[command(after_help = "Examples:\n  ca renew 5f3a0c0de1b2c3d4e5f60718293a4b5c --request new.csr --out new.pem\n  openssl cms -sign -nodetach -binary -in new.csr -signer old.pem -inkey old.key -outform DER -out renew.der &&\n    curl --data-binary @renew.der http://ca.example.cn/renew")]
    Renew(succession::Renew),
    /// Replace a certificate whose key or device is lost or broken.
    #[command(after_help = "Example:\n  ca replace 5f3a0c0de1b2c3d4e5f60718293a4b5c --request new.csr --reason key-compromise --out new.pem")]
    Replace(succession::Replace),
    /// Correct what a certificate says of its holder; the code never changes.
    #[command(after_help = "Example:\n  ca correct 5f3a0c0de1b2c3d4e5f60718293a4b5c --request new.csr --name 广州某某科技有限公司 --reason affiliation-changed --out new.pem")]
    Correct(succession::Correct),
    /// Suspend a certificate: it counts as revoked until it is resumed, and stays revoked when nobody does in time.
    #[command(after_help = "Example:\n  ca suspend 5f3a0c0de1b2c3d4e5f60718293a4b5c")]
    Suspend { serial: String },
    /// Make a suspended certificate good again, or lift an order.
    #[command(after_help = "Examples:\n  ca resume 5f3a0c0de1b2c3d4e5f60718293a4b5c\n  ca resume 5f3a0c0de1b2c3d4e5f60718293a4b5c --freeze --authority 广州市中级人民法院 --reason '(2026)粤01执123号之一'\n  ca resume --code 91440101MAT000018G --authority 广州市中级人民法院 --reason '(2026)粤01执123号之一'")]
    Resume(hold::Resumed),
    /// Freeze a certificate, or a whole enterprise, at once, by order of an authority and until a date.
    #[command(after_help = "Examples:\n  ca freeze --code 91440101MAT000018G --authority 广州市中级人民法院 --reason '(2026)粤01执123号' --until 2027-01-01T00:00:00Z\n  ca freeze 5f3a0c0de1b2c3d4e5f60718293a4b5c --authority 广州市中级人民法院 --reason '(2026)粤01执123号' --until 2027-01-01T00:00:00Z")]
    Freeze(hold::Freeze),
    /// Many certificates of one incident.
    #[command(subcommand)]
    Bulk(bulk::Bulk),
    /// Applications for certificates: placed, shown, decided.
    #[command(subcommand)]
    Order(order::Order),
    /// Public keys, apart from their certificates.
    #[command(subcommand)]
    Key(key::Key),
    /// Officers, their powers and their identities.
    #[command(subcommand)]
    Officer(officer::Officer),
    /// Mail gateways on whose word citizens are certified.
    #[command(subcommand)]
    Registrar(registrar::Registrar),
    /// Notices of certificates that end, on their way to the mail gateway.
    #[command(subcommand)]
    Notice(notice::Command),
    /// Certificate revocation lists.
    #[command(subcommand)]
    Crl(Crl),
    /// Look at everything and say what to mend; ends with an error when something fails.
    #[command(after_help = "Example:\n  ca --dir ca-state doctor --json")]
    Doctor {
        /// Ask the public address even when it is not on this machine.
        #[arg(long)]
        online: bool,
    },
    /// Timestamps that this authority made.
    #[command(subcommand)]
    Timestamp(timestamp::Timestamp),
    /// The log nobody can quietly edit.
    #[command(subcommand)]
    Log(log::Log),
    /// Copy all that the authority needs to go on into a new directory, while it goes on; keys stay sealed.
    #[command(after_help = "Example:\n  ca --dir ca-state backup /srv/backup/2026-11-29")]
    Backup { directory: PathBuf },
    /// Make a new state directory of a backup. The log goes on where a follower's newest checkpoint covers exactly the
    /// backup; what came after it is lost otherwise, and the log goes on under another name.
    #[command(after_help = "Examples:\n  ca --dir ca-state restore /srv/backup/2026-11-29 --checkpoint newest-checkpoint\n  ca --dir ca-state restore /srv/backup/2026-11-29 --checkpoint newest-checkpoint --accept-loss --crl-number-at-least 4711\n  ca restore /srv/backup/2026-11-29 --check")]
    Restore(backup::Restore),
    /// After a restore: enter certificates and lists of this authority that the backup did not know yet, lists first.
    #[command(after_help = "Examples:\n  ca --dir ca-state adopt newest-enterprise-ca.crl\n  ca --dir ca-state adopt a.pem b.pem --profile enterprise-signing")]
    Adopt(backup::Adopt),
    /// All that has to be kept, for another authority or an auditor.
    #[command(subcommand)]
    WindDown(wind_down::WindDown),
    /// How long records are kept.
    #[command(subcommand)]
    Retention(wind_down::Retention),
    /// New generations of issuing authorities.
    #[command(subcommand)]
    Issuer(issuer::Issuer),
    /// A root's next generation, published beside the present one.
    #[command(subcommand)]
    Root(RootCommand),
    /// What the root's key signs, where it is.
    #[command(subcommand)]
    Ceremony(ceremony::Ceremony),
}

#[derive(Debug, Subcommand)]
enum Request {
    /// Show what a request holds and whether it could be accepted.
    #[command(after_help = "Example:\n  ca request show r.csr")]
    Show { file: PathBuf },
}

#[derive(Debug, Subcommand)]
enum RootCommand {
    /// Publish a new root and the certificates by which it and the present one vouch for each other, as ceremonies made
    /// them. Next its list is made (`ca crl root`); a generation of issuers that it certifies then takes over by `ca issuer`.
    #[command(after_help = "Example:\n  ca --dir ca-state root install new-root.pem --by-present new-by-present.pem --by-new present-by-new.pem")]
    Install {
        /// The new root's certificate, PEM or DER.
        root: PathBuf,
        /// The new root's key, certified by the present root.
        #[arg(long, value_name = "FILE")]
        by_present: PathBuf,
        /// The present root's key, certified by the new root.
        #[arg(long, value_name = "FILE")]
        by_new: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Crl {
    /// Sign and publish fresh lists.
    #[command(after_help = "Example:\n  ca crl publish enterprise-ca")]
    Publish { issuer: Option<String> },
    /// The root's list, signed where the root's key is: prepare here, `ca ceremony run` there, publish here. Once a year, and after
    /// an authority is revoked.
    #[command(subcommand)]
    Root(Root),
}

#[derive(Debug, Subcommand)]
enum Root {
    /// Take the next number and write the ceremony's file for it, with all that the ceremony reads, into a new directory.
    #[command(after_help = "Example:\n  ca --dir ca-state crl root prepare --present 陈一 --present 李二 --out /media/root-crl\nThen, where the root's key is:\n  ca ceremony run /media/root-crl/root-crl.toml --root-keys root-keys --root-passphrase-file root.pass --out /media/root-crl-signed\nThen here:\n  ca --dir ca-state crl root publish /media/root-crl-signed/root.crl")]
    Prepare {
        /// Which root's, where there are several: root, root-2 …
        #[arg(long, value_name = "ROOT")]
        root: Option<String>,
        /// Who will be there, two at least; may be repeated. Left out, the names are to be written into the file.
        #[arg(long, value_name = "NAME")]
        present: Vec<String>,
        #[arg(long)]
        out: PathBuf,
    },
    /// Publish the signed list.
    #[command(after_help = "Example:\n  ca --dir ca-state crl root publish root.crl")]
    Publish { signed: PathBuf },
}

#[derive(Debug, Args)]
struct Applicant {
    /// Registered name of the enterprise or institution.
    #[arg(long)]
    name: Option<String>,
    /// Its unified social credit code.
    #[arg(long)]
    code: Option<String>,
    /// Its mailbox.
    #[arg(long)]
    mailbox: Option<String>,
    /// Host name of a server; may be repeated.
    #[arg(long)]
    dns: Vec<String>,
    /// Address of a server; may be repeated.
    #[arg(long)]
    ip: Vec<std::net::IpAddr>,
    /// Name of an officer.
    #[arg(long)]
    officer: Option<String>,
    /// The officer's number.
    #[arg(long)]
    number: Option<String>,
}

impl Applicant {
    fn words(self) -> Words {
        let Self { name, code, mailbox, dns, ip, officer, number } = self;
        Words { name, code, mailbox, dns, ip, officer, number, ..Words::default() }
    }
}

/// Runs what the command line says and tells how the process ends.
pub fn run(cli: Cli) -> Exit {
    let json = cli.json;
    match dispatch(cli) {
        Ok(()) => Exit::Ok,
        Err(problem) => {
            print::problem(&problem, json);
            problem.exit
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Problem> {
    let identity = cli.identity.clone();
    let elsewhere = |message: &str, next: &str| Problem::new(Exit::Usage, "server", message, next);
    let server = match (cli.server, cli.identity) {
        // Never silently here instead.
        (Some(_), None) => return Err(elsewhere("nobody is named who asks the server", "give --identity with the directory of an officer's identity")),
        (Some(_), _) if matches!(cli.command, Command::Init { .. } | Command::Hierarchy(_) | Command::Serve { .. }) => return Err(elsewhere("this is done on the authority's own machine", "leave out --server")),
        (Some(url), Some(identity)) => Some(ask::Server { url, identity }),
        (None, _) => None,
    };
    let place = ask::Place { directory: cli.dir, passphrase_file: cli.passphrase_file, server, json: cli.json };
    let operation = match cli.command {
        Command::Init { founding, root_passphrase_file } => return offline::init(&place, founding, root_passphrase_file.as_deref()),
        Command::Hierarchy(wanted) => return hierarchy::hierarchy(&place, wanted),
        Command::Serve { base_url, listen, clock_was_ahead } => return serve::serve(&place, base_url.as_deref(), listen, clock_was_ahead),
        Command::Policy(wanted) => return policy::policy(&place, wanted),
        Command::Request(Request::Show { file }) => return offline::request_show(&file, place.json),
        Command::Log(log) => return log::run(&place, log),
        Command::Issue { profile, request, applicant, issuer, out } => {
            let order = Order { profile, request: offline::read_request(&request)?, applicant: applicant.words(), issuer };
            let outcome = ask::ask(&place, Operation::Issue(order))?;
            return print::issued(&outcome, out.as_deref(), place.json);
        }
        Command::Show { serial } => Operation::Show { serial },
        Command::List(list) => return list::list(&place, list),
        Command::Order(order) => return order::order(&place, identity.as_deref(), order),
        Command::Revoke { serial, reason, at, invalid_since } => {
            let date = |text: Option<String>| text.as_deref().map(offline::instant).transpose();
            Operation::Revoke(Revoke { serial, reason, at: date(at)?, invalid_since: date(invalid_since)? })
        }
        Command::Renew(renew) => return succession::renew(&place, renew),
        Command::Replace(replace) => return succession::replace(&place, replace),
        Command::Correct(correct) => return succession::correct(&place, correct),
        Command::Bulk(bulk) => return bulk::bulk(&place, bulk),
        Command::Suspend { serial } => Operation::Suspend { serial },
        Command::Resume(wanted) => hold::resume(wanted)?,
        Command::Freeze(order) => hold::freeze(order)?,
        Command::Key(key::Key::Block(given)) => Operation::BlockKey { key: key::digest(&given)? },
        Command::Notice(command) => notice::operation(command),
        Command::Crl(Crl::Root(Root::Prepare { root, present, out })) => {
            root::free(&out)?;
            return root::prepared(&ask::ask(&place, Operation::PrepareRootCrl { root })?, &present, &out, place.json);
        }
        Command::Crl(Crl::Root(Root::Publish { signed })) => Operation::PublishRootCrl { der: root::read(&signed)? },
        Command::Crl(Crl::Publish { issuer }) => Operation::PublishCrl { issuer },
        Command::Officer(command) => return officer::run(&place, command),
        Command::Registrar(command) => return registrar::run(&place, command),
        Command::Timestamp(command) => timestamp::operation(command),
        Command::Doctor { online } => return doctor::doctor(&place, online),
        Command::Backup { directory } => Operation::Backup { directory: offline::absolute(&directory)? },
        Command::Restore(restore) => return backup::restore(&place, restore),
        Command::WindDown(wanted) => return wind_down::wind_down(&place, wanted),
        Command::Retention(wind_down::Retention::Report) => Operation::RetentionReport,
        Command::Issuer(wanted) => return issuer::issuer(&place, wanted),
        Command::Root(RootCommand::Install { root, by_present, by_new }) => root::install(&root, &by_present, by_new.as_deref())?,
        Command::Ceremony(wanted) => return ceremony::ceremony(wanted, place.json),
        Command::Adopt(adopt) => return backup::adopt(&place, adopt),

    };
    print::outcome(&ask::ask(&place, operation)?, place.json)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    fn leaves(command: &clap::Command, found: &mut Vec<(String, String)>) {
        let below: Vec<_> = command.get_subcommands().collect();
        if below.is_empty() {
            found.push((command.get_name().to_owned(), command.get_after_help().map(ToString::to_string).unwrap_or_default()));
        }
        below.into_iter().for_each(|one| leaves(one, found));
    }

    #[test]
    fn every_command_shows_an_example() {
        super::Cli::command().debug_assert();
        let mut found = Vec::new();
        leaves(&super::Cli::command(), &mut found);
        assert!(found.len() >= 14, "{found:?}");
        for (name, help) in found {
            assert!(help.starts_with("Example") && help.contains("ca "), "{name} has no example");
        }
    }
}
