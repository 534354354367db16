//! What the gateway does: each file is one straight line of numbered steps.

pub mod accept;
pub mod access;
mod addressee;
pub mod approval;
pub mod callers;
pub mod authors;
pub mod consent;
pub mod enrolment;
pub mod encryption;
pub mod evidence;
pub mod certificate;
pub mod certificate_login;
pub mod export;
pub mod hold;
mod letter;
pub mod load;
pub mod login;
pub mod notices;
pub mod notification;
pub mod opening;
pub mod operator;
pub mod owner_notices;
pub mod paper;
pub mod push;
pub mod reading;
pub mod recovery;

mod recipients;
pub mod recipients_asked;
pub mod retention;
mod signer;
pub mod submit;
pub mod token_login;
pub mod verified;
mod waiting;
pub mod warnings;
pub(crate) mod whole_file;
