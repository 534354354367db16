//! A certificate in the place of another. Who asks is known and what they ask is read when this begins.
//!
//! 1 judge      the old certificate as it stands now: a pure question of whoever asks
//! 2 again      the same request before gets the same certificate; another's claim to the place stands
//! 3 issue      on the one line, for the facts we hold of the old one; the claim is in the commit of the intent and holds
//!              only while the old certificate is as it was judged, the link in the commit of the record
//! 4 end        the old certificate, when its days beside the new one are none

use std::time::{Duration, Instant};

use policies::certificate::ApplicantKind;
use serde::Serialize;
use store::{Batch, CommitError, Expectation, StoreError};

use super::authorise::{Actor, Authorised, Orderer};
use super::issue::{self, Order};
use super::meant::{Meant, meant};
use super::plan::Words;
use super::{ending, facts};
use crate::authority::Authority;
use crate::problem::IssueError;
use crate::record::{Act, CertificateRecord, Intent, Outgoing, Predecessor, Revocation, Status, Succession, decode, encode, serial_text};
use crate::register::{self, RegisterError};

/// How often what others came before is judged anew.
const ATTEMPTS: u32 = 8;
/// Certificates that one may be renewed to by its key alone, all but the last revoked: each stays on a list for years.
const MOST: usize = 5;
/// How long the same request waits for its certificate that is just being signed.
const WAIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Signed(#[from] pki::cms::CmsError),
    #[error("the certificate that signed this is none of ours; sign with the certificate that is to be renewed")]
    NotOurs,
    #[error("certificate {serial} has ended; apply for a new one")]
    Over { serial: String },
    #[error("a certificate of the profile {profile} is the authority's own, and none takes its place by request; see the authority's ceremonies")]
    NotOfAHolder { profile: String },
    #[error("certificate {serial} is suspended; have it resumed first")]
    Held { serial: String },
    #[error("certificates of the profile {profile} are not renewed; apply for a new one")]
    NotRenewed { profile: String },
    #[error("certificate {serial} is renewed from {from} on; come back then")]
    TooEarly { serial: String, from: String },
    #[error("the request has the key of certificate {serial}, and a new one is needed; make a new key pair and a request with it")]
    SameKey { serial: String },
    #[error("certificate {by} has the place of {serial} already; work with that one")]
    Taken { serial: String, by: String },
    #[error("the certificate issued for this request, {by}, is revoked; make a new request")]
    SuccessorRevoked { by: String },
    #[error("certificate {serial} was renewed and the new one revoked too often; have it replaced at the counter")]
    TooOften { serial: String },
    #[error("an old certificate stays valid beside the new one for {most} days at most; say fewer days")]
    Overlap { most: u16 },
    #[error("certificates of the profile {profile} are issued on a registrar's word, and renewed by their holder's key; send the holder to the mail gateway's counter")]
    AtTheGateway { profile: String },
    #[error("the request does not say that it is for this; make it with the subject's common name `{words}`")]
    NotMeant { words: String },
    #[error("the request is for something else than a renewal, as its subject says; send it where that is asked for")]
    MeantOtherwise,
    #[error("the key of certificates of the profile {profile} is not changed by their holders; apply for a new one")]
    NotRekeyed { profile: String },
    #[error("the key of certificate {serial} may be changed from {from} on; come back then, or report the key if others have it")]
    TooYoung { serial: String, from: String },
    #[error("nothing is corrected by this; say the new --name or --mailbox")]
    NothingNew,
    #[error("a correction is revoked as superseded or affiliation-changed; say one of them, or use `ca replace` or `ca revoke`")]
    Reason,
    #[error("certificate {serial} is being issued for this request; ask again with the same request")]
    BeingIssued { serial: String },
}

impl From<StoreError> for SuccessionError {
    fn from(error: StoreError) -> Self {
        IssueError::from(error).into()
    }
}

impl From<RegisterError> for SuccessionError {
    fn from(error: RegisterError) -> Self {
        IssueError::from(error).into()
    }
}

impl From<serde_json::Error> for SuccessionError {
    fn from(error: serde_json::Error) -> Self {
        IssueError::from(error).into()
    }
}

/// What is asked for, once somebody may ask for it.
pub(super) struct Ask {
    pub old: Vec<u8>,
    pub act: Act,
    pub request: Asked,
    /// What is another from the facts that we hold.
    pub corrected: Corrections,
    /// When and why the old one is revoked.
    pub ends: Option<Revocation>,
}

