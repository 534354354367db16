//! SEARCH: what the view and the index know decides where it can, then the header where it is kept; other messages are loaded one at a time.
mod decide;
mod told;

use std::collections::VecDeque;

use super::{Pending, Session, State};
use crate::imap::content::{Person, Searchable, Summary, summary};
use crate::imap::exchange::{Answer, Outlines, RefusalCode, Request};
use crate::imap::parse::{Criterion, Key, Return, SortBy, Threading};
use decide::{Index, collect, decide, resolve, sought, timed};
use told::{arrange, save, tell};

/// Messages that take milliseconds to arrange.
const MANY: usize = 2_000;
/// Octets of headers from which on there may be more that were not told at once.
const MUCH: usize = 512 << 10;
/// Messages whose kept headers are asked for at once.
const AHEAD: usize = 256;

pub(super) struct Job {
    pub tag: String,
    uid: bool,
    key: Key,
    index: Index,
    /// What is looked for in texts, folded.
    sought: Vec<String>,
    /// Ascending.
    left: VecDeque<u32>,
    /// From one of `left` to another, headers were asked for.
    headers_from: u32,
    headers_to: u32,
    found: Vec<u32>,
    then: Then,
    /// Of `found`, what has been read for SORT or THREAD.
    drawn: Vec<(u32, Summary)>,
    /// Octets of `drawn`.
    octets: usize,
    /// Headers, where they are kept: of some of `left`, then of the next `ahead` of `found`.
    headers: Outlines,
    ahead: usize,
    /// They were asked for last.
    asked_headers: bool,
    /// All is read, and the next answer starts what takes long.
    pub arranges: bool,
}

/// What becomes of the messages found.
pub(super) enum Then {
    Tell(Option<Return>),
    Sort(Option<Return>, Vec<Criterion>),
    Thread(Threading),
}

impl Job {
    fn reads_headers(&self) -> bool {
        match &self.then {
            Then::Sort(_, criteria) => criteria.iter().any(|criterion| !matches!(criterion.by, SortBy::Arrival | SortBy::Size)),
            Then::Thread(_) => true,
            Then::Tell(_) => false,
        }
    }

    /// Of what was read, what its order hangs on.
    fn kept(&self, mut summary: Summary) -> Summary {
        match &self.then {
            Then::Sort(_, criteria) => {
                let by = |kinds: &[SortBy]| criteria.iter().any(|criterion| kinds.contains(&criterion.by));
                (summary.id, summary.references) = (None, Vec::new());
                if !by(&[SortBy::Subject]) {
                    summary.subject = String::new();
                }
                for (person, kinds) in [(&mut summary.from, [SortBy::From, SortBy::DisplayFrom]), (&mut summary.to, [SortBy::To, SortBy::DisplayTo]), (&mut summary.cc, [SortBy::Cc, SortBy::Cc])] {
                    if !by(&kinds) {
                        *person = Person::default();
                    }
                }
            }
            Then::Thread(by) => {
                (summary.from, summary.to, summary.cc) = Default::default();
                if *by == Threading::OrderedSubject {
                    (summary.id, summary.references) = (None, Vec::new());
                }
            }
            Then::Tell(_) => {}
        }
        summary
    }

    /// Octets that a SORT or THREAD holds. What a SEARCH knows for a moment is no more than a FETCH does.
    pub fn held(&self) -> usize {
        if matches!(self.then, Then::Tell(_)) { 0 } else { self.octets + self.headers.octets() }
    }

    /// Takes in what was read of the next message found; `false`: all of it together is too much.
    fn draws(&mut self, uid: u32, read: Summary, limit: usize) -> bool {
        let read = self.kept(read);
        self.octets += read.octets();
        self.drawn.push((uid, read));
        self.ahead = self.ahead.saturating_sub(1);
        if self.ahead == 0 {
            self.headers = Outlines::default();
        }
        self.held() <= limit
    }

