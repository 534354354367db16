//! Operators: an enterprise says which keys sign for it as operators, for which kinds and until when, and takes that back. The
//! key that signs its first such word is its own, and so is each that an own key names as own, as after a renewal. From then on
//! own keys alone sign as its legal representative or as an agent at will, name keys and give mandates, and no key that the
//! enterprise never named signs anything for it. Before that a role is what the filing says, and the receipt says so.
//!
//! 1 parse     the canonical octets
//! 2 prove     signed with an own key's certificate, as strongly as a filing is (`word`); the enterprise brings it
//! 3 record    with its leaf of the log; the same again changes nothing

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::cades::Signature;
use pki::path::CertificateFacts;
use pki::view::CertificateView;
use policies::filing::Role;
use policies::identity::CreditCode;
use store::{Batch, CommitError, Expectation};
use time::{Date, OffsetDateTime};

use super::authorise::Enterprise;
use super::judge::{both_places, city};
use super::mandate::{State, own};
use super::word::{self, Proven, wrong};
use super::proof::Stamped;
use super::receive::Parsed;
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::officer::{self, Officer};
use crate::desk::problem::DeskError;
use crate::desk::record::archive;
use crate::desk::record::bureau::Chain;
use crate::desk::record::event::{Event, keyed, unix_millis};
use crate::desk::record::mandate::Withdrawn;
use crate::desk::record::operator::OperatorRecord;
use crate::desk::sha256_hex;
use crate::desk::trust::{self, signs};
use crate::document::{Authorisation, MandateId, Named, OperatorWithdrawal, OwnKeyWithdrawal};

/// The most operators of one enterprise.
pub const MOST: usize = 1_000;
/// They are listed in pieces of about so many octets.
const PIECE_OCTETS: usize = 2 << 20;
/// In the place of a document's id, so that taking an operator back never is taken for taking its authoriser back: it spoke first.
const FOUNDER: &str = "founder";
/// In the place of a document's id: a bureau decided.
const REINSTATED: &str = "reinstated";

fn key_of(certificate: &[u8]) -> Option<String> {
    CertificateView::parse(certificate).ok().map(|view| sha256_hex(view.spki))
}

