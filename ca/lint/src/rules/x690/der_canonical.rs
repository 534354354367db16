//! Every value is written in its one DER form, inside the extensions too.

use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "der-canonical", clause: "x690#10", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    crate::der::canonical(case.der)?;
    case.certificate.extensions().iter().try_for_each(|extension| {
        crate::der::canonical(extension.value)?;
        crate::der::single(extension.value)
    })
}
