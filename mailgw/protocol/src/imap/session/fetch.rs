//! FETCH, one message after another: never more than one is held.
use std::collections::VecDeque;
use std::sync::Arc;

use time::OffsetDateTime;

use super::view::put;
use super::{Pending, Session, State};
use crate::imap::content::{self, Message, UnknownEncoding};
use crate::imap::exchange::{Answer, Flags, MessageInfo, Outlines, RefusalCode, Request, StoreOp, SystemFlag, Texts};
use crate::imap::parse::Item;
use crate::imap::parse::sequence::{Partial, in_both, merged, write_ranges};

pub(super) struct Job {
    /// Of the command; none where the server tells of new messages by itself.
    pub tag: Option<String>,
    uid: bool,
    items: Vec<Item>,
    needs_bytes: bool,
    /// All that is asked for is kept beside the messages, of most of them.
    outlined: bool,
    /// Of the next `ahead` messages, where they are kept.
    outlines: Outlines,
    ahead: usize,
    /// So many of the next messages were announced to whoever reads them.
    announced: usize,
    /// Reading what is asked for sets `\Seen`.
    marks: bool,
    uids: VecDeque<u32>,
    /// Read by this FETCH and not marked as seen yet.
    unmarked: Vec<u32>,
    asked: Asked,
    vanished: bool,
    unreadable: bool,
    undecodable: bool,
    closing: Option<&'static str>,
}

/// What the server was asked last.
enum Asked {
    /// A message, or that what was said goes out.
    Next,
    /// The outlines of the next messages.
    Outlines,
    /// Which of these are gone.
    Vanished(Vec<(u32, u32)>),
    /// To mark this message, the only one: it is told when that is done.
    MarkOne(u32, Arc<Vec<u8>>),
    /// To mark those told.
    Mark,
}

/// What a FETCH is to do.
pub(super) struct Wish {
    pub tag: Option<String>,
    pub uids: Vec<u32>,
    pub items: Vec<Item>,
    /// Of those that would be told, some.
    pub partial: Option<Partial>,
    pub uid: bool,
    /// Said at the end, where it is not FETCH that ends.
    pub closing: Option<&'static str>,
}

