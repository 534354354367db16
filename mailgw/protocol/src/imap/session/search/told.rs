//! What is said of the messages found: their numbers, in the order asked for.
use std::cmp::Ordering;
use std::collections::VecDeque;

use super::super::thread::{self, Found};
use super::super::view::View;
use super::super::{Session, State};
use super::{Job, Then};
use crate::imap::content::Summary;
use crate::imap::exchange::MessageInfo;
use crate::imap::parse::sequence::write_set;
use crate::imap::parse::{Criterion, Key, Return, SortBy};

/// Tells what was found in the order asked for.
pub(super) fn arrange(session: &mut Session, mut job: Job) {
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

pub(super) fn tell(session: &mut Session, job: &Job, told: Option<Return>) {
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

pub(super) fn save(session: &mut Session, found: Vec<u32>) {
    if let State::Selected(view) = &mut session.state {
        view.saved = found;
    }
}
