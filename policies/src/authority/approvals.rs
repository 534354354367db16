//! How many officers approve what, and with which power.

use std::collections::BTreeMap;

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

/// Of `approvals.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    issue: BTreeMap<String, IssueRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    issue: BTreeMap<String, Spanned<IssueRule>>,
}

impl Approvals {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let Document { issue } = read(file, text)?;
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
        Ok(Self { issue: rules })
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
}
