//! Changes of an account that exists: closing it, a password set or withdrawn.

use policies::mailbox::MailboxNumber;
use policies::registrar::Ending;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::password::{NewPassword, Password, Verifier};
use super::{ATTEMPTS, Directory, DirectoryError, unix_millis};
use crate::flow::certificate::owed;
use crate::record::account::{self, Account};
use crate::record::app_password::AppPasswords;
use crate::record::certificate::{Asked, Held, Sealed};
use crate::record::event::{self, Event};
use crate::record::owner_notice::{Act, OwnerNotice};
use crate::record::recovery::Recovery;
use crate::record::{unentered, withdrawn};

/// What becomes of an account, beside its record.
pub(super) struct Change {
    pub account: Account,
    pub verifier: Verifier,
    pub batch: Batch,
}

impl Directory {
    /// From its receipt on nobody logs in and nothing is delivered. What the mailbox holds stays, sealed; its
    /// number and names are never given again.
    pub fn close(&self, number: MailboxNumber, now: OffsetDateTime) -> Result<Account, DirectoryError> {
        let closed = self.change(number, |account, verifier| {
            // What nobody logs in with any more is not kept.
            let mut batch = Batch::new().delete(account::open_mark(number)).delete(unentered::key(number)).delete(withdrawn::key(number)).delete(AppPasswords::key(number));
            // A certificate that is kept, or asked for at this moment, ends with the mailbox; one that comes or is asked for
            // after it was looked for makes the commit fail, and it is looked for again.
            let mut certified = false;
            for place in [Held::key(number), Asked::key(number)] {
                let found = self.store.get(&place)?;
                certified |= found.is_some();
                batch = batch.expect(match found {
                    Some(found) => Expectation::Equals(place, found),
                    None => Expectation::Absent(place),
                });
            }
            // Nobody gets a new password any more.
            batch = self.without_recovery(number, batch, "closed", now)?;
            if certified {
                batch = owed(batch, number, Ending::CessationOfOperation, &self.key, now)?;
            }
            Event::MailboxClosed(told(number)).append(&mut batch, unix_millis(now))?;
            Ok(Change { account: Account { closed_at: Some(unix_millis(now)), ..account }, verifier, batch })
        });
        // Said whether or not it is known to be durable, wherever they are logged in; what became of the mailbox is the answer all the same.
        self.end_logins(number);
        if let Err(error) = self.end_logins_as_operator(number) {
            tracing::error!(%error, "where the owner of a mailbox that is closed is an operator could not be looked up; a session there may go on: start `mailgw serve` anew");
        }
        closed
    }

    /// Ends the recovery that is under way. Whoever begins one at this moment comes first, and it is looked for again.
    pub(super) fn without_recovery(&self, number: MailboxNumber, mut batch: Batch, why: &str, now: OffsetDateTime) -> Result<Batch, DirectoryError> {
        let recovery = Recovery::key(number);
        Ok(match self.store.get(&recovery)? {
            Some(found) => {
                Event::RecoveryEnded(event::RecoveryEnded { mailbox: number.to_string(), why: why.to_owned() }).append(&mut batch, unix_millis(now))?;
                batch.expect(Expectation::Equals(recovery.clone(), found)).delete(recovery)
            }
            None => batch.expect(Expectation::Absent(recovery)),
        })
    }

