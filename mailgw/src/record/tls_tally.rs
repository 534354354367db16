//! What came of TLS with the servers of a domain on a day: `JSON`, under the day (counted from 1970, UTC) and the domain, until it is
//! reported.

use serde::{Deserialize, Serialize};

use super::tally;

/// Failures of different kinds that are told apart; more count for the last.
const MAX_FAILURES: usize = 100;
const MAX_POLICIES: usize = 20;

/// Which policy held. spec: rfc8460#4.4
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PolicyTold {
    pub policy_type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    pub result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub count: u64,
}

/// Under one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    pub policy: PolicyTold,
    pub good: u64,
    pub failures: Vec<Failures>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub day: u64,
    pub domain: String,
    pub sessions: Vec<Sessions>,
}

impl Tally {
    pub fn add(&mut self, policy: &PolicyTold, host: Option<&str>, result: Result<(), &str>, count: u64) {
        let known = self.sessions.iter().position(|sessions| sessions.policy == *policy);
        let at = known.unwrap_or_else(|| {
            if self.sessions.len() < MAX_POLICIES {
                self.sessions.push(Sessions { policy: policy.clone(), good: 0, failures: Vec::new() });
            }
            self.sessions.len() - 1
        });
        let Some(sessions) = self.sessions.get_mut(at) else { return };
        let Err(result) = result else {
            sessions.good = sessions.good.saturating_add(count);
            return;
        };
        let known = sessions.failures.iter().position(|failures| failures.result == result && failures.host.as_deref() == host);
        match known.or_else(|| (sessions.failures.len() >= MAX_FAILURES).then_some(MAX_FAILURES - 1)).and_then(|at| sessions.failures.get_mut(at)) {
            Some(failures) => failures.count = failures.count.saturating_add(count),
            None => sessions.failures.push(Failures { result: result.to_owned(), host: host.map(str::to_owned), count }),
        }
    }
}

impl tally::Tally for Tally {
    const KIND: &'static str = "tls tally";

    fn new(day: u64, domain: &str) -> Self {
        Self { day, domain: domain.to_owned(), sessions: Vec::new() }
    }

    fn day(&self) -> u64 {
        self.day
    }

    fn domain(&self) -> &str {
        &self.domain
    }

    fn merge(&mut self, other: &Self) {
        for sessions in &other.sessions {
            if sessions.good > 0 {
                self.add(&sessions.policy, None, Ok(()), sessions.good);
            }
            for failures in &sessions.failures {
                self.add(&sessions.policy, failures.host.as_deref(), Err(&failures.result), failures.count);
            }
        }
    }
}
