//! The arc under which the operator's certificate policies stand.

use const_oid::ObjectIdentifier;

use crate::document::{PolicyError, read};

/// Where policies stand until the operator has an arc of its own. spec: rfc5612
pub const DOCUMENTATION_ARC: &str = "1.3.6.1.4.1.32473";

/// The root of the operator's policy identifiers: `certificates/arc.toml`, one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arc(ObjectIdentifier);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    arc: toml::Spanned<String>,
}

impl Arc {
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let document: Document = read(file, text)?;
        let refused = |reason: String| PolicyError::at(file, text, Some(document.arc.span()), reason);
        let dotted = document.arc.get_ref();
        let arc = ObjectIdentifier::new(dotted).map_err(|_| refused(format!("`{dotted}` is no object identifier")))?;
        // Room for the numbers below it: const-oid holds identifiers of a bounded length.
        match child(arc, ".9.9") {
            Some(_) => Ok(Self(arc)),
            None => Err(refused(format!("`{dotted}` is too long to number policies beneath it"))),
        }
    }

    pub fn oid(self) -> ObjectIdentifier {
        self.0
    }
}

/// The policy that `number`, such as `.1.1`, names beneath `arc`.
fn child(arc: ObjectIdentifier, number: &str) -> Option<ObjectIdentifier> {
    ObjectIdentifier::new(&format!("{arc}{number}")).ok()
}

/// A certificate policy as a profile writes it: `any`, `.1.1` beneath the operator's arc, or a whole identifier.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WrittenPolicy(String);

// spec: rfc5280#4.2.1.4
const ANY_POLICY: &str = "2.5.29.32.0";

impl WrittenPolicy {
    pub(crate) fn is_any(&self) -> bool {
        self.0 == "any"
    }

    pub(crate) fn resolve(&self, arc: Arc) -> Option<ObjectIdentifier> {
        match self.0.as_str() {
            "any" => ObjectIdentifier::new(ANY_POLICY).ok(),
            number if number.starts_with('.') => child(arc.0, number),
            whole => ObjectIdentifier::new(whole).ok(),
        }
    }
}

impl TryFrom<String> for WrittenPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sample = Arc(ObjectIdentifier::new_unwrap("1.2"));
        if text == ANY_POLICY {
            return Err("write anyPolicy as `any`".to_owned());
        }
        let policy = Self(text);
        match policy.resolve(sample) {
            Some(_) => Ok(policy),
            None => Err(format!("`{}` is no policy; write `any`, `.1.1` beneath the arc, or a dotted identifier", policy.0)),
        }
    }
}

/// Whether `oid` is anyPolicy.
pub(super) fn is_any(oid: &ObjectIdentifier) -> bool {
    *oid == ObjectIdentifier::new_unwrap(ANY_POLICY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_stands_beneath_the_arc() {
        let arc = Arc::parse("arc.toml", "arc = \"1.3.6.1.4.1.32473\"\n").unwrap();
        let resolved = |text: &str| WrittenPolicy::try_from(text.to_owned()).map(|p| p.resolve(arc).unwrap().to_string());
        assert_eq!(resolved(".1.1").as_deref(), Ok("1.3.6.1.4.1.32473.1.1"));
        assert_eq!(resolved("any").as_deref(), Ok("2.5.29.32.0"));
        assert_eq!(resolved("2.23.140.1.5.2.1").as_deref(), Ok("2.23.140.1.5.2.1"));
        for wrong in ["", ".", "..1", ".1.x", "Any", "1", "2.5.29.32.0"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_arc_is_refused_with_its_line() {
        let refused = |text| Arc::parse("arc.toml", text).unwrap_err();
        assert_eq!(refused("# the arc\narc = \"1.3.x\"\n").line, 2);
        assert!(refused("arc = \"1.3\"\nark = 1\n").reason.contains("unknown field"));
        assert!(refused(&format!("arc = \"1.3{}.1\"", ".32473".repeat(12))).reason.contains("too long"));
    }
}
