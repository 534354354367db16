//! Whose the address is that a bureau seals under or sends as: no mailbox of anybody else has it or reads like it, and none gets it.

use std::collections::BTreeMap;

use policies::certificate::HostName;
use policies::mailbox::{Address, Alias, LocalPart, MailboxNumber};
use store::{Batch, Expectation, Store};

use super::senders::MAX_ADDRESSES;
use super::{BureauError, MAX_BUREAUS, address};
use crate::directory::{Account, Directory, DirectoryError, Holder};
use crate::record::RecordError;
use crate::record::bureau::{Bureau, Chain, SealNames};
use crate::record::evidence::ReadError;
use crate::record::sender_address::{self, SenderAddress};

/// A name that a bureau's seal or mail may bear, and what the commit that registers it expects and writes.
pub(super) struct Reserved {
    expected: Vec<Expectation>,
    seals: SealNames,
}

impl Reserved {
    /// The name of a seal, which is kept for good.
    pub fn keep(self, batch: Batch) -> Result<Batch, RecordError> {
        let seals = self.seals.encode()?;
        Ok(self.expect(batch).put(SealNames::key(), seals))
    }

    /// The name of a sender: the register tells of it for as long as it is there.
    pub fn expect(self, batch: Batch) -> Batch {
        self.expected.into_iter().fold(batch, Batch::expect)
    }
}

/// The names that bureaus' seals and mail bear, and what a commit that rests on them expects.
pub fn names(store: &dyn Store, domain: &HostName) -> Result<(SealNames, [Expectation; 2]), ReadError> {
    let (seals, sealed) = seals(store, domain)?;
    let (names, sent) = with_senders(seals, store, domain)?;
    Ok((names, [sealed, sent]))
}

/// Those of seals alone.
fn seals(store: &dyn Store, domain: &HostName) -> Result<(SealNames, Expectation), ReadError> {
    let key = SealNames::key();
    Ok(match store.get(&key)? {
        Some(bytes) => (SealNames::decode(&bytes)?, Expectation::Equals(key, bytes)),
        None => (of_seals(store, domain)?, Expectation::Absent(key)),
    })
}

fn with_senders(mut names: SealNames, store: &dyn Store, domain: &HostName) -> Result<(SealNames, Expectation), ReadError> {
    let (unchanged, _) = sender_address::changes(store)?;
    let (from, to) = SenderAddress::all();
    for (key, bytes) in store.scan(&from, &to, MAX_ADDRESSES)? {
        let Some(name) = name(&SenderAddress::address(&key)?, domain) else { continue };
        if let Some(bureau) = store.get(&Bureau::key(&SenderAddress::decode(&bytes)?.bureau))? {
            names.keep(&name, &Bureau::decode(&bureau)?.credit_code);
        }
    }
    Ok((names, unchanged))
}

/// Of bureaus that were registered before names were kept their seals tell.
fn of_seals(store: &dyn Store, domain: &HostName) -> Result<SealNames, ReadError> {
    let (from, to) = Bureau::all();
    let mut names = SealNames::default();
    for (_, bytes) in store.scan(&from, &to, MAX_BUREAUS)? {
        let bureau = Bureau::decode(&bytes)?;
        if let Some(name) = bureau.seal.as_ref().and_then(|seal| name(&address(seal)?, domain)) {
            names.keep(&name, &bureau.credit_code);
        }
    }
    Ok(names)
}

/// The names of open mailboxes that are, or read like, another's who is a bureau: opened before that was looked at, or before this was read
/// alike. Each with its mailbox and the bureau's name.
pub fn look_alikes(store: &dyn Store, directory: &Directory) -> Result<Vec<(MailboxNumber, Alias, String)>, DirectoryError> {
    let (names, _) = names(store, directory.domain())?;
    let accounts: Vec<Account> = directory.named_accounts()?.into_iter().filter(Account::is_open).collect();
    let code = |account: &Account| if let Holder::Institution { code, .. } = &account.holder { Some(code.as_str().to_owned()) } else { None };
    let mut found = Vec::new();
    for account in &accounts {
        let code = code(account);
        found.extend(account.aliases.iter().map(|alias| (account.number, alias, code.clone())));
    }
    let of_others = found.iter().map(|(_, alias, code)| (*alias, code.as_deref()));
    let alike: BTreeMap<&Alias, &str> = names.of_others(of_others).collect();
    Ok(found.iter().filter_map(|(number, alias, _)| alike.get(*alias).map(|borne| (*number, (*alias).clone(), (*borne).to_owned()))).collect())
}

/// The name that stands before the @, where the address is one of this domain.
fn name(address: &str, domain: &HostName) -> Option<Alias> {
    match Address::parse(address, domain).ok()?.local() {
        LocalPart::Alias(name) => Some(name.clone()),
        LocalPart::Number(_) => None,
    }
}

/// As [`reserve`] for the address in a seal.
pub(super) fn reserve_of_seal(store: &dyn Store, directory: &Directory, seal: &Chain, credit_code: &str) -> Result<Option<Reserved>, BureauError> {
    address(seal).map_or(Ok(None), |text| reserve(store, directory, &text, credit_code))
}

/// 1 an address of another domain is judged by its certificate alone · 2 what stands before the @ is nobody else's mailbox, and no
/// number but the bureau's own · 3 no other bureau has the name, and none is taken that is kept for the operator · 4 no mailbox of
/// anybody else has a name that reads like it. Where a seal of its own bore the name before, it is the bureau's to renew, also beside a
/// look-alike of before: 4, and what names may be given now, are of new ones alone.
pub(super) fn reserve(store: &dyn Store, directory: &Directory, text: &str, credit_code: &str) -> Result<Option<Reserved>, BureauError> {
    // 1
    if !text.rsplit_once('@').is_some_and(|(_, host)| host.eq_ignore_ascii_case(directory.domain().as_str())) {
        return Ok(None);
    }
    let anothers = || BureauError::AnothersAddress { address: text.to_owned() };
    let address = Address::parse(text, directory.domain()).map_err(|_| anothers())?;
    // 2
    let is_own = |account: &Account| matches!(&account.holder, Holder::Institution { code, .. } if code.as_str() == credit_code);
    let found = directory.find_address(text)?;
    let name = match (address.local(), &found) {
        (_, Some(account)) if !is_own(account) => return Err(BureauError::AnothersMailbox { address: text.to_owned(), borne: address.to_string() }),
        (LocalPart::Number(_), Some(_)) => return Ok(None),
        (LocalPart::Number(_), None) => return Err(anothers()),
        (LocalPart::Alias(name), _) => name,
    };
    // 3
    let (mut seals, sealed) = seals(store, directory.domain())?;
    let (names, sent) = with_senders(seals.clone(), store, directory.domain())?;
    let is_kept = seals.is_of(name, credit_code);
    if names.is_anothers(name, credit_code) || (!is_kept && found.is_none() && directory.policy().grant_alias(name.as_str()).is_err()) {
        return Err(anothers());
    }
    let mut expected = vec![sealed, sent, directory.still_named(name)?];
    // 4
    if !is_kept {
        let (alike, unchanged) = directory.names_like(name)?;
        if let Some((_, borne)) = alike.into_iter().find(|(account, _)| !is_own(account)) {
            return Err(BureauError::AnothersMailbox { address: text.to_owned(), borne: Address::new(LocalPart::Alias(borne), directory.domain().clone()).to_string() });
        }
        expected.push(unchanged);
    }
    seals.keep(name, credit_code);
    Ok(Some(Reserved { expected, seals }))
}
