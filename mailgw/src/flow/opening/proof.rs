//! What comes with an application, proved: the word of a card registry, and the signature by a mailbox's certificate.

use pki::path::CertificateFacts;
use policies::mailbox::{DocumentProof, MailboxNumber, PersonProof, Proofs};
use runtime::revocation::RevocationLists;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::OpeningError;
use super::application::{Application, Signed};
use crate::bureau::registries;
use crate::flow::signer::{self, SignerError};
use crate::bureau::trust::{self, Purpose};
use crate::directory::Account;
use crate::gateway::Gateway;
use crate::record::application as record;
use crate::record::body;
use crate::record::bureau::Chain;

pub const ASSERTION: &str = "suiyin identity assertion v1";
/// A registry's clock may be so far ahead.
const AHEAD: Duration = Duration::minutes(5);

/// What a card registry signs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assertion {
    kind: String,
    registry: String,
    /// SHA-256 of the application's text, hexadecimal.
    application: String,
    /// `record`, `chip`.
    document: Vec<String>,
    /// `login`, `face`, `present`.
    person: Vec<String>,
    /// Unix milliseconds.
    at: i64,
}

/// What was proved, and by whose word or certificate.
#[derive(Default)]
pub struct Proved {
    pub proofs: Proofs,
    pub registry: Option<String>,
    /// The mailbox whose certificate signed.
    pub signed_by: Option<String>,
    /// That certificate, with its issuers.
    pub certificate: Option<Chain>,
}

/// A word or a signature that does not hold is told, so that its sender mends it; it is never passed over.
pub fn prove(gateway: &Gateway, lists: &RevocationLists, application: &Application, now: OffsetDateTime) -> Result<Proved, OpeningError> {
    let text = application.text(&gateway.settings.domain);
    let mut proved = Proved::default();
    if !application.evidence.is_empty() {
        proved.proofs = Proofs { document: [DocumentProof::Evidence].into(), person: [PersonProof::Evidence].into() };
    }
    if let Some(signed) = &application.assertion {
        let (registry, proofs) = asserted(gateway, lists, signed, text.as_bytes(), now)?;
        (proved.registry, proved.proofs) = (Some(registry), proved.proofs.and(&proofs));
    }
    if let Some(signature) = &application.signature {
        let (account, certificate) = signed_by(gateway, lists, signature, text.as_bytes(), now)?;
        if account.person() != Some(&application.name) {
            return Err(OpeningError::Signature { reason: "its mailbox is of somebody with another name".into() });
        }
        proved.proofs.person.insert(PersonProof::Certificate);
        (proved.signed_by, proved.certificate) = (Some(account.mailbox()), Some(certificate));
    }
    Ok(proved)
}

/// 1 it is a registry's that is registered · 2 signed by one of its certificates, which is good now · 3 of this application, and fresh ·
/// 4 what it looked at.
fn asserted(gateway: &Gateway, lists: &RevocationLists, signed: &Signed, text: &[u8], now: OffsetDateTime) -> Result<(String, Proofs), OpeningError> {
    let wrong = |reason: &str| OpeningError::Assertion { reason: reason.to_owned() };
    // 1
    let assertion: Assertion = serde_json::from_str(&signed.text).map_err(|_| wrong("it is not of that form"))?;
    if assertion.kind != ASSERTION {
        return Err(wrong("it is of another kind"));
    }
    let registry = registries::find(&*gateway.store, &assertion.registry)?.ok_or_else(|| wrong("its registry is not believed here"))?;
    // 2
    let known: Vec<&[u8]> = registry.clients.iter().map(Chain::leaf).collect();
    let verified = pki::cms::verify(signed.signature.as_bytes(), signed.text.as_bytes(), &known).map_err(|error| OpeningError::Assertion { reason: error.to_string() })?;
    let chain = registry.clients.iter().find(|chain| chain.leaf() == verified.signer_certificate()).ok_or_else(|| wrong("another than its registry signed it"))?;
    let urls = trust::crl_urls(chain).map_err(|error| trust::unreadable(Purpose::Manifest, &error))?;
    gateway.anchors.trusted(chain, Purpose::Manifest, &lists.fetch(&urls, now)?, now)?;
    // 3
    if assertion.application != crate::hex(&body::digest(text)) {
        return Err(wrong("it is of another application"));
    }
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(assertion.at) * 1_000_000).map_err(|_| wrong("its time is none"))?;
    let oldest = now - Duration::hours(gateway.directory.policy().opening().assertion_hours.into());
    if !(oldest..=now + AHEAD).contains(&at) {
        return Err(wrong("it is too old, or of a time to come"));
    }
    // 4
    let document = assertion.document.iter().map(|word| match word.as_str() {
        "record" => Ok(DocumentProof::RegistryRecord),
        "chip" => Ok(DocumentProof::RegistryChip),
        _ => Err(wrong("it says of the document what is not known here")),
    });
    let person = assertion.person.iter().map(|word| match word.as_str() {
        "login" => Ok(PersonProof::RegistryLogin),
        "face" => Ok(PersonProof::RegistryFace),
        "present" => Ok(PersonProof::RegistryPresent),
        _ => Err(wrong("it says of the person what is not known here")),
    });
    Ok((assertion.registry, Proofs { document: document.collect::<Result<_, _>>()?, person: person.collect::<Result<_, _>>()? }))
}

