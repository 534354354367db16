//! The root's list by way of the machine that holds the root's key.

use std::io::Read;
use std::path::Path;

use runtime::exit::{Exit, Problem};
use serde_json::json;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::print;
use crate::ceremony::place::{self, Place};
use crate::ceremony::{CeremonyError, file};
use crate::flow::roots::{Across, NewRoot};
use crate::operation::Operation;
use crate::service::{Outcome, Prepared};

/// The largest list of a root that is read: it names authorities, not enterprises.
const LIMIT: u64 = 1 << 20;
/// The file that people review, and what it names.
const FILE: &str = "root-crl.toml";
const PREPARED: &str = "root-crl.tbs";
const CERTIFICATE_FILE: &str = "root.der";
/// The longest certificate.
const CERTIFICATE: u64 = 64 << 10;

pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    read.map_err(|error| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {error}", path.display()), "check the path"))?;
    if bytes.len() as u64 > LIMIT { Err(strange(path)) } else { Ok(bytes) }
}

/// Before a number is taken.
pub fn free(out: &Path) -> Result<(), Problem> {
    Ok(place::free(out)?)
}

/// All that the ceremony reads, in a new directory: the file that people review, the root and the list.
pub fn prepared(outcome: &Outcome, present: &[String], out: &Path, json: bool) -> Result<(), Problem> {
    let Outcome::Prepared(list) = outcome else { return print::outcome(outcome, json) };
    let text = written(list, present)?;
    let place = Place::begin(out, [(PREPARED, list.tbs.as_slice()), (CERTIFICATE_FILE, list.certificate.as_slice()), (FILE, text.as_bytes())])?;
    place.finish()?;
    let (file, sha256) = (out.join(FILE), crate::sha256_hex(text.as_bytes()));
    if json {
        return print::json(&json!({ "root": list.root, "number": list.number, "entries": list.entries, "next_update": list.next_update, "ceremony": file, "ceremony_sha256": sha256 }));
    }
    print::line(&format!("{} number {}: {} revoked, to be signed by a ceremony: {}", list.root, list.number, list.entries, file.display()))?;
    print::line(&format!("Read it, take its SHA-256 to paper: {sha256}"))?;
    print::line(&format!("There: ca ceremony run {FILE} --root-keys DIR --out DIR; then here: ca crl root publish DIR/root.crl"))
}

fn written(list: &Prepared, present: &[String]) -> Result<String, Problem> {
    let strange = || Problem::new(Exit::Damaged, "root-crl", "the root's certificate cannot be read", "run the same version of `ca` as the service");
    let (_, read) = X509Certificate::from_der(&list.certificate).map_err(|_| strange())?;
    let key_id = pki::certificate::key_id(read.public_key().raw).map_err(|_| strange())?;
    let people: Vec<String> = present.iter().map(|name| toml::Value::String(name.clone()).to_string()).collect();
    Ok(format!(
        "# List number {number} of {root}, {entries} revoked: read every line, name who will be present — two at least — and take this\n\
         # file's SHA-256 to paper: sha256sum {FILE}. Then, where the root's key is:\n\
         #   ca ceremony run {FILE} --root-keys DIR --out DIR\n\
         kind = \"root-crl\"\nroot = {{ file = \"{CERTIFICATE_FILE}\", sha256 = \"{certificate}\" }}\nroot_key_id = \"{key_id}\"\n\
         prepared = {{ file = \"{PREPARED}\", sha256 = \"{tbs}\" }}\nnumber = {number}\npresent = [{people}]\n",
        number = list.number,
        root = list.root,
        entries = list.entries,
        certificate = crate::sha256_hex(&list.certificate),
        key_id = crate::hex(&key_id),
        tbs = crate::sha256_hex(&list.tbs),
        people = people.join(", "),
    ))
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
