//! Who announces a push: a manifest that its bureau signed and may send.

use pki::asn1::DerError;
use policies::statement::{Period, Purpose};
use runtime::revocation::RevocationLists;
use time::OffsetDateTime;

use super::PushError;
use super::batch::known;
use crate::bureau;
use crate::bureau::manifest::{self, SignedManifest};
use crate::bureau::trust::crl_urls;
use crate::directory;
use crate::gateway::Gateway;
use crate::record::bureau::Bureau;

/// The most bytes of a manifest's signature, in PEM.
pub(super) const MAX_SIGNATURE: usize = 128 * 1024;

/// What a bureau says of its rows: the manifest's JSON, and the detached CMS signature over it.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub manifest: &'a str,
    pub signature: &'a str,
}

/// A manifest that its bureau signed and may send.
pub(super) struct Announced {
    pub code: String,
    pub record: Bureau,
    /// The addresses of the lists that cover the bureau's certificates.
    pub urls: Vec<String>,
    pub signed: SignedManifest,
}

/// Steps 1 and 2.
// A month's statements may be cut before it ends, never before it begins: the months until then would be judged by nothing. One that
// was taken before this was asked is corrected and answered as ever.
pub(super) fn announced(gateway: &Gateway, lists: &RevocationLists, words: Words<'_>, now: OffsetDateTime) -> Result<Announced, PushError> {
    // 1
    if words.signature.len() > MAX_SIGNATURE {
        return Err(PushError::Signature);
    }
    let claimed = manifest::parse(words.manifest.as_bytes())?;
    let code = claimed.sender().as_str().to_owned();
    let record = bureau::find(&*gateway.store, &code)?;
    let urls = crls(&record)?;
    let crls = lists.fetch(&urls, now)?;
    let signed = manifest::verify(claimed, words.manifest.as_bytes(), words.signature.as_bytes(), &record.clients, &gateway.anchors, &crls, now)?;
    // 2
    let kind = signed.manifest().kind();
    let defined = signed.manifest().statement().is_some() || gateway.letters.get(kind).is_some_and(|letters| letters.may_be_sent_by(&code));
    if !defined || !record.kinds.iter().any(|allowed| allowed == kind) {
        return Err(PushError::Kind { bureau: code, kind: kind.to_owned() });
    }
    let this_month = Period::of(directory::today(now));
    let brings = matches!(signed.manifest().purpose(), Purpose::Deliver | Purpose::Mend { .. }) && signed.manifest().statement().is_some();
    if brings && this_month.is_none_or(|this| signed.manifest().period() > this) && known(gateway, &code, &signed)?.is_none() {
        return Err(PushError::FutureMonth { period: signed.manifest().period() });
    }
    Ok(Announced { code, record, urls, signed })
}

/// The addresses of all lists that cover the bureau's certificates.
fn crls(record: &Bureau) -> Result<Vec<String>, DerError> {
    let mut urls = Vec::new();
    for chain in record.clients.iter().chain(&record.seal) {
        for url in crl_urls(chain)? {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
    Ok(urls)
}
