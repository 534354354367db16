//! Certificate profiles: what each certificate is and who may have it.

mod applicant;
mod arc;
mod decide;
mod profile;
mod resolved;
mod sense;
mod shipped;
mod vocabulary;

pub use applicant::{
    Applicant, AuthorityName, Email, HostName, HostNames, MAX_HOST_NAMES, OfficerName, OfficerNumber, OrganizationName, Pseudonym, WordError,
};
pub use arc::{Arc, DOCUMENTATION_ARC};
pub(crate) use arc::WrittenPolicy;
pub use decide::{GrantedName, IssuerFacts, Plan, Refusal, RequestFacts, RequestedName};
pub use profile::{BasicConstraints, Pointers, Profile};
pub use shipped::SHIPPED;
pub use vocabulary::{
    ApplicantKind, Attribute, BeyondIssuer, ExtendedKeyUsage, ForeignNames, Issuer, KeyAlgorithm, KeyUsage, Kind, NameKind, Presence, Source,
};

use std::collections::BTreeMap;

use crate::document::PolicyError;

/// The most profiles that one authority keeps.
pub const MAX_PROFILES: usize = 64;

/// The document that holds the arc.
const ARC_FILE: &str = "arc.toml";

/// All profiles of an authority, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    arc: Arc,
    profiles: BTreeMap<String, Profile>,
}

impl Policies {
    /// Reads every document of `certificates/`: pairs of file name and text, `arc.toml` among them.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let (arcs, rest): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(file, _)| file.rsplit('/').next() == Some(ARC_FILE));
        let whole = |file: &str, reason: &str| PolicyError { file: file.to_owned(), line: 1, reason: reason.to_owned() };
        let arc = match arcs.as_slice() {
            [(file, text)] => Arc::parse(file, text)?,
            [] => return Err(whole(ARC_FILE, "it is missing; write the operator's arc in it")),
            [_, (file, _), ..] => return Err(whole(file, "the arc is given twice; keep one")),
        };
        let mut profiles = BTreeMap::new();
        for (file, text) in rest {
            let profile = Profile::parse(file, text, arc)?;
            if profiles.len() == MAX_PROFILES {
                return Err(whole(file, "an authority keeps at most 64 profiles"));
            }
            if profiles.insert(profile.name().to_owned(), profile).is_some() {
                return Err(whole(file, "another document describes a profile of this name"));
            }
        }
        Ok(Self { arc, profiles })
    }

    pub fn arc(&self) -> Arc {
        self.arc
    }

    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// In the order of their names.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }
}
