//! SEARCH: what the view knows decides where it can; other messages are loaded one at a time.
use std::cmp::Ordering;
use std::collections::VecDeque;

use super::thread::{self, Found};
use super::view::View;
use super::{Pending, Session, State};
use crate::imap::content::{Person, Searchable, Summary, summary};
use crate::imap::content::charset::fold;
use crate::imap::exchange::{Answer, Hits, MessageInfo, Needle, Outlines, Place, RefusalCode, Request};
use crate::imap::parse::sequence::write_set;
use crate::imap::parse::{Criterion, Key, Return, SortBy, Threading};

/// Messages that take milliseconds to arrange.
const MANY: usize = 2_000;
/// Messages whose kept headers are asked for at once.
const AHEAD: usize = 256;

pub(super) struct Job {
    pub tag: String,
    uid: bool,
    key: Key,
    index: Index,
    left: VecDeque<u32>,
    found: Vec<u32>,
    then: Then,
    /// Of `found`, what has been read for SORT or THREAD.
    drawn: Vec<(u32, Summary)>,
    /// Octets of `drawn`.
    octets: usize,
    /// The headers of the next `ahead` of `found`, where they are kept.
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

/// What the index said, once it was asked: for each needle of the key, in the order they were asked.
#[derive(Default)]
struct Index {
    needles: Vec<Needle>,
    known: Vec<u64>,
    hits: Vec<Hits>,
}

impl Index {
    /// `None`: to be read.
    fn says(&self, place: &Place, text: &str, content: u64) -> Option<bool> {
        let at = self.needles.iter().position(|needle| needle.place == *place && needle.text == text)?;
        let hits = self.hits.get(at)?;
        self.known.binary_search(&content).ok()?;
        if hits.holds.binary_search(&content).is_ok() {
            return Some(true);
        }
        if hits.perhaps.binary_search(&content).is_ok() { None } else { Some(false) }
    }
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

    /// Octets that it holds.
    pub fn held(&self) -> usize {
        self.octets + self.headers.octets()
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
    let job = Job { tag, uid, key, index: Index::default(), left: VecDeque::new(), found: Vec::new(), then, drawn: Vec::new(), octets: 0, headers: Outlines::default(), ahead: 0, asked_headers: false, arranges: false };
    if job.key.asks_for_time() { session.ask(Request::Time, Pending::Search(job)) } else { begin(session, job) }
}

fn begin(session: &mut Session, mut job: Job) {
    let State::Selected(view) = &session.state else { return };
    resolve(&mut job.key, view);
    job.left = view.messages.iter().map(|message| message.uid).collect();
    let mut needles = Vec::new();
    collect(&job.key, &mut needles);
    let asks = !needles.is_empty() && !view.messages.is_empty();
    job.index.needles.clone_from(&needles);
    if asks { session.ask(Request::Find { needles }, Pending::Search(job)) } else { advance(session, job) }
}

/// What an index may be asked of a key. An empty string asks whether there is anything at all, which is read.
fn collect(key: &Key, needles: &mut Vec<Needle>) {
    match key {
        Key::Body(_) | Key::Text(_) | Key::Header { .. } => {
            let asked = place(key).map(|(place, text)| Needle { place, text: text.to_owned() });
            if let Some(needle) = asked.filter(|needle| !needle.text.is_empty() && !needles.contains(needle)) {
                needles.push(needle);
            }
        }
        Key::Not(inner) => collect(inner, needles),
        Key::Or(left, right) => {
            collect(left, needles);
            collect(right, needles);
        }
        Key::And(keys) => keys.iter().for_each(|key| collect(key, needles)),
        _ => {}
    }
}

fn place(key: &Key) -> Option<(Place, &str)> {
    match key {
        Key::Body(text) => Some((Place::Body, text)),
        Key::Text(text) => Some((Place::Text, text)),
        Key::Header { name, text } => Some((Place::Field(name.to_ascii_uppercase()), text)),
        _ => None,
    }
}

/// Sets become ranges once: a set of thousands costs each message a search by halves.
fn resolve(key: &mut Key, view: &View) {
    match key {
        Key::Sequence(set) => *key = Key::Among(view.ranges(set, false)),
        Key::Uid(set) => *key = Key::Among(view.ranges(set, true)),
        Key::Not(inner) => resolve(inner, view),
        Key::Or(left, right) => {
            resolve(left, view);
            resolve(right, view);
        }
        Key::And(keys) => keys.iter_mut().for_each(|key| resolve(key, view)),
        // Folded once, not for each message.
        Key::Body(text) | Key::Text(text) | Key::Header { text, .. } => *text = fold(text),
        _ => {}
    }
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
            draw_on(session, job);
        }
        _ if job.asked_headers => session.bye("The server lost step; connect again"),
        answer => read(session, job, answer),
    }
}

