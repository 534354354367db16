//! An application as it is sent, parsed once.

use std::fmt;

use policies::identity::{Document, PersonName};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::Date;
use zeroize::Zeroizing;

use super::OpeningError;
use crate::service::TypedPassword;

/// What is signed begins with it.
const KIND: &str = "suiyin mailbox application v1";
/// 128 bits at the least, whichever letters they are written in.
const MIN_KEY: usize = 22;
const MAX_KEY: usize = 128;
const MAX_EVIDENCE: usize = 16;

/// JSON. `Debug` tells nothing of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Drawn at random by whoever sends it: the same application again has the same.
    pub key: String,
    /// The type of document, 01 to 07 or 99, and its number.
    pub id_type: String,
    pub id_no: TypedPassword,
    pub name: TypedPassword,
    /// What the mailbox shall open with.
    pub password: TypedPassword,
    /// Digests of pictures and papers that an operator will be shown.
    #[serde(default)]
    pub evidence: Vec<SentEvidence>,
    /// The word of a card registry.
    #[serde(default)]
    pub assertion: Option<Signed>,
    /// CMS, PEM, detached, over the text of the application, by the certificate of a mailbox here.
    #[serde(default)]
    pub signature: Option<TypedPassword>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentEvidence {
    /// A word such as `document-front`, `portrait`.
    pub kind: String,
    pub sha256: String,
}

/// A text and its signature: CMS, PEM, detached.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub text: String,
    pub signature: String,
}

impl fmt::Debug for Sent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sent(..)")
    }
}

pub struct Application {
    pub key: String,
    pub document: Document,
    pub name: PersonName,
    pub password: SecretString,
    pub evidence: Vec<(String, String)>,
    pub assertion: Option<Signed>,
    pub signature: Option<String>,
}

impl Application {
    /// Everyone alike: nothing here asks where a person comes from.
    pub fn parse(sent: &Sent, today: Date) -> Result<Self, OpeningError> {
        let written = sent.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !written || !(MIN_KEY..=MAX_KEY).contains(&sent.key.len()) {
            return Err(OpeningError::Key);
        }
        let evidence = |one: &SentEvidence| {
            let kind = (1..=32).contains(&one.kind.len()) && one.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let digest = one.sha256.len() == 64 && one.sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            if kind && digest { Ok((one.kind.clone(), one.sha256.clone())) } else { Err(OpeningError::Evidence) }
        };
        if sent.evidence.len() > MAX_EVIDENCE {
            return Err(OpeningError::Evidence);
        }
        Ok(Self {
            key: sent.key.clone(),
            document: Document::parse(&sent.id_type, sent.id_no.expose(), today).map_err(OpeningError::Document)?,
            name: PersonName::parse(sent.name.expose()).map_err(OpeningError::Name)?,
            password: SecretString::from(sent.password.expose().to_owned()),
            evidence: sent.evidence.iter().map(evidence).collect::<Result<_, _>>()?,
            assertion: sent.assertion.clone(),
            signature: sent.signature.as_ref().map(|signature| signature.expose().to_owned()),
        })
    }

    /// What a certificate's holder signs, and what a card registry names by its SHA-256: it is of this application at this gateway, and of
    /// no other.
    pub fn text(&self, domain: &str) -> Zeroizing<String> {
        let document = Zeroizing::new(self.document.canonical());
        Zeroizing::new(format!("{KIND}\n{domain}\n{}\n{}\n{}\n", self.key, *document, self.name.expose()))
    }

    /// All that was sent but for the password.
    pub fn content(&self, domain: &str) -> Zeroizing<String> {
        let mut content = self.text(domain);
        for (kind, sha256) in &self.evidence {
            content.push_str(&format!("evidence {kind} {sha256}\n"));
        }
        if let Some(Signed { text, signature }) = &self.assertion {
            content.push_str(&format!("assertion {}\n{text}\n{signature}\n", text.len()));
        }
        if let Some(signature) = &self.signature {
            content.push_str(&format!("signature\n{signature}\n"));
        }
        content
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::date;

    use super::*;

    fn sent(id_type: &str, id_no: &str, name: &str) -> Sent {
        let typed = |text: &str| TypedPassword::new(text.to_owned());
        Sent { key: "k".repeat(32), id_type: id_type.into(), id_no: typed(id_no), name: typed(name), password: typed("a few unrelated words"), evidence: Vec::new(), assertion: None, signature: None }
    }

    #[test]
    fn everyone_applies_alike() {
        for (id_type, id_no, name, text) in [
            ("01", "440106189602290015", "陈秀英", "01|440106189602290015"),
            ("01", "650102189001010018", "阿依古丽·买买提", "01|650102189001010018"),
            ("01", "510104189707071279", "李志强", "01|510104189707071279"),
            ("03", "UTO-L898902C3", "ANNA MARIA ERIKSSON", "03|UTO-L898902C3"),
            ("03", "E12345678", "陈秀英", "03|E12345678"),
            ("04", "944840189602290018", "VAT PERSON", "04|944840189602290018"),
            ("04", "VAT440131022810", "VAT PERSON", "04|VAT440131022810"),
            ("05", "810000189602290010", "司徒嘉欣", "05|810000189602290010"),
            ("05", "820000189510100031", "司徒嘉欣", "05|820000189510100031"),
            ("05", "830000189702280059", "司徒嘉欣", "05|830000189702280059"),
            ("06", "H12345678", "司徒嘉欣", "06|H12345678"),
            ("07", "01234567", "司徒嘉欣", "07|01234567"),
        ] {
            let parsed = Application::parse(&sent(id_type, id_no, name), date!(2026 - 11 - 30)).unwrap();
            assert_eq!(*parsed.text("mail.gz.example"), format!("suiyin mailbox application v1\nmail.gz.example\n{}\n{text}\n{name}\n", "k".repeat(32)));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let parsed = |change: &dyn Fn(&mut Sent)| {
            let mut sent = sent("01", "440106189602290015", "陈秀英");
            change(&mut sent);
            Application::parse(&sent, date!(2026 - 11 - 30)).err().unwrap()
        };
        assert!(matches!(parsed(&|sent| sent.key = "short".into()), OpeningError::Key));
        assert!(matches!(parsed(&|sent| sent.key = "k".repeat(31) + "/"), OpeningError::Key));
        assert!(matches!(parsed(&|sent| sent.id_type = "05".into()), OpeningError::Document(_)));
        assert!(matches!(parsed(&|sent| sent.id_no = TypedPassword::new("440106189602290016".into())), OpeningError::Document(_)));
        assert!(matches!(parsed(&|sent| sent.name = TypedPassword::new(String::new())), OpeningError::Name(_)));
        assert!(matches!(parsed(&|sent| sent.evidence = vec![SentEvidence { kind: "portrait".into(), sha256: "00".into() }]), OpeningError::Evidence));
        assert!(matches!(parsed(&|sent| sent.evidence = vec![SentEvidence { kind: "portrait".into(), sha256: "0".repeat(64) }; 17]), OpeningError::Evidence));
    }
}