/// What is known of a message beside the view.
enum Source<'x> {
    /// All of it, or nothing where nothing of it is asked for.
    Bytes(Message<'x>),
    Outline(Texts<'x>),
}

impl<'x> Source<'x> {
    fn bytes(bytes: &'x [u8]) -> Self {
        Source::Bytes(Message::new(bytes))
    }

    fn len(&self) -> usize {
        match self {
            Source::Bytes(message) => message.bytes().len(),
            Source::Outline(texts) => texts.envelope.len() + texts.structure.len() + texts.header.len(),
        }
    }

    /// Whether the parts that are asked for without their transfer encoding can be had so.
    fn decodes(&self, items: &[Item]) -> bool {
        let Source::Bytes(message) = self else { return true };
        items.iter().all(|item| !matches!(item, Item::Binary { path, .. } | Item::BinarySize { path, .. } if message.binary(path).is_err()))
    }
}

impl Job {
    /// The next message is dealt with.
    fn next(&mut self) -> Option<u32> {
        self.ahead = self.ahead.saturating_sub(1);
        self.uids.pop_front()
    }
}

/// Octets of one message's answer beyond twice the message: no command makes a message larger without bound.
const MORE: usize = 1 << 20;
/// Octets of the message, of its answer and of what is decoded for it, together, where the message is so large that it tells.
const TOGETHER: usize = 88 << 20;
/// Octets said of messages that need not be opened, before they go out: of a large folder never more is held.
const GATHERED: usize = 64 << 10;
/// Messages whose outlines are asked for at once, and how few are rather read.
const AHEAD: usize = 256;
const FEW: usize = 4;
/// Messages, and their octets, that are announced at once.
const ANNOUNCED_MESSAGES: usize = 64;
const ANNOUNCED: u64 = 512 << 10;
/// Messages that went out before they are marked as seen, all in one commit: who is cut off has read no more unmarked.
const MARKED_AT_ONCE: usize = 32;

pub(super) fn start(session: &mut Session, wish: Wish) {
    let job = job(session, wish);
    advance(session, job);
}

/// Only those of a higher MODSEQ; before them, which of `known` are gone since.
// spec: rfc7162#3.1.4.1 rfc7162#3.2.6
pub(super) fn start_since(session: &mut Session, mut wish: Wish, since: u64, known: Option<Vec<(u32, u32)>>) {
    let State::Selected(view) = &session.state else { return };
    wish.uids.retain(|uid| view.find(*uid).is_some_and(|(_, info)| info.modseq > since));
    let mut job = job(session, wish);
    match known {
        None => advance(session, job),
        Some(known) => {
            job.asked = Asked::Vanished(known);
            session.ask(Request::Vanished { since }, Pending::Fetch(job));
        }
    }
}

fn job(session: &Session, wish: Wish) -> Job {
    let Wish { tag, uids, mut items, partial, uid, closing } = wish;
    let uids = partial.map_or_else(|| uids.clone(), |partial| partial.of(&uids).to_vec());
    let uid_only = matches!(&session.state, State::Selected(view) if view.manner.uid_only);
    // spec: rfc3501#6.4.8 UID FETCH always tells the uid · rfc9586#3.3 unless it is what the line begins with
    if uid && !uid_only && !items.contains(&Item::Uid) {
        items.insert(0, Item::Uid);
    }
    let marks = tag.is_some() && matches!(&session.state, State::Selected(view) if !view.read_only) && items.iter().any(Item::marks_seen);
    let needs_bytes = items.iter().any(Item::needs_bytes);
    let outlined = needs_bytes && !marks && uids.len() >= FEW && items.iter().all(Item::is_outlined);
    let (uids, unmarked, outlines) = (uids.into(), Vec::new(), Outlines::default());
    Job { tag, uid, items, needs_bytes, outlined, outlines, ahead: 0, announced: 0, marks, uids, unmarked, asked: Asked::Next, vanished: false, unreadable: false, undecodable: false, closing }
}

pub(super) fn resume(session: &mut Session, mut job: Job, answer: Answer) {
    match (std::mem::replace(&mut job.asked, Asked::Next), answer) {
        (Asked::Vanished(known), Answer::Vanished(gone)) => tell_vanished(session, &known, &gone),
        (Asked::MarkOne(uid, bytes), answer) => {
            // Reading goes on where the mark cannot be set.
            let marked = matches!(&answer, Answer::Stored { after, .. } if !after.is_empty());
            learn(session, answer);
            if !tell(session, &mut job, uid, &Source::bytes(&bytes), marked) {
                return too_much(session, &job);
            }
        }
        (Asked::Mark, answer) => {
            let told: Vec<u32> = std::mem::take(&mut job.unmarked);
            if matches!(answer, Answer::Stored { .. }) {
                learn(session, answer);
                if let State::Selected(view) = &session.state {
                    told.iter().for_each(|uid| view.write_flags(*uid, &mut session.send));
                }
            }
        }
        (Asked::Next, Answer::Bytes(bytes)) => {
            let Some(uid) = job.next() else { return session.bye("The server lost step; connect again") };
            let unseen = matches!(&session.state, State::Selected(view) if view.find(uid).is_some_and(|(_, info)| !info.flags.has(SystemFlag::Seen)));
            let source = Source::bytes(&bytes);
            // What will not be told is not marked as read either.
            let mark = job.marks && unseen && source.decodes(&job.items);
            if mark && job.uids.is_empty() && job.unmarked.is_empty() {
                drop(source);
                job.asked = Asked::MarkOne(uid, bytes);
                return ask_to_mark(session, vec![uid], job);
            }
            if !tell(session, &mut job, uid, &source, false) {
                return too_much(session, &job);
            }
            job.unmarked.extend(mark.then_some(uid));
        }
        (Asked::Outlines, Answer::Outlines(outlines)) => job.outlines = outlines,
        // Then every message is read.
        (Asked::Outlines, Answer::Refused { .. }) => job.outlined = false,
        (Asked::Next, Answer::Done) if !job.needs_bytes || job.outlined => {}
        // One message that is gone or damaged keeps nobody from those after it.
        (Asked::Next, Answer::Refused { code: RefusalCode::NonExistent, .. }) => {
            job.next();
            job.vanished = true;
        }
        (Asked::Next, Answer::Refused { code: RefusalCode::ServerBug, .. }) => {
            job.next();
            job.unreadable = true;
        }
        (_, Answer::Refused { code, text }) => return refuse(session, &job, code, &text),
        _ => return session.bye("The server lost step; connect again"),
    }
    advance(session, job);
}

fn too_much(session: &mut Session, job: &Job) {
    refuse(session, job, RefusalCode::Limit, "Ask for less of a message at once");
}

/// What nobody asked for is left untold.
fn refuse(session: &mut Session, job: &Job, code: RefusalCode, text: &str) {
    if let Some(tag) = &job.tag {
        session.refuse(tag, code.name(), text);
    }
}

fn ask_to_mark(session: &mut Session, uids: Vec<u32>, job: Job) {
    let flags = Flags::new().with(SystemFlag::Seen);
    session.ask(Request::Store { uids, op: StoreOp::Add, flags, unchanged_since: None }, Pending::Fetch(job));
}

fn learn(session: &mut Session, answer: Answer) {
    if let (Answer::Stored { after, .. }, State::Selected(view)) = (answer, &mut session.state) {
        after.iter().for_each(|info| {
            view.learn(info);
        });
    }
}

/// Those the client knows and does not see any more.
fn tell_vanished(session: &mut Session, known: &[(u32, u32)], gone: &[(u32, u32)]) {
    let State::Selected(view) = &session.state else { return };
    // One that went after the mailbox was opened is told in its turn.
    let mut told = view.without_present(&in_both(known, &merged(gone.to_vec())));
    told.retain(|(first, _)| *first < view.next_uid());
    if !told.is_empty() {
        session.send.extend_from_slice(b"* VANISHED (EARLIER) ");
        write_ranges(&told, &mut session.send);
        session.send.extend_from_slice(b"\r\n");
    }
}

fn advance(session: &mut Session, mut job: Job) {
    if job.unmarked.len() >= MARKED_AT_ONCE || (job.uids.is_empty() && !job.unmarked.is_empty()) {
        job.asked = Asked::Mark;
        let uids = job.unmarked.clone();
        return ask_to_mark(session, uids, job);
    }
    if job.outlined && !job.uids.is_empty() {
        return advance_outlined(session, job);
    }
    if job.needs_bytes && let Some(&uid) = job.uids.front() {
        let shows = job.items.iter().any(Item::shows_content);
        return ask_for(session, job, uid, shows);
    }
    while let Some(uid) = job.uids.pop_front() {
        if write(session, &job, uid, &Source::bytes(&[]), false).is_err() {
            return too_much(session, &job);
        }
        if session.send.len() >= GATHERED && !job.uids.is_empty() {
            return session.ask(Request::Drain, Pending::Fetch(job));
        }
    }
    end(session, job);
}

fn ask_for(session: &mut Session, mut job: Job, uid: u32, shows: bool) {
    let State::Selected(view) = &session.state else { return };
    let size = |uid: u32| view.find(uid).map_or(0, |(_, info)| info.size);
    // Of outlined messages but a few are read.
    let ahead = if job.announced == 0 && job.uids.len() > FEW && !job.outlined {
        let mut octets = 0;
        let fits = |uid: &u32| {
            octets += size(*uid);
            octets <= ANNOUNCED
        };
        job.uids.iter().skip(1).take(ANNOUNCED_MESSAGES).copied().take_while(fits).collect()
    } else {
        Vec::new()
    };
    job.announced = if ahead.is_empty() { job.announced.saturating_sub(1) } else { ahead.len() };
    session.ask(Request::Load { uid, size: size(uid), shows, ahead }, Pending::Fetch(job));
}

/// Tells messages from their outlines; one whose outline is not kept is read.
fn advance_outlined(session: &mut Session, mut job: Job) {
    while let Some(&uid) = job.uids.front() {
        let State::Selected(view) = &session.state else { return };
        if job.ahead == 0 {
            job.ahead = job.uids.len().min(AHEAD);
            job.asked = Asked::Outlines;
            let contents = job.uids.iter().take(AHEAD).filter_map(|uid| view.find(*uid)).map(|(_, info)| info.content).collect();
            let (listing, header) = (job.items.iter().any(Item::is_listing), job.items.iter().any(Item::is_of_header));
            return session.ask(Request::Outlines { contents, listing, header }, Pending::Fetch(job));
        }
        let content = view.find(uid).map(|(_, info)| info.content);
        let Some(texts) = content.and_then(|content| job.outlines.get(content)) else {
            return ask_for(session, job, uid, false);
        };
        if write(session, &job, uid, &Source::Outline(texts), false).is_err() {
            return too_much(session, &job);
        }
        job.next();
        if session.send.len() >= GATHERED && !job.uids.is_empty() {
            return session.ask(Request::Drain, Pending::Fetch(job));
        }
    }
    end(session, job);
}

fn end(session: &mut Session, job: Job) {
    if job.unreadable {
        return refuse(session, &job, RefusalCode::ServerBug, "Some messages cannot be read; the others were told");
    }
    // spec: rfc3516#4.3
    if job.undecodable
        && let Some(tag) = &job.tag
    {
        return session.refuse(tag, "UNKNOWN-CTE", "The encoding of some parts cannot be undone; fetch them as they are");
    }
    // spec: rfc5530#3 EXPUNGEISSUED
    let text = job.closing.unwrap_or(if job.vanished { "[EXPUNGEISSUED] Some messages are gone" } else { "Fetched" });
    if let Some(tag) = &job.tag {
        session.done(tag, text, job.uid);
    }
}

/// Why nothing of a message is told.
enum Untold {
    TooMuch,
    Undecodable,
}

impl From<UnknownEncoding> for Untold {
    fn from(_: UnknownEncoding) -> Self {
        Untold::Undecodable
    }
}

/// Tells one message; `false` when that would be too much. One that cannot be decoded keeps nobody from those after it.
fn tell(session: &mut Session, job: &mut Job, uid: u32, source: &Source<'_>, marked: bool) -> bool {
    match write(session, job, uid, source, marked) {
        Ok(()) => true,
        Err(Untold::TooMuch) => false,
        Err(Untold::Undecodable) => {
            job.undecodable = true;
            true
        }
    }
}

/// Tells one message, its flags too when it was marked just now.
fn write(session: &mut Session, job: &Job, uid: u32, source: &Source<'_>, marked: bool) -> Result<(), Untold> {
    let State::Selected(view) = &session.state else { return Ok(()) };
    let Some((number, info)) = view.find(uid) else { return Ok(()) };
    let out = &mut session.send;
    let (begun, size) = (out.len(), source.len());
    let most = begun + (2 * size + MORE).min(TOGETHER.saturating_sub(2 * size)).max(size + MORE);
    view.begin(number, uid, out);
    for (at, item) in job.items.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        let written = write_item(item, info, source, most, out);
        if let Err(why) = written.and_then(|()| if out.len() > most { Err(Untold::TooMuch) } else { Ok(()) }) {
            out.truncate(begun);
            return Err(why);
        }
    }
    if marked && !job.items.contains(&Item::Flags) {
        out.push(b' ');
        write_item(&Item::Flags, info, source, most, out)?;
    }
    // spec: rfc7162#3.1 flags that changed are told with their MODSEQ
    if view.manner.condstore && marked && !job.items.contains(&Item::ModSeq) {
        out.push(b' ');
        write_item(&Item::ModSeq, info, source, most, out)?;
    }
    out.extend_from_slice(b")\r\n");
    Ok(())
}

