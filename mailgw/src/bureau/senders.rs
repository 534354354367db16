//! The sender registry: which bureau may send signed mail as whom, besides the statements that are sealed for it here.

use policies::certificate::Email;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Store};
use time::OffsetDateTime;

use super::{ATTEMPTS, BureauError, address, find};
use crate::directory::{Directory, DirectoryError};
use crate::gateway::unix_millis;
use crate::record::event::{self, Event};
use crate::record::sender_address::{self, SenderAddress};

/// Addresses of all bureaus together.
pub(super) const MAX_ADDRESSES: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownSender {
    pub address: String,
    pub bureau: String,
}

/// 1 the bureau is registered · 2 the address is one, and no other bureau's · 3 in the gateway's own domain it is no other mailbox's, and
/// stays so · 4 durable, with its leaf of the log. Said twice it is the same.
pub fn allow(store: &dyn Store, directory: &Directory, bureau: &str, address: &str, now: OffsetDateTime) -> Result<ShownSender, BureauError> {
    // 1
    let credit_code = find(store, bureau)?.credit_code;
    // 2
    let address = parse(address)?;
    let key = SenderAddress::key(&address);
    let shown = ShownSender { address: address.clone(), bureau: bureau.to_owned() };
    for _ in 0..ATTEMPTS {
        if let Some(found) = store.get(&key)? {
            let other = SenderAddress::decode(&found)?.bureau;
            return if other == bureau { Ok(shown) } else { Err(BureauError::AddressTaken { address, bureau: other }) };
        }
        // 3
        let record = SenderAddress { bureau: bureau.to_owned(), since_unix_millis: unix_millis(now) };
        let mut batch = Batch::new().expect(Expectation::Absent(key.clone())).put(key.clone(), record.encode()?);
        if let Some(reserved) = address::reserve(store, directory, &address, &credit_code)? {
            batch = reserved.expect(batch);
        }
        batch = changing(store, batch)?;
        // 4
        Event::SenderAddressSet(event::SenderAddress { bureau: bureau.to_owned(), address: address.clone(), holds: true }).append(&mut batch, unix_millis(now))?;
        match store.commit(batch) {
            // A mailbox was opened, or another address allowed, at this moment.
            Err(CommitError::Conflict { .. }) => {}
            done => return Ok(done.map(|_| shown)?),
        }
    }
    Err(DirectoryError::Busy.into())
}

/// From now on mail from this address is marked no more, and its name is free; what was marked stays so, since it was right when it came.
pub fn withdraw(store: &dyn Store, bureau: &str, address: &str, now: OffsetDateTime) -> Result<ShownSender, BureauError> {
    let address = parse(address)?;
    let key = SenderAddress::key(&address);
    let unknown = || BureauError::UnknownAddress { address: address.clone(), bureau: bureau.to_owned() };
    for _ in 0..ATTEMPTS {
        let found = store.get(&key)?.ok_or_else(unknown)?;
        if SenderAddress::decode(&found)?.bureau != bureau {
            return Err(unknown());
        }
        let mut batch = changing(store, Batch::new().expect(Expectation::Equals(key.clone(), found)).delete(key.clone()))?;
        Event::SenderAddressSet(event::SenderAddress { bureau: bureau.to_owned(), address: address.clone(), holds: false }).append(&mut batch, unix_millis(now))?;
        match store.commit(batch) {
            // Another address was allowed or withdrawn at this moment.
            Err(CommitError::Conflict { .. }) => {}
            done => return Ok(done.map(|_| ShownSender { address, bureau: bureau.to_owned() })?),
        }
    }
    Err(DirectoryError::Busy.into())
}

/// Whoever rests on the names of senders at this moment, such as a mailbox being opened, looks again.
fn changing(store: &dyn Store, batch: Batch) -> Result<Batch, BureauError> {
    let (unchanged, (key, next)) = sender_address::changes(store)?;
    Ok(batch.expect(unchanged).put(key, next))
}

pub fn list(store: &dyn Store) -> Result<Vec<ShownSender>, BureauError> {
    let (from, to) = SenderAddress::all();
    let one = |(key, bytes): (store::Key, Vec<u8>)| Ok(ShownSender { address: SenderAddress::address(&key)?, bureau: SenderAddress::decode(&bytes)?.bureau });
    store.scan(&from, &to, MAX_ADDRESSES)?.into_iter().map(one).collect()
}

/// The bureau that may send as this address.
pub fn of(store: &dyn Store, address: &str) -> Result<Option<String>, BureauError> {
    let found = store.get(&SenderAddress::key(&address.to_lowercase())).map_err(CommitError::from)?;
    found.map(|bytes| Ok(SenderAddress::decode(&bytes)?.bureau)).transpose()
}

fn parse(address: &str) -> Result<String, BureauError> {
    let parsed = Email::parse(address).map_err(|error| BureauError::Word { field: "address", reason: error.to_string() })?;
    Ok(parsed.as_str().to_lowercase())
}
