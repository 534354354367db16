//! The first step of a founding with the root's key elsewhere: the issuing keys are made where the authority will run, and
//! what they are to be certified as is written down for people to review.
//!
//! 1 place      a directory that is marked: it serves nothing before `install`
//! 2 keys       one for each issuing authority, and its request
//! 3 remember   whose certificates are waited for; from here on nothing takes these keys away
//! 4 hand out   requests, policies, lists of refused keys and the ceremony's file in a new directory; asked again, they are of
//!              the same keys

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keys::{KeyStore, Passphrase};
use pki::signer::Signer;
use policies::certificate::{HostName, Policies};
use runtime::clock::Clock;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{CITIZENS, FOUNDING, ISSUERS, ROOT_NAME, WAITING};
use crate::ceremony::CeremonyError;
use crate::ceremony::file::HIERARCHY;
use crate::ceremony::place::{self, Place};
use crate::documents::Documents;
use crate::flow::certified::ISSUING;
use crate::flow::own;
use crate::init::{self, Configuration, InitError};
use crate::issuers::Birthplace;
use crate::key_lists;
use crate::problem::IssueError;
use crate::record::der_text;
use crate::token::TokenConfiguration;

/// The file that people review.
pub const FILE: &str = "hierarchy.toml";
/// The largest record of what waits.
const LONGEST: u64 = 1 << 20;

/// The keys of a directory that wait for their certificates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    pub base_url: String,
    pub mail_domains: Vec<String>,
    pub policies_sha256: String,
    pub authorities: Vec<WaitingKey>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitingKey {
    pub id: String,
    pub name: String,
    #[serde(with = "der_text")]
    pub public_key_info: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_key: Option<String>,
    /// PKCS#10, PEM, octet for octet as it is handed out.
    pub request: String,
}

