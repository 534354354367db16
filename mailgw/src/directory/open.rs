//! Opening mailboxes: account, indexes, folders and the leaf of the log in one commit, or nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use policies::mailbox::{Alias, MailboxNumber};
use secrecy::SecretString;
use store::{Batch, CommitError, Expectation, Key};
use time::OffsetDateTime;

use super::applicant::Applicant;
use super::password::{NewPassword, Password, Verifier};
use super::reading::Bearers;
use super::{ATTEMPTS, Directory, DirectoryError, unix_millis};
use crate::bureau::address;
use crate::mailbox::standard_folders;
use crate::record::account::{self, Account, HeldDocument, Holder, State};
use crate::record::bureau::SealNames;
use crate::record::event::{self, Event};
use crate::record::{index, unentered};

/// The most mailboxes that one commit opens.
pub const MAX_BATCH: usize = 200;
/// With five million mailboxes one draw in two hundred is of a number already given.
const DRAWS: usize = 1_000;

#[derive(Clone, Debug)]
pub struct Application {
    pub applicant: Applicant,
    pub password: NewPassword,
}

/// A mailbox that is open from now on, and its password for the one moment in which it is told.
#[derive(Clone)]
pub struct Opened {
    pub account: Account,
    pub password: Password,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Opened({:?})", self.account)
    }
}

/// What one batch will do, and for each application whether it is part of it.
struct Plan {
    batch: Batch,
    decisions: Vec<Result<Opened, DirectoryError>>,
    /// Index keys and numbers that this batch gives away.
    given: HashMap<Key, MailboxNumber>,
    /// The names that bureaus seal or send under, once somebody asks for a name.
    sealed: Option<SealNames>,
    /// Who has names that read like those this batch gives, by the reading.
    bearers: HashMap<Key, Bearers>,
}

impl Plan {
    fn new() -> Self {
        Self { batch: Batch::new(), decisions: Vec::new(), given: HashMap::new(), sealed: None, bearers: HashMap::new() }
    }

    /// What is to be committed.
    fn whole(batch: Batch, bearers: HashMap<Key, Bearers>) -> Batch {
        bearers.into_values().fold(batch, |batch, bearers| bearers.write(batch))
    }
}

impl Directory {
    pub fn open(&self, applicant: Applicant, password: NewPassword, now: OffsetDateTime) -> Result<Opened, DirectoryError> {
        let opened = self.open_all(&[Application { applicant, password }], now)?;
        opened.into_iter().next().unwrap_or(Err(DirectoryError::Busy))
    }

    /// Opens those that can be opened in one commit and says of each other why not. An error of the whole
    /// means that nothing is known to be done: asking again is safe, since nobody gets a second mailbox.
    pub fn open_all(&self, applications: &[Application], now: OffsetDateTime) -> Result<Vec<Result<Opened, DirectoryError>>, DirectoryError> {
        if applications.len() > MAX_BATCH {
            return Err(DirectoryError::TooMany { count: applications.len() });
        }
        // Made once, whatever number an application gets in which attempt: hashing is what takes time.
        let mut passwords: Vec<Option<(Password, Verifier)>> = applications.iter().map(|_| None).collect();
        for _ in 0..ATTEMPTS {
            let mut plan = Plan::new();
            for (application, password) in applications.iter().zip(&mut passwords) {
                let made = |number| self.made(&application.password, password, number);
                let decided = self.plan(&application.applicant, made, &mut plan, now)?;
                let opened = |account| Ok(Opened { account, password: password.as_ref().map(|(made, _)| made.clone()).ok_or(DirectoryError::Busy)? });
                plan.decisions.push(decided.and_then(opened));
            }
            if plan.decisions.iter().any(Result::is_ok) {
                match self.store.commit(Plan::whole(plan.batch, plan.bearers)) {
                    // Somebody came first with a document, a name or a number: look again who has what.
                    Err(CommitError::Conflict { .. }) => continue,
                    done => done?,
                };
            }
            return Ok(plan.decisions);
        }
        Err(DirectoryError::Busy)
    }

    /// Opens the mailbox of one who applied for it with this password; `also` adds what is to be durable in the same commit, or says why
    /// it is not to be opened any more: it is asked anew for each attempt.
    pub fn open_applied<E: From<DirectoryError>>(
        &self, applicant: &Applicant, password: &Verifier, now: OffsetDateTime, also: &dyn Fn(&Account, Batch) -> Result<Batch, E>,
    ) -> Result<Account, E> {
        for _ in 0..ATTEMPTS {
            let mut plan = Plan::new();
            let account = self.plan(applicant, |_| Ok(Ok(password.clone())), &mut plan, now)??;
            match self.store.commit(also(&account, Plan::whole(plan.batch, plan.bearers))?) {
                Err(CommitError::Conflict { .. }) => {}
                done => return done.map(|_| account).map_err(|error| E::from(error.into())),
            }
        }
        Err(DirectoryError::Busy.into())
    }

    /// The password of an application, made at its first attempt.
    fn made(&self, new: &NewPassword, made: &mut Option<(Password, Verifier)>, number: MailboxNumber) -> Result<Result<Verifier, DirectoryError>, DirectoryError> {
        if let Some((_, verifier)) = made {
            return Ok(Ok(verifier.clone()));
        }
        let password = match self.new_password(new, number) {
            Err(DirectoryError::Password(error)) => return Ok(Err(error.into())),
            new => new?,
        };
        let verifier = self.hasher.verifier(&password, &*self.random)?;
        *made = Some((password, verifier.clone()));
        Ok(Ok(verifier))
    }

