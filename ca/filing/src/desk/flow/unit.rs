//! Check 9, beyond the certificate's own words: what the registry knows of the enterprise, and by which name its receipts tell
//! of it. A name that nobody vouches for is told as declared.

use policies::identity::CreditCode;
use store::Expectation;

use super::proof::Stamped;
use super::receive::Parsed;
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::record::enterprise::Business;
use crate::desk::record::mandate::MandateRecord;
use crate::desk::registry::Known;
use crate::document::Signer;

/// Who vouches for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    Registry,
    Certificate,
    /// The principal's certificate, when it gave its mandate.
    Mandate,
    /// The filing alone.
    Declared,
}

impl Vouched {
    pub fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Certificate => "certificate",
            Self::Mandate => "mandate",
            Self::Declared => "declared",
        }
    }
}

/// An enterprise as a receipt names it; without a name where nobody says one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub name: String,
    pub by: Vouched,
    /// A registry was asked.
    pub asked: bool,
}

/// `signer` is the code in the signer's certificate, `mandate` the one that is relied on. What the answer rests on goes to `relied`.
pub fn judge(desk: &Grounds, stamped: &Stamped<Parsed<'_>>, signer: Option<&CreditCode>, mandate: Option<&MandateRecord>, relied: &mut Vec<Expectation>, findings: &mut Vec<Finding>) -> Result<Unit, DeskError> {
    let (filing, facts) = (&stamped.proved.parsed.filing, &stamped.proved.facts);
    let mut wrong = |zh: &str, en: &str, field: &str| findings.push(Finding::new(Check::Enterprise).because(zh, en).at(field));
    // 1. In business: who declares, and who signs for it.
    let (known, expected) = desk.registry.find(&*desk.store, filing.uscc())?;
    relied.push(expected);
    match &known {
        Known::Nobody => wrong("企业登记中没有该代码", "the registry of enterprises knows no such code", "/uscc"),
        Known::Enterprise(found) if found.business == Business::StruckOff => wrong("该企业已注销或被吊销", "the enterprise was struck off the registry", "/uscc"),
        _ => {}
    }
    if let Some(agent) = signer.filter(|code| *code != filing.uscc()) {
        let (agent, expected) = desk.registry.find(&*desk.store, agent)?;
        relied.push(expected);
        match agent {
            Known::Nobody => wrong("企业登记中没有代理企业的代码", "the registry of enterprises does not know the agent", ""),
            Known::Enterprise(found) if found.business == Business::StruckOff => wrong("代理企业已注销或被吊销", "the agent was struck off the registry", ""),
            _ => {}
        }
    }
    // 2. By which name, and who says so.
    let own = !matches!(filing.signer(), Signer::Agent(_));
    let mut vouched: Vec<(&str, Vouched)> = Vec::new();
    let asked = known != Known::Unasked;
    if let Known::Enterprise(found) = &known {
        vouched.push((&found.name, Vouched::Registry));
    }
    if let Some(name) = facts.organization.as_deref().filter(|_| own) {
        vouched.push((name, Vouched::Certificate));
    }
    if let Some(name) = mandate.and_then(|mandate| mandate.principal_name.as_deref()) {
        vouched.push((name, Vouched::Mandate));
    }
    // 3. What the filing says agrees with one of them.
    let declared = filing.unit_name().map(|name| name.as_str());
    let agreed = declared.map(|declared| vouched.iter().find(|(name, _)| plain(name) == plain(declared)));
    Ok(match (agreed, vouched.first()) {
        (Some(Some((name, by))), _) | (None, Some((name, by))) => Unit { name: (*name).to_owned(), by: *by, asked },
        (Some(None), Some((name, by))) => {
            wrong("单位名称与证书或登记不符", "the unit's name is not the one of its certificate or of the registry", "/unit_name");
            Unit { name: (*name).to_owned(), by: *by, asked }
        }
        (_, None) => Unit { name: declared.unwrap_or_default().to_owned(), by: Vouched::Declared, asked },
    })
}

/// Full-width letters, digits and brackets mean the same as narrow ones, and spaces nothing.
fn plain(name: &str) -> String {
    let narrow = |c: char| if ('\u{ff01}'..='\u{ff5e}').contains(&c) { char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c) } else { c };
    name.chars().filter(|c| !c.is_whitespace()).map(narrow).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_are_compared_as_people_read_them() {
        assert_eq!(plain("广州（某某） 有限公司"), plain("广州(某某)有限公司"));
        assert_ne!(plain("广州某某有限公司"), plain("广州某某集团有限公司"));
    }
}
