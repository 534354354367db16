//! Answers about the status of certificates: signed by a delegated signer, remembered while nothing changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keys::KeyHandle;
use pki::ocsp::{CertId, CertStatus, Failure, HashAlgorithm, OcspRequest, SingleResponse};
use pki::signer::Signer;
use runtime::clock::Clock;
use store::Store;
use time::{Duration, OffsetDateTime};

use crate::authority::{Authority, Issuer, Watcher};
use crate::record::{CertificateRecord, Listed, OcspSigner, Status as RecordStatus, decode};
use crate::register;

/// How long an answer is good for, and after how long a remembered one is signed anew.
pub(crate) const GOOD_FOR: Duration = Duration::hours(12);
pub(crate) const RENEW_AFTER: Duration = Duration::hours(6);
/// Answers remembered: two halves of this many, the older forgotten when the newer is full.
const HALF: usize = 100_000;

/// An issuer as its responder knows it.
struct Responder {
    id: String,
    key: KeyHandle,
    certificate: Vec<u8>,
    key_hash: Vec<u8>,
    /// Of the signer's own certificate.
    serial: Vec<u8>,
    /// Whether that certificate is revoked or suspended: its word counts nothing until the next signer is here.
    fallen: AtomicBool,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    /// Records are kept for good: from the issuer's first day on every certificate is answered for, ended ones too.
    since: OffsetDateTime,
    /// The issuer's own last moment: none vouches for a signer after it.
    issuer_until: OffsetDateTime,
    /// The digests that name the issuer: of its subject and of its key.
    names: Names,
}

type Names = [(HashAlgorithm, Vec<u8>, Vec<u8>); 2];

/// A response and for how long it may be given.
#[derive(Clone, Debug)]
pub struct Answer {
    pub body: Arc<[u8]>,
    /// `None` for what must not be kept by caches: errors and answers to a nonce.
    pub fresh: Option<Freshness>,
}

#[derive(Clone, Debug)]
pub struct Freshness {
    pub this_update: OffsetDateTime,
    pub next_update: OffsetDateTime,
    /// Names these very bytes: SHA-256 in hexadecimal.
    pub tag: Arc<str>,
}

impl Answer {
    fn is_young(&self, now: OffsetDateTime) -> bool {
        self.fresh.as_ref().is_some_and(|fresh| now < (fresh.this_update + RENEW_AFTER).min(fresh.next_update))
    }
}

#[derive(Default)]
struct Memory {
    /// By serial, then by the CertID's exact bytes: clients write it in several ways.
    newer: HashMap<Vec<u8>, Vec<(Vec<u8>, Answer)>>,
    older: HashMap<Vec<u8>, Vec<(Vec<u8>, Answer)>>,
    /// How many are in `newer`.
    answers: usize,
    /// Grows with every change: an answer read before a change is not remembered after it.
    changes: u64,
}

impl Memory {
    fn find(&self, id: &CertId) -> Option<Answer> {
        let among = |half: &HashMap<Vec<u8>, Vec<(Vec<u8>, Answer)>>| half.get(&id.serial)?.iter().find(|(der, _)| *der == id.der).map(|(_, answer)| answer.clone());
        among(&self.newer).or_else(|| among(&self.older))
    }

    fn remember(&mut self, id: &CertId, answer: &Answer) {
        if self.answers >= HALF {
            self.older = std::mem::take(&mut self.newer);
            self.answers = 0;
        }
        let known = self.newer.entry(id.serial.clone()).or_default();
        let before = known.len();
        known.retain(|(der, _)| *der != id.der);
        // Few ways of writing one CertID are honest; more are somebody filling the memory.
        if known.len() < 4 {
            known.push((id.der.clone(), answer.clone()));
        }
        self.answers = self.answers + known.len() - before;
    }

    fn forget_all(&mut self) {
        self.newer.clear();
        self.older.clear();
        self.answers = 0;
        self.changes += 1;
    }

