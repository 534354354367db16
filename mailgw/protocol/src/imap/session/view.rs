//! The opened mailbox as this client sees it: sequence numbers, and changes not told yet.
use std::collections::VecDeque;

use crate::imap::exchange::{Change, MessageInfo};
use crate::imap::parse::sequence::SequenceSet;

/// What the client believes. The message with sequence number n is `messages[n - 1]`; uids ascend.
pub(super) struct View {
    pub read_only: bool,
    pub messages: Vec<MessageInfo>,
    untold: VecDeque<Change>,
}

impl View {
    pub fn new(read_only: bool, messages: Vec<MessageInfo>) -> Self {
        Self { read_only, messages, untold: VecDeque::new() }
    }

    pub fn queue(&mut self, change: Change) {
        self.untold.push_back(change);
    }

    fn index(&self, uid: u32) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok()
    }

    /// Sequence number and what is known.
    pub fn find(&self, uid: u32) -> Option<(usize, &MessageInfo)> {
        let index = self.index(uid)?;
        Some((index + 1, self.messages.get(index)?))
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
        if uid {
            // spec: rfc3501#6.4.8 a uid that is not there is ignored without an error
            for (from, to) in set.ranges(self.last_uid()) {
                let start = self.messages.partition_point(|message| message.uid < from);
                uids.extend(self.messages.iter().skip(start).map(|message| message.uid).take_while(|uid| *uid <= to));
            }
            return Some(uids);
        }
        if !set.within(self.count()) {
            return None;
        }
        for (from, to) in set.ranges(self.count()) {
            let (skip, take) = (from as usize - 1, (to - from) as usize + 1);
            uids.extend(self.messages.iter().skip(skip).take(take).map(|message| message.uid));
        }
        Some(uids)
    }

    /// Learns flags without telling; whether they differ from what the client was told.
    pub fn learn(&mut self, info: &MessageInfo) -> bool {
        let known = self.index(info.uid).and_then(|index| self.messages.get_mut(index)).filter(|known| known.modseq <= info.modseq);
        match known {
            Some(known) => {
                let differs = known.flags != info.flags;
                *known = info.clone();
                differs
            }
            None => false,
        }
    }

    /// Writes what may be told now. spec: rfc3501#7.4.1 no EXPUNGE while the client counts on its sequence numbers
    pub fn tell(&mut self, may_expunge: bool, out: &mut Vec<u8>) {
        let mut kept = VecDeque::new();
        let mut exists = false;
        for change in std::mem::take(&mut self.untold) {
            match change {
                Change::New(info) => {
                    if info.uid > self.last_uid() {
                        self.messages.push(info);
                        exists = true;
                    }
                }
                Change::Flags(info) => {
                    if self.learn(&info) {
                        self.announce(&mut exists, out);
                        self.write_flags(info.uid, out);
                    }
                }
                Change::Gone(uid) if may_expunge => {
                    self.announce(&mut exists, out);
                    if let Some(index) = self.index(uid) {
                        self.messages.remove(index);
                        out.extend_from_slice(format!("* {} EXPUNGE\r\n", index + 1).as_bytes());
                    }
                }
                Change::Gone(_) => kept.push_back(change),
            }
        }
        self.announce(&mut exists, out);
        self.untold = kept;
    }

    fn announce(&self, exists: &mut bool, out: &mut Vec<u8>) {
        if std::mem::take(exists) {
            out.extend_from_slice(format!("* {} EXISTS\r\n", self.messages.len()).as_bytes());
        }
    }

    /// `* n FETCH (UID u FLAGS (…))`
    pub fn write_flags(&self, uid: u32, out: &mut Vec<u8>) {
        if let Some((number, info)) = self.find(uid) {
            out.extend_from_slice(format!("* {number} FETCH (UID {uid} FLAGS ").as_bytes());
            info.flags.write(out);
            out.extend_from_slice(b")\r\n");
        }
    }
}
