//! Addresses of lists, status and issuers are plain http.

use crate::rules::require;
use crate::{Case, Rule};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension as Parsed};

pub(crate) const RULE: Rule = Rule { name: "addresses-are-http", clause: "rfc5280#4.2.1.13", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let http = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => {
            let rest = uri.strip_prefix("http://");
            uri.bytes().all(|byte| byte.is_ascii_graphic()) && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        }
        _ => false,
    };
    for extension in case.certificate.extensions() {
        let right = match extension.parsed_extension() {
            Parsed::AuthorityInfoAccess(access) => access.accessdescs.iter().all(|one| http(&one.access_location)),
            Parsed::CRLDistributionPoints(points) => points.points.iter().all(|point| match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => names.iter().all(http),
                _ => false,
            }),
            _ => true,
        };
        require(right, "a revocation or issuer address is not an http URL")?;
    }
    Ok(())
}
