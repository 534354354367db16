//! The messages of a mailbox in the order of their uids, in pieces that are shared until one of them changes, and so is the list of the
//! pieces: a copy costs nothing however many there are, and all sessions of a mailbox hold most of it together.
use std::ops::Index;
use std::sync::Arc;

use super::exchange::{MessageInfo, SystemFlag};

/// Messages of one piece: what a change copies, at most, that others hold too.
const PIECE: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages(Arc<List>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct List {
    /// None is empty.
    pieces: Vec<Arc<Piece>>,
    /// How many messages stand before each piece.
    before: Vec<usize>,
    len: usize,
    sums: Sums,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Piece {
    messages: Vec<MessageInfo>,
    sums: Sums,
}

/// What is told of a mailbox as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub unseen: usize,
    pub deleted: usize,
    pub octets: u64,
    /// Of those that bear `\Deleted`.
    pub deleted_octets: u64,
}

impl Sums {
    fn of(messages: &[MessageInfo]) -> Self {
        let mut sums = Self::default();
        for message in messages {
            let deleted = message.flags.has(SystemFlag::Deleted);
            sums = sums.and(Self {
                unseen: usize::from(!message.flags.has(SystemFlag::Seen)),
                deleted: usize::from(deleted),
                octets: message.size,
                deleted_octets: if deleted { message.size } else { 0 },
            });
        }
        sums
    }

    fn and(self, other: Self) -> Self {
        Self {
            unseen: self.unseen + other.unseen,
            deleted: self.deleted + other.deleted,
            octets: self.octets.saturating_add(other.octets),
            deleted_octets: self.deleted_octets.saturating_add(other.deleted_octets),
        }
    }

    fn without(self, other: Self) -> Self {
        Self {
            unseen: self.unseen.saturating_sub(other.unseen),
            deleted: self.deleted.saturating_sub(other.deleted),
            octets: self.octets.saturating_sub(other.octets),
            deleted_octets: self.deleted_octets.saturating_sub(other.deleted_octets),
        }
    }
}

impl Piece {
    fn new(messages: Vec<MessageInfo>) -> Self {
        Self { sums: Sums::of(&messages), messages }
    }

    fn place(&self, uid: u32) -> Result<usize, usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid)
    }
}

impl Messages {
    pub fn len(&self) -> usize {
        self.0.len
    }

    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    pub fn sums(&self) -> Sums {
        self.0.sums
    }

