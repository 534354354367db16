//! Words and figures on paper: receipts and statements as PDF, the same octets for the same words, on as many pages as it takes.
//!
//! The Chinese font is named, not carried: `STSong-Light`, one of the standard fonts that readers bring for the character collection
//! Adobe-GB1. So a file is a few kilobytes and needs no font of ours.
// spec: iso32000-1#9.7.5.2 (UniGB-UTF16-H), iso32000-1#7.5
#![forbid(unsafe_code)]

mod file;

use std::fmt::Write as _;

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 48.0;
const SIZE: f32 = 9.5;
const LEADING: f32 = 15.0;
/// Where values begin.
const COLUMN: f32 = 210.0;
/// The lowest line of a page; below it stands its number.
const LOWEST: f32 = MARGIN + 2.0 * LEADING;

/// A piece of a document, from the top down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Title(String),
    Heading(String),
    /// What a value is called, and the value.
    Figure(String, String),
    Text(String),
    Note(String),
    Gap,
}

/// Pages that are being filled, and where the next line goes.
struct Pages {
    full: Vec<String>,
    page: String,
    line: f32,
}

impl Pages {
    /// Room for one more line; on the next page, where this one has none.
    fn room(&mut self) {
        if self.line < LOWEST {
            self.full.push(std::mem::take(&mut self.page));
            self.line = HEIGHT - MARGIN - 10.0;
        }
    }

    fn lines(&mut self, size: f32, x: f32, text: &str) {
        for part in wrapped(text, size, WIDTH - MARGIN - x) {
            self.room();
            show(&mut self.page, size, x, self.line, &part);
            self.line -= LEADING;
        }
    }

    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Title(text) => {
                self.lines(16.0, MARGIN, text);
                self.line -= LEADING;
            }
            Piece::Heading(text) => {
                // A heading stands above what it heads.
                if self.line < LOWEST + 2.0 * LEADING {
                    self.line = 0.0;
                }
                self.line -= 6.0;
                self.lines(11.0, MARGIN, text);
            }
            Piece::Figure(name, value) => {
                let mut names = wrapped(name, SIZE, COLUMN - MARGIN - 8.0).into_iter();
                let mut values = wrapped(value, SIZE, WIDTH - MARGIN - COLUMN).into_iter();
                loop {
                    let (name, value) = (names.next(), values.next());
                    if name.is_none() && value.is_none() {
                        break;
                    }
                    self.room();
                    let line = self.line;
                    name.iter().for_each(|name| show(&mut self.page, SIZE, MARGIN, line, name));
                    value.iter().for_each(|value| show(&mut self.page, SIZE, COLUMN, line, value));
                    self.line -= LEADING;
                }
                self.line -= 2.0;
            }
            Piece::Text(text) => self.lines(SIZE, MARGIN, text),
            Piece::Note(text) => self.lines(8.0, MARGIN, text),
            Piece::Gap => self.line -= LEADING,
        }
    }
}

/// The file. `name` stands at the foot of every page.
pub fn document(pieces: &[Piece], name: &str) -> Vec<u8> {
    let mut pages = Pages { full: Vec::new(), page: String::new(), line: HEIGHT - MARGIN - 10.0 };
    pieces.iter().for_each(|piece| pages.piece(piece));
    let Pages { full: mut all, page: last, .. } = pages;
    all.push(last);
    let count = all.len();
    for (at, page) in all.iter_mut().enumerate() {
        show(page, 8.0, MARGIN, MARGIN, &format!("{name}    第 {} 页，共 {count} 页 / page {} of {count}", at + 1, at + 1));
    }
    file::file(&all, WIDTH, HEIGHT)
}

/// Text at a place, in hexadecimal UTF-16: every character of it means itself. spec: iso32000-1#9.4.3
fn show(content: &mut String, size: f32, x: f32, y: f32, text: &str) {
    // Writing to a string cannot fail.
    let _ = write!(content, "BT /F1 {size} Tf {x} {y} Td <");
    for unit in text.encode_utf16() {
        let _ = write!(content, "{unit:04X}");
    }
    content.push_str("> Tj ET\n");
}

/// Lines of about `width` points: ideographs are as wide as the font is high, other characters half of that.
fn wrapped(text: &str, size: f32, width: f32) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let wide = if c.is_ascii() { size * 0.55 } else { size };
        if used + wide > width {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        line.push(c);
        used += wide;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_the_same_octets_on_as_many_pages_as_they_need() {
        let pieces = |count: usize| -> Vec<Piece> { (0..count).map(|at| Piece::Figure(format!("字段 {at}"), format!("值 {at}")) ).collect() };
        let pages = |file: &[u8]| String::from_utf8_lossy(file).matches("/Type /Page ").count();
        for (count, expected) in [(0, 1), (30, 1), (60, 2), (200, 5)] {
            let file = document(&pieces(count), "编号 1");
            assert_eq!(pages(&file), expected, "{count}");
            assert_eq!(file, document(&pieces(count), "编号 1"));
            assert!(file.starts_with(b"%PDF-1.5") && file.ends_with(b"%%EOF\n"));
        }
    }

    #[test]
    fn lines_hold_every_character_once_and_no_control() {
        let text = "公积金\tAccount 0123456789 ".repeat(20);
        let lines = wrapped(&text, SIZE, 120.0);
        assert_eq!(lines.concat(), text.replace('\t', " "));
        assert!(lines.len() > 10 && wrapped("", SIZE, 120.0).len() == 1);
    }
}