/// `most`: so long `out` may become by a text of any length.
fn write_item(item: &Item, info: &MessageInfo, source: &Source<'_>, most: usize, out: &mut Vec<u8>) -> Result<(), Untold> {
    let of_header;
    let message = match (source, item) {
        (Source::Outline(texts), Item::Envelope) => {
            out.extend_from_slice(b"ENVELOPE ");
            out.extend_from_slice(texts.envelope);
            return Ok(());
        }
        (Source::Outline(texts), Item::Structure { .. }) => {
            out.extend_from_slice(b"BODYSTRUCTURE ");
            out.extend_from_slice(texts.structure);
            return Ok(());
        }
        // What else is outlined is made of the header alone.
        (Source::Outline(texts), _) => {
            of_header = Message::new(texts.header);
            &of_header
        }
        (Source::Bytes(message), _) => message,
    };
    match item {
        Item::Flags => {
            out.extend_from_slice(b"FLAGS ");
            info.flags.write(out);
        }
        Item::Uid => put(out, format_args!("UID {}", info.uid)),
        Item::InternalDate => out.extend_from_slice(format!("INTERNALDATE \"{}\"", date_time(info.internal_date)).as_bytes()),
        Item::Size => put(out, format_args!("RFC822.SIZE {}", info.size)),
        Item::ModSeq => put(out, format_args!("MODSEQ ({})", info.modseq)),
        Item::EmailId => out.extend_from_slice(format!("EMAILID (M{})", info.content).as_bytes()),
        Item::ThreadId => out.extend_from_slice(format!("THREADID ({})", content::thread_id(message.bytes(), info.content)).as_bytes()),
        Item::SaveDate => match info.saved {
            Some(saved) => out.extend_from_slice(format!("SAVEDATE \"{}\"", date_time(saved)).as_bytes()),
            None => out.extend_from_slice(b"SAVEDATE NIL"),
        },
        Item::Preview => {
            out.extend_from_slice(b"PREVIEW ");
            content::write_literal(Some(message.preview().as_bytes()), out);
        }
        Item::BinarySize { label, path } => {
            let size = message.binary(path)?.map_or(0, |part| part.len());
            out.extend_from_slice(format!("{label} {size}").as_bytes());
        }
        Item::Binary { label, path, partial, .. } => {
            out.extend_from_slice(label.as_bytes());
            let part = message.binary(path)?;
            write_partial(part.as_deref().map(AsRef::as_ref), *partial, content::write_literal8, most, out)?;
        }
        Item::Envelope => {
            out.extend_from_slice(b"ENVELOPE ");
            message.envelope(out);
        }
        Item::Structure { extended } => {
            out.extend_from_slice(if *extended { b"BODYSTRUCTURE " } else { b"BODY " });
            message.structure(*extended, out);
        }
        Item::Section(section) => {
            out.extend_from_slice(section.label.as_bytes());
            let text = message.section(section);
            write_partial(text.as_deref(), section.partial, content::write_literal, most, out)?;
        }
    }
    Ok(())
}