pub fn authorise(desk: &Grounds, caller: &Enterprise, document: &[u8], signature: &[u8]) -> Result<MandateId, DeskError> {
    let named = Named::parse(document).map_err(wrong)?;
    let (uscc, id, now) = (named.uscc().as_str(), named.id().as_str(), desk.clock.now());
    own(caller, uscc)?;
    let kinds = if let Named::Operator(authorisation) = &named { Some(authorisation.kinds.as_slice()) } else { None };
    let Proven { der, certificate, bureau, .. } = word::prove(desk, uscc, kinds, document, signature)?;
    let Signed { key: signed_by, first, relied } = own_key(desk, uscc, &certificate)?;
    if signed_by == named.key() {
        return Err(wrong("a key does not authorise itself; sign with the enterprise's own"));
    }
    let (from, to) = OperatorRecord::all_of(uscc);
    let (own_from, own_to) = OperatorRecord::all_own(uscc);
    if desk.store.scan(&from, &to, MOST)?.len() == MOST || desk.store.scan(&own_from, &own_to, MOST)?.len() == MOST {
        return Err(wrong("an enterprise has at most 1,000 operators, and keys of its own, here; call the bureau"));
    }
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let record = OperatorRecord { document: text, signature: STANDARD.encode(der), given_at: unix_millis(now), bureau: Some(bureau), withdrawn: None };
    let key = OperatorRecord::key(id);
    let mut batch = relied.into_iter().fold(Batch::new(), Batch::expect).expect(Expectation::Absent(key.clone())).put(key.clone(), record.encode()?);
    let (as_operator, as_own) = (OperatorRecord::of(uscc, named.key()), OperatorRecord::own(uscc, named.key()));
    // A key is one or the other for ever: what an operator signed is never taken for the enterprise's own word.
    batch = match &named {
        Named::Operator(authorisation) if desk.sight.asks && city(now).date() > authorisation.until => return Err(wrong("its last day is over; give one that is to come")),
        Named::Operator(_) if desk.store.get(&as_own)?.is_some() => return Err(wrong("this key is the enterprise's own; authorise the operator's")),
        Named::Operator(_) => batch.expect(Expectation::Absent(as_own)).put(as_operator, id.as_bytes()),
        Named::Own(_) if desk.store.get(&as_operator)?.is_some() => return Err(wrong("this key is an operator's; name another as the enterprise's own")),
        Named::Own(_) => batch.expect(Expectation::Absent(as_operator)).put(as_own, id.as_bytes()),
    };
    if first {
        batch = batch.put(OperatorRecord::any(uscc), id.as_bytes()).put(OperatorRecord::own(uscc, &signed_by), FOUNDER.as_bytes());
    }
    batch = archive::plan(&archive::Kept::Operator.name(id), word::archived_from(desk), batch);
    Event::OperatorAuthorised { authorisation: &keyed(&desk.data, "authorisation", id.as_bytes()), document: &keyed(&desk.data, "document", document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(named.id().clone()),
        Err(CommitError::Conflict { .. }) => {
            let before = OperatorRecord::decode(&desk.store.get(&key)?.ok_or(DeskError::Busy)?)?;
            match before.document.as_bytes() == document {
                true if before.withdrawn.is_some() => Err(wrong("it was withdrawn and does not live again; make a new one")),
                true => Ok(named.id().clone()),
                false => Err(wrong("its id was used for another authorisation; make a new one")),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// An authorisation or a naming by its id, or a key of the enterprise's own by itself.
pub fn withdraw(desk: &Grounds, caller: &Enterprise, document: &[u8], signature: &[u8]) -> Result<MandateId, DeskError> {
    if let Ok(withdrawal) = OwnKeyWithdrawal::parse(document) {
        return withdraw_own(desk, caller, withdrawal, document, signature);
    }
    let withdrawal = OperatorWithdrawal::parse(document).map_err(wrong)?;
    let (uscc, id, now) = (withdrawal.uscc.as_str(), withdrawal.id.as_str(), desk.clock.now());
    own(caller, uscc)?;
    let Proven { der, certificate, bureau, .. } = word::prove(desk, uscc, None, document, signature)?;
    let Signed { key: signed_by, relied, .. } = own_key(desk, uscc, &certificate)?;
    let missing = || DeskError::NotFound { what: "authorisation", id: id.to_owned() };
    let stored = desk.store.get(&OperatorRecord::key(id))?.ok_or_else(missing)?;
    let before = OperatorRecord::decode(&stored)?;
    let named = Named::parse(before.document.as_bytes()).map_err(wrong)?;
    if *named.uscc() != withdrawal.uscc {
        return Err(missing());
    }
    if before.withdrawn.is_some() {
        return Ok(withdrawal.id);
    }
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let after = OperatorRecord { withdrawn: Some(Withdrawn { document: text, signature: STANDARD.encode(der), at: unix_millis(now), bureau: Some(bureau) }), ..before };
    let mut batch = relied.into_iter().fold(Batch::new(), Batch::expect);
    batch = batch.expect(Expectation::Equals(OperatorRecord::key(id), stored)).put(OperatorRecord::key(id), after.encode()?);
    if let Named::Own(own) = &named {
        // So that an enterprise never takes its last own key.
        if own.key == signed_by {
            return Err(wrong("a key does not withdraw itself; sign with another of the enterprise's own"));
        }
        let place = OperatorRecord::own(uscc, &own.key);
        // A later document may have named it again: then that one holds.
        if desk.store.get(&place)?.is_some_and(|holds| holds == id.as_bytes()) {
            batch = batch.expect(Expectation::Equals(place.clone(), id.as_bytes().to_vec())).delete(place);
        }
    }
    batch = archive::plan(&archive::Kept::OperatorWithdrawal.name(id), word::archived_from(desk), batch);
    Event::OperatorWithdrawn { authorisation: &keyed(&desk.data, "authorisation", id.as_bytes()), document: &keyed(&desk.data, "document", document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(withdrawal.id),
        Err(CommitError::Conflict { .. }) => {
            // Withdrawn at this very moment by somebody else of the same enterprise; anything else is asked anew.
            let now = desk.store.get(&OperatorRecord::key(id))?.ok_or(DeskError::Busy)?;
            if OperatorRecord::decode(&now)?.withdrawn.is_some() { Ok(withdrawal.id) } else { Err(DeskError::Busy) }
        }
        Err(error) => Err(error.into()),
    }
}

/// A key that was stolen or that went with who held it, whoever named it: its own document, the bureau, or nobody.
fn withdraw_own(desk: &Grounds, caller: &Enterprise, withdrawal: OwnKeyWithdrawal, document: &[u8], signature: &[u8]) -> Result<MandateId, DeskError> {
    let (uscc, id, now) = (withdrawal.uscc.as_str(), withdrawal.id.as_str(), desk.clock.now());
    own(caller, uscc)?;
    let Proven { der, certificate, bureau, .. } = word::prove(desk, uscc, None, document, signature)?;
    let Signed { key: signed_by, relied, .. } = own_key(desk, uscc, &certificate)?;
    // So that an enterprise never takes its last own key.
    if withdrawal.key == signed_by {
        return Err(wrong("a key does not withdraw itself; sign with another of the enterprise's own"));
    }
    let (key, place) = (OperatorRecord::key(id), OperatorRecord::own(uscc, &withdrawal.key));
    let before = || desk.store.get(&key)?.map(|stored| OperatorRecord::decode(&stored).map_err(DeskError::from)).transpose();
    if let Some(before) = before()? {
        return if before.document.as_bytes() == document { Ok(withdrawal.id) } else { Err(wrong("its id was used for something else; make a new one")) };
    }
    let Some(holds) = desk.store.get(&place)? else {
        return Err(wrong("this key is none of the enterprise's own, or is none any more; `filing operator list` tells those that are"));
    };
    let text = String::from_utf8(document.to_vec()).map_err(wrong)?;
    let record = OperatorRecord { document: text, signature: STANDARD.encode(der), given_at: unix_millis(now), bureau: Some(bureau), withdrawn: None };
    let mut batch = relied.into_iter().fold(Batch::new(), Batch::expect).expect(Expectation::Absent(key.clone())).put(key.clone(), record.encode()?);
    batch = batch.expect(Expectation::Equals(place.clone(), holds)).delete(place);
    batch = archive::plan(&archive::Kept::Operator.name(id), word::archived_from(desk), batch);
    Event::OwnKeyWithdrawn { withdrawal: &keyed(&desk.data, "withdrawal", id.as_bytes()), document: &keyed(&desk.data, "document", document) }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(withdrawal.id),
        // Sent twice at once it is one.
        Err(CommitError::Conflict { .. }) if before()?.is_some_and(|before| before.document.as_bytes() == document) => Ok(withdrawal.id),
        Err(CommitError::Conflict { .. }) => Err(DeskError::Busy),
        Err(error) => Err(error.into()),
    }
}

/// Of one operator's key, the authorisation given last.
pub struct Authorised {
    pub id: String,
    pub state: State,
    pub record: OperatorRecord,
}

/// What an enterprise said of its keys, in the order of the operators' keys after that one; with the key to go on after.
pub struct Keys {
    pub operators: Vec<Authorised>,
    /// Each with the id of the document that named it, where one did.
    pub own: Vec<(String, Option<String>)>,
    pub next: Option<String>,
}

pub fn list(desk: &Grounds, caller: &Enterprise, after: Option<&str>) -> Result<Keys, DeskError> {
    let uscc = caller.code().as_str();
    let last = |key: &store::Key| key.last_part().and_then(|part| String::from_utf8(part).ok());
    let (from, to) = OperatorRecord::all_own(uscc);
    let mut own = Vec::new();
    for (place, id) in desk.store.scan(&from, &to, MOST)? {
        own.extend(last(&place).map(|key| Ok::<_, DeskError>((key, naming(desk, id)?))).transpose()?);
    }
    let (first, to) = OperatorRecord::all_of(uscc);
    let from = after.map_or(first, |key| OperatorRecord::of(uscc, key).successor());
    let (mut operators, mut octets, mut at) = (Vec::new(), 0, None);
    for (place, id) in desk.store.scan(&from, &to, MOST)? {
        if octets > PIECE_OCTETS {
            return Ok(Keys { operators, own, next: at });
        }
        at = last(&place);
        let Some((id, stored)) = String::from_utf8(id).ok().map(|id| Ok::<_, DeskError>((desk.store.get(&OperatorRecord::key(&id))?, id))).transpose()?.and_then(|(stored, id)| Some((id, stored?))) else { continue };
        octets += stored.len();
        let record = OperatorRecord::decode(&stored)?;
        let state = state(&record, city(desk.clock.now()).date());
        operators.push(Authorised { id, state, record });
    }
    Ok(Keys { operators, own, next: None })
}

/// The document that named an own key; where the first authorisation stands for it, as it did once, no document did.
fn naming(desk: &Grounds, id: Vec<u8>) -> Result<Option<String>, DeskError> {
    let Some(id) = String::from_utf8(id).ok().filter(|id| MandateId::parse(id).is_some()) else { return Ok(None) };
    let record = desk.store.get(&OperatorRecord::key(&id))?.map(|stored| OperatorRecord::decode(&stored)).transpose()?;
    Ok(record.filter(|record| matches!(Named::parse(record.document.as_bytes()), Ok(Named::Own(_)))).map(|_| id))
}

fn state(record: &OperatorRecord, today: Date) -> State {
    match Authorisation::parse(record.document.as_bytes()) {
        _ if record.withdrawn.is_some() => State::Withdrawn,
        Ok(one) if today < one.from => State::Coming,
        Ok(one) if today <= one.until => State::Live,
        _ => State::Ended,
    }
}

/// Whether a certificate's key was an operator's of this enterprise, and is none any more.
pub(super) fn ended(desk: &Grounds, caller: &Enterprise, certificate: &[u8]) -> Result<bool, DeskError> {
    let Some(key) = key_of(certificate) else { return Ok(false) };
    let Some(id) = desk.store.get(&OperatorRecord::of(caller.code().as_str(), &key))? else { return Ok(false) };
    let stored = std::str::from_utf8(&id).ok().map(|id| desk.store.get(&OperatorRecord::key(id))).transpose()?.flatten();
    let record = stored.map(|stored| OperatorRecord::decode(&stored)).transpose()?;
    Ok(record.is_none_or(|record| matches!(state(&record, city(desk.clock.now()).date()), State::Withdrawn | State::Ended)))
}

/// An enterprise lost every own key: whoever identified it anew at the counter, as the authority did before it certified this
/// key, lets this certificate's key speak for it, and no key that did before. Operators stay what they are.
///
/// 1 whose     the certificate bears the enterprise's code in both its places
/// 2 stands    it is believed by a bureau, for signing, and good now
/// 3 record    the key instead of those before, the officer, and the reason, with the leaf of the log
pub fn reinstate(desk: &Grounds, chain: &Chain, reason: &str, officer: &Officer) -> Result<CreditCode, DeskError> {
    let told = |text: &str| DeskError::Request(format!("{text}; see `filing desk operators reinstate --help`"));
    let reason = officer::reason(reason)?;
    // 1.
    let leaf = chain.leaf();
    let facts = CertificateFacts::parse(leaf).map_err(|error| told(&error.to_string().replace("; ", ", ")))?;
    let uscc = both_places(&facts).ok_or_else(|| told("the certificate does not bear one credit code in both its places"))?;
    let key = key_of(leaf).ok_or_else(|| told("the certificate cannot be read"))?;
    // 2.
    let (now, above) = (desk.clock.now(), chain.issuers().map(<[u8]>::to_vec).collect::<Vec<_>>());
    if !signs(leaf) {
        return Err(told("the certificate is not for signing"));
    }
    let paths = desk.policies.desk.bureaus().iter().map(|bureau| {
        let policies: Vec<_> = bureau.accepts.iter().flat_map(|accepts| accepts.policies.iter().copied()).collect();
        desk.trust.path(bureau.code.as_str(), leaf, &above, &policies, now)
    });
    let path = paths.reduce(|found, next| found.or(next)).ok_or_else(|| told("no bureau is registered here"))?.map_err(|error| told(&error.to_string().replace("; ", ", ")))?;
    desk.trust.authorities_stand(&path, now)?.map_err(|error| told(&error.to_string().replace("; ", ", ")))?;
    if desk.trust.status(&path, now)?.standing != trust::Standing::Good {
        return Err(told("the certificate is revoked or on hold"));
    }
    // 3.
    let code = uscc.as_str();
    if desk.store.get(&OperatorRecord::any(code))?.is_none() {
        return Err(told("the enterprise named no keys: any of its certificates speaks for it"));
    }
    let as_operator = OperatorRecord::of(code, &key);
    if desk.store.get(&as_operator)?.is_some() {
        return Err(told("this key is an operator's for ever; have the enterprise order a certificate for a new key"));
    }
    let (from, to) = OperatorRecord::all_own(code);
    let mut batch = Batch::new().expect(Expectation::Present(OperatorRecord::any(code))).expect(Expectation::Absent(as_operator));
    for (place, id) in desk.store.scan(&from, &to, MOST)? {
        batch = batch.expect(Expectation::Equals(place.clone(), id)).delete(place);
    }
    batch = batch.put(OperatorRecord::own(code, &key), REINSTATED.as_bytes());
    Event::OwnKeyReinstated { enterprise: &keyed(&desk.data, "enterprise", code.as_bytes()), key: &key, certificate: &sha256_hex(leaf), reason, officer: officer.name(), user: officer.user() }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(uscc),
        Err(CommitError::Conflict { .. }) => Err(DeskError::Busy),
        Err(error) => Err(error.into()),
    }
}

/// What a key is to its enterprise.
enum Standing {
    /// The enterprise never said anything of a key: any of its certificates speaks for it.
    Unsaid,
    Own,
    /// With the id of its authorisation.
    Operators(Vec<u8>),
    /// The enterprise named its keys, and this is none of them: a renewed one, until it is named.
    Nobodys,
}

/// What the answer rests on goes to `relied`.
fn standing(desk: &Grounds, uscc: &str, key: &str, relied: &mut Vec<Expectation>) -> Result<Standing, DeskError> {
    let mut read = |key: store::Key| -> Result<Option<Vec<u8>>, DeskError> {
        let found = desk.store.get(&key)?;
        relied.push(found.clone().map_or(Expectation::Absent(key.clone()), |found| Expectation::Equals(key, found)));
        Ok(found)
    };
    if let Some(id) = read(OperatorRecord::of(uscc, key))? {
        return Ok(Standing::Operators(id));
    }
    if read(OperatorRecord::any(uscc))?.is_none() {
        return Ok(Standing::Unsaid);
    }
    if read(OperatorRecord::own(uscc, key))?.is_some() || founder(desk, uscc)?.as_deref() == Some(key) {
        return Ok(Standing::Own);
    }
    Ok(Standing::Nobodys)
}

/// Of an enterprise whose first authorisation is from before own keys were kept: the key that signed the oldest that is here.
fn founder(desk: &Grounds, uscc: &str) -> Result<Option<String>, DeskError> {
    let (from, to) = OperatorRecord::all_own(uscc);
    if !desk.store.scan(&from, &to, 1)?.is_empty() {
        return Ok(None);
    }
    let (from, to) = OperatorRecord::all_of(uscc);
    let mut oldest: Option<OperatorRecord> = None;
    for (_, id) in desk.store.scan(&from, &to, MOST)? {
        let Some(stored) = std::str::from_utf8(&id).ok().map(|id| desk.store.get(&OperatorRecord::key(id))).transpose()?.flatten() else { continue };
        let record = OperatorRecord::decode(&stored)?;
        if oldest.as_ref().is_none_or(|oldest| record.given_at < oldest.given_at) {
            oldest = Some(record);
        }
    }
    let signer = |record: OperatorRecord| {
        let signature = Signature::read(&STANDARD.decode(&record.signature).ok()?).ok()?;
        key_of(signature.prove(record.document.as_bytes(), &[]).ok()?.signer_certificate())
    };
    Ok(oldest.and_then(signer))
}

/// A key that speaks for its enterprise.
pub(super) struct Signed {
    key: String,
    /// The enterprise has said nothing of any key yet.
    first: bool,
    /// What a commit that relies on it expects of the store.
    pub(super) relied: Vec<Expectation>,
}

/// Who names keys or gives and withdraws mandates: nobody but the enterprise's own, from the first authorisation on.
pub(super) fn own_key(desk: &Grounds, uscc: &str, certificate: &[u8]) -> Result<Signed, DeskError> {
    let key = key_of(certificate).ok_or_else(|| wrong("the certificate cannot be read"))?;
    let mut relied = Vec::new();
    let standing = standing(desk, uscc, &key, &mut relied)?;
    let first = matches!(standing, Standing::Unsaid);
    match standing {
        Standing::Unsaid | Standing::Own => {}
        Standing::Operators(_) => return Err(wrong("this key is an operator's; sign with the enterprise's own")),
        Standing::Nobodys => return Err(wrong("the enterprise named its keys and this is none of them, as a renewed one is not; sign with its own key, or have its own key name this one first")),
    }
    if !first && desk.store.get(&OperatorRecord::own(uscc, &key))?.is_none() {
        // From before own keys were kept: the next document it signs writes it down.
        return Ok(Signed { key, first: true, relied });
    }
    Ok(Signed { key, first, relied })
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
pub fn judge(desk: &Grounds, stamped: &Stamped<Parsed<'_>>, code: Option<&CreditCode>, at: OffsetDateTime, relied: &mut Vec<Expectation>, findings: &mut Vec<Finding>) -> Result<RoleBy, DeskError> {
    let (Some(code), Some(key)) = (code, key_of(&stamped.proved.certificate)) else { return Ok(RoleBy::Declared) };
    let filing = &stamped.proved.parsed.filing;
    let mut wrong = |zh: &str, en: &str| findings.push(Finding::new(Check::Signer).because(zh, en).at("/signer_role"));
    let role = filing.signer().role();
    let id = match standing(desk, code.as_str(), &key, relied)? {
        Standing::Operators(id) => id,
        Standing::Unsaid => return Ok(RoleBy::Declared),
        Standing::Own if role == Role::Operator => {
            wrong("此密钥是企业自己的，不是经办人的，请以法定代表人身份签署", "this key is the enterprise's own and no operator's: sign as its legal representative");
            return Ok(RoleBy::Declared);
        }
        Standing::Own => return Ok(RoleBy::Declared),
        Standing::Nobodys => {
            wrong("该企业已登记密钥，此密钥不在其中；换发证书后须由企业自己的密钥重新登记", "the enterprise has named its keys, and this is none of them: after a renewal its own key names the new one");
            return Ok(RoleBy::Declared);
        }
    };
    if role == Role::LegalRepresentative {
        wrong("此密钥登记为经办人，不能以法定代表人身份签署", "this key is an operator's and signs as no legal representative");
        return Ok(RoleBy::Declared);
    }
    let place = std::str::from_utf8(&id).ok().map(OperatorRecord::key);
    let stored = place.as_ref().map(|place| desk.store.get(place)).transpose()?.flatten();
    relied.extend(place.map(|place| stored.clone().map_or(Expectation::Absent(place.clone()), |stored| Expectation::Equals(place, stored))));
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
