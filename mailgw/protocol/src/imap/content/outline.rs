//! What a listing tells of a message, made once and kept by whoever keeps the message, so that a listing opens none.
use super::envelope;
use super::part::{scan, slice};
use super::structure::structure_of;

/// Told the same by every program of this number: where ENVELOPE or BODYSTRUCTURE come to be told otherwise it rises, and what was kept
/// before is worth nothing.
pub const WORDING: u8 = 1;

/// ENVELOPE and BODYSTRUCTURE as FETCH tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    pub envelope: Vec<u8>,
    pub structure: Vec<u8>,
}

pub fn outline(bytes: &[u8]) -> Outline {
    let (root, mut outline) = (scan(bytes), Outline::default());
    envelope::of_header(slice(bytes, root.header.clone()), &mut outline.envelope);
    structure_of(&root, bytes, true, &mut outline.structure);
    outline
}

/// Outlines of some contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlines {
    text: Vec<u8>,
    /// Content, and where its two texts end; the first begins where those before it end. Ascending.
    ends: Vec<(u64, usize, usize)>,
}

impl Outlines {
    /// Of a content above all that are there; others are left out.
    pub fn push(&mut self, content: u64, envelope: &[u8], structure: &[u8]) {
        if self.ends.last().is_none_or(|(last, ..)| *last < content) {
            self.text.extend_from_slice(envelope);
            let middle = self.text.len();
            self.text.extend_from_slice(structure);
            self.ends.push((content, middle, self.text.len()));
        }
    }

    /// Envelope and structure.
    pub fn get(&self, content: u64) -> Option<(&[u8], &[u8])> {
        let at = self.ends.binary_search_by_key(&content, |(content, ..)| *content).ok()?;
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(_, _, end)| *end);
        let (_, middle, end) = self.ends.get(at)?;
        Some((self.text.get(begin..*middle)?, self.text.get(*middle..*end)?))
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
