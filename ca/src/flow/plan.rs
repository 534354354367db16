//! From words and policy to the plan of a certificate, and to what the lints expect of it.

use std::net::IpAddr;

use const_oid::ObjectIdentifier as Oid;
use pki::certificate::{AlternativeName, BasicConstraints, CertificatePlan, Extensions, NameConstraints};
use pki::name::Subject;
use pki::request::Request;
use policies::certificate::{Applicant, AuthorityName, Email, GrantedName, HostName, HostNames, KeyAlgorithm, OfficerName, OfficerNumber, OrganizationName, Plan, Pseudonym, RequestedName, WordError};
use policies::identity::CreditCode;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::authority::{Addresses, Issuer};
use crate::problem::IssueError;

/// Who the certificate is for, as typed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    pub name: Option<String>,
    pub code: Option<String>,
    pub mailbox: Option<String>,
    pub dns: Vec<String>,
    pub ip: Vec<IpAddr>,
    pub officer: Option<String>,
    pub number: Option<String>,
    /// The authority's own name, for its own certificates: nobody outside this process can ask for those.
    #[serde(skip)]
    pub authority: Option<String>,
    /// The mail domains that an issuing authority is bound to when it is founded.
    #[serde(skip)]
    pub mail_domains: Vec<HostName>,
    /// A citizen's, beside their mailbox: known by a registrar's statement alone.
    #[serde(skip)]
    pub pseudonym: Option<String>,
}

fn word<T>(field: &'static str, text: &str, parse: fn(&str) -> Result<T, WordError>) -> Result<T, IssueError> {
    parse(text).map_err(|error| IssueError::Word { field, error })
}

/// Which words were given, never what they say: an officer's name is a person's.
impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.given().iter().filter(|(_, given)| *given).map(|(word, _)| word)).finish()
    }
}

/// The words that say the same, each in the form of its type.
impl From<&Applicant> for Words {
    fn from(applicant: &Applicant) -> Self {
        match applicant {
            Applicant::Organization { name, code, mailbox } => {
                Self { name: Some(name.to_string()), code: Some(code.as_str().to_owned()), mailbox: mailbox.as_ref().map(Email::to_string), ..Self::default() }
            }
            Applicant::Host(host) => Self { dns: host.names().iter().map(HostName::to_string).collect(), ip: host.addresses().to_vec(), ..Self::default() },
            Applicant::Officer { name, number } => Self { officer: Some(name.to_string()), number: Some(number.to_string()), ..Self::default() },
            Applicant::Citizen { pseudonym, mailbox } => Self { pseudonym: Some(pseudonym.to_string()), mailbox: Some(mailbox.to_string()), ..Self::default() },
            Applicant::Authority { name } => Self { authority: Some(name.to_string()), ..Self::default() },
        }
    }
}

