//! What a listing tells of a message, made once and kept by whoever keeps the message, so that a listing opens none.
use super::envelope;
use super::part::{scan, slice};
use super::structure::structure_of;

/// Told the same by every program of this number: where ENVELOPE or BODYSTRUCTURE come to be told otherwise, or more is kept, it rises, and
/// what was kept before is worth nothing.
pub const WORDING: u8 = 6;

/// ENVELOPE and BODYSTRUCTURE as FETCH tells them, and the header as it stands, its blank line included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    pub envelope: Vec<u8>,
    pub structure: Vec<u8>,
    pub header: Vec<u8>,
}

pub fn outline(bytes: &[u8]) -> Outline {
    let root = scan(bytes);
    let mut outline = Outline { header: slice(bytes, root.header.clone()).to_vec(), ..Outline::default() };
    envelope::of_header(&outline.header, &mut outline.envelope);
    structure_of(&root, bytes, true, &mut outline.structure);
    outline
}

/// The texts of one outline, of which those that nobody asked for are empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Texts<'x> {
    pub envelope: &'x [u8],
    pub structure: &'x [u8],
    pub header: &'x [u8],
}

impl Outline {
    pub fn texts(&self) -> Texts<'_> {
        Texts { envelope: &self.envelope, structure: &self.structure, header: &self.header }
    }
}

/// Outlines of some contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlines {
    text: Vec<u8>,
    /// Content, and where its three texts end; the first begins where those before it end. Ascending.
    ends: Vec<(u64, [usize; 3])>,
}

impl Outlines {
    /// Of a content above all that are there; others are left out.
    pub fn push(&mut self, content: u64, texts: Texts<'_>) {
        if self.ends.last().is_none_or(|(last, _)| *last < content) {
            let ends = [texts.envelope, texts.structure, texts.header].map(|text| {
                self.text.extend_from_slice(text);
                self.text.len()
            });
            self.ends.push((content, ends));
        }
    }

    pub fn get(&self, content: u64) -> Option<Texts<'_>> {
        let at = self.ends.binary_search_by_key(&content, |(content, _)| *content).ok()?;
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(_, [.., end])| *end);
        let (_, [first, second, third]) = self.ends.get(at)?;
        Some(Texts { envelope: self.text.get(begin..*first)?, structure: self.text.get(*first..*second)?, header: self.text.get(*second..*third)? })
    }

    /// The highest content of which there is one.
    pub fn highest(&self) -> Option<u64> {
        self.ends.last().map(|(content, _)| *content)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Octets of all texts.
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