    /// Whether so much was told of headers that it ended before this message. It is asked about by itself once.
    fn ended_before(&self, uid: u32, content: u64) -> bool {
        self.headers_from != uid && self.headers.octets() >= MUCH && self.headers.highest().is_some_and(|highest| highest < content)
    }

    /// Whether the result is to be kept.
    pub fn saves(&self) -> bool {
        matches!(self.then, Then::Tell(Some(told)) if told.save)
    }
}

pub(super) fn start(session: &mut Session, tag: String, then: Then, key: Key, uid: bool) {
    // spec: rfc9051#6.4.4 the answer of old is none of IMAP4rev2
    let then = match then {
        Then::Tell(None) if session.manner.rev2 => Then::Tell(Some(Return { all: true, ..Return::default() })),
        then => then,
    };
    let job = Job { tag, uid, key, index: Index::default(), sought: Vec::new(), left: VecDeque::new(), headers_from: 0, headers_to: 0, found: Vec::new(), then, drawn: Vec::new(), octets: 0, headers: Outlines::default(), ahead: 0, asked_headers: false, arranges: false };
    if job.key.asks_for_time() { session.ask(Request::Time, Pending::Search(job)) } else { begin(session, job) }
}

fn begin(session: &mut Session, mut job: Job) {
    let State::Selected(view) = &session.state else { return };
    resolve(&mut job.key, view);
    sought(&job.key, &mut job.sought);
    job.left = view.messages.iter().map(|message| message.uid).collect();
    let mut needles = Vec::new();
    collect(&job.key, &mut needles);
    let asks = !needles.is_empty() && !view.messages.is_empty();
    job.index.needles.clone_from(&needles);
    if asks { session.ask(Request::Find { needles }, Pending::Search(job)) } else { advance(session, job) }
}

pub(super) fn resume(session: &mut Session, mut job: Job, answer: Answer) {
    let asked = !job.index.needles.is_empty() && job.index.hits.is_empty();
    match answer {
        Answer::Time(now) if job.key.asks_for_time() => {
            timed(&mut job.key, now.unix_timestamp());
            begin(session, job);
        }
        Answer::Found { known, hits } if asked && hits.len() == job.index.needles.len() => {
            (job.index.known, job.index.hits) = (known, hits);
            advance(session, job);
        }
        // Without an index every message is read.
        Answer::Refused { .. } if asked => {
            job.index.needles.clear();
            advance(session, job);
        }
        Answer::Done if job.arranges => arrange(session, job),
        Answer::Outlines(_) | Answer::Refused { .. } if job.asked_headers => {
            // Where there are none every message is read.
            job.headers = if let Answer::Outlines(headers) = answer { headers } else { Outlines::default() };
            job.asked_headers = false;
            advance(session, job);
        }
        _ if job.asked_headers => session.bye("The server lost step; connect again"),
        answer => read(session, job, answer),
    }
}

fn read(session: &mut Session, mut job: Job, answer: Answer) {
    // All are found: their headers are read.
    if job.left.is_empty() {
        return draw(session, job, answer);
    }
    let Some(uid) = job.left.pop_front() else { return session.bye("The server lost step; connect again") };
    match answer {
        Answer::Bytes(bytes) => {
            let State::Selected(view) = &session.state else { return };
            let content = Searchable::new(&bytes, &job.sought);
            if view.find(uid).and_then(|(_, info)| decide(&job.key, info, &job.index, Some(&content))) == Some(true) {
                job.found.push(uid);
            }
        }
        Answer::Refused { code: RefusalCode::NonExistent, .. } => {}
        Answer::Refused { code, text } => {
            if job.saves() {
                save(session, Vec::new());
            }
            return session.refuse(&job.tag, code.name(), &text);
        }
        _ => return session.bye("The server lost step; connect again"),
    }
    advance(session, job);
}

