//! The way back where powers are granted by administrators and no administrator's certificate is good any more: whoever owns
//! the state directory makes one person administrator, while the service is stopped. Nothing about it is quiet.
//!
//! 1 judge    there were administrators and none is left by a good certificate, and there is a reason
//! 2 certify  an officer's certificate for the request, which nobody could approve; one for this key that is good is taken
//! 3 grant    the power, the record that the doctor shows, its own log entry beside the power's, and a notice to every officer
//!            there ever was and to the operator, in one commit
//!
//! Where the officers' authority is revoked itself, nobody can be certified until it has its next generation, which the owner
//! asks for and takes in on the same conditions (`succession`); a ceremony certifies it as ever.
//!
//! Cut off between 2 and 3 it is said again: nothing was granted. It is no operation of the service: the directory's lock is
//! held by whoever asks.

use std::sync::Arc;

use ring::rand::SystemRandom;
use runtime::exit::{Exit, Problem};
use store::{Batch, Key};

use super::authorise::{Authorised, OFFICER, Recoverer, standing};
use super::issue::{self, Order};
use super::take_over::{self, TakeOverError};
use super::{contact, notice, officer};
use crate::authority::{Authority, Issuer};
use crate::problem::{IssueError, OfficerError};
use crate::record::{About, CertificateRecord, Notice, NoticeStage, Recipient, Recovery, Salt, Status, decode, encode, log, serial_text};
use crate::register;

