//! Operators: an enterprise says which keys sign for it as operators, for which kinds and until when, and takes that back. From
//! its first authorisation on no other key of it signs as an operator, and none that ever was an operator's signs as its legal
//! representative. Before that a role is what the filing says, and the receipt says so.
//!
//! 1 parse     the canonical octets
//! 2 prove     signed with a certificate of the enterprise, trusted and good now, that is no operator's; the enterprise brings it
//! 3 record    with its leaf of the log; the same again changes nothing

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::view::CertificateView;
use policies::filing::Role;
use policies::identity::CreditCode;
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::authorise::Enterprise;
use super::judge::city;
use super::mandate::{Proven, prove, wrong};
use super::proof::Stamped;
use crate::desk::Desk;
use crate::desk::check::{Check, Finding};
use crate::desk::problem::DeskError;
use crate::desk::record::event::{Event, unix_millis};
use crate::desk::record::mandate::Withdrawn;
use crate::desk::record::operator::OperatorRecord;
use crate::desk::sha256_hex;
use crate::document::{Authorisation, OperatorWithdrawal};

/// The most operators of one enterprise.
pub const MOST: usize = 1_000;

fn key_of(certificate: &[u8]) -> Option<String> {
    CertificateView::parse(certificate).ok().map(|view| sha256_hex(view.spki))
}

pub fn authorise(desk: &Desk, caller: &Enterprise, document: &[u8], signature: &[u8]) -> Result<Authorisation, DeskError> {
    let authorisation = Authorisation::parse(document).map_err(wrong)?;
    let (uscc, id, now) = (authorisation.uscc.as_str(), authorisation.id.as_str(), desk.clock.now());
    let Proven { der, certificate, .. } = prove(desk, caller, uscc, document, signature)?;
    no_operator(desk, uscc, &certificate)?;
    if key_of(&certificate).as_deref() == Some(authorisation.key.as_str()) {
        return Err(wrong("a key does not authorise itself; sign with the enterprise's own"));
    }
    if city(now).date() > authorisation.until {
        return Err(wrong("its last day is over; give one that is to come"));
    }
    let (from, to) = OperatorRecord::all_of(uscc);
    if desk.store.scan(&from, &to, MOST)?.len() == MOST {
        return Err(wrong("an enterprise has at most 1,000 operators here; call the bureau"));
    }
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let record = OperatorRecord { document: text, signature: STANDARD.encode(der), given_at: unix_millis(now), withdrawn: None };
    let key = OperatorRecord::key(id);
    let mut batch = Batch::new().expect(Expectation::Absent(key.clone())).put(key.clone(), record.encode()?);
    batch = batch.put(OperatorRecord::of(uscc, &authorisation.key), id.as_bytes()).put(OperatorRecord::any(uscc), id.as_bytes());
    Event::OperatorAuthorised { authorisation: id, document: &sha256_hex(document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(authorisation),
        Err(CommitError::Conflict { .. }) => {
            let before = OperatorRecord::decode(&desk.store.get(&key)?.ok_or(DeskError::Busy)?)?;
            match before.document.as_bytes() == document {
                true if before.withdrawn.is_some() => Err(wrong("it was withdrawn and does not live again; make a new one")),
                true => Ok(authorisation),
                false => Err(wrong("its id was used for another authorisation; make a new one")),
            }
        }
        Err(error) => Err(error.into()),
    }
}

pub fn withdraw(desk: &Desk, caller: &Enterprise, document: &[u8], signature: &[u8]) -> Result<Authorisation, DeskError> {
    let withdrawal = OperatorWithdrawal::parse(document).map_err(wrong)?;
    let (id, now) = (withdrawal.id.as_str(), desk.clock.now());
    let Proven { der, certificate, .. } = prove(desk, caller, withdrawal.uscc.as_str(), document, signature)?;
    no_operator(desk, withdrawal.uscc.as_str(), &certificate)?;
    let missing = || DeskError::NotFound { what: "authorisation", id: id.to_owned() };
    let stored = desk.store.get(&OperatorRecord::key(id))?.ok_or_else(missing)?;
    let before = OperatorRecord::decode(&stored)?;
    let authorisation = Authorisation::parse(before.document.as_bytes()).map_err(wrong)?;
    if authorisation.uscc != withdrawal.uscc {
        return Err(missing());
    }
    if before.withdrawn.is_some() {
        return Ok(authorisation);
    }
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let after = OperatorRecord { withdrawn: Some(Withdrawn { document: text, signature: STANDARD.encode(der), at: unix_millis(now) }), ..before };
    let mut batch = Batch::new().expect(Expectation::Equals(OperatorRecord::key(id), stored)).put(OperatorRecord::key(id), after.encode()?);
    Event::OperatorWithdrawn { authorisation: id, document: &sha256_hex(document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        // Withdrawn at this very moment by somebody else of the same enterprise.
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(authorisation),
        Err(error) => Err(error.into()),
    }
}

/// An operator lets nobody else be one.
fn no_operator(desk: &Desk, uscc: &str, certificate: &[u8]) -> Result<(), DeskError> {
    let key = key_of(certificate).ok_or_else(|| wrong("the certificate cannot be read"))?;
    match desk.store.get(&OperatorRecord::of(uscc, &key))? {
        None => Ok(()),
        Some(_) => Err(wrong("this key is an operator's; sign with the enterprise's own")),
    }
}

/// Who vouches for the role that a filing declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleBy {
    Authorisation,
    /// The filing alone.
    Declared,
}

impl RoleBy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorisation => "authorisation",
            Self::Declared => "declared",
        }
    }
}