    fn forget(&mut self, serial: &[u8]) {
        self.answers -= self.newer.remove(serial).map_or(0, |known| known.len());
        self.older.remove(serial);
        self.changes += 1;
    }
}

/// What the responder counted, for `/metrics`.
#[derive(Debug, Default)]
pub struct Counts {
    pub remembered: AtomicU64,
    pub signed: AtomicU64,
    pub refused: AtomicU64,
}

/// The responder of all issuers.
pub struct Status {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    responders: RwLock<Vec<Arc<Responder>>>,
    memory: Mutex<Memory>,
    /// A signer fell and its successor was not asked for yet.
    wanted: AtomicBool,
    pub counts: Counts,
}

impl Status {
    pub fn new(authority: &Authority) -> Result<Self, pki::asn1::DerError> {
        let mut responders = Vec::new();
        for issuer in authority.issuers.values() {
            responders.extend(Responder::of(issuer)?.map(Arc::new));
        }
        let this = Self {
            store: Arc::clone(&authority.store),
            clock: Arc::clone(&authority.clock),
            responders: RwLock::new(responders),
            memory: Mutex::default(),
            wanted: AtomicBool::new(false),
            counts: Counts::default(),
        };
        this.responders.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|responder| this.look_at(responder));
        Ok(this)
    }

    /// Whether the signer may sign: as the register has it now. One that cannot be read signs nothing.
    fn look_at(&self, responder: &Responder) {
        let good = matches!(register::find(&*self.store, &responder.serial), Ok(Some(CertificateRecord { status: RecordStatus::Good, .. })));
        responder.fallen.store(!good, Ordering::Relaxed);
        self.wanted.fetch_or(!good, Ordering::Relaxed);
    }

    /// Looks once more at those that may not sign: what could not be read is no reason for ever.
    pub fn look_again(&self) {
        let fallen: Vec<_> = self.responders.read().unwrap_or_else(PoisonError::into_inner).iter().filter(|responder| responder.fallen.load(Ordering::Relaxed)).cloned().collect();
        fallen.iter().for_each(|responder| self.look_at(responder));
        // Their successors are looked for in this very turn.
        self.wanted.store(false, Ordering::Relaxed);
    }

    /// Whether a signer fell since this was asked last: its successor is due now.
    pub fn signer_fell(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// From now on `signer` answers for `issuer`; what the one before signed is forgotten.
    pub fn replace(&self, issuer: &str, signer: &OcspSigner, key: KeyHandle) -> Result<(), pki::asn1::DerError> {
        let mut responders = self.responders.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = responders.iter_mut().find(|responder| responder.id == issuer) {
            *place = Arc::new(Responder::new(issuer, place.names.clone(), signer, key, (place.since, place.issuer_until))?);
            // It may have been revoked before it stood here.
            self.look_at(place);
        }
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).forget_all();
        Ok(())
    }

    /// The answer that is remembered, without a look at the store: `None` when one must be made.
    pub fn remembered(&self, request: &OcspRequest) -> Option<Answer> {
        let ([id], None) = (request.ids.as_slice(), &request.nonce) else { return None };
        let answer = self.memory.lock().unwrap_or_else(PoisonError::into_inner).find(id)?;
        answer.is_young(self.clock.now()).then(|| {
            self.counts.remembered.fetch_add(1, Ordering::Relaxed);
            answer
        })
    }

    /// Reads the register and signs.
    pub fn make(&self, request: &OcspRequest) -> Answer {
        let made = self.signed(request);
        let count = if made.is_ok() { &self.counts.signed } else { &self.counts.refused };
        count.fetch_add(1, Ordering::Relaxed);
        made.unwrap_or_else(|failure| Answer { body: failure.der().into(), fresh: None })
    }

    fn signed(&self, request: &OcspRequest) -> Result<Answer, Failure> {
        let first = request.ids.first().ok_or(Failure::MalformedRequest)?;
        let changes = self.memory.lock().unwrap_or_else(PoisonError::into_inner).changes;
        let responder = &*self.responder(first).ok_or(Failure::Unauthorized)?;
        let now = self.clock.now();
        // An old signer's word counts nothing, and the error says nothing of any certificate. As long as the issuer is valid
        // the next signer is due, and it answers for ended certificates too; after that nobody can say anything any more,
        // and whoever asks is not told to come back. spec: rfc6960#2.3
        if now >= responder.not_after {
            return Err(if now > responder.issuer_until { Failure::Unauthorized } else { Failure::TryLater });
        }
        // So does that of one whose certificate is revoked, until the next one is here; and nothing is signed before the signer
        // is valid, by a clock that went back.
        if responder.fallen.load(Ordering::Relaxed) || now < responder.not_before {
            return Err(Failure::TryLater);
        }
        let this_update = now.replace_nanosecond(0).unwrap_or(now);
        // An answer must not outlive the certificate of its signer.
        let next_update = (this_update + GOOD_FOR).min(responder.not_after);
        let mut responses = Vec::with_capacity(request.ids.len());
        for id in &request.ids {
            // One signer answers for its own issuer only.
            if !responder.names(id) {
                return Err(Failure::Unauthorized);
            }
            responses.push(SingleResponse { id: &id.der, status: self.status(responder, &id.serial)?, this_update, next_update, archive_cutoff: Some(responder.since) });
        }
        let data = pki::ocsp::response_data(&responder.key_hash, this_update, &responses, request.nonce.as_deref());
        let signature = Signer::sign(&responder.key, &data).map_err(|_| Failure::TryLater)?;
        let body: Arc<[u8]> = pki::ocsp::assemble(&data, Signer::algorithm(&responder.key), &signature, &responder.certificate).into();
        if request.nonce.is_some() {
            return Ok(Answer { body, fresh: None });
        }
        let tag = crate::sha256_hex(&body).into();
        let answer = Answer { body, fresh: Some(Freshness { this_update, next_update, tag }) };
        let unknown = responses.iter().any(|response| response.status == CertStatus::Unknown);
        if let ([id], false) = (request.ids.as_slice(), unknown) {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            if memory.changes == changes {
                memory.remember(id, &answer);
            }
        }
        // What does not exist may exist in a moment: caches must not keep that answer.
        Ok(if unknown { Answer { fresh: None, ..answer } } else { answer })
    }

    fn responder(&self, id: &CertId) -> Option<Arc<Responder>> {
        self.responders.read().unwrap_or_else(PoisonError::into_inner).iter().find(|responder| responder.names(id)).cloned()
    }

    fn status(&self, responder: &Responder, serial: &[u8]) -> Result<CertStatus, Failure> {
        match register::find(&*self.store, serial).map_err(|_| Failure::TryLater)? {
            Some(record) if record.issuer == responder.id => Ok(match record.status {
                RecordStatus::Good => CertStatus::Good,
                RecordStatus::Revoked(revocation) => revoked(&Listed::Revoked(revocation))?,
                RecordStatus::Held(hold) => revoked(&Listed::Held { held_since: hold.at })?,
            }),
            Some(_) => Ok(CertStatus::Unknown),
            // A list of the time before a restore may have named it, though the certificate itself is not known any more.
            None => match self.store.get(&CertificateRecord::revoked(&responder.id, serial)).map_err(|_| Failure::TryLater)? {
                Some(listed) => revoked(&decode(&listed).map_err(|_| Failure::InternalError)?),
                None => Ok(CertStatus::Unknown),
            },
        }
    }
}