fn advance(session: &mut Session, mut job: Job) {
    let State::Selected(view) = &session.state else { return };
    while let Some(&uid) = job.left.front() {
        let Some((_, info)) = view.find(uid) else {
            job.left.pop_front();
            continue;
        };
        let by_header = || job.headers.get(info.content).and_then(|texts| decide(&job.key, info, &job.index, Some(&Searchable::of_header(texts.header))));
        match decide(&job.key, info, &job.index, None).or_else(by_header) {
            Some(found) => {
                job.left.pop_front();
                job.found.extend(found.then_some(uid));
            }
            None if job.key.asks_of_header() && (job.headers_to < uid || job.ended_before(uid, info.content)) => {
                let open = |uid: &&u32| view.find(**uid).is_some_and(|(_, info)| decide(&job.key, info, &job.index, None).is_none());
                let next: Vec<u32> = job.left.iter().filter(open).take(AHEAD).copied().collect();
                let contents = next.iter().filter_map(|uid| view.find(*uid)).map(|(_, info)| info.content).collect();
                (job.headers_from, job.headers_to, job.asked_headers) = (uid, next.last().copied().unwrap_or(uid), true);
                return session.ask(Request::Outlines { contents, listing: false, header: true }, Pending::Search(job));
            }
            None => {
                let size = info.size;
                return session.ask(Request::Load { uid, size, shows: false, ahead: Vec::new() }, Pending::Search(job));
            }
        }
    }
    if let Then::Tell(told) = job.then {
        tell(session, &job, told);
        return session.done(&job.tag, "Searched", job.uid);
    }
    if job.drawn.len() < job.found.len() && job.reads_headers() {
        return draw_on(session, job);
    }
    // Whoever carries answers may take this one elsewhere: many are arranged where it keeps nobody waiting.
    if job.found.len() >= MANY {
        job.arranges = true;
        return session.ask(Request::Drain, Pending::Search(job));
    }
    arrange(session, job);
}

/// Reads the messages found whose headers are kept, to the next whose is not: that one is asked for.
fn draw_on(session: &mut Session, mut job: Job) {
    while let Some(uid) = job.found.get(job.drawn.len()).copied() {
        let State::Selected(view) = &session.state else { return };
        if job.ahead == 0 {
            let next: Vec<u32> = job.found.iter().skip(job.drawn.len()).take(AHEAD).copied().collect();
            let contents = next.iter().filter_map(|uid| view.find(*uid)).map(|(_, info)| info.content).collect();
            (job.ahead, job.asked_headers) = (next.len(), true);
            return session.ask(Request::Outlines { contents, listing: false, header: true }, Pending::Search(job));
        }
        let info = view.find(uid).map(|(_, info)| info);
        let kept = info.and_then(|info| job.headers.get(info.content)).map(|texts| summary(texts.header));
        let Some(read) = kept else {
            let size = info.map_or(0, |info| info.size);
            return session.ask(Request::Load { uid, size, shows: false, ahead: Vec::new() }, Pending::Search(job));
        };
        if !job.draws(uid, read, session.settings.arrange_limit) {
            return too_many(session, &job);
        }
    }
    advance(session, job);
}

fn too_many(session: &mut Session, job: &Job) {
    session.refuse(&job.tag, RefusalCode::Limit.name(), "These are too many to be arranged; search for fewer");
}

/// What was read of the next message found. One that is gone or damaged has nothing to say and keeps its place by its number.
fn draw(session: &mut Session, mut job: Job, answer: Answer) {
    let Some(uid) = job.found.get(job.drawn.len()).copied() else { return session.bye("The server lost step; connect again") };
    let read = match answer {
        Answer::Bytes(bytes) => summary(&bytes),
        Answer::Refused { code: RefusalCode::NonExistent | RefusalCode::ServerBug, .. } => Summary::default(),
        Answer::Refused { code, text } => return session.refuse(&job.tag, code.name(), &text),
        _ => return session.bye("The server lost step; connect again"),
    };
    if !job.draws(uid, read, session.settings.arrange_limit) {
        return too_many(session, &job);
    }
    advance(session, job);
}
