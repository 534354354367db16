//! Whom the desk believes: the path of a certificate for each bureau, its standing at a time, timestamps.
//!
//! What was proved is remembered for a minute: an issuing authority's standing is asked of its list once, not with every
//! filing. A holder's own standing is asked of the responder each time, with a nonce, so that the answer is newer than the
//! signature and nobody waits for the next list.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use const_oid::ObjectIdentifier as Oid;
use pki::crl::Reason;
use pki::effort::{Effort, Memory};
use pki::ocsp::{CertId, CertStatus, HashAlgorithm};
use pki::path::{ANY_PURPOSE, Anchors, CertificateFacts, PathError, Requirements, RevocationAnswer, RevocationList, Validation};
use pki::timestamp::{Imprint, TimeStampRequest, VerifiedTimestamp};
use pki::view::CertificateView;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use time::{Duration, OffsetDateTime};

use super::outside::Outside;
use super::problem::DeskError;

const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");
const DIGITAL_SIGNATURE: u8 = 0;
const NON_REPUDIATION: u8 = 1;
/// How long an authority's standing is believed, and a caller's.
const KEEP: Duration = Duration::seconds(60);
const MAX_KEPT: usize = 50_000;
/// Authorities are few, and each has a list or some parts.
const MAX_LISTS: usize = 64;
const NONCE: usize = 16;
/// Of one answer or token: its own, its signer's certificate's.
const MAX_ONCE: u32 = 16;

pub(super) type Digest = [u8; 32];

/// What was proved for a minute.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<Digest, OffsetDateTime>>);

impl Recent {
    pub(super) fn holds(&self, key: &Digest, now: OffsetDateTime) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).is_some_and(|at| (*at..*at + KEEP).contains(&now))
    }

    pub(super) fn note(&self, key: Digest, now: OffsetDateTime) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, at| (*at..*at + KEEP).contains(&now));
        }
        if kept.len() < MAX_KEPT {
            kept.insert(key, now);
        }
    }
}

/// Signatures that verified: those of certificates and lists come again with every filing. Emptied when it is full.
#[derive(Default)]
pub struct Verified(Mutex<HashSet<Digest>>);

impl Memory for Verified {
    fn holds(&self, signature: &Digest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(signature)
    }

    fn note(&self, signature: Digest) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(signature);
    }
}

/// A list, read once for all who ask within a minute.
pub struct Listed {
    pub der: Vec<u8>,
    pub answer: RevocationAnswer,
}

pub struct Trust {
    /// By the bureau's code.
    anchors: HashMap<String, Arc<Anchors>>,
    /// Where timestamps have roots of their own.
    timestamp_anchors: Option<Arc<Anchors>>,
    outside: Arc<dyn Outside>,
    standing: Recent,
    timestamp_signers: Recent,
    /// The responder's certificate that was proved last, by its issuer.
    responders: Mutex<HashMap<Digest, Vec<u8>>>,
    /// The paths of authorities that stamped lately, by bureau and certificate.
    stamp_paths: Mutex<HashMap<Digest, (OffsetDateTime, Arc<Vec<Vec<u8>>>)>>,
    /// By address.
    lists: Mutex<HashMap<String, (OffsetDateTime, Arc<Listed>)>>,
    pub verified: Verified,
    random: SystemRandom,
}

/// How a certificate stood when it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    /// Suspended now: it may be good again.
    Held,
    Revoked { at: OffsetDateTime, reason: Reason, invalid_since: Option<OffsetDateTime> },
    /// The responder knows no such certificate.
    Unknown,
}

/// What the responder answered, and the answer itself, for the record.
#[derive(Clone, Debug)]
pub struct Status {
    pub standing: Standing,
    pub this_update: OffsetDateTime,
    pub answer: Vec<u8>,
    /// The same as it was read; a status that a list tells has none.
    pub read: Option<RevocationAnswer>,
    /// Who signed the answer: certificate, DER.
    pub responder: Vec<u8>,
}

pub(super) fn of(parts: &[&[u8]]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    out
}

/// What is expected is never relied on: whoever asks has all of it assessed.
fn expected(anchors: &Anchors, certificate: &[u8], others: &[Vec<u8>], at: OffsetDateTime, effort: &Effort<'_>) -> Option<Vec<Vec<u8>>> {
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
    Validation { anchors, lists: &[], required: &required, at }.path_within(certificate, others, effort).ok()
}

