//! Whom a bureau means in a row or a question: by document, credit code or the token of an enrolment, and by name.

use policies::certificate::OrganizationName;
use policies::identity::PersonName;
use policies::statement::{Recipient, Verdict, judge_owner};
use store::Expectation;

use super::enrolment::{self, EnrolmentError};
use crate::directory::Holder;
use crate::gateway::Gateway;
use crate::record::account::Account;

/// The mailbox that is named: closed ones too. A commit that rests on a token expects that it names it still.
pub(super) fn find(gateway: &Gateway, bureau: &str, recipient: &Recipient) -> Result<(Option<Account>, Option<Expectation>), EnrolmentError> {
    Ok(match recipient {
        Recipient::Document(document) => (gateway.directory.find_person(document)?, None),
        Recipient::Institution(code) => (gateway.directory.find_institution(code)?, None),
        Recipient::Token(token) => enrolment::named(gateway, bureau, token)?,
    })
}

/// Whether this is the name of a mailbox's owner.
pub(super) fn is_named(account: &Account, name: &str) -> bool {
    match &account.holder {
        Holder::Citizen { name: owner, .. } => PersonName::parse(name).is_ok_and(|name| !matches!(judge_owner(&name, owner), Verdict::Broken { .. })),
        Holder::Institution { name: owner, .. } => OrganizationName::parse(name).is_ok_and(|name| name == *owner),
    }
}
