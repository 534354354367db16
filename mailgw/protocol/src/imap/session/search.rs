//! SEARCH: what the view knows decides where it can; other messages are loaded one at a time.
use std::collections::VecDeque;

use super::view::View;
use super::{Pending, Session, State};
use crate::imap::content::Searchable;
use crate::imap::content::charset::fold;
use crate::imap::exchange::{Answer, Hits, MessageInfo, Needle, Place, RefusalCode, Request};
use crate::imap::parse::sequence::write_set;
use crate::imap::parse::{Key, Return};

pub(super) struct Job {
    pub tag: String,
    uid: bool,
    told: Option<Return>,
    key: Key,
    index: Index,
    left: VecDeque<u32>,
    found: Vec<u32>,
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
    /// Whether the result is to be kept.
    pub fn saves(&self) -> bool {
        self.told.is_some_and(|told| told.save)
    }
}

pub(super) fn start(session: &mut Session, tag: String, told: Option<Return>, mut key: Key, uid: bool) {
    let State::Selected(view) = &session.state else { return };
    resolve(&mut key, view);
    let left = view.messages.iter().map(|message| message.uid).collect();
    let mut needles = Vec::new();
    collect(&key, &mut needles);
    let asks = !needles.is_empty() && !view.messages.is_empty();
    let job = Job { tag, uid, told, key, index: Index { needles: needles.clone(), ..Index::default() }, left, found: Vec::new() };
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
        Answer::Found { known, hits } if asked && hits.len() == job.index.needles.len() => {
            (job.index.known, job.index.hits) = (known, hits);
            advance(session, job);
        }
        // Without an index every message is read.
        Answer::Refused { .. } if asked => {
            job.index.needles.clear();
            advance(session, job);
        }
        answer => read(session, job, answer),
    }
}

fn read(session: &mut Session, mut job: Job, answer: Answer) {
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
            None => return session.ask(Request::Load { uid }, Pending::Search(job)),
        }
    }
    tell(session, &job);
    session.done(&job.tag, "Searched", job.uid);
}

fn tell(session: &mut Session, job: &Job) {
    let State::Selected(view) = &session.state else { return };
    let number = |uid: &u32| if job.uid { Some(*uid) } else { view.find(*uid).and_then(|(number, _)| u32::try_from(number).ok()) };
    let numbers: Vec<u32> = job.found.iter().filter_map(number).collect();
    let Some(told) = job.told else {
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
    if told.save && !(told.min || told.max || told.all || told.count) {
        return;
    }
    session.write(&format!("* ESEARCH (TAG \"{}\"){}", job.tag, if job.uid { " UID" } else { "" }));
    // spec: rfc4731#3.1 what was not found is left out; only the count may be 0
    if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
        if told.min {
            session.write(&format!(" MIN {first}"));
        }
        if told.max {
            session.write(&format!(" MAX {last}"));
        }
        if told.all {
            session.write(" ALL ");
            write_set(&numbers, &mut session.send);
        }
    }
    if told.count {
        session.write(&format!(" COUNT {}", numbers.len()));
    }
    if let Some(modseq) = modseq {
        session.write(&format!(" MODSEQ {modseq}"));
    }
    session.write("\r\n");
}

/// The highest MODSEQ among those found, for who asked by it.
// spec: rfc7162#3.1.5
fn highest(key: &Key, view: &View, found: &[u32]) -> Option<u64> {
    let modseqs = || found.iter().filter_map(|uid| view.find(*uid)).map(|(_, info)| info.modseq);
    if key.asks_for_modseq() { modseqs().max() } else { None }
}

/// What `$` is afterwards: with MIN or MAX alone, those.
// spec: rfc5182#2.4
fn kept(told: Return, found: &[u32]) -> Vec<u32> {
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
        Key::Sequence(_) | Key::Uid(_) => false,
        Key::Before(date) => day < *date,
        Key::On(date) => day == *date,
        Key::Since(date) => day >= *date,
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
