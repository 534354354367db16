//! How often a holder had the secret of its own name changed, and on which questions.

use serde::{Deserialize, Serialize};
use store::Key;

use super::Record;

/// Kept where only the authority finds it: the key says nothing of whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnNameChanges {
    pub changes: u16,
}

impl Record for OwnNameChanges {}

impl OwnNameChanges {
    pub fn key(place: &[u8; 32]) -> Key {
        Key::new("own-name-changes", &[place])
    }

    /// A question is acted on once, however often somebody on the line sends it again. It is known by what was signed, the
    /// certificate and the key of the question, and not by its bytes: an ECDSA signature has a twin that anybody can make.
    pub fn asked(serial: &[u8], asker: &[u8; 32]) -> Key {
        Key::new("own-name-asked", &[serial, asker])
    }
}
