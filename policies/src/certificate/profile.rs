//! A certificate profile, read from its document and checked for sense.

use const_oid::ObjectIdentifier;
use serde::Deserialize;
use toml::Spanned;

use super::arc::{Arc, WrittenPolicy};
use super::vocabulary::{
    ApplicantKind, Attribute, BeyondIssuer, ExtendedKeyUsage, ForeignNames, Issuer, KeyAlgorithm, KeyUsage, Kind, NameKind, Presence,
    Source,
};
use crate::document::{PolicyError, read};

/// What a certificate of this profile is and who may have it. Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(super) name: String,
    pub(super) purpose: String,
    pub(super) kind: Kind,
    pub(super) issuers: Vec<Issuer>,
    pub(super) applicant: ApplicantKind,
    /// Officers who must approve before the certificate is made: 0, 1 or 2.
    pub(super) approvals: u8,
    pub(super) bulk: bool,
    pub(super) keys: Vec<KeyAlgorithm>,
    pub(super) subject: Vec<(Attribute, Value)>,
    pub(super) on_foreign_names: ForeignNames,
    pub(super) validity: Validity,
    pub(super) key_usage: Vec<KeyUsage>,
    pub(super) extended_key_usage: Vec<ExtendedKeyUsage>,
    pub(super) extended_key_usage_critical: bool,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) policies: Vec<ObjectIdentifier>,
    pub(super) with_mailbox: WithMailbox,
    pub(super) cps_path: Option<String>,
    pub(super) alternative_names: AlternativeNames,
    pub(super) pointers: Pointers,
    pub(super) ocsp_no_check: bool,
    pub(super) credit_code_extension: bool,
}

