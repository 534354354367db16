//! The one reviewed file of a ceremony: everything that is to happen, each input by its digest.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use policies::certificate::HostName;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::roots::Dates;
use crate::authority::ROOT;
use crate::flow::plan::{MOST_MAIL_DOMAINS, mail_domains};

/// The longest file of a ceremony and the longest of its inputs.
const LONGEST: u64 = 64 * 1024;
const INPUT_LONGEST: u64 = 1 << 20;
/// Authorities beneath one root.
const MOST_AUTHORITIES: usize = 16;
/// The fewest people who must be there, by the names in the file.
const FEWEST: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{path}: {reason}; check the path", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("the ceremony's file says what this program does not understand: {0}; have it corrected and reviewed again")]
    Form(String),
    #[error("the file is not the one that was reviewed: its SHA-256 is {found}; use the reviewed one")]
    NotReviewed { found: String },
    #[error("{path} is not the one that was reviewed: its SHA-256 is {found}; use the reviewed one", path = path.display())]
    OtherInput { path: PathBuf, found: String },
    #[error("{count} people are named as present and {FEWEST} are needed; hold it with more")]
    Present { count: usize },
}

/// A file named together with what must be in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    file: PathBuf,
    sha256: String,
}

/// A directory of `blocked-keys` together with the digest over all its lists.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    directory: PathBuf,
    sha256: String,
}

/// An issuing authority of a hierarchy that is founded.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAuthority {
    id: String,
    name: String,
    request: Input,
    not_before: String,
    not_after: String,
    path_length: u8,
    /// As of kind issuing.
    #[serde(default)]
    mail_domains: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
enum Written {
    Issuing {
        root: Input,
        root_key_id: String,
        /// What the authority publishes this root as, where that is another one than it was founded with.
        #[serde(default = "first_root")]
        published_as: String,
        request: Input,
        name: String,
        not_before: String,
        not_after: String,
        path_length: u8,
        /// The mailboxes that it may certify, by what stands after the `@`; left out, its names are not bound.
        #[serde(default)]
        mail_domains: Vec<String>,
        base_url: String,
        policies: PathBuf,
        policies_sha256: String,
        blocked_keys: Option<Lists>,
        present: Vec<String>,
    },
    /// A root's next generation, whose key is born in this ceremony.
    Root {
        /// The root that it comes after, and what the authority will publish it as.
        succeeds: Input,
        published_as: String,
        base_url: String,
        name: String,
        not_before: String,
        not_after: String,
        path_length: u8,
        policies: PathBuf,
        policies_sha256: String,
        present: Vec<String>,
    },
    /// A new root, the first generation of every authority beneath it, and the root's first list.
    Hierarchy {
        name: String,
        not_before: String,
        not_after: String,
        path_length: u8,
        base_url: String,
        policies: PathBuf,
        policies_sha256: String,
        blocked_keys: Option<Lists>,
        present: Vec<String>,
        authority: Vec<WrittenAuthority>,
    },
    /// One root vouches for another.
    Cross {
        root: Input,
        root_key_id: String,
        published_as: String,
        certified: Input,
        not_before: String,
        not_after: String,
        path_length: u8,
        base_url: String,
        policies: PathBuf,
        policies_sha256: String,
        blocked_keys: Option<Lists>,
        present: Vec<String>,
    },
    RootCrl {
        root: Input,
        root_key_id: String,
        prepared: Input,
        number: u64,
        present: Vec<String>,
    },
}

/// What a ceremony is called that founds a hierarchy.
pub const HIERARCHY: &str = "hierarchy";

pub struct Hierarchy {
    pub name: String,
    pub dates: Dates,
    pub path_length: u8,
    pub base_url: String,
    pub policies: PathBuf,
    pub policies_sha256: String,
    pub authorities: Vec<Beneath>,
}

/// An issuing authority of a hierarchy.
pub struct Beneath {
    /// As addresses and files name it.
    pub id: String,
    pub name: String,
    pub request: Vec<u8>,
    pub dates: Dates,
    pub path_length: u8,
    pub mail_domains: Vec<HostName>,
}

/// What is to be done, read whole. People's names are not kept.
pub enum Act {
    /// Certify an issuing authority for the key of a request.
    Issuing { published_as: String, request: Vec<u8>, name: String, not_before: OffsetDateTime, not_after: OffsetDateTime, path_length: u8, mail_domains: Vec<HostName>, base_url: String, policies: PathBuf, policies_sha256: String },
    /// Make the next root after the one of this certificate, for a key that is born.
    Root { succeeds: Vec<u8>, published_as: String, base_url: String, name: String, dates: Dates, path_length: u8, policies: PathBuf, policies_sha256: String },
    /// Make a root, for a key that is born, and have it sign the authorities beneath it and its first list.
    Hierarchy(Hierarchy),
    /// Certify another root's key, DER; the root's addresses call it as said.
    Cross { certified: Vec<u8>, published_as: String, dates: Dates, path_length: u8, base_url: String, policies: PathBuf, policies_sha256: String },
    /// Sign the root's next list.
    RootCrl { prepared: Vec<u8>, number: u64 },
}

