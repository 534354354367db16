//! `ca key`: which key is meant, from its digest or from a file that holds it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pki::request::Request;
use runtime::exit::{Exit, Problem};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::offline::read_request;
use crate::flow::block::KeyDigest;
use crate::problem::IssueError;

/// The largest certificate read, PEM and all.
const LIMIT: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Report a key as compromised: it is never certified again, and every certificate of it is revoked.
    #[command(after_help = "Examples:\n  ca key block --digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  ca key block --certificate found-on-the-web.pem")]
    Block(Given),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Given {
    /// SHA-256 of the SubjectPublicKeyInfo, as `ca request show` prints it.
    #[arg(long, value_name = "SHA256")]
    digest: Option<KeyDigest>,
    /// A request that holds the key, PEM or DER.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// A certificate of whatever issuer that holds the key, PEM or DER.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

pub fn digest(given: &Given) -> Result<KeyDigest, Problem> {
    match given {
        Given { digest: Some(digest), .. } => Ok(*digest),
        Given { request: Some(file), .. } => Ok(KeyDigest::of(&Request::parse(&read_request(file)?).map_err(IssueError::from)?.spki)),
        Given { certificate: Some(file), .. } => certificate(file),
        _ => Err(Problem::new(Exit::Usage, "no-key", "no key is named", "give --digest, --request or --certificate")),
    }
}

fn certificate(path: &Path) -> Result<KeyDigest, Problem> {
    let problem = |reason: String| Problem::new(Exit::Usage, "certificate-file", format!("{}: {reason}", path.display()), "give one certificate, PEM or DER");
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)).map_err(|error| problem(error.to_string()))?;
    let der = if bytes.first() == Some(&0x30) {
        bytes
    } else {
        let pem = pem::parse(&bytes).map_err(|_| problem("no PEM".into()))?;
        if pem.tag() == "CERTIFICATE" { pem.into_contents() } else { return Err(problem("no certificate".into())) }
    };
    let (_, read) = X509Certificate::from_der(&der).map_err(|_| problem("no certificate".into()))?;
    Ok(KeyDigest::of(read.public_key().raw))
}
