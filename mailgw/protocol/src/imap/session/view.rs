//! The opened mailbox as this client sees it: sequence numbers, and changes not told yet.
use std::collections::BTreeSet;

use super::notify::Interest;
use crate::imap::exchange::{Change, MessageInfo, Messages};
use crate::imap::parse::sequence::{SequenceSet, write_set};

/// What the client believes. The message with sequence number n is `messages[n - 1]`; uids ascend. Flags are always the latest
/// known; what the client was not told is kept beside, never more than there are messages, however long it is silent.
pub(super) struct View {
    pub read_only: bool,
    pub id: u64,
    pub uid_validity: u32,
    pub messages: Messages,
    /// The highest uid ever here: a new message is above it.
    highest: u32,
    /// Of `messages`: those whose flags differ from what was told.
    restated: BTreeSet<u32>,
    /// Of `messages`: those removed.
    gone: BTreeSet<u32>,
    /// Of `messages`: what this client did itself, which it is told of whatever else it wants to hear.
    restated_own: BTreeSet<u32>,
    gone_own: BTreeSet<u32>,
    /// Those after `messages`.
    new: Vec<MessageInfo>,
    /// Uids, there already or to come, of messages that this client brought.
    pub own: BTreeSet<u32>,
    /// Told, and still to be told with what NOTIFY asked for.
    pub fresh: Vec<u32>,
    pub interest: Interest,
    /// `$`: what the last SEARCH that was to save found, ascending. Some may be gone since. spec: rfc5182#2.1
    pub saved: Vec<u32>,
    /// How this client is told of changes.
    pub manner: Manner,
    /// All changes of the mailbox up to this MODSEQ have been taken in.
    pub heard: u64,
}

/// What a client asked to be told otherwise than of old, for the rest of its session.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    /// It counts by MODSEQ: flags are told with it. spec: rfc7162#3.1
    pub condstore: bool,
    /// It is told which uids are gone instead of which numbers. spec: rfc7162#3.2.10
    pub qresync: bool,
    /// What RFC 9051 tells otherwise. spec: rfc9051#appendix-E
    pub rev2: bool,
    /// Mailbox names are UTF-8. spec: rfc9051#5.1 rfc9755#3
    pub utf8: bool,
    /// No message is called by its number. spec: rfc9586#3
    pub uid_only: bool,
}

impl View {
    /// `uid_next` is above all messages there are and were.
    pub fn new(read_only: bool, uid_next: u32, heard: u64, messages: Messages, manner: Manner) -> Self {
        let highest = messages.last().map_or(0, |last| last.uid).max(uid_next.saturating_sub(1));
        Self {
            read_only,
            id: 0,
            uid_validity: 0,
            messages,
            highest,
            restated: BTreeSet::new(),
            gone: BTreeSet::new(),
            restated_own: BTreeSet::new(),
            gone_own: BTreeSet::new(),
            new: Vec::new(),
            own: BTreeSet::new(),
            fresh: Vec::new(),
            interest: Interest::OF_OLD,
            saved: Vec::new(),
            manner,
            heard,
        }
    }

    /// Takes in a change, in the order of commits; it is told later.
    pub fn queue(&mut self, change: Change) {
        let (Change::New(MessageInfo { modseq, .. }) | Change::Flags(MessageInfo { modseq, .. }) | Change::Gone { modseq, .. }) = &change;
        self.heard = self.heard.max(*modseq);
        match change {
            Change::New(info) if info.uid > self.highest => {
                self.highest = info.uid;
                self.new.push(info);
            }
            Change::New(_) => {}
            Change::Flags(info) => {
                let untold = self.new.binary_search_by_key(&info.uid, |new| new.uid).ok().and_then(|index| self.new.get_mut(index));
                match untold {
                    Some(new) if new.modseq <= info.modseq => *new = info,
                    Some(_) => {}
                    None => {
                        if self.learn(&info) {
                            self.restated.insert(info.uid);
                        }
                    }
                }
            }
            Change::Gone { uid, .. } => self.remove(uid),
        }
    }