/// ` …` or `<origin> …`: the octets asked for.
fn write_partial(text: Option<&[u8]>, partial: Option<(u32, u32)>, write: impl Fn(Option<&[u8]>, &mut Vec<u8>), most: usize, out: &mut Vec<u8>) -> Result<(), Untold> {
    let mut text = text;
    if let Some((first, count)) = partial {
        out.extend_from_slice(format!("<{first}>").as_bytes());
        text = text.map(|text| {
            let rest = text.get(first as usize..).unwrap_or_default();
            rest.get(..count as usize).unwrap_or(rest)
        });
    }
    out.push(b' ');
    if text.is_some_and(|text| out.len() + text.len() > most) {
        return Err(Untold::TooMuch);
    }
    write(text, out);
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::content::SCANS;
    use crate::imap::parse::{Section, SectionText};

    #[test]
    fn many_items_of_a_message_need_one_look_for_its_parts() {
        let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n";
        let info = MessageInfo { uid: 1, flags: Flags::new(), modseq: 1, internal_date: OffsetDateTime::UNIX_EPOCH, saved: None, size: 0, content: 1 };
        let section = |first| Item::Section(Section { label: "BODY[2]".to_owned(), path: vec![2], text: SectionText::Whole, peek: true, partial: Some((first, 1)) });
        let binary = |first| Item::Binary { label: "BINARY[1]".to_owned(), path: vec![1], peek: true, partial: Some((first, 1)) };
        let mut items: Vec<Item> = (0..40).map(section).chain((0..40).map(binary)).collect();
        items.extend([Item::BinarySize { label: "BINARY.SIZE[2]".to_owned(), path: vec![2] }, Item::Structure { extended: true }, Item::Preview, Item::Envelope]);
        SCANS.set(0);
        let (source, mut out) = (Source::bytes(message), Vec::new());
        assert!(source.decodes(&items));
        assert!(items.iter().all(|item| write_item(item, &info, &source, usize::MAX, &mut out).is_ok()));
        assert_eq!(SCANS.get(), 1);
    }
}
