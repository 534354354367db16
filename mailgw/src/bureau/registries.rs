//! The card registries whose word about an applicant is believed, by the certificate that each signs it with.

use policies::statement::SenderCode;
use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Store};
use time::OffsetDateTime;

use super::trust::{self, Anchors, Purpose};
use super::{BureauError, prove};
use crate::gateway::unix_millis;
use crate::record::body;
use crate::record::event::{self, Event};
use crate::record::registry::Registry;

const MAX_REGISTRIES: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRegistry {
    pub code: String,
    pub name: String,
    pub credit_code: String,
    pub clients: usize,
}

fn shown(code: &str, registry: &Registry) -> ShownRegistry {
    ShownRegistry { code: code.to_owned(), name: registry.name.clone(), credit_code: registry.credit_code.clone(), clients: registry.clients.len() }
}

/// Registers one, or all of it anew: 1 its code is one · 2 its certificates are of one organisation, trusted and not revoked · 3 durable,
/// with its leaf of the log.
pub fn register(store: &dyn Store, anchors: &Anchors, lists: &RevocationLists, (code, clients): (&str, &[String]), now: OffsetDateTime) -> Result<ShownRegistry, BureauError> {
    // 1
    let code = SenderCode::parse(code).map_err(|_| BureauError::Code { code: code.chars().take(80).collect() })?;
    // 2
    let (mut chains, mut whose) = (Vec::with_capacity(clients.len()), None);
    for pem in clients {
        let (chain, facts) = trust::chain(pem.as_bytes(), Purpose::Manifest, now)?;
        let (_, credit_code) = whose.get_or_insert_with(|| (facts.organization.clone(), facts.credit_code.clone()));
        if *credit_code != facts.credit_code {
            return Err(BureauError::OtherOrganization);
        }
        prove(anchors, lists, &chain, Purpose::Manifest, &facts.crl_urls, now)?;
        chains.push(chain);
    }
    let (name, credit_code) = whose.ok_or(BureauError::NoClient)?;
    // 3
    let record = Registry { name, credit_code, clients: chains };
    let bytes = record.encode()?;
    let event = event::CardRegistry { registry: code.as_str().to_owned(), record: crate::hex(&body::digest(&bytes)), holds: true };
    let mut batch = Batch::new().put(Registry::key(code.as_str()), bytes);
    Event::RegistrySet(event).append(&mut batch, unix_millis(now))?;
    store.commit(batch)?;
    Ok(shown(code.as_str(), &record))
}

/// Its word is believed no more from now on.
pub fn withdraw(store: &dyn Store, code: &str, now: OffsetDateTime) -> Result<ShownRegistry, BureauError> {
    let key = Registry::key(code);
    let found = store.get(&key)?.ok_or_else(|| BureauError::UnknownRegistry { code: code.chars().take(80).collect() })?;
    let record = Registry::decode(&found)?;
    let event = event::CardRegistry { registry: code.to_owned(), record: crate::hex(&body::digest(&found)), holds: false };
    let mut batch = Batch::new().expect(Expectation::Equals(key.clone(), found)).delete(key);
    Event::RegistrySet(event).append(&mut batch, unix_millis(now))?;
    store.commit(batch)?;
    Ok(shown(code, &record))
}

pub fn find(store: &dyn Store, code: &str) -> Result<Option<Registry>, BureauError> {
    let found = store.get(&Registry::key(code)).map_err(CommitError::from)?;
    Ok(found.map(|bytes| Registry::decode(&bytes)).transpose()?)
}

pub fn list(store: &dyn Store) -> Result<Vec<ShownRegistry>, BureauError> {
    let (from, to) = Registry::all();
    let one = |(key, bytes): (store::Key, Vec<u8>)| {
        let code = key.last_part().and_then(|part| String::from_utf8(part).ok()).unwrap_or_default();
        Ok(shown(&code, &Registry::decode(&bytes)?))
    };
    store.scan(&from, &to, MAX_REGISTRIES)?.into_iter().map(one).collect()
}
