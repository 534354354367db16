//! Words and figures on paper: receipts and statements as PDF, the same octets for the same words, on as many pages as it takes.
//!
//! The Chinese font is named, not carried: `STSong-Light`, one of the standard fonts that readers bring for the character collection
//! Adobe-GB1. So a file is a few kilobytes and needs no font of ours. Of the characters beyond U+FFFF that collection has few, and readers
//! draw others in place of the rest: each stands as 〓 on the page, and a note says what that means.
// spec: iso32000-1#9.7.5.2 (UniGB-UTF16-H), iso32000-1#7.5
#![forbid(unsafe_code)]

mod collection;
mod file;

use std::fmt::Write as _;

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 48.0;
const SIZE: f32 = 9.5;
const LEADING: f32 = 15.0;
/// Where values begin: behind the longest name, within these bounds.
const COLUMN: (f32, f32) = (210.0, 290.0);
/// Between a name and its value.
const BETWEEN: f32 = 8.0;
/// For what the font has not. spec: gb2312 (the mark that printers set where a sort is missing)
const MISSING: char = '〓';
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
    /// Where values begin.
    column: f32,
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
                let column = self.column;
                let mut names = wrapped(name, SIZE, column - MARGIN - BETWEEN).into_iter();
                let mut values = wrapped(value, SIZE, WIDTH - MARGIN - column).into_iter();
                loop {
                    let (name, value) = (names.next(), values.next());
                    if name.is_none() && value.is_none() {
                        break;
                    }
                    self.room();
                    let line = self.line;
                    name.iter().for_each(|name| show(&mut self.page, SIZE, MARGIN, line, name));
                    value.iter().for_each(|value| show(&mut self.page, SIZE, column, line, value));
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
    let longest = pieces.iter().map(|piece| if let Piece::Figure(name, _) = piece { name.chars().map(|c| wide(c, SIZE)).sum() } else { 0.0 }).fold(0.0, f32::max);
    let column = (MARGIN + longest + BETWEEN).clamp(COLUMN.0, COLUMN.1);
    let mut pages = Pages { full: Vec::new(), page: String::new(), line: HEIGHT - MARGIN - 10.0, column };
    pieces.iter().for_each(|piece| pages.piece(piece));
    if pieces.iter().flat_map(Piece::words).any(|words| words.contains(is_missing)) {
        pages.piece(&Piece::Note(format!("{MISSING}：此处有一个本页字体没有的字，请以原件为准。 {MISSING} stands for a character that the font of this page has not; the original has it.")));
    }
    let Pages { full: mut all, page: last, .. } = pages;
    all.push(last);
    let count = all.len();
    for (at, page) in all.iter_mut().enumerate() {
        show(page, 8.0, MARGIN, MARGIN, &drawn(&format!("{name}    第 {} 页，共 {count} 页 / page {} of {count}", at + 1, at + 1)));
    }
    let title = pieces.iter().find_map(|piece| if let Piece::Title(title) = piece { Some(title.as_str()) } else { None });
    file::file(&all, title.unwrap_or(name), WIDTH, HEIGHT)
}

impl Piece {
    fn words(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Figure(name, value) => (name.as_str(), value.as_str()),
            Self::Title(text) | Self::Heading(text) | Self::Text(text) | Self::Note(text) => (text.as_str(), ""),
            Self::Gap => ("", ""),
        };
        [first, second].into_iter()
    }
}

/// Whether a reader would draw another character for this one, or none.
fn is_missing(c: char) -> bool {
    !c.is_control() && !collection::has(c)
}

/// As a page shows it.
fn drawn(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else if is_missing(c) { MISSING } else { c }).collect()
}

/// Text at a place, in hexadecimal UTF-16: every character of it means itself. spec: iso32000-1#9.4.3
fn show(content: &mut String, size: f32, x: f32, y: f32, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(content, "BT /F1 {size} Tf {x} {y} Td <{}> Tj ET", file::utf16(text));
}

/// Ideographs are as wide as the font is high, other characters about half of that.
fn wide(c: char, size: f32) -> f32 {
    if c.is_ascii() { size * 0.55 } else { size }
}

/// Lines of about `width` points. Words of letters go over whole, but for those longer than a line.
fn wrapped(text: &str, size: f32, width: f32) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
    for c in drawn(text).chars() {
        let needs = wide(c, size);
        if used + needs > width && c != ' ' {
            let word = line.chars().rev().take_while(|before| c.is_ascii() && before.is_ascii() && *before != ' ').map(char::len_utf8).sum::<usize>();
            let rest = if word < line.len() { line.split_off(line.len() - word) } else { String::new() };
            used = rest.chars().map(|c| wide(c, size)).sum();
            lines.push(std::mem::replace(&mut line, rest));
        }
        line.push(c);
        used += needs;
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

    #[test]
    fn words_go_over_whole_and_names_have_the_room_they_need() {
        assert_eq!(wrapped("单位月缴存额 Employer's monthly contribution", SIZE, 154.0), ["单位月缴存额 Employer's ", "monthly contribution"]);
        // An amount is no word of a sentence, and what is longer than a line is cut.
        assert_eq!(wrapped("1234567890", SIZE, SIZE * 0.55 * 4.0), ["1234", "5678", "90"]);
        assert_eq!(wrapped("缴存基数base", SIZE, SIZE * 5.0), ["缴存基数", "base"]);
        let column = |name: &str| {
            let file = String::from_utf8_lossy(&document(&[Piece::Figure(name.to_owned(), "1".to_owned())], "n")).into_owned();
            file.split("BT /F1 9.5 Tf ").nth(2).map(|shown| shown.split(' ').next().unwrap_or_default().parse::<f32>().unwrap_or_default())
        };
        assert_eq!([column("短"), column(&"长".repeat(99))], [Some(COLUMN.0), Some(COLUMN.1)]);
        assert!(column("单位月缴存额 Employer's monthly contribution").is_some_and(|at| at > 280.0 && at < COLUMN.1));
    }

    #[test]
    fn a_character_that_the_font_has_not_is_never_drawn_as_another() {
        let text = |name: &str| String::from_utf8_lossy(&document(&[Piece::Title("对账单".to_owned()), Piece::Figure("姓名".to_owned(), name.to_owned())], "对账单")).into_owned();
        assert!(text("Muñoz").contains("<004D00753013006F007A>"));
        let (rare, plain) = (text("𠅤*"), text("张*"));
        assert!(rare.contains("<3013002A>") && !rare.contains("D840"), "{rare}");
        assert_eq!(rare.matches("3013").count(), plain.matches("3013").count() + 3, "on its page stands what the mark means");
    }

    #[test]
    fn a_file_says_its_title_and_its_language() {
        let file = String::from_utf8_lossy(&document(&[Piece::Title("对账单 1".to_owned())], "脚")).into_owned();
        assert!(file.contains("/Title <FEFF5BF98D26535500200031>") && file.contains("/Lang (zh-CN)") && file.contains("/DisplayDocTitle true"));
    }
}