    /// At the counter, where the letter with the password was lost: the administrator's word, not the owner's, and so for a mailbox that
    /// nobody has logged in to alone. `app_passwords`: those that were made go with it. The password is given back for the one moment in
    /// which it is told.
    pub fn set_password(&self, number: MailboxNumber, new: &NewPassword, app_passwords: bool, now: OffsetDateTime) -> Result<Password, DirectoryError> {
        let found = self.get(number)?.ok_or(DirectoryError::NotFound)?;
        if !found.is_open() {
            return Err(DirectoryError::Closed { mailbox: number });
        }
        let password = self.new_password(new, number)?;
        let verifier = self.hasher.verifier(&password, &*self.random)?;
        let mark = unentered::key(number);
        let set = self.change(number, |account, _| {
            if self.store.get(&mark)?.is_none() {
                return Err(DirectoryError::Entered { mailbox: number });
            }
            // Whoever logs in at this moment came first.
            let mut batch = Batch::new().expect(Expectation::Present(mark.clone())).delete(withdrawn::key(number));
            if app_passwords {
                batch = self.without_app_passwords(number, batch, now)?;
            }
            Event::PasswordSet(told(number)).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::PasswordSet { app_passwords }, unix_millis(now))?;
            Ok(Change { account, verifier: verifier.clone(), batch })
        });
        // Refused, it is nobody's business.
        if !matches!(set, Err(DirectoryError::Entered { .. })) {
            self.end_logins(number);
        }
        set.map(|_| password)
    }

    /// The password opens nothing any more, and with `app_passwords` those of programs neither: against a thief, who would end every recovery
    /// by a login. It opens the mailbox to nobody, so one administrator's word is enough; but not while a recovery is under way, which the
    /// owner may end by a login. One that begins afterwards takes longer, so it is noted.
    pub fn withdraw_password(&self, number: MailboxNumber, app_passwords: bool, now: OffsetDateTime) -> Result<Account, DirectoryError> {
        // One that nobody is told, and nobody can guess.
        let verifier = self.hasher.verifier(&Password::generate(&*self.random)?, &*self.random)?;
        let recovery = Recovery::key(number);
        let withdrawn = self.change(number, |account, _| {
            if self.store.get(&recovery)?.is_some() {
                return Err(DirectoryError::RecoveryUnderWay { mailbox: number });
            }
            let mut batch = Batch::new().expect(Expectation::Absent(recovery.clone())).put(withdrawn::key(number), withdrawn::encode(unix_millis(now)));
            if app_passwords {
                batch = self.without_app_passwords(number, batch, now)?;
            }
            Event::PasswordWithdrawn(told(number)).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::PasswordWithdrawn { app_passwords }, unix_millis(now))?;
            Ok(Change { account, verifier: verifier.clone(), batch })
        });
        if !matches!(withdrawn, Err(DirectoryError::RecoveryUnderWay { .. })) {
            self.end_logins(number);
        }
        withdrawn
    }

    /// When its password was withdrawn, where there is none since; and what a commit expects that rests on it.
    pub fn withdrawn(&self, number: MailboxNumber) -> Result<(Option<u64>, Expectation), DirectoryError> {
        let place = withdrawn::key(number);
        Ok(match self.store.get(&place)? {
            Some(found) => (Some(withdrawn::decode(&found)?), Expectation::Equals(place, found)),
            None => (None, Expectation::Absent(place)),
        })
    }

    /// Somebody is in: from now on no single word sets the password. Said at every login, written at the first.
    pub fn entered(&self, number: MailboxNumber) -> Result<(), DirectoryError> {
        let mark = unentered::key(number);
        if self.store.get(&mark)?.is_none() {
            return Ok(());
        }
        match self.store.commit(Batch::new().expect(Expectation::Present(mark.clone())).delete(mark)) {
            // Another login was first, or the mailbox is closed.
            Err(CommitError::Conflict { .. }) => Ok(()),
            done => Ok(done.map(|_| ())?),
        }
    }

    /// Decides on the open account as it stands and commits only if it still stands so.
    pub(super) fn change(&self, number: MailboxNumber, decide: impl Fn(Account, Verifier) -> Result<Change, DirectoryError>) -> Result<Account, DirectoryError> {
        self.change_even_closed(number, |account, verifier| {
            if account.is_open() { decide(account, verifier) } else { Err(DirectoryError::Closed { mailbox: number }) }
        })
    }

    pub(super) fn change_even_closed(
        &self, number: MailboxNumber, decide: impl Fn(Account, Verifier) -> Result<Change, DirectoryError>,
    ) -> Result<Account, DirectoryError> {
        let key = account::key(number);
        for _ in 0..ATTEMPTS {
            let (account, verifier, stored) = self.read(number)?.ok_or(DirectoryError::NotFound)?;
            let Change { account, verifier, batch } = decide(account, verifier)?;
            let sealed = account::seal(&account, &verifier, &self.key)?;
            match self.store.commit(batch.expect(Expectation::Equals(key.clone(), stored)).put(key.clone(), sealed)) {
                Err(CommitError::Conflict { .. }) => continue,
                done => done?,
            };
            return Ok(account);
        }
        Err(DirectoryError::Busy)
    }
}

pub(super) fn told(number: MailboxNumber) -> event::Mailbox {
    event::Mailbox { mailbox: number.to_string() }
}
