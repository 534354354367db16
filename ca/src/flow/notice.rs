//! Who is to be told that a certificate ends: found by the index of ends, decided, put into the outbox.
//!
//! Each stage of each profile has a window of ends and remembers how far it has looked. A window begins where that of the
//! next stage ends: what was missed while the service was down is told once, by the latest stage. A certificate whose whole
//! life is shorter than a stage never reaches it.

use policies::authority::{Filing, Told};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{OFFICER, contact, numbering};
use crate::authority::{Authority, ROOT};
use crate::problem::IssueError;
use crate::record::{About, CertificateRecord, CrlHead, Notice, NoticeState, Person, Recipient, NoticeStage, Scope, Status, Succession, decode, looked_at, serial_text};
use crate::register;

const DAY: i64 = 86_400;
/// Certificates looked at in one commit, and in one turn: a turn of the jobs stays short.
const PORTION: usize = 500;
const TURN: usize = 2_000;
/// Notices that one list holds, and how long the next list waits for more.
pub(crate) const LISTED: usize = 200;
const LIST_EVERY: i64 = 6 * 3_600;
/// Certificates of one holder that are looked at for a later one.
const MOST_OF_ONE: usize = 1_000;

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub looked_at: usize,
    pub queued: usize,
    pub unaddressed: usize,
}

/// Ends of certificates that one stage is for: after `after`, up to and including `up_to`.
struct Window<'a> {
    profile: &'a str,
    stage: NoticeStage,
    to: Told,
    after: i64,
    up_to: i64,
    /// Since when it is told, where that is not so many days before the end.
    told_from: Option<i64>,
}

/// One turn: every window, the root's list, and the list for the operator.
pub fn due(authority: &Authority) -> Result<Made, IssueError> {
    let now = authority.clock.now();
    let mut made = Made::default();
    // 1. The windows, a portion of each at a time.
    for window in windows(authority, now) {
        while made.looked_at < TURN {
            let (looked, queued, unaddressed) = portion(authority, &window, now.unix_timestamp())?;
            made = Made { looked_at: made.looked_at + looked, queued: made.queued + queued, unaddressed: made.unaddressed + unaddressed };
            if looked < PORTION {
                break;
            }
        }
    }
    // 2. The roots' lists, which stand in no index.
    for root in authority.issuers.roots() {
        made.queued += usize::from(root_list_ends(authority, root.id(), now.unix_timestamp())?);
    }
    // 3. What no holder can be told stands in a list for the operator.
    made.queued += unaddressed(authority, now.unix_timestamp())?;
    Ok(made)
}

fn windows(authority: &Authority, now: OffsetDateTime) -> Vec<Window<'_>> {
    let notices = &authority.rules.notices;
    let seconds = now.unix_timestamp();
    let mut windows = Vec::new();
    for (kind, profile) in notices.kinds.iter().flat_map(|kind| kind.profiles.iter().map(move |profile| (kind, profile))) {
        for (at, days) in kind.days.iter().enumerate() {
            let next = kind.days.get(at + 1).map_or(0, |days| i64::from(*days));
            let (after, up_to) = (seconds.saturating_add(next * DAY), seconds.saturating_add(i64::from(*days) * DAY));
            windows.push(Window { profile, stage: NoticeStage::Days(*days), to: kind.to, after, up_to, told_from: None });
        }
    }
    let filing = &notices.filing;
    for (deadline, profile) in filing.near(now).into_iter().flat_map(|deadline| filing.profiles.iter().map(move |profile| (deadline, profile))) {
        let up_to = Filing::end(deadline).saturating_add(i64::from(filing.days_after) * DAY);
        let told_from = Some(Filing::end(deadline).saturating_sub(i64::from(filing.days_before) * DAY + DAY));
        windows.push(Window { profile, stage: NoticeStage::Filing(deadline.to_string()), to: Told::Holder, after: seconds, up_to, told_from });
    }
    windows
}