    /// This message is there no more; it is told later.
    pub fn remove(&mut self, uid: u32) {
        if let Ok(at) = self.new.binary_search_by_key(&uid, |new| new.uid) {
            self.new.remove(at);
        }
        if self.messages.find(uid).is_some() && !self.gone_own.contains(&uid) {
            self.gone.insert(uid);
        }
    }

    /// As `remove`, by a command of this client.
    pub fn remove_own(&mut self, uid: u32) {
        self.remove(uid);
        if self.gone.remove(&uid) {
            self.gone_own.insert(uid);
        }
    }

    /// This client was not told all of what the flags are that it set itself.
    pub fn restate_own(&mut self, uid: u32) {
        self.restated.remove(&uid);
        self.restated_own.insert(uid);
    }

    /// Sequence number and what is known.
    pub fn find(&self, uid: u32) -> Option<(usize, &MessageInfo)> {
        self.messages.find(uid).map(|(place, info)| (place + 1, info))
    }

    /// Above every uid the client was told of or will be.
    pub fn next_uid(&self) -> u32 {
        self.highest.saturating_add(1)
    }

    /// What is left of ascending ranges without the messages the client sees.
    pub fn without_present(&self, ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut left = Vec::new();
        for (first, last) in ranges {
            let mut next = *first;
            for uid in self.messages.iter_from(self.messages.place(*first)).map(|message| message.uid).take_while(|uid| uid <= last) {
                if uid > next {
                    left.push((next, uid - 1));
                }
                next = uid.saturating_add(1);
            }
            if next <= *last {
                left.push((next, *last));
            }
        }
        left
    }

    pub fn last_uid(&self) -> u32 {
        self.messages.last().map_or(0, |message| message.uid)
    }

