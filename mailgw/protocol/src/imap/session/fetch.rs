//! FETCH, one message after another: never more than one is held.
use std::collections::VecDeque;

use time::OffsetDateTime;

use super::{Pending, Session, State};
use crate::imap::content;
use crate::imap::exchange::{Answer, Flags, MessageInfo, RefusalCode, Request, StoreOp, SystemFlag};
use crate::imap::parse::Item;

pub(super) struct Job {
    pub tag: String,
    uid: bool,
    items: Vec<Item>,
    needs_bytes: bool,
    uids: VecDeque<u32>,
    /// Those whose `\Seen` this FETCH sets; ascending. Their flags are told along.
    marked: Vec<u32>,
    marking: bool,
    vanished: bool,
    unreadable: bool,
}

/// Octets of one message's answer beyond twice the message: no command makes a message larger without bound.
const MORE: usize = 1 << 20;
/// Octets said of messages that need not be opened, before they go out: of a large folder never more is held.
const GATHERED: usize = 64 << 10;

pub(super) fn start(session: &mut Session, tag: String, uids: Vec<u32>, mut items: Vec<Item>, uid: bool) {
    let State::Selected(view) = &session.state else { return };
    // spec: rfc3501#6.4.8 UID FETCH always tells the uid
    if uid && !items.contains(&Item::Uid) {
        items.insert(0, Item::Uid);
    }
    let unseen = |uid: &u32| view.find(*uid).is_some_and(|(_, info)| !info.flags.has(SystemFlag::Seen));
    let marks = !view.read_only && items.iter().any(Item::marks_seen);
    let marked: Vec<u32> = if marks { uids.iter().copied().filter(unseen).collect() } else { Vec::new() };
    let needs_bytes = items.iter().any(Item::needs_bytes);
    let mut job = Job { tag, uid, items, needs_bytes, uids: uids.into(), marked, marking: false, vanished: false, unreadable: false };
    if job.marked.is_empty() {
        return advance(session, job);
    }
    job.marking = true;
    let flags = Flags::new().with(SystemFlag::Seen);
    session.ask(Request::Store { uids: job.marked.clone(), op: StoreOp::Add, flags, unchanged_since: None }, Pending::Fetch(job));
}

pub(super) fn resume(session: &mut Session, mut job: Job, answer: Answer) {
    match answer {
        Answer::Stored { after, .. } if job.marking => {
            if let State::Selected(view) = &mut session.state {
                after.iter().for_each(|info| {
                    view.learn(info);
                });
            }
            job.marking = false;
        }
        // Reading goes on where the mark cannot be set.
        Answer::Refused { .. } if job.marking => {
            job.marking = false;
            job.marked.clear();
        }
        Answer::Bytes(bytes) if !job.marking => {
            if let Some(uid) = job.uids.pop_front()
                && !write(session, &job, uid, &bytes)
            {
                return session.refuse(&job.tag, RefusalCode::Limit.name(), "Ask for less of a message at once");
            }
        }
        Answer::Done if !job.marking && !job.needs_bytes => {}
        // One message that is gone or damaged keeps nobody from those after it.
        Answer::Refused { code: RefusalCode::NonExistent, .. } if !job.marking => {
            job.uids.pop_front();
            job.vanished = true;
        }
        Answer::Refused { code: RefusalCode::ServerBug, .. } if !job.marking => {
            job.uids.pop_front();
            job.unreadable = true;
        }
        Answer::Refused { code, text } if !job.marking => return session.refuse(&job.tag, code.name(), &text),
        _ => return session.bye("The server lost step; connect again"),
    }
    advance(session, job);
}

fn advance(session: &mut Session, mut job: Job) {
    if job.needs_bytes && let Some(&uid) = job.uids.front() {
        return session.ask(Request::Load { uid }, Pending::Fetch(job));
    }
    while let Some(uid) = job.uids.pop_front() {
        if !write(session, &job, uid, &[]) {
            return session.refuse(&job.tag, RefusalCode::Limit.name(), "Ask for less of a message at once");
        }
        if session.send.len() >= GATHERED && !job.uids.is_empty() {
            return session.ask(Request::Drain, Pending::Fetch(job));
        }
    }
    if job.unreadable {
        return session.refuse(&job.tag, RefusalCode::ServerBug.name(), "Some messages cannot be read; the others were told");
    }
    // spec: rfc5530#3 EXPUNGEISSUED
    let text = if job.vanished { "[EXPUNGEISSUED] Some messages are gone" } else { "Fetched" };
    session.done(&job.tag, text, job.uid);
}

/// Tells one message; nothing of it, and `false`, when that would be too much.
fn write(session: &mut Session, job: &Job, uid: u32, bytes: &[u8]) -> bool {
    let State::Selected(view) = &session.state else { return true };
    let Some((number, info)) = view.find(uid) else { return true };
    let out = &mut session.send;
    let (begun, most) = (out.len(), 2 * bytes.len() + MORE);
    out.extend_from_slice(format!("* {number} FETCH (").as_bytes());
    for (at, item) in job.items.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        write_item(item, info, bytes, out);
        if out.len() - begun > most {
            out.truncate(begun);
            return false;
        }
    }
    if job.marked.binary_search(&uid).is_ok() && !job.items.contains(&Item::Flags) {
        out.push(b' ');
        write_item(&Item::Flags, info, bytes, out);
    }
    // spec: rfc7162#3.1 flags that changed are told with their MODSEQ
    if view.condstore && job.marked.binary_search(&uid).is_ok() && !job.items.contains(&Item::ModSeq) {
        out.push(b' ');
        write_item(&Item::ModSeq, info, bytes, out);
    }
    out.extend_from_slice(b")\r\n");
    true
}

fn write_item(item: &Item, info: &MessageInfo, bytes: &[u8], out: &mut Vec<u8>) {
    match item {
        Item::Flags => {
            out.extend_from_slice(b"FLAGS ");
            info.flags.write(out);
        }
        Item::Uid => out.extend_from_slice(format!("UID {}", info.uid).as_bytes()),
        Item::InternalDate => out.extend_from_slice(format!("INTERNALDATE \"{}\"", date_time(info.internal_date)).as_bytes()),
        Item::Size => out.extend_from_slice(format!("RFC822.SIZE {}", info.size).as_bytes()),
        Item::ModSeq => out.extend_from_slice(format!("MODSEQ ({})", info.modseq).as_bytes()),
        Item::Envelope => {
            out.extend_from_slice(b"ENVELOPE ");
            content::envelope(bytes, out);
        }
        Item::Structure { extended } => {
            out.extend_from_slice(if *extended { b"BODYSTRUCTURE " } else { b"BODY " });
            content::structure(bytes, *extended, out);
        }
        Item::Section(section) => {
            out.extend_from_slice(section.label.as_bytes());
            let text = content::section(bytes, section);
            let mut text = text.as_deref();
            if let Some((first, count)) = section.partial {
                out.extend_from_slice(format!("<{first}>").as_bytes());
                text = text.map(|text| {
                    let rest = text.get(first as usize..).unwrap_or_default();
                    rest.get(..count as usize).unwrap_or(rest)
                });
            }
            out.push(b' ');
            content::write_literal(text, out);
        }
    }
}

/// spec: rfc3501#9 date-time
fn date_time(moment: OffsetDateTime) -> String {
    let month: String = moment.month().to_string().chars().take(3).collect();
    let (hours, minutes, _) = moment.offset().as_hms();
    let sign = if moment.offset().is_negative() { '-' } else { '+' };
    let (day, year) = (moment.day(), moment.year());
    let (hour, minute, second) = moment.to_hms();
    format!("{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
}
