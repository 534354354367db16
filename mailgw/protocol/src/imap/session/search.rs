//! SEARCH: what the view knows decides where it can; other messages are loaded one at a time.
use std::collections::VecDeque;

use super::view::View;
use super::{Pending, Session, State};
use crate::imap::content::Searchable;
use crate::imap::exchange::{Answer, MessageInfo, RefusalCode, Request};
use crate::imap::parse::Key;

pub(super) struct Job {
    pub tag: String,
    uid: bool,
    key: Key,
    left: VecDeque<u32>,
    found: Vec<u32>,
}

pub(super) fn start(session: &mut Session, tag: String, key: Key, uid: bool) {
    let State::Selected(view) = &session.state else { return };
    let left = view.messages.iter().map(|message| message.uid).collect();
    advance(session, Job { tag, uid, key, left, found: Vec::new() });
}

pub(super) fn resume(session: &mut Session, mut job: Job, answer: Answer) {
    let Some(uid) = job.left.pop_front() else { return session.bye("The server lost step; connect again") };
    match answer {
        Answer::Bytes(bytes) => {
            let State::Selected(view) = &session.state else { return };
            let content = Searchable::new(&bytes);
            if view.find(uid).and_then(|(number, info)| decide(&job.key, view, number, info, Some(&content))) == Some(true) {
                job.found.push(uid);
            }
        }
        Answer::Refused { code: RefusalCode::NonExistent, .. } => {}
        Answer::Refused { code, text } => return session.refuse(&job.tag, code.name(), &text),
        _ => return session.bye("The server lost step; connect again"),
    }
    advance(session, job);
}

fn advance(session: &mut Session, mut job: Job) {
    let State::Selected(view) = &session.state else { return };
    while let Some(&uid) = job.left.front() {
        let Some((number, info)) = view.find(uid) else {
            job.left.pop_front();
            continue;
        };
        match decide(&job.key, view, number, info, None) {
            Some(found) => {
                job.left.pop_front();
                job.found.extend(found.then_some(uid));
            }
            None => return session.ask(Request::Load { uid }, Pending::Search(job)),
        }
    }
    let mut line = String::from("* SEARCH");
    for uid in &job.found {
        let number = if job.uid { Some(*uid as usize) } else { view.find(*uid).map(|(number, _)| number) };
        line.extend(number.map(|number| format!(" {number}")));
    }
    line.push_str("\r\n");
    session.write(&line);
    session.done(&job.tag, "Searched", job.uid);
}

/// Whether a message matches; `None` when that hangs on its content and `content` is not given.
fn decide(key: &Key, view: &View, number: usize, info: &MessageInfo, content: Option<&Searchable>) -> Option<bool> {
    let day = info.internal_date.date();
    Some(match key {
        Key::All => true,
        Key::Never => false,
        Key::Flag(flag) => info.flags.has(*flag),
        Key::Keyword(keyword) => info.flags.has_keyword(keyword),
        Key::Not(key) => !decide(key, view, number, info, content)?,
        Key::Or(left, right) => match (decide(left, view, number, info, content), decide(right, view, number, info, content)) {
            (Some(true), _) | (_, Some(true)) => true,
            (left, right) => left? || right?,
        },
        Key::And(keys) => {
            let mut open = false;
            for key in keys {
                match decide(key, view, number, info, content) {
                    Some(false) => return Some(false),
                    Some(true) => {}
                    None => open = true,
                }
            }
            return if open { None } else { Some(true) };
        }
        Key::Sequence(set) => set.contains(u32::try_from(number).unwrap_or(u32::MAX), view.count()),
        Key::Uid(set) => set.contains(info.uid, view.last_uid()),
        Key::Before(date) => day < *date,
        Key::On(date) => day == *date,
        Key::Since(date) => day >= *date,
        Key::Larger(size) => info.size > u64::from(*size),
        Key::Smaller(size) => info.size < u64::from(*size),
        Key::SentBefore(date) => content?.sent().is_some_and(|sent| sent < *date),
        Key::SentOn(date) => content?.sent() == Some(*date),
        Key::SentSince(date) => content?.sent().is_some_and(|sent| sent >= *date),
        Key::Header { name, text } => content?.header_contains(name, text),
        Key::Body(text) => content?.body_contains(text),
        Key::Text(text) => content?.text_contains(text),
    })
}
