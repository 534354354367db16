//! `POST /verify`: a third party asks what a signature is worth and gets a verdict under seal.
//!
//! 1 gather    what is known now of revocations, where the signature does not carry it
//! 2 judge     the same function as `filing verify`, within the same bound of verifications
//! 3 seal      the verdict's canonical octets, by the bureau that is asked, with a timestamp, and with what is known of the
//!             revocation of both: with the anchor alone it proves itself later
//! 4 record    digests of verdict and seal in the log: a seal that is in no log is not the bureau's
//! 5 answer    verdict, seal, and the answers that it names, so that anyone judges again
//!
//! Nothing else is kept of what was asked: the document is a third party's, and the verdict is judged again from what is
//! answered.

use pki::cades::Signature;
use pki::cms::ContentDigest;
use pki::signature::DigestAlgorithm;
use policies::desk::Bureau;
use ring::digest::{SHA256, digest};
use store::Batch;

use crate::desk::Desk;
use crate::desk::flow::archive::with;
use crate::desk::flow::evidence::gather;
use crate::desk::flow::proof::effort;
use crate::desk::problem::DeskError;
use crate::desk::ready;
use crate::desk::record::event::Event;
use crate::desk::sha256_hex;
use crate::document::Value;
use crate::verify::Verdict;

/// A verdict as its asker gets it.
#[derive(Debug)]
pub struct Answered {
    pub verdict: Verdict,
    /// Canonical JSON.
    pub document: Vec<u8>,
    /// Detached CAdES with a timestamp and what proves both, DER.
    pub seal: Vec<u8>,
    /// CRLs and OCSP responses beside those that the signature carries, DER.
    pub crls: Vec<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
}

pub fn answer(desk: &Desk, bureau: &Bureau, document: &[u8], signature: &[u8]) -> Result<Answered, DeskError> {
    let (code, now) = (bureau.code.as_str(), desk.clock.now());
    // 1. and 2. Whoever is away leaves the verdict open, which it says.
    let (gathered, verdict) = gather(desk, code, document, signature, now, &effort(desk))?;
    // 3. Canonical, so that whoever takes it apart has the same octets.
    let refused = |error: &dyn std::fmt::Display| DeskError::Seal(error.to_string().replace("; ", ", "));
    let text = serde_json::to_vec(&verdict).map_err(|error| refused(&error))?;
    let canonical = Value::parse(&text).map_err(|error| refused(&error))?.canonical();
    let seal = ready::seal(desk, code)?;
    let mut content = [0; 32];
    content.copy_from_slice(digest(&SHA256, &canonical).as_ref());
    let made = seal.plan.seal(ContentDigest::Sha256(content), now, &seal.key).map_err(|error| refused(&error))?;
    let made = Signature::read(&made).map_err(|error| refused(&error))?;
    let token = ready::stamp(desk, code, made.timestamp_imprint(DigestAlgorithm::Sha256), made.value())?;
    let made = made.timestamped(&token).map_err(|error| refused(&error))?;
    // What cannot be had leaves the seal as it is: a receipt's is no other.
    let (of_seal, _) = gather(desk, code, &canonical, made.der(), desk.clock.now(), &effort(desk))?;
    let made = with(&made, &of_seal).unwrap_or_else(|error| {
        // A list of a large authority: whoever proves the seal later asks for it, as for a receipt's.
        tracing::warn!(%error, bureau = code, "a verdict's seal goes out without what proves it later");
        made
    });
    // 4. Before it leaves.
    let mut batch = Batch::new();
    Event::VerdictSealed { bureau: code, content: &sha256_hex(&canonical), seal: &sha256_hex(made.der()) }.append(&mut batch, now)?;
    desk.store.commit(batch)?;
    // 5.
    Ok(Answered { verdict, document: canonical, seal: made.der().to_vec(), crls: gathered.crls(), ocsp: gathered.ocsp })
}