    /// Adds one application to the batch. The outer error ends the batch, the inner one is the application's own.
    fn plan(
        &self, applicant: &Applicant, password: impl FnOnce(MailboxNumber) -> Result<Result<Verifier, DirectoryError>, DirectoryError>, plan: &mut Plan, now: OffsetDateTime,
    ) -> Result<Result<Account, DirectoryError>, DirectoryError> {
        let (finder, holder, aliases) = match applicant {
            Applicant::Citizen { document, name, aliases } => {
                let holder = Holder::Citizen { name: name.clone(), documents: vec![HeldDocument::of_opening(document)] };
                (index::person(document, &self.key), holder, aliases.clone())
            }
            Applicant::Institution { code, name, aliases } => {
                let holder = Holder::Institution { name: name.clone(), code: code.clone() };
                (index::institution(code, &self.key), holder, aliases.clone())
            }
        };
        if let Some(mailbox) = self.owner(&finder, plan)? {
            let state = self.get(mailbox)?.map_or(State::Open, |account| account.state());
            return Ok(Err(DirectoryError::Exists { mailbox, state }));
        }
        let mut finders = vec![finder];
        for alias in &aliases {
            let key = index::alias(alias, &self.key);
            if self.owner(&key, plan)?.is_some() {
                return Ok(Err(DirectoryError::AliasTaken { alias: alias.clone() }));
            }
            finders.push(key);
        }
        if !aliases.is_empty() {
            // No bureau's name is a citizen's, who has no credit code.
            let code = if let Applicant::Institution { code, .. } = applicant { code.as_str() } else { "" };
            let sealed = self.sealed(plan)?;
            if let Some(alias) = aliases.iter().find(|alias| sealed.is_anothers(alias, code)) {
                return Ok(Err(DirectoryError::AliasSealed { alias: alias.clone() }));
            }
        }
        let kind = holder.kind();
        for alias in &aliases {
            if !self.planned_bearers(alias, plan)?.admit(kind) {
                return Ok(Err(DirectoryError::AliasTaken { alias: alias.clone() }));
            }
        }
        let number = self.draw(plan)?;
        let verifier = match password(number)? {
            Ok(verifier) => verifier,
            Err(error) => return Ok(Err(error)),
        };
        let account = Account { number, holder, aliases, opened_at: unix_millis(now), closed_at: None };
        let key = account::key(number);
        let mut batch = std::mem::take(&mut plan.batch).expect(Expectation::Absent(key.clone()));
        batch = batch.put(key.clone(), account::seal(&account, &verifier, &self.key)?).put(account::open_mark(number), account::mark());
        batch = batch.put(unentered::key(number), unentered::mark());
        plan.given.insert(key, number);
        for finder in finders {
            batch = batch.expect(Expectation::Absent(finder.clone())).put(finder.clone(), index::encode(number));
            plan.given.insert(finder, number);
        }
        batch = standard_folders(batch, &account.mailbox());
        Event::MailboxOpened(event::Mailbox { mailbox: account.mailbox() }).append(&mut batch, account.opened_at)?;
        plan.batch = batch;
        for alias in &account.aliases {
            self.planned_bearers(alias, plan)?.add(number, kind);
        }
        Ok(Ok(account))
    }

    /// As the store has them, and this batch will.
    fn planned_bearers<'p>(&self, alias: &Alias, plan: &'p mut Plan) -> Result<&'p mut Bearers, DirectoryError> {
        Ok(match plan.bearers.entry(index::reading(alias, &self.key)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.bearers(alias)?),
        })
    }

    /// The names that bureaus seal or send under; the batch rests on them from now on.
    fn sealed<'p>(&self, plan: &'p mut Plan) -> Result<&'p SealNames, DirectoryError> {
        let names = match plan.sealed.take() {
            Some(names) => names,
            None => {
                let (names, still) = address::names(&*self.store, &self.domain)?;
                plan.batch = still.into_iter().fold(std::mem::take(&mut plan.batch), Batch::expect);
                names
            }
        };
        Ok(plan.sealed.insert(names))
    }

    /// Who has this index, in the store or earlier in the same batch.
    fn owner(&self, finder: &Key, plan: &Plan) -> Result<Option<MailboxNumber>, DirectoryError> {
        match plan.given.get(finder) {
            Some(number) => Ok(Some(*number)),
            None => self.indexed(finder),
        }
    }

    /// A number that was never given, closed mailboxes included: their accounts remain.
    fn draw(&self, plan: &Plan) -> Result<MailboxNumber, DirectoryError> {
        for _ in 0..DRAWS {
            let mut bytes = [0; 4];
            self.random.fill(&mut bytes)?;
            let Some(number) = MailboxNumber::from_random(u32::from_be_bytes(bytes)) else { continue };
            let key = account::key(number);
            if !plan.given.contains_key(&key) && self.store.get(&key)?.is_none() {
                return Ok(number);
            }
        }
        Err(DirectoryError::NoNumber)
    }

    /// What is kept of the password of one who applies, until there is a mailbox.
    pub fn applied_password(&self, text: &SecretString) -> Result<Verifier, DirectoryError> {
        let password = Password::chosen(text, None, &self.policy)?;
        Ok(self.hasher.verifier_of_stranger(&password, &*self.random)?)
    }

    /// Whether an application that comes again has the same password.
    pub fn is_applied_password(&self, verifier: &Verifier, text: &SecretString) -> Result<bool, DirectoryError> {
        Ok(self.hasher.verify_of_stranger(verifier, text)?)
    }

    pub(super) fn new_password(&self, new: &NewPassword, owner: MailboxNumber) -> Result<Password, DirectoryError> {
        match new {
            NewPassword::Generated => Ok(Password::generate(&*self.random)?),
            NewPassword::Chosen(text) => Ok(Password::chosen(text, Some(owner), &self.policy)?),
        }
    }
}