impl Waiting {
    pub fn read(path: &Path) -> Result<Self, InitError> {
        let file = path.join(WAITING);
        let damaged = |reason: String| InitError::File { path: file.clone(), reason };
        let bytes = crate::ceremony::file::bounded(&file, LONGEST).map_err(|error| damaged(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
    }
}

/// What is to be taken to the machine where the root's key will be.
#[derive(Clone, Debug, Serialize)]
pub struct Requested {
    pub directory: PathBuf,
    pub ceremony: PathBuf,
    pub ceremony_sha256: String,
    pub authorities: Vec<Asked>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    pub id: String,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key_sha256: String,
}

/// Whether keys of this directory wait for their certificates.
pub fn waits(path: &Path) -> bool {
    path.join(WAITING).exists() && path.join(FOUNDING).exists()
}

/// The whole line. `present` are the people who will be there, as far as that is known.
pub fn request(path: &Path, base_url: &str, configuration: &Configuration, mail_domains: &[HostName], present: &[String], passphrase: &Passphrase, out: &Path, clock: &dyn Clock) -> Result<Requested, CeremonyError> {
    let base_url = init::base(base_url)?;
    place::free(out)?;
    let token = configuration.token.as_ref().map(TokenConfiguration::open).transpose()?;
    // 1.
    let _held = super::place(path, FOUNDING)?;
    configuration.write(path)?;
    let documents = Documents::shipped();
    documents.write_over(&path.join("policies"), &Documents::default())?;
    // 2.
    let born_in = Birthplace { keys: Arc::new(KeyStore::create(&path.join("keys"), passphrase)?), token };
    let mut authorities = Vec::new();
    for (id, name) in ISSUERS {
        let born = born_in.issuing(id).map_err(InitError::from)?;
        let request = crate::service::pem("CERTIFICATE REQUEST", &own::request(&born.handle).map_err(InitError::from)?);
        authorities.push(WaitingKey { id: id.into(), name: name.into(), public_key_info: Signer::public_key_info(&born.handle).to_vec(), token_key: born.token_key, request });
    }
    // 3.
    let waiting = Waiting { base_url, mail_domains: mail_domains.iter().map(ToString::to_string).collect(), policies_sha256: documents.digest(), authorities };
    init::write(&path.join(WAITING), &serde_json::to_vec_pretty(&waiting)?)?;
    // 4.
    hand_out(path, present, out, clock)
}

/// Whether what is asked for is what waits in `path`: certificates would say something else than was asked for.
pub fn same(path: &Path, base_url: &str, configuration: &Configuration, mail_domains: &[HostName]) -> Result<(), InitError> {
    let (waiting, before) = (Waiting::read(path)?, runtime::config::read::<Configuration>(&path.join("ca.toml"))?);
    let domains: Vec<String> = mail_domains.iter().map(ToString::to_string).collect();
    let text = |one: &Configuration| toml::to_string(one).unwrap_or_default();
    if waiting.base_url == init::base(base_url)? && waiting.mail_domains == domains && text(&before) == text(configuration) {
        return Ok(());
    }
    Err(InitError::OtherRequest { path: path.to_owned() })
}

/// Step 4 alone: what waits in `path` for its certificates, written once more.
pub fn hand_out(path: &Path, present: &[String], out: &Path, clock: &dyn Clock) -> Result<Requested, CeremonyError> {
    let waiting = Waiting::read(path)?;
    let documents = Documents::read(&path.join("policies"))?;
    if documents.digest() != waiting.policies_sha256 {
        return Err(InitError::File { path: path.join("policies"), reason: "these are not the policies that the keys were made under".into() }.into());
    }
    // The ceremony refuses what `install` would refuse, while nothing is signed yet.
    let lists = path.join(key_lists::DIRECTORY);
    let refused = key_lists::read(&lists)?.digest;
    let text = written(&waiting, &documents.judge().map_err(InitError::from)?.certificates, &refused, present, clock.now())?;
    let requests: Vec<(String, &str)> = waiting.authorities.iter().map(|one| (format!("{}.csr", one.id), one.request.as_str())).collect();
    let files = requests.iter().map(|(name, request)| (name.as_str(), request.as_bytes()));
    let place = Place::begin(out, files.chain([(FILE, text.as_bytes())]))?;
    documents.write_over(&place.path("policies"), &Documents::default())?;
    key_lists::copy(&lists, &place.path(key_lists::DIRECTORY))?;
    place.finish()?;
    let asked = |one: &WaitingKey| Asked { id: one.id.clone(), key_sha256: crate::sha256_hex(&one.public_key_info) };
    Ok(Requested { directory: out.to_owned(), ceremony: out.join(FILE), ceremony_sha256: crate::sha256_hex(text.as_bytes()), authorities: waiting.authorities.iter().map(asked).collect() })
}

/// The ceremony's file: dates from now on, as long as the profiles let them be.
/// `refused` is the digest over the lists of keys.
fn written(waiting: &Waiting, policies: &Policies, refused: &str, present: &[String], now: OffsetDateTime) -> Result<String, CeremonyError> {
    let days = |profile: &str| policies.profile(profile).map(|profile| profile.days()).ok_or_else(|| IssueError::UnknownProfile { profile: profile.to_owned(), known: Vec::new() });
    let from = now.replace_nanosecond(0).unwrap_or(now);
    let date = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let until = |days: u16| date(from + Duration::days(days.into()) - Duration::SECOND);
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let list = |texts: &[String]| format!("[{}]", texts.iter().map(|one| text(one)).collect::<Vec<_>>().join(", "));
    let (root, issuing) = (until(days("root")?), until(days(ISSUING)?));
    let mut file = format!(
        "# The hierarchy of {base_url}: read every line, correct names and dates, name who will be present — two at least — and take\n\
         # this file's SHA-256 to paper: sha256sum {FILE}. Then, where the root's key is to be:\n\
         #   ca ceremony run {FILE} --root-keys DIR --out DIR\n\
         kind = \"{HIERARCHY}\"\nname = {name}\nnot_before = \"{from}\"\nnot_after = \"{root}\"\npath_length = 1\nbase_url = {base}\n\
         policies = \"policies\"\npolicies_sha256 = \"{sha256}\"\n\
         blocked_keys = {{ directory = \"{lists}\", sha256 = \"{refused}\" }}\npresent = {present}\n",
        base_url = waiting.base_url,
        name = text(ROOT_NAME),
        from = date(from),
        base = text(&waiting.base_url),
        sha256 = waiting.policies_sha256,
        lists = key_lists::DIRECTORY,
        present = list(present),
    );
    for one in &waiting.authorities {
        file.push_str(&format!(
            "\n[[authority]]\nid = {id}\nname = {name}\nrequest = {{ file = \"{file}.csr\", sha256 = \"{sha256}\" }}\nnot_before = \"{from}\"\nnot_after = \"{issuing}\"\npath_length = 0\n",
            id = text(&one.id),
            name = text(&one.name),
            file = one.id,
            sha256 = crate::sha256_hex(one.request.as_bytes()),
            from = date(from),
        ));
        if one.id == CITIZENS {
            file.push_str(&format!("# What its names are bound to; empty: to nothing.\nmail_domains = {}\n", list(&waiting.mail_domains)));
        }
    }
    Ok(file)
}
