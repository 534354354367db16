//! A sheet as HTML for a phone: one column, no script, nothing fetched, styles inline, readable in the dark.
//!
//! Text and ground keep the reader's own colours, but for the card with the answer, which sets both. What a table's attributes can say, or
//! its cells inherit, no cell says again: a style costs each of forty rows its octets, and its `=` three. Lines stay short, so that
//! quoted-printable keeps them in place and messages of one kind compress against each other.

use policies::statement::{Column, Form};

use super::advice::{self, Note};
use super::correction::{self, Correction};
use super::frame::{Draft, Slot};
use super::sender::Sender;
use super::sheet::{Pair, Plan, Sheet};
use crate::mime::quoted_printable::Quoted;

const PAGE: &str = "max-width:34em;margin:0 auto;padding:16px;\nfont:16px/1.4 sans-serif;overflow-wrap:break-word";
const CARD: &str = "background:#0b5345;color:#fff;border-radius:12px;\npadding:12px 10px";
/// The heading of a row. Outside the card and the bars every table is [`TABLE`], and its rows are [`LINED`].
pub(super) const HEADING: &str = "<th scope=\"row\" align=\"left\" style=\"font-weight:400\"";
pub(super) const TABLE: &str = "<table width=\"100%\" cellpadding=\"6\"\nstyle=\"border-collapse:collapse;\ntext-align:right;margin-top:18px";
pub(super) const LINED: &str = "<tr style=\"border-top:1px solid #8886\">\n";
/// An amount is never broken over two lines, and words are, anywhere; an attribute without a value is lost in web mail.
pub(super) const AMOUNT: &str = "<td nowrap=\"1\">";
pub(super) const WORDS: &str = "<td style=\"word-break:break-word\">";
pub(super) const CAPTION: &str = "<caption style=\"text-align:left;font-weight:bold;padding:6px\">\n";

pub(super) fn draft(plan: Plan, sender: &Sender, notes: &[Note]) -> Draft {
    let mut draft = Draft::default();
    begin(plan.title(), &plan.month(), &plan.month_en(), draft.text());
    from(sender, draft.text());
    draft.push(&["<p style=\"margin:0 0 12px\">\n"]);
    for (column, _) in plan.owner() {
        // A name of another script turns nothing beside it.
        draft.push(&["<bdi>"]);
        draft.slot(Slot::Figure(column));
        draft.push(&["</bdi>\n"]);
    }
    draft.push(&["</p>\n"]);
    draft.slot(Slot::Correction);
    card(plan.answer(), &mut draft);
    draft.slot(Slot::History);
    for (title, columns) in plan.sections() {
        table(title, &columns, &mut draft);
    }
    let mut below = String::new();
    advice::html(notes, &mut below);
    draft.numbered(&below);
    end(draft.text());
    draft
}

/// What stands in a place of the draft.
pub(super) fn value(slot: Slot, sheet: &Sheet, correction: Option<&Correction<'_>>, out: &mut Quoted<'_>) {
    match slot {
        Slot::Figure(column) if sheet.said(column).contains(SPECIAL) => escaped(sheet.said(column), out),
        Slot::Figure(column) => out.piece(sheet.encoded(column)),
        Slot::Meaning(column) => {
            if let Some(english) = sheet.meaning(column) {
                let mut text = String::with_capacity(64);
                meant(english, &mut text);
                out.text(&text);
            }
        }
        Slot::Number => escaped(&sheet.number, out),
        Slot::Changed => {
            if let Some(([chinese, english], amount)) = sheet.history.as_ref().and_then(|history| history.changed()) {
                let mut text = String::with_capacity(256);
                push(&mut text, &["<tr>", HEADING, ">\n", &chinese, "<br>\n<small lang=\"en\">", &english, "</small></th>\n", AMOUNT, &amount, "</td></tr>\n"]);
                out.text(&text);
            }
        }
        Slot::History => {
            if let Some(history) = &sheet.history {
                history.html(out);
            }
        }
        Slot::Correction => {
            if let Some(correction) = correction {
                let mut text = String::with_capacity(1024);
                correction::html(correction, &mut text);
                out.text(&text);
            }
        }
    }
}

fn escaped(text: &str, out: &mut Quoted<'_>) {
    let mut safe = String::with_capacity(2 * text.len());
    escape(text, &mut safe);
    out.text(&safe);
}

/// A page with its headline around a content.
pub(super) fn wrapped(title: (&str, &str), month: &str, month_en: &str, content: impl FnOnce(&mut String)) -> String {
    let mut page = String::with_capacity(8 * 1024);
    begin(title, month, month_en, &mut page);
    content(&mut page);
    end(&mut page);
    page
}

