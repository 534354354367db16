//! One item of evidence: an event, when it was, between whom, and about what.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::record::RecordError;

/// The one form that is written.
const VERSION: u8 = 1;
// spec: rfc9231#2.1.3 (the identifier of SHA-256)
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// What happened, under the identifiers of EN 319 522-3, Table 2. A client that fetches a message gives rise to
/// `ContentAccessTracking`: that somebody's program took it, never that a person read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "http://uri.etsi.org/19522/Event/SubmissionAcceptance")]
    SubmissionAcceptance,
    #[serde(rename = "http://uri.etsi.org/19522/Event/SubmissionRejection")]
    SubmissionRejection,
    #[serde(rename = "http://uri.etsi.org/19522/Event/ContentConsignment")]
    ContentConsignment,
    #[serde(rename = "http://uri.etsi.org/19522/Event/ContentConsignmentFailure")]
    ContentConsignmentFailure,
    /// That something arrived was told to a phone or another mailbox.
    #[serde(rename = "http://uri.etsi.org/19522/Event/ConsignmentNotification")]
    ConsignmentNotification,
    #[serde(rename = "http://uri.etsi.org/19522/Event/ConsignmentNotificationFailure")]
    ConsignmentNotificationFailure,
    #[serde(rename = "http://uri.etsi.org/19522/Event/ContentAccessTracking")]
    ContentAccessTracking,
    /// Its owner, who had just proved to be it, said to have read it.
    #[serde(rename = "http://uri.etsi.org/19522/Event/ContentHandover")]
    ContentHandover,
}

impl Event {
    pub fn name(self) -> &'static str {
        match self {
            Self::SubmissionAcceptance => "SubmissionAcceptance",
            Self::SubmissionRejection => "SubmissionRejection",
            Self::ContentConsignment => "ContentConsignment",
            Self::ContentConsignmentFailure => "ContentConsignmentFailure",
            Self::ConsignmentNotification => "ConsignmentNotification",
            Self::ConsignmentNotificationFailure => "ConsignmentNotificationFailure",
            Self::ContentAccessTracking => "ContentAccessTracking",
            Self::ContentHandover => "ContentHandover",
        }
    }
}

/// What was submitted: a row of the file that the bureau's signed manifest names. The manifest holds the file's SHA-256,
/// so these two say which octets, and nobody can try out numbers of persons on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Submission {
    /// The bureau's own name for its batch.
    pub batch: String,
    /// SHA-256 of the manifest and of the file, hexadecimal.
    pub manifest: String,
    pub file: String,
    /// 1 for the first row after the header.
    pub row: u64,
    /// The kept-back row that this one is, mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mends: Option<Mended>,
    /// The statement that this one supersedes or withdraws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Corrected>,
}

/// A row of an earlier batch of the same bureau.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Mended {
    pub batch: String,
    pub row: u64,
}

/// The bureau's number of a statement, and the message that brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Corrected {
    pub statement: String,
    pub digest_value: String,
}

/// The message as it stands in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Content {
    pub digest_method: String,
    /// Hexadecimal.
    pub digest_value: String,
    /// The message is encrypted to the certificate with this SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_to: Option<String>,
    /// `unknown`: whether that certificate was revoked could not be found out, and the message is encrypted all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_status: Option<String>,
    /// Its reader asked for encryption, and it is not: a word of a closed list says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_encrypted: Option<String>,
}

impl Content {
    /// `sha256` is hexadecimal.
    pub fn sha256(sha256: &str) -> Self {
        Self { digest_method: SHA256.to_owned(), digest_value: sha256.to_owned(), encrypted_to: None, certificate_status: None, not_encrypted: None }
    }

    pub(super) fn kept(mut self, secrecy: Option<&Secrecy>) -> Self {
        match secrecy {
            Some(Secrecy::EncryptedTo(certificate)) => self.encrypted_to = Some(certificate.clone()),
            Some(Secrecy::EncryptedUnproved(certificate)) => (self.encrypted_to, self.certificate_status) = (Some(certificate.clone()), Some("unknown".to_owned())),
            Some(Secrecy::NotEncrypted(why)) => self.not_encrypted = Some(why.clone()),
            None => {}
        }
        self
    }
}