/// The next certificates of a window: how many were looked at, queued, and found without a mailbox.
fn portion(authority: &Authority, window: &Window<'_>, now: i64) -> Result<(usize, usize, usize), IssueError> {
    // 1. From where the last portion ended, or where the window begins.
    let place = looked_at(window.profile, &window.stage);
    let before = authority.store.get(&place)?;
    let mut from = CertificateRecord::by_profile(window.profile, window.after.saturating_add(1), &[]);
    if let Some((end, serial)) = before.as_deref().and_then(<[u8]>::split_first_chunk::<8>) {
        from = from.max(CertificateRecord::by_profile(window.profile, i64::from_be_bytes(*end), serial).successor());
    }
    let to = CertificateRecord::by_profile(window.profile, window.up_to.saturating_add(1), &[]);
    let page = if from < to { authority.store.scan(&from, &to, PORTION)? } else { Vec::new() };
    let Some((_, last)) = page.last() else { return Ok((0, 0, 0)) };
    // 2. Each is decided on; how far it was looked is recorded with what came of it, and nobody else may have come between.
    let still = before.clone().map_or(Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
    let seen = [&register::get(&*authority.store, last)?.not_after.max(0).to_be_bytes()[..], last].concat();
    let (mut batch, mut queued, mut unaddressed) = (Batch::new().expect(still).put(place, seen), 0, 0);
    for (_, serial) in &page {
        let record = register::get(&*authority.store, serial)?;
        // Whoever got it after that time knew when they got it.
        let told_from = window.told_from.unwrap_or(record.not_after.saturating_sub(window.up_to.saturating_sub(now)));
        if record.not_before >= told_from || !is_needed(authority, serial, &record, now)? {
            continue;
        }
        let to = match window.to {
            Told::Operator => Some(Recipient::Operator),
            Told::Holder => mailbox(&record).map_or_else(|| contact::of(authority, &record), |named| Ok(Some(named)))?.map(Recipient::Mailbox),
        };
        let notice = Notice::new(About::Certificate(serial_text(serial)), window.stage.clone(), to, now);
        if authority.store.get(&Notice::key(&notice.id()))?.is_some() {
            continue;
        }
        queued += usize::from(notice.state == NoticeState::Queued);
        unaddressed += usize::from(notice.state == NoticeState::Unaddressed);
        batch = notice.put(batch)?;
    }
    match authority.store.commit(batch) {
        Ok(_) => Ok((page.len(), queued, unaddressed)),
        Err(CommitError::Conflict { .. }) => Ok((0, 0, 0)),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody must still be told that a certificate ends: it is good, and its holder has none that ends later.
pub(super) fn is_needed(authority: &Authority, serial: &[u8], record: &CertificateRecord, now: i64) -> Result<bool, IssueError> {
    Ok(record.status == Status::Good && record.not_after > now && !is_renewed(authority, serial, record)?)
}

/// A good certificate has taken its place, or another of the same holder and profile ends later. Holders without a credit code are told apart by their
/// names: a host's first one, an OCSP signer's own.
fn is_renewed(authority: &Authority, serial: &[u8], record: &CertificateRecord) -> Result<bool, IssueError> {
    let (from, to) = Succession::links(serial);
    for (link, _) in authority.store.scan(&from, &to, MOST_OF_ONE)? {
        let successor = link.last_part().ok_or(IssueError::Damaged { what: "the link to a successor" })?;
        if register::get(&*authority.store, &successor)?.status == Status::Good {
            return Ok(true);
        }
    }
    let (mut from, to) = match &record.code {
        Some(code) => CertificateRecord::all_of_code(code),
        None => CertificateRecord::all_of_name(&record.name),
    };
    let mut looked = 0;
    while looked < MOST_OF_ONE {
        let page = authority.store.scan(&from, &to, 50)?;
        for (_, other) in page.iter().filter(|(_, other)| other != serial) {
            let other = register::get(&*authority.store, other)?;
            // A host or an OCSP signer of another generation of issuers is another one; an enterprise is the same.
            let same = other.profile == record.profile && other.name == record.name && (record.code.is_some() || other.issuer == record.issuer)
                // An officer of the same name is somebody else.
                && (record.profile != OFFICER || Person::of(&other.der) == Person::of(&record.der));
            if same && other.status == Status::Good && other.not_after > record.not_after {
                return Ok(true);
            }
        }
        looked += page.len();
        match page.last() {
            Some((last, _)) if page.len() == 50 => from = last.successor(),
            _ => break,
        }
    }
    Ok(false)
}

/// The mail address in a certificate.
pub(super) fn mailbox(record: &CertificateRecord) -> Option<String> {
    let (_, read) = X509Certificate::from_der(&record.der).ok()?;
    let names = read.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| if let GeneralName::RFC822Name(address) = name { Some((*address).to_owned()) } else { None })
}

/// The list of a root that is published.
pub(crate) fn root_list(authority: &Authority, root: &str) -> Result<CrlHead, IssueError> {
    numbering::head(authority, root, Scope::Whole)?.ok_or(IssueError::Damaged { what: "the root's CRL" })
}

/// The stage that a root's list has come to, unless that was told. A root that was published a moment ago has none yet.
fn root_list_ends(authority: &Authority, root: &str, now: i64) -> Result<bool, IssueError> {
    let Some(list) = numbering::head(authority, root, Scope::Whole)? else { return Ok(false) };
    let reached = |days: &&u16| list.next_update - now <= i64::from(**days) * DAY;
    let Some(days) = authority.rules.notices.root_list_days.iter().rev().find(reached) else { return Ok(false) };
    // A list that lives less long than the stage was made with it in sight.
    if list.next_update - list.this_update <= i64::from(*days) * DAY {
        return Ok(false);
    }
    let about = if root == ROOT { About::RootList(list.number) } else { About::LaterRootList { root: root.to_owned(), number: list.number } };
    let notice = Notice::new(about, NoticeStage::Days(*days), Some(Recipient::Operator), now);
    queue(authority, &notice)
}

/// One list for the operator of those without a mailbox since the last one, or several where they are many.
fn unaddressed(authority: &Authority, now: i64) -> Result<usize, IssueError> {
    let place = store::Key::new("notice-listed", &[]);
    let mut made = 0;
    while made < 5 {
        let before = authority.store.get(&place)?;
        let last: Option<Listed> = before.as_deref().map(serde_json::from_slice).transpose().map_err(|_| IssueError::Damaged { what: "the place of listed notices" })?;
        if made == 0 && last.as_ref().is_some_and(|last| now < last.made_at.saturating_add(LIST_EVERY)) {
            return Ok(0);
        }
        let (start, to) = Notice::up_to(NoticeState::Unaddressed, now);
        let from = last.as_ref().map_or(start, |last| Notice::by_state(NoticeState::Unaddressed, last.at, &last.id).successor());
        let page = authority.store.scan(&from, &to, LISTED)?;
        let (Some((_, first)), Some((_, end))) = (page.first(), page.last()) else { break };
        let (first, end) = (stored(authority, first)?, stored(authority, end)?);
        let about = About::Unaddressed { first: (first.at, first.id()), last: (end.at, end.id()) };
        let notice = Notice::new(about, NoticeStage::List(now, made), Some(Recipient::Operator), now);
        let still = before.map_or(Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before));
        let listed = Listed { made_at: now, at: end.at, id: end.id() };
        let batch = notice.put(Batch::new().expect(still).expect(Expectation::Absent(Notice::key(&notice.id()))).put(place.clone(), serde_json::to_vec(&listed)?))?;
        match authority.store.commit(batch) {
            Ok(_) => made += 1,
            Err(CommitError::Conflict { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(made as usize)
}

/// The last notice that stands in a list.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    made_at: i64,
    at: i64,
    id: String,
}

/// By its id, as indexes hold it.
pub(crate) fn stored(authority: &Authority, id: &[u8]) -> Result<Notice, IssueError> {
    let damaged = || IssueError::Damaged { what: "a notice" };
    let id = std::str::from_utf8(id).map_err(|_| damaged())?;
    let found = authority.store.get(&Notice::key(id))?.ok_or_else(damaged)?;
    decode(&found).map_err(|_| damaged())
}

fn queue(authority: &Authority, notice: &Notice) -> Result<bool, IssueError> {
    let key = Notice::key(&notice.id());
    if authority.store.get(&key)?.is_some() {
        return Ok(false);
    }
    match authority.store.commit(notice.put(Batch::new().expect(Expectation::Absent(key)))?) {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
