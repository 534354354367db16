//! Who a mailbox is opened for: words as they were typed, parsed once.

use std::fmt;

use policies::certificate::{OrganizationName, WordError};
use policies::identity::{CreditCode, Document, DocumentError, NameError, NumberError, PersonName};
use policies::mailbox::{Alias, AliasError, MailboxPolicy};
use serde::{Deserialize, Serialize};
use time::Date;

/// The most names of its own that one mailbox has.
pub(super) const MAX_ALIASES: usize = policies::mailbox::MAX_ALIASES as usize;

/// An application as it was typed. `Debug` tells nothing of it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// The type of document, 01 to 07 or 99, and its number: a citizen.
    pub id_type: Option<String>,
    pub id_no: Option<String>,
    /// Of the citizen or the institution.
    pub name: Option<String>,
    /// The credit code: an institution.
    pub code: Option<String>,
    pub aliases: Vec<String>,
    /// The operator's own institution may have the names that are kept for the operator, such as `postmaster`.
    pub operator: bool,
}

impl fmt::Debug for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Words(..)")
    }
}

/// Everyone alike: nothing here asks where a person comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Applicant {
    Citizen { document: Document, name: PersonName, aliases: Vec<Alias> },
    Institution { code: CreditCode, name: OrganizationName, aliases: Vec<Alias> },
}

impl fmt::Debug for Applicant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Citizen { .. } => "Applicant(citizen)",
            Self::Institution { .. } => "Applicant(institution)",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicantError {
    #[error("the applicant is not told; give either a document's type and number, or a credit code, and a name")]
    Incomplete,
    #[error("a citizen has no credit code, and a name beside the number is chosen by itself; give either a document or a credit code")]
    Mixed,
    #[error("document: {0}")]
    Document(#[from] DocumentError),
    #[error("name: {0}")]
    Name(#[from] NameError),
    #[error("name: {0}")]
    OrganizationName(#[from] WordError),
    #[error("credit code: {0}")]
    CreditCode(NumberError),
    #[error("alias: {0}")]
    Alias(#[from] AliasError),
    #[error("there are more than {MAX_ALIASES} aliases; give fewer")]
    Aliases,
    #[error("there are more aliases than the {most} that a citizen may have; give fewer, or look at [citizens] in policies/mailbox/aliases.toml")]
    CitizenAliases { most: usize },
}

impl Applicant {
    pub fn parse(words: &Words, policy: &MailboxPolicy, today: Date) -> Result<Self, ApplicantError> {
        let name = words.name.as_deref().ok_or(ApplicantError::Incomplete)?;
        match (&words.id_type, &words.id_no, &words.code) {
            (Some(_), Some(_), Some(_)) => Err(ApplicantError::Mixed),
            (Some(_), Some(_), None) if words.operator => Err(ApplicantError::Mixed),
            (Some(kind), Some(number), None) => {
                let most = policy.citizen_aliases();
                if words.aliases.len() > most {
                    return Err(ApplicantError::CitizenAliases { most });
                }
                let document = Document::parse(kind, number, today)?;
                let aliases = aliases(words, policy)?;
                aliases.iter().try_for_each(|alias| policy.grant_citizen(alias))?;
                Ok(Self::Citizen { document, name: PersonName::parse(name)?, aliases })
            }
            (None, None, Some(code)) => {
                if words.aliases.len() > MAX_ALIASES {
                    return Err(ApplicantError::Aliases);
                }
                let code = CreditCode::parse(code).map_err(ApplicantError::CreditCode)?;
                Ok(Self::Institution { code, name: OrganizationName::parse(name)?, aliases: aliases(words, policy)? })
            }
            _ => Err(ApplicantError::Incomplete),
        }
    }
}

/// Each once. The operator's own institution may have those that are kept for it.
fn aliases(words: &Words, policy: &MailboxPolicy) -> Result<Vec<Alias>, AliasError> {
    let mut aliases = Vec::with_capacity(words.aliases.len());
    for text in &words.aliases {
        let alias = if words.operator { Alias::parse_new(text)? } else { policy.grant_alias(text)? };
        if !aliases.contains(&alias) {
            aliases.push(alias);
        }
    }
    Ok(aliases)
}