// spec: rfc5032#3
fn timed(key: &mut Key, now: i64) {
    match key {
        Key::Older(seconds) => *key = Key::CameUntil(now.saturating_sub(i64::from(*seconds))),
        Key::Younger(seconds) => *key = Key::CameAfter(now.saturating_sub(i64::from(*seconds))),
        Key::Not(inner) => timed(inner, now),
        Key::Or(left, right) => {
            timed(left, now);
            timed(right, now);
        }
        Key::And(keys) => keys.iter_mut().for_each(|key| timed(key, now)),
        _ => {}
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
            let content = Searchable::new(&bytes);
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
        match decide(&job.key, info, &job.index, None) {
            Some(found) => {
                job.left.pop_front();
                job.found.extend(found.then_some(uid));
            }
            None => return session.ask(Request::Load { uid, shows: false }, Pending::Search(job)),
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
        let kept = view.find(uid).and_then(|(_, info)| job.headers.get(info.content)).map(|texts| summary(texts.header));
        let Some(read) = kept else { return session.ask(Request::Load { uid, shows: false }, Pending::Search(job)) };
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

/// Tells what was found in the order asked for.
fn arrange(session: &mut Session, mut job: Job) {
    let State::Selected(view) = &session.state else { return };
    let mut summaries: VecDeque<(u32, Summary)> = std::mem::take(&mut job.drawn).into();
    let mut found = Vec::with_capacity(job.found.len());
    for uid in &job.found {
        let summary = if summaries.front().is_some_and(|(drawn, _)| drawn == uid) { summaries.pop_front().map(|(_, summary)| summary) } else { None };
        if let Some((number, info)) = view.find(*uid) {
            let number = if job.uid { *uid } else { u32::try_from(number).unwrap_or(u32::MAX) };
            let summary = summary.unwrap_or_default();
            // spec: rfc5256#2.2 without a Date that can be read, when it came
            let moment = summary.sent.unwrap_or_else(|| info.internal_date.unix_timestamp());
            found.push((Found { number, moment, summary }, info));
        }
    }
    let (line, word) = match &job.then {
        Then::Sort(told, criteria) => {
            found.sort_by(|left, right| criteria.iter().map(|criterion| compared(*criterion, left, right)).find(|order| order.is_ne()).unwrap_or(left.0.number.cmp(&right.0.number)));
            let numbers: Vec<u32> = found.iter().map(|(found, _)| found.number).collect();
            let line = match told {
                // spec: rfc5267#3.1 the first and the last are those of the order
                Some(told) => extended(&job, *told, &numbers, None),
                None => std::iter::once("* SORT".to_owned()).chain(numbers.iter().map(|number| format!(" {number}"))).collect(),
            };
            (line, "Sorted")
        }
        Then::Thread(by) => (thread::write(*by, &found.into_iter().map(|(found, _)| found).collect::<Vec<_>>()), "Threaded"),
        Then::Tell(_) => return,
    };
    session.write(&(line + "\r\n"));
    session.done(&job.tag, word, job.uid);
}

/// `* ESEARCH …`, without its end. What was not found is left out; only the count may be 0. spec: rfc4731#3.1 rfc9394#3.1
fn extended(job: &Job, told: Return, numbers: &[u32], modseq: Option<u64>) -> String {
    let mut line = format!("* ESEARCH (TAG \"{}\"){}", job.tag, if job.uid { " UID" } else { "" }).into_bytes();
    if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
        if told.min {
            line.extend_from_slice(format!(" MIN {first}").as_bytes());
        }
        if told.max {
            line.extend_from_slice(format!(" MAX {last}").as_bytes());
        }
        if told.all {
            line.extend_from_slice(b" ALL ");
            write_set(numbers, &mut line);
        }
    }
    if let Some(partial) = told.partial {
        line.extend_from_slice(b" PARTIAL (");
        partial.write(&mut line);
        line.push(b' ');
        match partial.of(numbers) {
            [] => line.extend_from_slice(b"NIL"),
            some => write_set(some, &mut line),
        }
        line.push(b')');
    }
    if told.count {
        line.extend_from_slice(format!(" COUNT {}", numbers.len()).as_bytes());
    }
    if let Some(modseq) = modseq {
        line.extend_from_slice(format!(" MODSEQ {modseq}").as_bytes());
    }
    String::from_utf8(line).unwrap_or_default()
}

/// spec: rfc5256#3 rfc5957#3
fn compared(criterion: Criterion, (left, left_info): &(Found, &MessageInfo), (right, right_info): &(Found, &MessageInfo)) -> Ordering {
    let order = match criterion.by {
        SortBy::Arrival => left_info.internal_date.cmp(&right_info.internal_date),
        SortBy::Size => left_info.size.cmp(&right_info.size),
        SortBy::Date => left.moment.cmp(&right.moment),
        SortBy::Subject => left.summary.subject.cmp(&right.summary.subject),
        SortBy::From => left.summary.from.mailbox.cmp(&right.summary.from.mailbox),
        SortBy::To => left.summary.to.mailbox.cmp(&right.summary.to.mailbox),
        SortBy::Cc => left.summary.cc.mailbox.cmp(&right.summary.cc.mailbox),
        SortBy::DisplayFrom => left.summary.from.display.cmp(&right.summary.from.display),
        SortBy::DisplayTo => left.summary.to.display.cmp(&right.summary.to.display),
    };
    if criterion.reverse { order.reverse() } else { order }
}

fn tell(session: &mut Session, job: &Job, told: Option<Return>) {
    let State::Selected(view) = &session.state else { return };
    let number = |uid: &u32| if job.uid { Some(*uid) } else { view.find(*uid).and_then(|(number, _)| u32::try_from(number).ok()) };
    let numbers: Vec<u32> = job.found.iter().filter_map(number).collect();
    let Some(told) = told else {
        let mut line = String::from("* SEARCH");
        line.extend(numbers.iter().map(|number| format!(" {number}")));
        line.extend(highest(&job.key, view, &job.found).map(|highest| format!(" (MODSEQ {highest})")));
        return session.write(&(line + "\r\n"));
    };
    // spec: rfc7162#3.1.10 with MIN or MAX alone, of those
    let modseq = highest(&job.key, view, &kept(told, &job.found));
    if told.save {
        save(session, kept(told, &job.found));
    }
    // spec: rfc5182#2.1 who only saves is told nothing
    if told.save && !(told.min || told.max || told.all || told.count || told.partial.is_some()) {
        return;
    }
    let line = extended(job, told, &numbers, modseq);
    session.write(&(line + "\r\n"));
}

/// The highest MODSEQ among those found, for who asked by it.
// spec: rfc7162#3.1.5
fn highest(key: &Key, view: &View, found: &[u32]) -> Option<u64> {
    let modseqs = || found.iter().filter_map(|uid| view.find(*uid)).map(|(_, info)| info.modseq);
    if key.asks_for_modseq() { modseqs().max() } else { None }
}

/// What `$` is afterwards: with MIN, MAX or PARTIAL, those.
// spec: rfc5182#2.4 rfc9394#3.2
fn kept(told: Return, found: &[u32]) -> Vec<u32> {
    if let Some(partial) = told.partial {
        let mut kept = partial.of(found).to_vec();
        kept.extend(told.min.then(|| found.first()).into_iter().chain(told.max.then(|| found.last())).flatten());
        kept.sort_unstable();
        kept.dedup();
        return kept;
    }
    if told.all || told.count || !(told.min || told.max) {
        return found.to_vec();
    }
    let mut ends: Vec<u32> = [told.min.then(|| found.first()), told.max.then(|| found.last())].into_iter().flatten().flatten().copied().collect();
    ends.dedup();
    ends
}

fn save(session: &mut Session, found: Vec<u32>) {
    if let State::Selected(view) = &mut session.state {
        view.saved = found;
    }
}

fn saved(info: &MessageInfo) -> time::Date {
    info.saved.unwrap_or(info.internal_date).date()
}

/// Whether a message matches; `None` when that hangs on its content and `content` is not given.
fn decide(key: &Key, info: &MessageInfo, index: &Index, content: Option<&Searchable>) -> Option<bool> {
    let day = info.internal_date.date();
    Some(match key {
        Key::All => true,
        Key::Never => false,
        Key::Flag(flag) => info.flags.has(*flag),
        Key::Keyword(keyword) => info.flags.has_keyword(keyword),
        Key::Not(key) => !decide(key, info, index, content)?,
        Key::Or(left, right) => match (decide(left, info, index, content), decide(right, info, index, content)) {
            (Some(true), _) | (_, Some(true)) => true,
            (left, right) => left? || right?,
        },
        Key::And(keys) => {
            let mut open = false;
            for key in keys {
                match decide(key, info, index, content) {
                    Some(false) => return Some(false),
                    Some(true) => {}
                    None => open = true,
                }
            }
            return if open { None } else { Some(true) };
        }
        Key::Among(ranges) => ranges.get(ranges.partition_point(|(_, to)| *to < info.uid)).is_some_and(|(from, _)| *from <= info.uid),
        // They were resolved.
        Key::Sequence(_) | Key::Uid(_) | Key::Older(_) | Key::Younger(_) => false,
        Key::CameUntil(moment) => info.internal_date.unix_timestamp() <= *moment,
        Key::CameAfter(moment) => info.internal_date.unix_timestamp() > *moment,
        Key::Content(content) => info.content == *content,
        Key::Thread(thread) => content?.thread_id(info.content) == *thread,
        Key::Before(date) => day < *date,
        Key::On(date) => day == *date,
        Key::Since(date) => day >= *date,
        // spec: rfc8514#4.3 where it was not kept, the internal date
        Key::SavedBefore(date) => saved(info) < *date,
        Key::SavedOn(date) => saved(info) == *date,
        Key::SavedSince(date) => saved(info) >= *date,
        Key::ModSeq(least) => info.modseq >= *least,
        Key::Larger(size) => info.size > u64::from(*size),
        Key::Smaller(size) => info.size < u64::from(*size),
        Key::SentBefore(date) => content?.sent().is_some_and(|sent| sent < *date),
        Key::SentOn(date) => content?.sent() == Some(*date),
        Key::SentSince(date) => content?.sent().is_some_and(|sent| sent >= *date),
        Key::Header { name, text } => match index.says(&Place::Field(name.to_ascii_uppercase()), text, info.content) {
            Some(said) => said,
            None => content?.header_contains(name, text),
        },
        Key::Body(text) => match index.says(&Place::Body, text, info.content) {
            Some(said) => said,
            None => content?.body_contains(text),
        },
        Key::Text(text) => match index.says(&Place::Text, text, info.content) {
            Some(said) => said,
            None => content?.text_contains(text),
        },
    })
}
