//! What a token said that was made here, found by its serial number, and the log entry that covers it.

use pki::signature::DigestAlgorithm;
use pki::timestamp::Stamp;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::{Store, StoreError};

use crate::record::{TimestampBatch, TimestampRecord, decode, log, timestamp_place};
use crate::register;

#[derive(Debug, thiserror::Error)]
pub enum StampedError {
    #[error("{0:?} is no serial number of a timestamp; write its 32 hexadecimal digits")]
    Serial(String),
    #[error("no timestamp of this authority has the serial {0}; look at the serial number again (openssl ts -reply -text)")]
    NotFound(String),
    #[error("the record of timestamp {0} is damaged, or its log entry is not over it; restore the store from a backup")]
    Damaged(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StampedError> for Problem {
    fn from(error: StampedError) -> Self {
        let (exit, code) = match &error {
            StampedError::Serial(_) => (Exit::Usage, "serial"),
            StampedError::NotFound(_) => (Exit::NotFound, "not-found"),
            StampedError::Damaged(_) => (Exit::Damaged, "damaged"),
            StampedError::Store(StoreError::Corrupt { .. }) => (Exit::Damaged, "store-damaged"),
            StampedError::Store(StoreError::Unavailable { .. }) => (Exit::Unavailable, "store-unavailable"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "look at the store"));
        Self::new(exit, code, message, next)
    }
}

/// A timestamp as commands show it. Octets are in hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Stamped {
    pub serial: String,
    /// RFC 3339, UTC, to the microsecond.
    pub time: String,
    /// Unix seconds, for programs.
    pub at: i64,
    pub accuracy_ms: Option<i64>,
    pub ordering: bool,
    pub policy: String,
    pub digest_algorithm: String,
    pub digest: String,
    pub nonce: Option<String>,
    /// SHA-256 of the signer's certificate.
    pub signer: String,
    /// The position of the log entry over this token and the others of its moment, and how many these are.
    pub log_entry: u64,
    pub tokens: u16,
    /// SHA-256 of TSTInfo: what of a token in somebody's hands must be the same.
    pub info_sha256: String,
}

/// Found, and held against the log.
pub fn find(store: &dyn Store, text: &str) -> Result<Stamped, StampedError> {
    let refused = || StampedError::Serial(text.chars().take(80).collect());
    let serial = register::serial(text).map_err(|_| refused())?;
    let (id, place) = timestamp_place(&serial).ok_or_else(refused)?;
    let serial = crate::hex(&serial);
    let damaged = || StampedError::Damaged(serial.clone());
    let bytes = store.get(&TimestampRecord::key(&id, place))?.ok_or_else(|| StampedError::NotFound(serial.clone()))?;
    let TimestampRecord { info } = decode(&bytes).map_err(|_| damaged())?;
    let stamp = Stamp::parse(&info).map_err(|_| damaged())?;
    let batch = store.get(&TimestampBatch::key(&id))?.ok_or_else(damaged)?;
    let batch: TimestampBatch = decode(&batch).map_err(|_| damaged())?;
    // Every token of the moment, under the one root that the log holds.
    let (from, to) = TimestampRecord::of_batch(&id);
    let all = store.scan(&from, &to, usize::from(batch.tokens) + 1)?;
    let leaves: Vec<_> = all.iter().map(|(_, bytes)| decode::<TimestampRecord>(bytes).map(|record| merkle::leaf_hash(&record.info))).collect::<Result<_, _>>().map_err(|_| damaged())?;
    let (root, batch_text) = (crate::hex(merkle::root(&leaves).as_ref()), crate::hex(&id));
    let logged = log::Entry::TimestampsMade { batch: &batch_text, tokens: batch.tokens, root: &root, signer: &batch.signer };
    let wanted = logged.leaf(stamp.gen_time()).map_err(|_| damaged())?;
    let found = store.read_stream(log::STREAM, batch.position(), 1)?.pop().ok_or_else(damaged)?;
    // Version and kind, and all that follows the time of the entry.
    if found.get(..2) != wanted.get(..2) || found.get(10..) != wanted.get(10..) {
        return Err(damaged());
    }
    Ok(shown(serial, &stamp, &batch, &info))
}

fn shown(serial: String, stamp: &Stamp, batch: &TimestampBatch, info: &[u8]) -> Stamped {
    let time = stamp.gen_time();
    let algorithm = match stamp.imprint().algorithm() {
        DigestAlgorithm::Sha256 => "sha256",
        DigestAlgorithm::Sha384 => "sha384",
        DigestAlgorithm::Sha512 => "sha512",
    };
    Stamped {
        serial,
        time: format!("{}.{:06}Z", runtime::terminal::date(time.unix_timestamp()).trim_end_matches('Z'), time.microsecond()),
        at: time.unix_timestamp(),
        accuracy_ms: stamp.accuracy().and_then(|accuracy| i64::try_from(accuracy.whole_milliseconds()).ok()),
        ordering: stamp.ordering(),
        policy: stamp.policy().to_string(),
        digest_algorithm: algorithm.to_owned(),
        digest: crate::hex(stamp.imprint().digest()),
        nonce: stamp.nonce().map(crate::hex),
        signer: batch.signer.clone(),
        log_entry: batch.position(),
        tokens: batch.tokens,
        info_sha256: crate::sha256_hex(info),
    }
}
