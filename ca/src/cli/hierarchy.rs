//! `ca hierarchy`: a founding whose root's key is made, and stays, on another machine.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use keys::Passphrase;
use runtime::clock::SystemClock;
use runtime::exit::{Exit, Problem};

use super::ask::{self, Place, denied};
use super::offline;
use super::print::{self, line};
use crate::founding::install::install;
use crate::founding::request::{self, Requested};

#[derive(Debug, Subcommand)]
pub enum Hierarchy {
    /// First: make the issuing keys here, and write what a ceremony needs to certify them: requests, policies and the file
    /// to review. Said again before the ceremony's end, it writes the same requests once more.
    #[command(after_help = "Example:\n  ca --dir ca-state hierarchy request --base-url http://ca.example.cn --passphrase-file ca.pass --present 陈一 --present 李二 --out /media/founding\nThen, where the root's key is to be:\n  ca ceremony run /media/founding/hierarchy.toml --root-keys root-keys --root-passphrase-file root.pass --out /media/founded\nThen here:\n  ca --dir ca-state hierarchy install /media/founded --passphrase-file ca.pass")]
    Request(Box<Request>),
    /// Last: take in what the ceremony made. Only then is there an authority that can be served.
    #[command(after_help = "Example:\n  ca --dir ca-state hierarchy install /media/founded --passphrase-file ca.pass --root-sha256 8F:3B:…")]
    Install {
        /// The directory that `ca ceremony run` made.
        made: PathBuf,
        /// SHA-256 of the root's certificate, as the ceremony told it; else it is asked for, and typed from paper.
        #[arg(long, value_name = "HEX")]
        root_sha256: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Request {
    #[command(flatten)]
    founding: offline::Founding,
    /// Who will be present at the ceremony; may be said several times, or written into the file.
    #[arg(long, value_name = "NAME")]
    present: Vec<String>,
    /// A new directory.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn hierarchy(place: &Place, wanted: Hierarchy) -> Result<(), Problem> {
    // Before anybody is asked for a passphrase.
    offline::not_founded(place)?;
    match wanted {
        Hierarchy::Request(wanted) => {
            let Request { founding, present, out } = *wanted;
            let (base_url, configuration, mail_domains) = founding.read()?;
            if request::waits(&place.directory) {
                request::same(&place.directory, &base_url, &configuration, &mail_domains)?;
                return requested(&request::hand_out(&place.directory, &present, &out, &SystemClock)?, place.json);
            }
            let passphrase = Passphrase::obtain_new(place.passphrase_file.as_deref(), "ca-passphrase", "New passphrase of the issuing keys").map_err(denied)?;
            requested(&request::request(&place.directory, &base_url, &configuration, &mail_domains, &present, &passphrase, &out, &SystemClock)?, place.json)
        }
        Hierarchy::Install { made, root_sha256 } => {
            if !request::waits(&place.directory) {
                return Err(crate::founding::install::InstallError::NotWaiting.into());
            }
            let root_sha256 = root_sha256.map_or_else(typed, Ok)?;
            let passphrase = ask::passphrase(place)?;
            let opened = install(&place.directory, &made, &root_sha256, &passphrase, rustix::process::geteuid().as_raw(), Arc::new(SystemClock))?;
            offline::founded(place, &opened, None)
        }
    }
}

fn requested(requested: &Requested, json: bool) -> Result<(), Problem> {
    if json {
        return print::json(requested);
    }
    for one in &requested.authorities {
        line(&format!("key      {:<14} sha256 {}", one.id, one.key_sha256))?;
    }
    line(&format!("written  {}", requested.directory.display()))?;
    line(&format!("Review {}, take its SHA-256 to paper, and carry the directory to where the root's key is to be.", requested.ceremony.display()))?;
    line("There: ca ceremony run hierarchy.toml --root-keys DIR --out DIR; then here: ca hierarchy install DIR")
}

/// What the ceremony told is typed: a digest that the program shows first would always agree.
fn typed() -> Result<String, Problem> {
    use std::io::IsTerminal;
    let problem = || Problem::new(Exit::Usage, "root-unknown", "nobody said which root was made", "give --root-sha256 as the ceremony told it, or type it at a terminal");
    if !std::io::stdin().is_terminal() {
        return Err(problem());
    }
    line("Type the SHA-256 of the root's certificate from the paper of the ceremony, then Enter:")?;
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).map_err(|_| problem())?;
    Ok(text)
}
