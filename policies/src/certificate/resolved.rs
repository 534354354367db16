//! A profile as the program understands it: every field, defaults included, identifiers resolved.

use std::fmt::Write as _;

use super::arc::is_any;
use super::profile::{Profile, Value};
use super::vocabulary::ExtendedKeyUsage;
use const_oid::ObjectIdentifier;

fn none_or(lines: Vec<String>) -> String {
    if lines.is_empty() { "none".to_owned() } else { lines.join(", ") }
}

fn yes(it: bool) -> &'static str {
    if it { "yes" } else { "no" }
}

fn purposes(list: &[ExtendedKeyUsage]) -> String {
    none_or(list.iter().map(|usage| format!("{} ({})", usage.name().unwrap_or("unnamed"), usage.oid())).collect())
}

fn policies(list: &[ObjectIdentifier]) -> String {
    none_or(list.iter().map(|oid| if is_any(oid) { format!("anyPolicy ({oid})") } else { oid.to_string() }).collect())
}

impl Profile {
    /// The same meaning gives the same text: it is kept under test, so that a change of policy shows.
    pub fn resolved(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        line("profile", self.name.clone());
        line("purpose", self.purpose.clone());
        line("kind", self.kind.to_string());
        line("signed by", if self.issuers.is_empty() { "itself".to_owned() } else { none_or(self.issuers.iter().map(|i| i.to_string()).collect()) });
        line("applicant", self.applicant.to_string());
        line("approvals", self.approvals.to_string());
        line("in bulk", yes(self.bulk).to_owned());
        line("keys", none_or(self.keys.iter().map(|key| key.to_string()).collect()));
        for (attribute, value) in &self.subject {
            let value = match value {
                Value::Fixed(text) => format!("\"{text}\""),
                Value::From(source) => format!("from the applicant's {source}"),
            };
            line(&format!("subject {attribute} ({})", attribute.oid()), value);
        }
        line("foreign names in the request", self.on_foreign_names.to_string());
        line("days", self.validity.days.to_string());
        if let Some(days) = self.validity.private_key_days {
            line("days of these in which the key signs", days.to_string());
        }
        line("backdated minutes", self.validity.backdate_minutes.to_string());
        line("beyond the issuer", self.validity.beyond_issuer.to_string());
        line("key usage (critical)", none_or(self.key_usage.iter().map(|usage| format!("{usage} (bit {})", usage.bit())).collect()));
        line("extended key usage", purposes(&self.extended_key_usage));
        line("extended key usage critical", yes(self.extended_key_usage_critical).to_owned());
        line("basic constraints (critical)", match self.basic_constraints {
            None => "none".to_owned(),
            Some(basic) => {
                let length = basic.path_length.map_or("unlimited".to_owned(), |length| length.to_string());
                format!("ca {}, path length {length}", yes(basic.ca))
            }
        });
        line("policies", policies(&self.policies));
        line("with a mailbox: extended key usage", purposes(&self.with_mailbox.extended_key_usage));
        line("with a mailbox: policies", policies(&self.with_mailbox.policies));
        line("practice statement", self.cps_path.as_ref().map_or("none".to_owned(), |path| format!("<public address>{path}")));
        line("alternative name email", self.alternative_names.email.to_string());
        line("alternative name dns", self.alternative_names.dns.to_string());
        line("alternative name ip", self.alternative_names.ip.to_string());
        line("points at OCSP", yes(self.pointers.ocsp).to_owned());
        line("points at issuer certificate", yes(self.pointers.issuer_certificate).to_owned());
        line("points at CRL", yes(self.pointers.crl).to_owned());
        line("OCSP no-check", yes(self.ocsp_no_check).to_owned());
        line("credit code extension (1.2.156.10260.4.1.4)", yes(self.credit_code_extension).to_owned());
        text
    }
}