impl Act {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Issuing { .. } => "issuing",
            Self::Root { .. } => "root",
            Self::Hierarchy(_) => HIERARCHY,
            Self::Cross { .. } => "cross",
            Self::RootCrl { .. } => "root-crl",
        }
    }
}

/// A root and its key, as the file names them.
pub struct Named {
    /// DER.
    pub certificate: Vec<u8>,
    /// Lower-case hexadecimal.
    pub key_id: String,
}

pub struct Ceremony {
    pub act: Act,
    /// Whose key signs; none where it is born.
    pub root: Option<Named>,
    pub people: usize,
    /// Where the lists of refused keys are, and the digest over them.
    pub blocked_keys: Option<(PathBuf, String)>,
    /// Of the reviewed file itself.
    pub sha256: String,
    /// Each input that was read, by what it is and its digest.
    pub inputs: Vec<(String, String)>,
}

/// The reviewed file, when it is that, with its inputs; paths in it are relative to it.
pub fn read(path: &Path, reviewed: &str) -> Result<Ceremony, FileError> {
    let bytes = bounded(path, LONGEST)?;
    let sha256 = crate::sha256_hex(&bytes);
    if plain(reviewed) != sha256 {
        return Err(FileError::NotReviewed { found: sha256 });
    }
    let text = String::from_utf8(bytes).map_err(|_| FileError::Form("it is not text".into()))?;
    let written: Written = toml::from_str(&text).map_err(|error| FileError::Form(error.message().to_owned()))?;
    let base = path.parent().unwrap_or(Path::new("."));
    match written {
        Written::Issuing { root, root_key_id, published_as, request, name, not_before, not_after, path_length, mail_domains, base_url, policies, policies_sha256, blocked_keys, present } => {
            let (root, root_sha256) = input(base, &root)?;
            let (request, request_sha256) = input(base, &request)?;
            let (policies_sha256, blocked_keys) = (plain(&policies_sha256), lists(base, blocked_keys));
            let inputs = inputs([("root", root_sha256), ("request", request_sha256), ("policies", policies_sha256.clone())], blocked_keys.as_ref());
            let (not_before, not_after) = (instant(&not_before)?, instant(&not_after)?);
            named_as(&published_as)?;
            let act = Act::Issuing { published_as, request, name, not_before, not_after, path_length, mail_domains: domains(&mail_domains)?, base_url, policies: base.join(policies), policies_sha256 };
            Ok(Ceremony { act, root: Some(named(root, &root_key_id)?), people: people(&present)?, blocked_keys, sha256, inputs })
        }
        Written::Root { succeeds, published_as, base_url, name, not_before, not_after, path_length, policies, policies_sha256, present } => {
            let policies_sha256 = plain(&policies_sha256);
            let (succeeds, succeeds_sha256) = input(base, &succeeds)?;
            let inputs = inputs([("succeeds", succeeds_sha256), ("policies", policies_sha256.clone())], None);
            let dates = Dates { from: instant(&not_before)?, until: instant(&not_after)? };
            if !is_id(&published_as) || published_as == ROOT {
                return Err(FileError::Form("published_as of a root's next generation is its own name, such as root-2".into()));
            }
            let act = Act::Root { succeeds: certificate(succeeds)?, published_as, base_url, name, dates, path_length, policies: base.join(policies), policies_sha256 };
            Ok(Ceremony { act, root: None, people: people(&present)?, blocked_keys: None, sha256, inputs })
        }
        Written::Hierarchy { name, not_before, not_after, path_length, base_url, policies, policies_sha256, blocked_keys, present, authority } => {
            let (policies_sha256, blocked_keys) = (plain(&policies_sha256), lists(base, blocked_keys));
            let mut inputs = inputs([("policies", policies_sha256.clone())], blocked_keys.as_ref());
            let mut authorities = Vec::new();
            for one in authority {
                let (beneath, sha256) = beneath(base, one)?;
                if authorities.iter().any(|other: &Beneath| other.id == beneath.id) {
                    return Err(FileError::Form(format!("the authority {} is named twice", beneath.id)));
                }
                inputs.push((requested(&beneath.id), sha256));
                authorities.push(beneath);
            }
            if authorities.is_empty() || authorities.len() > MOST_AUTHORITIES {
                return Err(FileError::Form(format!("a hierarchy has one [[authority]] to {MOST_AUTHORITIES}")));
            }
            let dates = Dates { from: instant(&not_before)?, until: instant(&not_after)? };
            let act = Act::Hierarchy(Hierarchy { name, dates, path_length, base_url, policies: base.join(policies), policies_sha256, authorities });
            Ok(Ceremony { act, root: None, people: people(&present)?, blocked_keys, sha256, inputs })
        }
        Written::Cross { root, root_key_id, published_as, certified, not_before, not_after, path_length, base_url, policies, policies_sha256, blocked_keys, present } => {
            let (root, root_sha256) = input(base, &root)?;
            let (certified, certified_sha256) = input(base, &certified)?;
            let (policies_sha256, blocked_keys) = (plain(&policies_sha256), lists(base, blocked_keys));
            let inputs = inputs([("root", root_sha256), ("certified", certified_sha256), ("policies", policies_sha256.clone())], blocked_keys.as_ref());
            let dates = Dates { from: instant(&not_before)?, until: instant(&not_after)? };
            named_as(&published_as)?;
            let act = Act::Cross { certified: certificate(certified)?, published_as, dates, path_length, base_url, policies: base.join(policies), policies_sha256 };
            Ok(Ceremony { act, root: Some(named(root, &root_key_id)?), people: people(&present)?, blocked_keys, sha256, inputs })
        }
        Written::RootCrl { root, root_key_id, prepared, number, present } => {
            let (root, root_sha256) = input(base, &root)?;
            let (prepared, prepared_sha256) = input(base, &prepared)?;
            let inputs = inputs([("root", root_sha256), ("prepared", prepared_sha256)], None);
            let act = Act::RootCrl { prepared, number };
            Ok(Ceremony { act, root: Some(named(root, &root_key_id)?), people: people(&present)?, blocked_keys: None, sha256, inputs })
        }
    }
}