impl Words {
    fn given(&self) -> [(&'static str, bool); 9] {
        [
            ("name", self.name.is_some()),
            ("code", self.code.is_some()),
            ("mailbox", self.mailbox.is_some()),
            ("dns", !self.dns.is_empty()),
            ("ip", !self.ip.is_empty()),
            ("officer", self.officer.is_some()),
            ("number", self.number.is_some()),
            ("authority", self.authority.is_some()),
            ("pseudonym", self.pseudonym.is_some()),
        ]
    }

    /// What was given, each with its word, in one order and one form.
    pub fn said(&self) -> Vec<(&'static str, String)> {
        let one = |word, said: &Option<String>| said.clone().map(|said| (word, said));
        let many = |word, said: Vec<String>| (!said.is_empty()).then(|| (word, said.join(", ")));
        let ip = self.ip.iter().map(IpAddr::to_string).collect();
        [
            one("name", &self.name),
            one("code", &self.code),
            one("mailbox", &self.mailbox),
            many("dns", self.dns.clone()),
            many("ip", ip),
            one("officer", &self.officer),
            one("number", &self.number),
            one("authority", &self.authority),
            one("pseudonym", &self.pseudonym),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    pub fn parse(&self) -> Result<Applicant, IssueError> {
        let (applicant, its): (_, &[&str]) = match self {
            Self { name: Some(name), code: Some(code), .. } => {
                let organization = Applicant::Organization {
                    name: word("name", name, OrganizationName::parse)?,
                    code: CreditCode::parse(code).map_err(IssueError::CreditCode)?,
                    mailbox: self.mailbox.as_deref().map(|text| word("mailbox", text, Email::parse)).transpose()?,
                };
                (organization, &["name", "code", "mailbox"])
            }
            Self { officer: Some(officer), number: Some(number), .. } => {
                let officer = Applicant::Officer { name: word("officer", officer, OfficerName::parse)?, number: word("number", number, OfficerNumber::parse)? };
                (officer, &["officer", "number"])
            }
            Self { pseudonym: Some(pseudonym), mailbox: Some(mailbox), .. } => {
                let citizen = Applicant::Citizen { pseudonym: word("pseudonym", pseudonym, Pseudonym::parse)?, mailbox: word("mailbox", mailbox, Email::parse)? };
                (citizen, &["pseudonym", "mailbox"])
            }
            Self { authority: Some(name), .. } => (Applicant::Authority { name: word("authority", name, AuthorityName::parse)? }, &["authority"]),
            Self { dns, ip, .. } if !dns.is_empty() || !ip.is_empty() => {
                let names = dns.iter().map(|text| word("dns", text, HostName::parse)).collect::<Result<_, _>>()?;
                let host = HostNames::new(names, ip.clone()).map_err(|error| IssueError::Word { field: "dns", error })?;
                (Applicant::Host(host), &["dns", "ip"])
            }
            _ => return Err(IssueError::NoApplicant),
        };
        // A word that would be passed over in silence is a mistake of whoever wrote it.
        match self.given().iter().find(|(word, given)| *given && !its.contains(word)) {
            Some((word, _)) => Err(IssueError::StrayWord { word, with: its.join(", ") }),
            None => Ok(applicant),
        }
    }
}

/// The strength of the request's key, in the policy's words.
pub fn key_algorithm(request: &Request) -> KeyAlgorithm {
    strength(request.key)
}

pub(super) fn strength(key: pki::key::KeyAlgorithm) -> KeyAlgorithm {
    match key {
        pki::key::KeyAlgorithm::P256 => KeyAlgorithm::P256,
        pki::key::KeyAlgorithm::P384 => KeyAlgorithm::P384,
        pki::key::KeyAlgorithm::Rsa2048 => KeyAlgorithm::Rsa2048,
        pki::key::KeyAlgorithm::Rsa3072 => KeyAlgorithm::Rsa3072,
        pki::key::KeyAlgorithm::Rsa4096 => KeyAlgorithm::Rsa4096,
    }
}

/// The alternative names a request asks for, read by the other parser: they are compared, never copied.
pub fn requested_names(request: &Request) -> Result<Vec<RequestedName>, IssueError> {
    if request.requested_extensions.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable = || IssueError::Request(pki::request::RequestError::Der(pki::asn1::DerError::Value("the extensions asked for")));
    let (_, read) = x509_parser::certification_request::X509CertificationRequest::from_der(request.der()).map_err(|_| unreadable())?;
    let mut names = Vec::new();
    for extension in read.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(san) = extension else { continue };
        names.extend(san.general_names.iter().map(alternative_name));
    }
    Ok(names)
}

/// An alternative name in the policy's words.
pub fn alternative_name(name: &GeneralName<'_>) -> RequestedName {
    match name {
        GeneralName::RFC822Name(text) => RequestedName::Email((*text).to_owned()),
        GeneralName::DNSName(text) => RequestedName::Dns((*text).to_owned()),
        GeneralName::IPAddress(octets) => match (<[u8; 4]>::try_from(*octets), <[u8; 16]>::try_from(*octets)) {
            (Ok(v4), _) => RequestedName::Ip(v4.into()),
            (_, Ok(v6)) => RequestedName::Ip(v6.into()),
            _ => RequestedName::Other,
        },
        _ => RequestedName::Other,
    }
}

/// What is signed for a plan. `issuer` is `None` for a root, which is its own.
pub fn certificate_plan(plan: &Plan, issuer: Option<&Issuer>, addresses: &Addresses, spki: Vec<u8>) -> Result<CertificatePlan, IssueError> {
    let subject = plan.subject.iter().try_fold(Subject::new(), |subject, (oid, value)| subject.with(*oid, value))?;
    let id = issuer.map(|issuer| issuer.id().to_owned());
    let address = |wanted: bool, of: fn(&Addresses, &str) -> String| id.iter().filter(|_| wanted).map(|id| of(addresses, id)).collect();
    let extensions = Extensions {
        key_usage: plan.key_usage.iter().map(|usage| usage.bit()).collect(),
        extended_key_usage: plan.extended_key_usage.clone(),
        extended_key_usage_critical: plan.extended_key_usage_critical,
        basic_constraints: plan.basic_constraints.map(|basic| BasicConstraints { ca: basic.ca, path_len: basic.path_length }),
        policies: plan.policies.clone(),
        cps_uri: plan.cps_path.as_deref().map(|path| addresses.at(path)),
        alternative_names: plan
            .alternative_names
            .iter()
            .map(|name| match name {
                GrantedName::Email(email) => AlternativeName::Email(email.to_string()),
                GrantedName::Dns(host) => AlternativeName::Dns(host.to_string()),
                GrantedName::Ip(ip) => AlternativeName::Ip(*ip),
            })
            .collect(),
        name_constraints: (!plan.mail_domains.is_empty()).then(|| NameConstraints { mail_domains: plan.mail_domains.iter().map(HostName::to_string).collect() }),
        ocsp_urls: address(plan.pointers.ocsp, |addresses, _| addresses.ocsp()),
        ca_issuers_urls: address(plan.pointers.issuer_certificate, Addresses::issuer),
        crl_urls: address(plan.pointers.crl, Addresses::crl),
        authority_key_id: issuer.map(|issuer| issuer.key_id.clone()),
        ocsp_no_check: plan.ocsp_no_check,
        private_key_period: plan.private_key_until.map(|until| (plan.not_before, until)),
        credit_code: plan.credit_code.clone(),
    };
    let name = issuer.map_or_else(|| subject.to_der(), |issuer| issuer.name.clone());
    // The serial is drawn when the bytes are built.
    Ok(CertificatePlan { serial: [0; 16], issuer: name, subject, not_before: plan.not_before, not_after: plan.not_after, spki, extensions })
}

// Written out once more and not taken from the builder, whose slip the lints could not see then.
const AUTHORITY_KEY_ID: Oid = Oid::new_unwrap("2.5.29.35");
const SUBJECT_KEY_ID: Oid = Oid::new_unwrap("2.5.29.14");
const KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.15");
const PRIVATE_KEY_USAGE_PERIOD: Oid = Oid::new_unwrap("2.5.29.16");
const BASIC_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.19");
const EXTENDED_KEY_USAGE: Oid = Oid::new_unwrap("2.5.29.37");
const POLICIES: Oid = Oid::new_unwrap("2.5.29.32");
const ALTERNATIVE_NAME: Oid = Oid::new_unwrap("2.5.29.17");
const NAME_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.30");
const CRL_POINTS: Oid = Oid::new_unwrap("2.5.29.31");
const INFORMATION_ACCESS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP_NO_CHECK: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.5");
const CREDIT_CODE: Oid = Oid::new_unwrap("1.2.156.10260.4.1.4");

/// What the lints must find, taken from the policy's plan and not from the bytes.
pub fn expected(plan: &Plan, certificate: &CertificatePlan) -> lint::ProfileFacts {
    let made = &certificate.extensions;
    let present = [
        (made.authority_key_id.is_some(), AUTHORITY_KEY_ID),
        (true, SUBJECT_KEY_ID),
        (!plan.key_usage.is_empty(), KEY_USAGE),
        (plan.private_key_until.is_some(), PRIVATE_KEY_USAGE_PERIOD),
        (plan.basic_constraints.is_some(), BASIC_CONSTRAINTS),
        (!plan.extended_key_usage.is_empty(), EXTENDED_KEY_USAGE),
        (!plan.policies.is_empty(), POLICIES),
        (!plan.alternative_names.is_empty(), ALTERNATIVE_NAME),
        (!plan.mail_domains.is_empty(), NAME_CONSTRAINTS),
        (plan.pointers.crl, CRL_POINTS),
        (plan.pointers.ocsp || plan.pointers.issuer_certificate, INFORMATION_ACCESS),
        (plan.ocsp_no_check, OCSP_NO_CHECK),
        (plan.credit_code.is_some(), CREDIT_CODE),
    ];
    lint::ProfileFacts {
        ca: plan.basic_constraints.is_some_and(|basic| basic.ca),
        path_len: plan.basic_constraints.and_then(|basic| basic.path_length).map(u32::from),
        key_usage: plan.key_usage.iter().fold(0, |bits, usage| bits | 1 << usage.bit()),
        extended_key_usage: plan.extended_key_usage.clone(),
        policies: plan.policies.clone(),
        extensions: present.iter().filter(|(wanted, _)| *wanted).map(|(_, oid)| *oid).collect(),
        subject: plan.subject.clone(),
        validity: (plan.not_before.unix_timestamp(), plan.not_after.unix_timestamp()),
        private_key_until: plan.private_key_until.map(|until| until.unix_timestamp()),
        alternative_names: plan.alternative_names.iter().map(general_name).collect(),
        mail_domains: plan.mail_domains.iter().map(HostName::to_string).collect(),
        ocsp_urls: made.ocsp_urls.clone(),
        issuer_urls: made.ca_issuers_urls.clone(),
        crl_urls: made.crl_urls.clone(),
        cps_uri: made.cps_uri.clone().filter(|_| !plan.policies.is_empty()),
        public_key: certificate.spki.clone(),
        // A key without an identifier matches none.
        key_id: pki::certificate::key_id(&certificate.spki).unwrap_or_default(),
    }
}

/// A name's context tag in GeneralName and its octets. spec: rfc5280#4.2.1.6
fn general_name(name: &GrantedName) -> (u8, Vec<u8>) {
    match name {
        GrantedName::Email(email) => (1, email.to_string().into_bytes()),
        GrantedName::Dns(host) => (2, host.to_string().into_bytes()),
        GrantedName::Ip(IpAddr::V4(address)) => (7, address.octets().to_vec()),
        GrantedName::Ip(IpAddr::V6(address)) => (7, address.octets().to_vec()),
    }
}

/// The most mail domains that an authority is bound to.
pub const MOST_MAIL_DOMAINS: usize = 16;

/// The mail domains of a founding, each in the one form and once.
pub fn mail_domains(texts: &[String]) -> Result<Vec<HostName>, IssueError> {
    let mut domains: Vec<HostName> = Vec::new();
    for text in texts {
        let domain = word("mail-domain", text, HostName::parse)?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    if domains.len() > MOST_MAIL_DOMAINS { Err(IssueError::TooManyDomains) } else { Ok(domains) }
}
