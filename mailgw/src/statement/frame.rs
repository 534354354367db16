//! A part of a message as it is before there is a statement: texts that are encoded once, and between them places for values.

use crate::mime::quoted_printable::{Pieces, Quoted};

/// Where a value of one statement goes; columns are named by their place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Figure(usize),
    /// What a code means, in English.
    Meaning(usize),
    /// The statement's number, in a sentence.
    Number,
    /// What changed since the month before.
    Changed,
    History,
    Correction,
}

/// Stands for the statement's number in sentences that are made with it; no name or address of a sender holds it.
pub(super) const NUMBER: &str = "\u{1}";

#[derive(Default)]
pub(super) struct Draft {
    before: Vec<(String, Slot)>,
    text: String,
}

impl Draft {
    /// The text since the last slot, to be written on.
    pub fn text(&mut self) -> &mut String {
        &mut self.text
    }

    pub fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
    }

    pub fn slot(&mut self, slot: Slot) {
        self.before.push((std::mem::take(&mut self.text), slot));
    }

    /// Text in which [`NUMBER`] may stand.
    pub fn numbered(&mut self, text: &str) {
        for (at, piece) in text.split(NUMBER).enumerate() {
            if at > 0 {
                self.slot(Slot::Number);
            }
            self.text.push_str(piece);
        }
    }

    pub fn frame(self) -> Frame {
        let (mut pieces, mut slots) = (Pieces::default(), Vec::with_capacity(self.before.len()));
        for (text, slot) in self.before {
            pieces.push(&text);
            slots.push(slot);
        }
        pieces.push(&self.text);
        Frame { pieces, slots }
    }
}

/// A piece before each slot, and one at the end.
pub(super) struct Frame {
    pieces: Pieces,
    slots: Vec<Slot>,
}

impl Frame {
    /// Appends the part with its values, which `value` writes.
    pub fn fill(&self, out: &mut Vec<u8>, mut value: impl FnMut(Slot, &mut Quoted<'_>)) {
        let mut quoted = Quoted::new(out);
        for (at, slot) in self.slots.iter().enumerate() {
            quoted.piece(self.pieces.get(at));
            value(*slot, &mut quoted);
        }
        quoted.piece(self.pieces.get(self.slots.len()));
        quoted.end();
    }

    /// Without its values.
    pub fn octets(&self) -> usize {
        self.pieces.octets()
    }
}