/// What became of its reader's wish that a message be encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// SHA-256 of the certificate, hexadecimal.
    EncryptedTo(String),
    /// The same, where nobody could say whether the certificate was revoked.
    EncryptedUnproved(String),
    NotEncrypted(String),
}

/// An item. It holds no number of a document and no name of a person: the recipient is the mailbox's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Item {
    version: u8,
    pub evidence_identifier: String,
    #[serde(rename = "ERDSEventId")]
    pub event: Event,
    #[serde(with = "time::serde::rfc3339")]
    pub event_time: OffsetDateTime,
    /// Words of the report's closed list; every refusal and failure has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_reasons: Vec<String>,
    /// The host of the gateway.
    pub evidence_issuer_details: String,
    /// The bureau's code.
    pub sender_details: String,
    /// The address of the mailbox, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_details: Option<String>,
    pub submission: Submission,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_content_info: Option<Content>,
    /// Of events of a notice alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    /// Of a handover alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
}

/// What a person did to prove that it was a person, and which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Act {
    /// How the owner was known: `password` or `certificate`, never what a mail program holds for itself.
    pub login: String,
    /// `code-returned`: a code that was asked for about this statement came back, typed.
    pub deed: String,
}

/// A notice that something arrived, which says nothing of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Notification {
    /// The name of the notice, the same for all that it told of.
    pub notice: String,
    /// `text`: a text message to a phone; `mail`: another mailbox.
    pub channel: String,
    /// Which phone or mailbox, as a digest under the gateway's key: nobody can try out numbers on it.
    pub place: String,
}

/// What all items of one submission say.
#[derive(Clone)]
pub struct Of<'a> {
    pub issuer: &'a str,
    pub sender: &'a str,
    pub recipient: Option<&'a str>,
    pub submission: &'a Submission,
    /// SHA-256 of the message, hexadecimal.
    pub message: Option<&'a str>,
    /// None where its reader did not ask for encryption.
    pub secrecy: Option<&'a Secrecy>,
    pub at: OffsetDateTime,
}

impl Item {
    pub fn new(event: Event, of: &Of<'_>, reason: Option<&str>) -> Self {
        Self {
            version: VERSION,
            evidence_identifier: format!("{}/{}/{}/{}", of.sender, of.submission.batch, of.submission.row, event.name()),
            event,
            event_time: of.at,
            event_reasons: reason.map(str::to_owned).into_iter().collect(),
            evidence_issuer_details: of.issuer.to_owned(),
            sender_details: of.sender.to_owned(),
            recipient_details: of.recipient.map(str::to_owned),
            submission: of.submission.clone(),
            user_content_info: of.message.map(|message| Content::sha256(message).kept(of.secrecy)),
            notification: None,
            act: None,
        }
    }

    /// The same, by what a person did.
    pub fn acted(mut self, act: Act) -> Self {
        self.act = Some(act);
        self
    }

    /// The same of this notice. A message is told of by several ways, and by each once.
    pub fn by(mut self, notification: Notification) -> Self {
        self.evidence_identifier = format!("{}/{}", self.evidence_identifier, notification.notice);
        self.notification = Some(notification);
        self
    }