fn begin((title, title_en): (&str, &str), month: &str, month_en: &str, out: &mut String) {
    // A kind's title comes from a policy file, which writes no HTML.
    let [title, title_en] = [title, title_en].map(|words| {
        let mut text = String::with_capacity(words.len());
        escape(words, &mut text);
        text
    });
    push(out, &[
        "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n",
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n",
        "<meta name=\"color-scheme\" content=\"light dark\">\n",
        // Amounts and account numbers are no telephone numbers.
        "<meta name=\"format-detection\"\ncontent=\"telephone=no,date=no,address=no,email=no\">\n<title>",
        &title, " ", month, "</title>\n</head>\n<body style=\"margin:0\">\n",
        // Web mail drops the outer elements: what they say is said again.
        "<div lang=\"zh-CN\" style=\"", PAGE, "\">\n<h1 style=\"font-size:20px;line-height:1.3;margin:0\">", &title,
        "\n<span style=\"white-space:nowrap\">", month, "</span></h1>\n<p lang=\"en\" style=\"margin:0\">", &title_en, " ",
        month_en, "</p>\n",
    ]);
}

fn end(out: &mut String) {
    out.push_str("</div>\n</body>\n</html>\n");
}

/// Whose page it is.
pub(super) fn from(sender: &Sender, out: &mut String) {
    out.push_str("<p style=\"margin:12px 0 0\">");
    escape(sender.name.as_str(), out);
    out.push_str("<br>\n<small lang=\"en\">");
    escape(sender.name_en.as_str(), out);
    out.push_str("</small></p>\n");
}

/// What matters, the first of it large, and what changed since the month before.
fn card<'a>(mut answer: impl Iterator<Item = (usize, &'a Column)>, draft: &mut Draft) {
    draft.push(&["<div style=\"", CARD, "\">\n"]);
    if let Some((at, column)) = answer.next() {
        draft.push(&["<p style=\"margin:0 4px 8px\">", column.zh, "\n<small lang=\"en\">", column.en, "</small><br>\n<b style=\"font-size:28px\">"]);
        draft.slot(Slot::Figure(at));
        draft.push(&["</b></p>\n"]);
    }
    // Colours go into no table where a page is read as those of old.
    draft.push(&["<table width=\"100%\" cellpadding=\"4\"\nstyle=\"color:#fff;text-align:right\">\n<caption style=\"text-align:left;font-weight:bold;padding:4px\">\n本月概要 <span lang=\"en\">In short</span></caption>\n<col width=\"60%\">\n"]);
    draft.slot(Slot::Changed);
    answer.for_each(|column| row("<tr>", column, draft));
    draft.push(&["</table>\n</div>\n"]);
}

fn table((title, title_en): Pair, columns: &[(usize, &Column)], draft: &mut Draft) {
    // The name of an employer has more room than an amount.
    let holds_words = columns.iter().any(|(_, column)| column.form == Form::Text);
    let width = if holds_words { "40%" } else { "60%" };
    draft.push(&[TABLE, "\">\n", CAPTION, title, " <span lang=\"en\">", title_en, "</span></caption>\n<col width=\"", width, "\">\n"]);
    columns.iter().for_each(|column| row(LINED, *column, draft));
    draft.push(&["</table>\n"]);
}

fn row(open: &str, (at, column): (usize, &Column), draft: &mut Draft) {
    let cell = match column.form {
        Form::Amount | Form::Rate | Form::Count | Form::Number => AMOUNT,
        Form::Month | Form::Date => "<td>",
        Form::Code | Form::Text => WORDS,
    };
    draft.push(&[open, HEADING, ">\n", column.zh, "<br>\n<small lang=\"en\">", column.en, "</small></th>\n", cell]);
    draft.slot(Slot::Figure(at));
    if column.form == Form::Code {
        draft.slot(Slot::Meaning(at));
    }
    draft.push(&["</td></tr>\n"]);
}

/// What a code means, below it.
pub(super) fn meant(english: &str, out: &mut String) {
    out.push_str("<br>\n<small lang=\"en\">");
    escape(english, out);
    out.push_str("</small>");
}

pub(super) fn push(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
}

/// What HTML reads as something else.
const SPECIAL: [char; 5] = ['&', '<', '>', '"', '\''];

pub(super) fn escape(text: &str, out: &mut String) {
    for piece in text.split_inclusive(SPECIAL) {
        let (plain, entity) = match piece.chars().next_back() {
            Some('&') => (piece.strip_suffix('&'), "&amp;"),
            Some('<') => (piece.strip_suffix('<'), "&lt;"),
            Some('>') => (piece.strip_suffix('>'), "&gt;"),
            Some('"') => (piece.strip_suffix('"'), "&quot;"),
            Some('\'') => (piece.strip_suffix('\''), "&#39;"),
            _ => (None, ""),
        };
        out.push_str(plain.unwrap_or(piece));
        out.push_str(entity);
    }
}