/// Whose certificate signed the text: an open mailbox of a citizen here.
fn signed_by(gateway: &Gateway, lists: &RevocationLists, signature: &str, text: &[u8], now: OffsetDateTime) -> Result<(Account, Chain), OpeningError> {
    let wrong = |reason: &str| OpeningError::Signature { reason: reason.to_owned() };
    let told = |error| match error {
        SignerError::Signature(reason) => OpeningError::Signature { reason },
        SignerError::Trust(error) => error.into(),
        SignerError::Revocation(error) => error.into(),
    };
    let path = signer::Signed::read(signature, text).and_then(|signed| signed.trusted(&gateway.anchors, lists, Purpose::Citizen, now)).map_err(told)?;
    let facts = CertificateFacts::parse(path.leaf()).map_err(|error| trust::unreadable(Purpose::Citizen, &error))?;
    let [address] = facts.emails.as_slice() else { return Err(wrong("its certificate bears no single address")) };
    let account = gateway.directory.find_address(address)?.filter(Account::is_open).ok_or_else(|| wrong("its certificate is of no open mailbox here"))?;
    Ok((account, path))
}

/// What came with an application that waited, without what holds no more: the word of a registry that was withdrawn since, and a
/// signature whose mailbox was closed or whose certificate is not known to be good now.
pub fn still_good(gateway: &Gateway, lists: &RevocationLists, record: &record::Application, person: &record::Person, now: OffsetDateTime) -> Result<Proofs, OpeningError> {
    let registry = record.registry.as_deref().map(|code| registries::find(&*gateway.store, code)).transpose()?;
    let (registered, stands) = (registry.flatten().is_some(), stands(gateway, lists, person, now)?);
    let document = record.document_proofs.iter().filter_map(|name| DocumentProof::from_name(name)).filter(|proof| match proof {
        DocumentProof::RegistryRecord | DocumentProof::RegistryChip => registered,
        _ => true,
    });
    let person = record.person_proofs.iter().filter_map(|name| PersonProof::from_name(name)).filter(|proof| match proof {
        PersonProof::RegistryLogin | PersonProof::RegistryFace | PersonProof::RegistryPresent => registered,
        PersonProof::Certificate => stands,
        _ => true,
    });
    Ok(Proofs { document: document.collect(), person: person.collect() })
}

/// Whether the mailbox whose certificate signed is open, and the certificate good; not so where no list can be had.
fn stands(gateway: &Gateway, lists: &RevocationLists, person: &record::Person, now: OffsetDateTime) -> Result<bool, OpeningError> {
    let (Some(mailbox), Some(path)) = (&person.signed_by, &person.certificate) else { return Ok(false) };
    let Ok(number) = MailboxNumber::parse(mailbox) else { return Ok(false) };
    if !gateway.directory.get(number)?.is_some_and(|account| account.is_open()) {
        return Ok(false);
    }
    let lists = trust::crl_urls(path).ok().and_then(|urls| lists.fetch(&urls, now).ok());
    Ok(lists.is_some_and(|lists| gateway.anchors.trusted(path, Purpose::Citizen, &lists, now).is_ok()))
}
