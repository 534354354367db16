//! The policy documents as texts: read from a directory, from a proposal or from the store, each by its place below
//! `policies/`; judged together, since they speak of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use policies::PRACTICE_STATEMENT;
use policies::authority::{self, Rules};
use policies::certificate::{Policies, SHIPPED};
use serde::{Deserialize, Serialize};

use crate::init::{InitError, file_error, write};

/// What certificates name at `/cps`.
pub const STATEMENT_FILE: &str = "practice-statement.md";
pub(crate) const CERTIFICATES: &str = "certificates/";
const AUTHORITY: &str = "authority/";
/// The longest document, and how much all have together.
const DOCUMENT_LIMIT: u64 = 256 * 1024;
pub const WHOLE_LIMIT: usize = 2 << 20;
/// Documents of one kind: as many as there may be profiles, and the arc.
const MOST: usize = policies::certificate::MAX_PROFILES + 1;
const NAME_LONGEST: usize = 64;

/// What the digest begins with.
const DIGEST_FORM: &[u8] = b"suiyin policies 2\n";

/// Documents by their places: `certificates/NAME.toml`, `authority/NAME.toml` and the practice statement. Bounded, and
/// not judged yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Documents(BTreeMap<String, String>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentsError {
    #[error("{place:?} is no place of a policy; write certificates/NAME.toml, authority/NAME.toml or {STATEMENT_FILE}")]
    Place { place: String },
    #[error("{place} has more than 256 KiB; write less")]
    Long { place: String },
    #[error("there are at most 64 policies and the arc, and 2 MiB of documents; take some away")]
    Many,
}

impl TryFrom<BTreeMap<String, String>> for Documents {
    type Error = DocumentsError;

    fn try_from(documents: BTreeMap<String, String>) -> Result<Self, DocumentsError> {
        for (place, text) in &documents {
            if !is_place(place) {
                return Err(DocumentsError::Place { place: place.chars().take(NAME_LONGEST).collect() });
            }
            if text.len() as u64 > DOCUMENT_LIMIT {
                return Err(DocumentsError::Long { place: place.clone() });
            }
        }
        let of = |kind: &str| documents.keys().filter(|place| place.starts_with(kind)).count();
        let whole: usize = documents.values().map(String::len).sum();
        if of(CERTIFICATES) > MOST || of(AUTHORITY) > MOST || whole > WHOLE_LIMIT { Err(DocumentsError::Many) } else { Ok(Self(documents)) }
    }
}

impl From<Documents> for BTreeMap<String, String> {
    fn from(documents: Documents) -> Self {
        documents.0
    }
}

fn is_place(place: &str) -> bool {
    let name = [CERTIFICATES, AUTHORITY].into_iter().find_map(|kind| place.strip_prefix(kind));
    let fits = |name: &str| name.len() <= NAME_LONGEST && name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    place == STATEMENT_FILE || name.is_some_and(|name| name.ends_with(".toml") && fits(name))
}

/// The policies as documents say them, and one digest over all their texts.
#[derive(Clone, Debug)]
pub struct ReadPolicies {
    pub certificates: Policies,
    pub rules: Rules,
    /// Markdown, as it is served.
    pub practice_statement: String,
    pub digest: String,
}

/// A matter that an older version knew nothing of: its document of `authority/`, and the profile that goes with it.
const BROUGHT_WITH: [(&str, &str); 3] = [("timestamp.toml", "timestamp.toml"), ("citizens.toml", "citizen.toml"), ("citizens.toml", "registrar.toml")];

impl Documents {
    /// As they come with the program.
    pub fn shipped() -> Self {
        let of = |kind: &'static str, documents: &'static [(&str, &str)]| documents.iter().map(move |(name, text)| (format!("{kind}{name}"), (*text).to_owned()));
        let statement = (STATEMENT_FILE.to_owned(), PRACTICE_STATEMENT.to_owned());
        Self(of(CERTIFICATES, &SHIPPED).chain(of(AUTHORITY, &authority::SHIPPED)).chain([statement]).collect())
    }