/// Characters of a reason, at least and at most.
const REASON: std::ops::RangeInclusive<usize> = 10..=500;
/// Recoveries that are shown.
const MOST: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("no administrator was ever granted, so the owner of the directory may do everything; grant the power with `ca officer grant`")]
    NoneYet,
    #[error("{count} persons administrate by good certificates; have one of them grant what is wanted")]
    Administered { count: usize },
    #[error("{issuer} certifies no officers, or its newest generation is good; only the officers' authority is succeeded in this way, when it is revoked")]
    OtherIssuer { issuer: String },
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
    #[error("a reason has 10 to 500 characters in one line; say why nobody else could grant the power, for the record and for every officer")]
    Reason,
    #[error(transparent)]
    Officer(#[from] OfficerError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<RecoverError> for Problem {
    fn from(error: RecoverError) -> Self {
        let (exit, code) = match error {
            RecoverError::Officer(error) => return error.into(),
            RecoverError::Issue(error) => return error.into(),
            RecoverError::TakeOver(error) => return error.into(),
            RecoverError::OtherIssuer { .. } => (Exit::Denied, "other-issuer"),
            RecoverError::NoneYet => (Exit::Conflict, "not-administered"),
            RecoverError::Administered { .. } => (Exit::Denied, "administered"),
            RecoverError::Reason => (Exit::Usage, "reason"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}

/// An administrator again, durably.
#[derive(Debug)]
pub struct Recovered {
    pub serial: Vec<u8>,
    pub record: CertificateRecord,
    /// Notices that were queued, or stand in the operator's list.
    pub told: usize,
}

/// The whole line; `uid` is the owner of the state directory. The order is for a certificate of the profile `officer`.
pub fn recover(authority: &Authority, uid: u32, order: Order, reason: &str) -> Result<Recovered, RecoverError> {
    // 1.
    let one_line = runtime::terminal::plain(reason) == reason && reason.trim() == reason;
    if !one_line || !REASON.contains(&reason.chars().count()) {
        return Err(RecoverError::Reason);
    }
    nobody_administrates(authority)?;
    let authorised = Authorised::by_recovery(uid);
    officer::may_be_reinstated(authority, order.applicant.number.as_deref().unwrap_or_default())?;
    // 2.
    let (serial, record) = match certified(authority, &order)? {
        Some(known) => known,
        None => {
            let issued = issue::recovering(authority, &authorised, Order { profile: OFFICER.into(), ..order })?;
            (issued.what().serial.clone(), issued.what().record.clone())
        }
    };
    // 3.
    let (now, text, by) = (authority.clock.now(), serial_text(&serial), authorised.actor().to_string());
    let at = now.unix_timestamp();
    let salt = Salt::draw(&SystemRandom::new()).map_err(|_| IssueError::Randomness)?;
    let recovery = Recovery { serial: text.clone(), at, reason: reason.to_owned(), by: by.clone(), salt: Some(salt) };
    let recovery = encode(&recovery).map_err(IssueError::from)?;
    let recovery_sha256 = crate::sha256_hex(&recovery);
    let mut batch = Batch::new().put(Recovery::key(at, &serial), recovery);
    let mut told = 0;
    for notice in notices(authority, &text, at)? {
        batch = notice.put(batch).map_err(IssueError::from)?;
        told += 1;
    }
    let entry = log::Entry::AdministrationRecovered { serial: &text, recovery_sha256: &recovery_sha256, by: &by };
    batch.append(log::STREAM, entry.leaf(now).map_err(IssueError::from)?);
    officer::reinstated(authority, &serial, &record, batch, &by)?;
    Ok(Recovered { serial, record, told })
}

fn nobody_administrates(authority: &Authority) -> Result<(), RecoverError> {
    match officer::administrators(authority)? {
        (false, _) => Err(RecoverError::NoneYet),
        (true, 0) => Ok(()),
        (true, count) => Err(RecoverError::Administered { count }),
    }
}

/// The proof with which the owner asks for the next generation of the officers' authority, whose newest is revoked.
pub fn succession(authority: &Authority, uid: u32, issuer: &str) -> Result<Authorised<Recoverer>, RecoverError> {
    nobody_administrates(authority)?;
    let certifies_officers = authority.policies.profile(OFFICER).is_some_and(|profile| profile.issuers().iter().any(|one| one.name() == issuer));
    let newest = authority.issuers.newest(issuer).filter(|_| certifies_officers);
    match newest.map(|newest| issue::not_revoked(authority, newest)) {
        Some(Err(IssueError::IssuerRevoked { .. })) => Ok(Authorised::by_recovery(uid)),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(())) | None => Err(RecoverError::OtherIssuer { issuer: issuer.chars().take(64).collect() }),
    }
}

/// Takes in the generation that a ceremony certified, on the same proof.
pub fn install(authority: &Authority, uid: u32, der: &[u8]) -> Result<Arc<Issuer>, RecoverError> {
    let issuer = take_over::generation_of(authority, der)?.ok_or(TakeOverError::NotRequested)?;
    Ok(take_over::install(authority, &succession(authority, uid, &issuer)?, der)?)
}

/// The certificate that an attempt before this one had made, or another good one of the same key: for the same person.
fn certified(authority: &Authority, order: &Order) -> Result<Option<(Vec<u8>, CertificateRecord)>, RecoverError> {
    let request = pki::request::Request::parse(&order.request).map_err(IssueError::from)?;
    let key_digest = ring::digest::digest(&ring::digest::SHA256, &request.spki);
    for serial in register::of_key(&*authority.store, key_digest.as_ref()).map_err(IssueError::from)? {
        let record = register::get(&*authority.store, &serial).map_err(IssueError::from)?;
        let good = record.status == Status::Good && record.profile == OFFICER && standing(authority, &serial, &record).is_ok();
        if good && order.applicant.officer.as_deref() == Some(record.name.as_str()) {
            return Ok(Some((serial, record)));
        }
    }
    Ok(None)
}

/// One to each officer who ever held a power, where a mailbox is known, and one to the operator.
fn notices(authority: &Authority, serial: &str, now: i64) -> Result<Vec<Notice>, IssueError> {
    let mut notices = vec![Notice::new(About::Recovered { serial: serial.to_owned(), officer: None }, NoticeStage::Once, Some(Recipient::Operator), now)];
    for (of, record) in officer::ever(authority)? {
        let mailbox = notice::mailbox(&record).map_or_else(|| contact::of(authority, &record), |named| Ok(Some(named)))?;
        let Some(mailbox) = mailbox else { continue };
        let about = About::Recovered { serial: serial.to_owned(), officer: Some(serial_text(&of)) };
        notices.push(Notice::new(about, NoticeStage::Once, Some(Recipient::Mailbox(mailbox)), now));
    }
    Ok(notices)
}

/// Every recovery since a moment, the oldest first.
pub fn since(authority: &Authority, from: i64) -> Result<Vec<Recovery>, IssueError> {
    let (from, to) = Recovery::since(from);
    let found = authority.store.scan(&from, &to, MOST)?;
    found.iter().map(|(_, bytes)| decode(bytes)).collect::<Result<_, _>>().map_err(|_| IssueError::Damaged { what: "a recovery" })
}

/// The recovery by which a certificate came to its power.
pub(crate) fn of(authority: &Authority, serial: &str) -> Result<Recovery, IssueError> {
    let (from, to) = Key::range(Recovery::TABLE, &[]);
    for (_, bytes) in authority.store.scan(&from, &to, MOST)? {
        let recovery: Recovery = decode(&bytes).map_err(|_| IssueError::Damaged { what: "a recovery" })?;
        if recovery.serial == serial {
            return Ok(recovery);
        }
    }
    Err(IssueError::Damaged { what: "a recovery" })
}
