//! The owner of a mailbox has a further document, such as a renewed card: an operator looks at it, graded by the rules of opening. It finds
//! the mailbox from then on, and after some days (`document_days` in limits.toml) counts like the first one, in a recovery too. Its name
//! alone does not say whose it is: a namesake's genuine passport bears the same.

use policies::identity::Document;
use policies::mailbox::MailboxNumber;
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};

use super::OpeningError;
use super::findings::Findings;
use crate::directory::{Account, Applicant, ApplicantError, Binding, DirectoryError, Words, today};
use crate::flow::approval::{self, SignedRequest, TypedDocument};
use crate::gateway::Gateway;
use crate::service::TypedPassword;

pub const KIND: &str = "suiyin mailbox document v1";

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
    /// Where none can be shown any more.
    Officers(Officers),
}

/// A `Request` that two officers signed, and the salt of its digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officers {
    pub signed: SignedRequest,
    pub salt: TypedPassword,
}

/// What two officers sign, as JSON. No name and no number stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub kind: String,
    /// Its whole address: what is signed for one gateway is good at no other.
    pub mailbox: String,
    pub id_type: String,
    /// As `approval::TypedDocument` has it.
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
        By::Officers(officers) => {
            let account = directory.get(number)?.ok_or(DirectoryError::NotFound)?;
            is_of(gateway, KIND, number, &further.document, officers)?;
            let SignedRequest { request, approvals } = &officers.signed;
            Binding::Officers(approval::by_officers(gateway, lists, request, approvals, account.opened_at, now)?)
        }
    };
    // 4. Another's paper, handed over by mistake, must not lead to this mailbox.
    Ok(directory.add_document(number, &document, &name, &binding, &proof, now)?)
}

/// The request is one of this kind for this mailbox, and for this very document and this name.
pub(super) fn is_of(gateway: &Gateway, kind: &str, number: MailboxNumber, document: &Words, Officers { signed, salt }: &Officers) -> Result<(), OpeningError> {
    let wrong = |reason| OpeningError::Request { reason };
    let request: Request = serde_json::from_str(&signed.request).map_err(|_| wrong("it is not of that form"))?;
    let said = |text: &str| !text.trim().is_empty() && text.chars().count() <= 200;
    if request.kind != kind || !said(&request.proof) || !said(&request.papers) {
        return Err(wrong("it says nothing of proof and papers, or is of another kind"));
    }
    if approval::mailbox(gateway, &request.mailbox) != Some(number) {
        return Err(wrong("its mailbox is not this one's whole address"));
    }
    let Words { id_type, id_no, name, .. } = document;
    let typed = TypedDocument { id_type: id_type.as_deref().unwrap_or_default(), id_no: id_no.as_deref().unwrap_or_default(), name: name.as_deref().unwrap_or_default(), salt: salt.expose() };
    typed.is_signed_for(&request.id_type, &request.document).map_err(wrong)
}
