//! A citizen's certificate, on the word of the mail gateway that knows whose mailbox it is; and the end of a mailbox's
//! certificates, on the same word. The gateway proves nothing about itself but by its signature: whoever carries the statement
//! here does not matter.
//!
//! 1 read       the one form of a statement
//! 2 verify     signed by a certificate of ours, good now, to which an administrator granted this mailbox's domain
//! 3 again      said before, it has the same answer; another statement under its number is refused
//! 4 judge      of an open mailbox, now, for this very request, and the mailbox has no certificate too many: pure questions
//! 5 issue      on the one line; the statement is used up in the commit of the intent, which holds only while the registrar
//!              is as it was judged
//!
//! What ends goes the same way to step 4, then on the line that every revocation takes.

use pki::cms::{self, CmsError};
use policies::registrar::{Ending, MAX_STATEMENT_BYTES, Said, Standing, Statement, StatementError};
use runtime::exit::{Exit, Problem};
use store::{Batch, CommitError, Expectation, Key, StoreError};
use time::OffsetDateTime;

use super::authorise::{Actor, Authorised, REGISTRAR, Registrar as Role, good_as};
use super::issue::{self, Order};
use super::plan::Words;
use super::revoke::{self, Revoke};
use crate::authority::Authority;
use crate::problem::{IssueError, OfficerError};
use crate::record::{CertificateRecord, Intent, MailboxRecord, Reason, Registrar, SIGNATURE_LIMIT, StatementRecord, Status, Succession, decode, encode, log, serial_of, serial_text};
use crate::register::{self, RegisterError};

/// The profile of citizens' certificates.
pub const CITIZEN: &str = "citizen";
/// How often what others came before is judged anew.
const ATTEMPTS: u32 = 8;

