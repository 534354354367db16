//! The items of many rows of one batch: what they have in common is written once, each octet as [`Item::write`] has it.

use time::format_description::well_known::Rfc3339;

use super::item::{Content, Corrected, Event, Mended, Of, Secrecy};
use crate::record::RecordError;

const DAMAGED: RecordError = RecordError::Damaged { kind: "evidence", reason: "an item cannot be written as JSON" };

/// Written up to where items differ, and from there on.
pub struct Series {
    identifier: String,
    time: String,
    parties: String,
    submission: String,
    domain: String,
}

/// What the items of one row say of it.
#[derive(Clone, Copy, Default)]
pub struct OfRow<'a> {
    /// 1 for the first row after the header.
    pub row: u64,
    /// What stands before the `@` of the mailbox's address, where one was found.
    pub mailbox: Option<&'a str>,
    pub mends: Option<&'a Mended>,
    pub corrects: Option<&'a Corrected>,
    /// SHA-256 of the message, hexadecimal.
    pub message: Option<&'a str>,
    pub secrecy: Option<&'a Secrecy>,
}

impl Series {
    /// `of` gives the parties, the time, and the batch with its manifest and file; `domain` is the recipients'.
    pub fn new(of: &Of<'_>, domain: &str) -> Result<Self, RecordError> {
        let (submission, at) = (of.submission, of.at.format(&Rfc3339).map_err(|_| DAMAGED)?);
        let [sender, issuer, batch, manifest, file, at] = [of.sender, of.issuer, &submission.batch, &submission.manifest, &submission.file, &at].map(quoted);
        let identifier = quoted(&format!("{}/{}/", of.sender, submission.batch))?;
        Ok(Self {
            identifier: format!("{{\"Version\":1,\"EvidenceIdentifier\":{}", identifier.strip_suffix('"').unwrap_or(&identifier)),
            time: format!("\",\"EventTime\":{}", at?),
            parties: format!(",\"EvidenceIssuerDetails\":{},\"SenderDetails\":{}", issuer?, sender?),
            submission: format!(",\"Submission\":{{\"Batch\":{},\"Manifest\":{},\"File\":{},\"Row\":", batch?, manifest?, file?),
            domain: format!("@{domain}"),
        })
    }

    /// An item for each of `events` with its reason.
    pub fn write(&self, of: &OfRow<'_>, events: &[(Event, Option<&str>)]) -> Result<Vec<String>, RecordError> {
        let row = of.row.to_string();
        let about = self.about(of, &row)?;
        let item = |(event, reason): &(Event, Option<&str>)| {
            let mut out = String::with_capacity(self.identifier.len() + self.time.len() + about.len() + 192);
            let name = event.name();
            for part in [&self.identifier, &row, "/", name, "\",\"ERDSEventId\":\"http://uri.etsi.org/19522/Event/", name, &self.time] {
                out.push_str(part);
            }
            if let Some(reason) = reason {
                out.push_str(",\"EventReasons\":[");
                string(reason, &mut out)?;
                out.push(']');
            }
            out.push_str(&about);
            Ok(out)
        };
        events.iter().map(item).collect()
    }

    /// What all items of a row end with.
    fn about(&self, of: &OfRow<'_>, row: &str) -> Result<String, RecordError> {
        let mut out = String::with_capacity(self.parties.len() + self.submission.len() + 320);
        out.push_str(&self.parties);
        if let Some(mailbox) = of.mailbox {
            out.push_str(",\"RecipientDetails\":");
            string(&[mailbox, &self.domain].concat(), &mut out)?;
        }
        [&self.submission, row].iter().for_each(|part| out.push_str(part));
        if let Some(mends) = of.mends {
            out.push_str(",\"Mends\":");
            out.push_str(&json(mends)?);
        }
        if let Some(corrects) = of.corrects {
            out.push_str(",\"Corrects\":");
            out.push_str(&json(corrects)?);
        }
        out.push('}');
        if let Some(message) = of.message {
            out.push_str(",\"UserContentInfo\":");
            out.push_str(&json(&Content::sha256(message).kept(of.secrecy))?);
        }
        out.push('}');
        Ok(out)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, RecordError> {
    serde_json::to_string(value).map_err(|_| DAMAGED)
}

fn quoted(text: &str) -> Result<String, RecordError> {
    json(&text)
}

/// Text between quotes; most stands for itself.
fn string(text: &str, out: &mut String) -> Result<(), RecordError> {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&quoted(text)?);
    } else {
        ["\"", text, "\""].iter().for_each(|part| out.push_str(part));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::super::item::{Item, Submission};
    use super::*;

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z0-9.-]{1,20}", "\\PC{0,8}", Just("a\"b\\c\n\u{7f}\u{1}".to_owned())]
    }

    proptest! {
        /// One form, however it is written.
        #[test]
        fn each_item_is_as_it_is_written_by_itself(
            names in proptest::collection::vec(texts(), 9), row in prop::num::u64::ANY, has in proptest::collection::vec(prop::bool::ANY, 4), secret in 0..4_usize, millis in 0_i64..4_000_000_000_000,
        ) {
            let [issuer, sender, batch, manifest, file, mailbox, domain, message, reason] = <[String; 9]>::try_from(names).unwrap();
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap();
            let mends = has[0].then(|| Mended { batch: reason.clone(), row });
            let corrects = has[1].then(|| Corrected { statement: file.clone(), digest_value: message.clone() });
            let secrecy = [None, Some(Secrecy::EncryptedTo(reason.clone())), Some(Secrecy::EncryptedUnproved(reason.clone())), Some(Secrecy::NotEncrypted(reason.clone()))][secret].clone();
            let submission = Submission { batch, manifest, file, row, mends, corrects };
            let recipient = has[2].then(|| format!("{mailbox}@{domain}"));
            let of = Of { issuer: &issuer, sender: &sender, recipient: recipient.as_deref(), submission: &submission, message: has[3].then_some(&*message), secrecy: secrecy.as_ref(), at };
            let series = Series::new(&of, &domain).unwrap();
            let of_row = OfRow { row, mailbox: has[2].then_some(&*mailbox), mends: submission.mends.as_ref(), corrects: submission.corrects.as_ref(), message: of.message, secrecy: secrecy.as_ref() };
            let events = [(Event::SubmissionAcceptance, None), (Event::ContentConsignmentFailure, Some(&*reason)), (Event::ContentConsignment, None)];
            for (line, (event, reason)) in series.write(&of_row, &events).unwrap().iter().zip(events) {
                prop_assert_eq!(line, &Item::new(event, &of, reason).write().unwrap());
            }
        }
    }
}
