//! A citizen applies for a mailbox with a proof of identity: one straight line for everyone.
//!
//! 1 parse      words into a document, a name, a key; nothing is looked up of anybody
//! 2 known      the same application again is answered as before
//! 3 prove      a card registry's word, a mailbox certificate's signature, digests of evidence
//! 4 grade      by two rules, pure; the lower grade counts
//! 5 decide     opened at once, waits for an operator, or refused
//! 6 record     the application with its leaf of the log; a mailbox that is opened, in the same commit
//!
//! Whether somebody has a mailbox is looked up when who applies has proved to be that person, and told to nobody else: then it leads to
//! that mailbox and its recovery. An operator's answer (`answer`) ends what waits. Who has a mailbox and another name
//! now is renamed (`renaming`), and a further document of theirs is taken in (`further_document`), or one
//! is taken away (`document_withdrawal`).

pub mod answer;
mod application;
pub mod findings;
pub mod document_withdrawal;
pub mod further_document;
mod problem;
mod proof;
pub mod renaming;
mod shown;

use policies::mailbox::{Decision, Graded, MailboxNumber, Proofs};
use protocol::imap::exchange::Flags;
use runtime::revocation::RevocationLists;
use store::{Batch, CommitError, Expectation, Key};
use time::OffsetDateTime;

use super::letter;
use crate::directory::{Applicant, DirectoryError, today};
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::{Delivery, MailError};
use crate::record::application::{self as record, ApplicationId, Person, State};
use crate::record::body;
use crate::record::event::{self, Event};
use crate::record::password::Verifier;

pub use application::{Application, Sent};
pub use problem::OpeningError;
pub use shown::{Reason, Shown, ShownToOperator};

/// Where applications are told of.
pub const PATH: &str = "/v1/applications";
const INBOX: &str = "INBOX";
const PAGE: usize = 256;
const DAY_MILLIS: u64 = 86_400_000;

/// The address of an application, which nobody guesses, and what it is kept under.
struct Place {
    token: String,
    id: ApplicationId,
    key: Key,
}

impl Place {
    /// The same key leads to the same address: it takes the directory's key to make one from the other.
    fn of_key(gateway: &Gateway, key: &str) -> Result<Self, OpeningError> {
        Self::of_token(&crate::hex(&gateway.directory_key.index("mailbox application address", key.as_bytes())))
    }

    fn of_token(token: &str) -> Result<Self, OpeningError> {
        let digest = crate::hex(&body::digest(token.as_bytes()));
        let id = digest.get(..ApplicationId::LENGTH).and_then(ApplicationId::parse).ok_or(OpeningError::Unknown)?;
        Ok(Self { token: token.to_owned(), key: record::key(&id), id })
    }

    fn path(&self) -> String {
        format!("{PATH}/{}", self.token)
    }

    fn shown(&self, gateway: &Gateway, record: &record::Application) -> Shown {
        shown::to_applicant(gateway, self.path(), &self.id, record)
    }
}

fn keyed(gateway: &Gateway, what: &str, text: &str) -> String {
    crate::hex(&gateway.directory_key.index(what, text.as_bytes()))
}