/// The key of the new certificate.
pub(super) enum Asked {
    /// PKCS#10, PEM or DER, parsed once before: its digest tells it from others.
    Request { bytes: Vec<u8>, sha256: String, key_digest: Vec<u8>, meant: Option<Meant> },
    /// The old one's, whose holder proved to have it then; once for each occasion.
    SameKey { occasion: String },
}

impl Asked {
    pub fn read(bytes: &[u8]) -> Result<Self, IssueError> {
        let request = pki::request::Request::parse(bytes)?;
        let key_digest = ring::digest::digest(&ring::digest::SHA256, &request.spki).as_ref().to_vec();
        Ok(Self::Request { sha256: crate::sha256_hex(request.der()), key_digest, meant: meant(&request.subject), bytes: bytes.to_vec() })
    }

    /// What the request says that it is for; nothing when it asks in the usual way.
    pub fn meant(&self) -> &Option<Meant> {
        match self {
            Self::Request { meant, .. } => meant,
            Self::SameKey { .. } => &None,
        }
    }

    /// A new certificate for a new key, and no other.
    pub fn new_key(&self, old: &[u8], found: &CertificateRecord) -> Result<(), SuccessionError> {
        match self {
            Self::Request { key_digest, .. } if *key_digest != found.key_digest => Ok(()),
            _ => Err(SuccessionError::SameKey { serial: serial_text(old) }),
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Corrections {
    pub name: Option<String>,
    pub mailbox: Option<String>,
}

impl Corrections {
    fn of(self, words: Words) -> Words {
        let mailbox = self.mailbox.or(words.mailbox.clone());
        match words.officer.clone() {
            Some(officer) => Words { officer: Some(self.name.unwrap_or(officer)), mailbox, ..words },
            None => Words { name: self.name.or(words.name.clone()), mailbox, ..words },
        }
    }
}

/// A certificate in the place of another, durable.
#[derive(Clone, Debug)]
pub struct Succeeded {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    /// It had been issued before, for the same request.
    pub again: bool,
}

/// The old certificate as it was judged, and the claim to its place: both stand at the commit of the intent, or nothing
/// is signed.
pub(super) struct Claim {
    pub predecessor: Predecessor,
    old: Vec<u8>,
    found: Vec<u8>,
    act: Act,
    request_sha256: String,
    /// A claim that came to nothing, as it stands in the store.
    before: Option<Vec<u8>>,
    /// The new certificate ends here at the latest, Unix seconds.
    pub until: Option<i64>,
}

impl Claim {
    pub fn written(&self, batch: Batch, new: &[u8]) -> Result<Batch, IssueError> {
        let place = Succession::key(&self.old);
        let claim = Succession { serial: serial_text(new), act: self.act, request_sha256: self.request_sha256.clone() };
        let unclaimed = match &self.before {
            Some(before) => Expectation::Equals(place.clone(), before.clone()),
            None => Expectation::Absent(place.clone()),
        };
        let batch = batch.expect(Expectation::Equals(CertificateRecord::key(&self.old), self.found.clone())).expect(unclaimed);
        Ok(batch.put(place, encode(&claim)?))
    }
}

/// The link from the old certificate to the new one, and the old one's end: in the commit that makes the new one known.
pub(super) fn linked(mut batch: Batch, new: &[u8], predecessor: &Predecessor) -> Result<Batch, IssueError> {
    let old = register::serial(&predecessor.serial)?;
    batch = batch.put(Succession::link(&old, new), serde_json::to_vec(&predecessor.act)?);
    if let Some(ends) = predecessor.ends {
        let outgoing = Outgoing { old: predecessor.serial.clone(), new: serial_text(new), act: predecessor.act, ends };
        batch = batch.put(Outgoing::key(ends.at, &old), encode(&outgoing)?);
    }
    Ok(batch)
}

/// The whole line. `judge` is asked of the old certificate as it stands at each attempt.
pub(super) fn succeed(
    authority: &Authority,
    authorised: &Authorised<impl Orderer>,
    ask: &Ask,
    judge: impl Fn(&CertificateRecord) -> Result<(), SuccessionError>,
) -> Result<Succeeded, SuccessionError> {
    let mut attempt = 1;
    loop {
        // 1.
        let found = register::get(&*authority.store, &ask.old)?;
        judge(&found)?;
        // 2.
        let sha256 = match &ask.request {
            Asked::Request { sha256, .. } => sha256.clone(),
            Asked::SameKey { occasion } => crate::sha256_hex(format!("{occasion} {}", crate::hex(&found.key_digest)).as_bytes()),
        };
        let before = match claimed(authority, ask, &sha256)? {
            Place::Again(succeeded) => return Ok(*succeeded),
            Place::Free(before) => before,
        };
        // 3.
        let counter = !matches!(authorised.actor(), Actor::KeyHolder(_));
        if !counter && before.is_some() && successors(authority, &ask.old)?.len() >= MOST {
            return Err(SuccessionError::TooOften { serial: serial_text(&ask.old) });
        }
        let predecessor = Predecessor { serial: serial_text(&ask.old), act: ask.act, ends: ask.ends, counter };
        // Who changes the key gets no further life by it: nobody looked at the holder anew.
        let until = (ask.act == Act::Rekeyed).then_some(found.not_after);
        let claim = Claim { predecessor, old: ask.old.clone(), found: encode(&found)?, act: ask.act, request_sha256: sha256, before, until };
        let profile = authority.policies.profile(&found.profile).ok_or_else(|| SuccessionError::NotRenewed { profile: found.profile.clone() })?;
        // Whose a mailbox is, this counter does not know; after an incident the same key has what it had.
        if matches!(ask.request, Asked::Request { .. }) && counter && profile.applicant() == ApplicantKind::Citizen {
            return Err(SuccessionError::AtTheGateway { profile: found.profile });
        }
        let words = facts::words_of(profile, &found)?;
        let applicant = ask.corrected.clone().of(words);
        // Where the profile leaves a choice it stays with the authority that signed before.
        let issuer = (profile.issuers().len() > 1).then(|| found.issuer.clone());
        let issued = match &ask.request {
            Asked::Request { bytes, .. } => {
                let order = Order { profile: found.profile.clone(), request: bytes.clone(), applicant, issuer };
                issue::succeeding(authority, authorised, order, claim)
            }
            Asked::SameKey { .. } => issue::same_key(authority, authorised, &found, applicant, issuer, claim),
        };
        let issued = match issued {
            // Somebody changed the old certificate or claimed its place meanwhile: it is judged anew, and who lost hears why.
            Err(IssueError::Commit(CommitError::Conflict { .. })) if attempt < ATTEMPTS => {
                attempt += 1;
                continue;
            }
            issued => issued?,
        };
        let (serial, record) = (issued.what().serial.clone(), issued.what().record.clone());
        // 4. What is left undone here is done by the jobs: it stands in the store.
        if ask.ends.is_some_and(|ends| ends.at <= authority.clock.now().unix_timestamp()) {
            ending::end(authority, authorised.actor(), &ask.old, ask.ends.map_or(0, |ends| ends.at))?;
        }
        return Ok(Succeeded { serial, record, again: false });
    }
}

/// The claim of an order that corrects a certificate, once officers approved it: made anew at each attempt to issue it.
pub(super) fn correcting_claim(
    authority: &Authority,
    old: Vec<u8>,
    request: &[u8],
    ends: Revocation,
    judge: impl Fn(&CertificateRecord) -> Result<(), SuccessionError>,
) -> Result<Claim, SuccessionError> {
    let found = register::get(&*authority.store, &old)?;
    judge(&found)?;
    let sha256 = crate::sha256_hex(pki::request::Request::parse(request).map_err(IssueError::from)?.der());
    let ask = Ask { old, act: Act::Corrected, request: Asked::read(request)?, corrected: Corrections::default(), ends: Some(ends) };
    match claimed(authority, &ask, &sha256)? {
        Place::Again(succeeded) => Err(SuccessionError::Taken { serial: serial_text(&ask.old), by: serial_text(&succeeded.serial) }),
        Place::Free(before) => {
            let predecessor = Predecessor { serial: serial_text(&ask.old), act: ask.act, ends: ask.ends, counter: false };
            Ok(Claim { predecessor, found: encode(&found)?, old: ask.old, act: ask.act, request_sha256: sha256, before, until: None })
        }
    }
}

enum Place {
    Again(Box<Succeeded>),
    /// With the claim before, which came to nothing.
    Free(Option<Vec<u8>>),
}

/// Who has the place of the old certificate.
fn claimed(authority: &Authority, ask: &Ask, sha256: &str) -> Result<Place, SuccessionError> {
    let until = Instant::now() + WAIT;
    loop {
        let Some(stored) = authority.store.get(&Succession::key(&ask.old))? else { return Ok(Place::Free(None)) };
        let claim: Succession = decode(&stored).map_err(|_| IssueError::Damaged { what: "a claim to a certificate's place" })?;
        let new = register::serial(&claim.serial)?;
        let same = claim.act == ask.act && claim.request_sha256 == sha256;
        match register::find(&*authority.store, &new)? {
            Some(CertificateRecord { status: Status::Revoked(_), .. }) if same => return Err(SuccessionError::SuccessorRevoked { by: claim.serial }),
            Some(CertificateRecord { status: Status::Revoked(_), .. }) => return Ok(Place::Free(Some(stored))),
            Some(record) if same => return Ok(Place::Again(Box::new(Succeeded { serial: new, record, again: true }))),
            Some(_) => return Err(SuccessionError::Taken { serial: serial_text(&ask.old), by: claim.serial }),
            None => match authority.store.get(&Intent::key(&new))? {
                // Its intent is durable: it is being signed, or waits for the key. What is not the same has lost in any case.
                Some(_) if !same => return Err(SuccessionError::Taken { serial: serial_text(&ask.old), by: claim.serial }),
                Some(_) if Instant::now() >= until => return Err(SuccessionError::BeingIssued { serial: claim.serial }),
                Some(_) => std::thread::sleep(PAUSE),
                // A restore dropped the intent: nobody will sign it.
                None if register::find(&*authority.store, &new)?.is_none() => return Ok(Place::Free(Some(stored))),
                // Recorded between the two looks.
                None => {}
            },
        }
    }
}

/// The certificates in the place of `old`, with why.
pub fn successors(authority: &Authority, old: &[u8]) -> Result<Vec<Link>, IssueError> {
    let (from, to) = Succession::links(old);
    let damaged = || IssueError::Damaged { what: "the link to a certificate" };
    let link = |(key, act): (store::Key, Vec<u8>)| {
        let serial = key.last_part().ok_or_else(damaged)?;
        Ok(Link { serial: serial_text(&serial), act: serde_json::from_slice(&act).map_err(|_| damaged())? })
    };
    authority.store.scan(&from, &to, register::PAGE)?.into_iter().map(link).collect()
}

/// The other end of a succession, as commands show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Link {
    pub serial: String,
    pub act: Act,
}

impl From<SuccessionError> for runtime::exit::Problem {
    fn from(error: SuccessionError) -> Self {
        use runtime::exit::Exit;
        let (exit, code) = match error {
            SuccessionError::Issue(error) => return error.into(),
            SuccessionError::Signed(_) => (Exit::Refused, "signature"),
            SuccessionError::NotOurs => (Exit::NotFound, "not-ours"),
            SuccessionError::Over { .. } => (Exit::Refused, "ended"),
            SuccessionError::NotOfAHolder { .. } => (Exit::Refused, "own-certificate"),
            SuccessionError::Held { .. } => (Exit::Refused, "suspended"),
            SuccessionError::NotRenewed { .. } => (Exit::Refused, "not-renewed"),
            SuccessionError::TooEarly { .. } => (Exit::Refused, "too-early"),
            SuccessionError::NotMeant { .. } => (Exit::Refused, "not-said"),
            SuccessionError::MeantOtherwise => (Exit::Refused, "said-otherwise"),
            SuccessionError::NotRekeyed { .. } => (Exit::Refused, "not-rekeyed"),
            SuccessionError::TooYoung { .. } => (Exit::Refused, "too-young"),
            SuccessionError::SameKey { .. } => (Exit::Refused, "same-key"),
            SuccessionError::Taken { .. } => (Exit::Conflict, "succeeded"),
            SuccessionError::SuccessorRevoked { .. } => (Exit::Conflict, "successor-revoked"),
            SuccessionError::TooOften { .. } => (Exit::Refused, "renewed-too-often"),
            SuccessionError::Overlap { .. } => (Exit::Refused, "overlap"),
            SuccessionError::AtTheGateway { .. } => (Exit::Refused, "at-the-gateway"),
            SuccessionError::NothingNew => (Exit::Usage, "nothing-new"),
            SuccessionError::Reason => (Exit::Usage, "reason"),
            SuccessionError::BeingIssued { .. } => (Exit::Unavailable, "being-issued"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