/// What a transcript calls the request of an authority.
pub fn requested(id: &str) -> String {
    format!("request of {id}")
}

fn beneath(base: &Path, written: WrittenAuthority) -> Result<(Beneath, String), FileError> {
    let WrittenAuthority { id, name, request, not_before, not_after, path_length, mail_domains } = written;
    if !is_id(&id) || id == ROOT {
        return Err(FileError::Form("the id of an authority is one such as enterprise-ca".into()));
    }
    let (request, sha256) = input(base, &request)?;
    let dates = Dates { from: instant(&not_before)?, until: instant(&not_after)? };
    Ok((Beneath { id, name, request, dates, path_length, mail_domains: domains(&mail_domains)? }, sha256))
}

fn first_root() -> String {
    ROOT.to_owned()
}

fn named_as(published_as: &str) -> Result<(), FileError> {
    if is_id(published_as) { Ok(()) } else { Err(FileError::Form("published_as is no authority's name, such as root".into())) }
}

/// What names an authority in addresses and files.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn lists(base: &Path, lists: Option<Lists>) -> Option<(PathBuf, String)> {
    lists.map(|lists| (base.join(lists.directory), plain(&lists.sha256)))
}

fn inputs<const N: usize>(known: [(&str, String); N], blocked_keys: Option<&(PathBuf, String)>) -> Vec<(String, String)> {
    let lists = blocked_keys.map(|(_, sha256)| ("blocked-keys", sha256.clone()));
    known.into_iter().chain(lists).map(|(what, sha256)| (what.to_owned(), sha256)).collect()
}

fn domains(texts: &[String]) -> Result<Vec<HostName>, FileError> {
    mail_domains(texts).map_err(|_| FileError::Form(format!("mail_domains are at most {MOST_MAIL_DOMAINS} host names, such as mail.example.cn")))
}

fn named(root: Vec<u8>, key_id: &str) -> Result<Named, FileError> {
    Ok(Named { certificate: certificate(root)?, key_id: plain(key_id) })
}

/// Digits as people write and read them out: with colons or spaces, in capitals.
pub fn plain(digits: &str) -> String {
    digits.chars().filter(|c| !matches!(c, ':' | ' ' | '\n' | '\r')).map(|c| c.to_ascii_lowercase()).collect()
}

fn people(present: &[String]) -> Result<usize, FileError> {
    let names: std::collections::BTreeSet<&str> = present.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if names.len() < FEWEST { Err(FileError::Present { count: names.len() }) } else { Ok(names.len()) }
}

fn instant(text: &str) -> Result<OffsetDateTime, FileError> {
    let read = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|at| at.nanosecond() == 0);
    read.ok_or_else(|| FileError::Form(format!("{text:?} is no date; write it like 2026-12-01T00:00:00Z")))
}

fn input(base: &Path, input: &Input) -> Result<(Vec<u8>, String), FileError> {
    let path = base.join(&input.file);
    let bytes = bounded(&path, INPUT_LONGEST)?;
    let found = crate::sha256_hex(&bytes);
    if plain(&input.sha256) == found { Ok((bytes, found)) } else { Err(FileError::OtherInput { path, found }) }
}

/// One certificate, PEM or DER.
pub fn certificate(bytes: Vec<u8>) -> Result<Vec<u8>, FileError> {
    if bytes.first() == Some(&0x30) {
        return Ok(bytes);
    }
    let found = pem::parse(&bytes).ok().filter(|pem| pem.tag() == "CERTIFICATE");
    found.map(pem::Pem::into_contents).ok_or_else(|| FileError::Form("the root's certificate is none".into()))
}

pub fn bounded(path: &Path, longest: u64) -> Result<Vec<u8>, FileError> {
    let failed = |reason: String| FileError::File { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(longest + 1).read_to_end(&mut bytes)).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > longest { Err(failed("it is too long".into())) } else { Ok(bytes) }
}
