//! The authority's own certificates — issuing authorities, OCSP signers — on the line every other takes.

use keys::{KeyError, KeyHandle, KeyStore};
use pki::signer::SignatureAlgorithm;
use pki::timestamp::TokenPlan;
use policies::certificate::HostName;
use store::{Batch, Expectation};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authorise::Authorised;
use super::issue::{Order, issue, not_revoked};
use super::plan::Words;
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{AdministrationCertificate, CertificateRecord, IssuerRecord, OcspSigner, Status, TimestampSigner, decode, encode, log};
use crate::register;

/// The first key of the officers' listener.
const ADMINISTRATION_KEY: &str = "administration-tls";

#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("the request for the authority's own certificate could not be made: {0}")]
    Request(String),
    #[error("the OCSP signer of {issuer} could not be replaced a while ago and is tried again soon; look at the service's log")]
    Waiting { issuer: String },
    #[error("the certificate of the officers' listener could not be made a while ago and is tried again soon; look at the service's log")]
    Later,
    #[error("the signer of timestamps could not be made or replaced a while ago and is tried again soon; look at the service's log")]
    TimestampsWaiting,
}

/// A certificate for a key of the authority's own.
pub fn certify(authority: &Authority, profile: &str, issuer: Option<&str>, name: &str, key: &KeyHandle) -> Result<Vec<u8>, OwnError> {
    certify_for(authority, profile, issuer, Words { authority: Some(name.to_owned()), ..Words::default() }, key)
}

/// An issuing authority, its names bound to mail addresses of these domains; where there are none, to nothing.
pub fn certify_issuing(authority: &Authority, name: &str, mail_domains: &[HostName], key: &KeyHandle) -> Result<Vec<u8>, OwnError> {
    certify_for(authority, "issuing", None, Words { authority: Some(name.to_owned()), mail_domains: mail_domains.to_vec(), ..Words::default() }, key)
}

fn certify_for(authority: &Authority, profile: &str, issuer: Option<&str>, applicant: Words, key: &KeyHandle) -> Result<Vec<u8>, OwnError> {
    let request = request(key)?;
    let order = Order { profile: profile.into(), request, applicant, issuer: issuer.map(str::to_owned) };
    let issued = issue(authority, Authorised::service(), order)?;
    Ok(issued.what().record.der.clone())
}

/// A request that says nothing but that the key is held.
pub(crate) fn request(key: &KeyHandle) -> Result<Vec<u8>, OwnError> {
    let failed = |error: rcgen::Error| OwnError::Request(error.to_string());
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    Ok(parameters.serialize_request(key).map_err(failed)?.der().to_vec())
}

/// A new OCSP signer for `issuer` once two thirds of the present one's life are over, and at once when its certificate is
/// revoked or suspended, which nobody who relies on it could notice (it bears nocheck); `None` while it is younger, and for an
/// issuer that is revoked, or beneath a root that is, since that one certifies nobody. It goes on while the issuer is valid,
/// whether or not a certificate of it still is: ended ones are answered for.
pub fn replace_signer(authority: &Authority, keys: &KeyStore, issuer: &str) -> Result<Option<(OcspSigner, KeyHandle)>, OwnError> {
    // 1. What is on record, and how old it is.
    let damaged = |what| IssueError::Damaged { what };
    let place = IssuerRecord::key(issuer);
    let before = authority.store.get(&place).map_err(IssueError::from)?.ok_or(damaged("an issuer"))?;
    let record: IssuerRecord = decode(&before).map_err(|_| damaged("an issuer"))?;
    let Some(present) = &record.ocsp else { return Ok(None) };
    let (_, read) = X509Certificate::from_der(&present.der).map_err(|_| damaged("an OCSP signer's certificate"))?;
    // One that ends with its issuer has no successor: that would end at the same moment.
    let last = authority.issuers.get(issuer).is_some_and(|issuer| read.validity().not_after.to_datetime() >= issuer.not_after);
    let due = !is_good(authority, read.raw_serial())? || (aging(&read, authority.clock.now()) && !last);
    if !due || revoked(authority, issuer)? {
        return Ok(None);
    }
    let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).ok_or(damaged("an OCSP signer's name"))?;
    // 2. The next key; one that an attempt cut off has made is taken up.
    let id = successor(&present.key);
    let key = if keys.contains(&id) { keys.load(&id)? } else { keys.generate(&id, SignatureAlgorithm::EcdsaP256Sha256)? };
    // 3. Certified on the ordinary line.
    let der = certify(authority, "ocsp", Some(issuer), name, &key)?;
    // 4. Recorded with its log entry; from now on it is the one that signs.
    let signer = OcspSigner { key: id, der };
    let entry = log::Entry::OcspSignerReplaced { issuer, key: &signer.key, sha256: &crate::sha256_hex(&signer.der) };
    let after = IssuerRecord { ocsp: Some(signer.clone()), ..record.clone() };
    let mut batch = Batch::new().expect(Expectation::Equals(place.clone(), before)).put(place, encode(&after).map_err(IssueError::from)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(Some((signer, key)))
}