/// A held certificate is told as revoked with the reason certificateHold, as on the list.
// spec: rfc6960#2.2
fn revoked(listed: &Listed) -> Result<CertStatus, Failure> {
    let (at, reason) = listed.crl();
    let time = |at| OffsetDateTime::from_unix_timestamp(at).map_err(|_| Failure::InternalError);
    Ok(CertStatus::Revoked { at: time(at)?, reason, invalid_since: listed.invalid_since().map(time).transpose()? })
}

impl Responder {
    /// None for an issuer without a signer.
    fn of(issuer: &Issuer) -> Result<Option<Self>, pki::asn1::DerError> {
        let (Some(ocsp), Some(key)) = (&issuer.record.ocsp, &issuer.ocsp_key) else { return Ok(None) };
        let name = |hash: HashAlgorithm| -> Result<_, pki::asn1::DerError> {
            let id = CertId::new(hash, &issuer.name, &issuer.public_key_info, &[1])?;
            Ok((hash, id.issuer_name_hash, id.issuer_key_hash))
        };
        let names = [name(HashAlgorithm::Sha1)?, name(HashAlgorithm::Sha256)?];
        Self::new(issuer.id(), names, ocsp, key.clone(), (issuer.not_before, issuer.not_after)).map(Some)
    }

    fn new(id: &str, names: Names, signer: &OcspSigner, key: KeyHandle, (since, issuer_until): (OffsetDateTime, OffsetDateTime)) -> Result<Self, pki::asn1::DerError> {
        let (_, read) = x509_parser::parse_x509_certificate(&signer.der).map_err(|_| pki::asn1::DerError::Value("the OCSP signer's certificate"))?;
        Ok(Self {
            id: id.to_owned(),
            key_hash: pki::ocsp::responder_key_hash(key.public_key_info())?,
            key,
            serial: read.raw_serial().to_vec(),
            fallen: AtomicBool::new(false),
            certificate: signer.der.clone(),
            not_before: read.validity().not_before.to_datetime(),
            not_after: read.validity().not_after.to_datetime(),
            since,
            issuer_until,
            names,
        })
    }