/// Where the value of a subject attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Fixed(String),
    From(Source),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validity {
    pub(super) days: u16,
    /// The key signs only in the first so many days; as long as the certificate lives when absent.
    pub(super) private_key_days: Option<u16>,
    pub(super) backdate_minutes: u8,
    pub(super) beyond_issuer: BeyondIssuer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicConstraints {
    pub ca: bool,
    pub path_length: Option<u8>,
}

/// What a certificate carries besides when it has a mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WithMailbox {
    pub(super) extended_key_usage: Vec<ExtendedKeyUsage>,
    pub(super) policies: Vec<ObjectIdentifier>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlternativeNames {
    pub(super) email: Presence,
    pub(super) dns: Presence,
    pub(super) ip: Presence,
}

impl Default for AlternativeNames {
    fn default() -> Self {
        Self { email: Presence::Never, dns: Presence::Never, ip: Presence::Never }
    }
}

impl AlternativeNames {
    pub(super) fn of(&self, kind: NameKind) -> Presence {
        match kind {
            NameKind::Email => self.email,
            NameKind::Dns => self.dns,
            NameKind::Ip => self.ip,
        }
    }
}

/// Which addresses of the issuer the certificate carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointers {
    pub ocsp: bool,
    pub issuer_certificate: bool,
    pub crl: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) name: Spanned<String>,
    pub(super) purpose: Spanned<String>,
    pub(super) kind: Kind,
    pub(super) issuers: Spanned<Vec<Issuer>>,
    pub(super) applicant: ApplicantKind,
    pub(super) approvals: Spanned<u8>,
    pub(super) bulk: Spanned<bool>,
    pub(super) keys: Spanned<Vec<KeyAlgorithm>>,
    pub(super) subject: Spanned<Vec<SubjectLine>>,
    pub(super) on_foreign_names: ForeignNames,
    pub(super) validity: Spanned<Validity>,
    pub(super) key_usage: Spanned<Vec<KeyUsage>>,
    #[serde(default)]
    pub(super) extended_key_usage: Vec<ExtendedKeyUsage>,
    #[serde(default)]
    pub(super) extended_key_usage_critical: bool,
    pub(super) basic_constraints: Option<Spanned<BasicConstraints>>,
    #[serde(default)]
    policies: Vec<Spanned<WrittenPolicy>>,
    pub(super) with_mailbox: Option<Spanned<MailboxLine>>,
    pub(super) cps_path: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) alternative_names: AlternativeNames,
    pub(super) pointers: Spanned<Pointers>,
    #[serde(default)]
    pub(super) ocsp_no_check: bool,
    #[serde(default)]
    pub(super) credit_code_extension: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectLine {
    pub(super) attribute: Attribute,
    pub(super) fixed: Option<String>,
    pub(super) from: Option<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxLine {
    #[serde(default)]
    pub(super) extended_key_usage: Vec<ExtendedKeyUsage>,
    #[serde(default)]
    policies: Vec<Spanned<WrittenPolicy>>,
}

impl Profile {
    /// Reads a profile. `file` is the document's name, `text` its TOML; `arc` the operator's arc.
    pub fn parse(file: &str, text: &str, arc: Arc) -> Result<Self, PolicyError> {
        let document: Document = read(file, text)?;
        document.check(file, text)?;
        let resolve = |written: &[Spanned<WrittenPolicy>]| -> Result<Vec<ObjectIdentifier>, PolicyError> {
            let one = |policy: &Spanned<WrittenPolicy>| {
                let refused = || PolicyError::at(file, text, Some(policy.span()), "the policy identifier is too long; shorten the arc");
                policy.get_ref().resolve(arc).ok_or_else(refused)
            };
            written.iter().map(one).collect()
        };
        let with_mailbox = match &document.with_mailbox {
            Some(line) => WithMailbox {
                extended_key_usage: line.get_ref().extended_key_usage.clone(),
                policies: resolve(&line.get_ref().policies)?,
            },
            None => WithMailbox::default(),
        };
        let value = |line: SubjectLine| {
            let value = line.fixed.map(Value::Fixed).or(line.from.map(Value::From))?;
            Some((line.attribute, value))
        };
        Ok(Self {
            policies: resolve(&document.policies)?,
            with_mailbox,
            subject: document.subject.into_inner().into_iter().filter_map(value).collect(),
            name: document.name.into_inner(),
            purpose: document.purpose.into_inner(),
            kind: document.kind,
            issuers: document.issuers.into_inner(),
            applicant: document.applicant,
            approvals: document.approvals.into_inner(),
            bulk: document.bulk.into_inner(),
            keys: document.keys.into_inner(),
            on_foreign_names: document.on_foreign_names,
            validity: document.validity.into_inner(),
            key_usage: document.key_usage.into_inner(),
            extended_key_usage: document.extended_key_usage,
            extended_key_usage_critical: document.extended_key_usage_critical,
            basic_constraints: document.basic_constraints.map(Spanned::into_inner),
            cps_path: document.cps_path.map(Spanned::into_inner),
            alternative_names: document.alternative_names,
            pointers: document.pointers.into_inner(),
            ocsp_no_check: document.ocsp_no_check,
            credit_code_extension: document.credit_code_extension,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line of English.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The authorities that may sign it; none for a root.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    pub fn applicant(&self) -> ApplicantKind {
        self.applicant
    }

    pub fn keys(&self) -> &[KeyAlgorithm] {
        &self.keys
    }

    /// Officers who must approve: 0, 1 or 2.
    pub fn approvals(&self) -> u8 {
        self.approvals
    }

    /// The policies that every certificate of it names.
    pub fn policies(&self) -> &[ObjectIdentifier] {
        &self.policies
    }

    /// How long a certificate lives at most.
    pub fn days(&self) -> u16 {
        self.validity.days
    }

    /// Days in which the key signs, where that is not as long as the certificate lives.
    pub fn private_key_days(&self) -> Option<u16> {
        self.validity.private_key_days
    }

    /// Whether many may be issued in one job.
    pub fn bulk(&self) -> bool {
        self.bulk
    }

    /// Whether a certificate of `issuer` with these policies and purposes can be one of this profile, with a mailbox or
    /// without.
    pub fn made(&self, issuer: Issuer, policies: &[ObjectIdentifier], extended_key_usage: &[ObjectIdentifier]) -> bool {
        let usage = |usages: &[ExtendedKeyUsage]| usages.iter().map(|usage| usage.oid()).collect::<Vec<_>>();
        let is = |found: &[ObjectIdentifier], always: &[ObjectIdentifier], mailbox: &[ObjectIdentifier]| found == always || found == [always, mailbox].concat();
        self.issuers.contains(&issuer)
            && is(policies, &self.policies, &self.with_mailbox.policies)
            && is(extended_key_usage, &usage(&self.extended_key_usage), &usage(&self.with_mailbox.extended_key_usage))
    }
}
