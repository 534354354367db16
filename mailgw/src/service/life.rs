//! What an operator asks about the life of one mailbox: what is in it, what is marked, what comes back, by what rules it is kept.

use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};

use super::{Outcome, Service, mailbox};
use crate::directory::{ApplicantError, Holds};
use crate::flow::hold;
use crate::flow::opening::document_withdrawal::{self, Withdrawal};
use crate::flow::opening::further_document::{self, FurtherDocument};
use crate::flow::opening::renaming::{self, Renaming};
use crate::mailbox::{Choice, Kept, MailError, RULES, TrustMarked};
use crate::record::body;

/// The rules of a mailbox from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    pub text: Option<String>,
}

/// A message that is marked as a bureau's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownVerified {
    pub folder: String,
    pub uid: u32,
    pub bureau: String,
    /// When it was verified.
    pub unix_millis: u64,
}

/// A message that its owner deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownDeleted {
    pub folder: String,
    pub uid: u32,
    /// When it was deleted.
    pub unix_millis: u64,
    pub size: u32,
    /// SHA-256 of the message, hexadecimal.
    pub digest: String,
}

impl Service {
    pub(super) fn holds(&self, mailbox: &str) -> Result<Holds, Problem> {
        let number = self.number(mailbox)?.to_string();
        let held = || -> Result<_, MailError> {
            let messages = &self.gateway.messages;
            Ok((messages.quota_of(&number)?, messages.count_marked(&number)?, messages.deleted(&number, &Choice::default())?.len() as u64))
        };
        let (quota, verified, deleted) = held().map_err(|error| told_of_mail(&error))?;
        let legal_holds = hold::show(&self.gateway, mailbox)?.iter().filter(|hold| hold.holds).count() as u64;
        Ok(Holds { messages: quota.used_messages, bytes: quota.used_octets, limit_bytes: quota.octets.unwrap_or(u64::MAX), verified, deleted, legal_holds })
    }

    pub(super) fn add_document(&self, further: &FurtherDocument) -> Result<Outcome, Problem> {
        let number = self.number(&further.mailbox)?;
        let account = further_document::add(&self.gateway, &self.lists, number, further)?;
        Ok(self::mailbox(self.gateway.directory.shown(&account), None))
    }

    pub(super) fn withdraw_document(&self, withdrawal: &Withdrawal) -> Result<Outcome, Problem> {
        let number = self.number(&withdrawal.mailbox)?;
        let account = document_withdrawal::withdraw(&self.gateway, &self.lists, number, withdrawal)?;
        Ok(self::mailbox(self.gateway.directory.shown(&account), None))
    }

    pub(super) fn add_alias(&self, mailbox: &str, name: &str) -> Result<Outcome, Problem> {
        let (directory, number) = (&self.gateway.directory, self.number(mailbox)?);
        let alias = directory.policy().grant_alias(name).map_err(ApplicantError::from)?;
        Ok(self::mailbox(directory.shown(&directory.add_alias(number, &alias, self.gateway.clock.now())?), None))
    }

    pub(super) fn rename(&self, renaming: &Renaming) -> Result<Outcome, Problem> {
        let (directory, number) = (&self.gateway.directory, self.number(&renaming.mailbox)?);
        let mut shown = directory.shown(&renaming::rename(&self.gateway, number, renaming)?);
        shown.former_names = directory.former_names(number)?;
        Ok(self::mailbox(shown, None))
    }

    pub(super) fn rules(&self, mailbox: &str, set: Option<NewRules>) -> Result<Outcome, Problem> {
        let (messages, number) = (&self.gateway.messages, self.number(mailbox)?.to_string());
        if let Some(NewRules { text }) = set {
            messages.annotate(&number, None, &[(RULES.to_owned(), text.map(String::into_bytes))]).map_err(|error| told_of_mail(&error))?;
        }
        let rules = messages.rules(&number).map_err(|error| told_of_mail(&error))?;
        Ok(Outcome::Rules(rules.map(|text| String::from_utf8_lossy(&text).into_owned())))
    }

    pub(super) fn verified(&self, mailbox: &str, limit: usize) -> Result<Outcome, Problem> {
        let found = self.gateway.messages.marked(&self.number(mailbox)?.to_string(), limit).map_err(|error| told_of_mail(&error))?;
        let shown = |one: TrustMarked| ShownVerified { folder: one.folder, uid: one.uid, bureau: one.mark.bureau, unix_millis: one.mark.unix_millis };
        Ok(Outcome::Verified(found.into_iter().map(shown).collect()))
    }

    pub(super) fn deleted(&self, mailbox: &str, choice: &Choice) -> Result<Outcome, Problem> {
        let found = self.gateway.messages.deleted(&self.number(mailbox)?.to_string(), choice).map_err(|error| told_of_mail(&error))?;
        let shown = |one: Kept| ShownDeleted { folder: one.deleted.name, uid: one.deleted.uid, unix_millis: one.deleted.unix_millis, size: one.size, digest: crate::hex(&one.digest) };
        Ok(Outcome::Deleted(found.into_iter().map(shown).collect()))
    }

    pub(super) fn undelete(&self, mailbox: &str, choice: &Choice, request: &str) -> Result<Outcome, Problem> {
        let request = crate::hex(&body::digest(request.as_bytes()));
        let restored = self.gateway.messages.restore(&self.number(mailbox)?.to_string(), choice, &request, self.gateway.now_unix_millis());
        Ok(Outcome::Restored(restored.map_err(|error| told_of_mail(&error))?))
    }
}

fn told_of_mail(error: &MailError) -> Problem {
    let (exit, code) = match error {
        MailError::OverQuota { .. } => return Problem::new(Exit::Refused, "mailbox-full", "what is to come does not fit into the mailbox", "make room, or choose less with --folder and --since"),
        MailError::Busy => (Exit::Unavailable, "busy"),
        MailError::Rules(_) => (Exit::Refused, "rules"),
        MailError::Record(_) => (Exit::Damaged, "store-damaged"),
        _ => (Exit::Unavailable, "mail"),
    };
    crate::problem::told(exit, code, &error.to_string())
}
