//! Every alternative name lies within what the issuer's own certificate allows.

use crate::issuer::{DNS, EMAIL, IP, tagged};
use crate::{Case, Rule};

pub(crate) const RULE: Rule = Rule { name: "names-within-constraints", clause: "rfc5280#4.2.1.10", check };

fn check(case: &Case<'_>) -> Result<(), String> {
    let Some(issuer) = case.issuer else { return Ok(()) };
    let (permitted, excluded) = (&issuer.constraints.permitted, &issuer.constraints.excluded);
    if permitted.is_empty() && excluded.is_empty() {
        return Ok(());
    }
    let there = case.certificate.subject_alternative_name().ok().flatten();
    for name in there.map(|names| names.value.general_names.as_slice()).unwrap_or_default() {
        let (kind, name) = tagged(name);
        let bases = |list: &[(u8, Vec<u8>)]| list.iter().filter(|(of, _)| *of == kind).map(|(_, base)| within(kind, &name, base)).collect::<Vec<_>>();
        let (allowed, forbidden) = (bases(permitted), bases(excluded));
        // What cannot be compared is not allowed.
        if forbidden.iter().any(|found| *found != Some(false)) || !(allowed.is_empty() || allowed.contains(&Some(true))) {
            return Err("an alternative name lies outside of what the issuer may certify".into());
        }
    }
    Ok(())
}

fn within(kind: u8, name: &[u8], base: &[u8]) -> Option<bool> {
    match kind {
        EMAIL => {
            let host = name.rsplit(|byte| *byte == b'@').next()?;
            // A base with a dot before it, or a whole address, is none that we write.
            if base.contains(&b'@') || base.first() == Some(&b'.') { None } else { Some(host.eq_ignore_ascii_case(base)) }
        }
        DNS => {
            let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
            Some(base.is_empty() || name == base || name.strip_suffix(base.as_slice()).is_some_and(|before| before.ends_with(b".")))
        }
        IP if base.len() == 2 * name.len() => {
            let (address, mask) = base.split_at(name.len());
            Some(name.iter().zip(address).zip(mask).all(|((name, address), mask)| name & mask == address & mask))
        }
        IP => Some(false),
        _ => None,
    }
}