/// From a blocking thread: a password is hashed.
pub fn apply(gateway: &Gateway, lists: &RevocationLists, sent: &Sent) -> Result<Shown, OpeningError> {
    let (now, policy) = (gateway.clock.now(), gateway.directory.policy().opening());
    // 1
    let application = Application::parse(sent, today(now))?;
    let place = Place::of_key(gateway, &application.key)?;
    // 2
    if let Some(known) = known(gateway, &place, &application)? {
        return Ok(known);
    }
    // 3
    let proved = proof::prove(gateway, lists, &application, now)?;
    // 4
    let graded = policy.grade(&proved.proofs);
    // 5
    let decision = policy.decide(graded);
    let (from, to) = record::waiting();
    if decision == Decision::Waits && gateway.store.scan(&from, &to, policy.waiting)?.len() >= policy.waiting {
        return Err(OpeningError::TooManyWait);
    }
    // 6. Whatever is decided costs one hash.
    let password = gateway.directory.applied_password(&application.password)?;
    let record = received(gateway, &application, proved, graded, password, now);
    let applied = Event::MailboxApplied(event::Applied {
        application: place.id.as_str().to_owned(),
        applicant: record.person.as_ref().map(|person| person.document.clone()).unwrap_or_default(),
        document: record.document_proofs.clone(),
        person: record.person_proofs.clone(),
        document_grade: record.document_grade.clone(),
        person_grade: record.person_grade.clone(),
        registry: record.registry.clone(),
    });
    let ending = Ending { place: &place, before: None, record: &record, applied: Some(&applied), answer: Answer::default(), now };
    let done = match decision {
        Decision::Opens => open(gateway, &ending, &Applicant::Citizen { document: application.document.clone(), name: application.name.clone(), aliases: Vec::new() }),
        Decision::Refused => end(gateway, &ending, State::Refused { reason: shown::NOT_PROVED.to_owned() }),
        Decision::Waits => wait(gateway, &ending),
    };
    match done {
        Ok(record) => Ok(place.shown(gateway, &record)),
        // The same was sent twice at one moment.
        Err(OpeningError::Changed) => known(gateway, &place, &application)?.ok_or(OpeningError::Changed),
        Err(error) => Err(error),
    }
}

/// What an application that came before came to.
fn known(gateway: &Gateway, place: &Place, application: &Application) -> Result<Option<Shown>, OpeningError> {
    let Some(found) = gateway.store.get(&place.key)? else { return Ok(None) };
    let record = record::Application::open(&place.key, &found, &gateway.directory_key)?;
    let same = record.content == keyed(gateway, "mailbox application", &application.content(&gateway.settings.domain))
        && record.person.as_ref().map_or(Ok(true), |person| gateway.directory.is_applied_password(&person.password, &application.password))?;
    if same { Ok(Some(place.shown(gateway, &record))) } else { Err(OpeningError::KeyUsed) }
}

fn received(gateway: &Gateway, application: &Application, proved: proof::Proved, graded: Graded, password: Verifier, now: OffsetDateTime) -> record::Application {
    let policy = gateway.directory.policy().opening();
    let Proofs { document, person } = proved.proofs;
    record::Application {
        since_unix_millis: unix_millis(now),
        content: keyed(gateway, "mailbox application", &application.content(&gateway.settings.domain)),
        id_type: application.document.kind().code().to_owned(),
        masked: application.document.masked(),
        document_proofs: document.iter().map(|proof| proof.name().to_owned()).collect(),
        person_proofs: person.iter().map(|proof| proof.name().to_owned()).collect(),
        document_grade: policy.name(graded.document).to_owned(),
        person_grade: policy.name(graded.person).to_owned(),
        registry: proved.registry,
        person: Some(Person {
            name: application.name.expose().to_owned(),
            document: keyed(gateway, "mailbox applicant", &zeroize::Zeroizing::new(application.document.canonical())),
            password,
            evidence: application.evidence.clone(),
            signed_by: proved.signed_by,
            certificate: proved.certificate,
        }),
        state: State::Waiting,
        ended_unix_millis: None,
    }
}

/// What becomes of an application, and what it was until then.
struct Ending<'a> {
    place: &'a Place,
    /// The record as it stands; none before the first.
    before: Option<&'a [u8]>,
    record: &'a record::Application,
    /// With the first record.
    applied: Option<&'a Event>,
    answer: Answer,
    now: OffsetDateTime,
}

/// What an operator found.
#[derive(Clone, Default)]
struct Answer {
    found: Vec<String>,
    /// Digest of where the papers are.
    papers: Option<String>,
}

