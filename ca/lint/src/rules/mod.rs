//! The table of rules, in the order in which they are reported.

mod extensions;
mod frame;
mod profile;

use crate::Rule;

pub(crate) const ALL: &[Rule] = &[
    Rule { name: "der-canonical", clause: "x690#10", check: frame::canonical },
    Rule { name: "version-is-3", clause: "rfc5280#4.1.2.1", check: frame::version },
    Rule { name: "serial-positive-64-to-160-bits", clause: "rfc5280#4.1.2.2", check: frame::serial },
    Rule { name: "signature-algorithms-equal-and-allowed", clause: "rfc5280#4.1.1.2", check: frame::algorithm },
    Rule { name: "issuer-is-issuers-subject", clause: "rfc5280#4.1.2.4", check: frame::issuer },
    Rule { name: "time-encoding", clause: "rfc5280#4.1.2.5", check: frame::time_encoding },
    Rule { name: "validity-in-issuers", clause: "rfc5280#4.1.2.5", check: frame::validity },
    Rule { name: "name-strings", clause: "rfc5280#4.1.2.6", check: frame::name_strings },
    Rule { name: "key-allowed", clause: "rfc5480#2.1.1", check: frame::key },
    Rule { name: "no-unique-identifiers", clause: "rfc5280#4.1.2.8", check: frame::unique_identifiers },
    Rule { name: "extensions-parse-and-unique", clause: "rfc5280#4.2", check: extensions::parse_and_unique },
    Rule { name: "extension-criticality", clause: "rfc5280#4.2.1", check: extensions::criticality },
    Rule { name: "key-identifiers", clause: "rfc5280#4.2.1.1", check: extensions::key_identifiers },
    Rule { name: "key-cert-sign-iff-ca", clause: "rfc5280#4.2.1.3", check: extensions::key_cert_sign },
    Rule { name: "no-any-extended-key-usage", clause: "rfc5280#4.2.1.12", check: extensions::no_any_usage },
    Rule { name: "addresses-are-http", clause: "rfc5280#4.2.1.13", check: extensions::addresses },
    Rule { name: "alternative-names", clause: "rfc5280#4.2.1.6", check: extensions::alternative_names },
    Rule { name: "ocsp-signer", clause: "rfc6960#4.2.2.2", check: extensions::ocsp_signer },
    Rule { name: "profile-extensions", clause: "practice-statement#profiles", check: profile::extensions },
    Rule { name: "profile-subject", clause: "practice-statement#profiles", check: profile::subject },
    Rule { name: "profile-validity", clause: "practice-statement#profiles", check: profile::validity },
    Rule { name: "profile-usage", clause: "practice-statement#profiles", check: profile::usage },
    Rule { name: "profile-policies", clause: "practice-statement#profiles", check: profile::policies },
    Rule { name: "profile-email", clause: "practice-statement#profiles", check: profile::email },
    Rule { name: "credit-code-is-organization-identifier", clause: "gmt0015", check: profile::credit_code },
];

/// The rule's condition, or what to say when it does not hold.
pub(crate) fn require(holds: bool, message: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message.to_owned()) }
}
