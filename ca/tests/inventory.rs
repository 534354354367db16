//! Questions to a register of many certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

use ca::record::{CertificateRecord, Reason, Revocation, Status, encode};
use ca::register::{PAGE, Query, State, list};
use store::{Batch, Memory, Store};

const DAY: i64 = 86_400;
const NOW: i64 = 1_800_000_000;
const PROFILES: [(&str, &str); 3] = [("enterprise-signing", "enterprise-ca"), ("bureau-client", "officer-ca"), ("tls-server", "tls-ca")];

/// Certificate `n` of many: ends within two years before or after now, every tenth is revoked.
fn certificate(n: u64) -> (Vec<u8>, CertificateRecord) {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (profile, issuer) = PROFILES[(spread >> 40) as usize % 3];
    let revoked = Status::Revoked(Revocation::new(NOW, Reason::Superseded));
    let record = CertificateRecord {
        issuer: issuer.into(),
        profile: profile.into(),
        name: format!("企业{}", n % 1_000),
        code: Some(format!("{:018}", n % 5_000)),
        not_before: 0,
        not_after: NOW - 730 * DAY + (spread % (1_460 * DAY as u64)) as i64,
        key_digest: n.to_be_bytes().to_vec(),
        shard: None,
        der: vec![0x30, 0],
        status: if n.is_multiple_of(10) { revoked } else { Status::Good },
        predecessor: None,
    };
    ([[0x40; 8], spread.to_be_bytes()].concat(), record)
}

fn register(count: u64) -> Memory {
    let store = Memory::new();
    for from in (0..count).step_by(1_000) {
        let batch = (from..count.min(from + 1_000)).map(certificate).fold(Batch::new(), |batch, (serial, record)| {
            let batch = batch.put(CertificateRecord::key(&serial), encode(&record).unwrap());
            record.indexes(&serial).into_iter().fold(batch, |batch, index| batch.put(index, serial.clone()))
        });
        store.commit(batch).unwrap();
    }
    store
}

/// Every page of an answer.
fn all(store: &dyn Store, query: &Query) -> Vec<Vec<u8>> {
    let mut query = query.clone();
    let limit = query.limit.unwrap_or(PAGE);
    let mut found = Vec::new();
    loop {
        let page = list(store, &query, NOW).unwrap();
        found.extend(page.iter().map(|(serial, _)| serial.clone()));
        match page.last() {
            Some((last, _)) if page.len() == limit => query.after = Some(ca::record::serial_text(last)),
            _ => return found,
        }
    }
}

#[test]
fn every_index_gives_what_a_look_at_everything_gives() {
    let store = register(3_000);
    let some = |text: &str| Some(text.to_owned());
    let expiring = Query { expires_from: Some(NOW), expires_before: Some(NOW + 30 * DAY + 1), ..Query::default() };
    let questions = [
        Query::default(),
        expiring.clone(),
        Query { profile: some("enterprise-signing"), ..expiring.clone() },
        Query { issuer: some("tls-ca"), limit: Some(7), ..expiring.clone() },
        Query { issuer: some("tls-ca"), state: Some(State::Revoked), ..expiring.clone() },
        Query { profile: some("tls-server"), issuer: some("officer-ca"), ..Query::default() },
        Query { profile: some("tls"), ..Query::default() },
        Query { name: some("企业1"), profile: some("bureau-client"), limit: Some(11), ..Query::default() },
        Query { code: some("000000000000000007"), expires_from: Some(NOW), ..Query::default() },
        Query { profile: some("bureau-client"), state: Some(State::Expired), ..Query::default() },
    ];
    let fits = |query: &Query, record: &CertificateRecord| {
        query.code.as_ref().is_none_or(|code| record.code.as_ref() == Some(code))
            && query.name.as_ref().is_none_or(|name| record.name.starts_with(name))
            && query.profile.as_ref().is_none_or(|profile| record.profile == *profile)
            && query.issuer.as_ref().is_none_or(|issuer| record.issuer == *issuer)
            && query.state.is_none_or(|state| ca::register::state(record, NOW) == state)
            && record.not_after >= query.expires_from.unwrap_or(i64::MIN)
            && record.not_after < query.expires_before.unwrap_or(i64::MAX)
    };
    for query in questions {
        let mut expected: Vec<Vec<u8>> = (0..3_000).map(certificate).filter(|(_, record)| fits(&query, record)).map(|(serial, _)| serial).collect();
        let mut found = all(&store, &query);
        let by_end = query.code.is_none() && query.name.is_none();
        let ends: Vec<i64> = found.iter().map(|serial| ca::register::get(&store, serial).unwrap().not_after).collect();
        assert!(!by_end || ends.is_sorted(), "{query:?}");
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{query:?}");
    }
}
