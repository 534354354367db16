//! The root's list by way of the machine that holds the root's key.

use std::io::Read;
use std::path::Path;

use keys::{KeyError, KeyStore, Passphrase};
use runtime::exit::{Exit, Problem};
use serde_json::json;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::ask::denied;
use super::print;
use crate::authority::ROOT;
use crate::ceremony::{CeremonyError, file, root_crl};
use crate::flow::roots::{Across, NewRoot};
use crate::init::InitError;
use crate::operation::Operation;
use crate::service::Outcome;

/// The largest list of a root that is read: it names authorities, not enterprises.
const LIMIT: u64 = 1 << 20;
/// The longest certificate.
const CERTIFICATE: u64 = 64 << 10;

pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    read.map_err(|error| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {error}", path.display()), "check the path"))?;
    if bytes.len() as u64 > LIMIT { Err(strange(path)) } else { Ok(bytes) }
}

pub fn prepared(outcome: &Outcome, out: &Path, json: bool) -> Result<(), Problem> {
    let Outcome::Prepared(list) = outcome else { return print::outcome(outcome, json) };
    write(out, &list.tbs)?;
    if json {
        return print::json(&json!({ "root": list.root, "number": list.number, "entries": list.entries, "next_update": list.next_update, "out": out }));
    }
    print::line(&format!("{} number {}: {} revoked, to be signed: {}", list.root, list.number, list.entries, out.display()))?;
    print::line(&format!("Sign it where the root's keys are: ca crl root sign {} --root-keys DIR --out root.crl", out.display()))
}

/// Signs only what is a list of this very root: nobody's certificate gets a signature here.
pub fn sign(prepared: &Path, root_keys: &Path, root_file: Option<&Path>, out: &Path, json: bool) -> Result<(), Problem> {
    let tbs = read(prepared)?;
    let passphrase = Passphrase::obtain(root_file, "ca-root-passphrase", "Passphrase of the root").map_err(denied)?;
    let key = KeyStore::open(root_keys, &passphrase).and_then(|keys| keys.load(ROOT)).map_err(|error: KeyError| Problem::from(InitError::from(error)))?;
    let der = root_crl::sign(&tbs, &key).map_err(|error| Problem::from(CeremonyError::from(error)))?;
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| strange(prepared))?;
    write(out, &der)?;
    let (number, entries) = (list.crl_number().map(ToString::to_string).unwrap_or_default(), list.iter_revoked_certificates().count());
    if json {
        return print::json(&json!({ "number": number, "entries": entries, "out": out }));
    }
    print::line(&format!("signed number {number}, {entries} revoked, until {}: {}", list.next_update().map(|at| at.to_string()).unwrap_or_default(), out.display()))?;
    print::line(&format!("Publish it where the authority runs: ca crl root publish {}", out.display()))
}

/// What ceremonies made, read whole.
pub fn install(root: &Path, by_present: &Path, by_new: Option<&Path>) -> Result<Operation, Problem> {
    let certificate = |path: &Path| file::bounded(path, CERTIFICATE).and_then(file::certificate).map_err(|error| Problem::from(CeremonyError::from(error)));
    let by_new = by_new.map(certificate).transpose()?.map(Across);
    Ok(Operation::InstallRoot(NewRoot { root: certificate(root)?, by_present: certificate(by_present)?, by_new }))
}

fn strange(path: &Path) -> Problem {
    Problem::new(Exit::Refused, "root-crl", format!("{} is no list of this root", path.display()), "prepare one with `ca crl root prepare`")
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", path.display()), "check the path and the disk");
    print::file(path, bytes).map_err(failed)
}
