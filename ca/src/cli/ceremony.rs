//! `ca ceremony`: on the machine that holds the root's key; no state directory is needed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keys::Passphrase;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};

use super::ask::denied;
use super::offline;
use super::print::{self, date, line};
use crate::ceremony::{self, keys::RootKeys};

#[derive(Debug, Subcommand)]
pub enum Ceremony {
    /// Have the root's key sign what one reviewed file says: found a hierarchy (`ca hierarchy request` writes that file),
    /// certify an issuing authority, make a new root, have two roots vouch for each other, or sign the root's list.
    #[command(after_help = "Example:\n  ca ceremony run ceremony.toml --root-keys /media/root-keys --root-passphrase-file root.pass --out /media/2026-12-01\n\nceremony.toml, kind issuing (for a list: kind = \"root-crl\", with prepared = { file, sha256 } and number):\n  kind = \"issuing\"\n  root = { file = \"root.pem\", sha256 = \"…\" }\n  root_key_id = \"…\"\n  request = { file = \"enterprise-ca-2.csr\", sha256 = \"…\" }\n  name = \"穗印企业证书签发机构 2\"\n  not_before = \"2026-12-01T00:00:00Z\"\n  not_after = \"2036-11-30T23:59:59Z\"\n  path_length = 0\n  base_url = \"http://ca.example.cn\"\n  policies = \"policies\"\n  policies_sha256 = \"…\"\n  blocked_keys = { directory = \"blocked-keys\", sha256 = \"…\" }\n  present = [\"…\", \"…\"]\n\nand published_as = \"root-2\" where the root that signs is not the one of the founding.\n\nkind root, a root's next generation: succeeds = { file, sha256 }, the present root; published_as = \"root-2\"; base_url, name, dates, path_length = 1, policies and present; its key is born in --root-keys, a new directory, or in a token:\n  ca ceremony run root.toml --token-module /usr/lib/softhsm/libsofthsm2.so --token-label root --token-pin-file root.pin --out /media/2026-12-01\nwhich tells the --token-key that every later ceremony with it is given.\nkind cross: as issuing, with certified = { file, sha256 }, the other root, in place of request and name, and published_as, what the root that signs is published as.")]
    Run(Run),
    /// Prove a ceremony that was held, from its directory and the root's certificate.
    #[command(after_help = "Example:\n  ca ceremony verify /media/2026-12-01 --root root.pem")]
    Verify {
        directory: PathBuf,
        /// The root's certificate as you know it: never the one that came with the ceremony.
        #[arg(long)]
        root: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Run {
    file: PathBuf,
    /// The key store of the root; a new directory where a root is made.
    #[arg(long, value_name = "DIR", required_unless_present = "token_module", conflicts_with = "token_module")]
    root_keys: Option<PathBuf>,
    #[command(flatten)]
    token: offline::TokenPlace,
    /// Which key of the token is the root's: what the ceremony of its birth told.
    #[arg(long, value_name = "HEX", requires = "token_module")]
    token_key: Option<String>,
    /// As --passphrase-file, for the root's own key store.
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
    /// The SHA-256 of the file as it was reviewed; else it is asked for, and typed from the paper of the review.
    #[arg(long)]
    sha256: Option<String>,
    /// A new directory for what is made and its transcript.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Judge everything, sign and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub fn ceremony(wanted: Ceremony, json: bool) -> Result<(), Problem> {
    match wanted {
        Ceremony::Run(run) => held(run, json),
        Ceremony::Verify { directory, root } => {
            let proved = ceremony::verify(&directory, &root)?;
            if json {
                return print::json(&proved);
            }
            let made: Vec<&str> = proved.outputs.iter().map(|one| one.file.as_str()).collect();
            line(&format!("the ceremony {} was held on {} with {} people; {} is what it made", proved.kind, date(proved.begun), proved.people, made.join(", ")))?;
            line(&format!("file     sha256 {}", proved.ceremony_sha256))?;
            proved.outputs.iter().try_for_each(|one| line(&format!("output   sha256 {} {}", one.sha256, one.file)))
        }
    }
}

fn held(run: Run, json: bool) -> Result<(), Problem> {
    let reviewed = match run.sha256 {
        Some(sha256) => sha256,
        None => typed()?,
    };
    let done = match (&run.root_keys, run.token.open()?) {
        (None, Some(token)) => {
            let keys = RootKeys::Token { token: &token, key: run.token_key.as_deref() };
            ceremony::run_with(&run.file, &reviewed, &keys, &run.out, run.dry_run, &SystemClock)?
        }
        (Some(root_keys), _) => {
            // The key store of a new root gets a new one, which is typed twice.
            let obtain = if ceremony::bears_key(&run.file, &reviewed)? { Passphrase::obtain_new } else { Passphrase::obtain };
            let passphrase = obtain(run.root_passphrase_file.as_deref(), "ca-root-passphrase", "Passphrase of the root").map_err(denied)?;
            ceremony::run(&run.file, &reviewed, root_keys, &passphrase, &run.out, run.dry_run, &SystemClock)?
        }
        (None, None) => return Err(Problem::new(Exit::Usage, "root-keys", "nobody said where the root's key is", "give --root-keys, or --token-module and --token-label")),
    };
    if json {
        return print::json(&done);
    }
    line(&format!("file     sha256 {}", done.ceremony_sha256))?;
    if let Some(key_id) = &done.root_key_id {
        line(&format!("root     key {key_id}"))?;
    }
    if let Some(sha256) = &done.root_sha256 {
        line(&format!("root     sha256 {sha256}; write it down, the authority asks for it"))?;
    }
    if let Some(id) = &done.token_key {
        line(&format!("token    --token-key {id}; write it down, it finds the key again"))?;
    }
    line(&format!("judged   {}, to be signed: sha256 {}", done.kind, done.tbs_sha256))?;
    match (&done.output, &done.transcript) {
        (Some(output), Some(transcript)) => {
            [output].into_iter().chain(&done.more).try_for_each(|made| line(&format!("signed   {}", made.display())))?;
            line(&format!("written  {}", transcript.display()))
        }
        _ => line("rehearsed; nothing was signed or written"),
    }
}

/// What was reviewed is typed: a digest that the program shows first would always agree.
fn typed() -> Result<String, Problem> {
    use std::io::IsTerminal;
    let problem = || Problem::new(Exit::Usage, "not-reviewed", "nobody said which file was reviewed", "give --sha256, or type it at a terminal");
    if !std::io::stdin().is_terminal() {
        return Err(problem());
    }
    line("Type the SHA-256 of the ceremony's file from the paper of its review, then Enter:")?;
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).map_err(|_| problem())?;
    Ok(text)
}
