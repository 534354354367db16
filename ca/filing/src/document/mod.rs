//! What is signed: canonical JSON, and the types it is read into.
//!
//! A [`Filing`] is had from octets only when these are the one canonical form of what they say (RFC 8785 over
//! I-JSON), so that equal meaning is equal octets and a digest names a filing. A [`Draft`](Value) written by hand
//! is read with [`Value::parse_draft`] and made canonical by [`Filing::from_value`].

mod attachment;
mod canonical;
mod envelope;
mod filing;
mod id;
mod json;
mod mandate;
mod operator;

pub use attachment::{Attachment, AttachmentName, Content, Digests, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, MediaType};
pub use envelope::{Agent, PreparedBy, Region, is_reference};
pub use filing::{Filing, FilingError, MEMBERS, Signer};
pub use id::{FilingId, MandateId};
pub use json::{JsonError, JsonFault, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Object, Value};
pub use mandate::{MAX_MANDATE_KINDS, Mandate, Withdrawal};
pub use operator::{Authorisation, Named, OperatorWithdrawal, OwnKey, OwnKeyWithdrawal};