    fn names(&self, id: &CertId) -> bool {
        self.names.iter().any(|(hash, name, key)| *hash == id.hash && *name == id.issuer_name_hash && *key == id.issuer_key_hash)
    }
}

impl Watcher for Status {
    fn changed(&self, _issuer: &str, serial: &[u8]) {
        let signer = self.responders.read().unwrap_or_else(PoisonError::into_inner).iter().find(|responder| responder.serial == serial).cloned();
        match signer {
            // What a compromised key may have signed is not handed out again.
            Some(signer) => {
                self.look_at(&signer);
                self.memory.lock().unwrap_or_else(PoisonError::into_inner).forget_all();
            }
            None => self.memory.lock().unwrap_or_else(PoisonError::into_inner).forget(serial),
        }
    }

    fn joined(&self, issuer: &Issuer) {
        // Its certificates were read a moment ago: what could not be read would not have come so far.
        if let Ok(Some(responder)) = Responder::of(issuer) {
            let responder = Arc::new(responder);
            self.responders.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&responder));
            self.look_at(&responder);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(serial: u32, form: u8) -> CertId {
        let mut id = CertId { hash: HashAlgorithm::Sha1, issuer_name_hash: vec![], issuer_key_hash: vec![], serial: serial.to_be_bytes().to_vec(), der: vec![] };
        id.der = [&id.serial[..], &[form]].concat();
        id
    }

    #[test]
    fn the_memory_is_bounded_in_answers_and_keeps_what_is_asked_for() {
        let answer = Answer { body: Arc::from([]), fresh: None };
        let mut memory = Memory::default();
        for serial in 0..HALF as u32 {
            for form in 0..6 {
                memory.remember(&id(serial, form), &answer);
            }
            let count = |half: &HashMap<Vec<u8>, Vec<(Vec<u8>, Answer)>>| half.values().map(Vec::len).sum::<usize>();
            if serial % 9_999 == 0 {
                assert_eq!(count(&memory.newer), memory.answers);
                assert!(count(&memory.newer) + count(&memory.older) <= 2 * HALF);
            }
        }
        let last = HALF as u32 - 1;
        assert!(memory.find(&id(last, 3)).is_some() && memory.find(&id(last, 4)).is_none() && memory.find(&id(0, 0)).is_none());
        let before = memory.answers;
        memory.forget(&last.to_be_bytes());
        assert!(memory.find(&id(last, 3)).is_none());
        assert_eq!(memory.answers, before - 4);
    }
}
