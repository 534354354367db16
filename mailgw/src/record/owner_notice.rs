//! What the owner of a mailbox is to be told: who can open it, or in whose name it is, became another by the counter's word. It stands in the
//! commit of the act itself, and goes in that of the mail, so that no act goes untold.

use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};
use store::{Batch, Key, Template};

use super::app_password::Scope;
use super::notification::Channel;
use super::{RecordError, from_json, to_json};

const KIND: &str = "owner notice";

/// As much as the log tells of it: no name, and nothing that opens anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerNotice {
    /// Ten digits.
    pub mailbox: String,
    pub act: Act,
    pub unix_millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// `app_passwords`: all of them are withdrawn with it.
    PasswordSet { app_passwords: bool },
    PasswordWithdrawn { app_passwords: bool },
    /// By its number, and the operator of an institution whose it is.
    AppPasswordMade { number: u32, operator: Option<u32>, scopes: Vec<Scope> },
    AppPasswordWithdrawn { number: u32 },
    /// Whose holder logs in.
    CertificateAsked,
    CertificateRenewed,
    HolderRenamed,
    /// A further one of the owner's; which is not told.
    DocumentAdded,
    /// One of them; which is not told.
    DocumentWithdrawn,
    /// A name beside the number, by its place among them.
    AliasAdded { place: u32 },
    /// An operator of an institution, by number.
    OperatorNamed { operator: u32 },
    /// With these app passwords, by number.
    OperatorEnded { operator: u32, app_passwords: Vec<u32> },
    RecoveryCompleted,
    /// Where its owner is told that something arrived: what came to it, and what ended.
    PlacesChanged { told: Vec<Channel>, ended: Vec<Channel> },
}

impl OwnerNotice {
    /// Owed from this commit on.
    pub fn owe(batch: &mut Batch, mailbox: MailboxNumber, act: Act, unix_millis: u64) -> Result<(), RecordError> {
        let notice = to_json(KIND, &Self { mailbox: mailbox.to_string(), act, unix_millis })?;
        let number = batch.next("owner notices");
        *batch = std::mem::take(batch).put(Template::numbered(KIND, &[], number), notice);
        Ok(())
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }

    /// Every one that is owed, the oldest first.
    pub fn range() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn number(key: &Key) -> Result<u64, RecordError> {
        key.number(KIND, &[]).ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no number" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The stored form is a promise: what one program owes the next one tells.
    #[test]
    fn the_form_in_which_notices_stand() {
        let notice = |act| OwnerNotice { mailbox: "1234567897".into(), act, unix_millis: 7 };
        let forms = [
            (Act::PasswordSet { app_passwords: false }, r#"{"password-set":{"app_passwords":false}}"#),
            (Act::PasswordWithdrawn { app_passwords: true }, r#"{"password-withdrawn":{"app_passwords":true}}"#),
            (Act::AppPasswordMade { number: 2, operator: None, scopes: vec![Scope::Imap] }, r#"{"app-password-made":{"number":2,"operator":null,"scopes":["imap"]}}"#),
            (Act::AppPasswordWithdrawn { number: 2 }, r#"{"app-password-withdrawn":{"number":2}}"#),
            (Act::CertificateAsked, r#""certificate-asked""#),
            (Act::CertificateRenewed, r#""certificate-renewed""#),
            (Act::HolderRenamed, r#""holder-renamed""#),
            (Act::DocumentAdded, r#""document-added""#),
            (Act::DocumentWithdrawn, r#""document-withdrawn""#),
            (Act::AliasAdded { place: 1 }, r#"{"alias-added":{"place":1}}"#),
            (Act::OperatorNamed { operator: 1 }, r#"{"operator-named":{"operator":1}}"#),
            (Act::OperatorEnded { operator: 1, app_passwords: vec![2, 3] }, r#"{"operator-ended":{"operator":1,"app_passwords":[2,3]}}"#),
            (Act::RecoveryCompleted, r#""recovery-completed""#),
            (Act::PlacesChanged { told: vec![Channel::Mail], ended: vec![Channel::Text] }, r#"{"places-changed":{"told":["mail"],"ended":["text"]}}"#),
        ];
        for (act, form) in forms {
            let stored = format!("\u{1}{{\"mailbox\":\"1234567897\",\"act\":{form},\"unix_millis\":7}}");
            assert_eq!(OwnerNotice::decode(stored.as_bytes()).unwrap(), notice(act.clone()), "{form}");
            assert_eq!(to_json(KIND, &notice(act)).unwrap(), stored.as_bytes());
        }
    }
}
