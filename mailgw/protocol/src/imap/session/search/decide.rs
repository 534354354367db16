//! Whether a message matches, by what is known of it: what the view has, what the index said, its header, all of it.
use super::super::view::View;
use crate::imap::content::Searchable;
use crate::imap::content::charset::fold;
use crate::imap::exchange::{Hits, MessageInfo, Needle, Place};
use crate::imap::parse::Key;

/// What the index said, once it was asked: for each needle of the key, in the order they were asked.
#[derive(Default)]
pub(super) struct Index {
    pub needles: Vec<Needle>,
    pub known: Vec<u64>,
    pub hits: Vec<Hits>,
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

/// What an index may be asked of a key. An empty string asks whether there is anything at all, which is read.
pub(super) fn collect(key: &Key, needles: &mut Vec<Needle>) {
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

/// What is looked for in texts, folded.
pub(super) fn sought(key: &Key, texts: &mut Vec<String>) {
    match key {
        Key::Body(text) | Key::Text(text) if !texts.contains(text) => texts.push(text.clone()),
        Key::Not(inner) => sought(inner, texts),
        Key::Or(left, right) => {
            sought(left, texts);
            sought(right, texts);
        }
        Key::And(keys) => keys.iter().for_each(|key| sought(key, texts)),
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
pub(super) fn resolve(key: &mut Key, view: &View) {
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

// spec: rfc5032#3
pub(super) fn timed(key: &mut Key, now: i64) {
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

fn saved(info: &MessageInfo) -> time::Date {
    info.saved.unwrap_or(info.internal_date).date()
}

/// Whether a message matches; `None` when that hangs on content that is not given.
pub(super) fn decide(key: &Key, info: &MessageInfo, index: &Index, content: Option<&Searchable>) -> Option<bool> {
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
            None => content?.body_contains(text)?,
        },
        Key::Text(text) => match index.says(&Place::Text, text, info.content) {
            Some(said) => said,
            None => content?.text_contains(text)?,
        },
    })
}