impl Ending<'_> {
    fn still(&self) -> Expectation {
        let key = self.place.key.clone();
        self.before.map_or_else(|| Expectation::Absent(key.clone()), |before| Expectation::Equals(key.clone(), before.to_vec()))
    }

    /// Into the commit: the record as it is from now on, and its leaves.
    fn write(&self, gateway: &Gateway, batch: Batch, record: &record::Application) -> Result<Batch, OpeningError> {
        let (place, at) = (self.place, unix_millis(self.now));
        let mut batch = batch.expect(self.still()).put(place.key.clone(), record.seal(&place.key, &gateway.directory_key)?);
        if let Some(applied) = self.applied {
            applied.append(&mut batch, at)?;
        }
        let (mailbox, reason) = match &record.state {
            State::Waiting => return Ok(batch.put(record::waiting_key(&place.id), record::mark())),
            State::Opened { mailbox } | State::Exists { mailbox, .. } => (Some(mailbox.clone()), None),
            State::Refused { reason } => (None, Some(reason.clone())),
            State::Withdrawn | State::Lapsed => (None, None),
        };
        batch = batch.delete(record::waiting_key(&place.id));
        let Answer { found, papers } = self.answer.clone();
        let answered = event::Answered { application: place.id.as_str().to_owned(), state: shown::state_name(&record.state).to_owned(), mailbox, reason, found, papers };
        Event::ApplicationAnswered(answered).append(&mut batch, at)?;
        Ok(batch)
    }
}

fn wait(gateway: &Gateway, ending: &Ending<'_>) -> Result<record::Application, OpeningError> {
    commit(gateway, ending.write(gateway, Batch::new(), ending.record)?)?;
    Ok(ending.record.clone())
}

fn end(gateway: &Gateway, ending: &Ending<'_>, state: State) -> Result<record::Application, OpeningError> {
    let record = ending.record.clone().ended(state, unix_millis(ending.now));
    commit(gateway, ending.write(gateway, Batch::new(), &record)?)?;
    Ok(record)
}

fn commit(gateway: &Gateway, batch: Batch) -> Result<(), OpeningError> {
    match gateway.store.commit(batch) {
        Err(CommitError::Conflict { .. }) => Err(OpeningError::Changed),
        done => Ok(done.map(|_| ())?),
    }
}

/// Opens the mailbox, or finds that the person has one: either in one commit with the end of the application.
fn open(gateway: &Gateway, ending: &Ending<'_>, applicant: &Applicant) -> Result<record::Application, OpeningError> {
    let person = ending.record.person.as_ref().ok_or(OpeningError::Answered)?;
    // The applicant signed as the owner of a mailbox, and everyone has one: a further document is entered there.
    if let Some(number) = person.signed_by.as_deref().and_then(|mailbox| MailboxNumber::parse(mailbox).ok()) {
        return exists(gateway, ending, number);
    }
    let ended = |state| ending.record.clone().ended(state, unix_millis(ending.now));
    let opened = gateway.directory.open_applied(applicant, &person.password, ending.now, &|account, batch| {
        // What changed meanwhile is not opened on; another's race for a number only is.
        if gateway.store.get(&ending.place.key)?.as_deref() != ending.before {
            return Err(OpeningError::Changed);
        }
        ending.write(gateway, batch, &ended(State::Opened { mailbox: account.mailbox() }))
    });
    match opened {
        Ok(account) => Ok(ended(State::Opened { mailbox: account.mailbox() })),
        Err(OpeningError::Directory(DirectoryError::Exists { mailbox, .. })) => exists(gateway, ending, mailbox),
        Err(error) => Err(error),
    }
}

