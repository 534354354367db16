//! The directory's part of a recovery: whoever logs in meanwhile ends it, and what it ends with is a new password alone.

use policies::mailbox::MailboxNumber;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::change::{Change, told};
use super::password::{NewPassword, Password};
use super::{Directory, DirectoryError, unix_millis};
use crate::record::event::{self, Event};
use crate::record::owner_notice::{Act, OwnerNotice};
use crate::record::recovery::Recovery;
use crate::record::withdrawn;

impl Directory {
    pub fn recovery(&self, number: MailboxNumber) -> Result<Option<Recovery>, DirectoryError> {
        let place = Recovery::key(number);
        Ok(self.store.get(&place)?.map(|found| Recovery::open(&place, &found, &self.key)).transpose()?)
    }

    /// Somebody has what logs in: nobody needs a new password, or somebody else wants one. Said at every login but by a token; whether one was under way.
    pub fn end_recovery(&self, number: MailboxNumber, why: &str, now: OffsetDateTime) -> Result<bool, DirectoryError> {
        let place = Recovery::key(number);
        let Some(found) = self.store.get(&place)? else { return Ok(false) };
        let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), found)).delete(place);
        Event::RecoveryEnded(event::RecoveryEnded { mailbox: number.to_string(), why: why.to_owned() }).append(&mut batch, unix_millis(now))?;
        match self.store.commit(batch) {
            // Ended, or completed, by somebody else at this moment.
            Err(CommitError::Conflict { .. }) => Ok(false),
            done => Ok(done.map(|_| true)?),
        }
    }

    /// The new password that a recovery ends with: every former one, programs' own too, opens nothing any more.
    pub fn complete_recovery(&self, number: MailboxNumber, new: &NewPassword, now: OffsetDateTime) -> Result<Password, DirectoryError> {
        let place = Recovery::key(number);
        let password = self.new_password(new, number)?;
        let verifier = self.hasher.verifier(&password, &*self.random)?;
        let set = self.change(number, |account, _| {
            let found = self.store.get(&place)?.ok_or(DirectoryError::NoRecovery { mailbox: number })?;
            let recovery = Recovery::open(&place, &found, &self.key)?;
            if unix_millis(now) < recovery.due_unix_millis {
                return Err(DirectoryError::CoolingOff { mailbox: number, due_unix_millis: recovery.due_unix_millis });
            }
            let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), found)).delete(place.clone()).delete(withdrawn::key(number));
            batch = self.without_app_passwords(number, batch, now)?;
            Event::RecoveryEnded(event::RecoveryEnded { mailbox: number.to_string(), why: "completed".to_owned() }).append(&mut batch, unix_millis(now))?;
            Event::PasswordSet(told(number)).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::RecoveryCompleted, unix_millis(now))?;
            Ok(Change { account, verifier: verifier.clone(), batch })
        });
        self.end_logins(number);
        set.map(|_| password)
    }
}
