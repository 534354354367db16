//! What the authority holds of a certificate's holder: the words it was issued for, read back from the certificate itself.

use std::net::IpAddr;

use policies::certificate::{ApplicantKind, Profile};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::plan::Words;
use crate::problem::IssueError;
use crate::record::CertificateRecord;

const SERIAL_NUMBER: &str = "2.5.4.5";
const PSEUDONYM: &str = "2.5.4.65";
const DAMAGED: IssueError = IssueError::Damaged { what: "what a certificate says of its holder" };

/// The applicant in words. A mailbox that the profile leaves out of the certificate is not among them.
pub(super) fn words_of(profile: &Profile, record: &CertificateRecord) -> Result<Words, IssueError> {
    let (_, read) = X509Certificate::from_der(&record.der).map_err(|_| DAMAGED)?;
    let names = read.subject_alternative_name().map_err(|_| DAMAGED)?;
    let names = || names.iter().flat_map(|extension| &extension.value.general_names);
    let name = || Some(record.name.clone());
    let mailbox = || names().find_map(|name| if let GeneralName::RFC822Name(text) = name { Some((*text).to_owned()) } else { None });
    let attribute = |id: &str| read.subject().iter_attributes().find(|one| one.attr_type().to_id_string() == id).and_then(|one| one.as_str().ok()).map(str::to_owned);
    match profile.applicant() {
        ApplicantKind::Organization => Ok(Words { name: name(), code: record.code.clone(), mailbox: mailbox(), ..Words::default() }),
        ApplicantKind::Host => {
            let dns = names().filter_map(|name| if let GeneralName::DNSName(text) = name { Some((*text).to_owned()) } else { None }).collect();
            let ip = names().filter_map(|name| if let GeneralName::IPAddress(octets) = name { Some(address(octets)) } else { None });
            Ok(Words { dns, ip: ip.collect::<Option<_>>().ok_or(DAMAGED)?, ..Words::default() })
        }
        ApplicantKind::Officer => Ok(Words { officer: name(), number: attribute(SERIAL_NUMBER), ..Words::default() }),
        ApplicantKind::Citizen => Ok(Words { pseudonym: attribute(PSEUDONYM), mailbox: mailbox(), ..Words::default() }),
        ApplicantKind::Authority => Err(IssueError::OwnCertificate { profile: record.profile.clone() }),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
        (Ok(v4), _) => Some(v4.into()),
        (_, Ok(v6)) => Some(v6.into()),
        _ => None,
    }
}