    /// The place of the first message without `\Seen`.
    pub fn first_unseen(&self) -> Option<usize> {
        if self.0.sums.unseen == 0 {
            return None;
        }
        let (piece, before) = self.0.pieces.iter().zip(&self.0.before).find(|(piece, _)| piece.sums.unseen > 0)?;
        Some(before + piece.messages.iter().position(|message| !message.flags.has(SystemFlag::Seen))?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &MessageInfo> {
        self.0.pieces.iter().flat_map(|piece| &piece.messages)
    }

    /// Those from this place on.
    pub fn iter_from(&self, place: usize) -> impl Iterator<Item = &MessageInfo> {
        let at = self.0.before.partition_point(|before| *before <= place).saturating_sub(1);
        let skipped = place - self.0.before.get(at).copied().unwrap_or_default();
        self.0.pieces.iter().skip(at).flat_map(|piece| &piece.messages).skip(skipped)
    }

    pub fn get(&self, place: usize) -> Option<&MessageInfo> {
        if place < self.len() { self.iter_from(place).next() } else { None }
    }

    pub fn last(&self) -> Option<&MessageInfo> {
        self.0.pieces.last()?.messages.last()
    }

    /// How many have a lower uid.
    pub fn place(&self, uid: u32) -> usize {
        let Some((piece, before)) = self.0.holder(uid).and_then(|at| Some((self.0.pieces.get(at)?, self.0.before.get(at)?))) else { return self.len() };
        before + piece.place(uid).unwrap_or_else(|place| place)
    }

    /// Its place and what is known of it.
    pub fn find(&self, uid: u32) -> Option<(usize, &MessageInfo)> {
        let at = self.0.holder(uid)?;
        let piece = self.0.pieces.get(at)?;
        let place = piece.place(uid).ok()?;
        Some((self.0.before.get(at)? + place, piece.messages.get(place)?))
    }

    /// In the place of the one with this uid; whether there was one.
    pub fn set(&mut self, info: MessageInfo) -> bool {
        let Some((at, place)) = self.0.stands(info.uid) else { return false };
        let list = Arc::make_mut(&mut self.0);
        let Some(piece) = list.pieces.get_mut(at).map(Arc::make_mut) else { return false };
        let Some(known) = piece.messages.get_mut(place) else { return false };
        let (old, new) = (Sums::of(std::slice::from_ref(known)), Sums::of(std::slice::from_ref(&info)));
        *known = info;
        piece.sums = piece.sums.without(old).and(new);
        list.sums = list.sums.without(old).and(new);
        true
    }

    /// Where its uid belongs: behind the others, nearly always. One that is there already is replaced.
    pub fn insert(&mut self, info: MessageInfo) {
        if self.last().is_none_or(|last| last.uid < info.uid) {
            return self.push(info);
        }
        if self.find(info.uid).is_some() {
            self.set(info);
            return;
        }
        let Some(at) = self.0.holder(info.uid) else { return };
        let list = Arc::make_mut(&mut self.0);
        let Some(piece) = list.pieces.get(at) else { return };
        let mut messages = piece.messages.clone();
        messages.insert(piece.place(info.uid).unwrap_or_else(|place| place), info);
        let halves: Vec<Arc<Piece>> = messages.chunks(PIECE).map(|some| Arc::new(Piece::new(some.to_vec()))).collect();
        list.pieces.splice(at..=at, halves);
        list.recount();
    }

    fn push(&mut self, info: MessageInfo) {
        let sums = Sums::of(std::slice::from_ref(&info));
        let list = Arc::make_mut(&mut self.0);
        match list.pieces.last_mut().filter(|piece| piece.messages.len() < PIECE) {
            Some(piece) => {
                let piece = Arc::make_mut(piece);
                piece.messages.push(info);
                piece.sums = piece.sums.and(sums);
            }
            None => {
                list.before.push(list.len);
                list.pieces.push(Arc::new(Piece { messages: vec![info], sums }));
            }
        }
        list.len += 1;
        list.sums = list.sums.and(sums);
    }

    /// Keeps those of which `stays` is true. All are asked after, in their order.
    pub fn retain(&mut self, mut stays: impl FnMut(&MessageInfo) -> bool) {
        let mut changed = false;
        let list = Arc::make_mut(&mut self.0);
        for piece in &mut list.pieces {
            let kept: Vec<bool> = piece.messages.iter().map(&mut stays).collect();
            if kept.iter().all(|stays| *stays) {
                continue;
            }
            changed = true;
            let messages = piece.messages.iter().zip(kept).filter(|(_, stays)| *stays).map(|(message, _)| message.clone()).collect();
            *piece = Arc::new(Piece::new(messages));
        }
        if !changed {
            return;
        }
        list.pieces.retain(|piece| !piece.messages.is_empty());
        list.recount();
        // Many small pieces would make every look a long one.
        if list.pieces.len() > 8 + 4 * list.len / PIECE {
            *self = self.iter().cloned().collect();
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, uid: u32) -> bool {
        let Some((at, place)) = self.0.stands(uid) else { return false };
        let list = Arc::make_mut(&mut self.0);
        match list.pieces.get_mut(at) {
            Some(piece) if piece.messages.len() > 1 => {
                let piece = Arc::make_mut(piece);
                piece.messages.remove(place);
                piece.sums = Sums::of(&piece.messages);
            }
            _ => drop(list.pieces.remove(at)),
        }
        list.recount();
        true
    }
}

impl List {
    /// The first piece that ends at this uid or above.
    fn holder(&self, uid: u32) -> Option<usize> {
        let at = self.pieces.partition_point(|piece| piece.messages.last().is_some_and(|last| last.uid < uid));
        (at < self.pieces.len()).then_some(at)
    }

    /// The piece in which a message stands, and its place there.
    fn stands(&self, uid: u32) -> Option<(usize, usize)> {
        let at = self.holder(uid)?;
        Some((at, self.pieces.get(at)?.place(uid).ok()?))
    }

    fn recount(&mut self) {
        self.before.clear();
        (self.len, self.sums) = (0, Sums::default());
        for piece in &self.pieces {
            self.before.push(self.len);
            self.len += piece.messages.len();
            self.sums = self.sums.and(piece.sums);
        }
    }
}

/// Of messages that ascend by uid.
impl FromIterator<MessageInfo> for Messages {
    fn from_iter<I: IntoIterator<Item = MessageInfo>>(all: I) -> Self {
        let mut messages = Self::default();
        all.into_iter().for_each(|info| messages.insert(info));
        messages
    }
}

impl<'m> IntoIterator for &'m Messages {
    type Item = &'m MessageInfo;
    type IntoIter = Box<dyn Iterator<Item = &'m MessageInfo> + 'm>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl IntoIterator for Messages {
    type Item = MessageInfo;
    type IntoIter = std::vec::IntoIter<MessageInfo>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

/// By its place.
impl Index<usize> for Messages {
    type Output = MessageInfo;

    #[allow(clippy::expect_used)]
    fn index(&self, place: usize) -> &MessageInfo {
        self.get(place).expect("no message has this place")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::imap::exchange::Flags;

    fn info(uid: u32, bits: u8) -> MessageInfo {
        let at = datetime!(2026-11-29 12:00 +8);
        MessageInfo { uid, flags: Flags::from_parts(bits, None), modseq: 1, internal_date: at, saved: None, size: u64::from(uid) * 3 + 1, content: u64::from(uid) }
    }

    fn same(messages: &Messages, model: &[MessageInfo]) -> Result<(), TestCaseError> {
        prop_assert_eq!(messages.iter().cloned().collect::<Vec<_>>(), model);
        prop_assert_eq!((messages.len(), messages.last()), (model.len(), model.last()));
        prop_assert_eq!(messages.sums(), Sums::of(model));
        prop_assert_eq!(messages.first_unseen(), model.iter().position(|one| !one.flags.has(SystemFlag::Seen)));
        for uid in (0..1_500).step_by(37) {
            prop_assert_eq!(messages.place(uid), model.partition_point(|one| one.uid < uid));
            prop_assert_eq!(messages.find(uid), model.iter().enumerate().find(|(_, one)| one.uid == uid));
        }
        for place in (0..model.len() + 2).step_by(29) {
            prop_assert_eq!(messages.get(place), model.get(place));
            prop_assert!(messages.iter_from(place).eq(model.iter().skip(place)));
        }
        Ok(())
    }

    #[derive(Debug, Clone)]
    enum Act {
        Insert(u32, u8),
        Set(u32, u8),
        Remove(u32),
        Thin(u32),
        Many(u32),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (1_u32..1_400, 0_u8..32).prop_map(|(uid, bits)| Act::Insert(uid, bits)),
            4 => (1_u32..1_400, 0_u8..32).prop_map(|(uid, bits)| Act::Set(uid, bits)),
            4 => (1_u32..1_400).prop_map(Act::Remove),
            1 => (2_u32..9).prop_map(Act::Thin),
            2 => (1_u32..300).prop_map(Act::Many),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_list_and_copies_are_their_own(start in 0_u32..900, acts in prop::collection::vec(act(), 1..25)) {
            let mut model: Vec<MessageInfo> = (1..=start).map(|uid| info(uid, 0)).collect();
            let mut messages: Messages = model.iter().cloned().collect();
            let (before, first) = (messages.clone(), model.clone());
            for act in acts {
                match act {
                    Act::Insert(uid, bits) => {
                        model.retain(|one| one.uid != uid);
                        model.insert(model.partition_point(|one| one.uid < uid), info(uid, bits));
                        messages.insert(info(uid, bits));
                    }
                    Act::Set(uid, bits) => {
                        let known = model.iter_mut().find(|one| one.uid == uid);
                        prop_assert_eq!(messages.set(info(uid, bits)), known.is_some());
                        known.into_iter().for_each(|known| *known = info(uid, bits));
                    }
                    Act::Remove(uid) => {
                        prop_assert_eq!(messages.remove(uid), model.iter().any(|one| one.uid == uid));
                        model.retain(|one| one.uid != uid);
                    }
                    Act::Thin(every) => {
                        let mut asked = Vec::new();
                        messages.retain(|one| {
                            asked.push(one.uid);
                            one.uid % every == 0
                        });
                        prop_assert_eq!(asked, model.iter().map(|one| one.uid).collect::<Vec<_>>());
                        model.retain(|one| one.uid % every == 0);
                    }
                    Act::Many(count) => {
                        let next = model.last().map_or(1, |last| last.uid + 1);
                        for uid in next..next + count {
                            model.push(info(uid, 1));
                            messages.insert(info(uid, 1));
                        }
                    }
                }
                same(&messages, &model)?;
            }
            same(&before, &first)?;
        }
    }
}
