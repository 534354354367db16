//! How many officers approve what, and with which power.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::Power;
use crate::document::{PolicyError, read};

/// The most approvals that can be asked for.
pub const MAX_APPROVALS: u8 = 8;

/// What issuing by an order takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueRule {
    pub by: Power,
    /// For an order placed by an operator.
    pub counter: u8,
    /// For one that came over the network.
    pub online: u8,
    /// Nothing is asked until the first administrator is granted.
    #[serde(default)]
    pub bootstrap: bool,
}

/// What granting a power takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRule {
    /// Whoever has one of these powers may approve.
    pub by: BTreeSet<Power>,
    pub approvals: u8,
    /// Nothing is asked while fewer persons than these are administrators by good certificates.
    pub administrators: u8,
}

/// What bulk revocation and re-issue take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkRule {
    pub by: BTreeSet<Power>,
    pub approvals: u8,
    /// So many certificates and fewer need none.
    pub above: u64,
}

/// What a change of the policies takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoliciesRule {
    pub by: BTreeSet<Power>,
    pub approvals: u8,
}

impl PoliciesRule {
    /// What both ask: as many approvals as the one that asks for more, by whom both would ask. Where none of those asked by
    /// the one is asked by the other, those of `since`, which is the later one.
    pub fn stricter(&self, since: &Self) -> Self {
        match (self.asks(), since.asks()) {
            (false, _) => since.clone(),
            (true, false) => self.clone(),
            (true, true) => {
                let both: BTreeSet<Power> = self.by.intersection(&since.by).copied().collect();
                Self { by: if both.is_empty() { since.by.clone() } else { both }, approvals: self.approvals.max(since.approvals) }
            }
        }
    }

    /// Whether anybody is asked at all.
    pub fn asks(&self) -> bool {
        self.approvals > 0
    }
}

/// What may be proposed at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposals {
    /// Changes of the policies that nobody decided on yet.
    pub open: u16,
    /// Octets of the documents of them all.
    pub octets: u64,
}

/// Of `approvals.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    issue: BTreeMap<String, IssueRule>,
    /// Nothing is asked where there is no rule.
    pub grant: Option<GrantRule>,
    /// Making a mail gateway a registrar; where the document has no table for it, as granting a power.
    pub registrar: Option<GrantRule>,
    pub bulk: Option<BulkRule>,
    pub policies: Option<PoliciesRule>,
    /// Days after which an act that nobody decided on ends.
    pub act_open_days: u16,
    pub proposals: Proposals,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    act_open_days: Option<Spanned<u16>>,
    #[serde(default)]
    proposals: Option<Spanned<Proposals>>,
    issue: BTreeMap<String, Spanned<IssueRule>>,
    #[serde(default)]
    grant: Option<Spanned<GrantRule>>,
    #[serde(default)]
    registrar: Option<Spanned<GrantRule>>,
    #[serde(default)]
    bulk: Option<Spanned<BulkRule>>,
    #[serde(default)]
    policies: Option<Spanned<PoliciesRule>>,
}

/// Where the document names no days.
const ACT_OPEN_DAYS: u16 = 7;
/// Where the document, being older, says nothing of proposals.
const PROPOSALS: Proposals = Proposals { open: 16, octets: 8 << 20 };
/// Proposed documents are kept in the store, and looked through when one is proposed.
const MOST_PROPOSALS: u16 = 100;
/// One proposal must fit, or nothing could ever be changed.
const LEAST_OCTETS: u64 = 2 << 20;

/// Who may approve an act, and how many: what is wrong with it.
fn sensible(by: &BTreeSet<Power>, approvals: u8) -> Result<(), &'static str> {
    if approvals > MAX_APPROVALS {
        return Err("more approvals than 8; write 0 to 8");
    }
    if by.contains(&Power::Auditor) {
        return Err("auditors approve nothing; write \"operator\" or \"administrator\"");
    }
    if by.is_empty() { Err("nobody may approve; write \"operator\" or \"administrator\"") } else { Ok(()) }
}

