//! What a receipt needs beside its words, judged before one is promised: the bureau's seal, and the authority that stamps it.
//!
//! A receipt whose seal nobody believes is worse than none. So a filing that comes while the seal's certificate has ended, is
//! revoked or is of another key, or while the timestamp authority is one that the bureau does not believe, is told to come
//! again; nothing of it is recorded.

use std::sync::Arc;

use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use pki::timestamp::{Imprint, VerifiedTimestamp};
use pki::view::CertificateView;
use time::{Duration, OffsetDateTime};

use super::Desk;
use super::bureau::Seal;
use super::problem::DeskError;
use super::trust::{self, Recent};

/// What was found in order is not asked again for a minute.
#[derive(Default)]
pub struct Ready {
    seals: Recent,
    stamps: Recent,
}

/// The seal of a bureau, once it may be used now. Blocking.
pub fn seal(desk: &Desk, bureau: &str) -> Result<Arc<Seal>, DeskError> {
    let (seal, now) = (desk.seal_of(bureau)?, desk.clock.now());
    let unfit = |reason: &dyn std::fmt::Display| DeskError::SealUnfit { bureau: bureau.to_owned(), reason: reason.to_string().replace("; ", ", ") };
    // 1. Asked each time, since it costs nothing: what was good a moment ago may just have ended.
    if !seal.valid.contains(&now) {
        return Err(unfit(&"its certificate is not valid now"));
    }
    let key = trust::of(&[bureau.as_bytes(), b" ", seal.thumbprint.as_bytes()]);
    if desk.ready.seals.holds(&key, now) {
        return Ok(seal);
    }
    // 2. Of the key that signs, and for signing.
    let leaf = seal.chain.leaf();
    let view = CertificateView::parse(leaf).map_err(|error| unfit(&error))?;
    if view.spki != seal.key.public_key_info() {
        return Err(unfit(&"its certificate is of another key"));
    }
    if !trust::signs(leaf) {
        return Err(unfit(&"its certificate is not for signing"));
    }
    // 3. Trusted by the bureau's own roots, and not revoked, nor anybody above it.
    let others: Vec<Vec<u8>> = seal.chain.issuers().map(<[u8]>::to_vec).collect();
    let path = desk.trust.path(bureau, leaf, &others, &[], now).map_err(|error| unfit(&error))?;
    desk.trust.caller_stands(&path, now)?.map_err(|error| unfit(&error))?;
    desk.ready.seals.note(key, now);
    Ok(seal)
}

/// That the authority which is asked for timestamps gives such as the bureau believes: known for a minute, tried otherwise.
pub fn authority(desk: &Desk, bureau: &str) -> Result<(), DeskError> {
    if desk.ready.stamps.holds(&trust::of(&[bureau.as_bytes()]), desk.clock.now()) {
        return Ok(());
    }
    // What is stamped says nothing of anybody.
    let trial = b"suiyin desk: is the timestamp authority believed";
    stamp(desk, bureau, Imprint::of(DigestAlgorithm::Sha256, trial), trial).map(|_| ())
}

/// A token over `value`, of an authority that the bureau believes and whose clock agrees with the desk's.
pub fn stamp(desk: &Desk, bureau: &str, imprint: Imprint, value: &[u8]) -> Result<VerifiedTimestamp, DeskError> {
    let away = |reason: &str| DeskError::Away { what: "a timestamp that is believed", reason: reason.to_owned() };
    let before = desk.clock.now();
    let token = desk.trust.stamp(imprint)?;
    let after = desk.clock.now();
    let stamp = desk.trust.trusted_stamp(bureau, &token, value, after)?.ok_or_else(|| away("the authority is none that this bureau believes"))?;
    let skew = Duration::seconds(desk.policies.desk.limits.skew_seconds.into());
    if !(before - skew..=after + skew).contains(&stamp.gen_time()) {
        return Err(away("the authority's clock and the desk's do not agree"));
    }
    desk.ready.stamps.note(trust::of(&[bureau.as_bytes()]), after);
    Ok(stamp)
}

/// Until when a bureau's seal is valid, for who looks ahead.
pub fn until(seal: &Seal) -> Option<OffsetDateTime> {
    Some(*seal.valid.end())
}