/// The mailbox that is there already is told, in case it was somebody else.
fn exists(gateway: &Gateway, ending: &Ending<'_>, number: MailboxNumber) -> Result<record::Application, OpeningError> {
    let account = gateway.directory.get(number)?.ok_or(DirectoryError::NotFound)?;
    let state = State::Exists { mailbox: account.mailbox(), closed: !account.is_open() };
    if !account.is_open() {
        return end(gateway, ending, state);
    }
    let record = ending.record.clone().ended(state.clone(), unix_millis(ending.now));
    let text = "您好：\n\n有人经身份核验为您本人再次申请实名邮箱。每人只有一个邮箱，因此没有另开。如果是您本人申请而忘记了密码，请携身份证件到服务窗口办理重设。\n\n如非您本人申请，请联系服务窗口。\n\n\
        Dear owner,\n\nsomebody applied for a mailbox and proved to be you. Everyone has one, so no other was opened. If it was you and the password is lost, bring your document to the counter for a recovery.\n\nIf it was not you, tell the counter.\n";
    let letter = letter::to_owner(gateway, &account, "second application", "有人以您的身份申请邮箱 / A mailbox was applied for in your name", text, ending.now);
    let delivery = Delivery { mailbox: account.mailbox(), folder: INBOX.to_owned(), content: letter.into(), unix_millis: i64::try_from(unix_millis(ending.now)).unwrap_or(i64::MAX), flags: Flags::new(), event: None, mark: None };
    match gateway.messages.deliver_notices(&[delivery], ending.write(gateway, Batch::new(), &record)?, unix_millis(ending.now)) {
        Ok(_) => Ok(record),
        Err(MailError::Conflict { .. }) => Err(OpeningError::Changed),
        // A mailbox without room for it learns nothing, and the applicant is answered all the same.
        Err(MailError::OverQuota { .. } | MailError::NoFolder) => end(gateway, ending, state),
        Err(error) => Err(error.into()),
    }
}

/// What became of an application, by its address.
pub fn show(gateway: &Gateway, token: &str) -> Result<Shown, OpeningError> {
    let place = Place::of_token(token)?;
    let found = gateway.store.get(&place.key)?.ok_or(OpeningError::Unknown)?;
    Ok(place.shown(gateway, &record::Application::open(&place.key, &found, &gateway.directory_key)?))
}

/// The applicant takes it back.
pub fn withdraw(gateway: &Gateway, token: &str) -> Result<Shown, OpeningError> {
    let place = Place::of_token(token)?;
    let found = gateway.store.get(&place.key)?.ok_or(OpeningError::Unknown)?;
    let record = record::Application::open(&place.key, &found, &gateway.directory_key)?;
    match record.state {
        State::Withdrawn => Ok(place.shown(gateway, &record)),
        State::Waiting => {
            let ending = Ending { place: &place, before: Some(&found), record: &record, applied: None, answer: Answer::default(), now: gateway.clock.now() };
            Ok(place.shown(gateway, &end(gateway, &ending, State::Withdrawn)?))
        }
        _ => Err(OpeningError::Answered),
    }
}

/// What nobody answered in time lapses, and what ended long ago goes. How many lapsed.
pub fn lapse(gateway: &Gateway, go_on: &dyn Fn() -> bool) -> Result<usize, OpeningError> {
    let (now, policy) = (gateway.clock.now(), gateway.directory.policy().opening());
    let before = |days: u32| unix_millis(now).saturating_sub(u64::from(days) * DAY_MILLIS);
    let ((mut from, to), mut lapsed) = (record::all(), 0);
    while go_on() {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last.successor();
        for (key, found) in page {
            let record = record::Application::open(&key, &found, &gateway.directory_key)?;
            let place = Place { token: String::new(), id: record::id(&key)?, key: key.clone() };
            let done = match record.ended_unix_millis {
                Some(ended) if ended < before(policy.kept_days) => commit(gateway, Batch::new().expect(Expectation::Equals(key.clone(), found)).delete(key)),
                None if record.since_unix_millis < before(policy.waiting_days) => {
                    let ending = Ending { place: &place, before: Some(&found), record: &record, applied: None, answer: Answer::default(), now };
                    end(gateway, &ending, State::Lapsed).map(|_| lapsed += 1)
                }
                _ => Ok(()),
            };
            // Answered at this moment.
            if !matches!(done, Err(OpeningError::Changed)) {
                done?;
            }
        }
    }
    Ok(lapsed)
}
