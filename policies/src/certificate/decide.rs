//! The decision: what the certificate will be, or why there is none. Pure: the same answer tomorrow.

use std::net::IpAddr;

use const_oid::ObjectIdentifier;
use time::{Duration, OffsetDateTime};

use super::applicant::{Applicant, Email, HostName};
use super::profile::{BasicConstraints, Pointers, Profile, Value};
use super::vocabulary::{
    ApplicantKind, Attribute, BeyondIssuer, ForeignNames, Issuer, KeyAlgorithm, KeyUsage, Kind, NameKind, Presence,
};

/// What the request says. The names are compared and never copied.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// Judged by the public key alone; possession was proved by the request's signature.
    pub key: KeyAlgorithm,
    /// Attribute types and values in the request's order.
    pub subject: &'a [(ObjectIdentifier, String)],
    pub alternative_names: &'a [RequestedName],
    /// The request asks for basicConstraints with CA:TRUE.
    pub asks_for_ca: bool,
}

/// A name that the request asks to stand in the subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedName {
    Email(String),
    Dns(String),
    Ip(IpAddr),
    /// A kind that no profile grants: a directory name, a URI, another name.
    Other,
}

/// The authority that would sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuerFacts {
    pub issuer: Issuer,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

/// A name that the certificate will carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedName {
    Email(Email),
    Dns(HostName),
    Ip(IpAddr),
}

/// The whole content of a certificate but for serial, keys and the addresses of its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub profile: String,
    pub kind: Kind,
    /// None when it signs itself.
    pub issuer: Option<Issuer>,
    pub approvals: u8,
    pub key: KeyAlgorithm,
    pub subject: Vec<(ObjectIdentifier, String)>,
    /// Whole seconds.
    pub not_before: OffsetDateTime,
    /// Whole seconds, inclusive.
    pub not_after: OffsetDateTime,
    /// The key signs until then, inclusive, where that is not for the whole time.
    pub private_key_until: Option<OffsetDateTime>,
    pub key_usage: Vec<KeyUsage>,
    pub extended_key_usage: Vec<ObjectIdentifier>,
    pub extended_key_usage_critical: bool,
    pub basic_constraints: Option<BasicConstraints>,
    pub policies: Vec<ObjectIdentifier>,
    /// Below the public address.
    pub cps_path: Option<String>,
    pub alternative_names: Vec<GrantedName>,
    /// Of an issuing authority whose founder bound it: mail addresses of these domains alone, and no host. A profile does not
    /// know them; whoever founds an authority says them.
    pub mail_domains: Vec<HostName>,
    pub pointers: Pointers,
    pub ocsp_no_check: bool,
    /// The value of the national extension 1.2.156.10260.4.1.4.
    pub credit_code: Option<String>,
}

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("profile {profile} is for {expected} applicants, this is a {found}; choose another profile")]
    Applicant { profile: String, expected: ApplicantKind, found: ApplicantKind },
    #[error("profile {profile} allows keys of {allowed}, this one is {found}; make another key")]
    Key { profile: String, found: KeyAlgorithm, allowed: String },
    #[error("the request asks for CA:TRUE; make one without basicConstraints")]
    AsksForCa,
    #[error("the request's subject names somebody else in attribute {attribute}; make one with the applicant's name or with none")]
    ForeignName { attribute: ObjectIdentifier },
    #[error("the request asks for an alternative name of kind {kind} that is not the applicant's; make one without it")]
    ForeignAlternativeName { kind: &'static str },
    #[error("profile {profile} needs an alternative name of kind {kind}; give it with the application")]
    MissingName { profile: String, kind: NameKind },
    #[error("profile {profile} carries no alternative name of kind {kind}; leave it out of the application")]
    NameKind { profile: String, kind: NameKind },
    #[error("the applicant has nothing that fits in attribute {attribute} of profile {profile}")]
    Subject { profile: String, attribute: &'static str },
    #[error("profile {profile} is not signed by {found}; choose one of: {allowed}")]
    Issuer { profile: String, found: &'static str, allowed: String },
    #[error("the issuer's certificate ended at {not_after}; renew the issuer first")]
    IssuerEnded { not_after: OffsetDateTime },
    #[error("the issuer's certificate begins at {not_before}, after now; check the clock")]
    IssuerNotYet { not_before: OffsetDateTime },
    #[error("the issuer's certificate ends at {not_after}, before this one would; renew the issuer first")]
    IssuerEndsFirst { not_after: OffsetDateTime },
    #[error("the time now is not one that a certificate can carry; check the clock")]
    Clock,
}

impl Refusal {
    /// A stable word for logs and interfaces.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Applicant { .. } => "wrong-applicant",
            Self::Key { .. } => "key-not-allowed",
            Self::AsksForCa => "asks-for-ca",
            Self::ForeignName { .. } => "foreign-name",
            Self::ForeignAlternativeName { .. } => "foreign-alternative-name",
            Self::MissingName { .. } => "missing-name",
            Self::NameKind { .. } => "name-kind-not-allowed",
            Self::Subject { .. } => "subject-not-filled",
            Self::Issuer { .. } => "wrong-issuer",
            Self::IssuerEnded { .. } => "issuer-ended",
            Self::IssuerNotYet { .. } => "issuer-not-yet-valid",
            Self::IssuerEndsFirst { .. } => "issuer-ends-first",
            Self::Clock => "clock",
        }
    }
}

fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl Profile {
    /// Decides. `issuer` is none for a certificate that signs itself; `now` is the one clock's.
    pub fn decide(
        &self,
        applicant: &Applicant,
        request: &RequestFacts<'_>,
        issuer: Option<&IssuerFacts>,
        now: OffsetDateTime,
    ) -> Result<Plan, Refusal> {
        if applicant.kind() != self.applicant {
            return Err(Refusal::Applicant { profile: self.name.clone(), expected: self.applicant, found: applicant.kind() });
        }
        if !self.keys.contains(&request.key) {
            return Err(Refusal::Key { profile: self.name.clone(), found: request.key, allowed: listed(&self.keys) });
        }
        if request.asks_for_ca && self.kind == Kind::Leaf {
            return Err(Refusal::AsksForCa);
        }
        self.signed_by(issuer)?;
        let alternative_names = self.alternative_names(applicant)?;
        let subject = self.subject(applicant)?;
        if self.on_foreign_names == ForeignNames::Refuse {
            self.no_foreign_names(request, &subject, &alternative_names)?;
        }
        let (not_before, not_after) = self.validity(issuer, now)?;
        let mut extended_key_usage: Vec<_> = self.extended_key_usage.iter().map(|usage| usage.oid()).collect();
        let mut policies = self.policies.clone();
        if alternative_names.iter().any(|name| matches!(name, GrantedName::Email(_))) {
            extended_key_usage.extend(self.with_mailbox.extended_key_usage.iter().map(|usage| usage.oid()));
            policies.extend(&self.with_mailbox.policies);
        }
        let credit_code = match applicant {
            Applicant::Organization { code, .. } if self.credit_code_extension => Some(code.as_str().to_owned()),
            _ => None,
        };
        Ok(Plan {
            profile: self.name.clone(),
            kind: self.kind,
            issuer: issuer.map(|issuer| issuer.issuer),
            approvals: self.approvals,
            key: request.key,
            subject: subject.into_iter().map(|(attribute, value)| (attribute.oid(), value)).collect(),
            not_before,
            not_after,
            private_key_until: self.validity.private_key_days.map(|days| (not_before + Duration::days(days.into()) - Duration::SECOND).min(not_after)),
            key_usage: self.key_usage.clone(),
            extended_key_usage,
            extended_key_usage_critical: self.extended_key_usage_critical,
            basic_constraints: self.basic_constraints,
            policies,
            cps_path: self.cps_path.clone(),
            alternative_names,
            mail_domains: Vec::new(),
            pointers: self.pointers,
            ocsp_no_check: self.ocsp_no_check,
            credit_code,
        })
    }

    fn signed_by(&self, issuer: Option<&IssuerFacts>) -> Result<(), Refusal> {
        let fits = match issuer {
            Some(facts) => self.issuers.contains(&facts.issuer),
            None => self.kind == Kind::Root,
        };
        if fits {
            return Ok(());
        }
        let found = issuer.map_or("itself", |facts| facts.issuer.name());
        let allowed = if self.issuers.is_empty() { "itself".to_owned() } else { listed(&self.issuers) };
        Err(Refusal::Issuer { profile: self.name.clone(), found, allowed })
    }

    fn subject(&self, applicant: &Applicant) -> Result<Vec<(Attribute, String)>, Refusal> {
        let fill = |(attribute, value): &(Attribute, Value)| {
            let text = match value {
                Value::Fixed(text) => Some(text.clone()),
                Value::From(source) => applicant.fact(*source),
            };
            let text = text.filter(|text| text.chars().count() <= attribute.limit());
            let refused = || Refusal::Subject { profile: self.name.clone(), attribute: attribute.name() };
            text.map(|text| (*attribute, text)).ok_or_else(refused)
        };
        self.subject.iter().map(fill).collect()
    }

    fn alternative_names(&self, applicant: &Applicant) -> Result<Vec<GrantedName>, Refusal> {
        let mut names = Vec::new();
        let mut present = |kind, found: Vec<GrantedName>| match self.alternative_names.of(kind) {
            Presence::Required if found.is_empty() => Err(Refusal::MissingName { profile: self.name.clone(), kind }),
            // An organisation's mailbox is a fact of its record, not a wish: a profile without one leaves it out.
            Presence::Never if found.is_empty() || kind == NameKind::Email => Ok(()),
            Presence::Never => Err(Refusal::NameKind { profile: self.name.clone(), kind }),
            _ => {
                names.extend(found);
                Ok(())
            }
        };
        match applicant {
            Applicant::Organization { mailbox, .. } => {
                present(NameKind::Email, mailbox.iter().cloned().map(GrantedName::Email).collect())?;
            }
            Applicant::Citizen { mailbox, .. } => present(NameKind::Email, vec![GrantedName::Email(mailbox.clone())])?,
            Applicant::Host(host) => {
                present(NameKind::Dns, host.names().iter().cloned().map(GrantedName::Dns).collect())?;
                present(NameKind::Ip, host.addresses().iter().copied().map(GrantedName::Ip).collect())?;
            }
            Applicant::Officer { .. } | Applicant::Authority { .. } => {}
        }
        Ok(names)
    }

    /// A name is foreign when it stands where the applicant's own will stand and is another, or when it is
    /// an alternative name that is not granted. Other attributes of a request say nothing about who it is.
    fn no_foreign_names(
        &self,
        request: &RequestFacts<'_>,
        subject: &[(Attribute, String)],
        granted: &[GrantedName],
    ) -> Result<(), Refusal> {
        for ((attribute, own), (_, value)) in subject.iter().zip(&self.subject) {
            let oid = attribute.oid();
            let foreign = |(asked, text): &(ObjectIdentifier, String)| *asked == oid && text.trim() != own;
            if matches!(value, Value::From(_)) && request.subject.iter().any(foreign) {
                return Err(Refusal::ForeignName { attribute: oid });
            }
        }
        for asked in request.alternative_names {
            let (kind, known) = match asked {
                RequestedName::Email(text) => (NameKind::Email.name(), Email::parse(text).ok().map(GrantedName::Email)),
                RequestedName::Dns(text) => (NameKind::Dns.name(), HostName::parse(text).ok().map(GrantedName::Dns)),
                RequestedName::Ip(address) => (NameKind::Ip.name(), Some(GrantedName::Ip(*address))),
                RequestedName::Other => ("other", None),
            };
            if known.is_none_or(|name| !granted.contains(&name)) {
                return Err(Refusal::ForeignAlternativeName { kind });
            }
        }
        Ok(())
    }

    /// From some minutes ago, for clocks that are behind, but not before the issuer; for exactly the days
    /// of the profile, both ends counted, but not beyond the issuer.
    fn validity(&self, issuer: Option<&IssuerFacts>, now: OffsetDateTime) -> Result<(OffsetDateTime, OffsetDateTime), Refusal> {
        let now = OffsetDateTime::from_unix_timestamp(now.unix_timestamp()).map_err(|_| Refusal::Clock)?;
        let backdate = Duration::minutes(self.validity.backdate_minutes.into());
        // spec: rfc5280#4.1.2.5 (the period includes its last second)
        let length = Duration::days(self.validity.days.into()) - Duration::SECOND;
        let mut from = now.checked_sub(backdate).ok_or(Refusal::Clock)?;
        if let Some(issuer) = issuer {
            if issuer.not_before > now {
                return Err(Refusal::IssuerNotYet { not_before: issuer.not_before });
            }
            from = from.max(issuer.not_before);
        }
        let until = from.checked_add(length).filter(|until| until.year() <= 9999).ok_or(Refusal::Clock)?;
        match issuer {
            Some(issuer) if issuer.not_after <= now => Err(Refusal::IssuerEnded { not_after: issuer.not_after }),
            Some(issuer) if issuer.not_after < until => match self.validity.beyond_issuer {
                BeyondIssuer::Shorten => Ok((from, issuer.not_after)),
                BeyondIssuer::Refuse => Err(Refusal::IssuerEndsFirst { not_after: issuer.not_after }),
            },
            _ => Ok((from, until)),
        }
    }
}
