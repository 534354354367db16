//! Whose the address is that a bureau seals under: no mailbox of anybody else has it, and none gets it.

use policies::certificate::HostName;
use policies::mailbox::{Address, Alias, LocalPart};
use store::{Expectation, Store};

use super::{BureauError, MAX_BUREAUS, address};
use crate::directory::{Account, Directory, Holder};
use crate::record::bureau::{Bureau, Chain, SealNames};
use crate::record::evidence::ReadError;

/// A name that a bureau's seal may bear, and what the commit that registers it expects and writes.
pub(super) struct Reserved {
    pub expected: Vec<Expectation>,
    pub names: SealNames,
}

/// The names that seals bear, and what a commit that rests on them expects.
pub fn names(store: &dyn Store, domain: &HostName) -> Result<(SealNames, Expectation), ReadError> {
    let key = SealNames::key();
    if let Some(bytes) = store.get(&key)? {
        return Ok((SealNames::decode(&bytes)?, Expectation::Equals(key, bytes)));
    }
    // Of bureaus that were registered before names were kept their seals tell.
    let (from, to) = Bureau::all();
    let mut names = SealNames::default();
    for (_, bytes) in store.scan(&from, &to, MAX_BUREAUS)? {
        let bureau = Bureau::decode(&bytes)?;
        if let Some(name) = bureau.seal.as_ref().and_then(|seal| name(seal, domain)) {
            names.keep(&name, &bureau.credit_code);
        }
    }
    Ok((names, Expectation::Absent(key)))
}

/// The name that a seal bears, where it is one of this domain.
fn name(seal: &Chain, domain: &HostName) -> Option<Alias> {
    match Address::parse(&address(seal)?, domain).ok()?.local() {
        LocalPart::Alias(name) => Some(name.clone()),
        LocalPart::Number(_) => None,
    }
}

/// 1 an address of another domain is judged by its certificate alone · 2 what stands before the @ is nobody else's mailbox, and no
/// number but the bureau's own · 3 no other bureau's seal bears it, and no name is taken that is kept for the operator.
pub(super) fn reserve(store: &dyn Store, directory: &Directory, seal: &Chain, credit_code: &str) -> Result<Option<Reserved>, BureauError> {
    // 1
    let Some(text) = address(seal) else { return Ok(None) };
    if !text.rsplit_once('@').is_some_and(|(_, host)| host.eq_ignore_ascii_case(directory.domain().as_str())) {
        return Ok(None);
    }
    let anothers = || BureauError::AnothersAddress { address: text.clone() };
    let address = Address::parse(&text, directory.domain()).map_err(|_| anothers())?;
    // 2
    let is_own = |account: &Account| matches!(&account.holder, Holder::Institution { code, .. } if code.as_str() == credit_code);
    let found = directory.find_address(&text)?;
    let name = match (address.local(), &found) {
        (_, Some(account)) if !is_own(account) => return Err(anothers()),
        (LocalPart::Number(_), Some(_)) => return Ok(None),
        (LocalPart::Number(_), None) => return Err(anothers()),
        (LocalPart::Alias(name), _) => name,
    };
    // 3
    let (mut names, expected) = names(store, directory.domain())?;
    if names.is_anothers(name, credit_code) || (found.is_none() && directory.policy().grant_alias(name.as_str()).is_err()) {
        return Err(anothers());
    }
    names.keep(name, credit_code);
    Ok(Some(Reserved { expected: vec![expected, directory.still_named(name)?], names }))
}