    /// The octets that are hashed, once and for all: an item is kept and shown as it was written.
    pub fn write(&self) -> Result<String, RecordError> {
        serde_json::to_string(self).map_err(|_| RecordError::Damaged { kind: "evidence", reason: "an item cannot be written as JSON" })
    }

    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    /// The form is frozen: what was sealed is read for ever.
    #[test]
    fn the_frozen_form() {
        let submission = Submission { batch: "HF-202610".into(), manifest: "aa".into(), file: "bb".into(), row: 3, mends: None, corrects: None };
        let of = Of {
            issuer: "mx.b.cn",
            sender: "gz-housing-fund",
            recipient: Some("1234567897@b.cn"),
            submission: &submission,
            message: Some("cc"),
            secrecy: None,
            at: datetime!(2026-11-25 08:00:00.123 UTC),
        };
        let written = Item::new(Event::ContentConsignment, &of, None).write().unwrap();
        let form = concat!(
            r#"{"Version":1,"EvidenceIdentifier":"gz-housing-fund/HF-202610/3/ContentConsignment","#,
            r#""ERDSEventId":"http://uri.etsi.org/19522/Event/ContentConsignment","EventTime":"2026-11-25T08:00:00.123Z","#,
            r#""EvidenceIssuerDetails":"mx.b.cn","SenderDetails":"gz-housing-fund","RecipientDetails":"1234567897@b.cn","#,
            r#""Submission":{"Batch":"HF-202610","Manifest":"aa","File":"bb","Row":3},"#,
            r#""UserContentInfo":{"DigestMethod":"http://www.w3.org/2001/04/xmlenc#sha256","DigestValue":"cc"}}"#
        );
        assert_eq!(written, form);
        let refused = Item::new(Event::SubmissionRejection, &Of { recipient: None, message: None, ..of.clone() }, Some("V2")).write().unwrap();
        assert!(refused.contains(r#""EventReasons":["V2"]"#) && !refused.contains("null"), "{refused}");
        for (secrecy, said) in [(Secrecy::EncryptedTo("ee".into()), r#""DigestValue":"cc","EncryptedTo":"ee"}}"#), (Secrecy::NotEncrypted("certificate-revoked".into()), r#""DigestValue":"cc","NotEncrypted":"certificate-revoked"}}"#)] {
            let text = Item::new(Event::ContentConsignment, &Of { secrecy: Some(&secrecy), ..of.clone() }, None).write().unwrap();
            assert!(text.ends_with(said) && Item::read(&text).unwrap().write().unwrap() == text, "{text}");
        }
        let mended = Submission { mends: Some(Mended { batch: "HF".into(), row: 9 }), corrects: Some(Corrected { statement: "S1".into(), digest_value: "dd".into() }), ..submission.clone() };
        let mended = Item::new(Event::ContentConsignment, &Of { submission: &mended, recipient: None, message: None, ..of }, None).write().unwrap();
        let form = r#""Row":3,"Mends":{"Batch":"HF","Row":9},"Corrects":{"Statement":"S1","DigestValue":"dd"}}"#;
        assert!(mended.contains(form), "{mended}");
        let notification = Notification { notice: "n1".into(), channel: "text".into(), place: "ff".into() };
        let of = Of { issuer: "mx.b.cn", sender: "gz-housing-fund", recipient: None, submission: &submission, message: None, secrecy: None, at: datetime!(2026-11-25 08:00:00.123 UTC) };
        let told = Item::new(Event::ConsignmentNotificationFailure, &of, Some("refused")).by(notification).write().unwrap();
        assert!(told.contains(r#""EvidenceIdentifier":"gz-housing-fund/HF-202610/3/ConsignmentNotificationFailure/n1","ERDSEventId":"http://uri.etsi.org/19522/Event/ConsignmentNotificationFailure""#), "{told}");
        assert!(told.ends_with(r#","Notification":{"Notice":"n1","Channel":"text","Place":"ff"}}"#), "{told}");
        let act = Act { login: "certificate".into(), deed: "code-returned".into() };
        let read = Item::new(Event::ContentHandover, &of, None).acted(act).write().unwrap();
        assert!(read.contains("/19522/Event/ContentHandover\"") && read.ends_with(r#","Act":{"Login":"certificate","Deed":"code-returned"}}"#), "{read}");
        for text in [written, refused, mended, told, read] {
            assert_eq!(Item::read(&text).unwrap().write().unwrap(), text);
        }
        for (event, name) in [(Event::SubmissionAcceptance, "SubmissionAcceptance"), (Event::ContentConsignmentFailure, "ContentConsignmentFailure"), (Event::ContentAccessTracking, "ContentAccessTracking")] {
            assert_eq!((event.name(), serde_json::to_value(event).unwrap()), (name, format!("http://uri.etsi.org/19522/Event/{name}").into()));
        }
    }
}
