//! `ca issuer`: a new generation of an issuing authority, from its key to its taking over.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use runtime::exit::{Exit, Problem};

use super::ask::{self, Place};
use super::print::{self, line};
use super::root;
use crate::flow::{recover, take_over};
use crate::operation::Operation;
use crate::service::{Installed, Outcome};

#[derive(Debug, Subcommand)]
pub enum Issuer {
    /// Make the key of the next generation where keys live, and the request to have certified.
    #[command(after_help = "Example:\n  ca --dir ca-state issuer request enterprise-ca --out enterprise-ca-2.csr")]
    Request {
        /// An issuing authority by the name that profiles use.
        issuer: String,
        /// A new file.
        #[arg(long)]
        out: PathBuf,
        /// As the owner of the directory, with the service stopped: where the officers' authority is revoked and so no
        /// administrator is left. `ca officer recover` comes after it.
        #[arg(long)]
        recover: bool,
    },
    /// Take in what a ceremony certified: from now on this generation issues, and the one before keeps answering.
    #[command(after_help = "Example:\n  ca --dir ca-state issuer install /media/2026-12-01/certificate.pem")]
    Install {
        certificate: PathBuf,
        /// As the owner of the directory; see `ca issuer request --help`.
        #[arg(long)]
        recover: bool,
    },
}

pub fn issuer(place: &Place, wanted: Issuer) -> Result<(), Problem> {
    match wanted {
        Issuer::Request { issuer, out, recover } => {
            let outcome = if recover { recovering(place, Wanted::Request(&issuer))? } else { ask::ask(place, Operation::RequestIssuer { issuer })? };
            let Outcome::IssuerRequested(requested) = &outcome else { return print::outcome(&outcome, place.json) };
            new_file(&out, requested.request.as_bytes())?;
            if place.json {
                return print::json(requested);
            }
            line(&format!("key      {}, sha256 {}", requested.id, requested.key_sha256))?;
            line(&format!("request  {}", out.display()))?;
            if requested.first {
                return line(&format!("It is the first of its kind here; name it {} in the ceremony's file.", requested.present_name));
            }
            line(&format!("The present generation is named {}; give this one a name of its own in the ceremony's file.", requested.present_name))
        }
        Issuer::Install { certificate, recover } => {
            let bytes = root::read(&certificate)?;
            let der = if bytes.first() == Some(&0x30) { bytes } else { pem::parse(&bytes).map(pem::Pem::into_contents).unwrap_or_default() };
            let outcome = if recover { recovering(place, Wanted::Install(&der))? } else { ask::ask(place, Operation::InstallIssuer { der })? };
            print::outcome(&outcome, place.json)
        }
    }
}

enum Wanted<'a> {
    Request(&'a str),
    Install(&'a [u8]),
}

fn recovering(place: &Place, wanted: Wanted<'_>) -> Result<Outcome, Problem> {
    let opened = ask::owned(place)?;
    let (authority, uid) = (&opened.authority, rustix::process::geteuid().as_raw());
    let outcome = match wanted {
        Wanted::Request(issuer) => Outcome::IssuerRequested(take_over::request(authority, &recover::succession(authority, uid, issuer)?, issuer)?),
        Wanted::Install(der) => Outcome::IssuerInstalled(Installed::written(&*recover::install(authority, uid, der)?, opened.evidence.directory())),
    };
    opened.evidence.advance()?;
    Ok(outcome)
}

fn new_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Problem::new(Exit::Conflict, "file-exists", format!("{} stands already", path.display()), "name a new file; asked again, it is the same key"),
        _ => Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", path.display()), "check the path; asked again, it is the same key"),
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all())).map_err(failed)
}