/// A statement as it came in.
pub struct Sent {
    pub statement: String,
    /// CMS SignedData, DER or PEM, detached, with the registrar's certificate.
    pub signature: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum CitizenError {
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    Signature(#[from] CmsError),
    #[error("the signature has more than {SIGNATURE_LIMIT} bytes; send it with the registrar's certificate alone")]
    TooLarge,
    #[error("the statement is not signed by a registrar of this authority: {0}; have an administrator run `ca registrar set`")]
    NotRegistrar(String),
    #[error("the registrar may speak of mailboxes of {domain} alone; ask the gateway of the other domain")]
    OtherDomain { domain: String },
    #[error("the statement says something else than is asked for here; send it to the other address")]
    OtherAct,
    #[error("the mailbox is not open, and only an open one's owner is certified; open a mailbox")]
    NotOpen,
    #[error("the statement was signed at another time than now; set the clock of the gateway, and sign a new one")]
    Time,
    #[error("another statement of this number was acted on before; sign a new one")]
    Used,
    #[error("the request is not the one that the statement speaks of; send that one")]
    OtherRequest,
    #[error("the mailbox has certificate {serial}, and {live} at a time are allowed; have it withdrawn first, or renew it with its key")]
    HasOne { serial: String, live: u8 },
    #[error("certificate {serial}, issued on this statement, is no longer good; ask with a new key")]
    Over { serial: String },
    #[error("certificate {serial} is being issued for this mailbox; send the same statement again")]
    BeingIssued { serial: String },
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for CitizenError {
    fn from(error: StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<RegisterError> for CitizenError {
    fn from(error: RegisterError) -> Self {
        Self::Issue(error.into())
    }
}

/// A citizen's certificate, durable.
#[derive(Clone, Debug)]
pub struct Certified {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    /// It had been issued before, on the same statement.
    pub again: bool,
}

/// Steps 1 to 5.
pub fn certify(authority: &Authority, sent: &Sent, request: &[u8]) -> Result<Certified, CitizenError> {
    certify_proved(authority, &prove(authority, sent)?, request)
}

/// Steps 3 to 5.
pub fn certify_proved(authority: &Authority, proved: &Proved, request: &[u8]) -> Result<Certified, CitizenError> {
    let mut attempt = 1;
    loop {
        match certify_once(authority, proved, request) {
            // A statement about the same mailbox, or a change of the registrar, came between.
            Err(CitizenError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

fn certify_once(authority: &Authority, proved: &Proved, request: &[u8]) -> Result<Certified, CitizenError> {
    let now = authority.clock.now();
    // 2. As the registrar stands at this attempt.
    let Heard { by, rests_on, domain } = hear(authority, proved)?;
    let (statement, sent) = (proved.statement.clone(), &proved.sent);
    let Said::Certify { pseudonym, request_sha256 } = &statement.said else { return Err(CitizenError::OtherAct) };
    // 3. Answered as it was, however old it is: the gateway may not have heard.
    if let Some(before) = before(authority, &statement, sent)? {
        return same(authority, &before);
    }
    // 4.
    fresh(authority, &statement, &domain, now)?;
    if statement.standing != Standing::Open {
        return Err(CitizenError::NotOpen);
    }
    let read = pki::request::Request::parse(request).map_err(IssueError::from)?;
    if ring::digest::digest(&ring::digest::SHA256, read.der()).as_ref() != request_sha256 {
        return Err(CitizenError::OtherRequest);
    }
    let mailbox = Mailbox::read(authority, statement.mailbox.as_str(), now)?;
    if let Some(serial) = mailbox.being_issued.first() {
        return Err(CitizenError::BeingIssued { serial: serial.clone() });
    }
    let live = authority.rules.citizens.live;
    if let Some((serial, _)) = mailbox.live.first().filter(|_| mailbox.live.len() >= usize::from(live)) {
        return Err(CitizenError::HasOne { serial: serial_text(serial), live });
    }
    // 5.
    let applicant = Words { pseudonym: Some(pseudonym.to_string()), mailbox: Some(statement.mailbox.to_string()), ..Words::default() };
    let order = Order { profile: CITIZEN.to_owned(), request: request.to_vec(), applicant, issuer: None };
    let vouching = Vouching { statement, sent: Sent { statement: sent.statement.clone(), signature: sent.signature.clone() }, rests_on, mailbox };
    let issued = issue::vouched(authority, &by, order, vouching)?;
    Ok(Certified { serial: issued.what().serial.clone(), record: issued.what().record.clone(), again: false })
}

/// What ended, by serial number; also when it had been said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    pub serials: Vec<String>,
}

/// Every certificate of a mailbox ends that is not over: what its holder renewed too.
pub fn withdraw(authority: &Authority, sent: &Sent) -> Result<Withdrawn, CitizenError> {
    withdraw_proved(authority, &prove(authority, sent)?)
}

/// Steps 3 and 4, and the end.
pub fn withdraw_proved(authority: &Authority, proved: &Proved) -> Result<Withdrawn, CitizenError> {
    let mut attempt = 1;
    loop {
        match withdraw_once(authority, proved) {
            Err(CitizenError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

fn withdraw_once(authority: &Authority, proved: &Proved) -> Result<Withdrawn, CitizenError> {
    let now = authority.clock.now();
    // 2. As the registrar stands at this attempt.
    let Heard { by, rests_on, domain } = hear(authority, proved)?;
    let (statement, sent) = (proved.statement.clone(), &proved.sent);
    let Said::Withdraw { reason } = statement.said else { return Err(CitizenError::OtherAct) };
    // 3.
    if let Some(before) = before(authority, &statement, sent)? {
        return Ok(Withdrawn { serials: before.certificates });
    }
    // 4.
    fresh(authority, &statement, &domain, now)?;
    let mailbox = Mailbox::read(authority, statement.mailbox.as_str(), now)?;
    if let Some(serial) = mailbox.being_issued.first() {
        return Err(CitizenError::BeingIssued { serial: serial.clone() });
    }
    // One in the place of a live one is this mailbox's as well, before it is signed.
    let mut rests_on_successions = Vec::new();
    for (old, _) in &mailbox.live {
        let place = Succession::key(old);
        let stored = authority.store.get(&place)?;
        let claim: Option<Succession> = stored.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "a succession" })?;
        if let Some(Succession { serial, .. }) = claim {
            let new = register::serial(&serial)?;
            if register::find(&*authority.store, &new)?.is_none() && authority.store.get(&Intent::key(&new))?.is_some() {
                return Err(CitizenError::BeingIssued { serial });
            }
        }
        rests_on_successions.push(match stored {
            Some(stored) => Expectation::Equals(place, stored),
            None => Expectation::Absent(place),
        });
    }
    let reason = match reason {
        Ending::KeyCompromise => Reason::KeyCompromise,
        Ending::Superseded => Reason::Superseded,
        Ending::CessationOfOperation => Reason::CessationOfOperation,
    };
    let orders: Vec<Revoke> = mailbox.live.iter().map(|(serial, _)| Revoke { serial: serial_text(serial), reason, at: None, invalid_since: None }).collect();
    // The statement is used up in the commit that revokes.
    let serials: Vec<String> = orders.iter().map(|order| order.serial.clone()).collect();
    let beside = |batch: Batch, _: &[Result<(), IssueError>]| {
        let batch = mailbox.replaced(resting(batch, &rests_on), Vec::new())?;
        let batch = rests_on_successions.iter().fold(batch, |batch, unclaimed| batch.expect(unclaimed.clone()));
        let entry = log::Entry::MailboxWithdrawn { statement_sha256: &crate::sha256_hex(sent.statement.as_bytes()), certificates: serials.len() as u64, by: &by.actor().to_string() };
        used(batch, &statement, sent, serials.clone(), entry, now)
    };
    for result in revoke::several(authority, by.actor(), &orders, |_| Ok(()), beside)? {
        // One that was revoked meanwhile has ended all the same.
        match result {
            Ok(()) | Err(IssueError::AlreadyRevoked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Withdrawn { serials })
}

/// A statement that a registrar signed. Had only from `prove`.
pub struct Proved {
    statement: Statement,
    sent: Sent,
    serial: Vec<u8>,
    /// SHA-256 of the registrar's key.
    pub key: Vec<u8>,
}

impl Proved {
    /// The statement.
    pub fn said(&self) -> &[u8] {
        self.sent.statement.as_bytes()
    }
}

/// Steps 1 and 2.
pub fn prove(authority: &Authority, sent: &Sent) -> Result<Proved, CitizenError> {
    // 1.
    if sent.statement.len() > MAX_STATEMENT_BYTES {
        return Err(StatementError.into());
    }
    let statement = Statement::parse(&sent.statement)?;
    // 2. The certificate is the very one that we issued, so its path needs no search; the register knows more than any list.
    if sent.signature.len() > SIGNATURE_LIMIT {
        return Err(CitizenError::TooLarge);
    }
    let verified = cms::verify(&sent.signature, sent.statement.as_bytes(), &[])?;
    let certificate = verified.signer_certificate();
    let serial = serial_of(certificate).ok_or_else(|| stranger("its certificate cannot be read"))?;
    let record = register::find(&*authority.store, &serial)?.filter(|record| record.der == certificate).ok_or_else(|| stranger("its certificate was not issued here"))?;
    let proved = Proved { statement, sent: Sent { statement: sent.statement.clone(), signature: sent.signature.clone() }, serial, key: record.key_digest.to_vec() };
    hear(authority, &proved)?;
    Ok(proved)
}

/// The registrar as it stands: good, and with a domain.
struct Heard {
    by: Authorised<Role>,
    /// Its certificate and grant as they were judged.
    rests_on: Vec<(Key, Vec<u8>)>,
    domain: String,
}

fn hear(authority: &Authority, Proved { serial, .. }: &Proved) -> Result<Heard, CitizenError> {
    let stored = authority.store.get(&CertificateRecord::key(serial))?.ok_or_else(|| stranger("its certificate was not issued here"))?;
    let record: CertificateRecord = decode(&stored).map_err(|_| IssueError::Damaged { what: "a certificate" })?;
    good_as(authority, REGISTRAR, serial, &record).map_err(|error| match error {
        OfficerError::Issue(error) => CitizenError::Issue(error),
        other => {
            let text = other.to_string();
            stranger(text.split("; ").next().unwrap_or_default())
        }
    })?;
    let place = Registrar::key(serial);
    let granted = authority.store.get(&place)?.ok_or_else(|| stranger("nobody made it one"))?;
    let registrar: Registrar = decode(&granted).map_err(|_| IssueError::Damaged { what: "a registrar" })?;
    let domain = registrar.domain.ok_or_else(|| stranger("that was withdrawn"))?;
    let by = Authorised::<Role>::by_statement(&serial_text(serial));
    Ok(Heard { by, rests_on: vec![(CertificateRecord::key(serial), stored), (place, granted)], domain })
}

fn stranger(why: &str) -> CitizenError {
    CitizenError::NotRegistrar(why.to_owned())
}

/// What was done on this very statement.
fn before(authority: &Authority, statement: &Statement, sent: &Sent) -> Result<Option<StatementRecord>, CitizenError> {
    let Some(bytes) = authority.store.get(&StatementRecord::key(statement.id.octets()))? else { return Ok(None) };
    let record: StatementRecord = decode(&bytes).map_err(|_| IssueError::Damaged { what: "a registrar's statement" })?;
    if record.statement == sent.statement { Ok(Some(record)) } else { Err(CitizenError::Used) }
}

/// The certificate of a statement said again.
fn same(authority: &Authority, before: &StatementRecord) -> Result<Certified, CitizenError> {
    let serial = before.certificates.first().ok_or(IssueError::Damaged { what: "a registrar's statement" })?.clone();
    let octets = register::serial(&serial)?;
    match register::find(&*authority.store, &octets)? {
        Some(record) if record.status == Status::Good => Ok(Certified { serial: octets, record, again: true }),
        Some(_) => Err(CitizenError::Over { serial }),
        // Its intent waits for the key, or is being signed.
        None if authority.store.get(&Intent::key(&octets))?.is_some() => Err(CitizenError::BeingIssued { serial }),
        // A restore dropped the intent, and nobody will sign it.
        None => Err(CitizenError::Over { serial }),
    }
}

fn fresh(authority: &Authority, statement: &Statement, domain: &str, now: OffsetDateTime) -> Result<(), CitizenError> {
    if statement.mailbox.as_str().rsplit('@').next() != Some(domain) {
        return Err(CitizenError::OtherDomain { domain: domain.to_owned() });
    }
    let apart = (now - statement.at).whole_seconds().abs();
    if apart > authority.rules.citizens.statement_seconds { Err(CitizenError::Time) } else { Ok(()) }
}

/// The certificates of a mailbox that are not over, and the record that stands for them.
pub(super) struct Mailbox {
    place: Key,
    stored: Option<Vec<u8>>,
    changes: u64,
    live: Vec<(Vec<u8>, CertificateRecord)>,
    /// Serials of which there is only the intent.
    being_issued: Vec<String>,
}

impl Mailbox {
    fn read(authority: &Authority, address: &str, now: OffsetDateTime) -> Result<Self, CitizenError> {
        // The record before what it stands for: whoever comes between changes it.
        let place = MailboxRecord::key(address);
        let stored = authority.store.get(&place)?;
        let known: MailboxRecord = stored.as_deref().map(decode).transpose().map_err(|_| IssueError::Damaged { what: "a mailbox" })?.unwrap_or_default();
        let mut being_issued = Vec::new();
        for serial in known.serials {
            let octets = register::serial(&serial)?;
            if register::find(&*authority.store, &octets)?.is_none() && authority.store.get(&Intent::key(&octets))?.is_some() {
                being_issued.push(serial);
            }
        }
        let (mut from, to) = CertificateRecord::all_of_name(address);
        let mut live = Vec::new();
        loop {
            let page = authority.store.scan(&from, &to, register::PAGE)?;
            for (_, serial) in &page {
                let record = register::get(&*authority.store, serial)?;
                let over = matches!(record.status, Status::Revoked(_)) || record.not_after < now.unix_timestamp();
                if record.profile == CITIZEN && !over {
                    live.push((serial.clone(), record));
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == register::PAGE => from = last.successor(),
                _ => return Ok(Self { place, stored, changes: known.changes, live, being_issued }),
            }
        }
    }

    /// The record with these serials, while it stands as it was read.
    fn replaced(&self, batch: Batch, serials: Vec<String>) -> Result<Batch, IssueError> {
        let unchanged = match &self.stored {
            Some(stored) => Expectation::Equals(self.place.clone(), stored.clone()),
            None => Expectation::Absent(self.place.clone()),
        };
        let record = MailboxRecord { changes: self.changes.saturating_add(1), serials };
        Ok(batch.expect(unchanged).put(self.place.clone(), encode(&record)?))
    }
}

/// What a certificate is issued on: used up in the commit of its intent.
pub(super) struct Vouching {
    statement: Statement,
    sent: Sent,
    rests_on: Vec<(Key, Vec<u8>)>,
    mailbox: Mailbox,
}

impl Vouching {
    pub fn written(&self, batch: Batch, serial: &[u8], by: &Actor, now: OffsetDateTime) -> Result<Batch, IssueError> {
        let text = serial_text(serial);
        let serials = self.mailbox.live.iter().map(|(serial, _)| serial_text(serial)).chain([text.clone()]).collect();
        let batch = self.mailbox.replaced(resting(batch, &self.rests_on), serials)?;
        let entry = log::Entry::CitizenVouched { statement_sha256: &crate::sha256_hex(self.sent.statement.as_bytes()), serial: &text, by: &by.to_string() };
        used(batch, &self.statement, &self.sent, vec![text.clone()], entry, now)
    }
}

/// The registrar as it was judged: a revocation or a grant withdrawn at the same moment is never overtaken.
fn resting(batch: Batch, rests_on: &[(Key, Vec<u8>)]) -> Batch {
    rests_on.iter().fold(batch, |batch, (key, value)| batch.expect(Expectation::Equals(key.clone(), value.clone())))
}

/// The statement with what came of it, once, and its log entry.
fn used(batch: Batch, statement: &Statement, sent: &Sent, certificates: Vec<String>, entry: log::Entry<'_>, now: OffsetDateTime) -> Result<Batch, IssueError> {
    let place = StatementRecord::key(statement.id.octets());
    let record = StatementRecord { statement: sent.statement.clone(), signature: sent.signature.clone(), certificates, at: now.unix_timestamp() };
    let mut batch = batch.expect(Expectation::Absent(place.clone())).put(place, encode(&record)?);
    batch.append(log::STREAM, entry.leaf(now)?);
    Ok(batch)
}

impl From<CitizenError> for Problem {
    fn from(error: CitizenError) -> Self {
        let (exit, code) = match error {
            CitizenError::Issue(error) => return error.into(),
            CitizenError::Statement(_) => (Exit::Refused, "statement"),
            CitizenError::Signature(_) | CitizenError::TooLarge => (Exit::Refused, "signature"),
            CitizenError::NotRegistrar(_) => (Exit::Denied, "not-a-registrar"),
            CitizenError::OtherDomain { .. } => (Exit::Denied, "other-domain"),
            CitizenError::OtherAct => (Exit::Usage, "other-act"),
            CitizenError::NotOpen => (Exit::Refused, "mailbox-not-open"),
            CitizenError::Time => (Exit::Refused, "statement-time"),
            CitizenError::Used => (Exit::Conflict, "statement-used"),
            CitizenError::OtherRequest => (Exit::Refused, "other-request"),
            CitizenError::HasOne { .. } => (Exit::Conflict, "mailbox-has-certificate"),
            CitizenError::Over { .. } => (Exit::Conflict, "certificate-over"),
            CitizenError::BeingIssued { .. } => (Exit::Unavailable, "being-issued"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