impl Trust {
    pub fn new(anchors: HashMap<String, Arc<Anchors>>, outside: Arc<dyn Outside>) -> Self {
        let (standing, timestamp_signers, responders) = (Recent::default(), Recent::default(), Mutex::default());
        Self { anchors, timestamp_anchors: None, outside, standing, timestamp_signers, responders, stamp_paths: Mutex::default(), lists: Mutex::default(), verified: Verified::default(), random: SystemRandom::new() }
    }

    /// For one more signature: what was verified before is not verified again.
    pub fn once(&self) -> Effort<'_> {
        Effort::new(MAX_ONCE).remembering(&self.verified)
    }

    /// The roots that a bureau believes; none for one that is not known.
    pub fn anchors(&self, bureau: &str) -> Option<&Anchors> {
        self.anchors.get(bureau).map(Arc::as_ref)
    }

    /// With roots of their own for timestamps, whichever bureau asks.
    pub fn believing_timestamps_of(self, anchors: Arc<Anchors>) -> Self {
        Self { timestamp_anchors: Some(anchors), ..self }
    }

    /// The roots whose timestamps a bureau believes.
    pub fn timestamp_anchors(&self, bureau: &str) -> Option<&Anchors> {
        self.timestamp_anchors.as_deref().or_else(|| self.anchors(bureau))
    }

    /// Everything but usage and revocation, under one of `policies` (any, when there are none) at `at`: the path, the anchor last.
    pub fn path(&self, bureau: &str, certificate: &[u8], others: &[Vec<u8>], policies: &[Oid], at: OffsetDateTime) -> Result<Vec<Vec<u8>>, PathError> {
        self.path_for(bureau, certificate, others, &Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: policies.to_vec() }, at)
    }

    fn path_for(&self, bureau: &str, certificate: &[u8], others: &[Vec<u8>], required: &Requirements, at: OffsetDateTime) -> Result<Vec<Vec<u8>>, PathError> {
        let anchors = self.anchors(bureau).ok_or(PathError::UnknownIssuer)?;
        let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).filter(|other| *other != certificate).collect();
        Validation { anchors, lists: &[], required, at }.path(certificate, &others)
    }

    /// The path of a signer's certificate at `at`, as it is expected to be found: usage, policies and revocation are not judged.
    pub fn expected_path(&self, bureau: &str, certificate: &[u8], others: &[Vec<u8>], at: OffsetDateTime, effort: &Effort<'_>) -> Option<Vec<Vec<u8>>> {
        expected(self.anchors(bureau)?, certificate, others, at, effort)
    }

    /// The same of a timestamp's signer; one authority stamps for all, so its path is looked for once in a minute.
    pub fn expected_stamp_path(&self, bureau: &str, stamp: &VerifiedTimestamp, now: OffsetDateTime, effort: &Effort<'_>) -> Option<Arc<Vec<Vec<u8>>>> {
        let key = of(&[bureau.as_bytes(), b" ", stamp.signer_certificate()]);
        let known = self.stamp_paths.lock().unwrap_or_else(PoisonError::into_inner).get(&key).filter(|(at, _)| (*at..*at + KEEP).contains(&now)).map(|(_, path)| Arc::clone(path));
        if known.is_some() {
            return known;
        }
        let path = Arc::new(expected(self.timestamp_anchors(bureau)?, stamp.signer_certificate(), stamp.certificates(), stamp.gen_time(), effort)?);
        let mut kept = self.stamp_paths.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_LISTS {
            kept.clear();
        }
        kept.insert(key, (now, Arc::clone(&path)));
        Some(path)
    }

    /// Whether the authorities of a path, above its holder, are in good standing now, by their issuers' lists.
    pub fn authorities_stand(&self, path: &[Vec<u8>], now: OffsetDateTime) -> Result<Result<(), PathError>, DeskError> {
        for pair in path.array_windows().skip(1) {
            let [subject, issuer]: &[Vec<u8>; 2] = pair;
            if let Err(error) = self.stands(subject, issuer, true, now)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// One certificate of a path by its issuer's list.
    fn stands(&self, subject: &[u8], issuer: &[u8], is_authority: bool, now: OffsetDateTime) -> Result<Result<(), PathError>, DeskError> {
        let key = of(&[subject, issuer]);
        if self.standing.holds(&key, now) {
            return Ok(Ok(()));
        }
        let Ok(facts) = CertificateFacts::parse(subject) else { return Ok(Err(PathError::Malformed("a certificate".into()))) };
        let lists = self.outside.lists(&facts.crl_urls, now)?;
        let lists: Vec<RevocationList> = lists.iter().filter_map(|der| RevocationList::parse(der).ok()).collect();
        let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
        let none = Anchors::new(&[] as &[Vec<u8>]).map_err(|error| DeskError::Request(error.to_string()))?;
        let judged = Validation { anchors: &none, lists: &lists, required: &required, at: now }.standing(subject, issuer, is_authority);
        match judged {
            Ok(()) => {
                self.standing.note(key, now);
                Ok(Ok(()))
            }
            // No list that covers it: nobody knows, which is not the holder's fault.
            Err(PathError::RevocationUnknown) => Err(DeskError::Away { what: "a current revocation list", reason: "there is none of this issuer".into() }),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The lists at these addresses, at most a minute old. What is no list is left out: what it would tell stays unknown.
    pub fn lists(&self, urls: &[String], now: OffsetDateTime) -> Result<Vec<Arc<Listed>>, DeskError> {
        let mut found = Vec::new();
        if !self.outside.asks() {
            // They are what they are, from wherever.
            let given = self.outside.lists(urls, now)?;
            return Ok(given.into_iter().filter_map(|der| Some(Arc::new(Listed { answer: RevocationAnswer::list(&der).ok()?, der }))).collect());
        }
        for url in urls {
            let kept = self.lists.lock().unwrap_or_else(PoisonError::into_inner).get(url).filter(|(at, _)| (*at..*at + KEEP).contains(&now)).map(|(_, list)| Arc::clone(list));
            if let Some(kept) = kept {
                found.push(kept);
                continue;
            }
            for der in self.outside.lists(std::slice::from_ref(url), now)? {
                let Ok(answer) = RevocationAnswer::list(&der) else { continue };
                let list = Arc::new(Listed { der, answer });
                let mut kept = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= MAX_LISTS {
                    kept.clear();
                }
                kept.insert(url.clone(), (now, Arc::clone(&list)));
                found.push(list);
            }
        }
        Ok(found)
    }

    /// A caller's certificate by its issuer's list: up to a minute old, which is enough for who may talk.
    pub fn caller_stands(&self, path: &[Vec<u8>], now: OffsetDateTime) -> Result<Result<(), PathError>, DeskError> {
        let [holder, issuer, ..] = path else { return Ok(Err(PathError::UnknownIssuer)) };
        match self.stands(holder, issuer, false, now)? {
            Ok(()) => self.authorities_stand(path, now),
            refused => Ok(refused),
        }
    }

    /// The holder's status, asked now; of who asks nobody, as what is given tells it.
    pub fn status(&self, path: &[Vec<u8>], now: OffsetDateTime) -> Result<Status, DeskError> {
        let [holder, issuer, ..] = path else { return Err(DeskError::Away { what: "the certificate's status", reason: "there is no issuer".into() }) };
        let answered = self.answered(holder, issuer);
        if self.outside.asks() { answered } else { answered.or_else(|_| self.listed_status(holder, issuer, now)) }
    }

    fn answered(&self, holder: &[u8], issuer: &[u8]) -> Result<Status, DeskError> {
        let damaged = |reason: &dyn std::fmt::Display| DeskError::Away { what: "the certificate's status", reason: reason.to_string() };
        let (view, above) = (CertificateView::parse(holder).map_err(|error| damaged(&error))?, CertificateView::parse(issuer).map_err(|error| damaged(&error))?);
        let urls = CertificateFacts::responders_of(&view).map_err(|error| damaged(&error))?;
        let url = urls.first().map(String::as_str).or_else(|| (!self.outside.asks()).then_some("")).ok_or_else(|| damaged(&"the certificate names no responder"))?;
        let id = CertId::new(HashAlgorithm::Sha256, above.subject, above.spki, view.serial).map_err(|error| damaged(&error))?;
        let nonce = self.nonce()?;
        let der = self.outside.ocsp(url, pki::ocsp::request(&id, Some(&nonce)))?;
        let read = RevocationAnswer::ocsp(&der).map_err(|error| damaged(&error))?;
        let answer = read.as_ocsp().ok_or_else(|| damaged(&"it is no OCSP answer"))?;
        if self.outside.asks() && answer.nonce() != Some(nonce.as_slice()) {
            return Err(damaged(&pki::ocsp::AnswerError::Nonce));
        }
        let key = of(&[issuer]);
        let known = self.responders.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let (said, signer) = answer.of_within(issuer, view.serial, known.as_deref(), &self.once()).map_err(|error| damaged(&error))?;
        let responder = signer.to_vec();
        if known.as_deref() != Some(signer) {
            self.responders.lock().unwrap_or_else(PoisonError::into_inner).insert(key, signer.to_vec());
        }
        let standing = match said.status {
            CertStatus::Good => Standing::Good,
            CertStatus::Unknown => Standing::Unknown,
            CertStatus::Revoked { reason: Reason::CertificateHold, .. } => Standing::Held,
            CertStatus::Revoked { at, reason, invalid_since } => Standing::Revoked { at, reason, invalid_since },
        };
        let this_update = said.this_update;
        Ok(Status { standing, this_update, responder, answer: der, read: Some(read) })
    }

    /// As the lists tell it that are given.
    fn listed_status(&self, holder: &[u8], issuer: &[u8], now: OffsetDateTime) -> Result<Status, DeskError> {
        let lists: Vec<RevocationList> = self.outside.lists(&[], now)?.iter().filter_map(|der| RevocationList::parse(der).ok()).collect();
        let none = Anchors::new(&[] as &[Vec<u8>]).map_err(|error| DeskError::Request(error.to_string()))?;
        let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
        let standing = match (Validation { anchors: &none, lists: &lists, required: &required, at: now }).standing(holder, issuer, false) {
            Ok(()) => Standing::Good,
            Err(PathError::Revoked { reason: Reason::CertificateHold, .. }) => Standing::Held,
            Err(PathError::Revoked { at, reason }) => Standing::Revoked { at, reason, invalid_since: None },
            Err(error) => return Err(DeskError::Away { what: "the certificate's status", reason: error.to_string().replace("; ", ", ") }),
        };
        Ok(Status { standing, this_update: now, responder: Vec::new(), answer: Vec::new(), read: None })
    }

    fn nonce(&self) -> Result<[u8; NONCE], DeskError> {
        let mut nonce = [0; NONCE];
        self.random.fill(&mut nonce).map_err(|_| DeskError::Randomness)?;
        Ok(nonce)
    }

    /// A token over `imprint`, of the authority the desk asks.
    pub fn stamp(&self, imprint: Imprint) -> Result<Vec<u8>, DeskError> {
        let away = |reason: String| DeskError::Away { what: "the timestamp authority", reason };
        let mut nonce = self.nonce()?;
        // A positive INTEGER in its shortest form.
        let [first, ..] = &mut nonce;
        *first = (*first & 0x7f) | 0x40;
        let request = TimeStampRequest { imprint, policy: None, nonce: Some(nonce.to_vec()), certificate: true };
        let answer = self.outside.stamp(request.der())?;
        // Its signature and whose it is are judged by who uses it; what is stamped is never the same twice, so no older token
        // passes for this one.
        let token = pki::timestamp::token_of(&answer).map_err(|error| away(error.to_string()))?;
        Ok(token.to_vec())
    }

    /// A token over a signature's value whose signer this bureau believes: `None` where it is not one.
    pub fn trusted_stamp(&self, bureau: &str, token: &[u8], value: &[u8], now: OffsetDateTime) -> Result<Option<VerifiedTimestamp>, DeskError> {
        let Ok(stamp) = pki::timestamp::verify_within(token, &[], &self.once()) else { return Ok(None) };
        if !stamp.imprint().is_of(value) {
            return Ok(None);
        }
        let Ok(view) = CertificateView::parse(stamp.signer_certificate()) else { return Ok(None) };
        if !(view.not_before..=view.not_after).contains(&stamp.gen_time()) {
            return Ok(None);
        }
        let key = of(&[bureau.as_bytes(), stamp.signer_certificate()]);
        if !self.timestamp_signers.holds(&key, now) {
            let others = stamp.certificates().to_vec();
            let required = Requirements { extended_key_usage: TIME_STAMPING, key_usage: vec![DIGITAL_SIGNATURE], policies: Vec::new() };
            let Ok(path) = self.path_for(bureau, stamp.signer_certificate(), &others, &required, now) else { return Ok(None) };
            if self.caller_stands(&path, now)?.is_err() {
                return Ok(None);
            }
            self.timestamp_signers.note(key, now);
        }
        Ok(Some(stamp))
    }
}

/// Whether a certificate is for signing, and so not one for encryption alone. spec: rfc5280#4.2.1.3
pub fn signs(certificate: &[u8]) -> bool {
    let Ok(view) = CertificateView::parse(certificate) else { return false };
    let Some(value) = view.extension(&pki::view::KEY_USAGE) else { return false };
    match pki::asn1::Reader::only(value, 3) {
        Ok([_, bits, ..]) => [DIGITAL_SIGNATURE, NON_REPUDIATION].iter().any(|bit| bits & (0x80 >> bit) != 0),
        _ => false,
    }
}
