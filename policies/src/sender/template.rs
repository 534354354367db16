//! Sentences with places for values: `本期应缴 {amount}`. A place stands for a field of the row, or for `{month}`.

use super::row::LetterFigure;

/// The most bytes of a template.
const MAX: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Chinese,
    English,
}

/// Paragraphs of pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<Piece>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Place(String),
}

impl Template {
    /// `names` are those of the fields; a place for none of them is refused.
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Self, String> {
        if text.trim().is_empty() || text.len() > MAX {
            return Err(format!("a template has 1 to {MAX} bytes"));
        }
        let mut paragraphs = Vec::new();
        for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            let words: String = paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            if words.chars().any(crate::identity::is_hidden) {
                return Err("a template has no control characters".to_owned());
            }
            let (mut pieces, mut rest) = (Vec::new(), words.as_str());
            while let Some((before, after)) = rest.split_once('{') {
                let (name, after) = after.split_once('}').ok_or("a place is not closed; write {name}")?;
                if name != "month" && !names.contains(&name) {
                    return Err(format!("{{{name}}} is no field of this kind"));
                }
                pieces.extend([Piece::Words(before.to_owned()), Piece::Place(name.to_owned())]);
                rest = after;
            }
            if rest.contains('}') || pieces.iter().any(|piece| matches!(piece, Piece::Words(words) if words.contains('}'))) {
                return Err("a } closes nothing".to_owned());
            }
            pieces.push(Piece::Words(rest.to_owned()));
            paragraphs.push(pieces);
        }
        Ok(Self(paragraphs))
    }

    /// The paragraphs with the values in their places, as `say` writes them. A field without a value leaves its place empty.
    pub fn filled(&self, month: &str, figures: &[LetterFigure], say: impl Fn(&LetterFigure) -> String) -> Vec<String> {
        let place = |name: &str| match name {
            "month" => month.to_owned(),
            name => figures.iter().find(|figure| figure.key == name).map(&say).unwrap_or_default(),
        };
        let filled = |pieces: &Vec<Piece>| {
            let piece = |piece: &Piece| match piece {
                Piece::Words(words) => words.clone(),
                Piece::Place(name) => place(name),
            };
            pieces.iter().map(piece).collect()
        };
        self.0.iter().map(filled).collect()
    }
}
