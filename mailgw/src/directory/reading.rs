//! Who has a name that reads like another: one record for each reading, written in the commit that gives the name and never deleted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use policies::mailbox::{Alias, MailboxKind, MailboxNumber};
use store::{Batch, CommitError, Expectation, Key};

use super::{ATTEMPTS, Account, Directory, DirectoryError};
use crate::record::index;

/// Names of before that one commit indexes.
const PAGE: usize = 500;

/// The mailboxes with names of one reading, closed ones too.
pub(super) struct Bearers {
    key: Key,
    all: Vec<(MailboxNumber, MailboxKind)>,
    unchanged: Expectation,
    is_asked: bool,
}

impl Bearers {
    /// A citizen's name reads like nobody's that was given before, and nobody's that is given later reads like a citizen's. Of institutions
    /// two may have names that read alike.
    pub fn admit(&self, kind: MailboxKind) -> bool {
        match kind {
            MailboxKind::Citizen => self.all.is_empty(),
            MailboxKind::Institution => self.all.iter().all(|(_, other)| *other == MailboxKind::Institution),
        }
    }

    pub fn add(&mut self, number: MailboxNumber, kind: MailboxKind) {
        self.is_asked = true;
        if !self.all.contains(&(number, kind)) {
            self.all.push((number, kind));
        }
    }

    /// Nothing where nobody was added: no decision rests on it. Of two commits that add to one reading the second is decided anew.
    pub fn write(self, batch: Batch) -> Batch {
        if !self.is_asked {
            return batch;
        }
        batch.expect(self.unchanged).put(self.key, index::encode_all(self.all.iter().map(|(number, _)| *number)))
    }
}

impl Directory {
    /// The accounts with a name that reads like this one, closed ones too, and what a commit expects that rests on there being no more of
    /// them.
    pub fn names_like(&self, name: &Alias) -> Result<(Vec<(Account, Alias)>, Expectation), DirectoryError> {
        let bearers = self.bearers(name)?;
        let mut alike = Vec::new();
        for (number, _) in bearers.all {
            if let Some(account) = self.get(number)?
                && let Some(borne) = account.aliases.iter().find(|borne| borne.reads_like(name)).cloned()
            {
                alike.push((account, borne));
            }
        }
        Ok((alike, bearers.unchanged))
    }

    pub(super) fn bearers(&self, name: &Alias) -> Result<Bearers, DirectoryError> {
        // Relied upon when it is whole alone.
        self.index_readings()?;
        self.read_bearers(index::reading(name, &self.key))
    }

    fn read_bearers(&self, key: Key) -> Result<Bearers, DirectoryError> {
        let unchanged = self.as_it_is(key.clone())?;
        let numbers = if let Expectation::Equals(_, bytes) = &unchanged { index::decode_all(bytes)? } else { Vec::new() };
        let mut all = Vec::with_capacity(numbers.len());
        for number in numbers {
            // Whoever has no account any more is looked upon as the stricter.
            all.push((number, self.get(number)?.map_or(MailboxKind::Citizen, |account| account.kind())));
        }
        Ok(Bearers { key, all, unchanged, is_asked: false })
    }

    /// Stores of before names were found by their reading: those that were given come to be. Done once, and begun anew where it was cut off;
    /// afterwards it does nothing.
    pub fn index_readings(&self) -> Result<(), DirectoryError> {
        let whole = index::readings_whole();
        if self.store.get(&whole)?.is_some() {
            return Ok(());
        }
        let (mut from, to) = index::aliases();
        loop {
            let page = self.store.scan(&from, &to, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = last.successor();
            let numbers = page.iter().map(|(_, number)| index::decode(number)).collect::<Result<Vec<_>, _>>()?;
            self.index_readings_of(&numbers)?;
        }
        self.store.commit(Batch::new().put(whole, index::mark()))?;
        Ok(())
    }

    fn index_readings_of(&self, numbers: &[MailboxNumber]) -> Result<(), DirectoryError> {
        for _ in 0..ATTEMPTS {
            let mut found: HashMap<Key, Bearers> = HashMap::new();
            for number in numbers {
                let Some(account) = self.get(*number)? else { continue };
                for alias in &account.aliases {
                    let key = index::reading(alias, &self.key);
                    let bearers = match found.entry(key.clone()) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(place) => place.insert(self.read_bearers(key)?),
                    };
                    bearers.add(account.number, account.kind());
                }
            }
            match self.store.commit(found.into_values().fold(Batch::new(), |batch, bearers| bearers.write(batch))) {
                // Somebody was given such a name at this moment.
                Err(CommitError::Conflict { .. }) => {}
                done => return Ok(done.map(|_| ())?),
            }
        }
        Err(DirectoryError::Busy)
    }
}
