//! A push that a bureau's own system sends: what was announced, what has come so far, and where it stands. Its rows name
//! persons, so they are sealed in the store and thrown away once they have their outcomes.

use keys::DataKey;
use serde::{Deserialize, Serialize};
use store::{Key, Store};

use super::evidence::ReadError;
use super::{RecordError, VERSION, from_json, to_json, versioned};

const JOB: &str = "push job";
const HELD: &str = "push job held";
const PIECE: &str = "push piece";
/// The most bytes of a piece, unpacked.
pub const PIECE_BYTES: usize = 1 << 20;
const LEVEL: i32 = 3;

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Csv,
    /// One object of strings a line.
    JsonLines,
}

/// Where a job stands, as its bureau's people decided or its rows turned out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Rows are awaited.
    Receiving,
    /// All rows are here: they are proved, then delivered.
    Closed,
    /// Nothing more is delivered until it is resumed.
    Paused,
    /// The rows are not those of the manifest; nothing was delivered.
    Refused { code: String, message: String },
    /// Given up before anything was delivered.
    Cancelled,
    /// Every row has its outcome.
    Ended,
}

impl State {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Closed => "closed",
            Self::Paused => "paused",
            Self::Refused { .. } => "refused",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
        }
    }

    /// Nothing more will happen.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Cancelled | Self::Ended)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub bureau: String,
    pub batch: String,
    /// JSON, as signed; detached CMS over it, PEM.
    pub manifest: String,
    pub signature: String,
    pub format: Format,
    pub rows: u64,
    pub state: State,
    /// Bytes that have come, unpacked, and the pieces they stand in.
    pub bytes: u64,
    pub pieces: u64,
    pub opened_unix_millis: u64,
    pub touched_unix_millis: u64,
}

impl Job {
    pub fn key(bureau: &str, batch: &str) -> Key {
        Key::new(JOB, &[bureau.as_bytes(), batch.as_bytes()])
    }

    /// Of one bureau, or of all.
    pub fn range(bureau: Option<&str>) -> (Key, Key) {
        match bureau {
            Some(bureau) => Key::range(JOB, &[bureau.as_bytes()]),
            None => Key::range(JOB, &[]),
        }
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(JOB, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(JOB, bytes)
    }
}

/// The mark of a job that is not over, or whose rows are still here.
pub fn held_key(bureau: &str, batch: &str) -> Key {
    Key::new(HELD, &[bureau.as_bytes(), batch.as_bytes()])
}

/// Of one bureau, or of all.
pub fn held_range(bureau: Option<&str>) -> (Key, Key) {
    match bureau {
        Some(bureau) => Key::range(HELD, &[bureau.as_bytes()]),
        None => Key::range(HELD, &[]),
    }
}

/// What stands under a mark: whose it is.
pub fn held(bureau: &str, batch: &str) -> Result<Vec<u8>, RecordError> {
    to_json(HELD, &(bureau, batch))
}

/// Bureau and batch.
pub fn held_place(bytes: &[u8]) -> Result<(String, String), RecordError> {
    from_json(HELD, bytes)
}

pub fn piece_key(bureau: &str, batch: &str, piece: u64) -> Key {
    Key::numbered(PIECE, &[bureau.as_bytes(), batch.as_bytes()], piece)
}

pub fn pieces_range(bureau: &str, batch: &str) -> (Key, Key) {
    Key::range(PIECE, &[bureau.as_bytes(), batch.as_bytes()])
}

/// `1 | sealed zstd frame`, for the place it stands in. `bytes` has at most [`PIECE_BYTES`].
pub fn seal_piece(place: &Key, bytes: &[u8], key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let small = zstd::bulk::compress(bytes, LEVEL).map_err(|_| RecordError::Damaged { kind: PIECE, reason: "it cannot be compressed" })?;
    Ok([&[VERSION], key.seal(place.as_bytes(), &small)?.as_slice()].concat())
}

/// The bytes of a piece.
pub fn piece(store: &dyn Store, place: &Key, key: &DataKey) -> Result<Vec<u8>, ReadError> {
    let damaged = |reason| RecordError::Damaged { kind: PIECE, reason };
    let found = store.get(place)?.ok_or_else(|| damaged("it is not there"))?;
    let small = key.open(place.as_bytes(), versioned(PIECE, &found)?).map_err(RecordError::from)?;
    Ok(zstd::bulk::decompress(&small, PIECE_BYTES).map_err(|_| damaged("it does not decompress"))?)
}