impl Approvals {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { act_open_days, proposals, issue, grant, registrar, bulk, policies } = read(file, text)?;
        let mut rules = BTreeMap::new();
        for (profile, rule) in issue {
            let span = rule.span();
            let refused = |reason: &str| Err(PolicyError::at(file, text, Some(span.clone()), reason));
            let rule = rule.into_inner();
            if rule.counter > MAX_APPROVALS || rule.online > MAX_APPROVALS {
                return refused("more approvals than 8; write 0 to 8");
            }
            if rule.online < rule.counter {
                return refused("an order from the network needs fewer approvals than one from the counter; write as many or more");
            }
            // Auditors look and never act, or who would look at them?
            if rule.by == Power::Auditor {
                return refused("auditors approve nothing; write \"operator\" or \"administrator\"");
            }
            rules.insert(profile, rule);
        }
        for rule in [&grant, &registrar].into_iter().flatten() {
            let GrantRule { by, approvals, administrators } = rule.get_ref();
            let reason = match sensible(by, *approvals) {
                // Whoever asks does not approve: with fewer nobody could ever be granted a power.
                Ok(()) if by.contains(&Power::Administrator) && by.len() == 1 && administrators <= approvals => Some("fewer administrators than it takes to approve what another one asks for; write one more than the approvals"),
                Ok(()) => None,
                Err(reason) => Some(reason),
            };
            if let Some(reason) = reason {
                return Err(PolicyError::at(file, text, Some(rule.span()), reason));
            }
        }
        if let Some(rule) = &bulk && let Err(reason) = sensible(&rule.get_ref().by, rule.get_ref().approvals) {
            return Err(PolicyError::at(file, text, Some(rule.span()), reason));
        }
        if let Some(rule) = &policies && let Err(reason) = sensible(&rule.get_ref().by, rule.get_ref().approvals) {
            return Err(PolicyError::at(file, text, Some(rule.span()), reason));
        }
        if let Some(days) = &act_open_days && !(1..=366).contains(days.get_ref()) {
            return Err(PolicyError::at(file, text, Some(days.span()), format!("an act open for {} days; write 1 to 366", days.get_ref())));
        }
        if let Some(proposals) = &proposals {
            let Proposals { open, octets } = proposals.get_ref();
            if !(1..=MOST_PROPOSALS).contains(open) || *octets < LEAST_OCTETS {
                return Err(PolicyError::at(file, text, Some(proposals.span()), "open proposals of policies; write 1 to 100, and 2097152 octets or more"));
            }
        }
        let proposals = proposals.map_or(PROPOSALS, Spanned::into_inner);
        let act_open_days = act_open_days.map_or(ACT_OPEN_DAYS, Spanned::into_inner);
        let grant = grant.map(Spanned::into_inner);
        let registrar = registrar.map(Spanned::into_inner).or_else(|| grant.clone());
        Ok(Self { issue: rules, grant, registrar, bulk: bulk.map(Spanned::into_inner), policies: policies.map(Spanned::into_inner), act_open_days, proposals })
    }

    /// The rule of a profile whose own document asks for `least` approvals.
    pub fn of(&self, profile: &str, least: u8) -> IssueRule {
        let rule = self.issue.get(profile).copied().unwrap_or(IssueRule { by: Power::Operator, counter: 0, online: 0, bootstrap: false });
        IssueRule { counter: rule.counter.max(least), online: rule.online.max(least), ..rule }
    }

    /// Profiles named here: each must exist.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.issue.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Approvals, String> {
        Approvals::parse("approvals.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_larger_of_both_numbers_holds() {
        let rules = parse("[issue.a]\nby = \"administrator\"\ncounter = 0\nonline = 1").unwrap();
        let told = |rule: IssueRule| (rule.by, rule.counter, rule.online);
        assert_eq!(told(rules.of("a", 0)), (Power::Administrator, 0, 1));
        assert_eq!(told(rules.of("a", 2)), (Power::Administrator, 2, 2));
        assert_eq!(told(rules.of("b", 1)), (Power::Operator, 1, 1));
    }

    #[test]
    fn rules_that_would_let_the_network_in_are_refused() {
        let line = |text: &str| parse(&format!("[issue.a]\nby = \"operator\"\n{text}")).unwrap_err();
        assert!(line("counter = 2\nonline = 1").contains("fewer approvals"));
        assert!(line("counter = 0\nonline = 9").contains("more approvals than 8"));
        assert!(line("counter = 0\nonline = 1\nby_whom = 1").contains("unknown field"));
        assert!(parse("[issue.a]\nby = \"auditor\"\ncounter = 0\nonline = 0").unwrap_err().contains("auditors approve nothing"));
    }

    #[test]
    fn of_two_rules_the_stricter_holds() {
        let rule = |by: &[Power], approvals: u8| PoliciesRule { by: by.iter().copied().collect(), approvals };
        let (both, admin, operator) = (&[Power::Administrator, Power::Operator][..], &[Power::Administrator][..], &[Power::Operator][..]);
        assert_eq!(rule(both, 2).stricter(&rule(admin, 1)), rule(admin, 2));
        assert_eq!(rule(admin, 1).stricter(&rule(both, 3)), rule(admin, 3));
        assert_eq!(rule(admin, 2).stricter(&rule(operator, 1)), rule(operator, 2));
        // One that asks nobody takes nothing from the other.
        assert_eq!(rule(both, 0).stricter(&rule(admin, 1)), rule(admin, 1));
        assert_eq!(rule(admin, 1).stricter(&rule(both, 0)), rule(admin, 1));
    }

    #[test]
    fn acts_that_nobody_could_approve_are_refused() {
        let shipped = parse(include_str!("../../authority/approvals.toml")).unwrap();
        assert_eq!(shipped.grant, Some(GrantRule { by: [Power::Administrator].into(), approvals: 1, administrators: 2 }));
        assert_eq!((shipped.bulk.map(|rule| (rule.by.len(), rule.approvals, rule.above)), shipped.act_open_days), (Some((2, 1, 100)), 7));
        assert_eq!(shipped.policies, Some(PoliciesRule { by: [Power::Administrator, Power::Operator].into(), approvals: 1 }));
        // Its own table, and without one as a power is granted.
        assert_eq!(shipped.registrar, shipped.grant);
        let grant = "[issue]\n[grant]\nby = [\"administrator\"]\napprovals = 2\nadministrators = 3\n";
        assert_eq!(parse(grant).unwrap().registrar.map(|rule| rule.approvals), Some(2));
        let own = parse(&format!("{grant}[registrar]\nby = [\"operator\"]\napprovals = 0\nadministrators = 1")).unwrap();
        assert_eq!(own.registrar, Some(GrantRule { by: [Power::Operator].into(), approvals: 0, administrators: 1 }));
        // As it was before there were acts.
        let before = parse("[issue]").unwrap();
        assert_eq!(before.policies, None);
        assert_eq!((before.grant, before.bulk, before.act_open_days, before.proposals), (None, None, 7, shipped.proposals));
        let refused = |text: &str| parse(&format!("[issue]\n{text}")).unwrap_err();
        let grant = |by: &str, approvals: u8, administrators: u8| refused(&format!("[grant]\nby = [{by}]\napprovals = {approvals}\nadministrators = {administrators}"));
        assert!(grant("\"administrator\"", 1, 1).contains("one more than the approvals"));
        assert!(grant("", 1, 2).contains("nobody may approve") && grant("\"operator\", \"auditor\"", 1, 2).contains("auditors approve nothing"));
        assert!(grant("\"operator\"", 9, 2).contains("more approvals than 8"));
        assert!(refused("[bulk]\nby = [\"auditor\"]\napprovals = 1\nabove = 1").contains("auditors approve nothing"));
        assert!(refused("[policies]\nby = []\napprovals = 1").contains("nobody may approve"));
        for proposals in ["open = 0, octets = 8388608", "open = 101, octets = 8388608", "open = 1, octets = 2097151"] {
            assert!(parse(&format!("proposals = {{ {proposals} }}\n[issue]")).unwrap_err().contains("open proposals"), "{proposals}");
        }
        assert!(parse("act_open_days = 0\n[issue]").unwrap_err().contains("open for 0 days"));
    }
}
