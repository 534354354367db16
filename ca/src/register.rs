//! Questions to the register: one certificate, or a list by code, name, profile, issuer, state and expiry.

use serde::{Deserialize, Serialize};
use store::{Key, Store, StoreError};

use crate::record::{CertificateRecord, Status, decode, serial_text};

/// The most a single answer holds.
pub const PAGE: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the record of certificate {serial} is damaged; restore the store from a backup")]
    Damaged { serial: String },
    #[error("{0:?} is no serial number: write its 32 hexadecimal digits")]
    Serial(String),
    #[error("no certificate has the serial {0}; `ca list` shows what there is")]
    NotFound(String),
}

/// What to look for; everything given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    pub code: Option<String>,
    /// A whole common name or its beginning.
    pub name: Option<String>,
    pub state: Option<State>,
    pub profile: Option<String>,
    pub issuer: Option<String>,
    /// Unix seconds: those that end then or later.
    pub expires_from: Option<i64>,
    /// Unix seconds: those that end before.
    pub expires_before: Option<i64>,
    pub limit: Option<usize>,
    /// The serial after which to go on: the last of the answer before.
    pub after: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Good,
    /// Suspended or frozen: not to be relied on for now.
    Held,
    Revoked,
    Expired,
}

/// The state of a record at a time. A revoked certificate that has ended is still revoked, and a held one held.
pub fn state(record: &CertificateRecord, now: i64) -> State {
    match record.status {
        Status::Revoked(_) => State::Revoked,
        Status::Held(_) => State::Held,
        Status::Good if record.not_after < now => State::Expired,
        Status::Good => State::Good,
    }
}

/// A typed serial number, from what a person pasted: colons, spaces and a leading `0x` are allowed.
pub fn serial(text: &str) -> Result<Vec<u8>, RegisterError> {
    let refused = || RegisterError::Serial(text.chars().take(80).collect());
    let trimmed = text.trim();
    let digits: Vec<u32> = trimmed
        .strip_prefix("0x")
        .unwrap_or(trimmed)
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_digit(16).ok_or_else(refused))
        .collect::<Result<_, _>>()?;
    if digits.is_empty() || digits.len() > 40 {
        return Err(refused());
    }
    // Tools drop a leading zero; our serials are always sixteen octets.
    let digits: Vec<u32> = std::iter::repeat_n(0, 32_usize.saturating_sub(digits.len())).chain(digits).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(refused());
    }
    Ok(pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}

pub fn find(store: &dyn Store, serial: &[u8]) -> Result<Option<CertificateRecord>, RegisterError> {
    let Some(bytes) = store.get(&CertificateRecord::key(serial))? else { return Ok(None) };
    decode(&bytes).map(Some).map_err(|_| RegisterError::Damaged { serial: serial_text(serial) })
}

pub fn get(store: &dyn Store, serial: &[u8]) -> Result<CertificateRecord, RegisterError> {
    find(store, serial)?.ok_or_else(|| RegisterError::NotFound(serial_text(serial)))
}

/// The serials of every certificate of a key, in their order.
pub fn of_key(store: &dyn Store, key_digest: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let (mut from, to) = Key::range(CertificateRecord::BY_KEY, &[key_digest]);
    let mut serials = Vec::new();
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        let next = page.last().filter(|_| page.len() == PAGE).map(|(last, _)| last.successor());
        serials.extend(page.into_iter().map(|(_, serial)| serial));
        match next {
            Some(next) => from = next,
            None => return Ok(serials),
        }
    }
}

/// The certificates that fit, in the order of the index used, with their serials.
pub fn list(store: &dyn Store, query: &Query, now: i64) -> Result<Vec<(Vec<u8>, CertificateRecord)>, RegisterError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let after = query.after.as_deref().map(serial).transpose()?;
    let mut cursor = Cursor::new(query, after.as_deref(), store)?;
    let mut found = Vec::new();
    while found.len() < limit {
        let serials = cursor.page(store)?;
        if serials.is_empty() {
            break;
        }
        for serial in serials {
            let record = get(store, &serial)?;
            if fits(query, &record, now) {
                found.push((serial, record));
                if found.len() == limit {
                    break;
                }
            }
        }
    }
    Ok(found)
}

fn fits(query: &Query, record: &CertificateRecord, now: i64) -> bool {
    query.code.as_ref().is_none_or(|code| record.code.as_ref() == Some(code))
        && query.name.as_ref().is_none_or(|name| record.name.starts_with(name.as_str()))
        && query.state.is_none_or(|wanted| state(record, now) == wanted)
        && query.profile.as_ref().is_none_or(|profile| record.profile == *profile)
        && query.issuer.as_ref().is_none_or(|issuer| record.issuer == *issuer)
        && query.expires_from.is_none_or(|from| record.not_after >= from)
        && query.expires_before.is_none_or(|before| record.not_after < before)
}

/// A walk over the narrowest index that the query allows.
struct Cursor {
    from: Key,
    to: Key,
    done: bool,
}

impl Cursor {
    fn new(query: &Query, after: Option<&[u8]>, store: &dyn Store) -> Result<Self, RegisterError> {
        // The end of a range: a part that no part of ours reaches, since none begins with sixteen FF.
        const END: [u8; 16] = [0xff; 16];
        let start = after.unwrap_or_default();
        let (mut from, to) = match query {
            Query { code: Some(code), .. } => (CertificateRecord::by_code(code, start), CertificateRecord::by_code(code, &END)),
            Query { name: Some(name), .. } => {
                let at = after.map(|serial| get(store, serial)).transpose()?.map_or(name.clone(), |record| record.name);
                (CertificateRecord::by_name(&at, start), Key::new("certificate-by-name", &[&[name.as_bytes(), &END].concat()]))
            }
            _ => {
                let index = |end: i64, serial: &[u8]| match query {
                    Query { profile: Some(profile), .. } => CertificateRecord::by_profile(profile, end, serial),
                    Query { issuer: Some(issuer), .. } => CertificateRecord::by_issuer(issuer, end, serial),
                    _ => CertificateRecord::by_expiry(end, serial),
                };
                let at = after.map(|serial| get(store, serial)).transpose()?.map(|record| record.not_after);
                let from = index(at.or(query.expires_from).unwrap_or(0), start);
                (from, query.expires_before.map_or_else(|| index(i64::MAX, &END), |before| index(before, &[])))
            }
        };
        if after.is_some() {
            from = from.successor();
        }
        Ok(Self { from, to, done: false })
    }

    fn page(&mut self, store: &dyn Store) -> Result<Vec<Vec<u8>>, RegisterError> {
        if self.done {
            return Ok(Vec::new());
        }
        let page = store.scan(&self.from, &self.to, PAGE)?;
        match page.last() {
            Some((last, _)) if page.len() == PAGE => self.from = last.successor(),
            _ => self.done = true,
        }
        Ok(page.into_iter().map(|(_, serial)| serial).collect())
    }
}