    /// As they stand in a directory; a practice statement that is not there is missed when they are judged.
    pub fn read(directory: &Path) -> Result<Self, InitError> {
        let mut documents = BTreeMap::new();
        for kind in [CERTIFICATES, AUTHORITY] {
            let below = directory.join(kind);
            for entry in fs::read_dir(&below).map_err(|error| file_error(&below, &error))? {
                let found = entry.map_err(|error| file_error(&below, &error))?.path();
                if found.extension().is_some_and(|extension| extension == "toml") {
                    if documents.len() > 2 * MOST {
                        return Err(InitError::Documents(DocumentsError::Many));
                    }
                    documents.insert(format!("{kind}{}", found.file_name().unwrap_or_default().to_string_lossy()), text_of(&found)?);
                }
            }
        }
        documents.insert(STATEMENT_FILE.to_owned(), text_of(&directory.join(STATEMENT_FILE))?);
        Ok(Self::try_from(documents)?)
    }

    pub fn get(&self, place: &str) -> Option<&str> {
        self.0.get(place).map(String::as_str)
    }

    /// Names what they are, octet for octet, each with its whole place: the same text as a profile and as a rule of the
    /// authority is not the same.
    pub fn digest(&self) -> String {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(DIGEST_FORM);
        for (place, text) in &self.0 {
            for part in [place, text] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part.as_bytes());
            }
        }
        crate::hex(context.finish().as_ref())
    }

    /// Whether a digest names these: of the present form, or of the one before it, by which older records and proofs name
    /// documents.
    pub(crate) fn are(&self, sha256: &str) -> bool {
        self.digest() == sha256 || self.digest_before() == sha256
    }

    /// It did not tell a profile from a rule of the authority.
    fn digest_before(&self) -> String {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for (name, text) in self.of(CERTIFICATES).chain(self.of(AUTHORITY)).chain(self.get(STATEMENT_FILE).map(|text| (STATEMENT_FILE, text))) {
            for part in [name, text] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part.as_bytes());
            }
        }
        crate::hex(context.finish().as_ref())
    }

    /// Octets of all texts.
    pub fn octets(&self) -> u64 {
        self.0.values().map(|text| text.len() as u64).sum()
    }

    /// What they mean, if they make sense.
    pub fn judge(&self) -> Result<ReadPolicies, policies::PolicyError> {
        let missing = || policies::PolicyError { file: STATEMENT_FILE.to_owned(), line: 1, reason: "it is missing; begin with the one that comes with the program".to_owned() };
        Ok(ReadPolicies {
            certificates: Policies::parse(self.of(CERTIFICATES))?,
            rules: Rules::parse(self.of(AUTHORITY))?,
            practice_statement: self.get(STATEMENT_FILE).ok_or_else(missing)?.to_owned(),
            digest: self.digest(),
        })
    }

    fn of(&self, kind: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(place, text)| Some((place.strip_prefix(kind)?, text.as_str())))
    }

    /// Documents of an older version get those that it knew nothing of, as they are shipped, and no other is touched. A
    /// profile comes together with the document of its matter: one that the operator took away later stays away.
    pub(crate) fn bring_new(&mut self) -> Vec<String> {
        let mut brought = Vec::new();
        for (file, text) in authority::SHIPPED {
            let matter = format!("{AUTHORITY}{file}");
            if self.0.contains_key(&matter) {
                continue;
            }
            let profiles = BROUGHT_WITH.iter().filter(|(of, _)| *of == file).filter_map(|(_, profile)| SHIPPED.iter().find(|(name, _)| name == profile));
            for (place, text) in profiles.map(|(profile, text)| (format!("{CERTIFICATES}{profile}"), *text)).chain([(matter, text)]) {
                if !self.0.contains_key(&place) {
                    self.0.insert(place.clone(), text.to_owned());
                    brought.push(place);
                }
            }
        }
        brought
    }

    /// The places at which two differ.
    pub fn differing<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        self.0.keys().chain(other.0.keys()).map(String::as_str).filter(|place| self.get(place) != other.get(place)).collect()
    }

    /// Makes a directory that has `before` have these instead; a profile before its matter and the statement last.
    pub(crate) fn write_over(&self, directory: &Path, before: &Self) -> Result<(), InitError> {
        for (place, text) in self.0.iter().rev().filter(|(place, text)| before.get(place) != Some(text)) {
            write(&directory.join(place), text.as_bytes())?;
        }
        for place in before.0.keys().filter(|place| !self.0.contains_key(*place)) {
            let path = directory.join(place);
            fs::remove_file(&path).map_err(|error| file_error(&path, &error))?;
        }
        Ok(())
    }
}