    pub fn count(&self) -> u32 {
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX)
    }

    /// The uids a set names, ascending. `None` when it names a sequence number that does not exist; a uid may not exist.
    pub fn select(&self, set: &SequenceSet, uid: bool) -> Option<Vec<u32>> {
        let mut uids = Vec::new();
        let set = match set {
            SequenceSet::Ranges(ranges) => ranges,
            SequenceSet::Saved => return Some(self.saved.iter().copied().filter(|uid| self.messages.find(*uid).is_some()).collect()),
        };
        if uid {
            // spec: rfc3501#6.4.8 a uid that is not there is ignored without an error
            for (from, to) in set.ranges(self.last_uid()) {
                uids.extend(self.messages.iter_from(self.messages.place(from)).map(|message| message.uid).take_while(|uid| *uid <= to));
            }
            return Some(uids);
        }
        if !set.within(self.count()) {
            return None;
        }
        for (from, to) in set.ranges(self.count()) {
            let (skip, take) = (from as usize - 1, (to - from) as usize + 1);
            uids.extend(self.messages.iter_from(skip).take(take).map(|message| message.uid));
        }
        Some(uids)
    }

    /// The ranges of uids that a set of SEARCH names. What does not exist is in none of them.
    pub fn ranges(&self, set: &SequenceSet, uid: bool) -> Vec<(u32, u32)> {
        let uid_at = |number: u32| self.messages.get(number as usize - 1).map(|message| message.uid);
        match set {
            SequenceSet::Saved => self.saved.iter().map(|uid| (*uid, *uid)).collect(),
            SequenceSet::Ranges(ranges) if uid => ranges.ranges(self.last_uid()),
            // Neighbours by number are neighbours by uid.
            SequenceSet::Ranges(ranges) => {
                let ends = ranges.ranges(self.count()).into_iter().map(|(from, to)| (from.max(1), to.min(self.count())));
                ends.filter(|(from, to)| from <= to).filter_map(|(from, to)| Some((uid_at(from)?, uid_at(to)?))).collect()
            }
        }
    }

    /// The ranges of uids that a set names, whether or not they are there yet or still.
    pub fn known(&self, set: &SequenceSet) -> Vec<(u32, u32)> {
        match set {
            SequenceSet::Saved => self.saved.iter().map(|uid| (*uid, *uid)).collect(),
            SequenceSet::Ranges(ranges) => ranges.ranges(self.highest.max(1)),
        }
    }

    /// Learns flags without telling; whether they differ from what the client was told.
    pub fn learn(&mut self, info: &MessageInfo) -> bool {
        let Some((_, known)) = self.messages.find(info.uid).filter(|(_, known)| known.modseq <= info.modseq) else { return false };
        let differs = known.flags != info.flags;
        if known != info {
            self.messages.set(info.clone());
        }
        differs
    }

    /// Writes what may be told now and the client wants to hear. spec: rfc3501#7.4.1 no EXPUNGE while the client counts on its
    /// sequence numbers
    pub fn tell(&mut self, may_expunge: bool, out: &mut Vec<u8>) {
        let Interest { messages, flags, .. } = self.interest;
        let mut restated = std::mem::take(&mut self.restated_own);
        if flags {
            restated.append(&mut self.restated);
        }
        for uid in restated {
            self.write_flags(uid, out);
        }
        if may_expunge {
            let mut gone = std::mem::take(&mut self.gone_own);
            if messages {
                gone.append(&mut self.gone);
            }
            self.tell_gone(&gone, out);
        }
        if messages || self.new.iter().any(|new| self.own.contains(&new.uid)) {
            self.tell_new(out);
        }
    }

    /// Writes all that there is to tell, whatever the client will be told from here on.
    pub fn tell_all(&mut self, out: &mut Vec<u8>) {
        let interest = self.interest;
        self.interest = Interest { messages: true, flags: true, ..interest };
        self.tell(true, out);
        self.interest = interest;
    }

    fn tell_gone(&mut self, gone: &BTreeSet<u32>, out: &mut Vec<u8>) {
        if !gone.is_empty() {
            let by_number = !self.manner.qresync && !self.manner.uid_only;
            if !by_number {
                out.extend_from_slice(b"* VANISHED ");
                write_set(&gone.iter().copied().collect::<Vec<_>>(), out);
                out.extend_from_slice(b"\r\n");
            }
            let mut number = 0;
            self.messages.retain(|message| {
                number += 1;
                let stays = !gone.contains(&message.uid);
                if !stays && by_number {
                    out.extend_from_slice(format!("* {number} EXPUNGE\r\n").as_bytes());
                    // Each EXPUNGE moves those behind it up by one.
                    number -= 1;
                }
                stays
            });
        }
    }

    fn tell_new(&mut self, out: &mut Vec<u8>) {
        if !self.new.is_empty() {
            for new in &self.new {
                if !self.own.remove(&new.uid) && self.interest.fetches {
                    self.fresh.push(new.uid);
                }
            }
            std::mem::take(&mut self.new).into_iter().for_each(|info| self.messages.insert(info));
            out.extend_from_slice(format!("* {} EXISTS\r\n", self.messages.len()).as_bytes());
        }
    }

    /// `* n FETCH (UID u FLAGS (…))`, with its MODSEQ where that counts.
    pub fn write_flags(&self, uid: u32, out: &mut Vec<u8>) {
        if let Some((number, info)) = self.find(uid) {
            self.begin(number, uid, out);
            if !self.manner.uid_only {
                out.extend_from_slice(format!("UID {uid} ").as_bytes());
            }
            out.extend_from_slice(b"FLAGS ");
            info.flags.write(out);
            if self.manner.condstore {
                out.extend_from_slice(format!(" MODSEQ ({})", info.modseq).as_bytes());
            }
            out.extend_from_slice(b")\r\n");
        }
    }

    /// What the line that tells of a message begins with. spec: rfc9586#3.3
    pub fn begin(&self, number: usize, uid: u32, out: &mut Vec<u8>) {
        if self.manner.uid_only { put(out, format_args!("* {uid} UIDFETCH (")) } else { put(out, format_args!("* {number} FETCH (")) }
    }
}

/// Without text of its own in between: lines of a listing are many.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Memory takes all that is written.
    let _ = out.write_fmt(text);
}
