//! Exactly the planned constraints on names: mail addresses of the domains in order, and no host at all.

use x509_parser::extensions::{GeneralSubtree, ParsedExtension};

use crate::issuer::{DNS, EMAIL, IP, tagged};
use crate::rules::require;
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "profile-constraints", clause: "practice-statement#profiles", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let found = case.certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(found) => Some(found),
        _ => None,
    });
    let domains = &case.facts.mail_domains;
    let Some(found) = found else { return require(domains.is_empty(), "the constraints on names are missing") };
    let bases = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| subtrees.iter().flatten().map(|one| tagged(&one.base)).collect::<Vec<_>>();
    let permitted: Vec<(u8, Vec<u8>)> = domains.iter().map(|domain| (EMAIL, domain.as_bytes().to_vec())).collect();
    let excluded = [(DNS, Vec::new()), (IP, vec![0; 8]), (IP, vec![0; 32])];
    require(!domains.is_empty() && bases(&found.permitted_subtrees) == permitted && bases(&found.excluded_subtrees) == excluded, "the constraints on names are not the planned ones")
}