/// Check 10, of whoever signed: by what their own enterprise, `code`, says of their key. An agent's operators are the agent's.
pub fn judge(desk: &Desk, stamped: &Stamped<'_>, code: Option<&CreditCode>, at: OffsetDateTime, relied: &mut Vec<Expectation>, findings: &mut Vec<Finding>) -> Result<RoleBy, DeskError> {
    let (Some(code), Some(key)) = (code, key_of(&stamped.proved.certificate)) else { return Ok(RoleBy::Declared) };
    let filing = &stamped.proved.parsed.filing;
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Signer).because(zh, en).at("/signer_role"));
    let mut read = |key: store::Key| -> Result<Option<Vec<u8>>, DeskError> {
        let found = desk.store.get(&key)?;
        relied.push(found.clone().map_or(Expectation::Absent(key.clone()), |found| Expectation::Equals(key, found)));
        Ok(found)
    };
    let representative = filing.signer().role() == Role::LegalRepresentative;
    let Some(id) = read(OperatorRecord::of(code.as_str(), &key))? else {
        // The agent's own key needs none: the mandate names the enterprise.
        if filing.signer().role() == Role::Operator && read(OperatorRecord::any(code.as_str()))?.is_some() {
            wrong("该企业已登记经办人，此密钥不在其中", "the enterprise has authorised operators, and this key is none of theirs");
        }
        return Ok(RoleBy::Declared);
    };
    if representative {
        wrong("此密钥登记为经办人，不能以法定代表人身份签署", "this key is an operator's and signs as no legal representative");
        return Ok(RoleBy::Declared);
    }
    let stored = std::str::from_utf8(&id).ok().map(OperatorRecord::key).map(&mut read).transpose()?.flatten();
    let record = stored.as_deref().map(OperatorRecord::decode).transpose()?;
    let days = [at, stamped.proved.parsed.received_at].map(|at| city(at).date());
    let live = record.is_some_and(|record| {
        record.withdrawn.is_none() && Authorisation::parse(record.document.as_bytes()).is_ok_and(|one| days.iter().all(|day| one.covers(filing.kind(), *day)))
    });
    if !live {
        wrong("经办人授权已撤回、到期或不包括此类申报", "the operator's authorisation was withdrawn, has ended or is not for this kind");
    }
    Ok(RoleBy::Authorisation)
}
