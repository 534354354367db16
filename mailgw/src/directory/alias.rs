//! A further name of a person or an institution beside the number, chosen after the mailbox was opened. Like those of its opening it is never
//! given again.

use policies::mailbox::{Alias, MailboxNumber};
use store::{Batch, Expectation};
use time::OffsetDateTime;

use super::applicant::MAX_ALIASES;
use super::change::{Change, told};
use super::{Directory, DirectoryError, Holder, unix_millis};
use crate::bureau::address;
use crate::record::account::Account;
use crate::record::event::Event;
use crate::record::index;
use crate::record::owner_notice::{Act, OwnerNotice};

impl Directory {
    pub fn add_alias(&self, number: MailboxNumber, alias: &Alias, now: OffsetDateTime) -> Result<Account, DirectoryError> {
        let finder = index::alias(alias, &self.key);
        self.change(number, |mut account, verifier| {
            // No bureau's name is a citizen's, who has no credit code.
            let (code, most) = match &account.holder {
                Holder::Institution { code, .. } => (code.as_str(), MAX_ALIASES),
                Holder::Citizen { .. } => ("", self.policy.citizen_aliases()),
            };
            if most == 0 {
                return Err(DirectoryError::NumberAlone { mailbox: number });
            }
            if let Holder::Citizen { .. } = account.holder {
                self.policy.grant_citizen(alias)?;
            }
            if self.indexed(&finder)?.is_some() {
                return Err(DirectoryError::AliasTaken { alias: alias.clone() });
            }
            if account.aliases.len() >= most {
                return Err(DirectoryError::TooManyAliases { mailbox: number });
            }
            let (sealed, still) = address::names(&*self.store, &self.domain)?;
            if sealed.is_anothers(alias, code) {
                return Err(DirectoryError::AliasSealed { alias: alias.clone() });
            }
            let mut bearers = self.bearers(alias)?;
            if !bearers.admit(account.kind()) {
                return Err(DirectoryError::AliasTaken { alias: alias.clone() });
            }
            bearers.add(number, account.kind());
            account.aliases.push(alias.clone());
            let mut batch = still.into_iter().fold(Batch::new(), Batch::expect);
            batch = batch.expect(Expectation::Absent(finder.clone())).put(finder.clone(), index::encode(number));
            batch = bearers.write(batch);
            Event::AliasAdded(told(number)).append(&mut batch, unix_millis(now))?;
            let place = u32::try_from(account.aliases.len()).unwrap_or(u32::MAX);
            OwnerNotice::owe(&mut batch, number, Act::AliasAdded { place }, unix_millis(now))?;
            Ok(Change { account, verifier, batch })
        })
    }
}