fn text_of(path: &Path) -> Result<String, InitError> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(DOCUMENT_LIMIT + 1).read_to_string(&mut text));
    read.map_err(|error| file_error(path, &error))?;
    if text.len() as u64 > DOCUMENT_LIMIT {
        return Err(InitError::File { path: path.to_owned(), reason: "a policy has at most 256 KiB".into() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_places_of_policies_are_taken_and_no_more_than_there_can_be() {
        let with = |place: &str, text: String| Documents::try_from(BTreeMap::from([(place.to_owned(), text)]));
        for good in ["certificates/a.toml", "authority/crl.toml", "practice-statement.md"] {
            assert!(with(good, String::new()).is_ok(), "{good}");
        }
        for bad in ["", "a.toml", "certificates/../a.toml", "certificates/.toml", "certificates/a/b.toml", "authority/a.txt", "/etc/passwd", "certificates/a\n.toml"] {
            assert!(matches!(with(bad, String::new()), Err(DocumentsError::Place { .. })), "{bad}");
        }
        assert!(matches!(with(STATEMENT_FILE, "x".repeat(256 * 1024 + 1)), Err(DocumentsError::Long { .. })));
        let many: BTreeMap<_, _> = (0..66).map(|number| (format!("certificates/p{number}.toml"), String::new())).collect();
        assert_eq!(Documents::try_from(many), Err(DocumentsError::Many));
    }

    #[test]
    fn a_digest_names_the_whole_place_of_each_document() {
        let of = |places: [&str; 2]| Documents::try_from(places.map(|place| (place.to_owned(), "x".to_owned())).into_iter().collect::<BTreeMap<_, _>>()).unwrap();
        let (rules, profiles) = (of(["certificates/a.toml", "authority/b.toml"]), of(["certificates/a.toml", "certificates/b.toml"]));
        assert_eq!(rules.digest_before(), profiles.digest_before());
        assert_ne!(rules.digest(), profiles.digest());
        assert!(rules.are(&rules.digest()) && rules.are(&rules.digest_before()) && !rules.are(&profiles.digest()));
        // The length of each part is a part of it.
        let one = |place: &str, text: &str| Documents::try_from(BTreeMap::from([(place.to_owned(), text.to_owned())])).unwrap().digest();
        assert_ne!(one("authority/a.toml", "b"), one("authority/a.tomlb.toml", ""));
    }

    #[test]
    fn what_is_written_over_is_what_is_read_again() {
        let place = tempfile::tempdir().unwrap();
        let (before, mut after) = (Documents::shipped(), Documents::shipped());
        before.write_over(place.path(), &Documents::default()).unwrap();
        assert_eq!(Documents::read(place.path()).unwrap(), before);
        after.0.remove("certificates/bureau-seal.toml");
        after.0.get_mut(STATEMENT_FILE).unwrap().push('\n');
        assert_eq!(before.differing(&after), BTreeSet::from(["certificates/bureau-seal.toml", STATEMENT_FILE]));
        after.write_over(place.path(), &before).unwrap();
        assert_eq!(Documents::read(place.path()).unwrap(), after);
        assert_ne!(before.digest(), after.digest());
    }
}
