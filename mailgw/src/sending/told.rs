//! What of a destination's policy is told in reports about TLS.

use super::protection::Why;
use super::sts::{Mode, Policy};
use crate::record::tls_tally::PolicyTold;

impl From<&Why> for PolicyTold {
    fn from(why: &Why) -> Self {
        let told = |policy_type: &str, policy_string, mx_host| Self { policy_type: policy_type.to_owned(), policy_string, mx_host };
        match why {
            Why::Nothing => told("no-policy-found", Vec::new(), Vec::new()),
            Why::Dane { pins } => told("tlsa", pins.clone(), Vec::new()),
            Why::StsUnread => told("sts", Vec::new(), Vec::new()),
            Why::Sts { policy } => told("sts", lines(policy), policy.mx.clone()),
        }
    }
}

/// As the policy was written. spec: rfc8460#4.4
fn lines(policy: &Policy) -> Vec<String> {
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    };
    let fixed = ["version: STSv1".to_owned(), format!("mode: {mode}")];
    fixed.into_iter().chain(policy.mx.iter().map(|mx| format!("mx: {mx}"))).chain([format!("max_age: {}", policy.max_age)]).collect()
}
