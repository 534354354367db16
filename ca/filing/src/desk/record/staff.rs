//! Who is insured through an enterprise, as far as the desk knows: followed filing by filing, or given as a list. It holds
//! people's numbers and is sealed for its place.

use keys::DataKey;
use store::{Batch, Key};

use super::{RecordError, plain, versioned};
use crate::rules::Staff;

const KIND: &str = "staff";

pub fn key(uscc: &str) -> Key {
    Key::new(KIND, &[uscc.as_bytes()])
}

pub fn seal(uscc: &str, staff: &Staff, data: &DataKey) -> Result<Vec<u8>, RecordError> {
    let text = serde_json::to_vec(staff).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
    Ok(plain(&data.seal(key(uscc).as_bytes(), &text)?))
}

pub fn open(uscc: &str, stored: &[u8], data: &DataKey) -> Result<Staff, RecordError> {
    let text = data.open(key(uscc).as_bytes(), versioned(KIND, stored)?)?;
    serde_json::from_slice(&text).map_err(|_| RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" })
}

/// What stands after a change; of more people than a list holds nothing does.
pub fn after(uscc: &str, staff: &Staff, batch: Batch, data: &DataKey) -> Result<Batch, RecordError> {
    Ok(if staff.is_too_long() { batch.delete(key(uscc)) } else { batch.put(key(uscc), seal(uscc, staff, data)?) })
}
