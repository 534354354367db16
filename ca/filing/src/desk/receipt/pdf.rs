//! A receipt as a PDF, on as many pages as it takes. Its Chinese font is named, not carried: `STSong-Light`, one of the standard fonts that
//! readers bring for the character collection Adobe-GB1. So the file is a few kilobytes and needs no font of ours.
// spec: iso32000-1#9.7.5.2 (UniGB-UTF16-H), iso32000-1#7.5

use std::fmt::Write as _;

use super::rows;
use crate::desk::problem::DeskError;

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

    fn down(&mut self, by: f32) {
        self.line -= by;
    }

    fn show(&mut self, size: f32, x: f32, text: &str) {
        show(&mut self.page, size, x, self.line, text);
    }
}

/// Of the receipt's canonical octets.
pub fn page(document: &[u8]) -> Result<Vec<u8>, DeskError> {
    let rows = rows(document)?;
    let mut pages = Pages { full: Vec::new(), page: String::new(), line: HEIGHT - MARGIN - 10.0 };
    pages.show(16.0, MARGIN, "申报回执  Filing receipt");
    pages.down(2.0 * LEADING);
    for (zh, en, value) in &rows {
        pages.room();
        pages.show(SIZE, MARGIN, &format!("{zh} {en}"));
        for part in wrapped(value, WIDTH - MARGIN - COLUMN) {
            pages.room();
            pages.show(SIZE, COLUMN, &part);
            pages.down(LEADING);
        }
        pages.down(2.0);
    }
    pages.down(LEADING);
    for note in ["由受理单位加盖电子印章的是回执的 JSON 原文；本页是其同值副本。", "What the bureau sealed is the receipt's JSON; this page says the same."] {
        pages.room();
        pages.show(8.0, MARGIN, note);
        pages.down(LEADING);
    }
    let Pages { full: mut all, page: last, .. } = pages;
    all.push(last);
    let number = rows.first().map(|(_, _, number)| number.as_str()).unwrap_or_default();
    let count = all.len();
    for (at, page) in all.iter_mut().enumerate() {
        show(page, 8.0, MARGIN, MARGIN, &format!("{number}    第 {} 页，共 {count} 页 / page {} of {count}", at + 1, at + 1));
    }
    Ok(file(&all))
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
fn wrapped(text: &str, width: f32) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let wide = if c.is_ascii() { SIZE * 0.55 } else { SIZE };
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

/// Objects in order: catalogue, page tree, the font's three, then each page and its content.
fn file(pages: &[String]) -> Vec<u8> {
    const FIRST_PAGE: usize = 6;
    let kids: Vec<String> = (0..pages.len()).map(|at| format!("{} 0 R", FIRST_PAGE + 2 * at)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R /Lang (zh-CN) >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light-UniGB-UTF16-H /Encoding /UniGB-UTF16-H /DescendantFonts [4 0 R] >>".to_owned(),
        // The quarter and half widths of the collection's Latin characters.
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /FontDescriptor 5 0 R /DW 1000 /W [1 [207 270 342 467 462 797 710 239 374] 10 [374 423 605 238 375 238 334 462] 18 26 462 27 28 238 29 31 605 32 [344 748 684 560 695 739 563 511 729 793 318 312 666 526 896 758 772 544 772 628 465 607 753 711 972 647 620 607 374 333 374 606 500 239 417 503 427 529 415 264 444 518 241 230 495 228 793 527 524] 81 [524 504 338 336 277 517 450 652 466 452 407 370 258 370 605]] >>".to_owned(),
        "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>".to_owned(),
    ];
    for (at, content) in pages.iter().enumerate() {
        let contents = FIRST_PAGE + 2 * at + 1;
        objects.push(format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {contents} 0 R /Resources << /Font << /F1 3 0 R >> >> >>"));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    let mut out = b"%PDF-1.5\n%\xe5\x9b\x9e\xe6\x89\xa7\n".to_vec();
    let mut places = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
    }
    let table = out.len();
    out.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for place in places {
        // Each entry has twenty octets. spec: iso32000-1#7.5.4
        out.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1).as_bytes());
    out
}
