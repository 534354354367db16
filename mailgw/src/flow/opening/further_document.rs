//! The owner of a mailbox has a further document, such as a renewed card: an operator looks at it, graded by the rules of opening. It finds
//! the mailbox from then on, and after some days (`document_days` in limits.toml) counts like the first one, in a recovery too. Its name
//! alone does not say whose it is: a namesake's genuine passport bears the same.

use policies::identity::Document;
use policies::mailbox::MailboxNumber;
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::OpeningError;
use super::findings::Findings;
use crate::directory::{Account, Applicant, ApplicantError, Binding, DirectoryError, Words, today};
use crate::flow::approval::{self, SignedRequest};
use crate::gateway::Gateway;
use crate::record::body;
use crate::service::TypedPassword;

pub const KIND: &str = "suiyin mailbox document v1";
/// Characters of a salt: no fewer than 128 bits have in hexadecimal.
const SALT: std::ops::RangeInclusive<usize> = 32..=128;

/// What an operator read from the document, and found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherDocument {
    pub mailbox: String,
    /// Type, number and name as they stand on it.
    pub document: Words,
    pub by: By,
    pub findings: Findings,
}

/// By what its owner is known to be the mailbox's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum By {
    /// A document that the mailbox holds was shown with it.
    Held { id_type: String, id_no: TypedPassword },
    /// Where none can be shown any more: a `Request` that two officers signed, and the salt of its digest.
    Officers { signed: SignedRequest, salt: TypedPassword },
}

/// What two officers sign, as JSON. No name and no number stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub kind: String,
    /// Its whole address: what is signed for one gateway is good at no other.
    pub mailbox: String,
    pub id_type: String,
    /// SHA-256, hexadecimal, of two lines: the document's number and a random salt, which is kept with the papers. Whoever has the request
    /// alone tries out no numbers.
    pub document: String,
    /// What was looked at, in a few words.
    pub proof: String,
    /// Where the papers are.
    pub papers: String,
}

/// 1 it is a person's document · 2 what was found is enough by the rules of opening, and of a copy there is a file · 3 a document that the
/// mailbox holds was shown with it, or two officers signed for this one today · 4 it bears the name of the owner of this mailbox and is
/// nobody else's; durable with a leaf of the log, and the owner is told.
pub fn add(gateway: &Gateway, lists: &RevocationLists, number: MailboxNumber, further: &FurtherDocument) -> Result<Account, OpeningError> {
    let (directory, now) = (&gateway.directory, gateway.clock.now());
    // 1
    let Applicant::Citizen { document, name, .. } = Applicant::parse(&further.document, directory.policy(), today(now))? else {
        return Err(DirectoryError::NoCitizen { mailbox: number }.into());
    };
    if !further.document.aliases.is_empty() {
        return Err(ApplicantError::Mixed.into());
    }
    // 2
    let proof = further.findings.proof(directory.policy().opening())?;
    // 3
    let binding = match &further.by {
        By::Held { id_type, id_no } => Binding::Held(Document::parse(id_type, id_no.expose(), today(now)).map_err(OpeningError::HeldDocument)?),
        By::Officers { signed, salt } => {
            let account = directory.get(number)?.ok_or(DirectoryError::NotFound)?;
            is_of(gateway, number, further, signed, salt)?;
            Binding::Officers(approval::by_officers(gateway, lists, &signed.request, &signed.approvals, account.opened_at, now)?)
        }
    };
    // 4. Another's paper, handed over by mistake, must not lead to this mailbox.
    Ok(directory.add_document(number, &document, &name, &binding, &proof, now)?)
}

/// The request is one for this mailbox, and for this very document.
fn is_of(gateway: &Gateway, number: MailboxNumber, further: &FurtherDocument, signed: &SignedRequest, salt: &TypedPassword) -> Result<(), OpeningError> {
    let wrong = |reason| OpeningError::Request { reason };
    let request: Request = serde_json::from_str(&signed.request).map_err(|_| wrong("it is not of that form"))?;
    let said = |text: &str| !text.trim().is_empty() && text.chars().count() <= 200;
    if request.kind != KIND || !said(&request.proof) || !said(&request.papers) {
        return Err(wrong("it says nothing of proof and papers, or is of another kind"));
    }
    if approval::mailbox(gateway, &request.mailbox) != Some(number) {
        return Err(wrong("its mailbox is not this one's whole address"));
    }
    if !SALT.contains(&salt.expose().len()) || !salt.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(wrong("the salt is not 32 to 128 letters and digits"));
    }
    let Words { id_type, id_no, .. } = &further.document;
    let lines = Zeroizing::new(format!("{}\n{}\n", id_no.as_deref().unwrap_or_default(), salt.expose()));
    if id_type.as_deref() != Some(&request.id_type) || request.document != crate::hex(&body::digest(lines.as_bytes())) {
        return Err(wrong("it is of another document, or number and salt were typed otherwise than its digest was made of"));
    }
    Ok(())
}