/// The certificate of the listener for officers, and its key. A new one where there is none for these names, where the
/// present one is no longer good, and once two thirds of its life are over. Without `may_issue` the present one, however old.
pub fn administration(authority: &Authority, keys: &KeyStore, words: &Words, may_issue: bool) -> Result<(Vec<u8>, KeyHandle), OwnError> {
    // 1. What is on record, and whether it can be shown.
    let damaged = |_| IssueError::Damaged { what: "the certificate of the officers' listener" };
    let place = AdministrationCertificate::key();
    let before = authority.store.get(&place).map_err(IssueError::from)?;
    let present: Option<AdministrationCertificate> = before.as_deref().map(decode).transpose().map_err(damaged)?;
    let names: Vec<String> = words.dns.iter().cloned().chain(words.ip.iter().map(ToString::to_string)).collect();
    if let Some(present) = &present {
        let (_, read) = X509Certificate::from_der(&present.der).map_err(|_| IssueError::Damaged { what: "the certificate of the officers' listener" })?;
        let good = is_good(authority, read.raw_serial())?;
        if !may_issue || (present.names == names && good && !aging(&read, authority.clock.now())) {
            return Ok((present.der.clone(), keys.load(&present.key)?));
        }
    }
    if !may_issue {
        return Err(OwnError::Later);
    }
    // 2. The next key; one that an attempt cut off has made is taken up.
    let id = present.as_ref().map_or_else(|| ADMINISTRATION_KEY.to_owned(), |present| successor(&present.key));
    let key = if keys.contains(&id) { keys.load(&id)? } else { keys.generate(&id, SignatureAlgorithm::EcdsaP256Sha256)? };
    // 3. Certified on the ordinary line.
    let der = certify_for(authority, "tls-server", None, words.clone(), &key)?;
    // 4. Recorded with its log entry; from now on it is the one that is shown.
    let after = AdministrationCertificate { key: id, names, der };
    let entry = log::Entry::AdministrationCertificateReplaced { key: &after.key, sha256: &crate::sha256_hex(&after.der) };
    let rests_on = before.map_or_else(|| Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
    let mut batch = Batch::new().expect(rests_on).put(place, encode(&after).map_err(IssueError::from)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    tracing::info!(key = after.key, "a new certificate for the officers' listener");
    Ok((after.der, key))
}

/// The name of the timestamp service, and of its first key.
const TIMESTAMP: (&str, &str) = ("穗印时间戳服务", "timestamp");

/// The first signer of timestamps, or a new one once two thirds of the time in which the present one's key signs are over, or
/// when its certificate is revoked; `None` while there is nothing to do.
pub fn replace_timestamp_signer(authority: &Authority, keys: &KeyStore) -> Result<Option<(TimestampSigner, KeyHandle)>, OwnError> {
    // 1. What is on record, and how old it is.
    let place = TimestampSigner::place();
    let before = authority.store.get(&place).map_err(IssueError::from)?;
    let present = before.as_deref().map(decode::<TimestampSigner>).transpose().map_err(|_| IssueError::Damaged { what: "the timestamp signer" })?;
    if let Some(present) = &present && !timestamp_signer_is_old(authority, present)? {
        return Ok(None);
    }
    // 2. The next key; one that an attempt cut off has made is taken up.
    let (name, first) = TIMESTAMP;
    let id = present.as_ref().map_or_else(|| first.to_owned(), |present| successor(&present.key));
    let key = if keys.contains(&id) { keys.load(&id)? } else { keys.generate(&id, SignatureAlgorithm::EcdsaP256Sha256)? };
    // 3. Certified on the ordinary line.
    let der = certify(authority, "timestamp", None, name, &key)?;
    // 4. Recorded with its log entry; from now on it is the one that signs, and the one before stays in the register.
    let signer = TimestampSigner { key: id, der };
    let entry = log::Entry::TimestampSignerCertified { key: &signer.key, sha256: &crate::sha256_hex(&signer.der) };
    let expected = before.map_or_else(|| Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
    let mut batch = Batch::new().expect(expected).put(place, encode(&signer).map_err(IssueError::from)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now()).map_err(IssueError::from)?);
    authority.store.commit(batch).map_err(IssueError::from)?;
    Ok(Some((signer, key)))
}

fn timestamp_signer_is_old(authority: &Authority, signer: &TimestampSigner) -> Result<bool, IssueError> {
    let damaged = |_| IssueError::Damaged { what: "the timestamp signer's certificate" };
    let (from, until) = TokenPlan::new(&signer.der, &[]).map_err(|_| IssueError::Damaged { what: "the timestamp signer's certificate" })?.signs();
    let serial = pki::view::CertificateView::parse(&signer.der).map_err(damaged)?.serial.to_vec();
    Ok(!is_good(authority, &serial)? || last_third(from.unix_timestamp(), until.unix_timestamp(), authority.clock.now()))
}

/// Whether the register knows a certificate of ours as good.
pub(crate) fn is_good(authority: &Authority, serial: &[u8]) -> Result<bool, IssueError> {
    Ok(matches!(register::find(&*authority.store, serial)?, Some(CertificateRecord { status: Status::Good, .. })))
}

fn aging(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> bool {
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    last_third(from, until, now)
}

fn last_third(from: i64, until: i64, now: OffsetDateTime) -> bool {
    now.unix_timestamp() >= until - (until - from) / 3
}

fn revoked(authority: &Authority, issuer: &str) -> Result<bool, IssueError> {
    let Some(issuer) = authority.issuers.get(issuer) else { return Ok(false) };
    match not_revoked(authority, issuer) {
        Err(IssueError::IssuerRevoked { .. }) => Ok(true),
        other => other.map(|()| false),
    }
}

/// `tls-ca-ocsp`, `tls-ca-ocsp-2`, `tls-ca-ocsp-3` …
fn successor(key: &str) -> String {
    match key.rsplit_once('-').and_then(|(stem, number)| Some((stem, number.parse::<u32>().ok()?))) {
        Some((stem, number)) => format!("{stem}-{}", number.saturating_add(1)),
        None => format!("{key}-2"),
    }
}

#[cfg(test)]
mod tests {
    use super::successor;

    #[test]
    fn keys_are_numbered() {
        assert_eq!(successor("tls-ca-ocsp"), "tls-ca-ocsp-2");
        assert_eq!(successor("tls-ca-ocsp-2"), "tls-ca-ocsp-3");
    }
}
