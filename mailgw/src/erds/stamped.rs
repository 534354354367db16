//! A timestamp over a batch's signature: whose it is, and since when the evidence stood at the latest.

use pki::timestamp::{VerifiedTimestamp, verify};
use time::OffsetDateTime;

use crate::bureau::trust::{Anchors, Purpose};
use crate::record::bureau::Chain;

fn read(token: &[u8]) -> Option<(VerifiedTimestamp, Chain)> {
    let stamp = verify(token, &[]).ok()?;
    let others = stamp.certificates().iter().filter(|one| one.as_slice() != stamp.signer_certificate()).cloned();
    let chain = Chain::new(std::iter::once(stamp.signer_certificate().to_vec()).chain(others).collect())?;
    Some((stamp, chain))
}

/// The certificates of whoever made a token.
pub(crate) fn chain(token: &[u8]) -> Option<Chain> {
    read(token).map(|(_, chain)| chain)
}

/// The time of a token over this signature, made by a timestamp authority under our root that was good at that time by these lists.
pub(crate) fn judge(token: &[u8], signature: &[u8], lists: &[Vec<u8>], anchors: &Anchors) -> Result<OffsetDateTime, String> {
    let (stamp, chain) = read(token).ok_or("its token cannot be read, or its signature does not hold")?;
    if !stamp.imprint().is_of(signature) {
        return Err("its token is over something else".to_owned());
    }
    anchors.trusted(&chain, Purpose::Timestamp, lists, stamp.gen_time()).map_err(|error| error.to_string())?;
    Ok(stamp.gen_time())
}
